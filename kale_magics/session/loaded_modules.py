"""Find the modules that an execution loads."""

from __future__ import annotations

import sys
import types
from collections.abc import Collection


def loaded_since(before: Collection[str]) -> frozenset[str]:
    """Return the shortest distinct names of the modules that have been loaded from files.

    Args:
        before: The names in `sys.modules` at an earlier time.

    Returns:
        Top-level names; dotted ones in a namespace package, which several distributions share.
    """
    new = [name for name in tuple(sys.modules) if name not in before and _has_file(name)]
    return frozenset(_distinct(name) for name in new if name.partition(".")[0] not in sys.stdlib_module_names)


def _distinct(name: str) -> str:
    parts = name.split(".")
    prefixes = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
    return next((prefix for prefix in prefixes if _has_file(prefix)), name)


def _has_file(name: str) -> bool:
    """Whether a module has a file; found without running code of lazy modules."""
    module = sys.modules.get(name)
    return issubclass(type(module), types.ModuleType) and bool(
        object.__getattribute__(module, "__dict__").get("__file__")
    )
