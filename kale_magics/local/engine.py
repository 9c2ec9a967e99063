"""The embedded engine: runs a pipeline on this machine, every step in a process of its own."""

from __future__ import annotations

import contextlib
import sched
import select
import selectors
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TextIO

from kale_magics.cache.cache_key import KeyParts, key_parts
from kale_magics.cache.entry import named_paths, new_entry
from kale_magics.cache.store import CacheStore, EarlierResults
from kale_magics.execution.events import (
    LinePrinted,
    Listener,
    RunEnded,
    RunStarted,
    Stream,
    TaskEnded,
    TaskStarted,
    Ticked,
)
from kale_magics.execution.request import RunRequest
from kale_magics.execution.run import Run, RunSource, RunState, SkipCause, TaskError, TaskRun
from kale_magics.execution.run_store import (
    LOG,
    clear_attempt,
    create_run_folder,
    open_log,
    record,
    task_folder,
    write_json,
    write_programs,
    writing,
)
from kale_magics.execution.step_environment import common_environment, step_environment
from kale_magics.execution.step_result import StepResult, read_result
from kale_magics.local.cancellation import Canceller
from kale_magics.local.fork_client import ForkServerClient, acquire_server, release_server
from kale_magics.local.local_source import LocalSource
from kale_magics.local.past_runs import last_times, locked
from kale_magics.local.scheduling import ReadyQueue, available_cores, remaining_times
from kale_magics.local.step_process import LineReader, StepProcess
from kale_magics.local.worker_files import task_arguments, worker_result
from kale_magics.model.graph import Graph
from kale_magics.model.pipeline import Pipeline, Step
from kale_magics.model.program import render_program
from kale_magics.model.task_id import TaskId
from kale_magics.step_runtime.attempts import retry_text, timeout_text

CAN_FORK = sys.platform == "linux"
"""Whether steps are forked by default: the frameworks of macOS do not support it."""

SAVE_INTERVAL = 0.2
"""Seconds between two versions of `run.json` during a run."""

TICK_INTERVAL = 0.5
"""Seconds between two `Ticked` events."""

MAX_TERMINATION = 0.5
"""Seconds that the processes of a cancelled run have between SIGTERM and SIGKILL."""


def run_pipeline(
    request: RunRequest,
    *,
    runs_folder: Path,
    working_directory: Path,
    listener: Listener,
    max_parallel: int | None = None,
    fork: bool = CAN_FORK,
    canceller: Canceller | None = None,
    source: RunSource | None = None,
) -> Run:
    """Run a pipeline and wait for its end.

    A step starts when all its upstream steps have succeeded. When one fails, its downstream steps are skipped
    and the others finish.

    Args:
        request: The pipeline, and how to run it. Parameters without a value have their defaults.
        runs_folder: The folder of runs; the run gets a new folder in its folder `runs`.
        working_directory: The working directory of the steps: the notebook's folder.
        listener: Receives each event, in the calling thread. An error that it raises ends the run.
        max_parallel: How many steps may run at the same time; by default one for every core.
        fork: Whether steps are forked from a process that has executed the imports cells' imports.
        canceller: Can cancel the run.
        source: Where the run's handle reads logs and values; by default the run's folder.

    Returns:
        The run, succeeded or failed.

    Raises:
        KaleError: The run's files cannot be written.
        KeyboardInterrupt: The user interrupted; no process is left and the run is cancelled.
        CancelledError: `canceller` cancelled the run; no process is left.
    """
    pipeline = request.pipeline
    programs = [(step, render_program(step)) for step in pipeline.steps]
    folder = create_run_folder(runs_folder)
    write_programs(folder, programs)
    parameters = {p.name: request.values.get(p.name, p.default) for p in pipeline.parameters}
    source = source or LocalSource()
    tasks = [_task_run(folder, step, source) for step in pipeline.steps]
    run = Run(request.name or pipeline.name, folder, parameters, tasks, source)
    places = max_parallel or available_cores()
    weights = remaining_times(pipeline.graph, last_times(folder))
    store = CacheStore(folder.parents[1])
    earlier = EarlierResults(store, request.cache, request.resumed, request.given)
    with locked(folder):
        execution = _Execution(pipeline, run, working_directory, listener, places, weights, fork, earlier)
        if canceller is not None:
            execution.selector.register(canceller.receiver, selectors.EVENT_READ, canceller.raise_error)
        execution.execute()
    return run


