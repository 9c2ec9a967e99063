"""From marked cells to the inputs and dependencies of each step, with the diagnostics about them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kale_magics.analysis.cells import CellFacts, names_losing_parts, names_mentioned, read_cell
from kale_magics.analysis.effects import Bind, Define, Read, flattened
from kale_magics.analysis.parameter_cells import Default, has_only_literals, metric_names, read_parameters
from kale_magics.analysis.syntax import CellProblemError
from kale_magics.dataflow.bindings import Binding, StepFlow, bound_by, bound_by_one
from kale_magics.dataflow.dynamic_names import NOT_ANALYZED, is_history, unanalyzed_exec
from kale_magics.dataflow.walk import Flow
from kale_magics.dataflow.walk_state import WalkState
from kale_magics.model.diagnostics import Code, Diagnostic, Severity, Where
from kale_magics.session.namespace import BUILTINS, Session
from kale_magics.session.registry import Cell
from kale_magics.syntax.arguments import quoted

RUN_TOGETHER = "cells of one step run together"
"""Why the cells of other steps between those of one step can be a problem."""


_NOT_DEFINED = re.compile(r"NameError: name '(\w+)' is not defined")

_NAMES_INDEX = re.compile(r"\.names?\s*=[^=]|\bset_names\b|\.rename\b[^\n]*\binplace\b")
"""Code that may name an index of pandas, the only change that an index allows."""


@dataclass(frozen=True)
class AnalyzedCell:
    """A marked cell with its analysis.

    Attributes:
        cell: The cell.
        facts: What its code does.
        kept: The numbers of the statements that the pipeline runs.
    """

    cell: Cell
    facts: CellFacts
    kept: tuple[int, ...]


class NotebookFlow:
    """Analyzes the cells and walks through them.

    Args:
        session: What a live kernel knows.

    Attributes:
        cells: The valid cells, by their number.
        steps: What was found out about each step, in the order of their first cells.
        prelude: The same of the imports, functions and parameters cells together.
        parameters: The pipeline's parameters.
        mentioned: All names that are looked up anywhere.
        diagnostics: The errors and warnings.
        flow: The bindings at the end of the notebook.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.diagnostics: list[Diagnostic] = []
        self.parameters: list[Default] = []
        self.steps: dict[str, StepFlow] = {}
        self.prelude = StepFlow("")
        self.cells: dict[int, AnalyzedCell] = {}
        self._defaults: dict[int, list[Default]] = {}
        self._metrics: dict[int, list[tuple[str, int]]] = {}
        self._reported: set[tuple[Code, str, str]] = set()
        self.mentioned: set[str] = set()
        self._rejected: list[Cell] = []

    def read(self, cells: Sequence[Cell]) -> None:
        """Analyze the cells and walk through them.

        Args:
            cells: In the order of the notebook.
        """
        for number, cell in enumerate(cells):
            self._read(number, cell)
        self._last_bound = self._bindings()
        losing_parts = {
            n for read in self.cells.values() for e in read.facts.statements for n in names_losing_parts(e)
        }
        reports = self._missing, self._conflict, self._contradicted
        self.flow = Flow(WalkState(self.session, self._last_bound, losing_parts, *reports))
        sources = [read.cell.source for read in self.cells.values()]
        self.flow.state.names_indexes = any(map(_NAMES_INDEX.search, sources))
        for number, read in self.cells.items():
            self._walk(number, read)
        self._keep_imports()

    def report(
        self,
        code: Code,
        message: str,
        fix: str,
        where: Where | None = None,
        *,
        about: str = "",
        severity: Severity = "error",
    ) -> None:
        """Add a diagnostic, unless there is one of its code about the same thing in the same step."""
        place = where or Where()
        key = (code, about or message, place.step or place.cell)
        if key not in self._reported:
            self._reported.add(key)
            self.diagnostics.append(Diagnostic(code, message, fix, place, severity))

    def place(self, number: int, line: int = 0) -> Where:
        """Return the place of a line of a cell."""
        read = self.cells.get(number)
        return _where(read.cell, line) if read else Where()

    def _read(self, number: int, cell: Cell) -> None:
        try:
            facts = read_cell(cell.source)
            self.mentioned.update(*map(names_mentioned, facts.statements))
            kept = tuple(range(len(facts.statements)))
            if cell.kind == "parameters":
                self._defaults[number], derived, names = read_parameters(facts.python.tree)
                kept = tuple(derived)
                self._check_parameters(number, cell, names)
            elif cell.kind == "metrics":
                self._metrics[number] = metric_names(facts.python.tree)
        except CellProblemError as problem:
            if cell.kind != "skip":
                self.report(problem.code, problem.message, problem.fix, _where(cell, problem.line))
                self._rejected.append(cell)
            return
        if cell.kind == "skip":
            return
        self.cells[number] = AnalyzedCell(cell, facts, kept)
        if cell.execution.state == "failed" and not self._needs_unrun(cell):
            error = cell.execution.error
            self.report(
                Code.CELL_FAILED,
                f"the last execution of this cell failed{f': {error}' if error else ''}",
                "correct it and run it again",
                _where(cell, 0),
                severity="warning",
            )

    def _needs_unrun(self, cell: Cell) -> bool:
        """Whether a cell failed for a name that a cell above it binds, which has not run in the session."""
        missing = _NOT_DEFINED.match(cell.execution.error)
        unrun = (
            read.facts.statements for read in self.cells.values() if read.cell.execution.state == "not run"
        )
        names = {name for statements in unrun for effects in statements for name in bound_by(effects)}
        return missing is not None and missing[1] in names

    def _check_parameters(self, number: int, cell: Cell, derived: list[tuple[str, int]]) -> None:
        given = {default.name for default in self.parameters}
        for default in self._defaults[number]:
            if default.name in given:
                self._duplicate(cell, default.name, default.line)
            else:
                self.parameters.append(default)
            given.add(default.name)
        for name, line in derived:
            if name in given:
                self._duplicate(cell, name, line)

    def _duplicate(self, cell: Cell, name: str, line: int) -> None:
        message = f"the parameter {name} is defined twice"
        self.report(
            Code.DUPLICATE_PARAMETER,
            message,
            "keep one definition, or rename the other",
            _where(cell, line),
        )

    def _bindings(self) -> dict[str, int]:
        """Return for every name the last cell that binds it, or -2 if the session has another value of it."""
        last: dict[str, int] = {}
        for number, read in self.cells.items():
            names = {n for effects in read.facts.statements for n in bound_by(effects)}
            names |= (
                read.cell.execution.evidence.bound
                if read.cell.execution.evidence is not None
                else frozenset()
            )
            ran = read.cell.mark.run and read.cell.execution.state == "ran"
            count = read.cell.execution.count
            # A later execution, marked or not, has bound another value.
            stale = {n for n in names if count is not None and self.session.bound_in(n) > count}
            last.update({name: number if ran and name not in stale else -2 for name in names})
        return last

    def _walk(self, number: int, read: AnalyzedCell) -> None:
        cell = read.cell
        if cell.kind == "step":
            step = self.steps.setdefault(cell.name, StepFlow(cell.name))
            step.cells.append(number)
            step.after += [name for name in cell.mark.after if name not in step.after]
            step.read_only |= set(cell.mark.reads)
            self.flow.walk(step, number, read.facts, evidence=cell.execution.evidence)
        elif cell.kind == "metrics":
            for name, line in self._metrics[number]:
                self._metric(number, name, line)
        else:
            self._walk_prelude(number, read)

    def _walk_prelude(self, number: int, read: AnalyzedCell) -> None:
        self._check_redefinition(number, read)
        self.prelude.cells.append(number)
        for default in self._defaults.get(number, []):
            constant = not isinstance(default.value, (list, dict))
            flag = isinstance(default.value, bool)
            binding = Binding(
                default.name, "parameter", cell=number, line=default.line, constant=constant, flag=flag
            )
            self.flow.state.names[default.name] = binding
        self.flow.walk(self.prelude, number, read.facts, read.kept, read.cell.execution.evidence)
        for binding in self.prelude.inputs.values():
            self.report(
                Code.PRELUDE_USES_STEP,
                f"the {read.cell.kind} cell runs before every step but uses {binding.name}, which step"
                f" {binding.producer} defines",
                "move the code that uses it into a step",
                self.place(number, _line_of(read, binding.name)),
                about=binding.name,
            )
        self.prelude.inputs.clear()

    def _keep_imports(self) -> None:
        """Give every step the imports of functions that it may reach without naming them."""
        imports = {
            name: d
            for d in self.flow.state.definitions
            if d.in_prelude and d.kind == "import"
            for name in d.names
        }
        pending, seen = [*self.flow.state.escaped], set(self.flow.state.escaped)
        while pending:
            names = [e.name for e in pending.pop().effects if isinstance(e, Read)]
            self.prelude.imports |= {imports[name] for name in names if name in imports}
            further = self.flow.lookup.behaviours_of(names) - seen
            pending += further
            seen |= further

    def _check_redefinition(self, number: int, read: AnalyzedCell) -> None:
        """Report a prelude cell that redefines what a step above it has used."""
        lines = {default.name: default.line for default in self._defaults.get(number, [])}
        for effect in (e for i in read.kept for e in flattened(read.facts.statements[i])):
            if isinstance(effect, (Bind, Define)):
                lines |= dict.fromkeys(bound_by_one(effect), effect.line)
        for step in self.steps.values():
            for name in sorted(lines.keys() & step.local.keys()):
                self.report(
                    Code.PRELUDE_CHANGED,
                    f"this cell redefines {name} for all steps, but step {step.name} above uses the earlier"
                    " value",
                    f"move the cell above the step, or rename {name} here",
                    self.place(number, lines[name]),
                    about=name,
                )

    def _metric(self, number: int, name: str, line: int) -> None:
        binding = self.flow.state.names.get(name)
        where = self.place(number, line)
        if binding is None:
            self.report(
                Code.METRIC_WITHOUT_STEP,
                f"no step above defines the metric {name}",
                self._suggest(name),
                where,
            )
            return
        if binding.kind != "value":
            fix = "compute it in a step, or remove it: parameters are shown with every run"
            self.report(Code.METRIC_WITHOUT_STEP, f"no step computes the metric {name}", fix, where)
            return
        facts = self.flow.lookup.facts(binding)
        if facts is not None and not facts.number:
            message = f"the metric {name} is a {facts.type_name}, not a number"
            self.report(Code.METRIC_NOT_A_NUMBER, message, "list a variable that is an int or a float", where)
            return
        step = self.steps[binding.producer]
        if step.local.get(name) is not binding:
            self._conflict(step, name, binding)
        if name in step.forwarded:
            step.inputs[name] = step.forwarded.pop(name)
        if name not in step.metrics:
            step.metrics.append(name)

    def _suggest(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.flow.state.names, n=1)
        return f"did you mean {near[0]}?" if near else f"define {name} in a step above this cell"

    def _missing(self, step: StepFlow, name: str, line: int, certain: bool) -> None:
        known = self.session.has(name) or (is_history(name) and self.session.defines(name))
        if not certain and not known:
            return
        if any(re.search(rf"\b{re.escape(name)}\b", cell.source) for cell in self._rejected):
            return  # its own diagnostic is enough
        number = self.flow.state.cell
        where = self.place(number, line)
        if is_history(name):
            message = f"{name} belongs to the notebook's history, which does not exist in a step"
            fix = "assign the value to a name in a marked cell, as in result = ..., and use that name"
            self.report(Code.UNSUPPORTED_SYNTAX, message, fix, where, about=name)
            return
        below = next((n for n, r in self.cells.items() if n >= number and name in _binds(r)), None)
        if not certain and below is not None:
            return  # looked up later, when that cell has run
        if not step.name and below is not None and self.cells[below].cell.kind == "step":
            producer = self.cells[below].cell.name
            self.report(
                Code.PRELUDE_USES_STEP,
                f"this cell runs before every step but uses {name}, which step {producer} defines",
                "move the code that uses it into a step", where, about=name,
            )  # fmt: skip
            return
        if below is not None and below > number:
            message = f"{name} is defined only below, in {self.cells[below].cell.label}"
            fix = "move that cell above this one, and run both"
        elif (
            executed := unanalyzed_exec(self.steps, {n: r.cell for n, r in self.cells.items()}, number)
        ) is not None:
            message = (
                f"no marked cell above defines {name}, except perhaps exec() in step {executed[0]},"
                f" {NOT_ANALYZED}"
            )
            fix = f"run that cell, or assign {name} in a statement of its own"
        else:
            message, fix = self._explain_undefined(name, known)
        self.report(Code.UNKNOWN_NAME, message, fix, where, about=name)

    def _explain_undefined(self, name: str, known: bool) -> tuple[str, str]:
        origin, source = self.session.origin(name)
        marked = {read.cell.label for read in self.cells.values()}
        if known and origin and origin not in marked:
            start = f"no marked cell above defines {name}; {origin}, which defined it, is"
            if self.session.is_deleted(source):
                return f"{start} no longer in the notebook", f"define {name} in a marked cell above this one"
            if source.startswith(("%%kale ", "%kale ")):
                return f"{start} no longer marked", "run that cell again"
            kind = "parameters" if has_only_literals(source) else self.session.kind_of_cell(name)
            fix = f"mark that cell, as in %%kale {kind}, or define {name} in a marked cell"
            return f"{start} not in the pipeline", fix
        if known and any(step.dynamic for step in self.steps.values()):
            start = f"no marked cell above defines {name}; code run by exec() is not analyzed"
            return start, f"assign {name} in a statement of its own"
        if known:
            rest = f"the session has it from {origin}" if origin else "only the session has it"
            fix = f"define {name} in a marked cell above this one"
            return f"no marked cell above defines {name}; {rest}", fix
        near = difflib.get_close_matches(name, [*self.flow.state.names, *BUILTINS], n=1)
        fix = f"did you mean {near[0]}?" if near else f"define {name} in a marked cell above this one"
        return f"no marked cell above defines {name}, and the session does not have it", fix

    def _conflict(self, step: StepFlow, name: str, binding: Binding) -> None:
        if not step.name:
            return
        other = f"step {binding.producer}" if binding.producer else "an imports, functions or parameters cell"
        taken = step.inputs.get(name)
        if taken is not None and max(binding.cell, binding.changed) < step.cells[0]:
            self.report(
                Code.INTERLEAVED,
                f"step {step.name} needs two different values named {name}: one from step"
                f" {taken.producer}, and one assigned later",
                f"rename one of the two values {name}",
                self.place(self.flow.state.cell, 0),
                about=name,
            )
            return
        self.report(
            Code.INTERLEAVED,
            f"step {step.name} uses {name} after {other} has changed it; {RUN_TOGETHER}",
            f"give this cell another step name, as in %%kale step {quoted(f'{step.name}-2')}",
            self.place(self.flow.state.cell, 0),
            about=name,
        )

    def _contradicted(self, step: StepFlow, name: str) -> None:
        self.report(
            Code.READS_CHANGED,
            f"step {step.name} declares --reads {name} but changes {name} here",
            f"remove {name} from --reads",
            self.place(self.flow.state.cell, 0),
            about=name,
        )

    def path_of(self, binding: Binding) -> str | None:
        """Return the path or text that a name refers to, if the session knows it for certain."""
        return (
            self.session.path(binding.name) if self.flow.lookup.certain_facts(binding) is not None else None
        )


def place_of_mark(cell: Cell) -> Where:
    """Return the place of a cell's mark."""
    return replace(_where(cell, cell.line.count("\n") + 1), text=cell.line)


def _where(cell: Cell, line: int) -> Where:
    lines = cell.source.splitlines()
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    return Where(cell.label if cell.execution.count is not None else "", cell.name, line or None, text)


def _line_of(read: AnalyzedCell, name: str) -> int:
    """Return the line where a cell looks up a name; 0 if only a function that it calls does."""
    effects = (e for i in read.kept for e in flattened(read.facts.statements[i]))
    return next((e.line for e in effects if isinstance(e, Read) and e.name == name), 0)


def _binds(read: AnalyzedCell) -> set[str]:
    return {n for effects in read.facts.statements for n in bound_by(effects)}
