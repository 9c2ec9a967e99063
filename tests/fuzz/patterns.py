"""How patterns are written down: many in one text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


def short(text: str) -> tuple[str, ...]:
    """Patterns of one line each, with at least two spaces or a line's end between them."""
    return tuple(re.split(r"\s{2,}|\n", text.strip()))


def long(text: str) -> tuple[str, ...]:
    """Patterns of several lines, with an empty line between them."""
    return tuple(text.strip("\n").split("\n\n"))


@dataclass(frozen=True)
class Topic:
    """What some notebooks are about, beside ordinary statements.

    Attributes:
        names: Those of its kinds.
        imports: What its statements need.
        start: The statements that the first step begins with.
        simple: Statements of one line.
        compound: Statements of several lines.
        places: Its own kinds of expressions.
        more: Expressions of the ordinary kinds.
    """

    names: Mapping[str, tuple[str, ...]]
    imports: tuple[str, ...]
    start: tuple[str, ...]
    simple: tuple[str, ...]
    compound: tuple[str, ...]
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    more: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
