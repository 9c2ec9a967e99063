"""The variables that functions of the user's own modules set there, found in their source."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path

from kale_magics.analysis.library_rules import CHANGING_METHODS, is_known
from kale_magics.analysis.scopes import bound_names, parameters_of

CACHE_NAMES = re.compile("cache|memo", re.IGNORECASE)
"""Names of variables that cache results: a missing entry is only computed again."""

MAX_SOURCE = 1_000_000
"""Bytes; a longer source is not analysed."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def variables_set_by(path: str) -> tuple[str, tuple[str, ...]]:
    """Return what a function of an own module sets in its module when it is called.

    Args:
        path: The callee, as in "tools.add"; nothing is imported to look it up.

    Returns:
        The module, and the names that are set there; both empty if the path is not in an own module.
    """
    names = path.split(".")
    if len(names) < 2 or is_known(path):
        return "", ()
    for count in range(len(names) - 1, 0, -1):
        file = _source_of(tuple(names[:count]))
        if file is not None:
            try:
                changed = file.stat().st_mtime_ns
            except OSError:
                return "", ()
            return ".".join(names[:count]), _settings_of(file, changed).get(names[count], ())
    return "", ()


def _source_of(names: tuple[str, ...]) -> Path | None:
    """Return the file of a module, found as an import would find it."""
    places: list[str] | None = None
    origin: str | None = None
    for name in names:
        spec = PathFinder.find_spec(name, places)
        if spec is None:
            return None
        places, origin = spec.submodule_search_locations, spec.origin
    file = Path(origin) if origin and origin.endswith(".py") else None
    return file if file is not None and "site-packages" not in file.parts else None


@functools.lru_cache(maxsize=64)
def _settings_of(file: Path, _written: int) -> Mapping[str, tuple[str, ...]]:
    """Return what each function or class of a file sets; cached until the file is written again."""
    try:
        data = file.read_bytes()
        tree = (
            ast.parse(importlib.util.decode_source(data)) if len(data) <= MAX_SOURCE else ast.Module([], [])
        )
    except (OSError, SyntaxError, ValueError):
        return {}
    variables = bound_names([s for s in tree.body if not isinstance(s, Function)])[0]
    classes = {s.name for s in tree.body if isinstance(s, ast.ClassDef)}
    own: dict[str, set[str]] = {}
    calls: dict[str, set[str]] = {}
    for name, function in _functions(tree):
        own.setdefault(name, set()).update(
            n for n in _set_in(function, variables, classes) if not CACHE_NAMES.search(n)
        )
        called = {
            n.func.id for n in ast.walk(function) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        calls.setdefault(name, set()).update(called)
    return {name: tuple(sorted(_reached(name, own, calls))) for name in own}


def _functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Yield the functions of a module; methods under the name of their class."""
    for statement in tree.body:
        if isinstance(statement, Function):
            yield statement.name, statement
        elif isinstance(statement, ast.ClassDef):
            yield from ((statement.name, method) for method in statement.body if isinstance(method, Function))


def _reached(name: str, own: Mapping[str, set[str]], calls: Mapping[str, set[str]]) -> set[str]:
    found, pending, seen = set[str](), [name], {name}
    while pending:
        one = pending.pop()
        found |= own.get(one, set())
        new = calls.get(one, set()) - seen
        seen |= new
        pending += sorted(new)
    return found


def _set_in(function: Function, variables: set[str], classes: set[str]) -> Iterator[str]:
    """Yield the variables of its module that a function sets, as in "total" and "Counter.made"."""
    bound, declared, _ = bound_names(function.body)
    shared = variables - ((bound | set(parameters_of(function.args))) - declared)
    yield from declared  # a name is declared to be bound
    for node in ast.walk(function):
        target: ast.AST | None = None
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            target = node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            target = node.func.value if node.func.attr in CHANGING_METHODS else None
        first = ""
        while isinstance(target, (ast.Attribute, ast.Subscript)):
            first = target.attr if isinstance(target, ast.Attribute) else ""
            target = target.value
        if isinstance(target, ast.Name) and target.id in shared:
            yield f"{target.id}.{first}" if first and target.id in classes else target.id
