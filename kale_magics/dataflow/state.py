"""Process state that one step sets and another one needs, though they run in separate processes."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kale_magics.analysis.cells import CellFacts
from kale_magics.analysis.setters import (
    DEFINITIONS,
    NotebookContext,
    Setter,
    find_setters,
    names_of_node,
    open_figure,
    verbs_of_pyplot,
)
from kale_magics.analysis.setting_calls import BEGINS, CLOSES
from kale_magics.dataflow.bindings import Binding, StepFlow
from kale_magics.dataflow.visibility import Statement, Visibility
from kale_magics.dataflow.walk import Flow
from kale_magics.session.process_state import StateChange
from kale_magics.session.registry import Cell
from kale_magics.session.state_holders import is_missing
from kale_magics.step_runtime.parts import contents
from kale_magics.syntax.arguments import quoted

MAX_NAMED = 3
"""How many settings a message names."""

FIXES: Mapping[str, str] = {
    "": "move that line into an imports or functions cell, which every step runs, or repeat it in step {}",
    "pyplot": "call plt.figure() first in step {}, or draw the figure in one step",
    "subclasses": "move the class into a functions cell, which every step runs",
    "default": "give the field a value of its own in each object",
    "module": "keep the value in a variable, or move that line into a functions cell",
}
"""The fix, by the kind of holder."""


@dataclass(frozen=True)
class LostState:
    """Process state that a step sets and another one would see in the notebook.

    Attributes:
        changes: What is set, all of one holder.
        step: The step that sets it.
        cell: The number of its cell.
        line: The line there; 0 if its text does not show it.
        other: A step that would see it.
        fails: Whether that step certainly fails without it.
    """

    changes: tuple[StateChange, ...]
    step: str
    cell: int
    line: int
    other: str
    fails: bool = False

    @property
    def what(self) -> str:
        """The names of what is set, for messages."""
        words = list(dict.fromkeys(change.what for change in self.changes))
        more = f" and {len(words) - MAX_NAMED} more" if len(words) > MAX_NAMED else ""
        return ", ".join(words[:MAX_NAMED]) + more

    @property
    def fix(self) -> str:
        """The fix, in the imperative."""
        kind = self.changes[0].holder.partition(":")[0]
        return FIXES.get(kind, FIXES[""]).format(quoted(self.other))


@dataclass(frozen=True)
class _StateSet:
    """State that a cell sets.

    Attributes:
        change: What is set.
        line: The line; 0 if the text does not show it.
        text: The code that sets it; empty if the text does not show it.
        observed: Whether the session observed it.
    """

    change: StateChange
    line: int
    text: str
    observed: bool


class StateFlow:
    """Finds steps that lack state which other steps set.

    Args:
        cells: The marked cells, with their facts, by their numbers.
        steps: The steps by their names.
        flow: The bindings of the notebook.
    """

    def __init__(
        self, cells: Mapping[int, tuple[Cell, CellFacts]], steps: Mapping[str, StepFlow], flow: Flow
    ) -> None:
        self.cells, self.steps, self.flow = cells, steps, flow
        self.notebook = self._read()
        self._visibility = Visibility(steps, flow)
        self._statements = {number: list(self._statements_of(number)) for number in cells}
        self._setters = {
            number: [find_setters(s.node, self.notebook) for s in statements]
            for number, statements in self._statements.items()
        }
        self._found = {number: list(self._changes(number)) for number in cells}

    def lost(self) -> Iterator[LostState]:
        """Yield the state that steps set and others lack, each with the first of these."""
        numbers = [number for number, (cell, _) in self.cells.items() if cell.kind != "step"]
        prelude = [found for number in numbers for found in self._found[number]]
        for step in self.steps.values():
            for number in step.cells:
                groups: dict[tuple[str, str, int, bool], list[StateChange]] = {}
                for found in self._found[number]:
                    if found.observed or not any(_same(found, other) for other in prelude):
                        for name, fails in self._affected_step(found, step, number):
                            key = found.change.holder, name, found.line, fails
                            groups.setdefault(key, []).append(found.change)
                for (_, name, line, fails), changes in groups.items():
                    yield LostState(tuple(dict.fromkeys(changes)), step.name, number, line, name, fails)
        yield from self._subclasses()

    def _affected_step(self, found: _StateSet, step: StepFlow, number: int) -> Iterator[tuple[str, bool]]:
        """Yield a step that lacks a setting, preferably one that fails without it, and whether it fails."""
        missing = {o.name: s for o in self.steps.values() if (s := self._dependent(o, found, step, number))}
        failing = [n for n, s in missing.items() if self._visibility.fails(self.steps[n], s, found.change)]
        for name in (failing or list(missing))[:1]:
            yield name, bool(failing)

    def _read(self) -> NotebookContext:
        """Collect the definitions and aliases of the whole notebook."""
        notebook = NotebookContext(self._origin)
        for _, facts in self.cells.values():
            for node in facts.python.tree.body:
                if isinstance(node, DEFINITIONS):
                    notebook.functions[node.name] = node
                elif isinstance(node, ast.Assign):
                    notebook.assign(node)
        classes = {name: d for name, d in notebook.functions.items() if isinstance(d, ast.ClassDef)}
        for name, node in classes.items():
            family = [classes[each] for each in (name, *sorted(_bases(name, classes))) if each in classes]
            if any(map(notebook.is_abstract, family)):
                notebook.abstract.add(name)
            if any(notebook.path(base) == "typing.NamedTuple" for base in node.bases):
                notebook.fields.update(dict.fromkeys(_changing_fields(node), name))
        return notebook

    def _origin(self, name: str) -> str:
        binding = self.flow.state.names.get(name)
        for step in self.steps.values():
            binding = binding or step.local.get(name)
        return binding.origin if binding is not None else ""

    def _statements_of(self, number: int) -> Iterator[Statement]:
        _, facts = self.cells[number]
        body = facts.python.tree.body
        for node in body:
            code = (node,) if isinstance(node, DEFINITIONS) else tuple(self.notebook.reached(node))
            names = frozenset[str]().union(*map(self.notebook.names, code))
            yield Statement(node, code, names, node is body[-1])

    def _changes(self, number: int) -> Iterator[_StateSet]:
        """Yield what a cell sets: as observed in the session, or else as its text shows."""
        cell, _ = self.cells[number]
        setters = [setter for each in self._setters[number] for setter in each]
        seen = (
            cell.execution.evidence.settings
            if cell.execution.evidence is not None and cell.execution.state == "ran"
            else None
        )
        if seen is None or "pyplot" not in {*seen.untouched, *(c.holder for c in seen.changed)}:
            figure = open_figure((s.node for s in self._statements[number]), self.notebook)
            setters += [figure] if figure is not None and not _closes_figures() else []
        for change in seen.changed if seen is not None else ():
            setter = next((s for s in setters if s.holder == change.holder and _names(s, change)), None)
            setter = setter or next((s for s in setters if s.holder == change.holder), None)
            yield _StateSet(
                change, setter.line if setter else 0, setter.text if setter else "", observed=True
            )
        observed = {change.holder for change in seen.changed} if seen is not None else set()
        for setter in setters:
            doubtful = any(self._is_parameter(name) for name in setter.depends)
            untouched = seen is not None and setter.holder in seen.untouched
            if doubtful or not (untouched or setter.holder in observed):
                for key in setter.keys or ("",):
                    yield _StateSet(_change(setter.holder, key), setter.line, setter.text, observed=False)

    def _is_parameter(self, name: str) -> bool:
        binding = self.flow.state.names.get(name)
        return binding is not None and binding.kind == "parameter"

    def _dependent(self, other: StepFlow, found: _StateSet, step: StepFlow, number: int) -> Statement | None:
        """Return the first statement that depends on another step's setting; None if that is set before."""
        if other is step or self._is_carried_to(other, found.change):
            return None
        for below in (n for n in other.cells if n > number):
            # A change that was observed and that the text does not show was made by some function.
            hidden = [f for f in self._found[below] if not f.text]
            # In a module of the user's own it may be a counter, which continues from its value.
            counts = found.change.holder.startswith("module:")
            if not counts and any(f.change == found.change for f in hidden):
                return None
            for statement, setters in zip(self._statements[below], self._setters[below], strict=True):
                if any(_sets_same(setter, found) for setter in setters):
                    return None
                if found.change.holder == "pyplot":
                    verb = next((v for v, _ in verbs_of_pyplot(statement.node, self.notebook)), "")
                    if verb:
                        return None if verb in BEGINS | CLOSES else statement
                elif self._visibility.sees(other, statement, found.change) or self._logs(statement, found):
                    return statement
        return None

    def _logs(self, statement: Statement, found: _StateSet) -> bool:
        """Whether a statement uses, through a variable of the notebook, a logger that is set."""
        if found.change.holder != "logging":
            return False
        bindings = (self.flow.state.names.get(name) for name in statement.names)
        return any(b is not None and self._is_logger(b, found.change.key) for b in bindings)

    def _is_carried_to(self, other: StepFlow, change: StateChange) -> bool:
        """Whether an input of a step carries the setting: a logger carries its level."""
        if change.holder != "logging" or change.key.startswith("handlers"):
            return False
        return any(self._is_logger(binding, change.key) for binding in other.inputs.values())

    def _is_logger(self, binding: Binding, key: str) -> bool:
        path = self.notebook.aliases.get(binding.name, "")
        if path.startswith("logging.getLogger("):
            name = path.removeprefix("logging.getLogger(").removesuffix(")") or "root"
            return key.endswith(f" of logger {name!r}")
        facts = self.flow.lookup.facts(binding)
        return facts is not None and facts.type_name == "logging.Logger"

    def _subclasses(self) -> Iterator[LostState]:
        """Yield the classes that another step finds by `__subclasses__` and that only one step defines."""
        for other in self.steps.values():
            asked = [
                (number, receiver)
                for number in other.cells
                for statement in self._statements[number]
                for receiver in _asked_for_subclasses(statement)
            ]
            for step in self.steps.values() if asked else ():
                yield from self._unseen_classes(step, other, asked)

    def _unseen_classes(
        self, step: StepFlow, other: StepFlow, asked: Iterable[tuple[int, str]]
    ) -> Iterator[LostState]:
        classes = {n: d for n, d in self.notebook.functions.items() if isinstance(d, ast.ClassDef)}
        present = {definition.cell for definition in other.replays} | set(other.cells)
        for number in step.cells:
            for node in self.cells[number][1].python.tree.body:
                if not isinstance(node, ast.ClassDef) or not node.bases or step is other:
                    continue
                bases = _bases(node.name, classes)
                roots = {root or "" for below, root in asked if below > number}
                named = bases & roots or ({*bases} & classes.keys() if "" in roots else set())
                there = any(d.cell in present and node.name in d.names for d in other.replays)
                if named and not there:
                    change = StateChange("subclasses", sorted(named)[0])
                    yield LostState((change,), step.name, number, node.lineno, other.name)


