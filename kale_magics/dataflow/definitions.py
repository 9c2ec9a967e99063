"""Definitions in the walk through the notebook: functions, classes and imports that steps replay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product, zip_longest

from kale_magics.analysis.effects import (
    Behaviour,
    Call,
    Define,
    Read,
    flattened,
)
from kale_magics.analysis.library_rules import HARMLESS_DECORATORS
from kale_magics.analysis.star_imports import star_names
from kale_magics.dataflow.bindings import Binding, Definition, Memory
from kale_magics.dataflow.changes import Changes
from kale_magics.dataflow.isolation import CACHES
from kale_magics.dataflow.lookup import NameLookup
from kale_magics.dataflow.sharing import Sharing
from kale_magics.dataflow.walk_state import NO_EVIDENCE, WalkState


class DefinitionFlow:
    """Applies definitions, and decides which of them other steps can replay.

    Args:
        state: The state of the walk.
        lookup: Resolves names.
        sharing: Knows which names may share an object.
        changes: Changes objects.
    """

    def __init__(self, state: WalkState, lookup: NameLookup, sharing: Sharing, changes: Changes) -> None:
        self.state, self.lookup, self.sharing, self.changes = state, lookup, sharing, changes

    def define(self, effect: Define, statement: int) -> None:
        """Apply a definition.

        Args:
            effect: The definition.
            statement: The number of its statement in the cell; -1 if it cannot be replayed alone.
        """
        grown, holders = self._run_at_once(effect, statement)
        needs = tuple(
            self.state.names[name] for name in sorted(_names_at_once(effect)) if name in self.state.names
        )
        names = star_names(effect.module) if effect.module else effect.names
        origins = effect.origins or tuple(f"{effect.module}.{name}" for name in names if effect.module)
        behaviours = {b for need in needs for b in need.behaviours}
        if effect.behaviour is not None:
            behaviours.add(effect.behaviour)
        top = not self.state.branches and statement >= 0
        if not self.state.step.name and effect.kind != "import":
            # A compound statement of the prelude runs as a whole in every step.
            top, statement = True, self.state.statement
        definition = None
        new = self.lookup.new_binding(effect, "")
        held = (
            effect.kind == "def"
            and bool(self.state.step.name)
            and bool(self.sharing.sharers(new, effect.default_sources))
        )
        if top and not held and grown is not None and all(need.kind != "value" for need in needs):
            definition = self._definition(effect, statement, names, needs)
        if not self.state.step.name and effect.behaviour is not None and self._escapes(effect, needs):
            self.state.escaped.add(effect.behaviour)
        self._bind(effect, definition, dict(zip_longest(names, origins, fillvalue="")), behaviours, needs)
        for name, holder in product(names, holders):
            self.sharing.join(name, holder)
        for binding in grown or () if definition is not None else ():
            # A step that uses the registry needs what was registered too.
            self.lookup.rebind(
                replace(binding, definition=definition, behaviours=binding.behaviours | behaviours)
            )

    def _bind(
        self,
        effect: Define,
        definition: Definition | None,
        names: Mapping[str, str],
        behaviours: Iterable[Behaviour],
        needs: Iterable[Binding],
    ) -> None:
        """Bind the names of a definition."""
        direct, memory = self._decoration(effect)
        for name, origin in names.items():
            self.sharing.leave_group(name)
            binding = replace(
                self.lookup.new_binding(effect, name),
                behaviours=frozenset(behaviours),
                direct=direct,
                origin=origin,
                memory=memory,
            )
            if definition is not None:
                binding = replace(binding, kind="definition", definition=definition)
            self.lookup.rebind(binding)
            if effect.default_sources and (definition is None or not self.state.step.name):
                self.changes.hold(name, effect.default_sources)
            for need in needs:
                # A change of a class that cannot be replayed is visible in its subclasses.
                if effect.kind == "class" and need.definition is None and need.direct is not None:
                    self.sharing.join(name, need.name)

    def _decoration(self, effect: Define) -> tuple[Behaviour | None, Memory]:
        """Return the function behind a decorated name, if the text shows it, and the kind of its state."""
        for path in effect.decorators:
            if self.sharing.origin(path) in CACHES:
                return effect.behaviour, "cached"
            decorator = self.sharing.function(path)
            if decorator is not None and decorator.is_class:
                return None, ""  # an object of that class
            if decorator is not None and decorator.keeps_state:
                return effect.behaviour, "own"
        return effect.behaviour, ""

    def _escapes(self, effect: Define, needs: Iterable[Binding]) -> bool:
        """Whether code outside of the notebook may hold a reference to a definition."""
        if effect.kind == "class" and any(n.direct is not None and n.direct.is_class for n in needs):
            return True  # `Base.__subclasses__()` returns it
        origins = [self.sharing.origin(path) or path for path in effect.decorators]
        return not all(o.partition(".")[0] in HARMLESS_DECORATORS for o in origins)

    def _run_at_once(self, effect: Define, statement: int) -> tuple[list[Binding] | None, list[str]]:
        """Apply what a definition does when its statement runs.

        Returns:
            The definitions that it adds to, as with `@dispatcher.register`; None if it changes anything else.
            The names of the values that hold it from then on, as those of a registry.
        """
        names = sorted(_names_at_once(effect))
        before = dict(self.state.names) if names else {}
        # A decorator that was called for another definition runs again.
        idle = {(b, way) for b in self._uncalled_classes(effect, names) for way in (True, False)}
        expanded, self.state.expanded = self.state.expanded, set(idle)
        for name in names:
            self.changes.read(name, effect.line, certain=_certain(effect, name))
        self.state.apply((e for e in effect.at_once if not isinstance(e, Read)), statement)
        if effect.kind == "class":
            for name in names:
                for base in self.lookup.behaviours_of([name]):  # the inherited ones too
                    if "__init_subclass__" in base.methods:
                        self.state.apply(base.methods["__init_subclass__"].effects, late=True)
        self.state.expanded = expanded | (self.state.expanded - idle)
        changed = [binding for name, binding in before.items() if self.state.names.get(name) is not binding]
        if any(binding.kind != "definition" or binding.is_import for binding in changed):
            holders = []
            for binding in changed:
                # A registry of the notebook may hold this definition from now on.
                current = self.state.names.get(binding.name)
                if current is not None and effect.behaviour is not None and not current.is_import:
                    self.lookup.rebind(replace(current, behaviours=current.behaviours | {effect.behaviour}))
                    holders += [binding.name] if self._may_hold(current, effect) else []
            return None, holders
        for binding in changed:
            self.lookup.rebind(binding)
        self.state.expanded = expanded  # a use of the definition applies the restored change again
        return changed, []

    def _may_hold(self, binding: Binding, effect: Define) -> bool:
        """Whether a value that the decorators of a definition change may hold the definition."""
        if binding.direct is not None or not self.state.step.name:
            return False
        observed = self.state.evidence.definitions.get(binding.name, frozenset())
        return self.state.evidence is NO_EVIDENCE or not observed.isdisjoint(effect.names)

    def _uncalled_classes(self, effect: Define, names: Iterable[str]) -> set[Behaviour]:
        """Return the functions behind the classes that a definition names without calling, as its bases."""
        calls = [e.path for e in flattened(effect.at_once) if isinstance(e, Call)]
        called = {path.partition(".")[0] for path in (*calls, *effect.decorators)}
        classes = (
            self.state.names[name] for name in names if name in self.state.names and name not in called
        )
        return {b for c in classes if c.direct is not None and c.direct.is_class for b in c.behaviours}

    def _definition(
        self, effect: Define, statement: int, names: tuple[str, ...], needs: tuple[Binding, ...]
    ) -> Definition:
        first = names[0] if names else effect.module
        count = self.state.identities[first] = self.state.identities.get(first, 0) + 1
        definition = Definition(
            self.state.cell,
            statement,
            effect.kind,
            names,
            str(count),
            not self.state.step.name,
            needs,
            effect.modules,
        )
        self.state.definitions.append(definition)
        if effect.behaviour is not None:
            self.state.of_behaviour[effect.behaviour] = definition
        return definition


def _names_at_once(effect: Define) -> set[str]:
    return {e.name for e in flattened(effect.at_once) if isinstance(e, Read)}


def _certain(effect: Define, name: str) -> bool:
    return any(isinstance(e, Read) and e.name == name and e.certain for e in flattened(effect.at_once))
