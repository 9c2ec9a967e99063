"""From the modules that code imports to requirements for pip."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import sys
from collections.abc import Iterable


def imported_modules(node: ast.AST) -> frozenset[str]:
    """The top-level modules that code imports, wherever in it; relative imports left out."""
    modules: set[str] = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            modules.update(alias.name.partition(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            modules.add(child.module.partition(".")[0])
    return frozenset(modules)


def requirements(modules: Iterable[str]) -> tuple[str, ...]:
    """The distributions of modules, each at the version that is installed here.

    A module of the standard library, or one that no installed distribution has, needs none.
    """
    wanted = {m for m in modules if m not in sys.stdlib_module_names and m != "__main__"}
    if not wanted:
        return ()
    found = {distribution for module in wanted for distribution in _owners(module)}
    return tuple(sorted(f"{name}=={_version(name)}" for name in found))


@functools.cache
def _owners(module: str) -> tuple[str, ...]:
    """The distributions that bring a module."""
    declared = _distributions().get(module)
    if declared:
        return tuple(declared)
    # Python 3.10 knows only those that have a list of their modules.
    places = (module, f"{module}.py")
    return tuple(
        distribution.metadata["Name"]
        for distribution in importlib.metadata.distributions()
        if any(file.parts[0] in places for file in distribution.files or ())
    )


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


@functools.cache
def _version(distribution: str) -> str:
    return importlib.metadata.version(distribution)
