"""The symbol and the colours of each state, the same in text and in pictures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StateStyle:
    """How a state is drawn.

    Attributes:
        symbol: One character; empty for none.
        stroke: The colour of the outline.
        fill: The colour of the box.
        width: The width of the outline, in pixels.
    """

    symbol: str
    stroke: str
    fill: str
    width: float = 1.4


NEUTRAL = StateStyle("", "#6b8fc2", "#ffffff")

_DONE = StateStyle("✓", "#1a7f37", "#e6f6ea")
_FAILED = StateStyle("✗", "#cf222e", "#ffebe9", 3.0)
_IDLE = StateStyle("○", "#6e7781", "#eceff2")

STATE_STYLES = {
    "waiting": StateStyle("…", "#768394", "#ffffff"),
    "running": StateStyle("▸", "#0969da", "#e3f0ff"),
    "succeeded": _DONE,
    "failed": _FAILED,
    "skipped": _IDLE,
    "cancelled": StateStyle("■", "#9a6700", "#fff5d6"),
    "ran": _DONE,
    "not run": _IDLE,
    "changed since": StateStyle("≠", "#9a6700", "#fff5d6"),
}
"""The states of tasks and runs (`run.TaskState`, `run.RunState`) and of cells (`registry.State`)."""


def state_style(state: str) -> StateStyle:
    """Return the style of a state; an unknown one has no symbol and neutral colours."""
    return STATE_STYLES.get(state, NEUTRAL)


def state_label(state: str) -> str:
    """Return a state after its symbol, as in "✓ succeeded"."""
    return f"{state_style(state).symbol} {state}".strip()
