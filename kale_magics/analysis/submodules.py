"""Submodules that code uses as attributes of a package without importing them, as `matplotlib.pyplot`.

In a notebook such an attribute exists as soon as any code has imported the submodule.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import PathFinder

from kale_magics.analysis.packages import imported_paths
from kale_magics.analysis.uses import attributes_of_imports


def used_submodules(sources: Iterable[str]) -> tuple[str, ...]:
    """Return the submodules that pieces of code, in order, use as attributes of imported packages."""
    codes = tuple(sources)
    imported = {
        prefix for code in codes for path in imported_paths(ast.parse(code)) for prefix in _prefixes(path)
    }
    used = {prefix for path in attributes_of_imports(codes) for prefix in _prefixes(path)}
    return tuple(sorted(filter(is_submodule, used - imported)))


def _prefixes(path: str) -> Iterator[str]:
    """Yield the submodules of a dotted path: of "a.b.c", "a.b" and "a.b.c"."""
    names = path.split(".")
    return (".".join(names[:count]) for count in range(2, len(names) + 1))


@functools.cache
def is_submodule(path: str) -> bool:
    """Whether a submodule exists; nothing is imported to find out."""
    package, _, _ = path.rpartition(".")
    return bool(_spec(path, _folders(package)))


@functools.cache
def _folders(package: str) -> tuple[str, ...]:
    """Return the folders of a package's submodules; empty for a module that has none."""
    loaded = sys.modules.get(package)
    if loaded is not None:
        return tuple(getattr(loaded, "__path__", None) or ())
    parent = package.rpartition(".")[0]
    spec = _spec(package, _folders(parent) if parent else None)
    return tuple(getattr(spec, "submodule_search_locations", None) or ())


def _spec(name: str, folders: Sequence[str] | None) -> object:
    try:
        if folders is None:
            return importlib.util.find_spec(name)
        return PathFinder.find_spec(name, folders) if folders else None
    except (ImportError, ValueError):
        return None
