"""Diagnostics for tasks that failed."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import indent

from kale_magics.execution.run import TaskError, TaskRun
from kale_magics.model.diagnostics import Code, Diagnostic, Where
from kale_magics.syntax.arguments import quoted


def failures_of(tasks: Iterable[TaskRun]) -> list[Diagnostic]:
    """Return a diagnostic for each task that failed and has an error."""
    return [_failure(task, task.error) for task in tasks if task.state == "failed" and task.error]


def _failure(task: TaskRun, error: TaskError) -> Diagnostic:
    """Return the step's own diagnostic, or one with the traceback of the user's code."""
    where = Where(error.cell, task.name, error.line, error.code)
    codes = {code.code: code for code in Code}
    code = codes.get(error.kale_code, Code.STEP_FAILED)
    if code is not Code.STEP_FAILED:
        return Diagnostic(code, error.message, error.fix, where)
    report = error.traceback.rstrip() or error.message
    fix = error.fix or ("fix and run that cell" if error.cell else "fix the step, and run its cells")
    log = f"%kale_logs {quoted(task.name)}"
    return Diagnostic(
        code,
        f"step {task.task} failed\n{indent(report, '    ')}",
        f"{fix}\nthe step's log: {log}",
        where,
    )
