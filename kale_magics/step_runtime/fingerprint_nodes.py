"""The nodes of fingerprints: the description of one object, with the hashes of its content.

A reader returns the facts about an object: a dict with the keys of a node (see `fingerprint`), "hash" for its
three hashes (its own, and rounded on two grids), and "complete" if its attributes add nothing.
"""

from __future__ import annotations

import functools
import hashlib
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

MAX_HEADS = 8
"""First elements that a fingerprint shows."""

MAX_PARTS = 60
"""Parts of one object that the tree keeps; the hashes cover the others too."""

MAX_SHORT_TEXT = 40
"""Characters of a value that a fingerprint shows."""

MAX_REASONS = 3
"""Reasons why parts cannot be compared that a node names."""

GOLDEN_RATIO = 0.6180339887498949
"""Steps of this size modulo 1 spread positions evenly, whatever the rows and columns."""

ROUNDED_BITS = 18
"""Bits of a double that rounding removes: it hides relative differences below 3e-11, none above 1.2e-10."""

NOISE = 1e-14
"""Floats below this count as zero when they are rounded."""

PLAIN_TYPES = frozenset([int, float, str, bool, type(None)])

NO_HASHES = (b"", b"", b"")

TOO_MANY = "it has more parts than are read"

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

UNREPEATABLE = re.compile(
    r"\bat 0x[0-9a-fA-F]{4,}|^/(private/)?(var/folders|tmp|var/tmp)/\S"
    r"|<ipython-input-|/ipykernel_\d+/|<step [^>\n]*, In \["
)
"""Texts with a memory address or the file name of a cell in tracebacks, and paths in temporary folders."""

PROCESS_SPECIFIC = "a memory address, the file of a cell, or a path in a folder for temporary files"

UNREPEATABLE_MARKERS = ("/", " at 0x", "<ipython-input-", "<step ")
"""Every text that is not repeatable contains one of them."""

MEASURED = frozenset(
    "mean_fit_time std_fit_time mean_score_time std_score_time fit_time score_time refit_time_".split()
)
"""Names under which scikit-learn keeps measured times."""


def hash_of(*pieces: bytes) -> str:
    """Return a hash of byte strings, as 12 hexadecimal digits."""
    return hashlib.blake2b(b"\0,".join(pieces), digest_size=6).hexdigest()


def checksum_of(data: Any) -> bytes:
    """Return a checksum of an array's memory: five times as fast as a hash, which only attacks would need."""
    return b"%08x" % zlib.crc32(data)


def encoded(text: str) -> bytes:
    """Encode any text."""
    return text.encode("utf-8", "surrogatepass")


def short_text(text: str) -> str:
    """Shorten a text to one short line."""
    text = CONTROL_CHARACTERS.sub(" ", text[: MAX_SHORT_TEXT + 1])
    return text if len(text) <= MAX_SHORT_TEXT else text[: MAX_SHORT_TEXT - 3] + "..."


@functools.lru_cache(maxsize=64)
def sample_positions(length: int, limit: int) -> tuple[int, ...]:
    """Return the positions of the elements to sample: the first and last ones, and others between them."""
    edge = limit // 8
    found = {*range(min(edge, length)), *range(max(0, length - edge), length)}
    found.update(int((number * GOLDEN_RATIO) % 1.0 * length) for number in range(limit - 2 * edge))
    return tuple(sorted(found))


