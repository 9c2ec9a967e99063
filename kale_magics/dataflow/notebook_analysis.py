"""The analysis of a notebook: the walk through its cells, and the checks of what it found."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from kale_magics.dataflow.cell_history import history_warnings
from kale_magics.dataflow.dynamic_names import NOT_ANALYZED, dynamic_steps, unanalyzed_exec
from kale_magics.dataflow.isolation import CacheUse, shared_nondeterministic, unseen_cache_uses
from kale_magics.dataflow.notebook_flow import NotebookFlow, place_of_mark
from kale_magics.dataflow.state import StateFlow
from kale_magics.model.diagnostics import Code
from kale_magics.session.namespace import Session
from kale_magics.session.registry import Cell


def analyze_notebook(cells: Sequence[Cell], session: Session) -> NotebookFlow:
    """Walk through a notebook, and check it.

    Args:
        cells: In the order of the notebook.
        session: What a live kernel knows.

    Returns:
        What was found, with its errors and warnings.
    """
    flow = NotebookFlow(session)
    flow.read(cells)
    _check_marks(flow)
    _check_isolation(flow)
    marked = {number: read.cell for number, read in flow.cells.items()}
    _check_executed(flow, marked)
    state = flow.flow.state
    flow.diagnostics += history_warnings(marked, state.uses, state.changes, session)
    return flow


def _check_marks(flow: NotebookFlow) -> None:
    for read in flow.cells.values():
        for name in read.cell.mark.after:
            if name not in flow.steps:
                near = difflib.get_close_matches(name, flow.steps, n=1)
                fix = f"did you mean {near[0]}?" if near else f"the steps are: {', '.join(flow.steps)}"
                message = f"step {read.cell.name} has --after {name}, but no step has that name"
                flow.report(Code.UNKNOWN_STEP, message, fix, place_of_mark(read.cell))
        _check_reads(flow, read.cell)


def _check_reads(flow: NotebookFlow, cell: Cell) -> None:
    for name in cell.mark.reads:
        used = [n for n, binding in flow.steps[cell.name].local.items() if binding is not None]
        if name not in used:
            near = difflib.get_close_matches(name, used, n=1)
            fix = f"did you mean {near[0]}?" if near else f"remove {name} from --reads"
            message = f"step {cell.name} declares --reads {name} but does not use {name}"
            flow.report(Code.UNKNOWN_NAME, message, fix, place_of_mark(cell), about=name)


def _check_isolation(flow: NotebookFlow) -> None:
    facts = {number: read.facts for number, read in flow.cells.items()}
    for use, other in unseen_cache_uses(flow.flow.state.cache_uses, flow.steps, facts):
        _report_cache_use(flow, use, other)
    marked = {number: (read.cell, read.facts) for number, read in flow.cells.items()}
    for lost in StateFlow(marked, flow.steps, flow.flow).lost():
        flow.report(
            Code.MODULE_CHANGED,
            f"step {lost.step} changes {lost.what}; step {lost.other} runs in its own process and"
            f" {'fails without the change' if lost.fails else 'does not see the change'}",
            lost.fix,
            flow.place(lost.cell, lost.line),
            about=lost.what,
            severity="error" if lost.fails else "warning",
        )
    for binding, users in shared_nondeterministic(flow.flow.state.varying, flow.steps):
        flow.report(
            Code.NONDETERMINISTIC,
            f"{binding.name} is non-deterministic, and every step computes its own:"
            f" {', '.join(users)} use it",
            f"move the line into a step, which passes {binding.name} to the others",
            flow.place(binding.cell, binding.line),
            about=binding.name,
        )


def _report_cache_use(flow: NotebookFlow, use: CacheUse, other: str) -> None:
    flow.report(
        Code.CACHE_NOT_SHARED,
        f"{use.path} is cached; step {other} runs in its own process, and does not see what step"
        f" {use.step} did to the cache of {use.path}",
        f"call {use.path} in one step, and use its result in the others",
        flow.place(use.cell, use.line),
        about=use.path,
        severity="warning",
    )


def _check_executed(flow: NotebookFlow, cells: dict[int, Cell]) -> None:
    """Report computed code that has not run: the names that it binds, and their users, are unknown."""
    found = unanalyzed_exec(flow.steps, cells, len(cells) + 1)
    later = next(dynamic_steps(flow.steps, found[0], found[1]), "") if found is not None else ""
    if found is not None and later:
        flow.report(
            Code.UNKNOWN_NAME,
            f"step {found[0]} executes computed code, {NOT_ANALYZED}, and step {later} looks up computed"
            " names, as by eval()",
            "run the cell, or assign the names that the code binds in statements of their own",
            flow.place(found[1], found[2]),
            about="exec",
        )