def _change(holder: str, key: str) -> StateChange:
    """Return the change that a cell's text shows."""
    name, _, attribute = key.partition(".")
    return StateChange(holder, key, added=holder.startswith("class:") and is_missing(holder, name, attribute))


def _same(found: _StateSet, other: _StateSet) -> bool:
    same = found.change.holder == other.change.holder
    return same and (found.change.key == other.change.key != "" or found.text == other.text)


def _names(setter: Setter, change: StateChange) -> bool:
    return any(change.key == key or change.key.endswith(f".{key}") for key in setter.keys)


def _sets_same(setter: Setter, found: _StateSet) -> bool:
    """Whether code of a step overrides what another one has set."""
    if setter.holder != found.change.holder or setter.adds:
        return False
    return _names(setter, found.change) or setter.text == found.text


def _closes_figures() -> bool:
    """Whether the session closes figures when a cell ends, as the inline backend does."""
    module = sys.modules.get("matplotlib")
    settings = contents(module).get("rcParams") if module is not None else None
    backend = dict.get(settings, "backend") if isinstance(settings, dict) else None
    return any(
        "inline" in each for each in (os.environ.get("MPLBACKEND", ""), backend) if isinstance(each, str)
    )


def _bases(name: str, classes: Mapping[str, ast.ClassDef]) -> set[str]:
    """Return the classes of the notebook from which one is derived, directly or not."""
    found: set[str] = set()
    pending = [name]
    while pending:
        node = classes.get(pending.pop())
        new = {base.id for base in node.bases if isinstance(base, ast.Name)} - found if node else set()
        found |= new
        pending += sorted(new)
    return found


def _changing_fields(node: ast.ClassDef) -> Iterator[str]:
    """Yield the fields of a NamedTuple whose default is mutable."""
    made = ast.List, ast.Dict, ast.Set, ast.Call, ast.ListComp, ast.DictComp
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.value, made):
            yield from names_of_node(field.target)


def _asked_for_subclasses(statement: Statement) -> Iterator[str]:
    """Yield the names of classes whose subclasses are looked up; an empty one for other expressions."""
    for node in statement.walk():
        if isinstance(node, ast.Attribute) and node.attr == "__subclasses__":
            yield node.value.id if isinstance(node.value, ast.Name) else ""
