"""The handle of a run, the same whichever engine made it, and the events that tell how it goes on.

An engine fills the handle in while it works; everybody else reads it.
"""

from __future__ import annotations

import difflib
import functools
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from kale_magics.model.diagnostics import Code, Diagnostic, KaleError, refuse
from kale_magics.model.pipeline import Json

if TYPE_CHECKING:
    from kale_magics.checking.check import Check

KEPT = "only what a later step takes, and models, are kept"
"""What `Run.outputs` has."""

UNTIL_THEN = {
    "waiting": "ask again when it has ended",
    "running": "ask again when it has ended",
    "cancelled": "run the pipeline again",
}
"""What helps if a step has no outputs, by its state."""

NO_SUCH_STEP = "the run has no step {!r}"

RunState = Literal["running", "succeeded", "failed", "cancelled"]
StepState = Literal["waiting", "running", "succeeded", "failed", "skipped", "cancelled"]
Stream = Literal["stdout", "stderr"]
Value = TypeVar("Value")


@dataclass(frozen=True)
class StepError:
    """Why a step failed.

    Attributes:
        type: The name of the exception's class; "StepDied" when the process ended without one.
        message: What it says.
        traceback: As Python prints it, without frames of this package; empty if there is none.
        cell: The innermost cell in the traceback, "In [5]"; empty if unknown.
        line: The line in that cell, from 1.
        code: That line.
        kale_code: The code of a refusal, "KALE208"; empty where the user's code raised.
        fix: What helps against a refusal.
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


DAMAGED_LOG = "(the log is damaged: \ufffd stands for bytes that are not UTF-8)"


def _is_text(file: Path) -> bool:
    """Whether a file is UTF-8, as all is that a step's log gets."""
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True


@dataclass(repr=False)
class StepRun:
    """One step of a run.

    Attributes:
        name: As the user typed it.
        folder: Where its files are.
        artifacts: The file of every variable that it hands on.
        state: How far it is.
        seconds: How long it took; None until it has ended, or if it never started.
        metrics: The numbers that it logged.
        error: Why it failed.
        cached: Whether it was not run, because an earlier run had all that it would have done.
    """

    name: str
    folder: Path
    artifacts: Mapping[str, Path]
    state: StepState = "waiting"
    seconds: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    error: StepError | None = None
    cached: bool = False

    @property
    def log(self) -> str:
        """All that it printed so far, stdout and stderr in the order in which they came."""
        try:
            text = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace")
            damaged = "\ufffd" in text and not _is_text(self.folder / "log.txt")
        except FileNotFoundError:  # it has not started
            return ""
        except OSError as error:
            return f"(the log cannot be read: {error.strerror or error})\n"
        # The end of a log that is being written may be cut.
        return f"{text.rstrip()}\n{DAMAGED_LOG}\n" if damaged and self.state != "running" else text

    @property
    def fingerprints(self) -> Mapping[str, Any]:
        """The fingerprints of its variables when its cells had run; none before its end."""
        try:
            told = json.loads((self.folder / "result.json").read_text(encoding="utf-8"))
            return dict(told["fingerprints"])
        except (OSError, ValueError, KeyError, TypeError):  # it has not ended, or the file is damaged
            return {}

    def __repr__(self) -> str:
        how = ", cached" if self.cached else _duration(self.seconds)
        return f"<step {self.name}: {self.state}{how}>"


class NoSuchOutputError(KaleError, KeyError):
    """A step or a variable that a run does not have; a KeyError too, as a mapping owes it."""

    __str__ = Exception.__str__


