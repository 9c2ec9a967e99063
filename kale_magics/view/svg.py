"""The picture of a pipeline, as SVG that survives everywhere.

GitHub, nbviewer and JupyterLab sanitise what they show, and show it on light and on dark pages. So there is
no style, class, script or reference in it, every colour is an attribute, and it brings its own panel.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise

from kale_magics.pipeline import Pipeline, Step
from kale_magics.view.layout import BOX_HEIGHT, Box, Layout, Link, Point, layout
from kale_magics.view.states import look
from kale_magics.view.words import (
    Edge,
    assignment,
    cell_labels,
    columns,
    described,
    edges,
    kind_and_size,
    listed,
    plural,
    shorten,
)

MARGIN = 24.0
NARROWEST = 360.0
"""Pixels; a narrower picture would leave the parameters no room."""

MOST_LABELLED = 40
"""Edges; with more of them the names would hide the lines."""

MOST_PARAMETERS = 12
LABEL_HEIGHT = 15.0

INK, SOFT, FAINT, LINE = "#1f2a37", "#5b6776", "#d5dbe3", "#8794a5"
PANEL, PAPER, ACCENT = "#f6f8fb", "#ffffff", "#8250df"
SANS = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace"

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def svg(pipeline: Pipeline, states: Mapping[str, str] | None = None) -> str:
    """Draw a pipeline.

    Args:
        pipeline: What to draw.
        states: Names of steps to their states in a run; a step that has one gets its colour and sign.

    Returns:
        An SVG document of a fixed size in pixels; the same for the same arguments.
    """
    crossing = edges(pipeline)
    links = {edge: Link(edge.source, edge.target, "" if edge.inputs else "after") for edge in crossing}
    placed = layout({step.name: _box_width(step) for step in pipeline.steps}, list(links.values()))
    width = max(placed.width + 2 * MARGIN, NARROWEST)
    header, top = _header(pipeline, width - 2 * MARGIN)
    body = [
        *_lines(placed),
        *(_hover(edge, placed.routes[link]) for edge, link in links.items()),
        *(_arrow_head(placed.boxes[name]) for name in dict.fromkeys(edge.target for edge in crossing)),
        *(_labels(links, placed) if len(crossing) <= MOST_LABELLED else ()),
        *(_box(step, placed.boxes[step.name], (states or {}).get(step.name, "")) for step in pipeline.steps),
    ]
    left = (width - placed.width) / 2
    graph = [f'<g transform="translate({left:.1f} {top:.1f})" font-size="11">', *body, "</g>"]
    return _panel(_summary(pipeline), width, top + placed.height + MARGIN, [*header, *graph])


def _panel(label: str, width: float, height: float, content: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{_text(label)}">',
            f'<rect x="0.5" y="0.5" width="{width - 1:.0f}" height="{height - 1:.0f}" rx="10" fill="{PANEL}" '
            f'stroke="{FAINT}"/>',
            *content,
            "</svg>",
        ]
    )


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def _summary(pipeline: Pipeline) -> str:
    return f"Pipeline {pipeline.name}: {plural(len(pipeline.steps), 'step')}"


def _header(pipeline: Pipeline, width: float) -> tuple[list[str], float]:
    """The pipeline's name and parameters, and where the graph may start."""
    y = MARGIN + 12
    name = shorten(pipeline.name, int(width / 9))
    lines = [
        f'<text x="{MARGIN}" y="{y}" font-family="{SANS}" font-size="15" font-weight="600" fill="{INK}">'
        f'{_text(name)}<tspan dx="10" font-size="12" font-weight="400" fill="{SOFT}">'
        f"{plural(len(pipeline.steps), 'step')}</tspan>"
        f"<title>{_text(pipeline.description or _summary(pipeline))}</title></text>"
    ]
    x, y = MARGIN, y + 22
    for parameter in pipeline.parameters[:MOST_PARAMETERS]:
        label = shorten(assignment(parameter), 34)
        taken_by = [s.name for s in pipeline.steps if parameter in s.parameters]
        used = f"used by {', '.join(taken_by) or 'no step'}"
        title = f"parameter {assignment(parameter)} ({parameter.type}), {used}"
        wide = _mono(label)
        if x > MARGIN and x + wide > MARGIN + width:
            x, y = MARGIN, y + 18
        lines.append(_parameter(x, y, label, title))
        x += wide + 18
    more = pipeline.parameters[MOST_PARAMETERS:]
    if more:
        lines.append(_parameter(x, y, f"+{len(more)}", "\n".join(map(assignment, more))))
    return lines, y + (24 if pipeline.parameters else 2)


