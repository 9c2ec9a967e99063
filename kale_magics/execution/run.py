"""The handle of a run, the same for every backend.

A backend updates the handle during the run. Logs and values are not in the handle; they come from the
run's source: the folder of the run, or a server.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from kale_magics.execution.artifact_files import load_values
from kale_magics.model.diagnostics import Code, Diagnostic, KaleError
from kale_magics.model.pipeline import Json
from kale_magics.model.task_id import TaskId

if TYPE_CHECKING:
    from kale_magics.checking.check import Check

STORED_OUTPUTS = "only inputs of other steps, and models, are stored"
"""What `Run.outputs` contains."""

NO_OUTPUTS_YET = {
    "waiting": "try again when it has ended",
    "running": "try again when it has ended",
    "cancelled": "run the pipeline again",
}
"""The fix for a step without outputs, by its state."""

NO_SUCH_STEP = "the run has no step {!r}"

RunState = Literal["running", "succeeded", "failed", "cancelled"]
TaskState = Literal["waiting", "running", "succeeded", "failed", "skipped", "cancelled"]
Value = TypeVar("Value")


@dataclass(frozen=True)
class TaskError:
    """Why a task failed.

    Attributes:
        type: The name of the exception's class; "StepDied" if the process ended without an exception.
        message: The exception's message.
        traceback: Python's traceback without frames of this package; empty if there is none.
        cell: The innermost cell in the traceback, "In [5]"; empty if unknown.
        line: The line in that cell, from 1.
        code: That line.
        kale_code: The code of a diagnostic, "KALE208"; empty where the user's code raised.
        fix: The fix of that diagnostic.
    """

    type: str
    message: str
    traceback: str = ""
    cell: str = ""
    line: int | None = None
    code: str = ""
    kale_code: str = ""
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.kale_code or self.type + ':'} {self.message}"


@dataclass(frozen=True)
class SkipCause:
    """Why a task was skipped.

    Attributes:
        kind: "failure" if an upstream task failed; "condition" if its branch was not taken.
        step: The step that failed, or that has the condition.
    """

    kind: Literal["failure", "condition"]
    step: str

    def __str__(self) -> str:
        return f"{self.step} failed" if self.kind == "failure" else f"the condition of {self.step} is false"


@dataclass(repr=False)
class TaskRun:
    """One task of a run.

    Attributes:
        task: Its identity.
        folder: The folder of its files.
        artifacts: The file of every variable that it outputs.
        source: The source of its log and fingerprints.
        state: Its state.
        seconds: How long it took; None until it has ended, or if it never started.
        metrics: The numbers that it logged.
        error: Why it failed.
        cached: Whether it was not executed, because an earlier run has its results.
        cause: Why it was skipped.
        waits_for: Why it does not start as a cluster reports; empty if nothing prevents it.
    """

    task: TaskId
    folder: Path
    artifacts: Mapping[str, Path]
    source: RunSource = field(compare=False)
    state: TaskState = "waiting"
    seconds: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    error: TaskError | None = None
    cached: bool = False
    cause: SkipCause | None = None
    waits_for: str = ""

    @property
    def name(self) -> str:
        """The name of its step, as the user typed it."""
        return self.task.step

    @property
    def log(self) -> str:
        """All that it has printed so far, stdout and stderr in the order of their lines."""
        return self.source.log(self)

    @property
    def fingerprints(self) -> Mapping[str, Any]:
        """The fingerprints of its variables after its cells ran; empty before its end."""
        return self.source.fingerprints(self)

    def __repr__(self) -> str:
        how = ", cached" if self.cached else _duration(self.seconds)
        return f"<step {self.task}: {self.state}{how}>"


class RunSource(Protocol):
    """Provides the state, logs and values of a run on access."""

    def update(self, run: Run, results: bool = False) -> None:
        """Update the run and its tasks; with `results`, also the metrics of tasks that ended."""

    def wait(self, run: Run, timeout: float | None) -> None:
        """Wait for the end of a run; see `Run.wait`."""

    def cancel(self, run: Run) -> None:
        """End a run; see `Run.cancel`."""

    def log(self, task: TaskRun) -> str:
        """Return all that a task has printed so far."""

    def fingerprints(self, task: TaskRun) -> Mapping[str, Any]:
        """Return the fingerprints of a task's variables after its cells ran."""

    def artifact(self, run: Run, task: TaskRun, variable: str) -> Path:
        """Return the file of a variable, after it has been verified.

        Raises:
            KaleError: It is missing or damaged, or its author is not trusted.
        """


class NoSuchOutputError(KaleError, KeyError):
    """Raised for a step or a variable that a run does not have; also a KeyError."""

    __str__ = Exception.__str__


class StillRunningError(TimeoutError):
    """A run is still in progress after the seconds that the user gave; IPython shows the message alone."""

    def __init__(self, run_id: str, seconds: float | None) -> None:
        super().__init__(f"run {run_id} is still running after {seconds or 0:g} s")

    def _render_traceback_(self) -> list[str]:
        return [f"TimeoutError: {self}"]


class LazyMapping(Mapping[str, Value], Generic[Value]):
    """A mapping whose values are computed on access.

    Args:
        names: The keys.
        make: Returns the value of a key.
        explain: Returns the message for a missing key, and the fix; an empty fix suggests a similar key.
    """

    def __init__(
        self, names: tuple[str, ...], make: Callable[[str], Value], explain: Callable[[str], tuple[str, str]]
    ) -> None:
        self._names, self._make, self._explain = names, make, explain

    def __getitem__(self, name: str) -> Value:
        if name in self._names:
            return self._make(name)
        raise _no_such(name, self._names, *self._explain(name))

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<outputs: {', '.join(self._names) or 'none'}>"


