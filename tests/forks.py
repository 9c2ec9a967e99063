"""Calls functions in forked processes: everything that a notebook does stays in one of its own.

    python -m tests.forks MODULE...

is the process of a `ForkServer`: it imports the modules, and forks for each call that it reads.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")

TIMEOUT = 20
"""Seconds that a process may take, where nothing else is said."""


def in_child(work: Callable[..., Result], *arguments: Any, seconds: int = TIMEOUT) -> Result:
    """Call a function in a forked process.

    Args:
        work: The function; what it gives back can be pickled.
        arguments: For it.
        seconds: How long it may take.

    Raises:
        RuntimeError: It raised, took too long or ended its process; with what is known of that.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        signal.alarm(seconds)
        try:
            answer: tuple[bool, object] = (True, work(*arguments))
        except BaseException:  # it is raised in the parent
            answer = (False, traceback.format_exc())
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    fine: bool
    result: Any
    with os.fdopen(reader, "rb") as pipe:  # which what it has started may keep open
        try:
            fine, result = pickle.load(pipe)
        except (EOFError, pickle.UnpicklingError):
            fine, result = False, ""
    _, status = os.waitpid(pid, 0)
    if not fine:
        raise RuntimeError(result or f"ended with {os.waitstatus_to_exitcode(status)}")
    return result  # type: ignore[no-any-return]  # it has come as a pickle


class ForkServer:
    """A process that has modules imported, and calls functions in forks of itself, one at a time.

    It starts when it is needed, and ends with this process.

    Args:
        modules: What it imports.
        environment: Variables that are set for it.
    """

    def __init__(self, modules: Sequence[str], environment: dict[str, str]) -> None:
        self.modules, self.environment = modules, environment
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, work: Callable[..., Result], *arguments: Any, seconds: int = TIMEOUT) -> Result:
        """Call a function that can be imported, as `in_child` does."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, *self.modules],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[1],
                env={**os.environ, **self.environment},
            )
        calls, answers = self._process.stdin, self._process.stdout
        if calls is None or answers is None:
            raise RuntimeError("the process has no pipes")
        pickle.dump((work, arguments, seconds), calls)
        calls.flush()
        fine, result = pickle.load(answers)
        if not fine:
            raise RuntimeError(result)
        answer: Result = result
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            with self._process:  # closes its pipes and waits; a fork that lives on may hold them open
                pass


def serve(modules: Sequence[str]) -> None:
    """Answer calls on the standard input until it ends."""
    calls, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    for module in modules:
        importlib.import_module(module)
    gc.freeze()
    while True:
        try:
            work, arguments, seconds = pickle.load(calls)
        except EOFError:
            return
        try:
            answer: tuple[bool, object] = (True, in_child(work, *arguments, seconds=seconds))
        except RuntimeError as error:
            answer = (False, str(error))
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1:])
