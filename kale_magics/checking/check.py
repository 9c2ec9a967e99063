"""The check of a run: whether its values equal those that the notebook's cells computed in the session.

Both sides are fingerprints: the notebook's were taken after its cells ran, the run's are in the manifests of
its artifacts. No value is loaded.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from kale_magics.checking.differences import IN_PART, Difference, Verdict, compare, compare_numbers
from kale_magics.checking.expected import Expected
from kale_magics.checking.step_code import (
    first_bound,
    idle_names,
    last_bound,
    statements_of,
    variables_of_cell,
)
from kale_magics.execution.run import Run, TaskRun
from kale_magics.model.diagnostics import Code, Diagnostic, KaleError, Where
from kale_magics.model.nondeterminism import measures_time
from kale_magics.model.pipeline import Json, Pipeline, Step
from kale_magics.step_runtime.random_generators import GENERATORS

CHECK = "check.json"
"""The file in a run's folder."""

NO_FINGERPRINT = "the notebook has no fingerprint of it"
MEASURES_TIME = "its step measures time"
MAX_REASONS_SHOWN = 2

IMMUTABLE = frozenset(["str", "int", "float", "bool", "None", "bytes", "complex"])
"""Types of values that only a binding can replace, by their name in fingerprints."""


@dataclass(frozen=True)
class CheckRow:
    """One variable of a step.

    Attributes:
        step: The step's name.
        variable: The variable's name.
        verdict: "equal", "differs" or "not compared".
        what: What differs, or why it was not compared.
        reason: The likely reason for a difference; empty if none is known.
        cell: The label of the step's last cell.
        follows: Whether it differs because an input of its step does.
    """

    step: str
    variable: str
    verdict: Verdict
    what: str = ""
    reason: str = ""
    cell: str = ""
    follows: bool = False


@dataclass(frozen=True, repr=False)
class Check:
    """The result of the check of a run.

    Attributes:
        rows: One for each variable that is an output or a metric, or that otherwise differs.
    """

    rows: tuple[CheckRow, ...] = ()

    @property
    def differences(self) -> tuple[CheckRow, ...]:
        """The rows of values that differ."""
        return tuple(row for row in self.rows if row.verdict == "differs")

    def __str__(self) -> str:
        """Summarize the check in one line; empty if there is no value."""
        counts = Counter(row.verdict for row in self.rows)
        compared = counts["equal"] + counts["differs"]
        if not self.rows:
            return ""
        line = f"{counts['equal']} of {compared} values equal the notebook's"
        in_part = sum(row.verdict == "equal" and row.what.startswith(IN_PART) for row in self.rows)
        line += f" ({in_part} of them {IN_PART})" if in_part else ""
        reasons = Counter(row.what for row in self.rows if row.verdict == "not compared")
        if not reasons:
            return line
        shown = "; ".join(reason for reason, _ in reasons.most_common(MAX_REASONS_SHOWN))
        more = "; …" if len(reasons) > MAX_REASONS_SHOWN else ""
        none = "no value was compared with the notebook's" if not compared else ""
        return f"{none or line}, {counts['not compared']} not compared ({shown}{more})"

    def __repr__(self) -> str:
        from kale_magics.view.table import aligned

        if not self.rows:
            return "no value of this run was compared with the notebook's"
        heads = tuple((head,) for head in CHECK_HEADS)
        body = [tuple((text,) for text in _texts(row)) for row in self.rows]
        return f"{aligned([heads, *body])}\n\n{self}"

    def _repr_html_(self) -> str:
        """Return the table as HTML, by IPython's protocol."""
        head = "".join(f"<th>{name}</th>" for name in CHECK_HEADS)
        body = ["".join(f"<td>{escape(text)}</td>" for text in _texts(row)) for row in self.rows]
        lines = "".join(f"<tr>{cells}</tr>" for cells in body)
        return f"<table><tr>{head}</tr>{lines}</table><p>{escape(str(self))}</p>"


CHECK_HEADS = ("step", "variable", "verdict", "what", "likely reason")


def _texts(row: CheckRow) -> tuple[str, ...]:
    return row.step, row.variable, row.verdict, row.what, row.reason


