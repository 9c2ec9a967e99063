"""The connection to a server of Kubeflow Pipelines: who asks, and what is tried again.

kfp's own client knows the addresses and the operations. Around it stand what it lacks: a limit of time, calls
that are made again while a server is away for a moment, and a sentence for what goes wrong (`explaining`).
"""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import kfp
import kfp_server_api
import urllib3

from kale_magics.kubeflow.access import Access
from kale_magics.kubeflow.answers import (
    FILE_BYTES,
    FILE_SECONDS,
    MOST_BYTES,
    MOST_SECONDS,
    BadAnswerError,
    BoundedPool,
    check_answer,
)
from kale_magics.kubeflow.explaining import AWAY, NotTheApiError, explain_server_error, needs_namespace
from kale_magics.model.diagnostics import KaleError

Answer = TypeVar("Answer")

TIMES, FIRST_TIMES = (2, 30), (2, 7)
"""Seconds to connect, and for an answer; of what is asked first, so that a wrong address is told soon."""

SHORT, LONG = 5.0, 300.0
"""Seconds for which calls are made again: before anything has begun, and while a run is followed."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds before a call is made again: they double."""

PAGE_VARIABLE = "KF_PIPELINES_UI_ENDPOINT"
"""kfp's own environment variable with the address of Kubeflow's page, where that is another one."""

LOOKS, BETWEEN_LOOKS = 5, 2.0
"""How often, and after how many seconds, what may still be made is looked for when no answer came in time."""

NOT_GIVEN = frozenset({400, 403, 404, 405, 410, 422, 500, 501})
"""What a server answers to a request for a file that it does not give; 500 too, for a pod that is gone."""


class UnsureError(KaleError):
    """A server was to make something, and nobody knows whether it has."""


class _Client(kfp.Client):  # type: ignore[misc]  # kfp has no annotations
    """kfp's client, but that it does not wait for minutes, and writes no file in the user's home."""

    def _load_config(self, *given: Any, **named: Any) -> Any:
        configuration = super()._load_config(*given, **named)
        # Calls are made again here, where it is known how long that may go on.
        configuration.retries = urllib3.Retry(None, connect=0, read=0, redirect=5, status=0, other=0)
        return configuration

    def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:  # noqa: ARG002 - kfp's own
        # Its constructor asks this of a server that it does not know yet.
        return SimpleNamespace(multi_user=False)

    def set_user_namespace(self, namespace: str) -> None:
        self._context_setting["namespace"] = namespace


