"""What the engine tells the process of a step, and what it hears from it: the files that `launcher` knows."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kale_magics.analysis.packages import INSTALL_FOLDERS
from kale_magics.execution.run import Run, StepError
from kale_magics.execution.run_store import ERROR, RESULT, USES
from kale_magics.local.process import StepProcess
from kale_magics.model.pipeline import Step
from kale_magics.step_runtime.fixed import from_json

HINTS = {
    signal.SIGKILL: ": often because memory ran out",
    signal.SIGSEGV: ": a crash in compiled code",
    signal.SIGABRT: ": compiled code gave up",
}


@dataclass(frozen=True)
class Result:
    """How a step ended.

    Attributes:
        error: Why it failed; None if it succeeded.
        metadata: What is known about each output, by the artifact's key.
        metrics: The numbers that it logged.
    """

    error: StepError | None = None
    metadata: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


def task_for(
    step: Step,
    run: Run,
    folders: Mapping[str, Path],
    results: Mapping[str, Result],
    watched: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    """What goes into a step's `arguments.json`.

    Args:
        step: The step that is about to start.
        run: Its run, which has the parameters.
        folders: The folders of the step and of those that it needs.
        results: How the steps that it needs ended.
        watched: Kinds and paths that it may use where Python does not see it.
    """
    folder = folders[step.name]
    outputs = {a.key: _artifact(a.kind, folder, a.key) for a in step.outputs}
    if step.metrics:
        outputs["metrics"] = _artifact("Metrics", folder, "metrics")
    return {
        "program": str(folder / "program.py"),
        "function": step.key,
        "parameters": {p.key: run.parameters[p.name] for p in step.parameters},
        "inputs": {
            i.key: {
                **_artifact(i.artifact.kind, folders[i.step], i.artifact.key),
                "metadata": results[i.step].metadata[i.artifact.key],
            }
            for i in step.inputs
        },
        "outputs": outputs,
        "result": str(folder / RESULT),
        "error": str(folder / ERROR),
        "uses": str(folder / USES),
        "watched": watched,
        "homes": INSTALL_FOLDERS,
        "ignored": [
            f"{place}{os.sep}" for place in (*INSTALL_FOLDERS, folder.parents[2], Path(__file__).parents[1])
        ],
    }


def result_of(folder: Path, process: StepProcess) -> Result:
    """How a step ended, from its process and the files that it left."""
    if process.returncode is None:
        return Result(StepError("StepDied", f"its process could not be started: {process.failure}"))
    if process.returncode == 0 and (folder / RESULT).exists():
        return read_result(folder)
    error = folder / ERROR
    if error.exists():
        content = from_json(error.read_text(encoding="utf-8"))
        # "step train, In [5]": the cell alone is what the user knows.
        content["cell"] = content.get("cell", "").rpartition(", ")[2]
        return Result(StepError(**content))
    return Result(StepError("StepDied", _death(process.returncode)))


def read_result(folder: Path) -> Result:
    """What a step that succeeded has left.

    Raises:
        OSError: There is no such file.
        ValueError, KeyError: It is damaged.
    """
    content = from_json((folder / RESULT).read_text(encoding="utf-8"))
    return Result(metadata=content["outputs"], metrics=content["metrics"])


def _artifact(kind: str, folder: Path, key: str) -> dict[str, Any]:
    return {"kind": kind, "path": str(folder / "outputs" / key), "metadata": {}}


def _death(returncode: int) -> str:
    if returncode >= 0:
        return f"its process ended with exit code {returncode} before the step was done"
    try:
        number = signal.Signals(-returncode)
    except ValueError:  # a real-time signal has no name
        return f"its process was killed by signal {-returncode}"
    return f"its process was killed by signal {-returncode} ({number.name}){HINTS.get(number, '')}"


WITHHELD = frozenset(
    "KALE_TOKEN KALE_COOKIES KF_PIPELINES_IAP_OAUTH2_CLIENT_ID KF_PIPELINES_APP_OAUTH2_CLIENT_ID"
    " KF_PIPELINES_APP_OAUTH2_CLIENT_SECRET".split()
)
"""Variables by which a user comes in at a server, kfp's own too: they are no step's, and stand in no log."""


def step_environment(step: Step, common: Mapping[str, str]) -> dict[str, str]:
    """The environment of one step: what all steps have, and what it is given itself."""
    return {**common, **dict(step.options.env)}


def environment() -> dict[str, str]:
    """The environment of every step of a run that begins now."""
    # Texts in a set have one order in all steps of all runs, as far as nobody has asked for another one.
    known = {"PYTHONHASHSEED": "0", **{n: v for n, v in os.environ.items() if n not in WITHHELD}}
    environment = {**known, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    backend = environment.get("MPLBACKEND", "module://")
    if "matplotlib" in sys.modules:
        # As it stands there: where nobody has chosen one yet, asking matplotlib is choosing.
        backend = str(dict.__getitem__(sys.modules["matplotlib"].rcParams, "backend"))
    # What is drawn in a notebook is closed when its cell ends; a terminal, or a widget, leaves it open.
    if "inline" not in backend:
        environment["KALE_FIGURES"] = "stay"
    # A step has neither of them to show a figure in.
    if environment.get("MPLBACKEND", "module://").startswith("module://"):
        environment["MPLBACKEND"] = "agg"
    return environment