class Checker:
    """Checks one run.

    Args:
        run: A run that has ended.
        pipeline: Its pipeline.
        expected: The values of the notebook.
    """

    def __init__(self, run: Run, pipeline: Pipeline, expected: Expected) -> None:
        self.run, self.pipeline, self.expected = run, pipeline, expected
        self._parameters: dict[str, str] = {}
        self._history: dict[str, str] = {}
        self._rows: dict[tuple[str, str], CheckRow] = {}
        self._tolerated: dict[tuple[str, str], str] = {}

    def check(self) -> Check:
        """Compare all values."""
        for step in self.pipeline.steps:
            self._find_exceptions(step)
            state = self.run.steps.get(step.name)
            if state is None or state.state != "succeeded":
                continue
            for row in self._rows_of(step, state):
                self._rows[row.step, row.variable] = row
        return Check(tuple(self._rows.values()))

    def _rows_of(self, step: Step, state: TaskRun) -> list[CheckRow]:
        """Return the rows of a step: outputs, metrics, bound or changed variables, and others that differ."""
        metrics = {name: _fingerprint_of_metric(value) for name, value in state.metrics.items()}
        nodes = {**metrics, **state.fingerprints}
        own = [name for artifact in step.outputs for name in artifact.names if name not in GENERATORS]
        own += metrics
        changed = self.expected.changed.get(step.name, frozenset())
        rows = [self._row(step, name, nodes.get(name)) for name in dict.fromkeys(own)]
        for row in (self._row(step, name, nodes[name]) for name in nodes if name not in own):
            name, is_changed = row.variable, row.variable in changed
            is_fault = row.verdict == "differs" and not self._input_differs(step, name)
            is_named = is_changed and any(name in variables_of_cell(code.source).bound for code in step.cells)
            if is_changed if row.verdict == "equal" else is_fault and (is_named or self._is_read(step, name)):
                rows.append(row)
        fixed = {name for name, node in nodes.items() if node.get("t") in IMMUTABLE}
        return self._mark_follow_ups(step, rows, changed, fixed)

    def _input_differs(self, step: Step, name: str) -> bool:
        """Whether an input of a step is known to differ from the notebook, or was not compared."""
        sources = [(i.step, name) for i in step.inputs if name in i.names]
        return any(self._rows[source].verdict != "equal" for source in sources if source in self._rows)

    def _is_read(self, step: Step, name: str) -> bool:
        """Whether a step certainly uses a variable that it does not define."""
        taken = any(name in i.names for i in step.inputs)
        if taken and name not in idle_names(_sources(step)):
            return True
        return any(name in variables_of_cell(code.source).read for code in step.cells)

    def _passes_on(self, step: Step, name: str, node: Any) -> bool:
        """Whether a step has a variable only for a later one, as it was given to it."""
        if name in self.expected.changed.get(step.name, ()) or self._is_read(step, name):
            return False
        givers = [self.run.steps.get(i.step) for i in step.inputs if name in i.names]
        given = [giver.fingerprints.get(name) for giver in givers if giver is not None]
        return any(value is not None and compare(node, value).verdict == "equal" for value in given)

    def _mark_follow_ups(
        self, step: Step, rows: list[CheckRow], changed: frozenset[str], fixed: Collection[str]
    ) -> list[CheckRow]:
        """Mark the rows of a step whose difference follows from another one."""
        differing = [row for row in rows if row.verdict == "differs"]
        tolerated = [row.variable for row in rows if (step.name, row.variable) in self._tolerated]
        taken = [row.variable for row in differing if row.variable not in changed]
        changes: dict[str, Any] = {}
        first = first_bound(_sources(step), tolerated)
        independent = [
            row
            for row in differing
            if row.variable in fixed and last_bound(_sources(step), row.variable) < first
        ]
        if tolerated:
            what = f"it may follow from {tolerated[0]}: {self._tolerated[step.name, tolerated[0]]}"
            changes = {"verdict": "not compared", "what": what, "reason": ""}
            self._tolerated.update(
                ((step.name, row.variable), what) for row in differing if row not in independent
            )
        elif taken:
            changes = {"reason": f"{taken[0]} differs", "follows": True}
        follow = [row for row in differing if tolerated or row.variable not in taken]
        follow = [row for row in follow if row not in independent]
        return [replace(row, **changes) if row in follow and changes else row for row in rows]

    def _find_exceptions(self, step: Step) -> None:
        """Record why a step may have other values than the notebook, by itself or by its inputs."""
        upstream = [i.step for i in step.inputs]
        known = {s.name for s in self.pipeline.steps}
        different = [p.name for p in step.parameters if not _same(self.run.parameters.get(p.name), p.default)]
        inherited = (self._parameters[name] for name in upstream if name in self._parameters)
        reason = f"parameter {different[0]} has another value" if different else next(inherited, "")
        if reason:
            self._parameters[step.name] = reason
        earlier = [name for name in upstream if name not in known]
        history = self.expected.history.get(step.name, "")
        history = history or (f"step {earlier[0]} comes from an earlier run" if earlier else "")
        history = history or next((self._history[name] for name in upstream if name in self._history), "")
        history = history or next(
            (self.expected.absent[n] for n in upstream if n in self.expected.absent), ""
        )
        sources = ((i.step, name) for i in step.inputs for name in i.names)
        history = history or next(
            (self._tolerated[source] for source in sources if source in self._tolerated), ""
        )
        if history:
            self._history[step.name] = history

    def _row(self, step: Step, name: str, node: Any) -> CheckRow:
        label = self.expected.cells.get(step.name, ("", 0.0))[0]
        found, source = self._compared(step, name, node), ""
        if found.verdict == "differs":
            source = self._differing_input(step)
            found = found if source else self._tolerate(step, name, node, found)
        if found.tolerated:
            self._tolerated[step.name, name] = found.what
        reason = (source or self._likely_reason(step, name)) if found.verdict == "differs" else ""
        return CheckRow(step.name, name, found.verdict, found.what, reason, label, bool(source))

    def _compared(self, step: Step, name: str, node: Any) -> Difference:
        expected = self.expected.fingerprints.get(step.name, {}).get(name)
        absent = self._parameters.get(step.name) or self.expected.absent.get(step.name)
        if absent or expected is None or node is None:
            lacking = "the run has no fingerprint of it" if expected is not None else NO_FINGERPRINT
            return Difference("not compared", absent or lacking)
        # A metric is logged as a Python number, whatever type the variable has.
        return compare_numbers(node, expected) if "metric" in node else compare(node, expected)

    def _tolerate(self, step: Step, name: str, node: Any, found: Difference) -> Difference:
        """Return a difference, unless it is known why the session's value is not the notebook's."""
        if step.name in self._history:
            return Difference("not compared", self._history[step.name])
        if found.is_number and measures_time(_sources(step)):
            return Difference("not compared", MEASURES_TIME, tolerated=True)
        if self._passes_on(step, name, node):
            return Difference("not compared", f"another step changes it between two cells of {step.name}")
        # A later cell of the step may have changed it through another name.
        now = self.expected.current(name)
        others = [now, *self.expected.later.get(step.name, {}).get(name, ())] if "metric" not in node else []
        same = any(other is not None and compare(node, other).verdict == "equal" for other in others)
        return Difference("equal") if same else found

    def _differing_input(self, step: Step) -> str:
        """Describe the first input of a step that differs; empty if none does."""
        sources = [(i.step, name) for i in step.inputs for name in i.names]
        rows = (self._rows[source] for source in sources if source in self._rows)
        return next(
            (f"{row.variable} of step {row.step} differs" for row in rows if row.verdict == "differs"), ""
        )

    def _likely_reason(self, step: Step, name: str) -> str:
        """Return why a value of a step may differ; empty if no reason is known."""
        changer = self.expected.changers.get(step.name, {}).get(name, "")
        giver = next((i.step for i in step.inputs if name in i.names), "")
        if changer not in ("", giver, step.name) and name not in self.expected.changed.get(step.name, ()):
            source = f"gets it from step {giver}" if giver else "does not get it"
            return f"step {changer} changes it, and step {step.name} {source}"
        state, marked_at = self.run.steps[step.name], self.expected.cells.get(step.name, ("", 0.0))[1]
        return (
            next(_reasons_of_entry(state.folder, marked_at), "") or step.nondeterminism or _by_process(step)
        )


