"""Fingerprints of a session's variables, computed after a marked cell has run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from kale_magics.step_runtime.fingerprint import fingerprint_and_cost, reached_names
from kale_magics.step_runtime.fingerprint_nodes import is_plain, unknown_node

MAX_VALUES = 1
"""How many values are fingerprinted per cell, each within the budget of one value."""

MAX_VALUES_PER_SECOND = 15
"""How many more for each second that the cell ran."""

MIN_SECONDS = 0.0015
"""Processor time that a cell's fingerprints may always take."""

MAX_SECONDS = 20
"""Seconds of a cell that count for `MAX_VALUES_PER_SECOND`."""

NOT_READ = unknown_node("", "its cell has too many values to fingerprint")

IPYTHON_NAMES = frozenset("In Out exit quit get_ipython open display".split())
"""Names that IPython defines."""


class Identities:
    """The identities of a session's values when a cell starts.

    Args:
        values: The session's variables.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._ids = {name: id(value) for name, value in values.items()}
        self.began = time.perf_counter()

    def rebound(self, values: Mapping[str, Any]) -> list[str]:
        """Return the names that are bound to another object now."""
        return [name for name, value in values.items() if self._ids.get(name) != id(value)]


def fingerprints_of(
    values: Mapping[str, Any], before: Identities, source: str, kept: Iterable[str] = ()
) -> dict[str, dict[str, Any]]:
    """Return the fingerprints of the variables that a cell bound, read or may have changed.

    Args:
        values: The session's variables, after the cell.
        before: The identities of their values before it.
        source: The cell.
        kept: The names that earlier cells of its step used: the cell may change these through an alias.

    Returns:
        The fingerprints by name, as many as the budget allows.
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
