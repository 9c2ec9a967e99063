"""Lookup of names: what a name refers to where it is used, and what the step needs then."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from kale_magics.analysis.effects import PARAMETER, Behaviour, Effect, Read, Source
from kale_magics.analysis.summaries import Summary
from kale_magics.dataflow.bindings import Binding, BindingKind, Definition, StepFlow
from kale_magics.dataflow.isolation import CacheUse
from kale_magics.session.evidence import Evidence
from kale_magics.session.namespace import BUILTINS, Session
from kale_magics.session.objects import Facts

Missing = Callable[[StepFlow, str, int, bool], None]
Conflict = Callable[[StepFlow, str, Binding], None]
Contradicted = Callable[[StepFlow, str], None]

NO_EVIDENCE = Evidence()


class NameLookup:
    """Resolves names, and records what steps need.

    Args:
        session: What a live kernel knows.
        last_bound: For every name the number of the last cell that binds it.
        releasing: The names of objects that may release what they hold.
        missing: Called for a name that is not defined above: step, name, line, whether that is certain.
        conflict: Called for a step that uses a value after another step has changed it.
        contradicted: Called for a step that changes a name of its `--reads`.

    Attributes:
        names: The binding of every name.
        groups: For every name those that may share an object with it, itself included.
        incoming: The groups that the current cell has changed, as they were before. The first one with a name
            in it is what the cell received.
        shared_inputs: Steps, with names of their inputs that may share an object.
        definitions: All definitions that can be replayed.
        uses: For the number of a cell that defines or changes a value, and of one that uses it: its name.
        changes: The same for one that changes it.
        cache_uses: What steps do with the caches of functions.
        varying: The non-deterministic values of the prelude.
        escaped: Functions and classes of the prelude that a step may reach without naming them: a library, or
            Python itself, has a reference.
        step: The current step.
        cell: The number of the current cell.
        evidence: What the session observed of that cell.
        names_indexes: Whether a cell may name an index of pandas, so that sharing one matters.
    """

    def __init__(
        self,
        session: Session,
        last_bound: dict[str, int],
        losing_parts: set[str],
        missing: Missing,
        conflict: Conflict,
        contradicted: Contradicted,
    ) -> None:
        self.session, self.last_bound, self.losing_parts = session, last_bound, losing_parts
        self.missing, self.conflict, self.contradicted = missing, conflict, contradicted
        self.names: dict[str, Binding] = {}
        self.groups: dict[str, set[str]] = {}
        self.incoming: list[frozenset[str]] = []
        self.definitions: list[Definition] = []
        self._of_behaviour: dict[Behaviour, Definition] = {}
        self._states: dict[Definition, Binding] = {}
        self.uses: dict[tuple[int, int], str] = {}
        self.changes: dict[tuple[int, int], str] = {}
        self.cache_uses: list[CacheUse] = []
        self.varying: dict[str, Binding] = {}
        self.escaped: set[Behaviour] = set()
        self.shared_inputs: list[tuple[StepFlow, frozenset[str]]] = []
        self.step = StepFlow("")
        self.cell = -1
        self._expanded: set[tuple[Behaviour, bool]] = set()
        self._expanding: list[Behaviour] = []
        self._used: set[str] = set()
        self._late = False
        self._given_varies = False
        self._cell_varies = False
        self.evidence = NO_EVIDENCE
        self.names_indexes = False
        self._branches = 0
        self._unsure = 0
        self._repeats = 0
        self._chosen = 0
        self._filled_by_given = 0
        self._varies = False
        self._statement = -1
        self._summaries: dict[Behaviour, Summary] = {}
        self._identities: dict[str, int] = {}

    def effects(self, effects: Iterable[Effect], statement: int = -1, late: bool = False) -> None:
        """Apply effects; `late` for those of a function that may be called."""
        raise NotImplementedError

    def read(self, name: str, line: int, certain: bool = True, forward: bool = False) -> None:
        """Read a name in the step; with `forward` the step only passes its value on."""
        if name.startswith(PARAMETER):
            return
        binding = self.names.get(name)
        # The prelude has no inputs: names that its cells define for each other are resolved as in a step.
        known = self.step.local.get(name) if self.step.name else None
        if known is not None:
            if known is not binding and binding is not None:
                self.conflict(self.step, name, binding)
            if not forward and name in self.step.forwarded and known.fresh != self.step.name:
                self._need(name)
        elif binding is None:
            if name not in BUILTINS and not forward:
                self.missing(self.step, name, line, certain and not self._branches)
        else:
            if self.step.name and name in self.step.local:  # the step deleted its own value of that name
                self.conflict(self.step, name, binding)
            self.step.local[name] = binding
            self.add_input(binding, forward)
        if forward:
            return
        if binding is not None and line and not binding.is_import:
            self.record(self.uses, binding)
        for behaviour in (binding or known or Binding(name, "prelude")).behaviours:
            self._expand(behaviour, line)

    def _need(self, name: str) -> None:
        """Make a forwarded value an input, with the state of its functions."""
        binding = self.step.inputs[name] = self.step.forwarded.pop(name)
        for behaviour in binding.behaviours:
            definition = self._of_behaviour.get(behaviour)
            state = self._states.get(definition) if definition is not None else None
            if state is not None and state.name in self.step.forwarded:
                self._need(state.name)

    def record(self, pairs: dict[tuple[int, int], str], binding: Binding) -> None:
        """Record that the current cell uses or changes a value of another cell."""
        producer = max(binding.cell, binding.changed)
        if producer != self.cell:
            pairs.setdefault((producer, self.cell), binding.name)

    def add_input(self, binding: Binding, forward: bool = False) -> None:
        """Give the step a value; with `forward` only where a downstream step takes it from there."""
        if binding.kind == "definition" and binding.definition is not None:
            self.replay(binding.definition)
        elif binding.kind == "parameter":
            self.step.parameters.add(binding.name)
        elif binding.kind == "value" and binding.producer != self.step.name:
            if self.step.inputs.get(binding.name, binding) is not binding:
                self.conflict(self.step, binding.name, binding)
            (self.step.forwarded if forward else self.step.inputs)[binding.name] = binding
            earlier = next((g for g in self.incoming if binding.name in g), None)
            group = earlier or self.groups.get(binding.name)
            if group:
                taken = self.step.inputs.keys() | self.step.forwarded.keys()
                # An unused name of the group may still become an input after this one has left the group.
                self.shared_inputs.append((self.step, frozenset(group - (self.step.local.keys() - taken))))
            if binding.definition is not None:
                self.replay(binding.definition)
        for behaviour in binding.behaviours:
            definition = self._of_behaviour.get(behaviour)
            if definition is None or definition is binding.definition:
                continue
            self.replay(definition)
            state = self._states.get(definition)
            if state is not None and self.names.get(state.name) is state:
                self.read(state.name, state.line, certain=False, forward=forward)
            elif state is not None and state.producer != self.step.name:
                self._add_state(state, forward)

    def _add_state(self, state: Binding, forward: bool) -> None:
        """Give the step the state of a function or class whose name refers to something else now."""
        known = self.step.inputs.get(state.name) or self.step.forwarded.get(state.name)
        if known is None:  # the step binds the name itself only after its inputs are loaded
            (self.step.forwarded if forward else self.step.inputs)[state.name] = state
        elif known is not state:
            self.conflict(self.step, state.name, known)

    def replay(self, definition: Definition) -> None:
        """Give the step a definition, with all that it needs."""
        if definition.in_prelude:
            if definition.kind == "import":
                self.step.imports.add(definition)
            return
        if definition.cell in self.step.cells or definition in self.step.replays:
            return
        self.step.replays.add(definition)
        for need in definition.needs:
            if need.definition is not None:
                self.replay(need.definition)
            elif need.kind == "parameter":
                self.step.parameters.add(need.name)

    def definitions_of(self, binding: Binding) -> set[Definition]:
        """Return the definitions without which a value cannot be loaded."""
        found = {self._of_behaviour[b] for b in binding.behaviours if b in self._of_behaviour}
        return found if binding.definition is None else {*found, binding.definition}

    def _expand(self, behaviour: Behaviour, line: int) -> None:
        """Apply the effects of a function that may be called from here on."""
        # A branch may do what it did not do in the session.
        expansion = behaviour, self._branches > 0
        if expansion in self._expanded:
            return
        self._expanded.add(expansion)
        self._expanding.append(behaviour)
        late, self._late = self._late, True
        self.effects((_at(effect, line) for effect in behaviour.effects), late=True)
        self._late = late
        self._expanding.pop()

    def rebind(self, binding: Binding) -> None:
        """Bind a name from here on."""
        self.names[binding.name] = self.step.local[binding.name] = binding
        if binding.definition is not None and binding.name in binding.definition.names:
            if binding.kind == "value":
                self._states[binding.definition] = binding
            else:
                self._states.pop(binding.definition, None)
        if binding.direct is not None:
            self._summaries.clear()

    def facts(self, binding: Binding) -> Facts | None:
        """Return the session's facts about a value, unless the name is bound again below."""
        if self.last_bound.get(binding.name) != binding.cell:
            return None
        return self.session.facts(binding.name)

    def certain_facts(self, binding: Binding) -> Facts | None:
        """Return the `facts`; None as well where the session's value may not be the only one."""
        return None if binding.unobserved or binding.unsure else self.facts(binding)

    def varies(self, name: str) -> bool:
        """Whether other parameter values may change the object, type or number that a name refers to."""
        binding = self.names.get(name)
        return binding is not None and (binding.kind == "parameter" or binding.unsure or binding.derived)

    def immutable(self, binding: Binding) -> bool:
        """Whether a value can never change, or belongs to a library."""
        facts = self.certain_facts(binding)
        if facts is None:
            return binding.constant or binding.is_import
        return binding.constant or facts.immutable or (binding.is_import and not facts.calls_change_it)

    def modules_of(self, sources: Iterable[Source]) -> frozenset[str]:
        """Return the imported modules that an object may be, or be a part of."""
        found = [
            self.names[s.name] for s in sources if s.name in self.names and s.relation in ("same", "part")
        ]
        return frozenset(m for b in found for m in ([b.origin] if b.origin else b.possible_modules))

    def behaviours_of(self, uses: Iterable[str]) -> set[Behaviour]:
        """Return the functions that may run when values of these names are used."""
        return {b for name in uses if name in self.names for b in self.names[name].behaviours}

    @property
    def value_kind(self) -> BindingKind:
        """The kind of a binding to a value here."""
        return "value" if self.step.name else "prelude"


def _at(effect: Effect, line: int) -> Effect:
    """Return an effect of a function with the line from which the function may be called."""
    return replace(effect, line=line) if isinstance(effect, Read) else effect
