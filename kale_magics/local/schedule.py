"""Which step starts first, and how many at a time."""

from __future__ import annotations

import os
from collections.abc import Mapping

from kale_magics.model.graph import Graph


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def remaining_times(graph: Graph[str], seconds: Mapping[str, float]) -> dict[str, float]:
    """Return for each step the time from its start to the end of all that depends on it, at best.

    Args:
        graph: Which step depends on which.
        seconds: How long steps took in an earlier run; others are expected to take an average time.
    """
    average = sum(seconds.values()) / len(seconds) if seconds else 1.0
    found: dict[str, float] = {}
    for name in reversed(graph.order()):
        below = max((found[other] for other in graph.downstream[name]), default=0.0)
        found[name] = seconds.get(name, average) + below
    return found
