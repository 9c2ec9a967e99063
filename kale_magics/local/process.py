"""What comes out of the process of a step: its printed lines, as descriptors to wait for, and its end."""

from __future__ import annotations

import os
import re

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
    """What is known here of the process of a step, which the server starts and waits for.

    Attributes:
        streams: What it prints: "stdout" and "stderr".
        returncode: As in `subprocess`; None as long as it has not ended, or if it never started.
        failure: Why it could not be started.
    """

    def __init__(self) -> None:
        self.streams: dict[Stream, LineReader] = {"stdout": LineReader(), "stderr": LineReader()}
        self.returncode: int | None = None
        self.failure = ""

    @property
    def writers(self) -> list[int]:
        """The ends of the streams that are the process's."""
        return [reader.writer for reader in self.streams.values()]

    def begun(self) -> None:
        """The process has its ends of the streams: when it closes them, they are at their end."""
        for writer in self.writers:
            os.close(writer)

    def close(self) -> None:
        """Give the descriptors back."""
        for reader in self.streams.values():
            reader.close()
