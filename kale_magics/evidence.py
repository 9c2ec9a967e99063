"""What a marked cell did to the objects that it was given, as seen when it ran.

Before the cell runs, the values that it may reach are digested: the bytes of their pickles, arrays through
the buffers of pickle protocol 5, so that nothing is copied. Afterwards those that are still there are
digested again. All of that within a budget: of a value that is too large nothing is known.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import sys
import time
import types
import weakref
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kale_magics.fingerprints import Identities, fingerprints_of
from kale_magics.objects import is_immutable, mutable_parts
from kale_magics.step_runtime.generators import GENERATORS, generator_state
from kale_magics.step_runtime.reducers import module_of

WORK = 4 << 20
"""How much may be digested before a cell, and again after it, in bytes of arrays: some two milliseconds.

Work and not time, so that what is found does not hang on what else the machine does.
"""

WORK_OF_BYTE = 20
"""What a byte of a pickle costs, in bytes of arrays."""

WORK_OF_OBJECT = 40_000
"""What an object costs for which the pickler must ask, in bytes of arrays."""

MOST_SECONDS = 0.02
"""Processor time after which a digest ends anyway: an object's own pickling may take any time."""

MOST_OBJECTS = 2_000
"""How many objects of a cell's values are looked at to see which of these share one."""

_WORD = re.compile(r"[^\W\d]\w*")

_DEVICES = frozenset("torch tensorflow jax cupy numba pyspark dask ray cudf mxnet".split())
"""Libraries whose objects may live elsewhere: to pickle one may move gigabytes."""


@dataclass(frozen=True)
class Evidence:
    """What a cell did when it ran.

    Attributes:
        changed: The names whose objects it changed; also the states of generators (`GENERATORS`).
        kept: The names whose objects it left as they were.
        shared: Names whose values had an object in common when it had run.
        fingerprints: What the variables that it bound, changed or read were when it had run.
    """

    changed: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    shared: tuple[frozenset[str], ...] = ()
    fingerprints: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def with_earlier(self, earlier: Evidence) -> Evidence:
        """The same, of a cell that ran before too: what it changed once, it may find changed already."""
        return replace(self, changed=self.changed | earlier.changed, kept=self.kept - earlier.changed)


Sum = tuple[int, int]


class TooMuchError(Exception):
    """A value is larger than the budget, or would run code of somebody's when it is pickled."""


class Budget:
    """What may still be spent."""

    def __init__(self) -> None:
        self.left = WORK
        self.until = time.thread_time() + MOST_SECONDS

    def spend(self, work: int) -> None:
        """Take from what is left.

        Raises:
            TooMuchError: That is more than there is.
        """
        self.left -= work
        if self.left < 0 or time.thread_time() > self.until:
            raise TooMuchError


class Digest(io.RawIOBase):
    """A file that keeps a checksum of what is written.

    Args:
        budget: What may be spent.
    """

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.budget = budget
        self.sum = self.length = 0

    def write(self, data: Any) -> int:
        """Take a piece of a pickle in."""
        size = memoryview(data).nbytes
        self.budget.spend(size * WORK_OF_BYTE)
        self.sum, self.length = zlib.crc32(data, self.sum), self.length + size
        return size

    def take(self, buffer: pickle.PickleBuffer) -> None:
        """Take the memory of an array in, in place."""
        data = buffer.raw()
        self.budget.spend(data.nbytes)
        self.sum, self.length = zlib.crc32(data, self.sum), self.length + data.nbytes


class Digester(pickle.Pickler):
    """Writes what is in a value, for the checksum alone: nobody reads it.

    Args:
        file: Where to.
    """

    def __init__(self, file: Digest) -> None:
        super().__init__(file, protocol=5, buffer_callback=file.take)
        self.budget = file.budget

    def reducer_override(self, item: Any) -> Any:
        """What stands for an object; definitions are told apart by name, functions by what they hold too.

        Raises:
            TooMuchError: Somebody would notice that the object is pickled, or the budget is spent.
        """
        kind = type(item)
        self.budget.spend(self.budget.left + 1 if _would_notice(kind) else WORK_OF_OBJECT)
        if isinstance(item, types.FunctionType):
            held = [cell.cell_contents for cell in item.__closure__ or () if cell != types.CellType()]
            if held or item.__globals__.get("__name__") == "__main__":
                return list, ([item.__qualname__, held, item.__defaults__, item.__kwdefaults__, vars(item)],)
        if isinstance(item, type) and item.__module__ == "__main__":
            return str, (item.__qualname__,)
        content = _content(item)
        return NotImplemented if content is None else (list, (content,))


