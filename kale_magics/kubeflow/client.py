"""The client of a server of Kubeflow Pipelines: credentials, time limits, retries and diagnostics.

kfp's own client has the URLs and the operations. `KfpClient` adds what it lacks: time limits, retries while a
server is down for a moment, and a diagnostic for each error (`server_errors`).
"""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import kfp
import kfp_server_api
import urllib3

from kale_magics.kubeflow.access import Access
from kale_magics.kubeflow.responses import (
    MAX_BYTES,
    MAX_FILE_BYTES,
    MAX_FILE_SECONDS,
    MAX_SECONDS,
    BoundedPool,
    InvalidResponseError,
    check_response,
)
from kale_magics.kubeflow.server_errors import (
    CONNECTING,
    TEMPORARY,
    WebPageError,
    is_unknown_host,
    needs_namespace,
    rejection_fix,
    request_error,
)
from kale_magics.model.diagnostics import KaleError

Response = TypeVar("Response")

TIMEOUTS, FIRST_TIMEOUTS = (2, 30), (2, 7)
"""Seconds to connect, and for a response; fewer for the first request, so that a wrong address shows soon."""

MAX_RETRY, MAX_RETRY_FOLLOWING = 5.0, 300.0
"""Seconds for which requests are repeated, and while a run is followed."""

FIRST_PAUSE, MAX_PAUSE = 0.2, 10.0
"""Seconds before a request is repeated: they double."""

PAGE_VARIABLE = "KF_PIPELINES_UI_ENDPOINT"
"""kfp's environment variable for the address of Kubeflow's page, if that differs from the server's."""

SEARCHES, SEARCH_INTERVAL = 5, 2.0
"""How often, and every how many seconds, to search for what a request without a response may have created."""

UNAVAILABLE = frozenset({400, 403, 404, 405, 410, 422, 500, 501})
"""HTTP status codes for a file that a server does not have; 500 stands for a deleted pod."""

