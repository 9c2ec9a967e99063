"""Digests of values: detect whether a value has changed between two moments, without a copy of it.

A digest is a checksum of the value's pickle, in which arrays are buffers of pickle protocol 5. The work is
bounded: of a large value only a sample is digested, which can prove a change but not the absence of one.
Objects of the notebook's classes are read without running their code.
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
"""The cost of a byte of a pickle, in bytes of arrays."""

WORK_OF_OBJECT = 40_000
"""The cost of an object that the pickler reduces, in bytes of arrays."""

SAMPLE_COUNT, SAMPLE_SIZE = 64, 1024
"""How many pieces of a large array are digested, and the bytes of each."""

MAX_ARRAY_ELEMENTS = 10_000
"""Elements of an array of objects, or one that is not contiguous, beyond which a sample is digested."""

_DEVICES = frozenset("torch tensorflow jax cupy numba pyspark dask ray cudf mxnet".split())
"""Libraries whose objects may live on a device or a cluster: pickling one may move gigabytes."""


@dataclass(frozen=True)
class Checksum:
    """The result of a digest.

    Attributes:
        value: A checksum.
        length: The number of digested bytes.
        whole: Whether the whole value was digested; else a sample.
    """

    value: int
    length: int
    whole: bool


class BudgetExceededError(Exception):
    """A value exceeds the budget, or pickling it would run unknown code."""


class TimeExceededError(Exception):
    """A value took too much time; the digest so far would depend on the machine."""


class Digest(io.RawIOBase):
    """A file that computes a checksum of what is written.

    Args:
        work: The budget.
        until: The deadline, in processor time of the thread.
    """

    def __init__(self, work: int, until: float) -> None:
        super().__init__()
        self.left, self.until = work, until
        self.value = self.length = 0
        self.whole = True

    def spend(self, work: int) -> None:
        """Spend a part of the budget.

        Raises:
            BudgetExceededError: The budget is used up.
            TimeExceededError: The deadline has passed.
        """
        self.left -= work
        if self.left < 0:
            raise BudgetExceededError
        if time.thread_time() > self.until:
            raise TimeExceededError

    def write(self, data: Any) -> int:
        """Add a piece of a pickle."""
        size = memoryview(data).nbytes
        self.spend(size * WORK_OF_BYTE)
        self._add(data, size)
        return size

    def add_buffer(self, buffer: pickle.PickleBuffer) -> None:
        """Add the memory of an array without a copy: all of it, or pieces of a large one."""
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
    """Pickles a value for the checksum alone; the pickle is never loaded.

    Args:
        file: The file to write to.
    """

    def __init__(self, file: Digest) -> None:
        super().__init__(file, protocol=5, buffer_callback=file.add_buffer)
        self.file = file

    def reducer_override(self, item: Any) -> Any:
        """Return what to pickle for an object: classes by identity, functions by content.

        Raises:
            BudgetExceededError: Pickling the object would move data, or the budget is spent.
        """
        kind = type(item)
        self.file.spend(WORK_OF_OBJECT)
        if kind is types.FunctionType:
            return _function_content(item) if _is_of_notebook(item) else NotImplemented
        if issubclass(kind, type):
            is_of_main = module_of(item) == "__main__"
            # Another class of that name may take its place.
            return (str, (f"{item.__qualname__} {id(item)}",)) if is_of_main else NotImplemented
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
    # Another function of that name may take its place.
    names = item.__qualname__, hash(item.__code__)
    return list, ([*names, held, item.__defaults__, item.__kwdefaults__, vars(item)],)


def _own_content(item: Any, kind: type) -> list[Any]:
    """Return the content of an object of a class of the notebook, without running the class's code.

    Raises:
        BudgetExceededError: It has a base class that hides its content from Python.
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
                except AttributeError:  # a slot without a value
                    content.append((name,))
            elif name == "__dict__" and type(member) is types.GetSetDescriptorType:
                content.append(member.__get__(item))
    return content


_HEAP_TYPE = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE`: the flag of a class that Python code made."""

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
"""For a builtin base class: the content of an object besides its attributes."""


def class_content(kind: type) -> list[Any]:
    """Return the mutable content of a class: its variables and functions."""
    return [(name, member) for name, member in list(vars(kind).items()) if _is_state(name, member)]


def _is_state(name: str, member: Any) -> bool:
    if type(member) is types.FunctionType:
        return True
    special = name.startswith("__") and name.endswith("__")
    return not special and name != "_abc_impl" and not defines(type(member), "__get__")


def _content(item: Any, file: Digest) -> list[Any] | None:
    """Return the content of an object that caches or rearranges data on access; else None."""
    kind = type(item)
    if module_of(kind).startswith("scipy.sparse"):
        # A matrix caches whether it is sorted.
        return [kind, {name: v for name, v in vars(item).items() if not name.startswith("_has_")}]
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and kind is numpy.ndarray:
        return _sampled(item, file)
    if pandas is None:
        return None
    if issubclass(kind, pandas.DataFrame):
        # A frame may consolidate columns of one type at any time.
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
    # Arrays of dates and the like cache properties.
    own = getattr(item, "_ndarray", None) if issubclass(kind, pandas.api.extensions.ExtensionArray) else None
    if own is not None:
        return [kind, str(item.dtype), own]
    return _without_caches(item) if module_of(kind).partition(".")[0] == "pandas" else None


def _sampled(array: Any, file: Digest) -> list[Any] | None:
    """Return a sample of an array that pickle would copy, or pickle by object; None for all others."""
    plain = (array.flags.c_contiguous or array.flags.f_contiguous) and not array.dtype.hasobject
    if plain or array.size <= MAX_ARRAY_ELEMENTS:
        return None
    file.whole = False
    steps = tuple(slice(None, None, -(-size // 50)) for size in array.shape)
    return [str(array.dtype), array.shape, array[steps].ravel()[:MAX_ARRAY_ELEMENTS].tolist()]


def _without_caches(item: Any) -> list[Any] | None:
    """Return the content of an object of pandas, such as a frame's groups, without its caches."""
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
    """Return a checksum of a value, None if it cannot be digested, and the work spent."""
    file = Digest(work, until)
    try:
        Digester(file).dump(class_content(value) if issubclass(type(value), type) else value)
    except BudgetExceededError:
        file.whole = False
    except Exception:  # the value cannot be pickled
        return None, work - max(file.left, 0)
    if file.length == 0:
        return None, work - max(file.left, 0)
    return Checksum(file.value, file.length, file.whole), work - max(file.left, 0)
