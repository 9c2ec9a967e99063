"""The session's marked cells: what each one is, in the order of the notebook."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from kale_magics.model.pipeline import NO_OPTIONS, StepOptions
from kale_magics.syntax.commands import Kind

if TYPE_CHECKING:
    from kale_magics.session.evidence import Evidence

State = Literal["ran", "failed", "not run"]


@dataclass(frozen=True)
class Cell:
    """A marked cell.

    Attributes:
        kind: Which of the six kinds.
        source: The cell as typed, the magic's line left empty, so that lines keep their numbers.
        name: The step's name; empty for other kinds.
        after: The steps named by `--after`.
        run: False if the cell was marked with `--no-run`.
        cell_id: What the frontend calls the cell; None where it does not say.
        execution_count: The n of `In [n]` when it was marked; None for a cell that never ran in a session.
        state: How its last execution in the session ended.
        reads: The variables of `--reads`.
        options: What it asks for its step.
        earlier: The n of its earlier `In [n]`; no part of what the cell is.
        mark: The magic's line as typed, below the cell's empty lines above it; no part of what the cell is.
        error: What its last execution raised, as in "ValueError: no rows"; empty if it ended well.
        marked_at: When it was marked, in seconds since the epoch; no part of what the cell is.
        evidence: What it did when it ran, if it ever ran well; no part of what the cell is.
        variables: The environment variables that it was given when it ran; no part of what the cell is.
        loaded: The modules that were loaded while it ran, in all its executions; no part of what the cell is.
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
        """The cell as its user knows it: "In [5]", or by its kind where it has no number."""
        if self.execution_count is not None:
            return f"In [{self.execution_count}]"
        return f"step {self.name}" if self.name else f"the {self.kind} cell"


class Registry:
    """The marked cells of a session, in the order in which they were first marked.

    A cell with an id is known by it, whatever becomes of its kind, name and source. A cell without one is
    the same as another without one if kind, name and source are.
    """

    def __init__(self) -> None:
        self._cells: dict[tuple[str, ...], Cell] = {}

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All of them."""
        return tuple(self._cells.values())

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the steps, each once."""
        return tuple(dict.fromkeys(cell.name for cell in self._cells.values() if cell.kind == "step"))

    def put(self, cell: Cell) -> None:
        """Take a cell in: it takes the place of itself as it was, or stands last."""
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
        """Drop the cell of that id, if there is one: it is no longer marked."""
        self._cells.pop(("id", cell_id), None)

    def remove(self, names: Collection[str]) -> None:
        """Drop all cells of these steps and, where no step is called so, of these kinds."""
        kinds = set(names) - set(self.steps)
        self._cells = {
            key: cell
            for key, cell in self._cells.items()
            if not (cell.name in names if cell.kind == "step" else cell.kind in kinds)
        }

    def clear(self) -> None:
        """Drop everything."""
        self._cells.clear()


def _identity(cell: Cell) -> tuple[str, ...]:
    return ("id", cell.cell_id) if cell.cell_id is not None else (cell.kind, cell.name, cell.source)


def variables_of(cell: Cell, cells: Iterable[Cell], common: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that a cell has while it runs: what cells of its step have said up to then.

    Args:
        cell: A marked cell.
        cells: All of them; those that were marked later have no say.
        common: What all steps are given.
    """
    if cell.kind == "skip":
        return {}
    found = dict(common)
    for other in sorted(cells, key=lambda c: c.marked_at):
        if (other.kind, other.name) == (cell.kind, cell.name) and other.marked_at < cell.marked_at:
            found |= dict(other.options.env)
    return found | dict(cell.options.env)
