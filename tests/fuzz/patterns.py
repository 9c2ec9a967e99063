"""How patterns are written down: many in one text."""

from __future__ import annotations

import re


def short(text: str) -> tuple[str, ...]:
    """Patterns of one line each, with at least two spaces or a line's end between them."""
    return tuple(re.split(r"\s{2,}|\n", text.strip()))


def long(text: str) -> tuple[str, ...]:
    """Patterns of several lines, with an empty line between them."""
    return tuple(text.strip("\n").split("\n\n"))
