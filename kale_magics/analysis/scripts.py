"""The scripts that `%run` runs: what they bind and import, from their source when the cell is analysed."""

from __future__ import annotations

import ast
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from kale_magics.analysis.packages import imported_paths
from kale_magics.analysis.python_cell import CellProblemError
from kale_magics.analysis.scopes import bound_names
from kale_magics.model.diagnostics import Code
from kale_magics.step_runtime.run_magic import RUN_FLAGS, script_path


def script_call(line: str, number: int) -> str:
    """Return the call that replaces `%run LINE` in a step.

    Args:
        line: The arguments of `%run`.
        number: The line of the cell.

    Raises:
        CellProblemError: The script cannot be read or is not Python, or an option is not supported in a step.
    """
    words = shlex.split(line)
    flags = []
    while words and words[0].startswith("-"):
        flags.append(words.pop(0))
    unknown = [flag for flag in flags if flag not in RUN_FLAGS]
    if unknown or not words:
        what = f"%run {unknown[0]}" if unknown else "%run without a script"
        raise _problem(f"{what} is not supported in a step", "run a script, as in %run script.py", number)
    name, *arguments = words
    tree = script_tree(name, number)
    names = [] if "-i" in flags else list(dict.fromkeys(_names(tree)))
    return f"get_ipython().run_script({name!r}, {arguments!r}, {flags!r}, {names!r})"


def script_tree(name: str, number: int = 1) -> ast.Module:
    """Return the syntax tree of a script.

    Args:
        name: The argument of `%run`.
        number: The line of the cell that runs it.

    Raises:
        CellProblemError: The script cannot be read, or is not Python.
    """
    path = script_path(name)
    beside = Path(os.environ.get("JPY_SESSION_NAME", "")).parent
    place = next((p for p in (Path(path), beside / path) if p.is_file()), Path(path))
    try:
        return ast.parse(place.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise _problem(f"%run {name}: the script is not Python: {error}", "correct it", number) from error
    except OSError as error:
        message = f"%run {name}: the script cannot be read: {error.strerror or error}"
        raise _problem(
            message, "use the path of an existing script, relative to the notebook's folder", number
        ) from error


def scripts_in(node: ast.AST) -> Iterator[ast.Module]:
    """Yield the syntax trees of the scripts that code runs by calls of `script_call`."""
    for call in ast.walk(node):
        name = _script_of(call) if isinstance(call, ast.Call) else ""
        if name:
            yield script_tree(name)


def paths_of_scripts(node: ast.AST) -> frozenset[str]:
    """Return what the scripts that code runs import, as `imported_paths` does."""
    return frozenset(path for tree in scripts_in(node) for path in imported_paths(tree))


def _script_of(call: ast.Call) -> str:
    named = isinstance(call.func, ast.Attribute) and call.func.attr == "run_script" and len(call.args) == 4
    first = call.args[0] if named else None
    return str(first.value) if isinstance(first, ast.Constant) else ""


def _names(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a script binds."""
    from kale_magics.analysis.star_imports import star_names

    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module and statement.names[0].name == "*":
            yield from star_names(statement.module)
        yield from sorted(name for name in bound_names([statement])[0] if not name.startswith("__"))


def _problem(message: str, fix: str, number: int) -> CellProblemError:
    return CellProblemError(Code.UNSUPPORTED_SYNTAX, message, fix, number)
