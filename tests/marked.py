"""Marked cells for tests."""

from __future__ import annotations

from typing import Any

from kale_magics.session.registry import Cell, CellExecution
from kale_magics.syntax.commands import Kind, Mark


def marked(
    kind: Kind,
    source: str,
    name: str = "",
    after: tuple[str, ...] = (),
    run: bool = True,
    count: int | None = None,
    state: Any = "ran",
    evidence: Any = None,
) -> Cell:
    """A marked cell that has run."""
    mark = Mark(kind, name, after, run)
    return Cell(mark, source, execution=CellExecution(count, state, evidence=evidence))
