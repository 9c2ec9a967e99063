"""One call of a function or method: what it did to its arguments."""

from __future__ import annotations

import itertools
import signal
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from kale_magics.step_runtime.random_generators import GENERATORS, generator_state
from tests.probe.reach import Reach, reach
from tests.probe.samples import Call, Reading
from tests.probe.states import state

MAX_ITEMS = 10
"""How many elements of what is generated are asked for."""

MAX_SECONDS = 1.0
"""Processor time that one call may take."""

Make = Callable[[], tuple[Callable[..., Any], Any]]
"""Gives what is called, and the object if it is a method of one (else None)."""

Slot = int | str
"""An argument's place in one call: its position, its keyword, or "self"."""


class TimeIsUp(BaseException):
    """A call takes too long. No library's `except Exception` catches it."""


@dataclass(frozen=True)
class Arguments:
    """Makes the arguments of a call, new ones each time."""

    positional: tuple[Callable[[], Any], ...] = ()
    keywords: Mapping[str, Callable[[], Any]] = field(default_factory=dict)

    def made(self) -> dict[Slot, Any]:
        """Return new arguments by their places."""
        by_position = {i: make() for i, make in enumerate(self.positional)}
        return {**by_position, **{name: make() for name, make in self.keywords.items()}}


@dataclass
class Outcome:
    """What one call did, by the places of its arguments.

    Attributes:
        result_type: The class of the result.
        changes, consumes, calls, shares, keeps: As in `LibraryEffects`.
        hidden: Places of what cannot be compared with what it was.
        draws: As in `LibraryEffects`.
    """

    result_type: type
    changes: set[Slot] = field(default_factory=set)
    consumes: set[Slot] = field(default_factory=set)
    calls: set[Slot] = field(default_factory=set)
    shares: set[Slot] = field(default_factory=set)
    keeps: set[Slot] = field(default_factory=set)
    hidden: set[Slot] = field(default_factory=set)
    draws: set[str] = field(default_factory=set)


def call(function: Callable[..., Any], values: Mapping[Slot, Any]) -> tuple[bool, Any]:
    """Call with a limit of time, and return whether that succeeded, and the result."""
    positional = [value for slot, value in values.items() if isinstance(slot, int)]
    keywords = {slot: value for slot, value in values.items() if isinstance(slot, str) and slot != "self"}
    signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    try:
        try:
            return True, function(*positional, **keywords)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except KeyboardInterrupt:
        raise
    except BaseException:  # samples that do not suit, in whatever way a library says so
        return False, None


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise TimeIsUp


def result_of(make: Make, arguments: Arguments) -> tuple[bool, Any]:
    """Call once without looking; whether it succeeded, and the result."""
    try:
        function, _ = make()
    except Exception:  # there is no such object, or it has no such method
        return False, None
    return call(function, arguments.made())


def observe(make: Make, arguments: Arguments) -> Outcome | None:
    """Call, and compare the arguments with what they were; None if the call fails or they cannot be read."""
    try:
        return _observed(make, arguments)
    except Exception:  # an object in a state that its own library does not expect, as a released memoryview
        return None


def _observed(make: Make, arguments: Arguments) -> Outcome | None:
    function, owner = make()
    values = arguments.made()
    if owner is not None:
        values["self"] = owner
    before = {slot: state(value) for slot, value in values.items()}
    held = {slot: reach(value) for slot, value in values.items()}
    generators = _generators()
    succeeded, result = call(function, values)
    if not succeeded:
        return None
    outcome = Outcome(type(result))
    for slot, value in values.items():
        after = state(value)
        if not (before[slot][1] and after[1]):
            outcome.hidden.add(slot)
        if before[slot][0] != after[0]:
            _set_for(outcome, value, before[slot][0], after[0]).add(slot)
    later = _later(outcome, values)
    _compare_results(outcome, result, held, later)
    _compare_holders(outcome, values, held, later)
    if isinstance(result, types.GeneratorType):  # what it does, it does when it is used
        call(lambda: list(itertools.islice(result, MAX_ITEMS)), {})
    after_use = _generators()
    outcome.draws = {name for name, found in generators.items() if after_use[name] != found}
    return outcome


def _generators() -> dict[str, str]:
    """The states of the generators that libraries keep for everybody, as texts."""
    loaded = {name: module for name, (module, *_) in GENERATORS.items() if module in sys.modules}
    return {module: repr(generator_state(name)) for name, module in loaded.items()}


def _set_for(outcome: Outcome, value: Any, before: Any, after: Any) -> set[Slot]:
    """Where a change belongs: a callable was called, an iterator was read, or something was changed."""
    if isinstance(value, Call):
        return outcome.calls
    if isinstance(value, Reading) or _was_read(before, after):
        return outcome.consumes
    return outcome.changes


def _was_read(before: Any, after: Any) -> bool:
    """Whether of a file only the place changed, or it was closed."""
    names = ("StringIO", "BytesIO")
    return before[0] in names and (after[1] == ("closed",) or before[1][0] == after[1][0])


def _later(outcome: Outcome, values: Mapping[Slot, Any]) -> dict[Slot, Reach]:
    """What the object and the changed arguments hold now."""
    places = outcome.changes | ({"self"} & values.keys())
    return {slot: reach(values[slot]) for slot in places}


def _compare_results(
    outcome: Outcome, result: Any, held: Mapping[Slot, Reach], later: Mapping[Slot, Reach]
) -> None:
    given = reach(result)
    for slot, had in held.items():
        if given.meets(had) or (slot in later and given.meets(later[slot])):
            outcome.shares.add(slot)


def _compare_holders(
    outcome: Outcome, values: Mapping[Slot, Any], held: Mapping[Slot, Reach], later: Mapping[Slot, Reach]
) -> None:
    for holder, has in later.items():
        for slot in values.keys() - {holder, "self"}:
            if has.meets(held[slot]) and not held[holder].meets(held[slot]):
                outcome.keeps.add(slot)
