"""Errors and warnings: a code, what is wrong, where, and one fix.

A `Diagnostic` is a value. `KaleError` raises one or several; it renders itself, so that a mistake in a
notebook shows a few lines and no traceback of this package, and still fails the cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from kale_magics.step_runtime.truncation import truncate

MAX_LINE, MAX_CODE = 2_000, 200
"""Characters shown of a line of a message, and of a line of code."""


class Code(Enum):
    """The codes of diagnostics; `FAMILIES` in tests/diagnostic_examples.py explains their first digits.

    That module has an example and a fix for each; `make docs` writes docs/diagnostics.md from both.
    """

    UNKNOWN_KIND = ("KALE101", "unknown kind of cell")
    UNKNOWN_OPTION = ("KALE102", "unknown option")
    BAD_ARGUMENTS = ("KALE103", "invalid arguments")
    STEP_WITHOUT_NAME = ("KALE104", "step without a name")
    NOT_FIRST_LINE = ("KALE105", "magic that is not the first line of its cell")
    EMPTY_BODY = ("KALE106", "marked cell without code")
    UNKNOWN_STEP = ("KALE107", "unknown step")
    BAD_VALUE = ("KALE108", "invalid value for a parameter")
    UNKNOWN_PARAMETER = ("KALE109", "unknown parameter")
    BAD_STEP_OPTION = ("KALE110", "option of a step that a cluster would reject")

    NOTHING_MARKED = ("KALE201", "no marked step")
    SYNTAX = ("KALE202", "syntax error in a marked cell")
    INVALID_LINE = ("KALE203", "line that is not allowed in a parameters or metrics cell")
    UNKNOWN_NAME = ("KALE204", "name that no marked cell defines")
    CYCLE = ("KALE205", "steps that depend on each other")
    METRIC_WITHOUT_STEP = ("KALE206", "metric that no step defines")
    METRIC_NOT_A_NUMBER = ("KALE207", "metric that is not a number")
    NOT_SERIALIZABLE = ("KALE208", "value that cannot be passed between steps")
    UNSUPPORTED_SYNTAX = ("KALE209", "notebook syntax that is not supported in a step")
    INTERLEAVED = ("KALE210", "cells of one step around a step that changes or uses the same variable")
    PRELUDE_USES_STEP = ("KALE211", "imports, functions or parameters cell that uses a variable of a step")
    CELL_FAILED = ("KALE212", "marked cell whose last execution failed")
    DUPLICATE_PARAMETER = ("KALE213", "duplicate parameter")
    PRELUDE_CHANGED = (
        "KALE214",
        "imports, functions or parameters cell that redefines a name after a step used it",
    )
    READS_CHANGED = ("KALE215", "step that changes a variable of its --reads")

    OUT_OF_ORDER = ("KALE216", "cells that ran out of order, or more than once")
    CHANGED_OUTSIDE = ("KALE217", "cell outside the pipeline that changes a variable of a step")
    CELL_CHANGED = ("KALE218", "marked cell that was edited after it ran")
    CELL_DELETED = ("KALE219", "marked cell that was deleted from the notebook")
    ASSUMED_CHANGE = ("KALE220", "step that is assumed to change a variable")
    MODULE_CHANGED = ("KALE221", "step that changes the state of a module, which other steps do not see")
    NONDETERMINISTIC = ("KALE222", "non-deterministic value that is computed separately in every step")
    CACHE_NOT_SHARED = ("KALE223", "cached function whose cache is not shared between steps")
    FILE_WITHOUT_DEPENDENCY = ("KALE224", "file passed from step to step without a dependency")
    MODULE_EDITED = ("KALE225", "module that was edited after its import")

    STEP_FAILED = ("KALE301", "failed step")
    RUN_FOLDER = ("KALE302", "run folder that cannot be written")
    NO_SUCH_OUTPUT = ("KALE303", "unknown run, step or output, or an output that cannot be loaded")
    VALUE_DIFFERS = ("KALE304", "value that differs from the notebook's")

    BAD_FILE_NAME = ("KALE401", "invalid file name for a pipeline")
    PROGRAM_TOO_LARGE = ("KALE402", "step whose code is too large for a container")
    NO_PACKAGE = ("KALE403", "module that is not available in a pod")
    LOCAL_FILE = ("KALE404", "file that exists on this machine only")
    SECRET_IN_FILE = ("KALE405", "secret in the pipeline's file")
    ENVIRONMENT_DIFFERS = ("KALE406", "environment variable that is different or missing in the cluster")
    RUN_TOO_LARGE = ("KALE407", "run that is too large for a cluster")

    NO_SERVER = ("KALE501", "no server of Kubeflow Pipelines 2 at the address")
    UNREACHABLE = ("KALE502", "server that cannot be reached")
    NOT_AUTHORIZED = ("KALE503", "failed authentication or authorization")
    SERVER_ERROR = ("KALE504", "error of the server")
    REQUEST_REJECTED = ("KALE505", "request that the server rejected")
    NO_SUCH_RUN = ("KALE506", "run or value that the server does not return")

    INTERNAL_ERROR = ("KALE901", "internal error of this package")

    def __init__(self, code: str, meaning: str) -> None:
        self.code = code
        self.meaning = meaning


Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Where:
    """A place in the notebook; any part may be unknown.

    Attributes:
        cell: The cell's label, "In [5]".
        step: The step's name.
        line: The line in the cell, from 1, including the line of the magic.
        text: That line.
    """

    cell: str = ""
    step: str = ""
    line: int | None = None
    text: str = ""

    def __str__(self) -> str:
        parts = [self.cell, f"step {self.step}" if self.step else ""]
        parts.append(f"line {self.line}" if self.line else "")
        place = ", ".join(part for part in parts if part)
        text = truncate(self.text.strip(), MAX_CODE)
        return f"{place}: {text}" if text else place


@dataclass(frozen=True)
class Diagnostic:
    """An error, a warning or a note for the user.

    Attributes:
        code: Its code.
        message: What is wrong: one sentence, with the user's own names.
        fix: One fix: one sentence; a second line may refer to more information.
        where: Where it is.
        severity: An error is raised, a warning is shown before a run, a note only by `%kale`.
    """

    code: Code
    message: str
    fix: str
    where: Where = Where()
    severity: Severity = "error"

    def __str__(self) -> str:
        lines = [f"{self.code.code} {self.message}"]
        if str(self.where):
            lines.append(f"  at:  {self.where}")
        lines.append("  fix: " + self.fix.replace("\n", "\n       "))
        return "\n".join(truncate(line, MAX_LINE) for each in lines for line in each.split("\n"))


class KaleError(Exception):
    """An error that IPython shows as its diagnostics alone.

    Attributes:
        diagnostics: At least one.
    """

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("\n\n".join(str(d) for d in diagnostics))
        self.diagnostics = diagnostics

    def _render_traceback_(self) -> list[str]:
        """Return the lines to show instead of a traceback (IPython's protocol)."""
        return str(self).splitlines()


def kale_error(code: Code, message: str, fix: str, where: Where | None = None) -> KaleError:
    """Return a `KaleError` with one diagnostic."""
    return KaleError(Diagnostic(code, message, fix, where or Where()))


def raise_errors(diagnostics: Sequence[Diagnostic]) -> None:
    """Raise the errors among `diagnostics` in one exception.

    Raises:
        KaleError: At least one of them is an error.
    """
    errors = [d for d in diagnostics if d.severity == "error"]
    if errors:
        raise KaleError(*errors)