class Steps(dict[str, TaskRun]):
    """The steps of a run, by name."""

    def __missing__(self, name: str) -> TaskRun:
        raise _no_such(name, tuple(self), NO_SUCH_STEP.format(name))


class Run:
    """A run of a pipeline.

    Args:
        name: The name of the run, or of the pipeline.
        folder: The folder of its files; its last part is the run's id.
        parameters: The values of the pipeline's parameters.
        tasks: Every task, in the pipeline's order.
        source: The source of logs, values and, for a run on a server, of its state.
        link: The page of a run on a server.

    Attributes:
        id: The unique id; local ones sort by the time of the start.
        name: As above.
        folder: As above.
        parameters: As above.
        source: As above.
        link: As above; empty for a run on this machine.
        known_state: The state when it was last updated.
        known_tasks: The tasks when they were last updated.
        started: The time of its start, in UTC.
        ended: The time of its end, in UTC; None until then.
        seconds: How long it took; None until it has ended.
        trusted: Whether its values, which are pickles, may be loaded even if their author is unknown; those
            of the user's own runs may always be loaded.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        parameters: Mapping[str, Json],
        tasks: Iterable[TaskRun],
        source: RunSource,
        link: str = "",
    ) -> None:
        self.id = folder.name
        self.name = name
        self.folder = folder
        self.parameters = dict(parameters)
        self.source = source
        self.link = link
        self.known_state: RunState = "running"
        self.known_tasks = {task.task: task for task in tasks}
        self._steps = Steps({t.step: task for t, task in self.known_tasks.items() if not t.iteration})
        self.started = datetime.now(timezone.utc)
        self.ended: datetime | None = None
        self.seconds: float | None = None
        self.trusted = False
        self._loaded: dict[Path, Mapping[str, Any]] = {}

    @property
    def state(self) -> RunState:
        """The state of the run, updated on access."""
        self.source.update(self)
        return self.known_state

    @state.setter
    def state(self, state: RunState) -> None:
        self.known_state = state

    @property
    def tasks(self) -> Mapping[TaskId, TaskRun]:
        """Every task, updated on access."""
        self.source.update(self)
        return self.known_tasks

    @property
    def steps(self) -> Steps:
        """Every step outside of loops, updated on access: `run.steps["train"].log`."""
        self.source.update(self)
        return self._steps

    def wait(self, timeout: float | None = None) -> Run:
        """Wait for the end of a run in the background or on a server; any other run has ended.

        Args:
            timeout: Seconds; None for no limit.

        Returns:
            The run itself, succeeded or cancelled.

        Raises:
            KaleError: Steps have failed.
            TimeoutError: The run is still in progress after `timeout` seconds.
        """
        self.source.wait(self, timeout)
        return self

    def cancel(self) -> None:
        """End a run in the background or on a server; any other run has ended."""
        self.source.cancel(self)

    @property
    def outputs(self) -> Mapping[str, Mapping[str, Any]]:
        """The outputs of the steps that succeeded: `run.outputs["train"]["model"]`.

        A value is loaded on the first access. Names that share an object in the step share it here.

        Raises:
            KaleError: On access, if there is no such step or variable; the message lists the existing ones.
        """
        steps = self.steps
        done = tuple(name for name, step in steps.items() if step.state == "succeeded")

        def explain(name: str) -> tuple[str, str]:
            if name not in steps:
                return NO_SUCH_STEP.format(name), ""
            state = steps[name].state
            how = f"it {state}" if state == "failed" else f"it is {state}"
            fix = NO_OUTPUTS_YET.get(state, "fix the step that failed, and run the pipeline again")
            return f"step {name} has no outputs: {how}", fix

        return LazyMapping(done, lambda name: self._outputs_of(steps[name]), explain)

    @property
    def check(self) -> Check:
        """The comparison of its values with the notebook's at the run's end."""
        from kale_magics.checking.check import read_check

        return read_check(self.folder)

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers that the steps logged."""
        self.source.update(self, results=True)
        return {name: value for task in self.known_tasks.values() for name, value in task.metrics.items()}

    def __repr__(self) -> str:
        # No update here: a debugger shows every object, and a server may be down.
        return f"<run {self.name} {self.id}: {self.known_state}{_duration(self.seconds)}>"

    def _outputs_of(self, step: TaskRun) -> Mapping[str, Any]:
        def load(variable: str) -> Any:
            path = step.artifacts[variable]
            if path not in self._loaded:
                self.source.artifact(self, step, variable)
                self._loaded[path] = load_values(path, f"{variable} of step {step.name}")
            return self._loaded[path][variable]

        return LazyMapping(
            tuple(step.artifacts),
            load,
            lambda variable: (f"step {step.name} has no output {variable!r}; {STORED_OUTPUTS}", ""),
        )


def _no_such(name: str, names: tuple[str, ...], message: str, fix: str = "") -> NoSuchOutputError:
    near = difflib.get_close_matches(str(name), names, n=1)
    names_fix = f"use one of: {', '.join(names)}" if names else "use a step that has outputs"
    guess = f"did you mean {near[0]!r}?" if near else names_fix
    return NoSuchOutputError(Diagnostic(Code.NO_SUCH_OUTPUT, message, fix or guess))


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else f", {seconds:.1f} s"
