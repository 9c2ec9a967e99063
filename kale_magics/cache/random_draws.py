"""Random numbers that a step draws: from the generators of libraries, or from the system.

The file is executed alone in the process of a step, so it imports the standard library only.
"""

from __future__ import annotations

import os
import random
import sys
from typing import Any

GENERATOR_MODULES = ("random", "numpy.random")
"""Modules with a generator that all code shares."""

RUNTIME = "<kale step runtime>"
"""The file name of the runtime's code."""

_LOADERS = (os.path.join("numpy", "random", "_pickle.py"), RUNTIME)
"""The files whose code restores pickled generators."""


def generator_states() -> dict[str, Any]:
    """Return the states of the shared generators of the modules that are loaded."""
    states: dict[str, Any] = {"random": random.getstate()[1]}
    numpy = getattr(sys.modules.get("numpy.random"), "get_state", None)
    if numpy is not None:
        state = numpy(legacy=False)["state"]
        words = state["key"].tobytes() if "key" in state else repr(state).encode()
        states["numpy.random"] = (words, state.get("pos"))
    return states


def is_fresh(state: tuple[bytes, int]) -> bool:
    """Whether numpy's generator is as its import has left it: seeded by a `SeedSequence`, and not used.

    Source: `MT19937.__init__` of numpy.
    """
    return state[1] in (623, 624) and int.from_bytes(state[0][:4], sys.byteorder) == 0x80000000


def uses_system_randomness(library_folders: tuple[str, ...]) -> bool:
    """Whether the code that asks for system randomness, three frames above, uses it for its results.

    Args:
        library_folders: The folders of installed modules.
    """
    try:
        frame: Any = sys._getframe(3)
    except ValueError:  # a thread that does nothing else
        return True
    code = frame.f_code
    # Generators of numpy draw before they take their seed, or are filled when they are loaded.
    if code.co_filename.endswith(_LOADERS) or "RandomState" in code.co_names:
        return False
    in_library = code.co_filename.startswith((*library_folders, "<frozen"))
    while frame is not None and "importlib" not in frame.f_code.co_filename:
        frame = frame.f_back
    # What a library draws while it is imported is seeded later, or does not matter.
    return frame is None or not in_library
