"""The session's marked cells."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from kale_magics.model.options import NO_OPTIONS, StepOptions
from kale_magics.syntax.commands import Kind

if TYPE_CHECKING:
    from kale_magics.session.evidence import Evidence

State = Literal["ran", "failed", "not run"]


@dataclass(frozen=True)
class Cell:
    """A marked cell.

    Attributes:
        kind: One of the six kinds.
        source: The cell as typed, with an empty line for the magic, so that lines keep their numbers.
        name: The step's name; empty for other kinds.
        after: The steps named by `--after`.
        run: False if the cell was marked with `--no-run`.
        cell_id: The frontend's id of the cell; None if it sends none.
        execution_count: The n of `In [n]` when it was marked; None for a cell that never ran in a session.
        state: The result of its last execution in the session.
        reads: The variables of `--reads`.
        options: The options of its step.
        earlier: The n of its earlier `In [n]`; not compared.
        mark: The magic's line as typed, after the empty lines above it; not compared.
        error: What its last execution raised, as in "ValueError: no rows"; empty if it succeeded; not
            compared.
        marked_at: When it was marked, in seconds since the epoch; not compared.
        evidence: Its observed effects, if it ever succeeded; not compared.
        variables: The environment variables that were set while it ran; not compared.
        loaded: The modules that were loaded while it ran, in all its executions; not compared.
    """

    kind: Kind
    source: str
    name: str = ""
    after: tuple[str, ...] = ()
    run: bool = True
    cell_id: str | None = None
    execution_count: int | None = None
    state: State = "ran"
    reads: tuple[str, ...] = ()
    options: StepOptions = NO_OPTIONS
    marked_at: float = field(default=0.0, compare=False)
    evidence: Evidence | None = field(default=None, compare=False, repr=False)
    mark: str = field(default="", compare=False)
    error: str = field(default="", compare=False)
    earlier: tuple[int, ...] = field(default=(), compare=False)
    variables: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    loaded: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    @property
    def label(self) -> str:
        """The cell's label, "In [5]", or its kind if it has no number."""
        if self.execution_count is not None:
            return f"In [{self.execution_count}]"
        return f"step {self.name}" if self.name else f"the {self.kind} cell"


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
        if old is not None and old.execution_count != cell.execution_count:
            count = () if old.execution_count is None else (old.execution_count,)
            cell = replace(cell, earlier=(*old.earlier, *count))
        elif old is not None:
            cell = replace(cell, earlier=old.earlier)
        if old is not None and old.evidence is not None and old.source == cell.source:
            seen = cell.evidence.with_earlier(old.evidence) if cell.evidence else old.evidence
            cell = replace(cell, evidence=seen)
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
            found |= dict(other.options.env)
    return found | dict(cell.options.env)
