"""What the process of a step runs: it calls the step's function the way KFP's executor would.

The engine lets a fresh interpreter execute this file's text, so it may use the standard library only and
nothing of kale_magics but the texts of `cache.file_access`, `cache.path_queries` and `step_runtime.fixed`.
It reads `arguments.json` and leaves `result.json`, or `error.json` if the step fails.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
import traceback
from typing import Any


class Artifact:
    """Stands in for KFP's class: a file and what is known about it."""

    def __init__(self, name: str, path: str, metadata: dict[str, Any]) -> None:
        self.name = name
        self.path = self.uri = path
        self.metadata = metadata


class Dataset(Artifact):
    """Stands in for KFP's class."""


class Model(Artifact):
    """Stands in for KFP's class."""


class Metrics(Artifact):
    """Stands in for KFP's class."""

    def log_metric(self, metric: str, value: float) -> None:
        """Note a number for the run."""
        self.metadata[metric] = value


class Direction:
    """Stands in for KFP's `Input` and `Output`, which only mark an annotation."""

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


FIXED, PATH_QUERIES = load("step_runtime/fixed.py"), load("cache/path_queries.py")
FILE_ACCESS = load(
    "cache/path_states.py",
    "cache/random_draws.py",
    "cache/preloaded.py",
    "cache/file_access.py",
    "cache/final_state.py",
)

compile_program = compile
"""What a program compiles the runtime with; the server has one that remembers."""

KINDS = {"Artifact": Artifact, "Dataset": Dataset, "Model": Model, "Metrics": Metrics}


def perform(task: dict[str, Any]) -> dict[str, Any]:
    """Call the step's function with its parameters and artifacts.

    Args:
        task: The content of `arguments.json`, as the engine wrote it.

    Returns:
        The metadata of every output, and the metrics, as they go into `result.json`.
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
    """What the step has left there of its variables; the file is taken away."""
    try:
        with open(path, encoding="utf-8") as file:
            told = FIXED["from_json"](file.read())
        os.remove(path)
    except (OSError, ValueError):  # nobody could write it: the step is right all the same
        return {}
    return told


def save(path: str, value: dict[str, Any]) -> None:
    """Write JSON so that a reader finds all of it or nothing."""
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        file.write(FIXED["to_json"](value))
    os.replace(f"{path}.part", path)


def main() -> None:
    """Do what the file named by the second argument says."""
    arguments = sys.argv[2]
    del sys.argv[1:]
    for namespace in (globals(), FILE_ACCESS):
        FIXED["fix_modules"](namespace)
    with open(arguments, encoding="utf-8") as file:
        task = FIXED["from_json"](file.read())
    # The step itself says there why it failed, and ends with SystemExit.
    os.environ["KALE_ERROR_FILE"] = task["error"]
    os.environ["KALE_FINGERPRINTS_FILE"] = f"{task['result']}.fingerprints"
    try:
        recorder = FILE_ACCESS["AccessRecorder"](
            task["uses"], task["ignored"], task["install_folders"], PATH_QUERIES["answer"]
        )
        recorder.start(task["named_paths"], PATH_QUERIES["install"])
        result = perform(task)
        recorder.finish(FILE_ACCESS["record_final_state"])
        result["fingerprints"] = take_fingerprints(f"{task['result']}.fingerprints")
        save(task["result"], result)
    except Exception as error:  # not the user's code: the program does not start, or its result is not kept
        told = {"type": type(error).__name__, "message": str(error), "traceback": traceback.format_exc()}
        save(task["error"], told)
        sys.exit(1)


if __name__ == "kale_launcher":
    main()
