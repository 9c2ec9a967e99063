"""What comes out of the process of a step: its printed lines, as descriptors to wait for, and its end."""

from __future__ import annotations

import os
import select

from kale_magics.execution.events import Stream

CHUNK = 1 << 16
"""Bytes a read: what a pipe holds on Linux."""

LONGEST_LINE = 1 << 20
"""Bytes after which a line is given out in pieces."""


class LineReader:
    """The lines that come out of a pipe, as soon as they are complete.

    What a carriage return takes the line back from is written over: of a progress bar only the last state is
    given out, with the end of its line. Each byte is looked at once, whatever the lines are like.

    Attributes:
        fd: The end to read from; it does not block.
        at_end: True when nothing more can come.
    """

    def __init__(self) -> None:
        self.fd, self.writer = os.pipe()
        os.set_blocking(self.fd, False)
        self.at_end = False
        self._line = bytearray()
        self._overwritten = b""

    def read(self) -> list[str]:
        """The lines that have become complete; at the end also what is left without a line end."""
        try:
            chunk = os.read(self.fd, CHUNK)
        except BlockingIOError:
            return []
        self.at_end = not chunk
        return self._take(chunk)

    def drain(self) -> list[str]:
        """The lines that are still in the pipe; what a stray process adds later is not waited for."""
        lines: list[str] = []
        for _ in range(LONGEST_LINE // CHUNK):
            if self.at_end or not select.select([self.fd], [], [], 0)[0]:
                break
            lines += self.read()
        if not self.at_end:
            self.at_end = True
            lines += self._take(b"")
        return lines

    def close(self) -> None:
        """Give the descriptor back."""
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
        elif len(self._line) > LONGEST_LINE:
            cut = _whole_characters(self._line)
            begun = bytes(self._line[cut:])
            del self._line[cut:]
            lines.append(self._complete())
            self._line += begun
        return [line.decode("utf-8", "backslashreplace") for line in lines]

    def _add(self, piece: bytes) -> None:
        """Go on with the line: what is behind its last carriage return is its state now."""
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
    """How many bytes are characters of UTF-8 that are complete for certain."""
    for back in range(1, 5):
        if text[-back] & 0xC0 != 0x80:  # it begins a character
            return len(text) - back if text[-back] >= 0xC0 else len(text)
    return len(text)


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
