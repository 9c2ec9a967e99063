"""The check of a run: whether its values are those that the notebook's cells made in the session.

Both sides are fingerprints: the notebook's were taken when its cells had run, the run's stand in the
manifests of its artifacts. No value is loaded.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import json
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from kale_magics.analysis.effects import Bind, Branch, Define, Effect, Read
from kale_magics.analysis.reader import effects_of
from kale_magics.checking.differences import IN_PART, Difference, Verdict, compare, compare_numbers
from kale_magics.checking.expected import Expected
from kale_magics.dataflow.bindings import bound_by
from kale_magics.execution.run import Run, TaskRun
from kale_magics.model.diagnostics import Code, Diagnostic, KaleError, Where
from kale_magics.model.nondeterminism import measures_time
from kale_magics.model.pipeline import Json, Pipeline, Step
from kale_magics.step_runtime.random_generators import GENERATORS

CHECK = "check.json"
"""The file in a run's folder."""

UNTOLD = "the notebook has no fingerprint of it"
MEASURES = "its step measures time"
MAX_REASONS_SHOWN = 2

IMMUTABLE = frozenset(["str", "int", "float", "bool", "None", "bytes", "complex"])
"""Types of values that only a binding replaces, as fingerprints name them."""


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
    """What the check of a run found.

    Attributes:
        rows: One for each variable that was handed on or logged.
    """

    rows: tuple[CheckRow, ...] = ()

    @property
    def differences(self) -> tuple[CheckRow, ...]:
        """The rows of values that differ."""
        return tuple(row for row in self.rows if row.verdict == "differs")

    def __str__(self) -> str:
        """The check in one line; empty if there is no value."""
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
        told = "; ".join(reason for reason, _ in reasons.most_common(MAX_REASONS_SHOWN))
        more = "; …" if len(reasons) > MAX_REASONS_SHOWN else ""
        none = "no value was compared with the notebook's" if not compared else ""
        return f"{none or line}, {counts['not compared']} not compared ({told}{more})"

    def __repr__(self) -> str:
        from kale_magics.view.table import aligned

        if not self.rows:
            return "no value of this run was compared with the notebook's"
        heads = tuple((head,) for head in CHECK_HEADS)
        body = [tuple((text,) for text in _texts(row)) for row in self.rows]
        return f"{aligned([heads, *body])}\n\n{self}"

    def _repr_html_(self) -> str:
        """IPython's protocol for objects that have a look of their own in a notebook."""
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
        expected: What the notebook has.
    """

    def __init__(self, run: Run, pipeline: Pipeline, expected: Expected) -> None:
        self.run, self.pipeline, self.expected = run, pipeline, expected
        self._parameters: dict[str, str] = {}
        self._history: dict[str, str] = {}
        self._rows: dict[tuple[str, str], CheckRow] = {}
        self._excuses: dict[tuple[str, str], str] = {}

    def check(self) -> Check:
        """Compare all values."""
        for step in self.pipeline.steps:
            self._inherit(step)
            state = self.run.steps.get(step.name)
            if state is None or state.state != "succeeded":
                continue
            for row in self._rows_of(step, state):
                self._rows[row.step, row.variable] = row
        return Check(tuple(self._rows.values()))

    def _rows_of(self, step: Step, state: TaskRun) -> list[CheckRow]:
        """What it hands on, what it logs, what it has bound or changed, and what else differs."""
        metrics = {name: _fingerprint_of_metric(value) for name, value in state.metrics.items()}
        told = {**metrics, **state.fingerprints}
        own = [name for artifact in step.outputs for name in artifact.names if name not in GENERATORS]
        own += metrics
        made = self.expected.changed.get(step.name, frozenset())
        rows = [self._row(step, name, told.get(name)) for name in dict.fromkeys(own)]
        for row in (self._row(step, name, told[name]) for name in told if name not in own):
            name, is_made = row.variable, row.variable in made
            is_fault = row.verdict == "differs" and not self._is_told(step, name)
            is_named = is_made and any(name in _names_of(code.source).bound for code in step.cells)
            if is_made if row.verdict == "equal" else is_fault and (is_named or self._is_read(step, name)):
                rows.append(row)
        fixed = {name for name, node in told.items() if node.get("t") in IMMUTABLE}
        return self._related(step, rows, made, fixed)

    def _is_told(self, step: Step, name: str) -> bool:
        """Whether a variable that a step takes is known not to be the notebook's."""
        sources = [(i.step, name) for i in step.inputs if name in i.names]
        return any(self._rows[source].verdict != "equal" for source in sources if source in self._rows)

    def _is_read(self, step: Step, name: str) -> bool:
        """Whether a step certainly uses a variable that it does not make."""
        taken = any(name in i.names for i in step.inputs)
        return taken or any(name in _names_of(code.source).read for code in step.cells)

    def _related(
        self, step: Step, rows: list[CheckRow], made: frozenset[str], fixed: Collection[str]
    ) -> list[CheckRow]:
        """The rows of a step; those that follow from another one say so."""
        differing = [row for row in rows if row.verdict == "differs"]
        excused = [row.variable for row in rows if (step.name, row.variable) in self._excuses]
        taken = [row.variable for row in differing if row.variable not in made]
        changes: dict[str, Any] = {}
        first = _first_bound(step, excused)
        independent = [
            row for row in differing if row.variable in fixed and _last_bound(step, row.variable) < first
        ]
        if excused:
            what = f"it may follow from {excused[0]}: {self._excuses[step.name, excused[0]]}"
            changes = {"verdict": "not compared", "what": what, "reason": ""}
            self._excuses.update(
                ((step.name, row.variable), what) for row in differing if row not in independent
            )
        elif taken:
            changes = {"reason": f"{taken[0]} differs", "follows": True}
        follow = [row for row in differing if excused or row.variable not in taken]
        follow = [row for row in follow if row not in independent]
        return [replace(row, **changes) if row in follow and changes else row for row in rows]

    def _inherit(self, step: Step) -> None:
        """Find out why a step may have other values than the notebook, by itself or by what it takes."""
        before = [i.step for i in step.inputs]
        known = {s.name for s in self.pipeline.steps}
        others = [p.name for p in step.parameters if not _same(self.run.parameters.get(p.name), p.default)]
        inherited = (self._parameters[name] for name in before if name in self._parameters)
        reason = f"parameter {others[0]} is another one" if others else next(inherited, "")
        if reason:
            self._parameters[step.name] = reason
        given = [name for name in before if name not in known]
        history = self.expected.history.get(step.name, "")
        history = history or (f"step {given[0]} is of an earlier run" if given else "")
        history = history or next((self._history[name] for name in before if name in self._history), "")
        history = history or next((self.expected.absent[n] for n in before if n in self.expected.absent), "")
        sources = ((i.step, name) for i in step.inputs for name in i.names)
        history = history or next(
            (self._excuses[source] for source in sources if source in self._excuses), ""
        )
        if history:
            self._history[step.name] = history

    def _row(self, step: Step, name: str, told: Any) -> CheckRow:
        label = self.expected.cells.get(step.name, ("", 0.0))[0]
        found, source = self._compared(step, name, told), ""
        if found.verdict == "differs":
            source = self._differing_input(step)
            found = found if source else self._excused(step, name, told, found)
        if found.excused:
            self._excuses[step.name, name] = found.what
        reason = (source or self._likely_reason(step, name)) if found.verdict == "differs" else ""
        return CheckRow(step.name, name, found.verdict, found.what, reason, label, bool(source))

    def _compared(self, step: Step, name: str, told: Any) -> Difference:
        expected = self.expected.fingerprints.get(step.name, {}).get(name)
        absent = self._parameters.get(step.name) or self.expected.absent.get(step.name)
        if absent or expected is None or told is None:
            lacking = "the run has no fingerprint of it" if expected is not None else UNTOLD
            return Difference("not compared", absent or lacking)
        # A metric is logged as a number of Python's, whatever type the variable has.
        return compare_numbers(told, expected) if "metric" in told else compare(told, expected)

    def _excused(self, step: Step, name: str, told: Any, found: Difference) -> Difference:
        """A difference, unless it is known why the session has another value than the notebook gives."""
        if step.name in self._history:
            return Difference("not compared", self._history[step.name])
        if found.is_number and measures_time(_sources(step)):
            return Difference("not compared", MEASURES, excused=True)
        # A later cell of the step may have changed it by another name.
        now = self.expected.current(name)
        same = now is not None and "metric" not in told and compare(told, now).verdict == "equal"
        return Difference("equal") if same else found

    def _differing_input(self, step: Step) -> str:
        """The first input of a step that differs, in words; empty if none does."""
        sources = [(i.step, name) for i in step.inputs for name in i.names]
        rows = (self._rows[source] for source in sources if source in self._rows)
        return next(
            (f"{row.variable} of step {row.step} differs" for row in rows if row.verdict == "differs"), ""
        )

    def _likely_reason(self, step: Step, name: str) -> str:
        """Why a value of a step may differ; empty if nothing is known."""
        changer = self.expected.changers.get(step.name, {}).get(name, "")
        giver = next((i.step for i in step.inputs if name in i.names), "")
        if changer not in ("", giver, step.name) and name not in self.expected.changed.get(step.name, ()):
            source = f"takes it from step {giver}" if giver else "does not take it"
            return f"step {changer} changes it, and step {step.name} {source}"
        state, marked_at = self.run.steps[step.name], self.expected.cells.get(step.name, ("", 0.0))[1]
        return next(_reasons_of_entry(state.folder, marked_at), "") or step.varies or _by_process(step)


