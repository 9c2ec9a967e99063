"""Every refusal and every warning: a code, what is wrong, where, and one way to fix it.

A `Diagnostic` is a value; `KaleError` carries one or several to the user and renders itself, so that a
mistake in a notebook shows a few lines and no traceback of this package, and still fails the cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from kale_magics.step_runtime.truncation import truncate

LONGEST_LINE, LONGEST_CODE = 2_000, 200
"""How many characters are shown of a line of a message, and of a line of code."""


class Code(Enum):
    """The codes of what can be wrong; `FAMILIES` in tests/diagnostic_examples.py explains their first digits.

    That module has an example and a fix for each; `make docs` writes docs/diagnostics.md from both.
    """

    UNKNOWN_KIND = ("KALE101", "no such kind of cell")
    UNKNOWN_OPTION = ("KALE102", "no such option")
    BAD_ARGUMENTS = ("KALE103", "arguments that cannot be read")
    STEP_WITHOUT_NAME = ("KALE104", "a step without a name")
    NOT_FIRST_LINE = ("KALE105", "the magic is not the first line of its cell")
    EMPTY_BODY = ("KALE106", "a marked cell with nothing in it")
    UNKNOWN_STEP = ("KALE107", "no step of that name")
    BAD_VALUE = ("KALE108", "a value that a parameter does not take")
    UNKNOWN_PARAMETER = ("KALE109", "no parameter of that name")
    BAD_STEP_OPTION = ("KALE110", "something asked for a step that a cluster does not take")

    NOTHING_MARKED = ("KALE201", "no step is marked")
    SYNTAX = ("KALE202", "a cell that is not Python")
    FOREIGN_LINE = ("KALE203", "a line that does not belong into a parameters or metrics cell")
    UNKNOWN_NAME = ("KALE204", "a name that no marked cell makes")
    CYCLE = ("KALE205", "steps that wait for each other")
    METRIC_WITHOUT_STEP = ("KALE206", "a metric that no step has")
    METRIC_NOT_A_NUMBER = ("KALE207", "a metric that is not a number")
    CANNOT_CROSS = ("KALE208", "a value that cannot go from step to step")
    UNSUPPORTED_SYNTAX = ("KALE209", "notebook syntax that means nothing outside a notebook")
    INTERLEAVED = ("KALE210", "a step that goes on with what other cells have used or changed meanwhile")
    PRELUDE_READS_STEP = ("KALE211", "an imports, functions or parameters cell that needs what a step makes")
    CELL_FAILED = ("KALE212", "a marked cell whose last execution failed")
    DUPLICATE_PARAMETER = ("KALE213", "a parameter that is given twice")
    PRELUDE_CHANGED = (
        "KALE214",
        "an imports, functions or parameters cell that redefines what a step has used",
    )
    READS_CHANGED = ("KALE215", "a step that changes what it says that it only reads")

    OUT_OF_ORDER = ("KALE216", "cells that ran in another order, or more often, than from top to bottom")
    CHANGED_OUTSIDE = ("KALE217", "a cell outside of the pipeline that changes what a step uses")
    CELL_CHANGED = ("KALE218", "a marked cell that was edited after it ran")
    CELL_DELETED = ("KALE219", "a marked cell that is no longer in the notebook")
    GUESSED_CHANGE = ("KALE220", "a step that may only read what it is taken to change")
    MODULE_CHANGED = ("KALE221", "a step that sets something in a module, where other steps do not see it")
    DIFFERS_BY_STEP = ("KALE222", "a value that every step would compute anew, each another one")
    MEMORY_BY_STEP = ("KALE223", "a cached function of which several steps would need one memory")
    FILE_WITHOUT_EDGE = ("KALE224", "a file of one step that another one uses without waiting for it")
    MODULE_EDITED = ("KALE225", "a module that has been edited since it was imported")

    STEP_FAILED = ("KALE301", "a step failed")
    RUN_FOLDER = ("KALE302", "the folder of the run cannot be written")
    NO_SUCH_OUTPUT = ("KALE303", "no such step or output of a run")
    VALUE_DIFFERS = ("KALE304", "a value of a run that is not the notebook's")

    BAD_FILE_NAME = ("KALE401", "a file name that a pipeline cannot be written to")
    PROGRAM_TOO_LARGE = ("KALE402", "a step whose code is larger than a container takes")
    NO_PACKAGE = ("KALE403", "a module that a pod cannot get")
    FILE_ONLY_HERE = ("KALE404", "a file that is on this machine only")
    SECRET_IN_FILE = ("KALE405", "a secret that would stand in the pipeline's file")
    VARIABLE_DIFFERS = ("KALE406", "a variable of the environment that is another one there, or is not there")

    NO_SERVER = ("KALE501", "an address at which there is no Kubeflow Pipelines 2")
    UNREACHABLE = ("KALE502", "a server that cannot be reached")
    NOT_LET_IN = ("KALE503", "a server that does not let you in, or not there")
    SERVER_FAILS = ("KALE504", "a server that fails")
    SERVER_REFUSES = ("KALE505", "something that a server does not take")
    NO_SUCH_RUN = ("KALE506", "a run that a server does not have, or does not show")

    OWN_FAULT = ("KALE901", "a fault of this package")

    def __init__(self, code: str, meaning: str) -> None:
        self.code = code
        self.meaning = meaning


Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Where:
    """Where something is: any part may be unknown.

    Attributes:
        cell: As the user sees it, "In [5]".
        step: The step's name.
        line: The line in the cell, from 1, the magic's line included.
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
        text = truncate(self.text.strip(), LONGEST_CODE)
        return f"{place}: {text}" if text else place


@dataclass(frozen=True)
class Diagnostic:
    """One thing to tell the user.

    Attributes:
        code: Which kind of thing.
        message: What is wrong, one sentence, with the user's own names.
        fix: One way out, one sentence; a second line may say where to look.
        where: Where it is.
        severity: An error refuses; a warning is shown before a run; a note when the user asks what is marked.
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
        return "\n".join(truncate(line, LONGEST_LINE) for each in lines for line in each.split("\n"))


class KaleError(Exception):
    """A refusal, shown as its diagnostics alone.

    Attributes:
        diagnostics: At least one.
    """

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("\n\n".join(str(d) for d in diagnostics))
        self.diagnostics = diagnostics

    def _render_traceback_(self) -> list[str]:
        """IPython's protocol for exceptions that know how they want to be shown."""
        return str(self).splitlines()


def refuse(code: Code, message: str, fix: str, where: Where | None = None) -> KaleError:
    """A `KaleError` of one diagnostic, to be raised by the caller."""
    return KaleError(Diagnostic(code, message, fix, where or Where()))


def raise_errors(diagnostics: Sequence[Diagnostic]) -> None:
    """Raise what is an error among `diagnostics`, all of it at once.

    Raises:
        KaleError: At least one of them is an error.
    """
    errors = [d for d in diagnostics if d.severity == "error"]
    if errors:
        raise KaleError(*errors)
