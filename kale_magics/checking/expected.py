"""What a run is checked against: the values that the notebook's cells left in the session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kale_magics.model.diagnostics import Code, Diagnostic
from kale_magics.session.registry import Cell

HISTORY = (Code.OUT_OF_ORDER, Code.CHANGED_OUTSIDE, Code.CELL_CHANGED)
"""Warnings before a run that say why the session has other values than the pipeline will compute."""


@dataclass(frozen=True)
class Expected:
    """What the notebook has, as far as a run is checked against it.

    Attributes:
        fingerprints: By step and variable, what the step's cells left.
        changed: By step, the variables that its cells bound or changed.
        changers: By step and variable, the step that had changed it last when its first cell ran.
        cells: The label of each step's last cell, and when that was marked.
        absent: Why a step has no values here, by its name.
        history: Why a step's values here may be others than its cells alone make, by its name.
        current: Gives the fingerprint of what the session has under a name now; None if it has nothing.
    """

    fingerprints: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    changed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    changers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    cells: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    history: Mapping[str, str] = field(default_factory=dict)
    current: Callable[[str], Any] = lambda _: None


def expected_of(
    cells: Sequence[Cell],
    diagnostics: Iterable[Diagnostic],
    changed: Iterable[Cell] = (),
    values: Mapping[str, Any] | None = None,
) -> Expected:
    """What the notebook has.

    Args:
        cells: The marked cells in the order of the notebook.
        diagnostics: What assembling them gave.
        changed: Those of them that were edited after they ran.
        values: The session's variables.
    """
    from kale_magics.step_runtime.fingerprint import fingerprint

    steps: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.kind == "step":
            steps.setdefault(cell.name, []).append(cell)
    session = values or {}
    return Expected(
        *_what_cells_left(cells),
        {name: (own[-1].label, own[-1].marked_at) for name, own in steps.items()},
        {name: reason for name, own in steps.items() if (reason := _why_absent(own, set(changed)))},
        _histories(cells, steps, diagnostics),
        lambda name: fingerprint(session[name]) if name in session else None,
    )


def _what_cells_left(
    cells: Iterable[Cell],
) -> tuple[dict[str, dict[str, Any]], dict[str, frozenset[str]], dict[str, dict[str, str]]]:
    """What the cells of each step left, what they changed, and who had changed it before."""
    left: dict[str, dict[str, Any]] = {}
    changed: dict[str, set[str]] = {}
    changers: dict[str, dict[str, str]] = {}
    latest: dict[str, str] = {}
    last: dict[str, str] = {}
    for cell in cells:
        if cell.kind == "step":
            changers.setdefault(cell.name, dict(last))
        for name, node in (cell.evidence.fingerprints if cell.evidence else {}).items():
            if "no" not in node and latest.get(name) != node["h"]:
                changed.setdefault(cell.name, set()).add(name)
                last[name] = cell.name
            latest[name] = latest.get(name, "") if "no" in node else node["h"]
            own = left.setdefault(cell.name, {})
            if name not in own or last.get(name, cell.name) == cell.name:
                own[name] = node  # else another step has changed it between two cells of this one
    return left, {name: frozenset(names) for name, names in changed.items()}, changers


def _why_absent(cells: Sequence[Cell], changed: set[Cell]) -> str:
    """Why the cells of a step have left nothing that a run can be compared with; empty if they have."""
    for cell in cells:
        if not cell.run or cell.state != "ran" or cell.execution_count is None:
            return f"{cell.label} has not run here"
        if cell in changed:
            return f"{cell.label} was edited after it ran"
        if cell.evidence is None:
            return f"{cell.label} was not watched"
    return ""


def _histories(
    cells: Sequence[Cell], steps: Mapping[str, Sequence[Cell]], diagnostics: Iterable[Diagnostic]
) -> dict[str, str]:
    """Why a step's cells may have left something else than they would if all ran once from the top."""
    found: dict[str, str] = {}
    for told in diagnostics:
        if told.code in HISTORY:
            for name in [told.where.step] if told.where.step in steps else steps:
                found.setdefault(name, f"{told.code.code}: see the warning before the run")
    latest: Cell | None = None
    for cell in cells:
        if cell.kind == "skip" or cell.execution_count is None:
            continue
        affected = [cell.name] if cell.kind == "step" else list(steps)
        if latest is not None and cell.execution_count < (latest.execution_count or 0):
            for name in affected:
                found.setdefault(name, f"{latest.label} ran after {cell.label}")
        elif cell.earlier:
            for name in affected:
                found.setdefault(name, f"{cell.label} ran more than once")
        if latest is None or cell.execution_count > (latest.execution_count or 0):
            latest = cell
    return found
