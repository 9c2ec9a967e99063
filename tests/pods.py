"""What the pods of steps print and leave, as data for a server that executes nothing."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kale_magics.step_runtime.artifacts import save_artifact
from kale_magics.step_runtime.pickling import Definitions
from kale_magics.step_runtime.pod import BEGINS, ENDS
from tests.kfp_server.script import ROOT, Attempt


def pod(step: str, printed: str = "", metrics: Mapping[str, float] | None = None, **outputs: Any) -> Attempt:
    """The pod of a step that succeeds.

    Args:
        step: Its name.
        printed: What its cells print.
        metrics: What it logs.
        outputs: The variables that it passes on, each in an artifact of its own.
    """
    places = {f"out_{name}": f"{step}/out_{name}" for name in outputs}
    files = {places[f"out_{name}"]: artifact({name: value}) for name, value in outputs.items()}
    addresses = {key: f"{ROOT}/{place}" for key, place in places.items()}
    answer = {"step": step, "metrics": metrics or {}, "artifacts": addresses}
    return Attempt(f"{BEGINS}\n{printed}{ENDS}{json.dumps(answer)}\n", files=files)


def failed_pod(step: str, error: str, message: str, printed: str = "") -> Attempt:
    """The pod of a step that fails with an error of some type."""
    told = {"type": error, "message": message, "traceback": f"{error}: {message}\n"}
    return reporting_pod(step, told, printed)


def reporting_pod(step: str, told: Mapping[str, Any], printed: str = "") -> Attempt:
    """The pod of a step that reports an error."""
    answer = json.dumps({"step": step, "error": told})
    return Attempt(f"{BEGINS}\n{printed}{ENDS}{answer}\n", succeeds=False)


def artifact(values: Mapping[str, Any]) -> bytes:
    """The content of an artifact."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "artifact")
        save_artifact(str(path), values, {}, Definitions())
        return path.read_bytes()
