"""The files through which the engine and the process of a step (`worker`) communicate."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kale_magics.execution.run import TaskError
from kale_magics.execution.run_store import ERROR, RESULT, USES
from kale_magics.execution.step_result import StepResult, read_result
from kale_magics.local.step_process import StepProcess
from kale_magics.model.distributions import INSTALL_FOLDERS
from kale_magics.model.pipeline import Json, Step
from kale_magics.step_runtime.attempts import death_text
from kale_magics.step_runtime.unpatched import from_json


def task_arguments(
    step: Step,
    folder: Path,
    parameters: Mapping[str, Json],
    inputs: Mapping[str, tuple[Path, StepResult]],
    named_paths: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    """Return the content of a task's `arguments.json`.

    Args:
        step: The step of the task.
        folder: The task's folder.
        parameters: The values of the run's parameters, by name.
        inputs: For each input's key the folder of the task that output it, and that task's result.
        named_paths: Kinds and paths of what the step names (`entry.named_paths`).
    """
    outputs = {a.key: _artifact(a.kind, folder, a.key) for a in step.outputs}
    if step.metrics:
        outputs["metrics"] = _artifact("Metrics", folder, "metrics")
    sources = {i.key: (i.output, *inputs[i.key]) for i in step.inputs}
    return {
        "program": str(folder / "program.py"),
        "function": step.key,
        "parameters": {p.key: parameters[p.name] for p in step.parameters},
        "inputs": {
            key: {
                **_artifact(output.kind, source, output.key),
                "metadata": result.metadata[output.key],
            }
            for key, (output, source, result) in sources.items()
        },
        "outputs": outputs,
        "result": str(folder / RESULT),
        "error": str(folder / ERROR),
        "uses": str(folder / USES),
        "named_paths": named_paths,
        "install_folders": INSTALL_FOLDERS,
        "ignored": [
            f"{path}{os.sep}" for path in (*INSTALL_FOLDERS, folder.parents[2], Path(__file__).parents[1])
        ],
    }


def worker_result(step: Step, folder: Path, process: StepProcess) -> StepResult:
    """Return how a step ended, from its process and the files in its folder."""
    if process.returncode is None:
        return StepResult(TaskError("StepDied", f"its process could not be started: {process.failure}"))
    if process.returncode == 0 and (folder / RESULT).exists():
        return read_result(folder)
    error = folder / ERROR
    if error.exists():
        content = from_json(error.read_text(encoding="utf-8"))
        labels = {code.filename: code.label for code in (*step.setup, *step.cells)}
        content["cell"] = labels.get(content.get("cell", ""), "")
        return StepResult(TaskError(**content))
    return StepResult(TaskError("StepDied", death_text(process.returncode)))


def _artifact(kind: str, folder: Path, key: str) -> dict[str, Any]:
    return {"kind": kind, "path": str(folder / "outputs" / key), "metadata": {}}
