"""IPython's syntax as Python: what a step can do is its shell's, what means nothing in a pod is refused."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kale_magics.analysis.pip import NotInAPodError, installed
from kale_magics.diagnostics import Code
from kale_magics.step_runtime.shell import SILENT, Shell

_CELL_MAGIC = re.compile(r"%%(!|\w+)[ \t]*(.*)")

DROPPED = frozenset({"timeit", "prun", "memit", "mprun", "lprun"})
"""Magics that measure: what they run leaves nothing in the notebook."""

SCRIPTS = frozenset({"bash", "sh", "writefile", "file", "sx", "system"})
"""Cell magics that a step's shell knows."""

INSTALLERS = frozenset({"pip", "uv"})

LINE_MAGICS = SILENT | {"sx", "system", "sc", "time"} | DROPPED | INSTALLERS
LINE_MAGICS |= {name.removeprefix("_magic_") for name in vars(Shell) if name.startswith("_magic_")}


class CellProblemError(Exception):
    """Something in a cell that is refused; who knows the cell makes a diagnostic of it.

    Attributes:
        code: Which kind of thing.
        message: What is wrong, one sentence.
        fix: One way out, one sentence.
        line: In the cell, from 1.
    """

    def __init__(self, code: Code, message: str, fix: str, line: int) -> None:
        super().__init__(message)
        self.code, self.message, self.fix, self.line = code, message, fix, line


@dataclass(frozen=True)
class PythonCell:
    """A cell as a step runs it.

    Attributes:
        source: Python, with the lines where they are in the notebook.
        tree: Its syntax tree.
        packages: What it installs with pip.
    """

    source: str
    tree: ast.Module
    packages: tuple[str, ...] = ()


def to_python(source: str) -> PythonCell:
    """Turn a cell into Python.

    Args:
        source: The cell as typed; the line of its kale magic is empty.

    Raises:
        CellProblemError: It is not Python, or has a magic that means nothing outside a notebook.
    """
    try:
        return PythonCell(source, ast.parse(source))
    except SyntaxError:
        return _from_ipython(source)
    except ValueError as error:  # a null byte
        raise CellProblemError(Code.SYNTAX, f"the cell is not Python: {error}", "remove it", 1) from error


def _from_ipython(source: str) -> PythonCell:
    text = _without_line_magics(_without_cell_magic(source))
    tree = _parsed(text)
    packages: list[str] = []
    replaced = [
        (node, new) for node in _shell_calls(tree) if (new := _replacement(node, packages)) is not None
    ]
    if not replaced:
        return PythonCell(text, tree, tuple(packages))
    for node, new in sorted(replaced, key=lambda pair: -pair[0].col_offset):
        text = _replaced(text, node, new)
    # What stood behind %time may be of IPython's syntax again.
    inner = to_python(text)
    return PythonCell(inner.source, inner.tree, (*packages, *inner.packages))


def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        message = f"the cell is not Python: {error.msg}"
        raise CellProblemError(
            Code.SYNTAX, message, "mend this line and run the cell again", error.lineno or 1
        ) from error


def _without_cell_magic(source: str) -> str:
    """Take off a cell magic below the kale magic, or make a call of it."""
    lines = source.split("\n")
    first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    match = _CELL_MAGIC.match(lines[first]) if first < len(lines) else None
    if match is None:
        return source
    name, line = match[1], match[2]
    before, body = [""] * first, lines[first + 1 :]
    if name == "time":
        return _without_cell_magic("\n".join([*before, line, *body]))
    if name == "capture":
        flags = ", ".join(repr(word) for word in line.split() if word.startswith("-"))
        variable = "".join(f"{word} = " for word in _words(line)[:1])
        begin, end = f"get_ipython().begin_capture({flags})", f"{variable}get_ipython().end_capture()"
        return "\n".join([*before, begin, _without_cell_magic("\n".join(body)), end])
    if name in DROPPED:
        return "\n".join([*before, "pass"] + [""] * len(body))
    if name not in SCRIPTS and name != "!":
        raise CellProblemError(
            Code.UNSUPPORTED_SYNTAX,
            f"%%{name} means nothing outside a notebook",
            "mark the cell %%kale skip, or write it in Python",
            first + 1,
        )
    text = "\n".join(body)
    line, variables = _outputs(name, line, first + 1) if name in ("bash", "sh") else (line, "")
    call = f"{variables}get_ipython().run_cell_magic({name.replace('!', 'sx')!r}, {line!r}, {text!r})"
    return "\n".join([*before, call] + [""] * len(body))


