"""A run on a server as a `Run`: its files are fetched when somebody asks for them, and kept.

remote/<run id>/run.json          where it is: what brings it back in another session
                <step key>/log.txt, <artifact key>
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kale_magics.checking.check import check_run, show_differences
from kale_magics.checking.expected import Expected
from kale_magics.execution.failures import failure
from kale_magics.execution.file_digests import file_digest
from kale_magics.execution.run import Run, RunState, StepError, StepRun, Steps, StepState
from kale_magics.execution.run_store import LOG, step_folder, write_bytes, writing
from kale_magics.execution.signing import is_signed_by_user, sign
from kale_magics.kubeflow.reading import RemotePipeline
from kale_magics.kubeflow.server import LONG, SHORT, TIMES, Server, told_when_interrupted
from kale_magics.kubeflow.workflow_nodes import pods_of_task, value_place
from kale_magics.model.diagnostics import Code, KaleError, refuse
from kale_magics.model.pipeline import Json
from kale_magics.step_runtime.artifacts import MAGIC
from kale_magics.step_runtime.pod import BEGINS, ENDS, ON_VOLUME

STATES = {"SUCCEEDED": "succeeded", "FAILED": "failed", "CANCELED": "cancelled", "SKIPPED": "skipped"}
"""KFP's states in which nothing more happens, and ours."""

ENDING = ("CANCELING", "CANCELED")
"""KFP's states of a run that somebody has ended."""

PAUSE = 1.0
"""Seconds between two looks at a run."""

LOGS = (
    "/apis/v1alpha1/runs/{run}/nodes/{node}/log",
    "/k8s/pod/logs?podname={node}&runid={run}",
)
"""Where the log of a pod is: at KFP's API server, and at the server of its page, which may be before it."""


class RemoteStepRun(StepRun):
    """A step of a run on a server; its log is fetched when it is asked for.

    Attributes:
        nodes: What its pod may be called.
        complete: Whether all of its log is here.
        places: Where in the cluster's store its artifacts are, by key, as it has said itself.
        told_fingerprints: Those of its variables when its cells had run, as it has said itself.
    """

    def __init__(self, name: str, folder: Path, artifacts: Mapping[str, Path], run: RemoteRun) -> None:
        super().__init__(name, folder, artifacts)
        self.run = run
        self.nodes: tuple[str, ...] = ()
        self.complete = False
        self.places: dict[str, str] = {}
        self.told_fingerprints: dict[str, Any] = {}

    @property
    def fingerprints(self) -> Mapping[str, Any]:
        """The fingerprints of its variables when its cells had run."""
        self.run.fetch_log(self)
        return self.told_fingerprints

    @property
    def log(self) -> str:
        """All that it printed so far."""
        self.run.fetch_log(self)
        return self.kept_log

    @property
    def kept_log(self) -> str:
        """What has been fetched of it."""
        return super().log


