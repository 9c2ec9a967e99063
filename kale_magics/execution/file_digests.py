"""Digests of files."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

CHUNK = 1 << 20
"""Bytes a read."""


def file_digest(file: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.sha256()
    # What is no file may have no end, as /dev/zero, and a pipe waits for who writes.
    with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as content:
        if not stat.S_ISREG(os.fstat(content.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no file", str(file))
        while chunk := content.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
