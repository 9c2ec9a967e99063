"""Places the boxes and lines of a graph in rows, with few crossings and straight lines.

This is layered graph drawing (Sugiyama, Tagawa, Toda 1981): each box gets a row below its upstream boxes,
barycentre sweeps order the rows so that few lines cross, then boxes move sideways towards their neighbours.
Two things are added. A row is no wider than a notebook's cell; boxes without room go to the next row. Lines
that pass rows are bundled in trunks: lines from one box, or into one box, are drawn as one as long as they
share a way.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

BOX_HEIGHT = 44.0
ROW_GAP = 50.0
MAX_ROW_GAP = 88.0
BOX_GAP = 24.0
LINE_GAP = 16.0
MAX_STRAIGHTENED = 6.0
"""Pixels; a line whose ends are closer sideways is drawn straight."""

CELL_WIDTH = 840.0
"""Pixels of the output of a notebook's cell, about."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Link:
    """A line to draw.

    Attributes:
        source: The upstream box.
        target: The downstream box.
        group: Only lines of the same group share a trunk.
    """

    source: str
    target: str
    group: str = ""


@dataclass(frozen=True)
class Box:
    """The position of a box in pixels: centre from the left, top, width; its height is `BOX_HEIGHT`."""

    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Layout:
    """The positions of a graph, in pixels from 0, 0.

    Attributes:
        boxes: The boxes by name.
        routes: For every link, pairs of points: the end of a vertical piece and the start of the next one.
        width: The graph's width.
        height: The graph's height.
    """

    boxes: Mapping[str, Box]
    routes: Mapping[Link, tuple[tuple[Point, Point], ...]]
    width: float
    height: float


def layout(widths: Mapping[str, float], links: Sequence[Link]) -> Layout:
    """Place a graph.

    Args:
        widths: The width of each box in pixels, by name, in topological order.
        links: The lines, each once.

    Returns:
        The layout; the same for the same arguments.
    """
    grid = _Grid(widths, links)
    grid.order_rows()
    grid.place()
    return grid.layout()


def assign_rows(widths: Mapping[str, float], links: Sequence[Link]) -> dict[str, int]:
    """Assign each box to a row below its upstream boxes, no row much wider than a cell.

    Args:
        widths: As in `layout`.
        links: As in `layout`.

    Returns:
        The number of each box's row, from 0.
    """
    natural = _fill_rows(widths, links, math.inf)
    used: dict[int, float] = defaultdict(float)
    for name, row in natural.items():
        used[row] += widths[name] + BOX_GAP
    limit = max(CELL_WIDTH, CELL_WIDTH / 8 * math.sqrt(len(widths)))
    widest = max(used.values(), default=0.0)
    if widest <= limit:
        return natural
    # Rows of equal length look better than full rows and a short last one.
    return _fill_rows(widths, links, widest / math.ceil(widest / limit) + BOX_GAP)


def _fill_rows(widths: Mapping[str, float], links: Sequence[Link], limit: float) -> dict[str, int]:
    upstream: dict[str, list[str]] = defaultdict(list)
    for link in links:
        upstream[link.target].append(link.source)
    used: dict[int, float] = defaultdict(float)
    rows: dict[str, int] = {}
    for name, width in widths.items():
        row = max((rows[source] + 1 for source in upstream[name]), default=0)
        while used[row] and used[row] + width > limit:
            row += 1
        rows[name] = row
        used[row] += width + BOX_GAP
    return rows


