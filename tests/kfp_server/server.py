"""The server as tests see it: HTTP in threads, who may come in, and what goes wrong."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.kfp_server import experiments, pipelines, recurring, runs
from tests.kfp_server.errors import UNAUTHENTICATED, ApiError, code_of, gateway_error, invalid
from tests.kfp_server.execution import END, PENDING, START, Execution
from tests.kfp_server.faults import Fault, Faults
from tests.kfp_server.routing import Call, crash, find, route
from tests.kfp_server.service import Service
from tests.kfp_server.store import Store

LOGIN = "<!DOCTYPE html><title>Log in to Dex</title><form method=post></form>"

MODULES = (experiments, pipelines, recurring, runs)
"""They have the operations; to import them is what makes these known."""


@route("GET", "/healthz")
def healthz(service: Service, call: Call) -> dict[str, Any]:
    return {"multi_user": service.multi_user, "pipeline_store": "database"}


@dataclass
class Request:
    """A request that has come."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message
    body: bytes


class KfpServer:
    """A server of Kubeflow Pipelines for tests.

    Args:
        folder: For what runs write.
        auth: "none", "token" (a bearer token) or "dex" (a cookie, else a page to log in).
        tokens: The tokens, and their users.
        cookies: The cookies, and their users.
        multi_user: Whether things belong to namespaces.
        namespaces: The namespaces of the users.
        tls: A certificate and its key, in one file; None for HTTP.
        version: "v2", or "v1" for a server that knows the old API only.
        logs: Whether logs can be read.
        artifacts: Whether artifacts can be read.
        rejects: Words in a pipeline that the server is too old for.
        pod_names: "v2", or "v1": then pods are called like their nodes.
        fills_pod_names: Whether task details have the names of pods.
        parallel: How many runs run at the same time.

    Attributes:
        requests: All that have come.
        store: What the server knows.
    """

    def __init__(
        self,
        folder: Path,
        *,
        auth: str = "none",
        tokens: dict[str, str] | None = None,
        cookies: dict[str, str] | None = None,
        multi_user: bool = False,
        namespaces: dict[str, tuple[str, ...]] | None = None,
        tls: Path | None = None,
        version: str = "v2",
        logs: bool = True,
        artifacts: bool = True,
        rejects: tuple[str, ...] = (),
        pod_names: str = "v2",
        fills_pod_names: bool = False,
        parallel: int = 2,
    ) -> None:
        self.auth, self.version, self.tls = auth, version, tls
        self.tokens = {"secret-token": "alice"} if tokens is None else tokens
        self.cookies = {"authservice_session=abc": "alice"} if cookies is None else cookies
        self.store = Store()
        self.execution = Execution(self.store, folder, parallel)
        owned = {"alice": ("alice-ns",)} if namespaces is None else namespaces
        self.service = Service(
            self.store, self.execution, multi_user, owned, rejects, pod_names, fills_pod_names,
            logs, artifacts,
        )  # fmt: skip
        self.faults = Faults()
        self.requests: list[Request] = []
        self.port = 0
        self._http: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._connections: set[socket.socket] = set()

    def __enter__(self) -> KfpServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.execution.close()

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the port that it had before if it had one."""
        handler = type("Handler", (_Handler,), {"server_of_ours": self})
        self._http = http = _Http(("127.0.0.1", self.port), handler)
        self.port = http.server_address[1]
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.tls)
            http.socket = context.wrap_socket(http.socket, server_side=True)
        self._thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        """Listen no longer, and close all connections."""
        if self._http is None or self._thread is None:
            return
        self._http.shutdown()
        self._thread.join()
        for connection in list(self._connections):
            _shut(connection)
        self._http.server_close()
        self._http = None

    def restart(self) -> None:
        """Stop and start; what it knows is kept."""
        self.stop()
        self.start()

    def expire(self, token: str) -> None:
        """A token is no longer good."""
        del self.tokens[token]

    def fail(
        self, method: str, path: str, status: int, times: int = 1, retry_after: int | None = None
    ) -> None:
        """Answer requests with an error."""
        self.faults.add(Fault(method, path, times, status, retry_after))

    def delay(self, method: str, path: str, seconds: float, times: int = 1) -> None:
        """Answer requests late."""
        self.faults.add(Fault(method, path, times, seconds=seconds))

    def drop(self, method: str, path: str, times: int = 1, after: bool = False) -> None:
        """Close connections without an answer; with `after`, when the request has been carried out."""
        self.faults.add(Fault(method, path, times, drops=True, after=after))

    def html(self, method: str, path: str, times: int = 1) -> None:
        """Answer requests with a page, as a proxy does."""
        self.faults.add(Fault(method, path, times, html=True))

    def hold(self, task: str, where: str = START) -> None:
        """Keep a task from going on; where: "pending", "start" or "end"."""
        if where not in (PENDING, START, END):
            raise ValueError(where)
        with self.store.changed:
            self.execution.holds.add((task, where))

    def release(self, task: str, where: str = START) -> None:
        """Let a task go on."""
        with self.store.changed:
            self.execution.holds.discard((task, where))
            self.store.changed.notify_all()

    def pretend_cached(self, task: str) -> None:
        """Report a task as one that KFP's cache knew."""
        self.execution.cached.add(task)

    def wait_for(self, run_id: str, *states: str, timeout: float = 60.0) -> None:
        """Wait until a run has come to a state.

        Raises:
            TimeoutError: It has not.
        """
        with self.store.changed:
            known = self.store.runs
            if not self.store.changed.wait_for(lambda: known[run_id].state in states, timeout):
                raise TimeoutError(f"the run is {known[run_id].state}")

    def trigger(self, recurring_run_id: str) -> str:
        """Make the run that a schedule would make now; its id."""
        with self.store.changed:
            run = recurring.make_run(self.service, self.store.recurring_runs[recurring_run_id])
            return run.id

    def user(self, headers: Message) -> str | None:
        """Who sends a request; None for nobody whom it knows."""
        if self.auth == "token":
            return self.tokens.get((headers.get("authorization") or "").removeprefix("Bearer "))
        if self.auth == "dex":
            cookies = (headers.get("cookie") or "").split("; ")
            return next((self.cookies[c] for c in cookies if c in self.cookies), None)
        return "anonymous" if not self.service.multi_user else "alice"


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is no trouble of the server's."""


