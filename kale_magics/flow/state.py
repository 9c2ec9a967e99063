"""State of the process that one step sets and another one would see in the notebook: who misses what."""

from __future__ import annotations

import ast
import os
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from kale_magics.analysis.cells import CellFacts
from kale_magics.analysis.knowledge import is_known
from kale_magics.analysis.setters import (
    BEGINS,
    CLOSES,
    Notebook,
    Setter,
    find_setters,
    is_definition,
    names_in,
    open_figure,
    verbs_of_pyplot,
)
from kale_magics.arguments import quoted
from kale_magics.flow.bindings import Binding, StepFlow
from kale_magics.flow.lookup import Lookup
from kale_magics.process_state import StateChange
from kale_magics.registry import Cell
from kale_magics.state_holders import contents

WITH: Mapping[str, tuple[str, ...]] = {
    "numpy": ("numpy", "scipy"),
    "numpy printing": ("numpy",),
    "pandas": ("pandas", "geopandas"),
    "sklearn": ("sklearn", "imblearn"),
    "matplotlib": ("matplotlib", "seaborn"),
}
"""For a holder, the libraries whose users see it, where these are more than the library of its name."""

MAX_NAMED = 3
"""How many settings a message names."""

FIXES: Mapping[str, str] = {
    "": "move that line into an imports or functions cell, which every step runs, or repeat it in step {}",
    "pyplot": "call plt.figure() first in step {}, or draw the figure in one step",
    "subclasses": "move the class into a functions cell: every step has it then",
    "default": "give each object a value of its own for the field",
    "module": "keep it in a variable of the notebook, or move that line into a functions cell",
}
"""By the kind of holder, one way out."""

PLOTS = frozenset({"plot", "hist", "boxplot"})
"""Methods of pandas that draw with matplotlib."""

SHOWING = frozenset("print display str repr format pprint".split())
SHOWING_METHODS = frozenset("to_string to_html to_markdown to_latex format info debug warning error".split())

WITHOUT_ARITHMETIC = SHOWING | frozenset("len type isinstance id list dict tuple".split())
"""Functions that look at numbers and do not compute with them."""


@dataclass(frozen=True)
class Lost:
    """A step sets something that another one would see in the notebook.

    Attributes:
        changes: What is set, all of one holder.
        step: The step that sets it.
        cell: The number of its cell.
        line: The line there; 0 if its text does not show it.
        other: A step that would see it.
    """

    changes: tuple[StateChange, ...]
    step: str
    cell: int
    line: int
    other: str

    @property
    def what(self) -> str:
        """What is set, for people."""
        words = list(dict.fromkeys(change.what for change in self.changes))
        more = f" and {len(words) - MAX_NAMED} more" if len(words) > MAX_NAMED else ""
        return ", ".join(words[:MAX_NAMED]) + more

    @property
    def fix(self) -> str:
        """One way out."""
        kind = self.changes[0].holder.partition(":")[0]
        return FIXES.get(kind, FIXES[""]).format(quoted(self.other))


@dataclass(frozen=True)
class _Found:
    """Something that a cell sets.

    Attributes:
        change: What.
        line: Where; 0 if the text does not show it.
        text: The code that does it; empty if the text does not show it.
        observed: Whether the session has seen it.
    """

    change: StateChange
    line: int
    text: str
    observed: bool


