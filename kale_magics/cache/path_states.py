"""The state of files and folders, as far as two runs have to compare it.

The file is also executed alone in the process of a step, so it imports the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Container, Iterable
from typing import Any

MAX_FILES = 20_000
"""Files of a folder that are compared."""


def path_state(kind: str, path: str, excluded: Container[str] = ()) -> Any:
    """Return the state of a path.

    Args:
        kind: "file", "list" for the names in a folder, "tree" for all files below a folder.
        path: An absolute path.
        excluded: Files of a tree that are left out.

    Returns:
        JSON. For a file: its size, its times of change (ns) and its inode. For a folder: "folder" if the kind
        is "file", else a digest, or "many" if it has more than `MAX_FILES` entries. "device" for anything
        else; None if the path does not exist.
    """
    try:
        status = os.stat(path)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            return "device"
        if not os.path.isdir(path):
            return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        if kind == "file":
            return "folder"
        entries = sorted(os.listdir(path)) if kind == "list" else list(_file_states(path, excluded))
    except (OSError, ValueError):
        return None
    if len(entries) > MAX_FILES:
        return "many"
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


def _file_states(folder: str, excluded: Container[str]) -> Iterable[Any]:
    """Yield the files below a folder with their states, one more than `MAX_FILES` at most."""
    count = 0
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(parent, name)
            count += 1
            if path not in excluded:
                yield [path, path_state("file", path)]
            if count > MAX_FILES:
                return
