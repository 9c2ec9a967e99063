"""The server as tests use it."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal

from tests.kfp_server import experiments, front, lineage, pipelines, recurring, runs  # noqa: F401  their routes
from tests.kfp_server.access import Access, Auth
from tests.kfp_server.answers import Answer
from tests.kfp_server.execution import START, Execution
from tests.kfp_server.faults import Fault, Faults
from tests.kfp_server.nodes import Node
from tests.kfp_server.routing import Address
from tests.kfp_server.script import Script
from tests.kfp_server.service import Service
from tests.kfp_server.store import FINAL, Run, Store
from tests.kfp_server.web import HEALTHZ, PAGE_HEALTHZ, PROXY_PAGE, Listener, Request

PATIENCE = 60.0
"""Seconds that a test waits for what should come."""


class KfpServer:
    """A Kubeflow Pipelines API server on this machine, as a context manager.

    Answers about runs, their tasks, logs, pods, events and artifacts are those of tests/recordings; what is
    not recorded is called an assumption where it is answered. Also assumptions, from the clients of KFP:
    pipelines, experiments and recurring runs, filters, and the words of errors about them; several users;
    logins.

    Args:
        folder: For what it and its runs write.
        auth: How clients show who they are. With "none" everybody is the first of `namespaces`, unless the
            header kubeflow-userid names another user.
        tokens: The users, by their tokens.
        cookies: The users, by their cookies.
        multi_user: Whether things belong to namespaces.
        namespaces: The users' namespaces.
        tls: Whether it speaks HTTPS, with a certificate that `ca_file` vouches for.
        version: "2.17" for the settings of KFP 2.17, where every node of a workflow is wrapped by one for its
            attempts; "older" for those before; "v1" for a server that is too old to have the API; "newer" for
            one that lists the artifacts of tasks itself, and has no ML Metadata (an assumption).
        address: What its address serves: the API alone, or the page, which passes on what it knows of the
            API; "both" is for tests to which that is the same, as no real address has all.
        prefix: What all paths begin with, as in /pipeline behind a dashboard.
        logs: Whether the API's operation for logs is there. On real servers it is not behind a prefix, as the
            UI server passes on /apis/v2beta1 only: this is what None stands for.
        artifacts: Whether the API's operation for artifacts is there.
        reads_artifacts: Whether it finds the artifacts of tasks, which it doesn't on real servers.
        ui: Whether the UI server is in front of the API, with operations of its own for both.
        metadata: Whether that one passes requests on to ML Metadata.
        rejects: Words that make a pipeline one that this server is too old for.
        pod_names: "v2", or "v1" for pods that are called like Argo's nodes.
        fills_pod_names: Whether task details have the names of pods, which they lack on real servers.
        parallel: How many runs run at the same time.
        script: What comes of the tasks of runs, if these are not to be executed.

    Attributes:
        script: A copy of the argument, which a test may change.
        requests: All that have come, the oldest first.
        errors: Tracebacks of faults in the server itself; leaving it without looking at them is an error.
    """

    def __init__(
        self,
        folder: Path,
        *,
        auth: Auth = "none",
        tokens: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        multi_user: bool = False,
        namespaces: Mapping[str, tuple[str, ...]] | None = None,
        tls: bool = False,
        version: Literal["v1", "older", "2.17", "newer"] = "2.17",
        address: Address = "both",
        prefix: str = "",
        logs: bool | None = None,
        artifacts: bool = True,
        reads_artifacts: bool = False,
        ui: bool = True,
        metadata: bool = True,
        rejects: tuple[str, ...] = (),
        pod_names: Literal["v1", "v2"] = "v2",
        fills_pod_names: bool = False,
        parallel: int | None = None,
        script: Script | None = None,
    ) -> None:
        self.folder, self.version, self.prefix = Path(folder), version, prefix
        self.address = address
        self.store = Store()
        self.script = None if script is None else dict(script)
        places = parallel or os.cpu_count() or 1
        self.execution = Execution(self.store, self.folder / "runs", places, self.script)
        owned = dict(namespaces or {"alice": ("alice-ns",)})
        self.access = Access(
            auth,
            dict(tokens or {"secret-token": "alice"}),
            dict(cookies or {"authservice_session=abc": "alice"}),
            next(iter(owned)),
        )
        self.service = Service(
            self.store,
            self.execution,
            multi_user,
            owned,
            rejects,
            version in ("2.17", "newer"),
            pod_names,
            fills_pod_names,
            not prefix if logs is None else logs,
            artifacts,
            reads_artifacts,
            ui,
            metadata and version != "newer",
            version == "newer",
        )
        self.pipelines, self.versions = self.store.pipelines, self.store.versions
        self.experiments, self.recurring_runs = self.store.experiments, self.store.recurring_runs
        self.runs = self.store.runs
        self.faults = Faults()
        self.requests: list[Request] = []
        self.errors: list[str] = []
        self.closing = threading.Event()
        self.ca_file: Path | None = self.folder / "ca.pem" if tls else None
        self._port = 0
        self._tls: ssl.SSLContext | None = None
        self._listener: Listener | None = None
        self._page: Listener | None = None

    def __enter__(self) -> KfpServer:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.ca_file is not None:
            self._tls = certified(self.ca_file)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self.stop()
        self.execution.close()
        if self.errors and error is None:
            raise AssertionError("\n".join(self.errors))

    @property
    def url(self) -> str:
        """Where it listens; the same after a restart."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}{self.prefix}"

    def open_page(self) -> str:
        """Serve the page at an address of its own, beside that of the API; its URL."""
        self._page = Listener(0, self, self._tls, "page")
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._page.server_address[1]}{self.prefix}"

    def health(self, path: str, address: Address) -> Answer:
        """What tells clients that, and which, server this is; one of v1 has nothing else here."""
        if path == f"/apis/{'v1beta1' if self.version == 'v1' else 'v2beta1'}/healthz":
            if address == "page":
                return Answer(200, {**PAGE_HEALTHZ, "multi_user": self.service.multi_user})
            about = {"multi_user": self.service.multi_user, "pipeline_store": "database"}
            return Answer(200, HEALTHZ if self.version == "v1" else {**HEALTHZ, **about})
        return Answer(404, "Not Found")

    # -- what a test lets go wrong ---------------------------------------------------------------------------

    def fail(
        self,
        method: str,
        path_part: str,
        status: int,
        times: int = 1,
        retry_after: int | None = None,
        message: str = "",
    ) -> None:
        """Answer requests by an error, and don't carry them out."""
        fault = Fault("fail", method, path_part, times, status=status, retry_after=retry_after, text=message)
        self.faults.add(fault)

    def delay(self, method: str, path_part: str, seconds: float, times: int = 1) -> None:
        """Answer requests late."""
        self.faults.add(Fault("delay", method, path_part, times, seconds=seconds))

    def drop(self, method: str, path_part: str, times: int = 1, after: bool = False) -> None:
        """Close connections without an answer: before a request is carried out, or after."""
        self.faults.add(Fault("drop", method, path_part, times, after=after))

    def html(self, method: str, path_part: str, times: int = 1) -> None:
        """Answer requests by a page, as a proxy in between does."""
        self.say(method, path_part, PROXY_PAGE, times, content_type="text/html")

    def say(
        self,
        method: str,
        path_part: str,
        text: str,
        times: int = 1,
        content_type: str = "application/json",
        after: bool = False,
    ) -> None:
        """Answer requests by something else, with the status 200."""
        fault = Fault("say", method, path_part, times, after=after, text=text, content_type=content_type)
        self.faults.add(fault)

    def drip(self, method: str, path_part: str, pause: float, times: int = 1) -> None:
        """Answer requests by spaces, one at a time, without an end."""
        self.faults.add(Fault("drip", method, path_part, times, seconds=pause))

    def expire(self, token: str) -> None:
        """Let a token be good no more."""
        del self.access.tokens[token]

    def accept(self, token: str, user: str) -> None:
        """Let a token be good."""
        self.access.tokens[token] = user

    def stop(self) -> None:
        """Listen no more and end all connections; runs go on."""
        for listener in (self._listener, self._page):
            if listener is not None:
                listener.end()
        self._listener = self._page = None

    def start(self) -> None:
        """Listen again, where it did before."""
        self._listener = Listener(self._port, self, self._tls, self.address)
        self._port = self._listener.server_address[1]

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    # -- what a test does with runs --------------------------------------------------------------------------

    @property
    def cache(self) -> bool:
        """Whether a task is taken from the cache if it has been run before with the same inputs."""
        return self.execution.cache

    @cache.setter
    def cache(self, value: bool) -> None:
        self.execution.cache = value

    def pretend_cached(self, task: str) -> None:
        """Tell that a task comes from the cache, although it has run."""
        self.execution.cached.add(task)

    def hold(self, task: str, at: Literal["pending", "start", "end"] = START) -> None:
        """Hold a task of all runs: before its pod is there, before it does anything, or before it ends."""
        with self.store.changed:
            self.execution.holds.add((task, at))

    def release(self, task: str) -> None:
        """Let a task go on."""
        with self.store.changed:
            self.execution.holds = {hold for hold in self.execution.holds if hold[0] != task}
            self.store.changed.notify_all()

    def trigger(self, recurring_run_id: str) -> str:
        """Make the run that a schedule would make now; its id."""
        with self.store.changed:
            recurring_run = self.recurring_runs[recurring_run_id]
            if recurring_run["status"] != "ENABLED":
                raise ValueError(
                    f"{recurring_run['display_name']} is {recurring_run['status']}, it makes no runs"
                )
            return recurring.make_run(self.service, recurring_run).id

    def wait_for(self, run_id: str, state: str, task: str = "", timeout: float = PATIENCE) -> Run:
        """Wait until a run, or the pod of a task of it, is in a state; if it ends otherwise, fail at once.

        A run is CANCELED when it has ended after it was cancelled: its own state then is FAILED.
        """
        with self.store.changed:
            run = self.runs[run_id]

            def is_there() -> bool:
                if state == "CANCELED" and not task:
                    return run.is_cancelled
                node = run.workflow.pod(task)
                return (run if not task else node or Node("", "")).state == state

            self.store.changed.wait_for(lambda: is_there() or run.state in FINAL, timeout)
            if not is_there():
                raise AssertionError(
                    f"{task or 'the run'} isn't {state}, the run is {run.state}\n{self.printed(run_id)}"
                )
            return run

    def printed(self, run_id: str) -> str:
        """What the pods of a run and kfp.local have printed."""
        run = self.runs[run_id]
        file = self.folder / "runs" / run.place / "kfp.txt"
        logs = (f"--- {path}: {node.state}\n{''.join(node.log)}" for path, node in run.workflow.nodes.items())
        return "\n".join((*logs, file.read_text(encoding="utf-8") if file.exists() else "", run.error))

    def log(self, run_id: str, task: str) -> str:
        """What a task has printed so far; in its last attempt, if it has several."""
        pod = self.runs[run_id].workflow.pod(task)
        return "".join(pod.log) if pod else ""


def certified(ca_file: Path) -> ssl.SSLContext:
    """A certificate for this machine, by an authority that is written to a file."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context
