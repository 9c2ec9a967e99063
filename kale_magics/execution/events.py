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
    """A server accepted the run, which does not depend on this session any more."""

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
class TaskBlocked:
    """A cluster reports why a task that could run does not start; empty when it does."""

    task: TaskId
    reason: str


@dataclass(frozen=True)
class LinePrinted:
    """A task printed a line; the text has no newline."""

    task: TaskId
    stream: Stream
    text: str


@dataclass(frozen=True)
class TaskEnded:
    """A task succeeded, failed or was skipped (then `seconds` is None).

    A task whose results come from the cache ends without a start, after the lines of its log.
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
    """A run in the background failed; the error cannot be raised in a cell."""

    error: BaseException


Event = (
    RunSubmitted
    | RunStarted
    | TaskStarted
    | TaskBlocked
    | LinePrinted
    | TaskEnded
    | Ticked
    | RunEnded
    | ErrorRaised
)

Listener = Callable[[Event], None]
"""Receives each event as it happens. An exception from it ends the run."""
