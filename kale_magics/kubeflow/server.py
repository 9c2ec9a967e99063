"""The connection to a server of Kubeflow Pipelines: who asks, what is tried again, and what an error means.

kfp's own client knows the addresses and the operations. Around it stand what it lacks: a limit of time, calls
that are made again while a server is away for a moment, and a sentence for whatever goes wrong.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import kfp
import kfp_server_api
import urllib3
from kfp.client.set_volume_credentials import ServiceAccountTokenVolumeCredentials

from kale_magics.commands import HOST_VARIABLE
from kale_magics.diagnostics import Code, KaleError, refuse

Answer = TypeVar("Answer")

TIMES, FIRST_TIMES = (2, 30), (2, 7)
"""Seconds to connect, and for an answer; of what is asked first, so that a wrong address is told soon."""

AWAY = frozenset({429, 500, 502, 503, 504})
"""What a server answers that may do better in a moment."""

SHORT, LONG = 5.0, 300.0
"""Seconds for which calls are made again: before anything has begun, and while a run is followed."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds before a call is made again: they double."""

TOKEN_FILE_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105 - the name of a variable of kfp's
"""kfp's own environment variable."""


@dataclass(frozen=True)
class Access:
    """Where the server is, and how to come in; what is secret is not shown.

    Attributes:
        host: Its address.
        namespace: Of the user, where an installation has several.
        token: A bearer token.
        token_file: A file with one, which may change at any time.
        cookies: What a browser sends that is logged in.
        ca_cert: A file with the certificates that are trusted.
    """

    host: str = ""
    namespace: str = ""
    token: str = field(default="", repr=False)
    token_file: str = ""
    cookies: str = field(default="", repr=False)
    ca_cert: str = ""

    @property
    def address(self) -> str:
        """The server's address with its protocol.

        Raises:
            KaleError: There is none.
        """
        host = (self.host or os.environ.get(HOST_VARIABLE, "")).strip().rstrip("/")
        if not host:
            fix = "name it: %kale_run --host https://kfp.example.org, or %config KaleMagics.host = ..."
            raise refuse(Code.NO_SERVER, "nobody has said where the server is", fix)
        address = host if "://" in host else f"https://{host}"
        if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
            message = f"{host!r} is no address of a server"
            raise refuse(Code.NO_SERVER, message, "write it as in https://kfp.example.org")
        return address


class _Client(kfp.Client):  # type: ignore[misc]  # kfp has no annotations
    """kfp's client, but that it does not wait for minutes, and writes no file in the user's home."""

    def _load_config(self, *given: Any, **named: Any) -> Any:
        configuration = super()._load_config(*given, **named)
        # Calls are made again here, where it is known how long that may go on.
        configuration.retries = urllib3.Retry(None, connect=0, read=0, redirect=5, status=0, other=0)
        return configuration

    def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:  # noqa: ARG002 - kfp's own
        return self._healthz_api.healthz_service_get_healthz(_request_timeout=FIRST_TIMES)

    def set_user_namespace(self, namespace: str) -> None:
        self._context_setting["namespace"] = namespace


class NotTheApiError(Exception):
    """A page for people came where an answer for programs was asked for."""