def _same(one: Json, other: Json) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _fingerprint_of_metric(value: float) -> dict[str, Any]:
    return {"t": "float", "x": repr(value), "metric": True}


def _sources(step: Step) -> tuple[str, ...]:
    return tuple(code.source for code in (*step.setup, *step.cells))


def _reasons_of_entry(folder: Path, marked_at: float) -> Iterator[str]:
    """Yield the observed actions of a step that may make its result differ."""
    from kale_magics.cache.audit_log import display_path
    from kale_magics.cache.entry import read_entry

    entry = read_entry(folder)
    if entry is None:
        return
    if entry.reason:
        yield entry.reason
    for kind, path, *_ in entry.paths:
        with contextlib.suppress(OSError):  # it does not exist any more
            if kind == "file" and path not in entry.created and os.stat(path).st_mtime > marked_at:
                yield f"{display_path(path)} has changed since the cell ran"


def _by_process(step: Step) -> str:
    """Return what differs between processes and may matter to a step; empty if nothing does."""
    nodes = [node for statement in statements_of(_sources(step)) for node in ast.walk(statement)]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    number = next((name for name in NUMBERS if name in names), "")
    if number:
        return f"{number}() differs from process to process"
    makes_set = any(isinstance(node, (ast.Set, ast.SetComp)) for node in nodes) or not names.isdisjoint(SETS)
    return "the order of a set differs from process to process" if makes_set else ""


