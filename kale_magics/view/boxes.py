"""Draws the boxes of a picture: one step or several, with their details and their state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kale_magics.model.pipeline import Step
from kale_magics.view.collapse import StepGroup
from kale_magics.view.layout import BOX_HEIGHT, Box
from kale_magics.view.marks import StateMark, by_state, count_done, shared_state
from kale_magics.view.states import StateStyle, state_style
from kale_magics.view.style import ACCENT, INK, MONO, PAPER, SANS, SOFT, mono_width, title, xml
from kale_magics.view.words import (
    assignment,
    columns,
    describe_variables,
    first_names,
    listed,
    plural,
)

MAX_NAME = 24
MAX_METRICS = 20
MIN_WIDTH = 92.0

SAMPLE_NOTE = "59 min 59 s"
"""A box has room for this from the start, so that nothing moves when times appear."""

MAX_NAMES = 40
"""Steps in the title of a box of several steps, for each state."""

BARS = 14.0
PADDING = 12.0


def box_width(group: StepGroup, notes: bool) -> float:
    """Return the width of a box in pixels.

    Args:
        group: The steps in it.
        notes: Whether it shows notes.
    """
    name = columns(group.label(MAX_NAME)) * 8.2 + 36
    metrics = _metrics(group)
    below = mono_width(metrics) + BARS if metrics else 0.0
    if len(group.steps) > 1:
        below = mono_width(count_done([""] * len(group.steps)) if notes else _count(group))
    elif notes:
        below += mono_width(SAMPLE_NOTE) + (PADDING if metrics else 0.0)
    return max(MIN_WIDTH, name, below + 2 * PADDING)


def draw_box(group: StepGroup, box: Box, marks: Mapping[str, StateMark], notes: bool) -> str:
    """Draw a box: its name, its state, and the line below the name.

    Args:
        group: The steps in it.
        box: Its position.
        marks: The states of steps, by name.
        notes: Whether to show the marks' notes.

    Returns:
        SVG elements.
    """
    mine = {step.name: marks.get(step.name, StateMark()) for step in group.steps}
    style = state_style(shared_state([mark.state for mark in mine.values()]))
    left = box.x - box.width / 2
    below = _below(group, box, list(mine.values()), notes)
    text = group_title(group, mine) if len(mine) > 1 else step_title(group.steps[0], mine[group.key])
    return "".join(
        [
            f"<g>{title(text)}",
            _rect(left + 4, box.y + 4, box.width, style) if len(mine) > 1 else "",
            _rect(left, box.y, box.width, style),
            f'<text x="{box.x:.1f}" y="{box.y + (19 if below else 27):.1f}" text-anchor="middle" '
            f'font-family="{SANS}" font-size="13.5" font-weight="600" fill="{INK}">'
            f"{xml(group.label(MAX_NAME))}</text>",
            below,
            _symbol(left, box.y, style) if style.symbol else "",
            "</g>",
        ]
    )


def _rect(left: float, top: float, width: float, style: StateStyle) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{BOX_HEIGHT}" rx="8" '
        f'fill="{style.fill}" stroke="{style.stroke}" stroke-width="{style.width}"/>'
    )


def _symbol(x: float, y: float, style: StateStyle) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="{style.stroke}"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" font-family="{SANS}" '
        f'font-size="11" font-weight="700" fill="{PAPER}">{style.symbol}</text>'
    )


def _below(group: StepGroup, box: Box, marks: Sequence[StateMark], notes: bool) -> str:
    """Draw the line below the name: the number of steps, or metrics and a note."""
    y = box.y + 35
    if len(marks) > 1:
        return _small(box.x, y, count_done([mark.state for mark in marks]) if notes else _count(group))
    metrics = _metrics(group)
    if not metrics:
        return _small(box.x, y, marks[0].note) if notes else ""
    if not notes:
        return _metrics_mark(metrics, box.x - (mono_width(metrics) + BARS) / 2, y)
    inner = box.width / 2 - PADDING
    return _metrics_mark(metrics, box.x - inner, y) + _small(box.x + inner, y, marks[0].note, "end")


def _small(x: float, y: float, text: str, anchor: str = "middle", colour: str = SOFT) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-family="{MONO}" font-size="11" '
        f'fill="{colour}">{xml(text)}</text>'
    )


def _count(group: StepGroup) -> str:
    return plural(len(group.steps), "step")


def _metrics(group: StepGroup) -> str:
    return listed(group.steps[0].metrics, MAX_METRICS) if len(group.steps) == 1 else ""


def _metrics_mark(label: str, x: float, y: float) -> str:
    """Draw three small bars and the names of the metrics."""
    bars = "".join(f"M{x + 4 * i:.1f} {y:.1f}v{-length}" for i, length in enumerate((4, 9, 6)))
    drawn = f'<path d="{bars}" stroke="{ACCENT}" stroke-width="2.6" fill="none"/>'
    return drawn + _small(x + BARS, y, label, "start", ACCENT)


def step_title(step: Step, mark: StateMark) -> str:
    """Return the details of a step, one a line."""
    facts = [
        ("error", mark.error),
        ("cells", ", ".join(code.label for code in step.cells)),
        *(("parameter", assignment(parameter)) for parameter in step.parameters),
        *(("input", describe_variables(i.names, i.output, i.step)) for i in step.inputs),
        *(("output", describe_variables(output.names, output)) for output in step.outputs),
        ("metrics", ", ".join(step.metrics)),
        ("after", ", ".join(step.after)),
    ]
    head = f"{step.name}: {mark.words}" if mark.words else step.name
    return "\n".join([head, *(f"{what}: {value}" for what, value in facts if value)])


def group_title(group: StepGroup, marks: Mapping[str, StateMark]) -> str:
    """Return the steps of a box by state, one state a line."""
    found = by_state(marks)
    lines = [f"{state or 'steps'}: {first_names(names, MAX_NAMES)}" for state, names in found.items()]
    metrics = list(dict.fromkeys(name for step in group.steps for name in step.metrics))
    lines += [f"metrics: {first_names(metrics, MAX_NAMES)}"] if metrics else []
    words = f": {shared_state([mark.state for mark in marks.values()])}" if any(found) else ""
    return "\n".join([group.name + words, *lines])
