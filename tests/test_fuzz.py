"""A pipeline of a random notebook gives the notebook's answer, or is refused before it runs."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.pool import Pool

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.grammar import LEVELS
from tests.fuzz.hunt import Outcome, told, useful
from tests.fuzz.judge import WAYS, judged, ways_of
from tests.fuzz.runs import warm_up


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """A process for each way, with neither threads nor what it does not need: it is forked all the time."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(len(WAYS), initializer=warm_up, initargs=(LEVELS,)) as pool:
        yield pool


# Failures are made small by `told`, which knows what a notebook is, so hypothesis does not shrink them.
SAMPLE = settings(
    max_examples=120,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@SAMPLE
@given(start=st.integers(0, 2**64))
def test_a_random_notebook(pool: Pool, start: int) -> None:
    check(pool, start, "ordinary")


@settings(SAMPLE, max_examples=40)
@given(start=st.integers(0, 2**64))
def test_a_random_notebook_with_data(pool: Pool, start: int) -> None:
    check(pool, start, "data")


def check(pool: Pool, start: int, level: str) -> None:
    """Judge a random notebook in all ways."""
    book = pool.apply(useful, (start, level))
    outcome = Outcome(book, tuple(pool.starmap(judged, [(book, way) for way in ways_of(book)])))
    if outcome.fault is not None:
        pytest.fail(pool.apply(told, (outcome,)), pytrace=False)
