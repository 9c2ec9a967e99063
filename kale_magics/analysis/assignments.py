"""From an assignment to its effects."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from kale_magics.analysis.choices import filler_nodes, may_be_flag, requests_in_place, selector_nodes
from kale_magics.analysis.effects import (
    VARIABLES,
    Behaviour,
    Bind,
    Dynamic,
    Mutate,
    Read,
    Source,
    flattened,
)
from kale_magics.analysis.names import (
    NameReader,
    dotted,
    is_constant,
    labelled,
    part_of,
    variable_of_globals,
)
from kale_magics.analysis.reader_state import ReaderState, Scope

MAX_TARGETS = 8
"""How many of the targets to its left a target may share objects with."""


class AssignmentReader:
    """Collects the effects of assignments, and of what binds as they do.

    Args:
        state: The state of the reading.
        names: Resolves names.
    """

    def __init__(self, state: ReaderState, names: NameReader) -> None:
        self.state, self.names = state, names

    def iterate(self, node: ast.comprehension | ast.For | ast.AsyncFor, scope: Scope | None = None) -> None:
        """Add the effects of iterating: each element is bound, in a scope of its own if one is given."""
        sources = self.names.roots(node.iter)
        self.consume(node.iter)
        if scope is None:
            counts = isinstance(node.iter, ast.Call) and dotted(node.iter.func) == "range"
            self.bind(node.target, part_of(sources), self.names.names_in(node.iter), constant=counts)
        else:
            with self.names.scope(scope):
                self.bind(node.target, part_of(sources), frozenset())

    def consume(self, node: ast.expr) -> None:
        """Add the effects of taking elements out of a value, which changes it if it is an iterator."""
        for source in self.names.roots(node):
            if source.relation == "same":
                self.state.out.append(Mutate(source, node.lineno, "iteration"))

    def assign(self, targets: Sequence[ast.expr], value: ast.expr) -> None:
        """Add the effects of assigning the value of an expression to targets."""
        made = len(self.state.behaviours)
        before, self.state.targets = (
            self.state.targets,
            {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)},
        )
        with self.names.collecting() as effects:
            self.state.visit(value)
        self.state.targets = before
        self.state.out += effects
        uses = frozenset(e.name for e in flattened(tuple(effects)) if isinstance(e, Read))
        behaviours = tuple(self.state.behaviours[made:])
        others: tuple[Source, ...] = ()
        for target in targets:
            for one, its in self._paired(target, value):
                place = len(self.state.out)
                self.bind(one, (*self.names.roots(its), *others), uses, behaviours, is_constant(its))
                self.state.out[place:] = [
                    self._described(e, its, behaviours) if isinstance(e, Bind) else e
                    for e in self.state.out[place:]
                ]
            if isinstance(target, ast.Name) and not is_constant(value):
                others += self.names.roots(target)

    def _described(self, bound: Bind, value: ast.expr, behaviours: tuple[Behaviour, ...]) -> Bind:
        """Return a binding with the properties of its expression."""
        calls = [node for node in ast.walk(value) if isinstance(node, ast.Call)]
        arguments = [argument for call in calls for _, argument in labelled(call)]
        bound = replace(
            bound,
            selectors=frozenset().union(*map(self.names.names_in, selector_nodes(ast.walk(value)))),
            fillers=frozenset().union(*map(self.names.names_in, filler_nodes(value))),
            flags=frozenset().union(*(self.names.names_in(a) for a in arguments if may_be_flag(a))),
            inplace=any(requests_in_place(keyword) for call in calls for keyword in call.keywords),
        )
        if isinstance(value, ast.Name):
            return replace(bound, alias=value.id if self.names.find(value.id) is None else "")
        if isinstance(value, ast.Lambda) and behaviours:
            return replace(bound, function=behaviours[-1])
        if isinstance(value, (ast.Dict, ast.DictComp)):
            return replace(bound, made_by="dict")
        if isinstance(value, (ast.Set, ast.SetComp)):
            return replace(bound, made_by="set")
        if isinstance(value, ast.Attribute) and self.names.find(dotted(value).partition(".")[0]) is None:
            return replace(bound, path=dotted(value))
        if isinstance(value, ast.Call):
            path = dotted(value.func)
            return replace(bound, made_by=path if self.names.find(path.partition(".")[0]) is None else "")
        return bound

    def _paired(self, target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
        """Return what `paired` does, but one pair if the value reads a target, as in `a, b = b, a`."""
        pairs = paired(target, value)
        bound = {one.id for one, _ in pairs if isinstance(one, ast.Name)}
        if len(pairs) > 1 and not bound.isdisjoint(s.name for s in self.names.roots(value)):
            return [(one, value) for one, _ in pairs]
        return pairs

    def bind(
        self,
        target: ast.AST,
        sources: tuple[Source, ...],
        uses: frozenset[str],
        behaviours: tuple[Behaviour, ...] = (),
        constant: bool = False,
    ) -> None:
        """Add the effects of binding a target to a value."""
        if isinstance(target, ast.Name):
            self.bind_name(target.id, target.lineno, sources, uses, behaviours, constant)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, sources, uses, behaviours)
        elif isinstance(target, (ast.Tuple, ast.List)):
            # The results of one call may share objects, as two closures do.
            others: tuple[Source, ...] = ()
            for element in target.elts:
                self.bind(element, (*part_of(sources), *others[:MAX_TARGETS]), uses, behaviours)
                if isinstance(element, ast.Name):
                    others += part_of(self.names.roots(element))
        elif isinstance(target, ast.Subscript) and (named := variable_of_globals(target)):
            self.state.out.append(Bind(named, target.lineno, sources, uses, behaviours, constant))
        elif isinstance(target, (ast.Attribute, ast.Subscript)):
            self.state.visit(target.value)
            self.state.visit(getattr(target, "slice", None))
            path = dotted(target if isinstance(target, ast.Attribute) else target.value)
            linked = () if constant else sources
            changed = [root for root in self.names.roots(target.value) if root.relation != "holds"]
            self.names.put_into(target.value, linked)
            self.name_source(target.value, target)
            for root in changed:
                self.state.out.append(Mutate(root, target.lineno, "write", linked, uses, behaviours, path))

    def name_source(self, owner: ast.expr, key: ast.AST) -> None:
        """Add a dynamic binding if the owner is `globals()`: the name of the variable is computed."""
        if any(source.name == VARIABLES and source.relation == "holds" for source in self.names.roots(owner)):
            chosen = self.names.names_in(key)
            self.state.out.append(Dynamic(owner.lineno, executes=True, selectors=chosen))

    def bind_name(
        self,
        name: str,
        line: int,
        sources: tuple[Source, ...] = (),
        uses: frozenset[str] = frozenset(),
        behaviours: tuple[Behaviour, ...] = (),
        constant: bool = False,
    ) -> None:
        """Add the binding of a name."""
        own = self.names.find(name)
        if own is None:
            self.state.out.append(Bind(name, line, sources, uses, behaviours, constant))
        else:
            self.names.add_referents(own, sources)


def paired(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """Return targets with their values, one by one if both are displays, as in `a, b = 1, 2`."""
    if isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (ast.Tuple, ast.List)):
        starred = any(isinstance(element, ast.Starred) for element in (*target.elts, *value.elts))
        if len(target.elts) == len(value.elts) and not starred:
            return [pair for pairs in map(paired, target.elts, value.elts) for pair in pairs]
    return [(target, value)]
