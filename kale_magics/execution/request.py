"""The request for a run: a pipeline, parameter values and options."""

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
    """A request for a run.

    Attributes:
        pipeline: The pipeline to run.
        values: Parameter values by name.
        name: The run's name; empty for the pipeline's.
        cache: Whether results of earlier runs are used where nothing has changed.
        resumed: A run whose successful steps are used where nothing has changed, also those that always run.
        given: The folders of steps in earlier runs that replace steps which the pipeline does not have.
        expected: The notebook's values; None for a run without a check.
        strict: Whether a value that differs from the notebook's is an error.
        wait: Whether to wait for the run's end.
        cancel_on_interrupt: Whether an interrupt also ends a run on a server.
    """

    pipeline: Pipeline
    values: Mapping[str, Json] = field(default_factory=dict)
    name: str = ""
    cache: bool = True
    resumed: Run | None = None
    given: Mapping[str, Path] = field(default_factory=dict)
    expected: Expected | None = None
    strict: bool = False
    wait: bool = True
    cancel_on_interrupt: bool = False
