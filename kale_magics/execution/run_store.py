"""Where a run keeps its files, and what is said when that cannot be written.

<runs folder>/runs/<id>/run.json            state, times, parameters and metrics, for people and for later
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
from kale_magics.model.diagnostics import Code, refuse
from kale_magics.model.pipeline import Step
from kale_magics.model.task_id import TaskId
from kale_magics.step_runtime.unpatched import to_json

LOG, RESULT, ERROR = "log.txt", "result.json", "error.json"
USES = "uses.jsonl"
"""What `cache.file_access` has recorded."""


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say it plainly when a file of the run cannot be written.

    Raises:
        KaleError: The system refused; its reason is in the message.
    """
    try:
        yield
    except OSError as error:
        message = f"the files of the run cannot be written to {folder}: {error.strerror or error}"
        fix = "make room there, or choose another folder: %config KaleMagics.runs_folder = 'FOLDER'"
        raise refuse(Code.RUN_FOLDER, message, fix) from error


def create_run_folder(runs_folder: Path) -> Path:
    """Make the folder of a new run, which only this user can read.

    Args:
        runs_folder: Where runs are kept; made, and hidden from git, if it is not there.

    Returns:
        An absolute path. The last part sorts by time (UTC) and is the run's id.

    Raises:
        KaleError: It cannot be made.
    """
    runs_folder = runs_folder.absolute()
    now = datetime.now(timezone.utc)
    run_id = f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}-{secrets.token_hex(2)}"
    folder = runs_folder / "runs" / run_id
    with writing(runs_folder):
        # A folder that was there may hold the user's own files, which git must go on seeing.
        if not runs_folder.exists():
            runs_folder.mkdir(parents=True, exist_ok=True)
            (runs_folder / ".gitignore").write_text("*\n")
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir(mode=0o700)
    return folder


def task_folder(folder: Path, step: Step, task: TaskId) -> Path:
    """Return the folder of a task in the run's folder.

    Raises:
        ValueError: The step's key is no plain identifier, so it might lead elsewhere.
    """
    if not (step.key.isascii() and step.key.isidentifier()):
        raise ValueError(f"no key for a step: {step.key!r}")
    return folder / task.folder(step.key)


def write_programs(folder: Path, programs: list[tuple[Step, str]]) -> None:
    """Make every step's folder, with the program in it; all of them or none.

    Raises:
        KaleError: They cannot be written.
    """
    try:
        with writing(folder):
            for step, program in programs:
                place = task_folder(folder, step, TaskId(step.name))
                (place / "outputs").mkdir(parents=True)
                (place / "program.py").write_text(program, encoding="utf-8")
    except BaseException:  # an interrupt too leaves no part of a run
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader finds the old file or the new one, never a part."""
    write_text(path, to_json(value, indent=1))


def write_text(path: Path, text: str) -> None:
    """Write a text so that a reader finds the old file or the new one, never a part."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes so that a reader finds the old file or the new one, never a part."""
    part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    part.write_bytes(content)
    os.replace(part, path)


def clear_attempt(folder: Path) -> None:
    """Take away what a failed attempt of a step has left, but for its log."""
    for file in (folder / RESULT, folder / ERROR, *(folder / "outputs").iterdir()):
        file.unlink(missing_ok=True)


def open_log(path: Path, again: bool) -> TextIO:
    """A file for the lines of a step, whatever is in them; `again` for one that goes on."""
    return open(path, "a" if again else "w", encoding="utf-8", errors="backslashreplace", newline="")


def record(run: Run) -> dict[str, Any]:
    """What `run.json` says."""
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
