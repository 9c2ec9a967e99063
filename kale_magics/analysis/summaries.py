"""What calling a function does to what it gets: which arguments it changes, holds or gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kale_magics.analysis.effects import PARAMETER, Behaviour, Call, Effect, Mutate, Source
from kale_magics.analysis.knowledge import (
    ARGUMENT_CHANGING_METHODS,
    CHANGING_FUNCTIONS,
    HOLDING_METHODS,
    method_changes,
)

Find = Callable[[str], Behaviour | None]
"""Gives the function or class of the notebook that a name stands for."""


@dataclass(frozen=True)
class Summary:
    """What calling a function does.

    Attributes:
        changed: The parameters whose objects it changes.
        links: Pairs of names, of parameters or of the notebook: the first may hold the second from then on.
        returned: The parameters that its result may be, or hold.
    """

    changed: frozenset[str] = frozenset()
    links: frozenset[tuple[str, str]] = frozenset()
    returned: frozenset[str] = frozenset()


NOTHING = Summary()


def summarise(behaviour: Behaviour, find: Find) -> Summary:
    """The summary of a function; functions that call each other are read until nothing new is found."""
    reachable = _reachable(behaviour, find)
    table = dict.fromkeys(reachable, NOTHING)
    while True:
        new = {one: _once(one, find, table) for one in reachable}
        if new == table:
            return table[behaviour]
        table = new


def parameters_for(behaviour: Behaviour, label: int | str, bound: bool) -> tuple[str, ...]:
    """The parameters that an argument may go to.

    Args:
        behaviour: A function.
        label: The argument's position or keyword; "*" or "**" for one that is unpacked.
        bound: Whether its first parameter is taken: a method's `self`.
    """
    if label in ("*", "**"):
        return behaviour.parameters
    if isinstance(label, str):
        name = PARAMETER + label
        return (name,) if name in behaviour.parameters else tuple(filter(None, [behaviour.kwarg]))
    place = label + bound
    if place < behaviour.positional:
        return (behaviour.parameters[place],)
    return tuple(filter(None, [behaviour.vararg]))


def target_of(
    call: Call, find: Find, methods: dict[str, Behaviour] | None = None
) -> tuple[Behaviour, bool] | None:
    """The function of the notebook that a call goes to, and whether its `self` is taken already."""
    if not call.method:
        found = find(call.path) if call.path else None
        if found is not None and found.is_class:
            init = found.methods.get("__init__")
            return (init, True) if init is not None else None
        return (found, False) if found is not None else None
    if methods and call.method in methods:
        return methods[call.method], True
    return None


def _reachable(behaviour: Behaviour, find: Find) -> list[Behaviour]:
    found, pending = [behaviour], [behaviour]
    while pending:
        for effect in pending.pop().effects:
            if isinstance(effect, Call):
                target = target_of(effect, find)
                if target is not None and target[0] not in found:
                    found.append(target[0])
                    pending.append(target[0])
    return found


def _once(behaviour: Behaviour, find: Find, table: dict[Behaviour, Summary]) -> Summary:
    changed: set[str] = set()
    links: set[tuple[str, str]] = set()
    for effect in behaviour.effects:
        changed.update(s.name for s in _changed_by(effect, find, table) if s.name.startswith(PARAMETER))
        links.update(_links_of(effect))
    returned = {s.name for s in behaviour.returns if s.name.startswith(PARAMETER)}
    return Summary(frozenset(changed), frozenset(links), frozenset(returned))


def _changed_by(effect: Effect, find: Find, table: dict[Behaviour, Summary]) -> Iterator[Source]:
    if isinstance(effect, Mutate) and effect.cause in ("write", "operator") and effect.source.bond != "weak":
        yield effect.source
    if not isinstance(effect, Call):
        return
    target = target_of(effect, find)
    if target is not None:
        function, bound = target
        summary = table.get(function, NOTHING)
        for label, sources in effect.arguments:
            if not summary.changed.isdisjoint(parameters_for(function, label, bound)):
                yield from sources
    elif effect.method:
        verdict = "yes" if effect.inplace else method_changes(effect.method, "")
        yield from (
            s for s in effect.receiver if verdict == "yes" or (verdict == "perhaps" and s.bond != "weak")
        )
    yield from arguments_changed(effect)


def arguments_changed(call: Call) -> list[Source]:
    """What a function or a method of a library changes of its arguments, by what is known of its name."""
    labels: set[int | str] = {"out", *CHANGING_FUNCTIONS.get(call.path, ())}
    labels |= {0} if call.method in ARGUMENT_CHANGING_METHODS else set()
    return [source for label, sources in call.arguments if label in labels for source in sources]


def _links_of(effect: Effect) -> Iterator[tuple[str, str]]:
    if isinstance(effect, Mutate):
        yield from ((effect.source.name, s.name) for s in effect.linked)
    elif isinstance(effect, Call) and effect.method in HOLDING_METHODS:
        held = [s for _, sources in effect.arguments for s in sources]
        yield from ((r.name, s.name) for r in effect.receiver for s in held)
