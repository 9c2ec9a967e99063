"""The values that a run is checked against: those that the notebook's cells computed in the session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kale_magics.model.diagnostics import Code, Diagnostic
from kale_magics.session.registry import Cell

HISTORY = (Code.OUT_OF_ORDER, Code.CHANGED_OUTSIDE, Code.CELL_CHANGED)
"""Warnings before a run that explain why the session has other values than the pipeline will compute."""


@dataclass(frozen=True)
class Expected:
    """The values of the notebook that a run is checked against.

    Attributes:
        fingerprints: By step and variable, the values after the step's cells ran.
        changed: By step, the variables that its cells bound or changed.
        changers: By step and variable, the step that had changed it last when its first cell ran.
        cells: The label of each step's last cell, and when that was marked.
        absent: Why a step has no values in the session, by its name.
        history: Why a step's values in the session may not be those that its cells compute, by its name.
        current: Returns the fingerprint of a variable's current value; None if it has none.
        later: For a step, the fingerprints that variables had at its later cells because of other steps.
    """

    fingerprints: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    changed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    changers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    cells: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    history: Mapping[str, str] = field(default_factory=dict)
    current: Callable[[str], Any] = lambda _: None
    later: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)


def expected_of(
    cells: Sequence[Cell],
    diagnostics: Iterable[Diagnostic],
    changed: Iterable[Cell] = (),
    values: Mapping[str, Any] | None = None,
) -> Expected:
    """Collect the values of the notebook.

    Args:
        cells: The marked cells in the order of the notebook.
        diagnostics: The diagnostics of their assembly.
        changed: Those of them that were edited after they ran.
        values: The session's variables.
    """
    from kale_magics.step_runtime.fingerprint import fingerprint

    steps: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.kind == "step":
            steps.setdefault(cell.name, []).append(cell)
    session = values or {}
    found, changes, changers, later = _cell_values(cells)
    return Expected(
        found,
        changes,
        changers,
        {name: (own[-1].label, own[-1].marked_at) for name, own in steps.items()},
        {name: reason for name, own in steps.items() if (reason := _absence_reason(own, set(changed)))},
        _history_reasons(cells, steps, diagnostics),
        lambda name: fingerprint(session[name]) if name in session else None,
        later,
    )


def _cell_values(
    cells: Iterable[Cell],
) -> tuple[
    dict[str, dict[str, Any]],
    dict[str, frozenset[str]],
    dict[str, dict[str, str]],
    dict[str, dict[str, list[Any]]],
]:
    """Return the values and the changes of each step's cells, and what other steps changed.

    That is for each step the steps that changed variables before it, and the values that variables had at its
    later cells because of other steps.
    """
    values: dict[str, dict[str, Any]] = {}
    later: dict[str, dict[str, list[Any]]] = {}
    changed: dict[str, set[str]] = {}
    changers: dict[str, dict[str, str]] = {}
    latest: dict[str, str] = {}
    last: dict[str, str] = {}
    for cell in cells:
        if cell.kind == "step":
            changers.setdefault(cell.name, dict(last))
        for name, node in (cell.execution.evidence.fingerprints if cell.execution.evidence else {}).items():
            if "no" not in node and latest.get(name) != node["h"]:
                changed.setdefault(cell.name, set()).add(name)
                last[name] = cell.name
            latest[name] = latest.get(name, "") if "no" in node else node["h"]
            own = values.setdefault(cell.name, {})
            if name not in own or last.get(name, cell.name) == cell.name:
                own[name] = node
            else:  # another step changed it between two cells of this one
                later.setdefault(cell.name, {}).setdefault(name, []).append(node)
    return values, {name: frozenset(names) for name, names in changed.items()}, changers, later


def _absence_reason(cells: Sequence[Cell], changed: set[Cell]) -> str:
    """Return why a step has no values to compare with; empty if it has."""
    for cell in cells:
        if not cell.mark.run or cell.execution.state != "ran" or cell.execution.count is None:
            return f"{cell.label} has not run in this session"
        if cell in changed:
            return f"{cell.label} was edited after it ran"
        if cell.execution.evidence is None:
            return f"{cell.label} was not observed"
    return ""


def _history_reasons(
    cells: Sequence[Cell], steps: Mapping[str, Sequence[Cell]], diagnostics: Iterable[Diagnostic]
) -> dict[str, str]:
    """Return why a step's cells may have computed other values than if all ran once from the top."""
    found: dict[str, str] = {}
    for diagnostic in diagnostics:
        if diagnostic.code in HISTORY:
            for name in [diagnostic.where.step] if diagnostic.where.step in steps else steps:
                found.setdefault(name, f"{diagnostic.code.code}: see the warning before the run")
    latest: Cell | None = None
    for cell in cells:
        if cell.kind == "skip" or cell.execution.count is None:
            continue
        affected = [cell.name] if cell.kind == "step" else list(steps)
        if latest is not None and cell.execution.count < (latest.execution.count or 0):
            for name in affected:
                found.setdefault(name, f"{latest.label} ran after {cell.label}")
        elif cell.execution.earlier:
            for name in affected:
                found.setdefault(name, f"{cell.label} ran more than once")
        if latest is None or cell.execution.count > (latest.execution.count or 0):
            latest = cell
    return found
