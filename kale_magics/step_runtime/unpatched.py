"""The parts of the standard library that the runtime uses, before the notebook's code could patch them.

A notebook may patch a module: `json.dumps = ...`, `os.path.exists = ...`. Its own code uses the patch; the
code that starts, runs and records steps must not. This file is also executed alone, so it imports the
standard library only.
"""

from __future__ import annotations

import types
from json.decoder import JSONDecoder
from json.encoder import JSONEncoder
from typing import Any

LIVE_MODULES = frozenset({"sys", "threading"})
"""Modules whose current attributes are used."""

STATELESS = frozenset({"os", "posixpath"})
"""Modules whose functions call each other and keep no state, so that they can work in a copy."""


def to_json(value: Any, **options: Any) -> str:
    """Serialize a value as JSON, even if the notebook has patched `json.dumps`; options as there."""
    return JSONEncoder(**options).encode(value)


def from_json(text: str | bytes) -> Any:
    """Parse a JSON text, even if the notebook has patched `json.loads`."""
    return JSONDecoder().decode(text if isinstance(text, str) else text.decode())


def copy_modules(namespace: dict[str, Any]) -> None:
    """Replace the modules in a namespace by copies, which no code patches."""
    for name, value in list(namespace.items()):
        if isinstance(value, types.ModuleType) and value.__name__ not in LIVE_MODULES:
            namespace[name] = copy_of(value, within=True)


def copy_of(module: types.ModuleType, within: bool = False) -> types.ModuleType:
    """Return a copy of a module; with `within`, also of modules among its attributes, as `os.path`."""
    copy = types.ModuleType(module.__name__)
    for name, value in list(vars(module).items()):
        is_module = within and isinstance(value, types.ModuleType) and value.__name__ not in LIVE_MODULES
        own = isinstance(value, types.FunctionType) and value.__globals__ is vars(module)
        if is_module:
            value = copy_of(value)
        elif own and module.__name__ in STATELESS:
            known, defaults = value, value.__kwdefaults__
            value = types.FunctionType(
                known.__code__, vars(copy), known.__name__, known.__defaults__, known.__closure__
            )
            value.__kwdefaults__ = defaults
        vars(copy)[name] = value
    return copy
