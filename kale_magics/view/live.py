"""The picture that `%kale_run` updates in a notebook during a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace

from kale_magics.execution.events import Event, LinePrinted, RunEnded, RunStarted, TaskEnded, TaskStarted
from kale_magics.execution.run import Run
from kale_magics.model.pipeline import Parameter, Pipeline
from kale_magics.model.task_id import TaskId
from kale_magics.view.marks import RunSnapshot, StateMark, run_snapshot
from kale_magics.view.progress import Progress, outcome_line
from kale_magics.view.svg import Picture

MIN_INTERVAL = 0.5
"""Seconds between two pictures: a slow connection to the browser must keep up."""

_WAITING = StateMark("waiting", "waiting", "waiting")


class LiveView:
    """Displays a run in progress.

    The caller passes it every event, and displays it again when `handle` or `close` returns True. Changes
    within `MIN_INTERVAL` of the last picture appear with a later event; while steps run, events keep coming.

    Args:
        pipeline: The pipeline of the run.
        clock: Returns a time in seconds, from any origin.
    """

    def __init__(self, pipeline: Pipeline, clock: Callable[[], float] = time.monotonic) -> None:
        self._pipeline = pipeline
        self._clock = clock
        self._picture: Picture | None = None
        self._progress = Progress([step.name for step in pipeline.steps])
        self._lines: list[str] = []
        self._run: Run | None = None
        self._began = 0.0
        self._running: dict[TaskId, float] = {}
        self._pending = self._ended = False
        self._shown = RunSnapshot({step.name: _WAITING for step in pipeline.steps}, _WAITING)
        self._shown_at = 0.0

    def handle(self, event: Event) -> bool:
        """Record an event.

        Returns:
            Whether to display the view again now.
        """
        if isinstance(event, RunEnded):
            return self.close()
        now = self._clock()
        if isinstance(event, RunStarted):
            self._begin(event.run, now)
        elif isinstance(event, TaskStarted):
            self._running[event.task] = now
        elif isinstance(event, TaskEnded):
            self._running.pop(event.task, None)
        if not isinstance(event, LinePrinted):
            self._lines += self._progress.lines(event)
            self._pending = True
        due = now - self._shown_at >= MIN_INTERVAL or isinstance(event, RunStarted)
        return self._pending and due and self._update(now)

    def close(self) -> bool:
        """Record the end of the run; no event reports it for a cancelled run.

        Returns:
            Whether to display the view again now.
        """
        if self._run is None:
            return False
        ended = outcome_line(self._run)
        if self._lines[-1] != ended:
            self._lines.append(ended)
        first, self._ended = not self._ended, True
        return self._update(self._clock()) or first

    def __repr__(self) -> str:
        return "\n".join(self._lines)

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """Return the representations (IPython's protocol), which IPython filters itself."""
        del include, exclude
        if self._picture is None:
            self._picture = Picture(self._pipeline, of_run=True)
        # JupyterLab shows no titles in an image, and GitHub no SVG in HTML: so a picture that is still
        # updated is HTML, and the final one an image.
        kind = "image/svg+xml" if self._ended else "text/html"
        return {kind: self._picture.draw_run(self._shown), "text/plain": repr(self)}

    def _begin(self, run: Run, now: float) -> None:
        self._run, self._began = run, now
        self._pipeline, self._picture = _as_run(self._pipeline, run), None

    def _update(self, now: float) -> bool:
        """Read the state of the run; return whether it differs from the displayed one."""
        self._pending = False
        if self._run is None:
            return False
        running = {task: now - since for task, since in self._running.items()}
        snapshot = run_snapshot(self._run, now - self._began, running)
        if snapshot == self._shown:
            return False
        self._shown, self._shown_at = snapshot, now
        return True


def _as_run(pipeline: Pipeline, run: Run) -> Pipeline:
    """Return the pipeline with the name and the parameter values of the run."""

    def given(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
        return tuple(replace(p, default=run.parameters.get(p.name, p.default)) for p in parameters)

    as_run = pipeline.map_steps(lambda step: replace(step, parameters=given(step.parameters)))
    return replace(as_run, name=run.name, parameters=given(pipeline.parameters))
