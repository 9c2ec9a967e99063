"""Which steps of a large pipeline are drawn as one box.

No eye takes in some hundred boxes. As long as there are more than `MOST_BOXES`, boxes are merged, and those
first that tell the least apart:

1. Boxes that play the same part: as deep in the graph, needing and needed by boxes that play the same part.
   So the fits of a search are one box, and so are the scores that follow them.
2. Boxes in a line: each the only one that needs the other, which needs nothing else.
3. Boxes of one depth, for graphs without any order to be seen; and at last neighbouring depths.

Of the first two rules each gives the other one something to do, so they take turns. If there are few enough
boxes then, but still too many lines between them, there are half as many boxes, and so on. What is merged is
never below itself, so the boxes can be drawn from top to bottom like steps.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from kale_magics.model.pipeline import Pipeline, Step
from kale_magics.view.words import Edge, columns, edges, one_line, shorten

MOST_BOXES = 60
"""A pipeline of more steps than these is drawn with boxes that stand for several."""

LINES_PER_BOX = 2
"""A pipeline that is collapsed has no more lines than these, for each of the boxes that it may have."""

FEWEST_BOXES = 12
"""With no more boxes than these, the lines are as many as they are."""

Key = TypeVar("Key")
Sets = list[list[int]]
"""Sets of the numbers of boxes, each to be merged."""


@dataclass(frozen=True)
class Group:
    """A box of the picture.

    Attributes:
        steps: What it stands for, in the pipeline's order; at least one.
    """

    steps: tuple[Step, ...]

    @property
    def key(self) -> str:
        """What tells it from the others: the name of its first step."""
        return self.steps[0].name

    @property
    def name(self) -> str:
        """The step's name, "svm, forest" for two, or "fit1 … fit40 (40 steps)"."""
        names = [step.name for step in self.steps]
        count = f" ({len(names)} steps)" if len(names) > 2 else ""
        return _between(names).join(_ends(names)) + count

    def label(self, limit: int) -> str:
        """The name without a count, in at most `limit` columns."""
        names = [step.name for step in self.steps]
        between = _between(names)
        whole = one_line(between.join(_ends(names)))
        if len(names) == 1 or columns(whole) <= limit:
            return shorten(whole, limit)
        half = (limit - len(between)) // 2
        return between.join(shorten(name, half) for name in _ends(names))


def _between(names: Sequence[str]) -> str:
    return " … " if len(names) > 2 else ", "


def _ends(names: Sequence[str]) -> Sequence[str]:
    return names if len(names) < 2 else (names[0], names[-1])


