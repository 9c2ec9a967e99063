"""What `%kale` shows: the registered cells as a table, and the diagnostics below it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from kale_magics.model.diagnostics import Diagnostic
from kale_magics.model.pipeline import Pipeline, Step
from kale_magics.session.registry import Cell
from kale_magics.view.states import signed
from kale_magics.view.words import assignment, columns, described, pad, plural, shorten

HEADS = ("kind", "step", "cell", "state", "reads", "hands on", "next run")
NOTHING = "No cell is marked. Begin one with %%kale step NAME."
LONGEST_ENTRY = 72

_CELL_STYLE = "text-align: left; vertical-align: top; white-space: nowrap"


@dataclass(frozen=True)
class Row:
    """A registered cell in words.

    Attributes:
        kind: Which of the six kinds.
        step: The step's name; empty for other kinds.
        cell: The cell's label, "In [5]"; empty if it has no number.
        state: "ran", "failed", "not run", or what else is known of it.
        reads: What it takes, as in "X_train from prep (DataFrame 426 x 30, 100 KB)". A step has this, and
            what it hands on, in the row of its first cell.
        hands_on: What it gives to other steps, as in "model (SVC, 88 KB)".
        plan: What a run would do with the step now, as in "cached".
    """

    kind: str
    step: str
    cell: str
    state: str
    reads: tuple[str, ...] = ()
    hands_on: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()


def rows(
    cells: Sequence[Cell],
    pipeline: Pipeline | None,
    states: Mapping[Cell, str] | None = None,
    plans: Mapping[str, str] | None = None,
) -> tuple[Row, ...]:
    """Say what the registered cells are and do.

    Args:
        cells: In the order in which they are to be shown.
        pipeline: What they make; None if it has errors, and nothing is known of reads.
        states: For the cells of which more is known than `Cell.state` says, as in "changed since".
        plans: By the names of steps, what a run would do with them.

    Returns:
        A row for every cell.
    """
    told: set[str] = set()
    result = []
    for cell in cells:
        reads, hands_on = _flows(cell, pipeline) if pipeline and cell.name not in told else ((), ())
        plan = (plans or {}).get(cell.name, "") if cell.name not in told else ""
        told |= {cell.name} - {""}
        label = cell.label if cell.execution_count is not None else ""
        state = (states or {}).get(cell, cell.state)
        result.append(Row(cell.kind, cell.name, label, state, reads, hands_on, (plan,) * bool(plan)))
    return tuple(result)


def _flows(cell: Cell, pipeline: Pipeline) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a cell takes, and what it hands on."""
    if cell.kind == "parameters":
        mentioned = [p for p in pipeline.parameters if _mentions(cell, p.name)]
        return (), tuple(f"{assignment(p)} ({p.type})" for p in mentioned)
    if cell.kind == "metrics":
        logged = [(name, step.name) for step in pipeline.steps for name in step.metrics]
        return tuple(f"{name} from {step}" for name, step in logged if _mentions(cell, name)), ()
    step = next((s for s in pipeline.steps if cell.kind == "step" and s.name == cell.name), None)
    return (_reads(step), _hands_on(step)) if step else ((), ())


def _mentions(cell: Cell, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", cell.source) is not None


def _reads(step: Step) -> tuple[str, ...]:
    return (
        *(described(i.names, i.output, i.step) for i in step.inputs),
        *([f"{', '.join(p.name for p in step.parameters)} from the parameters"] if step.parameters else []),
        *(f"after {name}" for name in step.after),
    )


def _hands_on(step: Step) -> tuple[str, ...]:
    return tuple(described(artifact.names, artifact) for artifact in step.outputs)


def registered(rows: Sequence[Row]) -> TableView:
    """The table of the registered cells."""
    return TableView(tuple(rows))


@dataclass(frozen=True, repr=False)
class TableView:
    """Rows to look at.

    Attributes:
        rows: What is shown.
    """

    rows: tuple[Row, ...]

    def __repr__(self) -> str:
        if not self.rows:
            return NOTHING
        return aligned([tuple((head,) for head in HEADS), *map(_entries, self.rows)])

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """IPython's protocol for objects that have several looks; it filters them itself."""
        del include, exclude
        return {"text/html": self._html(), "text/plain": repr(self)}

    def _html(self) -> str:
        if not self.rows:
            return f"<p>{escape(NOTHING)}</p>"
        # Notebooks align the cells of tables to the right unless their own style says otherwise.
        heads = HEADS if any(row.plan for row in self.rows) else HEADS[:-1]
        head = "".join(f'<th style="{_CELL_STYLE}">{name}</th>' for name in heads)
        body = [
            "".join(
                f'<td style="{_CELL_STYLE}">{"<br>".join(map(escape, lines))}</td>'
                for lines in entries[: len(heads)]
            )
            for entries in map(_entries, self.rows)
        ]
        lines = [f"<tr>{cells}</tr>" for cells in body]
        return "\n".join(
            ["<table>", f"<thead><tr>{head}</tr></thead>", "<tbody>", *lines, "</tbody>", "</table>"]
        )


def _entries(row: Row) -> tuple[tuple[str, ...], ...]:
    """The lines of a row's cells."""
    cells = (
        (row.kind,),
        (row.step,),
        (row.cell,),
        (signed(row.state),),
        row.reads,
        row.hands_on,
        row.plan,
    )
    return tuple(tuple(shorten(line, LONGEST_ENTRY) for line in lines) for lines in cells)


def aligned(table: Sequence[Sequence[Sequence[str]]], headed: bool = True) -> str:
    """Rows in columns; a cell may have several lines.

    Args:
        table: Rows of cells of lines; all rows have as many cells.
        headed: Whether the first row is a head: it gets a rule. A column with nothing below it is left out.

    Returns:
        Lines without spaces at their ends.
    """
    below = table[headed:]
    kept = [i for i in range(len(table[0])) if any(line for row in below for line in row[i])]
    widths = [max(columns(line) for row in table for line in row[i]) for i in kept]
    lines = []
    for row in table:
        for number in range(max((len(row[i]) for i in kept), default=0)):
            parts = [row[i][number] if number < len(row[i]) else "" for i in kept]
            padded = (pad(part, width) for part, width in zip(parts, widths, strict=True))
            lines.append("  ".join(padded).rstrip())
        if headed and row is table[0]:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines)


def diagnostics_text(diagnostics: Sequence[Diagnostic]) -> str:
    """All there is to tell, errors first, under a line that counts them; empty if there is nothing."""
    if not diagnostics:
        return ""
    words = ("error", "warning", "note")
    kinds = [(word, [d for d in diagnostics if d.severity == word]) for word in words]
    counts = [plural(len(found), word) for word, found in kinds if found]
    return "\n".join([", ".join(counts), *("\n" + str(d) for _, found in kinds for d in found)])
