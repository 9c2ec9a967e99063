"""`run_step`: what the function of every step calls.

A step is a module `__main__` in which the notebook's code runs piece by piece, between inputs that are read
and outputs that are written.
"""

from __future__ import annotations

import __future__

import ast
import itertools
import json
import linecache
import math
import os
import sys
import traceback
import types
from collections.abc import Iterator
from typing import Any

from kale_magics.step_runtime.artifacts import load_artifact, save_artifact
from kale_magics.step_runtime.pickling import Definitions, StepError, type_name
from kale_magics.step_runtime.shell import Shell

FUTURE_FLAGS = sum({getattr(__future__, name).compiler_flag for name in __future__.all_feature_names})
CO_COROUTINE = 0x80
"""`inspect.CO_COROUTINE`: in the flags of code with an `await` at its top level."""

MISSING = object()


def run_step(spec: dict[str, Any], arguments: dict[str, Any]) -> None:
    """Run a step.

    Args:
        spec: What the step is, in literals:
            "step": its name;
            "parameters": key of an argument: (variable, default, type);
            "inputs", "outputs": key of an argument: the variables;
            "metrics": the variables to log to the argument `metrics`;
            "setup", "cells": pieces of code (filename, source, {variable: identity of its definition}).
        arguments: What the step's function got: values of parameters, and artifacts of KFP (or stand-ins)
            with `path`, `metadata` and, for metrics, `log_metric`.

    Raises:
        SystemExit: The step failed; stderr, and the file that `KALE_ERROR_FILE` names, say why.
    """
    run = StepRun(spec)
    try:
        run.perform(arguments)
    except BaseException as error:  # sys.exit() and an interrupt end the step as well
        report(error, spec["step"], run.filenames)
        raise SystemExit(1) from None


class StepRun:
    """A step that runs.

    Args:
        spec: As in `run_step`.

    Attributes:
        filenames: What the code is called in tracebacks, and what the user calls it.
        namespace: The variables.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.filenames: dict[str, str] = {}
        self.definitions = Definitions()
        self.module = types.ModuleType("__main__")
        # What the process had there must live on: its functions are still running.
        self.previous = sys.modules["__main__"]
        self.namespace = vars(self.module)
        shell = Shell(self.namespace)
        self.namespace.update(get_ipython=lambda: shell, display=lambda *objs, **_: print(*objs, sep="\n"))

    def perform(self, arguments: dict[str, Any]) -> None:
        """Bind, execute, hand on.

        Raises:
            BaseException: What the user's code raised.
            StepError: Something that is told without a traceback.
        """
        sys.modules["__main__"] = self.module
        prepare_process()
        for key, (name, default, kind) in self.spec["parameters"].items():
            self.namespace[name] = restore(arguments[key], default, kind)
        pieces = list(self.compile(self.spec["setup"] + self.spec["cells"]))
        ended = drive(self.execute(pieces, arguments), any(code.co_flags & CO_COROUTINE for code, _ in pieces))
        if ended is not None:
            raise ended
        for key, names in self.spec["outputs"].items():
            values = {name: self.namespace[name] for name in names if name in self.namespace}
            manifest = save_artifact(arguments[key].path, values, self.namespace, self.definitions)
            arguments[key].metadata.update(manifest)
        for name in self.spec["metrics"]:
            self.log_metric(name, arguments["metrics"])

    def compile(self, pieces: list[Any]) -> Iterator[tuple[types.CodeType, dict[str, str]]]:
        """Compile pieces of code; a `from __future__` import holds for all that follow, as in a notebook."""
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        for filename, source, defines in pieces:
            shown = f"<{filename}>"
            self.filenames[shown] = filename
            remember_source(shown, source)
            code = compile(source, shown, "exec", flags, dont_inherit=True)
            flags |= code.co_flags & FUTURE_FLAGS
            yield code, defines

    async def execute(self, pieces: list[Any], arguments: dict[str, Any]) -> StopIteration | None:
        """Execute the setup, read the inputs, execute the cells.

        Returns:
            The exception that a coroutine must not raise.
        """
        start_of_cells = len(self.spec["setup"])
        try:
            for code, defines in pieces[:start_of_cells] + [(None, {})] + pieces[start_of_cells:]:
                if code is None:
                    self.load_inputs(arguments)
                    continue
                awaitable = eval(code, self.namespace)  # noqa: S307
                if awaitable is not None:
                    await awaitable
                for name in defines.keys() & self.namespace.keys():
                    self.definitions.add(defines[name], self.namespace[name])
        except StopIteration as error:
            return error
        return None

    def load_inputs(self, arguments: dict[str, Any]) -> None:
        """Bind the variables that other steps made; one that had no value there has none here."""
        for key, names in self.spec["inputs"].items():
            try:
                values = load_artifact(arguments[key].path, self.namespace, self.definitions.resolve)
            except StepError:
                raise
            except Exception as error:  # loading runs code of the libraries that the values come from
                reason = f"{type(error).__name__}: {error}"
                raise StepError(f"{', '.join(names)} cannot be loaded: {reason}") from error
            self.namespace.update((name, values[name]) for name in names if name in values)

    def log_metric(self, name: str, metrics: Any) -> None:
        """Log the value of a variable, a number or what can be made one."""
        if name not in self.namespace:
            raise StepError(f"the metric {name} has no value at the end of the step", "KALE206")
        value = self.namespace[name]
        try:
            number = value if type(value) in (int, float) else float(value)
        except (TypeError, ValueError) as error:
            raise StepError(f"the metric {name} is no number but a {type_name(value)}", "KALE207") from error
        if math.isfinite(number):
            metrics.log_metric(name, number)
        else:
            print(f"the metric {name} is {number}: it is not logged, KFP takes finite numbers", file=sys.stderr)


def prepare_process() -> None:
    """Make the process as much like a kernel as a step needs: lines come at once, figures need no screen."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    if "inline" in os.environ.get("MPLBACKEND", "inline"):
        os.environ["MPLBACKEND"] = "Agg"


