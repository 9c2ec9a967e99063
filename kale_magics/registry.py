"""The session's marked cells: what each one is, in the order of the notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["imports", "functions", "parameters", "step", "metrics", "skip"]
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
    """

    kind: Kind
    source: str
    name: str = ""
    after: tuple[str, ...] = ()
    run: bool = True
    cell_id: str | None = None
    execution_count: int | None = None
    state: State = "ran"

    @property
    def label(self) -> str:
        """The cell as its user knows it: "In [5]", or by its kind where it has no number."""
        if self.execution_count is not None:
            return f"In [{self.execution_count}]"
        return f"step {self.name}" if self.name else f"the {self.kind} cell"
