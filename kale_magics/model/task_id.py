"""The identity of one execution of a step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class TaskId:
    """Identifies a task: one execution of a step in a run. A step in a loop has one for each item.

    Attributes:
        step: The step's name.
        iteration: The index of the item, from 0, in each loop around the step, the outermost first.
    """

    step: str
    iteration: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.step + "".join(f"[{number}]" for number in self.iteration)

    def folder(self, key: str) -> str:
        """Return the path of its folder in the run's folder, for a step with this key."""
        return "/".join([key, *(f"item-{number}" for number in self.iteration)])
