"""The object graph of a value: the mutable objects reachable from it, to find those that values share.

Objects are compared by identity. There are three kinds: objects that any holder can change for all ("own");
memory and indexes in a pandas frame, which pandas copies on write ("copied"): two frames do not share these,
an array and a frame do; and an index of pandas outside of a frame ("indexes"), of which only the names can
change.
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
"""How many objects of a value are visited."""

MAX_ELEMENTS = 2_000
"""How many elements of an array of objects are visited."""

ELEMENTS_OF_AN_OBJECT = 20
"""How many elements of containers, of which only the types are checked, cost as much as an object."""

MIN_ELEMENTS = 20
"""How many elements of a container are always checked."""

_SKIPPED = (
    types.ModuleType, types.CodeType, types.FrameType, types.TracebackType, types.MethodDescriptorType,
    types.WrapperDescriptorType, types.GetSetDescriptorType, types.MemberDescriptorType,
    weakref.ReferenceType,
)  # fmt: skip
"""Types whose objects hold no object that belongs to the value."""

_MUTABLE = frozenset({"builtins.dict", "builtins.list", "builtins.set", "numpy.ndarray"})

_SKIPPED_NAMES = frozenset({
    "pandas._libs.internals.BlockValuesRefs", "pandas._libs.internals.BlockPlacement",
    "logging.Logger", "logging.RootLogger",
})  # fmt: skip


FEATURE_NAMES = "feature_names_in_"
"""The attribute of a fitted model with the names of columns; before pandas 3, the frame has the same array.

