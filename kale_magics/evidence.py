"""What a marked cell did to the session's objects, as observed when it ran.

Before the cell runs, the values of the session's variables are digested: the bytes of their pickles, arrays
through the buffers of pickle protocol 5, so that nothing is copied. Afterwards those that are still there are
digested again. All of that within a budget: of a large value a sample is compared, which can show that it has
changed but not that it has not. In between, nothing refers to the values: a reference would be noticed, as by
`ndarray.resize`.
"""

from __future__ import annotations

import io
import pickle
import re
import sys
import time
import types
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kale_magics.holdings import Holdings, holdings_of
from kale_magics.objects import defines, is_immutable
from kale_magics.step_runtime.generators import GENERATORS, generator_state
from kale_magics.step_runtime.reducers import module_of

WORK = 4 << 20
"""How much may be digested before a cell, and again after it, in bytes of arrays: some two milliseconds.

Work and not time, so that what is found does not depend on what else the machine does.
"""

WORK_OF_BYTE = 20
"""What a byte of a pickle costs, in bytes of arrays."""

WORK_OF_OBJECT = 40_000
"""What an object costs for which the pickler must ask, in bytes of arrays."""

MAX_SECONDS = 0.02
"""Processor time after which a digest ends anyway: a library's own pickling may take any time."""

MAX_OBJECTS = 2_000
"""How many objects of a cell's values are looked at to see which of these share one."""

SAMPLES, SAMPLE = 64, 1024
"""How many pieces of a large array are compared, and the bytes of each."""

MAX_ARRAY_ELEMENTS = 10_000
"""Elements of an array that lies scattered in memory, or holds objects, beyond which a sample is compared."""

_WORD = re.compile(r"[^\W\d]\w*")

_DEVICES = frozenset("torch tensorflow jax cupy numba pyspark dask ray cudf mxnet".split())
"""Libraries whose objects may live elsewhere: to pickle one may move gigabytes."""

_OF_IPYTHON = frozenset("In Out exit quit get_ipython open".split())


@dataclass(frozen=True)
class Evidence:
    """What a cell did when it ran.

    Attributes:
        changed: The names whose objects it changed; also the states of generators (`GENERATORS`).
        kept: The names whose objects it left as they were.
        shared: Names whose values had an object in common when it had run.
        indexed: Names whose values had an index of pandas in common, and nothing else.
        bound: The names that stood for another object after it, or for the first time.
        held: For a name, the notebook's functions and classes in its value.
    """

    changed: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    shared: tuple[frozenset[str], ...] = ()
    indexed: tuple[frozenset[str], ...] = ()
    bound: frozenset[str] = frozenset()
    held: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def with_earlier(self, earlier: Evidence) -> Evidence:
        """The same, of a cell that ran before too: what it changed once, it may find changed already."""
        return replace(self, changed=self.changed | earlier.changed, kept=self.kept - earlier.changed)


@dataclass(frozen=True)
class Sum:
    """What a digest gives.

    Attributes:
        value: A checksum.
        length: Of what was digested, in bytes.
        whole: Whether all of the value was; else a sample.
    """

    value: int
    length: int
    whole: bool


class TooMuchError(Exception):
    """A value is larger than the budget, or would run somebody's code when it is pickled."""


