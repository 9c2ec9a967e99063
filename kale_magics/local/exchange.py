"""What the engine tells the process of a step, and what it hears from it: the files that `launcher` knows."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kale_magics.local.process import StepProcess
from kale_magics.pipeline import Step
from kale_magics.run import Run, StepError

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


def task_for(step: Step, run: Run, results: Mapping[str, Result]) -> dict[str, Any]:
    """What goes into a step's `arguments.json`.

    Args:
        step: The step that is about to start.
        run: Its run, which has the parameters and the folders.
        results: How the steps that it needs ended.
    """
    folder = run.steps[step.name].folder
    outputs = {a.key: _artifact(a.kind, folder, a.key) for a in step.outputs}
    if step.metrics:
        outputs["metrics"] = _artifact("Metrics", folder, "metrics")
    return {
        "program": str(folder / "program.py"),
        "function": step.key,
        "parameters": {p.key: run.parameters[p.name] for p in step.parameters},
        "inputs": {
            i.key: {
                **_artifact(i.artifact.kind, run.steps[i.step].folder, i.artifact.key),
                "metadata": results[i.step].metadata[i.artifact.key],
            }
            for i in step.inputs
        },
        "outputs": outputs,
        "result": str(folder / "result.json"),
        "error": str(folder / "error.json"),
    }


def result_of(folder: Path, process: StepProcess) -> Result:
    """How a step ended, from its process and the files that it left."""
    if process.returncode is None:
        return Result(StepError("StepDied", f"its process could not be started: {process.failure}"))
    result = folder / "result.json"
    if process.returncode == 0 and result.exists():
        content = json.loads(result.read_text(encoding="utf-8"))
        return Result(metadata=content["outputs"], metrics=content["metrics"])
    error = folder / "error.json"
    if error.exists():
        content = json.loads(error.read_text(encoding="utf-8"))
        # "step train, In [5]": the cell alone is what the user knows.
        content["cell"] = content.get("cell", "").rpartition(", ")[2]
        return Result(StepError(**content))
    return Result(StepError("StepDied", _death(process.returncode)))


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
