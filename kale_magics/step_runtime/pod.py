"""What a step needs in a pod: a folder to work in, the run's shared volume, and marks in its log."""

from __future__ import annotations

import base64
import io
import logging
import os
import sys
import tempfile
import zipfile
from typing import Any

from kale_magics.step_runtime.fixed import to_json

BEGINS = "--- kale: step begins ---"
"""The line of the log above what the step prints; above it is what pip and KFP say."""

ENDS = "--- kale: step ended --- "
"""How the line below what the step prints begins; JSON follows."""

ON_VOLUME = "on the volume of the run: "
"""What stands in the file of an artifact whose values are on the shared volume, before the place there."""


def enter_pod(files: str) -> None:
    """Make a pod's process ready: files in its folder, a folder and a home that it may write to.

    Args:
        files: A ZIP in base64; empty for none.
    """
    # KFP has set up logging for itself, and `logging.basicConfig` does nothing for a second time.
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
    print(BEGINS, flush=True)


def leave_pod(told: dict[str, Any]) -> None:
    """Say at the end of the log what has come of the step."""
    sys.stdout.flush()
    sys.stderr.flush()
    print(ENDS + to_json(told), flush=True)


def on_volume(place: str, workspace: str, note: str) -> str:
    """A path on the run's shared volume, made ready; a note of it stands in the artifact's own file."""
    path = os.path.join(workspace, place)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(note):
        with open(note, "w", encoding="utf-8") as file:
            file.write(ON_VOLUME + place)
    return path
