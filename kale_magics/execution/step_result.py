"""The result of a step: its error, or its metrics and the metadata of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kale_magics.execution.run import TaskError
from kale_magics.execution.run_store import RESULT
from kale_magics.step_runtime.unpatched import from_json


@dataclass(frozen=True)
class StepResult:
    """The result of a step.

    Attributes:
        error: Why it failed; None if it succeeded.
        metadata: The metadata of each output, by the output's key.
        metrics: The numbers that it logged.
    """

    error: TaskError | None = None
    metadata: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


def read_result(folder: Path) -> StepResult:
    """Read the result of a step that succeeded.

    Args:
        folder: The step's folder.

    Raises:
        OSError: The folder has no result.
        ValueError, KeyError: The result is damaged.
    """
    content = from_json((folder / RESULT).read_text(encoding="utf-8"))
    return StepResult(metadata=content["outputs"], metrics=content["metrics"])
