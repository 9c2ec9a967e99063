"""Digests of files."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

CHUNK = 1 << 20
"""Bytes read at a time."""


def file_digest(file: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        OSError: It cannot be read, or is not a regular file.
    """
    digest = hashlib.sha256()
    # A device such as /dev/zero has no end, and opening a pipe blocks until somebody writes.
    with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as content:
        if not stat.S_ISREG(os.fstat(content.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(file))
        while chunk := content.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
