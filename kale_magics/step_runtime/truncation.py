"""Truncation of texts that are too long to show."""

from __future__ import annotations

MAX_SHOWN_LINES = 400
"""Lines of a text that are shown."""


def truncate(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters, and some lines; the middle of a longer one is omitted."""
    if len(text) > limit:
        first = limit * 2 // 3
        left_out = f" … ({len(text) - limit:,} characters left out) … "
        text = f"{text[:first]}{left_out}{text[first - limit :]}"
    lines = text.split("\n")
    if len(lines) > MAX_SHOWN_LINES:
        first = MAX_SHOWN_LINES * 2 // 3
        left_out = f"… ({len(lines) - MAX_SHOWN_LINES:,} lines left out) …"
        text = "\n".join([*lines[:first], left_out, *lines[first - MAX_SHOWN_LINES :]])
    return text
