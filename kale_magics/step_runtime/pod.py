"""A step in a pod: its folder, the run's shared volume, and markers in its log."""

from __future__ import annotations

import base64
import contextlib
import io
import logging
import os
import sys
import tempfile
import zipfile
from typing import Any

from kale_magics.step_runtime.unpatched import to_json

BEGINS = "--- kale: step begins ---"
"""The log line above the step's own output; output of pip and KFP precedes it."""

ENDS = "--- kale: step ended --- "
"""The beginning of the log line below the step's own output; JSON follows."""

ON_VOLUME = "on the volume of the run: "
"""The beginning of an artifact file whose values are on the shared volume; the path there follows."""


def enter_pod(files: str) -> None:
    """Prepare a pod's process: a writable folder and home, with the given files.

    Args:
        files: A ZIP in base64; empty for none.
    """
    # KFP has configured logging, and a second `logging.basicConfig` has no effect.
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)
    home = os.path.expanduser("~")
    if files or not os.access(os.getcwd(), os.W_OK):
        os.chdir(tempfile.mkdtemp(prefix="kale-"))
        sys.path.insert(0, os.getcwd())
    if files:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(files))) as archive:
            archive.extractall()
    if not os.access(home, os.W_OK):
        os.environ["HOME"] = tempfile.mkdtemp(prefix="kale-home-")
    # Argo stores the lines of both streams one after the other; KFP's launcher writes to this one.
    sys.stdout.flush()
    os.dup2(2, 1)
    print(BEGINS, flush=True)


def leave_pod(result: dict[str, Any]) -> None:
    """Report the result of the step at the end of the log."""
    print_to(1, f"{ENDS}{to_json(result)}\n")


def print_to(descriptor: int, text: str) -> None:
    """Print to stdout (1) or stderr (2) of the process, though the user's code has closed Python's."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # it is closed, or no stream
            stream.flush()
    own = sys.stdout if descriptor == 1 else sys.stderr
    with contextlib.suppress(AttributeError, OSError, ValueError):
        own.write(text)
        own.flush()
        return
    with open(descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False) as output:
        output.write(text)


def volume_path(place: str, workspace: str, note: str) -> str:
    """Return a path on the run's shared volume, and record it in the artifact's own file."""
    path = os.path.join(workspace, place)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(note):
        with open(note, "w", encoding="utf-8") as file:
            file.write(ON_VOLUME + place)
    return path
