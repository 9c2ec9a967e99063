"""The places in a cell that set process state: for cells that did not run, and for line numbers."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from kale_magics.analysis.library_rules import CHANGING_METHODS, is_known
from kale_magics.analysis.module_setters import variables_set_by
from kale_magics.analysis.setting_calls import (
    ABSTRACT,
    ACCESSORS,
    CALLS,
    CLASSES,
    CLOSES,
    MAGICS,
    NAMES_OF_PYPLOT,
    NEITHER,
    PYPLOT,
    RESTORED,
)
from kale_magics.analysis.syntax import is_of_shell

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class Setter:
    """A place in code that sets process state.

    Attributes:
        holder: As in `kale_magics.session.process_state.StateChange`.
        keys: What it sets; empty if static analysis cannot find out.
        line: In the cell, from 1.
        text: The code.
        depends: The names that decide whether it runs.
        adds: Whether the new value may depend on the previous one.
    """

    holder: str
    keys: tuple[str, ...]
    line: int
    text: str
    depends: frozenset[str] = frozenset()
    adds: bool = False


@dataclass(frozen=True)
class NotebookContext:
    """Facts from the code of a whole notebook that the analysis of one cell needs.

    Attributes:
        origin: Returns the full path of an imported name, as in "numpy.random"; empty for other names.
        functions: The definitions by name.
        aliases: Names of what an expression gives, as in "logging.getLogger(mine)".
        abstract: The classes that others can be registered with.
        fields: Fields with a mutable default, each with its class.
    """

    origin: Callable[[str], str]
    functions: dict[str, ast.AST] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    abstract: set[str] = field(default_factory=set)
    fields: dict[str, str] = field(default_factory=dict)
    _names: dict[ast.AST, frozenset[str]] = field(default_factory=dict)
    _setters: dict[ast.AST, list[Setter]] = field(default_factory=dict)

    def assign(self, node: ast.Assign) -> None:
        """Record what an assignment makes names refer to."""
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        path = self.path(node.value)
        if isinstance(node.value, ast.Lambda):
            self.functions.update(dict.fromkeys(names, node.value))
        elif path:
            self.aliases.update(dict.fromkeys(names, path))

    def is_abstract(self, node: ast.ClassDef) -> bool:
        """Whether a class is abstract by a base or its metaclass, so that others can register with it."""
        bases = [*node.bases, *(k.value for k in node.keywords if k.arg == "metaclass")]
        return any(self.path(base).startswith(ABSTRACT) for base in bases)

    def path(self, node: ast.AST) -> str:
        """Return the full path of an expression, as in "decimal.getcontext().prec"; empty if not imported."""
        if isinstance(node, ast.Name):
            return self.origin(node.id) or self.aliases.get(node.id, "")
        if isinstance(node, ast.Attribute):
            owner = self.path(node.value)
            return _usual(f"{owner}.{node.attr}") if owner else ""
        if isinstance(node, ast.Call):
            function = self.path(node.func)
            first = _text(node.args[0]) if node.args and function == "logging.getLogger" else ""
            return f"{function}({first})" if function else ""
        return ""

    def names(self, node: ast.AST) -> frozenset[str]:
        """Return the names in a statement or a definition."""
        if node not in self._names:
            self._names[node] = frozenset(names_of_node(node))
        return self._names[node]

    def reached(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield a statement, and the definitions of the notebook that it may use, each once."""
        pending, seen = [node], set[str]()
        while pending:
            one = pending.pop(0)
            yield one
            for name in sorted((self.names(one) & self.functions.keys()) - seen):
                seen.add(name)
                pending.append(self.functions[name])

    def setters_in(self, definition: ast.AST) -> list[Setter]:
        """Return what a definition itself sets when it is used, without the definitions that it uses."""
        if definition not in self._setters:
            finder = _Finder(self)
            for body in _bodies(definition):
                finder.visit(body)
            self._setters[definition] = finder.found
        return self._setters[definition]


def _usual(path: str) -> str:
    for prefix in NAMES_OF_PYPLOT:
        if path.startswith(prefix):
            path = PYPLOT + path[len(prefix) :]
    for part in ("rcParams", "style"):
        if path == PYPLOT + part or path.startswith(f"{PYPLOT}{part}."):
            path = "matplotlib." + path[len(PYPLOT) :]
    return path


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Name) and node.id == "__name__":
        return "__main__"
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def names_of_node(node: ast.AST) -> set[str]:
    """Return the names in code."""
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}


def is_definition(node: ast.AST) -> bool:
    """Whether a statement only defines names: an import, a `def`, a `class`, a constant."""
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        return isinstance(node.value, (ast.Constant, ast.Lambda))
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, (ast.Import, ast.ImportFrom, ast.Pass, *DEFINITIONS))


