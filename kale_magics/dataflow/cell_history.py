"""Warnings from the session's history: values that the marked cells would not compute from top to bottom.

The pipeline is right in any case; the values in the notebook are not the ones that it will compute.
"""

from __future__ import annotations

import functools
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterator, Mapping

from kale_magics.analysis.cells import CellFacts, read_cell
from kale_magics.analysis.effects import Call, Mutate, flattened
from kale_magics.analysis.library_rules import method_changes
from kale_magics.analysis.syntax import CellProblemError
from kale_magics.dataflow.bindings import bound_by
from kale_magics.model.diagnostics import Code, Diagnostic, Where
from kale_magics.session.namespace import Session
from kale_magics.session.registry import Cell

RUN_ALL = "run all cells from top to bottom, as the pipeline does"


def history_warnings(
    cells: Mapping[int, Cell],
    uses: Mapping[tuple[int, int], str],
    changes: Mapping[tuple[int, int], str],
    session: Session,
) -> Iterator[Diagnostic]:
    """Yield the warnings about the session's history.

    Args:
        cells: The marked cells, by their number in the notebook.
        uses: For a cell that defines a name and one below that uses it: the name.
        changes: The same for one below that changes the value.
        session: The live kernel.
    """
    ran = {
        number: cell for number, cell in cells.items() if cell.mark.run and cell.execution.count is not None
    }
    yield from _out_of_order(ran, uses)
    yield from _run_twice(ran, changes)
    yield from _from_outside(ran, uses, session)


def _count(cell: Cell) -> int:
    return cell.execution.count or 0


def _out_of_order(cells: Mapping[int, Cell], uses: Mapping[tuple[int, int], str]) -> Iterator[Diagnostic]:
    late: dict[int, dict[str, str]] = defaultdict(dict)
    for (definer, user), name in uses.items():
        if definer in cells and user in cells and _count(cells[definer]) > _count(cells[user]):
            late[definer].setdefault(name, cells[user].label)
    for definer, names in late.items():
        used = ", ".join(f"{label} used {name}" for name, label in names.items())
        yield Diagnostic(
            Code.OUT_OF_ORDER,
            f"this cell ran after {used}: the pipeline will compute other values than the session has",
            RUN_ALL,
            _where(cells[definer]),
            "warning",
        )


def _run_twice(cells: Mapping[int, Cell], changes: Mapping[tuple[int, int], str]) -> Iterator[Diagnostic]:
    for (definer, user), name in changes.items():
        if definer not in cells or user not in cells:
            continue
        runs = [*cells[user].execution.earlier, _count(cells[user])]
        times = sum(count > _count(cells[definer]) for count in runs)
        if times > 1:
            yield Diagnostic(
                Code.OUT_OF_ORDER,
                f"this cell changes {name} and ran {times} times since {cells[definer].label} defined it:"
                " the pipeline will compute other values than the session has",
                RUN_ALL,
                _where(cells[user]),
                "warning",
            )


def _from_outside(
    cells: Mapping[int, Cell], uses: Mapping[tuple[int, int], str], session: Session
) -> Iterator[Diagnostic]:
    """Warn of cells outside the pipeline that change a value between the cells that define and use it."""
    inside = {count for cell in cells.values() for count in (_count(cell), *cell.execution.earlier)}
    last = max(map(_count, cells.values()), default=0)
    outside = [count for count in range(1, last) if count not in inside and session.input(count)]
    reported: set[tuple[int, str]] = set()
    for (definer, user), name in uses.items():
        if definer not in cells or user not in cells:
            continue
        between = slice(*(bisect(outside, _count(cells[number])) for number in (definer, user)))
        for count in outside[between]:
            if (count, name) in reported or name not in _touched(session.input(count)):
                continue
            reported.add((count, name))
            yield Diagnostic(
                Code.CHANGED_OUTSIDE,
                f"In [{count}] changes {name} but is not in the pipeline: this cell gets {name} as"
                f" {cells[definer].label} left it",
                f"mark In [{count}], as in %%kale step NAME, or use other names in it",
                _where(cells[user]),
                "warning",
            )


def _where(cell: Cell) -> Where:
    return Where(cell.label, cell.name)


@functools.lru_cache(maxsize=4096)
def _touched(source: str) -> frozenset[str]:
    """Return the names that a cell binds, and those whose objects it certainly changes."""
    first, newline, rest = source.partition("\n")
    try:
        facts: CellFacts = read_cell(newline + rest if first.startswith(("%kale ", "%%kale ")) else source)
    except CellProblemError:  # it never ran, or is not code
        return frozenset()
    names = {name for effects in facts.statements for name in bound_by(effects)}
    for effect in (e for effects in facts.statements for e in flattened(effects)):
        if isinstance(effect, Mutate) and effect.cause == "write":
            names.add(effect.source.name)
        elif isinstance(effect, Call) and method_changes(effect.method, "") == "yes":
            names.update(source.name for source in effect.receiver if source.relation in ("same", "part"))
    return frozenset(names)
