"""The fingerprints of a session's variables, taken when a marked cell has run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from kale_magics.step_runtime.fingerprint import fingerprint_and_cost, reached_names
from kale_magics.step_runtime.nodes import is_plain, unknown_node

MAX_VALUES = 1
"""How many values a cell may have read whole, each as far as the budget of one value goes."""

MAX_VALUES_PER_SECOND = 15
"""How many more for each second that the cell took."""

MIN_SECONDS = 0.0015
"""Processor time that a cell's fingerprints may take in any case."""

MAX_SECONDS = 20
"""Seconds of a cell beyond which it may have no more values read."""

NOT_READ = unknown_node("", "its cell has more values than are read")

IPYTHON_NAMES = frozenset("In Out exit quit get_ipython open display".split())
"""IPython's own names."""


class Identities:
    """Which objects the names of a session have, when a cell begins.

    Args:
        values: The session's variables.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._ids = {name: id(value) for name, value in values.items()}
        self.began = time.perf_counter()

    def rebound(self, values: Mapping[str, Any]) -> list[str]:
        """The names that have another object now."""
        return [name for name, value in values.items() if self._ids.get(name) != id(value)]


def fingerprints_of(
    values: Mapping[str, Any], before: Identities, source: str, kept: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """The fingerprints of what a cell has bound, and of what else it may have changed.

    Args:
        values: The session's variables, after the cell.
        before: What they were before it.
        source: The cell.
        kept: What earlier cells of its step have used: it may change that by another name.

    Returns:
        The fingerprints by name, as many as the cell's budget allows.
    """
    took = min(time.perf_counter() - before.began, MAX_SECONDS)
    left, until = MAX_VALUES + MAX_VALUES_PER_SECOND * took, time.thread_time() + MIN_SECONDS
    rebound = " ".join(before.rebound(values))
    found: dict[str, dict[str, Any]] = {}
    known: dict[Any, Any] = {}
    for name in reached_names([source, " ".join(kept), rebound], values):
        if name in IPYTHON_NAMES:
            continue
        if left <= 0 and not is_plain(values[name]) and time.thread_time() > until:
            found[name] = NOT_READ
            continue
        found[name], cost = fingerprint_and_cost(values[name], known=known)
        left -= cost
    return found
