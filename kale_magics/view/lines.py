"""Draws the lines of a picture, with their labels and titles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from kale_magics.view.collapse import EdgeGroup
from kale_magics.view.layout import Box, Layout, Link, Point
from kale_magics.view.style import LINE, MONO, PANEL, SOFT, mono_width, title, xml
from kale_magics.view.words import listed, type_and_size

MAX_LABELLED_LINES = 40
"""With more lines, labels would hide them."""

MAX_VARIABLES = 12
"""Variables in the title of a line of several edges."""

MARGIN = 24.0
LABEL_HEIGHT = 15.0

Piece = tuple[Point, Point]


def link(group: EdgeGroup) -> Link:
    """Return a line for the layout; those of `--after` alone have trunks of their own."""
    return Link(group.source.key, group.target.key, "" if group.names else "after")


def draw_lines(edge_groups: Sequence[EdgeGroup], placed: Layout) -> list[str]:
    """Draw everything below the boxes: lines, their titles, arrow heads and labels."""
    lines = {link(group): group for group in edge_groups}
    return [
        *_strokes(placed),
        *(_hover(group, placed.routes[line]) for line, group in lines.items()),
        *(_arrow_head(placed.boxes[name]) for name in dict.fromkeys(line.target for line in lines)),
        *(_labels(lines, placed) if len(lines) <= MAX_LABELLED_LINES else ()),
    ]


def edge_title(group: EdgeGroup) -> str:
    """Return the variables that a line stands for, with types and sizes, and `--after`; one a line."""
    found = []
    for i in (i for edge in group.edges for i in edge.inputs):
        known = type_and_size(i.output)
        found.append(", ".join(i.names) + (f": {known}" if known else ""))
    found = list(dict.fromkeys(found))
    more = [f"+{len(found) - MAX_VARIABLES} more"] if len(found) > MAX_VARIABLES else []
    after = ["--after"] if any(edge.after for edge in group.edges) else []
    return "\n".join([f"{group.source.name} → {group.target.name}", *found[:MAX_VARIABLES], *more, *after])


def _strokes(placed: Layout) -> list[str]:
    """Draw the visible lines; a piece that several share is drawn once."""
    pieces = {piece: line.group for line, route in placed.routes.items() for piece in route}
    pieces.update({piece: line.group for line, route in placed.routes.items() for piece in _through(route)})
    drawn = []
    for after, dashes in ((False, ""), (True, ' stroke-dasharray="5 4"')):
        path = "".join(_path([piece]) for piece, group in pieces.items() if bool(group) is after)
        if path:
            drawn.append(f'<path fill="none" stroke="{LINE}" stroke-width="1.5"{dashes} d="{path}"/>')
    return drawn


def _through(route: Sequence[Piece]) -> list[Piece]:
    """Return the straight pieces of a route, through the rows that it passes."""
    return [(end, start) for (_, end), (start, _) in pairwise(route)]


def _hover(group: EdgeGroup, route: Sequence[Piece]) -> str:
    """Draw an invisible line with a title, wide enough for the pointer."""
    return (
        f"<g>{title(edge_title(group))}"
        f'<path fill="none" stroke="{LINE}" stroke-opacity="0" stroke-width="9" d="{_path(route)}"/></g>'
    )


def _path(route: Iterable[Piece]) -> str:
    """Return an SVG path: curves with vertical ends between the rows, straight pieces through them."""
    pieces: list[str] = []
    for (x0, y0), (x1, y1) in route:
        pieces.append(f"{'L' if pieces else 'M'}{x0:.1f} {y0:.1f}")
        middle = (y0 + y1) / 2
        curve = f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
        pieces.append(curve if abs(x0 - x1) > 0.1 else f"V{y1:.1f}")
    return "".join(pieces)


def _arrow_head(box: Box) -> str:
    return f'<path d="M{box.x - 4.5:.1f} {box.y - 8:.1f}h9l-4.5 8z" fill="{LINE}"/>'


def _labels(lines: Mapping[Link, EdgeGroup], placed: Layout) -> list[str]:
    """Draw the labels, each where it hides the least of other lines; one without a free place is left out."""
    samples = {line: _samples(placed.routes[line]) for line in lines}
    shared = Counter(end for line in lines for end in (("from", line.source), ("into", line.target)))
    taken: list[tuple[float, float, float]] = []
    drawn = []
    for line, group in lines.items():
        label = listed(group.names, 24 if len(group.edges) == 1 else 12)
        half = mono_width(label) / 2 + 2
        others = [point for other, points in samples.items() if other != line for point in points]
        places = _places(placed.routes[line], shared["from", line.source], shared["into", line.target])
        free = [
            (sum(_inside(point, (x, y, half)) for point in others), index, x, y)
            for index, (x, y) in enumerate(places)
            if not any(abs(x - u) < half + w and abs(y - v) < LABEL_HEIGHT for u, v, w in taken)
            and abs(x - placed.width / 2) + half < placed.width / 2 + MARGIN
        ]
        if label and free:
            _, _, x, y = min(free)
            taken.append((x, y, half))
            drawn.append(_label(label, edge_title(group), x, y, half))
    return drawn


def _label(label: str, text: str, x: float, y: float, half: float) -> str:
    return (
        f"<g>{title(text)}"
        f'<rect x="{x - half:.1f}" y="{y - 7.5:.1f}" width="{2 * half:.1f}" height="{LABEL_HEIGHT}" rx="4" '
        f'fill="{PANEL}"/>'
        f'<text x="{x:.1f}" y="{y + 3.5:.1f}" text-anchor="middle" font-family="{MONO}" font-size="11" '
        f'fill="{SOFT}">{xml(label)}</text></g>'
    )


def _inside(point: Point, label: tuple[float, float, float]) -> bool:
    x, y, half = label
    return abs(point[0] - x) < half and abs(point[1] - y) < 9


def _places(route: Sequence[Piece], leaving: int, entering: int) -> list[Point]:
    """Return positions for a label, the best first: away from the end that more lines share."""
    places = []
    for piece in dict.fromkeys((route[-1], route[0])):
        at_start, at_end = leaving if piece == route[0] else 1, entering if piece == route[-1] else 1
        late, early = (0.72, 0.6, 0.5, 0.4), (0.28, 0.4, 0.5, 0.6)
        positions = late if at_start > at_end else early if at_start < at_end else (0.5, 0.6, 0.4, 0.72, 0.28)
        places += [_on_curve(piece, t) for t in positions]
    return places


def _samples(route: Iterable[Piece]) -> list[Point]:
    return [_on_curve(piece, step / 12) for piece in route for step in range(1, 12)]


def _on_curve(piece: Piece, t: float) -> Point:
    """Return the point at `t`, from 0 to 1, of the curve that `_path` draws."""
    (x0, y0), (x1, y1) = piece
    along = 3 * t * t - 2 * t * t * t
    down = 1.5 * t * (1 - t) * (1 - t) + 1.5 * t * t * (1 - t) + t * t * t
    return x0 + (x1 - x0) * along, y0 + (y1 - y0) * down