def _same(one: Json, other: Json) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _fingerprint_of_metric(value: float) -> dict[str, Any]:
    return {"t": "float", "x": repr(value), "metric": True}


def _sources(step: Step) -> tuple[str, ...]:
    return tuple(code.source for code in (*step.setup, *step.cells))


def _first_bound(step: Step, names: Collection[str]) -> int:
    """The place of the first statement that binds one of these; -1 if none does."""
    bound = enumerate(_bound_by_statements(_sources(step)))
    return next((place for place, own in bound if not own.isdisjoint(names)), -1)


def _last_bound(step: Step, name: str) -> int:
    """The place of the last statement that binds a variable; beyond all if none does."""
    bound = _bound_by_statements(_sources(step))
    return max((place for place, own in enumerate(bound) if name in own), default=len(bound))


@functools.lru_cache(maxsize=1024)
def _bound_by_statements(sources: tuple[str, ...]) -> tuple[frozenset[str], ...]:
    """The names that each statement binds; none if the code cannot be parsed."""
    try:
        body = [statement for source in sources for statement in ast.parse(source).body]
    except SyntaxError:  # it awaits at its top level
        return ()
    return tuple(frozenset(bound_by(tuple(effects_of(statement)))) for statement in body)


class _Names(NamedTuple):
    """The variables that a cell itself reads before it has bound them, and those that it binds."""

    read: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()


