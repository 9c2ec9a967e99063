"""The report of a step: one HTML page with the outputs that a notebook would show below the step's cells."""

from __future__ import annotations

import ast
import base64
import contextlib
import html
import io
import itertools
import os
import re
import sys
import time
import tokenize
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import Any

from kale_magics.step_runtime.display import Display, placeholder, print_text, shown_text
from kale_magics.step_runtime.figures import Figures
from kale_magics.step_runtime.random_generators import GENERATORS, generator_state, set_generator_state
from kale_magics.step_runtime.shell import Captured, Shell
from kale_magics.step_runtime.truncation import truncate

MAX_PRINTED = 100_000
"""Characters of a cell's printed text, and of an object's plain one."""

MAX_RICH = 10_000_000
"""Characters or bytes of an object's rich form."""

OMITTED_HTML = "<p>… (shortened)</p>"

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
"""Escape sequences that color a terminal, move its cursor, or create a link."""

FORMS = {
    "html": "text/html",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "markdown": "text/markdown",
    "latex": "text/latex",
}
"""The rich forms that a browser can show, best first, as in `_repr_html_`, and their MIME types."""

HEAD = """<!DOCTYPE html>
<meta charset="utf-8">
<style>
:root {color-scheme: light dark}
body {font: 14px system-ui, sans-serif; margin: 1em}
h2 {font-size: 1em; border-top: 1px solid #8888; padding-top: .5em}
pre {font: 13px ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; margin: .5em 0}
pre.stderr {background: #f003}
table {border-collapse: collapse}
th, td {padding: .2em .6em; text-align: right}
img {max-width: 100%}
</style>
"""


class Report(Figures):
    """Records the outputs of the cells of a step.

    Args:
        shell: The shell, which knows whether a cell captures its output.
        submodules: As in `Figures`.
    """

    def __init__(self, shell: Shell, submodules: Collection[str] = ()) -> None:
        super().__init__(Display(self.display), submodules=submodules)
        self.shell, self.began = shell, time.perf_counter()
        self.places: dict[str, tuple[str, str]] = {}
        self.cells: list[str] = []
        self.shown: list[tuple[str, str]] | None = None
        self.size, self.muted = 0, False

    def open(self) -> None:
        """Start to record outputs."""
        for name in ("stdout", "stderr"):
            # The stream object stays the same: logging handlers hold it, and its other methods still work.
            with contextlib.suppress(AttributeError):
                stream = getattr(sys, name)
                self.patch(stream, "write", self.recorder(stream.write, name))
        super().open()

    def recorder(self, write: Callable[[str], Any], kind: str) -> Callable[[str], Any]:
        """Return a stream's `write` that records the text too."""

        def record(text: str) -> Any:
            written = write(text)
            if not self.muted:
                self.add(kind, text)
            return written

        return record

    def add(self, kind: str, text: str) -> None:
        """Add printed text, or HTML, whose kind is ""."""
        if self.shown is not None and text:
            self.shown.append((kind, text))
            self.size += len(text) if kind else 0
            if self.size > 4 * MAX_PRINTED:
                self.shown, self.size = limit_printed(self.shown), MAX_PRINTED

    def display(self, text: str, value: Any, place: str) -> None:
        """Print an object to the log, and show it.

        Args:
            text: The text to print.
            value: The object.
            place: The name of the place where it is shown, which replaces what the page shows there.
        """
        before, self.muted = self.muted, True
        try:
            print_text(text)
        finally:
            self.muted = before
        if not place:
            self.show(value)
        elif self.shell.captured is None:
            known = place in self.places
            mark = (
                f"<!-- display {len(self.places)} of {id(self)} -->" if not known else self.places[place][0]
            )
            self.places[place] = mark, rendered(value)
            if not known:
                self.add("", mark)

    def show(self, value: Any) -> None:
        """Show an object, unless the cell captures it."""
        if self.shell.captured is None and self.shown is not None:
            self.add("", rendered(value))

    def show_figures(self) -> None:
        """Show the open figures and close them."""
        for number in self.pyplot.get_fignums():
            self.show(self.pyplot.figure(number))
        super().show_figures()

    def begin(self, label: str) -> None:
        """Begin a cell."""
        self.cells.append(f"<h2>{html.escape(label)}</h2>")
        self.shown, self.size = [], 0

    def end(self, value: Any) -> None:
        """End a cell."""
        try:
            if value is not None and not isinstance(value, Captured):
                self.show(value)
            super().end(value)
        except Exception as error:  # libraries may raise anything
            self.add("", preformatted(f"(figures cannot be shown: {type(error).__name__})"))
        self.cells += (
            part if not kind else preformatted(part, kind) for kind, part in limit_printed(self.shown or [])
        )
        self.shown = None

    def write(self, path: str, step: str) -> None:
        """Write the page."""
        facts = {
            "step": step,
            "seconds": f"{time.perf_counter() - self.began:.1f}",
            "Python": sys.version.split()[0],
        }
        rows = "".join(f"<tr><th>{key}<td>{html.escape(fact)}" for key, fact in facts.items())
        page = "\n".join(self.cells)
        for mark, form_of_value in self.places.values():
            page = page.replace(mark, form_of_value)
        title = f"<title>{html.escape(step)}</title>\n<table>{rows}</table>"
        try:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write("\n".join([HEAD + title, page, ""]))
        except OSError as error:
            print(f"step {step}: its report cannot be written: {error}", file=sys.stderr)