def find_setters(statement: ast.stmt, notebook: NotebookContext) -> list[Setter]:
    """Return the places where a statement, or a function of the notebook that it calls, sets state."""
    finder = _Finder(notebook)
    finder.visit(statement)
    found = finder.found
    if isinstance(statement, DEFINITIONS):
        return found
    for function in list(notebook.reached(statement))[1:]:
        given = notebook.names(statement)
        found += [
            replace(s, line=statement.lineno, depends=s.depends | (given if s.depends else frozenset()))
            for s in notebook.setters_in(function)
        ]
    return found


def _bodies(definition: ast.AST) -> Iterator[ast.AST]:
    """Yield what may run when a definition of the notebook is used; all methods of a class."""
    if isinstance(definition, ast.Lambda):
        yield definition.body
    for child in definition.body if isinstance(definition, DEFINITIONS) else ():
        if isinstance(definition, ast.ClassDef) and isinstance(child, DEFINITIONS):
            yield from _bodies(child)
        else:
            yield child


def open_figure(statements: Iterable[ast.stmt], notebook: NotebookContext) -> Setter | None:
    """Return the place where a cell draws on a figure of pyplot that it does not close."""
    last: tuple[str, ast.Call, ast.stmt] | None = None
    for statement in statements:
        for verb, call in verbs_of_pyplot(statement, notebook):
            last = verb, call, statement
    if last is None or last[0] in CLOSES:
        return None
    return Setter("pyplot", (), last[2].lineno, ast.dump(last[1]))


