"""What the process of a step runs: it calls the step's function the way KFP's executor would.

The engine lets a fresh interpreter execute this file's text, so it may use the standard library only and
nothing of kale_magics. It reads `arguments.json` and leaves `result.json` or `error.json` beside it.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
from collections.abc import Collection
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
    sys.path.insert(0, "")
    exec(program, namespace)
    namespace[task["function"]](**task["parameters"], **artifacts)
    results = {key: artifacts[key].metadata for key in task["outputs"]}
    return {"metrics": results.pop("metrics", {}), "outputs": results}


def describe(error: BaseException, sources: Collection[str], ours: Collection[str]) -> dict[str, Any]:
    """Say what went wrong, with the frames that the user knows.

    Args:
        error: What the step raised.
        sources: The file names that the user's cells have in tracebacks.
        ours: The file names of frames that are none of the user's business.

    Returns:
        type, message, traceback, and the innermost place in a cell: source (its file name, "" if there is
        none), line (None if there is none), code.
    """
    report = traceback.TracebackException.from_exception(error)
    trim(report, sources, ours)
    places: list[tuple[str, int | None, str | None]] = [
        (f.filename, f.lineno, f.line) for f in report.stack if f.filename in sources
    ]
    if isinstance(error, SyntaxError) and error.filename and error.filename in sources:
        places.append((error.filename, error.lineno, error.text))
    source, line, code = places[-1] if places else ("", None, "")
    return {
        "type": type(error).__name__,
        "message": sentence(error),
        "traceback": "".join(report.format()),
        "source": source,
        "line": line,
        "code": (code or "").strip(),
    }


def trim(report: traceback.TracebackException, sources: Collection[str], ours: Collection[str]) -> None:
    """Drop from a traceback, and from those chained to it, our frames and what leads to the user's first."""
    files = [frame.filename for frame in report.stack]
    first = next((i for i, file in enumerate(files) if file in sources), None)
    if first is not None:
        report.stack[:] = [f for f in report.stack[first:] if f.filename not in ours]
    elif any(file in ours for file in files):
        report.stack.clear()
    linked = (report.__cause__, report.__context__, *(getattr(report, "exceptions", None) or ()))
    for other in linked:
        if other is not None:
            trim(other, sources, ours)


def sentence(error: BaseException) -> str:
    """What an exception says."""
    if isinstance(error, SystemExit):
        return f"the step called sys.exit({'' if error.code is None else repr(error.code)})"
    try:
        text = str(error)
    except Exception as broken:  # a user's own __str__ may raise anything
        return f"<its message cannot be shown: {type(broken).__name__}>"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: {text}"
    return text


def save(path: str, value: dict[str, Any]) -> None:
    """Write JSON so that a reader finds all of it or nothing."""
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
    os.replace(f"{path}.part", path)


def main() -> None:
    """Do what the file named by the second argument says."""
    launcher, arguments = sys.argv[1:3]
    del sys.argv[1:]
    with open(arguments, encoding="utf-8") as file:
        task = json.load(file)
    try:
        save(task["result"], perform(task))
    except BaseException as error:  # whatever ends the step, sys.exit included, is told to the engine
        save(task["error"], describe(error, task["sources"], (launcher, task["program"])))
        sys.exit(1)


if __name__ == "kale_launcher":
    main()
