"""What `%kale_run` shows where there is a browser: the picture of the run, again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace

from kale_magics.execution.events import Event, LinePrinted, RunEnded, RunStarted, TaskEnded, TaskStarted
from kale_magics.execution.run import Run
from kale_magics.model.pipeline import Parameter, Pipeline
from kale_magics.model.task_id import TaskId
from kale_magics.view.marks import Moment, StateMark, moment
from kale_magics.view.progress import Progress, total
from kale_magics.view.svg import Picture

PACE = 0.5
"""Seconds between two pictures, at least: a browser that is far away must not choke on them."""

_WAITING = StateMark("waiting", "waiting", "waiting")


class LiveView:
    """A run to look at while it goes on.

    Whoever shows it hands it every event, and shows it again whenever told so. What it tells waits for the
    next event if there was a picture just before; as long as steps run there are events all the time.

    Args:
        pipeline: What runs.
        clock: Gives a time in seconds, from whenever.
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
        self._news = self._ended = False
        self._shown = Moment({step.name: _WAITING for step in pipeline.steps}, _WAITING)
        self._shown_at = 0.0

    def handle(self, event: Event) -> bool:
        """Take an event.

        Returns:
            Whether it is to be shown again now.
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
            self._news = True
        paced = now - self._shown_at >= PACE or isinstance(event, RunStarted)
        return self._news and paced and self._changes(now)

    def close(self) -> bool:
        """Take what the run has come to; a run that was cancelled tells of that by no event.

        Returns:
            Whether it is to be shown again now.
        """
        if self._run is None:
            return False
        ended = total(self._run)
        if self._lines[-1] != ended:
            self._lines.append(ended)
        first, self._ended = not self._ended, True
        return self._changes(self._clock()) or first

    def __repr__(self) -> str:
        return "\n".join(self._lines)

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """IPython's protocol for objects that have several looks; it filters them itself."""
        del include, exclude
        if self._picture is None:
            self._picture = Picture(self._pipeline, of_run=True)
        # JupyterLab shows an image without its titles, and GitHub no picture in HTML: so the one that changes
        # is a part of the page, and the one that stays is an image.
        kind = "image/svg+xml" if self._ended else "text/html"
        return {kind: self._picture.at(self._shown), "text/plain": repr(self)}

    def _begin(self, run: Run, now: float) -> None:
        self._run, self._began = run, now
        self._pipeline, self._picture = _as_run(self._pipeline, run), None

    def _changes(self, now: float) -> bool:
        """Look at the run; whether it differs from what was shown."""
        self._news = False
        if self._run is None:
            return False
        running = {task: now - since for task, since in self._running.items()}
        seen = moment(self._run, now - self._began, running)
        if seen == self._shown:
            return False
        self._shown, self._shown_at = seen, now
        return True


def _as_run(pipeline: Pipeline, run: Run) -> Pipeline:
    """The pipeline with the name that the run has, and the values that it was given."""

    def given(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
        return tuple(replace(p, default=run.parameters.get(p.name, p.default)) for p in parameters)

    as_run = pipeline.map_steps(lambda step: replace(step, parameters=given(step.parameters)))
    return replace(as_run, name=run.name, parameters=given(pipeline.parameters))
