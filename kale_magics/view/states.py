"""How a state looks: a sign and colours, the same in text and in pictures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """A state for the eye.

    Attributes:
        sign: One character.
        stroke: The colour of its lines.
        fill: The colour of its surface.
        width: Of its lines, in pixels.
    """

    sign: str
    stroke: str
    fill: str
    width: float = 1.4


NEUTRAL = Look("", "#6b8fc2", "#ffffff")

_DONE = Look("✓", "#1a7f37", "#e6f6ea")
_FAILED = Look("✗", "#cf222e", "#ffebe9", 3.0)
_IDLE = Look("○", "#6e7781", "#eceff2")

LOOKS = {
    "waiting": Look("…", "#768394", "#ffffff"),
    "running": Look("▸", "#0969da", "#e3f0ff"),
    "succeeded": _DONE,
    "failed": _FAILED,
    "skipped": _IDLE,
    "cancelled": Look("■", "#9a6700", "#fff5d6"),
    "ran": _DONE,
    "not run": _IDLE,
    "changed since": Look("≠", "#9a6700", "#fff5d6"),
}
"""The states of steps and runs (`run.StepState`, `run.RunState`) and of cells (`registry.State`)."""


def appearance(state: str) -> Look:
    """The look of a state; one that is not in the list has no sign and no colour of its own."""
    return LOOKS.get(state, NEUTRAL)


def signed(state: str) -> str:
    """The state with its sign before it, as in "✓ succeeded"."""
    return f"{appearance(state).sign} {state}".strip()
