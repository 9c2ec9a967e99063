"""Texts that are too long to be shown: the same cut for all of them."""

from __future__ import annotations


def cut(text: str, most: int) -> str:
    """A text of at most `most` characters and a few words: of a longer one, the middle is left out."""
    if len(text) <= most:
        return text
    first = most * 2 // 3
    last = most - first
    return f"{text[:first]} … ({len(text) - most:,} characters left out) … {text[-last:]}"
