"""The table of `%kale_runs`."""

from __future__ import annotations

from collections.abc import Sequence

from kale_magics.execution.backend import RunSummary
from kale_magics.view.progress import format_duration
from kale_magics.view.states import state_label
from kale_magics.view.table import aligned
from kale_magics.view.words import listed, shorten

MAX_WIDTH = 48
"""Columns of the parameters, and of the metrics."""

MAX_NAME = 64

HEADS = ("run", "name", "state", "started", "time", "parameters", "metrics")


def runs_text(runs: Sequence[RunSummary], start: str) -> str:
    """Return a table of runs, without empty columns.

    Args:
        runs: The runs, in the order of the table.
        start: The magic that starts one.
    """
    if not runs:
        return f"No run is stored. {start} starts one."
    rows = [HEADS, *map(_cells, runs)]
    kept = [column for column in range(len(HEADS)) if any(row[column] for row in rows[1:])]
    return aligned([tuple((row[column],) for column in kept) for row in rows])


def _cells(run: RunSummary) -> tuple[str, ...]:
    given = listed((f"{name}={value!r}" for name, value in run.parameters.items()), MAX_WIDTH)
    metrics = listed((f"{name}={value:.6g}" for name, value in run.metrics.items()), MAX_WIDTH)
    started = f"{run.started.astimezone():%Y-%m-%d %H:%M:%S}"
    name, time = shorten(run.name, MAX_NAME), format_duration(run.seconds)
    return run.id, name, state_label(run.state), started, time, given, metrics
