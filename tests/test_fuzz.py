"""A pipeline of a random notebook gives the notebook's answer, or is refused before it runs."""

from __future__ import annotations

import pytest

from tests.forks import ForkServer
from tests.fuzz.hunt import play, told
from tests.notebooks import Players
from tests.tiers import slow_but

TIMEOUT = 600
"""Seconds that a notebook may take in all ways; to make a failing one small is many of them."""


@pytest.mark.parametrize("start", slow_but(range(5), range(120)))
def test_a_random_notebook(players: Players, start: int) -> None:
    check(players.quick, start, "ordinary")


@pytest.mark.parametrize("start", slow_but(range(2), range(40)))
def test_a_random_notebook_with_data(players: Players, start: int) -> None:
    check(players.data, start, "data")


def check(server: ForkServer, start: int, level: str) -> None:
    """Judge a random notebook in all ways."""
    outcome = server.call(play, start, level, seconds=TIMEOUT)
    if outcome.fault is not None:
        pytest.fail(server.call(told, outcome, seconds=TIMEOUT), pytrace=False)
