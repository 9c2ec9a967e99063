"""Limits and checks for the responses of a server: their time, their size, and the types of KFP's API.

kfp's client makes an object of any JSON: of `{}` a run without an id. Every response is checked here first.
"""

from __future__ import annotations

import contextlib
import io
import json
import queue
import re
import threading
import time
from typing import Any

import kfp_server_api
import urllib3

MAX_SECONDS = 60.0
"""Seconds of a request, however slowly its response comes."""

MAX_BYTES = 64 << 20
"""Bytes of a JSON response: a run of 2,000 steps has 4 MiB."""

MAX_FILE_SECONDS, MAX_FILE_BYTES = 900.0, 16 << 30
"""The same for a file: a log, an artifact."""

CHUNK = 1 << 16

REQUIRED = {
    "V2beta1Run": "run_id",
    "V2beta1RecurringRun": "recurring_run_id",
    "V2beta1Pipeline": "pipeline_id",
    "V2beta1PipelineVersion": "pipeline_version_id",
    "V2beta1Experiment": "experiment_id",
}
"""The required field of each type of the API."""

IDENTIFIER = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,126}")
"""An id may become the name of a folder here, so it must not be a path."""

_PLAIN: dict[str, Any] = {"str": str, "int": (int, str), "bool": bool, "float": (int, float), "datetime": str}
"""The types of JSON by the types of the API, which writes 64-bit numbers as texts."""


class InvalidResponseError(Exception):
    """A response that does not follow the API, or exceeds a limit.

    Attributes:
        late: Whether it did not end in time: the server may still be processing the request.
    """

    def __init__(self, reason: str, late: bool = False) -> None:
        super().__init__(reason)
        self.late = late


def check_response(text: str, kind: str) -> None:
    """Check a response against its type.

    Args:
        text: The JSON.
        kind: Its type in the API, as in "V2beta1Run".

    Raises:
        InvalidResponseError: It does not have that type.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidResponseError(f"it is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise InvalidResponseError(f"it is {text.strip()[:20]}")
    _check(found, kind, kind)


def _check(found: Any, kind: str, place: str) -> None:
    """Check a part of a response against a type of the API, as kfp's models spell it."""
    if found is None or kind == "object":
        return
    if kind.startswith(("list[", "dict(")):
        items, inner = _items(found, kind, place)
        if None in items and inner != "object":
            raise InvalidResponseError(f"{place} has null in place of {inner}")
        for item in items:
            _check(item, inner, place)
        return
    if kind in _PLAIN:
        if not isinstance(found, _PLAIN[kind]):
            raise InvalidResponseError(f"{place} is {json.dumps(found)[:20]}")
        return
    model: Any = getattr(kfp_server_api, kind, None)
    if not hasattr(model, "openapi_types") or hasattr(model, "allowable_values"):
        return
    if not isinstance(found, dict):
        raise InvalidResponseError(f"{place} is {json.dumps(found)[:20]}")
    required = REQUIRED.get(kind)
    if required is not None and not _is_identifier(found.get(required)):
        raise InvalidResponseError(f"its {required} is {json.dumps(found.get(required))[:40]}")
    for name, inner in model.openapi_types.items():
        key = model.attribute_map[name]
        if key in found:
            _check(found[key], inner, key)


def _items(found: Any, kind: str, place: str) -> tuple[list[Any], str]:
    if kind.startswith("list["):
        items = found if isinstance(found, list) else None
        inner = kind[len("list[") : -1]
    else:
        items = list(found.values()) if isinstance(found, dict) else None
        inner = kind.partition(", ")[2][:-1]
    if items is None:
        raise InvalidResponseError(f"{place} is {json.dumps(found)[:20]}")
    return items, inner


def _is_identifier(found: Any) -> bool:
    return isinstance(found, str) and IDENTIFIER.fullmatch(found) is not None


class BoundedPool:
    """A pool of connections that limits the time and the size of each response.

    Args:
        pool: A `urllib3.PoolManager`, or an object with its methods.

    Attributes:
        limits: Seconds and bytes of the next response.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.limits = MAX_SECONDS, MAX_BYTES

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def request(self, method: str, url: str, **named: Any) -> Any:
        """Send a request, as the pool does.

        Raises:
            InvalidResponseError: The response takes too long, or is too large.
            Exception: What the pool raises.
        """
        seconds, max_bytes = self.limits
        deadline = time.monotonic() + seconds
        responses: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def send() -> None:
            try:
                responses.put(self._read(method, url, max_bytes, deadline, named))
            except BaseException as error:  # raised again in the caller's thread
                responses.put(error)

        # A thread waits for a server that sends its headers slowly, and ends when the server does.
        threading.Thread(target=send, daemon=True).start()
        try:
            response = responses.get(timeout=seconds + 1)
        except queue.Empty:
            raise InvalidResponseError(f"it is not complete after {seconds:g} s", late=True) from None
        if isinstance(response, BaseException):
            raise response
        return response

    def _read(self, method: str, url: str, max_bytes: int, deadline: float, named: dict[str, Any]) -> Any:
        response = self._pool.request(method, url, **{**named, "preload_content": False})
        content = io.BytesIO()
        with contextlib.closing(response):
            # Before version 2, urllib3 has no `read1`, which does not wait for a whole piece.
            read = getattr(response, "read1", response.read)
            while piece := read(CHUNK):
                content.write(piece)
                if time.monotonic() > deadline:
                    raise InvalidResponseError("it is not complete in time", late=True)
                if content.tell() > max_bytes:
                    raise InvalidResponseError(f"it is larger than {max_bytes >> 20} MiB")
            response.release_conn()
        content.seek(0)
        known = {"headers": response.headers, "status": response.status, "reason": response.reason}
        return urllib3.HTTPResponse(body=content, preload_content=True, **known)
