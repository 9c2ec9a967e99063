"""The files of a run.

<runs folder>/runs/<id>/run.json            state, times, parameters and metrics
                       <step key>/program.py, arguments.json, log.txt, result.json or error.json,
                                  uses.jsonl, cache.json
                       <step key>/outputs/<artifact key>
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

from kale_magics.execution.run import Run
from kale_magics.model.diagnostics import Code, kale_error
from kale_magics.model.pipeline import Step
from kale_magics.model.task_id import TaskId
from kale_magics.step_runtime.unpatched import to_json

LOG, RESULT, ERROR = "log.txt", "result.json", "error.json"
USES = "uses.jsonl"
"""The file accesses that `cache.file_access` recorded."""


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Convert an `OSError` of writing to a `KaleError`.

    Raises:
        KaleError: A file could not be written; the message has the system's reason.
    """
    try:
        yield
    except OSError as error:
        message = f"the files of the run cannot be written to {folder}: {error.strerror or error}"
        fix = "free space there, or choose another folder: %config KaleMagics.runs_folder = 'FOLDER'"
        raise kale_error(Code.RUN_FOLDER, message, fix) from error


def create_run_folder(runs_folder: Path) -> Path:
    """Create the folder of a new run, which only this user can read.

    Args:
        runs_folder: The folder of all runs; if it does not exist, it is created and ignored by git.

    Returns:
        An absolute path. Its last part is the run's id, which sorts by time (UTC).

    Raises:
        KaleError: The folder cannot be created.
    """
    runs_folder = runs_folder.absolute()
    now = datetime.now(timezone.utc)
    run_id = f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}-{secrets.token_hex(2)}"
    folder = runs_folder / "runs" / run_id
    with writing(runs_folder):
        # An existing folder may have files of the user's, which git must not ignore.
        if not runs_folder.exists():
            runs_folder.mkdir(parents=True, exist_ok=True)
            (runs_folder / ".gitignore").write_text("*\n")
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir(mode=0o700)
    return folder


def task_folder(folder: Path, step: Step, task: TaskId) -> Path:
    """Return the folder of a task in the run's folder.

    Raises:
        ValueError: The step's key is not an identifier, so the path might be outside the run's folder.
    """
    if not (step.key.isascii() and step.key.isidentifier()):
        raise ValueError(f"invalid key of a step: {step.key!r}")
    return folder / task.folder(step.key)


def write_programs(folder: Path, programs: list[tuple[Step, str]]) -> None:
    """Create the folder of every step, with its program; all or none.

    Raises:
        KaleError: A file cannot be written.
    """
    try:
        with writing(folder):
            for step, program in programs:
                place = task_folder(folder, step, TaskId(step.name))
                (place / "outputs").mkdir(parents=True)
                (place / "program.py").write_text(program, encoding="utf-8")
    except BaseException:  # also after an interrupt, no part of a run is left
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, atomically."""
    write_text(path, to_json(value, indent=1))


def write_text(path: Path, text: str) -> None:
    """Write a text, atomically."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically: a reader finds the old file or the new one, never a part."""
    part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    part.write_bytes(content)
    os.replace(part, path)


def clear_attempt(folder: Path) -> None:
    """Delete the files of a failed attempt of a step, except its log."""
    for file in (folder / RESULT, folder / ERROR, *(folder / "outputs").iterdir()):
        file.unlink(missing_ok=True)


def open_log(path: Path, again: bool) -> TextIO:
    """Open the log of a step for writing; with `again`, for appending."""
    return open(path, "a" if again else "w", encoding="utf-8", errors="backslashreplace", newline="")


def record(run: Run) -> dict[str, Any]:
    """Return the content of `run.json`."""
    return {
        "id": run.id,
        "name": run.name,
        "state": run.state,
        "started": run.started.isoformat(),
        "ended": run.ended.isoformat() if run.ended else None,
        "seconds": run.seconds,
        "parameters": dict(run.parameters),
        "metrics": run.metrics,
        "steps": {
            name: {
                "folder": step.folder.name,
                "state": step.state,
                "seconds": step.seconds,
                "cached": step.cached,
                "metrics": step.metrics,
                "outputs": {
                    variable: str(path.relative_to(step.folder)) for variable, path in step.artifacts.items()
                },
                "error": asdict(step.error) if step.error else None,
                "cause": asdict(step.cause) if step.cause else None,
            }
            for name, step in run.steps.items()
        },
    }
