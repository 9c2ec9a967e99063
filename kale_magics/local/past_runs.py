"""The runs that were: read from their folders, in a new kernel too, and thrown away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from kale_magics.cache.entry import read_entry
from kale_magics.cache.store import CacheStore
from kale_magics.execution.run import Run, RunSource, SkipCause, TaskError, TaskRun
from kale_magics.execution.run_store import writing
from kale_magics.local.local_source import LocalSource
from kale_magics.model.task_id import TaskId
from kale_magics.step_runtime.unpatched import from_json

ALIVE = "alive"
"""The file in a run's folder that the process of a run holds locked as long as it lives."""


@contextlib.contextmanager
def going_on(folder: Path) -> Iterator[None]:
    """Show in this context that a run goes on; if the process dies, the system shows that it does not.

    Raises:
        KaleError: The file cannot be written.
    """
    with writing(folder):
        file = open(folder / ALIVE, "w", encoding="utf-8")  # noqa: SIM115 - closed below
    with file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            (folder / ALIVE).unlink(missing_ok=True)


def is_alive(folder: Path) -> bool:
    """Whether the process of a run still lives."""
    try:
        with open(folder / ALIVE, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def past_runs(runs_folder: Path) -> list[Run]:
    """The runs that a folder keeps, the newest first; what is no run, or damaged, is left out.

    Args:
        runs_folder: Where `engine.run_pipeline` has put them.
    """
    return list(_runs(runs_folder))


def _runs(runs_folder: Path) -> Iterator[Run]:
    folder = runs_folder / "runs"
    names = sorted((p.name for p in folder.iterdir()), reverse=True) if folder.is_dir() else []
    for name in names:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            yield read_run(folder / name)


def read_run(folder: Path) -> Run:
    """A run as its `run.json` tells; one that goes on without a process has been cancelled by its death.

    Raises:
        OSError: There is no such file.
        ValueError, KeyError, TypeError: It is damaged.
    """
    told = from_json((folder / "run.json").read_text(encoding="utf-8"))
    died = told["state"] == "running" and not is_alive(folder)
    source = LocalSource()
    tasks = [_read_task(folder, TaskId(name), task, died, source) for name, task in told["steps"].items()]
    run = Run(told["name"], folder, told["parameters"], tasks, source)
    run.state = "cancelled" if died else told["state"]
    run.started = datetime.fromisoformat(told["started"])
    run.ended = datetime.fromisoformat(told["ended"]) if told["ended"] else None
    run.seconds = told["seconds"]
    return run


def _read_task(folder: Path, task: TaskId, told: dict[str, Any], died: bool, source: RunSource) -> TaskRun:
    place = _within(folder, told["folder"])
    artifacts = {variable: _within(place, path) for variable, path in told["outputs"].items()}
    state = TaskRun(task, place, artifacts, source, told["state"], told["seconds"], told["metrics"])
    state.error = TaskError(**told["error"]) if told["error"] else None
    state.cached = told.get("cached", False)
    state.cause = SkipCause(**told["cause"]) if told.get("cause") else None
    if died and state.state in ("running", "waiting"):
        state.state = "cancelled"
    return state


def _within(folder: Path, path: str) -> Path:
    """A path in a folder.

    Raises:
        ValueError: It leads out of it.
    """
    place = folder / path
    if ".." in place.relative_to(folder).parts:
        raise ValueError(path)
    return place


def last_times(folder: Path) -> dict[str, float]:
    """How many seconds the steps of the latest run before a new one took; none if nobody knows.

    Args:
        folder: The folder of the new run.
    """
    earlier = sorted(p.name for p in folder.parent.iterdir() if p.name < folder.name)
    for name in earlier[-1:]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            steps = read_run(folder.parent / name).steps.values()
            return {step.name: seconds for step in steps if (seconds := _work_of(step)) is not None}
    return {}


def _work_of(step: TaskRun) -> float | None:
    """How long a step took when it was executed."""
    if not step.cached:
        return step.seconds
    entry = read_entry(step.folder)
    return entry.seconds if entry else None


def folder_size(folder: Path) -> int:
    """The bytes that the files of a folder take; one that several runs share counts once."""
    files = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    return sum({about.st_ino: about.st_size for about in map(os.lstat, files)}.values())


def clean(runs_folder: Path, keep: int | None, older_than: timedelta | None) -> tuple[list[Run], int]:
    """Throw runs away, and what the cache has of them alone; those that go on are kept.

    Args:
        runs_folder: Where they are.
        keep: How many of the newest are kept, whatever their age; None for none.
        older_than: The age from which on they go; None for any.

    Returns:
        The runs that are gone, and how many bytes that has freed.

    Raises:
        KaleError: A folder cannot be removed.
    """
    now = datetime.now(timezone.utc)
    going: Sequence[Run] = past_runs(runs_folder)[keep or 0 :]
    going = [run for run in going if older_than is None or now - run.started > older_than]
    going = [run for run in going if not is_alive(run.folder)]
    before = folder_size(runs_folder)
    with writing(runs_folder):
        for run in going:
            shutil.rmtree(run.folder)
    CacheStore(runs_folder).prune()
    return going, before - folder_size(runs_folder)