def remember_source(filename: str, source: str) -> None:
    """Let tracebacks show the lines; pieces of one cell have their own lines each."""
    known = linecache.cache.get(filename, (0, None, []))[2]
    pairs = itertools.zip_longest(known, source.splitlines(True), fillvalue="\n")
    lines = [new if new.strip() else old for old, new in pairs]
    # Without a time of change, `linecache.checkcache` keeps it.
    linecache.cache[filename] = (len(source), None, lines, filename)


def drive(work: Any, with_loop: bool) -> Any:
    """Run a coroutine: in one event loop, as in a kernel, or without asyncio if nothing in it awaits."""
    if with_loop:
        import asyncio

        return asyncio.run(work)
    try:
        work.send(None)
    except StopIteration as end:
        return end.value


def restore(value: Any, default: Any, kind: str) -> Any:
    """Give a parameter's value the types that it had before KFP took it for JSON.

    KFP keeps numbers as doubles: in a list, 1 arrives as 1.0, and 2**53 + 1 as 2**53 anywhere.

    Args:
        value: What arrived.
        default: The value in the notebook.
        kind: The type in the notebook.

    Returns:
        The default itself where that is what arrived, else the value; a whole number is an int where the
        default has no float.
    """
    if value is None:  # KFP hands over nothing where it cannot hold the default
        return default
    if kind == "float" and type(value) is int:
        return float(value)
    if kind in ("int", "list", "dict"):
        return revive(value, default, has_float(default))
    return value


def revive(value: Any, default: Any, floats: bool) -> Any:
    """As `restore`; `floats` says what numbers are where the default has none in their place."""
    if isinstance(value, list):
        known = default if isinstance(default, list) else []
        places = itertools.chain(known, itertools.repeat(MISSING))
        return [revive(item, place, floats) for item, place in zip(value, places)]  # noqa: B905
    if isinstance(value, dict):
        known = default if isinstance(default, dict) else {}
        return {key: revive(item, known.get(key, MISSING), floats) for key, item in value.items()}
    if type(value) not in (int, float):
        return value
    if type(default) in (int, float):
        floats = type(default) is float
        if 2**53 < abs(default) < 2**1023 and not floats and value == float(default):
            return default
    if floats:
        return float(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def has_float(value: Any) -> bool:
    """Whether there is a float in a value of JSON."""
    if isinstance(value, (list, dict)):
        return any(map(has_float, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float)


def report(error: BaseException, step: str, filenames: dict[str, str]) -> None:
    """Say why a step failed, with the frames from the user's code on."""
    frames = list(walk(error.__traceback__))
    user = [frame for frame in frames if frame.tb_frame.f_code.co_filename in filenames]
    told = isinstance(error, StepError)
    # Frames of the runtime alone are shown only where the runtime is at fault.
    shown = user[0] if user else None if told or isinstance(error, SyntaxError) else error.__traceback__
    text = "" if told else "".join(traceback.format_exception(type(error), error, shown))
    cell, line = "", None
    if user:
        cell, line = user[-1].tb_frame.f_code.co_filename, user[-1].tb_lineno
    elif isinstance(error, SyntaxError):
        cell, line = error.filename or "", error.lineno
    sentence = message(error)
    sys.stdout.flush()
    print(text or f"step {step}: {sentence}", file=sys.stderr, flush=True)
    if isinstance(error, SystemExit):
        print(f"step {step}: {sentence}", file=sys.stderr, flush=True)
    if os.environ.get("KALE_ERROR_FILE"):
        answer = {
            "code": getattr(error, "code", "") if told else "KALE301",
            "type": type(error).__name__,
            "message": sentence,
            "traceback": text,
            "cell": filenames.get(cell, ""),
            "line": line,
            "text": linecache.getline(cell, line or 0).strip(),
        }
        with open(os.environ["KALE_ERROR_FILE"], "w", encoding="utf-8") as file:
            json.dump(answer, file)


def walk(frame: types.TracebackType | None) -> Iterator[types.TracebackType]:
    """The frames of a traceback, the outermost first."""
    while frame is not None:
        yield frame
        frame = frame.tb_next


def message(error: BaseException) -> str:
    """What an exception says."""
    if isinstance(error, SystemExit):
        return f"sys.exit({error.code!r}) ends a step as it stops a notebook: as a failure"
    try:
        return str(error)
    except Exception:  # a user's own __str__ may raise anything
        return "(its message cannot be shown)"
