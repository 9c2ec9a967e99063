"""The graph of a pipeline for terminals: a line for every step, with rails for what it hands on.

    ●      load
    ●      prep     df from load
    ├─●    forest   X_train, y_train from prep
    ├─│─●  svm      X_train, y_train from prep
    ●─┴─┘  compare  X_test from prep; model from forest; machine from svm

A rail runs down from a step to the last step that waits for it. A step's line joins the rails that it waits
for, and only passes by those that are drawn `│`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kale_magics.model.pipeline import Edge, Pipeline, Step
from kale_magics.view.states import appearance
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

MOST_RAILS = 24
"""Side by side; more would not leave a terminal room for words, which then stand alone."""

LONGEST_NAME = 32

LINE = 100
SHORTEST_LINE = 40
"""Columns; what a step takes is wrapped to this."""

# Where a rail is joined: does it go on, is there a line to the left, and one to the right?
_JOINTS = {
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
        pipeline: What to draw.
        states: Names of steps to their states in a run; the sign of a state stands for the dot.

    Returns:
        Lines without an end; each step in one line, under all that it waits for.
    """
    lines = [f"{one_line(pipeline.name)} ({plural(len(pipeline.steps), 'step')})"]
    if pipeline.parameters:
        lines.append("parameters: " + ", ".join(shorten(assignment(p), 60) for p in pipeline.parameters))
    signs = [appearance((states or {}).get(step.name, "")).sign or "●" for step in pipeline.steps]
    drawn = _with_rails(pipeline.steps, signs) or [_Line("", sign, "") for sign in signs]
    width = max((columns(line.rail) for line in drawn), default=0)
    names = [shorten(step.name, LONGEST_NAME) for step in pipeline.steps]
    widest = max(map(columns, names), default=0)
    lines.append("")
    for line, name, words in zip(drawn, names, _takes(pipeline), strict=True):
        first, *others = _wrapped(words, max(LINE - width - widest - 4, SHORTEST_LINE))
        lines += [line.above.rstrip()] if line.above else []
        lines.append(f"{pad(line.rail, width)}  {pad(name, widest)}  {first}".rstrip())
        lines += [f"{pad(line.below, width)}  {' ' * widest}    {more}" for more in others]
    return "\n".join(lines)


def _with_rails(steps: Sequence[Step], signs: Sequence[str]) -> list[_Line]:
    """The lines of the steps; none if they are too wide."""
    rails = _Rails(steps)
    drawn: list[_Line] = []
    for step, sign in zip(steps, signs, strict=True):
        drawn.append(rails.add(step, sign))
        if columns(drawn[-1].rail) > 2 * MOST_RAILS:
            return []
    return drawn


def _takes(pipeline: Pipeline) -> list[list[str]]:
    """What every step waits for, and its metrics, in pieces."""
    words: dict[str, list[str]] = {step.name: [] for step in pipeline.steps}
    for edge in pipeline.edges:
        words[edge.target].append(_crossing(edge))
    for step in pipeline.steps:
        if step.metrics:
            words[step.name].append(f"metrics {listed(step.metrics, 40)}")
    return list(words.values())


def _wrapped(pieces: Sequence[str], width: int) -> list[str]:
    """Pieces with semicolons between them, in as many lines as it takes."""
    lines = [""]
    for number, piece in enumerate(pieces):
        ended = piece if number == len(pieces) - 1 else piece + ";"
        if lines[-1] and columns(lines[-1]) + 1 + columns(ended) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {ended}".strip()
    return lines


def _crossing(edge: Edge) -> str:
    source = shorten(edge.source, LONGEST_NAME)
    if not edge.inputs:
        return f"after {source}"
    size = "" if edge.size is None else f" ({human_size(edge.size)})"
    return f"{listed(edge.names, 40)} from {source}{size}"


@dataclass(frozen=True)
class _Line:
    """A step's line: the rails in it with its own sign, above it if it needs a distance, and below it."""

    above: str
    rail: str
    below: str


class _Rails:
    """The rails as they stand below the last line, each with the step that it comes from."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._last_use = {name: step.name for step in steps for name in step.needs}
        self._rails: list[str | None] = []
        self._dead_end = -1

    def add(self, step: Step, sign: str) -> _Line:
        """The line of the next step; under a step that nobody waits for it keeps a distance."""
        joined = {self._rails.index(name) for name in step.needs if name in self._rails}
        ending = {place for place in joined if self._last_use[self._rails[place] or ""] == step.name}
        if not ending and None not in self._rails:
            self._rails.append(None)
        place = min(ending) if ending else self._rails.index(None)
        above = (self._passing() or " ") if place == self._dead_end else ""
        rail = self._joining(joined, ending, place, sign)
        for index in ending:
            self._rails[index] = None
        continues = step.name in self._last_use
        self._rails[place] = step.name if continues else None
        self._dead_end = -1 if continues else place
        return _Line(above, rail, self._passing())

    def _passing(self) -> str:
        return " ".join("│" if rail else " " for rail in self._rails).rstrip()

    def _joining(self, joined: Collection[int], ending: Collection[int], place: int, sign: str) -> str:
        first, last = min(*joined, place, place), max(*joined, place, place)
        text = ""
        for index, rail in enumerate(self._rails):
            across = first <= index < last
            if index == place:
                text += sign
            elif index in joined:
                text += _JOINTS[index not in ending, index > first, across]
            else:
                text += "│" if rail else "─" if first < index < last else " "
            text += "─" if across else " "
        return text.rstrip()
