"""The events that report the progress of a run, the same for every backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kale_magics.model.task_id import TaskId

if TYPE_CHECKING:
    from kale_magics.execution.run import Run, RunState, TaskState

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True)
class RunSubmitted:
    """A server has accepted the run; it goes on whatever happens here."""

    run: Run


@dataclass(frozen=True)
class RunStarted:
    """The run begins; its handle is updated from now on."""

    run: Run


@dataclass(frozen=True)
class TaskStarted:
    """A task begins."""

    task: TaskId


@dataclass(frozen=True)
class LinePrinted:
    """A task printed a line, given here without its end."""

    task: TaskId
    stream: Stream
    text: str


@dataclass(frozen=True)
class TaskEnded:
    """A task succeeded, failed or was skipped (then `seconds` is None).

    A task that is taken from the cache ends without a start; the lines of its log come before its end.
    """

    task: TaskId
    state: TaskState
    seconds: float | None
    cached: bool = False


@dataclass(frozen=True)
class Ticked:
    """Some time has passed while tasks run; a view may show how much."""


@dataclass(frozen=True)
class RunEnded:
    """The run ended. A run that is cancelled in the foreground raises instead."""

    state: RunState
    seconds: float


@dataclass(frozen=True)
class ErrorRaised:
    """A run in the background failed: there is no cell into which the error could be raised."""

    error: BaseException


Event = RunSubmitted | RunStarted | TaskStarted | LinePrinted | TaskEnded | Ticked | RunEnded | ErrorRaised

Listener = Callable[[Event], None]
"""Receives each event as it happens. What it raises ends the run."""
