"""The folder of a run as the source of its facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kale_magics.execution.run import Run, TaskRun

DAMAGED_LOG = "(the log is damaged: \ufffd stands for bytes that are not UTF-8)"


class FolderSource:
    """Reads what the tasks of a run wrote; the run has ended, or this process updates its state."""

    def update(self, run: Run, results: bool = False) -> None:
        """Nothing is newer than the handle."""

    def wait(self, run: Run, timeout: float | None) -> None:
        """There is nothing to wait for."""

    def cancel(self, run: Run) -> None:
        """There is nothing to end."""

    def log(self, task: TaskRun) -> str:
        """Return all that a task printed so far."""
        file = task.folder / "log.txt"
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
            damaged = "\ufffd" in text and not _is_utf8(file)
        except FileNotFoundError:  # it has not started
            return ""
        except OSError as error:
            return f"(the log cannot be read: {error.strerror or error})\n"
        # The end of a log that is being written may be cut.
        return f"{text.rstrip()}\n{DAMAGED_LOG}\n" if damaged and task.state != "running" else text

    def fingerprints(self, task: TaskRun) -> Mapping[str, Any]:
        """Return the fingerprints of a task's variables; none before its end."""
        try:
            result = json.loads((task.folder / "result.json").read_text(encoding="utf-8"))
            return dict(result["fingerprints"])
        except (OSError, ValueError, KeyError, TypeError):  # it has not ended, or the file is damaged
            return {}

    def artifact(self, run: Run, task: TaskRun, variable: str) -> Path:
        """Return the file of a variable, as it is."""
        del run
        return task.artifacts[variable]


def _is_utf8(file: Path) -> bool:
    """Whether a file is UTF-8, as everything is that a step's log gets."""
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True
