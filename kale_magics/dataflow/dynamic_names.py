"""Names that the code does not show: those that `exec()` binds, and those of the notebook's history."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator, Mapping

from kale_magics.dataflow.bindings import StepFlow
from kale_magics.session.registry import Cell

HISTORY = re.compile(r"_{1,3}|_i{1,3}|_i?\d+|In|Out|_[io]h|_dh|_exit_code")
"""The variables in which IPython keeps the history of inputs and outputs."""

NOT_ANALYZED = "which cannot be analyzed before its cell has run"


def is_history(name: str) -> bool:
    """Whether IPython itself defines a variable, unless something like `gettext` has made it a builtin."""
    return HISTORY.fullmatch(name) is not None and not hasattr(builtins, name)


def unanalyzed_exec(
    steps: Mapping[str, StepFlow], cells: Mapping[int, Cell], below: int
) -> tuple[str, int, int] | None:
    """Find the first step that executes computed code in a cell that has not run.

    Args:
        steps: All steps so far.
        cells: The marked cells by their numbers.
        below: Only cells above this one count.

    Returns:
        The step's name, the cell's number and the line.
    """
    for name, step in steps.items():
        for number, line in step.executes:
            if number < below and not (cells[number].mark.run and cells[number].execution.state == "ran"):
                return name, number, line
    return None


def dynamic_steps(steps: Mapping[str, StepFlow], producer: str, number: int) -> Iterator[str]:
    """Yield the steps below a cell that look up computed names, except the cell's own step."""
    return (n for n, step in steps.items() if n != producer and step.dynamic and max(step.cells) > number)
