"""NaN is an object: `value is np.nan`, `np.nan in values` and `{np.nan: …}` ask for that very one.

A pickle has the bytes of a float, and each that it makes is another object. The C pickler asks nobody about a
float unless it asks about everything, which is slow: so what has a NaN in it is written once more.
"""

from __future__ import annotations

import contextlib
import importlib
import struct
import sys
from typing import Any

NAN_BYTES = b"\xf8\0\0\0\0\0\0"
"""What the eight bytes of a quiet NaN end with: those of a float in a pickle are big-endian."""

NAMED = (("numpy", "nan"), ("math", "nan"))
"""Where NaNs are that have a name, one object in a process each."""

MAX_OWN = 10_000
"""How many other ones are told apart; those of a list of them are hardly ever looked for."""


class Nans:
    """The NaNs that are written by one pickler."""

    def __init__(self) -> None:
        self._named = {id(nan): f"{module}.{name}" for module, name, nan in _named_nans()}
        self._own: dict[int, tuple[Any, float]] = {}

    def persistent_id(self, value: Any) -> Any:
        """What stands for a NaN in the pickle; None for any other object, as `pickle.Pickler` wants it."""
        if type(value) is not float or value == value:
            return None
        if id(value) in self._named:
            return self._named[id(value)]
        if len(self._own) < MAX_OWN:
            known = f"{len(self._own)}:{struct.pack('<d', value).hex()}"  # its bits may say more
            self._own.setdefault(id(value), (known, value))  # kept: its id is nobody else's
        known, _ = self._own.get(id(value), (None, value))
        return known


class NanMakers:
    """The side of the reader."""

    nans: dict[str, float]

    def persistent_load(self, known: str) -> float:
        """The NaN that `Nans.persistent_id` has named."""
        if known in self.nans:
            return self.nans[known]
        _, is_own, bits = known.partition(":")
        if is_own:
            return self.nans.setdefault(known, struct.unpack("<d", bytes.fromhex(bits))[0])
        with contextlib.suppress(ImportError):  # then nobody here can ask for it
            importlib.import_module(known.partition(".")[0])
        self.nans.update((f"{module}.{name}", nan) for module, name, nan in _named_nans())
        return self.nans.setdefault(known, float("nan"))


def _named_nans() -> list[tuple[str, str, float]]:
    modules = ((module, name, sys.modules.get(module)) for module, name in NAMED)
    return [(module, name, getattr(loaded, name)) for module, name, loaded in modules if loaded is not None]
