"""What names stand for at the point that the walk has reached, and what a step needs when it looks one up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from kale_magics.analysis.effects import PARAMETER, Behaviour, Effect, Read
from kale_magics.analysis.summaries import Summary
from kale_magics.flow.bindings import Binding, BindingKind, Definition, StepFlow
from kale_magics.session import BUILTINS, Facts, Session

Missing = Callable[[StepFlow, str, int, bool], None]
Conflict = Callable[[StepFlow, str, Binding], None]


class Lookup:
    """What names stand for, and who needs what.

    Args:
        session: What a live kernel knows.
        last_bound: For every name the number of the last cell that binds it.
        missing: Is told of a name that nothing above makes: step, name, line, whether it is read for certain.
        conflict: Is told of a step that goes on with what another step has changed meanwhile.

    Attributes:
        names: What every name stands for.
        groups: For every name those that may share an object with it, itself included.
        partners: Steps, with groups of which they take something.
        definitions: All definitions that can be replayed.
        step: The step that is walked.
        cell: The number of the cell that is walked.
    """

    def __init__(
        self, session: Session, last_bound: dict[str, int], missing: Missing, conflict: Conflict
    ) -> None:
        self.session, self.last_bound = session, last_bound
        self.missing, self.conflict = missing, conflict
        self.names: dict[str, Binding] = {}
        self.groups: dict[str, set[str]] = {}
        self.definitions: list[Definition] = []
        self._of_behaviour: dict[Behaviour, Definition] = {}
        self.partners: list[tuple[StepFlow, frozenset[str]]] = []
        self.step = StepFlow("")
        self.cell = -1
        self._expanded: set[Behaviour] = set()
        self._used: set[str] = set()
        self._branches = 0
        self._summaries: dict[Behaviour, Summary] = {}
        self._identities: dict[str, int] = {}

    def effects(self, effects: Iterable[Effect], statement: int = -1, late: bool = False) -> None:
        """Go through effects; `late` for those of a function that may be called."""
        raise NotImplementedError

    def read(self, name: str, line: int, certain: bool = True) -> None:
        """The step looks a name up."""
        if name.startswith(PARAMETER):
            return
        binding = self.names.get(name)
        # The prelude has no inputs: what its cells need of each other is told as for any other step.
        known = self.step.local.get(name) if self.step.name else None
        if known is not None:
            if known is not binding and binding is not None:
                self.conflict(self.step, name, binding)
        elif binding is None:
            if name not in BUILTINS:
                self.missing(self.step, name, line, certain and not self._branches)
        else:
            self.step.local[name] = binding
            self.take(binding)
        for behaviour in (binding or known or Binding(name, "prelude")).behaviours:
            self._expand(behaviour, line)

    def take(self, binding: Binding) -> None:
        """Let the step have what a name stands for."""
        if binding.kind == "definition" and binding.definition is not None:
            self.replay(binding.definition)
        elif binding.kind == "parameter":
            self.step.parameters.add(binding.name)
        elif binding.kind == "value" and binding.maker != self.step.name:
            self.step.takes[binding.name] = binding
            group = self.groups.get(binding.name)
            if group:
                self.partners.append((self.step, frozenset(group)))
            if binding.definition is not None:
                self.replay(binding.definition)
        for behaviour in binding.behaviours:
            definition = self._of_behaviour.get(behaviour)
            if definition is None or definition is binding.definition:
                continue
            self.replay(definition)
            for name in definition.names:
                current = self.names.get(name)
                if current is not None and current.kind == "value" and current.definition is definition:
                    self.read(name, current.line, certain=False)

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

    def _expand(self, behaviour: Behaviour, line: int) -> None:
        """A function may be called from here on: what it reads and changes, the step does."""
        if behaviour in self._expanded:
            return
        self._expanded.add(behaviour)
        self.effects((_at(effect, line) for effect in behaviour.effects), late=True)

    def rebind(self, binding: Binding) -> None:
        """A name stands for something else from now on."""
        self.names[binding.name] = self.step.local[binding.name] = binding
        if binding.direct is not None:
            self._summaries.clear()

    def facts(self, binding: Binding) -> Facts | None:
        """What the session knows of a value: only if the name was not bound again below."""
        if self.last_bound.get(binding.name) != binding.cell:
            return None
        return self.session.facts(binding.name)

    def immutable(self, binding: Binding) -> bool:
        """Whether what a name stands for can never change, or belongs to a library."""
        facts = self.facts(binding)
        if facts is None:
            return binding.constant or binding.is_import
        return binding.constant or facts.immutable or (binding.is_import and not facts.calls_change_it)

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
