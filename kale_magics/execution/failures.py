"""Why a step failed, as a diagnostic."""

from __future__ import annotations

from textwrap import indent

from kale_magics.execution.run import StepError, StepRun
from kale_magics.model.diagnostics import Code, Diagnostic, Where
from kale_magics.syntax.arguments import quoted


def failure(step: StepRun, error: StepError) -> Diagnostic:
    """Why a step failed: a refusal under its own code, else the traceback of the user's code."""
    where = Where(error.cell, step.name, error.line, error.code)
    codes = {code.code: code for code in Code}
    code = codes.get(error.kale_code, Code.STEP_FAILED)
    if code is not Code.STEP_FAILED:
        return Diagnostic(code, error.message, error.fix, where)
    report = error.traceback.rstrip() or error.message
    mend = "mend and run that cell" if error.cell else "mend the step, and run its cells"
    log = f"%kale_logs {quoted(step.name)}"
    return Diagnostic(
        code,
        f"step {step.name} failed\n{indent(report, '    ')}",
        f"{mend}\nall that the step printed: {log}",
        where,
    )
