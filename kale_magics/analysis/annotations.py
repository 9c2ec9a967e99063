"""From the annotation of a parameter to the type of the pipeline's input."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from kale_magics.model.pipeline import Json
from kale_magics.step_runtime.parameters import accepts, alternatives_of

_PLAIN = {"int": ["int"], "float": ["int", "float"], "str": ["str"], "bool": ["bool"], "object": ["Any"]}
"""Builtins; an annotation with float accepts an int too (PEP 484)."""

_OF_TYPING = {"List": ["list"], "Dict": ["dict"], "Any": ["Any"]}


class _UnknownError(Exception):
    """No input of a pipeline can have the annotated type."""


def type_of(annotation: ast.expr | None, default: Json) -> str:
    """Return the type of a parameter, in the notation of `step_runtime.parameters`.

    Args:
        annotation: As typed; an unknown one is ignored.
        default: The value of the parameter; the type accepts it in any case.
    """
    own = "None" if default is None else type(default).__name__
    try:
        kind = _joined(_alternatives(annotation)) if annotation is not None else own
    except _UnknownError:
        kind = own
    return kind if accepts(alternatives_of(kind), default) else f"{kind} | {own}"


def _joined(alternatives: Sequence[str]) -> str:
    """Return alternatives as one type, each once, with all values in one Literal."""
    if "Any" in alternatives:
        return "Any"
    values = [a.removeprefix("Literal[")[:-1] for a in alternatives if a.startswith("Literal[")]
    literal = f"Literal[{', '.join(dict.fromkeys(values))}]"
    return " | ".join(dict.fromkeys(literal if a.startswith("Literal[") else a for a in alternatives))


def _alternatives(node: ast.expr) -> list[str]:
    """Return the alternatives of an annotation.

    Raises:
        _UnknownError: No input of a pipeline has such a type.
    """
    if isinstance(node, ast.Constant):
        return ["None"] if node.value is None else _alternatives(_parsed(node.value))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _alternatives(node.left) + _alternatives(node.right)
    if isinstance(node, ast.Subscript):
        content = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return _of_generic(_name(node.value), content)
    known = _PLAIN | {"list": ["list"], "dict": ["dict"]} if isinstance(node, ast.Name) else {}
    return _looked_up(_name(node), known | _OF_TYPING)


def _of_generic(name: str, content: Sequence[ast.expr]) -> list[str]:
    """Return the alternatives of a generic type."""
    if name == "Union":
        return [alternative for part in content for alternative in _alternatives(part)]
    if name == "Literal":
        return [_literal(part) for part in content]
    if name == "Annotated" or (name in ("Optional", "Final", "list", "List") and len(content) == 1):
        inner = _alternatives(content[0])
        if name in ("list", "List"):
            return [f"list[{_joined(inner)}]"]
        return [*inner, "None"] if name == "Optional" else inner
    if name in ("dict", "Dict") and len(content) == 2 and {"str", "Any"} & set(_alternatives(content[0])):
        return [f"dict[str, {_joined(_alternatives(content[1]))}]"]
    raise _UnknownError


def _name(node: ast.expr) -> str:
    """Return the last part of a dotted name such as `typing.List`; empty for anything else."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _looked_up(name: str, known: dict[str, list[str]]) -> list[str]:
    if name not in known:
        raise _UnknownError
    return known[name]


def _parsed(text: object) -> ast.expr:
    """Parse an annotation that is a string."""
    try:
        return ast.parse(text if isinstance(text, str) else "", mode="eval").body
    except (SyntaxError, ValueError) as error:  # a number, or prose
        raise _UnknownError from error


def _literal(node: ast.expr) -> str:
    """Return a value of a `Literal` as a type."""
    try:
        value = ast.literal_eval(node)
    except ValueError as error:  # a member of an enumeration
        raise _UnknownError from error
    if type(value) not in (str, int, bool, type(None)):
        raise _UnknownError
    return "None" if value is None else f"Literal[{value!r}]"
