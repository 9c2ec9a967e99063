"""The parts of an expression that select its value, the value's type, and whether it is a copy."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from kale_magics.analysis.library_rules import ELEMENT_FUNCTIONS
from kale_magics.analysis.names import CONTAINERS, dotted, is_constant

IN_PLACE = frozenset({"inplace", "in_place"})
COPYING = frozenset({"copy", "copy_x", "copy_X"})
"""Arguments that request work in place if they are true, and those that do if they are false."""

_CHOOSING_FUNCTIONS = frozenset({"getattr", "operator.attrgetter", "attrgetter", "itemgetter"})
"""Functions whose arguments select an attribute or an element."""

_LAYOUTS = frozenset({"dtype", "order", "subok", "deep"})
"""Arguments that decide whether an array or a frame is copied."""

_CONVERTING = frozenset({"asarray", "asanyarray", "ascontiguousarray", "asfortranarray", "require"})
"""Functions that copy only if the type or the order differs from that of their other arguments."""

_DECIDED = _CONVERTING | {"reduce"}
"""Functions whose arguments after the first decide whether the result is a copy."""

_BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.BoolOp,
    ast.While,
    ast.For,
    ast.AsyncFor,
    ast.Match,
    ast.Try,
    ast.comprehension,
)


def selector_nodes(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the expressions that select the value, or its type, of an expression with these nodes."""
    for node in nodes:
        if isinstance(node, ast.IfExp):
            yield node.test
        elif isinstance(node, ast.BoolOp):
            yield from node.values[:-1]
        elif isinstance(node, ast.Subscript):
            yield node.slice
        elif isinstance(node, ast.comprehension):
            yield from node.ifs
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and _repeats(node):
            yield from (node.left, node.right)
        elif isinstance(node, ast.Call) and dotted(node.func) in _CHOOSING_FUNCTIONS:
            yield from node.args
        elif isinstance(node, ast.Call):
            yield from (keyword.value for keyword in node.keywords if _decides(keyword.arg))
            yield from node.args[1:] if _last(node) in _DECIDED else ()


def _decides(keyword: str | None) -> bool:
    """Whether an argument decides what a result shares, or its layout; unpacked ones may be any."""
    return keyword is None or keyword in _LAYOUTS | COPYING | IN_PLACE or keyword.startswith("overwrite_")


def filler_nodes(value: ast.expr) -> Iterator[ast.AST]:
    """Yield the parts of an expression that decide what a container in it holds, or whether it is empty."""
    for node in ast.walk(value):
        if isinstance(node, ast.comprehension):
            yield node.iter
        elif isinstance(node, ast.Call) and dotted(node.func) in ELEMENT_FUNCTIONS:
            yield from node.args


def _repeats(node: ast.BinOp) -> bool:
    """Whether a product repeats a list; the factor decides whether the result is empty."""
    return any(
        isinstance(side, (*CONTAINERS, ast.BinOp)) or (isinstance(side, ast.Call) and not is_constant(side))
        for side in (node.left, node.right)
    )


def selects(node: ast.AST) -> bool:
    """Whether code may select its result: it has branches, or looks items up."""
    return any(isinstance(n, _BRANCHES) or _is_lookup(n) or _may_copy(n) for n in ast.walk(node))


def _may_copy(node: ast.AST) -> bool:
    """Whether the arguments of a call may decide whether it copies."""
    if not isinstance(node, ast.Call):
        return False
    named = any(keyword.arg in _LAYOUTS | COPYING | IN_PLACE | {None} for keyword in node.keywords)
    return named or _last(node) in _DECIDED | {"astype"}


def _last(call: ast.Call) -> str:
    """Return the last name of the callee."""
    return dotted(call.func).rpartition(".")[2]


def _is_lookup(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and not isinstance(node.slice, (ast.Constant, ast.Slice))


def may_be_flag(node: ast.expr) -> bool:
    """Whether an argument may be a bool that a variable holds."""
    return isinstance(node, (ast.Name, ast.Compare, ast.UnaryOp, ast.Attribute, ast.Subscript))


def requests_in_place(keyword: ast.keyword) -> bool:
    """Whether an argument requests work in place."""
    value = keyword.value.value if isinstance(keyword.value, ast.Constant) else ...
    name = keyword.arg
    if name is None:
        return True  # unpacked keywords may request it
    name = name.rpartition("__")[2]  # `set_params` addresses a nested argument so
    if name in IN_PLACE or name.startswith("overwrite_"):
        return value is not False
    return name in COPYING and value not in (True, None)