class RemoteRun(Run):
    """A run on a server, which is asked for its state when somebody wants to know it.

    Attributes:
        server: Where.
        remote: Its pipeline.
        mine: Whether this notebook's folder knows that it was started from here.
        known_state: Its state when the server was asked the last time.
        known_steps: Its steps then.
        followed: Whether somebody keeps asking, so that nobody else need.
        expected: What the notebook has; None if the run is not checked against it.
        strict: Whether a value that differs from the notebook's is an error.
    """

    def __init__(
        self,
        server: Server,
        run_id: str,
        name: str,
        remote: RemotePipeline,
        parameters: Mapping[str, Json],
        runs_folder: Path,
    ) -> None:
        folder = runs_folder / "remote" / run_id
        self.known_state: RunState = "running"
        self.known_steps = Steps()
        self._asked = float("-inf")
        self.followed = False
        self.expected: Expected | None = None
        self.strict = False
        super().__init__(name, folder, parameters, {})
        self.server, self.remote = server, remote
        self.link = f"{server.page}/#/runs/details/{run_id}"
        self.mine = self.trusted = _is_own(folder / "run.json")
        for step in remote.pipeline.steps:
            artifacts = _Artifacts(self, step.name, {n: a.key for a in step.outputs for n in a.names})
            self.known_steps[step.name] = RemoteStepRun(step.name, step_folder(folder, step), artifacts, self)

    @property
    def state(self) -> RunState:
        """How far it is; the server is asked, unless that was a moment ago."""
        self._look()
        return self.known_state

    @state.setter
    def state(self, state: RunState) -> None:
        self.known_state = state

    @property
    def steps(self) -> Steps:
        """Every step, as it is now."""
        self._look()
        return self.known_steps

    @steps.setter
    def steps(self, steps: Steps) -> None:
        self.known_steps = steps

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers that the steps logged; they stand at the ends of the logs."""
        for step in self.steps.values():
            if step.state in STATES.values():
                self.fetch_log(step)
        return super().metrics

    @property
    def again(self) -> str:
        """The line that shows it again."""
        return f"%kale_attach {self.id}{self.server.named}"

    def _look(self) -> None:
        if self.known_state == "running" and not self.followed and time.monotonic() - self._asked > PAUSE:
            self.refresh()

    def __repr__(self) -> str:
        # Nothing is asked here: a server may be away, and a debugger shows everything that there is.
        how = "" if self.seconds is None else f", {self.seconds:.1f} s"
        return f"<run {self.name} {self.id}: {self.known_state}{how}>"

    def keep(self) -> None:
        """Write down where the run is.

        Raises:
            KaleError: The folder cannot be written.
        """
        about = {"id": self.id, "name": self.name, "host": self.server.address, "link": self.link}
        signature = sign(json.dumps(about, sort_keys=True))
        self._write(self.folder / "run.json", json.dumps({**about, "signature": signature}).encode())
        self.mine = self.trusted = True

    def wait(self, timeout: float | None = None) -> Run:
        """Wait for its end; as `Run.wait`. An interrupt ends the waiting only."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with told_when_interrupted(lambda: f"the run goes on; to look at it again: {self.again}"):
            while True:
                left = LONG if deadline is None else max(0.0, deadline - time.monotonic())
                self.refresh(min(LONG, left))
                if self.known_state != "running":
                    break
                if deadline is not None and time.monotonic() > deadline:
                    raise TimeoutError(f"the run goes on after {timeout:g} s")
                time.sleep(PAUSE)
        self.keep_check()
        self.raise_failures()
        show_differences(self, self.strict)
        return self

    def keep_check(self) -> None:
        """Compare its values with the notebook's, if these are known and it has ended."""
        if self.expected is not None and self.known_state != "running":
            check_run(self, self.remote.pipeline, self.expected)

    def raise_failures(self) -> None:
        """Raise why steps have failed.

        Raises:
            KaleError: At least one has, or the run itself.
        """
        failed = [step for step in self.known_steps.values() if step.state == "failed"]
        for step in failed:
            self.fetch_log(step)
        told = [failure(step, step.error) for step in failed if step.error]
        if told:
            raise KaleError(*told)
        if self.known_state == "failed":
            message = f"run {self.id} failed on the server, and no step has said why"
            raise refuse(Code.STEP_FAILED, message, f"look at Kubeflow's page: {self.link}")

    def cancel(self) -> None:
        """Ask the server to end it; nothing happens to a run that has ended."""
        terminate(self.server, self.id)

    def _write(self, path: Path, content: bytes) -> None:
        with writing(self.folder):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_bytes(path, content)

    def refresh(self, patience: float = SHORT) -> None:
        """Ask the server how far it is."""
        told = self.server.read(
            lambda client: client.runs.run_service_get_run(self.id, _request_timeout=TIMES),
            f"run {self.id} was looked at",
            patience,
        )
        self.take(told)

    def take(self, told: Any) -> None:
        """Take in what the server tells of the run."""
        self._asked = time.monotonic()
        details = told.run_details.task_details if told.run_details else None
        nodes = {node.display_name: node for node in details or ()}
        ended = STATES.get(told.state or "")
        for step in self.known_steps.values():
            task = self.remote.tasks[step.name]
            node = nodes.get(task.key)
            if node is not None:
                _take_node(step, node, told.state == "CANCELED")
                step.nodes = pods_of_task(node, task)  # type: ignore[attr-defined]  # all here are of a server
            if ended and step.state in ("running", "waiting"):
                step.state = _ended_with(ended, step.state)
        if told.created_at:
            self.started = told.created_at
        if ended:
            self.state = ended  # type: ignore[assignment]  # SKIPPED is no state of a run
            self.ended = told.finished_at if _happened(told.finished_at) else None
            self.seconds = (self.ended - self.started).total_seconds() if self.ended else None

    def fetch_log(self, step: StepRun, patience: float = SHORT) -> None:
        """Fetch the log of a step, as far as it is there."""
        if not isinstance(step, RemoteStepRun) or step.complete:
            return
        text = self._first(step, LOGS, patience)
        if text is None:
            return
        over = step.state in STATES.values()
        # As long as the step has not begun, its pod installs packages: that is told only if nothing follows.
        log = text.decode("utf-8", "replace")
        body, answer = split_log(log) if over or BEGINS in log else ("", None)
        if answer is not None and answer.get("step", step.name) != step.name:
            return  # a guess at the pod's name was wrong
        self._write(step.folder / LOG, body.encode())
        step.complete = over and answer is not None
        if answer is not None:
            step.metrics = answer.get("metrics", {})
            step.places = answer.get("artifacts", {})
            step.told_fingerprints = json.loads(answer.get("fingerprints", "{}"))
            step.error = self._error(answer.get("error")) or step.error

    def _error(self, told: Mapping[str, Any] | None) -> StepError | None:
        """Why a step failed; its cell has the number that it has in this session, if it is known here."""
        if not told:
            return None
        codes = (code for step in self.remote.pipeline.steps for code in (*step.setup, *step.cells))
        known = {code.place: code.filename for code in codes}
        place = str(told.get("cell", ""))
        # What another version has written may have more in it.
        fields = {name: told[name] for name in vars(StepError("", "")) if name in told}
        return StepError(**{**fields, "cell": known.get(place, place).rpartition(", ")[2]})

    def _first(self, step: RemoteStepRun, paths: Sequence[str], patience: float = SHORT) -> bytes | None:
        """What the server has at the first of some paths, for the names that a step's pod may have."""
        places = (path.format(run=self.id, node=quote(node)) for path in paths for node in step.nodes)
        found = (
            self.server.get(self._scoped(place), f"step {step.name} was looked at", patience)
            for place in places
        )
        return next((content for content in found if content is not None), None)

    def _scoped(self, place: str) -> str:
        """A path at the server of KFP's page with the user's namespace, which it wants to know."""
        namespace = self.server.scope.get("namespace", "")
        if not namespace or place.startswith("/apis"):
            return place
        name = "podnamespace" if place.startswith("/k8s") else "namespace"
        return f"{place}{'&' if '?' in place else '?'}{name}={quote(namespace)}"

    def fetch(self, step: RemoteStepRun, key: str, what: str) -> Path:
        """Fetch an artifact.

        Raises:
            KaleError: The server does not show it, it is not of this project, or somebody else has made it.
        """
        if not (key.isascii() and key.isidentifier()):  # the pipeline there may be anybody's
            message = f"{what} has a name that is none of this project's"
            raise refuse(Code.NO_SUCH_RUN, message, f"look at it on Kubeflow's page: {self.link}")
        path = step.folder / key
        if self.trusted and _is_as_fetched(path):
            return path
        if not self.trusted:
            message = f"run {self.id} was not started from here: to load {what} is to run code of whoever did"
            raise refuse(Code.NO_SUCH_RUN, message, f"if you trust them: {self.again} --trust")
        content = self._read_artifact(step, key, what)
        if content.startswith(ON_VOLUME.encode()):
            message = f"{what} was handed on over the shared volume of the run, and is not kept"
            raise refuse(Code.NO_SUCH_RUN, message, "run the step without --workspace to keep it")
        if not content.startswith(MAGIC):
            message = f"{what} is not what this project has written, and is not loaded"
            raise refuse(Code.NO_SUCH_RUN, message, f"look at it on Kubeflow's page: {self.link}")
        self._write(path, content)
        self._write(_signature_of(path), sign(hashlib.sha256(content).hexdigest()).encode())
        return path

    def verify(self, step: StepRun, path: Path, what: str) -> None:
        """Nothing is left to verify: what was fetched is known by its signature."""

    def _read_artifact(self, step: RemoteStepRun, key: str, what: str) -> bytes:
        answer = self._first(step, (f"/apis/v2beta1/runs/{{run}}/nodes/{{node}}/artifacts/{key}:read",))
        if answer is not None:
            return base64.b64decode(json.loads(answer)["data"])
        # Only Argo's own artifacts are found there; KFP's page gives those of KFP too.
        self.fetch_log(step)
        place = value_place(step.places.get(key, ""))
        content = self.server.get(self._scoped(place), f"{what} was asked for") if place else None
        if content is None:
            message = f"the server does not give {what}"
            raise refuse(Code.NO_SUCH_RUN, message, f"download it from Kubeflow's page: {self.link}")
        return content


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


