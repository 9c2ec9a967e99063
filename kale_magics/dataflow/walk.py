"""The walk through the notebook, from top to bottom, that resolves names and finds the inputs of steps.

Each effect of a cell looks up a name, which makes its value an input of the step; or binds a name; or
changes an object.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import zip_longest

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
    Path,
    Read,
    Unbind,
    flattened,
)
from kale_magics.analysis.library_effects import result_type
from kale_magics.analysis.library_rules import FACTORIES, HARMLESS_DECORATORS, ITERATORS
from kale_magics.analysis.star_imports import star_names
from kale_magics.dataflow.bindings import Binding, Definition, Memory, StepFlow, bound_by
from kale_magics.dataflow.calls import Calls
from kale_magics.dataflow.isolation import CACHES
from kale_magics.dataflow.lookup import NO_EVIDENCE
from kale_magics.dataflow.sharing import CACHE_PREFIX
from kale_magics.session.evidence import Evidence

REPLAYABLE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


class Flow(Calls):
    """Applies the effects of cells, in the order of the notebook."""

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
        self.step, self.cell, self._expanded = step, number, set()
        self._used, self.incoming = set(), []
        self._cell_varies = any(
            self.varies(n) for effects in facts.statements for n in names_mentioned(effects)
        )
        self.evidence = evidence or NO_EVIDENCE
        self._rebound = _bound_again(facts)
        before = dict(self.names)
        for index in range(len(facts.statements)) if statements is None else statements:
            # A definition inside a compound statement cannot be replayed alone.
            single = isinstance(facts.python.tree.body[index], REPLAYABLE)
            self._varies = False
            self._statement = index
            self.effects(facts.statements[index], index if single else -1)
            if not step.name:
                self._record_varying(facts.statements[index])
        self.apply_evidence(before)

    def _record_varying(self, effects: tuple[Effect, ...]) -> None:
        """Record the names whose values differ each time that a step computes them."""
        for effect in flattened(effects):
            if isinstance(effect, Bind) and effect.name in self.names:
                if self._varies or not self.varying.keys().isdisjoint(effect.uses):
                    self.varying[effect.name] = self.names[effect.name]
                else:
                    self.varying.pop(effect.name, None)

    def effects(self, effects: Iterable[Effect], statement: int = -1, late: bool = False) -> None:
        """Apply effects; `late` for those of a function that may be called."""
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
                self._branch(effect)
            elif isinstance(effect, Dynamic):
                self._dynamic(effect)

    def _dynamic(self, effect: Dynamic) -> None:
        line = effect.line
        self.step.executes += [(self.cell, line)] if effect.executes else []
        if not self.step.name:
            return
        for name in list(self.names) if not self.step.dynamic else ():
            if name not in self.step.local or name in self.step.forwarded:
                self.read(name, line, certain=False)
                if name in self.step.inputs:
                    self.step.optional.add(name)
        self.step.dynamic = True
        varied = self._cell_varies or any(map(self.varies, effect.selectors))
        if effect.executes and (varied or self.evidence is NO_EVIDENCE):
            self._rebind_any()
        for source in self.variables() if effect.evaluates else ():
            self.assume_change(source.name, "eval()", not any(map(self.varies, effect.selectors)))

    def _rebind_any(self) -> None:
        """Let the step produce all variables from here on: a computed name may be that of any of them."""
        for name, binding in sorted(self.names.items()):
            if binding.direct is None and not binding.is_import:
                self.read(name, 0, certain=False, forward=True)
                other = replace(
                    binding, kind=self.value_kind, producer=self.step.name, cell=self.cell, fresh=""
                )
                self.rebind(replace(other, constant=False, unobserved=True, unsure=True))

    def _new(self, effect: Bind | Define, name: str) -> Binding:
        unobserved = self._branches > 0 or name in self._rebound
        return Binding(name, self.value_kind, self.step.name, self.cell, effect.line, unobserved=unobserved)

    def _bind(self, effect: Bind, late: bool) -> None:
        behaviours = self.behaviours_of(effect.uses) | set(effect.behaviours)
        binding = self._bound(effect, late)
        facts = self.certain_facts(binding)
        filled = any(map(self.varies, effect.fillers))  # other parameters may put other objects into it
        plain = facts is not None and facts.plain and effect.name not in self.losing_parts and not filled
        if effect.constant or plain:
            behaviours = set()
        old = self.names.get(effect.name)
        if old is not None and effect.name in effect.uses:
            self.record(self.changes, old)
        if late and old is not None:
            self.read(effect.name, effect.line, certain=False, forward=True)
            behaviours |= old.behaviours
        elif not late and not self._branches:
            self.step.forwarded.pop(effect.name, None)
        alias = self.names.get(effect.alias)
        caches = frozenset[str]() if self.immutable(binding) else self._caches_of(binding, effect)
        linked = self.sharers(binding, effect.sources)
        if filled:
            sharers = self.sharers(replace(binding, unsure=True), effect.sources)
            if any(name for name in sharers if self.names[name].kind != "parameter"):
                binding, linked = replace(binding, unsure=True), sharers
        self.read_groups(*(name for name, likely in linked.items() if likely))
        if not late:
            self.leave_group(effect.name)
        if alias is not None:
            binding = replace(
                binding,
                direct=alias.direct,
                origin=alias.origin,
                memory=alias.memory,
                type_name=alias.type_name,
                inplace=alias.inplace,
                path=alias.path,
                possible_modules=alias.possible_modules,
            )
        self.rebind(replace(binding, behaviours=frozenset(behaviours), caches=caches))
        self.join_all(effect.name, linked)
        for other in self.group(effect.name) if late else ():
            # The binding may not have happened; then they still share what they shared.
            if other != effect.name:
                self.join(effect.name, other)

    def _bound(self, effect: Bind, late: bool) -> Binding:
        """Return the binding that the statement itself shows."""
        function = None if effect.sources else effect.function
        binding = replace(
            self._new(effect, effect.name),
            constant=effect.constant,
            direct=function,
            unsure=not effect.constant and self._is_unsure(effect),
            type_name=self._type_made(effect.made_by),
            inplace=effect.inplace,
            fresh="" if late else self.step.name,
            path=self.origin(effect.path) if effect.path else "",
            possible_modules=self.modules_of(effect.sources),
        )
        facts = self.certain_facts(binding)
        simple = self.immutable(binding) or (facts is not None and facts.may_be_setting)
        if simple and any(self.varies(name) for name in effect.uses):
            return replace(binding, derived=True, flag=facts is None or facts.type_name == "bool")
        return binding

    def _is_unsure(self, effect: Bind) -> bool:
        """Whether other parameter values may bind the name to an object of another kind."""
        used = [self.names[name] for name in effect.uses if name in self.names]
        if self._chosen or any(b.unsure for b in used) or any(map(self.varies, effect.selectors)):
            return True
        if any(self.names[name].flag for name in effect.flags if name in self.names):
            return True
        for binding in used:
            for function in self._called(binding, effect.made_by):
                reads = {e.name for e in function.effects if isinstance(e, Read)}
                if function.selects and any(
                    self.varies(name) for name in (effect.uses | reads) - {binding.name}
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
            function = self.initialiser(binding)
        if function is not None:
            yield function

    def _type_made(self, called: str) -> str:
        """Return the type of a library function's result; for a class factory, its own name."""
        origin = self.origin(called)
        if not origin and called and called not in self.names:
            owner, _, method = called.rpartition(".")
            kind = self._known_type(self.names[owner]) if owner in self.names else ""
            origin = f"{kind}.{method}" if kind else "" if owner else called
        if not origin or origin in FACTORIES:
            return origin
        return origin if origin in ITERATORS else result_type(origin)

    def _caches_of(self, binding: Binding, effect: Bind) -> frozenset[str]:
        """Return the cached functions whose cache holds the value from now on."""
        found = set[str]()
        for source in self.expanded(effect.sources):
            if source.name.startswith(CACHE_PREFIX):
                found.add(source.name.removeprefix(CACHE_PREFIX))
            elif source.relation in ("same", "part") and source.name in self.names:
                found |= self.names[source.name].caches
        known = self.certain_facts(binding) is not None
        return frozenset(f for f in found if not known or self.session.shares(binding.name, f) is not False)

    def _decoration(self, effect: Define) -> tuple[Behaviour | None, Memory]:
        """Return the function behind a decorated name, if the text shows it, and the kind of its state."""
        for path in effect.decorators:
            if self.origin(path) in CACHES:
                return effect.behaviour, "cached"
            decorator = self.function(path)
            if decorator is not None and decorator.is_class:
                return None, ""  # an object of that class
            if decorator is not None and decorator.keeps_state:
                return effect.behaviour, "own"
        return effect.behaviour, ""

    def _unbind(self, effect: Unbind, late: bool) -> None:
        if late:
            self.read(effect.name, effect.line, certain=False)
            return
        self.read(effect.name, effect.line)
        self.names.pop(effect.name, None)
        self.step.local[effect.name] = None
        self.leave_group(effect.name)

    def _define(self, effect: Define, statement: int) -> None:
        grown = self._run_at_once(effect, statement)
        needs = tuple(self.names[name] for name in sorted(_names_at_once(effect)) if name in self.names)
        names = star_names(effect.module) if effect.module else effect.names
        origins = effect.origins or tuple(f"{effect.module}.{name}" for name in names if effect.module)
        behaviours = {b for need in needs for b in need.behaviours}
        if effect.behaviour is not None:
            behaviours.add(effect.behaviour)
        top = not self._branches and statement >= 0
        if not self.step.name and effect.kind != "import":
            # A compound statement of the prelude runs as a whole in every step.
            top, statement = True, self._statement
        definition = None
        new = self._new(effect, "")
        held = (
            effect.kind == "def" and bool(self.step.name) and bool(self.sharers(new, effect.default_sources))
        )
        if top and not held and grown is not None and all(need.kind != "value" for need in needs):
            definition = self._definition(effect, statement, names, needs)
        if not self.step.name and effect.behaviour is not None and self._escapes(effect, needs):
            self.escaped.add(effect.behaviour)
        direct, memory = self._decoration(effect)
        for name, origin in zip_longest(names, origins, fillvalue=""):
            self.leave_group(name)
            binding = replace(
                self._new(effect, name),
                behaviours=frozenset(behaviours),
                direct=direct,
                origin=origin,
                memory=memory,
            )
            if definition is not None:
                binding = replace(binding, kind="definition", definition=definition)
            self.rebind(binding)
            if effect.default_sources and (definition is None or not self.step.name):
                self.hold(name, effect.default_sources)
            for need in needs:
                # A change of a class that cannot be replayed is visible in its subclasses.
                if effect.kind == "class" and need.definition is None and need.direct is not None:
                    self.join(name, need.name)
        for binding in grown or () if definition is not None else ():
            # A step that uses the registry needs what was registered too.
            self.rebind(replace(binding, definition=definition, behaviours=binding.behaviours | behaviours))

    def _escapes(self, effect: Define, needs: Iterable[Binding]) -> bool:
        """Whether code outside of the notebook may hold a reference to a definition."""
        if effect.kind == "class" and any(n.direct is not None and n.direct.is_class for n in needs):
            return True  # `Base.__subclasses__()` returns it
        origins = [self.origin(path) or path for path in effect.decorators]
        return not all(o.partition(".")[0] in HARMLESS_DECORATORS for o in origins)

    def _run_at_once(self, effect: Define, statement: int) -> list[Binding] | None:
        """Apply what a definition does when its statement runs.

        Returns:
            The definitions that it adds to, as with `@dispatcher.register`; None if it changes anything else.
        """
        names = sorted(_names_at_once(effect))
        before = dict(self.names) if names else {}
        # A decorator that was called for another definition runs again.
        idle = {(b, way) for b in self._uncalled_classes(effect, names) for way in (True, False)}
        expanded, self._expanded = self._expanded, set(idle)
        for name in names:
            self.read(name, effect.line, certain=_certain(effect, name))
        self.effects((e for e in effect.at_once if not isinstance(e, Read)), statement)
        if effect.kind == "class":
            for name in names:
                for base in self.behaviours_of([name]):  # the inherited ones too
                    if "__init_subclass__" in base.methods:
                        self.effects(base.methods["__init_subclass__"].effects, late=True)
        self._expanded = expanded | (self._expanded - idle)
        changed = [binding for name, binding in before.items() if self.names.get(name) is not binding]
        if any(binding.kind != "definition" or binding.is_import for binding in changed):
            for binding in changed:
                # A registry of the notebook may hold this definition from now on.
                current = self.names.get(binding.name)
                if current is not None and effect.behaviour is not None and not current.is_import:
                    self.rebind(replace(current, behaviours=current.behaviours | {effect.behaviour}))
            return None
        for binding in changed:
            self.rebind(binding)
        self._expanded = expanded  # a use of the definition applies the restored change again
        return changed

    def _uncalled_classes(self, effect: Define, names: Iterable[str]) -> set[Behaviour]:
        """Return the functions behind the classes that a definition names without calling, as its bases."""
        calls = [e.path for e in flattened(effect.at_once) if isinstance(e, Call)]
        called = {path.partition(".")[0] for path in (*calls, *effect.decorators)}
        classes = (self.names[name] for name in names if name in self.names and name not in called)
        return {b for c in classes if c.direct is not None and c.direct.is_class for b in c.behaviours}

    def _definition(
        self, effect: Define, statement: int, names: tuple[str, ...], needs: tuple[Binding, ...]
    ) -> Definition:
        first = names[0] if names else effect.module
        count = self._identities[first] = self._identities.get(first, 0) + 1
        definition = Definition(
            self.cell, statement, effect.kind, names, str(count), not self.step.name, needs, effect.modules
        )
        self.definitions.append(definition)
        if effect.behaviour is not None:
            self._of_behaviour[effect.behaviour] = definition
        return definition

    def _branch(self, branch: Branch) -> None:
        """Apply each path from the same start; a name whose binding differs becomes the step's own value."""
        unsure = branch.loop is None or any(self.varies(name) for name in branch.loop)
        again = branch.loop is not None and not self._repeats and _carries_over(branch.paths[0].effects)
        paths = (Path(branch.paths[0].effects * 2), *branch.paths) if again else branch.paths
        chosen = any(map(self.varies, branch.selectors))
        self._unsure += unsure
        self._repeats += again
        self._chosen += chosen
        filled = branch.loop is not None and unsure
        self._filled_by_given += filled
        self._paths(paths)
        self._chosen -= chosen
        self._filled_by_given -= filled
        self._repeats -= again
        self._unsure -= unsure

    def _paths(self, paths: tuple[Path, ...]) -> None:
        names, local, groups = dict(self.names), dict(self.step.local), self.groups
        ends: list[dict[str, Binding | None]] = []
        self._branches += 1
        for path in paths:
            self.groups = _copied(groups)
            self.effects(path.effects)
            if not path.ends:
                ends.append(_changes(names, self.names))
            taken = {
                n: b
                for n, b in self.step.local.items()
                if n not in local and self.names.get(n) is b and names.get(n) is b
            }
            groups = _merged(groups, self.groups)
            self.names = dict(names)
            local |= taken
            self.step.local = dict(local)
        self._branches -= 1
        self.groups = groups
        for name in dict.fromkeys(name for end in ends for name in end):
            self._merge(
                name, [end.get(name, names.get(name)) for end in ends], all(name in end for end in ends)
            )

    def _merge(self, name: str, found: list[Binding | None], always: bool) -> None:
        """Merge the bindings of a name at the ends of the paths."""
        old = self.names.get(name)
        others = [other for other in self.group(name) if other != name]
        if not always and old is not None:
            self.read(name, old.line, certain=False, forward=True)
        present = [binding for binding in found if binding is not None]
        if not present:
            self.names.pop(name, None)
            self.step.local[name] = None
            return
        newest = max(present, key=lambda b: (b.cell, b.line))
        fresh = always and len(present) == len(found) and all(b.fresh == self.step.name for b in present)
        self.rebind(
            replace(
                newest,
                fresh=self.step.name if fresh else "",
                kind=self.value_kind,
                producer=self.step.name,
                definition=present[0].definition if len({b.definition for b in present}) == 1 else None,
                behaviours=frozenset(b for binding in present for b in binding.behaviours),
                constant=all(binding.constant for binding in present),
                direct=newest.direct if len({b.direct for b in present}) == 1 else None,
                type_name=newest.type_name if len({b.type_name for b in present}) == 1 else "",
                unsure=any(binding.unsure for binding in present),
                derived=any(binding.derived for binding in present),
                inplace=any(binding.inplace for binding in present),
                path=newest.path if len({b.path for b in present}) == 1 else "",
                possible_modules=frozenset(
                    module for binding in present for module in binding.possible_modules
                ),
            )
        )
        for other in others:
            self.join(name, other)