class Server:
    """A server that has answered once.

    Args:
        access: Gives where it is and how to come in; asked again when the server no longer lets in.

    Attributes:
        address: Its address.
        client: kfp's client.

    Raises:
        KaleError: It cannot be reached, does not let in, or is no server of Kubeflow Pipelines 2.
    """

    def __init__(self, access: Callable[[], Access]) -> None:
        self._access = access
        self.address = access().address
        self.client = self._connect()

    def _connect(self) -> Any:
        known = self._known = self._access()
        by_file = known.token_file or os.environ.get(TOKEN_FILE_VARIABLE)

        def connect() -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that this client is new, which it no longer is
                client = _Client(
                    self.address,
                    namespace=known.namespace or "kubeflow",
                    existing_token=known.token or None,
                    cookies=known.cookies or None,
                    ssl_ca_cert=known.ca_cert or None,
                    credentials=ServiceAccountTokenVolumeCredentials(by_file) if by_file else None,
                )
            client.get_kfp_healthz()
            _check_kind(client)
            return client

        return self._persist(connect, SHORT, "the server was asked whether it is there")

    @property
    def scope(self) -> dict[str, str]:
        """The argument `namespace` of operations: the user's, or none where there is one for all."""
        namespace = self._access().namespace or str(self.client.get_user_namespace() or "")
        return {"namespace": namespace} if namespace else {}

    def read(self, ask: Callable[[Any], Answer], what: str, patience: float = SHORT) -> Answer:
        """Ask for something that may be asked for twice; asked again while the server is away.

        Args:
            ask: Gets kfp's client.
            what: What was to be done, for a failure: "run 1 was looked up".
            patience: Seconds for which it is asked again.

        Raises:
            KaleError: It fails for good.
        """

        def call() -> Answer:
            answer = ask(self.client)
            _check_kind(self.client)
            return answer

        try:
            return self._persist(call, patience, what)
        except KaleError as error:
            if error.diagnostics[0].code is not Code.NOT_LET_IN or self._access() == self._known:
                raise
            self.client = self._connect()  # the user has got another token meanwhile
            return self._persist(call, patience, what)

    def write(self, ask: Callable[[Any], Answer], find: Callable[[Any], Answer | None], what: str) -> Answer:
        """Have something made, once: if nobody knows whether it was, it is looked for first.

        Args:
            ask: Has it made.
            find: Gives it if it is there.
            what: As `read`.

        Raises:
            KaleError: It fails for good.
        """
        try:
            return self.read(ask, what, patience=0.0)
        except KaleError as error:
            if error.diagnostics[0].code not in (Code.UNREACHABLE, Code.SERVER_FAILS):
                raise
        made = self.read(find, what)
        return made if made is not None else self.read(ask, what, patience=0.0)

    def get(self, path: str, what: str, patience: float = SHORT) -> bytes | None:
        """What is at a path that kfp's client has no operation for; None if the server does not give it.

        Args:
            path: From the server's address on.
            what: As `read`.
            patience: As `read`.

        Raises:
            KaleError: The server cannot be reached, or does not know the user.
        """

        def ask(client: Any) -> bytes | None:
            api = client._run_api.api_client
            headers = {**api.default_headers, **({"Cookie": api.cookie} if api.cookie else {})}
            api.update_params_for_auth(headers, [], ["Bearer"])
            try:
                answer = api.rest_client.GET(self.address + path, headers=headers, _request_timeout=TIMES)
            except kfp_server_api.ApiException as error:
                # For a pod that is gone, or has another name, KFP answers 500 too.
                if not error.status or error.status == 401:
                    raise
                return None
            return bytes(answer.data)

        return self.read(ask, what, patience)

    def _persist(self, call: Callable[[], Answer], patience: float, what: str) -> Answer:
        deadline, pause = time.monotonic() + patience, FIRST_PAUSE
        while True:
            try:
                return call()
            except (
                kfp_server_api.ApiException,
                urllib3.exceptions.HTTPError,
                NotTheApiError,
                OSError,
            ) as error:
                wait = max(pause, _asked_to_wait(error))
                if not _may_pass(error) or time.monotonic() + wait > deadline:
                    raise explain(error, self.address, self._access().namespace, what, self) from error
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)

    def keep_secrets(self, text: str) -> None:
        """Refuse a pipeline that has in it how to come in.

        Raises:
            KaleError: It has.
        """
        known = self._access()
        if any(secret and len(secret) > 5 and secret in text for secret in (known.token, known.cookies)):
            message = "your token or your cookies for the server stand in a marked cell"
            fix = "take them out of the cell, and give steps what they need by --secret NAME:KEY:VARIABLE"
            raise refuse(Code.SECRET_IN_FILE, message, fix)

    def is_v1(self) -> bool:
        """Whether it knows the old API."""
        try:
            pool = urllib3.PoolManager(retries=False, ca_certs=self._access().ca_cert or None)
            return pool.request("GET", f"{self.address}/apis/v1beta1/healthz", timeout=TIMES[0]).status == 200
        except (urllib3.exceptions.HTTPError, OSError):
            return False


def _check_kind(client: Any) -> None:
    answer = getattr(client._healthz_api.api_client, "last_response", None)
    if answer is not None and "html" in (answer.getheader("content-type") or ""):
        raise NotTheApiError


def _may_pass(error: Exception) -> bool:
    if isinstance(error, kfp_server_api.ApiException):
        return error.status in AWAY
    reason = getattr(error, "reason", None)
    never = (urllib3.exceptions.NameResolutionError, urllib3.exceptions.SSLError)
    return not isinstance(error, NotTheApiError) and not isinstance(reason, never)