Code does not change them: models fitted on one frame do not depend on each other.
"""


@dataclass(frozen=True)
class ObjectGraph:
    """The mutable objects reachable from a value.

    Attributes:
        own: Mutable objects, by identity.
        copied: Objects in frames that pandas copies on write.
        indexes: Indexes of pandas outside of frames.
        definitions: The qualified names of the notebook's functions and classes in the value.
        complete: Whether all objects were visited.
        cost: How many objects were visited, or the equivalent work.
    """

    own: frozenset[int] = frozenset()
    copied: frozenset[int] = frozenset()
    indexes: frozenset[int] = frozenset()
    definitions: frozenset[str] = frozenset()
    complete: bool = True
    cost: int = 0

    def shares(self, other: ObjectGraph, indexes: bool = True) -> bool | None:
        """Whether two values share a mutable object, also if that is only an index; None if unknown."""
        if self.shares_memory(other) or (indexes and self.shares_index(other)):
            return True
        return False if self.complete and other.complete else None

    def shares_memory(self, other: ObjectGraph) -> bool:
        """Whether two values certainly share an object other than an index."""
        mine, theirs = self.own, other.own
        return not (
            mine.isdisjoint(theirs) and mine.isdisjoint(other.copied) and self.copied.isdisjoint(theirs)
        )

    def shares_index(self, other: ObjectGraph) -> bool:
        """Whether two values certainly share an index of pandas that one of them holds outside of a frame."""
        mine, theirs = self.indexes, other.indexes
        return not (
            mine.isdisjoint(theirs) and mine.isdisjoint(other.copied) and self.copied.isdisjoint(theirs)
        )


def object_graph_of(value: Any, max_objects: int = MAX_OBJECTS) -> ObjectGraph:
    """Return the mutable objects reachable from a value.

    Args:
        value: Any object.
        max_objects: How many objects are visited.
    """
    return _Search().search(value, max_objects)


class _Search:
    """Traverses the object graph of a value."""

    def __init__(self) -> None:
        self.own: set[int] = set()
        self.copied: set[int] = set()
        self.indexes: set[int] = set()
        self.definitions: set[str] = set()
        self.functions: set[int] = set()
        self.pending: list[tuple[Any, bool]] = []
        self.complete = True
        self.room = 0
        # Temporary objects must live until the end: the identity of a deleted object is used again.
        self.alive: list[Any] = []

    def search(self, value: Any, max_objects: int) -> ObjectGraph:
        """Visit at most some objects, and check the types of a bounded number of elements."""
        whole = self.room = max_objects * ELEMENTS_OF_AN_OBJECT
        left = max_objects
        if issubclass(type(value), type):
            for kind in type.__dict__["__mro__"].__get__(value):
                if kind is value or module_of(kind) == "__main__":  # it inherits what its bases hold
                    self._push(_parts_of_class(kind))
        elif type(value) is types.FunctionType:
            self._push(_parts_of_function(value))
        else:
            self._push([value])
        while self.pending and left > 0:
            left -= 1
            self._visit(*self.pending.pop())
        cost = max_objects - left + (whole - self.room) // ELEMENTS_OF_AN_OBJECT
        own, copied, indexes = frozenset(self.own), frozenset(self.copied), frozenset(self.indexes)
        complete = self.complete and not self.pending
        return ObjectGraph(own, copied, indexes, frozenset(self.definitions), complete, cost)

    def _push(self, items: Collection[Any], copied: bool = False) -> None:
        room = max(self.room, MIN_ELEMENTS)
        self.room -= len(items)
        # `is_one_of` inlined, for thousands of elements.
        found = [
            (item, copied)
            for item in islice(items, room)
            if type(kind := type(item)) is not type or kind not in ATOMS or kind is type
        ]
        # Assume that a long list that begins with numbers or strings holds nothing else.
        self.complete &= len(items) <= room or not found
        self.pending += found

    def _push_all_of(self, item: Any, copied: bool) -> None:
        """Push the referents of an object; of a long list only as many as the budget allows."""
        if is_one_of(type(item), (list, tuple)) and len(item) > self.room:
            self._push(item, copied)
        else:
            self._push(referents(item), copied)

    def _visit(self, item: Any, copied: bool) -> None:
        kind = type(item)
        if kind is types.FunctionType or issubclass(kind, type):
            self._visit_definition(item)
            return
        known, number = self.copied if copied else self.own, id(item)
        if number in known:
            return
        # A user's metaclass may define how a class is hashed: such a class is not cached.
        ask: Any = _traits_of if type(kind) is type else _traits_of.__wrapped__
        traits: _Traits = ask(kind)
        if traits.holds_nothing or (traits.name not in _MUTABLE and is_immutable(item)):
            return
        self.alive.append(item)
        if traits.is_own:
            self.definitions.add(kind.__qualname__)
        if traits.is_array:
            known.add(number)
            self._visit_array(item, copied)
        elif traits.name.startswith("pandas."):
            self._visit_pandas(item, traits.name, copied)
        elif traits.is_estimator:
            known |= {number, id(vars(item))}
            self._push([part for name, part in vars(item).items() if name != FEATURE_NAMES], copied)
        else:
            known.add(number)
            self._push_all_of(item, copied)

    def _visit_definition(self, item: Any) -> None:
        module = item.__module__ if type(item) is types.FunctionType else module_of(item)
        if module == "__main__":
            self.definitions.add(item.__qualname__)
        if type(item) is types.FunctionType and id(item) not in self.functions:
            self.functions.add(id(item))
            if not is_immutable(item):
                self._push(_parts_of_function(item))

    def _visit_array(self, item: Any, copied: bool) -> None:
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
                # pandas does not copy the objects in an array of a frame.
                self._push(list(islice(array.flat.__get__(item), MAX_ELEMENTS)))

    def _visit_pandas(self, item: Any, name: str, copied: bool) -> None:
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
    """The properties of a type that the traversal needs.

    Attributes:
        name: Its name with its module.
        is_own: Whether the notebook defines it.
        is_array: Whether its objects are arrays of numpy.
        is_estimator: Whether its objects are models of scikit-learn.
        holds_nothing: Whether its objects hold nothing that belongs to the value.
    """

    name: str
    is_own: bool
    is_array: bool
    is_estimator: bool
    holds_nothing: bool


@functools.lru_cache(maxsize=1024)
def _traits_of(kind: type) -> _Traits:
    own, name = module_of(kind) == "__main__", full_name(kind)
    skipped = issubclass(kind, _SKIPPED) or name in _SKIPPED_NAMES
    nothing = not own and (skipped or _is_dtype(kind) or is_immutable_type(kind))
    return _Traits(name, own, _is_array(kind), _is_estimator(kind), nothing)


def _is_estimator(kind: type) -> bool:
    base = sys.modules.get("sklearn.base")
    return base is not None and issubclass(kind, base.BaseEstimator)


def _is_dtype(kind: type) -> bool:
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and issubclass(kind, numpy.dtype):
        return True
    return pandas is not None and issubclass(kind, pandas.api.extensions.ExtensionDtype)


def _copies_on_write() -> bool:
    """Whether pandas copies shared memory of frames on write: always since pandas 3."""
    pandas = sys.modules["pandas"]
    version: str = pandas.__version__
    return int(version.partition(".")[0]) >= 3 or pandas.get_option("mode.copy_on_write") is True


def _parts_of_class(kind: type) -> list[Any]:
    """Return the mutable content of a class: its variables, the defaults of its functions."""
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
    """Return what a function holds: closure cells, defaults, attributes."""
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    wrapped = vars(function)
    return [*(function.__closure__ or ()), *defaults, *wrapped.values()]
