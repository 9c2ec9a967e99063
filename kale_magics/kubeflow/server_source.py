"""A run on a server: its state is requested, and its logs and values are downloaded when they are read.

remote/<run id>/run.json          the server and the name of the run: they attach it in another session
                <step key>/log.txt, <artifact key>
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kale_magics.checking.conclusion import check_against_notebook, raise_failures
from kale_magics.execution.file_digests import file_digest
from kale_magics.execution.request import RunRequest
from kale_magics.execution.run import Run, RunState, SkipCause, TaskError, TaskRun, TaskState
from kale_magics.execution.run_store import LOG, task_folder, write_bytes, writing
from kale_magics.execution.signing import is_signed_by_user, sign
from kale_magics.kubeflow.client import (
    MAX_RETRY,
    MAX_RETRY_FOLLOWING,
    TIMEOUTS,
    KfpClient,
    interrupt_message,
)
from kale_magics.kubeflow.pipeline_spec import RemotePipeline
from kale_magics.kubeflow.pod_log import split_log
from kale_magics.kubeflow.workflow_nodes import artifact_path, pods_of_task
from kale_magics.model.diagnostics import Code, KaleError, refuse
from kale_magics.model.pipeline import Json
from kale_magics.model.task_id import TaskId
from kale_magics.step_runtime.artifacts import MAGIC
from kale_magics.step_runtime.pod import BEGINS, ON_VOLUME

ENDED: Mapping[str, RunState] = {"SUCCEEDED": "succeeded", "FAILED": "failed", "CANCELED": "cancelled"}
"""KFP's final states, and ours."""

ENDED_TASK: Mapping[str, TaskState] = {**ENDED, "SKIPPED": "skipped"}

ENDING = ("CANCELING", "CANCELED")
"""KFP's states of a run that was cancelled."""

PAUSE = 1.0
"""Seconds between two requests for the state of a run."""

LOGS = (
    "/apis/v1alpha1/runs/{run}/nodes/{node}/log",
    "/k8s/pod/logs?podname={node}&runid={run}",
)
"""Where the log of a pod is: at KFP's API server, and at the server of its page, which may be before it."""


@dataclass
class PodFacts:
    """What is known of the pod of a task.

    Attributes:
        names: The names that the pod may have.
        complete: Whether all of its log has been fetched.
        places: Where its artifacts are in the cluster's store, by key, as the step reported.
        fingerprints: Those of its variables after its cells ran, as the step reported.
    """

    names: tuple[str, ...] = ()
    complete: bool = False
    places: dict[str, str] = field(default_factory=dict)
    fingerprints: dict[str, Any] = field(default_factory=dict)


