"""The session's marked cells."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from kale_magics.syntax.commands import Kind, Mark

if TYPE_CHECKING:
    from kale_magics.session.evidence import Evidence

State = Literal["ran", "failed", "not run"]


@dataclass(frozen=True)
class CellExecution:
    """What the session knows of the executions of a cell.

    Attributes:
        count: The n of `In [n]` of the last one; None for a cell that never ran in a session.
        state: The result of the last one.
        earlier: The n of earlier ones; not compared.
        error: What the last one raised, as in "ValueError: no rows"; empty if it succeeded; not compared.
        evidence: The observed effects, if one ever succeeded; not compared.
        variables: The environment variables that were set while it ran; not compared.
        loaded: The modules that were loaded in all of them; not compared.
    """

    count: int | None = None
    state: State = "not run"
    earlier: tuple[int, ...] = field(default=(), compare=False)
    error: str = field(default="", compare=False)
    evidence: Evidence | None = field(default=None, compare=False, repr=False)
    variables: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    loaded: frozenset[str] = field(default=frozenset(), compare=False, repr=False)


NEVER_RUN = CellExecution()


@dataclass(frozen=True)
class Cell:
    """A marked cell: what the user wrote, and what the session saw.

    Attributes:
        mark: Its first line, parsed.
        source: The cell as typed, with an empty line for the magic, so that lines keep their numbers.
        cell_id: The frontend's id of the cell; None if it sends none.
        execution: Its executions.
        line: The magic's line as typed, after the empty lines above it; not compared.
        marked_at: When it was marked, in seconds since the epoch; not compared.
    """

    mark: Mark
    source: str
    cell_id: str | None = None
    execution: CellExecution = NEVER_RUN
    line: str = field(default="", compare=False)
    marked_at: float = field(default=0.0, compare=False)

    @property
    def kind(self) -> Kind:
        """One of the six kinds."""
        return self.mark.kind

    @property
    def name(self) -> str:
        """The step's name; empty for other kinds."""
        return self.mark.name

    @property
    def label(self) -> str:
        """The cell's label, "In [5]", or its kind if it has no number."""
        if self.execution.count is not None:
            return f"In [{self.execution.count}]"
        return f"step {self.name}" if self.name else f"the {self.kind} cell"

    def seen(self, **changes: Any) -> Cell:
        """Return the cell with other facts of its execution; see `CellExecution`."""
        return replace(self, execution=replace(self.execution, **changes))


class Registry:
    """The marked cells of a session, in the order in which they were first marked.

    A cell with an id is identified by it, even if its kind, name and source change. Cells without one are
    identified by kind, name and source.
    """

    def __init__(self) -> None:
        self._cells: dict[tuple[str, ...], Cell] = {}

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All marked cells."""
        return tuple(self._cells.values())

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the steps, each once."""
        return tuple(dict.fromkeys(cell.name for cell in self._cells.values() if cell.kind == "step"))

    def put(self, cell: Cell) -> None:
        """Add a cell, in place of its earlier version or at the end."""
        old = self._cells.get(_identity(cell))
        if old is not None:
            before, now = old.execution, cell.execution
            count = (before.count,) if before.count not in (None, now.count) else ()
            cell = cell.seen(earlier=(*before.earlier, *count))
            if before.evidence is not None and old.source == cell.source:
                evidence = before.evidence
                cell = cell.seen(evidence=now.evidence.with_earlier(evidence) if now.evidence else evidence)
        self._cells[_identity(cell)] = cell

    def forget(self, cell_id: str) -> None:
        """Remove the cell with an id, if there is one: it is no longer marked."""
        self._cells.pop(("id", cell_id), None)

    def remove(self, names: Collection[str]) -> None:
        """Remove all cells of these steps and, for names of no step, of these kinds."""
        kinds = set(names) - set(self.steps)
        self._cells = {
            key: cell
            for key, cell in self._cells.items()
            if not (cell.name in names if cell.kind == "step" else cell.kind in kinds)
        }

    def clear(self) -> None:
        """Remove all cells."""
        self._cells.clear()


def _identity(cell: Cell) -> tuple[str, ...]:
    return ("id", cell.cell_id) if cell.cell_id is not None else (cell.kind, cell.name, cell.source)


def variables_of(cell: Cell, cells: Iterable[Cell], common: Mapping[str, str]) -> dict[str, str]:
    """Return a running cell's environment variables: its own, and those of its step's earlier cells.

    Args:
        cell: A marked cell.
        cells: All marked cells; those that were marked later do not count.
        common: The variables of all steps.
    """
    if cell.kind == "skip":
        return {}
    found = dict(common)
    for other in sorted(cells, key=lambda c: c.marked_at):
        if (other.kind, other.name) == (cell.kind, cell.name) and other.marked_at < cell.marked_at:
            found |= dict(other.mark.options.env)
    return found | dict(cell.mark.options.env)