NAMESPACE_OF_POD = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""The file with the namespace of a pod (Kubernetes' documentation of service accounts)."""


class UnknownOutcomeError(KaleError):
    """A request to create something failed, and the server may have created it."""


class _Client(kfp.Client):  # type: ignore[misc]  # kfp has no annotations
    """kfp's client without its retries, and without its files in the user's home."""

    def _load_config(self, *given: Any, **named: Any) -> Any:
        configuration = super()._load_config(*given, **named)
        # `KfpClient` repeats requests, with a time limit.
        configuration.retries = urllib3.Retry(None, connect=0, read=0, redirect=5, status=0, other=0)
        return configuration

    def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:  # noqa: ARG002 - kfp's signature
        # kfp's constructor calls it before the credentials are set.
        return SimpleNamespace(multi_user=False)


@contextlib.contextmanager
def interrupt_message(message: Callable[[], str]) -> Iterator[None]:
    """Replace the traceback that IPython shows for an interrupt by a message.

    Args:
        message: Returns the message; that of the outermost context is shown.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        try:
            text = message()
        except KeyboardInterrupt:
            text = "interrupted again"
        vars(interrupt)["_render_traceback_"] = lambda: [f"KeyboardInterrupt: {text}"]
        raise


class KfpClient:
    """A client of a server that has responded once.

    Args:
        access: Returns the current address and credentials.
        host_option: How a magic names the server, as in " --host https://kfp.example.org"; empty if it is the
            one of the settings.

    Attributes:
        address: The server's address.
        page: The address of Kubeflow's page.
        client: kfp's client.

    Raises:
        KaleError: The server cannot be reached, authentication fails, or it is not a server of Kubeflow
            Pipelines 2.
    """

    def __init__(self, access: Callable[[], Access], host_option: str = "") -> None:
        self._access = access
        self.host_option = host_option
        known = access()
        self.address = known.address
        page = os.environ.get(PAGE_VARIABLE, "").rstrip("/")
        self.page = (page if "://" in page else f"http://{page}") if page else self.address
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # kfp warns that its client is new
            # The cookies that kfp stores in the user's home are those of another server.
            self.client = _Client(
                self.address,
                namespace=known.namespace or "kubeflow",
                cookies="",
                ssl_ca_cert=known.certificates,
            )
        self._check_responses()
        # From environment variables of kfp, as on Google's cloud.
        self._kfp_keys = dict(self.client.runs.api_client.configuration.api_key)
        self._namespace = str(self.client.get_user_namespace() or "")
        health: Any = self.read(
            lambda client: client.healthzs.healthz_service_get_healthz(_request_timeout=FIRST_TIMEOUTS),
            CONNECTING,
        )
        if health.multi_user and not self.namespace_argument:
            self._namespace = _namespace_of_pod()
            if not self.namespace_argument:
                raise needs_namespace(known)

    def _check_responses(self) -> None:
        """Limit and check every response, before kfp's client makes an object of it."""
        api = self.client.runs.api_client
        api.rest_client.pool_manager = self._pool = BoundedPool(api.rest_client.pool_manager)
        make = api.deserialize

        def deserialize(response: Any, kind: str) -> Any:
            if _is_web_page(response):
                raise WebPageError
            if kind != "file":
                check_response(response.data, kind)
            return make(response, kind)

        api.deserialize = deserialize

    @property
    def access(self) -> Access:
        """The current address and credentials."""
        return self._access()

    @property
    def list_command(self) -> str:
        """The magic that lists the server's runs."""
        return f"%kale_runs{self.host_option or ' --host'}"

    @property
    def namespace_argument(self) -> dict[str, str]:
        """The argument `namespace` of operations; empty in a single-user installation."""
        namespace = self.access.namespace or self._namespace
        return {"namespace": namespace} if namespace else {}

    def read(
        self,
        request: Callable[[Any], Response],
        action: str,
        patience: float = MAX_RETRY,
        list_command: str = "",
    ) -> Response:
        """Send a request that may be repeated, and repeat it while the server is down.

        Args:
            request: Calls an operation of kfp's client.
            action: What the request is for, for messages: "looking up run 1".
            patience: Seconds for which to repeat it.
            list_command: The magic that lists things of this kind; by default the one for runs.

        Raises:
            KaleError: The request failed.
        """
        with interrupt_message(lambda: f"interrupted while {action}"):
            return self._retry(request, action, patience, list_command or self.list_command)

    def _retry(
        self, request: Callable[[Any], Response], action: str, patience: float, list_command: str
    ) -> Response:
        deadline, pause = time.monotonic() + patience, FIRST_PAUSE
        while True:
            known = self.access
            keys = known.bearer, known.cookie_header
            try:
                return self._send(request)
            except (
                kfp_server_api.ApiException,
                urllib3.exceptions.HTTPError,
                WebPageError,
                InvalidResponseError,
                OSError,
            ) as error:
                wait = max(pause, _retry_after(error))
                # The user may have set another token since.
                new_keys = (self.access.bearer, self.access.cookie_header) != keys
                if not (_is_unauthorized(error) and new_keys) and (
                    not _is_temporary(error) or time.monotonic() + wait > deadline
                ):
                    # The error's own text has the headers of the response, and these may have cookies.
                    raise request_error(error, self.access, action, list_command) from None
            time.sleep(wait)
            pause = min(2 * pause, MAX_PAUSE)

    def write(
        self, request: Callable[[Any], Response], find: Callable[[Any], Response | None], action: str
    ) -> Response:
        """Send a request that creates something once: before it is repeated, the result is searched for.

        Args:
            request: Calls an operation of kfp's client.
            find: Returns the result if it exists, else None; raises `InvalidResponseError` if it is not known
                whether it exists.
            action: As in `read`.

        Raises:
            UnknownOutcomeError: The request failed, and the server may have created the result.
            KaleError: The request failed.
        """
        try:
            return self._send(request)
        except kfp_server_api.ApiException as error:
            if error.status and (error.status not in (409, *TEMPORARY) or rejection_fix(error)):
                raise request_error(error, self.access, action, self.list_command) from None
            failure: Exception = error
        except (urllib3.exceptions.HTTPError, WebPageError, InvalidResponseError, OSError) as error:
            failure = error  # a login page too may have replaced the server's response
        slow = _may_be_running(failure)
        try:
            found = self.search(find, action) if slow else self.read(find, action)
        except KaleError as error:
            is_page = isinstance(failure, WebPageError)  # the cause, whatever the search reports
            cause = request_error(failure, self.access, action, self.list_command) if is_page else error
            raise UnknownOutcomeError(*cause.diagnostics) from None
        if found is not None:
            return found
        if slow:  # the request may still be running: it is not repeated
            cause = request_error(failure, self.access, action, self.list_command)
            raise UnknownOutcomeError(*cause.diagnostics) from None
        return self.read(request, action, patience=0.0)

    def search(self, find: Callable[[Any], Response | None], action: str) -> Response | None:
        """Search for what a slow server may still be creating; None if it is not found.

        Args:
            find: As in `write`.
            action: As in `read`.

        Raises:
            KaleError: A request failed.
        """
        for count in range(SEARCHES):
            if count:
                time.sleep(SEARCH_INTERVAL)
            found = self.read(find, action)
            if found is not None:
                return found
        return None

    def download(
        self,
        path: str,
        action: str,
        patience: float = MAX_RETRY,
        address: str = "",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        large: bool = True,
    ) -> bytes | None:
        """Return the content at a path that is no operation of kfp's client; None if the server has none.

        Args:
            path: The path from the server's address on.
            action: As in `read`.
            patience: As in `read`.
            address: Another address; it gets the same credentials.
            body: What to send, for a POST; else it is a GET.
            headers: More headers.
            large: Whether it may be large, and take longer than other answers.

        Raises:
            KaleError: The server cannot be reached, or authentication fails.
        """

        def request(client: Any) -> bytes | None:
            api = client.runs.api_client
            cookies = {"Cookie": api.cookie} if api.cookie else {}
            sent = {**api.default_headers, **cookies, **(headers or {})}
            api.update_params_for_auth(sent, [], ["Bearer"])
            self._pool.limits = (MAX_FILE_SECONDS, MAX_FILE_BYTES) if large else (MAX_SECONDS, MAX_BYTES)
            try:
                url = (address or self.address) + path
                rest, options = api.rest_client, {"headers": sent, "_request_timeout": TIMEOUTS}
                response = rest.GET(url, **options) if body is None else rest.POST(url, body=body, **options)
            except kfp_server_api.ApiException as error:
                if error.status in UNAVAILABLE:
                    return None
                raise
            finally:
                self._pool.limits = MAX_SECONDS, MAX_BYTES
            content = bytes(response.data)  # the page's server says of texts that they are HTML
            return None if _is_web_page(response) and content.lstrip()[:1] == b"<" else content

        return self.read(request, action, patience)

    def _send(self, request: Callable[[Any], Response]) -> Response:
        """Send a request once, with the current credentials."""
        api = self.client.runs.api_client
        token, cookies = self.access.bearer, self.access.cookie_header
        api.cookie = cookies or None
        api.configuration.api_key = {"authorization": token} if token else dict(self._kfp_keys)
        api.configuration.api_key_prefix = {"authorization": "Bearer"}
        api.last_response = None
        response = request(self.client)
        if api.last_response is not None and _is_web_page(api.last_response):
            raise WebPageError
        return response


def _namespace_of_pod() -> str:
    """Return the namespace of the pod that this process runs in; empty outside of a pod."""
    try:
        return NAMESPACE_OF_POD.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _is_web_page(response: Any) -> bool:
    return "html" in (response.getheader("content-type") or "")


def _is_unauthorized(error: Exception) -> bool:
    return isinstance(error, WebPageError) or getattr(error, "status", None) in (401, 403)


def _may_be_running(error: Exception) -> bool:
    """Whether the server may still be processing a failed request."""
    if isinstance(error, InvalidResponseError):
        return error.late
    timeout = isinstance(error, (urllib3.exceptions.ReadTimeoutError, TimeoutError))
    inner = isinstance(getattr(error, "reason", None), urllib3.exceptions.ReadTimeoutError)
    return timeout or inner or getattr(error, "status", None) == 504


def _is_temporary(error: Exception) -> bool:
    if isinstance(error, kfp_server_api.ApiException):
        return error.status in TEMPORARY and not rejection_fix(error)
    reason = getattr(error, "reason", None)
    never = is_unknown_host(reason) or isinstance(reason, urllib3.exceptions.SSLError)
    return not isinstance(error, WebPageError) and not never


def _retry_after(error: Exception) -> float:
    """Return the seconds of the header `Retry-After`, `MAX_PAUSE` at most; 0 without it."""
    headers = getattr(error, "headers", None) or {}
    text = str(headers.get("Retry-After", ""))
    return min(float(text), MAX_PAUSE) if text.isdecimal() else 0.0