@functools.lru_cache(maxsize=4096)
def _names_of(source: str) -> _Names:
    """The variables of a cell, without those of functions in it, which nobody may call."""
    try:
        body = ast.parse(source).body
    except SyntaxError:  # it awaits at its top level: nobody knows
        return _Names()
    effects = tuple(effect for statement in body for effect in effects_of(statement))
    return _Names(frozenset(_read_first(effects, set())), frozenset(bound_by(effects)))


def _read_first(effects: Iterable[Effect], bound: set[str]) -> Iterator[str]:
    for effect in effects:
        if isinstance(effect, Read) and effect.name not in bound:
            yield effect.name
        elif isinstance(effect, Bind):
            bound.add(effect.name)
        elif isinstance(effect, Define):
            yield from _read_first(effect.at_once, bound)
            bound.update(effect.names)
        elif isinstance(effect, Branch):
            ends = []
            for path in effect.paths:
                own = set(bound)
                yield from _read_first(path.effects, own)
                if not path.ends:
                    ends.append(own)
            bound.update(set.intersection(*ends) if ends else ())


def _reasons_of_entry(folder: Path, marked_at: float) -> Iterator[str]:
    """What the step was seen to do that may give something else each time."""
    from kale_magics.cache.audit_log import display_path
    from kale_magics.cache.entry import read_entry

    entry = read_entry(folder)
    if entry is None:
        return
    if entry.reason:
        yield entry.reason
    for kind, path, *_ in entry.paths:
        with contextlib.suppress(OSError):  # it is gone
            if kind == "file" and path not in entry.created and os.stat(path).st_mtime > marked_at:
                yield f"{display_path(path)} has changed since the cell ran"


