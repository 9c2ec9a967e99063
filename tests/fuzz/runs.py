"""Runs a pipeline, in the embedded engine or in a quicker way.

The quicker way runs a step's program as the engine and a pod do, in a process of its own, but in one that is
forked with the libraries loaded: a hunt needs thousands of them.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
import os
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kale_magics.execution.request import RunRequest
from kale_magics.execution.run_store import RESULT
from kale_magics.local.engine import run_pipeline
from kale_magics.local.worker import KINDS, Direction, Metrics
from kale_magics.model.diagnostics import Code
from kale_magics.model.pipeline import Pipeline, Step
from kale_magics.model.program import render_program
from tests.forks import TIMEOUT, in_child

NOT_SERIALIZABLE = Code.NOT_SERIALIZABLE.code
"""The one thing that may be told only when a step runs, as a value may be of any type then."""

compiled = functools.lru_cache(maxsize=4)(functools.partial(compile, dont_inherit=True))
"""Compiles the runtime, whose text is the same in all steps, once for all that is forked."""


LIBRARIES = (
    "numpy pandas scipy.optimize scipy.sparse sklearn.cluster sklearn.linear_model sklearn.model_selection"
    " sklearn.pipeline sklearn.preprocessing"
).split()
"""What notebooks with data import."""


def warm_up(levels: Iterable[str]) -> None:
    """Have done, before anything is forked, what every notebook would do again.

    Args:
        levels: Those of the grammar that are going to be played.
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # a fork must not lose threads
    for library in ("mmap", "cloudpickle", *(LIBRARIES if "data" in levels else ()), "tests.warm"):
        importlib.import_module(library)


@dataclass(frozen=True)
class Ran:
    """What came of a run.

    Attributes:
        failure: What is wrong with it; empty if it succeeded.
        text: What the steps printed, or what there is to tell of the failure.
        metrics: What the steps logged.
    """

    failure: str
    text: str
    metrics: dict[str, float] = field(default_factory=dict)


def in_engine(pipeline: Pipeline, given: Mapping[str, Any], folder: Path) -> Ran:
    """Run a pipeline with the embedded engine.

    Args:
        pipeline: Which one.
        given: Values of parameters, other than their defaults; there may be some that it does not have.
        folder: Where the run may write.
    """
    known = {parameter.name for parameter in pipeline.parameters}
    run = run_pipeline(
        RunRequest(pipeline, {name: value for name, value in given.items() if name in known}),
        runs_folder=folder / "runs",
        working_directory=folder,
        listener=lambda _: None,
        max_parallel=2,
    )
    for step in run.steps.values():
        if step.error is not None:
            failure = _failure(step.error.kale_code, step.error.type)
            return Ran(failure, f"step {step.name}: {step.error.traceback or step.error}")
    return Ran("", "".join(step.log for step in run.steps.values()), run.metrics)


def _failure(code: str, error: str) -> str:
    return f"refused late: {code}" if code == NOT_SERIALIZABLE else f"failed: {code or error}"


def in_forks(pipeline: Pipeline, given: Mapping[str, Any], folder: Path, seconds: int = TIMEOUT) -> Ran:
    """As `in_engine`, in forked processes, one step after the other; each leaves its result in its folder."""
    metadata: dict[tuple[str, str], dict[str, Any]] = {}
    printed, metrics = "", {}
    for step in pipeline.steps:
        place = folder / step.key
        place.mkdir()
        output, known, error, made = in_child(
            _perform, pipeline, step, given, folder, metadata, seconds=seconds
        )
        if error:
            failure = _failure(error["kale_code"], error["type"])
            return Ran(failure, f"step {step.name}: {error['traceback'] or error['message']}")
        metrics |= known.pop("metrics", {})
        (place / RESULT).write_text(json.dumps({"outputs": known, "fingerprints": made}), encoding="utf-8")
        metadata |= {(step.name, key): value for key, value in known.items()}
        printed += output
    return Ran("", printed, metrics)


def _perform(
    pipeline: Pipeline,
    step: Step,
    given: Mapping[str, Any],
    folder: Path,
    metadata: dict[tuple[str, str], dict[str, Any]],
) -> tuple[str, dict[str, Any], Any, dict[str, Any]]:
    os.environ["KALE_ERROR_FILE"] = str(folder / step.key / "error.json")
    fingerprints = folder / step.key / "fingerprints.json"
    os.environ["KALE_FINGERPRINTS_FILE"] = str(fingerprints)
    names = {"__name__": "kale_step", "Input": Direction, "Output": Direction, "compile": compiled}
    namespace: dict[str, Any] = {**names, **KINDS}
    exec(compile(render_program(step), f"<program of {step.name}>", "exec", dont_inherit=True), namespace)
    outputs: dict[str, Any] = {
        a.key: types.SimpleNamespace(path=str(folder / step.key / a.key), metadata={}) for a in step.outputs
    }
    if step.metrics:
        outputs["metrics"] = Metrics("metrics", "", {})
    inputs = {
        i.key: types.SimpleNamespace(
            path=str(folder / pipeline.step(i.step).key / i.output.key),
            metadata=metadata[i.step, i.output.key],
        )
        for i in step.inputs
    }
    parameters = {p.key: given.get(p.name, p.default) for p in step.parameters}
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            namespace[step.key](**parameters, **inputs, **outputs)
    except SystemExit:
        error = json.loads((folder / step.key / "error.json").read_text(encoding="utf-8"))
        return "", {}, error, {}
    known = {key: artifact.metadata for key, artifact in outputs.items()}
    return output.getvalue(), known, None, json.loads(fingerprints.read_text(encoding="utf-8"))
