"""Which statements of a step depend on a change of process state."""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kale_magics.analysis.library_rules import is_known
from kale_magics.analysis.names import dotted
from kale_magics.analysis.setters import is_definition
from kale_magics.dataflow.bindings import Binding, StepFlow
from kale_magics.dataflow.walk import Flow
from kale_magics.session.process_state import StateChange
from kale_magics.step_runtime.parts import contents

AFFECTED_LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "numpy": ("numpy", "scipy"),
    "numpy printing": ("numpy",),
    "pandas": ("pandas", "geopandas"),
    "sklearn": ("sklearn", "imblearn"),
    "matplotlib": ("matplotlib", "seaborn"),
    "socket": ("socket", "urllib", "http", "requests", "ftplib", "smtplib"),
    "sqlite3": ("sqlite3", "pandas"),
    "copyreg": ("copyreg", "copy", "pickle"),
}
"""For a holder, the libraries that use it, where these are more than the library of its name."""

PLOTS = frozenset({"plot", "hist", "boxplot"})
"""Methods of pandas that draw with matplotlib."""

FORMATTERS = frozenset("print display str repr format pprint".split())
FORMAT_METHODS = frozenset("to_string to_html to_markdown to_latex format info debug warning error".split())

ATTRIBUTE_LOOKUPS: Mapping[str, int] = {"getattr": 1, "hasattr": 1, "attrgetter": 0, "methodcaller": 0}
"""Functions that look up an attribute by name, and the position of the name."""

COMPUTED = "*"
"""Stands for an attribute whose name is computed."""

WITHOUT_ARITHMETIC = FORMATTERS | frozenset("len type isinstance id list dict tuple".split())
"""Functions that accept numbers without computing with them."""


