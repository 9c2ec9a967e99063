"""Values that are nested too deeply for one pickle, as long linked lists are: written in many shallow ones.

An object is written empty first, and its state in a pickle of its own later. Containers within containers are
written from the innermost on. All is done by one pickler, which knows what it has written already.
"""

from __future__ import annotations

import collections
import copyreg
from collections.abc import Iterator
from typing import Any

from kale_magics.step_runtime.reducers import HEAP_TYPE, runtime_reference

SHALLOW = 50
"""How many containers within each other one pickle takes, far below any limit of Python's."""

NESTING = frozenset({list, tuple, dict, set, frozenset})


class StateOf:
    """Is written as the state of an object that has been written already."""

    def __init__(self, obj: Any, state: Any) -> None:
        self.obj, self.state = obj, state


class Later:
    """The objects that have been written empty.

    Attributes:
        pending: Those whose states are still to be written.
    """

    def __init__(self) -> None:
        self.pending: collections.deque[StateOf] = collections.deque()
        self.plain: dict[type, bool] = {}

    def parts(self, obj: Any) -> Any:
        """What to make an empty object of, its state to follow; None if it must be written in one piece."""
        kind = type(obj)
        if kind is StateOf:
            return runtime_reference("set_object_state"), (obj.obj, obj.state)
        if kind not in self.plain:
            self.plain[kind] = is_plain_class(kind)
        if not self.plain[kind]:
            return None
        make, args, state, *items = obj.__reduce_ex__(5)
        empty = getattr(copyreg, "__newobj__", None)
        if make is not empty or args != (kind,) or state is None or items != [None, None]:
            return None
        self.pending.append(StateOf(obj, state))
        return make, args


def is_plain_class(kind: type) -> bool:
    """Whether objects of a class are pickled by Python's own rules, and can be in a set without a state."""
    own = ("__reduce_ex__", "__reduce__", "__getstate__")
    return (
        bool(kind.__flags__ & HEAP_TYPE)
        and not issubclass(kind, (type, BaseException))
        and all(getattr(kind, name, None) is getattr(object, name, None) for name in own)
        and not hasattr(kind, "__setstate__")
        and kind.__hash__ in (object.__hash__, None)
        and kind not in copyreg.dispatch_table
    )


def dump_shallowly(pickler: Any, value: Any, later: Later) -> tuple[int, int]:
    """Write a value in as many pickles as it takes; gives how many are before and behind its own."""
    before = behind = 0
    for inner in innermost_first(value):
        pickler.dump(inner)
        before += 1
    pickler.dump(value)
    while later.pending:
        state = later.pending.popleft()
        for piece in (*innermost_first(state.state), state):
            pickler.dump(piece)
            behind += 1
    return before, behind


def innermost_first(value: Any) -> list[Any]:
    """The containers in a value that must be written before it, so that it is not nested too deeply."""
    found, seen = [], set()
    stack: list[tuple[Any, int]] = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if type(item) not in NESTING or id(item) in seen:
            continue
        seen.add(id(item))
        if depth and depth % SHALLOW == 0:
            found.append(item)
        stack += [(part, depth + 1) for part in parts_within(item)]
    return found[::-1]


def parts_within(container: Any) -> Iterator[Any]:
    """What is in a container; of a dict also the keys."""
    if isinstance(container, dict):
        yield from container
        yield from container.values()
    else:
        yield from container


def is_too_deep(error: BaseException | None) -> bool:
    """Whether something failed because it is nested too deeply."""
    return isinstance(error, RecursionError) or (
        error is not None and isinstance(error.__cause__, RecursionError)
    )


class DepthMakers:
    """Make again what was taken apart."""

    def set_object_state(self, obj: Any, state: Any) -> None:
        """Give an object its state, as pickle does."""
        own, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
        if own:
            obj.__dict__.update(own)
        for name, value in (slots or {}).items():
            object.__setattr__(obj, name, value)