class ServerSource:
    """The source of a run on a server.

    Args:
        server: The server.
        remote: The run's pipeline there.
        folder: Where what is fetched is kept.
        request: The request that started the run; None for a run that was attached.

    Attributes:
        server: As above.
        remote: As above.
        request: As above.
        mine: Whether this user started the run from this folder.
        followed: Whether a follower requests the state regularly, so that `update` need not.
        pods: The pods of the tasks.
    """

    def __init__(
        self, server: KfpClient, remote: RemotePipeline, folder: Path, request: RunRequest | None = None
    ) -> None:
        self.server, self.remote, self.folder, self.request = server, remote, folder, request
        self.run_id = folder.name
        self.mine = _is_own(folder / "run.json")
        self.followed = False
        self.pods = {TaskId(step.name): PodFacts() for step in remote.pipeline.steps}
        self._asked = float("-inf")

    def make_run(self, name: str, parameters: Mapping[str, Json]) -> Run:
        """Make the handle of the run.

        Args:
            name: The run's.
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
        """Write down where the run is; from then on it is known as this user's.

        Raises:
            KaleError: The folder cannot be written.
        """
        about = {"id": run.id, "name": run.name, "host": self.server.address, "link": run.link}
        signature = sign(json.dumps(about, sort_keys=True))
        self._write(self.folder / "run.json", json.dumps({**about, "signature": signature}).encode())
        self.mine = run.trusted = True

    def update(self, run: Run, results: bool = False) -> None:
        """Ask the server for the state, unless it was asked a moment ago or the run has ended."""
        recent = time.monotonic() - self._asked <= PAUSE
        if run.known_state == "running" and not self.followed and not recent:
            self.refresh(run)
        if results:
            for task in run.known_tasks.values():
                if task.state in ENDED_TASK.values():
                    self.fetch_log(task)

    def refresh(self, run: Run, patience: float = MAX_RETRY) -> None:
        """Ask the server for the state of the run."""
        answer = self.server.read(
            lambda client: client.runs.run_service_get_run(self.run_id, _request_timeout=TIMEOUTS),
            f"requesting the state of run {self.run_id}",
            patience,
        )
        self.take(run, answer)

    def take(self, run: Run, answer: Any) -> None:
        """Update a run from the server's description of it."""
        self._asked = time.monotonic()
        details = answer.run_details.task_details if answer.run_details else None
        nodes = {node.display_name: node for node in details or ()}
        ended = ENDED.get(answer.state or "")
        for task, state in run.known_tasks.items():
            remote = self.remote.tasks[task.step]
            node = nodes.get(remote.key)
            if node is not None:
                _update_task(state, node, answer.state == "CANCELED")
                self.pods[task].names = pods_of_task(node, remote)
            if ended and state.state in ("running", "waiting"):
                state.state = _final_state(ended, state.state)
        self._find_causes(run)
        if answer.created_at:
            run.started = answer.created_at
        if ended:
            run.state = ended
            run.ended = answer.finished_at if _happened(answer.finished_at) else None
            run.seconds = (run.ended - run.started).total_seconds() if run.ended else None

    def _find_causes(self, run: Run) -> None:
        """Find the failures because of which tasks were skipped."""
        graph = self.remote.pipeline.graph
        for state in run.known_tasks.values():
            if state.state == "failed":
                for name in graph.descendants(state.name):
                    below = run.known_tasks[TaskId(name)]
                    if below.state == "skipped" and below.cause is None:
                        below.cause = SkipCause("failure", state.name)

    def wait(self, run: Run, timeout: float | None) -> None:
        """Wait for the end of the run; an interrupt ends only the waiting. See `Run.wait`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with interrupt_message(lambda: f"the run goes on; to look at it again: {self.again}"):
            while True:
                left = MAX_RETRY_FOLLOWING if deadline is None else max(0.0, deadline - time.monotonic())
                self.refresh(run, min(MAX_RETRY_FOLLOWING, left))
                if run.known_state != "running":
                    break
                if deadline is not None and time.monotonic() > deadline:
                    raise TimeoutError(f"run {run.id} is still running after {timeout:g} s")
                time.sleep(PAUSE)
        if self.request is not None:
            check_against_notebook(run, self.request)
        raise_failures(run, self.request is not None and self.request.strict)

    def cancel(self, run: Run) -> None:
        """Ask the server to end the run; nothing happens to a run that has ended."""
        terminate(self.server, run.id)

    def log(self, task: TaskRun) -> str:
        """Fetch and return all that a task printed so far."""
        self.fetch_log(task)
        return self.kept_log(task)

    def kept_log(self, task: TaskRun) -> str:
        """Return what has been fetched of a task's log."""
        try:
            return (task.folder / LOG).read_text(encoding="utf-8", errors="replace")
        except OSError:  # nothing yet
            return ""

    def fingerprints(self, task: TaskRun) -> Mapping[str, Any]:
        """Return the fingerprints of a task's variables; they are at the end of its log."""
        self.fetch_log(task)
        return self.pods[task.task].fingerprints

    def fetch_log(self, task: TaskRun, patience: float = MAX_RETRY) -> None:
        """Fetch the log of a task, as far as it is there, and the result at its end."""
        pod = self.pods[task.task]
        if pod.complete:
            return
        text = self._first(task, LOGS, patience)
        if text is None:
            return
        over = task.state in ENDED_TASK.values()
        # Before the step begins, its pod installs packages: that is shown only if nothing follows.
        log = text.decode("utf-8", "replace")
        body, result = split_log(log) if over or BEGINS in log else ("", None)
        if result is not None and result.get("step", task.name) != task.name:
            return  # a guess at the pod's name was wrong
        self._write(task.folder / LOG, body.encode())
        pod.complete = over and result is not None
        if result is not None:
            task.metrics = result.get("metrics", {})
            pod.places = result.get("artifacts", {})
            pod.fingerprints = json.loads(result.get("fingerprints", "{}"))
            task.error = self._error(task, result.get("error")) or task.error

    def _error(self, task: TaskRun, reported: Mapping[str, Any] | None) -> TaskError | None:
        """The error of a task; its cell gets the number that it has in this session, if it is known here."""
        if not reported:
            return None
        codes = (code for step in self.remote.pipeline.steps for code in (*step.setup, *step.cells))
        labels = {code.place: code.label for code in codes}
        place = str(reported.get("cell", ""))
        # Another version may have written more fields.
        fields = {name: reported[name] for name in vars(TaskError("", "")) if name in reported}
        label = labels.get(place) or place.removeprefix(f"step {task.name}, ")
        return TaskError(**{**fields, "cell": label})

    def _first(self, task: TaskRun, paths: Sequence[str], patience: float = MAX_RETRY) -> bytes | None:
        """The content at the first path that the server has, for the names that the task's pod may have."""
        names = self.pods[task.task].names
        places = (path.format(run=self.run_id, node=quote(name)) for path in paths for name in names)
        found = (
            self.server.download(self._scoped(place), f"downloading from step {task.task}", patience)
            for place in places
        )
        return next((content for content in found if content is not None), None)

    def _scoped(self, place: str) -> str:
        """A path at the server of KFP's page, with the user's namespace, which that server needs."""
        namespace = self.server.namespace_argument.get("namespace", "")
        if not namespace or place.startswith("/apis"):
            return place
        name = "podnamespace" if place.startswith("/k8s") else "namespace"
        return f"{place}{'&' if '?' in place else '?'}{name}={quote(namespace)}"

    def artifact(self, run: Run, task: TaskRun, variable: str) -> Path:
        """Fetch the file of a variable, unless it is here as it was fetched.

        Raises:
            KaleError: The server does not return it, it is not of this project, or its author is not trusted.
        """
        path, what = task.artifacts[variable], f"{variable} of step {task.name}"
        look = f"look at it on Kubeflow's page: {run.link}"
        if not (
            path.name.isascii() and path.name.isidentifier()
        ):  # another tool may have written that pipeline
            raise refuse(Code.NO_SUCH_RUN, f"{what} has a name that is none of this project's", look)
        if run.trusted and _is_as_fetched(path):
            return path
        if not run.trusted:
            message = f"{what} comes from a run that was not started here; loading it can execute code"
            raise refuse(Code.NO_SUCH_RUN, message, f"if you trust its author: {self.again} --trust")
        content = self._read_artifact(run, task, path.name, what)
        if content.startswith(ON_VOLUME.encode()):
            message = f"{what} was passed on over the run's shared volume, which is gone"
            raise refuse(Code.NO_SUCH_RUN, message, "run the step without --workspace to keep it")
        if not content.startswith(MAGIC):
            message = f"{what} was not written by this project, and is not loaded"
            raise refuse(Code.NO_SUCH_RUN, message, look)
        self._write(path, content)
        self._write(_signature_of(path), sign(hashlib.sha256(content).hexdigest()).encode())
        return path

    def _read_artifact(self, run: Run, task: TaskRun, key: str, what: str) -> bytes:
        answer = self._first(task, (f"/apis/v2beta1/runs/{{run}}/nodes/{{node}}/artifacts/{key}:read",))
        if answer is not None:
            return base64.b64decode(json.loads(answer)["data"])
        # Only Argo's own artifacts are found there; KFP's page returns those of KFP too.
        self.fetch_log(task)
        place = artifact_path(self.pods[task.task].places.get(key, ""))
        content = self.server.download(self._scoped(place), f"downloading {what}") if place else None
        if content is None:
            message = f"the server does not return {what}"
            raise refuse(Code.NO_SUCH_RUN, message, f"download it from Kubeflow's page: {run.link}")
        return content

    def _write(self, path: Path, content: bytes) -> None:
        with writing(self.folder):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_bytes(path, content)


