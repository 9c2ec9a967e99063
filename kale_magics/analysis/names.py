"""Resolve names in scopes, and find what an expression may share objects with."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from kale_magics.analysis.effects import VARIABLES, Effect, Read, Relation, Source
from kale_magics.analysis.library_rules import ELEMENT_FUNCTIONS, ELEMENT_METHODS, FRESH, SCALAR_CALLS
from kale_magics.analysis.reader_state import ReaderState, Scope

_ELEMENT: dict[Relation, Relation] = {"same": "part", "holds": "same"}


def part_of(sources: Iterable[Source]) -> tuple[Source, ...]:
    """Return what an element or an attribute of these may be."""
    return tuple(replace(s, relation=_ELEMENT[s.relation]) if s.relation in _ELEMENT else s for s in sources)


def holding(sources: Iterable[Source]) -> tuple[Source, ...]:
    """Return what a container of these may share objects with."""
    return tuple(replace(s, relation="holds") if s.relation == "same" else s for s in sources)


def mixed(sources: Iterable[Source]) -> tuple[Source, ...]:
    """Return what the result of an operator that joins containers may share objects with."""
    return tuple(replace(s, relation="mixed") if s.relation in ("same", "part") else s for s in sources)


def weakened(sources: Iterable[Source]) -> tuple[Source, ...]:
    """Return what the result of an unknown function of these may share objects with."""
    return tuple(Source(s.name, "weak") for s in sources)


def dotted(node: ast.AST) -> str:
    """Return a chain of names as a string, as in "np.random.shuffle"; empty for any other expression."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(names)]) if isinstance(node, ast.Name) else ""


def labelled(node: ast.Call) -> list[tuple[int | str, ast.expr]]:
    """Return the arguments of a call, each with its position or keyword."""
    labels: list[int | str] = ["*" if isinstance(a, ast.Starred) else n for n, a in enumerate(node.args)]
    return [
        *zip(labels, node.args, strict=True),
        *((keyword.arg or "**", keyword.value) for keyword in node.keywords),
    ]


def is_constant(node: ast.AST) -> bool:
    """Whether the value of an expression is immutable, whatever its parts are."""
    if isinstance(node, (ast.Constant, ast.JoinedStr)):
        return True
    if isinstance(node, ast.Compare):  # arrays and frames return an array or a frame
        plain = all(isinstance(op, (ast.Is, ast.IsNot, ast.In, ast.NotIn)) for op in node.ops)
        return plain or all(map(is_constant, (node.left, *node.comparators)))
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not) or is_constant(node.operand)
    if isinstance(node, ast.BinOp):
        return is_constant(node.left) and is_constant(node.right)
    if isinstance(node, ast.Tuple):
        return all(map(is_constant, node.elts))
    return isinstance(node, ast.Call) and dotted(node.func) in SCALAR_CALLS


def _class_of(node: ast.AST) -> str:
    """Return the name of the object whose class an expression gives; empty for any other expression."""
    if isinstance(node, ast.Attribute) and node.attr == "__class__":
        return dotted(node.value)
    if isinstance(node, ast.Call) and dotted(node.func) == "type" and len(node.args) == 1:
        return dotted(node.args[0])
    return ""


def variable_of_globals(node: ast.Attribute | ast.Subscript) -> str:
    """Return the name of the variable `globals()["name"]`; empty for any other expression."""
    key = node.slice if isinstance(node, ast.Subscript) else None
    if not isinstance(key, ast.Constant) or not isinstance(node.value, ast.Call):
        return ""
    found = dotted(node.value.func) in NAMESPACES and not node.value.args
    return key.value if found and isinstance(key.value, str) else ""


def is_computed(call: ast.Call) -> bool:
    """Whether the argument of `eval` or `exec` is not a literal."""
    return bool(call.args) and not isinstance(call.args[0], ast.Constant)


NAMESPACES = frozenset({"globals", "vars", "locals"})
"""Functions that return the variables by name."""

