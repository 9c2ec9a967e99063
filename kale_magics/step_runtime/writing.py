"""The file of an artifact while it is written: its digest is taken, and what is there already is linked."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import queue
import shutil
import threading
from typing import Any

LARGE = 1 << 20
"""Bytes: from here on a piece's digest is taken in a thread, while the piece is written."""


class ArtifactFile:
    """A file that is written from its start to its end.

    As long as what is written is the content of a twin, nothing is. If all of it is, the file becomes a link
    to the twin.

    Args:
        path: The file.
        twin: Path and digest of a file that may have the same content.
    """

    def __init__(self, path: str, twin: tuple[str, str] | None = None) -> None:
        self.path, self.twin = path, twin
        self.file: Any = open(path, "wb")  # noqa: SIM115 - closed by `finish`
        self.thread: Any = None
        self.restart()

    def __enter__(self) -> ArtifactFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.settle()
        self.file.close()

    def restart(self) -> None:
        """Forget what was written."""
        self.settle()
        self.file.truncate(self.file.seek(0))
        self.size, self.sha = 0, hashlib.sha256()
        self.same: Any = None
        if self.twin is not None:
            with contextlib.suppress(OSError, ValueError), open(self.twin[0], "rb") as file:
                self.same = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def tell(self) -> int:
        """How many bytes were written."""
        return self.size

    def write(self, data: Any) -> int:
        """Write a piece; its memory must not change until the file is finished."""
        view = memoryview(data)
        start, self.size = self.size, self.size + view.nbytes
        if self.same is not None:
            if self.is_in_twin(start, view):
                return view.nbytes
            self.leave_twin(start)
        self.put(view)
        return view.nbytes

    def leave_twin(self, size: int) -> None:
        """Write what was the same as the twin's up to here."""
        known, self.same = self.same, None
        for place in range(0, size, LARGE):
            self.put(known[place : min(place + LARGE, size)])

    def is_in_twin(self, start: int, view: Any) -> bool:
        """Whether a piece is what the twin has there."""
        for place in range(0, view.nbytes, LARGE):
            piece = bytes(view[place : place + LARGE])
            if self.same[start + place : start + place + len(piece)] != piece:
                return False
        return True

    def put(self, piece: Any) -> None:
        """Write a piece in truth."""
        if self.thread is None and len(piece) >= LARGE:
            self.pieces: Any = queue.Queue()
            self.thread = threading.Thread(target=self.digest, daemon=True)
            self.thread.start()
        if self.thread is None:
            self.sha.update(piece)
        else:
            self.pieces.put(piece)
        self.file.write(piece)

    def digest(self) -> None:
        """Take the digest of the pieces as they come: what the thread does."""
        for piece in iter(self.pieces.get, None):
            self.sha.update(piece)

    def settle(self) -> None:
        """Wait for the thread."""
        if self.thread is not None:
            self.pieces.put(None)
            self.thread.join()
            self.thread = None

    def finish(self) -> str:
        """Close the file, and give the SHA-256 of its content in hexadecimal digits."""
        if self.same is not None and self.size < len(self.same):
            self.leave_twin(self.size)
        self.settle()
        self.file.close()
        if self.same is None or self.twin is None:
            return self.sha.hexdigest()
        path, digest = self.twin
        os.remove(self.path)
        try:
            os.link(path, self.path)
        except OSError:  # a file system without links, or another one
            shutil.copyfile(path, self.path)
        return digest