@dataclass(frozen=True)
class _Statement:
    """A statement of a step.

    Attributes:
        node: It.
        code: It, and the definitions of the notebook that it may use.
        names: The names in these.
        last: Whether it ends its cell.
    """

    node: ast.stmt
    code: tuple[ast.AST, ...]
    names: frozenset[str]
    last: bool

    def walk(self) -> Iterator[ast.AST]:
        for node in self.code:
            yield from ast.walk(node)

    @property
    def attributes(self) -> set[str]:
        return {node.attr for node in self.walk() if isinstance(node, ast.Attribute)}

    @property
    def shows(self) -> bool:
        """Whether it makes text of a value, or shows one."""
        if self.last and isinstance(self.node, ast.Expr):
            return True
        called = {n.func.id for n in self.walk() if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        formatted = any(isinstance(node, ast.JoinedStr) for node in self.walk())
        return formatted or not called.isdisjoint(SHOWING) or not self.attributes.isdisjoint(SHOWING_METHODS)

    @property
    def computes(self) -> bool:
        """Whether it does arithmetic, or calls what may."""
        for node in self.walk():
            if isinstance(node, (ast.BinOp, ast.AugAssign, ast.UnaryOp)):
                return True
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else ""
                if name not in WITHOUT_ARITHMETIC:
                    return True
        return False


class StateFlow:
    """Finds the steps that miss what others set.

    Args:
        cells: The marked cells, with what is in them, by their numbers.
        steps: The steps by their names.
        flow: What names stand for.
    """

    def __init__(
        self, cells: Mapping[int, tuple[Cell, CellFacts]], steps: Mapping[str, StepFlow], flow: Lookup
    ) -> None:
        self.cells, self.steps, self.flow = cells, steps, flow
        self.notebook = self._read()
        self._statements = {number: list(self._statements_of(number)) for number in cells}
        self._setters = {
            number: [find_setters(s.node, self.notebook) for s in statements]
            for number, statements in self._statements.items()
        }
        self._found = {number: list(self._changes(number)) for number in cells}

    def lost(self) -> Iterator[Lost]:
        """What steps set and others miss, each with the first of these."""
        prelude = [
            f for number, (cell, _) in self.cells.items() if cell.kind != "step" for f in self._found[number]
        ]
        for step in self.steps.values():
            for number in step.cells:
                groups: dict[tuple[str, str, int], list[StateChange]] = {}
                for found in self._found[number]:
                    if not found.observed and any(_same(found, other) for other in prelude):
                        continue
                    other = next(
                        (o for o in self.steps.values() if self._misses(o, found, step, number)), None
                    )
                    if other is not None:
                        key = found.change.holder, other.name, found.line
                        groups.setdefault(key, []).append(found.change)
                for (_, name, line), changes in groups.items():
                    yield Lost(tuple(dict.fromkeys(changes)), step.name, number, line, name)
        yield from self._subclasses()

    def _read(self) -> Notebook:
        """What the notebook's text says as a whole."""
        functions: dict[str, ast.AST] = {}
        notebook = Notebook(self._origin, functions, {}, frozenset(), {})
        for _, facts in self.cells.values():
            for node in facts.python.tree.body:
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    functions[node.name] = node
                elif isinstance(node, ast.Assign):
                    for target in node.targets:
                        if isinstance(target, ast.Name) and isinstance(node.value, ast.Lambda):
                            functions[target.id] = node.value
                        elif isinstance(target, ast.Name) and (path := notebook.path(node.value)):
                            notebook.aliases[target.id] = path
        classes = {name: node for name, node in functions.items() if isinstance(node, ast.ClassDef)}
        abstract = {name for name in classes if _derives(name, classes, self._is_abstract, set())}
        fields = {
            field: name
            for name, node in classes.items()
            if any(notebook.path(base) == "typing.NamedTuple" for base in node.bases)
            for field in _changing_fields(node)
        }
        return Notebook(self._origin, functions, notebook.aliases, frozenset(abstract), fields)

    def _is_abstract(self, node: ast.ClassDef) -> bool:
        bases = [*node.bases, *(k.value for k in node.keywords if k.arg == "metaclass")]
        names = {base.id: self._origin(base.id) for base in bases if isinstance(base, ast.Name)}
        paths = {*names.values(), *(f"{self._origin(b.value.id)}.{b.attr}" for b in bases
                 if isinstance(b, ast.Attribute) and isinstance(b.value, ast.Name))}  # fmt: skip
        return any(path.startswith(("abc.ABC", "collections.abc.", "numbers.")) for path in paths)

    def _origin(self, name: str) -> str:
        binding = self.flow.names.get(name)
        for step in self.steps.values():
            binding = binding or step.local.get(name)
        return binding.origin if binding is not None else ""

    def _statements_of(self, number: int) -> Iterator[_Statement]:
        _, facts = self.cells[number]
        body = facts.python.tree.body
        for node in body:
            definition = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            code = (node,) if definition else tuple(self.notebook.reached(node))
            names = frozenset().union(*map(names_in, code)) if code else frozenset()
            yield _Statement(node, code, names, node is body[-1])

    def _changes(self, number: int) -> Iterator[_Found]:
        """What a cell sets: what the session has seen; where it has seen nothing, what the text says."""
        cell, _ = self.cells[number]
        setters = [setter for each in self._setters[number] for setter in each]
        seen = cell.evidence.settings if cell.evidence is not None and cell.state == "ran" else None
        if seen is None or "pyplot" not in {*seen.untouched, *(c.holder for c in seen.changed)}:
            figure = open_figure((s.node for s in self._statements[number]), self.notebook)
            setters += [figure] if figure is not None and not _closes_figures() else []
        for change in seen.changed if seen is not None else ():
            setter = next((s for s in setters if s.holder == change.holder and _names(s, change)), None)
            setter = setter or next((s for s in setters if s.holder == change.holder), None)
            yield _Found(change, setter.line if setter else 0, setter.text if setter else "", observed=True)
        observed = {change.holder for change in seen.changed} if seen is not None else set()
        for setter in setters:
            doubtful = any(self._is_parameter(name) for name in setter.depends)
            untouched = seen is not None and setter.holder in seen.untouched
            if doubtful or not (untouched or setter.holder in observed):
                for key in setter.keys or ("",):
                    yield _Found(StateChange(setter.holder, key), setter.line, setter.text, observed=False)

    def _is_parameter(self, name: str) -> bool:
        binding = self.flow.names.get(name)
        return binding is not None and binding.kind == "parameter"

    def _misses(self, other: StepFlow, found: _Found, step: StepFlow, number: int) -> bool:
        """Whether a step would see what another one sets, before it sets the same itself."""
        if other is step or self._arrives(other, found.change):
            return False
        for below in (n for n in other.cells if n > number):
            # What the session has seen and the text does not show, some function has done.
            hidden = [f for f in self._found[below] if not f.text]
            if any(f.change == found.change for f in hidden):
                return False
            for statement, setters in zip(self._statements[below], self._setters[below], strict=True):
                if any(_sets_same(setter, found) for setter in setters):
                    return False
                if found.change.holder == "pyplot":
                    verb = next((v for v, _ in verbs_of_pyplot(statement.node, self.notebook)), "")
                    if verb:
                        return verb not in BEGINS | CLOSES
                elif self._sees(other, statement, found.change):
                    return True
        return False

    def _arrives(self, other: StepFlow, change: StateChange) -> bool:
        """Whether a value that a step takes brings the setting along: a logger brings its level."""
        if change.holder != "logging" or change.key.startswith("handlers"):
            return False
        return any(self._is_logger(binding, change.key) for binding in other.takes.values())

    def _is_logger(self, binding: Binding, key: str) -> bool:
        path = self.notebook.aliases.get(binding.name, "")
        if path.startswith("logging.getLogger("):
            name = path.removeprefix("logging.getLogger(").removesuffix(")") or "root"
            return key.endswith(f" of logger {name!r}")
        facts = self.flow.facts(binding)
        return facts is not None and facts.type_name == "logging.Logger"

    def _sees(self, step: StepFlow, statement: _Statement, change: StateChange) -> bool:
        kind, _, owner = change.holder.partition(":")
        key = change.key
        if kind in ("environment", "variable", "folder", "warnings", "locale", "recursion"):
            return not is_definition(statement.node)
        if kind == "path":
            return True
        if kind == "logging":
            return self._logs(step, statement, key)
        if kind in ("class", "attribute"):
            provided = change.provider and self._uses(step, statement, change.provider)
            return not provided and self._mentions(step, statement, key)
        if kind in ("abc", "default"):
            return key.partition(".")[0] in statement.names
        if kind == "module":
            return self._uses(step, statement, owner)
        uses = any(self._uses(step, statement, library) for library in WITH.get(kind, (kind.split()[0],)))
        if kind == "matplotlib":
            draws = not statement.attributes.isdisjoint(PLOTS) and self._uses(step, statement, "pandas")
            return uses or draws
        if kind == "numpy printing" or key.startswith(("display.", "styler.")):
            return uses and statement.shows
        return uses and (kind not in ("numpy", "decimal") or statement.computes)

    def _mentions(self, step: StepFlow, statement: _Statement, path: str) -> bool:
        """Whether a statement uses an attribute, or has imported it by its name."""
        if path.rpartition(".")[2] in statement.attributes:
            return True
        bindings = (self._binding(step, name) for name in statement.names)
        return any(binding is not None and binding.origin == path for binding in bindings)

    def _logs(self, step: StepFlow, statement: _Statement, key: str) -> bool:
        if self._uses(step, statement, "logging"):
            return True
        name = key.rpartition("'")[0].rpartition("'")[2].partition(".")[0]
        return bool(name) and name != "root" and is_known(f"{name}.") and self._uses(step, statement, name)

    def _binding(self, step: StepFlow, name: str) -> Binding | None:
        return step.local.get(name) or self.flow.names.get(name)

    def _uses(self, step: StepFlow, statement: _Statement, library: str) -> bool:
        """Whether a statement uses a module: by an import, by a value of its types, through own modules."""
        for node in statement.walk():
            imported = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            imported += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            if any(_reaches(name, library) for name in imported) and not isinstance(
                statement.node, type(node)
            ):
                return True
        if isinstance(statement.node, (ast.Import, ast.ImportFrom)):
            return False
        bindings = (self._binding(step, name) for name in sorted(statement.names))
        return any(b is not None and self._belongs(step, b, library) for b in bindings)

    def _belongs(self, step: StepFlow, binding: Binding, library: str) -> bool:
        if binding.origin:
            return _reaches(binding.origin, library)
        if binding.kind != "value" or binding.direct is not None:
            return False
        facts = self.flow.facts(binding)
        if facts is not None:
            # Of a container, and of an object of the notebook's, what is in it counts.
            types_in = facts.modules if "." not in facts.type_name else {facts.type_name}
            return any(_is_in(name, library) for name in types_in)
        maker = self.steps.get(binding.maker)
        if maker is None or maker is step:
            return False
        return any(b is not None and b.origin and _reaches(b.origin, library) for b in maker.local.values())

    def _subclasses(self) -> Iterator[Lost]:
        """Classes that another step finds by `__subclasses__`, and that only their step has."""
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
    ) -> Iterator[Lost]:
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
                    yield Lost((change,), step.name, number, node.lineno, other.name)


