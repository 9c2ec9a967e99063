"""Draws a pipeline as SVG that every frontend displays.

GitHub, nbviewer and JupyterLab sanitise SVG, and display it on light and on dark pages. So it has no style,
class, script or reference, every colour is an attribute, and it draws its own background.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kale_magics.model.pipeline import Pipeline
from kale_magics.view.boxes import box_width, draw_box
from kale_magics.view.collapse import collapse
from kale_magics.view.layout import layout
from kale_magics.view.lines import MARGIN, draw_lines, link
from kale_magics.view.marks import RunSnapshot, StateMark, marks_of_states
from kale_magics.view.states import state_label, state_style
from kale_magics.view.style import FAINT, INK, MONO, PANEL, SANS, SOFT, mono_width, title, xml
from kale_magics.view.words import assignment, first_names, plural, shorten

MIN_WIDTH = 360.0
"""Pixels; a narrower picture has no room for the parameters."""

MAX_PARAMETERS = 12
MAX_NAMES = 40
NAME_LINE = MARGIN + 12
STATUS_LINE = NAME_LINE + 20


def svg(pipeline: Pipeline, states: Mapping[str, str] | None = None) -> str:
    """Draw a pipeline.

    Args:
        pipeline: The pipeline; in a large one, boxes stand for several steps (`collapse`).
        states: The states of steps, by name; a step with a state gets its colours and symbol.

    Returns:
        An SVG document of a fixed size in pixels; the same for the same arguments.
    """
    return Picture(pipeline).draw(marks_of_states(states or {}))


class Picture:
    """Draws a pipeline that is laid out once.

    Args:
        pipeline: The pipeline.
        of_run: Whether it shows a run: then boxes have room for notes, and the header for the run's state.
    """

    def __init__(self, pipeline: Pipeline, of_run: bool = False) -> None:
        drawn = collapse(pipeline)
        widths = {group.key: box_width(group, of_run) for group in drawn.groups}
        placed = layout(widths, [link(group) for group in drawn.edge_groups])
        self._summary = f"Pipeline {pipeline.name}: {plural(len(pipeline.steps), 'step')}"
        self._of_run = of_run
        self._width = max(placed.width + 2 * MARGIN, MIN_WIDTH)
        self._header, top = _header(pipeline, self._summary, self._width - 2 * MARGIN, of_run)
        self._height = top + placed.height + MARGIN
        self._origin = f"{(self._width - placed.width) / 2:.1f} {top:.1f}"
        self._lines = draw_lines(drawn.edge_groups, placed)
        self._boxes = [(group, placed.boxes[group.key]) for group in drawn.groups]

    def draw(self, marks: Mapping[str, StateMark], run: StateMark | None = None) -> str:
        """Draw the pipeline with states.

        Args:
            marks: The states of steps, by name.
            run: The state of the run; None for a picture without a run.

        Returns:
            An SVG document, of the same size every time.
        """
        graph = [
            f'<g transform="translate({self._origin})" font-size="11">',
            *self._lines,
            *(draw_box(group, box, marks, self._of_run) for group, box in self._boxes),
            "</g>",
        ]
        status = [_status(run)] if run else []
        label = f"{self._summary}, {run.words}" if run else self._summary
        return _panel(label, self._width, self._height, [*self._header, *status, *graph])

    def draw_run(self, snapshot: RunSnapshot) -> str:
        """Draw the pipeline with the states of a run."""
        return self.draw(snapshot.steps, snapshot.run)


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
    """Draw the pipeline's name and parameters; return them, and the top of the graph."""
    count = "" if of_run else _tail(plural(len(pipeline.steps), "step"))
    lines = [
        f'<text x="{MARGIN}" y="{NAME_LINE}" font-family="{SANS}" font-size="15" font-weight="600" '
        f'fill="{INK}">{xml(shorten(pipeline.name, int(width / 9)))}{count}'
        f"{title(pipeline.description or summary)}</text>"
    ]
    x, y = MARGIN, (STATUS_LINE if of_run else NAME_LINE) + 22
    for parameter in pipeline.parameters[:MAX_PARAMETERS]:
        label = shorten(assignment(parameter), 34)
        users = [s.name for s in pipeline.steps if parameter in s.parameters]
        used = f"used by {first_names(users, MAX_NAMES) or 'no step'}"
        text = f"parameter {assignment(parameter)} ({parameter.type}), {used}"
        label_width = mono_width(label)
        if x > MARGIN and x + label_width > MARGIN + width:
            x, y = MARGIN, y + 18
        lines.append(_parameter(x, y, label, text))
        x += label_width + 18
    more = pipeline.parameters[MAX_PARAMETERS:]
    if more:
        lines.append(_parameter(x, y, f"+{len(more)}", "\n".join(map(assignment, more))))
    return lines, y + (24 if pipeline.parameters else 2)


def _tail(text: str) -> str:
    return f'<tspan dx="10" font-size="12" font-weight="400" fill="{SOFT}">{text}</tspan>'


def _parameter(x: float, y: float, label: str, text: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="{MONO}" font-size="11" fill="{SOFT}">'
        f"{xml(label)}{title(text)}</text>"
    )


def _status(run: StateMark) -> str:
    """Draw the state of the run, alone in its line, so that its width moves nothing."""
    return (
        f'<text x="{MARGIN}" y="{STATUS_LINE}" font-family="{SANS}" font-size="12" fill="{SOFT}">'
        f'<tspan font-weight="600" fill="{state_style(run.state).stroke}">{state_label(run.state)}</tspan>'
        f"{xml(f', {run.note}' if run.note else '')}</text>"
    )