def compile_with_value(source: str, filename: str, flags: int) -> tuple[Any, ...]:
    """Compile a cell, and its last expression separately if IPython would show its value.

    Returns:
        Nothing if there is no such value: the cell ends in a statement or with `;`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the warnings were shown before
        tree = compile(source, filename, "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True)
        last = tree.body[-1] if tree.body else None
        if not isinstance(last, ast.Expr) or ends_with_semicolon(source):
            return ()
        if not isinstance(last.value, ast.Constant):  # a text may be the `__doc__` too
            tree.body.pop()
        parts = [(tree, "exec"), (ast.Expression(last.value), "eval")]
        return tuple(compile(part, filename, mode, flags, dont_inherit=True) for part, mode in parts)


def ends_with_semicolon(source: str) -> bool:
    """Whether a cell ends with `;`, comments aside."""
    with contextlib.suppress(SyntaxError, tokenize.TokenError):
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        return [t.string for t in tokens if t.string.strip() and t.type != tokenize.COMMENT][-1:] == [";"]
    return False


def limit_printed(shown: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Merge runs of printed text, and omit the middle if there is too much of it."""
    parts = list(merged_runs(shown))
    surplus = sum(len(text) for kind, text in parts if kind) - MAX_PRINTED
    if surplus <= 0:
        return parts
    kept: list[tuple[str, str]] = []
    place = 0
    for kind, text in parts:
        if kind:
            head = text[: max(0, MAX_PRINTED // 2 - place)]
            tail = text[max(len(head), MAX_PRINTED // 2 + surplus - place) :]
            is_cut = place <= MAX_PRINTED // 2 < place + len(text)
            kept += [(kind, head), ("", OMITTED_HTML), (kind, tail)] if is_cut else [(kind, head + tail)]
            place += len(text)
        elif text != OMITTED_HTML:
            kept.append((kind, text))
    return [part for part in kept if part[1]]


def merged_runs(shown: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Merge each run of text of one kind; of a line with carriage returns, its last state is kept."""
    for kind, run_of_parts in itertools.groupby(shown, key=lambda part: part[0]):
        if kind:
            lines = "".join(text for _, text in run_of_parts).split("\n")
            yield kind, "\n".join(map(visible_line, lines))
        else:
            yield from run_of_parts


def visible_line(line: str) -> str:
    """Return the visible text of a line in a terminal; carriage returns at its end are kept."""
    text = line.rstrip("\r")
    return text.rpartition("\r")[2] + line[len(text) :]


def rendered(value: Any) -> str:
    """Return an object as HTML, without changing the random generators."""
    try:
        states = {name: generator_state(name) for name in GENERATORS}
        try:
            return best_form(value)
        finally:
            for name, state in states.items():
                set_generator_state(name, state)
    except Exception:  # an object's methods may raise anything
        return preformatted(placeholder(value))


def best_form(value: Any) -> str:
    """Return the best form of an object."""
    bundle = call_repr(value, "mimebundle", include=None, exclude=None)
    for name, mime in FORMS.items():
        data = bundle.get(mime) if isinstance(bundle, dict) else None
        data = call_repr(value, name) if data is None else data
        if data is None and name == "png":
            data = figure_png(value)
        if not isinstance(data, (str, bytes)) or len(data) > MAX_RICH:
            continue
        if name in ("png", "jpeg"):
            text = base64.b64encode(data).decode() if isinstance(data, bytes) else html.escape(data)
            return f'<img src="data:{mime};base64,{text}">'
        if isinstance(data, str):
            return f"<div>{data}</div>" if name in ("html", "svg") else preformatted(data)
    return preformatted(truncate(shown_text(value), MAX_PRINTED))


def call_repr(value: Any, name: str, **options: Any) -> Any:
    """Call an object's `_repr_name_`; None if it has none, has any attribute, or raises."""
    try:
        if isinstance(value, type) or hasattr(value, "_ipython_canary_method_should_not_exist_"):
            return None
        data = getattr(value, f"_repr_{name}_")(**options)
    except Exception:  # a user's method may raise anything
        return None
    return data[0] if isinstance(data, tuple) else data  # metadata may follow


def figure_png(value: Any) -> bytes | None:
    """Return a figure of matplotlib as a PNG, as IPython does; None for other objects and empty figures."""
    figure = getattr(sys.modules.get("matplotlib.figure"), "Figure", ())
    if not isinstance(value, figure) or not (value.axes or value.lines):
        return None
    colors = {"facecolor": value.get_facecolor(), "edgecolor": value.get_edgecolor()}
    image = io.BytesIO()
    value.canvas.print_figure(image, format="png", dpi=value.dpi, bbox_inches="tight", **colors)
    return image.getvalue()


def preformatted(text: str, kind: str = "stdout") -> str:
    """Return text as HTML."""
    text = ANSI.sub("", text).replace("\r", "")
    # HTML drops the first newline.
    return f'<pre class="{kind}">\n{html.escape(text)}</pre>' if text else ""
