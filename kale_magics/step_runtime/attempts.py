"""The attempts at a step in a pod, each in a process of its own.

Argo does not try a step again that raises (KFP 2.17), and KFP ignores retries in loops: so the program of the
step does it. The process of an attempt goes on with the program, also with kfp's part of it, and writes its
result to a file. The first process waits for its end, and alone reports a result in the log. The texts are
those of the local engine too.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from kale_magics.step_runtime.pod import leave_pod
from kale_magics.step_runtime.unpatched import from_json, to_json

HINTS = {
    signal.SIGKILL: ": often because it ran out of memory",
    signal.SIGSEGV: ": a crash in compiled code",
    signal.SIGABRT: ": compiled code aborted",
}
"""The usual causes of signals."""

MEMORY_FIX, TIMEOUT_FIX = "ask for more with --memory", "give it more: --timeout"

MAX_REASON = 90
"""Characters of an error in the line that announces a retry; the log has all of it."""

MAX_ENDING = 30.0
"""Seconds that an attempt has between SIGTERM and SIGKILL: Kubernetes' default for a pod."""

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
WATCHED_SIGNALS = (signal.SIGCHLD, *ENDING_SIGNALS)


def retry_text(number: int, attempts: int, reason: str, delay: float) -> str:
    """Return the line that announces a retry after an attempt that failed.

    Args:
        number: The attempt, from 1.
        attempts: How many there may be.
        reason: Why it failed.
        delay: Seconds before the next one.
    """
    when = f" in {delay:g} s" if delay else ""
    cause = reason.partition("\n")[0][:MAX_REASON]
    return f"attempt {number} of {attempts} failed: {cause}; again{when}"


def death_text(returncode: int) -> str:
    """Return why a process ended, from its exit code, or the negative number of its signal."""
    if returncode >= 0:
        return f"its process ended with exit code {returncode} before the step was complete"
    try:
        number = signal.Signals(-returncode)
    except ValueError:  # a real-time signal has no name
        return f"its process was killed by signal {-returncode}"
    return f"its process was killed by signal {-returncode} ({number.name}){HINTS.get(number, '')}"


def timeout_text(seconds: float) -> str:
    """Return why a step was ended that exceeded its time limit."""
    limit = f"{seconds / 60:g} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g} s"
    return f"it exceeded its --timeout of {limit} and was killed"


def unreported_failure(code: int, limit: float | None) -> dict[str, Any]:
    """Return the failure of an attempt that exceeded its time limit, or that died.

    Args:
        code: The exit code of its process, or the negative number of its signal.
        limit: The seconds that it exceeded; None if it died.
    """
    kind, message, fix = "StepDied", death_text(code), MEMORY_FIX if code == -signal.SIGKILL else ""
    if limit is not None:
        kind, message, fix = "Timeout", timeout_text(limit), TIMEOUT_FIX
    return {"type": kind, "message": message, "traceback": "", "cell": "", "kale_code": "", "fix": fix}


def next_attempt(
    step: str, limits: tuple[int, float, float | None], outputs: list[str]
) -> Callable[[dict[str, Any]], None]:
    """Fork for each attempt; return in its process, and in no other.

    Args:
        step: The name of the step.
        limits: The retries, the seconds before each, and the seconds that an attempt may take, if limited.
        outputs: The files that a failed attempt may leave.

    Returns:
        The function that reports the attempt's result, as `leave_pod` reports that of a step.
    """
    retries, delay, timeout = limits
    parent = AttemptParent()
    for number in range(1, retries + 2):
        file = tempfile.TemporaryFile()  # noqa: SIM115 - each process closes it
        process = parent.fork()
        if process == 0:
            return functools.partial(_write_result, file)
        code, is_late, ending = parent.wait_for(process, timeout)
        result = _read_result(file)
        if code == 0 and "error" not in result and result:
            leave_pod(result)
            os._exit(0)
        for path in outputs:
            with contextlib.suppress(OSError):  # it has not been written
                os.remove(path)
        failure = result.get("error")
        if ending and not failure:
            os._exit(128 + ending)
        if not failure:
            failure = unreported_failure(code, timeout if is_late else None)
            if number > retries:
                print(f"step {step}: {failure['message']}", file=sys.stderr, flush=True)
        if ending or number > retries:
            leave_pod({"step": step, "error": failure})
            break
        reason = f"{failure['kale_code'] or failure['type'] + ':'} {failure['message']}"
        print(retry_text(number, retries + 1, reason, delay), file=sys.stderr, flush=True)
        ending = parent.pause(delay)
        if ending:
            os._exit(128 + ending)
    os._exit(1)


