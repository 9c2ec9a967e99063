"""Lookup of names: what a name refers to where it is used, and what the step needs then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kale_magics.analysis.effects import PARAMETER, Behaviour, Bind, Define, Effect, Read, Source
from kale_magics.dataflow.bindings import Binding, BindingKind, Definition
from kale_magics.dataflow.walk_state import WalkState
from kale_magics.session.namespace import BUILTINS
from kale_magics.session.objects import Facts


class NameLookup:
    """Resolves names, and records what steps need.

    Args:
        state: The state of the walk.
    """

    def __init__(self, state: WalkState) -> None:
        self.state = state

    def read(self, name: str, line: int, certain: bool = True, forward: bool = False) -> None:
        """Read a name in the step; with `forward` the step only passes its value on."""
        if name.startswith(PARAMETER):
            return
        binding = self.state.names.get(name)
        # The prelude has no inputs: names that its cells define for each other are resolved as in a step.
        known = self.state.step.local.get(name) if self.state.step.name else None
        if known is not None:
            if known is not binding and binding is not None:
                self.state.conflict(self.state.step, name, binding)
            if not forward and name in self.state.step.forwarded and known.fresh != self.state.step.name:
                self._need(name)
        elif binding is None:
            if name not in BUILTINS and not forward:
                self.state.missing(self.state.step, name, line, certain and not self.state.branches)
        else:
            if (
                self.state.step.name and name in self.state.step.local
            ):  # the step deleted its own value of that name
                self.state.conflict(self.state.step, name, binding)
            self.state.step.local[name] = binding
            self.add_input(binding, forward)
        if forward:
            return
        if binding is not None and line and not binding.is_import:
            self.record(self.state.uses, binding)
        for behaviour in (binding or known or Binding(name, "prelude")).behaviours:
            self._expand(behaviour, line)

    def _need(self, name: str) -> None:
        """Make a forwarded value an input, with the state of its functions."""
        binding = self.state.step.inputs[name] = self.state.step.forwarded.pop(name)
        for behaviour in binding.behaviours:
            definition = self.state.of_behaviour.get(behaviour)
            state = self.state.states.get(definition) if definition is not None else None
            if state is not None and state.name in self.state.step.forwarded:
                self._need(state.name)

    def new_binding(self, effect: Bind | Define, name: str) -> Binding:
        """Return a binding that an effect of the current cell makes."""
        unobserved = self.state.branches > 0 or name in self.state.rebound
        return Binding(
            name,
            self.value_kind,
            self.state.step.name,
            self.state.cell,
            effect.line,
            unobserved=unobserved,
        )

    def record(self, pairs: dict[tuple[int, int], str], binding: Binding) -> None:
        """Record that the current cell uses or changes a value of another cell."""
        producer = max(binding.cell, binding.changed)
        if producer != self.state.cell:
            pairs.setdefault((producer, self.state.cell), binding.name)

    def add_input(self, binding: Binding, forward: bool = False) -> None:
        """Give the step a value; with `forward` only where a downstream step takes it from there."""
        if binding.kind == "definition" and binding.definition is not None:
            self.replay(binding.definition)
        elif binding.kind == "parameter":
            self.state.step.parameters.add(binding.name)
        elif binding.kind == "value" and binding.producer != self.state.step.name:
            if self.state.step.inputs.get(binding.name, binding) is not binding:
                self.state.conflict(self.state.step, binding.name, binding)
            (self.state.step.forwarded if forward else self.state.step.inputs)[binding.name] = binding
            earlier = next((g for g in self.state.incoming if binding.name in g), None)
            group = earlier or self.state.groups.get(binding.name)
            if group:
                taken = self.state.step.inputs.keys() | self.state.step.forwarded.keys()
                # An unused name of the group may still become an input after this one has left the group.
                self.state.shared_inputs.append(
                    (self.state.step, frozenset(group - (self.state.step.local.keys() - taken)))
                )
            if binding.definition is not None:
                self.replay(binding.definition)
        for behaviour in binding.behaviours:
            definition = self.state.of_behaviour.get(behaviour)
            if definition is None or definition is binding.definition:
                continue
            self.replay(definition)
            state = self.state.states.get(definition)
            if state is not None and self.state.names.get(state.name) is state:
                self.state.read(state.name, state.line, certain=False, forward=forward)
            elif state is not None and state.producer != self.state.step.name:
                self._add_state(state, forward)

    def _add_state(self, state: Binding, forward: bool) -> None:
        """Give the step the state of a function or class whose name refers to something else now."""
        known = self.state.step.inputs.get(state.name) or self.state.step.forwarded.get(state.name)
        if known is None:  # the step binds the name itself only after its inputs are loaded
            (self.state.step.forwarded if forward else self.state.step.inputs)[state.name] = state
        elif known is not state:
            self.state.conflict(self.state.step, state.name, known)

    def replay(self, definition: Definition) -> None:
        """Give the step a definition, with all that it needs."""
        if definition.in_prelude:
            if definition.kind == "import":
                self.state.step.imports.add(definition)
            return
        if definition.cell in self.state.step.cells or definition in self.state.step.replays:
            return
        self.state.step.replays.add(definition)
        for need in definition.needs:
            if need.definition is not None:
                self.replay(need.definition)
            elif need.kind == "parameter":
                self.state.step.parameters.add(need.name)

    def definitions_of(self, binding: Binding) -> set[Definition]:
        """Return the definitions without which a value cannot be loaded."""
        found = {self.state.of_behaviour[b] for b in binding.behaviours if b in self.state.of_behaviour}
        return found if binding.definition is None else {*found, binding.definition}

    def _expand(self, behaviour: Behaviour, line: int) -> None:
        """Apply the effects of a function that may be called from here on."""
        # A branch may do what it did not do in the session.
        expansion = behaviour, self.state.branches > 0
        if expansion in self.state.expanded:
            return
        self.state.expanded.add(expansion)
        self.state.expanding.append(behaviour)
        late, self.state.late = self.state.late, True
        self.state.apply((_at(effect, line) for effect in behaviour.effects), late=True)
        self.state.late = late
        self.state.expanding.pop()

    def rebind(self, binding: Binding) -> None:
        """Bind a name from here on."""
        self.state.names[binding.name] = self.state.step.local[binding.name] = binding
        if binding.definition is not None and binding.name in binding.definition.names:
            if binding.kind == "value":
                self.state.states[binding.definition] = binding
            else:
                self.state.states.pop(binding.definition, None)
        if binding.direct is not None:
            self.state.summaries.clear()

    def facts(self, binding: Binding) -> Facts | None:
        """Return the session's facts about a value, unless the name is bound again below."""
        if self.state.last_bound.get(binding.name) != binding.cell:
            return None
        return self.state.session.facts(binding.name)

    def certain_facts(self, binding: Binding) -> Facts | None:
        """Return the `facts`; None as well where the session's value may not be the only one."""
        return None if binding.unobserved or binding.unsure else self.facts(binding)

    def varies(self, name: str) -> bool:
        """Whether other parameter values may change the object, type or number that a name refers to."""
        binding = self.state.names.get(name)
        return binding is not None and (binding.kind == "parameter" or binding.unsure or binding.derived)

    def reads_varying(self, function: Behaviour) -> bool:
        """Whether a function, or one that it uses, looks up what other parameter values may change."""
        seen, pending = {function}, [function]
        while pending:
            names = {effect.name for effect in pending.pop().effects if isinstance(effect, Read)}
            if any(map(self.varies, names)):
                return True
            used = self.behaviours_of(names) - seen
            seen |= used
            pending += used
        return False

    def immutable(self, binding: Binding) -> bool:
        """Whether a value can never change, or belongs to a library."""
        facts = self.certain_facts(binding)
        if facts is None:
            return binding.constant or binding.is_import
        return binding.constant or facts.immutable or (binding.is_import and not facts.calls_change_it)

    def modules_of(self, sources: Iterable[Source]) -> frozenset[str]:
        """Return the imported modules that an object may be, or be a part of."""
        found = [
            self.state.names[s.name]
            for s in sources
            if s.name in self.state.names and s.relation in ("same", "part")
        ]
        return frozenset(m for b in found for m in ([b.origin] if b.origin else b.possible_modules))

    def behaviours_of(self, uses: Iterable[str]) -> set[Behaviour]:
        """Return the functions that may run when values of these names are used."""
        return {b for name in uses if name in self.state.names for b in self.state.names[name].behaviours}

    @property
    def value_kind(self) -> BindingKind:
        """The kind of a binding to a value here."""
        return "value" if self.state.step.name else "prelude"


def _at(effect: Effect, line: int) -> Effect:
    """Return an effect of a function with the line from which the function may be called."""
    return replace(effect, line=line) if isinstance(effect, Read) else effect
