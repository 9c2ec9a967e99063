"""Names of which the cells do not say who makes them: by `exec()`, or by the notebook itself."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator, Mapping

from kale_magics.dataflow.bindings import StepFlow
from kale_magics.session.registry import Cell

HISTORY = re.compile(r"_{1,3}|_i{1,3}|_i?\d+|In|Out|_[io]h|_dh|_exit_code")
"""The variables in which IPython keeps what was typed and what it gave."""

NOT_FOLLOWED = "which cannot be followed in a cell that has not run"


def is_history(name: str) -> bool:
    """Whether IPython itself makes a variable, unless something like `gettext` has made it a builtin."""
    return HISTORY.fullmatch(name) is not None and not hasattr(builtins, name)


def unfollowed(
    steps: Mapping[str, StepFlow], cells: Mapping[int, Cell], below: int
) -> tuple[str, int, int] | None:
    """The first step that executes a computed text in a cell that has not run: its name, cell and line.

    Args:
        steps: All steps so far.
        cells: The marked cells by their numbers.
        below: Only cells above this one count.
    """
    for name, step in steps.items():
        for number, line in step.executes:
            if number < below and not (cells[number].run and cells[number].state == "ran"):
                return name, number, line
    return None


def lookers(steps: Mapping[str, StepFlow], maker: str, number: int) -> Iterator[str]:
    """The steps below a cell that look names up dynamically, but for the one that it belongs to."""
    return (n for n, step in steps.items() if n != maker and step.dynamic and max(step.cells) > number)
