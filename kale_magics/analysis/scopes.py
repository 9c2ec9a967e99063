"""The scope that each name belongs to, by the rules of Python."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def parameters_of(arguments: ast.arguments) -> list[str]:
    """Return the names of a function's parameters, positional ones first."""
    plain = [*arguments.posonlyargs, *arguments.args]
    rest = [arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    return [a.arg for a in (*plain, *rest) if a is not None]


def defaults_of(arguments: ast.arguments) -> list[tuple[ast.arg, ast.expr]]:
    """Return the parameters of a function that have a default, each with it."""
    plain = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(plain[::-1], arguments.defaults[::-1], strict=False)]
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return pairs + [(argument, default) for argument, default in keywords if default is not None]


def bound_names(body: Iterable[ast.AST]) -> tuple[set[str], set[str], set[str]]:
    """Return the names that code binds in its own scope.

    Args:
        body: Statements or expressions of one scope.

    Returns:
        Bound names, names declared `global`, names declared `nonlocal`.
    """
    bound: set[str] = set()
    declared: set[str] = set()
    outer: set[str] = set()
    for node in _own_nodes(body):
        if isinstance(node, ast.Global):
            declared.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            outer.update(node.names)
        else:
            bound.update(_binds(node))
    return bound - declared - outer, declared, outer


def _binds(node: ast.AST) -> Iterator[str]:
    """Yield the names that one node itself binds."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
        yield node.id
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from imported_names(node)
    elif (isinstance(node, ast.ExceptHandler) and node.name) or (
        isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name
    ):
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest


def imported_names(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the names that an import statement binds; none for a star import."""
    if isinstance(node, ast.Import):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    return [alias.asname or alias.name for alias in node.names if alias.name != "*"]


def imported_origins(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the full paths of the names that an import statement binds, in order, as in "numpy.random"."""
    if isinstance(node, ast.Import):
        return [alias.name if alias.asname else alias.name.partition(".")[0] for alias in node.names]
    package = "." * node.level + (node.module or "")
    return [f"{package}.{alias.name}" for alias in node.names if alias.name != "*"]


def _own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a scope; of a nested scope only those that are evaluated in this one."""
    pending = list(body)
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, _SCOPES):
            pending += _evaluated_outside(node)
        elif isinstance(node, _COMPREHENSIONS):
            pending.append(node.generators[0].iter)
            yield from _walruses(node)
        else:
            pending += ast.iter_child_nodes(node)


def _evaluated_outside(node: ast.AST) -> list[ast.AST]:
    """Return what a definition evaluates in the scope around it: decorators, defaults, bases."""
    outside: list[ast.AST] = list(getattr(node, "decorator_list", []))
    if isinstance(node, ast.ClassDef):
        return [*outside, *node.bases, *(keyword.value for keyword in node.keywords)]
    arguments: ast.arguments = node.args  # type: ignore[attr-defined]  # a function or a lambda
    return outside + [d for d in (*arguments.defaults, *arguments.kw_defaults) if d is not None]


def _walruses(node: ast.AST) -> Iterator[ast.Name]:
    """Yield the targets of `:=` in a comprehension, which belong to the scope around it."""
    pending = list(ast.iter_child_nodes(node))
    while pending:
        child = pending.pop()
        if isinstance(child, ast.NamedExpr):
            yield child.target
        if not isinstance(child, _SCOPES):
            pending += ast.iter_child_nodes(child)