def _content(item: Any) -> list[Any] | None:
    """What is in an object that arranges or notes something anew when it is read; None for all others."""
    if module_of(type(item)).startswith("scipy.sparse"):
        # A matrix notes whether it is sorted when somebody asks.
        return [type(item), {name: v for name, v in vars(item).items() if not name.startswith("_has_")}]
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return None
    if isinstance(item, pandas.DataFrame):
        # A frame puts columns of one type together when it likes.
        arrays = getattr(getattr(item, "_mgr", None), "column_arrays", None)
        return None if arrays is None else [type(item), list(arrays), item.columns, item.index, item.attrs]
    if isinstance(item, pandas.MultiIndex):
        return [list(item.names), list(item.codes), list(item.levels)]
    if isinstance(item, pandas.RangeIndex):
        return [item.name, item.start, item.stop, item.step]
    if isinstance(item, pandas.Index):
        return [type(item), item.name, str(item.dtype), item.array]
    # Dates and the like keep what they were asked once.
    own = getattr(item, "_ndarray", None) if isinstance(item, pandas.api.extensions.ExtensionArray) else None
    return None if own is None else [type(item), str(item.dtype), own]


class Watch:
    """Watches the execution of one cell.

    Args:
        source: The cell.
        values: The session's variables.
        kept: The names of which earlier cells of its step have kept a fingerprint.
    """

    def __init__(self, source: str, values: Mapping[str, Any], kept: Iterable[str] = ()) -> None:
        self._source, self._values, self._kept = source, values, kept
        self._generators = _generators()
        self._identities = Identities(values)
        budget = Budget()
        self._before: dict[str, tuple[Callable[[], Any], Sum]] = {}
        for name in _reachable(source, values):
            before = _digest(values[name], budget)
            if before is not None:
                self._before[name] = _held(values[name]), before

    def end(self) -> Evidence:
        """What the cell has done by now."""
        budget = Budget()
        changed, kept = set[str](), set[str]()
        for name, (held, before) in self._before.items():
            value = held()
            after = _digest(value, budget) if value is not None else None
            if after is not None:
                (kept if after == before else changed).add(name)
        states = _generators()
        for name, state in self._generators.items():
            (kept if state == states.get(name) else changed).add(name)
        fingerprints = fingerprints_of(self._values, self._identities, self._source, self._kept)
        return Evidence(frozenset(changed), frozenset(kept), self._shared(), fingerprints)

    def _shared(self) -> tuple[frozenset[str], ...]:
        """Which names have an object in common."""
        owners: dict[int, str] = {}
        groups: dict[str, set[str]] = {}
        names = _reachable(self._source, self._values)
        for name in names:
            parts, _ = mutable_parts(self._values[name], MOST_OBJECTS // len(names))
            group = groups[name] = {name}
            for other in {owners.setdefault(part, name) for part in parts} - {name}:
                group |= groups[other]
            groups.update(dict.fromkeys(group, group))
        return tuple({id(g): frozenset(g) for g in groups.values() if len(g) > 1}.values())


def _digest(value: Any, budget: Budget) -> Sum | None:
    """A checksum of what is in a value, and its length; None if that is too much to ask."""
    file = Digest(budget)
    try:
        if budget.left <= 0 or _expected_size(value) > budget.left:
            return None
        Digester(file).dump(value)
    except Exception:  # whatever stands in the way, nothing is known of the value then
        return None
    return file.sum, file.length


def _expected_size(value: Any) -> int:
    """About how many bytes an array or a frame takes, with eight an element for a frame; 0 for others."""
    if type(value).__module__ == "__main__":
        return 0  # to look an attribute up may run code of the notebook
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        return size
    shape = getattr(value, "shape", None)
    return 8 * math.prod(shape) if isinstance(shape, tuple) else 0


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
            value = values[name]
            if isinstance(value, types.FunctionType) and value.__globals__ is values:
                pending.append(_names_of(value.__code__))
    return [name for name in found if not _is_of_no_interest(values[name])]


def _names_of(code: types.CodeType) -> set[str]:
    """The names that a function looks up, and those in it."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_of(constant)
    return names


def _is_of_no_interest(value: Any) -> bool:
    """Whether a value cannot change, or is a definition, whose changes its source tells."""
    if isinstance(value, types.FunctionType):
        return not value.__closure__ and not value.__defaults__
    return isinstance(value, type) or is_immutable(value)


def _would_notice(kind: type) -> bool:
    """Whether pickling an object runs code of the notebook, or moves data between devices."""
    if kind.__module__ == "__main__":
        return any(
            getattr(kind, name, None) is not getattr(object, name, None)
            for name in ("__reduce__", "__reduce_ex__", "__getstate__", "__getattribute__")
        )
    return module_of(kind).partition(".")[0] in _DEVICES


def _held(value: Any) -> Callable[[], Any]:
    """Something that gives an object, if it still lives: it must not live longer for being watched."""
    try:
        return weakref.ref(value)
    except TypeError:
        return lambda: value
