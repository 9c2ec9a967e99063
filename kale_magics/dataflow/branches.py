"""Branches and loops in the walk through the notebook."""

from __future__ import annotations

from dataclasses import replace

from kale_magics.analysis.effects import (
    Bind,
    Branch,
    Effect,
    Path,
    Read,
    flattened,
)
from kale_magics.dataflow.bindings import Binding
from kale_magics.dataflow.changes import Changes
from kale_magics.dataflow.lookup import NameLookup
from kale_magics.dataflow.sharing import Sharing
from kale_magics.dataflow.walk_state import WalkState


class Branches:
    """Applies the effects of branches, each from the same start, and merges the results.

    Args:
        state: The state of the walk.
        lookup: Resolves names.
        sharing: Knows which names may share an object.
        changes: Changes objects.
    """

    def __init__(self, state: WalkState, lookup: NameLookup, sharing: Sharing, changes: Changes) -> None:
        self.state, self.lookup, self.sharing, self.changes = state, lookup, sharing, changes

    def branch(self, branch: Branch) -> None:
        """Apply each path from the same start; a name whose binding differs becomes the step's own value."""
        unsure = branch.loop is None or any(self.lookup.varies(name) for name in branch.loop)
        again = branch.loop is not None and not self.state.repeats and _carries_over(branch.paths[0].effects)
        paths = (Path(branch.paths[0].effects * 2), *branch.paths) if again else branch.paths
        chosen = any(map(self.lookup.varies, branch.selectors))
        self.state.unsure += unsure
        self.state.repeats += again
        self.state.chosen += chosen
        filled = branch.loop is not None and unsure
        self.state.filled_by_given += filled
        self._paths(paths)
        self.state.chosen -= chosen
        self.state.filled_by_given -= filled
        self.state.repeats -= again
        self.state.unsure -= unsure

    def _paths(self, paths: tuple[Path, ...]) -> None:
        names, local, groups = dict(self.state.names), dict(self.state.step.local), self.state.groups
        ends: list[dict[str, Binding | None]] = []
        self.state.branches += 1
        for path in paths:
            self.state.groups = _copied(groups)
            self.state.apply(path.effects)
            if not path.ends:
                ends.append(_changes(names, self.state.names))
            taken = {
                n: b
                for n, b in self.state.step.local.items()
                if n not in local and self.state.names.get(n) is b and names.get(n) is b
            }
            groups = _merged(groups, self.state.groups)
            self.state.names = dict(names)
            local |= taken
            self.state.step.local = dict(local)
        self.state.branches -= 1
        self.state.groups = groups
        for name in dict.fromkeys(name for end in ends for name in end):
            self._merge(
                name, [end.get(name, names.get(name)) for end in ends], all(name in end for end in ends)
            )

    def _merge(self, name: str, found: list[Binding | None], always: bool) -> None:
        """Merge the bindings of a name at the ends of the paths."""
        old = self.state.names.get(name)
        others = [other for other in self.sharing.group(name) if other != name]
        if not always and old is not None:
            self.changes.read(name, old.line, certain=False, forward=True)
        present = [binding for binding in found if binding is not None]
        if not present:
            self.state.names.pop(name, None)
            self.state.step.local[name] = None
            return
        newest = max(present, key=lambda b: (b.cell, b.line))
        fresh = (
            always and len(present) == len(found) and all(b.fresh == self.state.step.name for b in present)
        )
        self.lookup.rebind(
            replace(
                newest,
                fresh=self.state.step.name if fresh else "",
                kind=self.lookup.value_kind,
                producer=self.state.step.name,
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
            self.sharing.join(name, other)


def _carries_over(effects: tuple[Effect, ...]) -> bool:
    """Whether a loop uses a name above its binding there: the next iteration finds it bound."""
    used = set[str]()
    for effect in flattened(effects):
        if isinstance(effect, Read):
            used.add(effect.name)
        elif isinstance(effect, Bind) and effect.name in used:
            return True
    return False


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
