"""Values nested too deeply for one pickle, like long linked lists: written as many shallow pickles.

An object is written empty first, and its state later in a pickle of its own. Nested containers are written
from the innermost outwards. One pickler writes all of them, so it remembers what it has written.
"""

from __future__ import annotations

import collections
import copyreg
from collections.abc import Iterator
from typing import Any

from kale_magics.step_runtime.reducers import HEAP_TYPE, runtime_reference

MAX_NESTING = 50
"""How many nested containers one pickle holds, far below any limit of Python."""

NESTED_TYPES = frozenset({list, tuple, dict, set, frozenset})


class DeferredState:
    """Pickled as the state of an object that was written before."""

    def __init__(self, obj: Any, state: Any) -> None:
        self.obj, self.state = obj, state


class DeferredStates:
    """The objects that were written empty.

    Attributes:
        pending: The states that are still to be written.
    """

    def __init__(self) -> None:
        self.pending: collections.deque[DeferredState] = collections.deque()
        self.plain: dict[type, bool] = {}

    def reduce(self, obj: Any) -> Any:
        """Reduce an object to an empty one whose state follows; None if it must be written in one piece."""
        kind = type(obj)
        if kind is DeferredState:
            return runtime_reference("set_object_state"), (obj.obj, obj.state)
        if kind not in self.plain:
            self.plain[kind] = is_plain_class(kind)
        if not self.plain[kind]:
            return None
        make, args, state, *items = obj.__reduce_ex__(5)
        empty = getattr(copyreg, "__newobj__", None)
        if make is not empty or args != (kind,) or state is None or items != [None, None]:
            return None
        self.pending.append(DeferredState(obj, state))
        return make, args


def is_plain_class(kind: type) -> bool:
    """Whether a class uses Python's own rules to pickle, and its objects need no state to be in a set."""
    own = ("__reduce_ex__", "__reduce__", "__getstate__")
    return (
        bool(kind.__flags__ & HEAP_TYPE)
        and not issubclass(kind, (type, BaseException))
        and all(getattr(kind, name, None) is getattr(object, name, None) for name in own)
        and not hasattr(kind, "__setstate__")
        and kind.__hash__ in (object.__hash__, None)
        and kind not in copyreg.dispatch_table
    )


def dump_nested(pickler: Any, value: Any, deferred: DeferredStates) -> tuple[int, int]:
    """Write a value in as many pickles as needed; return how many come before and after its own."""
    before = after = 0
    for inner in innermost_first(value):
        pickler.dump(inner)
        before += 1
    pickler.dump(value)
    while deferred.pending:
        state = deferred.pending.popleft()
        for piece in (*innermost_first(state.state), state):
            pickler.dump(piece)
            after += 1
    return before, after


def innermost_first(value: Any) -> list[Any]:
    """Return the containers in a value that must be written before it to limit the nesting."""
    found, seen = [], set()
    stack: list[tuple[Any, int]] = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if type(item) not in NESTED_TYPES or id(item) in seen:
            continue
        seen.add(id(item))
        if depth and depth % MAX_NESTING == 0:
            found.append(item)
        stack += [(part, depth + 1) for part in items_of(item)]
    return found[::-1]


def items_of(container: Any) -> Iterator[Any]:
    """Yield the items of a container; of a dict also the keys."""
    if isinstance(container, dict):
        yield from container
        yield from container.values()
    else:
        yield from container


def is_too_deep(error: BaseException | None) -> bool:
    """Whether an error was caused by deep nesting."""
    return isinstance(error, RecursionError) or (
        error is not None and isinstance(error.__cause__, RecursionError)
    )


class DepthBuilders:
    """Rebuild what was reduced."""

    def set_object_state(self, obj: Any, state: Any) -> None:
        """Set the state of an object, as pickle does."""
        own, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
        if own:
            obj.__dict__.update(own)
        for name, value in (slots or {}).items():
            object.__setattr__(obj, name, value)
