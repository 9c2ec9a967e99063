"""What changes objects, and who sees the change: names hang together whose values may share an object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kale_magics.analysis.effects import PARAMETER, Behaviour, Mutate, Source
from kale_magics.analysis.knowledge import COPYING_TYPES, is_known
from kale_magics.analysis.summaries import Summary, parameters_for, summarise
from kale_magics.flow.bindings import Binding
from kale_magics.flow.lookup import Lookup
from kale_magics.flow.surroundings import CHANGED_MEMORY, Setting
from kale_magics.step_runtime.generators import GENERATORS

MEMORY = "memory of "
"""What the names of cached functions begin with where what they remember is meant."""

WRITING = ("write", "operator")
"""The causes of a `Mutate` that mean the object itself."""

FILLED_BY_LOOKUP = frozenset({"collections.defaultdict", "collections.ChainMap"})
"""Types whose objects may change when an item is looked up."""


class Changes(Lookup):
    """Knows what a step changes."""

    def read(self, name: str, line: int, certain: bool = True) -> None:
        """The step looks a name up; an object whose operators or properties change it is changed by that."""
        super().read(name, line, certain)
        binding = self.names.get(name)
        if binding is None or binding.direct is not None or name in self._used:
            return
        self._used.add(name)
        facts = self.facts(binding)
        if facts is None or not (facts.own or is_known(facts.type_name)):
            self._doubtful.add(name)
        methods = (m for b in binding.behaviours for m in b.methods.values() if m.implicit)
        if any(not self.summary(m).changed.isdisjoint(m.parameters[:1]) for m in methods):
            self.change(name)

    def change(self, name: str) -> None:
        """The step changes the object that a name stands for, and so what all its other names stand for."""
        for one in self.group(name):
            self._change_one(one)

    def guess(self, name: str, what: str, ran: bool) -> None:
        """The step does to an object what nobody knows of: it may change it.

        Args:
            name: The object's.
            what: What is done, for people.
            ran: Whether that has happened for certain when the cell ran in the session.
        """
        for one in self.group(name):
            binding = self.names.get(one)
            if binding is None or self.immutable(binding):
                continue
            # What this cell has made before, its evidence does not know; nobody else has it yet.
            earlier = binding.maker != self.step.name or binding.cell != self.cell
            if earlier and self._is_only_read(one, ran and not self._unsure):
                continue
            if earlier and one not in self.evidence.changed:
                self.step.guesses.setdefault(one, what)
            self._change_one(one, certain=False)

    def _is_only_read(self, name: str, ran: bool) -> bool:
        """Whether the user, or the session, knows that the step does not change what it may change."""
        return name in self.step.reads or (ran and name in self.evidence.kept)

    def learn(self, before: dict[str, Binding]) -> None:
        """Take in what the session has seen when the cell ran, where its code did not tell.

        Args:
            before: What names stood for above the cell.
        """
        for name in sorted(self.evidence.changed & before.keys()):
            doubtful = name in self._doubtful or name in GENERATORS
            if doubtful and self.names.get(name) is before[name] and not self.immutable(before[name]):
                self.change(name)
        for group in self.evidence.shared:
            names = [n for n in sorted(group) if self._may_share(self.names.get(n))]
            for other in names[1:]:
                if other not in self.groups.get(names[0], ()):
                    self.join(names[0], other)

    def _may_share(self, binding: Binding | None) -> bool:
        return binding is not None and binding.direct is None and not self.immutable(binding)

    def _change_one(self, name: str, certain: bool = True) -> None:
        self.read(name, 0, certain=False)
        binding = self.names.get(name)
        if binding is None:
            return
        if certain and name in self.step.reads and binding.maker != self.step.name:
            self.contradicted(self.step, name)
        self.note(self.changes, binding)
        for function in binding.memories:
            self.note_memory(function, CHANGED_MEMORY)
        self.rebind(replace(binding, kind=self.made, maker=self.step.name, constant=False, changed=self.cell))

    def group(self, name: str) -> list[str]:
        """The names whose values may share an object with that of a name, itself included."""
        return sorted(self.groups.get(name, {name}) | {name})

    def _mutate(self, effect: Mutate) -> None:
        for source in self.expanded((effect.source,)):
            if effect.cause in WRITING:
                self.change_memory(source)
            binding = self.names.get(source.name)
            if binding is not None and self._is_mutated(effect, source, binding):
                self._mutate_one(effect, binding)

    def _is_mutated(self, effect: Mutate, source: Source, binding: Binding) -> bool:
        if not self.reaches(source) or self.immutable(binding):
            return False
        facts = self.facts(binding)
        if effect.cause == "iteration":
            return facts is not None and facts.iterator
        if effect.cause == "item":
            return facts is not None and facts.type_name in FILLED_BY_LOOKUP
        return True

    def _mutate_one(self, effect: Mutate, binding: Binding) -> None:
        self.change(binding.name)
        behaviours = self.behaviours_of(effect.uses) | set(effect.behaviours)
        self.hold(binding.name, effect.linked, behaviours)

    def change_memory(self, source: Source) -> None:
        """The step changes an object: it may be one that a cached function remembers."""
        if source.name.startswith(MEMORY):
            self.note_memory(source.name.removeprefix(MEMORY), CHANGED_MEMORY)

    def note_memory(self, function: str, what: str, line: int = 0) -> None:
        """The step does something to what a cached function remembers, where other steps do not see it."""
        if self.step.name:
            self.settings.append(Setting(self.step.name, self.cell, line, function, what))

    def hold(self, name: str, sources: Iterable[Source], behaviours: Iterable[Behaviour] = ()) -> None:
        """An object holds others from now on, and has their functions with it.

        Args:
            name: The object's.
            sources: The others.
            behaviours: Functions beyond those of the others.
        """
        sources = tuple(sources)
        held = {*behaviours, *self.behaviours_of(source.name for source in sources)}
        if any(source.name.startswith(PARAMETER) for source in sources):
            held |= set(self._expanding)  # as when an object puts itself away
        binding = self.names[name]
        if not held <= binding.behaviours:
            self.rebind(replace(binding, behaviours=binding.behaviours | held))
        self.join_all(name, self.sharers(binding, sources))

    def reaches(self, source: Source) -> bool:
        """Whether a change of what an expression gives changes what the name stands for."""
        if source.bond == "call":
            return self._given_back(source)
        return source.bond != "weak"

    def expanded(self, sources: Iterable[Source]) -> Iterator[Source]:
        """Sources without those of bond "result": in their place is what the called function may give."""
        for source in sources:
            if source.bond == "result":
                yield from self._results(source.name, set())
                continue
            yield source
            if source.bond == "call" and source.callee.startswith("."):
                binding = self.names.get(source.name)
                for behaviour in binding.behaviours if binding is not None else ():
                    yield from self._globals(behaviour.methods.get(source.callee[1:]), set())

    def _results(self, name: str, seen: set[str]) -> Iterator[Source]:
        binding = self.names.get(name)
        if binding is None or name in seen:
            return
        seen.add(name)
        if binding.direct is not None and binding.direct.is_class:
            init = binding.direct.methods.get("__init__")
            if init is not None and init.parameters:
                links = self.summary(init).links
                yield from (Source(held) for holder, held in links if holder == init.parameters[0])
        elif binding.direct is not None:
            yield from self._globals(binding.direct, seen)
            if binding.memory == "cached":
                yield Source(MEMORY + name, "part")
            elif binding.direct.remembering or binding.memory:
                yield Source(name, "part")  # its defaults, or what it has taken along
        elif binding.behaviours:
            # A closure, or what a decorator has made: it may give what it has taken along.
            yield Source(name, "part")
            for behaviour in binding.behaviours:
                yield from self._globals(behaviour, seen)

    def _globals(self, function: Behaviour | None, seen: set[str]) -> Iterator[Source]:
        """What a function gives of the notebook's own objects."""
        for source in function.returns if function is not None else ():
            if source.bond == "result":
                yield from self._results(source.name, seen)
            elif not source.name.startswith(PARAMETER) and source.bond != "weak":
                yield source

    def sharers(self, binding: Binding, sources: Iterable[Source]) -> dict[str, bool]:
        """The names whose values a binding's value may share an object with; whether that is likely."""
        found: dict[str, bool] = {}
        known = self.certain_facts(binding) is not None
        for source in () if self.immutable(binding) else self.expanded(sources):
            if source.bond == "call" and not self._given_back(source):
                source = replace(source, bond="weak")
            if source.bond == "weak" and not known:
                continue
            names = [source.name]
            if source.name == binding.name or not self._shares(binding, source.name, source):
                # What was taken out of a container may still be in another one.
                names = [n for n in self.group(source.name) if n not in (binding.name, source.name)]
                names = [n for n in names if self._shares(binding, n, source)]
            for name in names:
                found[name] = found.get(name, False) or source.bond != "mixed"
        return found

    def join_all(self, name: str, others: dict[str, bool]) -> None:
        """A name's value shares an object with those of others from now on, as `sharers` says."""
        for other, likely in others.items():
            if likely:
                self.join(name, other)
            else:
                self._unite(name, other)

    def _shares(self, binding: Binding, name: str, source: Source) -> bool:
        """Whether a value that came out of another one may share an object that can change with a third."""
        other = self.names.get(name)
        if other is None or self.immutable(other) or self.immutable(binding):
            return False
        function = other.direct
        remembers = function is not None and (function.remembering or other.memory == "own")
        if function is not None and not function.is_class and not remembers:
            return False
        if source.bond == "same":
            return other.direct is None
        one, two = self.certain_facts(binding), self.certain_facts(other)
        shared = self.session.shares(binding.name, name) if one is not None and two is not None else None
        if shared is False and not self.letting_go.isdisjoint((binding.name, name)):
            shared = None  # they may have shared one before
        copied = two is not None and two.type_name.startswith(COPYING_TYPES) and source.bond != "call"
        return shared is True if copied or source.bond == "weak" else shared is not False

    def _given_back(self, source: Source) -> bool:
        """Whether a function of the notebook may give back, or hold, what it got."""
        if source.callee.startswith("."):
            binding = self.names.get(source.name)
            return binding is not None and any(source.callee[1:] in b.methods for b in binding.behaviours)
        called = self.names.get(source.callee)
        if called is None or called.origin:
            return False
        if called.direct is None:
            return bool(called.behaviours)
        if called.direct.is_class:
            return True
        names = parameters_for(called.direct, source.argument, bound=False)
        return not self.summary(called.direct).returned.isdisjoint(names)

    def summary(self, behaviour: Behaviour) -> Summary:
        """What calling a function does to its arguments."""
        if behaviour not in self._summaries:
            self._summaries[behaviour] = summarise(behaviour, self.function, self.origin)
        return self._summaries[behaviour]

    def function(self, name: str) -> Behaviour | None:
        """The function or class of the notebook that a name stands for."""
        binding = self.names.get(name)
        return binding.direct if binding is not None else None

    def origin(self, path: str) -> str:
        """What a chain of names is that begins with an imported one, as in "numpy.put"; else empty."""
        first, dot, rest = path.partition(".")
        root = self.names.get(first)
        return root.origin + dot + rest if root is not None and root.origin else ""

    def join(self, one: str, other: str) -> None:
        """Two names' values share an object from now on."""
        self.have_all(one, other)
        for name in sorted(self._unite(one, other)):
            binding = self.names.get(name)
            if binding is not None and self.step.name and binding.kind != "value":
                self.rebind(replace(binding, kind="value", maker=self.step.name, constant=False))

    def have_all(self, *names: str) -> None:
        """Let the step have all that hangs together with these: who links them hands them on together."""
        for name in names:
            for one in self.group(name):
                self.read(one, 0, certain=False)

    def _unite(self, one: str, other: str) -> set[str]:
        group = self.groups.setdefault(one, {one})
        further = self.groups.get(other, {other})
        if further is not group:
            self.incoming += [frozenset(group), frozenset(further)]
            group |= further
            self.groups.update(dict.fromkeys(further, group))
        return group

    def leave_group(self, name: str) -> None:
        """A name's value is another one from now on."""
        group = self.groups.pop(name, None)
        if group:
            self.incoming.append(frozenset({name, *group}))
            group.discard(name)
