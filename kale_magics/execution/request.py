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
        runs_folder: Where runs are kept.
        name: Of the run; empty for the pipeline's.
        max_parallel: How many steps may run at a time; None for one for every core.
        fork: Whether steps are forked; None for what this system can.
        cache: Whether steps of which nothing has changed are taken from earlier runs.
        resumed: The run that is taken up again.
        given: The folders of steps in earlier runs that stand for steps that are not in the pipeline.
        expected: What the notebook has; None if the run is not checked against it.
        strict: Whether a value that differs from the notebook's is an error.
    """

    pipeline: Pipeline
    values: Mapping[str, Json]
    runs_folder: Path
    name: str = ""
    max_parallel: int | None = None
    fork: bool | None = None
    cache: bool = True
    resumed: Run | None = None
    given: Mapping[str, Path] = field(default_factory=dict)
    expected: Expected | None = None
    strict: bool = False