def _asked_to_wait(error: Exception) -> float:
    """Seconds that the server asks to wait."""
    headers = getattr(error, "headers", None) or {}
    text = str(headers.get("Retry-After", ""))
    return min(float(text), LONGEST_PAUSE) if text.isdecimal() else 0.0


def told(error: kfp_server_api.ApiException) -> str:
    """What a server says of an error."""
    try:
        body = json.loads(error.body or "")
        text = str(body.get("message") or body.get("error_message") or body.get("error") or "")
    except (ValueError, AttributeError):
        text = str(error.body or "")
    return (text or str(error.reason or "")).strip().partition("\n")[0][:300]


def explain(
    error: Exception, address: str, namespace: str, what: str, server: Server | None = None
) -> KaleError:
    """The sentence for what went wrong with a server, without anything that is secret."""
    host = urlsplit(address).hostname or address
    if isinstance(error, NotTheApiError):
        message = f"{host} answers with a page to log in, not as a server of Kubeflow Pipelines"
        fix = "log in, and set KALE_COOKIES in the environment to what your browser has, or KALE_TOKEN"
        return refuse(Code.NOT_LET_IN, message, fix)
    if isinstance(error, kfp_server_api.ApiException) and error.status:
        return _explain_status(error, host, namespace, what, server)
    reason = getattr(error, "reason", None) or error
    if isinstance(error, kfp_server_api.ApiException) or isinstance(reason, urllib3.exceptions.SSLError):
        message = f"the certificate of {host} is not trusted"
        fix = "name the file with those that are: %config KaleMagics.ca_cert = '/path/ca.pem'"
        return refuse(Code.UNREACHABLE, message, fix)
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return refuse(
            Code.UNREACHABLE, f"there is no host {host}", "check the address, and your network or VPN"
        )
    if isinstance(reason, (urllib3.exceptions.NewConnectionError, ConnectionRefusedError)):
        fix = "check the port, and whether its forwarding still runs (kubectl port-forward)"
        return refuse(Code.UNREACHABLE, f"nobody listens at {address}", fix)
    if isinstance(reason, (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.ReadTimeoutError)):
        message = f"{address} does not answer in time ({what})"
        return refuse(Code.UNREACHABLE, message, "check the address, and your network or VPN; then try again")
    return refuse(Code.UNREACHABLE, f"the connection to {address} broke off ({what})", "try again")


def _explain_status(
    error: kfp_server_api.ApiException, host: str, namespace: str, what: str, server: Server | None
) -> KaleError:
    status, says = error.status, told(error)
    if status == 401:
        fix = "set a token that is good: KALE_TOKEN in the environment, or %config KaleMagics.token_file"
        return refuse(Code.NOT_LET_IN, f"{host} does not know who you are ({says})", fix)
    if status == 400 and "empty namespace" in says:
        fix = "%config KaleMagics.namespace = ..., as Kubeflow's page shows it above"
        return refuse(Code.NOT_LET_IN, f"{host} has many users, and wants to know your namespace", fix)
    if status == 403:
        where = f" in namespace {namespace}" if namespace else ""
        fix = "set the namespace that is yours: %config KaleMagics.namespace = ..., or ask for the right"
        return refuse(Code.NOT_LET_IN, f"{host} does not let you do this{where}: {says}", fix)
    if status == 404 and "asked whether" in what:
        if server is not None and server.is_v1():
            message = f"{host} is a server of Kubeflow Pipelines 1"
            return refuse(Code.NO_SERVER, message, "pipelines of this project need version 2")
        message = f"there is no Kubeflow Pipelines at {server.address if server else host}"
        return refuse(Code.NO_SERVER, message, "check the address; its end may be /pipeline")
    if status == 404:
        return refuse(
            Code.NO_SUCH_RUN, f"{host} has no such thing ({what}): {says}", "%kale_runs --host lists runs"
        )
    if status in AWAY:
        message = f"{host} fails: it answers {status}, {says} ({what})"
        return refuse(Code.SERVER_FAILS, message, "try again later; what is on the server goes on")
    fix = "a server that is too old for what a step asks says so too: leave that out, or have it upgraded"
    return refuse(Code.SERVER_REFUSES, f"{host} does not take this ({what}): {says}", fix)
