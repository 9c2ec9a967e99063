"""The interface of backends, which run pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from kale_magics.execution.events import Listener
from kale_magics.execution.request import RunRequest
from kale_magics.execution.run import Run, RunState
from kale_magics.model.diagnostics import Diagnostic
from kale_magics.model.pipeline import Json, Pipeline

Capability = Literal["background", "detached", "earlier outputs", "survives interrupts"]
"""Runs in the background; runs that outlive the session; inputs from earlier runs; runs that go on after an
interrupt."""


@dataclass(frozen=True)
class RunSummary:
    """A run in a list of runs.

    Attributes:
        id: The run's id.
        name: The run's name.
        state: The run's state; a backend may have additional states.
        started: The time of its start, in UTC.
        seconds: How long it took; None if it has not ended, or if unknown.
        parameters: The known values of its parameters.
        metrics: The known metrics of its steps.
    """

    id: str
    name: str
    state: RunState | str
    started: datetime
    seconds: float | None = None
    parameters: dict[str, Json] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


class Backend(Protocol):
    """Runs pipelines.

    Attributes:
        place: Where it runs pipelines, for messages: "on this machine".
        elsewhere: How to run on another backend, as a fix: "name a server: --host".
        capabilities: The features that not every backend has; options name those that they need.
    """

    place: str
    elsewhere: str
    capabilities: frozenset[Capability]

    def warnings(self, pipeline: Pipeline) -> Sequence[Diagnostic]:
        """Return warnings about a pipeline on this backend."""

    def submit(self, request: RunRequest, listener: Listener) -> Run:
        """Start a run, and wait for its end if requested.

        Args:
            request: The pipeline and the options of the run.
            listener: Receives the run's events.

        Raises:
            KaleError: It cannot be started, or steps have failed.
            KeyboardInterrupt: The user interrupted.
        """

    def attach(self, run_id: str) -> Run:
        """Return the handle of a run, which another session may have started.

        Raises:
            KaleError: There is no such run.
        """

    def follow(self, run: Run, listener: Listener, cancel_on_interrupt: bool = False) -> None:
        """Report the events of a run to its end.

        Raises:
            KaleError: Steps have failed.
            KeyboardInterrupt: The user interrupted.
        """

    def runs(self) -> Sequence[RunSummary]:
        """Return the runs, the newest first."""

    def cancel(self, run_id: str) -> str:
        """End a run.

        Returns:
            What happened, as a sentence.

        Raises:
            KaleError: There is no such run, or it cannot be ended.
        """