class _Artifacts(Mapping[str, Path]):
    """The files of a step's variables, fetched when asked for."""

    def __init__(self, run: RemoteRun, step: str, keys: Mapping[str, str]) -> None:
        self._run, self._step, self._keys = run, step, keys

    def __getitem__(self, variable: str) -> Path:
        step: Any = self._run.known_steps[self._step]
        return self._run.fetch(step, self._keys[variable], f"{variable} of step {self._step}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def terminate(server: Server, run_id: str) -> str:
    """Ask a server to end a run; nothing happens to one that has ended.

    Returns:
        What has come of it, in words.

    Raises:
        KaleError: It has none of that id, or does not end it.
    """

    def state() -> str:
        told = server.read(
            lambda client: client.runs.run_service_get_run(run_id, _request_timeout=TIMES),
            f"run {run_id} was looked up",
        )
        return str(told.state or "")

    before = state()
    if before in STATES:
        how = "been cancelled" if before == "CANCELED" else STATES[before]
        return f"run {run_id} has ended: it has {how}"
    try:
        server.read(
            lambda client: client.runs.run_service_terminate_run(run_id, _request_timeout=TIMES),
            f"run {run_id} was to be ended",
        )
    except KaleError:
        # The answer to the first asking may have been lost, or the run may have ended meanwhile.
        if state() not in (*ENDING, *STATES):
            raise
    return f"the server is ending run {run_id}"


def split_log(text: str) -> tuple[str, dict[str, Any] | None]:
    """What a step has printed, of all that is in the log of its pod, and what it says has come of it.

    Args:
        text: The log; where the step has not begun, as when pip fails, all of it is given.
    """
    _, begins, rest = text.partition(BEGINS + "\n")
    if not begins:
        return text, None
    body, ends, answer = rest.rpartition(ENDS)
    if not ends:
        return rest, None
    try:
        return body, dict(json.loads(answer.partition("\n")[0]))
    except (ValueError, TypeError):  # the log is cut off there
        return body, None


def _take_node(step: StepRun, node: Any, cancelled: bool) -> None:
    """Take in how far the node of a step is."""
    state = STATES.get(node.state or "", "running" if node.state == "RUNNING" else "waiting")
    step.state = "cancelled" if cancelled and state == "failed" else state  # type: ignore[assignment]  # all ours
    if step.state == "failed" and step.error is None:
        step.error = StepError("StepDied", "its pod failed, and the step has not said why")
    if state in STATES.values() and _happened(node.end_time) and _happened(node.start_time):
        step.seconds = (node.end_time - node.start_time).total_seconds()


def _ended_with(run: str, step: str) -> StepState:
    """What has become of a step of which the server has not told the end, when its run has ended."""
    if run == "succeeded":  # a server may be late with its steps, or never tell
        return "succeeded"
    return "skipped" if run == "failed" and step == "waiting" else "cancelled"


def _happened(moment: Any) -> bool:
    """Whether a time has come; KFP says 1970 for one that has not."""
    return moment is not None and moment.year > 1970
