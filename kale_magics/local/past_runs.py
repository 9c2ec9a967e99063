"""Reads past runs from their folders, and deletes them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from kale_magics.cache.entry import read_entry
from kale_magics.cache.store import CacheStore
from kale_magics.execution.run import Run, RunSource, SkipCause, StillRunningError, TaskError, TaskRun
from kale_magics.execution.run_store import writing
from kale_magics.local.local_source import LocalSource
from kale_magics.model.diagnostics import Code, Where, kale_error
from kale_magics.model.task_id import TaskId
from kale_magics.step_runtime.unpatched import from_json

ALIVE = "alive"
"""The file in a run's folder that the run's process locks as long as it runs."""

POLL_INTERVAL = 0.2
"""Seconds between two looks at a run of another session."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Mark a run as running in this context, by a lock that the system releases if the process dies.

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
    """Whether the process of a run is running."""
    try:
        with open(folder / ALIVE, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def past_runs(runs_folder: Path) -> list[Run]:
    """Return the stored runs, the newest first; damaged ones are left out.

    Args:
        runs_folder: The folder of runs.
    """
    return list(_runs(runs_folder))


def stored_run(runs_folder: Path, run_id: str = "", where: Where | None = None) -> Run:
    """Return a stored run.

    Args:
        runs_folder: The folder of runs.
        run_id: The run's id; empty for the newest run.
        where: The line that asks for it, for errors.

    Raises:
        KaleError: There is no such run.
    """
    known = {run.id: run for run in past_runs(runs_folder)}
    if run_id in known:
        return known[run_id]
    if known and not run_id:
        return next(iter(known.values()))
    message = f"there is no run {run_id}" if run_id else "there is no stored run"
    fix = "use a run that %kale_runs lists" if known else "start a run: %kale_run"
    raise kale_error(Code.NO_SUCH_OUTPUT, message, fix, where)


def _runs(runs_folder: Path) -> Iterator[Run]:
    folder = runs_folder / "runs"
    names = sorted((p.name for p in folder.iterdir()), reverse=True) if folder.is_dir() else []
    for name in names:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            yield read_run(folder / name)


def read_run(folder: Path) -> Run:
    """Read a run from its `run.json`; one that was running when its process died is cancelled.

    Raises:
        OSError: There is no such file.
        ValueError, KeyError, TypeError: The file is damaged.
    """
    content = from_json((folder / "run.json").read_text(encoding="utf-8"))
    died = content["state"] == "running" and not is_alive(folder)
    source = StoredSource()
    tasks = [_read_task(folder, TaskId(name), task, died, source) for name, task in content["steps"].items()]
    run = Run(content["name"], folder, content["parameters"], tasks, source)
    run.state = "cancelled" if died else content["state"]
    run.started = datetime.fromisoformat(content["started"])
    run.ended = datetime.fromisoformat(content["ended"]) if content["ended"] else None
    run.seconds = content["seconds"]
    return run


class StoredSource(LocalSource):
    """The source of a stored run, which another session may be running."""

    def update(self, run: Run, results: bool = False) -> None:
        """Read the run again as long as it is running."""
        del results
        if run.known_state != "running":
            return
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # it is gone
            now = read_run(run.folder)
            run.state, run.ended, run.seconds = now.known_state, now.ended, now.seconds
            for task, state in now.known_tasks.items():
                vars(run.known_tasks[task]).update({**vars(state), "source": self})

    def wait(self, run: Run, timeout: float | None) -> None:
        """Wait until the run has ended; see `Run.wait`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while run.state == "running":
            if deadline is not None and time.monotonic() > deadline:
                raise StillRunningError(run.id, timeout)
            time.sleep(POLL_INTERVAL)

    def cancel(self, run: Run) -> None:
        """Reject the request while the run is running: its handle is where it was started.

        Raises:
            KaleError: The run is running.
        """
        if run.state == "running":
            message = f"run {run.id} can be cancelled only by the handle that %kale_run returned"
            fix = "cancel it in the session that started it: kale_magics.last_run().cancel()"
            raise kale_error(Code.BAD_ARGUMENTS, message, fix)


def _read_task(folder: Path, task: TaskId, content: dict[str, Any], died: bool, source: RunSource) -> TaskRun:
    own = _within(folder, content["folder"])
    artifacts = {variable: _within(own, path) for variable, path in content["outputs"].items()}
    state = TaskRun(task, own, artifacts, source, content["state"], content["seconds"], content["metrics"])
    state.error = TaskError(**content["error"]) if content["error"] else None
    state.cached = content.get("cached", False)
    state.cause = SkipCause(**content["cause"]) if content.get("cause") else None
    if died and state.state in ("running", "waiting"):
        state.state = "cancelled"
    return state


def _within(folder: Path, path: str) -> Path:
    """Return a path in a folder.

    Raises:
        ValueError: The path leads out of the folder.
    """
    place = folder / path
    if ".." in place.relative_to(folder).parts:
        raise ValueError(path)
    return place


def last_times(folder: Path) -> dict[str, float]:
    """Return how many seconds the steps took in the run before a new one; empty without a run before.

    Args:
        folder: The folder of the new run.
    """
    earlier = sorted(p.name for p in folder.parent.iterdir() if p.name < folder.name)
    for name in earlier[-1:]:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            steps = read_run(folder.parent / name).steps.values()
            return {step.name: seconds for step in steps if (seconds := _execution_time(step)) is not None}
    return {}


def _execution_time(step: TaskRun) -> float | None:
    """Return how many seconds a step took when it was executed, also for a cached one."""
    if not step.cached:
        return step.seconds
    entry = read_entry(step.folder)
    return entry.seconds if entry else None


def folder_size(folder: Path) -> int:
    """Return the bytes of the files below a folder; a file that several runs share counts once."""
    files = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    return sum({about.st_ino: about.st_size for about in map(os.lstat, files)}.values())


def clean(runs_folder: Path, keep: int | None, older_than: timedelta | None) -> tuple[list[Path], int]:
    """Delete runs that are not running, and the cache entries that only they have.

    Args:
        runs_folder: The folder of runs.
        keep: How many of the newest to keep, whatever their age; None for none.
        older_than: The age above which runs are deleted; None for any.

    Returns:
        The folders of the deleted runs, damaged ones too, and how many bytes this has freed.

    Raises:
        KaleError: A folder cannot be deleted.
    """
    now = datetime.now(timezone.utc)
    deleted: Sequence[Run] = past_runs(runs_folder)[keep or 0 :]
    deleted = [run for run in deleted if older_than is None or now - run.started > older_than]
    deleted = [run for run in deleted if not is_alive(run.folder)]
    oldest = 0.0 if older_than is None else older_than.total_seconds()
    folders = [run.folder for run in deleted]
    folders += [f for f in damaged_runs(runs_folder) if now.timestamp() - f.stat().st_mtime >= oldest]
    before = folder_size(runs_folder)
    with writing(runs_folder):
        for folder in folders:
            shutil.rmtree(folder)
    CacheStore(runs_folder).prune()
    return folders, before - folder_size(runs_folder)


def damaged_runs(runs_folder: Path) -> list[Path]:
    """Return the folders of runs whose `run.json` is missing or damaged, and which are not running."""
    folder = runs_folder / "runs"
    known = {run.folder for run in past_runs(runs_folder)}
    found = [place for place in folder.iterdir() if place.is_dir()] if folder.is_dir() else []
    return [place for place in sorted(found) if place not in known and not is_alive(place)]