class _Handler(BaseHTTPRequestHandler):
    server_of_ours: KfpServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server_of_ours._connections.add(self.connection)

    def finish(self) -> None:
        self.server_of_ours._connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Nothing is printed."""

    def answer(self) -> None:
        """Answer a request, or let it go wrong."""
        ours, parts = self.server_of_ours, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        request = Request(self.command, unquote(parts.path), query, self.headers, body)
        ours.requests.append(request)
        fault = ours.faults.take(request.method, request.path)
        if fault is None:
            self.carry_out(request)
            return
        threading.Event().wait(fault.seconds)
        if fault.drops:
            if fault.after:
                self.wfile = _Nowhere()  # type: ignore[assignment]
                self.carry_out(request)
            self.close_connection = True
            _shut(self.connection)
        elif fault.html:
            self.send("text/html", "<!DOCTYPE html><title>Bad gateway?</title>", 200)
        elif fault.status:
            more = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            error = gateway_error(code_of(fault.status), "it goes wrong on request")
            self.send("application/json", json.dumps(error), fault.status, more)
        else:
            self.carry_out(request)

    do_GET = do_POST = do_DELETE = do_PATCH = answer

    def carry_out(self, request: Request) -> None:
        """Answer a request as the API does."""
        ours = self.server_of_ours
        if request.path == "/dex/auth":
            self.send("text/html", LOGIN, 200)
            return
        user = ours.user(request.headers)
        if user is None and ours.auth == "dex":
            self.send("text/html", "", 302, {"Location": "/dex/auth"})
        elif user is None:
            error = gateway_error(UNAUTHENTICATED, "Request header error: there is no user identity header.")
            self.send("application/json", json.dumps(error), 401)
        elif ours.version == "v1":
            known = request.path == "/apis/v1beta1/healthz"
            told = json.dumps({"commit_sha": "1.8.5"}) if known else "Not Found"
            self.send("application/json" if known else "text/plain", told, 200 if known else 404)
        else:
            self.send_answer(request, user)

    def send_answer(self, request: Request, user: str) -> None:
        """What an operation answers."""
        ours, operation = self.server_of_ours, None
        try:
            operation, variables = find(request.method, request.path)
            body, name = _content(request)
            answer = operation.answer(ours.service, Call(user, request.query, body, name, variables))
        except ApiError as error:
            refusal = operation.refusal(error) if operation else gateway_error(error.code, str(error))
            self.send("application/json", json.dumps(refusal), error.status)
        except Exception as error:  # a fault of ours must reach the test
            told = crash(f"{type(error).__name__}: {error}")
            self.send("application/json", json.dumps(gateway_error(told.code, str(told))), told.status)
        else:
            kind = "text/plain" if isinstance(answer, str) else "application/json"
            self.send(kind, answer if isinstance(answer, str) else json.dumps(answer), 200)

    def send(self, kind: str, text: str, status: int, headers: dict[str, str] | None = None) -> None:
        """Write an answer."""
        content = text.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class _Nowhere:
    """What an answer is written to that nobody gets."""

    def write(self, content: bytes) -> int:
        return len(content)

    def flush(self) -> None:
        """Nothing is kept."""


def _content(request: Request) -> tuple[Any, str]:
    """The body of a request: JSON, or the text of an uploaded file, and the file's name."""
    kind = request.headers.get("Content-Type") or ""
    if not request.body:
        return {}, ""
    if not kind.startswith("multipart/form-data"):
        try:
            return json.loads(request.body), ""
        except ValueError as error:
            raise invalid(f"invalid JSON: {error}") from error
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + request.body)
    parts = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
    if set(parts) != {"uploadfile"}:
        raise invalid(f"an upload has one part, uploadfile, not {sorted(map(str, parts))}")
    part = parts["uploadfile"]
    return part.get_payload(decode=True).decode(), part.get_filename() or ""


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is closed already
        return
