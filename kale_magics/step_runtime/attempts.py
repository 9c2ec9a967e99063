"""The attempts at a step in a pod, each in a process of its own.

Argo does not try a step again that raises (KFP 2.17), and KFP forgets retries in loops: so the program of the
step does it. The process of an attempt goes on with the program, the first process waits for its end. The
texts are those of the local engine too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import Any

from kale_magics.step_runtime.pod import leave_pod

HINTS = {
    signal.SIGKILL: ": often because it ran out of memory",
    signal.SIGSEGV: ": a crash in compiled code",
    signal.SIGABRT: ": compiled code aborted",
}
"""The usual causes of signals."""

MAX_REASON = 90
"""Characters of an error in the line that announces a retry; the log has all of it."""

WAIT_INTERVAL = 0.05
"""Seconds between two looks at the process of an attempt."""

MAX_ENDING = 5.0
"""Seconds that it has between SIGTERM and SIGKILL."""


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


class PodAttempt:
    """An attempt, in its own process.

    Args:
        number: From 1.
        attempts: How many there may be.
        delay: Seconds before the next one.
        writer: The descriptor through which it says that it has reported its failure.
    """

    def __init__(self, number: int, attempts: int, delay: float, writer: int) -> None:
        self.number, self.attempts, self.delay, self.writer = number, attempts, delay, writer

    def report(self, step: str, failure: dict[str, Any]) -> None:
        """Report a failure: of the last attempt it is that of the step."""
        if self.number == self.attempts:
            leave_pod({"step": step, "error": failure})
        else:
            reason = failure["kale_code"] or f"{failure['type']}:"
            print(
                retry_text(self.number, self.attempts, f"{reason} {failure['message']}", self.delay),
                file=sys.stderr,
                flush=True,
            )
        os.write(self.writer, b"r")


def next_attempt(step: str, limits: tuple[int, float, float | None], outputs: list[str]) -> PodAttempt:
    """Fork for each attempt; return in its process, and in no other.

    Args:
        step: The name of the step.
        limits: The retries, the seconds before each, and the seconds that an attempt may take, if limited.
        outputs: The files that a failed attempt may leave.
    """
    retries, delay, timeout = limits
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, _: sys.exit(128 + number))
    for number in range(1, retries + 2):
        reader, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if process == 0:
            os.close(reader)
            for name in (signal.SIGTERM, signal.SIGINT):
                signal.signal(name, signal.SIG_DFL if name == signal.SIGTERM else signal.default_int_handler)
            os.setpgid(0, 0)
            return PodAttempt(number, retries + 1, delay, writer)
        os.close(writer)
        with contextlib.suppress(OSError):  # it has done so, or has ended
            os.setpgid(process, process)
        try:
            failure = _failure_of_attempt(process, reader, timeout)
            if failure is None:
                os._exit(0)
            if failure and number <= retries:
                print(retry_text(number, retries + 1, failure["message"], delay), file=sys.stderr, flush=True)
            elif failure:
                print(f"step {step}: {failure['message']}", file=sys.stderr, flush=True)
                leave_pod({"step": step, "error": failure})
            if number <= retries:
                time.sleep(delay)
        except SystemExit as ended:
            _end_attempt(process)
            os._exit(ended.code if isinstance(ended.code, int) else 1)
        for path in outputs:
            with contextlib.suppress(OSError):  # it has not been written
                os.remove(path)
    os._exit(1)


def _failure_of_attempt(process: int, reader: int, timeout: float | None) -> dict[str, Any] | None:
    """Wait for an attempt; return its failure, empty if it has reported one, None if it succeeded."""
    deadline, is_late = None if timeout is None else time.monotonic() + timeout, False
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            break
        if deadline is not None and not is_late and time.monotonic() > deadline:
            is_late = True
            _signal_group(process, signal.SIGKILL)
        time.sleep(WAIT_INTERVAL)
    _signal_group(process, signal.SIGKILL)  # what it has started
    os.set_blocking(reader, False)
    reported = b""
    with contextlib.suppress(BlockingIOError):  # a process that it has started may hold the other end
        reported = os.read(reader, 1)
    os.close(reader)
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return None
    if is_late:
        return _attempt_failure("Timeout", timeout_text(timeout or 0.0))
    return {} if reported else _attempt_failure("StepDied", death_text(code))


def _attempt_failure(kind: str, message: str) -> dict[str, Any]:
    return {"type": kind, "message": message, "traceback": "", "cell": "", "kale_code": "", "fix": ""}


def _end_attempt(process: int) -> None:
    """End an attempt, as the pod is ended."""
    _signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + MAX_ENDING
    with contextlib.suppress(ChildProcessError):  # it has ended before
        while time.monotonic() < deadline and os.waitpid(process, os.WNOHANG)[0] == 0:
            time.sleep(WAIT_INTERVAL)
    _signal_group(process, signal.SIGKILL)


def _signal_group(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, number)
