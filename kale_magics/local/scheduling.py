"""Which task starts next, and how many run at a time."""

from __future__ import annotations

import os
from collections.abc import Mapping

from kale_magics.model.graph import Graph
from kale_magics.model.task_id import TaskId


def available_cores() -> int:
    """Return how many cores this process may use."""
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


class ReadyQueue:
    """The tasks that are ready: all that they depend on has succeeded.

    Args:
        graph: Which task depends on which.
        weights: For each step the time from its start to the end of the run, at best; the longest starts
            first.
    """

    def __init__(self, graph: Graph[TaskId], weights: Mapping[str, float]) -> None:
        self._graph = graph
        self._missing = {task: set(above) for task, above in graph.upstream.items()}
        # Of equal tasks, the first in the notebook starts first.
        self._order = {task: (-weights[task.step], number) for number, task in enumerate(graph.upstream)}
        self._ready = [task for task, above in self._missing.items() if not above]

    def __len__(self) -> int:
        return len(self._ready)

    def pop(self) -> TaskId:
        """Remove and return the task that starts next."""
        self._ready.sort(key=self._order.__getitem__, reverse=True)
        return self._ready.pop()

    def add(self, task: TaskId) -> None:
        """Make a task ready again."""
        self._ready.append(task)

    def release(self, succeeded: TaskId) -> None:
        """Make the tasks ready that depended on this one last."""
        for task in self._graph.downstream[succeeded]:
            self._missing[task].discard(succeeded)
            if not self._missing[task]:
                self._ready.append(task)
