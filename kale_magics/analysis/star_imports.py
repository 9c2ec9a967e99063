"""The names that a star import binds."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Iterable


@functools.cache
def star_names(module: str) -> tuple[str, ...]:
    """Return the names that `from MODULE import *` binds; none if the module cannot be imported."""
    try:
        found = sys.modules.get(module) or importlib.import_module(module)
    except ImportError:
        return ()
    names: Iterable[str] = getattr(found, "__all__", None) or (
        n for n in vars(found) if not n.startswith("_")
    )
    return tuple(names)