class AttemptParent:
    """The first process of the pod's program, which starts attempts and waits for them.

    A signal handler that raised an exception could do so anywhere, and leave an attempt without a parent. So
    each signal only writes its number into a pipe.
    """

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.held_by_both, self.held_by_parent = os.pipe()
        os.set_blocking(self.writer, False)
        self.handlers = {number: signal.signal(number, lambda *_: None) for number in WATCHED_SIGNALS}
        signal.set_wakeup_fd(self.writer)

    def fork(self) -> int:
        """Fork an attempt, in a process group of its own; return 0 in its process."""
        sys.stdout.flush()
        sys.stderr.flush()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED_SIGNALS)
        try:
            process = os.fork()
            with contextlib.suppress(OSError):  # both do it: neither need wait for the other
                os.setpgid(process, process)
            if process == 0:
                self.become_attempt()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return process

    def become_attempt(self) -> None:
        """Restore the handling of signals; end with the parent, however that ends."""
        signal.set_wakeup_fd(-1)
        for number, handler in self.handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for descriptor in (self.reader, self.writer, self.held_by_parent):
            os.close(descriptor)
        # The pipe's other end is closed when the parent ends: then Linux sends SIGKILL to this group.
        with contextlib.suppress(OSError, AttributeError):  # another system
            fcntl.fcntl(self.held_by_both, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(self.held_by_both, fcntl.F_SETOWN, -os.getpid())
            fcntl.fcntl(self.held_by_both, fcntl.F_SETFL, os.O_ASYNC)

    def wait_for(self, process: int, timeout: float | None) -> tuple[int, bool, int]:
        """Wait for the end of an attempt.

        Returns:
            Its exit code, or the negative number of its signal; whether it exceeded the time limit; and the
            number of the signal that ends the pod, 0 if there was none.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        is_late, ending = False, 0
        while not (ended := os.waitpid(process, os.WNOHANG))[0]:
            number = self.next_signal(deadline)
            if number in ENDING_SIGNALS:
                ending, deadline = number, time.monotonic() + MAX_ENDING
                _signal_group(process, number)
            elif not number:
                is_late, deadline = not ending, None
                _signal_group(process, signal.SIGKILL)
        _signal_group(process, signal.SIGKILL)  # what it has started
        return os.waitstatus_to_exitcode(ended[1]), is_late, ending

    def pause(self, seconds: float) -> int:
        """Wait; return the number of the signal that ends the pod, 0 if there was none."""
        deadline = time.monotonic() + seconds
        while (number := self.next_signal(deadline)) == signal.SIGCHLD:
            pass
        return number

    def next_signal(self, deadline: float | None) -> int:
        """Return the number of the next signal, 0 if none has come before a time of the monotonic clock."""
        seconds = None if deadline is None else max(0.0, deadline - time.monotonic())
        return os.read(self.reader, 1)[0] if select.select([self.reader], [], [], seconds)[0] else 0


def _write_result(file: Any, result: dict[str, Any]) -> None:
    with file:
        file.write(to_json(result).encode())


def _read_result(file: Any) -> dict[str, Any]:
    """Return the result that an attempt has reported; empty if it has not, or was killed meanwhile."""
    with file, contextlib.suppress(ValueError):
        file.seek(0)
        return dict(from_json(file.read()))
    return {}


def _signal_group(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, number)
