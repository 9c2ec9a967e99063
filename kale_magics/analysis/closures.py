"""Whether a function makes closures that keep state, as decorators do that count calls or cache results."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from kale_magics.analysis.library_rules import CHANGING_METHODS
from kale_magics.analysis.names import dotted
from kale_magics.analysis.scopes import FunctionNode, bound_names, parameters_of

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def keeps_state(node: FunctionNode) -> bool:
    """Whether a closure that a function makes changes what it captures.

    Args:
        node: A function.
    """
    inner = [n for n in ast.walk(node) if isinstance(n, _FUNCTIONS) and n is not node]
    outside = set().union(*map(_own_names, (node, *inner)))
    return any(not (outside - _own_names(one)).isdisjoint(_changed(one)) for one in inner)


def _own_names(node: FunctionNode) -> set[str]:
    body = node.body if isinstance(node.body, list) else [node.body]
    return bound_names(body)[0] | set(parameters_of(node.args))


def _changed(node: FunctionNode) -> Iterator[str]:
    """Yield the first name of each expression that a function changes."""
    for child in ast.walk(node):
        if isinstance(child, ast.Nonlocal):
            yield from child.names
        elif isinstance(child, (ast.Attribute, ast.Subscript)):
            if not isinstance(child.ctx, ast.Load):
                yield _first(child)
        elif isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute):
            if child.func.attr in CHANGING_METHODS:
                yield _first(child.func)
        elif isinstance(child, ast.Call) and dotted(child.func) == "next" and child.args:
            yield _first(child.args[0])


def _first(node: ast.AST) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
