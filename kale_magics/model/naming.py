"""The one place where a user's names become names that KFP and Python take.

KFP wants names of inputs and outputs that start with an ASCII letter and go on with letters, digits and
underscores; a lightweight component wants Python identifiers; a file system may not tell `X` from `x`.
Users are shown their own names; these keys stand where a machine reads.
"""

from __future__ import annotations

import hashlib
import keyword
import re
from collections.abc import Callable, Iterable

RESERVED = frozenset(
    {"output", "locals", "exec", "compile", "self", "report", "kale_workspace", "kale_runtime"}
)
"""Keys never given (compared case-blind): KFP keeps `Output` and `self`, the program has the others."""

LONGEST_KEY = 80
"""Characters; file systems take 255 bytes, with what is added to a key."""

_PLAIN = re.compile(r"[A-Za-z0-9_]")


def encode(name: str) -> str:
    """Spell a name with ASCII letters, digits and underscores, starting with a letter.

    Args:
        name: Any text that a user gave to a step or a variable.

    Returns:
        An identifier. A name that is one already, and free, is returned unchanged; a space or a hyphen
        becomes an underscore, any other character `uXXXX`, its code point in hexadecimal.
    """
    text = "".join(c if _PLAIN.match(c) else "_" if c in " -" else f"u{ord(c):04x}" for c in name)
    if not text[:1].isalpha():
        text = "v" + text if text.startswith("_") else "v_" + text
    if keyword.iskeyword(text) or text.lower() in RESERVED:
        text += "_"
    return text


def encode_step(name: str, pipeline: str = "") -> str:
    """Spell the name of a step as `encode` does, and as none that KFP needs for something else.

    Args:
        name: What the user calls the step.
        pipeline: What the user calls the pipeline: KFP's loader takes a component of that name for all of it.
    """
    key = encode(name)
    plain = key.rstrip("_").lower()
    taken = plain in ("executor", "root") or plain.endswith("_driver")
    taken = taken or (bool(pipeline) and _dashed(key) == _dashed(encode(pipeline)))
    return f"{key}_step" if taken else key


def _dashed(key: str) -> str:
    """A key as KFP spells it in the names of components."""
    return re.sub(r"[^0-9a-z]+", "-", key.lower()).strip("-")


def _short(key: str) -> str:
    """A key, which is the name of a folder too: of a long one a digest takes the place of the end."""
    if len(key) <= LONGEST_KEY:
        return key
    return f"{key[:LONGEST_KEY]}_{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def unique_keys(
    names: Iterable[str], taken: Iterable[str] = (), spell: Callable[[str], str] = encode
) -> dict[str, str]:
    """Give each name a key of its own, distinct even where case is not told apart.

    Args:
        names: Distinct names, in the order in which they are served.
        taken: Keys that are no longer free.
        spell: Gives the key of a name as far as others leave it free.

    Returns:
        The key of every name, in the order of `names`.
    """
    used = {key.lower() for key in taken}
    keys: dict[str, str] = {}
    for name in names:
        base = key = _short(spell(name))
        number = 2
        while key.lower() in used:
            key = f"{base}_{number}"
            number += 1
        used.add(key.lower())
        keys[name] = key
    return keys
