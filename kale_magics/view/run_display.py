"""Displays a run in progress: as a picture in a notebook, as lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kale_magics.execution.events import Event
from kale_magics.model.pipeline import Pipeline
from kale_magics.view.live import LiveView
from kale_magics.view.progress import Progress


class RunDisplay:
    """Displays a run: an updated picture in a notebook, lines elsewhere.

    Args:
        pipeline: The pipeline of the run.
        rich: Whether the frontend is a notebook.
    """

    def __init__(self, pipeline: Pipeline, rich: bool) -> None:
        self.progress = Progress([step.name for step in pipeline.steps], states=not rich)
        self.view = LiveView(pipeline) if rich else None
        self.handle: Any = None

    def listen(self, event: Event) -> None:
        """Display an event."""
        if self.view is not None and self.view.handle(event):
            self.draw()
        for text in self.progress.lines(event):
            print(text, flush=True)

    def draw(self) -> None:
        """Display the picture, or update the displayed one."""
        from IPython.display import display

        show: Callable[..., Any] = display
        if self.handle is None:
            self.handle = show(self.view, display_id=True)
        else:
            self.handle.update(self.view)

    def end(self) -> None:
        """Display the state of a run that was cancelled or is no longer followed."""
        if self.view is not None and self.handle is not None:
            self.view.close()
            self.draw()
