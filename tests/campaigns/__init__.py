"""Campaigns: many faults of one kind are made, and after each of them it is asked whether all is well.

`make campaigns` plays them all, `python -m tests.campaigns NAME` one of them. A campaign is a module here
with a docstring that says what is to hold, and a function `tries` that gives what is tried. `make test` plays
two of each, and `make test-slow` some more, the same ones every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module

CAMPAIGNS = ("output", "texts", "objects", "code", "folders", "answers", "processes", "typed")


@dataclass(frozen=True)
class Try:
    """One fault.

    Attributes:
        name: What is tried, in words.
        play: Makes the fault, and gives complaints: none if all is well. It may leave files in its folder,
            and runs in a process of its own.
    """

    name: str
    play: Callable[[], list[str]] = field(compare=False)


def tries_of(campaign: str) -> Iterator[Try]:
    """What a campaign tries."""
    found: Iterator[Try] = import_module(f"tests.campaigns.{campaign}").tries()
    return found