def _parameter(x: float, y: float, label: str, title: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="{MONO}" font-size="11" fill="{SOFT}">'
        f"{_text(label)}<title>{_text(title)}</title></text>"
    )


def _mono(text: str) -> float:
    """The pixels that a text of 11 px takes; monospaced fonts advance by 0.6 of their size, or less."""
    return columns(text) * 6.7


def _box_width(step: Step) -> float:
    name = columns(shorten(step.name, 24)) * 8.2 + 36
    metrics = _mono(listed(step.metrics, 20)) + 44 if step.metrics else 0.0
    return max(92.0, name, metrics)


def _box(step: Step, box: Box, state: str) -> str:
    """A step: its name, its metrics, and its state in a run."""
    seen = look(state)
    left = box.x - box.width / 2
    base = box.y + (19 if step.metrics else 27)
    parts = [
        f"<g><title>{_text(step_title(step, state))}</title>",
        f'<rect x="{left:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{BOX_HEIGHT}" rx="8" '
        f'fill="{seen.fill}" stroke="{seen.stroke}" stroke-width="1.4"/>',
        f'<text x="{box.x:.1f}" y="{base:.1f}" text-anchor="middle" font-family="{SANS}" font-size="13.5" '
        f'font-weight="600" fill="{INK}">{_text(shorten(step.name, 24))}</text>',
    ]
    if step.metrics:
        parts.append(_metrics_mark(step, box))
    if seen.sign:
        parts.append(
            f'<circle cx="{left:.1f}" cy="{box.y:.1f}" r="9" fill="{seen.stroke}"/>'
            f'<text x="{left:.1f}" y="{box.y + 4:.1f}" text-anchor="middle" font-family="{SANS}" '
            f'font-size="11" font-weight="700" fill="{PAPER}">{seen.sign}</text>'
        )
    return "".join([*parts, "</g>"])


def _metrics_mark(step: Step, box: Box) -> str:
    """Three small bars and the names of the metrics."""
    label = listed(step.metrics, 20)
    x, y = box.x - _mono(label) / 2 - 7, box.y + 35
    bars = "".join(f"M{x + 4 * i:.1f} {y:.1f}v{-length}" for i, length in enumerate((4, 9, 6)))
    return (
        f'<path d="{bars}" stroke="{ACCENT}" stroke-width="2.6" fill="none"/>'
        f'<text x="{x + 14:.1f}" y="{y:.1f}" font-family="{MONO}" font-size="11" fill="{ACCENT}">'
        f"{_text(label)}</text>"
    )


def step_title(step: Step, state: str = "") -> str:
    """All that is known of a step, in lines."""
    facts = [
        ("cells", ", ".join(cell_labels(step))),
        *(("parameter", assignment(parameter)) for parameter in step.parameters),
        *(("takes", described(i.names, i.artifact, i.step)) for i in step.inputs),
        *(("hands on", described(artifact.names, artifact)) for artifact in step.outputs),
        ("metrics", ", ".join(step.metrics)),
        ("after", ", ".join(step.after)),
    ]
    head = f"{step.name}: {state}" if state else step.name
    return "\n".join([head, *(f"{what}: {value}" for what, value in facts if value)])


def edge_title(edge: Edge) -> str:
    """What crosses an edge, in lines: variables with types and sizes, or what else makes the order."""
    lines = [f"{edge.source} → {edge.target}"]
    for i in edge.inputs:
        known = kind_and_size(i.artifact)
        lines.append(", ".join(i.names) + (f": {known}" if known else ""))
    return "\n".join([*lines, "--after"] if edge.after else lines)


