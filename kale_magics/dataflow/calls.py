"""Effects of calls: functions and methods of the notebook, of libraries, and unknown ones."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from operator import or_
from typing import Literal

from kale_magics.analysis.effects import PARAMETER, VARIABLES, Behaviour, Bind, Call, Mutate, Read, Source
from kale_magics.analysis.library_effects import LibraryEffects, function_effects, matches, method_effects
from kale_magics.analysis.library_rules import (
    CALLED_LATER,
    CALLERS,
    CONSUMING_FUNCTIONS,
    FACTORIES,
    GENERATOR_ARGUMENTS,
    HOLDING_METHODS,
    SPLITTERS,
    draws_of,
    generator_of,
    generator_use,
    is_known,
    may_draw,
    method_changes,
)
from kale_magics.analysis.names import part_of
from kale_magics.analysis.summaries import arguments_changed, parameters_for
from kale_magics.dataflow.bindings import Binding
from kale_magics.dataflow.changes import WRITING, Changes
from kale_magics.dataflow.isolation import CACHE_CHANGED, CACHE_FILLED
from kale_magics.dataflow.lookup import NameLookup
from kale_magics.dataflow.sharing import Sharing
from kale_magics.dataflow.walk_state import WalkState
from kale_magics.model.nondeterminism import CLOCK_NAMES, NONDETERMINISTIC

NO_EFFECTS = LibraryEffects()


class Calls:
    """Determines what a call changes.

    Args:
        state: The state of the walk.
        lookup: Resolves names.
        sharing: Knows which names may share an object.
        changes: Changes objects.
    """

    def __init__(self, state: WalkState, lookup: NameLookup, sharing: Sharing, changes: Changes) -> None:
        self.state, self.lookup, self.sharing, self.changes = state, lookup, sharing, changes

    def call(self, call: Call) -> None:
        """Apply what a call may change, draw and keep."""
        before, self.state.given_varies = (
            self.state.given_varies,
            self.state.given_varies or self._is_varied(call),
        )
        root = self.state.names.get(call.path.partition(".")[0]) if call.path else None
        receiver = tuple(self.sharing.expanded(call.receiver))
        origin = self.sharing.origin(call.path)
        if not call.method:
            self._call_function(call, receiver)
        for source in receiver if call.method else ():
            self._call_method(call, source)
        if root is None or root.direct is None:
            self._call_library(call, origin, receiver)
        self.state.given_varies = before

    def _is_varied(self, call: Call) -> bool:
        """Whether other parameter values may make a call treat its arguments differently."""
        given = (source for _, sources in call.arguments for source in sources)
        names = {source.name for source in (*call.receiver, *given)} | call.selectors
        return any(map(self.lookup.varies, names))

    def _call_library(self, call: Call, origin: str, receiver: Sequence[Source]) -> None:
        if origin and not self.state.step.name and not self.state.late:
            # A library may keep an argument, as a handler, and call it in any step.
            self.state.escaped |= self.lookup.behaviours_of(s.name for s in self._arguments(call)) | {
                *call.behaviours
            }
        self._change_all(self._arguments(call, arguments_changed(call, origin)))
        effects = self._effects_of(call, origin, receiver)
        if effects is not None:
            self._apply_effects(call, effects, receiver)
        elif drawn := self._labelled(call, GENERATOR_ARGUMENTS):
            self._assume_changes(drawn, _call_text(call), call.certain)
        elif origin and call.inplace:
            self._assume_changes(self._labelled(call, frozenset({0})), _call_text(call), call.certain)
        elif origin and not is_known(origin):
            self._assume_changes(self._arguments(call), _call_text(call), call.certain)
        elif not call.path and not call.method:
            self._assume_changes(self._arguments(call), _call_text(call), call.certain)
            for source in receiver:
                self._may_hold(source, call)
        if call.method and any((b := self.state.names.get(s.name)) and b.inplace for s in receiver):
            self._assume_changes(self._labelled(call, frozenset({0})), _call_text(call), call.certain)
        if call.path in CONSUMING_FUNCTIONS:
            self._consume(call, self._arguments(call))
        if not origin.rpartition(".")[2][:1].isupper():  # a constructor only stores it
            self._assume_changes(self._generators_in(call), _call_text(call), call.certain)
        self._draw(call, origin)
        self._may_draw(call, origin, receiver)
        if origin in NONDETERMINISTIC or origin.rpartition(".")[2] in CLOCK_NAMES:
            self.state.is_varying = True
            self.state.step.varying_calls.setdefault(origin, (self.state.cell, call.line))
        self._call_back(call)

    def _generators_in(self, call: Call) -> Iterator[Source]:
        """Yield the arguments that may draw from a generator that they were created with."""
        for source in self._arguments(call):
            is_splitter = (
                self._type_of(source).startswith(SPLITTERS) and len(self.sharing.group(source.name)) > 1
            )
            if is_splitter or (source.relation == "call" and source.argument in GENERATOR_ARGUMENTS):
                yield source

    def _effects_of(self, call: Call, origin: str, receiver: Sequence[Source]) -> LibraryEffects | None:
        """Return the known effects of a call to a library; of a method, without its object."""
        named = origin or ("" if call.path.partition(".")[0] in self.state.names else call.path)
        effects = function_effects(named) if named else None  # `list.append(xs, 1)` is one as well
        if effects is not None or origin or not call.method:
            return effects
        kinds = {self._type_of(source) for source in receiver}
        if any(self._is_own_method(source, call.method) for source in receiver):
            return NO_EFFECTS if kinds <= {""} else None
        found = [e for kind in kinds if (e := method_effects(call.method, kind)) is not None]
        return functools.reduce(or_, found) if found else None

    def _is_own_method(self, source: Source, method: str) -> bool:
        """Whether a method is that of a class of the notebook, not of a list that holds an object of it."""
        binding = self.state.names.get(source.name)
        if binding is None or not any(method in b.methods for b in binding.behaviours):
            return False
        if source.relation == "same":
            facts = self.lookup.certain_facts(binding)
            if facts is not None and binding.direct is None:
                return facts.own
            if binding.is_instance or binding.direct is not None:
                return True
        return method_changes(method, "") != "yes" and method_effects(method, "") is None

    def _type_of(self, source: Source) -> str:
        """Return the type of an expression's value; empty if it is not known."""
        binding = self.state.names.get(source.name)
        return self.sharing.known_type(binding) if binding is not None and source.relation == "same" else ""

    def _apply_effects(self, call: Call, effects: LibraryEffects, receiver: Sequence[Source]) -> None:
        """Apply the effects that were observed when the library's function was probed."""
        changed = self._labelled(call, effects.changes)
        if call.method and "" in map(self._type_of, receiver):
            self._assume_changes(changed, f".{call.method}()", call.certain)  # another type may not change it
        else:
            self._change_all(changed)
        if call.inplace or any(self._may_work_in_place(source) for source in receiver):
            first = {0} if self.sharing.origin(call.path) and call.inplace else set[int]()
            may_change = self._labelled(call, effects.may_change | first)
            self._assume_changes(may_change, _call_text(call), call.certain)
        self._consume(call, self._labelled(call, effects.consumes))
        for _, path in call.paths:
            if _changes_something(self.sharing.origin(path)):
                self._assume_changes(self._arguments(call), f"{path}()", call.certain)
        later: set[int] = {0} if (self.sharing.origin(call.path) or call.path) in CALLED_LATER else set()
        for source in self._labelled(call, effects.calls | later):
            self._call_argument(source, call)
        kept = self._labelled(call, effects.keeps)
        holders = [s for s in receiver if s.relation in ("same", "holds", "part")] if call.method else []
        for holder in (*holders, *changed) if kept else ():
            if holder.name in self.state.names and holder.name not in {s.name for s in kept}:
                self.changes.hold(holder.name, kept, call.behaviours)

    def _call_argument(self, source: Source, call: Call) -> None:
        """Apply a call of an argument of which nothing is known, as of `put = items.append`."""
        binding = self.state.names.get(source.name)
        if binding is None or binding.is_import or binding.direct is not None or binding.behaviours:
            return
        facts, known = self.lookup.certain_facts(binding), self.sharing.known_type(binding)
        may_change = not self.lookup.immutable(binding) and (facts is None or facts.calls_change_it)
        if may_change and known in ("", *CALLERS):
            self.changes.assume_change(binding.name, _call_text(call), call.certain)

    def _may_work_in_place(self, source: Source) -> bool:
        binding = self.state.names.get(source.name)
        return binding is not None and (binding.inplace or binding.unsure)

    def _labelled(self, call: Call, labels: frozenset[int | str]) -> list[Source]:
        """Return the arguments of a call that some labels select."""
        found = (s for label, sources in call.arguments if matches(label, labels) for s in sources)
        return self._arguments(call, found)

    def _consume(self, call: Call, sources: Iterable[Source]) -> None:
        for source in sources:
            self.changes.mutate(Mutate(source, call.line, "iteration"))

    def _arguments(self, call: Call, sources: Iterable[Source] | None = None) -> list[Source]:
        if sources is None:
            sources = (s for _, given in call.arguments for s in given)
        return list(self.sharing.expanded(sources))

    def _draw(self, call: Call, origin: str) -> None:
        """Apply a library's random generator being seeded or drawn from, which decides its next numbers."""
        for name, use in generator_use(origin, call.method):
            if use == "seed" and call.arguments:
                self.read_state(name)
                self.lookup.rebind(
                    Binding(name, self.lookup.value_kind, self.state.step.name, self.state.cell, call.line)
                )
            elif use == "draw" and name in self.state.names:
                self.changes.read(name, 0, certain=False)
                self.changes.change(name)
            elif use == "draw":
                self.state.is_varying = True  # without a seed, every process draws other numbers

    def _may_draw(self, call: Call, origin: str, receiver: Sequence[Source]) -> None:
        """Apply a possible draw from a seeded generator, unless the evidence excludes it."""
        if call.method and any(self._is_own_method(source, call.method) for source in receiver):
            return
        kind = next(iter(map(self._type_of, receiver)), "") if call.method else ""
        drawn_from = {
            *may_draw(origin, call.method, kind),
            *(generator_of(self.sharing.origin(p)) for _, p in call.paths),
        }
        if not origin and not kind:
            unknown = {"numpy.random"} if any(map(self._is_unknown, receiver)) else set[str]()
            drawn_from |= {
                draws_of(module, call.method) for module in self.lookup.modules_of(receiver) | unknown
            }
        for name in sorted(drawn_from):
            if name in self.state.names and not self.changes.is_kept(name):
                self.changes.read(name, 0, certain=False)
                self.changes.change(name)

    def _is_unknown(self, source: Source) -> bool:
        """Whether nothing is known of an object, which may be the global random generator."""
        binding = self.state.names.get(source.name)
        if binding is None or binding.is_import or binding.direct is not None or binding.behaviours:
            return False
        return source.relation == "part" or (
            source.relation == "same" and not self.sharing.known_type(binding)
        )

    def read_state(self, name: str) -> None:
        """Read the state of a seeded generator inside a branch, which may leave it as it is."""
        if name in self.state.names and self.state.branches:
            self.changes.read(name, 0, certain=False, forward=True)

    def _call_function(self, call: Call, receiver: Iterable[Source]) -> None:
        for source in receiver:
            binding = self.state.names.get(source.name)
            if binding is None:
                continue
            function = binding.direct
            if function is not None and source.relation == "same":
                init = self.sharing.initialiser(binding) if function.is_class else function
                if init is not None:
                    self._apply(init, call, bound=function.is_class, owner=None)
                if binding.memory == "own":
                    self.changes.assume_change(binding.name, f"{binding.name}()", call.certain)
                elif binding.memory == "cached":
                    pure = self._is_pure(function, set())
                    self.changes.record_cache_use(
                        binding.name, CACHE_FILLED if pure else CACHE_CHANGED, call.line
                    )
            elif (
                not binding.is_import
                and not self.lookup.immutable(binding)
                and binding.type_name not in FACTORIES
            ):
                self._call_value(binding, call)

    def _is_pure(self, function: Behaviour, seen: set[Behaviour]) -> bool:
        """Whether a function only returns a result that is the same for the same arguments."""
        seen.add(function)
        for effect in function.effects:
            if isinstance(effect, Bind) or (isinstance(effect, Mutate) and effect.cause in WRITING):
                return False
            if isinstance(effect, Read):
                read = self.state.names.get(effect.name)
                if read is not None and read.kind == "value":
                    return False
            if isinstance(effect, Call):
                origin, called = self.sharing.origin(effect.path), self.sharing.function(effect.path)
                if origin in NONDETERMINISTIC or generator_use(origin, effect.method):
                    return False
                if called is not None and called not in seen and not self._is_pure(called, seen):
                    return False
        return True

    def _call_value(self, binding: Binding, call: Call) -> None:
        """Apply a call of a value: an object, a closure, or the result of a decorator."""
        facts = self.lookup.certain_facts(binding)
        for behaviour in binding.behaviours:
            if behaviour.is_class and "__call__" in behaviour.methods:
                self._apply(behaviour.methods["__call__"], call, bound=True, owner=binding.name)
                return
            if not behaviour.is_class:
                self._apply(behaviour, call, bound=False, owner=None)
            changed = self.sharing.summary(behaviour).changed
            if changed:
                self._change_all(self._arguments(call))
            if changed & behaviour.mutable_defaults:
                self.changes.change(binding.name)
        if facts is None or facts.calls_change_it:
            self.changes.assume_change(binding.name, _call_text(call), call.certain)
        if not binding.behaviours and self.sharing.known_type(binding) in ("", *CALLERS):
            self._assume_changes(self._arguments(call), _call_text(call), call.certain)
            self._may_hold(Source(binding.name), call)

    def _call_method(self, call: Call, source: Source) -> None:
        if method_changes(call.method, "") == "yes":
            self.changes.record_cache_change(source)
        binding = self.state.names.get(source.name)
        if binding is None:
            return
        if self.lookup.immutable(binding):
            return
        methods = [b.methods[call.method] for b in binding.behaviours if call.method in b.methods]
        for method in methods:
            self._apply(method, call, bound=True, owner=binding.name)
        is_class = binding.direct is not None and binding.direct.is_class
        if methods and (is_class or (not binding.unsure and self._is_own_method(source, call.method))):
            return
        if call.method == "set_params" and call.inplace and self.sharing.reaches(source):
            self.changes.change(binding.name)
            self.changes.mark_inplace(binding.name, self.state.given_varies)
            return
        kind = self._type_of(source)
        verdict = self._verdict(call, kind)
        certain = self.sharing.reaches(source)
        if verdict == "no" or not certain or (verdict == "perhaps" and binding.is_import):
            return
        if verdict == "perhaps":
            self.changes.assume_change(binding.name, f".{call.method}()", call.certain)
            if not is_known(kind) and method_effects(call.method, kind) is None:
                self._assume_changes(self._arguments(call), f".{call.method}()", call.certain)
                self._may_hold(source, call)
            return
        self.changes.change_what(source)
        if call.method in HOLDING_METHODS:
            held = (s for _, sources in call.arguments for s in sources)
            self.changes.hold(binding.name, held, call.behaviours)
            self.changes.mark_derived(binding.name, self.state.given_varies)

    def _may_hold(self, source: Source, call: Call) -> None:
        """An object of unknown type may keep the arguments of its methods."""
        binding = self.state.names.get(source.name)
        if binding is not None and binding.direct is None and not self.lookup.immutable(binding):
            self.changes.hold(
                binding.name, (s for _, sources in call.arguments for s in sources), call.behaviours
            )

    def _verdict(self, call: Call, kind: str) -> Literal["yes", "no", "perhaps"]:
        """Whether a method of a library changes its object."""
        if call.inplace:
            return "perhaps"
        if kind.startswith(SPLITTERS) and call.method == "split":
            return "perhaps"  # it draws from the state that it holds, but only when its splits are consumed
        effects, known = method_effects(call.method, kind), method_changes(call.method, kind)
        if effects is None or known == "yes" or (not kind and known == "no"):
            return known
        if "self" in effects.changes | effects.consumes:
            return "yes" if kind else "perhaps"
        return "no"

    def _apply(self, function: Behaviour, call: Call, bound: bool, owner: str | None) -> None:
        """Apply a call of a function of the notebook: change what it changes, link what it links."""
        summary = self.sharing.summary(function)
        given: dict[str, tuple[Source, ...]] = {}
        if bound and owner is not None and function.parameters:
            given[function.parameters[0]] = (Source(owner),)
        for label, sources in call.arguments:
            for name in parameters_for(function, label, bound):
                given[name] = (*given.get(name, ()), *self.sharing.expanded(sources))
        if call.path in self.state.names and summary.changed & function.mutable_defaults - given.keys():
            self.changes.change(call.path)
        for name in sorted(summary.changed & given.keys()):
            self._change_all(given[name])
        for name, ran in sorted(summary.may_change):
            # Without a parameter to decide it, every run repeats what the session did.
            same = ran or not self.lookup.reads_varying(function)
            self._assume_changes(given.get(name, ()), f"{function.name}()", same and call.certain)
        self._link(summary.links, given)

    def _link(self, links: Iterable[tuple[str, str]], given: dict[str, tuple[Source, ...]]) -> None:
        def sources(name: str) -> tuple[Source, ...]:
            own = () if name.startswith(PARAMETER) else tuple(self.sharing.expanded((Source(name),)))
            return given.get(name, own)

        for holder, held in sorted(links):
            for one in sources(holder):
                if one.name in self.state.names:
                    self.changes.hold(one.name, sources(held))

    def _call_back(self, call: Call) -> None:
        """Apply what callbacks of the notebook may do with the other arguments of a library's call."""
        sources = self._arguments(call) + (list(self.sharing.expanded(call.receiver)) if call.method else [])
        bindings = [binding for s in sources if (binding := self.state.names.get(s.name)) is not None]
        functions = [b.direct for b in bindings if b.direct is not None]
        functions += [b for one in bindings if one.direct is None for b in one.behaviours]
        functions += call.behaviours
        data = [s for s in sources if s.name in self.state.names and self.state.names[s.name].direct is None]
        for function in functions:
            if not function.is_class:
                given = {name: part_of(data) for name in function.parameters}
                self._link(self.sharing.summary(function).links, given)
        if any(self.sharing.known_type(binding) in CALLERS for binding in bindings):
            self._assume_changes(sources, _call_text(call), call.certain)
        for binding in bindings:
            called = [b.methods["__call__"] for b in binding.behaviours if "__call__" in b.methods]
            if binding.direct is None and any(
                not self.sharing.summary(f).changed.isdisjoint(f.parameters[:1]) for f in called
            ):
                self.changes.assume_change(binding.name, _call_text(call), call.certain)
        if any(self.sharing.summary(f).changed for f in functions if not f.is_class):
            self._change_all(
                s for s in sources if (n := self.state.names.get(s.name)) is not None and n.direct is None
            )

    def _change_all(self, sources: Iterable[Source]) -> None:
        for source in sources:
            self.changes.record_cache_change(source)
            binding = self.state.names.get(source.name)
            if binding is not None and self.sharing.reaches(source) and not self.lookup.immutable(binding):
                self.changes.change_what(source)

    def _assume_changes(self, sources: Iterable[Source], what: str, ran: bool) -> None:
        for source in sources:
            binding = self.state.names.get(source.name)
            if binding is None or binding.direct is not None or binding.is_import:
                continue
            if self.sharing.reaches(source) and not self.lookup.immutable(binding):
                self.changes.assume_change(source.name, what, ran)


def _call_text(call: Call) -> str:
    """Return the text of a call for messages."""
    if call.path or call.method:
        return f"{call.path or '.' + call.method}()"
    found = (source.name for source in call.receiver if not source.name.startswith(PARAMETER))
    names = dict.fromkeys("globals()" if name == VARIABLES else name for name in found)
    return f"a call of what {next(iter(names))} holds" if len(names) == 1 else "a call of a call's result"


def _changes_something(origin: str) -> bool:
    """Whether a function of a library, or a method taken from its class, changes an argument."""
    owner, _, name = origin.rpartition(".")
    function = function_effects(origin) if origin else None
    method = method_effects(name, owner) if owner else None
    return bool((function is not None and function.changes) or (method is not None and method.changes))
