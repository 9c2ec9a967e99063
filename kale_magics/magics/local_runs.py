"""Starts a run on this machine, in the foreground or beside it, and shows how it goes on."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from pathlib import Path

from kale_magics.checking.check import check_run, show_differences
from kale_magics.execution.failures import failure
from kale_magics.execution.request import RunRequest
from kale_magics.execution.run import Background, Run
from kale_magics.local.cancel import CancelledError, Canceller
from kale_magics.local.engine import CAN_FORK, run_pipeline
from kale_magics.model.diagnostics import KaleError
from kale_magics.view import summary
from kale_magics.view.run_display import RunDisplay

INTERRUPTED = "KeyboardInterrupt: the run is cancelled, and no process of it is left"


def start(order: RunRequest, rich: bool, started: Callable[[Run], None]) -> Run:
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
        return _perform(order, RunDisplay(order.pipeline, rich, started), None)
    except KeyboardInterrupt as interrupt:
        # IPython shows what this gives in the place of a traceback, which would be all ours.
        vars(interrupt)["_render_traceback_"] = lambda: [INTERRUPTED]
        raise


def start_beside(order: RunRequest, rich: bool, started: Callable[[Run], None]) -> Run:
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
            _perform(order, RunDisplay(order.pipeline, rich, take), canceller)
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


def _perform(order: RunRequest, show: RunDisplay, canceller: Canceller | None) -> Run:
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