CONTAINERS = (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp)
"""Expressions that make a container."""


def _may_join_containers(node: ast.BinOp) -> bool:
    """Whether an operator may return a container with the elements of its operands, as in `xs + ys`."""
    if isinstance(node.op, (ast.Add, ast.BitOr)):
        return not any(map(is_constant, (node.left, node.right)))
    return any(isinstance(operand, (ast.List, ast.Tuple)) for operand in (node.left, node.right))


class NameReader:
    """Resolves names in the current scopes.

    Args:
        state: The state of the reading.
    """

    def __init__(self, state: ReaderState) -> None:
        self.state = state

    @contextmanager
    def collecting(self) -> Iterator[list[Effect]]:
        """Collect the effects of this context in a list of their own."""
        before, self.state.out = self.state.out, []
        try:
            yield self.state.out
        finally:
            self.state.out = before

    @contextmanager
    def scope(self, scope: Scope) -> Iterator[Scope]:
        """Enter a scope inside the current one."""
        self.state.scopes.append(scope)
        self.state.known_roots.clear()
        try:
            yield scope
        finally:
            self.state.scopes.pop()
            self.state.known_roots.clear()

    @contextmanager
    def uncertain(self) -> Iterator[None]:
        """Mark what this context collects as uncertain."""
        before, self.state.certain = self.state.certain, False
        try:
            yield
        finally:
            self.state.certain = before

    @property
    def in_function(self) -> bool:
        """Whether the current code runs only when a function is called."""
        return any(scope.kind == "function" for scope in self.state.scopes)

    def find(self, name: str) -> list[Source] | None:
        """Return what a name of an inner scope may refer to; None for a name of the notebook."""
        for scope in reversed(self.state.scopes):
            if scope.kind == "class" and scope is not self.state.scopes[-1]:
                continue
            if name in scope.declared:
                return None
            if name in scope.names:
                return scope.names[name]
        return None

    def put_into(self, target: ast.AST, sources: Iterable[Source]) -> None:
        """Record that an object that a function made now holds others: `made["key"] = value`."""
        while isinstance(target, (ast.Attribute, ast.Subscript)):
            target = target.value
        own = self.find(target.id) if isinstance(target, ast.Name) else None
        if own is not None and not any(source.relation == "same" for source in own):
            self.add_referents(own, holding(sources))

    def add_referents(self, own: list[Source], sources: Iterable[Source]) -> None:
        """Record that a name of an inner scope may refer to more objects from here on."""
        own += [source for source in sources if source not in own]
        self.state.known_roots.clear()

    def read(self, name: str, line: int) -> None:
        """Add the read of a name."""
        own = self.find(name)
        if own is None:
            self.state.out.append(Read(name, line, self.state.certain and name not in self.state.late))
        elif self.state.scopes[-1].kind == "class" and name in self.state.scopes[-1].names:
            # Until the class binds it, it refers to the notebook's variable.
            self.state.out.append(Read(name, line, certain=False))

    def names_in(self, node: ast.AST) -> frozenset[str]:
        """Return the notebook's names in an expression."""
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        return frozenset(name for name in names if self.find(name) is None)

    def roots(self, node: ast.AST) -> tuple[Source, ...]:
        """Return what an expression's value may share objects with; its effects must be collected first."""
        known = self.state.known_roots.get(node)
        if known is None:
            known = self.state.known_roots[node] = tuple(dict.fromkeys(self._roots(node)))
        return known

    def _roots(self, node: ast.AST) -> tuple[Source, ...]:
        if isinstance(node, ast.Name):
            own = self.find(node.id)
            return (Source(node.id),) if own is None else tuple(own)
        if self.state.owner[0] and _class_of(node) == self.state.owner[1]:
            return (Source(self.state.owner[0]),)
        if isinstance(node, (ast.Attribute, ast.Subscript)):
            named = variable_of_globals(node)
            found = (Source(named),) if named else part_of(self.roots(node.value))
            return (*found, Source(self.state.owner[0])) if self._is_of_class(node) else found
        if isinstance(node, ast.Starred):
            return part_of(self.roots(node.value))
        if isinstance(node, (ast.Await, ast.NamedExpr)):
            return self.roots(node.value)
        if isinstance(node, ast.IfExp):
            return self.roots(node.body) + self.roots(node.orelse)
        if isinstance(node, ast.BoolOp):
            return self.all_roots(node.values)
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            return holding(self.all_roots(node.elts))
        if isinstance(node, ast.Dict):
            return holding(self.all_roots([*filter(None, node.keys), *node.values]))
        if isinstance(node, ast.BinOp):
            if not _may_join_containers(node):
                return weakened(self.all_roots([node.left, node.right]))
            return tuple(
                source
                for side in (node.left, node.right)
                for source in (part_of if isinstance(side, CONTAINERS) else mixed)(self.roots(side))
            )
        if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
            return weakened(self.roots(node.operand))
        if isinstance(node, ast.Compare) and not is_constant(node):
            return weakened(self.all_roots([node.left, *node.comparators]))
        if isinstance(node, ast.Call):
            return self._result(node)
        if isinstance(node, ast.Lambda):
            defaults = self.all_roots([*node.args.defaults, *filter(None, node.args.kw_defaults)])
            return self.captured(node) + defaults + holding(self.state.elements.get(node, ()))
        return holding(self.state.elements.get(node, ()))

    def _is_of_class(self, node: ast.Attribute | ast.Subscript) -> bool:
        """Whether an attribute of a method's object is a class variable: `self.registry`."""
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            return False
        return node.attr in self.state.class_attributes and node.value.id == self.state.owner[1] != ""

    def captured(self, node: ast.AST) -> tuple[Source, ...]:
        """Return what a nested function or class captures from the function around it."""
        if not self.in_function:
            return ()
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        return tuple(dict.fromkeys(source for name in sorted(names) for source in self.find(name) or ()))

    def all_roots(self, nodes: Iterable[ast.AST]) -> tuple[Source, ...]:
        """Return what the values of any of these expressions may share objects with."""
        return tuple(dict.fromkeys(source for node in nodes for source in self.roots(node)))

    def _result(self, node: ast.Call) -> tuple[Source, ...]:
        """Return what the result of a call may share objects with."""
        path = dotted(node.func)
        makes_class = path == "type" and len(node.args) > 1
        if (path in FRESH and not makes_class) or path in SCALAR_CALLS:
            return ()
        if path in NAMESPACES and not node.args and (path == "globals" or not self.in_function):
            return (Source(VARIABLES, "holds"),)
        if path == "eval" and is_computed(node):
            return (Source(VARIABLES, "part"),)
        arguments = labelled(node)
        own_root = bool(path) and self.find(path.partition(".")[0]) is not None
        everything = self.all_roots([value for _, value in arguments])
        if makes_class:
            return holding(everything)
        if path == "sum" and len(arguments) == 1:  # most likely of numbers
            return weakened(everything)
        if path in ELEMENT_FUNCTIONS:
            return part_of(everything)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = "" if own_root else path
        given = tuple(
            given
            for label, value in arguments
            for source in self.roots(value)
            for given in _related(source, called, method, label)
        )
        if not method:
            if isinstance(node.func, ast.Name) and not own_root:
                return (Source(node.func.id, "result"), *given)
            return given + part_of(self.roots(node.func))
        receiver = self.roots(node.func.value) if isinstance(node.func, ast.Attribute) else ()
        if method in ELEMENT_METHODS:
            return part_of(receiver) + given
        return (*(own for source in receiver for own in _related(source, called, method, "self")), *given)


def _related(source: Source, callee: str, method: str, label: int | str) -> tuple[Source, ...]:
    """Return how the result of a call relates to an argument; that depends on the callee."""
    if source.relation in ("same", "holds", "part"):
        return (Source(source.name, "call", callee, method, label),)
    return (source,) if source.relation in ("call", "weak") else (Source(source.name, "weak"),)