class TooLateError(Exception):
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
            TooMuchError: That is more than there is.
            TooLateError: The time is over.
        """
        self.left -= work
        if self.left < 0:
            raise TooMuchError
        if time.thread_time() > self.until:
            raise TooLateError

    def write(self, data: Any) -> int:
        """Take a piece of a pickle in."""
        size = memoryview(data).nbytes
        self.spend(size * WORK_OF_BYTE)
        self._add(data, size)
        return size

    def take(self, buffer: pickle.PickleBuffer) -> None:
        """Take the memory of an array in, in place: all of it, or pieces of a large one."""
        data = buffer.raw()
        if data.nbytes <= self.left - SAMPLES * SAMPLE:
            self.spend(data.nbytes)
            self._add(data, data.nbytes)
            return
        self.whole = False
        self.spend(SAMPLES * SAMPLE)
        for number in range(SAMPLES):
            start = (data.nbytes - SAMPLE) * number // (SAMPLES - 1)
            self._add(data[max(start, 0) : max(start, 0) + SAMPLE], SAMPLE)

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
            TooMuchError: Pickling the object would move data, or the budget is spent.
        """
        kind = type(item)
        self.file.spend(WORK_OF_OBJECT)
        if kind is types.FunctionType:
            return _function_content(item) if _is_of_notebook(item) else NotImplemented
        if issubclass(kind, type):
            return (str, (item.__qualname__,)) if module_of(item) == "__main__" else NotImplemented
        module = module_of(kind)
        if module.partition(".")[0] in _DEVICES:
            raise TooMuchError
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
        TooMuchError: It is of a base that keeps its content where only that code finds it.
    """
    content: list[Any] = [kind.__qualname__]
    for base in kind.__mro__:
        if base in _CONTENTS:
            content.append(_CONTENTS[base](item))
        elif module_of(base) not in ("__main__", "builtins", "abc", "typing", "enum", "dataclasses") and (
            not vars(base).get("__dict__") and base.__flags__ & _HEAP_TYPE == 0
        ):
            raise TooMuchError
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
    if isinstance(item, pandas.DataFrame):
        # A frame puts columns of one type together when it likes.
        arrays = getattr(getattr(item, "_mgr", None), "column_arrays", None)
        return None if arrays is None else [kind, list(arrays), item.columns, item.index, item.attrs]
    if isinstance(item, pandas.MultiIndex):
        return [list(item.names), list(item.codes), list(item.levels)]
    if isinstance(item, pandas.RangeIndex):
        return [item.name, item.start, item.stop, item.step]
    if isinstance(item, pandas.Index):
        return [kind, item.name, str(item.dtype), item.array]
    # Dates and the like keep what they were asked once.
    own = getattr(item, "_ndarray", None) if isinstance(item, pandas.api.extensions.ExtensionArray) else None
    if own is not None:
        return [kind, str(item.dtype), own]
    return _without_caches(item) if module_of(kind).startswith("pandas.core") else None


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
    if not defines(type(item), "__dict__") or "_mgr" in vars(item):
        return None
    kept = {
        name: value
        for name, value in vars(item).items()
        if name != "_cache" and not any(name in vars(base) for base in type(item).__mro__)
    }
    return [type(item).__qualname__, kept]


class Watch:
    """Watches the execution of one cell.

    Args:
        source: The cell.
        values: The session's variables.
        hidden: The names of those that are the shell's own.
    """

    def __init__(self, source: str, values: Mapping[str, Any], hidden: Collection[str] = ()) -> None:
        self._source, self._values, self._hidden = source, values, hidden
        self._generators = _generators()
        self._identities = {name: id(value) for name, value in values.items()}
        self._before: dict[str, tuple[int, int, Sum]] = {}
        left, until = WORK, time.thread_time() + MAX_SECONDS
        for name in self._names():
            work = left // 2
            before, spent = _digest(values[name], work, until)
            left -= spent
            if before is not None:
                self._before[name] = id(values[name]), work, before

    def end(self) -> Evidence:
        """What the cell has done by now."""
        changed, kept, bound = set[str](), set[str](), set[str]()
        until = time.thread_time() + MAX_SECONDS
        for name, (identity, work, before) in self._before.items():
            if name not in self._values or id(self._values[name]) != identity:
                continue
            after, _ = _digest(self._values[name], work, until)
            if after is not None and after != before:
                changed.add(name)
            elif after is not None and after.whole:
                kept.add(name)
        states = _generators()
        for name, state in self._generators.items():
            (kept if state == states.get(name) else changed).add(name)
        for name, value in self._values.items():
            if self._identities.get(name) != id(value) and self._is_users(name):
                bound.add(name)
        return self._with_sharing(Evidence(frozenset(changed), frozenset(kept), bound=frozenset(bound)))

    def _with_sharing(self, evidence: Evidence) -> Evidence:
        """Add which names have objects in common, and which functions their values hold."""
        names = list(dict.fromkeys([*sorted(evidence.bound), *self._names()]))
        found: dict[str, Holdings] = {}
        left = MAX_OBJECTS
        for number, name in enumerate(names):
            value = self._values[name]
            if not _is_of_no_interest(value):
                found[name] = holdings_of(value, max(left // (len(names) - number), 20))
                left -= len(found[name].own) + len(found[name].copied)
            if left <= 0:
                break
        held = {name: its.definitions for name, its in found.items() if its.definitions}
        return replace(evidence, shared=_groups(found), indexed=_index_groups(found), held=held)

    def _names(self) -> list[str]:
        """The variables to look at: those that the cell may reach first, then all others of the user."""
        reachable = _reachable(self._source, self._values)
        others = [name for name in reversed(list(self._values)) if self._is_users(name)]
        return [n for n in dict.fromkeys([*reachable, *others]) if not _is_of_no_interest(self._values[n])]

    def _is_users(self, name: str) -> bool:
        return not (name.startswith("_") or name in self._hidden or name in _OF_IPYTHON)


def _groups(found: Mapping[str, Holdings]) -> tuple[frozenset[str], ...]:
    """Which names have an object in common that can change."""
    owners: dict[int, str] = {}
    groups: dict[str, set[str]] = {name: {name} for name in found}
    for name, its in found.items():
        _unite(groups, {name, *(owners.setdefault(part, name) for part in its.own)})
    for name, its in found.items():
        _unite(groups, {name, *(owners[part] for part in its.copied if part in owners)})
    return tuple({id(g): frozenset(g) for g in groups.values() if len(g) > 1}.values())


def _index_groups(found: Mapping[str, Holdings]) -> tuple[frozenset[str], ...]:
    """Which names have an index in common that one of them holds as such."""
    holders = {name: its for name, its in found.items() if its.indexes}
    return tuple(
        frozenset({one, other})
        for one, its in holders.items()
        for other in found
        if other != one and its.shares_index(found[other])
    )


def _unite(groups: dict[str, set[str]], names: set[str]) -> None:
    if len(names) > 1:
        group = set().union(*(groups[name] for name in names))
        groups.update(dict.fromkeys(group, group))


def _digest(value: Any, work: int, until: float) -> tuple[Sum | None, int]:
    """A checksum of what is in a value, and what it has cost; None if nobody can tell."""
    file = Digest(work, until)
    try:
        Digester(file).dump(class_content(value) if isinstance(value, type) else value)
    except TooMuchError:
        file.whole = False
    except Exception:  # whatever stands in the way, nothing is known of the value then
        return None, work - max(file.left, 0)
    if file.length == 0:
        return None, work - max(file.left, 0)
    return Sum(file.value, file.length, file.whole), work - max(file.left, 0)


def _generators() -> dict[str, int]:
    """A checksum of the state of each generator that something has imported."""
    states = {
        name: generator_state(name) for name, (module, *_) in GENERATORS.items() if module in sys.modules
    }
    return {name: zlib.crc32(pickle.dumps(state)) for name, state in states.items()}


def _reachable(source: str, values: Mapping[str, Any]) -> list[str]:
    """The names whose objects a cell may change, as far as words tell: its own, and its functions'."""
    found: dict[str, None] = {}
    pending: list[Iterable[str]] = [_WORD.findall(source)]
    while pending:
        for name in pending.pop():
            if name in found or name not in values:
                continue
            found[name] = None
            pending += [_names_of(code) for code in _codes_of(values[name], values)]
    return list(found)


def _codes_of(value: Any, values: Mapping[str, Any]) -> Iterator[types.CodeType]:
    """The code of a function of the notebook, or of the methods of an object's class."""
    if type(value) is types.FunctionType:
        if value.__globals__ is values:
            yield value.__code__
        return
    kind = value if isinstance(value, type) else type(value)
    for base in kind.__mro__ if module_of(kind) == "__main__" else ():
        for member in list(vars(base).values()):
            function = member.__func__ if type(member) in (staticmethod, classmethod) else member
            if type(function) is types.FunctionType and function.__globals__ is values:
                yield function.__code__


def _names_of(code: types.CodeType) -> set[str]:
    """The names that a function looks up, and those in it."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_of(constant)
    return names


def _is_of_no_interest(value: Any) -> bool:
    """Whether a value cannot change but by its source: a definition without anything that can."""
    if type(value) is types.FunctionType:
        return is_immutable(value) or not (value.__closure__ or value.__defaults__ or value.__kwdefaults__)
    if isinstance(value, type):
        return module_of(value) != "__main__" or all(
            _is_of_no_interest(member) for _, member in class_content(value)
        )
    return is_immutable(value)
