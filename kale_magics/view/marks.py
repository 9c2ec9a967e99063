"""What a picture tells of a run: a mark on every box, and a line for the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kale_magics.execution.run import Run, TaskRun
from kale_magics.model.task_id import TaskId
from kale_magics.view.progress import elapsed, format_duration, why
from kale_magics.view.words import plural

_WEIGHTIEST = ("failed", "running", "cancelled", "changed since", "waiting", "not run", "skipped", "")
"""The state of a box is the first of these that one of its steps has, else the one that all have."""


@dataclass(frozen=True)
class StateMark:
    """How far a step or a run is.

    Attributes:
        state: As in `states.LOOKS`; empty if there is none.
        note: A few words that are seen at once, as in "12 s" or "cached".
        words: What the title says behind the name, as in "running, 12 s".
        error: Why it failed; empty unless it has.
    """

    state: str = ""
    note: str = ""
    words: str = ""
    error: str = ""


@dataclass(frozen=True)
class Moment:
    """All that a picture tells of a run at one moment; equal moments make equal pictures.

    Attributes:
        steps: Names of steps to their marks.
        whole: The mark of the run.
    """

    steps: Mapping[str, StateMark]
    whole: StateMark


def marks_of_states(states: Mapping[str, str]) -> dict[str, StateMark]:
    """Marks for states of which nothing more is known."""
    return {name: StateMark(state, words=state) for name, state in states.items()}


def moment(run: Run, seconds: float, running: Mapping[TaskId, float]) -> Moment:
    """What there is to tell of a run.

    Args:
        run: As far as it is.
        seconds: How long it has taken so far.
        running: Tasks that run, and the seconds that they have taken so far.
    """
    steps = {task.step: _step_mark(state, running.get(task)) for task, state in run.tasks.items()}
    took = elapsed(seconds) if run.seconds is None else format_duration(run.seconds)
    note = f"{count_done([mark.state for mark in steps.values()])}, {took}"
    return Moment(steps, StateMark(run.state, note, f"{run.state}, {note}"))


def _step_mark(step: TaskRun, so_far: float | None) -> StateMark:
    if step.cached and step.state == "succeeded":
        time = "cached"
    elif step.seconds is not None:
        time = format_duration(step.seconds)
    elif step.state == "running" and so_far is not None:
        time = elapsed(so_far)
    else:
        time = ""
    words = ", ".join(part for part in (step.state, time) if part)
    return StateMark(step.state, time or step.state, words, why(step) if step.state == "failed" else "")


def count_done(states: Sequence[str]) -> str:
    """How many of some steps have succeeded, as in "3 of 7 steps"."""
    return f"{states.count('succeeded')} of {plural(len(states), 'step')}"


def shared_state(states: Sequence[str]) -> str:
    """The state of a box that stands for steps with these states."""
    return next((state for state in _WEIGHTIEST if state in states), states[0])


def by_state(marks: Mapping[str, StateMark]) -> dict[str, list[str]]:
    """States to the names of the steps that have them, the weightiest state first."""
    order = {state: number for number, state in enumerate(_WEIGHTIEST)}
    states = dict.fromkeys(mark.state for mark in marks.values())
    return {
        state: [name for name, mark in marks.items() if mark.state == state]
        for state in sorted(states, key=lambda state: order.get(state, len(order)))
    }
