"""Summaries of functions: which arguments a call changes, keeps or returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kale_magics.analysis.effects import PARAMETER, Behaviour, Bind, Call, Effect, Mutate, Source
from kale_magics.analysis.library_effects import function_effects, matches, method_effects
from kale_magics.analysis.library_rules import (
    ARGUMENT_CHANGING_METHODS,
    CHANGING_FUNCTIONS,
    HOLDING_METHODS,
    is_known,
    method_changes,
)

Find = Callable[[str], Behaviour | None]
"""Returns the function or class of the notebook that a name refers to."""

Origin = Callable[[str], str]
"""Returns the full path of a chain of names that begins with an imported one, as in "numpy.put"; else ""."""


@dataclass(frozen=True)
class Summary:
    """The effects of calling a function.

    Attributes:
        changed: The parameters whose objects it changes.
        may_change: The parameters whose objects it may change, each with whether every call runs the unknown
            code that may do so.
        links: Pairs of names, of parameters or of the notebook: the first may hold the second afterwards.
        returned: The parameters that its result may be, or hold.
    """

    changed: frozenset[str] = frozenset()
    may_change: frozenset[tuple[str, bool]] = frozenset()
    links: frozenset[tuple[str, str]] = frozenset()
    returned: frozenset[str] = frozenset()


NOTHING = Summary()


def summarise(behaviour: Behaviour, find: Find, origin: Origin) -> Summary:
    """Return the summary of a function: a fixed point over the functions that it calls."""
    reachable = _reachable(behaviour, find)
    table = dict.fromkeys(reachable, NOTHING)
    while True:
        new = {one: _once(one, find, origin, table) for one in reachable}
        if new == table:
            return table[behaviour]
        table = new


def parameters_for(behaviour: Behaviour, label: int | str, bound: bool) -> tuple[str, ...]:
    """Return the parameters that an argument may bind to.

    Args:
        behaviour: A function.
        label: The argument's position or keyword; "*" or "**" for an unpacked one.
        bound: Whether its first parameter is bound already: a method's `self`.
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
    """Return the function of the notebook that a call runs, and whether its `self` is bound already."""
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


def _once(behaviour: Behaviour, find: Find, origin: Origin, table: dict[Behaviour, Summary]) -> Summary:
    changed: set[str] = set()
    uncertain: set[tuple[str, bool]] = set()
    links: set[tuple[str, str]] = set()
    for effect in behaviour.effects:
        links.update(_links_of(effect))
        if isinstance(effect, Mutate):
            if effect.cause in ("write", "operator") and effect.source.relation != "weak":
                changed.add(effect.source.name)
        elif isinstance(effect, Call):
            changed.update(s.name for s in _changed_by(effect, find, origin, table))
            uncertain |= {(s.name, ran) for s, ran in _may_be_changed_by(effect, find, origin, table)}
    returned = {s.name for s in behaviour.returns if s.name.startswith(PARAMETER) and s.relation != "weak"}
    return Summary(
        frozenset(name for name in changed if name.startswith(PARAMETER)),
        frozenset(p for p in uncertain if p[0].startswith(PARAMETER) and p[0] not in changed),
        frozenset(links),
        frozenset(returned),
    )


def _changed_by(call: Call, find: Find, origin: Origin, table: dict[Behaviour, Summary]) -> Iterator[Source]:
    target = target_of(call, find)
    if target is not None:
        function, bound = target
        summary = table.get(function, NOTHING)
        for label, sources in call.arguments:
            if not summary.changed.isdisjoint(parameters_for(function, label, bound)):
                yield from sources
    elif call.method and (call.inplace or method_changes(call.method, "") == "yes"):
        yield from call.receiver
    imported = origin(call.path)
    yield from arguments_changed(call, imported)
    if target is None:
        # A variable named like a module is treated as the module, which is conservative.
        known = function_effects(imported or call.path) if call.path else None
        if known is None and call.method:
            known = method_effects(call.method)
        labels = known.changes | (known.may_change if call.inplace else frozenset()) if known else frozenset()
        yield from (s for label, sources in call.arguments if matches(label, labels) for s in sources)


def _may_be_changed_by(
    call: Call, find: Find, origin: Origin, table: dict[Behaviour, Summary]
) -> Iterator[tuple[Source, bool]]:
    """Yield what a call may change, each with whether the call always runs."""
    target = target_of(call, find)
    if target is not None:
        function, bound = target
        for label, sources in call.arguments:
            names = parameters_for(function, label, bound)
            for name, ran in table.get(function, NOTHING).may_change:
                yield from ((s, ran and call.certain) for s in sources if name in names)
        return
    imported = origin(call.path)
    if call.method and not imported:
        known = method_effects(call.method)
        if method_changes(call.method, "") != "perhaps" or (
            known is not None and "self" not in known.changes
        ):
            return
        yield from ((s, call.certain) for s in call.receiver if s.relation != "weak")
        if known is not None:
            return
    elif is_known(imported) or (call.path and not imported):
        return
    elif not imported:
        # A function in a variable may change what it captures.
        yield from ((s, call.certain) for s in call.receiver if s.relation != "weak")
    for _, sources in call.arguments:
        yield from ((s, call.certain) for s in sources if s.relation != "weak")


def arguments_changed(call: Call, origin: str) -> list[Source]:
    """Return the arguments that a function or a method of a library changes, by rules for its name.

    Args:
        call: The call.
        origin: The callee, as in "numpy.put"; empty if it is not imported.
    """
    known = CHANGING_FUNCTIONS.get(origin) or CHANGING_FUNCTIONS.get(call.path, ())
    labels: set[int | str] = {"out", "ax", *known}
    changes_first: object = call.method in ARGUMENT_CHANGING_METHODS
    # The naming convention of torch: `add_`, `xavier_uniform_`.
    changes_first = changes_first or (origin and origin.endswith("_") and not origin.endswith("__"))
    labels |= {0} if changes_first else set()
    return [source for label, sources in call.arguments if label in labels for source in sources]


def _links_of(effect: Effect) -> Iterator[tuple[str, str]]:
    if isinstance(effect, Mutate):
        yield from ((effect.source.name, s.name) for s in effect.linked)
    elif isinstance(effect, Bind):
        yield from ((effect.name, s.name) for s in effect.sources if s.relation in ("same", "part"))
    elif isinstance(effect, Call) and effect.method in HOLDING_METHODS:
        held = [s for _, sources in effect.arguments for s in sources]
        yield from ((r.name, s.name) for r in effect.receiver for s in held)
