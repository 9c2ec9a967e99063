"""Tables of values that cross from step to step, and of what cannot; `play` has them cross."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

THEMES = ("builtin", "objects", "arrays", "frames", "models", "refused")


@dataclass(frozen=True)
class Row:
    """Some variables of a notebook that go to another step in one artifact.

    Attributes:
        name: What it shows, in words.
        source: What makes the variables; all that it binds cross, but modules and names with an underscore.
        then: What is done with them where they have arrived, and, for comparison, where they were made.
        setup: Definitions that every step has, as of a cell of functions.
        needs: Libraries without which there is nothing to see.
        crosses: Names of definitions of the setup that cross too, because they are changed.
        refused: The part that is to blame and its type, as a message has them; empty if all can cross.
    """

    name: str
    source: str
    then: str = ""
    setup: str = ""
    needs: str = ""
    crosses: str = ""
    refused: str = ""


def all_rows() -> list[Row]:
    """All tables.

    Raises:
        ValueError: Two rows have one name.
    """
    rows = [row for theme in THEMES for row in import_module(f"tests.exact.{theme}").ROWS]
    names = [row.name for row in rows]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"names given twice: {sorted(twice)}")
    return rows
