"""The walk through the notebook, from top to bottom, that resolves names and finds the inputs of steps.

Each effect of a cell looks up a name, which makes its value an input of the step; or binds a name; or
changes an object.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from kale_magics.analysis.cells import CellFacts, names_mentioned
from kale_magics.analysis.effects import (
    Behaviour,
    Bind,
    Branch,
    Call,
    Define,
    Dynamic,
    Effect,
    Mutate,
    Read,
    Unbind,
    flattened,
)
from kale_magics.analysis.library_effects import result_type
from kale_magics.analysis.library_rules import FACTORIES, ITERATORS
from kale_magics.dataflow.bindings import Binding, StepFlow, bound_by
from kale_magics.dataflow.branches import Branches
from kale_magics.dataflow.calls import Calls
from kale_magics.dataflow.changes import Changes
from kale_magics.dataflow.definitions import DefinitionFlow
from kale_magics.dataflow.lookup import NameLookup
from kale_magics.dataflow.sharing import CACHE_PREFIX, Sharing
from kale_magics.dataflow.walk_state import NO_EVIDENCE, WalkState
from kale_magics.session.evidence import Evidence

REPLAYABLE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


class Flow:
    """Applies the effects of cells, in the order of the notebook.

    Args:
        state: The state of the walk.
    """

    def __init__(self, state: WalkState) -> None:
        self.state = state
        self.lookup = NameLookup(state)
        self.sharing = Sharing(state, self.lookup)
        self.changes = Changes(state, self.lookup, self.sharing)
        self.calls = Calls(state, self.lookup, self.sharing, self.changes)
        self.branches = Branches(state, self.lookup, self.sharing, self.changes)
        self.definitions = DefinitionFlow(state, self.lookup, self.sharing, self.changes)
        state.apply = self.effects

    def walk(
        self,
        step: StepFlow,
        number: int,
        facts: CellFacts,
        statements: Iterable[int] | None = None,
        evidence: Evidence | None = None,
    ) -> None:
        """Apply the effects of a cell.

        Args:
            step: The step that it belongs to; one without a name for the prelude.
            number: The cell's number in the notebook.
            facts: The analysis of the cell.
            statements: The statements to apply; all by default.
            evidence: What the session observed of it.
        """
        self.state.step, self.state.cell, self.state.expanded = step, number, set()
        self.state.used, self.state.incoming = set(), []
        self.state.cell_varies = any(
            self.lookup.varies(n) for effects in facts.statements for n in names_mentioned(effects)
        )
        self.state.evidence = evidence or NO_EVIDENCE
        self.state.rebound = _bound_again(facts)
        before = dict(self.state.names)
        for index in range(len(facts.statements)) if statements is None else statements:
            # A definition inside a compound statement cannot be replayed alone.
            single = isinstance(facts.python.tree.body[index], REPLAYABLE)
            self.state.is_varying = False
            self.state.statement = index
            self.effects(facts.statements[index], index if single else -1)
            if not step.name:
                self._record_varying(facts.statements[index])
        self.changes.apply_evidence(before)

    def _record_varying(self, effects: tuple[Effect, ...]) -> None:
        """Record the names whose values differ each time that a step computes them."""
        for effect in flattened(effects):
            if isinstance(effect, Bind) and effect.name in self.state.names:
                if self.state.is_varying or not self.state.varying.keys().isdisjoint(effect.uses):
                    self.state.varying[effect.name] = self.state.names[effect.name]
                else:
                    self.state.varying.pop(effect.name, None)

    def effects(self, effects: Iterable[Effect], statement: int = -1, late: bool = False) -> None:
        """Apply effects; `late` for those of a function that may be called."""
        for effect in effects:
            if isinstance(effect, Read):
                self.changes.read(effect.name, effect.line, effect.certain and not late)
            elif isinstance(effect, Bind):
                self._bind(effect, late)
            elif isinstance(effect, Mutate):
                self.changes.mutate(effect)
            elif isinstance(effect, Call):
                self.calls.call(effect)
            elif isinstance(effect, Define):
                self.definitions.define(effect, statement)
            elif isinstance(effect, Unbind):
                self._unbind(effect, late)
            elif isinstance(effect, Branch):
                self.branches.branch(effect)
            elif isinstance(effect, Dynamic):
                self._dynamic(effect)

    def _dynamic(self, effect: Dynamic) -> None:
        line = effect.line
        self.state.step.executes += [(self.state.cell, line)] if effect.executes else []
        if not self.state.step.name:
            return
        for name in list(self.state.names) if not self.state.step.dynamic else ():
            if name not in self.state.step.local or name in self.state.step.forwarded:
                self.changes.read(name, line, certain=False)
                if name in self.state.step.inputs:
                    self.state.step.optional.add(name)
        self.state.step.dynamic = True
        varied = self.state.cell_varies or any(map(self.lookup.varies, effect.selectors))
        if effect.executes and (varied or self.state.evidence is NO_EVIDENCE):
            self._rebind_any()
        for source in self.sharing.variables() if effect.evaluates else ():
            self.changes.assume_change(
                source.name, "eval()", not any(map(self.lookup.varies, effect.selectors))
            )

    def _rebind_any(self) -> None:
        """Let the step produce all variables from here on: a computed name may be that of any of them."""
        for name, binding in sorted(self.state.names.items()):
            if binding.direct is None and not binding.is_import:
                self.changes.read(name, 0, certain=False, forward=True)
                other = replace(
                    binding,
                    kind=self.lookup.value_kind,
                    producer=self.state.step.name,
                    cell=self.state.cell,
                    fresh="",
                )
                self.lookup.rebind(replace(other, constant=False, unobserved=True, unsure=True))

    def _bind(self, effect: Bind, late: bool) -> None:
        behaviours = self.lookup.behaviours_of(effect.uses) | set(effect.behaviours)
        binding = self._bound(effect, late)
        facts = self.lookup.certain_facts(binding)
        # Other parameters may put other objects into it.
        filled = any(map(self.lookup.varies, effect.fillers))
        keeps = effect.name not in self.state.losing_parts
        if effect.constant or (facts is not None and facts.plain and keeps and not filled):
            behaviours = set()
        old = self.state.names.get(effect.name)
        if old is not None and effect.name in effect.uses:
            self.lookup.record(self.state.changes, old)
        if late and old is not None:
            self.changes.read(effect.name, effect.line, certain=False, forward=True)
            behaviours |= old.behaviours
        elif not late and not self.state.branches:
            self.state.step.forwarded.pop(effect.name, None)
        caches = frozenset[str]() if self.lookup.immutable(binding) else self._caches_of(binding, effect)
        linked = self.sharing.sharers(binding, effect.sources)
        if filled:
            sharers = self.sharing.sharers(replace(binding, unsure=True), effect.sources)
            if any(name for name in sharers if self.state.names[name].kind != "parameter"):
                binding, linked = replace(binding, unsure=True), sharers
        self.sharing.read_groups(*(name for name, likely in linked.items() if likely))
        if not late:
            self.sharing.leave_group(effect.name)
        binding = replace(self._as_alias(binding, effect), behaviours=frozenset(behaviours), caches=caches)
        self.lookup.rebind(binding)
        self.sharing.join_all(effect.name, linked)
        for other in self.sharing.group(effect.name) if late else ():
            # The binding may not have happened; then they still share what they shared.
            if other != effect.name:
                self.sharing.join(effect.name, other)

    def _as_alias(self, binding: Binding, effect: Bind) -> Binding:
        """Return the binding with what is known of the name that it only renames, if there is one."""
        alias = self.state.names.get(effect.alias)
        if alias is None:
            return binding
        return replace(
            binding,
            direct=alias.direct,
            origin=alias.origin,
            memory=alias.memory,
            type_name=alias.type_name,
            is_instance=alias.is_instance,
            inplace=alias.inplace,
            path=alias.path,
            possible_modules=alias.possible_modules,
        )

    def _bound(self, effect: Bind, late: bool) -> Binding:
        """Return the binding that the statement itself shows."""
        function = None if effect.sources else effect.function
        binding = replace(
            self.lookup.new_binding(effect, effect.name),
            constant=effect.constant,
            direct=function,
            unsure=not effect.constant and self._is_unsure(effect),
            type_name=self._type_made(effect.made_by),
            is_instance=self._is_class(effect.made_by),
            inplace=effect.inplace,
            fresh="" if late else self.state.step.name,
            path=self.sharing.origin(effect.path) if effect.path else "",
            possible_modules=self.lookup.modules_of(effect.sources),
        )
        facts = self.lookup.certain_facts(binding)
        simple = self.lookup.immutable(binding) or (facts is not None and facts.may_be_setting)
        if simple and any(self.lookup.varies(name) for name in effect.uses):
            return replace(binding, derived=True, flag=facts is None or facts.type_name == "bool")
        return binding

    def _is_unsure(self, effect: Bind) -> bool:
        """Whether other parameter values may bind the name to an object of another kind."""
        used = [self.state.names[name] for name in effect.uses if name in self.state.names]
        if self.state.chosen or any(b.unsure for b in used) or any(map(self.lookup.varies, effect.selectors)):
            return True
        if any(self.state.names[name].flag for name in effect.flags if name in self.state.names):
            return True
        for binding in used:
            for function in self._called(binding, effect.made_by):
                reads = {e.name for e in function.effects if isinstance(e, Read)}
                if function.selects and any(
                    self.lookup.varies(name) for name in (effect.uses | reads) - {binding.name}
                ):
                    return True
        return False

    def _called(self, binding: Binding, path: str) -> Iterator[Behaviour]:
        """Yield the functions of the notebook that an expression may call through a name, as in `path`."""
        owner, _, method = path.rpartition(".")
        if owner == binding.name:
            yield from (b.methods[method] for b in binding.behaviours if method in b.methods)
        function = binding.direct
        if function is not None and function.is_class:
            function = self.sharing.initialiser(binding)
        if function is not None:
            yield function

    def _type_made(self, called: str) -> str:
        """Return the type of a library function's result; for a class factory, its own name."""
        origin = self.sharing.origin(called)
        if not origin and called and called not in self.state.names:
            owner, _, method = called.rpartition(".")
            kind = self.sharing.known_type(self.state.names[owner]) if owner in self.state.names else ""
            origin = f"{kind}.{method}" if kind else "" if owner else called
        if not origin or origin in FACTORIES:
            return origin
        return origin if origin in ITERATORS else result_type(origin)

    def _is_class(self, called: str) -> bool:
        """Whether a name refers to a class of the notebook."""
        binding = self.state.names.get(called)
        return binding is not None and binding.direct is not None and binding.direct.is_class

    def _caches_of(self, binding: Binding, effect: Bind) -> frozenset[str]:
        """Return the cached functions whose cache holds the value from now on."""
        found = set[str]()
        for source in self.sharing.expanded(effect.sources):
            if source.name.startswith(CACHE_PREFIX):
                found.add(source.name.removeprefix(CACHE_PREFIX))
            elif source.relation in ("same", "part") and source.name in self.state.names:
                found |= self.state.names[source.name].caches
        known = self.lookup.certain_facts(binding) is not None
        return frozenset(f for f in found if not known or self.sharing.observed(binding.name, f) is not False)

    def _unbind(self, effect: Unbind, late: bool) -> None:
        if late:
            self.changes.read(effect.name, effect.line, certain=False)
            return
        self.changes.read(effect.name, effect.line)
        self.state.names.pop(effect.name, None)
        self.state.step.local[effect.name] = None
        self.sharing.leave_group(effect.name)


def _bound_again(facts: CellFacts) -> set[str]:
    """Return the names that a cell binds more than once."""
    times = Counter(name for effects in facts.statements for name in bound_by(effects))
    return {name for name, count in times.items() if count > 1}