def verbs_of_pyplot(statement: ast.stmt, notebook: NotebookContext) -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls of pyplot functions that use the current figure, in order."""
    if isinstance(statement, DEFINITIONS):
        return
    for node in notebook.reached(statement):
        calls = [child for child in ast.walk(node) if isinstance(child, ast.Call)]
        for call in sorted(calls, key=lambda c: (c.end_lineno or 0, c.end_col_offset or 0)):
            path = notebook.path(call.func)
            verb = path.removeprefix(PYPLOT)
            if verb != path and "." not in verb and "(" not in verb and verb not in NEITHER:
                yield verb, call


class _Finder(ast.NodeVisitor):
    """Collects the places that set state in `found`."""

    def __init__(self, notebook: NotebookContext) -> None:
        self.notebook = notebook
        self.found: list[Setter] = []
        self._depends: list[frozenset[str]] = []
        self._restored: list[str] = []

    def _add(self, holder: str, node: ast.AST, keys: Iterable[str] = (), adds: bool = False) -> None:
        if holder in self._restored:
            return
        depends = frozenset[str]().union(*self._depends)
        line = getattr(node, "lineno", 0)
        self.found.append(Setter(holder, tuple(keys), line, ast.dump(node), depends, adds))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Skip the body, which runs only when the function is called."""
        for decorator in node.decorator_list:
            self.visit(decorator)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast's

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Skip the body, which runs only when the function is called."""

    def _branch(self, node: ast.If | ast.While | ast.IfExp) -> None:
        self._depends.append(frozenset(names_of_node(node.test)))
        self.generic_visit(node)
        self._depends.pop()

    visit_If = visit_While = visit_IfExp = _branch  # noqa: N815 - ast's

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        before = len(self._restored)
        for item in node.items:
            call = item.context_expr
            path = self.notebook.path(call.func) if isinstance(call, ast.Call) else ""
            self._restored += [RESTORED[path]] if path in RESTORED else []
        self.generic_visit(node)
        del self._restored[before:]

    visit_With = visit_AsyncWith = _with  # noqa: N815 - ast's

    def visit_Assign(self, node: ast.Assign) -> None:
        """Collect targets that are settings."""
        for target in node.targets:
            self._target(target, node)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign | ast.AnnAssign) -> None:
        """Collect a target that is a setting."""
        self._target(node.target, node)
        self.generic_visit(node)

    visit_AnnAssign = visit_AugAssign  # noqa: N815 - ast's

    def visit_Delete(self, node: ast.Delete) -> None:
        """Collect deleted settings."""
        for target in node.targets:
            self._target(target, node)

    def _target(self, target: ast.expr, node: ast.AST) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            for each in target.elts:
                self._target(each, node)
        elif isinstance(target, ast.Attribute):
            self._attribute(self.notebook.path(target.value), target.attr, node)
        elif isinstance(target, ast.Subscript):
            self._item(target.value, _text(target.slice), node)

    def _attribute(self, owner: str, name: str, node: ast.AST) -> None:
        """Collect an attribute of an imported object that is set."""
        path = _usual(f"{owner}.{name}")
        if owner.startswith("pandas.options"):
            self._add("pandas", node, [path.removeprefix("pandas.options.")])
        elif owner == "decimal.getcontext()":
            self._add("decimal", node, [name])
        elif owner.startswith("logging.getLogger(") and name in ("level", "disabled", "propagate"):
            self._logger(owner, name.replace("disabled", "propagate"), node)
        elif path == "sys.path":
            self._add("path", node)
        elif owner in CLASSES:
            self._add(f"class:{owner.partition('.')[0]}", node, [f"{owner.rpartition('.')[2]}.{name}"])
        elif owner and "(" not in owner:
            self._part(path, node)

    def _item(self, owner: ast.expr, key: str, node: ast.AST) -> None:
        path = self.notebook.path(owner)
        places = {"os.environ": "environment", "matplotlib.rcParams": "matplotlib", "sys.path": "path"}
        if path in places:
            self._add(places[path], node, [key] if key and path != "sys.path" else [])
        elif path and "(" not in path and "." in path:
            self._part(path, node)
        self._field(owner, node)

    def _part(self, path: str, node: ast.AST) -> None:
        """Collect a part of a module that is set, as "config.DEBUG"."""
        if is_known(path):
            self._add(f"attribute:{path.partition('.')[0]}", node, [path])
            return
        module = path.rpartition(".")[0]
        while "." in module and module not in sys.modules:
            module = module.rpartition(".")[0]
        self._add(f"module:{module}", node, [path[len(module) + 1 :]])

    def _field(self, owner: ast.expr, node: ast.AST) -> None:
        if isinstance(owner, ast.Attribute) and owner.attr in self.notebook.fields:
            kind = self.notebook.fields[owner.attr]
            self._add("default", node, [f"{kind}.{owner.attr}"])

    def _logger(self, owner: str, what: str, node: ast.AST) -> None:
        words = {"level": "level", "handlers": "handlers", "propagate": "propagation"}
        name = owner.removeprefix("logging.getLogger(").removesuffix(")") or "root"
        self._add("logging", node, [f"{words[what]} of logger {name!r}"])

    def visit_Call(self, node: ast.Call) -> None:
        """Collect what a call is known to set."""
        path = self.notebook.path(node.func)
        if is_of_shell(node):
            self._magic(node)
        elif path.startswith("tqdm.") and path.endswith(".pandas"):
            self._add("class:pandas", node, ["DataFrame.progress_apply", "Series.progress_apply"])
        elif path in ACCESSORS and node.args and _text(node.args[0]):
            self._add("class:pandas", node, [f"{ACCESSORS[path]}.{_text(node.args[0])}"])
        elif path.startswith("seaborn.set"):
            self._add("matplotlib", node)
        elif path in CALLS and not (path == "locale.setlocale" and len(node.args) < 2 and not node.keywords):
            holder, rule = CALLS[path]
            self._add(holder, node, _keys(node, rule))
        elif (found := variables_set_by(path))[1]:
            self._add(f"module:{found[0]}", node, found[1], adds=True)
        elif isinstance(node.func, ast.Attribute):
            self._method(node, node.func, path)
        elif isinstance(node.func, ast.Name) and node.func.id == "setattr" and len(node.args) > 1:
            self._attribute(self.notebook.path(node.args[0]), _text(node.args[1]), node)
        self.generic_visit(node)

    def _method(self, node: ast.Call, function: ast.Attribute, path: str) -> None:
        owner, method = path.rpartition(".")[0], function.attr
        loggers = {"setLevel": "level", "addHandler": "handlers", "removeHandler": "handlers"}
        if owner.startswith("logging.getLogger(") and method in loggers:
            self._logger(owner, loggers[method], node)
        elif owner == "sys.path" and method in CHANGING_METHODS:
            self._add("path", node)
        elif method == "register" and owner.startswith(("collections.abc.", "numbers.")):
            self._add("abc:library", node, [owner.rpartition(".")[2]])
        elif method == "register" and isinstance(function.value, ast.Name):
            if function.value.id in self.notebook.abstract:
                self._add("abc", node, [function.value.id])
        elif method in CHANGING_METHODS:
            self._field(function.value, node)
            # The effects of a library's methods on its own state are unknown.
            if "." in owner and "(" not in owner and not is_known(owner) and owner not in sys.modules:
                self._part(owner, node)

    def _magic(self, node: ast.Call) -> None:
        texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        if len(texts) < 2 or texts[0] not in MAGICS:
            return
        holder, line = MAGICS[texts[0]], texts[1]
        name, _, value = line.replace("=", " ").strip().partition(" ")
        if holder == "folder" or value:
            self._add(holder, node, [name] if holder == "environment" else [])


def _keys(node: ast.Call, rule: str) -> list[str]:
    """Return the keys that a call sets, from its arguments."""
    first = node.args[0] if node.args else None
    names = [keyword.arg for keyword in node.keywords if keyword.arg]
    if rule == "pairs":
        texts = [_text(argument) for argument in node.args[::2]]
        return texts if all(texts) else []
    if rule == "keywords":
        return names if not node.args and "all" not in names else []
    if rule == "names":
        texts = [_text(key) for key in first.keys if key] if isinstance(first, ast.Dict) else []
        return [*texts, *names] if all(texts) and (first is None or isinstance(first, ast.Dict)) else []
    return [_text(first)] if rule == "first" and first is not None and _text(first) else []
