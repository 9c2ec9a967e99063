"""An IPython shell in this process, and what a user would see in it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

_DIAGNOSTICS = re.compile(r"^(?=KALE\d{3} )", re.MULTILINE)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def shows(text: str, code: str, *parts: str) -> bool:
    """Whether a text has a diagnostic of a code with all parts in its message, place or fix."""
    diagnostics = (each for each in _DIAGNOSTICS.split(text) if each.startswith(f"{code} "))
    return any(all(part in each for part in parts) for each in diagnostics)


@dataclass(frozen=True)
class Outcome:
    """What came of a cell."""

    success: bool
    result: Any
    printed: str
    error: BaseException | None


class Shell:
    """Runs cells and keeps what they print."""

    def __init__(self, shell: Any, read: Callable[[], str]) -> None:
        self.ipython = shell
        self._read = read

    @property
    def registry(self) -> Any:
        return self.ipython.magics_manager.registry["KaleMagics"].workspace.registry

    def run(self, cell: str, cell_id: str | None = None) -> Outcome:
        self._read()
        result = self.ipython.run_cell(cell, store_history=True, cell_id=cell_id)
        error = result.error_before_exec or result.error_in_exec
        return Outcome(result.success, result.result, _COLOURS.sub("", self._read()), error)

    def refusal(self, cell: str, cell_id: str | None = None) -> str:
        """Run a cell that must be refused; what is shown of that."""
        outcome = self.run(cell, cell_id)
        assert not outcome.success
        assert type(outcome.error).__name__ == "KaleError", outcome.printed
        assert "/kale_magics/" not in outcome.printed
        return outcome.printed.rstrip("\n")

    def completions(self, text: str) -> list[str]:
        """What the line may look like after the Tab key."""
        with provisionalcompleter():
            found = list(self.ipython.Completer.completions(text, len(text)))
        return [text[: completion.start] + completion.text for completion in found]


@contextmanager
def fresh_shell(read: Callable[[], str]) -> Iterator[Shell]:
    """A shell without a history on disk; it is the one that `get_ipython` gives.

    Environment variables that its cells set are unset in the end.
    """
    config = Config()
    config.HistoryManager.enabled = False
    with pytest.MonkeyPatch.context() as patch, mock.patch.dict(os.environ):
        patch.setitem(sys.modules, "__main__", sys.modules["__main__"])
        patch.setenv("JPY_SESSION_NAME", "")
        InteractiveShell.clear_instance()
        try:
            yield Shell(InteractiveShell.instance(config=config), read)
        finally:
            if pyplot := sys.modules.get("matplotlib.pyplot"):
                pyplot.uninstall_repl_displayhook()  # or it asks for the shell that it was imported in
            InteractiveShell.clear_instance()


def mentions(line: str, words: str) -> bool:
    """Whether a line of a diagnostic has some words, in their order: codes, names and values."""
    return re.search(".*".join(map(re.escape, words.split())), line) is not None
