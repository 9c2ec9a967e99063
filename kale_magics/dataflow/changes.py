"""Changes of objects: a change of one is a change of all that may share it."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace

from kale_magics.analysis.choices import COPYING
from kale_magics.analysis.effects import PARAMETER, Behaviour, Mutate, Source
from kale_magics.analysis.library_rules import is_iterator
from kale_magics.dataflow.bindings import Binding
from kale_magics.dataflow.isolation import CACHE_CHANGED, CacheUse
from kale_magics.dataflow.lookup import NameLookup
from kale_magics.dataflow.sharing import CACHE_PREFIX, FILLED_BY_LOOKUP, Sharing
from kale_magics.dataflow.walk_state import WalkState
from kale_magics.step_runtime.random_generators import GENERATORS

WRITING = ("write", "operator")
"""The causes of a `Mutate` that change the object itself."""


class Changes:
    """Determines what a step changes.

    Args:
        state: The state of the walk.
        lookup: Resolves names.
        sharing: Knows which names may share an object.
    """

    def __init__(self, state: WalkState, lookup: NameLookup, sharing: Sharing) -> None:
        self.state, self.lookup, self.sharing = state, lookup, sharing
        state.read = self.read

    def read(self, name: str, line: int, certain: bool = True, forward: bool = False) -> None:
        """Read a name; an object whose operators or properties change it changes with that."""
        self.lookup.read(name, line, certain, forward)
        binding = self.state.names.get(name)
        if forward or binding is None or binding.direct is not None or name in self.state.used:
            return
        self.state.used.add(name)
        methods = (m for b in binding.behaviours for m in b.methods.values() if m.implicit)
        if any(not self.sharing.summary(m).changed.isdisjoint(m.parameters[:1]) for m in methods):
            self.change(name)
        elif is_iterator(binding.type_name) and self.lookup.certain_facts(binding) is None:
            self.change(name)  # any use may advance the iterator

    def change(self, name: str) -> None:
        """Change the object that a name refers to, under all its names."""
        if self._is_unchanged(name):
            return
        for one in self.sharing.group(name):
            self._change_one(one)
            for other in self._classes(one):
                for each in () if self.is_kept(other) else self.sharing.group(other):
                    self._change_one(each)
            for other in self._derived(one):
                self._change_one(other)

    def _is_unchanged(self, name: str) -> bool:
        """Whether a function that may be called could change an object, but was seen not to."""
        if not self.state.late or self.state.cell_varies or not self.is_kept(name):
            return False
        return not any(map(self.lookup.reads_varying, self.state.expanding))

    def _classes(self, name: str) -> list[str]:
        """Return the classes of the notebook that may own what changes in an object or a class."""
        binding = self.state.names.get(name)
        if binding is None or (binding.direct is not None and not binding.direct.is_class):
            return []
        classes = {b for b in binding.behaviours if b.attributes and b is not binding.direct}
        return sorted(n for n, each in self.state.names.items() if each.direct in classes)

    def _derived(self, name: str) -> list[str]:
        """Return the subclasses that a change may belong to: `type(self)` is the object's own class."""
        changed = self.sharing.function(name)
        if changed is None or not changed.is_class:
            return []
        classes = [(n, b) for n, b in self.state.names.items() if b.direct is not None and b.direct.is_class]
        return sorted(
            n
            for n, b in classes
            if b.direct is not changed and changed in b.behaviours and not self.is_kept(n)
        )

    def change_what(self, source: Source) -> None:
        """Change what a source refers to; where it is one of several, the evidence decides."""
        if source.guessed:
            self.assume_change(source.name, "globals()[…]", ran=not self.state.cell_varies)
        else:
            self.change(source.name)

    def assume_change(self, name: str, what: str, ran: bool) -> None:
        """Assume that code of unknown effect changes an object, unless the evidence excludes it.

        Args:
            name: The object's.
            what: The code, for messages.
            ran: Whether it certainly ran when the cell ran in the session.
        """
        if name in self.state.step.read_only:
            return
        group = self.sharing.group(name)
        changed = self.state.evidence.changed.intersection(group)
        known = {one: self.state.names[one] for one in group if one in self.state.names}
        mutable = {one for one, binding in known.items() if not self.lookup.immutable(binding)}
        # What may have changed comes from this step, and so must all that shares an object with it.
        moving = (
            changed | {one for one in mutable if not (ran and self.is_kept(one))} - self.state.step.read_only
        )
        for one in group:
            binding = self.state.names.get(one)
            if binding is None or self.lookup.immutable(binding):
                continue
            # The evidence does not cover what this cell computed before; no other step has it yet.
            earlier = binding.producer != self.state.step.name or binding.cell != self.state.cell
            kept = ran and self.is_kept(one)
            if earlier and (
                one in self.state.step.read_only or (kept and not self._shares_with_changed(one, moving))
            ):
                continue
            if earlier and not kept and one not in changed:
                self.state.step.assumed_changes.setdefault(one, what)
            self._change_one(one, certain=False)

    def is_kept(self, name: str) -> bool:
        """Whether the session knows that the cell leaves an object unchanged, whatever the parameters are."""
        binding = self.state.names.get(name)
        if binding is None or binding.unsure or self.state.unsure or self.state.given_varies:
            return False
        return name in self.state.evidence.unchanged

    def apply_evidence(self, before: dict[str, Binding]) -> None:
        """Apply what the session observed when the cell ran.

        Args:
            before: What names referred to above the cell.
        """
        for name in sorted(self.state.evidence.changed & before.keys()):
            if self.state.names.get(name) is before[name]:
                if name in GENERATORS:
                    self.read(name, 0, certain=False)
                for one in self.sharing.group(name):
                    if one not in self.state.evidence.unchanged or self._shares_with_changed(one, {name}):
                        self._change_one(one)
        for name in sorted(self.state.evidence.bound):
            known = self.state.names.get(name)
            if known is before.get(name) and (known is None or known.cell != self.state.cell):
                self.lookup.rebind(
                    Binding(
                        name, self.lookup.value_kind, self.state.step.name, self.state.cell, unobserved=True
                    )
                )
        for group in (
            *self.state.evidence.shared,
            *(self.state.evidence.indexed if self.state.names_indexes else ()),
        ):
            names = [n for n in sorted(group) if self._may_share(self.state.names.get(n))]
            for other in names[1:]:
                if other not in self.state.groups.get(names[0], ()):
                    self.sharing.join(names[0], other)
        for name, definitions in sorted(self.state.evidence.definitions.items()):
            self._hold_definitions(name, definitions)

    def _shares_with_changed(self, one: str, changed: Set[str]) -> bool:
        """Whether an unchanged name shares an object with a changed one: both must come from one step."""
        return any(one in group and not changed.isdisjoint(group) for group in self.state.evidence.shared)

    def _hold_definitions(self, name: str, definitions: Iterable[str]) -> None:
        """Record that a value holds functions or classes of the notebook, which its users may call."""
        binding = self.state.names.get(name)
        replayed = binding is not None and binding.direct is not None and binding.kind != "value"
        if binding is None or replayed or self.state.cell not in (binding.cell, binding.changed):
            return
        held = self.lookup.behaviours_of(definition.partition(".")[0] for definition in definitions)
        if not held <= binding.behaviours:
            self.lookup.rebind(replace(binding, behaviours=binding.behaviours | held))

    def _may_share(self, binding: Binding | None) -> bool:
        if binding is None or (binding.direct is None and self.lookup.immutable(binding)):
            return False
        # What a class keeps that a step has changed may be the value of a variable.
        return binding.direct is None or (binding.direct.is_class and binding.kind == "value")

    def _change_one(self, name: str, certain: bool = True) -> None:
        self.read(name, 0, certain=False, forward=True)
        binding = self.state.names.get(name)
        if binding is None:
            return
        if certain and name in self.state.step.read_only and binding.producer != self.state.step.name:
            self.state.contradicted(self.state.step, name)
        self.lookup.record(self.state.changes, binding)
        for function in binding.caches:
            self.record_cache_use(function, CACHE_CHANGED)
        self.lookup.rebind(
            replace(
                binding,
                kind=self.lookup.value_kind,
                producer=self.state.step.name,
                constant=False,
                changed=self.state.cell,
            )
        )

    def mutate(self, effect: Mutate) -> None:
        """Apply a change of an object, under each name that it may have."""
        for source in self.sharing.expanded((effect.source,)):
            if effect.cause in WRITING:
                self.record_cache_change(source)
            binding = self.state.names.get(source.name)
            if binding is not None and binding.origin and not (self.state.step.name or self.state.late):
                self.state.escaped |= self.lookup.behaviours_of(effect.uses) | {*effect.behaviours}
            if binding is not None and self._is_mutated(effect, source, binding):
                self._mutate_one(effect, source, binding)

    def _is_mutated(self, effect: Mutate, source: Source, binding: Binding) -> bool:
        if not self.sharing.reaches(source) or self.lookup.immutable(binding):
            return False
        facts = self.lookup.facts(binding)
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
            self.mark_inplace(binding.name, unsure=any(map(self.lookup.varies, effect.uses)))
        self.mark_derived(binding.name, any(map(self.lookup.varies, effect.uses)))
        behaviours = self.lookup.behaviours_of(effect.uses) | set(effect.behaviours)
        self.hold(binding.name, effect.linked, behaviours)

    def mark_inplace(self, name: str, unsure: bool) -> None:
        """Mark an object that the step changes as one that may work in place from now on.

        Args:
            name: The object's.
            unsure: Whether that depends on parameters.
        """
        binding = self.state.names[name]
        if binding.producer == self.state.step.name:
            self.lookup.rebind(replace(binding, inplace=True, unsure=binding.unsure or unsure))

    def mark_derived(self, name: str, varies: bool) -> None:
        """Mark an object as derived where a value that varies is put into it."""
        binding = self.state.names.get(name)
        facts = self.lookup.facts(binding) if binding is not None and varies else None
        if binding is not None and facts is not None and facts.may_be_setting and not binding.derived:
            self.lookup.rebind(replace(binding, derived=True))

    def record_cache_change(self, source: Source) -> None:
        """Record the change of an object that a cached function may hold."""
        if source.name.startswith(CACHE_PREFIX):
            self.record_cache_use(source.name.removeprefix(CACHE_PREFIX), CACHE_CHANGED)

    def record_cache_use(self, function: str, what: str, line: int = 0) -> None:
        """Record a use of a function's cache, which other steps do not see."""
        if self.state.step.name:
            self.state.cache_uses.append(
                CacheUse(self.state.step.name, self.state.cell, line, function, what)
            )

    def hold(self, name: str, sources: Iterable[Source], behaviours: Iterable[Behaviour] = ()) -> None:
        """Record that an object holds others from now on, and their functions.

        Args:
            name: The object's.
            sources: The others.
            behaviours: Functions in addition to those of the others.
        """
        sources = tuple(sources)
        held = {*behaviours, *self.lookup.behaviours_of(source.name for source in sources)}
        if any(source.name.startswith(PARAMETER) for source in sources):
            held |= set(self.state.expanding)  # as when an object stores itself
        for one in self.sharing.group(name) if not held <= self.state.names[name].behaviours else ():
            self.read(one, 0, certain=False, forward=True)
            binding = self.state.names.get(one)
            if binding is not None and (one == name or binding.kind == "value"):
                producer = self.state.step.name if binding.kind == "value" else binding.producer
                self.lookup.rebind(replace(binding, producer=producer, behaviours=binding.behaviours | held))
        found = self.sharing.sharers(self.state.names[name], sources)
        self.sharing.join_all(name, found)
        if found and self.state.filled_by_given:
            self.lookup.rebind(replace(self.state.names[name], unsure=True))