def _by_process(step: Step) -> str:
    """What differs from process to process that may matter; empty if nothing does."""
    nodes = [node for source in _sources(step) for node in ast.walk(ast.parse(source))]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    number = next((name for name in NUMBERS if name in names), "")
    if number:
        return f"{number}() differs from process to process"
    makes_set = any(isinstance(node, (ast.Set, ast.SetComp)) for node in nodes) or not names.isdisjoint(SETS)
    return "the order of a set differs from process to process" if makes_set else ""


SETS = frozenset({"set", "frozenset"})
NUMBERS = ("id", "hash")
"""Builtins whose results hang on where objects are, or on a number that each process draws."""


def check_run(run: Run, pipeline: Pipeline, expected: Expected) -> Check:
    """Check a run that has ended, and keep what was found in its folder."""
    found = Checker(run, pipeline, expected).check()
    with contextlib.suppress(OSError):  # the run itself is kept: without the check, which is shown now
        run.folder.mkdir(parents=True, exist_ok=True)
        (run.folder / CHECK).write_text(json.dumps([vars(row) for row in found.rows]), encoding="utf-8")
    return found


def read_check(folder: Path) -> Check:
    """The check that was kept in the folder of a run; an empty one if there is none."""
    with contextlib.suppress(OSError, ValueError, TypeError):  # nobody checked it, or it is damaged
        rows = json.loads((folder / CHECK).read_text(encoding="utf-8"))
        return Check(tuple(CheckRow(**row) for row in rows))
    return Check()


def diagnostics_of(check: Check) -> list[Diagnostic]:
    """A warning for each difference, but for those that follow from another one."""
    return [_diagnostic(row) for row in check.differences if not row.follows]


def _diagnostic(row: CheckRow) -> Diagnostic:
    fixes = dict.fromkeys(better for words, better in FIXES if words in row.reason)
    fix = "; ".join(fixes) or "run the cells from the top, then %kale_run again; run.check has the table"
    because = f"\nlikely reason: {row.reason}" if row.reason else ""
    return Diagnostic(
        Code.VALUE_DIFFERS,
        f"step {row.step}: {row.variable} differs from the notebook's ({row.what})",
        fix + because,
        Where(row.cell, row.step),
        "warning",
    )


FIXES = (
    ("draws", "give the random numbers a seed"),
    ("random", "give the random numbers a seed"),
    ("time", "make the time a parameter of the pipeline"),
    ("clock", "make the time a parameter of the pipeline"),
    ("has changed since", "run the cell again, then %kale_run"),
    ("order of a set", "sort what comes of the set"),
    ("id() differs", "use a name or a number of your own in its place"),
    ("hash() differs", "use hashlib in its place"),
    ("changes it, and step", "give the cells of both steps one name: the analysis has missed a change"),
)
"""What helps, by a word of the likely reason; all that fit are named."""


def errors_of(check: Check) -> list[Diagnostic]:
    """The same as errors, for `%kale_run --check`."""
    return [replace(told, severity="error") for told in diagnostics_of(check)]


def show_differences(run: Run, strict: bool) -> None:
    """Print what the check of a run has found.

    Raises:
        KaleError: A value differs from the notebook's, and that is an error.
    """
    from kale_magics.view import diagnostics_text

    check = run.check
    if strict and check.differences:
        raise KaleError(*errors_of(check))
    if check.differences:
        print(f"\n{diagnostics_text(diagnostics_of(check))}", flush=True)
