"""What `%kale_runs` shows."""

from __future__ import annotations

from collections.abc import Sequence

from kale_magics.execution.run import Run
from kale_magics.view.progress import format_duration
from kale_magics.view.states import signed
from kale_magics.view.table import aligned
from kale_magics.view.words import listed, shorten

NO_RUNS = "No run is kept. %kale_run makes one."
WIDEST = 48

HEADS = ("run", "name", "state", "started", "time", "parameters", "metrics")


def runs_text(runs: Sequence[Run]) -> str:
    """Past runs as a table: what each was given, and what came of it.

    Args:
        runs: In the order in which they are to be shown.
    """
    if not runs:
        return NO_RUNS
    return aligned([tuple((head,) for head in HEADS), *map(_row, runs)])


def _row(run: Run) -> tuple[tuple[str, ...], ...]:
    given = listed((f"{name}={value!r}" for name, value in run.parameters.items()), WIDEST)
    metrics = listed((f"{name}={value:.6g}" for name, value in run.metrics.items()), WIDEST)
    started = f"{run.started.astimezone():%Y-%m-%d %H:%M:%S}"
    cells = (
        run.id,
        shorten(run.name, 24),
        signed(run.state),
        started,
        format_duration(run.seconds),
        given,
        metrics,
    )
    return tuple((cell,) for cell in cells)
