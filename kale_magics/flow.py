"""The walk through the notebook, from top to bottom: who makes what a step reads.

`Flow` keeps what every name stands for at the point that the walk has reached (`bindings`). Each effect of a
cell either looks a name up, then the step takes what its maker hands on, or gives it a new meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from kale_magics.analysis.cells import CellFacts
from kale_magics.analysis.effects import (
    PARAMETER,
    Behaviour,
    Bind,
    Branch,
    Call,
    Define,
    Dynamic,
    Effect,
    Mutate,
    Path,
    Read,
    Source,
    Unbind,
    flattened,
)
from kale_magics.analysis.knowledge import (
    CHANGING_FUNCTIONS,
    CONSUMING_FUNCTIONS,
    HOLDING_METHODS,
    method_changes,
)
from kale_magics.analysis.summaries import Summary, parameter_for, summarise
from kale_magics.bindings import Binding, Definition, StepFlow
from kale_magics.session import BUILTINS, Facts, Session, star_names

Missing = Callable[[StepFlow, str, int, bool], None]
Conflict = Callable[[StepFlow, str, Binding], None]


class Flow:
    """What names stand for, as far as the walk has come.

    Args:
        session: What a live kernel knows.
        last_bound: For every name the number of the last cell that binds it.
        missing: Is told of a name that nothing above makes: step, name, line, whether it is read for certain.
        conflict: Is told of a step that goes on with what another step has changed meanwhile.
    """

    def __init__(
        self, session: Session, last_bound: dict[str, int], missing: Missing, conflict: Conflict
    ) -> None:
        self.session, self.last_bound = session, last_bound
        self.missing, self.conflict = missing, conflict
        self.names: dict[str, Binding] = {}
        self.groups: dict[str, set[str]] = {}
        self.definitions: dict[Behaviour, Definition] = {}
        self.all_definitions: list[Definition] = []
        self.partners: list[tuple[StepFlow, frozenset[str]]] = []
        self.step = StepFlow("")
        self.cell = -1
        self._expanded: set[Behaviour] = set()
        self._branches = 0
        self._summaries: dict[Behaviour, Summary] = {}
        self._identities: dict[str, int] = {}

    def walk(self, step: StepFlow, number: int, facts: CellFacts, statements: Iterable[int] | None = None) -> None:
        """Go through a cell.

        Args:
            step: The step that it belongs to; one without a name for the prelude.
            number: The cell's number in the notebook.
            facts: What is in it.
            statements: The statements to go through; all by default.
        """
        self.step, self.cell, self._expanded = step, number, set()
        for index in range(len(facts.statements)) if statements is None else statements:
            self.effects(facts.statements[index], index)

    def effects(self, effects: Iterable[Effect], statement: int = -1, late: bool = False) -> None:
        """Go through effects; `late` for those of a function that may be called."""
        for effect in effects:
            if isinstance(effect, Read):
                self.read(effect.name, effect.line, effect.certain and not late)
            elif isinstance(effect, Bind):
                self._bind(effect, late)
            elif isinstance(effect, Mutate):
                self._mutate(effect)
            elif isinstance(effect, Call):
                self._call(effect)
            elif isinstance(effect, Define):
                self._define(effect, statement)
            elif isinstance(effect, Unbind):
                self._unbind(effect, late)
            elif isinstance(effect, Branch):
                self._branch(effect.paths)
            elif isinstance(effect, Dynamic):
                self._dynamic(effect.line)

    # Looking up

    def read(self, name: str, line: int, certain: bool = True) -> None:
        """The step looks a name up."""
        if name.startswith(PARAMETER):
            return
        binding = self.names.get(name)
        known = self.step.local.get(name)
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
            definition = self.definitions.get(behaviour)
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

    def _dynamic(self, line: int) -> None:
        if self.step.dynamic or not self.step.name:
            return
        self.step.dynamic = True
        for name in list(self.names):
            if name not in self.step.local:
                self.read(name, line, certain=False)
                if name in self.step.takes:
                    self.step.optional.add(name)

    # Giving a meaning

    def set(self, binding: Binding) -> None:
        """A name stands for something else from now on."""
        self.names[binding.name] = self.step.local[binding.name] = binding
        if binding.direct is not None:
            self._summaries.clear()

    def _new(self, effect: Bind | Define | Mutate, name: str) -> Binding:
        kind = "value" if self.step.name else "prelude"
        return Binding(name, kind, self.step.name, self.cell, effect.line)  # type: ignore[arg-type]

    def _bind(self, effect: Bind, late: bool) -> None:
        behaviours = self._behaviours(effect.uses) | set(effect.behaviours)
        direct = effect.behaviours[0] if len(effect.behaviours) == 1 and not effect.sources else None
        binding = replace(self._new(effect, effect.name), constant=effect.constant, direct=direct)
        facts = self.facts(binding)
        if effect.constant or (facts is not None and facts.plain):
            behaviours = set()
        old = self.names.get(effect.name)
        if late and old is not None:
            self.read(effect.name, effect.line, certain=False)
            behaviours |= old.behaviours
        alias = self._alias(effect)
        linked = [source.name for source in effect.sources if self._joined(binding, source)]
        if not late and Source(effect.name) not in effect.sources:
            self._leave_group(effect.name)
        if alias is not None:
            binding = replace(binding, direct=alias.direct, definition=None)
        self.set(replace(binding, behaviours=frozenset(behaviours)))
        for name in linked:
            self._join(effect.name, name)

    def _alias(self, effect: Bind) -> Binding | None:
        """What a name stands for if it is just another name for it."""
        only = effect.sources[0] if len(effect.sources) == 1 else None
        return self.names.get(only.name) if only is not None and only.bond == "same" else None

    def _behaviours(self, uses: Iterable[str]) -> set[Behaviour]:
        return {b for name in uses if name in self.names for b in self.names[name].behaviours}

    def _unbind(self, effect: Unbind, late: bool) -> None:
        if late:
            self.read(effect.name, effect.line, certain=False)
            return
        self.read(effect.name, effect.line)
        self.names.pop(effect.name, None)
        self.step.local[effect.name] = None
        self._leave_group(effect.name)

    def _define(self, effect: Define, statement: int) -> None:
        for name in sorted(_names_at_once(effect)):
            self.read(name, effect.line, certain=_certain(effect, name))
        self.effects((e for e in effect.at_once if not isinstance(e, Read)), statement)
        needs = tuple(self.names[name] for name in sorted(_names_at_once(effect)) if name in self.names)
        names = star_names(effect.module) if effect.module else effect.names
        behaviours = {b for need in needs for b in need.behaviours}
        if effect.behaviour is not None:
            behaviours.add(effect.behaviour)
        top = not self._branches and statement >= 0
        definition = None
        if top and all(need.kind != "value" for need in needs) and not self._impure(effect):
            definition = self._definition(effect, statement, names, needs)
        for name in names:
            self._leave_group(name)
            binding = replace(self._new(effect, name), behaviours=frozenset(behaviours), direct=effect.behaviour)
            if definition is not None:
                binding = replace(binding, kind="definition", definition=definition)
            self.set(binding)

    def _definition(
        self, effect: Define, statement: int, names: tuple[str, ...], needs: tuple[Binding, ...]
    ) -> Definition:
        first = names[0] if names else effect.module
        count = self._identities[first] = self._identities.get(first, 0) + 1
        definition = Definition(
            self.cell, statement, effect.kind, names, str(count), not self.step.name, needs, effect.modules
        )
        self.all_definitions.append(definition)
        if effect.behaviour is not None:
            self.definitions[effect.behaviour] = definition
        return definition

    def _impure(self, effect: Define) -> bool:
        """Whether a definition calls code of the notebook that changes something when it runs."""
        if not any(isinstance(e, Call) for e in flattened(effect.at_once)) and not effect.decorated:
            return False
        own = (e for b in self._behaviours(_names_at_once(effect)) for e in b.effects)
        return any(
            isinstance(e, Bind)
            or (isinstance(e, Mutate) and not e.source.name.startswith(PARAMETER))
            or (isinstance(e, Call) and e.method in HOLDING_METHODS and _is_global(e.receiver))
            for e in own
        )

    # Branches

    def _branch(self, paths: tuple[Path, ...]) -> None:
        """Go through every way, each from the same start; what they do not agree on is the step's own value."""
        names, local, groups = dict(self.names), dict(self.step.local), self.groups
        ends: list[dict[str, Binding | None]] = []
        self._branches += 1
        for path in paths:
            self.groups = {name: set(group) for name, group in groups.items()} if groups else {}
            self.effects(path.effects)
            if not path.ends:
                ends.append(_changes(names, self.names))
            taken = {n: b for n, b in self.step.local.items() if n not in local and self.names.get(n) is b and names.get(n) is b}
            groups = _merged(groups, self.groups)
            self.names = dict(names)
            local |= taken
            self.step.local = dict(local)
        self._branches -= 1
        self.groups = groups
        for name in dict.fromkeys(name for end in ends for name in end):
            self._merge(name, [end.get(name, names.get(name)) for end in ends], all(name in end for end in ends))

    def _merge(self, name: str, found: list[Binding | None], always: bool) -> None:
        """A name has been bound on some of the ways."""
        old = self.names.get(name)
        if not always and old is not None:
            self.read(name, old.line, certain=False)
        present = [binding for binding in found if binding is not None]
        if not present:
            self.names.pop(name, None)
            self.step.local[name] = None
            return
        newest = max(present, key=lambda b: (b.cell, b.line))
        self.set(
            replace(
                newest,
                kind="value" if self.step.name else "prelude",
                maker=self.step.name,
                definition=present[0].definition if len(set(present)) == 1 else None,
                behaviours=frozenset(b for binding in present for b in binding.behaviours),
                constant=all(binding.constant for binding in present),
            )
        )

    # Changing objects

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

    def change(self, name: str) -> None:
        """The step changes the object that a name stands for, and so what all its other names stand for."""
        for one in sorted(self.groups.get(name, {name}) | {name}):
            self.read(one, 0, certain=False)
            binding = self.names.get(one)
            if binding is not None:
                kind = "value" if self.step.name else "prelude"
                self.set(replace(binding, kind=kind, maker=self.step.name, constant=False))

    def _mutate(self, effect: Mutate) -> None:
        binding = self.names.get(effect.source.name)
        if binding is None or not self._reaches(effect.source):
            return
        facts = self.facts(binding)
        if effect.cause == "iteration" and not (facts is not None and facts.iterator):
            return
        if self.immutable(binding):
            return
        self.change(binding.name)
        behaviours = self._behaviours(effect.uses) | set(effect.behaviours)
        changed = self.names[binding.name]
        if not behaviours <= changed.behaviours:
            self.set(replace(changed, behaviours=changed.behaviours | behaviours))
        for source in effect.linked:
            if self._joined(changed, source):
                self._join(binding.name, source.name)

    def _reaches(self, source: Source) -> bool:
        """Whether a change of what an expression gives changes what the name stands for."""
        if source.bond == "call":
            return self._given_back(source)
        return source.bond != "weak"

    def _call(self, call: Call) -> None:
        if not call.method:
            self._call_function(call)
        for source in call.receiver if call.method else ():
            self._call_method(call, source)
        root = self.names.get(call.path.partition(".")[0]) if call.path else None
        if root is None or root.is_import:
            for position in CHANGING_FUNCTIONS.get(call.path, ()):
                self._change_all(s for label, sources in call.arguments if label == position for s in sources)
            if call.path in CONSUMING_FUNCTIONS:
                for _, sources in call.arguments:
                    for source in sources:
                        self._mutate(Mutate(source, call.line, "iteration"))
            self._call_back(call)

    def _call_function(self, call: Call) -> None:
        for source in call.receiver:
            binding = self.names.get(source.name)
            if binding is None:
                continue
            function = binding.direct
            if function is not None and source.bond == "same":
                init = function.methods.get("__init__") if function.is_class else function
                if init is not None:
                    self._apply(init, call, bound=function.is_class, owner=None)
            elif not self.immutable(binding):
                self._call_value(binding, call)

    def _call_value(self, binding: Binding, call: Call) -> None:
        """A value is called: an object, a closure, what a decorator has made."""
        facts = self.facts(binding)
        for behaviour in binding.behaviours:
            if behaviour.is_class and "__call__" in behaviour.methods:
                self._apply(behaviour.methods["__call__"], call, bound=True, owner=binding.name)
                return
            if self.summary(behaviour).changed:
                self._change_all(s for _, sources in call.arguments for s in sources)
        if facts is None or facts.calls_change_it:
            self.change(binding.name)

    def _call_method(self, call: Call, source: Source) -> None:
        binding = self.names.get(source.name)
        if binding is None or self.immutable(binding):
            return
        facts = self.facts(binding) if source.bond == "same" else None
        methods = [b.methods[call.method] for b in binding.behaviours if call.method in b.methods]
        for method in methods:
            self._apply(method, call, bound=True, owner=binding.name)
        if methods and (facts is None or facts.own):
            return
        verdict = "yes" if call.inplace else method_changes(call.method, facts.type_name if facts else "")
        certain = self._reaches(source)
        if verdict == "no" or (verdict == "perhaps" and not certain):
            return
        if verdict == "perhaps":
            self.step.guesses.setdefault(binding.name, call.method)
        self.change(binding.name)
        if call.method in HOLDING_METHODS:
            for _, sources in call.arguments:
                for held in sources:
                    if self._joined(self.names[binding.name], held):
                        self._join(binding.name, held.name)

    def _apply(self, function: Behaviour, call: Call, bound: bool, owner: str | None) -> None:
        """A function of the notebook is called: change what it changes, link what it links."""
        summary = self.summary(function)
        given: dict[str, tuple[Source, ...]] = {}
        if bound and owner is not None and function.parameters:
            given[function.parameters[0]] = (Source(owner),)
        for label, sources in call.arguments:
            name = parameter_for(function, label, bound)
            if name is not None:
                given[name] = given.get(name, ()) + sources
        for name in sorted(summary.changed & given.keys()):
            self._change_all(given[name])
        for holder, held in sorted(summary.links):
            for one in given.get(holder, () if holder.startswith(PARAMETER) else (Source(holder),)):
                for other in given.get(held, () if held.startswith(PARAMETER) else (Source(held),)):
                    binding = self.names.get(one.name)
                    if binding is not None and self._joined(binding, other):
                        self._join(one.name, other.name)

    def _call_back(self, call: Call) -> None:
        """A library's function may call the functions of the notebook that it gets, with what else it gets."""
        sources = [s for _, given in call.arguments for s in given] + list(call.receiver if call.method else ())
        functions = [b for s in sources if (n := self.names.get(s.name)) is not None and (b := n.direct) is not None]
        if any(self.summary(function).changed for function in functions if not function.is_class):
            self._change_all(s for s in sources if (n := self.names.get(s.name)) is not None and n.direct is None)

    def _change_all(self, sources: Iterable[Source]) -> None:
        for source in sources:
            binding = self.names.get(source.name)
            if binding is not None and self._reaches(source) and not self.immutable(binding):
                self.change(source.name)

    def summary(self, behaviour: Behaviour) -> Summary:
        """What calling a function does to its arguments."""
        if behaviour not in self._summaries:
            self._summaries[behaviour] = summarise(behaviour, self._function)
        return self._summaries[behaviour]

    def _function(self, name: str) -> Behaviour | None:
        binding = self.names.get(name)
        return binding.direct if binding is not None else None

    # Names that share an object

    def _joined(self, binding: Binding, source: Source) -> bool:
        """Whether a name's value may share an object with another one that can change."""
        other = self.names.get(source.name)
        if other is None or other.name == binding.name or self.immutable(other) or self.immutable(binding):
            return False
        if source.bond == "same":
            return other.direct is None
        final = self.facts(binding) is not None and self.facts(other) is not None
        shared = self.session.shares(binding.name, other.name) if final else None
        if source.bond == "part" or (source.bond == "call" and self._given_back(source)):
            return shared is not False
        return shared is True

    def _given_back(self, source: Source) -> bool:
        """Whether a function of the notebook may give back, or hold, what it got."""
        if source.callee.startswith("."):
            binding = self.names.get(source.name)
            return binding is not None and any(source.callee[1:] in b.methods for b in binding.behaviours)
        function = self._function(source.callee)
        if function is None:
            return False
        if function.is_class:
            return True
        return parameter_for(function, source.argument, bound=False) in self.summary(function).returned

    def _join(self, one: str, other: str) -> None:
        union = self.groups.get(one, {one}) | self.groups.get(other, {other})
        for name in union:
            self.groups[name] = union
        for name in sorted(union):
            # Who links them has them all, so that they can be handed on together.
            self.read(name, 0, certain=False)

    def _leave_group(self, name: str) -> None:
        group = self.groups.pop(name, None)
        if group:
            group.discard(name)


def _is_global(sources: Iterable[Source]) -> bool:
    return any(not source.name.startswith(PARAMETER) for source in sources)


def _names_at_once(effect: Define) -> set[str]:
    return {e.name for e in flattened(effect.at_once) if isinstance(e, Read)}


def _certain(effect: Define, name: str) -> bool:
    return any(isinstance(e, Read) and e.name == name and e.certain for e in flattened(effect.at_once))


def _at(effect: Effect, line: int) -> Effect:
    """An effect of a function, seen at the line from which the function may be called."""
    return replace(effect, line=line) if isinstance(effect, Read) else effect


def _changes(before: dict[str, Binding], after: dict[str, Binding]) -> dict[str, Binding | None]:
    changed: dict[str, Binding | None] = {n: b for n, b in after.items() if before.get(n) is not b}
    return changed | {name: None for name in before.keys() - after.keys()}


def _merged(one: dict[str, set[str]], other: dict[str, set[str]]) -> dict[str, set[str]]:
    merged = {name: set(group) for name, group in one.items()}
    for name, group in other.items():
        union = merged.get(name, {name}) | group
        for member in group:
            union |= merged.get(member, set())
        for member in union:
            merged[member] = union
    return merged