def _lines(placed: Layout) -> list[str]:
    """What is seen of the edges: a piece that several share is drawn once."""
    pieces = {piece: link.group for link, route in placed.routes.items() for piece in route}
    pieces.update({(b, c): link.group for link, route in placed.routes.items() for b, c in _through(route)})
    drawn = []
    for after, dashes in ((False, ""), (True, ' stroke-dasharray="5 4"')):
        path = "".join(_path([piece]) for piece, group in pieces.items() if bool(group) is after)
        if path:
            drawn.append(f'<path fill="none" stroke="{LINE}" stroke-width="1.5"{dashes} d="{path}"/>')
    return drawn


def _through(route: Sequence[tuple[Point, Point]]) -> list[tuple[Point, Point]]:
    """The straight pieces of a route, through the rows that it passes."""
    return [(end, start) for (_, end), (start, _) in pairwise(route)]


def _hover(edge: Edge, route: Sequence[tuple[Point, Point]]) -> str:
    """An edge's title on a line that is not seen, and wide enough to be met by a mouse."""
    return (
        f"<g><title>{_text(edge_title(edge))}</title>"
        f'<path fill="none" stroke="{LINE}" stroke-opacity="0" stroke-width="9" d="{_path(route)}"/></g>'
    )


def _path(route: Iterable[tuple[Point, Point]]) -> str:
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


def _labels(links: Mapping[Edge, Link], placed: Layout) -> list[str]:
    """The names on the edges, each where it hides the least of other lines; without a free place, none."""
    lines = {link: _samples(placed.routes[link]) for link in links.values()}
    shared = Counter(end for edge in links for end in (("from", edge.source), ("into", edge.target)))
    taken: list[tuple[float, float, float]] = []
    drawn = []
    for edge, link in links.items():
        label = listed(edge.names, 24)
        half = _mono(label) / 2 + 2
        others = [point for other, points in lines.items() if other != link for point in points]
        places = _places(placed.routes[link], shared["from", edge.source], shared["into", edge.target])
        free = [
            (sum(_inside(point, (x, y, half)) for point in others), index, x, y)
            for index, (x, y) in enumerate(places)
            if not any(abs(x - u) < half + w and abs(y - v) < LABEL_HEIGHT for u, v, w in taken)
            and abs(x - placed.width / 2) + half < placed.width / 2 + MARGIN
        ]
        if label and free:
            _, _, x, y = min(free)
            taken.append((x, y, half))
            drawn.append(_label(label, edge_title(edge), x, y, half))
    return drawn


def _label(label: str, title: str, x: float, y: float, half: float) -> str:
    return (
        f"<g><title>{_text(title)}</title>"
        f'<rect x="{x - half:.1f}" y="{y - 7.5:.1f}" width="{2 * half:.1f}" height="{LABEL_HEIGHT}" rx="4" '
        f'fill="{PANEL}"/>'
        f'<text x="{x:.1f}" y="{y + 3.5:.1f}" text-anchor="middle" font-family="{MONO}" font-size="11" '
        f'fill="{SOFT}">{_text(label)}</text></g>'
    )


def _inside(point: Point, label: tuple[float, float, float]) -> bool:
    x, y, half = label
    return abs(point[0] - x) < half and abs(point[1] - y) < 9


def _places(route: Sequence[tuple[Point, Point]], leaving: int, entering: int) -> list[Point]:
    """Where a line's name may stand, the best first: away from the end that it shares with more lines."""
    places = []
    for piece in dict.fromkeys((route[-1], route[0])):
        at_start, at_end = leaving if piece == route[0] else 1, entering if piece == route[-1] else 1
        late, early = (0.72, 0.6, 0.5, 0.4), (0.28, 0.4, 0.5, 0.6)
        positions = late if at_start > at_end else early if at_start < at_end else (0.5, 0.6, 0.4, 0.72, 0.28)
        places += [_on_curve(piece, t) for t in positions]
    return places


def _samples(route: Iterable[tuple[Point, Point]]) -> list[Point]:
    return [_on_curve(piece, step / 12) for piece in route for step in range(1, 12)]


def _on_curve(piece: tuple[Point, Point], t: float) -> Point:
    """The point at `t`, from 0 to 1, of the curve that `_path` draws."""
    (x0, y0), (x1, y1) = piece
    along = 3 * t * t - 2 * t * t * t
    down = 1.5 * t * (1 - t) * (1 - t) + 1.5 * t * t * (1 - t) + t * t * t
    return x0 + (x1 - x0) * along, y0 + (y1 - y0) * down
