"""From the modules that code imports to requirements for pip."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import os
import sys
import sysconfig
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
    found = versions({distribution for module in wanted for distribution in owners(module)})
    return tuple(sorted(f"{name}=={version}" for name, version in found.items()))


def owners(module: str) -> tuple[str, ...]:
    """The distributions that bring a top-level module."""
    return _owners(module, installation())


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """The versions of distributions that are installed now; empty for one that is not."""
    stamp = installation()
    return {name: _version(name, stamp) for name in distributions}


HOMES = tuple(
    sorted(
        {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
        | {place for place in sys.path if place.endswith(("site-packages", "dist-packages"))}
    )
)
"""The folders of installed modules: of the standard library, and of what was installed."""


def installation() -> tuple[int, ...]:
    """Changes when something is installed or taken away."""
    return tuple(os.stat(home).st_mtime_ns for home in HOMES if os.path.isdir(home))


@functools.lru_cache(maxsize=4096)
def _owners(module: str, stamp: tuple[int, ...]) -> tuple[str, ...]:
    declared = _distributions(stamp).get(module)
    if declared:
        return tuple(declared)
    # Python 3.10 knows only those that have a list of their modules.
    places = (module, f"{module}.py")
    return tuple(
        distribution.metadata["Name"]
        for distribution in importlib.metadata.distributions()
        if any(file.parts[0] in places for file in distribution.files or ())
    )


@functools.lru_cache(maxsize=2)
def _distributions(_: tuple[int, ...]) -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


@functools.lru_cache(maxsize=4096)
def _version(distribution: str, _: tuple[int, ...]) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
