"""What the engine tells the process of a step, and what it hears from it: the files that `launcher` knows."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kale_magics.execution.run import Run, StepError
from kale_magics.execution.run_store import ERROR, RESULT, USES
from kale_magics.execution.step_result import StepResult, read_result
from kale_magics.local.process import StepProcess
from kale_magics.model.distributions import INSTALL_FOLDERS
from kale_magics.model.pipeline import Step
from kale_magics.step_runtime.fixed import from_json

HINTS = {
    signal.SIGKILL: ": often because memory ran out",
    signal.SIGSEGV: ": a crash in compiled code",
    signal.SIGABRT: ": compiled code gave up",
}


def task_for(
    step: Step,
    run: Run,
    folders: Mapping[str, Path],
    results: Mapping[str, StepResult],
    named_paths: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    """What goes into a step's `arguments.json`.

    Args:
        step: The step that is about to start.
        run: Its run, which has the parameters.
        folders: The folders of the step and of those that it needs.
        results: How the steps that it needs ended.
        named_paths: Kinds and paths of what its code names.
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
        "named_paths": named_paths,
        "install_folders": INSTALL_FOLDERS,
        "ignored": [
            f"{place}{os.sep}" for place in (*INSTALL_FOLDERS, folder.parents[2], Path(__file__).parents[1])
        ],
    }


def result_of(folder: Path, process: StepProcess) -> StepResult:
    """How a step ended, from its process and the files that it left."""
    if process.returncode is None:
        return StepResult(StepError("StepDied", f"its process could not be started: {process.failure}"))
    if process.returncode == 0 and (folder / RESULT).exists():
        return read_result(folder)
    error = folder / ERROR
    if error.exists():
        content = from_json(error.read_text(encoding="utf-8"))
        # "step train, In [5]": the cell alone is what the user knows.
        content["cell"] = content.get("cell", "").rpartition(", ")[2]
        return StepResult(StepError(**content))
    return StepResult(StepError("StepDied", _death(process.returncode)))


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
