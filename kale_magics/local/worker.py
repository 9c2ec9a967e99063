"""What the process of a step runs: it calls the step's function as KFP's executor does.

A fresh interpreter, or a process that the fork server has forked, executes this file's text. So it imports
the standard library only, and executes the modules of this package that it needs (`load`). It reads
`arguments.json` and writes `result.json`, or `error.json` if the step fails.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
import traceback
from typing import Any


class Artifact:
    """Replaces KFP's class: a file and its metadata."""

    def __init__(self, name: str, path: str, metadata: dict[str, Any]) -> None:
        self.name = name
        self.path = self.uri = path
        self.metadata = metadata


class Dataset(Artifact):
    """Replaces KFP's class."""


class Model(Artifact):
    """Replaces KFP's class."""


class Metrics(Artifact):
    """Replaces KFP's class."""

    def log_metric(self, metric: str, value: float) -> None:
        """Log a number for the run."""
        self.metadata[metric] = value


class Direction:
    """Replaces KFP's `Input` and `Output`, which only mark an annotation."""

    def __class_getitem__(cls, item: object) -> object:
        return item


def load(*names: str) -> dict[str, Any]:
    """Execute modules of the package in one namespace, where they find what they import from each other."""
    package = os.path.join(os.path.dirname(load.__code__.co_filename), os.pardir)
    # The step's code may replace builtins; these modules keep the originals.
    namespace: dict[str, Any] = {"__name__": "kale_step_module", "__builtins__": {**vars(builtins)}}
    for name in names:
        path = os.path.join(package, name)
        with open(path, encoding="utf-8") as file:
            module = ast.parse(file.read(), path)
        module.body = [statement for statement in module.body if not is_own_import(statement)]
        exec(compile(module, path, "exec"), namespace)
    return namespace


def is_own_import(statement: ast.stmt) -> bool:
    """Whether a statement imports from this package."""
    return isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith("kale_magics")


UNPATCHED, PATH_QUERIES = load("step_runtime/unpatched.py"), load("cache/path_queries.py")
FILE_ACCESS = load(
    "cache/path_states.py",
    "cache/random_draws.py",
    "cache/preloaded.py",
    "cache/file_access.py",
    "cache/final_state.py",
)

compile_program = compile
"""Compiles the runtime for a program; the fork server replaces it by a function that compiles it once."""

KINDS = {"Artifact": Artifact, "Dataset": Dataset, "Model": Model, "Metrics": Metrics}


def call_step(task: dict[str, Any]) -> dict[str, Any]:
    """Call the step's function with its parameters and artifacts.

    Args:
        task: The content of `arguments.json`.

    Returns:
        The metadata of every output, and the metrics, for `result.json`.
    """
    artifacts = {
        key: KINDS[a["kind"]](key, a["path"], a["metadata"])
        for key, a in {**task["inputs"], **task["outputs"]}.items()
    }
    with open(task["program"], encoding="utf-8") as file:
        program = compile(file.read(), task["program"], "exec")
    namespace: dict[str, Any] = {"__name__": "kale_step", "Input": Direction, "Output": Direction, **KINDS}
    namespace["compile"] = compile_program
    sys.path.insert(0, "")
    exec(program, namespace)
    namespace[task["function"]](**task["parameters"], **artifacts)
    results = {key: artifacts[key].metadata for key in task["outputs"]}
    return {"metrics": results.pop("metrics", {}), "outputs": results}


def take_fingerprints(path: str) -> Any:
    """Read the fingerprints of the step's variables, and delete their file."""
    try:
        with open(path, encoding="utf-8") as file:
            fingerprints = UNPATCHED["from_json"](file.read())
        os.remove(path)
    except (OSError, ValueError):  # they could not be written: the step has succeeded all the same
        return {}
    return fingerprints


def save(path: str, value: dict[str, Any]) -> None:
    """Write JSON so that a reader finds all of it or nothing."""
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        file.write(UNPATCHED["to_json"](value))
    os.replace(f"{path}.part", path)


def main() -> None:
    """Run the step of the file that the second argument names."""
    arguments = sys.argv[2]
    del sys.argv[1:]
    for namespace in (globals(), FILE_ACCESS):
        UNPATCHED["copy_modules"](namespace)
    with open(arguments, encoding="utf-8") as file:
        task = UNPATCHED["from_json"](file.read())
    # The step itself writes there why it failed, and raises SystemExit.
    os.environ["KALE_ERROR_FILE"] = task["error"]
    os.environ["KALE_FINGERPRINTS_FILE"] = f"{task['result']}.fingerprints"
    try:
        recorder = FILE_ACCESS["AccessRecorder"](
            task["uses"], task["ignored"], task["install_folders"], PATH_QUERIES["answer"]
        )
        recorder.start(task["named_paths"], PATH_QUERIES["install"])
        result = call_step(task)
        recorder.finish(FILE_ACCESS["record_final_state"])
        result["fingerprints"] = take_fingerprints(f"{task['result']}.fingerprints")
        save(task["result"], result)
    except Exception as error:  # not of the user's code: the program cannot start, or no result be written
        failure = {"type": type(error).__name__, "message": str(error), "traceback": traceback.format_exc()}
        save(task["error"], failure)
        sys.exit(1)


if __name__ == "kale_worker":
    main()
