"""The global random generators of libraries, as `random.random()` and `np.random.rand()` use them.

Their state is passed between steps like a value, under a name that no variable can have.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

GENERATORS = {
    "state of random": ("random", "getstate", "setstate"),
    "state of numpy.random": ("numpy.random", "get_state", "set_state"),
    "state of torch": ("torch", "get_rng_state", "set_rng_state"),
}
"""For the name of a state: its module, and the functions that get and set it."""


OWNERS = {
    "state of random": ("random", "_inst"),
    "state of numpy.random": ("numpy.random.mtrand", "_rand"),
}
"""For the name of a state: the module and the variable of the object behind the generator."""


def owner_of_state(name: str) -> Any:
    """Return the object that holds a state; None if it is no Python object, or its module is not imported."""
    module, variable = OWNERS.get(name, ("", ""))
    return vars(sys.modules[module]).get(variable) if module in sys.modules else None


def state_of_generator(value: Any) -> str:
    """Return the name of the state that a global generator holds; empty for any other object."""
    return next((name for name in OWNERS if value is not None and value is owner_of_state(name)), "")


def generator_state(name: str) -> Any:
    """Return the state of a generator; None if its module is not imported."""
    module, get, _ = GENERATORS[name]
    found = sys.modules.get(module)
    return getattr(found, get)() if found is not None else None


def set_generator_state(name: str, state: Any) -> None:
    """Set the state of a generator."""
    if state is not None:
        module, _, put = GENERATORS[name]
        getattr(importlib.import_module(module), put)(state)