@dataclass(frozen=True)
class Joint:
    """All that joins two boxes of the picture.

    Attributes:
        source: The box above.
        target: The box below.
        edges: What it stands for, in the pipeline's order; at least one.
    """

    source: Group
    target: Group
    edges: tuple[Edge, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that cross, each once; empty if `--after` alone makes the order."""
        return tuple(dict.fromkeys(name for edge in self.edges for name in edge.names))


@dataclass(frozen=True)
class Drawn:
    """A pipeline as it is drawn.

    Attributes:
        groups: The boxes, each after all that it needs.
        joints: The lines between them, each once.
    """

    groups: tuple[Group, ...]
    joints: tuple[Joint, ...]


def collapse(pipeline: Pipeline, most: int = MOST_BOXES) -> Drawn:
    """Decide what is drawn as one box.

    Args:
        pipeline: What is to be drawn.
        most: The number of boxes above which some are merged.

    Returns:
        At most `most` boxes, in which every step is once; a box for every step if there are few enough. What
        steps take from others that are not in the pipeline (`Pipeline.only`) has no line.
    """
    numbers = {step.name: number for number, step in enumerate(pipeline.steps)}
    blocks = _Blocks(
        [[number] for number in numbers.values()],
        [{numbers[name] for name in step.needs if name in numbers} for step in pipeline.steps],
    )
    if len(blocks.members) > most:
        blocks = _fewer(blocks, most)
        while blocks.count_lines() > LINES_PER_BOX * most and len(blocks.members) > FEWEST_BOXES:
            blocks = _fewer(blocks, len(blocks.members) // 2)
    groups = tuple(Group(tuple(pipeline.steps[n] for n in sorted(members))) for members in blocks.members)
    return Drawn(groups, _joints(groups, edges(pipeline)))


def _fewer(blocks: _Blocks, most: int) -> _Blocks:
    """Merge boxes until there are at most so many."""
    count = len(blocks.members) + 1
    while most < len(blocks.members) < count:
        count = len(blocks.members)
        for rule in (_alike, _lines):
            blocks = blocks.merged(rule(blocks, most))
    for rule in (_levels, _bands):
        blocks = blocks.merged(rule(blocks, most))
    return blocks


def _joints(groups: Sequence[Group], crossing: Iterable[Edge]) -> tuple[Joint, ...]:
    group_of = {step.name: group for group in groups for step in group.steps}
    between: dict[tuple[str, str], list[Edge]] = defaultdict(list)
    for edge in crossing:
        source, target = group_of.get(edge.source), group_of[edge.target]
        if source is not None and source is not target:
            between[source.key, target.key].append(edge)
    return tuple(Joint(group_of[a], group_of[b], tuple(found)) for (a, b), found in between.items())


class _Blocks:
    """The boxes by number, each after all that it needs.

    Attributes:
        members: The numbers of every box's steps.
        needs: The numbers of the boxes that every box needs.
    """

    def __init__(self, members: list[list[int]], needs: Sequence[set[int]]) -> None:
        self.members = members
        self.needs = needs

    def needed_by(self) -> list[set[int]]:
        """The numbers of the boxes that need every box."""
        result: list[set[int]] = [set() for _ in self.members]
        for number, needs in enumerate(self.needs):
            for needed in needs:
                result[needed].add(number)
        return result

    def count_lines(self) -> int:
        """How many lines there are between the boxes."""
        return sum(map(len, self.needs))

    def depths(self) -> list[int]:
        """How many boxes are above every box, on the longest way to it."""
        depths: list[int] = []
        for needs in self.needs:
            depths.append(max((depths[needed] + 1 for needed in needs), default=0))
        return depths

    def merged(self, sets: Sets) -> _Blocks:
        """The same boxes with each of these sets as one; the sets have no box in common."""
        if not sets:
            return self
        within = {number: numbers[0] for numbers in sets for number in numbers}
        first = [within.get(number, number) for number in range(len(self.members))]
        members: dict[int, list[int]] = defaultdict(list)
        needs: dict[int, set[int]] = defaultdict(set)
        for number, into in enumerate(first):
            members[into] += self.members[number]
            needs[into] |= {first[needed] for needed in self.needs[number]} - {into}
        order = _in_order({into: min(members[into]) for into in members}, needs)
        place = {into: index for index, into in enumerate(order)}
        return _Blocks([members[n] for n in order], [{place[needed] for needed in needs[n]} for n in order])


def _in_order(first: Mapping[int, int], needs: Mapping[int, set[int]]) -> list[int]:
    """Boxes, each after all that it needs; of those that could be next the one with the earliest step."""
    waiting = {number: len(needs[number]) for number in first}
    needed_by: dict[int, list[int]] = defaultdict(list)
    for number in first:
        for needed in needs[number]:
            needed_by[needed].append(number)
    ready = [(first[number], number) for number, count in waiting.items() if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        _, number = heapq.heappop(ready)
        order.append(number)
        for other in needed_by[number]:
            waiting[other] -= 1
            if not waiting[other]:
                heapq.heappush(ready, (first[other], other))
    return order


def _alike(blocks: _Blocks, most: int) -> Sets:
    """Boxes that play the same part: told apart by depth at first, then by the parts of their neighbours."""
    needed_by = blocks.needed_by()
    parts = blocks.depths()
    while True:
        seen: dict[tuple[int, frozenset[int], frozenset[int]], int] = {}
        finer = []
        for number, part in enumerate(parts):
            above = frozenset(parts[n] for n in blocks.needs[number])
            below = frozenset(parts[n] for n in needed_by[number])
            finer.append(seen.setdefault((part, above, below), len(seen)))
        if len(seen) == len(set(parts)):
            return _largest(_by(finer), len(parts), most)
        parts = finer


def _lines(blocks: _Blocks, most: int) -> Sets:
    """Boxes in a line, in pieces that are as short as they may be."""
    needed_by = blocks.needed_by()
    lines: Sets = []
    line_of: dict[int, list[int]] = {}
    for number, needs in enumerate(blocks.needs):
        above = next(iter(needs)) if len(needs) == 1 else None
        if above is not None and len(needed_by[above]) == 1:
            line_of[number] = line_of[above]
        else:
            line_of[number] = []
            lines.append(line_of[number])
        line_of[number].append(number)
    longest = max(map(len, lines), default=0)
    return _pieces(lines, next((n for n in range(1, longest) if sum(_cuts(lines, n)) <= most), longest))


def _cuts(lines: Sets, size: int) -> list[int]:
    return [math.ceil(len(line) / size) for line in lines]


def _pieces(lines: Sets, size: int) -> Sets:
    """Lines cut in pieces of about equal length, at most `size`; what stays alone is left out."""
    pieces = []
    for line, count in zip(lines, _cuts(lines, size), strict=True):
        ends = [len(line) * n // count for n in range(count + 1)]
        pieces += [line[a:b] for a, b in pairwise(ends) if b - a > 1]
    return pieces


def _levels(blocks: _Blocks, most: int) -> Sets:
    """Boxes of one depth."""
    return _largest(_by(blocks.depths()), len(blocks.members), most)


def _bands(blocks: _Blocks, most: int) -> Sets:
    """Neighbouring boxes; called when there is one of every depth, so that they all are in one line."""
    count = len(blocks.members)
    return _pieces([list(range(count))], math.ceil(count / most)) if count > most else []


def _by(parts: Sequence[Key]) -> Sets:
    """Numbers whose parts are equal."""
    sets: dict[Key, list[int]] = defaultdict(list)
    for number, part in enumerate(parts):
        sets[part].append(number)
    return list(sets.values())


def _largest(sets: Sets, count: int, most: int) -> Sets:
    """The largest sets that must be merged to get from `count` boxes to `most`; of one size all or none."""
    by_size: dict[int, Sets] = defaultdict(list)
    for numbers in sets:
        by_size[len(numbers)].append(numbers)
    chosen: Sets = []
    for size in sorted(by_size.keys() - {1}, reverse=True):
        if count <= most:
            break
        chosen += by_size[size]
        count -= (size - 1) * len(by_size[size])
    return chosen
