"""What `%kale_run` prints, in plain text: lines while a run goes on, and a summary at its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kale_magics.run import Event, LinePrinted, Run, RunStarted, StepEnded, StepRun, StepStarted
from kale_magics.view.states import look, signed
from kale_magics.view.table import aligned
from kale_magics.view.words import columns, one_line, pad, plural, shorten

LONGEST_NAME = 24
LONGEST_ERROR = 90


def duration(seconds: float | None) -> str:
    """A time as people say it: "0.42 s", "12.3 s", "2 min 05 s", "1 h 03 min"; empty if there is none."""
    if seconds is None:
        return ""
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


class Progress:
    """Says in lines how a run goes on; each begins with the name of its step.

    Args:
        steps: The names of all steps, so that the lines are aligned.
    """

    def __init__(self, steps: Sequence[str]) -> None:
        self._width = max((columns(_name(step)) for step in steps), default=0)

    def lines(self, event: Event) -> tuple[str, ...]:
        """What there is to print about an event; at the run's end nothing, for that there is `summary`."""
        if isinstance(event, RunStarted):
            return (self._head(event.run),)
        if isinstance(event, StepStarted):
            return (self._of(event.step, signed("running")),)
        if isinstance(event, LinePrinted):
            return (self._of(event.step, event.text),)
        if isinstance(event, StepEnded):
            took = f" in {duration(event.seconds)}" if event.seconds is not None else ""
            return (self._of(event.step, signed(event.state) + took),)
        return ()

    def _of(self, step: str, text: str) -> str:
        return f"{pad(_name(step), self._width)} | {text}".rstrip()

    def _head(self, run: Run) -> str:
        values = ", ".join(shorten(f"{name} = {value!r}", 40) for name, value in run.parameters.items())
        return f"{one_line(run.name)}: {plural(len(run.steps), 'step')}" + (f", {values}" if values else "")


def summary(run: Run) -> str:
    """The end of a run: states and times of the steps, what was skipped, metrics, and where the files are."""
    steps = [
        ((_name(step.name),), (signed(step.state),), (duration(step.seconds),), (_why(step),))
        for step in run.steps.values()
    ]
    parts = [aligned([(("step",), ("state",), ("time",), ("error",)), *steps]), "", _total(run)]
    metrics = [
        ((f"  {name}",), (f"{value:.6g}",), (f"from {_name(step.name)}",))
        for step in run.steps.values()
        for name, value in step.metrics.items()
    ]
    if metrics:
        parts += ["metrics:", aligned(metrics, headed=False)]
    return "\n".join([*parts, f"files: {_nearby(run.folder)}"])


def _nearby(folder: Path) -> Path:
    """A folder as it is called from here, if it is below."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _name(step: str) -> str:
    return shorten(step, LONGEST_NAME)


def _why(step: StepRun) -> str:
    if step.error is None:
        return ""
    line = f"line {step.error.line}" if step.error.line else ""
    place = ", ".join(part for part in (step.error.cell, line) if part)
    return shorten(str(step.error), LONGEST_ERROR) + (f" ({place})" if place else "")


def _total(run: Run) -> str:
    """The run in one line; the steps that did not go well are named."""
    took = f" in {duration(run.seconds)}" if run.seconds is not None else ""
    parts = [f"{look(run.state).sign} run {run.state}{took}"]
    for state in ("failed", "skipped", "cancelled"):
        names = [_name(step.name) for step in run.steps.values() if step.state == state]
        parts += [f"{', '.join(names)} {state}"] if names else []
    return "; ".join(parts)
