"""What the runtime uses of Python, as it was before the notebook's code could change it.

A notebook may put a function of its own into a module: `json.dumps = ...`, `os.path.exists = ...`. Its own
code uses that one; what starts, runs and records steps must not. The file is executed alone too, so it
imports the standard library only.
"""

from __future__ import annotations

import types
from json.decoder import JSONDecoder
from json.encoder import JSONEncoder
from typing import Any

LIVE_MODULES = frozenset({"sys", "threading"})
"""Modules of which the present attributes are meant."""

STATELESS = frozenset({"os", "posixpath"})
"""Modules whose functions call each other and keep nothing: they can look each other up in a copy."""


def to_json(value: Any, **options: Any) -> str:
    """A value as JSON, whatever the notebook has made of `json.dumps`; options as there."""
    return JSONEncoder(**options).encode(value)


def from_json(text: str | bytes) -> Any:
    """The value of a text of JSON, whatever the notebook has made of `json.loads`."""
    return JSONDecoder().decode(text if isinstance(text, str) else text.decode())


def fix_modules(namespace: dict[str, Any]) -> None:
    """Put copies, in which nobody sets anything, in the places of the modules in a namespace."""
    for name, value in list(namespace.items()):
        if isinstance(value, types.ModuleType) and value.__name__ not in LIVE_MODULES:
            namespace[name] = copy_of(value, within=True)


def copy_of(module: types.ModuleType, within: bool = False) -> types.ModuleType:
    """A module with the same attributes; `within`: and copies of modules among them, as `os.path`."""
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
