"""One guard around all that the session calls: a fault of this package is one line, no traceback."""

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
from kale_magics.step_runtime.texts import cut

Function = TypeVar("Function", bound=Callable[..., Any])

FOLDER = ".kale"
"""Where runs are usually kept."""

INTERRUPTED = "KeyboardInterrupt: interrupted before completion"

MAX_MESSAGE = 300
"""Characters of an exception's text that are shown; all of it is in the file."""


def guarded(function: Function) -> Function:
    """Let a magic raise `KaleError` for whatever goes wrong within."""

    def refuse(fault: Diagnostic) -> None:
        raise KaleError(fault) from None

    return _around(function, refuse)


def reported(function: Function) -> Function:
    """Let what the session calls around each cell print a line for whatever goes wrong within."""
    return _around(function, lambda fault: print(fault, file=sys.stderr))


def _around(function: Function, deal_with: Callable[[Diagnostic], None]) -> Function:
    @wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except KaleError:
            raise
        except KeyboardInterrupt as interrupt:
            # Who knows more of what was interrupted has said so.
            vars(interrupt).setdefault("_render_traceback_", lambda: [INTERRUPTED])
            raise
        except Exception as error:  # whatever it is: the user sees a line, and the traceback is in a file
            deal_with(_diagnostic_of(error))

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
    came: list[int] = []
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield came
        return

    def hold(number: int, _: object) -> None:
        came.append(number)
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, hold)
    try:
        yield came
    finally:
        if signal.getsignal(signal.SIGINT) is hold:
            signal.signal(signal.SIGINT, usual)


def _diagnostic_of(error: Exception) -> Diagnostic:
    try:
        os.getcwd()
    except FileNotFoundError:
        fix = "go to one that is there: %cd ~"
        return Diagnostic(Code.RUN_FOLDER, "the working folder is gone: somebody has deleted it", fix)
    except OSError:  # it may not be entered: that is told as what has failed for it
        pass
    return internal_error(error)


def internal_error(error: Exception) -> Diagnostic:
    """What to say of a fault of this package; its traceback is written to a file.

    Args:
        error: What was raised.
    """
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        said = cut(str(error), MAX_MESSAGE)
    except Exception as broken:  # a class of somebody's may say anything
        said = f"(its message cannot be shown: {type(broken).__name__})"
    place = _written(text)
    message = f"a fault of kale_magics itself: {type(error).__name__}: {said}"
    fix = "please report it to those who maintain the package"
    return Diagnostic(Code.OWN_FAULT, message, f"{fix}, with this file:\n{place}" if place else fix)


def _written(text: str) -> Path | None:
    """Write a text beside the runs, or where temporary files are; None if neither is possible."""
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
