"""The lines of a picture: what joins the boxes, the names on it, and what the mouse finds there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from kale_magics.view.collapse import Joint
from kale_magics.view.layout import Box, Layout, Link, Point
from kale_magics.view.style import LINE, MONO, PANEL, SOFT, mono_width, title, xml
from kale_magics.view.words import kind_and_size, listed

MOST_LABELLED = 40
"""Lines; with more of them the names would hide the lines."""

MOST_TOLD = 12
"""Variables in the title of a line that stands for many edges."""

MARGIN = 24.0
LABEL_HEIGHT = 15.0

Piece = tuple[Point, Point]


def link(joint: Joint) -> Link:
    """What the layout knows of a line; those that `--after` alone makes have trunks of their own."""
    return Link(joint.source.key, joint.target.key, "" if joint.names else "after")


def draw_lines(joints: Sequence[Joint], placed: Layout) -> list[str]:
    """All that lies under the boxes: lines, their titles, their heads and their names."""
    lines = {link(joint): joint for joint in joints}
    return [
        *_strokes(placed),
        *(_hover(joint, placed.routes[line]) for line, joint in lines.items()),
        *(_arrow_head(placed.boxes[name]) for name in dict.fromkeys(line.target for line in lines)),
        *(_labels(lines, placed) if len(lines) <= MOST_LABELLED else ()),
    ]


def joint_title(joint: Joint) -> str:
    """What crosses, in lines: variables with types and sizes, or what else makes the order."""
    told = []
    for i in (i for edge in joint.edges for i in edge.inputs):
        known = kind_and_size(i.output)
        told.append(", ".join(i.names) + (f": {known}" if known else ""))
    told = list(dict.fromkeys(told))
    more = [f"+{len(told) - MOST_TOLD} more"] if len(told) > MOST_TOLD else []
    after = ["--after"] if any(edge.after for edge in joint.edges) else []
    return "\n".join([f"{joint.source.name} → {joint.target.name}", *told[:MOST_TOLD], *more, *after])


def _strokes(placed: Layout) -> list[str]:
    """What is seen of the lines: a piece that several share is drawn once."""
    pieces = {piece: line.group for line, route in placed.routes.items() for piece in route}
    pieces.update({piece: line.group for line, route in placed.routes.items() for piece in _through(route)})
    drawn = []
    for after, dashes in ((False, ""), (True, ' stroke-dasharray="5 4"')):
        path = "".join(_path([piece]) for piece, group in pieces.items() if bool(group) is after)
        if path:
            drawn.append(f'<path fill="none" stroke="{LINE}" stroke-width="1.5"{dashes} d="{path}"/>')
    return drawn


def _through(route: Sequence[Piece]) -> list[Piece]:
    """The straight pieces of a route, through the rows that it passes."""
    return [(end, start) for (_, end), (start, _) in pairwise(route)]


def _hover(joint: Joint, route: Sequence[Piece]) -> str:
    """A line's title on a line that is not seen, and wide enough to be met by a mouse."""
    return (
        f"<g>{title(joint_title(joint))}"
        f'<path fill="none" stroke="{LINE}" stroke-opacity="0" stroke-width="9" d="{_path(route)}"/></g>'
    )


def _path(route: Iterable[Piece]) -> str:
    """Curves between the rows, each leaving and arriving upright, and straight pieces through the rows."""
    pieces: list[str] = []
    for (x0, y0), (x1, y1) in route:
        pieces.append(f"{'L' if pieces else 'M'}{x0:.1f} {y0:.1f}")
        middle = (y0 + y1) / 2
        curve = f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
        pieces.append(curve if abs(x0 - x1) > 0.1 else f"V{y1:.1f}")
    return "".join(pieces)


def _arrow_head(box: Box) -> str:
    return f'<path d="M{box.x - 4.5:.1f} {box.y - 8:.1f}h9l-4.5 8z" fill="{LINE}"/>'


def _labels(lines: Mapping[Link, Joint], placed: Layout) -> list[str]:
    """The names on the lines, each where it hides the least of other lines; without a free place, none."""
    samples = {line: _samples(placed.routes[line]) for line in lines}
    shared = Counter(end for line in lines for end in (("from", line.source), ("into", line.target)))
    taken: list[tuple[float, float, float]] = []
    drawn = []
    for line, joint in lines.items():
        label = listed(joint.names, 24 if len(joint.edges) == 1 else 12)
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
            drawn.append(_label(label, joint_title(joint), x, y, half))
    return drawn


def _label(label: str, told: str, x: float, y: float, half: float) -> str:
    return (
        f"<g>{title(told)}"
        f'<rect x="{x - half:.1f}" y="{y - 7.5:.1f}" width="{2 * half:.1f}" height="{LABEL_HEIGHT}" rx="4" '
        f'fill="{PANEL}"/>'
        f'<text x="{x:.1f}" y="{y + 3.5:.1f}" text-anchor="middle" font-family="{MONO}" font-size="11" '
        f'fill="{SOFT}">{xml(label)}</text></g>'
    )


def _inside(point: Point, label: tuple[float, float, float]) -> bool:
    x, y, half = label
    return abs(point[0] - x) < half and abs(point[1] - y) < 9


def _places(route: Sequence[Piece], leaving: int, entering: int) -> list[Point]:
    """Where a line's name may stand, the best first: away from the end that it shares with more lines."""
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
    """The point at `t`, from 0 to 1, of the curve that `_path` draws."""
    (x0, y0), (x1, y1) = piece
    along = 3 * t * t - 2 * t * t * t
    down = 1.5 * t * (1 - t) * (1 - t) + 1.5 * t * t * (1 - t) + t * t * t
    return x0 + (x1 - x0) * along, y0 + (y1 - y0) * down
