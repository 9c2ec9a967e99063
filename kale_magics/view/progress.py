"""The text that `%kale_run` prints: lines during a run, and a summary at its end."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path

from kale_magics.execution.events import Event, LinePrinted, RunStarted, TaskBlocked, TaskEnded, TaskStarted
from kale_magics.execution.run import Run, TaskRun
from kale_magics.model.task_id import TaskId
from kale_magics.syntax.arguments import quoted
from kale_magics.view.states import state_label, state_style
from kale_magics.view.table import aligned
from kale_magics.view.words import columns, one_line, pad, plural, shorten

MAX_NAME = 24
MAX_ERROR = 90

MAX_FIRST_LINES = 30
"""Lines of a step that are printed as they come; a notebook stores all output of its cells."""

MAX_LAST_LINES = 5
"""Lines that are printed at the end of a step that printed more than `MAX_FIRST_LINES`."""

MAX_LINE = 500
"""Characters of a printed line."""


def format_duration(seconds: float | None) -> str:
    """Format a time: "0.42 s", "12.3 s", "2 min 05 s", "1 h 03 min"; empty for None."""
    if seconds is None:
        return ""
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def elapsed(seconds: float) -> str:
    """Format the time since a start, in whole seconds: "0 s", "12 s", "2 min 05 s", "1 h 03 min"."""
    whole = int(seconds)
    return f"{whole} s" if whole < 60 else format_duration(whole)


class Progress:
    """Formats the events of a run as lines, each with the name of its step.

    Of a step that prints a lot, the first lines are returned at once and the last ones at its end.

    Args:
        steps: The names of all steps; they align the lines.
        states: Whether starts and ends have lines too, which a picture would show. Why a step does not start
            has a line in any case.
    """

    def __init__(self, steps: Sequence[str], states: bool = True) -> None:
        self._width = max((columns(_name(step)) for step in steps), default=0)
        self._states = states
        self._printed: Counter[TaskId] = Counter()
        self._last: dict[TaskId, deque[str]] = {}

    def lines(self, event: Event) -> tuple[str, ...]:
        """Return the lines for an event; none for the run's end, which `summary` covers."""
        if isinstance(event, LinePrinted):
            return self._line(event.task, event.text)
        if isinstance(event, TaskBlocked):
            reason = f"{state_label('waiting')}: {event.reason}"
            return (self._of(event.task, reason),) if event.reason else ()
        rest = self._rest(event.task) if isinstance(event, TaskEnded) else ()
        return (*rest, *self._state_lines(event)) if self._states else rest

    def _state_lines(self, event: Event) -> tuple[str, ...]:
        if isinstance(event, RunStarted):
            return (self._head(event.run),)
        if isinstance(event, TaskStarted):
            return (self._of(event.task, state_label("running")),)
        if isinstance(event, TaskEnded):
            return (self._of(event.task, state_label(event.state) + _took(event)),)
        return ()

    def _line(self, task: TaskId, text: str) -> tuple[str, ...]:
        self._printed[task] += 1
        if self._printed[task] <= MAX_FIRST_LINES:
            return (self._of(task, text),)
        self._last.setdefault(task, deque(maxlen=MAX_LAST_LINES)).append(text)
        if self._printed[task] > MAX_FIRST_LINES + 1:
            return ()
        return (self._of(task, f"… more lines are in the log: {_log_of(task)}"),)

    def _rest(self, task: TaskId) -> tuple[str, ...]:
        """Return the last lines of a step, after a count of those left out before them."""
        last = self._last.pop(task, ())
        left_out = self._printed.pop(task, 0) - MAX_FIRST_LINES - len(last)
        count = f"… {left_out:,} more line{'s' * (left_out != 1)}: {_log_of(task)}"
        return tuple(self._of(task, text) for text in ([count] if left_out > 0 else []) + list(last))

    def _of(self, task: TaskId, text: str) -> str:
        cut = text if len(text) <= MAX_LINE else text[: MAX_LINE - 1] + "…"
        return f"{pad(_name(str(task)), self._width)} | {cut}".rstrip()

    def _head(self, run: Run) -> str:
        values = ", ".join(shorten(f"{name} = {value!r}", 40) for name, value in run.parameters.items())
        return f"{one_line(run.name)}: {plural(len(run.steps), 'step')}" + (f", {values}" if values else "")


def _took(ended: TaskEnded) -> str:
    if ended.cached:
        return ", cached"
    return f" in {format_duration(ended.seconds)}" if ended.seconds is not None else ""


def _log_of(task: TaskId) -> str:
    return f"%kale_logs {quoted(task.step)}"


def summary(run: Run) -> str:
    """Return the summary of a run: states and times of the steps, metrics, the check, the folder."""
    steps = [
        ((_name(str(task.task)),), (state_label(task.state),), (_time(task),), (reason_of(task),))
        for task in run.tasks.values()
    ]
    parts = [aligned([(("step",), ("state",), ("time",), ("error",)), *steps]), "", outcome_line(run)]
    metrics = [
        ((f"  {name}",), (f"{value:.6g}",), (f"from {_name(step.name)}",))
        for step in run.steps.values()
        for name, value in step.metrics.items()
    ]
    if metrics:
        parts += ["metrics:", aligned(metrics, headed=False)]
    checked = str(run.check)
    parts += [checked] if checked else []
    return "\n".join([*parts, f"files: {_relative(run.folder)}"])


def _relative(folder: Path) -> Path:
    """Return the path relative to the working directory, if the folder is below it."""
    current = Path.cwd()
    return folder.relative_to(current) if folder.is_relative_to(current) else folder


def _name(step: str) -> str:
    return shorten(step, MAX_NAME)


def _time(step: TaskRun) -> str:
    return "cached" if step.cached else format_duration(step.seconds)


def reason_of(step: TaskRun) -> str:
    """Return the error of a task in one line, with its place, or why it was skipped; may be empty."""
    if step.error is None:
        return str(step.cause or "")
    line = f"line {step.error.line}" if step.error.line else ""
    place = ", ".join(part for part in (step.error.cell, line) if part)
    return shorten(str(step.error), MAX_ERROR) + (f" ({place})" if place else "")


def outcome_line(run: Run) -> str:
    """Return the outcome of a run in one line, with the names of the steps that did not succeed."""
    took = f" in {format_duration(run.seconds)}" if run.seconds is not None else ""
    parts = [f"{state_style(run.state).symbol} run {run.state}{took}"]
    for state in ("failed", "skipped", "cancelled"):
        names = [_name(step.name) for step in run.steps.values() if step.state == state]
        parts += [f"{', '.join(names)} {state}"] if names else []
    return "; ".join(parts)
