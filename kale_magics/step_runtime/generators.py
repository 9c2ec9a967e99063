"""The random generators that libraries keep for everybody, as `random.random()` and `np.random.rand()` use.

Their state goes from step to step like a value, under a name that no variable can have.
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
"""For the name of a state: the module that has it, and its functions that give and take it."""


OWNERS = {
    "state of random": ("random", "_inst"),
    "state of numpy.random": ("numpy.random.mtrand", "_rand"),
}
"""For the name of a state: the module and the variable that have the object behind the generator."""


def owner_of_state(name: str) -> Any:
    """The object that keeps a state; None if none of Python's does, or nothing has imported its module."""
    module, variable = OWNERS.get(name, ("", ""))
    return vars(sys.modules[module]).get(variable) if module in sys.modules else None


def state_of_generator(value: Any) -> str:
    """The name of the state that an object keeps for everybody; empty for any other object."""
    return next((name for name in OWNERS if value is not None and value is owner_of_state(name)), "")


def generator_state(name: str) -> Any:
    """The state of a generator; None if nothing has imported its module."""
    module, get, _ = GENERATORS[name]
    found = sys.modules.get(module)
    return getattr(found, get)() if found is not None else None


def set_generator_state(name: str, state: Any) -> None:
    """Let a generator go on from a state."""
    if state is not None:
        module, _, put = GENERATORS[name]
        getattr(importlib.import_module(module), put)(state)
