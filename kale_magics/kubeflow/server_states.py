"""The states of a run and of its tasks, from a server's description of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from kale_magics.execution.run import RunState, TaskState

ENDED: Mapping[str, RunState] = {"SUCCEEDED": "succeeded", "FAILED": "failed", "CANCELED": "cancelled"}
"""The final states of KFP, and of a `Run`."""

ENDED_TASK: Mapping[str, TaskState] = {**ENDED, "SKIPPED": "skipped"}

UNFINISHED = ("PENDING", "RUNNING", "CANCELING", "PAUSED")
"""KFP's states of a run that goes on."""

ENDING = ("CANCELING", "CANCELED")
"""KFP's states of a run that was cancelled."""


def ended_run_state(answer: Any) -> RunState | None:
    """Return the final state of a run; None while it runs.

    A run that was cancelled ends as failed; its history has the cancellation.

    Args:
        answer: KFP's `V2beta1Run`.
    """
    state = ENDED.get(answer.state or "")
    if state is None and answer.state not in UNFINISHED and happened(answer.finished_at):
        state = "failed"
    history = {change.state for change in answer.state_history or ()}
    return "cancelled" if state == "failed" and not history.isdisjoint(ENDING) else state


def task_state(detail: Any, answer: Any) -> TaskState:
    """Return the state of a task.

    Args:
        detail: KFP's `V2beta1PipelineTaskDetail` of the task.
        answer: KFP's `V2beta1Run` that it is from.
    """
    run = ended_run_state(answer)
    state = ENDED_TASK.get(detail.state or "", "running" if detail.state == "RUNNING" else "waiting")
    if run is not None and state in ("running", "waiting"):
        return state_after_end(run, state)
    if run == "cancelled" and state == "failed":
        times = (change.update_time for change in answer.state_history or () if change.state in ENDING)
        began = next((moment for moment in times if moment is not None), None)
        ended = detail.end_time if happened(detail.end_time) else None
        return "failed" if began and ended and in_utc(ended) < in_utc(began) else "cancelled"
    return state


def state_after_end(run: RunState, task: TaskState) -> TaskState:
    """Return the state of a task whose end the server has not reported, when its run has ended."""
    if run == "succeeded":  # a server may report tasks late, or never
        return "succeeded"
    return "skipped" if run == "failed" and task == "waiting" else "cancelled"


def duration(detail: Any) -> float | None:
    """Return the seconds that a task took; None before it has ended, and if it never began."""
    if detail.state not in ENDED or not (happened(detail.start_time) and happened(detail.end_time)):
        return None
    return float((in_utc(detail.end_time) - in_utc(detail.start_time)).total_seconds())


def in_utc(moment: datetime) -> datetime:
    """Return a moment with a time zone; that of one without is UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def happened(moment: Any) -> bool:
    """Whether a moment is known; KFP's value for an unknown one is in 1970."""
    return moment is not None and moment.year > 1970