def _bound_again(facts: CellFacts) -> set[str]:
    """Return the names that a cell binds more than once."""
    times = Counter(name for effects in facts.statements for name in bound_by(effects))
    return {name for name, count in times.items() if count > 1}


def _carries_over(effects: tuple[Effect, ...]) -> bool:
    """Whether a loop uses a name above its binding there: the next iteration finds it bound."""
    used = set[str]()
    for effect in flattened(effects):
        if isinstance(effect, Read):
            used.add(effect.name)
        elif isinstance(effect, Bind) and effect.name in used:
            return True
    return False


def _names_at_once(effect: Define) -> set[str]:
    return {e.name for e in flattened(effect.at_once) if isinstance(e, Read)}


def _certain(effect: Define, name: str) -> bool:
    return any(isinstance(e, Read) and e.name == name and e.certain for e in flattened(effect.at_once))


def _changes(before: dict[str, Binding], after: dict[str, Binding]) -> dict[str, Binding | None]:
    changed: dict[str, Binding | None] = {n: b for n, b in after.items() if before.get(n) is not b}
    return changed | dict.fromkeys(before.keys() - after.keys())


def _copied(groups: dict[str, set[str]]) -> dict[str, set[str]]:
    """Copy groups; each copy is still one set for all its members."""
    copies = {id(group): set(group) for group in groups.values()}
    return {name: copies[id(group)] for name, group in groups.items()}


def _merged(one: dict[str, set[str]], other: dict[str, set[str]]) -> dict[str, set[str]]:
    merged = _copied(one)
    for name, group in other.items():
        union = merged.get(name, {name}) | group
        for member in group:
            union |= merged.get(member, set())
        for member in union:
            merged[member] = union
    return merged
