"""A run on a server: its state is requested, and its logs and values are downloaded when they are read.

remote/<run id>/run.json          the server and the name of the run, to attach it in another session
                <step key>/log.txt, <artifact key>
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kale_magics.checking.conclusion import check_against_notebook, raise_failures
from kale_magics.execution.folder_source import FolderSource
from kale_magics.execution.request import RunRequest
from kale_magics.execution.run import Run, SkipCause, StillRunningError, TaskError, TaskRun
from kale_magics.execution.run_store import LOG, task_folder, write_bytes, writing
from kale_magics.execution.signing import is_signed_by_user, is_signed_file, sign, signature_file
from kale_magics.kubeflow.client import (
    MAX_RETRY,
    MAX_RETRY_FOLLOWING,
    TIMEOUTS,
    KfpClient,
    interrupt_message,
)
from kale_magics.kubeflow.earlier_results import StepRecord, equal_records, read_record, write_record
from kale_magics.kubeflow.pipeline_spec import RemotePipeline
from kale_magics.kubeflow.pod_log import split_log
from kale_magics.kubeflow.pod_requests import PodRequests
from kale_magics.kubeflow.pod_status import (
    PodProblem,
    driver_problem,
    failure_problem,
    memory_limit,
    waiting_problem,
)
from kale_magics.kubeflow.server_states import (
    ENDED_TASK,
    duration,
    ended_run_state,
    happened,
    in_utc,
    state_after_end,
    task_state,
)
from kale_magics.kubeflow.termination import terminate
from kale_magics.kubeflow.workflow_nodes import WorkflowNodes, artifact_path
from kale_magics.model.diagnostics import Code, kale_error
from kale_magics.model.options import StepOptions
from kale_magics.model.pipeline import Json
from kale_magics.model.task_id import TaskId
from kale_magics.step_runtime.artifacts import MAGIC
from kale_magics.step_runtime.attempts import MEMORY_FIX
from kale_magics.step_runtime.pod import BEGINS, ON_VOLUME

PAUSE = 1.0
"""Seconds between two requests for the state of a run."""

DIED, UNKNOWN_ERROR = "StepDied", "its pod failed, and the step reported no error"
"""The error of a step whose pod failed, until its cause is found."""

STORED_LOG = "executor-logs"
"""KFP's name of the artifact with the log of a step's program."""

NO_PAGE = (
    "only the server of Kubeflow's page knows why: name its address with --host (it passes the API on), or"
    " look at the pod with kubectl describe"
)


@dataclass
class PodFacts:
    """The pod of a task.

    Attributes:
        names: The names that the pod may have.
        drivers: The names that the pod of the task's driver may have.
        complete: Whether its whole log has been downloaded.
        places: The paths of its artifacts in the cluster's store, by key, as the step reported them.
        fingerprints: The fingerprints of its variables after its cells ran, as the step reported them.
        has_failed: Whether the step reported an error.
        earlier: The folder of the equal step of an earlier run, if the result is that one's.
    """

    names: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()
    complete: bool = False
    places: dict[str, str] = field(default_factory=dict)
    fingerprints: dict[str, Any] = field(default_factory=dict)
    has_failed: bool = False
    earlier: Path | None = None


class ServerSource:
    """The source of a run on a server.

    Args:
        server: The server.
        remote: The run's pipeline on the server.
        folder: The folder for downloaded files.
        request: The request that started the run; None for a run that was attached.

    Attributes:
        server: As above.
        remote: As above.
        request: As above.
        mine: Whether this user started the run from this folder.
        followed: Whether a follower requests the state regularly, so that `update` need not.
        requests: Asks for logs, events and files.
        pods: The pods of the tasks.
    """

    def __init__(
        self, server: KfpClient, remote: RemotePipeline, folder: Path, request: RunRequest | None = None
    ) -> None:
        self.server, self.remote, self.folder, self.request = server, remote, folder, request
        self.run_id = folder.name
        self.mine = _is_own(folder / "run.json")
        self.followed = False
        self.requests = PodRequests(server, folder.name)
        self.pods = {TaskId(step.name): PodFacts() for step in remote.pipeline.steps}
        self._requested = float("-inf")
        self._created: datetime | None = None
        self._addresses: dict[str, dict[str, str]] = {}

    def make_run(self, name: str, parameters: Mapping[str, Json]) -> Run:
        """Return a handle of the run.

        Args:
            name: The run's name.
            parameters: The values of its parameters.
        """
        tasks = []
        for step in self.remote.pipeline.steps:
            task = TaskId(step.name)
            folder = task_folder(self.folder, step, task)
            artifacts = {name: folder / a.key for a in step.outputs for name in a.names}
            tasks.append(TaskRun(task, folder, artifacts, self))
        link = f"{self.server.page}/#/runs/details/{self.run_id}"
        run = Run(name, self.folder, parameters, tasks, self, link)
        run.trusted = self.mine
        return run

    @property
    def again(self) -> str:
        """The line that attaches the run again."""
        return f"%kale_attach {self.run_id}{self.server.host_option}"

    def keep(self, run: Run) -> None:
        """Store the server of the run, and sign that this user started it.

        Raises:
            KaleError: The folder cannot be written.
        """
        about = {"id": run.id, "name": run.name, "host": self.server.address, "link": run.link}
        signature = sign(json.dumps(about, sort_keys=True))
        self._write(self.folder / "run.json", json.dumps({**about, "signature": signature}).encode())
        self.mine = run.trusted = True

    def update(self, run: Run, results: bool = False) -> None:
        """Request the state, unless it was requested a moment ago or the run has ended."""
        recent = time.monotonic() - self._requested <= PAUSE
        if run.known_state == "running" and not self.followed and not recent:
            self.refresh(run)
        if results:
            for task in run.known_tasks.values():
                if task.state in ENDED_TASK.values():
                    self.fetch_log(task)

    def refresh(self, run: Run, patience: float = MAX_RETRY) -> None:
        """Request the state of the run."""
        answer = self.server.read(
            lambda client: client.runs.run_service_get_run(self.run_id, _request_timeout=TIMEOUTS),
            f"requesting the state of run {self.run_id}",
            patience,
        )
        self.take(run, answer)

    def take(self, run: Run, answer: Any) -> None:
        """Update a run from the server's description of it."""
        self._requested = time.monotonic()
        details = answer.run_details.task_details if answer.run_details else None
        nodes, ended = WorkflowNodes(details or ()), ended_run_state(answer)
        for task, state in run.known_tasks.items():
            remote = self.remote.tasks[task.step]
            detail = nodes.task(remote)
            if detail is not None:
                state.cached = nodes.is_cached(remote)
                self.pods[task].names = () if state.cached else nodes.pods(remote)
                self.pods[task].drivers = nodes.drivers(remote)
                self._update_task(state, detail, answer)
            elif ended and state.state in ("running", "waiting"):
                state.state = state_after_end(ended, state.state)
        self._find_causes(run)
        if answer.created_at:
            self._created = run.started = in_utc(answer.created_at)
        if ended:
            run.state = ended
            run.ended = in_utc(answer.finished_at) if happened(answer.finished_at) else None
            run.seconds = (run.ended - run.started).total_seconds() if run.ended else None

    def _update_task(self, state: TaskRun, detail: Any, answer: Any) -> None:
        """Update a task from the server's description of its node."""
        state.state = task_state(detail, answer)
        # The failure of another step may have ended the run before the server saw this one's.
        if state.state == "cancelled" and self.pods[state.task].has_failed:
            state.state = "failed"
        if state.state in ENDED_TASK.values():
            state.seconds = None if state.cached else duration(detail)
        if state.state == "failed" and state.error is None:
            state.error = TaskError(DIED, UNKNOWN_ERROR)

    def _find_causes(self, run: Run) -> None:
        """Find the failures because of which tasks were skipped."""
        graph = self.remote.pipeline.graph
        for state in run.known_tasks.values():
            if state.state == "failed":
                for name in graph.descendants(state.name):
                    below = run.known_tasks[TaskId(name)]
                    if below.state == "skipped" and below.cause is None:
                        below.cause = SkipCause("failure", state.name)

    def complete(self, run: Run) -> None:
        """Request the state once more, if some times were not known when the run ended."""
        ended = (task for task in run.known_tasks.values() if task.state in ("succeeded", "failed"))
        if any(task.seconds is None and not task.cached for task in ended):
            time.sleep(PAUSE)
            self.refresh(run)

    def wait(self, run: Run, timeout: float | None) -> None:
        """Wait for the end of the run; an interrupt ends only the waiting. See `Run.wait`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with interrupt_message(lambda: f"the run goes on; to follow it again: {self.again}"):
            while True:
                left = MAX_RETRY_FOLLOWING if deadline is None else max(0.0, deadline - time.monotonic())
                self.refresh(run, min(MAX_RETRY_FOLLOWING, left))
                if run.known_state != "running":
                    break
                if deadline is not None and time.monotonic() > deadline:
                    raise StillRunningError(run.id, timeout)
                time.sleep(PAUSE)
            self.complete(run)
        if self.request is not None:
            check_against_notebook(run, self.request)
        raise_failures(run, self.request is not None and self.request.strict)

    def cancel(self, run: Run) -> None:
        """Request the end of the run; without effect on a run that has ended."""
        terminate(self.server, run.id)

    def log(self, task: TaskRun) -> str:
        """Download and return all that a task has printed so far."""
        self.fetch_log(task)
        return self.kept_log(task)

    def kept_log(self, task: TaskRun) -> str:
        """Return the downloaded part of a task's log."""
        return FolderSource().log(task)

    def fingerprints(self, task: TaskRun) -> Mapping[str, Any]:
        """Return the fingerprints of a task's variables, from the end of its log."""
        self.fetch_log(task)
        return self.pods[task.task].fingerprints

    def fetch_log(self, task: TaskRun, patience: float = MAX_RETRY) -> None:
        """Download the log of a task, as far as it exists, with the result at its end."""
        pod = self.pods[task.task]
        if pod.complete:
            return
        over = task.state in ENDED_TASK.values()
        text = self.requests.log(pod.names, f"downloading the log of step {task.name}", patience)
        if text is None and task.state == "succeeded":
            text = self._stored_log(task)
        # A pod first installs packages; that output is shown only if the step never begins.
        log = (text or b"").decode("utf-8", "replace")
        begun = over or BEGINS in log or self.kept_log(task)
        body, result = split_log(log) if begun else ("", None)
        if result is not None and result["step"] not in (None, task.name):
            return  # the log of another pod: the guessed name was wrong
        if result is None and over and self._take_record(task):
            return
        if text is None:
            if over:
                self._explain(task, "")
            return
        self._write(task.folder / LOG, body.encode("utf-8", "replace"))
        pod.complete = over and result is not None
        if result is not None:
            self._take_result(task, result)
            if pod.complete and task.state == "succeeded":
                self._write_record(task, body, result)
        elif over:
            self._explain(task, log)

    def _take_result(self, task: TaskRun, result: Mapping[str, Any]) -> None:
        """Update a task from the result that it reported."""
        pod = self.pods[task.task]
        task.metrics = result["metrics"]
        stored = self._addresses.get(self.remote.tasks[task.name].key, {})
        pod.places = {**result["artifacts"], **stored}
        pod.fingerprints = result["fingerprints"]
        task.error = self._error(task, result["error"]) or task.error
        pod.has_failed = bool(result["error"])
        if pod.has_failed and task.state == "cancelled":
            task.state = "failed"

    def _write_record(self, task: TaskRun, log: str, result: Mapping[str, Any]) -> None:
        content = self.remote.tasks[task.name].content
        if content and not task.cached and self._created is not None:
            created = self._created.isoformat()
            with writing(self.folder):
                write_record(StepRecord(self._server_name, content, created, result, log, task.folder))

    def _take_record(self, task: TaskRun) -> bool:
        """Take the result of a task from its own record or, if it is cached, from that of an equal one."""
        record = read_record(task.folder)
        if record is None and task.cached and self._created is not None:
            content = self.remote.tasks[task.name].content
            records = equal_records(task.folder, self._server_name, content, self._created)
            record = next((r for r in records if self.requests.has_run(r.folder.parent.name)), None)
        if record is None:
            return False
        pod = self.pods[task.task]
        if record.folder != task.folder:
            pod.earlier = record.folder
            self._write(task.folder / LOG, record.log.encode("utf-8", "replace"))
        pod.complete = True
        self._take_result(task, record.result)
        return True

    @property
    def _server_name(self) -> str:
        return f"{self.server.address} {self.server.namespace_argument.get('namespace', '')}".rstrip()

    def _stored_log(self, task: TaskRun) -> bytes | None:
        """Return the log that KFP has stored as an artifact, also of a cached step; None without one."""
        key, action = self.remote.tasks[task.name].key, f"looking up the artifacts of step {task.name}"
        if STORED_LOG not in self._addresses.get(key, {}):
            self._addresses |= self.requests.addresses(action)
        place = artifact_path(self._addresses.get(key, {}).get(STORED_LOG, ""))
        found = self.requests.file(place, action) if place else None
        return found if found is not None and BEGINS.encode() in found else None

    def _explain(self, task: TaskRun, log: str) -> None:
        """Replace the error of a task that died without a word by its cause, if that can be found."""
        if task.state != "failed" or task.error is None or task.error.message != UNKNOWN_ERROR:
            return
        pod, action = self.pods[task.task], f"looking up the pod of step {task.name}"
        if pod.names:
            _, state = self.requests.state(pod.names, action)
            problem = failure_problem(state, log, self.options(task))
        else:
            problem = driver_problem(self.requests.log(pod.drivers, action))
        if problem is None and not self.requests.has_page:
            problem = PodProblem(UNKNOWN_ERROR, NO_PAGE)
        if problem is not None:
            task.error = TaskError(DIED, problem.message, fix=problem.fix)

    def explain_wait(self, task: TaskRun) -> None:
        """Find out why the pod of a task does not start, if it does not."""
        pod, action = self.pods[task.task], f"looking up the pod of step {task.name}"
        name, state = self.requests.state(pod.names, action) if pod.names else ("", {})
        events = self.requests.events(name, action) if name else []
        problem = waiting_problem(state, events, self.options(task)) if name else None
        task.waits_for = problem.message if problem else ""

    def options(self, task: TaskRun) -> StepOptions:
        """Return the options of a task's step, as far as they are known."""
        pipeline = self.request.pipeline if self.request else self.remote.pipeline
        return next((step.options for step in pipeline.steps if step.name == task.name), StepOptions())

    def _error(self, task: TaskRun, reported: Mapping[str, Any] | None) -> TaskError | None:
        """Return the error of a task, with the number that its cell has in this session, if known."""
        if not reported:
            return None
        codes = (code for step in self.remote.pipeline.steps for code in (*step.setup, *step.cells))
        labels = {code.place: code.label for code in codes}
        place = str(reported.get("cell", ""))
        # Another version may have written more fields.
        fields = {name: reported[name] for name in vars(TaskError("", "")) if name in reported}
        label = labels.get(place) or place.removeprefix(f"step {task.name}, ")
        if fields.get("fix") == MEMORY_FIX:  # the step does not know its pod's limit
            fields["message"] += memory_limit(self.options(task))
        return TaskError(**{**fields, "cell": label})

    def artifact(self, run: Run, task: TaskRun, variable: str) -> Path:
        """Download the file of a variable, unless a signed copy is stored.

        Raises:
            KaleError: The server does not return it, kale_magics did not write it, or its author is not
                trusted.
        """
        path, what = task.artifacts[variable], f"{variable} of step {task.name}"
        fix = f"download it from Kubeflow's page: {run.link}"
        # Another tool may have written that pipeline.
        if not (path.name.isascii() and path.name.isidentifier()):
            raise kale_error(Code.NO_SUCH_RUN, f"{what} has a key that kale_magics does not use", fix)
        if run.trusted and is_signed_file(path):
            return path
        if not run.trusted:
            message = f"{what} comes from a run that was not started here; loading it can execute code"
            raise kale_error(
                Code.NO_SUCH_RUN, message, f"pass --trust if you trust its author: {self.again} --trust"
            )
        content = self._read_artifact(run, task, path.name, what)
        if content.startswith(ON_VOLUME.encode()):
            message = f"{what} was on the run's shared volume, which is deleted"
            raise kale_error(Code.NO_SUCH_RUN, message, "run the step without --workspace to store it")
        if not content.startswith(MAGIC):
            message = f"{what} was not written by kale_magics, and is not loaded"
            raise kale_error(Code.NO_SUCH_RUN, message, fix)
        self._write(path, content)
        self._write(signature_file(path), sign(hashlib.sha256(content).hexdigest()).encode())
        return path

    def _read_artifact(self, run: Run, task: TaskRun, key: str, what: str) -> bytes:
        answer = self.requests.artifact(self.pods[task.task].names, key, f"downloading {what}")
        if answer is not None:
            return answer
        # That path has only Argo's own artifacts; KFP's web page also returns those of KFP.
        self.fetch_log(task)
        place = artifact_path(self.pods[task.task].places.get(key, ""))
        content = self.requests.file(place, f"downloading {what}") if place else None
        earlier = self.pods[task.task].earlier
        if content is None and earlier is not None and is_signed_file(earlier / key):
            content = (earlier / key).read_bytes()
        if content is None:
            fix = f"download it from Kubeflow's page: {run.link}"
            raise kale_error(Code.NO_SUCH_RUN, f"the server does not return {what}", fix)
        return content

    def _write(self, path: Path, content: bytes) -> None:
        with writing(self.folder):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_bytes(path, content)


def _is_own(place: Path) -> bool:
    """Whether the file of a run is signed by this user."""
    try:
        about = json.loads(place.read_text(encoding="utf-8"))
        signature = about.pop("signature")
        return is_signed_by_user(json.dumps(about, sort_keys=True), signature)
    except (OSError, ValueError, AttributeError, LookupError, TypeError, RecursionError):
        return False