@contextlib.contextmanager
def told_when_interrupted(say: Callable[[], str]) -> Iterator[None]:
    """Have IPython show a sentence in the place of an interrupt's traceback, which would be all ours.

    Args:
        say: Gives the sentence; the outermost one is shown.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        try:
            said = say()
        except KeyboardInterrupt:
            said = "interrupted once more"
        vars(interrupt)["_render_traceback_"] = lambda: [f"KeyboardInterrupt: {said}"]
        raise


class Server:
    """A server that has answered once.

    Args:
        access: Gives where it is and how to come in, as that is now.
        named: How a magic is told of this server, as in " --host https://kfp.example.org"; empty if it is the
            one of the settings.

    Attributes:
        address: Its address.
        page: The address of Kubeflow's page.
        client: kfp's client.

    Raises:
        KaleError: It cannot be reached, does not let in, or is no server of Kubeflow Pipelines 2.
    """

    def __init__(self, access: Callable[[], Access], named: str = "") -> None:
        self._access = access
        self.named = named
        known = access()
        self.address = known.address
        page = os.environ.get(PAGE_VARIABLE, "").rstrip("/")
        self.page = (page if "://" in page else f"http://{page}") if page else self.address
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that kfp's client is new, which it no longer is
            # Cookies of its own that kfp keeps in the user's home are for another server.
            self.client = _Client(
                self.address,
                namespace=known.namespace or "kubeflow",
                cookies="",
                ssl_ca_cert=known.certificates,
            )
        self._watch_answers()
        # What kfp has from variables of its own, as on Google's cloud.
        self._found = dict(self.client._run_api.api_client.configuration.api_key)
        health: Any = self.read(
            lambda client: client._healthz_api.healthz_service_get_healthz(_request_timeout=FIRST_TIMES),
            "the server was asked whether it is there",
        )
        if health.multi_user and not self.scope:
            self.client.set_user_namespace(_namespace_of_pod())
            if not self.scope:
                raise needs_namespace(known)

    def _watch_answers(self) -> None:
        """Have every answer bounded and checked, before kfp's client makes an object of it."""
        api = self.client._run_api.api_client
        api.rest_client.pool_manager = self._pool = BoundedPool(api.rest_client.pool_manager)
        make = api.deserialize

        def deserialize(answer: Any, kind: str) -> Any:
            if _is_page(answer):
                raise NotTheApiError
            if kind != "file":
                check_answer(answer.data, kind)
            return make(answer, kind)

        api.deserialize = deserialize

    @property
    def access(self) -> Access:
        """How to come in, as it is now."""
        return self._access()

    @property
    def listing(self) -> str:
        """The line that lists its runs."""
        return f"%kale_runs{self.named or ' --host'}"

    @property
    def scope(self) -> dict[str, str]:
        """The argument `namespace` of operations: the user's, or none where there is one for all."""
        namespace = self.access.namespace or str(self.client.get_user_namespace() or "")
        return {"namespace": namespace} if namespace else {}

    def read(
        self,
        ask: Callable[[Any], Answer],
        what: str,
        patience: float = SHORT,
        lists: str = "",
    ) -> Answer:
        """Ask for something that may be asked for twice; asked again while the server is away.

        Args:
            ask: Gets kfp's client.
            what: What was to be done, for a failure: "run 1 was looked up".
            patience: Seconds for which it is asked again.
            lists: The magic that lists what was asked for; by default the one for runs.

        Raises:
            KaleError: It fails for good.
        """
        with told_when_interrupted(lambda: f"stopped while {what}"):
            return self._persist(ask, what, patience, lists)

    def _persist(self, ask: Callable[[Any], Answer], what: str, patience: float, lists: str) -> Answer:
        deadline, pause = time.monotonic() + patience, FIRST_PAUSE
        while True:
            known = self.access
            keys = known.bearer, known.cookie_header
            try:
                return self._ask(ask)
            except (
                kfp_server_api.ApiException,
                urllib3.exceptions.HTTPError,
                NotTheApiError,
                BadAnswerError,
                OSError,
            ) as error:
                wait = max(pause, _asked_to_wait(error))
                # The user may have got another token meanwhile.
                again = _is_refused(error) and (self.access.bearer, self.access.cookie_header) != keys
                if not again and (not _may_pass(error) or time.monotonic() + wait > deadline):
                    # Its own text has the answer's headers in it, and these may have cookies.
                    raise explain_server_error(error, self.access, what, lists or self.listing) from None
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)

    def write(self, ask: Callable[[Any], Answer], find: Callable[[Any], Answer | None], what: str) -> Answer:
        """Have something made, once: if nobody knows whether it was, it is looked for first.

        Args:
            ask: Has it made.
            find: Gives it if it is there, and None if it is not; it may raise `BadAnswerError` where an
                answer says neither.
            what: As `read`.

        Raises:
            UnsureError: Nobody knows whether it was made.
            KaleError: It was not made.
        """
        try:
            return self._ask(ask)
        except kfp_server_api.ApiException as error:
            if error.status and error.status not in (409, *AWAY):
                raise explain_server_error(error, self.access, what, self.listing) from None
            failed: Exception = error
        except (urllib3.exceptions.HTTPError, NotTheApiError, BadAnswerError, OSError) as error:
            failed = error  # a login page too may have come in the place of the server's answer
        slow = _may_go_on(failed)
        try:
            made = self.look_for(find, what) if slow else self.read(find, what)
        except KaleError as error:
            page = isinstance(failed, NotTheApiError)  # the reason, whatever came of the search
            told = explain_server_error(failed, self.access, what, self.listing) if page else error
            raise UnsureError(*told.diagnostics) from None
        if made is not None:
            return made
        if slow:  # it is not asked for once more
            raise UnsureError(
                *explain_server_error(failed, self.access, what, self.listing).diagnostics
            ) from None
        return self.read(ask, what, patience=0.0)

    def look_for(self, find: Callable[[Any], Answer | None], what: str) -> Answer | None:
        """What a slow server may still be making; None if it is not there after some looks.

        Args:
            find: As `write`.
            what: As `read`.

        Raises:
            KaleError: The server cannot be asked.
        """
        for look in range(LOOKS):
            if look:
                time.sleep(BETWEEN_LOOKS)
            made = self.read(find, what)
            if made is not None:
                return made
        return None

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
            self._pool.limits = FILE_SECONDS, FILE_BYTES
            try:
                answer = api.rest_client.GET(self.address + path, headers=headers, _request_timeout=TIMES)
            except kfp_server_api.ApiException as error:
                if error.status in NOT_GIVEN:
                    return None
                raise
            finally:
                self._pool.limits = MOST_SECONDS, MOST_BYTES
            return None if _is_page(answer) else bytes(answer.data)

        return self.read(ask, what, patience)

    def _ask(self, ask: Callable[[Any], Answer]) -> Answer:
        """Ask once, as the user who is known now."""
        api = self.client._run_api.api_client
        token, cookies = self.access.bearer, self.access.cookie_header
        api.cookie = cookies or None
        api.configuration.api_key = {"authorization": token} if token else dict(self._found)
        api.configuration.api_key_prefix = {"authorization": "Bearer"}
        api.last_response = None
        answer = ask(self.client)
        if api.last_response is not None and _is_page(api.last_response):
            raise NotTheApiError
        return answer


def _namespace_of_pod() -> str:
    """The namespace of the pod that this runs in; empty if it is none."""
    try:
        return Path(kfp.Client._NAMESPACE_PATH).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _is_page(answer: Any) -> bool:
    return "html" in (answer.getheader("content-type") or "")


def _is_refused(error: Exception) -> bool:
    return isinstance(error, NotTheApiError) or getattr(error, "status", None) in (401, 403)


def _may_go_on(error: Exception) -> bool:
    """Whether a server may still be doing what it was asked for."""
    if isinstance(error, BadAnswerError):
        return error.late
    timeout = isinstance(error, (urllib3.exceptions.ReadTimeoutError, TimeoutError))
    inner = isinstance(getattr(error, "reason", None), urllib3.exceptions.ReadTimeoutError)
    return timeout or inner or getattr(error, "status", None) == 504


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
