"""Calls of IPython's shell in a cell, whether typed or generated from `%magic` and `!command`.

Calls that a step's shell supports stay unchanged, others become Python where possible, the rest is rejected.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from kale_magics.analysis.pip import PodUnsupportedError, installed
from kale_magics.analysis.python_cell import CellProblemError, PythonCell
from kale_magics.analysis.scripts import script_call
from kale_magics.model.diagnostics import Code
from kale_magics.step_runtime.shell import NO_EFFECT, Shell
from kale_magics.step_runtime.timing import timeit_options

DROPPED = frozenset({"prun", "memit", "mprun", "lprun"})
"""Magics that measure: the code that they run changes nothing in the notebook."""

SCRIPTS = frozenset({"bash", "sh", "writefile", "file", "sx", "system"})
"""Cell magics that a step's shell supports."""

INSTALLERS = frozenset({"pip", "uv"})

LINE_MAGICS = NO_EFFECT | {"sx", "system", "sc"} | DROPPED | INSTALLERS
LINE_MAGICS |= {name.removeprefix("_magic_") for name in vars(Shell) if name.startswith("_magic_")}

KNOWN = frozenset(name for name in dir(Shell(dict[str, object]())) if not name.startswith("_"))
"""The methods of a step's shell."""

CODE = {"run_cell": "exec", "ex": "exec", "ev": "eval"}
"""Methods that execute a string, and the equivalent builtin."""

BEGIN, END = "get_ipython().begin_time()", "get_ipython().end_time()"

_COMPOUND = (
    ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try, ast.FunctionDef,
    ast.AsyncFunctionDef, ast.ClassDef, ast.Match,
)  # fmt: skip

Convert = Callable[[str], PythonCell]
Edit = tuple[ast.expr | ast.stmt, str]
"""A node and the code that replaces it."""


def is_of_shell(call: ast.Call) -> bool:
    """Whether a call is of a method of IPython's shell: `get_ipython().method(...)`."""
    return isinstance(call.func, ast.Attribute) and _is_shell(call.func.value)