class LazyMapping(Mapping[str, Value], Generic[Value]):
    """A mapping whose values are made when asked for.

    Args:
        names: What there is.
        make: Gives the value of a name.
        explain: Gives the sentence for a name that is not there, and what helps if that is no other name.
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


class Steps(dict[str, StepRun]):
    """The steps of a run, by name."""

    def __missing__(self, name: str) -> StepRun:
        raise _no_such(name, tuple(self), NO_SUCH_STEP.format(name))


@dataclass
class Background:
    """What a run has that goes on beside the session's work.

    Attributes:
        cancel: Asks it to end.
        ended: Is set when it has ended and all is told.
        error: What a run in the foreground would have raised.
    """

    cancel: Callable[[], None]
    ended: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


class Run:
    """A run of a pipeline.

    Attributes:
        id: Unique; sorts by the time of the start.
        name: The pipeline's, or the one given to the run.
        folder: Where its files are.
        parameters: The values that the pipeline's inputs had.
        steps: Every step, in the pipeline's order.
        state: How far it is.
        started: When, in UTC.
        ended: When, in UTC; None until then.
        seconds: How long it took; None until it has ended.
        link: Kubeflow's page of a run on a server; empty for one on this machine.
        trusted: Whether its values, which are pickles, may be loaded though nobody knows who wrote them;
            those of the user's own runs may in any case.
    """

    link = ""
    trusted = False

    def __init__(
        self, name: str, folder: Path, parameters: Mapping[str, Json], steps: Mapping[str, StepRun]
    ) -> None:
        self.id = folder.name
        self.name = name
        self.folder = folder
        self.parameters = dict(parameters)
        self.steps = Steps(steps)
        self.state: RunState = "running"
        self.started = datetime.now(timezone.utc)
        self.ended: datetime | None = None
        self.seconds: float | None = None
        self._background: Background | None = None
        self._loaded: dict[Path, Mapping[str, Any]] = {}

    def wait(self, timeout: float | None = None) -> Run:
        """Wait for the end of a run that was started with `--background`; any other one has ended.

        Args:
            timeout: Seconds; None for as long as it takes.

        Returns:
            The run itself, succeeded or cancelled.

        Raises:
            KaleError: Steps have failed.
            TimeoutError: It goes on.
        """
        if self._background is not None and not self._background.ended.wait(timeout):
            raise TimeoutError(f"the run goes on after {timeout:g} s")
        if self._background is not None and self._background.error is not None:
            raise self._background.error
        return self

    def cancel(self) -> None:
        """End a run that was started with `--background`, and wait until no process of it is left.

        Nothing happens to a run that has ended, or that another session has started.
        """
        if self._background is not None:
            self._background.cancel()
            self._background.ended.wait()

    @property
    def outputs(self) -> Mapping[str, Mapping[str, Any]]:
        """What the steps that succeeded hand on: `run.outputs["train"]["model"]`.

        A value is loaded when asked for, and kept. Names that share an object in the step share it here.

        Raises:
            KaleError: On access, if there is no such step or variable; the message says what there is.
        """
        done = tuple(name for name, step in self.steps.items() if step.state == "succeeded")
        return LazyMapping(done, self._outputs_of, self._no_step)

    @property
    def check(self) -> Check:
        """Which values equal the notebook's, as they were compared when the run had ended."""
        from kale_magics.checking.check import read_check

        return read_check(self.folder)

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers that the steps logged."""
        return {name: value for step in self.steps.values() for name, value in step.metrics.items()}

    def __repr__(self) -> str:
        return f"<run {self.name} {self.id}: {self.state}{_duration(self.seconds)}>"

    def _outputs_of(self, name: str) -> Mapping[str, Any]:
        step = self.steps[name]

        def load(variable: str) -> Any:
            path = step.artifacts[variable]
            if path not in self._loaded:
                what = f"{variable} of step {name}"
                self.verify(step, path, what)
                self._loaded[path] = _load(path, what)
            return self._loaded[path][variable]

        return LazyMapping(
            tuple(step.artifacts),
            load,
            lambda variable: (f"step {name} hands on no {variable!r}; {KEPT}", ""),
        )

    def verify(self, step: StepRun, path: Path, what: str) -> None:
        """Make sure that a file of values is what a run of this user has written.

        Raises:
            KaleError: Somebody else wrote it, or it is damaged.
        """
        from kale_magics.cache.entry import read_entry
        from kale_magics.execution.file_digests import file_digest

        entry = read_entry(step.folder)
        kept = entry.files.get(str(path.relative_to(step.folder))) if entry else None
        if kept is None and not self.trusted:
            message = f"{what} was not written by a run of yours: to load it is to run code of whoever did"
            fix = "if you trust them: --trust, or run.trusted = True; else run the pipeline again"
            raise refuse(Code.NO_SUCH_OUTPUT, message, fix)
        try:
            damaged = kept is not None and file_digest(path) != kept
        except OSError as error:
            message = f"{what} cannot be read: {error.strerror or error}"
            raise refuse(Code.NO_SUCH_OUTPUT, message, "run the pipeline again") from error
        if damaged:
            message = f"{what} is damaged: its file is not what the step has written"
            raise refuse(Code.NO_SUCH_OUTPUT, message, "run the pipeline again")

    def _no_step(self, name: str) -> tuple[str, str]:
        step = self.steps.get(name)
        if step is None:
            return NO_SUCH_STEP.format(name), ""
        fix = UNTIL_THEN.get(step.state, "mend what failed, and run the pipeline again")
        how = f"it {step.state}" if step.state == "failed" else f"it is {step.state}"
        return f"step {name} has no outputs: {how}", fix


def _no_such(name: str, names: tuple[str, ...], message: str, fix: str = "") -> NoSuchOutputError:
    near = difflib.get_close_matches(str(name), names, n=1)
    guess = f"did you mean {near[0]!r}?" if near else f"there is: {', '.join(names) or 'nothing'}"
    fix = fix or guess
    return NoSuchOutputError(Diagnostic(Code.NO_SUCH_OUTPUT, message, fix))


def _duration(seconds: float | None) -> str:
    return "" if seconds is None else f", {seconds:.1f} s"


def _load(path: Path, what: str) -> Mapping[str, Any]:
    """Load an artifact into this session, whose own classes and functions take the place of the step's.

    Raises:
        KaleError: It is gone or damaged, or the session lacks what its values need.
    """
    from kale_magics.step_runtime.artifacts import load_artifact
    from kale_magics.step_runtime.pickling import StepError as StepRefusal

    namespace = vars(sys.modules["__main__"])

    def resolve(identity: str) -> Any:
        name, _, rest = identity.partition("@")
        members = rest.split(".")[1:]
        try:
            return functools.reduce(getattr, members, namespace[name])
        except (KeyError, AttributeError) as error:
            needed = ".".join([name, *members])
            message = f"{what} cannot be loaded: it needs {needed}, which this session does not have"
            fix = f"execute the cell that defines {name}, then ask again"
            raise refuse(Code.NO_SUCH_OUTPUT, message, fix) from error

    try:
        return load_artifact(str(path), namespace, resolve)
    except KaleError:
        raise
    except Exception as error:  # loading runs code of the libraries that the values come from
        reason = error if isinstance(error, StepRefusal) else f"{type(error).__name__}: {error}"
        message = f"{what} cannot be loaded: {reason}"
        fix = "run the pipeline again, in a session that has what the step had"
        raise refuse(Code.NO_SUCH_OUTPUT, message, fix) from error


@dataclass(frozen=True)
class RunStarted:
    """The run begins; its handle is filled in from now on."""

    run: Run


@dataclass(frozen=True)
class StepStarted:
    """A step's process begins."""

    step: str


@dataclass(frozen=True)
class LinePrinted:
    """A step printed a line, given here without its end."""

    step: str
    stream: Stream
    text: str


@dataclass(frozen=True)
class StepEnded:
    """A step succeeded, failed or was skipped (then `seconds` is None).

    A step that is taken from the cache ends without a start; what it printed then is told before its end.
    """

    step: str
    state: StepState
    seconds: float | None
    cached: bool = False


@dataclass(frozen=True)
class Ticked:
    """Some time has gone by in which steps ran; a view may show how much."""


@dataclass(frozen=True)
class RunEnded:
    """The run succeeded or failed. A run that is cancelled raises instead."""

    state: RunState
    seconds: float


Event = RunStarted | StepStarted | LinePrinted | StepEnded | Ticked | RunEnded
