"""A cell as Python, and the error for a cell that cannot be converted."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from kale_magics.model.diagnostics import Code


class CellProblemError(Exception):
    """An unsupported construct in a cell; a caller that knows the cell turns it into a diagnostic.

    Attributes:
        code: The code of the diagnostic.
        message: What is wrong, one sentence.
        fix: How to fix it, one sentence.
        line: In the cell, from 1.
    """

    def __init__(self, code: Code, message: str, fix: str, line: int) -> None:
        super().__init__(message)
        self.code, self.message, self.fix, self.line = code, message, fix, line


@dataclass(frozen=True)
class PythonCell:
    """A cell as a step runs it.

    Attributes:
        source: Python, with the line numbers of the notebook.
        tree: Its syntax tree.
        packages: The requirements that it installs with pip.
    """

    source: str
    tree: ast.Module
    packages: tuple[str, ...] = ()
