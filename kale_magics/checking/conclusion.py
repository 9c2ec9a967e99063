"""The end of a run: the check against the notebook, the summary, and the errors."""

from __future__ import annotations

from kale_magics.checking.check import check_run, show_differences
from kale_magics.execution.failures import failures_of
from kale_magics.execution.request import RunRequest
from kale_magics.execution.run import Run
from kale_magics.model.diagnostics import Code, KaleError, kale_error
from kale_magics.view import summary


def check_against_notebook(run: Run, request: RunRequest) -> None:
    """Compare the values of a run that has ended with the notebook's, if those are known."""
    if request.expected is not None:
        check_run(run, request.pipeline, request.expected)


def conclude(run: Run, request: RunRequest | None) -> None:
    """Check a run that has ended, and print its summary.

    Args:
        run: A run that succeeded, failed or was cancelled.
        request: The request of the run; None if it is unknown.

    Raises:
        KaleError: Steps have failed, or values differ from the notebook's and that is an error.
    """
    if request is not None and run.known_state != "cancelled":
        check_against_notebook(run, request)
    print("\n".join(["", summary(run), *filter(None, [run.link])]), flush=True)
    if run.known_state != "cancelled":  # who cancelled it knows that it is not complete
        raise_failures(run, request is not None and request.strict)


def raise_failures(run: Run, strict: bool) -> None:
    """Raise the errors of a run that has ended, or print the differences from the notebook.

    Args:
        run: The run.
        strict: Whether a difference is an error.

    Raises:
        KaleError: A step failed, the run failed, or a value differs and that is an error.
    """
    run.source.update(run, results=True)
    failures = failures_of(run.known_tasks.values())
    if failures:
        raise KaleError(*failures)
    if run.known_state == "failed":
        message = f"run {run.id} failed, and no step reported an error"
        raise kale_error(Code.STEP_FAILED, message, f"see the page of the run: {run.link}")
    show_differences(run, strict)
