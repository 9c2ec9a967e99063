"""What goes wrong between a client and the server, when a test wants it to."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["fail", "delay", "drop", "say", "drip"]


@dataclass
class Fault:
    """Something that goes wrong with requests.

    Attributes:
        kind: What.
        method: HTTP's method; "" for all.
        path_part: What is in their path; with a "$" behind it, what their path ends with.
        times: How many more of them it befalls.
        status: With which a request fails.
        retry_after: Seconds after which a client is told to try again.
        seconds: How long an answer is delayed.
        after: Whether the request is carried out first.
        text: What is answered in the place of the answer, or byte by byte before it ends.
        content_type: Of that text.
    """

    kind: Kind
    method: str
    path_part: str
    times: int
    status: int = 0
    retry_after: int | None = None
    seconds: float = 0
    after: bool = False
    text: str = ""
    content_type: str = "application/json"

    def befalls(self, method: str, path: str) -> bool:
        """Whether a request is one of those."""
        part = self.path_part
        there = path.endswith(part[:-1]) if part.endswith("$") else part in path
        return self.times > 0 and self.method in ("", method) and there


@dataclass
class Faults:
    """All that is going to go wrong: of those that befall a request, one delay and one other."""

    waiting: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> None:
        """Let something go wrong."""
        with self.lock:
            self.waiting.append(fault)

    def take(self, method: str, path: str) -> tuple[Fault | None, Fault | None]:
        """What befalls a request: a delay, and something else."""
        with self.lock:
            befalling = [fault for fault in self.waiting if fault.befalls(method, path)]
            delay = next((fault for fault in befalling if fault.kind == "delay"), None)
            other = next((fault for fault in befalling if fault.kind != "delay"), None)
            for fault in (delay, other):
                if fault is not None:
                    fault.times -= 1
        return delay, other
