"""The embedded engine: runs a pipeline on this machine, every step in a process of its own."""

from __future__ import annotations

import contextlib
import select
import selectors
import signal
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TextIO

from kale_magics.cache.cache_key import key_parts
from kale_magics.cache.entry import named_paths, new_entry
from kale_magics.cache.store import CacheStore, EarlierResults
from kale_magics.execution.run import (
    Event,
    LinePrinted,
    Run,
    RunEnded,
    RunStarted,
    RunState,
    StepEnded,
    StepError,
    StepRun,
    StepStarted,
    Stream,
    Ticked,
)
from kale_magics.execution.run_store import (
    LOG,
    clear_attempt,
    create_run_folder,
    open_log,
    record,
    step_folder,
    write_json,
    write_programs,
    writing,
)
from kale_magics.execution.step_environment import common_environment, step_environment
from kale_magics.execution.step_result import StepResult, read_result
from kale_magics.local.cancel import Canceller
from kale_magics.local.exchange import result_of, task_for
from kale_magics.local.fork_client import ForkServerClient, acquire_server, release_server
from kale_magics.local.past_runs import going_on, last_times
from kale_magics.local.process import LineReader, StepProcess
from kale_magics.local.schedule import available_cores, remaining_times
from kale_magics.local.timers import Timers
from kale_magics.model.pipeline import Json, Pipeline, Step
from kale_magics.model.program import render_program

CAN_FORK = sys.platform == "linux"
"""Whether steps are forked unless asked otherwise: the frameworks of macOS do not bear it."""

BETWEEN_SAVES = 0.2
"""Seconds between two versions of `run.json` while a run goes on."""

LONGEST_REASON = 90
"""Characters of an error that a retry is announced with; all of it is in the log."""

TICK = 0.5
"""Seconds between two `Ticked`, while steps run."""

GRACE = 0.5
"""Seconds between the request to end and the end, for the processes of a cancelled run."""


def run_pipeline(
    pipeline: Pipeline,
    arguments: Mapping[str, Json],
    *,
    runs_folder: Path,
    working_directory: Path,
    listener: Callable[[Event], None],
    max_parallel: int | None = None,
    name: str = "",
    fork: bool = CAN_FORK,
    cache: bool = True,
    resumed: Run | None = None,
    given: Mapping[str, Path] | None = None,
    canceller: Canceller | None = None,
) -> Run:
    """Run a pipeline and wait for its end.

    A step starts when all that it needs have succeeded. When one fails, those that depend on it are skipped
    and the others finish.

    Args:
        pipeline: What to run.
        arguments: Values of parameters, by the user's name; the others have their default.
        runs_folder: The run's files go into a new folder in `runs` there.
        working_directory: Where the steps run: the notebook's folder.
        listener: Is told each event as it happens, in the calling thread. What it raises ends the run.
        max_parallel: How many steps may run at the same time; by default one for every core.
        name: Of the run; by default the pipeline's.
        fork: Whether steps are forked from a process that has executed the imports of the imports cells, or
            each starts a fresh interpreter.
        cache: Whether what a step did in an earlier run may stand for running it.
        resumed: A run from which steps that succeeded are taken, though they would run each time, as far as
            nothing is known to have changed.
        given: The folders of steps in earlier runs from which steps take what no step of the pipeline makes.
        canceller: Can ask the run to end.

    Returns:
        The run, succeeded or failed.

    Raises:
        KaleError: The run's files cannot be written.
        KeyboardInterrupt: The user interrupted; no process is left and the run is cancelled.
        CancelledError: The same came of `canceller`.
    """
    programs = [(step, render_program(step)) for step in pipeline.steps]
    folder = create_run_folder(runs_folder)
    write_programs(folder, programs)
    parameters = {p.name: arguments.get(p.name, p.default) for p in pipeline.parameters}
    steps = {step.name: _step_run(folder, step) for step in pipeline.steps}
    run = Run(name or pipeline.name, folder, parameters, steps)
    places = max_parallel or available_cores()
    weights = remaining_times(pipeline.graph, last_times(folder))
    past = EarlierResults(CacheStore(folder.parents[1]), cache, resumed, given or {})
    with going_on(folder):
        execution = _Execution(pipeline, run, working_directory, listener, places, weights, fork, past)
        if canceller is not None:
            execution.selector.register(canceller.heard, selectors.EVENT_READ, canceller.raise_error)
        execution.execute()
    return run


