"""A small part of each campaign, the same one every time; `make campaigns` plays all of them."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.campaigns import CAMPAIGNS, Try, tries_of
from tests.campaigns.playing import play

EVERY = {
    "output": 9,
    "texts": 8,
    "objects": 34,
    "code": 13,
    "folders": 20,
    "answers": 29,
    "processes": 11,
    "typed": 9,
}
"""Of so many tries of a campaign one is played."""

QUICK = 2
"""Tries of each campaign that are no slow tests."""

PARTS = [
    pytest.param(each, id=f"{name}-{each.name}", marks=pytest.mark.slow if number >= QUICK else ())
    for name in CAMPAIGNS
    for number, each in enumerate(islice(tries_of(name), 3, None, EVERY[name]))
]


@pytest.mark.parametrize("each", PARTS)
def test_all_is_well_after_a_fault(each: Try) -> None:
    assert play(each) == []
