"""Changes of objects: a change of one is a change of all that may share it."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace

from kale_magics.analysis.choices import COPYING
from kale_magics.analysis.effects import PARAMETER, Behaviour, Mutate, Source
from kale_magics.analysis.library_rules import is_iterator
from kale_magics.dataflow.bindings import Binding
from kale_magics.dataflow.isolation import CACHE_CHANGED, CacheUse
from kale_magics.dataflow.sharing import CACHE_PREFIX, FILLED_BY_LOOKUP, Sharing
from kale_magics.step_runtime.random_generators import GENERATORS

WRITING = ("write", "operator")
"""The causes of a `Mutate` that change the object itself."""


class Changes(Sharing):
    """Determines what a step changes."""

    def read(self, name: str, line: int, certain: bool = True, forward: bool = False) -> None:
        """Read a name; an object whose operators or properties change it changes with that."""
        super().read(name, line, certain, forward)
        binding = self.names.get(name)
        if forward or binding is None or binding.direct is not None or name in self._used:
            return
        self._used.add(name)
        methods = (m for b in binding.behaviours for m in b.methods.values() if m.implicit)
        if any(not self.summary(m).changed.isdisjoint(m.parameters[:1]) for m in methods):
            self.change(name)
        elif is_iterator(binding.type_name) and self.certain_facts(binding) is None:
            self.change(name)  # any use may advance the iterator

    def change(self, name: str) -> None:
        """Change the object that a name refers to, under all its names."""
        if self._is_unchanged(name):
            return
        for one in self.group(name):
            self._change_one(one)
            for other in self._classes(one):
                for each in () if self._is_kept(other) else self.group(other):
                    self._change_one(each)
            for other in self._derived(one):
                self._change_one(other)

    def _is_unchanged(self, name: str) -> bool:
        """Whether a function that may be called could change an object, but was seen not to."""
        return self._late and not self._cell_varies and self._is_kept(name)

    def _classes(self, name: str) -> list[str]:
        """Return the classes of the notebook that may own what changes in an object or a class."""
        binding = self.names.get(name)
        if binding is None or (binding.direct is not None and not binding.direct.is_class):
            return []
        classes = {b for b in binding.behaviours if b.attributes and b is not binding.direct}
        return sorted(n for n, each in self.names.items() if each.direct in classes)

    def _derived(self, name: str) -> list[str]:
        """Return the subclasses that a change may belong to: `type(self)` is the object's own class."""
        changed = self.function(name)
        if changed is None or not changed.is_class:
            return []
        classes = [(n, b) for n, b in self.names.items() if b.direct is not None and b.direct.is_class]
        return sorted(
            n
            for n, b in classes
            if b.direct is not changed and changed in b.behaviours and not self._is_kept(n)
        )

    def change_what(self, source: Source) -> None:
        """Change what a source refers to; where it is one of several, the evidence decides."""
        if source.guessed:
            self.assume_change(source.name, "globals()[…]", ran=not self._cell_varies)
        else:
            self.change(source.name)

    def assume_change(self, name: str, what: str, ran: bool) -> None:
        """Assume that code of unknown effect changes an object, unless the evidence excludes it.

        Args:
            name: The object's.
            what: The code, for messages.
            ran: Whether it certainly ran when the cell ran in the session.
        """
        if name in self.step.read_only:
            return
        group = self.group(name)
        changed = self.evidence.changed.intersection(group)
        known = {one: self.names[one] for one in group if one in self.names}
        mutable = {one for one, binding in known.items() if not self.immutable(binding)}
        # What may have changed comes from this step, and so must all that shares an object with it.
        moving = changed | {one for one in mutable if not (ran and self._is_kept(one))} - self.step.read_only
        for one in group:
            binding = self.names.get(one)
            if binding is None or self.immutable(binding):
                continue
            # The evidence does not cover what this cell computed before; no other step has it yet.
            earlier = binding.producer != self.step.name or binding.cell != self.cell
            kept = ran and self._is_kept(one)
            if earlier and (one in self.step.read_only or (kept and not self._goes_with(one, moving))):
                continue
            if earlier and not kept and one not in changed:
                self.step.assumed_changes.setdefault(one, what)
            self._change_one(one, certain=False)

    def _is_kept(self, name: str) -> bool:
        """Whether the session knows that the cell leaves an object unchanged, whatever the parameters are."""
        binding = self.names.get(name)
        if binding is None or binding.unsure or self._unsure or self._given_varies:
            return False
        return name in self.evidence.unchanged

    def apply_evidence(self, before: dict[str, Binding]) -> None:
        """Apply what the session observed when the cell ran.

        Args:
            before: What names referred to above the cell.
        """
        for name in sorted(self.evidence.changed & before.keys()):
            if self.names.get(name) is before[name]:
                if name in GENERATORS:
                    self.read(name, 0, certain=False)
                for one in self.group(name):
                    if one not in self.evidence.unchanged or self._goes_with(one, {name}):
                        self._change_one(one)
        for name in sorted(self.evidence.bound):
            known = self.names.get(name)
            if known is before.get(name) and (known is None or known.cell != self.cell):
                self.rebind(Binding(name, self.value_kind, self.step.name, self.cell, unobserved=True))
        for group in (*self.evidence.shared, *(self.evidence.indexed if self.names_indexes else ())):
            names = [n for n in sorted(group) if self._may_share(self.names.get(n))]
            for other in names[1:]:
                if other not in self.groups.get(names[0], ()):
                    self.join(names[0], other)
        for name, definitions in sorted(self.evidence.definitions.items()):
            self._hold_definitions(name, definitions)

    def _goes_with(self, one: str, changed: Set[str]) -> bool:
        """Whether an unchanged name shares an object with a changed one: both must come from one step."""
        return any(one in group and not changed.isdisjoint(group) for group in self.evidence.shared)

    def _hold_definitions(self, name: str, definitions: Iterable[str]) -> None:
        """Record that a value holds functions or classes of the notebook, which its users may call."""
        binding = self.names.get(name)
        replayed = binding is not None and binding.direct is not None and binding.kind != "value"
        if binding is None or replayed or self.cell not in (binding.cell, binding.changed):
            return
        held = self.behaviours_of(definition.partition(".")[0] for definition in definitions)
        if not held <= binding.behaviours:
            self.rebind(replace(binding, behaviours=binding.behaviours | held))

    def _may_share(self, binding: Binding | None) -> bool:
        if binding is None or (binding.direct is None and self.immutable(binding)):
            return False
        # What a class keeps that a step has changed may be the value of a variable.
        return binding.direct is None or (binding.direct.is_class and binding.kind == "value")

    def _change_one(self, name: str, certain: bool = True) -> None:
        self.read(name, 0, certain=False, forward=True)
        binding = self.names.get(name)
        if binding is None:
            return
        if certain and name in self.step.read_only and binding.producer != self.step.name:
            self.contradicted(self.step, name)
        self.record(self.changes, binding)
        for function in binding.caches:
            self.record_cache_use(function, CACHE_CHANGED)
        self.rebind(
            replace(binding, kind=self.value_kind, producer=self.step.name, constant=False, changed=self.cell)
        )

    def _mutate(self, effect: Mutate) -> None:
        for source in self.expanded((effect.source,)):
            if effect.cause in WRITING:
                self.record_cache_change(source)
            binding = self.names.get(source.name)
            if binding is not None and binding.origin and not (self.step.name or self._late):
                self.escaped |= self.behaviours_of(effect.uses) | {*effect.behaviours}
            if binding is not None and self._is_mutated(effect, source, binding):
                self._mutate_one(effect, source, binding)

    def _is_mutated(self, effect: Mutate, source: Source, binding: Binding) -> bool:
        if not self.reaches(source) or self.immutable(binding):
            return False
        facts = self.facts(binding)
        if effect.cause == "iteration":
            return facts is not None and facts.iterator
        if effect.cause == "item":
            return (facts.type_name if facts is not None else binding.type_name) in FILLED_BY_LOOKUP
        return True

    def _mutate_one(self, effect: Mutate, source: Source, binding: Binding) -> None:
        if self._is_unchanged(binding.name):
            return
        self.change_what(source)
        if effect.path.rpartition(".")[2] in COPYING:
            self.mark_inplace(binding.name, unsure=any(map(self.varies, effect.uses)))
        self.mark_derived(binding.name, any(map(self.varies, effect.uses)))
        behaviours = self.behaviours_of(effect.uses) | set(effect.behaviours)
        self.hold(binding.name, effect.linked, behaviours)

    def mark_inplace(self, name: str, unsure: bool) -> None:
        """Mark an object that the step changes as one that may work in place from now on.

        Args:
            name: The object's.
            unsure: Whether that depends on parameters.
        """
        binding = self.names[name]
        if binding.producer == self.step.name:
            self.rebind(replace(binding, inplace=True, unsure=binding.unsure or unsure))

    def mark_derived(self, name: str, varies: bool) -> None:
        """Mark an object as derived where a value that varies is put into it."""
        binding = self.names.get(name)
        facts = self.facts(binding) if binding is not None and varies else None
        if binding is not None and facts is not None and facts.may_be_setting and not binding.derived:
            self.rebind(replace(binding, derived=True))

    def record_cache_change(self, source: Source) -> None:
        """Record the change of an object that a cached function may hold."""
        if source.name.startswith(CACHE_PREFIX):
            self.record_cache_use(source.name.removeprefix(CACHE_PREFIX), CACHE_CHANGED)

    def record_cache_use(self, function: str, what: str, line: int = 0) -> None:
        """Record a use of a function's cache, which other steps do not see."""
        if self.step.name:
            self.cache_uses.append(CacheUse(self.step.name, self.cell, line, function, what))

    def hold(self, name: str, sources: Iterable[Source], behaviours: Iterable[Behaviour] = ()) -> None:
        """Record that an object holds others from now on, and their functions.

        Args:
            name: The object's.
            sources: The others.
            behaviours: Functions in addition to those of the others.
        """
        sources = tuple(sources)
        held = {*behaviours, *self.behaviours_of(source.name for source in sources)}
        if any(source.name.startswith(PARAMETER) for source in sources):
            held |= set(self._expanding)  # as when an object stores itself
        for one in self.group(name) if not held <= self.names[name].behaviours else ():
            self.read(one, 0, certain=False, forward=True)
            binding = self.names.get(one)
            if binding is not None and (one == name or binding.kind == "value"):
                producer = self.step.name if binding.kind == "value" else binding.producer
                self.rebind(replace(binding, producer=producer, behaviours=binding.behaviours | held))
        found = self.sharers(self.names[name], sources)
        self.join_all(name, found)
        if found and self._filled_by_given:
            self.rebind(replace(self.names[name], unsure=True))
