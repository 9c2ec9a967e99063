"""The boxes of a picture: a step, or several, with what is known of them and how far they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kale_magics.model.pipeline import Step
from kale_magics.view.collapse import Group
from kale_magics.view.layout import BOX_HEIGHT, Box
from kale_magics.view.marks import StateMark, by_state, count_done, shared_state
from kale_magics.view.states import Look, appearance
from kale_magics.view.style import ACCENT, INK, MONO, PAPER, SANS, SOFT, mono_width, title, xml
from kale_magics.view.words import assignment, cell_labels, columns, described, listed, plural, some

LONGEST_NAME = 24
LONGEST_METRICS = 20
NARROWEST = 92.0

LONGEST_NOTE = "59 min 59 s"
"""A box is wide enough for this from the start, so that nothing moves when times appear."""

MOST_NAMED = 40
"""Steps in the title of a box that stands for many, for each of their states."""

BARS = 14.0
PADDING = 12.0


def box_width(group: Group, notes: bool) -> float:
    """The pixels that a box needs.

    Args:
        group: What is in it.
        notes: Whether there will be notes.
    """
    name = columns(group.label(LONGEST_NAME)) * 8.2 + 36
    metrics = _metrics(group)
    below = mono_width(metrics) + BARS if metrics else 0.0
    if len(group.steps) > 1:
        below = mono_width(count_done([""] * len(group.steps)) if notes else _count(group))
    elif notes:
        below += mono_width(LONGEST_NOTE) + (PADDING if metrics else 0.0)
    return max(NARROWEST, name, below + 2 * PADDING)


def draw_box(group: Group, box: Box, marks: Mapping[str, StateMark], notes: bool) -> str:
    """A box: its name, its state, and what stands below the name.

    Args:
        group: What is in it.
        box: Where it is.
        marks: Names of steps to how far they are.
        notes: Whether the marks' notes are shown.
    """
    mine = {step.name: marks.get(step.name, StateMark()) for step in group.steps}
    seen = appearance(shared_state([mark.state for mark in mine.values()]))
    left = box.x - box.width / 2
    below = _below(group, box, list(mine.values()), notes)
    told = group_title(group, mine) if len(mine) > 1 else step_title(group.steps[0], mine[group.key])
    return "".join(
        [
            f"<g>{title(told)}",
            _rect(left + 4, box.y + 4, box.width, seen) if len(mine) > 1 else "",
            _rect(left, box.y, box.width, seen),
            f'<text x="{box.x:.1f}" y="{box.y + (19 if below else 27):.1f}" text-anchor="middle" '
            f'font-family="{SANS}" font-size="13.5" font-weight="600" fill="{INK}">'
            f"{xml(group.label(LONGEST_NAME))}</text>",
            below,
            _sign(left, box.y, seen) if seen.sign else "",
            "</g>",
        ]
    )


def _rect(left: float, top: float, width: float, seen: Look) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{BOX_HEIGHT}" rx="8" '
        f'fill="{seen.fill}" stroke="{seen.stroke}" stroke-width="{seen.width}"/>'
    )


def _sign(x: float, y: float, seen: Look) -> str:
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="{seen.stroke}"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" font-family="{SANS}" '
        f'font-size="11" font-weight="700" fill="{PAPER}">{seen.sign}</text>'
    )


def _below(group: Group, box: Box, marks: Sequence[StateMark], notes: bool) -> str:
    """What stands below the name: how many steps, or metrics and a note, side by side."""
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


def _count(group: Group) -> str:
    return plural(len(group.steps), "step")


def _metrics(group: Group) -> str:
    return listed(group.steps[0].metrics, LONGEST_METRICS) if len(group.steps) == 1 else ""


def _metrics_mark(label: str, x: float, y: float) -> str:
    """Three small bars and the names of the metrics."""
    bars = "".join(f"M{x + 4 * i:.1f} {y:.1f}v{-length}" for i, length in enumerate((4, 9, 6)))
    drawn = f'<path d="{bars}" stroke="{ACCENT}" stroke-width="2.6" fill="none"/>'
    return drawn + _small(x + BARS, y, label, "start", ACCENT)


def step_title(step: Step, mark: StateMark) -> str:
    """All that is known of a step, in lines."""
    facts = [
        ("error", mark.error),
        ("cells", ", ".join(cell_labels(step))),
        *(("parameter", assignment(parameter)) for parameter in step.parameters),
        *(("takes", described(i.names, i.output, i.step)) for i in step.inputs),
        *(("hands on", described(artifact.names, artifact)) for artifact in step.outputs),
        ("metrics", ", ".join(step.metrics)),
        ("after", ", ".join(step.after)),
    ]
    head = f"{step.name}: {mark.words}" if mark.words else step.name
    return "\n".join([head, *(f"{what}: {value}" for what, value in facts if value)])


def group_title(group: Group, marks: Mapping[str, StateMark]) -> str:
    """The steps of a box that stands for several, by state, in lines."""
    found = by_state(marks)
    lines = [f"{state or 'steps'}: {some(names, MOST_NAMED)}" for state, names in found.items()]
    metrics = list(dict.fromkeys(name for step in group.steps for name in step.metrics))
    lines += [f"metrics: {some(metrics, MOST_NAMED)}"] if metrics else []
    words = f": {shared_state([mark.state for mark in marks.values()])}" if any(found) else ""
    return "\n".join([group.name + words, *lines])
