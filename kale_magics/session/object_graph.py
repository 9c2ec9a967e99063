"""What a value holds: the objects in it that can change, and those that it shares with other values.

An object is known by its identity. There are three kinds: objects that whoever holds them can change for all
("own"); memory and indexes in a pandas frame, which pandas copies before it writes to them ("copied"): two
frames do not share these, an array and a frame do; and an index held as such ("indexes"), of which nothing
but the names can change.
"""

from __future__ import annotations

import functools
import sys
import types
import weakref
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from kale_magics.session.objects import ATOMS, full_name, is_immutable, is_immutable_type, referents
from kale_magics.step_runtime.reducers import is_one_of, module_of

MAX_OBJECTS = 50_000
"""How many objects of a value are looked at to see what it holds."""

MAX_ELEMENTS = 2_000
"""How many elements of an array of objects are looked at."""

ELEMENTS_OF_AN_OBJECT = 20
"""How many elements of containers, of which only the types are looked at, cost as much as an object."""

MIN_ELEMENTS = 20
"""How many elements of a container are looked at in any case."""

_SKIPPED = (
    types.ModuleType, types.CodeType, types.FrameType, types.TracebackType, types.MethodDescriptorType,
    types.WrapperDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType,
    weakref.ReferenceType,
)  # fmt: skip
"""Types of which no object holds another one that belongs to the value."""

_MUTABLE = frozenset({"builtins.dict", "builtins.list", "builtins.set", "numpy.ndarray"})

_SKIPPED_NAMES = frozenset({"pandas._libs.internals.BlockValuesRefs", "logging.Logger", "logging.RootLogger"})


@dataclass(frozen=True)
class ObjectGraph:
    """What a value holds.

    Attributes:
        own: Objects that can change, by identity.
        copied: Objects in frames that pandas copies before it writes to them.
        indexes: Indexes of pandas that are held as such.
        definitions: The qualified names of the notebook's functions and classes in it.
        complete: Whether this is all.
        cost: How many objects were looked at, or as much work.
    """

    own: frozenset[int] = frozenset()
    copied: frozenset[int] = frozenset()
    indexes: frozenset[int] = frozenset()
    definitions: frozenset[str] = frozenset()
    complete: bool = True
    cost: int = 0

    def shares(self, other: ObjectGraph) -> bool | None:
        """Whether two values share an object that can change; None if that is not known."""
        if self.shares_memory(other) or self.shares_index(other):
            return True
        return False if self.complete and other.complete else None

    def shares_memory(self, other: ObjectGraph) -> bool:
        """Whether two values are known to share an object other than an index."""
        mine, theirs = self.own, other.own
        return not (
            mine.isdisjoint(theirs) and mine.isdisjoint(other.copied) and self.copied.isdisjoint(theirs)
        )

    def shares_index(self, other: ObjectGraph) -> bool:
        """Whether two values are known to share an index of pandas that at least one holds as such."""
        mine, theirs = self.indexes, other.indexes
        return not (
            mine.isdisjoint(theirs) and mine.isdisjoint(other.copied) and self.copied.isdisjoint(theirs)
        )


def object_graph_of(value: Any, most: int = MAX_OBJECTS) -> ObjectGraph:
    """What a value holds.

    Args:
        value: Any object.
        most: How many objects are looked at.
    """
    return _Search().search(value, most)


