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

PARTS = [
    pytest.param(each, id=f"{name}-{each.name}")
    for name in CAMPAIGNS
    for each in islice(tries_of(name), 3, None, EVERY[name])
]


@pytest.mark.parametrize("each", PARTS)
def test_all_is_well_after_a_fault(each: Try) -> None:
    assert play(each) == []