SETS = frozenset({"set", "frozenset"})
NUMBERS = ("id", "hash")
"""Builtins whose results depend on memory addresses or on the hash seed of a process."""


def check_run(run: Run, pipeline: Pipeline, expected: Expected) -> Check:
    """Check a run that has ended, and save the result in its folder."""
    found = Checker(run, pipeline, expected).check()
    with contextlib.suppress(OSError):  # the check is shown now, and missing later
        run.folder.mkdir(parents=True, exist_ok=True)
        (run.folder / CHECK).write_text(json.dumps([vars(row) for row in found.rows]), encoding="utf-8")
    return found


def read_check(folder: Path) -> Check:
    """Read the check from the folder of a run; an empty one if there is none."""
    with contextlib.suppress(OSError, ValueError, TypeError):  # not checked, or the file is damaged
        rows = json.loads((folder / CHECK).read_text(encoding="utf-8"))
        return Check(tuple(CheckRow(**row) for row in rows))
    return Check()


def diagnostics_of(check: Check) -> list[Diagnostic]:
    """Return a warning for each difference that does not follow from another one."""
    return [_diagnostic(row) for row in check.differences if not row.follows]


def _diagnostic(row: CheckRow) -> Diagnostic:
    fixes = dict.fromkeys(better for words, better in FIXES if words in row.reason)
    fix = "; ".join(fixes) or "run all cells from the top, then %kale_run again; run.check shows the table"
    because = f"\nlikely reason: {row.reason}" if row.reason else ""
    return Diagnostic(
        Code.VALUE_DIFFERS,
        f"step {row.step}: {row.variable} differs from its value in the notebook ({row.what})",
        fix + because,
        Where(row.cell, row.step),
        "warning",
    )


FIXES = (
    ("draws", "seed the random numbers"),
    ("random", "seed the random numbers"),
    ("time", "make the time a parameter of the pipeline"),
    ("clock", "make the time a parameter of the pipeline"),
    ("has changed since", "run the cell again, then %kale_run"),
    ("order of a set", "sort the elements of the set"),
    ("id() differs", "use your own name or number instead"),
    ("hash() differs", "use hashlib instead"),
    ("changes it, and step", "give the cells of both steps one name: the analysis has missed a change"),
)
"""Fixes, by a word of the likely reason; all that match are shown."""


def errors_of(check: Check) -> list[Diagnostic]:
    """Return the differences as errors, for `%kale_run --check`."""
    return [replace(diagnostic, severity="error") for diagnostic in diagnostics_of(check)]


def show_differences(run: Run, strict: bool) -> None:
    """Print the differences found by the check of a run.

    Raises:
        KaleError: A value differs from the notebook's, and `strict` is set.
    """
    from kale_magics.view import diagnostics_text

    check = run.check
    if strict and check.differences:
        raise KaleError(*errors_of(check))
    if check.differences:
        print(f"\n{diagnostics_text(diagnostics_of(check))}", flush=True)
