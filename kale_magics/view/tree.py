"""Draws a pipeline as text: a line for each step, with lanes for its outputs.

    ●      load
    ●      prep     df from load
    ├─●    forest   X_train, y_train from prep
    ├─│─●  svm      X_train, y_train from prep
    ●─┴─┘  compare  X_test from prep; model from forest; machine from svm

A lane runs down from a step to the last step that depends on it. The line of a step joins the lanes of the
steps that it depends on; lanes drawn as `│` pass by.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kale_magics.model.pipeline import Edge, Pipeline, Step
from kale_magics.view.states import state_style
from kale_magics.view.words import (
    assignment,
    columns,
    human_size,
    listed,
    one_line,
    pad,
    plural,
    shorten,
)

MAX_LANES = 24
"""Lanes side by side; with more there is no room for text, and the tree is drawn without lanes."""

MAX_NAME = 32
"""Columns of a step's name."""

MAX_WIDTH, MIN_TEXT_WIDTH = 100, 40
"""Columns of the tree, and of the wrapped text after a step's name."""

# Where a lane is joined: does it continue, is there a line to the left, and one to the right?
_JUNCTIONS = {
    (True, False, True): "├",
    (True, True, False): "┤",
    (True, True, True): "┼",
    (False, False, True): "└",
    (False, True, False): "┘",
    (False, True, True): "┴",
}


def tree(pipeline: Pipeline, states: Mapping[str, str] | None = None) -> str:
    """Draw a pipeline with characters.

    Args:
        pipeline: The pipeline.
        states: The states of steps in a run, by name; the symbol of a state replaces the dot.

    Returns:
        Lines without a final newline; each step below the steps that it depends on.
    """
    lines = [f"{one_line(pipeline.name)} ({plural(len(pipeline.steps), 'step')})"]
    if pipeline.parameters:
        lines.append("parameters: " + ", ".join(shorten(assignment(p), 60) for p in pipeline.parameters))
    symbols = [state_style((states or {}).get(step.name, "")).symbol or "●" for step in pipeline.steps]
    drawn = _with_lanes(pipeline.steps, symbols) or [_Line("", symbol, "") for symbol in symbols]
    width = max((columns(line.lanes) for line in drawn), default=0)
    names = [shorten(step.name, MAX_NAME) for step in pipeline.steps]
    widest = max(map(columns, names), default=0)
    lines.append("")
    for line, name, words in zip(drawn, names, _descriptions(pipeline), strict=True):
        first, *others = _wrapped(words, max(MAX_WIDTH - width - widest - 4, MIN_TEXT_WIDTH))
        lines += [line.above.rstrip()] if line.above else []
        lines.append(f"{pad(line.lanes, width)}  {pad(name, widest)}  {first}".rstrip())
        lines += [f"{pad(line.below, width)}  {' ' * widest}    {more}" for more in others]
    return "\n".join(lines)


def _with_lanes(steps: Sequence[Step], symbols: Sequence[str]) -> list[_Line]:
    """Return the lines of the steps; none if they are too wide."""
    lanes = _Lanes(steps)
    drawn: list[_Line] = []
    for step, symbol in zip(steps, symbols, strict=True):
        drawn.append(lanes.add(step, symbol))
        if columns(drawn[-1].lanes) > 2 * MAX_LANES:
            return []
    return drawn


def _descriptions(pipeline: Pipeline) -> list[list[str]]:
    """Return for each step its inputs and its metrics, in pieces."""
    words: dict[str, list[str]] = {step.name: [] for step in pipeline.steps}
    for edge in pipeline.edges:
        words[edge.target].append(_edge_text(edge))
    for step in pipeline.steps:
        if step.metrics:
            words[step.name].append(f"metrics {listed(step.metrics, 40)}")
    return list(words.values())


def _wrapped(pieces: Sequence[str], width: int) -> list[str]:
    """Join pieces with semicolons, and wrap them."""
    lines = [""]
    for number, piece in enumerate(pieces):
        ended = piece if number == len(pieces) - 1 else piece + ";"
        if lines[-1] and columns(lines[-1]) + 1 + columns(ended) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {ended}".strip()
    return lines


def _edge_text(edge: Edge) -> str:
    source = shorten(edge.source, MAX_NAME)
    if not edge.inputs:
        return f"after {source}"
    size = "" if edge.size is None else f" ({human_size(edge.size)})"
    return f"{listed(edge.names, 40)} from {source}{size}"


@dataclass(frozen=True)
class _Line:
    """The lanes of a step: in its own line, in a blank line above it if there is one, and below it."""

    above: str
    lanes: str
    below: str


class _Lanes:
    """The lanes below the last line, each with the step that it comes from."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._last_use = {name: step.name for step in steps for name in step.upstream}
        self._lanes: list[str | None] = []
        self._dead_end = -1

    def add(self, step: Step, symbol: str) -> _Line:
        """Return the line of the next step; a blank line separates it from a step without downstream."""
        joined = {self._lanes.index(name) for name in step.upstream if name in self._lanes}
        ending = {place for place in joined if self._last_use[self._lanes[place] or ""] == step.name}
        if not ending and None not in self._lanes:
            self._lanes.append(None)
        place = min(ending) if ending else self._lanes.index(None)
        above = (self._passing() or " ") if place == self._dead_end else ""
        lanes = self._joining(joined, ending, place, symbol)
        for index in ending:
            self._lanes[index] = None
        continues = step.name in self._last_use
        self._lanes[place] = step.name if continues else None
        self._dead_end = -1 if continues else place
        return _Line(above, lanes, self._passing())

    def _passing(self) -> str:
        return " ".join("│" if lane else " " for lane in self._lanes).rstrip()

    def _joining(self, joined: Collection[int], ending: Collection[int], place: int, symbol: str) -> str:
        first, last = min(*joined, place, place), max(*joined, place, place)
        text = ""
        for index, lane in enumerate(self._lanes):
            across = first <= index < last
            if index == place:
                text += symbol
            elif index in joined:
                text += _JUNCTIONS[index not in ending, index > first, across]
            else:
                text += "│" if lane else "─" if first < index < last else " "
            text += "─" if across else " "
        return text.rstrip()
