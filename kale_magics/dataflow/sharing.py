"""Aliases: which values may share an object, so that a change of one is a change of the other."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import replace

from kale_magics.analysis.choices import COPYING
from kale_magics.analysis.effects import PARAMETER, VARIABLES, Behaviour, Relation, Source
from kale_magics.analysis.library_effects import (
    LibraryEffects,
    function_effects,
    known_types,
    matches,
    method_effects,
)
from kale_magics.analysis.library_rules import (
    COPYING_TYPES,
    ESTIMATORS,
    FACTORIES,
    FRAMES,
    GENERATOR_ARGUMENTS,
    GENERATORS_OF_BITS,
)
from kale_magics.analysis.summaries import Summary, parameters_for, summarise
from kale_magics.dataflow.bindings import Binding
from kale_magics.dataflow.lookup import NameLookup
from kale_magics.dataflow.walk_state import WalkState

CACHE_PREFIX = "cache of "
"""Prefix of a cached function's name where its cache is meant."""

FILLED_BY_LOOKUP = frozenset({"collections.defaultdict", "collections.ChainMap"})
"""Types whose objects may change when an item is looked up."""

DISPLAYED = frozenset({"dict", "set"})
"""Types that a display in the code shows."""


class Sharing:
    """Determines which names may refer to an object of another name, or hold it.

    Args:
        state: The state of the walk.
        lookup: Resolves names.
    """

    def __init__(self, state: WalkState, lookup: NameLookup) -> None:
        self.state, self.lookup = state, lookup

    def group(self, name: str) -> list[str]:
        """Return the names whose values may share an object with that of a name, itself included."""
        return sorted(self.state.groups.get(name, {name}) | {name})

    def reaches(self, source: Source) -> bool:
        """Whether a change of an expression's value changes the value of the source."""
        if source.relation in ("call", "entered"):
            return self._relation(source) != "weak"
        return source.relation != "weak"

    def expanded(self, sources: Iterable[Source]) -> Iterator[Source]:
        """Yield sources; in place of those of relation "result", what the called function may return."""
        for source in sources:
            if source.relation == "result":
                yield from self._results(source.name, set())
                continue
            if source.name == VARIABLES:
                yield from self.variables() if source.relation != "holds" else ()
                continue
            yield source
            binding = self.state.names.get(source.name)
            if binding is not None and binding.behaviours:
                for function in self._functions_behind(source, binding):
                    yield from self._globals(function, set())

    def _functions_behind(self, source: Source, binding: Binding) -> Iterator[Behaviour | None]:
        """Yield the notebook's functions whose results an expression may give or hold uncalled."""
        if source.relation == "call" and source.argument == "self":
            yield from (behaviour.methods.get(source.method) for behaviour in binding.behaviours)
        elif source.relation != "same" and binding.direct is not None and not binding.direct.is_class:
            yield binding.direct
        elif source.relation == "part":  # properties, and `__getitem__`
            yield from (m for b in binding.behaviours for m in b.methods.values() if m.implicit)
            if self.known_type(binding) in FILLED_BY_LOOKUP:
                yield from (behaviour for behaviour in binding.behaviours if not behaviour.is_class)

    def variables(self) -> list[Source]:
        """Return all variables of the notebook, where any of them may be meant."""
        values = [b for b in self.state.names.values() if b.direct is None and not b.is_import]
        return [Source(b.name, "mixed", guessed=True) for b in values if not self.lookup.immutable(b)]

    def _results(self, name: str, seen: set[str]) -> Iterator[Source]:
        binding = self.state.names.get(name)
        if binding is None or name in seen:
            return
        seen.add(name)
        if binding.direct is not None and binding.direct.is_class:
            for init in self._initialisers(binding):
                for holder, held in sorted(self.summary(init).links):
                    if holder == init.parameters[0]:
                        # An object may hold a part of its class, as in `self.options = self.defaults`.
                        yield Source(held, "part" if self.function(held) is binding.direct else "same")
                    elif held == init.parameters[0] and not holder.startswith(PARAMETER):
                        yield Source(holder, "part")  # where the object stores itself
            yield from self._globals(binding.direct.methods.get("__new__"), seen)
        elif binding.direct is not None:
            yield from self._globals(binding.direct, seen)
            if binding.memory == "cached":
                yield Source(CACHE_PREFIX + name, "part")
            elif binding.direct.mutable_defaults or binding.memory:
                yield Source(name, "part")  # its defaults, or what its closure holds
        elif not binding.is_import:
            # A closure, a bound method, or a decorator's result may return what it holds.
            yield Source(name, "part" if binding.behaviours else "mixed")
            for behaviour in binding.behaviours:
                yield from self._globals(behaviour, seen)

    def _initialisers(self, binding: Binding) -> Iterator[Behaviour]:
        """Yield what may run when an object of a class is created: by `super()`, also what its bases do."""
        for behaviour in sorted((b for b in binding.behaviours if b.is_class), key=lambda b: b.name):
            inits = (behaviour.methods.get(name) for name in ("__init__", "__post_init__", "__new__"))
            init = next(filter(None, inits), None)
            if init is not None and init.parameters:
                yield init

    def initialiser(self, binding: Binding) -> Behaviour | None:
        """Return what runs when an object of a class is created, if that is the notebook's own code."""
        classes = [b for b in (binding.direct, *sorted(binding.behaviours, key=lambda b: b.name)) if b]
        for name in ("__init__", "__post_init__", "__new__"):
            for behaviour in classes:
                if name in behaviour.methods:
                    return behaviour.methods[name]
        return None

    def _globals(self, function: Behaviour | None, seen: set[str]) -> Iterator[Source]:
        """Yield the notebook's own objects that a function may return."""
        for source in function.returns if function is not None else ():
            if source.relation == "result":
                yield from self._results(source.name, seen)
            elif source.name == VARIABLES:
                yield from self.variables()
            elif not source.name.startswith(PARAMETER) and source.relation != "weak":
                yield source

    def sharers(self, binding: Binding, sources: Iterable[Source]) -> dict[str, bool]:
        """Return the names that may share an object with a binding's value; whether each is likely."""
        found: dict[str, bool] = {}
        known = self.lookup.certain_facts(binding) is not None
        sources = tuple(sources)
        operators = any(s.relation == "weak" and self._has_operators(s.name) for s in sources)
        for source in () if self.lookup.immutable(binding) else self.expanded(sources):
            if source.relation in ("call", "entered"):
                relation = self._relation(source, binding.inplace)
                # The value of a `with` is mostly the object itself.
                source = replace(
                    source,
                    relation="part" if (source.relation, relation) == ("entered", "mixed") else relation,
                )
            if source.relation == "weak" and operators:
                source = replace(source, relation="mixed")
            if source.relation == "weak" and not known:
                continue
            names = [source.name]
            if source.name == binding.name or not self._shares(binding, source.name, source):
                # What was taken out of a container may still be in another one.
                names = [n for n in self.group(source.name) if n not in (binding.name, source.name)]
                names = [n for n in names if self._shares(binding, n, source)]
            for name in names:
                found[name] = found.get(name, False) or source.relation != "mixed"
        return found

    def _has_operators(self, name: str) -> bool:
        """Whether a name refers to a class of the notebook whose operators return a value, or its object."""
        binding = self.state.names.get(name)
        classes = [b for b in binding.behaviours if b.is_class] if binding is not None else []
        return any(m.implicit and m.returns for b in classes for m in b.methods.values())

    def join_all(self, name: str, others: dict[str, bool]) -> None:
        """Record that a name's value shares an object with those of others, as found by `sharers`."""
        for other, likely in others.items():
            if likely:
                self.join(name, other)
            else:
                self._unite(name, other)

    def _shares(self, binding: Binding, name: str, source: Source) -> bool:
        """Whether a value derived from a source may share a mutable object with the value of a name."""
        other = self.state.names.get(name)
        if other is None or self.lookup.immutable(other) or self.lookup.immutable(binding):
            return False
        function = other.direct
        # A function that cannot be replayed goes to other steps as a value, with the objects that it holds.
        carried = function is not None and not function.is_class and other.definition is None
        remembers = function is not None and (function.mutable_defaults or other.memory == "own" or carried)
        if function is not None and not function.is_class and not remembers:
            return False
        if source.relation in ("same", "holds"):
            return other.direct is None or carried
        one, two = self.lookup.certain_facts(binding), self.lookup.certain_facts(other)
        if self.state.branches or self.state.given_varies:
            one = None  # other parameter values may do what the session did not
        known = one is not None and two is not None
        shared = self.observed(binding.name, name) if known else None
        if shared is False and not self.state.losing_parts.isdisjoint((binding.name, name)):
            shared = None  # they may have shared one before
        # A selection from a frame is a copy, from an array a view: the session has both to compare.
        copied = two is not None and one is not None and two.type_name.startswith(COPYING_TYPES)
        return shared is True if copied or source.relation == "weak" else shared is not False

    def observed(self, one: str, other: str) -> bool | None:
        """Whether the values of two names share an object in the session that a cell may change."""
        return self.state.session.shares(one, other, self.state.names_indexes)

    def _relation(self, source: Source, inplace: bool = False) -> Relation:
        """Return how a call's result is related to an argument: "part" if it may be or hold it.

        "mixed" if the called code is unknown: a change of one may be a change of the other.
        """
        if not source.callee and not source.method:
            return "part"
        origin = self.origin(source.callee) if source.callee else ""
        called = self.state.names.get(source.callee)
        if origin or (called is None and not source.method):
            relation = _of_library(origin, function_effects(origin or source.callee), source, inplace)
            # numpy copies numbers; its arrays hold references to anything else.
            kept = origin.startswith("numpy.") and any(map(self._is_no_number, self.group(source.name)))
            return "part" if kept else relation
        if source.method:
            return self._relation_to_method(source, inplace)
        if called is None or called.direct is None:
            known = called is not None and (bool(called.behaviours) or called.type_name in FACTORIES)
            return "part" if known else "mixed"
        given = called.direct.is_class or self._returns(called.direct, source.argument, bound=False)
        return "part" if given else "weak"

    def _is_no_number(self, name: str) -> bool:
        binding = self.state.names.get(name)
        if binding is None or binding.direct is not None:
            return False
        return self.known_type(binding) in DISPLAYED or any(b.is_class for b in binding.behaviours)

    def _relation_to_method(self, source: Source, inplace: bool) -> Relation:
        is_object = source.argument == "self"
        owner = self.state.names.get(source.name if is_object else source.callee.partition(".")[0])
        behaviours = owner.behaviours if owner is not None else frozenset[Behaviour]()
        methods = [b.methods[source.method] for b in behaviours if source.method in b.methods]
        if methods:
            returned = is_object or any(self._returns(m, source.argument, bound=True) for m in methods)
            return "part" if returned else "weak"
        kind = self.known_type(owner) if owner is not None and source.callee.count(".") == 1 else ""
        if not kind and _is_of_frames(source.method):
            return "part"
        made_so = owner is not None and (owner.inplace or owner.unsure)
        return _of_library(kind, method_effects(source.method, kind), source, inplace or made_so)

    def known_type(self, binding: Binding) -> str:
        """Return the type of a value, from the session or from the code; empty if it is unknown."""
        facts = self.lookup.certain_facts(binding)
        return facts.type_name if facts is not None else binding.type_name

    def _returns(self, function: Behaviour, argument: int | str, bound: bool) -> bool:
        names = parameters_for(function, argument, bound)
        return not self.summary(function).returned.isdisjoint(names)

    def summary(self, behaviour: Behaviour) -> Summary:
        """Return what calling a function does to its arguments."""
        if behaviour not in self.state.summaries:
            self.state.summaries[behaviour] = summarise(behaviour, self.function, self.origin)
        return self.state.summaries[behaviour]

    def function(self, name: str) -> Behaviour | None:
        """Return the function or class of the notebook that a name refers to."""
        binding = self.state.names.get(name)
        if binding is None or binding.direct is not None:
            return binding.direct if binding is not None else None
        functions = [b for b in binding.behaviours if not b.is_class]
        return functions[0] if len(functions) == len(binding.behaviours) == 1 else None

    def origin(self, path: str) -> str:
        """Resolve a dotted path that begins with an imported name, as in "numpy.put"; else return ""."""
        first, dot, rest = path.partition(".")
        root = self.state.names.get(first)
        known = root.origin or root.path if root is not None else ""
        return known + dot + rest if known else ""

    def join(self, one: str, other: str) -> None:
        """Record that the values of two names share an object."""
        self.read_groups(one, other)
        for name in sorted(self._unite(one, other)):
            binding = self.state.names.get(name)
            if binding is not None and self.state.step.name and binding.kind != "value":
                self.lookup.rebind(
                    replace(binding, kind="value", producer=self.state.step.name, constant=False)
                )

    def read_groups(self, *names: str) -> None:
        """Read all names that may share an object with these: the linking step outputs them together."""
        for name in names:
            for one in self.group(name):
                self.state.read(one, 0, certain=False, forward=True)

    def _unite(self, one: str, other: str) -> set[str]:
        group = self.state.groups.setdefault(one, {one})
        further = self.state.groups.get(other, {other})
        if further is not group:
            self.state.incoming += [frozenset(group), frozenset(further)]
            group |= further
            self.state.groups.update(dict.fromkeys(further, group))
        return group

    def leave_group(self, name: str) -> None:
        """Record that a name has a new value, which shares nothing yet."""
        group = self.state.groups.pop(name, None)
        if group:
            self.state.incoming.append(frozenset({name, *group}))
            group.discard(name)


@functools.cache
def _is_of_frames(method: str) -> bool:
    """Whether a frame of pandas has a method."""
    return any(kind.startswith(FRAMES) for kind in known_types(method))


def _of_library(kind: str, effects: LibraryEffects | None, source: Source, inplace: bool) -> Relation:
    """Return how a library's result is related to an argument; `kind` is the function, or a type."""
    if kind.startswith(FRAMES):
        return "part"
    is_class = kind.rpartition(".")[2][:1].isupper()
    if is_class and (source.argument in GENERATOR_ARGUMENTS or kind in GENERATORS_OF_BITS):
        return "part"
    if is_class and kind.startswith(ESTIMATORS) and source.argument == "cv":
        return "part"  # it draws from the generator of that object
    if effects is None:
        return "mixed"
    labels = effects.shares | (effects.may_share if inplace or not effects.options & COPYING else frozenset())
    return "part" if matches(source.argument, labels) else "weak"