def _is_shell(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "get_ipython"


def edits_of(tree: ast.Module, packages: list[str], convert: Convert) -> Iterator[Edit]:
    """Yield the replacements of calls of the shell; none for calls that a step's shell supports.

    Args:
        tree: A cell.
        packages: Filled with the requirements that the cell installs with pip.
        convert: Converts IPython's syntax to Python.

    Raises:
        CellProblemError: A call is not supported in a pod.
    """
    yield from _aliases(tree)
    tried = {id(n) for t in ast.walk(tree) if isinstance(t, ast.Try) for s in t.body for n in ast.walk(s)}
    statements = {
        id(v): s for s in ast.walk(tree) if isinstance(s, ast.stmt) and (v := _value_of(s)) is not None
    }
    called = set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and is_of_shell(node):
            called.add(id(node.func))
            edit = _Replacement(node, statements.get(id(node)), packages, convert).edit()
            if edit is not None:
                yield edit
        if isinstance(node, ast.Attribute) and _is_shell(node.value):
            if node.attr == "user_ns":
                yield node, "globals()"
            elif node.attr not in KNOWN | CODE.keys() | {"magic"} and id(node) not in tried:
                raise _unsupported(f"get_ipython().{node.attr}", node)


def _value_of(statement: ast.stmt) -> ast.expr | None:
    """Return the value of an expression statement or an assignment."""
    return statement.value if isinstance(statement, (ast.Expr, ast.Assign)) else None


def _aliases(tree: ast.Module) -> Iterator[Edit]:
    """Yield replacements of aliases of the shell, as in `ip = get_ipython()`, by the call."""
    stores = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    shells = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _is_shell(node.value)
        for target in node.targets
        if isinstance(target, ast.Name) and stores.count(target.id) == 1
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in shells:
            yield node.value, "get_ipython()"


class _Replacement:
    """The replacement of one call of the shell."""

    def __init__(
        self, node: ast.Call, statement: ast.stmt | None, packages: list[str], convert: Convert
    ) -> None:
        self.node, self.statement, self.packages, self.convert = node, statement, packages, convert
        texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        self.texts = texts if len(texts) == len(node.args) else None

    def edit(self) -> Edit | None:
        """Return the node and its replacement, or None.

        Raises:
            CellProblemError: The call is not supported in a pod.
        """
        method = self.node.func.attr if isinstance(self.node.func, ast.Attribute) else ""
        if method in CODE:
            return self.executed(CODE[method])
        if method == "magic":
            name, _, line = (self.literal(1, "magic")[0] + " ").partition(" ")
            return self.line_magic(name.lstrip("%"), line.strip())
        if method == "run_line_magic":
            if self.texts is None or len(self.texts) < 2:
                return self.computed()
            return self.line_magic(self.texts[0], self.texts[1])
        if method == "run_cell_magic":
            return self.cell_magic(*self.literal(3, method)[:3])
        if method == "system" and self.texts:
            found = self.pip(self.texts[0])
            self.packages += found or []
            return None if found is None else (self.node, "None")
        return None

    def literal(self, count: int, method: str) -> list[str]:
        """Return the arguments, which must be string literals."""
        if self.texts is None or len(self.texts) < count:
            raise _unsupported(f"get_ipython().{method}() with a computed argument", self.node)
        return self.texts

    def computed(self) -> Edit | None:
        """Return None for a line magic with a computed line, if a step's shell supports the magic."""
        first = self.node.args[0] if self.node.args else None
        name = str(first.value) if isinstance(first, ast.Constant) else ""
        if name not in LINE_MAGICS - DROPPED - INSTALLERS:
            raise _unsupported(f"%{name or 'magic'} with a computed argument", self.node)
        return None

    def executed(self, function: str) -> Edit:
        """Return the replacement of a call that executes or evaluates a string."""
        if function == "exec" and not isinstance(self.statement, ast.Expr):
            raise _unsupported("the result of get_ipython().run_cell()", self.node)
        if self.texts:
            text = self.texts[0] if function == "eval" else self.inner(self.texts[0]).source
            return self.node, f"{function}({text!r})"
        if not self.node.args:
            raise _unsupported("get_ipython().run_cell() without code", self.node)
        return self.node, f"{function}({ast.unparse(self.node.args[0])})"

    def inner(self, text: str) -> PythonCell:
        """Return code in a string as Python; its errors get the line of the call."""
        try:
            cell = self.convert(text)
        except CellProblemError as problem:
            problem.line = self.node.lineno
            raise
        self.packages += cell.packages
        return cell

    def line_magic(self, name: str, line: str) -> Edit | None:
        """Return the replacement of `%name line`."""
        if name in INSTALLERS:
            self.packages += self.pip(f"{name} {line}") or []
            return self.node, "None"
        if name == "time":
            return self.timed(line)
        if name == "timeit":
            options, statement = timeit_options(line)
            return self.measured(options, "", statement)
        if name == "run":
            return self.node, script_call(line, self.node.lineno)
        if name in DROPPED and re.search(r"(^|\s)-\w*o\b", line.partition("--")[0]) is None:
            return self.node, "None"
        if name not in LINE_MAGICS or name in DROPPED:
            raise _unsupported(f"the result of %{name} -o" if name in DROPPED else f"%{name}", self.node)
        return None

    def cell_magic(self, name: str, line: str, cell: str) -> Edit | None:
        """Return the replacement of `%%name line` that is typed as a call."""
        if name in SCRIPTS:
            return None
        if name == "timeit":
            options, setup = timeit_options(line)
            return self.measured(options, setup, cell)
        if name == "time" and "\n" not in cell.strip():
            return self.timed(cell)
        raise _unsupported(f"get_ipython().run_cell_magic({name!r}, ...)", self.node)

    def measured(self, options: dict[str, str], setup: str, statement: str) -> Edit:
        """Return the call that measures a statement as `%timeit` does."""
        variable = options.pop("v", "")
        options |= {"o": ""} if variable else {}
        words = " ".join(f"-{name} {value}".strip() for name, value in options.items())
        texts = (words, self.inner(setup).source, self.inner(statement).source.strip("\n"))
        call = f"get_ipython().timeit({', '.join(map(repr, texts))})"
        return self.node, f"{variable} = {call}" if variable and isinstance(
            self.statement, ast.Expr
        ) else call

    def timed(self, text: str) -> Edit:
        """Return a statement between the calls that measure its time."""
        cell = self.inner(text.strip())
        body = cell.tree.body
        value = body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None
        pieces = [value] if value is not None else body
        source = "; ".join(ast.get_source_segment(cell.source, piece) or "" for piece in pieces)
        if isinstance(self.statement, ast.Assign) and value is not None:
            targets = " = ".join(map(ast.unparse, self.statement.targets))
            return self.statement, f"{BEGIN}; {targets} = ({source}); {END}"
        if not isinstance(self.statement, ast.Expr):
            raise _unsupported("%time within an expression", self.node)
        if value is not None:
            return self.statement, f"{BEGIN}; get_ipython().end_time({source})"
        if any(isinstance(statement, _COMPOUND) for statement in body):
            indent = "\n" + " " * self.statement.col_offset
            return self.statement, f"{BEGIN}{indent}{source}{indent}{END}"
        return self.statement, "; ".join(filter(None, [BEGIN, source, END]))

    def pip(self, command: str) -> list[str] | None:
        """Return what a command installs with pip; None if it is another command.

        Raises:
            CellProblemError: Its arguments are not supported in a pod.
        """
        try:
            return installed(command)
        except PodUnsupportedError as error:
            raise CellProblemError(
                Code.UNSUPPORTED_SYNTAX,
                f"{error} is not supported in a pod",
                "remove it, or move the line to a %%kale skip cell and list what steps need with --packages",
                self.node.lineno,
            ) from error


def _unsupported(what: str, node: ast.expr) -> CellProblemError:
    return CellProblemError(
        Code.UNSUPPORTED_SYNTAX,
        f"{what} is not supported in a step",
        "move the line to a %%kale skip cell, or write it in Python",
        node.lineno,
    )


def edited(text: str, edits: list[Edit]) -> str:
    """Return source code with its nodes replaced; of nested nodes the outermost."""
    lines = text.split("\n")
    chosen: list[Edit] = []
    for node, new in sorted(edits, key=lambda edit: (_start(edit[0]), [-place for place in _end(edit[0])])):
        if not chosen or _start(node) >= _end(chosen[-1][0]):
            chosen.append((node, new))
    for node, new in reversed(chosen):
        _edit(lines, node, new)
    return "\n".join(lines)


def _start(node: ast.expr | ast.stmt) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.expr | ast.stmt) -> tuple[int, int]:
    return node.end_lineno or 0, node.end_col_offset or 0


def _edit(lines: list[str], node: ast.expr | ast.stmt, new: str) -> None:
    """Replace a node by code; the lines below it keep their numbers."""
    first, end = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    before = lines[first].encode()[: node.col_offset].decode()
    after = lines[end].encode()[node.end_col_offset :].decode()
    alone = isinstance(node, ast.stmt) or not before.strip() or before.rstrip().endswith((";", ":"))
    name = re.fullmatch(r"[\w.]+\(\)", new)
    lines[first : end + 1] = [before + (new if alone or name else f"({new})") + after, *[""] * (end - first)]
