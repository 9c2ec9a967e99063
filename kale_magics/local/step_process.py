"""The process of a step, as the engine sees it: the lines that it prints, and its end."""

from __future__ import annotations

import os
import select

from kale_magics.execution.events import Stream

CHUNK = 1 << 16
"""Bytes of a read: the capacity of a pipe on Linux."""

MAX_LINE = 1 << 20
"""Bytes of a line; a longer one is returned in pieces."""


class LineReader:
    """Reads the complete lines of a pipe.

    Text after a carriage return overwrites the line: of a progress bar, only the last state is returned, at
    the end of its line. Each byte is processed once, whatever the lines are.

    Attributes:
        fd: The end to read from; it does not block.
        writer: The end to write to.
        at_end: Whether all lines have been returned.
    """

    def __init__(self) -> None:
        self.fd, self.writer = os.pipe()
        os.set_blocking(self.fd, False)
        self.at_end = False
        self._line = bytearray()
        self._overwritten = b""

    def read(self) -> list[str]:
        """Return the lines that are complete now; at the end, also the rest without a line end."""
        try:
            chunk = os.read(self.fd, CHUNK)
        except BlockingIOError:
            return []
        self.at_end = not chunk
        return self._take(chunk)

    def drain(self) -> list[str]:
        """Return the lines that are still in the pipe, without waiting for processes that are left."""
        lines: list[str] = []
        for _ in range(MAX_LINE // CHUNK):
            if self.at_end or not select.select([self.fd], [], [], 0)[0]:
                break
            lines += self.read()
        if not self.at_end:
            self.at_end = True
            lines += self._take(b"")
        return lines

    def close(self) -> None:
        """Close the end to read from."""
        os.close(self.fd)

    def _take(self, chunk: bytes) -> list[str]:
        *ended, rest = chunk.split(b"\n")
        lines = []
        for piece in ended:
            self._add(piece)
            lines.append(self._complete())
        self._add(rest)
        if self.at_end:
            lines += filter(None, [self._complete()])
        elif len(self._line) > MAX_LINE:
            cut = _whole_characters(self._line)
            rest = bytes(self._line[cut:])
            del self._line[cut:]
            lines.append(self._complete())
            self._line += rest
        return [line.decode("utf-8", "backslashreplace") for line in lines]

    def _add(self, piece: bytes) -> None:
        """Add text to the line; what follows the last carriage return replaces it."""
        before, returned, after = piece.rpartition(b"\r")
        if returned:
            self._line += before
            self._overwritten = bytes(self._line.rstrip(b"\r").rpartition(b"\r")[2]) or self._overwritten
            self._line.clear()
        self._line += after

    def _complete(self) -> bytes:
        line = bytes(self._line) or self._overwritten
        self._line.clear()
        self._overwritten = b""
        return line


def _whole_characters(text: bytearray) -> int:
    """Return how many bytes are certainly complete characters of UTF-8."""
    for back in range(1, 5):
        if text[-back] & 0xC0 != 0x80:  # the first byte of a character
            return len(text) - back if text[-back] >= 0xC0 else len(text)
    return len(text)


class StepProcess:
    """The process of a step, which the fork server starts and waits for.

    Attributes:
        streams: The readers of "stdout" and "stderr".
        returncode: As in `subprocess`; None while the process runs, or if it never started.
        failure: Why the process could not be started.
    """

    def __init__(self) -> None:
        self.streams: dict[Stream, LineReader] = {"stdout": LineReader(), "stderr": LineReader()}
        self.returncode: int | None = None
        self.failure = ""

    @property
    def writers(self) -> list[int]:
        """The ends of the streams for the process."""
        return [reader.writer for reader in self.streams.values()]

    def release_writers(self) -> None:
        """Close the ends of the streams that the process has now: they end when it closes its own."""
        for writer in self.writers:
            os.close(writer)

    def close(self) -> None:
        """Close the ends to read from."""
        for reader in self.streams.values():
            reader.close()
