"""What changes objects: assignments to parts of them, methods, functions; and who else sees the change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kale_magics.analysis.effects import PARAMETER, Behaviour, Call, Mutate, Source
from kale_magics.analysis.knowledge import CONSUMING_FUNCTIONS, HOLDING_METHODS, method_changes
from kale_magics.analysis.summaries import Summary, arguments_changed, parameters_for, summarise
from kale_magics.flow.bindings import Binding
from kale_magics.flow.lookup import Lookup

FILLED_BY_LOOKUP = frozenset({"collections.defaultdict", "collections.ChainMap"})
"""Types whose objects may change when an item is looked up."""


class Changes(Lookup):
    """Knows what a step changes."""

    def read(self, name: str, line: int, certain: bool = True) -> None:
        """The step looks a name up; an object whose operators or properties change it is changed by that."""
        super().read(name, line, certain)
        binding = self.names.get(name)
        if binding is None or binding.direct is not None or name in self._used:
            return
        self._used.add(name)
        methods = (m for b in binding.behaviours for m in b.methods.values() if m.implicit)
        if any(not self.summary(m).changed.isdisjoint(m.parameters[:1]) for m in methods):
            self.change(name)

    def change(self, name: str) -> None:
        """The step changes the object that a name stands for, and so what all its other names stand for."""
        for one in sorted(self.groups.get(name, {name}) | {name}):
            self.read(one, 0, certain=False)
            binding = self.names.get(one)
            if binding is not None:
                self.rebind(replace(binding, kind=self.made, maker=self.step.name, constant=False))

    def _mutate(self, effect: Mutate) -> None:
        binding = self.names.get(effect.source.name)
        if binding is None or not self._reaches(effect.source):
            return
        facts = self.facts(binding)
        if effect.cause == "iteration" and not (facts is not None and facts.iterator):
            return
        if effect.cause == "item" and not (facts is not None and facts.type_name in FILLED_BY_LOOKUP):
            return
        if self.immutable(binding):
            return
        self.change(binding.name)
        behaviours = self.behaviours_of(effect.uses) | set(effect.behaviours)
        changed = self.names[binding.name]
        if not behaviours <= changed.behaviours:
            self.rebind(replace(changed, behaviours=changed.behaviours | behaviours))
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
        if root is None or root.direct is None:
            self._change_all(arguments_changed(call))
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
            elif not binding.is_import and not self.immutable(binding):
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
        if verdict == "no" or (verdict == "perhaps" and (binding.is_import or not certain)):
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
            for name in parameters_for(function, label, bound):
                given[name] = given.get(name, ()) + sources
        if call.path in self.names and summary.changed & function.remembering - given.keys():
            self.change(call.path)
        for name in sorted(summary.changed & given.keys()):
            self._change_all(given[name])
        for holder, held in sorted(summary.links):
            for one in given.get(holder, () if holder.startswith(PARAMETER) else (Source(holder),)):
                for other in given.get(held, () if held.startswith(PARAMETER) else (Source(held),)):
                    binding = self.names.get(one.name)
                    if binding is not None and self._joined(binding, other):
                        self._join(one.name, other.name)

    def _call_back(self, call: Call) -> None:
        """A library may call the functions of the notebook that it gets, with what else it gets."""
        sources = [s for _, given in call.arguments for s in given] + list(
            call.receiver if call.method else ()
        )
        functions = [
            b for s in sources if (n := self.names.get(s.name)) is not None and (b := n.direct) is not None
        ]
        if any(self.summary(function).changed for function in functions if not function.is_class):
            self._change_all(
                s for s in sources if (n := self.names.get(s.name)) is not None and n.direct is None
            )

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
        names = parameters_for(function, source.argument, bound=False)
        return not self.summary(function).returned.isdisjoint(names)

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