def _same(found: _Found, other: _Found) -> bool:
    same = found.change.holder == other.change.holder
    return same and (found.change.key == other.change.key != "" or found.text == other.text)


def _names(setter: Setter, change: StateChange) -> bool:
    return any(change.key == key or change.key.endswith(f".{key}") for key in setter.keys)


def _sets_same(setter: Setter, found: _Found) -> bool:
    """Whether a place in a step's text makes what another one has set meaningless."""
    if setter.holder != found.change.holder:
        return False
    return _names(setter, found.change) or setter.text == found.text


def _closes_figures() -> bool:
    """Whether the session closes figures when a cell ends, as notebooks do that show them in place."""
    module = sys.modules.get("matplotlib")
    settings = contents(module).get("rcParams") if module is not None else None
    backend = dict.get(settings, "backend") if isinstance(settings, dict) else None
    return any(
        "inline" in each for each in (os.environ.get("MPLBACKEND", ""), backend) if isinstance(each, str)
    )


def _is_in(name: str, library: str) -> bool:
    return name == library or name.startswith(f"{library}.")


def _reaches(path: str, library: str, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a module is a library, or one of the user's own that has it, at once or through others."""
    if _is_in(path, library):
        return True
    top = path.partition(".")[0]
    if is_known(f"{top}.") or top in seen or len(seen) > 20:
        return False
    modules = [m for name, m in list(sys.modules.items()) if _is_in(name, top)]
    for value in [v for m in modules if isinstance(m, types.ModuleType) for v in list(contents(m).values())]:
        if isinstance(value, types.ModuleType):
            name = value.__name__
        elif isinstance(value, (type, types.FunctionType)):
            name = value.__module__
        else:
            continue
        if isinstance(name, str) and not _is_in(name, top) and _reaches(name, library, seen | {top}):
            return True
    return False


def _derives(
    name: str, classes: Mapping[str, ast.ClassDef], holds: Callable[[ast.ClassDef], bool], seen: set[str]
) -> bool:
    if name not in classes or name in seen:
        return False
    seen.add(name)
    bases = (base.id for base in classes[name].bases if isinstance(base, ast.Name))
    return holds(classes[name]) or any(_derives(base, classes, holds, seen) for base in bases)


def _bases(name: str, classes: Mapping[str, ast.ClassDef]) -> set[str]:
    """The classes of the notebook from which one is derived, at once or through others."""
    found: set[str] = set()
    pending = [name]
    while pending:
        node = classes.get(pending.pop())
        new = {base.id for base in node.bases if isinstance(base, ast.Name)} - found if node else set()
        found |= new
        pending += sorted(new)
    return found


def _changing_fields(node: ast.ClassDef) -> Iterator[str]:
    """The fields of a NamedTuple whose default can change."""
    made = ast.List, ast.Dict, ast.Set, ast.Call, ast.ListComp, ast.DictComp
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and isinstance(field.value, made):
            yield from names_in(field.target)


def _asked_for_subclasses(statement: _Statement) -> Iterator[str]:
    """The names of the classes that are asked; an empty one for an expression of another kind."""
    for node in statement.walk():
        if isinstance(node, ast.Attribute) and node.attr == "__subclasses__":
            yield node.value.id if isinstance(node.value, ast.Name) else ""
