"""A pipeline of a random notebook gives the notebook's answer, or is refused before it runs."""

from __future__ import annotations

import pytest

from tests.forks import ForkServer
from tests.fuzz.hunt import play, told
from tests.notebooks import Players

TIMEOUT = 600
"""Seconds that a notebook may take in all ways; to make a failing one small is many of them."""


def starts(number: int, quick: int) -> list[object]:
    """What random numbers start from; all but the first few are slow tests."""
    return [*range(quick), *(pytest.param(start, marks=pytest.mark.slow) for start in range(quick, number))]


@pytest.mark.parametrize("start", starts(120, quick=5))
def test_a_random_notebook(players: Players, start: int) -> None:
    check(players.quick, start, "ordinary")


@pytest.mark.parametrize("start", starts(40, quick=2))
def test_a_random_notebook_with_data(players: Players, start: int) -> None:
    check(players.data, start, "data")


def check(server: ForkServer, start: int, level: str) -> None:
    """Judge a random notebook in all ways."""
    outcome = server.call(play, start, level, seconds=TIMEOUT)
    if outcome.fault is not None:
        pytest.fail(server.call(told, outcome, seconds=TIMEOUT), pytrace=False)
