"""The HTTP side: reads requests, lets go wrong what is to go wrong, and writes answers."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import threading
import traceback
from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.kfp_server.access import LOGIN, LOGIN_PAGE, LoginNeededError
from tests.kfp_server.answers import Answer
from tests.kfp_server.errors import INTERNAL, ApiError, code_of, gateway_error, invalid, not_found
from tests.kfp_server.routing import Address, Call, Route, find

if TYPE_CHECKING:
    from tests.kfp_server.faults import Fault
    from tests.kfp_server.server import KfpServer

PROXY_PAGE = "<!DOCTYPE html><html><body>Something in between answers this</body></html>"

HEALTHZ = {"commit_sha": "0123abc", "tag_name": "2.17.0"}
"""Which version this is; the recorded server, which had been built by hand, said "unknown" for both."""


PAGE_HEALTHZ = {
    "apiServerCommitHash": "unknown",
    "apiServerMultiUser": False,
    "apiServerReady": True,
    "apiServerTagName": "unknown",
    "buildDate": "",
    "frontendCommitHash": "",
    "frontendTagName": "",
    "pipelineStore": "database",
}
"""What the page says of itself and the API, but for "multi_user"."""


@dataclass
class Request:
    """A request that has come.

    Attributes:
        method: HTTP's.
        path: Without the parameters.
        query: The parameters.
        headers: With names in lower case.
        body: JSON, parsed; bytes, if it is anything else; None without one.
        status: That of the answer; 0 if there was none.
        address: What the address that it came to serves.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    status: int = 0
    address: Address = "both"


LOGIN_ANSWER = Answer(200, LOGIN_PAGE, "text/html")


class Listener(ThreadingHTTPServer):
    """Listens on a port, and knows its connections so that it can end them.

    Args:
        port: 0 for any that is free.
        owner: The server.
        tls: What encrypts connections, if anything does.
        address: What is served here.
    """

    daemon_threads = True

    def __init__(
        self, port: int, owner: KfpServer, tls: ssl.SSLContext | None, address: Address = "both"
    ) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.owner, self.address = owner, address
        self.connections: set[socket.socket] = set()
        if tls is not None:
            # The handshake is left to the thread of the connection.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,), name="kfp-server")
        self.thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or doesn't trust our certificate, is no matter."""
        if not isinstance(sys.exc_info()[1], OSError):
            self.owner.errors.append(traceback.format_exc())

    def end(self) -> None:
        """Listen no more, and end all connections."""
        self.shutdown()
        self.thread.join()
        self.server_close()
        for connection in list(self.connections):
            end_connection(connection)


def end_connection(connection: socket.socket) -> None:
    """Let a connection end at once, under way as it may be."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of a connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in two packets would wait for the client to acknowledge the first
    server: Listener

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

    def do_request(self) -> None:
        """Answer a request, unless something goes wrong."""
        owner, request = self.server.owner, self.read()
        owner.requests.append(request)
        delay, fault = owner.faults.take(request.method, request.path)
        if delay is not None:
            owner.closing.wait(delay.seconds)
        if fault is None:
            self.write(request, self.answer(request))
        elif fault.kind == "drop":
            if fault.after:
                self.answer(request)
            self.close_connection = True
            end_connection(self.connection)
        elif fault.kind == "drip":
            self.drip(fault.seconds)
        else:
            if fault.after:
                self.answer(request)
            self.write(request, wrong(fault))

    def drip(self, pause: float) -> None:
        """Answer by a space at a time until the client has had enough."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            while not self.server.owner.closing.wait(pause):
                self.wfile.write(b" ")
                self.wfile.flush()

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = do_request

    def read(self) -> Request:
        """The request."""
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body: Any = self.rfile.read(int(headers.get("content-length", 0))) or None
        if body is not None and headers.get("content-type", "").startswith("application/json"):
            with contextlib.suppress(ValueError):  # that it is no JSON, the operation will mind
                body = json.loads(body)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        address = self.server.address
        return Request(self.command, parts.path, query, headers, body, address=address)

    def write(self, request: Request, answer: Answer) -> None:
        """The answer."""
        kind, content = answer.encoded()
        request.status = answer.status
        self.send_response(answer.status)
        kinds = [("Content-Type", kind)] if kind else []
        for name, value in (*kinds, ("Content-Length", str(len(content))), *answer.headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def answer(self, request: Request) -> Answer:
        """What a request is answered by if nothing goes wrong."""
        owner = self.server.owner
        try:
            return LOGIN_ANSWER if request.path == LOGIN else carried_out(owner, request)
        except LoginNeededError:
            return Answer(302, "", "text/html", (("Location", f"{LOGIN}?client_id=kubeflow"),))
        except ApiError as error:
            return error.answer
        except Exception:  # a fault of this server's own, which the test is to see
            owner.errors.append(traceback.format_exc())
            return Answer(500, gateway_error(INTERNAL, owner.errors[-1]))


def carried_out(owner: KfpServer, request: Request) -> Answer:
    """What the operation that a request asks for answers."""
    user = owner.access.user(request.headers)
    if not request.path.startswith(f"{owner.prefix}/"):
        raise not_found("page", request.path)
    path = request.path.removeprefix(owner.prefix)
    if path.endswith("/healthz") or owner.version == "v1":
        return owner.health(path, request.address)
    route, parts = find(request.method, path)
    values = {name: unquote(value) for name, value in parts.items()}
    call = Call(user, request.query, parts=values, address=request.address)
    try:
        call.file_name, call.body = content_of(request, route)
        answer = route.answer(owner.service, call)
        return answer if isinstance(answer, Answer) else Answer(200, answer)
    except ApiError as error:
        error.style = route.errors
        raise


def content_of(request: Request, route: Route) -> tuple[str, Any]:
    """The file that a request uploads, its name first; or the JSON that it holds, without a name."""
    if not route.body:
        if request.body not in (None, {}):
            raise invalid(f"{request.method} {request.path} takes no body")
        return "", None
    if route.body == "bytes":
        return "", request.body or b""
    if route.body == "upload":
        return uploaded(request)
    if not isinstance(request.body, dict):
        raise invalid("the body must be a JSON object")
    return "", request.body


def uploaded(request: Request) -> tuple[str, str]:
    """The name and the text of the file in a form."""
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        raise invalid("Failed to read pipeline from file: the request is no form")
    form = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + request.body)
    for part in form.iter_parts():
        if part.get_param("name", header="content-disposition") == "uploadfile":
            try:
                return part.get_filename() or "", part.get_payload(decode=True).decode()
            except UnicodeDecodeError as error:
                raise invalid("Failed to read a pipeline spec file: it is no text") from error
    raise invalid("Failed to read pipeline from file: the form has no uploadfile")


def wrong(fault: Fault) -> Answer:
    """The answer of a request that something befalls."""
    if fault.kind == "say":
        return Answer(200, fault.text, fault.content_type)
    headers = () if fault.retry_after is None else (("Retry-After", str(fault.retry_after)),)
    message = fault.text or f"injected fault {fault.status}"
    return Answer(fault.status, gateway_error(code_of(fault.status), message), "", headers)
