"""Executes runs in processes of their own, or by a script, and keeps their nodes up to date."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.kfp_server.nodes import Node
from tests.kfp_server.objects import root_of
from tests.kfp_server.pod_states import USUAL
from tests.kfp_server.script import Player, Script
from tests.kfp_server.store import FINAL, Run, Store
from tests.kfp_tasks import python
from tests.notebooks import ENVIRONMENT

LOGS = "executor-logs"
"""KFP's name of the artifact that has what the process of a step printed."""

CHILD = Path(__file__).with_name("child.py")

PENDING, START, END = "pending", "start", "end"
"""Where a task can be held: its pod isn't there yet; it is, and does nothing; it has printed everything."""


class Execution:
    """Runs pipelines with kfp.local.

    The tasks of a run run one after the other; with kfp.local, none after one that failed: on a real
    cluster those that don't need it would run. The tasks of a loop are pods of the same name, and so are
    their retries. A parameter that is None by default cannot be left out, as kfp.local cannot do without it.
    Where nodes are wrapped a task that fails is not tried again, as Argo's policy there is OnError.

    Args:
        store: Where the runs are.
        folder: For all that they write.
        parallel: How many run at the same time; the others are pending.
        script: What comes of tasks if nothing is to be executed.

    Attributes:
        holds: The tasks that are held, and where.
        cached: The tasks that are told to be from the cache though they ran.
        cache: Whether kfp.local's cache is used, which knows a task by its command and inputs.
    """

    def __init__(self, store: Store, folder: Path, parallel: int, script: Script | None) -> None:
        self.store = store
        self.folder = folder
        self.parallel = parallel
        self.script = script
        self.holds: set[tuple[str, str]] = set()
        self.cached: set[str] = set()
        self.cache = False
        self.is_closed = False
        self._running = 0
        self._threads: list[threading.Thread] = []

    def begin(self, run: Run) -> None:
        """Run a pipeline as soon as there is a place."""
        thread = threading.Thread(target=self._run, args=(run,), name=run.workflow.name)
        self._threads.append(thread)
        thread.start()

    def cancel(self, run: Run) -> None:
        """End a run: it is CANCELING, then FAILED, as is what it was doing.

        That a run which waits for its place ends in the same way is an assumption.
        """
        run.become("CANCELING")
        self._kill(run)
        self.store.changed.notify_all()

    def close(self) -> None:
        """End all processes."""
        with self.store.changed:
            self.is_closed = True
            for run in self.store.runs.values():
                self._kill(run)
            self.store.changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _kill(self, run: Run) -> None:
        """End the processes of a run, if it has any."""
        if run.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.process.pid, signal.SIGKILL)

    def _is_over(self, run: Run) -> bool:
        """Whether a run is to end before its pipeline does."""
        return self.is_closed or run.state == "CANCELING"

    def _has_place(self) -> bool:
        """Whether one more run may run."""
        return self._running < self.parallel

    def _run(self, run: Run) -> None:
        """A run from its place in the queue to its end."""
        with self.store.changed:
            self.store.changed.wait_for(lambda: self._is_over(run) or self._has_place())
            runs = not self._is_over(run)
            self._running += runs
            if runs:
                run.process = self._start(run) if self.script is None else None
                run.become("RUNNING")
                run.workflow.start()
                self.store.changed.notify_all()
        error = self._listen(run) if runs else ""
        with self.store.changed:
            self._running -= runs
            self._finish(run, error)
            self.store.changed.notify_all()

    def _start(self, run: Run) -> subprocess.Popen[str]:
        """Start the process of a run, in a folder of its own."""
        place = self.folder / run.place
        for name in ("work", "workspace"):
            (place / name).mkdir(parents=True, exist_ok=True)
        document = run.document.without_retries() if run.workflow.is_wrapped else run.document
        (place / "pipeline.yaml").write_text(document.text, encoding="utf-8")
        job = {
            "pipeline": str(place / "pipeline.yaml"),
            "arguments": run.arguments,
            "root": str(root_of(self.folder, run.place)),
            "workspace": str(place / "workspace"),
            "cache": str(self.folder / "cache") if self.cache else None,
            "python": python(),
        }
        with open(place / "kfp.txt", "a", encoding="utf-8") as printed:
            process = subprocess.Popen(
                [sys.executable, "-I", str(CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
                text=True,
                cwd=place / "work",
                env={**os.environ, **ENVIRONMENT},
                start_new_session=True,
            )
        send(process, json.dumps(job))
        return process

    def _listen(self, run: Run) -> str:
        """Follow a run until it ends; how it failed, if it did."""
        error = "the process of the run has died"
        for event in self._events(run):
            with self.store.changed:
                if event["event"] == "end":
                    error = event["error"]
                elif run.process is not None or not self._is_over(run):
                    self._hear(run, event)
                self.store.changed.notify_all()
        return error

    def _events(self, run: Run) -> Iterator[dict[str, Any]]:
        """What the process of a run tells, or its script."""
        if run.process is None:
            root, retries = root_of(self.folder, run.place), not run.workflow.is_wrapped
            yield from Player(run.document.needs, self.script, root, self.cached, retries).events()
            return
        with run.process:
            for line in run.process.stdout:
                if not line.endswith("\n"):
                    break  # it was killed in the middle of a word
                yield json.loads(line)

    def _hear(self, run: Run, event: dict[str, Any]) -> None:
        """Take in what the process of a run tells."""
        task, workflow = event["task"], run.workflow
        if event["event"] == "task":
            workflow.start_task(task, run.document.needs.get(task, []))
        elif event["event"] == "ready":
            self._start_pod(run, task, event)
        elif event["event"] == "stuck":
            self.store.changed.notify_all()
            self.store.changed.wait_for(lambda: self._is_over(run))
        elif event["event"] == "log":
            workflow.pod(task).log.append(event["text"])
        elif event["event"] == "exit":
            self._wait(run, task, END)
            if not self._is_over(run):
                workflow.pod(task).become("FAILED" if event["code"] else "SUCCEEDED")
            answer(run)
        elif event["event"] == "done" and not self._is_over(run):
            self._end_task(run, task, event)

    def _start_pod(self, run: Run, task: str, event: dict[str, Any]) -> None:
        """The pod of a task is made, and starts unless its script says that it cannot."""
        document = run.document
        pod = run.workflow.start_pod(task, document.template(task), document.is_retried(task))
        pod.pod_state = event.get("pod", USUAL)
        if pod.pod_state.starts:
            self._wait(run, task, PENDING)
            pod.become("RUNNING")
            self._wait(run, task, START)
        answer(run)

    def _end_task(self, run: Run, task: str, event: dict[str, Any]) -> None:
        """A task has ended; one that KFP's cache knows has no pod, and the artifacts of an earlier run."""
        workflow, pod = run.workflow, run.workflow.pod(task)
        outputs = {name: Path(uri) for name, uri in event["outputs"].items()}
        if pod is not None and pod.pod:
            outputs[LOGS] = self._keep_log(run, task, pod)
        if event["ok"] and (event["cached"] or task in self.cached):
            workflow.skip_pod(task)
            earlier = self._earlier(run, task)
            if self.script is not None and earlier:
                outputs = earlier
            elif LOGS in earlier:  # kfp.local itself has the other artifacts
                outputs.setdefault(LOGS, earlier[LOGS])
        workflow.pod(task).outputs = outputs
        state = "SUCCEEDED" if event["ok"] else "FAILED"
        workflow.end_task(task, state, run.document.may_be_cached(task))

    def _keep_log(self, run: Run, task: str, pod: Node) -> Path:
        """Write what a pod printed as the artifact that KFP's launcher makes of it; here, all of it."""
        file = root_of(self.folder, run.place) / task / f"{LOGS}-0"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(pod.log), encoding="utf-8")
        return file

    def _earlier(self, run: Run, task: str) -> dict[str, Path]:
        """The artifacts of a task in the last run of the same pipeline that has them."""
        for other in reversed(self.store.runs.values()):
            pod = other.workflow.pod(task)
            if other is not run and other.document.name == run.document.name and pod and pod.outputs:
                return pod.outputs
        return {}

    def _wait(self, run: Run, task: str, where: str) -> None:
        """Wait while a task is held."""
        self.store.changed.notify_all()
        self.store.changed.wait_for(lambda: (task, where) not in self.holds or self._is_over(run))

    def _finish(self, run: Run, error: str) -> None:
        """A run's end; that of a cancelled run is a failure, which only its history tells from others."""
        run.process = None
        if self._is_over(run) or error or run.workflow.has_failed:
            run.workflow.finish("FAILED")
            run.workflow.omit(run.document.needs)
            run.become("FAILED", error)
        elif run.state not in FINAL:
            run.workflow.finish("SUCCEEDED")
            run.become("SUCCEEDED")


def answer(run: Run) -> None:
    """Let the process of a run go on, if it has one."""
    if run.process is not None:
        send(run.process, "")


def send(process: subprocess.Popen[str], text: str) -> None:
    """Say something to the process of a run, which may have been killed."""
    with contextlib.suppress(BrokenPipeError):
        os.write(process.stdin.fileno(), f"{text}\n".encode())