def _outputs(name: str, line: str, number: int) -> tuple[str, str]:
    """The flags of a script, and the assignment to the variables that get what it prints.

    Raises:
        CellProblemError: It asks for what only a notebook can do.
    """
    words, flags, variables = (
        line.replace("--out=", "--out ").replace("--err=", "--err ").split(),
        [],
        dict[str, str](),
    )
    while words:
        word = words.pop(0)
        if word in ("--out", "--err") and words:
            variables[word] = words.pop(0)
        elif word in ("--bg", "--proc", "--out", "--err"):
            raise CellProblemError(
                Code.UNSUPPORTED_SYNTAX,
                f"%%{name} {word} means nothing outside a notebook",
                "take it away, or write the cell in Python",
                number,
            )
        flags.append(word)
    names = [variables[flag] for flag in ("--out", "--err") if flag in variables]
    return " ".join(flags), f"[{', '.join(names)}] = " if names else ""


def _words(line: str) -> list[str]:
    return [word for word in line.split() if not word.startswith("-")]


def _without_line_magics(source: str) -> str:
    """Let IPython turn `%magic`, `!command` and `name?` into calls."""
    from IPython.core.inputtransformer2 import TransformerManager

    manager: Any = TransformerManager()  # type: ignore[no-untyped-call]  # IPython's
    text: str = "".join(manager.do_token_transforms((source + "\n").splitlines(keepends=True)))
    return text


def _shell_calls(tree: ast.Module) -> Iterator[ast.Call]:
    """The calls that stand for IPython's syntax."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call) and is_of_shell(node))


def is_of_shell(call: ast.Call) -> bool:
    """Whether a call is of a method of IPython's shell: `get_ipython().method(...)`."""
    shell = call.func.value if isinstance(call.func, ast.Attribute) else None
    return isinstance(shell, ast.Call) and isinstance(shell.func, ast.Name) and shell.func.id == "get_ipython"


def _replacement(node: ast.Call, packages: list[str]) -> str | None:
    """What stands for a call of the shell in a step; None if the step's shell does it.

    Raises:
        CellProblemError: It means nothing in a pod.
    """
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    if len(texts) != len(node.args):
        return None
    if method in ("system", "getoutput"):
        found = _installed(texts[0], node) if method == "system" else None
        if found is None:
            return None
        packages += found
        return "None"
    if method != "run_line_magic":
        return None
    name, line = texts
    if name in INSTALLERS:
        packages += _installed(f"{name} {line}", node) or []
        return "None"
    if name == "time":
        return line.strip() or "None"
    if name in DROPPED and re.search(r"(^|\s)-\w*o\b", line.partition("--")[0]) is None:
        return "None"
    if name not in LINE_MAGICS or name in DROPPED:
        what = f"what %{name} -o gives" if name in DROPPED else f"%{name}"
        raise CellProblemError(
            Code.UNSUPPORTED_SYNTAX,
            f"{what} means nothing outside a notebook",
            "move the line into a cell that is marked %%kale skip, or write it in Python",
            node.lineno,
        )
    return None


def _installed(command: str, node: ast.Call) -> list[str] | None:
    """What a command installs with pip; None if it is another command.

    Raises:
        CellProblemError: That cannot be had in a pod.
    """
    try:
        return installed(command)
    except NotInAPodError as error:
        raise CellProblemError(
            Code.UNSUPPORTED_SYNTAX,
            f"{error} cannot be said to pip in a pod",
            "leave it out, or move the line into a %%kale skip cell, and name what steps need: --packages",
            node.lineno,
        ) from error


def _replaced(text: str, node: ast.Call, new: str) -> str:
    """The text with other code in the place of a call that stands in one line."""
    lines = text.split("\n")
    line = lines[node.lineno - 1].encode()
    before, after = line[: node.col_offset].decode(), line[node.end_col_offset :].decode()
    if before.strip() and not before.rstrip().endswith((";", ":")):
        new = f"({new})"
    lines[node.lineno - 1] = before + new + after
    return "\n".join(lines)