def _task_run(folder: Path, step: Step, source: RunSource) -> TaskRun:
    task = TaskId(step.name)
    place = task_folder(folder, step, task)
    artifacts = {name: place / "outputs" / a.key for a in step.outputs for name in a.names}
    return TaskRun(task, place, artifacts, source)


@dataclass(eq=False)
class _Running:
    """A task whose process runs."""

    state: TaskRun
    step: Step
    process: StepProcess
    log: TextIO
    began: float
    parts: KeyParts
    late: bool = False

    @property
    def task(self) -> TaskId:
        return self.state.task

    def close(self) -> None:
        self.process.close()
        with contextlib.suppress(OSError):  # `writing` has reported lines that could not be written
            self.log.close()


class _Execution:
    """The state of one run: the tasks that are ready, those that run, and the results of the others."""

    def __init__(
        self,
        pipeline: Pipeline,
        run: Run,
        directory: Path,
        listener: Listener,
        max_parallel: int,
        weights: Mapping[str, float],
        fork: bool,
        earlier: EarlierResults,
    ) -> None:
        self.pipeline, self.fork, self.earlier = pipeline, fork, earlier
        self.run, self.directory, self.emit, self.max_parallel = run, directory, listener, max_parallel
        self.steps = {TaskId(step.name): step for step in pipeline.steps}
        self.numbers = {task: number for number, task in enumerate(self.steps)}
        upstream = pipeline.graph.upstream
        self.graph = Graph({task: map(TaskId, upstream[task.step]) for task in self.steps})
        self.ready = ReadyQueue(self.graph, weights)
        self.running: dict[TaskId, _Running] = {}
        self.folders = {TaskId(name): folder for name, folder in earlier.given.items()}
        self.results = {task: read_result(folder) for task, folder in self.folders.items()}
        self.folders |= {task: state.folder for task, state in run.known_tasks.items()}
        self.server: ForkServerClient | None = None
        self.attempts: dict[TaskId, int] = {}
        self.first_starts: dict[TaskId, float] = {}
        self.pausing: set[TaskId] = set()
        self.timers = sched.scheduler(time.monotonic)
        self.selector = selectors.DefaultSelector()
        self.environment = common_environment()
        self.began = time.monotonic()
        self.saved = 0.0

    def execute(self) -> None:
        """Run all tasks; whatever fails here, no process is left."""
        try:
            self.save(now=True)
            self.emit(RunStarted(self.run))
            self.timers.enter(TICK_INTERVAL, 0, self.tick)
            while self.ready or self.running or self.pausing:
                while self.can_start:
                    self.start(self.ready.pop())
                if self.running or self.pausing:
                    pause = self.timers.run(blocking=False)  # a timer may make a task ready
                    for key, _ in self.selector.select(0 if self.can_start else pause):
                        key.data()
            failed = any(task.state == "failed" for task in self.run.known_tasks.values())
            self.end("failed" if failed else "succeeded")
        except BaseException:  # an interrupt too leaves no process
            try:
                self.stop()
            finally:
                self.end("cancelled")
            raise
        finally:
            self.selector.close()
            if self.server is not None:
                release_server(self.server)
        self.emit(RunEnded(self.run.state, self.run.seconds or 0.0))

    @property
    def can_start(self) -> bool:
        """Whether another task can start now."""
        return bool(self.ready) and len(self.running) < self.max_parallel

    def serve(self) -> ForkServerClient:
        """Return the fork server; a run that finds everything in the cache needs none."""
        if self.server is None:
            self.server = acquire_server(self.pipeline, self.environment, self.fork)
            self.selector.register(self.server.socket, selectors.EVENT_READ, self.receive_ends)
        return self.server

    def tick(self) -> None:
        """Report that time passes."""
        self.emit(Ticked())
        self.timers.enter(TICK_INTERVAL, 0, self.tick)

    def save(self, now: bool = False) -> None:
        """Update `run.json`, at most every `SAVE_INTERVAL` seconds unless it must be now."""
        if now or time.monotonic() - self.saved > SAVE_INTERVAL:
            with writing(self.run.folder):
                write_json(self.run.folder / "run.json", record(self.run))
            self.saved = time.monotonic()

    def end(self, state: RunState) -> None:
        """Set and save the run's final state."""
        self.run.state = state
        self.run.ended = datetime.now(timezone.utc)
        self.run.seconds = time.monotonic() - self.began
        self.save(now=True)

    def start(self, task: TaskId) -> None:
        """Start a task, unless the results of an earlier run replace it."""
        step = self.steps[task]
        inputs = {i.key: self.results[TaskId(i.step)].metadata[i.output.key] for i in step.inputs}
        digests = {key: str(metadata["sha256"]) for key, metadata in inputs.items()}
        environment = step_environment(step, self.environment)
        parts = key_parts(step, self.run.parameters, digests, self.directory, environment)
        found = self.earlier.find(step, parts) if task not in self.attempts else None
        if found is None or not self.reuse(task, found):
            self.launch(task, parts, environment)

    def reuse(self, task: TaskId, found: Path) -> bool:
        """Reuse the results of an earlier run; return whether they still exist."""
        began = time.monotonic()
        state = self.run.known_tasks[task]
        try:
            self.earlier.store.reuse(found, state.folder)
            result = self.results[task] = read_result(state.folder)
        except (OSError, ValueError, KeyError):
            clear_attempt(state.folder)
            (state.folder / LOG).unlink(missing_ok=True)  # it may be a link to the log of an earlier run
            return False
        for line in state.log.split("\n")[:-1]:
            self.emit(LinePrinted(task, "stdout", line))
        state.cached, state.metrics = True, dict(result.metrics)
        self.settle(state, time.monotonic() - began)
        return True

    def launch(self, task: TaskId, parts: KeyParts, environment: Mapping[str, str]) -> None:
        """Start a task's process and read its output."""
        state, step = self.run.known_tasks[task], self.steps[task]
        again = self.attempts.setdefault(task, 0) > 0
        arguments = state.folder / "arguments.json"
        with writing(self.run.folder):
            sources = {i.key: TaskId(i.step) for i in step.inputs}
            inputs = {key: (self.folders[t], self.results[t]) for key, t in sources.items()}
            paths = named_paths(step, self.run.parameters, self.directory)
            write_json(arguments, task_arguments(step, state.folder, self.run.parameters, inputs, paths))
            log = open_log(state.folder / LOG, again)
        process = StepProcess()
        first = self.first_starts.setdefault(task, time.monotonic())
        running = self.running[task] = _Running(state, step, process, log, first, parts)
        for stream, reader in process.streams.items():
            read = partial(self.read_output, running, stream, reader)
            self.selector.register(reader.fd, selectors.EVENT_READ, read)
        busy = min(self.max_parallel, len(self.running) + len(self.ready))
        threads = None if busy == 1 else max(1, available_cores() // busy)
        number = self.numbers[task]
        self.serve().start(number, arguments, self.directory, environment, threads, process.writers)
        process.release_writers()
        if step.attempts.timeout is not None:
            self.timers.enter(step.attempts.timeout, 0, partial(self.end_late, running))
        if not again:
            state.state = "running"
            self.save()
            self.emit(TaskStarted(task))

    def end_late(self, running: _Running) -> None:
        """Kill an attempt that exceeds its timeout, if it still runs."""
        if self.running.get(running.task) is running:
            running.late = True
            self.serve().send_signal(signal.SIGKILL, [self.numbers[running.task]])

    def try_again(self, running: _Running, error: TaskError) -> bool:
        """Schedule another attempt of a task that failed; return whether it has one left."""
        task, allowed = running.task, running.step.attempts
        self.attempts[task] += 1
        if self.attempts[task] > allowed.retries:
            return False
        with writing(self.run.folder):
            clear_attempt(running.state.folder)
        again = retry_text(self.attempts[task], allowed.retries + 1, str(error), allowed.delay)
        self.print(running, "stderr", [again])
        self.pausing.add(task)
        self.timers.enter(allowed.delay, 0, partial(self.make_ready, task))
        return True

    def make_ready(self, task: TaskId) -> None:
        """Make a task ready when the pause before its retry is over."""
        self.pausing.discard(task)
        self.ready.add(task)

    def receive_ends(self) -> None:
        """Read the fork server's messages: tasks have ended, or the server has died and they with it."""
        running = {self.numbers[task]: own for task, own in self.running.items()}
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
            left.process.failure = "the process that starts the steps died"
            self.finish(left)

    def read_output(self, running: _Running, stream: Stream, reader: LineReader) -> None:
        """Read and report what a task has printed."""
        if not reader.at_end:
            self.print(running, stream, reader.read())
            if reader.at_end:
                self.selector.unregister(reader.fd)

    def print(self, running: _Running, stream: Stream, lines: list[str]) -> None:
        """Log lines of a task and report them."""
        if lines:
            with writing(self.run.folder):
                running.log.writelines(f"{line}\n" for line in lines)
                running.log.flush()
        for line in lines:
            self.emit(LinePrinted(running.task, stream, line))

    def finish(self, running: _Running) -> None:
        """Record how a task's process ended: another attempt follows, or its final state."""
        process, state = running.process, running.state
        for stream, reader in process.streams.items():
            if not reader.at_end:
                self.selector.unregister(reader.fd)
                self.print(running, stream, reader.drain())
        result = worker_result(running.step, state.folder, process)
        if running.late:
            result = StepResult(TaskError("Timeout", timeout_text(running.step.attempts.timeout or 0.0)))
        self.results[running.task] = result
        if result.error:
            with writing(self.run.folder):
                running.log.write(result.error.traceback or f"{result.error}\n")
        del self.running[running.task]
        again = result.error is not None and self.try_again(running, result.error)
        running.close()
        if again:
            return
        state.error, state.metrics = result.error, dict(result.metrics)
        seconds = time.monotonic() - running.began
        if not result.error:
            # Without an entry the step runs again the next time.
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                known = running.parts, result.metadata
                entry = new_entry(running.step, state.folder, self.run.id, seconds, *known)
                self.earlier.store.add(state.folder, entry)
        self.settle(state, seconds)

    def settle(self, state: TaskRun, seconds: float) -> None:
        """Report that a task ended, and which tasks are skipped because of it."""
        state.seconds = seconds
        state.state = "failed" if state.error else "succeeded"
        skipped: list[TaskId] = []
        if state.error:
            skipped = self.skip_downstream(state)
        else:
            self.ready.release(state.task)
        self.save()
        self.emit(TaskEnded(state.task, state.state, seconds, state.cached))
        for task in skipped:
            self.emit(TaskEnded(task, "skipped", None))

    def skip_downstream(self, failed: TaskRun) -> list[TaskId]:
        """Skip all tasks that depend on one that failed, and return them."""
        states = self.run.known_tasks
        skipped = [task for task in self.graph.descendants(failed.task) if states[task].state == "waiting"]
        for task in skipped:
            states[task].state, states[task].cause = "skipped", SkipCause("failure", failed.name)
        return skipped

    def stop(self) -> None:
        """End every process, first by SIGTERM, then by SIGKILL; tasks that have not ended are cancelled."""
        server, left = self.server, {self.numbers[task] for task in self.running}
        try:
            if server is not None:
                server.send_signal(signal.SIGTERM, left)
                deadline = time.monotonic() + MAX_TERMINATION
                while left and server.alive and (rest := deadline - time.monotonic()) > 0:
                    if select.select([server.socket], [], [], rest)[0]:
                        left -= {message["ended"] for message in server.read_ended()}
        finally:
            if left and server is not None:
                server.close()
            for running in self.running.values():
                running.state.seconds = time.monotonic() - running.began
                running.close()
            for state in self.run.known_tasks.values():
                if state.state in ("running", "waiting"):
                    state.state = "cancelled"
