"""Calls functions in forked processes: everything that a random notebook does stays in one of its own."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable
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
    with os.fdopen(reader, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(pid, 0)
    fine: bool
    result: Any
    fine, result = pickle.loads(content) if content else (False, f"ended with {status}")
    if not fine:
        raise RuntimeError(result)
    return result  # type: ignore[no-any-return]  # it has come as a pickle
