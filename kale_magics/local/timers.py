"""What is to be done at a time, in a loop that waits for other things too."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable


class Timers:
    """Actions with the times at which they are due."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._counter = itertools.count()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something when that many seconds have gone by; of two at one time, the first is the first."""
        heapq.heappush(self._heap, (time.monotonic() + seconds, next(self._counter), action))

    def wait(self) -> float | None:
        """Seconds until the next one is due; None if there is none."""
        return max(0.0, self._heap[0][0] - time.monotonic()) if self._heap else None

    def ring(self) -> None:
        """Do what is due."""
        while self._heap and self._heap[0][0] <= time.monotonic():
            heapq.heappop(self._heap)[2]()
