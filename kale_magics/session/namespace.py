"""The live kernel: the values of the notebook's names, and the cells that bound them."""

from __future__ import annotations

import builtins
import functools
import types
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from kale_magics.analysis.paths import MAX_PATH
from kale_magics.session.object_graph import ObjectGraph, object_graph_of
from kale_magics.session.objects import Facts, facts_of
from kale_magics.step_runtime.pickling import Definitions, find_unpicklable, type_name

BUILTINS = frozenset(dir(builtins)) | {"get_ipython", "display", "__name__", "__builtins__", "__doc__"}
"""Names that are defined in every step."""

MAX_PICKLED = 16 << 20
"""Bytes of a value, without arrays, that are pickled to test whether it can be serialized."""


class Session:
    """A live kernel.

    Args:
        shell: IPython's shell; None without a session.
        texts: The source of the cells in the notebook's file; empty if the file is unknown.
    """

    def __init__(self, shell: Any = None, texts: Sequence[str] = ()) -> None:
        self._texts = frozenset(text.strip() for text in texts)
        self._values: dict[str, Any] = shell.user_ns if shell is not None else {}
        self._hidden = frozenset(shell.user_ns_hidden) if shell is not None else frozenset()
        history = getattr(shell, "history_manager", None)
        self._inputs: list[str] = list(history.input_hist_raw) if history is not None else []
        self._binders: dict[str, int] | None = None
        self._facts: dict[str, Facts | None] = {}
        self._graphs: dict[str, ObjectGraph] = {}
        self._definitions: Definitions | None = None

    def has(self, name: str) -> bool:
        """Whether the user bound a name and it still has a value."""
        return name in self._values and name not in self._hidden

    def defines(self, name: str) -> bool:
        """Whether a name has a value, even one of IPython's own."""
        return name in self._values

    def facts(self, name: str) -> Facts | None:
        """Return facts about the value of a name; None if it has no value."""
        if name not in self._facts:
            self._facts[name] = facts_of(self._values[name]) if self.has(name) else None
        return self._facts[name]

    def path(self, name: str) -> str | None:
        """Return the value of a name if it is a path, or a string that may be one."""
        value = self._values.get(name)
        text = str(value) if issubclass(type(value), PurePath) else value
        return text if type(text) is str and 0 < len(text) <= MAX_PATH and "\0" not in text else None

    def shares(self, one: str, other: str, indexes: bool = True) -> bool | None:
        """Whether the values of two names share a mutable object, also if that is only an index of pandas.

        Returns:
            None if unknown.
        """
        if not (self.has(one) and self.has(other)):
            return None
        return self._graph_of(one).shares(self._graph_of(other), indexes)

    def _graph_of(self, name: str) -> ObjectGraph:
        if name not in self._graphs:
            self._graphs[name] = object_graph_of(self._values[name])
        return self._graphs[name]

    def unpicklable_part(self, name: str) -> tuple[str, str, str] | None:
        """Return the part of a value that cannot be pickled: its path, type and error; None if all can."""
        if not self.has(name):
            return None
        if self._definitions is None:
            self._definitions = known_definitions(self._values)
        found = find_unpicklable(self._values[name], name, self._values, self._definitions, limit=MAX_PICKLED)
        if found is None:
            return None
        path, culprit, error = found
        return path, type_name(culprit), f"{type(error).__name__}: {error}"

    def is_deleted(self, source: str) -> bool:
        """Whether a cell is missing in the notebook's file."""
        return bool(self._texts) and source.strip() not in self._texts

    def input(self, count: int) -> str:
        """Return the source of In [count]; empty if there is no such cell."""
        return self._inputs[count] if 0 < count < len(self._inputs) else ""

    def origin(self, name: str) -> tuple[str, str]:
        """Return the last cell that bound a name, as in "In [7]", and its source; both empty if none did."""
        count = self.bound_in(name)
        return (f"In [{count}]", self._inputs[count]) if count else ("", "")

    def bound_in(self, name: str) -> int:
        """Return the n of the last `In [n]` that bound a name; 0 if none did."""
        if self._binders is None:
            self._binders = {name: n for n, text in enumerate(self._inputs) for name in _bound_by(text)}
        return self._binders.get(name, 0)

    def kind_of_cell(self, name: str) -> str:
        """Return the kind that fits a cell that binds a name."""
        value = self._values.get(name)
        if issubclass(type(value), types.ModuleType):
            return "imports"
        if issubclass(type(value), (type, types.FunctionType)):
            return "functions" if value.__module__ == "__main__" else "imports"
        return "step NAME"


def known_definitions(values: dict[str, Any]) -> Definitions:
    """Return the notebook's own functions and classes, by the names that pickles use."""
    definitions = Definitions()
    for name, value in list(values.items()):
        if issubclass(type(value), (type, types.FunctionType)):
            definitions.add(name, value)
    return definitions


@functools.lru_cache(maxsize=4096)
def _bound_by(source: str) -> frozenset[str]:
    from kale_magics.analysis.scopes import bound_names
    from kale_magics.analysis.syntax import CellProblemError, to_python

    first, newline, rest = source.partition("\n")
    if "--no-run" in first and first.startswith("%"):
        return frozenset()
    try:
        return frozenset(
            bound_names(to_python(newline + rest if first.lstrip().startswith("%") else source).tree.body)[0]
        )
    except CellProblemError:
        return frozenset()
