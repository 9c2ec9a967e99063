"""What is to be run, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kale_magics.execution.run import Run
from kale_magics.model.pipeline import Json, Pipeline

if TYPE_CHECKING:
    from kale_magics.checking.expected import Expected


@dataclass(frozen=True)
class RunRequest:
    """What is to be run, and how.

    Attributes:
        pipeline: The steps.
        values: Of parameters, by the user's names.
        name: Of the run; empty for the pipeline's.
        cache: Whether results of earlier runs are used where nothing has changed.
        resumed: The failed run whose successful steps are used.
        given: The folders of steps in earlier runs that replace steps that are not in the pipeline.
        expected: The notebook's values; None if the run is not checked against them.
        strict: Whether a value that differs from the notebook's is an error.
        wait: Whether to wait for the run's end.
        cancel_on_interrupt: Whether an interrupt ends a run that could go on.
    """

    pipeline: Pipeline
    values: Mapping[str, Json]
    name: str = ""
    cache: bool = True
    resumed: Run | None = None
    given: Mapping[str, Path] = field(default_factory=dict)
    expected: Expected | None = None
    strict: bool = False
    wait: bool = True
    cancel_on_interrupt: bool = False
