"""Texts that are too long to be shown: the same cut for all of them."""

from __future__ import annotations

MOST_LINES = 400
"""Lines of a text that are shown."""


def cut(text: str, most: int) -> str:
    """A text of at most `most` characters and some lines: of a longer one, the middle is left out."""
    if len(text) > most:
        first = most * 2 // 3
        left_out = f" … ({len(text) - most:,} characters left out) … "
        text = f"{text[:first]}{left_out}{text[first - most :]}"
    lines = text.split("\n")
    if len(lines) > MOST_LINES:
        first = MOST_LINES * 2 // 3
        left_out = f"… ({len(lines) - MOST_LINES:,} lines left out) …"
        text = "\n".join([*lines[:first], left_out, *lines[first - MOST_LINES :]])
    return text
