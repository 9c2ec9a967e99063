"""Which step starts first, and how many at a time."""

from __future__ import annotations

import os
from collections.abc import Mapping

from kale_magics.model.pipeline import Pipeline


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def remaining_times(pipeline: Pipeline, seconds: Mapping[str, float]) -> dict[str, float]:
    """For each step how long it takes from its start to the end of all that waits for it, at best.

    Args:
        pipeline: The steps.
        seconds: How long steps took in an earlier run; others are taken for an average one.
    """
    average = sum(seconds.values()) / len(seconds) if seconds else 1.0
    behind: dict[str, float] = dict.fromkeys((step.name for step in pipeline.steps), 0.0)
    for step in reversed(pipeline.steps):
        behind[step.name] += seconds.get(step.name, average)
        for need in step.needs:
            behind[need] = max(behind.get(need, 0.0), behind[step.name])
    return behind
