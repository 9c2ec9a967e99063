"""The source of a run whose files are in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kale_magics.execution.run import Run, TaskRun

DAMAGED_LOG = "(the log is damaged: \ufffd stands for bytes that are not UTF-8)"


class FolderSource:
    """Reads the files of a run that has ended, or whose handle this process updates."""

    def update(self, run: Run, results: bool = False) -> None:
        """Do nothing: the handle is up to date."""

    def wait(self, run: Run, timeout: float | None) -> None:
        """Do nothing: the run has ended."""

    def cancel(self, run: Run) -> None:
        """Do nothing: the run has ended."""

    def log(self, task: TaskRun) -> str:
        """Return all that a task has printed so far."""
        file = task.folder / "log.txt"
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
            damaged = "\ufffd" in text and not _is_utf8(file)
        except FileNotFoundError:  # it has not started
            return ""
        except OSError as error:
            return f"(the log cannot be read: {error.strerror or error})\n"
        # In a running task, the last character of the log may be incomplete.
        return f"{text.rstrip()}\n{DAMAGED_LOG}\n" if damaged and task.state != "running" else text

    def fingerprints(self, task: TaskRun) -> Mapping[str, Any]:
        """Return the fingerprints of a task's variables; empty before its end."""
        try:
            result = json.loads((task.folder / "result.json").read_text(encoding="utf-8"))
            return dict(result["fingerprints"])
        except (OSError, ValueError, KeyError, TypeError):  # it has not ended, or the file is damaged
            return {}

    def artifact(self, run: Run, task: TaskRun, variable: str) -> Path:
        """Return the file of a variable, without verification."""
        del run
        return task.artifacts[variable]


def _is_utf8(file: Path) -> bool:
    """Whether a file is UTF-8, the encoding of logs."""
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True
