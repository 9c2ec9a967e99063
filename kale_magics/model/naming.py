"""Converts the user's names to keys that KFP, Python and file systems accept.

Names of inputs and outputs in KFP start with an ASCII letter, followed by letters, digits and underscores; in
a lightweight component they are Python identifiers; a file system may be case-insensitive. Messages and views
show the user's names.
"""

from __future__ import annotations

import hashlib
import keyword
import re
from collections.abc import Callable, Iterable

RESERVED = frozenset(
    {
        "output",
        "locals",
        "exec",
        "compile",
        "self",
        "report",
        "kale_workspace",
        "kale_runtime",
        "kale_runtime_part",
    }
)
"""Keys that are not used, in any case: `Output` and `self` are KFP's, the others the program's."""

MAX_KEY = 80
"""Characters; file names have at most 255 bytes, including suffixes of a key."""

_PLAIN = re.compile(r"[A-Za-z0-9_]")


def encode(name: str) -> str:
    """Encode a name with ASCII letters, digits and underscores, starting with a letter.

    Args:
        name: The name of a step or a variable.

    Returns:
        An identifier. A valid name that is not reserved is unchanged; a space or a hyphen becomes an
        underscore, any other character `uXXXX`, its code point in hexadecimal.
    """
    text = "".join(c if _PLAIN.match(c) else "_" if c in " -" else f"u{ord(c):04x}" for c in name)
    if not text[:1].isalpha():
        text = "v" + text if text.startswith("_") else "v_" + text
    if keyword.iskeyword(text) or text.lower() in RESERVED:
        text += "_"
    return text


def encode_step(name: str, pipeline: str = "") -> str:
    """Encode the name of a step like `encode`, avoiding names that KFP reserves.

    Args:
        name: The step's name.
        pipeline: The pipeline's name: KFP's loader mistakes a component of that name for the pipeline.
    """
    key = encode(name)
    plain = key.rstrip("_").lower()
    reserved = plain in ("executor", "root") or plain.endswith("_driver")
    reserved = reserved or (bool(pipeline) and _dashed(key) == _dashed(encode(pipeline)))
    return f"{key}_step" if reserved else key


def _dashed(key: str) -> str:
    """Return a key as KFP writes it in the names of components."""
    return re.sub(r"[^0-9a-z]+", "-", key.lower()).strip("-")


def _short(key: str) -> str:
    """Replace the end of a long key by a digest."""
    if len(key) <= MAX_KEY:
        return key
    return f"{key[:MAX_KEY]}_{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def unique_keys(
    names: Iterable[str], taken: Iterable[str] = (), key_of: Callable[[str], str] = encode
) -> dict[str, str]:
    """Assign each name a key that is unique even if case is ignored.

    Args:
        names: Distinct names; earlier ones have priority.
        taken: Keys that are in use.
        key_of: Returns the key of a name; a number is added if it is in use.

    Returns:
        The key of every name, in the order of `names`.
    """
    used = {key.lower() for key in taken}
    keys: dict[str, str] = {}
    for name in names:
        base = key = _short(key_of(name))
        number = 2
        while key.lower() in used:
            key = f"{base}_{number}"
            number += 1
        used.add(key.lower())
        keys[name] = key
    return keys
