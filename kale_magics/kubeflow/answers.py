"""What a server may answer: in time, not too much of it, and as KFP's API documents it.

kfp's client makes an object of anything: of `{}` a run without an id. Every answer passes here first.
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

MOST_SECONDS = 60.0
"""Seconds that a request may take in all, however its answer drips."""

MOST_BYTES = 64 << 20
"""Bytes of an answer that is JSON: a run of 2,000 steps has 4 MiB."""

FILE_SECONDS, FILE_BYTES = 900.0, 16 << 30
"""The same for what is a file: a log, an artifact."""

CHUNK = 1 << 16

REQUIRED = {
    "V2beta1Run": "run_id",
    "V2beta1RecurringRun": "recurring_run_id",
    "V2beta1Pipeline": "pipeline_id",
    "V2beta1PipelineVersion": "pipeline_version_id",
    "V2beta1Experiment": "experiment_id",
}
"""What an object of the API cannot be without."""

IDENTIFIER = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,126}")
"""An id may become the name of a folder here: no path."""

_PLAIN: dict[str, Any] = {"str": str, "int": (int, str), "bool": bool, "float": (int, float), "datetime": str}
"""Python's types of JSON by the types of the API; numbers of 64 bits are texts there."""


class BadAnswerError(Exception):
    """An answer that the API does not document, or of which nobody waits for the end.

    Attributes:
        late: Whether it did not end in time: the server may be doing what it was asked for.
    """

    def __init__(self, what: str, late: bool = False) -> None:
        super().__init__(what)
        self.late = late


def check_answer(text: str, kind: str) -> None:
    """Check an answer.

    Args:
        text: The JSON.
        kind: Its type in the API, as in "V2beta1Run".

    Raises:
        BadAnswerError: It is not what the API documents.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadAnswerError(f"it is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise BadAnswerError(f"it is {text.strip()[:20]}")
    _check(found, kind, kind)


def _check(found: Any, kind: str, place: str) -> None:
    """Check a part of an answer against a type of the API, as kfp's models spell it."""
    if found is None or kind == "object":
        return
    if kind.startswith(("list[", "dict(")):
        items, inner = _items(found, kind, place)
        if None in items and inner != "object":
            raise BadAnswerError(f"{place} has nothing in the place of {inner}")
        for item in items:
            _check(item, inner, place)
        return
    if kind in _PLAIN:
        if not isinstance(found, _PLAIN[kind]):
            raise BadAnswerError(f"{place} is {json.dumps(found)[:20]}")
        return
    model: Any = getattr(kfp_server_api, kind, None)
    if not hasattr(model, "openapi_types") or hasattr(model, "allowable_values"):
        return
    if not isinstance(found, dict):
        raise BadAnswerError(f"{place} is {json.dumps(found)[:20]}")
    required = REQUIRED.get(kind)
    if required is not None and not _is_identifier(found.get(required)):
        raise BadAnswerError(f"its {required} is {json.dumps(found.get(required))[:40]}")
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
        raise BadAnswerError(f"{place} is {json.dumps(found)[:20]}")
    return items, inner


def _is_identifier(found: Any) -> bool:
    return isinstance(found, str) and IDENTIFIER.fullmatch(found) is not None


class BoundedPool:
    """Makes the requests of a pool of connections, each in a total time and up to a total size.

    Args:
        pool: `urllib3.PoolManager` or its like.

    Attributes:
        limits: Seconds and bytes for what is asked next.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.limits = MOST_SECONDS, MOST_BYTES

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def request(self, method: str, url: str, **named: Any) -> Any:
        """Make a request, as the pool does.

        Raises:
            BadAnswerError: The answer takes too long, or is too large.
            Exception: What the pool raises.
        """
        seconds, most = self.limits
        until = time.monotonic() + seconds
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._read(method, url, most, until, named))
            except BaseException as error:  # it is raised where the caller waits
                answers.put(error)

        # A server that drips its head is waited for in a thread, which ends when the server does.
        threading.Thread(target=ask, daemon=True).start()
        try:
            answer = answers.get(timeout=seconds + 1)
        except queue.Empty:
            raise BadAnswerError(f"it does not end in {seconds:g} s", late=True) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _read(self, method: str, url: str, most: int, until: float, named: dict[str, Any]) -> Any:
        answer = self._pool.request(method, url, **{**named, "preload_content": False})
        content = io.BytesIO()
        with contextlib.closing(answer):
            while piece := answer.read1(CHUNK):
                content.write(piece)
                late = time.monotonic() > until
                wrong = "it does not end in time" if late else ""
                wrong = wrong or (f"it has more than {most >> 20} MiB" if content.tell() > most else "")
                if wrong:
                    raise BadAnswerError(wrong, late)
            answer.release_conn()
        content.seek(0)
        known = {"headers": answer.headers, "status": answer.status, "reason": answer.reason}
        return urllib3.HTTPResponse(body=content, preload_content=True, **known)
