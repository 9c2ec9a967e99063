"""A process of its own for a step: its printed lines and its end, as file descriptors to wait for."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from kale_magics.run import Stream

CHUNK = 1 << 16
"""Bytes a read: what a pipe holds on Linux."""

LONGEST_LINE = 1 << 20
"""Bytes after which a line is given out in pieces."""

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r(?!\Z))")


class LineReader:
    """The lines that come out of a pipe, as soon as they are complete.

    A carriage return ends a line as well, so that each state of a progress bar is one.

    Attributes:
        fd: The end to read from; it does not block.
        at_end: True when nothing more can come.
    """

    def __init__(self) -> None:
        self.fd, self.writer = os.pipe()
        os.set_blocking(self.fd, False)
        self.at_end = False
        self._partial = b""

    def read(self) -> list[str]:
        """The lines that have become complete; at the end also what is left without a line end."""
        try:
            chunk = os.read(self.fd, CHUNK)
        except BlockingIOError:
            return []
        self.at_end = not chunk
        return self._split(chunk)

    def drain(self) -> list[str]:
        """The lines that are still in the pipe; what a stray process adds later is not waited for."""
        lines: list[str] = []
        for _ in range(LONGEST_LINE // CHUNK):
            before = len(self._partial)
            new = [] if self.at_end else self.read()
            lines += new
            if not new and len(self._partial) == before:
                break
        self.at_end = True
        return lines + self._split(b"")

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)

    def _split(self, chunk: bytes) -> list[str]:
        self._partial += chunk
        lines, end = [], 0
        for match in _LINE.finditer(self._partial):
            end = match.end()
            if match[1] or match[2] != b"\r":
                lines.append(match[1])
        self._partial = self._partial[end:]
        if self._partial.strip(b"\r") and (self.at_end or len(self._partial) > LONGEST_LINE):
            lines.append(self._partial.rstrip(b"\r"))
            self._partial = b""
        return [line.decode("utf-8", "backslashreplace") for line in lines]


class StepProcess:
    """A process in a session of its own, so that all that it starts can be ended with it.

    A thread starts it, waits for it and ends what it left behind. The process is known here before it
    exists: an interrupt of the calling thread at any moment leaves none that `send` does not reach.

    Attributes:
        streams: What it prints: "stdout" and "stderr".
        ended: A descriptor that becomes readable when the process is gone.
        returncode: As in `subprocess`; None if it never started.
        failure: Why it could not be started.
    """

    def __init__(self, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> None:
        self.streams: dict[Stream, LineReader] = {"stdout": LineReader(), "stderr": LineReader()}
        self.ended, self._news = os.pipe()
        self.returncode: int | None = None
        self.failure: Exception | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._unwanted = False
        self._gone = threading.Event()
        self._thread = threading.Thread(
            target=self._live, args=(command, directory, environment), daemon=True
        )

    def start(self) -> None:
        """Start it; what came of it is told by `ended`."""
        self._thread.start()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and to what it started; if it does not exist yet, it never will."""
        with self._lock:
            self._unwanted = True
        if self._process is not None and not self._gone.is_set():
            self._kill_group(self._process.pid, number)

    def wait(self, timeout: float) -> bool:
        """Wait until the process is gone, at most that many seconds; whether it is."""
        return self._thread.ident is None or self._gone.wait(max(0.0, timeout))

    def close(self) -> None:
        """Give the descriptors back; the process must be gone."""
        for reader in self.streams.values():
            reader.close()
        os.close(self.ended)

    def _live(self, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> None:
        try:
            with self._lock:
                if not self._unwanted:
                    self._process = self._begin(command, directory, environment)
        except (OSError, ValueError) as error:
            self.failure = error
        finally:
            for reader in self.streams.values():
                os.close(reader.writer)
        if self._process is not None:
            self._attend(self._process)
        os.write(self._news, b".")
        os.close(self._news)
        self._gone.set()

    def _begin(
        self, command: Sequence[str], directory: Path, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - this interpreter with this package's own text
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.streams["stdout"].writer,
            stderr=self.streams["stderr"].writer,
            start_new_session=True,
        )

    def _attend(self, process: subprocess.Popen[bytes]) -> None:
        # Until it is reaped, no other process can get its number: the group that is ended is its own.
        if hasattr(os, "waitid"):
            with contextlib.suppress(ChildProcessError):  # somebody else reaps: `wait` copes with that
                os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        else:
            process.wait()
        self._kill_group(process.pid, signal.SIGKILL)
        self.returncode = process.wait()

    @staticmethod
    def _kill_group(pid: int, number: signal.Signals) -> None:
        # macOS does not permit to signal a group of which only the ended process is left
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
