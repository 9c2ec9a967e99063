"""NaNs keep their identity, for `value is np.nan`, `np.nan in values` and `{np.nan: …}` compare the object.

A pickle holds the bytes of a float, and each load creates another object. The C pickler calls no hook for
floats unless it calls one for all objects, which is slow: so only a value with a NaN is written again.
"""

from __future__ import annotations

import contextlib
import importlib
import struct
import sys
from typing import Any

NAN_BYTES = b"\xf8\0\0\0\0\0\0"
"""The last bytes of a quiet NaN, which are big-endian in a pickle."""

NAMED = (("numpy", "nan"), ("math", "nan"))
"""The NaNs that have a name; each is one object in a process."""

MAX_OWN = 10_000
"""How many other NaNs keep their identity; code hardly ever looks for one of so many."""


class Nans:
    """The NaNs that one pickler writes."""

    def __init__(self) -> None:
        self._named = {id(nan): f"{module}.{name}" for module, name, nan in _named_nans()}
        self._own: dict[int, tuple[Any, float]] = {}

    def persistent_id(self, value: Any) -> Any:
        """Return the identity of a NaN in the pickle; None for any other object, as in `pickle.Pickler`."""
        if type(value) is not float or value == value:
            return None
        if id(value) in self._named:
            return self._named[id(value)]
        if len(self._own) < MAX_OWN:
            known = f"{len(self._own)}:{struct.pack('<d', value).hex()}"  # its bits may carry a payload
            self._own.setdefault(id(value), (known, value))  # holds the object, so that its id stays unique
        known, _ = self._own.get(id(value), (None, value))
        return known


class NanBuilders:
    """Restores the identities of NaNs."""

    nans: dict[str, float]

    def persistent_load(self, known: str) -> float:
        """Return the NaN of an identity given by `Nans.persistent_id`."""
        if known in self.nans:
            return self.nans[known]
        _, is_own, bits = known.partition(":")
        if is_own:
            return self.nans.setdefault(known, struct.unpack("<d", bytes.fromhex(bits))[0])
        with contextlib.suppress(ImportError):  # then no code here can compare with it
            importlib.import_module(known.partition(".")[0])
        self.nans.update((f"{module}.{name}", nan) for module, name, nan in _named_nans())
        return self.nans.setdefault(known, float("nan"))


def _named_nans() -> list[tuple[str, str, float]]:
    modules = ((module, name, sys.modules.get(module)) for module, name in NAMED)
    return [(module, name, getattr(loaded, name)) for module, name, loaded in modules if loaded is not None]
