"""A cell as Python, and what is wrong with one that cannot be had so."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from kale_magics.model.diagnostics import Code


class CellProblemError(Exception):
    """Something in a cell that is rejected; who knows the cell makes a diagnostic of it.

    Attributes:
        code: Which kind of thing.
        message: What is wrong, one sentence.
        fix: One way out, one sentence.
        line: In the cell, from 1.
    """

    def __init__(self, code: Code, message: str, fix: str, line: int) -> None:
        super().__init__(message)
        self.code, self.message, self.fix, self.line = code, message, fix, line


@dataclass(frozen=True)
class PythonCell:
    """A cell as a step runs it.

    Attributes:
        source: Python, with the lines where they are in the notebook.
        tree: Its syntax tree.
        packages: What it installs with pip.
    """

    source: str
    tree: ast.Module
    packages: tuple[str, ...] = ()
