"""What can go wrong on the way to a server, on request."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass
class Fault:
    """Something that goes wrong with requests.

    Attributes:
        method: HTTP's; "" for any.
        path: A part of the paths that it is for.
        times: How often it still happens.
        status: The answer, unless it is 0.
        retry_after: Seconds that the answer asks to wait.
        seconds: How long nothing happens first.
        drops: Whether the connection is closed without an answer.
        after: Whether the request is carried out before.
        html: Whether a page of HTML is the answer.
    """

    method: str
    path: str
    times: int
    status: int = 0
    retry_after: int | None = None
    seconds: float = 0.0
    drops: bool = False
    after: bool = False
    html: bool = False


class Faults:
    """The faults that are waiting for their requests."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """From now on this goes wrong."""
        with self._lock:
            self._waiting.append(fault)

    def take(self, method: str, path: str) -> Fault | None:
        """What goes wrong with a request, if anything does."""
        with self._lock:
            for fault in self._waiting:
                if fault.times > 0 and fault.method in ("", method) and fault.path in path:
                    fault.times -= 1
                    return fault
        return None
