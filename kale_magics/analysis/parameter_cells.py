"""Parse parameters cells and metrics cells."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from kale_magics.analysis.annotations import type_of
from kale_magics.analysis.names import is_constant
from kale_magics.analysis.syntax import CellProblemError, to_python
from kale_magics.model.diagnostics import Code
from kale_magics.model.pipeline import Json
from kale_magics.step_runtime.parameters import accepts, alternatives_of


@dataclass(frozen=True)
class Default:
    """A parameter and its default.

    Attributes:
        name: The variable.
        type: From its annotation, else the type of its value; see `step_runtime.parameters`.
        value: The default.
        line: In the cell, from 1.
    """

    name: str
    type: str
    value: Json
    line: int


def read_parameters(tree: ast.Module) -> tuple[list[Default], list[int], list[tuple[str, int]]]:
    """Parse a parameters cell.

    Args:
        tree: The cell.

    Returns:
        The parameters; the numbers of the statements that compute other variables; the names of these, with
        their lines.

    Raises:
        CellProblemError: It contains anything but assignments to names.
    """
    defaults: list[Default] = []
    derived: list[int] = []
    names: list[tuple[str, int]] = []
    for number, statement in enumerate(tree.body):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        found = list(_assigned(statement))
        literal = [_literal(value) for _, value in found]
        # Names of one list or dict remain aliases only if the statement itself runs in the step.
        shared = (
            isinstance(statement, ast.Assign)
            and len(statement.targets) > 1
            and not is_constant(statement.value)
        )
        if all(known for known, _ in literal) and not shared:
            for (name, _), (_, value) in zip(found, literal, strict=True):
                kind = type_of(getattr(statement, "annotation", None), value)
                defaults.append(Default(name, kind, value, statement.lineno))
        else:
            derived.append(number)
            names += [(name, statement.lineno) for name, _ in found]
    return defaults, derived, names


def has_only_literals(source: str) -> bool:
    """Whether a cell only assigns literals to names, so that it can be a parameters cell."""
    try:
        defaults, derived, _ = read_parameters(to_python(source).tree)
    except CellProblemError:
        return False
    return bool(defaults) and not derived


def _assigned(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that a statement assigns, each with its expression."""
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        yield from _pairs(statement.target, statement.value)
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from _pairs(target, statement.value)
    else:
        raise _not_an_assignment(statement)


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, (ast.Tuple, ast.List)):
        same = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
        for index, element in enumerate(target.elts):
            own = cast(ast.Tuple, value).elts[index] if same else value
            yield from _pairs(element.value if isinstance(element, ast.Starred) else element, own)
    else:
        raise _not_an_assignment(target)


def _not_an_assignment(node: ast.stmt | ast.expr) -> CellProblemError:
    return CellProblemError(
        Code.INVALID_LINE,
        "a parameters cell can contain only assignments to names",
        "move this line to a step, or to a %%kale functions cell",
        node.lineno,
    )


def _literal(node: ast.expr) -> tuple[bool, Any]:
    """Return whether an expression is a literal that an input of a pipeline accepts, and its value."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError):
        return False, None
    return accepts(alternatives_of("Any"), value), value


def metric_names(tree: ast.Module) -> list[tuple[str, int]]:
    """Return the variables that a metrics cell lists, with their lines: printed or as expressions.

    Raises:
        CellProblemError: The cell contains anything else.
    """
    found: list[tuple[str, int]] = []
    for statement in tree.body:
        if not isinstance(statement, ast.Expr):
            raise _no_metric(statement)
        names = list(_listed(statement.value))
        if not names and not isinstance(statement.value, ast.Constant):
            raise _no_metric(statement)
        found += [(name, statement.lineno) for name in names]
    return list(dict.fromkeys(found))


def _listed(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, (ast.Tuple, ast.List)):
        for element in node.elts:
            yield from _listed(element)
    elif isinstance(node, ast.JoinedStr):
        for value in node.values:
            if isinstance(value, ast.FormattedValue):
                yield from _listed(value.value)
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("print", "display")
    ):
        for argument in node.args:
            yield from _listed(argument)


def _no_metric(node: ast.stmt) -> CellProblemError:
    return CellProblemError(
        Code.INVALID_LINE,
        "a metrics cell can contain only names of variables, one per line",
        "compute the value in a step and name its variable here",
        node.lineno,
    )
