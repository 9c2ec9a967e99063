"""The backend that runs pipelines on this machine."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Sequence
from pathlib import Path

from kale_magics.execution.backend import Capability, RunSummary
from kale_magics.execution.events import ErrorRaised, Event, Listener, RunEnded, RunStarted
from kale_magics.execution.request import RunRequest
from kale_magics.execution.run import Run, RunSource
from kale_magics.local.cancellation import CancelledError, Canceller
from kale_magics.local.engine import CAN_FORK, run_pipeline
from kale_magics.local.local_source import BackgroundSource
from kale_magics.local.past_runs import past_runs, stored_run
from kale_magics.model.diagnostics import Code, Diagnostic, kale_error
from kale_magics.model.pipeline import Pipeline

INTERRUPTED = "KeyboardInterrupt: the run is cancelled, and no process of it is left"


class LocalBackend:
    """Runs pipelines with the local engine.

    Args:
        runs_folder: The folder of runs.
        max_parallel: How many steps may run at the same time; None for one per core.
        fork: Whether steps are forked; None for the default of this system.
    """

    place = "on this machine"
    elsewhere = "name a server: --host"
    capabilities: frozenset[Capability] = frozenset({"background", "earlier outputs"})

    def __init__(self, runs_folder: Path, max_parallel: int | None = None, fork: bool | None = None) -> None:
        self._runs_folder, self._max_parallel = runs_folder, max_parallel
        self._fork = CAN_FORK if fork is None else fork

    def warnings(self, pipeline: Pipeline) -> Sequence[Diagnostic]:
        """Return no warnings: steps run in the environment of the notebook."""
        del pipeline
        return ()

    def submit(self, request: RunRequest, listener: Listener) -> Run:
        """Run a pipeline, in a thread unless the request waits for its end.

        Args:
            request: The pipeline and the options of the run.
            listener: Receives the run's events; in a thread, its output appears below the current cell.

        Raises:
            KaleError: Steps have failed, or the run's files cannot be written.
            KeyboardInterrupt: The user interrupted; no process is left.
        """
        if not request.wait:
            return self._submit_in_thread(request, listener)
        try:
            return self._run(request, listener)
        except KeyboardInterrupt as interrupt:
            # IPython shows this instead of a traceback, which would have only frames of this package.
            vars(interrupt)["_render_traceback_"] = lambda: [INTERRUPTED]
            raise

    def _submit_in_thread(self, request: RunRequest, listener: Listener) -> Run:
        canceller, begun = Canceller(), threading.Event()
        source = BackgroundSource(canceller.cancel)
        runs: list[Run] = []

        def listen(event: Event) -> None:
            if isinstance(event, RunStarted):
                runs.append(event.run)
            listener(event)
            if isinstance(event, RunStarted):
                begun.set()

        def work() -> None:
            try:
                self._run(request, listen, canceller, source)
            except CancelledError:
                listener(RunEnded("cancelled", runs[0].seconds or 0.0))
            except BaseException as error:  # the cell has ended: `Run.wait` raises it
                source.error = error
                if runs:
                    listener(ErrorRaised(error))
            finally:
                source.ended.set()
                begun.set()
                canceller.close()

        # The output of a thread appears below the cell whose context it has.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(work,), name="kale run", daemon=True).start()
        begun.wait()
        if not runs and source.error is not None:
            raise source.error
        return runs[0]

    def _run(
        self,
        request: RunRequest,
        listener: Listener,
        canceller: Canceller | None = None,
        source: RunSource | None = None,
    ) -> Run:
        return run_pipeline(
            request,
            runs_folder=self._runs_folder,
            working_directory=Path.cwd(),
            listener=listener,
            max_parallel=self._max_parallel,
            fork=self._fork,
            canceller=canceller,
            source=source,
        )

    def attach(self, run_id: str) -> Run:
        """Return the handle of a stored run.

        Raises:
            KaleError: There is no such run.
        """
        return stored_run(self._runs_folder, run_id)

    def follow(self, run: Run, listener: Listener, cancel_on_interrupt: bool = False) -> None:
        """Wait for the end of a run, and report it."""
        del cancel_on_interrupt
        run.wait()
        listener(RunEnded(run.state, run.seconds or 0.0))

    def runs(self) -> list[RunSummary]:
        """Return the stored runs, the newest first."""
        return [
            RunSummary(
                run.id, run.name, run.state, run.started, run.seconds, dict(run.parameters), run.metrics
            )
            for run in past_runs(self._runs_folder)
        ]

    def cancel(self, run_id: str) -> str:
        """Raise an error: only the session that started a local run can end it.

        Raises:
            KaleError: Always.
        """
        fix = "call run.cancel() in the session that started it"
        raise kale_error(Code.BAD_ARGUMENTS, f"run {run_id} is on this machine", fix)
