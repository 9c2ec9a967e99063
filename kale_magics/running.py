"""Starts a run on this machine, in the foreground or beside it, and shows how it goes on."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent
from typing import Any

from kale_magics.arguments import quoted
from kale_magics.check import check_run, diagnostics_of, errors_of
from kale_magics.diagnostics import Code, Diagnostic, KaleError, Where
from kale_magics.expected import Expected
from kale_magics.local.cancel import CancelledError, Canceller
from kale_magics.local.engine import CAN_FORK, run_pipeline
from kale_magics.pipeline import Json, Pipeline
from kale_magics.run import Background, Event, Run, RunStarted, StepError, StepRun
from kale_magics.view import LiveView, Progress, diagnostics_text, summary

INTERRUPTED = "KeyboardInterrupt: the run is cancelled, and no process of it is left"


@dataclass(frozen=True)
class Order:
    """What is to be run, and how.

    Attributes:
        pipeline: The steps.
        values: Of parameters, by the user's names.
        runs_folder: Where runs are kept.
        name: Of the run; empty for the pipeline's.
        max_parallel: How many steps may run at a time; None for one for every core.
        fork: Whether steps are forked; None for what this system can.
        cache: Whether steps of which nothing has changed are taken from earlier runs.
        resumed: The run that is taken up again.
        given: The folders of steps in earlier runs that stand for steps that are not in the pipeline.
        expected: What the notebook has; None if the run is not checked against it.
        strict: Whether a value that differs from the notebook's is an error.
    """

    pipeline: Pipeline
    values: Mapping[str, Json]
    runs_folder: Path
    name: str = ""
    max_parallel: int | None = None
    fork: bool | None = None
    cache: bool = True
    resumed: Run | None = None
    given: Mapping[str, Path] = field(default_factory=dict)
    expected: Expected | None = None
    strict: bool = False


class Show:
    """Shows a run: a picture that changes where there is a notebook, lines elsewhere.

    Args:
        pipeline: What runs.
        rich: Whether there is a notebook.
        started: Is told the run when it begins.
    """

    def __init__(self, pipeline: Pipeline, rich: bool, started: Callable[[Run], None]) -> None:
        self.progress = Progress([step.name for step in pipeline.steps], states=not rich)
        self.view = LiveView(pipeline) if rich else None
        self.handle: Any = None
        self.started = started

    def listen(self, event: Event) -> None:
        """Take in what the engine tells."""
        if self.view is not None and self.view.handle(event):
            self.draw()
        for text in self.progress.lines(event):
            print(text, flush=True)
        if isinstance(event, RunStarted):
            self.started(event.run)

    def draw(self) -> None:
        """Show the picture, in the place of the last one."""
        from IPython.display import display

        show: Callable[..., Any] = display
        if self.handle is None:
            self.handle = show(self.view, display_id=True)
        else:
            self.handle.update(self.view)

    def end(self) -> None:
        """Show how a run has ended that was cancelled."""
        if self.view is not None and self.handle is not None:
            self.view.close()
            self.draw()


def start(order: Order, rich: bool, started: Callable[[Run], None]) -> Run:
    """Run a pipeline and wait for its end.

    Args:
        order: What is to be run.
        rich: Whether there is a notebook that shows pictures.
        started: Is told the run when it begins.

    Returns:
        The run, succeeded.

    Raises:
        KaleError: Steps have failed, or the run's files cannot be written.
        KeyboardInterrupt: The user interrupted; no process is left.
    """
    try:
        return _perform(order, Show(order.pipeline, rich, started), None)
    except KeyboardInterrupt as interrupt:
        # IPython shows what this gives in the place of a traceback, which would be all ours.
        vars(interrupt)["_render_traceback_"] = lambda: [INTERRUPTED]
        raise


def start_beside(order: Order, rich: bool, started: Callable[[Run], None]) -> Run:
    """Run a pipeline in a thread, and do not wait for it; what it shows belongs to the present cell.

    Args:
        order: What is to be run.
        rich: Whether there is a notebook that shows pictures.
        started: Is told the run when it begins.

    Returns:
        The run, which goes on.

    Raises:
        KaleError: The run's files cannot be written.
    """
    canceller, begun = Canceller(), threading.Event()
    background = Background(canceller.cancel)
    runs: list[Run] = []

    def take(run: Run) -> None:
        run._background = background
        runs.append(run)
        started(run)
        begun.set()

    def work() -> None:
        try:
            _perform(order, Show(order.pipeline, rich, take), canceller)
        except CancelledError:
            print(f"\n{summary(runs[0])}", flush=True)
        except BaseException as error:  # there is no cell left that could fail: `Run.wait` raises it
            background.error = error
            if runs:
                print(f"\n{error}", flush=True)
        finally:
            background.ended.set()
            begun.set()
            canceller.close()

    # What a thread prints goes to the cell that its context was copied in.
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name="kale run", daemon=True).start()
    begun.wait()
    if not runs and background.error is not None:
        raise background.error
    return runs[0]


def _perform(order: Order, show: Show, canceller: Canceller | None) -> Run:
    try:
        run = run_pipeline(
            order.pipeline,
            order.values,
            runs_folder=order.runs_folder,
            working_directory=Path.cwd(),
            listener=show.listen,
            max_parallel=order.max_parallel,
            name=order.name,
            fork=CAN_FORK if order.fork is None else order.fork,
            cache=order.cache,
            resumed=order.resumed,
            given=order.given,
            canceller=canceller,
        )
    except BaseException:  # an interrupt too ends with the picture of what has become of the run
        show.end()
        raise
    if order.expected is not None:
        check_run(run, order.pipeline, order.expected)
    print(f"\n{summary(run)}", flush=True)
    failures = [failure(step, step.error) for step in run.steps.values() if step.error]
    if failures:
        raise KaleError(*failures)
    show_differences(run, order.strict)
    return run


def show_differences(run: Run, strict: bool) -> None:
    """Print what the check of a run has found.

    Raises:
        KaleError: A value differs from the notebook's, and that is an error.
    """
    check = run.check
    if strict and check.differences:
        raise KaleError(*errors_of(check))
    if check.differences:
        print(f"\n{diagnostics_text(diagnostics_of(check))}", flush=True)


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