class _Grid:
    """Rows of slots: a slot is a box, or the point where a trunk passes a row (a dummy node)."""

    def __init__(self, widths: Mapping[str, float], links: Sequence[Link]) -> None:
        self.names = list(widths)
        self.row_of = [0] * len(widths)
        for index, row in enumerate(assign_rows(widths, links).values()):
            self.row_of[index] = row
        self.widths = list(widths.values())
        self.paths: dict[Link, list[int]] = {}
        self.above: list[list[int]] = [[] for _ in self.names]
        self.below: list[list[int]] = [[] for _ in self.names]
        self._trunk_slots: dict[tuple[str, int, str, int], int] = {}
        self._connect(links)
        self.rows: list[list[int]] = []
        self.x: list[float] = [0.0] * len(self.widths)

    def _connect(self, links: Sequence[Link]) -> None:
        index = {name: number for number, name in enumerate(self.names)}
        ends = {link: (index[link.source], index[link.target]) for link in links}
        long = [link for link, (a, b) in ends.items() if self.row_of[b] - self.row_of[a] > 1]
        leaving = Counter((ends[link][0], link.group) for link in long)
        entering = Counter((ends[link][1], link.group) for link in long)
        seen: set[tuple[int, int]] = set()
        for link, (a, b) in ends.items():
            shared_start = leaving[a, link.group] >= entering[b, link.group]
            trunk = ("from", a, link.group) if shared_start else ("into", b, link.group)
            between = range(self.row_of[a] + 1, self.row_of[b])
            path = [a, *(self._trunk_slot((*trunk, row)) for row in between), b]
            self.paths[link] = path
            for pair in pairwise(path):
                if pair not in seen:
                    seen.add(pair)
                    self.below[pair[0]].append(pair[1])
                    self.above[pair[1]].append(pair[0])

    def _trunk_slot(self, key: tuple[str, int, str, int]) -> int:
        if key not in self._trunk_slots:
            self._trunk_slots[key] = len(self.row_of)
            self.row_of.append(key[3])
            self.widths.append(0.0)
            self.above.append([])
            self.below.append([])
        return self._trunk_slots[key]

    def order_rows(self) -> None:
        """Sort the slots of every row so that few lines cross; keep the best order found."""
        self.rows = self._first_order()
        best, fewest = self.rows, self._crossings(self.rows)
        for sweep in range(16 if len(self.row_of) < 2000 else 4):
            if not fewest:
                break
            rows = self._sweep([list(row) for row in self.rows], downwards=sweep % 2 == 0)
            crossings = self._crossings(rows)
            if crossings < fewest:
                best, fewest = rows, crossings
            self.rows = rows
        self.rows = best

    def _first_order(self) -> list[list[int]]:
        """Return the slots of each row in depth-first order, from the first box on."""
        rows: list[list[int]] = [[] for _ in range(max(self.row_of, default=-1) + 1)]
        seen: set[int] = set()
        for start in range(len(self.names)):
            stack = [start] if not self.above[start] else []
            while stack:
                slot = stack.pop()
                if slot not in seen:
                    seen.add(slot)
                    rows[self.row_of[slot]].append(slot)
                    stack += reversed(self.below[slot])
        return rows

    def _sweep(self, rows: list[list[int]], downwards: bool) -> list[list[int]]:
        neighbours = self.above if downwards else self.below
        numbers = range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1)
        for number in numbers:
            fixed = rows[number - 1 if downwards else number + 1]
            place = {slot: (index + 0.5) / len(fixed) for index, slot in enumerate(fixed)}
            row = rows[number]
            wanted = {}
            for index, slot in enumerate(row):
                near = [place[n] for n in neighbours[slot]]
                wanted[slot] = sum(near) / len(near) if near else (index + 0.5) / len(row)
            row.sort(key=wanted.__getitem__)
        return rows

    def _crossings(self, rows: list[list[int]]) -> int:
        """Count the pairs of lines between neighbouring rows that cross."""
        count = 0
        for upper, lower in pairwise(rows):
            place = {slot: index for index, slot in enumerate(lower)}
            passed: list[int] = []
            for slot in upper:
                ends = sorted(place[n] for n in self.below[slot])
                count += sum(len(passed) - bisect_left(passed, end + 1) for end in ends)
                for end in ends:
                    insort(passed, end)
        return count

    def place(self) -> None:
        """Move the slots of each row towards their neighbours, keeping the order and the gaps."""
        for row in self.rows:
            offsets = self._offsets(row)
            for slot, offset in zip(row, offsets, strict=True):
                self.x[slot] = offset - offsets[-1] / 2
        rounds = 100 if len(self.row_of) < 300 else 40 if len(self.row_of) < 2000 else 4
        least = min(0.5, max(0, len(self.names) - 12) / 60)
        for number in range(rounds):
            looseness = max(1 - 2 * number / rounds, least)
            for row in self.rows if number % 2 == 0 else reversed(self.rows):
                self._settle(row, looseness)

    def _offsets(self, row: Sequence[int]) -> list[float]:
        """Return the minimum distance of each slot from the first one of its row."""
        offsets = [0.0]
        for left, right in pairwise(row):
            gap = BOX_GAP if self.widths[left] and self.widths[right] else LINE_GAP
            offsets.append(offsets[-1] + (self.widths[left] + self.widths[right]) / 2 + gap)
        return offsets

    def _settle(self, row: Sequence[int], looseness: float) -> None:
        """Move a row to its least-squares positions (pool adjacent violators)."""
        offsets = self._offsets(row)
        blocks: list[tuple[float, float, int]] = []
        for slot, offset in zip(row, offsets, strict=True):
            wanted, weight = self._wanted(slot, looseness)
            block = (wanted - offset, weight, 1)
            while blocks and blocks[-1][0] > block[0]:
                left = blocks.pop()
                total = left[1] + block[1]
                mean = (left[0] * left[1] + block[0] * block[1]) / total
                block = (mean, total, left[2] + block[2])
            blocks.append(block)
        settled = [value for value, _, count in blocks for _ in range(count)]
        for slot, offset, value in zip(row, offsets, settled, strict=True):
            self.x[slot] = value + offset

    def _wanted(self, slot: int, looseness: float) -> tuple[float, float]:
        """Return the target position of a slot, and its weight.

        Trunks should be straight and boxes near each other. At first, trunks pull their boxes and each box
        is pulled to the middle, or the rows of a large graph drift apart; as this fades, chains get straight.
        """
        near = (*self.above[slot], *self.below[slot])
        weights = [self._pull(slot, n, looseness) for n in near]
        stay = 1e-6
        total = sum(weights) + (looseness if self.widths[slot] else 0.0) + stay
        pulled = sum(w * self.x[n] for w, n in zip(weights, near, strict=True)) + stay * self.x[slot]
        return pulled / total, total

    def _pull(self, slot: int, other: int, looseness: float) -> float:
        boxes = (self.widths[slot] > 0) + (self.widths[other] > 0)
        return (4.0, 0.25 * looseness, 1.0)[boxes]

    def _tops(self) -> list[float]:
        """Return the top of each row: the wider its lines spread, the larger the gap below it."""
        tops = [0.0]
        for row in self.rows[:-1]:
            spread = max((abs(self.x[a] - self.x[b]) for a in row for b in self.below[a]), default=0.0)
            tops.append(tops[-1] + BOX_HEIGHT + min(ROW_GAP + spread / 10, MAX_ROW_GAP))
        return tops

    def layout(self) -> Layout:
        """Return the layout, moved to start at 0, 0."""
        slots = range(len(self.widths))
        left = min((self.x[s] - self.widths[s] / 2 for s in slots), default=0.0)
        right = max((self.x[s] + self.widths[s] / 2 for s in slots), default=0.0)
        tops = self._tops()
        top = [tops[row] for row in self.row_of]
        x = [value - left for value in self.x]
        boxes = {name: Box(x[i], top[i], self.widths[i]) for i, name in enumerate(self.names)}
        routes = {
            link: tuple(
                ((self._start(a, b, x), top[a] + BOX_HEIGHT), (x[b], top[b])) for a, b in pairwise(path)
            )
            for link, path in self.paths.items()
        }
        height = max((value + BOX_HEIGHT for value in top), default=0.0)
        return Layout(boxes, routes, right - left, height)

    def _start(self, upper: int, lower: int, x: Sequence[float]) -> float:
        """Return where a piece starts; one that is almost vertical becomes vertical."""
        return x[lower] if self.widths[upper] and abs(x[lower] - x[upper]) < MAX_STRAIGHTENED else x[upper]
