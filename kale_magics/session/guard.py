"""Wrap the session's entry points: an internal error is shown as one line without a traceback."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

from kale_magics.model.diagnostics import Code, Diagnostic, KaleError
from kale_magics.step_runtime.truncation import truncate

Function = TypeVar("Function", bound=Callable[..., Any])

FOLDER = ".kale"
"""The default folder of runs."""

INTERRUPTED = "KeyboardInterrupt: interrupted before completion"

MAX_MESSAGE = 300
"""Characters of an exception's message that are shown; the file has all of it."""


def guarded(function: Function) -> Function:
    """Make a magic raise `KaleError` instead of any other exception."""

    def raise_error(fault: Diagnostic) -> None:
        raise KaleError(fault) from None

    return _around(function, raise_error)


def reported(function: Function) -> Function:
    """Make a callback print one line instead of raising an exception."""
    return _around(function, lambda fault: print(fault, file=sys.stderr))


def _around(function: Function, report: Callable[[Diagnostic], None]) -> Function:
    @wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except KaleError:
            raise
        except KeyboardInterrupt as interrupt:
            # The interrupted code may have set a better message.
            vars(interrupt).setdefault("_render_traceback_", lambda: [INTERRUPTED])
            raise
        except Exception as error:  # the user sees one line; the traceback is in a file
            report(_diagnostic_of(error))

    return cast(Function, call)


def run_uninterrupted(work: Callable[[], None]) -> bool:
    """Run a short function to its end even if Ctrl-C arrives; a second Ctrl-C interrupts it.

    Args:
        work: The function.

    Returns:
        Whether Ctrl-C arrived. It is not raised again: the caller must report it.
    """
    try:
        with _held_interrupts() as interrupts:
            work()
    except KeyboardInterrupt:  # the second one, or one just after the handler was restored
        return True
    return bool(interrupts)


@contextlib.contextmanager
def _held_interrupts() -> Iterator[list[int]]:
    received: list[int] = []
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield received
        return

    def hold(number: int, _: object) -> None:
        received.append(number)
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, hold)
    try:
        yield received
    finally:
        if signal.getsignal(signal.SIGINT) is hold:
            signal.signal(signal.SIGINT, usual)


def _diagnostic_of(error: Exception) -> Diagnostic:
    try:
        os.getcwd()
    except FileNotFoundError:
        fix = "change to an existing directory: %cd ~"
        return Diagnostic(Code.RUN_FOLDER, "the working directory has been deleted", fix)
    except OSError:  # no permission: report the error that it caused
        pass
    return internal_error(error)


def internal_error(error: Exception) -> Diagnostic:
    """Return a diagnostic for an error in this package, and write the traceback to a file.

    Args:
        error: The exception.
    """
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        text = truncate(str(error), MAX_MESSAGE)
    except Exception as broken:  # `__str__` of a user's class may raise anything
        text = f"(its message cannot be shown: {type(broken).__name__})"
    place = _written(trace)
    message = f"internal error in kale_magics: {type(error).__name__}: {text}"
    fix = "report it to the maintainers of the package"
    return Diagnostic(Code.INTERNAL_ERROR, message, f"{fix}, with this file:\n{place}" if place else fix)


def _written(text: str) -> Path | None:
    """Write a file to the folder of runs or of temporary files; return None if neither is possible."""
    name = f"fault-{datetime.now(timezone.utc):%Y%m%d-%H%M%S-%f}.txt"
    for folder in (Path(FOLDER), Path(tempfile.gettempdir())):
        place = folder / name
        with contextlib.suppress(OSError):
            if folder.is_dir():
                descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with open(descriptor, "w", encoding="utf-8", errors="replace") as file:
                    file.write(text)
                return place
    return None
