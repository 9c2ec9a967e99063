"""The file of an artifact while it is written: it computes the digest, and links to an existing copy."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import queue
import shutil
import threading
from typing import Any

MIN_THREADED_BYTES = 1 << 20
"""Bytes from which on a chunk's digest is computed in a thread, while the chunk is written."""


class ArtifactFile:
    """A file that is written from its start to its end.

    As long as the content is that of an existing file, nothing is written. If all of it is, the file becomes
    a link to that one.

    Args:
        path: The file.
        existing: Path and digest of a file that may have the same content.

    Attributes:
        size: How many bytes were written.
    """

    def __init__(self, path: str, existing: tuple[str, str] | None = None) -> None:
        self.path, self.existing = path, existing
        self.file: Any = open(path, "wb")  # noqa: SIM115 - closed by `finish`
        self.thread: Any = None
        self.restart()

    def __enter__(self) -> ArtifactFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.join_thread()
        self.file.close()

    def restart(self) -> None:
        """Discard what was written."""
        self.join_thread()
        self.file.truncate(self.file.seek(0))
        self.size, self.sha = 0, hashlib.sha256()
        self.same: Any = None
        if self.existing is not None:
            with contextlib.suppress(OSError, ValueError), open(self.existing[0], "rb") as file:
                self.same = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def write(self, data: Any) -> int:
        """Write a chunk; its memory must not change until the file is finished."""
        view = memoryview(data)
        start, self.size = self.size, self.size + view.nbytes
        if self.same is not None:
            if self.is_in_existing(start, view):
                return view.nbytes
            self.copy_existing(start)
        self.append_chunk(view)
        return view.nbytes

    def copy_existing(self, size: int) -> None:
        """Write the content that equals the existing file's up to here."""
        known, self.same = self.same, None
        for place in range(0, size, MIN_THREADED_BYTES):
            self.append_chunk(known[place : min(place + MIN_THREADED_BYTES, size)])

    def is_in_existing(self, start: int, view: Any) -> bool:
        """Whether a chunk is what the existing file has there."""
        for place in range(0, view.nbytes, MIN_THREADED_BYTES):
            piece = bytes(view[place : place + MIN_THREADED_BYTES])
            if self.same[start + place : start + place + len(piece)] != piece:
                return False
        return True

    def append_chunk(self, piece: Any) -> None:
        """Append a chunk to the file."""
        if self.thread is None and len(piece) >= MIN_THREADED_BYTES:
            self.pieces: Any = queue.Queue()
            self.thread = threading.Thread(target=self.digest, daemon=True)
            self.thread.start()
        if self.thread is None:
            self.sha.update(piece)
        else:
            self.pieces.put(piece)
        self.file.write(piece)

    def digest(self) -> None:
        """Compute the digest of the chunks as they arrive, in the thread."""
        for piece in iter(self.pieces.get, None):
            self.sha.update(piece)

    def join_thread(self) -> None:
        """Wait for the thread."""
        if self.thread is not None:
            self.pieces.put(None)
            self.thread.join()
            self.thread = None

    def finish(self) -> str:
        """Close the file, and return the SHA-256 of its content in hexadecimal digits."""
        if self.same is not None and self.size < len(self.same):
            self.copy_existing(self.size)
        self.join_thread()
        self.file.close()
        if self.same is None or self.existing is None:
            return self.sha.hexdigest()
        path, digest = self.existing
        os.remove(self.path)
        try:
            os.link(path, self.path)
        except OSError:  # a file system without links, or another one
            shutil.copyfile(path, self.path)
        return digest
