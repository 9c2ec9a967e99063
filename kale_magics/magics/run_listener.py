"""Displays the events of a run below the cell that started it."""

from __future__ import annotations

from collections.abc import Callable

from kale_magics.checking.conclusion import conclude
from kale_magics.execution.events import ErrorRaised, Event, RunEnded, RunStarted, RunSubmitted
from kale_magics.execution.request import RunRequest
from kale_magics.execution.run import Run
from kale_magics.model.pipeline import Pipeline
from kale_magics.view.run_display import RunDisplay


class RunListener:
    """Displays a run: its progress, its summary, its errors.

    Args:
        pipeline: The pipeline of the run.
        rich: Whether the frontend is a notebook, which displays pictures.
        started: Receives the run when it starts.
        request: The request for the run; None for an attached run.

    Attributes:
        shows: Whether the run is displayed: False for a run on a server that the kernel does not follow.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        rich: bool,
        started: Callable[[Run], None],
        request: RunRequest | None = None,
    ) -> None:
        self._display = RunDisplay(pipeline, rich)
        self._started, self._request = started, request
        self._run: Run | None = None
        self.shows = False

    def __call__(self, event: Event) -> None:
        """Display an event.

        Raises:
            KaleError: The run has ended, and steps have failed.
        """
        self._display.listen(event)
        if isinstance(event, (RunSubmitted, RunStarted)):
            self._run = event.run
            self._started(event.run)
        self.shows |= isinstance(event, RunStarted)
        if isinstance(event, RunSubmitted):
            print(f"run {event.run.id} has been started: {event.run.link}", flush=True)
        elif isinstance(event, ErrorRaised):
            self.close()
            print(f"\n{event.error}", flush=True)
        elif isinstance(event, RunEnded) and self._run is not None:
            if event.state == "cancelled":
                self.close()
            conclude(self._run, self._request)

    def __enter__(self) -> RunListener:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # display the state also after an interrupt
            self.close()

    def close(self) -> None:
        """Display the state of a run that was cancelled or is no longer followed."""
        self._display.end()