def _step_run(folder: Path, step: Step) -> StepRun:
    place = step_folder(folder, step)
    artifacts = {name: place / "outputs" / a.key for a in step.outputs for name in a.names}
    return StepRun(step.name, place, artifacts)


class _Running:
    """What belongs to a step while its process lives."""

    def __init__(
        self, step: Step, process: StepProcess, log: TextIO, began: float, parts: Mapping[str, str]
    ) -> None:
        self.step, self.process, self.log = step, process, log
        self.began, self.parts = began, parts
        self.late = False

    def close(self) -> None:
        self.process.close()
        with contextlib.suppress(OSError):  # lines that could not be written have been told of
            self.log.close()


class _Execution:
    """The bookkeeping of one run: what is ready, what runs, what comes out of it."""

    def __init__(
        self,
        pipeline: Pipeline,
        run: Run,
        directory: Path,
        listener: Callable[[Event], None],
        max_parallel: int,
        weights: Mapping[str, float],
        fork: bool,
        past: EarlierResults,
    ) -> None:
        self.pipeline, self.fork, self.past = pipeline, fork, past
        self.run, self.directory, self.tell, self.max_parallel = run, directory, listener, max_parallel
        self.numbers = {step.name: number for number, step in enumerate(pipeline.steps)}
        # The step that most work waits for is the first to start; of equal ones, the first in the notebook.
        self.order = {name: (-weights[name], number) for name, number in self.numbers.items()}
        self.steps = {step.name: step for step in pipeline.steps}
        self.missing = {name: set(above) for name, above in pipeline.graph.upstream.items()}
        self.ready = [name for name, needs in self.missing.items() if not needs]
        self.running: dict[str, _Running] = {}
        self.folders = {**past.given, **{name: step.folder for name, step in run.steps.items()}}
        self.results = {name: read_result(folder) for name, folder in past.given.items()}
        self.server: ForkServerClient | None = None
        self.tries: dict[str, int] = {}
        self.firsts: dict[str, float] = {}
        self.pausing: set[str] = set()
        self.timers = Timers()
        self.selector = selectors.DefaultSelector()
        self.environment = common_environment()
        self.began = time.monotonic()
        self.saved = 0.0

    def execute(self) -> None:
        """Run all steps; whatever goes wrong here, no process is left."""
        try:
            self.save(now=True)
            self.tell(RunStarted(self.run))
            self.timers.later(TICK, self.tick)
            while self.ready or self.running or self.pausing:
                while self.ready and len(self.running) < self.max_parallel:
                    self.ready.sort(key=self.order.__getitem__, reverse=True)
                    self.start(self.steps[self.ready.pop()])
                if self.running or self.pausing:
                    for key, _ in self.selector.select(self.timers.wait()):
                        key.data()
                    self.timers.ring()
            failed = any(step.state == "failed" for step in self.run.steps.values())
            self.end("failed" if failed else "succeeded")
        except BaseException:  # whatever it is, an interrupt too: no process is left
            try:
                self.stop()
            finally:
                self.end("cancelled")
            raise
        finally:
            self.selector.close()
            if self.server is not None:
                release_server(self.server)
        self.tell(RunEnded(self.run.state, self.run.seconds or 0.0))

    def serve(self) -> ForkServerClient:
        """The server of the steps; a run that finds all in the cache needs none."""
        if self.server is None:
            self.server = acquire_server(self.pipeline, self.environment, self.fork)
            self.selector.register(self.server.socket, selectors.EVENT_READ, self.hear_ends)
        return self.server

    def tick(self) -> None:
        """Tell that time goes by."""
        self.tell(Ticked())
        self.timers.later(TICK, self.tick)

    def save(self, now: bool = False) -> None:
        """Bring `run.json` up to date, if it has not just been or must be now."""
        if now or time.monotonic() - self.saved > BETWEEN_SAVES:
            with writing(self.run.folder):
                write_json(self.run.folder / "run.json", record(self.run))
            self.saved = time.monotonic()

    def end(self, state: RunState) -> None:
        """Close the books."""
        self.run.state = state
        self.run.ended = datetime.now(timezone.utc)
        self.run.seconds = time.monotonic() - self.began
        self.save(now=True)

    def start(self, step: Step) -> None:
        """Begin a step, unless an earlier run has done the same."""
        inputs = {i.key: str(self.results[i.step].metadata[i.artifact.key]["sha256"]) for i in step.inputs}
        parts = key_parts(step, self.run.parameters, inputs, self.directory, self.surroundings(step))
        first = step.name not in self.tries
        found = self.past.find(step, parts) if first else None
        if found is None or not self.take(step, found):
            self.launch(step, parts)

    def take(self, step: Step, found: Path) -> bool:
        """Take what an earlier run has; False if it has just gone."""
        began = time.monotonic()
        state = self.run.steps[step.name]
        try:
            self.past.store.reuse(found, state.folder)
            result = self.results[step.name] = read_result(state.folder)
        except (OSError, ValueError, KeyError):
            clear_attempt(state.folder)
            (state.folder / LOG).unlink(missing_ok=True)  # it may be a link to the log of an earlier run
            return False
        for line in state.log.split("\n")[:-1]:
            self.tell(LinePrinted(step.name, "stdout", line))
        state.cached, state.metrics = True, dict(result.metrics)
        self.settle(step.name, time.monotonic() - began)
        return True

    def surroundings(self, step: Step) -> dict[str, str]:
        """The environment of a step."""
        return step_environment(step, self.environment)

    def launch(self, step: Step, parts: Mapping[str, str]) -> None:
        """Begin a step's process and listen to it."""
        state = self.run.steps[step.name]
        again = self.tries.setdefault(step.name, 0) > 0
        with writing(self.run.folder):
            paths = named_paths(step, self.run.parameters, self.directory)
            task = task_for(step, self.run, self.folders, self.results, paths)
            write_json(state.folder / "arguments.json", task)
            log = open_log(state.folder / LOG, again)
        process = StepProcess()
        first = self.firsts.setdefault(step.name, time.monotonic())
        running = self.running[step.name] = _Running(step, process, log, first, parts)
        for stream, reader in process.streams.items():
            listen = partial(self.hear, running, stream, reader)
            self.selector.register(reader.fd, selectors.EVENT_READ, listen)
        busy = min(self.max_parallel, len(self.running) + len(self.ready))
        threads = None if busy == 1 else max(1, available_cores() // busy)
        number, place = self.numbers[step.name], state.folder / "arguments.json"
        self.serve().start(number, place, self.directory, self.surroundings(step), threads, process.writers)
        process.begun()
        if step.attempts.timeout is not None:
            self.timers.later(step.attempts.timeout, partial(self.end_late, running))
        if not again:
            state.state = "running"
            self.save()
            self.tell(StepStarted(step.name))

    def end_late(self, running: _Running) -> None:
        """End an attempt that takes too long, if it still runs."""
        if self.running.get(running.step.name) is running:
            running.late = True
            self.serve().send_signal(signal.SIGKILL, [self.numbers[running.step.name]])

    def try_again(self, running: _Running, error: StepError) -> bool:
        """Let a step that has failed begin once more, if it may."""
        name, attempts = running.step.name, running.step.attempts
        self.tries[name] += 1
        if self.tries[name] > attempts.retries:
            return False
        with writing(self.run.folder):
            clear_attempt(self.run.steps[name].folder)
        when = f" in {attempts.delay:g} s" if attempts.delay else ""
        told = str(error).partition("\n")[0][:LONGEST_REASON]
        again = f"attempt {self.tries[name]} of {attempts.retries + 1} failed: {told}; again{when}"
        self.print(running, "stderr", [again])
        self.pausing.add(name)
        self.timers.later(attempts.delay, partial(self.make_ready, name))
        return True

    def make_ready(self, name: str) -> None:
        """A step that has paused may begin."""
        self.pausing.discard(name)
        self.ready.append(name)

    def hear_ends(self) -> None:
        """Take in what the server tells: steps have ended, or it has died and they with it."""
        running = {self.numbers[name]: step for name, step in self.running.items()}
        server = self.serve()
        for message in server.read_ended():
            ended = running.pop(message["ended"])
            ended.process.returncode = message.get("returncode")
            ended.process.failure = message.get("failure", "")
            self.finish(ended)
        if server.alive:
            return
        self.selector.unregister(server.socket)
        server.close()
        self.server = None
        for left in running.values():
            left.process.failure = "the process that starts the steps has died"
            self.finish(left)

    def hear(self, running: _Running, stream: Stream, reader: LineReader) -> None:
        """Pass on what a step has printed."""
        if not reader.at_end:
            self.print(running, stream, reader.read())
            if reader.at_end:
                self.selector.unregister(reader.fd)

    def print(self, running: _Running, stream: Stream, lines: list[str]) -> None:
        """Log lines of a step and tell of them."""
        if lines:
            with writing(self.run.folder):
                running.log.writelines(f"{line}\n" for line in lines)
                running.log.flush()
        for line in lines:
            self.tell(LinePrinted(running.step.name, stream, line))

    def finish(self, running: _Running) -> None:
        """Take in how a step ended, and what follows for the others."""
        process, state = running.process, self.run.steps[running.step.name]
        for stream, reader in process.streams.items():
            if not reader.at_end:
                self.selector.unregister(reader.fd)
                self.print(running, stream, reader.drain())
        result = result_of(state.folder, process)
        if running.late:
            limit = _limit(running.step.attempts.timeout or 0.0)
            result = StepResult(
                StepError("Timeout", f"it took longer than {limit}, its --timeout, and was ended")
            )
        self.results[state.name] = result
        if result.error:
            with writing(self.run.folder):
                running.log.write(result.error.traceback or f"{result.error}\n")
        del self.running[state.name]
        again = result.error is not None and self.try_again(running, result.error)
        running.close()
        if again:
            return
        state.error, state.metrics = result.error, dict(result.metrics)
        seconds = time.monotonic() - running.began
        if not result.error:
            # What cannot be read, or written, is no entry: the step runs again the next time.
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                known = running.parts, result.metadata
                entry = new_entry(running.step, state.folder, self.run.id, seconds, *known)
                self.past.store.add(state.folder, entry)
        self.settle(state.name, seconds)

    def settle(self, name: str, seconds: float) -> None:
        """A step has ended: tell of it, and of what follows for the others."""
        state = self.run.steps[name]
        state.seconds = seconds
        state.state = "failed" if state.error else "succeeded"
        skipped = self.follow_up(name)
        self.save()
        self.tell(StepEnded(name, state.state, seconds, state.cached))
        for other in skipped:
            self.tell(StepEnded(other, "skipped", None))

    def follow_up(self, ended: str) -> list[str]:
        """Make ready what waited for a step alone, or skip all that depends on it if it failed.

        Returns:
            The steps that are skipped.
        """
        if self.run.steps[ended].state == "succeeded":
            for name in self.pipeline.graph.downstream[ended]:
                self.missing[name].discard(ended)
                if not self.missing[name] and self.run.steps[name].state == "waiting":
                    self.ready.append(name)
            return []
        below = self.pipeline.graph.descendants(ended)
        skipped = [name for name in below if self.run.steps[name].state == "waiting"]
        for name in skipped:
            self.run.steps[name].state = "skipped"
        return skipped

    def stop(self) -> None:
        """End every process: asked first, then not asked; the steps that have not ended are cancelled."""
        server, left = self.server, {self.numbers[name] for name in self.running}
        try:
            if server is not None:
                server.send_signal(signal.SIGTERM, left)
                deadline = time.monotonic() + GRACE
                while left and server.alive and (rest := deadline - time.monotonic()) > 0:
                    if select.select([server.socket], [], [], rest)[0]:
                        left -= {message["ended"] for message in server.read_ended()}
        finally:
            if left and server is not None:
                server.close()
            for running in self.running.values():
                self.run.steps[running.step.name].seconds = time.monotonic() - running.began
                running.close()
            for step in self.run.steps.values():
                if step.state in ("running", "waiting"):
                    step.state = "cancelled"


def _limit(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g} s"