@dataclass(frozen=True)
class Statement:
    """A statement of a step.

    Attributes:
        node: Its node.
        code: Its node, and the definitions of the notebook that it may use.
        names: The names in these.
        last: Whether it ends its cell.
    """

    node: ast.stmt
    code: tuple[ast.AST, ...]
    names: frozenset[str]
    last: bool

    def walk(self) -> Iterator[ast.AST]:
        """Yield all nodes of its code."""
        for node in self.code:
            yield from ast.walk(node)

    @property
    def attributes(self) -> set[str]:
        """The names of its attributes; `COMPUTED` where `getattr` or the like receives a computed name."""
        found = {node.attr for node in self.walk() if isinstance(node, ast.Attribute)}
        for node in self.walk():
            called = dotted(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and called in ATTRIBUTE_LOOKUPS:
                names = node.args[ATTRIBUTE_LOOKUPS[called] :][:1]
                found |= {str(n.value) if isinstance(n, ast.Constant) else COMPUTED for n in names}
        return found

    @property
    def shows(self) -> bool:
        """Whether it formats or displays a value."""
        if self.last and isinstance(self.node, ast.Expr):
            return True
        called = {n.func.id for n in self.walk() if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        formatted = any(isinstance(node, ast.JoinedStr) for node in self.walk())
        return (
            formatted or not called.isdisjoint(FORMATTERS) or not self.attributes.isdisjoint(FORMAT_METHODS)
        )

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


class Visibility:
    """Determines which statements depend on a change.

    Args:
        steps: The steps by their names.
        flow: The bindings of the notebook.
    """

    def __init__(self, steps: Mapping[str, StepFlow], flow: Flow) -> None:
        self.steps, self.flow = steps, flow

    def sees(self, step: StepFlow, statement: Statement, change: StateChange) -> bool:
        """Whether a statement may behave differently because of a change."""
        kind, _, owner = change.holder.partition(":")
        key = change.key
        if kind in ("environment", "variable", "folder", "warnings", "locale", "recursion", "digits"):
            return not is_definition(statement.node)
        if kind == "path":
            return True
        if kind == "logging":
            return self._logs(step, statement, key)
        if kind in ("class", "attribute"):
            provided = change.provider and self._uses(step, statement, change.provider)
            hidden = kind == "attribute" and _is_read_within(key)
            used = self._mentions(step, statement, key) or (hidden and self._uses(step, statement, owner))
            return used and not provided
        if kind in ("abc", "default"):
            return key.partition(".")[0] in statement.names | statement.attributes
        if kind == "module":
            return self._uses(step, statement, owner, by_value=statement.computes)
        shown = kind == "numpy printing" or key.startswith(("display.", "styler."))
        libraries = AFFECTED_LIBRARIES.get(kind, (kind.split()[0],))
        by_value = shown or statement.computes
        uses = any(self._uses(step, statement, library, by_value) for library in libraries)
        if kind == "matplotlib" and not statement.attributes.isdisjoint(PLOTS):
            return uses or self._uses(step, statement, "pandas")
        if kind in ("numpy", "decimal"):
            return uses and statement.computes
        return uses and (statement.shows or not shown)

    def _mentions(self, step: StepFlow, statement: Statement, path: str) -> bool:
        """Whether a statement uses an attribute, or a name imported from it."""
        if not {path.rpartition(".")[2], COMPUTED}.isdisjoint(statement.attributes):
            return True
        bindings = (self._binding(step, name) for name in statement.names)
        return any(binding is not None and binding.origin == path for binding in bindings)

    def fails(self, step: StepFlow, statement: Statement, change: StateChange) -> bool:
        """Whether a statement uses a method that only the change adds to a library's value."""
        kind, _, library = change.holder.partition(":")
        if kind != "class" or not change.added:
            return False
        attribute = change.key.rpartition(".")[2]
        if any(isinstance(node, ast.Try) for node in statement.walk()):
            return False
        used = (n for n in statement.walk() if isinstance(n, ast.Attribute) and n.attr == attribute)
        bindings = (self._binding(step, root) for node in used for root in [_root(node)] if root)
        return any(b is not None and not b.origin and self._belongs(step, b, library) for b in bindings)

    def _logs(self, step: StepFlow, statement: Statement, key: str) -> bool:
        if self._uses(step, statement, "logging"):
            return True
        name = key.rpartition("'")[0].rpartition("'")[2].partition(".")[0]
        return bool(name) and name != "root" and is_known(f"{name}.") and self._uses(step, statement, name)

    def _binding(self, step: StepFlow, name: str) -> Binding | None:
        return step.local.get(name) or self.flow.state.names.get(name)

    def _uses(self, step: StepFlow, statement: Statement, library: str, by_value: bool = True) -> bool:
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
        return any(
            self._belongs(step, b, library) for b in bindings if b is not None and (b.origin or by_value)
        )

    def _belongs(self, step: StepFlow, binding: Binding, library: str) -> bool:
        if binding.origin:
            return _reaches(binding.origin, library)
        if binding.kind != "value" or binding.direct is not None:
            return False
        facts = self.flow.lookup.facts(binding)
        if facts is not None:
            # Of a container, and of an object of the notebook's own class, the contents count.
            types_in = facts.modules if "." not in facts.type_name else {facts.type_name}
            return any(_is_in(name, library) for name in types_in)
        if library == "logging":
            return False  # a value of a step that did not run is hardly a logger
        # Another step has created what this step changes.
        producer = self.steps.get(step.inputs.get(binding.name, binding).producer)
        if producer is None or producer is step:
            return False
        return any(
            b is not None and b.origin and _reaches(b.origin, library) for b in producer.local.values()
        )


def _is_read_within(path: str) -> bool:
    """Whether functions of a module read one of its attributes, as `tempfile.gettempdir` reads `tempdir`."""
    name, _, attribute = path.rpartition(".")
    module = sys.modules.get(name)
    members = contents(module).values() if isinstance(module, types.ModuleType) else ()
    codes = (member.__code__ for member in members if type(member) is types.FunctionType)
    return any(attribute in code.co_names for code in codes)


def _root(node: ast.expr) -> str:
    """Return the name that an expression begins with; empty if there is none."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_in(name: str, library: str) -> bool:
    return name == library or name.startswith(f"{library}.")


def _reaches(path: str, library: str, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a module is a library, or one of the user's own that imports it, directly or not."""
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
