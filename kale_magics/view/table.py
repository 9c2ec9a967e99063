"""The output of `%kale`: a table of the marked cells, and the diagnostics below it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from kale_magics.model.diagnostics import Diagnostic
from kale_magics.model.pipeline import Pipeline, Step
from kale_magics.session.registry import Cell
from kale_magics.view.states import state_label
from kale_magics.view.words import assignment, columns, describe_variables, pad, plural, shorten

HEADS = ("kind", "step", "cell", "state", "inputs", "outputs", "next run")
NO_CELLS = "No cell is marked. Begin one with %%kale step NAME."
MAX_ENTRY = 72

_CELL_STYLE = "text-align: left; vertical-align: top; white-space: nowrap"


@dataclass(frozen=True)
class Row:
    """The row of a marked cell.

    Attributes:
        kind: One of the six kinds.
        step: The step's name; empty for other kinds.
        cell: The cell's label, "In [5]"; empty if it has no number.
        state: The cell's state, as in "ran".
        inputs: The inputs, as in "X_train from prep (DataFrame 426 x 30, 100 KB)". Inputs and outputs of a
            step are in the row of its first cell.
        outputs: The outputs, as in "model (SVC, 88 KB)".
        plan: What a run would do with the step now, as in "cached".
    """

    kind: str
    step: str
    cell: str
    state: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()


def cell_rows(
    cells: Sequence[Cell],
    pipeline: Pipeline | None,
    states: Mapping[Cell, str] | None = None,
    plans: Mapping[str, str] | None = None,
) -> tuple[Row, ...]:
    """Return a row for each marked cell.

    Args:
        cells: The cells, in the order of the table.
        pipeline: The pipeline of the cells; without it, because of errors, inputs and outputs are empty.
        states: States that replace `Cell.state`, as in "changed since".
        plans: What a run would do with each step, by name.
    """
    seen: set[str] = set()
    result = []
    for cell in cells:
        first = cell.name not in seen
        inputs, outputs = _inputs_and_outputs(cell, pipeline) if pipeline and first else ((), ())
        plan = (plans or {}).get(cell.name, "") if first else ""
        seen |= {cell.name} - {""}
        label = cell.label if cell.execution.count is not None else ""
        state = (states or {}).get(cell, cell.execution.state)
        result.append(Row(cell.kind, cell.name, label, state, inputs, outputs, (plan,) * bool(plan)))
    return tuple(result)


def _inputs_and_outputs(cell: Cell, pipeline: Pipeline) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the inputs and the outputs of a cell."""
    if cell.kind == "parameters":
        mentioned = [p for p in pipeline.parameters if _mentions(cell, p.name)]
        return (), tuple(f"{assignment(p)} ({p.type})" for p in mentioned)
    if cell.kind == "metrics":
        logged = [(name, step.name) for step in pipeline.steps for name in step.metrics]
        return tuple(f"{name} from {step}" for name, step in logged if _mentions(cell, name)), ()
    step = next((s for s in pipeline.steps if cell.kind == "step" and s.name == cell.name), None)
    return (_inputs(step), _outputs(step)) if step else ((), ())


def _mentions(cell: Cell, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", cell.source) is not None


def _inputs(step: Step) -> tuple[str, ...]:
    return (
        *(describe_variables(i.names, i.output, i.step) for i in step.inputs),
        *([f"{', '.join(p.name for p in step.parameters)} from the parameters"] if step.parameters else []),
        *(f"after {name}" for name in step.after),
    )


def _outputs(step: Step) -> tuple[str, ...]:
    return tuple(describe_variables(artifact.names, artifact) for artifact in step.outputs)


@dataclass(frozen=True, repr=False)
class TableView:
    """Displays the table of the marked cells.

    Attributes:
        rows: The rows.
    """

    rows: tuple[Row, ...]

    def __repr__(self) -> str:
        if not self.rows:
            return NO_CELLS
        return aligned([tuple((head,) for head in HEADS), *map(_entries, self.rows)])

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """Return the representations (IPython's protocol), which IPython filters itself."""
        del include, exclude
        return {"text/html": self._html(), "text/plain": repr(self)}

    def _html(self) -> str:
        if not self.rows:
            return f"<p>{escape(NO_CELLS)}</p>"
        # Notebooks align the cells of tables to the right by default.
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
    """Return the lines of a row's table cells."""
    cells = (
        (row.kind,),
        (row.step,),
        (row.cell,),
        (state_label(row.state),),
        row.inputs,
        row.outputs,
        row.plan,
    )
    return tuple(tuple(shorten(line, MAX_ENTRY) for line in lines) for lines in cells)


def aligned(table: Sequence[Sequence[Sequence[str]]], headed: bool = True) -> str:
    """Align rows in columns; a cell may have several lines.

    Args:
        table: Rows of cells of lines; all rows have the same number of cells.
        headed: Whether the first row is a head, which gets a rule below. A column that is empty below its
            head is left out.

    Returns:
        Lines without trailing spaces.
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
    """Format diagnostics, errors first, under a line that counts them; empty for none."""
    if not diagnostics:
        return ""
    words = ("error", "warning", "note")
    kinds = [(word, [d for d in diagnostics if d.severity == word]) for word in words]
    counts = [plural(len(found), word) for word, found in kinds if found]
    return "\n".join([", ".join(counts), *("\n" + str(d) for _, found in kinds for d in found)])