def terminate(server: KfpClient, run_id: str) -> str:
    """Ask a server to end a run; nothing happens to one that has ended.

    Returns:
        What happened, as a sentence.

    Raises:
        KaleError: The server has no such run, or does not end it.
    """

    def state() -> str:
        answer = server.read(
            lambda client: client.runs.run_service_get_run(run_id, _request_timeout=TIMEOUTS),
            f"looking up run {run_id}",
        )
        return str(answer.state or "")

    before = state()
    if before in ENDED_TASK:
        how = "been cancelled" if before == "CANCELED" else ENDED_TASK[before]
        return f"run {run_id} has ended: it has {how}"
    try:
        server.read(
            lambda client: client.runs.run_service_terminate_run(run_id, _request_timeout=TIMEOUTS),
            f"ending run {run_id}",
        )
    except KaleError:
        # The answer to the first request may have been lost, or the run may have ended meanwhile.
        if state() not in (*ENDING, *ENDED_TASK):
            raise
    return f"the server is ending run {run_id}"


def _is_own(place: Path) -> bool:
    """Whether a file of a run was written by this user."""
    try:
        about = json.loads(place.read_text(encoding="utf-8"))
        signature = about.pop("signature")
        return is_signed_by_user(json.dumps(about, sort_keys=True), signature)
    except (OSError, ValueError, AttributeError, KeyError):
        return False


def _signature_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.signature")


def _is_as_fetched(path: Path) -> bool:
    """Whether an artifact is here as it was fetched."""
    try:
        return is_signed_by_user(file_digest(path), _signature_of(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def _update_task(state: TaskRun, node: Any, cancelled: bool) -> None:
    """Update a task from the server's description of its node."""
    found: TaskState = ENDED_TASK.get(node.state or "", "running" if node.state == "RUNNING" else "waiting")
    state.state = "cancelled" if cancelled and found == "failed" else found
    if state.state == "failed" and state.error is None:
        state.error = TaskError("StepDied", "its pod failed, and the step reported no error")
    if found in ENDED_TASK.values() and _happened(node.end_time) and _happened(node.start_time):
        state.seconds = (node.end_time - node.start_time).total_seconds()


def _final_state(run: RunState, task: TaskState) -> TaskState:
    """The state of a task whose end the server has not reported, when its run has ended."""
    if run == "succeeded":  # a server may report its tasks late, or never
        return "succeeded"
    return "skipped" if run == "failed" and task == "waiting" else "cancelled"


def _happened(moment: Any) -> bool:
    """Whether a time has come; KFP says 1970 for one that has not."""
    return moment is not None and moment.year > 1970
