"""The sources of local runs: a folder with verified values, and a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from kale_magics.cache.entry import read_entry
from kale_magics.execution.file_digests import file_digest
from kale_magics.execution.folder_source import FolderSource
from kale_magics.execution.run import Run, StillRunningError, TaskRun
from kale_magics.model.diagnostics import Code, kale_error


class LocalSource(FolderSource):
    """Reads the folder of a run; its values must be signed by this user, or trusted."""

    def artifact(self, run: Run, task: TaskRun, variable: str) -> Path:
        """Return the file of a variable, after a comparison of its digest with the signed cache entry.

        Raises:
            KaleError: It is not signed by this user, or it is damaged.
        """
        path, what = task.artifacts[variable], f"{variable} of step {task.name}"
        entry = read_entry(task.folder)
        digest = entry.files.get(str(path.relative_to(task.folder))) if entry else None
        if not task.folder.exists():
            message = f"{what} is gone: run {run.id} has been deleted"
            raise kale_error(Code.NO_SUCH_OUTPUT, message, "run the pipeline again")
        if digest is None and not run.trusted:
            message = f"{what} was not written by a run of yours; loading it can execute code"
            fix = "pass --trust or set run.trusted = True if you trust its author, or run the pipeline again"
            raise kale_error(Code.NO_SUCH_OUTPUT, message, fix)
        try:
            damaged = digest is not None and file_digest(path) != digest
        except OSError as error:
            message = f"{what} cannot be read: {error.strerror or error}"
            raise kale_error(Code.NO_SUCH_OUTPUT, message, "run the pipeline again") from error
        if damaged:
            message = f"{what} is damaged: its file has changed since the step wrote it"
            raise kale_error(Code.NO_SUCH_OUTPUT, message, "run the pipeline again")
        return path


class BackgroundSource(LocalSource):
    """The source of a run in a thread of this process.

    Args:
        cancel: Requests the end of the run.

    Attributes:
        ended: Is set when the run has ended and all events are reported.
        error: The exception that a run in the foreground would have raised.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel
        self.ended = threading.Event()
        self.error: BaseException | None = None

    def wait(self, run: Run, timeout: float | None) -> None:
        """Wait for the end of the run; see `Run.wait`."""
        if not self.ended.wait(timeout):
            raise StillRunningError(run.id, timeout)
        if self.error is not None:
            raise self.error

    def cancel(self, run: Run) -> None:
        """End the run, and wait until none of its processes is left."""
        del run
        self._cancel()
        self.ended.wait()
