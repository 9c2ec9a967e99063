"""Digests of values: whether a value has changed between two moments, without a copy of it.

A digest is a checksum of the value's pickle, in which arrays count through the buffers of pickle protocol 5.
It keeps to a budget: of a large value a sample is digested, which can show that it has changed but not that
it has not. Classes of the notebook are read without running their code.
"""

from __future__ import annotations

import io
import pickle
import sys
import time
import types
import zlib
from dataclasses import dataclass
from typing import Any

from kale_magics.session.objects import defines
from kale_magics.step_runtime.reducers import module_of

WORK_OF_BYTE = 20
"""What a byte of a pickle costs, in bytes of arrays."""

WORK_OF_OBJECT = 40_000
"""What an object costs for which the pickler must ask, in bytes of arrays."""

SAMPLE_COUNT, SAMPLE_SIZE = 64, 1024
"""How many pieces of a large array are compared, and the bytes of each."""

MAX_ARRAY_ELEMENTS = 10_000
"""Elements of an array that lies scattered in memory, or holds objects, beyond which a sample is compared."""

_DEVICES = frozenset("torch tensorflow jax cupy numba pyspark dask ray cudf mxnet".split())
"""Libraries whose objects may live elsewhere: to pickle one may move gigabytes."""


@dataclass(frozen=True)
class Checksum:
    """What a digest gives.

    Attributes:
        value: A checksum.
        length: Of what was digested, in bytes.
        whole: Whether all of the value was; else a sample.
    """

    value: int
    length: int
    whole: bool


class BudgetExceededError(Exception):
    """A value is larger than the budget, or would run somebody's code when it is pickled."""


class TimeExceededError(Exception):
    """A value took too much time: what has been digested of it would depend on the machine."""


