"""The states that a picture shows: of each step, and of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kale_magics.execution.run import Run, TaskRun
from kale_magics.model.task_id import TaskId
from kale_magics.view.progress import elapsed, format_duration, reason_of
from kale_magics.view.words import plural

_STATE_PRIORITY = ("failed", "running", "cancelled", "changed since", "waiting", "not run", "skipped", "")
"""The state of a box is the first of these that one of its steps has."""


@dataclass(frozen=True)
class StateMark:
    """The state of a step or a run, as a picture shows it.

    Attributes:
        state: A key of `states.STATE_STYLES`; empty if there is none.
        note: A visible note, as in "12 s" or "cached".
        words: The text after the name in the title, as in "running, 12 s".
        error: Why it failed; empty if it did not.
    """

    state: str = ""
    note: str = ""
    words: str = ""
    error: str = ""


@dataclass(frozen=True)
class RunSnapshot:
    """What a picture shows of a run at one moment; equal snapshots make equal pictures.

    Attributes:
        steps: The marks of the steps, by name.
        run: The mark of the run.
    """

    steps: Mapping[str, StateMark]
    run: StateMark


def marks_of_states(states: Mapping[str, str]) -> dict[str, StateMark]:
    """Return marks that show a state and nothing else."""
    return {name: StateMark(state, words=state) for name, state in states.items()}


def run_snapshot(run: Run, seconds: float, running: Mapping[TaskId, float]) -> RunSnapshot:
    """Return what a picture shows of a run now.

    Args:
        run: The run.
        seconds: Its time so far.
        running: The running tasks, each with its seconds so far.
    """
    steps = {task.step: _step_mark(state, running.get(task)) for task, state in run.tasks.items()}
    took = elapsed(seconds) if run.seconds is None else format_duration(run.seconds)
    note = f"{count_done([mark.state for mark in steps.values()])}, {took}"
    return RunSnapshot(steps, StateMark(run.state, note, f"{run.state}, {note}"))


def _step_mark(step: TaskRun, so_far: float | None) -> StateMark:
    if step.cached and step.state == "succeeded":
        time = "cached"
    elif step.seconds is not None:
        time = format_duration(step.seconds)
    elif step.state == "running" and so_far is not None:
        time = elapsed(so_far)
    else:
        time = ""
    if step.waits_for and step.state in ("running", "waiting"):
        words = " ".join(part for part in ("waiting", time) if part)
        return StateMark("waiting", time or "waiting", f"{words}: {step.waits_for}")
    words = ", ".join(part for part in (step.state, time) if part)
    return StateMark(step.state, time or step.state, words, reason_of(step) if step.state == "failed" else "")


def count_done(states: Sequence[str]) -> str:
    """Return how many steps have succeeded, as in "3 of 7 steps"."""
    return f"{states.count('succeeded')} of {plural(len(states), 'step')}"


def shared_state(states: Sequence[str]) -> str:
    """Return the state of a box whose steps have these states."""
    return next((state for state in _STATE_PRIORITY if state in states), states[0])


def by_state(marks: Mapping[str, StateMark]) -> dict[str, list[str]]:
    """Group the names of steps by state, in the order of `_STATE_PRIORITY`."""
    order = {state: number for number, state in enumerate(_STATE_PRIORITY)}
    states = dict.fromkeys(mark.state for mark in marks.values())
    return {
        state: [name for name, mark in marks.items() if mark.state == state]
        for state in sorted(states, key=lambda state: order.get(state, len(order)))
    }