def affordable(reader: Any, count: int) -> Iterator[int]:
    """Yield the numbers of the objects that a reader can afford: all, or a sample of them.

    Args:
        reader: A `FingerprintReader`. The others are expected to cost as much as the first object.
        count: How many objects there are.
    """
    before = reader.left
    if count:
        yield 0
    cost = max(1, before - reader.left)
    others: Iterable[int] = range(count)
    if cost * count > before:
        others, reader.is_cut = sample_positions(count, max(2, before // cost)), True
    for number in others:
        if reader.left < 0:
            return
        if number:
            yield number


def rounded_float(value: float) -> tuple[int, int]:
    """Round a float on two grids: values that differ by rounding errors are equal on at least one of them."""
    if value != value:
        return 1 << 62, 1 << 62
    if abs(value) < NOISE:
        return 0, 0
    bits = struct.unpack("<q", struct.pack("<d", value))[0]
    return bits >> ROUNDED_BITS, (bits + (1 << (ROUNDED_BITS - 1))) >> ROUNDED_BITS


def float_bits(value: float) -> bytes:
    """Return the bits of a float, the same for every NaN."""
    return b"nan" if value != value else struct.pack("<d", value)


def class_name(kind: type) -> str:
    """Return the name of a class with its module, except for builtins, the notebook and this runtime."""
    module = module_name(kind)
    name = str(type.__dict__["__qualname__"].__get__(kind))
    return name if module in ("", "builtins", "__main__", "kale_step_runtime") else f"{module}.{name}"


def module_name(kind: type) -> str:
    """Return the module of a class, whatever its metaclass defines; empty if it is not a text."""
    module = type.__dict__["__module__"].__get__(kind)
    return module if type(module) is str else ""


def class_dict(kind: type) -> Any:
    """Return the attributes of a class, whatever its metaclass defines."""
    return type.__dict__["__dict__"].__get__(kind)


def is_plain(value: Any) -> bool:
    """Whether a value is a text, a number, a boolean or None, and not of a subclass of these."""
    kind = type(value)
    return type(kind) is type and kind in PLAIN_TYPES  # a metaclass may define how its classes are hashed


def unknown_node(kind: str, reason: str) -> dict[str, Any]:
    """Return the node of an object that cannot be compared."""
    return {"t": kind, "h": hash_of(b"?", encoded(kind)), "no": reason}


def text_node(kind: str, text: str, content: bytes | None = None) -> dict[str, Any]:
    """Return the node of an object that a text, or some bytes given with it, describe completely."""
    if UNREPEATABLE.search(text[:200]):
        return unknown_node(kind, PROCESS_SPECIFIC)
    data = encoded(text) if content is None else content
    return {"t": kind, "h": hash_of(encoded(kind), data), "x": short_text(text)}


def number_node(kind: str, values: tuple[float, ...], text: str) -> dict[str, Any]:
    """Return the node of a number that consists of floats."""
    grids = [rounded_float(value) for value in values]
    exact = hash_of(encoded(kind), *map(float_bits, values))
    rounded = [hash_of(encoded(kind), *(str(grid[way]).encode() for grid in grids)) for way in (0, 1)]
    return {"t": kind, "h": exact, "a": rounded, "x": text}


def text_facts(text: str) -> dict[str, Any]:
    """Return the facts about an object that a text describes completely."""
    return {"x": short_text(text), "hash": (encoded(text),) * 3, "complete": True}


def make_node(kind: str, known: dict[str, Any], parts: Parts | None = None) -> dict[str, Any]:
    """Build the node of an object from the facts about it.

    Args:
        kind: The name of its type.
        known: The facts.
        parts: More parts of it.
    """
    if "no" in known:
        return unknown_node(kind, known["no"])
    name = encoded(kind)
    exact, *rounded = known.pop("hash", NO_HASHES)
    known.pop("complete", None)
    if parts is None:
        node = {"t": kind, **known, "h": hash_of(name, exact)}
        if rounded != [exact, exact]:
            node["a"] = [hash_of(name, piece) for piece in rounded]
        return node
    parts.shown = {**known.get("p", {}), **parts.shown}
    parts.reasons.update(known.get("some", ()))
    of_parts, *rounded_parts = parts.hashes
    node = {"t": kind, **parts.known(**known), "h": hash_of(name, exact, of_parts)}
    if rounded != [exact, exact] or rounded_parts != [of_parts, of_parts]:
        node["a"] = [hash_of(name, rounded[way], rounded_parts[way]) for way in (0, 1)]
    return node


class Parts:
    """Collects the nodes of an object's parts.

    Args:
        head: Hashed before the parts.

    Attributes:
        shown: The first parts.
        reasons: Why some cannot be compared.
        is_cut: Whether there are more parts than are shown.
    """

    def __init__(self, head: str) -> None:
        self._exact: list[bytes] = [encoded(head)]
        self._rounded: list[tuple[int, str, list[str]]] = []
        self.shown: dict[str, dict[str, Any]] = {}
        self.reasons: set[str] = set()
        self.is_cut = False

    def add(self, label: str, node: dict[str, Any]) -> None:
        """Add a part."""
        if "a" in node:
            self._rounded.append((len(self._exact), label, node["a"]))
        self._exact.append(encoded(label + node["h"]))
        if len(self.shown) < MAX_PARTS:
            self.shown[label] = node
        else:
            self.is_cut = True
        if "no" in node or "some" in node:
            self.reasons.update(node.get("some") or [node["no"]])

    def stop(self) -> None:
        """Record that there are more parts than are read."""
        self.reasons.add(TOO_MANY)
        self.is_cut = True

    @property
    def hashes(self) -> tuple[bytes, bytes, bytes]:
        """The exact and the rounded hashes of all parts."""
        exact = hash_of(*self._exact).encode()
        if not self._rounded:
            return exact, exact, exact
        return exact, self._on_grid(0), self._on_grid(1)

    def _on_grid(self, grid: int) -> bytes:
        pieces = list(self._exact)
        for place, label, rounded in self._rounded:
            pieces[place] = encoded(label + rounded[grid])
        return hash_of(*pieces).encode()

    def known(self, **about: Any) -> dict[str, Any]:
        """Return the facts about an object with these parts, without its hashes."""
        if self.shown:
            about["p"] = self.shown
        if self.is_cut:
            about["cut"] = 1
        if self.reasons:
            about["some"] = sorted(self.reasons)[:MAX_REASONS]
        return about

    def whole(self, **about: Any) -> dict[str, Any]:
        """Return the facts about an object that consists of these parts alone."""
        return {**self.known(**about), "hash": self.hashes, "complete": True}
