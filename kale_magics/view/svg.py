"""The picture of a pipeline, as SVG that survives everywhere.

GitHub, nbviewer and JupyterLab sanitise what they show, and show it on light and on dark pages. So there is
no style, class, script or reference in it, every colour is an attribute, and it brings its own panel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kale_magics.model.pipeline import Pipeline
from kale_magics.view.boxes import box_width, draw_box
from kale_magics.view.collapse import collapse
from kale_magics.view.layout import layout
from kale_magics.view.lines import MARGIN, draw_lines, link
from kale_magics.view.marks import Moment, StateMark, marks_of_states
from kale_magics.view.states import appearance, signed
from kale_magics.view.style import FAINT, INK, MONO, PANEL, SANS, SOFT, mono_width, title, xml
from kale_magics.view.words import assignment, plural, shorten, some

NARROWEST = 360.0
"""Pixels; a narrower picture would leave the parameters no room."""

MOST_PARAMETERS = 12
MOST_NAMED = 40
NAME_LINE = MARGIN + 12
STATUS_LINE = NAME_LINE + 20


def svg(pipeline: Pipeline, states: Mapping[str, str] | None = None) -> str:
    """Draw a pipeline.

    Args:
        pipeline: What to draw; one of many steps is drawn with boxes that stand for several (`collapse`).
        states: Names of steps to their states; a step that has one gets its colour and sign.

    Returns:
        An SVG document of a fixed size in pixels; the same for the same arguments.
    """
    return Picture(pipeline).draw(marks_of_states(states or {}))


class Picture:
    """A pipeline that is laid out once, to be drawn as often as there is something new.

    Args:
        pipeline: What to draw.
        of_run: Whether a run is shown: then boxes have room for notes, and the head for the run's state.
    """

    def __init__(self, pipeline: Pipeline, of_run: bool = False) -> None:
        drawn = collapse(pipeline)
        widths = {group.key: box_width(group, of_run) for group in drawn.groups}
        placed = layout(widths, [link(joint) for joint in drawn.joints])
        self._summary = f"Pipeline {pipeline.name}: {plural(len(pipeline.steps), 'step')}"
        self._of_run = of_run
        self._width = max(placed.width + 2 * MARGIN, NARROWEST)
        self._header, top = _header(pipeline, self._summary, self._width - 2 * MARGIN, of_run)
        self._height = top + placed.height + MARGIN
        self._origin = f"{(self._width - placed.width) / 2:.1f} {top:.1f}"
        self._lines = draw_lines(drawn.joints, placed)
        self._boxes = [(group, placed.boxes[group.key]) for group in drawn.groups]

    def draw(self, marks: Mapping[str, StateMark], whole: StateMark | None = None) -> str:
        """Draw it.

        Args:
            marks: Names of steps to how far they are.
            whole: How far the run is; None for a picture that is not of a run.

        Returns:
            An SVG document, of the same size every time.
        """
        graph = [
            f'<g transform="translate({self._origin})" font-size="11">',
            *self._lines,
            *(draw_box(group, box, marks, self._of_run) for group, box in self._boxes),
            "</g>",
        ]
        status = [_status(whole)] if whole else []
        label = f"{self._summary}, {whole.words}" if whole else self._summary
        return _panel(label, self._width, self._height, [*self._header, *status, *graph])

    def at(self, moment: Moment) -> str:
        """Draw a run as it is at a moment."""
        return self.draw(moment.steps, moment.whole)


def _panel(label: str, width: float, height: float, content: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{xml(label)}">',
            f'<rect x="0.5" y="0.5" width="{width - 1:.0f}" height="{height - 1:.0f}" rx="10" fill="{PANEL}" '
            f'stroke="{FAINT}"/>',
            *content,
            "</svg>",
        ]
    )


def _header(pipeline: Pipeline, summary: str, width: float, of_run: bool) -> tuple[list[str], float]:
    """The pipeline's name and parameters, and where the graph may start."""
    count = "" if of_run else _tail(plural(len(pipeline.steps), "step"))
    lines = [
        f'<text x="{MARGIN}" y="{NAME_LINE}" font-family="{SANS}" font-size="15" font-weight="600" '
        f'fill="{INK}">{xml(shorten(pipeline.name, int(width / 9)))}{count}'
        f"{title(pipeline.description or summary)}</text>"
    ]
    x, y = MARGIN, (STATUS_LINE if of_run else NAME_LINE) + 22
    for parameter in pipeline.parameters[:MOST_PARAMETERS]:
        label = shorten(assignment(parameter), 34)
        taken_by = [s.name for s in pipeline.steps if parameter in s.parameters]
        used = f"used by {some(taken_by, MOST_NAMED) or 'no step'}"
        told = f"parameter {assignment(parameter)} ({parameter.type}), {used}"
        wide = mono_width(label)
        if x > MARGIN and x + wide > MARGIN + width:
            x, y = MARGIN, y + 18
        lines.append(_parameter(x, y, label, told))
        x += wide + 18
    more = pipeline.parameters[MOST_PARAMETERS:]
    if more:
        lines.append(_parameter(x, y, f"+{len(more)}", "\n".join(map(assignment, more))))
    return lines, y + (24 if pipeline.parameters else 2)


def _tail(text: str) -> str:
    return f'<tspan dx="10" font-size="12" font-weight="400" fill="{SOFT}">{text}</tspan>'


def _parameter(x: float, y: float, label: str, told: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="{MONO}" font-size="11" fill="{SOFT}">'
        f"{xml(label)}{title(told)}</text>"
    )


def _status(whole: StateMark) -> str:
    """The line that tells how far the run is; it is the last in its line, so its width moves nothing."""
    return (
        f'<text x="{MARGIN}" y="{STATUS_LINE}" font-family="{SANS}" font-size="12" fill="{SOFT}">'
        f'<tspan font-weight="600" fill="{appearance(whole.state).stroke}">{signed(whole.state)}</tspan>'
        f"{xml(f', {whole.note}' if whole.note else '')}</text>"
    )
