"""What names stand for at the point that the walk has reached, and what a step needs when it looks one up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from kale_magics.analysis.effects import PARAMETER, Behaviour, Effect, Read, Source
from kale_magics.analysis.summaries import Summary
from kale_magics.dataflow.bindings import Binding, BindingKind, Definition, StepFlow
from kale_magics.dataflow.surroundings import Setting
from kale_magics.session.evidence import Evidence
from kale_magics.session.namespace import BUILTINS, Session
from kale_magics.session.objects import Facts

Missing = Callable[[StepFlow, str, int, bool], None]
Conflict = Callable[[StepFlow, str, Binding], None]
Contradicted = Callable[[StepFlow, str], None]

NOTHING_SEEN = Evidence()


class NameLookup:
    """What names stand for, and who needs what.

    Args:
        session: What a live kernel knows.
        last_bound: For every name the number of the last cell that binds it.
        losing_parts: The names of objects that may let go of what they have held.
        missing: Is told of a name that nothing above makes: step, name, line, whether it is read for certain.
        conflict: Is told of a step that goes on with what another step has changed meanwhile.
        contradicted: Is told of a step that changes what it says that it only reads.

    Attributes:
        names: What every name stands for.
        groups: For every name those that may share an object with it, itself included.
        incoming: What groups were before the cell that is walked changed them; of those with a name in them,
            the first tells what the cell found.
        partners: Steps, with names that they take and that may share an object.
        definitions: All definitions that can be replayed.
        uses: For the number of a cell that makes or changes a value, and of one that uses it: its name.
        changes: The same for one that changes it.
        settings: What steps set around them.
        varying: What the prelude computes that comes out differently each time.
        escaped: Functions and classes of the prelude that a step may reach without naming them: a library, or
            Python, knows them.
        step: The step that is walked.
        cell: The number of the cell that is walked.
        evidence: What the session has seen of that cell.
        names_indexes: Whether a cell may name an index of pandas, so that it counts who has it.
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
        self.settings: list[Setting] = []
        self.varying: dict[str, Binding] = {}
        self.escaped: set[Behaviour] = set()
        self.partners: list[tuple[StepFlow, frozenset[str]]] = []
        self.step = StepFlow("")
        self.cell = -1
        self._expanded: set[tuple[Behaviour, bool]] = set()
        self._expanding: list[Behaviour] = []
        self._used: set[str] = set()
        self._late = False
        self._given_varies = False
        self._cell_varies = False
        self.evidence = NOTHING_SEEN
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
        """Go through effects; `late` for those of a function that may be called."""
        raise NotImplementedError

    def read(self, name: str, line: int, certain: bool = True, carry: bool = False) -> None:
        """The step looks a name up; with `carry` it would only pass its value on."""
        if name.startswith(PARAMETER):
            return
        binding = self.names.get(name)
        # The prelude has no inputs: what its cells need of each other is found as for any other step.
        known = self.step.local.get(name) if self.step.name else None
        if known is not None:
            if known is not binding and binding is not None:
                self.conflict(self.step, name, binding)
            if not carry and name in self.step.carried and known.fresh != self.step.name:
                self._need(name)
        elif binding is None:
            if name not in BUILTINS and not carry:
                self.missing(self.step, name, line, certain and not self._branches)
        else:
            if self.step.name and name in self.step.local:  # the step has deleted what it had under the name
                self.conflict(self.step, name, binding)
            self.step.local[name] = binding
            self.take(binding, carry)
        if carry:
            return
        if binding is not None and line and not binding.is_import:
            self.note(self.uses, binding)
        for behaviour in (binding or known or Binding(name, "prelude")).behaviours:
            self._expand(behaviour, line)

    def _need(self, name: str) -> None:
        """The step does not only pass a value on: it needs it, and what belongs to its functions."""
        binding = self.step.takes[name] = self.step.carried.pop(name)
        for behaviour in binding.behaviours:
            definition = self._of_behaviour.get(behaviour)
            state = self._states.get(definition) if definition is not None else None
            if state is not None and state.name in self.step.carried:
                self._need(state.name)

    def note(self, pairs: dict[tuple[int, int], str], binding: Binding) -> None:
        """Remember which cell does something with what which other one has made."""
        maker = max(binding.cell, binding.changed)
        if maker != self.cell:
            pairs.setdefault((maker, self.cell), binding.name)

    def take(self, binding: Binding, carry: bool = False) -> None:
        """Let the step have what a name stands for; with `carry` only if somebody takes it from there."""
        if binding.kind == "definition" and binding.definition is not None:
            self.replay(binding.definition)
        elif binding.kind == "parameter":
            self.step.parameters.add(binding.name)
        elif binding.kind == "value" and binding.maker != self.step.name:
            if self.step.takes.get(binding.name, binding) is not binding:
                self.conflict(self.step, binding.name, binding)
            (self.step.carried if carry else self.step.takes)[binding.name] = binding
            earlier = next((g for g in self.incoming if binding.name in g), None)
            group = earlier or self.groups.get(binding.name)
            if group:
                taken = self.step.takes.keys() | self.step.carried.keys()
                # Those that it has not used yet, it may still take, when this one has left the group.
                self.partners.append((self.step, frozenset(group - (self.step.local.keys() - taken))))
            if binding.definition is not None:
                self.replay(binding.definition)
        for behaviour in binding.behaviours:
            definition = self._of_behaviour.get(behaviour)
            if definition is None or definition is binding.definition:
                continue
            self.replay(definition)
            state = self._states.get(definition)
            if state is not None and self.names.get(state.name) is state:
                self.read(state.name, state.line, certain=False, carry=carry)
            elif state is not None and state.maker != self.step.name:
                self._take_state(state, carry)

    def _take_state(self, state: Binding, carry: bool) -> None:
        """Let the step have what belongs to a function or class whose name means something else by now."""
        known = self.step.takes.get(state.name) or self.step.carried.get(state.name)
        if known is None:  # what it binds to the name itself, it binds after it has read its inputs
            (self.step.carried if carry else self.step.takes)[state.name] = state
        elif known is not state:
            self.conflict(self.step, state.name, known)

    def replay(self, definition: Definition) -> None:
        """Let the step have a definition, with all that it needs."""
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
        """The definitions without which a value cannot be read."""
        found = {self._of_behaviour[b] for b in binding.behaviours if b in self._of_behaviour}
        return found if binding.definition is None else {*found, binding.definition}

    def _expand(self, behaviour: Behaviour, line: int) -> None:
        """A function may be called from here on: what it reads and changes, the step does."""
        # In a branch it may do what it did not do in the session.
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
        """A name stands for something else from now on."""
        self.names[binding.name] = self.step.local[binding.name] = binding
        if binding.definition is not None and binding.name in binding.definition.names:
            if binding.kind == "value":
                self._states[binding.definition] = binding
            else:
                self._states.pop(binding.definition, None)
        if binding.direct is not None:
            self._summaries.clear()

    def facts(self, binding: Binding) -> Facts | None:
        """What the session knows of a value: only if the name was not bound again below."""
        if self.last_bound.get(binding.name) != binding.cell:
            return None
        return self.session.facts(binding.name)

    def certain_facts(self, binding: Binding) -> Facts | None:
        """As `facts`; None as well where the session's value may not be the only one."""
        return None if binding.loose or binding.unsure else self.facts(binding)

    def varies(self, name: str) -> bool:
        """Whether other values of parameters may make a name stand for another object, type or number."""
        binding = self.names.get(name)
        return binding is not None and (binding.kind == "parameter" or binding.unsure or binding.derived)

    def immutable(self, binding: Binding) -> bool:
        """Whether what a name stands for can never change, or belongs to a library."""
        facts = self.certain_facts(binding)
        if facts is None:
            return binding.constant or binding.is_import
        return binding.constant or facts.immutable or (binding.is_import and not facts.calls_change_it)

    def modules_of(self, sources: Iterable[Source]) -> frozenset[str]:
        """The imported modules of which an object may be a part, or which it may be."""
        found = [
            self.names[s.name] for s in sources if s.name in self.names and s.relation in ("same", "part")
        ]
        return frozenset(m for b in found for m in ([b.origin] if b.origin else b.perhaps))

    def behaviours_of(self, uses: Iterable[str]) -> set[Behaviour]:
        """The functions that may run when values of these names are used."""
        return {b for name in uses if name in self.names for b in self.names[name].behaviours}

    @property
    def made(self) -> BindingKind:
        """What a name stands for that is bound to a value here."""
        return "value" if self.step.name else "prelude"


def _at(effect: Effect, line: int) -> Effect:
    """An effect of a function, seen at the line from which the function may be called."""
    return replace(effect, line=line) if isinstance(effect, Read) else effect