class _Search:
    """Looks for what is in a value."""

    def __init__(self) -> None:
        self.own: set[int] = set()
        self.copied: set[int] = set()
        self.indexes: set[int] = set()
        self.definitions: set[str] = set()
        self.functions: set[int] = set()
        self.pending: list[tuple[Any, bool]] = []
        self.complete = True
        self.room = 0
        # What is made on the way must live until the end: an identity is given again to the next object.
        self.alive: list[Any] = []

    def search(self, value: Any, most: int) -> ObjectGraph:
        """Look at no more than some objects, and at the types of not many more."""
        whole = self.room = most * ELEMENTS_OF_AN_OBJECT
        asked = most
        if issubclass(type(value), type):
            for kind in type.__dict__["__mro__"].__get__(value):
                if kind is value or module_of(kind) == "__main__":  # what its bases hold is its own too
                    self._push(_parts_of_class(kind))
        elif type(value) is types.FunctionType:
            self._push(_parts_of_function(value))
        else:
            self._push([value])
        while self.pending and most > 0:
            most -= 1
            self._look_at(*self.pending.pop())
        cost = asked - most + (whole - self.room) // ELEMENTS_OF_AN_OBJECT
        own, copied, indexes = frozenset(self.own), frozenset(self.copied), frozenset(self.indexes)
        complete = self.complete and not self.pending
        return ObjectGraph(own, copied, indexes, frozenset(self.definitions), complete, cost)

    def _push(self, items: Collection[Any], copied: bool = False) -> None:
        room = max(self.room, MIN_ELEMENTS)
        self.room -= len(items)
        # As `is_one_of`, for thousands of elements.
        found = [
            (item, copied)
            for item in islice(items, room)
            if type(kind := type(item)) is not type or kind not in ATOMS or kind is type
        ]
        # A long list that begins with numbers, or with texts, has nothing else in it.
        self.complete &= len(items) <= room or not found
        self.pending += found

    def _push_all_of(self, item: Any, copied: bool) -> None:
        """Look into an object; of a long list, only as far as there is room."""
        if is_one_of(type(item), (list, tuple)) and len(item) > self.room:
            self._push(item, copied)
        else:
            self._push(referents(item), copied)

    def _look_at(self, item: Any, copied: bool) -> None:
        kind = type(item)
        if kind is types.FunctionType or issubclass(kind, type):
            self._look_at_definition(item)
            return
        known, number = self.copied if copied else self.own, id(item)
        if number in known:
            return
        # A metaclass of somebody's may say how a class is hashed: such a class is looked at each time.
        ask: Any = _traits_of if type(kind) is type else _traits_of.__wrapped__
        traits: _Traits = ask(kind)
        if traits.holds_nothing or (traits.name not in _MUTABLE and is_immutable(item)):
            return
        self.alive.append(item)
        if traits.is_own:
            self.definitions.add(kind.__qualname__)
        if traits.is_array:
            known.add(number)
            self._look_at_array(item, copied)
        elif traits.name.startswith("pandas."):
            self._look_at_pandas(item, traits.name, copied)
        else:
            known.add(number)
            self._push_all_of(item, copied)

    def _look_at_definition(self, item: Any) -> None:
        module = item.__module__ if type(item) is types.FunctionType else module_of(item)
        if module == "__main__":
            self.definitions.add(item.__qualname__)
        if type(item) is types.FunctionType and id(item) not in self.functions:
            self.functions.add(id(item))
            if not is_immutable(item):
                self._push(_parts_of_function(item))

    def _look_at_array(self, item: Any, copied: bool) -> None:
        array: Any = sys.modules["numpy"].ndarray
        base, dtype = array.base.__get__(item), array.dtype.__get__(item)
        if base is not None:
            self._push([base], copied)
        if type(item) is not array:
            self._push(referents(item))
        if dtype.hasobject:
            size = array.size.__get__(item)
            self.complete &= size <= MAX_ELEMENTS and dtype.names is None
            if dtype.names is None:
                # What is in a frame's array is no array of a frame: pandas does not copy it.
                self._push(list(islice(array.flat.__get__(item), MAX_ELEMENTS)))

    def _look_at_pandas(self, item: Any, name: str, copied: bool) -> None:
        pandas = sys.modules["pandas"]
        if issubclass(type(item), pandas.Index):
            self.copied.add(id(item))
            if not copied:
                self.indexes.add(id(item))
            self._push(referents(item), copied=True)
            return
        inside = copied or (_copies_on_write() and ".internals" in name)
        (self.copied if copied else self.own).add(id(item))
        self._push(referents(item), inside)


def _is_array(kind: type) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(kind, numpy.ndarray)


class _Traits(NamedTuple):
    """What matters of a type.

    Attributes:
        name: Its name with its module.
        is_own: Whether it is of the notebook.
        is_array: Whether its objects are arrays of numpy.
        holds_nothing: Whether they hold nothing that belongs to the value, whatever is in them.
    """

    name: str
    is_own: bool
    is_array: bool
    holds_nothing: bool


@functools.lru_cache(maxsize=1024)
def _traits_of(kind: type) -> _Traits:
    own, name = module_of(kind) == "__main__", full_name(kind)
    skipped = issubclass(kind, _SKIPPED) or name in _SKIPPED_NAMES
    nothing = not own and (skipped or _is_dtype(kind) or is_immutable_type(kind))
    return _Traits(name, own, _is_array(kind), nothing)


def _is_dtype(kind: type) -> bool:
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and issubclass(kind, numpy.dtype):
        return True
    return pandas is not None and issubclass(kind, pandas.api.extensions.ExtensionDtype)


def _copies_on_write() -> bool:
    """Whether pandas copies memory that two frames share before it writes to it: always since pandas 3."""
    pandas = sys.modules["pandas"]
    version: str = pandas.__version__
    return int(version.partition(".")[0]) >= 3 or pandas.get_option("mode.copy_on_write") is True


def _parts_of_class(kind: type) -> list[Any]:
    """What is in a class that can change: its variables, the defaults of its functions."""
    parts: list[Any] = []
    for member in list(vars(kind).values()):
        function = (
            getattr(member, "__func__", member)
            if is_one_of(type(member), (staticmethod, classmethod))
            else member
        )
        parts += _parts_of_function(function) if type(function) is types.FunctionType else [member]
    return parts


def _parts_of_function(function: types.FunctionType) -> list[Any]:
    """What a function has taken along: the cells that it shares with others, defaults, attributes."""
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    wrapped = vars(function)
    return [*(function.__closure__ or ()), *defaults, *wrapped.values()]
