"""The seam between what is to be run and who runs it."""

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
"""A run beside the session's work; one that outlives the session; steps that take outputs of earlier runs; a
run that an interrupt need not end."""


@dataclass(frozen=True)
class RunSummary:
    """One line of a list of runs.

    Attributes:
        id: The run's.
        name: The run's.
        state: The run's; another backend may have states of its own.
        started: When, in UTC.
        seconds: How long it took; None until it has ended, or if that is unknown.
        parameters: The values of its parameters, as far as they are known.
        metrics: The numbers that its steps logged, as far as they are known.
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
        place: Where its runs are, in words: "on this machine".
        elsewhere: How to run on another backend: "name a server: --host".
        capabilities: What its runs can do that those of another backend may not; options name what they need.
    """

    place: str
    elsewhere: str
    capabilities: frozenset[Capability]

    def warnings(self, pipeline: Pipeline) -> Sequence[Diagnostic]:
        """Return what may go wrong with a pipeline on this backend."""

    def submit(self, request: RunRequest, listener: Listener) -> Run:
        """Start a run, and wait for its end if that is asked for.

        Args:
            request: What is to be run.
            listener: Receives the run's events.

        Raises:
            KaleError: It cannot be started, or steps have failed.
            KeyboardInterrupt: The user interrupted.
        """

    def attach(self, run_id: str) -> Run:
        """Return the handle of a run of any session.

        Raises:
            KaleError: There is no such run.
        """

    def follow(self, run: Run, listener: Listener, cancel_on_interrupt: bool = False) -> None:
        """Report the progress of a run to its end.

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