class Digest(io.RawIOBase):
    """A file that keeps a checksum of what is written.

    Args:
        work: What may be spent.
        until: The thread's processor time at which it ends anyway.
    """

    def __init__(self, work: int, until: float) -> None:
        super().__init__()
        self.left, self.until = work, until
        self.value = self.length = 0
        self.whole = True

    def spend(self, work: int) -> None:
        """Take from what is left.

        Raises:
            BudgetExceededError: That is more than there is.
            TimeExceededError: The time is over.
        """
        self.left -= work
        if self.left < 0:
            raise BudgetExceededError
        if time.thread_time() > self.until:
            raise TimeExceededError

    def write(self, data: Any) -> int:
        """Take a piece of a pickle in."""
        size = memoryview(data).nbytes
        self.spend(size * WORK_OF_BYTE)
        self._add(data, size)
        return size

    def take(self, buffer: pickle.PickleBuffer) -> None:
        """Take the memory of an array in, in place: all of it, or pieces of a large one."""
        data = buffer.raw()
        if data.nbytes <= self.left - SAMPLE_COUNT * SAMPLE_SIZE:
            self.spend(data.nbytes)
            self._add(data, data.nbytes)
            return
        self.whole = False
        self.spend(SAMPLE_COUNT * SAMPLE_SIZE)
        last = max(data.nbytes - SAMPLE_SIZE, 0)
        starts = [last * number // (SAMPLE_COUNT - 1) for number in range(SAMPLE_COUNT)]
        pieces = b"".join([data[start : start + SAMPLE_SIZE] for start in starts])
        self._add(pieces, len(pieces))

    def _add(self, data: Any, size: int) -> None:
        self.value, self.length = zlib.crc32(data, self.value), self.length + size


class Digester(pickle.Pickler):
    """Writes what is in a value, for the checksum alone: nobody reads it.

    Args:
        file: Where to.
    """

    def __init__(self, file: Digest) -> None:
        super().__init__(file, protocol=5, buffer_callback=file.take)
        self.file = file

    def reducer_override(self, item: Any) -> Any:
        """What stands for an object; definitions are told apart by name, functions by what they hold too.

        Raises:
            BudgetExceededError: Pickling the object would move data, or the budget is spent.
        """
        kind = type(item)
        self.file.spend(WORK_OF_OBJECT)
        if kind is types.FunctionType:
            return _function_content(item) if _is_of_notebook(item) else NotImplemented
        if issubclass(kind, type):
            return (str, (item.__qualname__,)) if module_of(item) == "__main__" else NotImplemented
        module = module_of(kind)
        if module.partition(".")[0] in _DEVICES:
            raise BudgetExceededError
        if module == "__main__":
            return list, (_own_content(item, kind),)
        content = _content(item, self.file)
        return NotImplemented if content is None else (list, (content,))


def _is_of_notebook(function: types.FunctionType) -> bool:
    return bool(function.__closure__) or function.__globals__.get("__name__") == "__main__"


def _function_content(item: types.FunctionType) -> Any:
    held = [cell.cell_contents for cell in item.__closure__ or () if cell != types.CellType()]
    return list, ([item.__qualname__, held, item.__defaults__, item.__kwdefaults__, vars(item)],)


def _own_content(item: Any, kind: type) -> list[Any]:
    """What is in an object of a class of the notebook, read without running the class's code.

    Raises:
        BudgetExceededError: It is of a base that keeps its content where only that code finds it.
    """
    content: list[Any] = [kind.__qualname__]
    for base in kind.__mro__:
        if base in _CONTENTS:
            content.append(_CONTENTS[base](item))
        elif module_of(base) not in ("__main__", "builtins", "abc", "typing", "enum", "dataclasses") and (
            not vars(base).get("__dict__") and base.__flags__ & _HEAP_TYPE == 0
        ):
            raise BudgetExceededError
        for name, member in vars(base).items():
            if type(member) is types.MemberDescriptorType and name not in ("__dict__", "__weakref__"):
                try:
                    content.append((name, member.__get__(item)))
                except AttributeError:  # a slot that has no value yet
                    content.append((name,))
            elif name == "__dict__" and type(member) is types.GetSetDescriptorType:
                content.append(member.__get__(item))
    return content


_HEAP_TYPE = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE`: in the flags of a class that Python code has made."""

_CONTENTS: dict[type, Any] = {
    dict: lambda item: list(dict.items(item)),
    list: lambda item: list.__getitem__(item, slice(None)),
    tuple: lambda item: tuple.__getitem__(item, slice(None)),
    set: lambda item: set(set.__iter__(item)),
    frozenset: lambda item: frozenset(frozenset.__iter__(item)),
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    bytes: lambda item: bytes.__getitem__(item, slice(None)),
    BaseException: lambda item: BaseException.args.__get__(item),  # type: ignore[attr-defined]  # a descriptor
}
"""For a builtin base of a class: what an object of it has beside its attributes."""


def class_content(kind: type) -> list[Any]:
    """What is in a class that can change: its variables, and what its functions hold."""
    return [(name, member) for name, member in list(vars(kind).items()) if _is_state(name, member)]


def _is_state(name: str, member: Any) -> bool:
    if type(member) is types.FunctionType:
        return True
    special = name.startswith("__") and name.endswith("__")
    return not special and name != "_abc_impl" and not defines(type(member), "__get__")


def _content(item: Any, file: Digest) -> list[Any] | None:
    """What is in an object that arranges or notes something again when it is read; None for all others."""
    kind = type(item)
    if module_of(kind).startswith("scipy.sparse"):
        # A matrix notes whether it is sorted when somebody asks.
        return [kind, {name: v for name, v in vars(item).items() if not name.startswith("_has_")}]
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and kind is numpy.ndarray:
        return _sampled(item, file)
    if pandas is None:
        return None
    if issubclass(kind, pandas.DataFrame):
        # A frame puts columns of one type together when it likes.
        arrays = getattr(getattr(item, "_mgr", None), "column_arrays", None)
        return None if arrays is None else [kind, list(arrays), item.columns, item.index, item.attrs]
    if issubclass(kind, pandas.Series):
        values = getattr(item, "_values", None)
        return None if values is None else [kind, values, item.index, item.name, item.attrs]
    if issubclass(kind, pandas.MultiIndex):
        return [list(item.names), list(item.codes), list(item.levels)]
    if issubclass(kind, pandas.RangeIndex):
        return [item.name, item.start, item.stop, item.step]
    if issubclass(kind, pandas.Index):
        return [kind, item.name, str(item.dtype), item.array]
    # Dates and the like keep what they were asked once.
    own = getattr(item, "_ndarray", None) if issubclass(kind, pandas.api.extensions.ExtensionArray) else None
    if own is not None:
        return [kind, str(item.dtype), own]
    return _without_caches(item) if module_of(kind).partition(".")[0] == "pandas" else None


def _sampled(array: Any, file: Digest) -> list[Any] | None:
    """A sample of an array that pickle would copy, or take apart object by object; None for all others."""
    plain = (array.flags.c_contiguous or array.flags.f_contiguous) and not array.dtype.hasobject
    if plain or array.size <= MAX_ARRAY_ELEMENTS:
        return None
    file.whole = False
    steps = tuple(slice(None, None, -(-size // 50)) for size in array.shape)
    return [str(array.dtype), array.shape, array[steps].ravel()[:MAX_ARRAY_ELEMENTS].tolist()]


def _without_caches(item: Any) -> list[Any] | None:
    """An object of pandas, as a frame's groups, without what it has computed on demand."""
    internal = ".internals" in module_of(type(item))
    if internal or not defines(type(item), "__dict__") or "_mgr" in vars(item):
        return None
    kept = {
        name: value
        for name, value in vars(item).items()
        if name != "_cache" and not any(name in vars(base) for base in type(item).__mro__)
    }
    return [type(item).__qualname__, kept]


def digest_of(value: Any, work: int, until: float) -> tuple[Checksum | None, int]:
    """A checksum of what is in a value, and what it has cost; None if nobody can tell."""
    file = Digest(work, until)
    try:
        Digester(file).dump(class_content(value) if issubclass(type(value), type) else value)
    except BudgetExceededError:
        file.whole = False
    except Exception:  # whatever stands in the way, nothing is known of the value then
        return None, work - max(file.left, 0)
    if file.length == 0:
        return None, work - max(file.left, 0)
    return Checksum(file.value, file.length, file.whole), work - max(file.left, 0)
