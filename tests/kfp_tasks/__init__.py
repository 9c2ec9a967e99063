"""KFP's local runner for tests: its tasks are forked from a process that has imported kfp."""

from __future__ import annotations

import atexit
import functools
import shlex
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

FOLDER = Path(__file__).parent

STAND_INS = FOLDER.parent / "stand_ins"
"""Where a Python that the server does not fork finds a pip that installs nothing."""


@functools.cache
def python() -> str:
    """Return the command that stands for Python in KFP's tasks; the first call starts the server."""
    place = tempfile.TemporaryDirectory(prefix="kale-")
    address = f"{place.name}/tasks"
    command = [sys.executable, "-I", "-X", "utf8", str(FOLDER / "server.py"), address]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def end() -> None:
        with process:  # closes its pipes and waits; a fork that lives on may hold them open
            pass
        place.cleanup()

    atexit.register(end)
    if process.stdout is None or not process.stdout.readline():
        raise RuntimeError("the server of KFP's tasks has not started")
    return shlex.join([sys.executable, "-IS", str(FOLDER / "python.py"), address])


def run_yaml(path: Path, arguments: Mapping[str, Any], place: Path, command: str) -> None:
    """Run a pipeline by KFP's local runner, whether or not it succeeds.

    Args:
        path: The YAML.
        arguments: The pipeline's.
        place: A folder for the artifacts and the shared volume.
        command: What `python` returns.
    """
    from kfp import components, local
    from kfp.local import subprocess_task_handler

    replace = subprocess_task_handler.replace_python_executable
    with (
        warnings.catch_warnings(),
        mock.patch.object(
            subprocess_task_handler, "replace_python_executable", lambda told, _: replace(told, command)
        ),
    ):
        warnings.simplefilter("ignore")  # kfp's own
        local.init(
            local.SubprocessRunner(use_venv=False),
            pipeline_root=str(place / "root"),
            raise_on_error=False,
            workspace_root=str(place / "workspace"),
        )
        components.load_component_from_file(str(path))(**arguments)
