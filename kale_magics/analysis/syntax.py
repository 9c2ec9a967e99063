"""Convert IPython's syntax to Python, and reject what a pod does not support."""

from __future__ import annotations

import ast
import re
from typing import Any

from kale_magics.analysis.nesting import can_be_compiled
from kale_magics.analysis.python_cell import CellProblemError as CellProblemError
from kale_magics.analysis.python_cell import PythonCell as PythonCell
from kale_magics.analysis.shell_calls import BEGIN, DROPPED, END, SCRIPTS, Edit, edited, edits_of
from kale_magics.analysis.shell_calls import is_of_shell as is_of_shell
from kale_magics.model.diagnostics import Code

_CELL_MAGIC = re.compile(r"%%(!|\w+)[ \t]*(.*)")


def nested_too_deeply() -> CellProblemError:
    """Return the error for a cell that is nested too deeply for Python."""
    message = "Python cannot compile the cell: it is nested too deeply"
    return CellProblemError(
        Code.SYNTAX, message, "split its longest expression, or its longest elif chain", 1
    )


def to_python(source: str) -> PythonCell:
    """Convert a cell to Python.

    Args:
        source: The cell as typed; the line of its kale magic is empty.

    Raises:
        CellProblemError: It is not Python, or has a magic that works only in a notebook.
    """
    if not can_be_compiled(source):
        raise nested_too_deeply()
    try:
        tree = ast.parse(source)
    except SyntaxError:
        source = _without_line_magics(_without_cell_magic(source))
        tree = _parsed(source)
    except ValueError as error:  # a null byte
        raise CellProblemError(Code.SYNTAX, f"the cell is not Python: {error}", "remove it", 1) from error
    return _with_shell_calls(source, tree) if "get_ipython" in source else PythonCell(source, tree)


def _with_shell_calls(text: str, tree: ast.Module) -> PythonCell:
    """Return a cell with the calls replaced that a step's shell does not support."""
    packages: list[str] = []
    edits = [*edits_of(tree, packages, to_python), *_result_of_timed(text, tree)]
    if not edits:
        return PythonCell(text, tree, tuple(packages))
    # The replacements may contain calls too.
    inner = to_python(edited(text, edits))
    return PythonCell(inner.source, inner.tree, (*packages, *inner.packages))


def _result_of_timed(text: str, tree: ast.Module) -> list[Edit]:
    """Return edits that keep the last expression of a `%%time` cell the last one, whose value is shown."""
    *_, last, end = (None, None, *tree.body)
    if not (isinstance(end, ast.Expr) and isinstance(last, ast.Expr) and ast.unparse(end) == END):
        return []
    if ast.unparse(last).startswith((BEGIN, END[:-1])):
        return []
    source = ast.get_source_segment(text, last)
    between = text.split("\n")[last.end_lineno - 1 : end.lineno - 1] if last.end_lineno else [";"]
    if source is None or ";" in "\n".join(between):
        return []
    return [(last, f"get_ipython().end_time({source})"), (end, "")]


def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        message = f"the cell is not Python: {error.msg}"
        raise CellProblemError(
            Code.SYNTAX, message, "correct this line and run the cell again", error.lineno or 1
        ) from error


def _without_cell_magic(source: str) -> str:
    """Remove a cell magic below the kale magic, or replace it by a call."""
    lines = source.split("\n")
    first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    match = _CELL_MAGIC.match(lines[first]) if first < len(lines) else None
    if match is None:
        return source
    name, line = match[1], match[2]
    before, body = [""] * first, lines[first + 1 :]
    if name == "time":
        line = "" if line.startswith("-") else line
        begin = f"{BEGIN}; {line}" if line.strip() else BEGIN
        return "\n".join([*before, begin, _without_cell_magic("\n".join(body)), END])
    if name == "capture":
        flags = ", ".join(repr(word) for word in line.split() if word.startswith("-"))
        variable = "".join(f"{word} = " for word in _words(line)[:1])
        begin, end = f"get_ipython().begin_capture({flags})", f"{variable}get_ipython().end_capture()"
        return "\n".join([*before, begin, _without_cell_magic("\n".join(body)), end])
    if name == "timeit":
        call = f"get_ipython().run_cell_magic('timeit', {line!r}, {chr(10).join(body)!r})"
        return "\n".join([*before, call] + [""] * len(body))
    if name in DROPPED:
        return "\n".join([*before, "pass"] + [""] * len(body))
    if name not in SCRIPTS and name != "!":
        raise CellProblemError(
            Code.UNSUPPORTED_SYNTAX,
            f"%%{name} is not supported in a step",
            "mark the cell %%kale skip, or write it in Python",
            first + 1,
        )
    text = "\n".join(body)
    line, variables = _outputs(name, line, first + 1) if name in ("bash", "sh") else (line, "")
    call = f"{variables}get_ipython().run_cell_magic({name.replace('!', 'sx')!r}, {line!r}, {text!r})"
    return "\n".join([*before, call] + [""] * len(body))


def _outputs(name: str, line: str, number: int) -> tuple[str, str]:
    """Return the flags of a script, and the assignment to the variables of its output.

    Raises:
        CellProblemError: A flag works only in a notebook.
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
                f"%%{name} {word} is not supported in a step",
                "remove it, or write the cell in Python",
                number,
            )
        flags.append(word)
    names = [variables[flag] for flag in ("--out", "--err") if flag in variables]
    return " ".join(flags), f"[{', '.join(names)}] = " if names else ""


def _words(line: str) -> list[str]:
    return [word for word in line.split() if not word.startswith("-")]


def _without_line_magics(source: str) -> str:
    """Convert `%magic`, `!command` and `name?` to calls, with IPython's own transformer."""
    from IPython.core.inputtransformer2 import TransformerManager

    manager: Any = TransformerManager()  # type: ignore[no-untyped-call]  # IPython's
    text: str = "".join(manager.do_token_transforms((source + "\n").splitlines(keepends=True)))
    return text
