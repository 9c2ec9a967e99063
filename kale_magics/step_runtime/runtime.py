"""`run_step`: the function that every step calls.

A step is a module `__main__` in which the notebook's code runs piece by piece, between inputs that are loaded
and outputs that are saved.
"""

from __future__ import annotations
import __future__

import ast
import contextlib
import errno
import io
import itertools
import linecache
import math
import os
import re
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any

from kale_magics.step_runtime.artifacts import load_artifact, save_artifact
from kale_magics.step_runtime.attempts import next_attempt
from kale_magics.step_runtime.display import Display, print_text
from kale_magics.step_runtime.figures import Figures
from kale_magics.step_runtime.fingerprint import (
    MAX_OTHER_VALUES,
    fingerprint_texts,
    join_texts,
    merge_texts,
    reached_names,
    shorten_texts,
)
from kale_magics.step_runtime.helpers import Helpers, bind_helpers
from kale_magics.step_runtime.parameters import decode_parameter
from kale_magics.step_runtime.pickling import Definitions, Reader, StepError, type_name
from kale_magics.step_runtime.pod import enter_pod, leave_pod, print_to, volume_path
from kale_magics.step_runtime.random_generators import GENERATORS, generator_state, set_generator_state
from kale_magics.step_runtime.report import Report, compile_with_value
from kale_magics.step_runtime.shell import Shell
from kale_magics.step_runtime.truncation import truncate
from kale_magics.step_runtime.unpatched import copy_modules, to_json

FUTURE_FLAGS = sum({getattr(__future__, name).compiler_flag for name in __future__.all_feature_names})
CO_COROUTINE = 0x80
"""`inspect.CO_COROUTINE`: in the flags of code with an `await` at its top level."""

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)

OWNERSHIP = re.compile(r"\bresize\b|\.base\b|\.flags\b|owndata", re.IGNORECASE)
"""Names in code that depends on whether an array owns its memory or views other memory."""

NO_INPUT = "input() does not work in a step: make it a parameter"


MAX_MESSAGE, MAX_TRACEBACK, MAX_LINE_SHOWN = 10_000, 20_000, 200
"""Characters that are reported of an exception, of its traceback, and of a line of code."""


def run_step(spec: dict[str, Any], arguments: dict[str, Any]) -> None:
    """Run a step.

    Args:
        spec: The step, in literals:
            "step": its name;
            "parameters": key of an argument: (variable, default, type);
            "inputs", "outputs": key of an argument: the variables;
            "metrics": the variables to log to the argument `metrics`;
            "setup", "cells": pieces of code (filename, source, {variable: identity of its definition});
            "late": the imports of the prelude that the step lacks, if there are any, as in `Helpers`;
            "submodules": submodules used as attributes of packages, if there are any;
            in a pod "pod": files for `enter_pod`, and "shared": where inputs and outputs are on the run's
            shared volume, by key; "report": whether a report is written to the argument `report`;
            "attempts": the limits for `next_attempt`, if the step may be tried again.
        arguments: The arguments of the step's function: values of parameters, and artifacts of KFP (or
            objects like them) with `path`, `metadata` and, for metrics, `log_metric`.

    Raises:
        SystemExit: The step failed; stderr, and the file that `KALE_ERROR_FILE` names, have the reason.
    """
    copy_modules(globals())
    run = StepRun(spec)
    in_pod = "pod" in spec
    report: Callable[[dict[str, Any]], None] = leave_pod
    try:
        if in_pod:
            enter_pod(spec["pod"])
        if "attempts" in spec:
            report = next_attempt(spec["step"], spec["attempts"], run.output_paths(arguments))
        run.perform(arguments)
    except BaseException as error:  # sys.exit() and an interrupt end the step as well
        captured = run.shell.end_capture()
        if captured is not None:
            captured.show()
        failure = report_failure(error, spec["step"], run.filenames)
        if in_pod:
            report({"step": spec["step"], "error": failure})
        raise SystemExit(1) from None
    finally:
        run.figures.undo.close()
    if in_pod:
        report(run.result(arguments))


class StepRun:
    """A step that runs.

    Args:
        spec: As in `run_step`.

    Attributes:
        filenames: For the file names in tracebacks: what the user calls them.
        namespace: The variables.
        shell: The result of `get_ipython()`.
        metrics: The logged metrics.
        fingerprints: The fingerprints of its variables after its cells ran, as one text.
        page: The report; None if it is not requested.
        figures: The report, or the object that closes figures without one.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.filenames: dict[str, str] = {}
        self.metrics: dict[str, float] = {}
        self.fingerprints = "{}"
        self.shared: dict[str, str] = spec.get("shared", {})
        self.definitions = Definitions()
        self.module = types.ModuleType("__main__")
        # The process's own module must stay alive: its functions are still running.
        self.previous = sys.modules["__main__"]
        self.namespace = vars(self.module)
        shell = self.shell = Shell(self.namespace)
        submodules, closes = spec.get("submodules", ()), os.environ.get("KALE_FIGURES") != "stay"
        self.page = Report(shell, submodules) if spec.get("report") else None
        self.figures = self.page or Figures(Display(print_text), closes, submodules)
        # A module, as in every `__main__`, and not its dict.
        self.namespace.update(
            get_ipython=lambda: shell,
            display=self.figures.display_function,
            __builtins__=sys.modules["builtins"],
        )

    def result(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what a step in a pod reports when it has succeeded."""
        outputs = self.spec["outputs"]
        places = {key: uri for key in outputs if (uri := getattr(arguments[key], "uri", ""))}
        result = {"step": self.spec["step"], "metrics": self.metrics, "artifacts": places}
        return {**result, "fingerprints": shorten_texts(self.fingerprints)}

    def output_paths(self, arguments: dict[str, Any]) -> list[str]:
        """Return the files that the step writes, also those that `save_artifact` renames."""
        paths = [self.path_of(key, arguments) for key in self.spec["outputs"]]
        report = [arguments["report"].path] if self.page is not None else []
        return [*paths, *(f"{path}.part" for path in paths), *report]

    def perform(self, arguments: dict[str, Any]) -> None:
        """Bind parameters, execute the code, save the outputs.

        Raises:
            BaseException: Raised by the user's code.
            StepError: An error that is reported without a traceback.
        """
        sys.modules["__main__"] = self.module
        prepare_process()
        self.figures.open()
        for key, (name, default, kind) in self.spec["parameters"].items():
            self.namespace[name] = self.parameter(name, arguments[key], default, kind)
        pieces = list(self.compile(self.spec["setup"] + self.spec["cells"]))
        awaits = any(code.co_flags & CO_COROUTINE for _, code, *_ in pieces)
        ended = run_coroutine(self.execute(pieces, arguments), awaits)
        if ended is not None:
            raise ended
        # An unchanged input may be linked as an output.
        received = {
            tuple(names): (self.path_of(key, arguments), arguments[key].metadata)
            for key, names in self.spec["inputs"].items()
            if "sha256" in arguments[key].metadata
        }
        saved: dict[str, Any] = {}
        for key, names in self.spec["outputs"].items():
            values = {name: self.namespace[name] for name in names if name in self.namespace}
            values.update((name, generator_state(name)) for name in names if name in GENERATORS)
            source, metadata = received.get(tuple(names), ("", {}))
            existing = (source, metadata["sha256"], metadata.get("fingerprints", "")) if source else None
            helpers = Helpers(self.namespace, self.everywhere(), self.spec.get("late"))
            path = self.path_of(key, arguments)
            manifest = save_artifact(path, values, self.namespace, self.definitions, existing, helpers)
            arguments[key].metadata.update(manifest)
            saved.update(dict.fromkeys(values, manifest["fingerprints"]))
        self.save_fingerprints(saved)
        for name in self.spec["metrics"]:
            self.log_metric(name, arguments["metrics"])
        if self.page is not None:
            self.page.write(arguments["report"].path, self.spec["step"])

    def parameter(self, name: str, value: Any, default: Any, kind: str) -> Any:
        """Return the value of a parameter, decoded in a pod.

        Raises:
            StepError: Its type does not accept it.
        """
        if "pod" not in self.spec:
            return value
        try:
            return decode_parameter(value, default, kind)
        except ValueError as error:
            fix = "start the run again with another value"
            raise StepError(f"parameter {name} is {kind}, not {value!r}", "KALE108", fix) from error

    def save_fingerprints(self, known: dict[str, str]) -> None:
        """Save the fingerprints of the step's variables, outputs or not, that its cells bind or change.

        Args:
            known: By name, the text that has a variable's fingerprint already.
        """
        names = reached_names((source for _, source, _ in self.spec["cells"]), self.namespace)
        others = {name: self.namespace[name] for name in names if name not in known}
        others.update((name, self.namespace[name]) for name in self.spec["metrics"] if name in self.namespace)
        rest = join_texts(fingerprint_texts(others, MAX_OTHER_VALUES))
        self.fingerprints = merge_texts([*dict.fromkeys(known.values()), rest])
        place = os.environ.get("KALE_FINGERPRINTS_FILE")
        with contextlib.suppress(OSError):  # the run is right, but is not checked
            if place:
                with open(place, "w", encoding="utf-8") as file:
                    file.write(self.fingerprints)

    def compile(self, pieces: list[Any]) -> Iterator[Any]:
        """Compile pieces of code; a `from __future__` import applies to all that follow, as in a notebook.

        Yields:
            The piece's file name, its code, its definitions, each with whether it is a function without
            decorators, and the parts in which the code is executed.
        """
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        for number, (filename, source, defines) in enumerate(pieces):
            shown = f"<{filename}>"
            self.filenames[shown] = filename
            cache_source(shown, source)
            tree = compile(source, shown, "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True)
            plain = {n.name for n in tree.body if isinstance(n, FUNCTION) and not n.decorator_list}
            code = compile(tree, shown, "exec", flags, dont_inherit=True)
            flags |= code.co_flags & FUTURE_FLAGS
            shows = self.page is not None and number >= len(self.spec["setup"])
            known = {name: (identity, name in plain) for name, identity in defines.items()}
            yield (
                filename,
                code,
                known,
                (compile_with_value(source, shown, flags) if shows else ()) or (code,),
            )

    async def execute(self, pieces: list[Any], arguments: dict[str, Any]) -> StopIteration | None:
        """Execute the setup, load the inputs, execute the cells.

        Returns:
            A `StopIteration`, which a coroutine must not raise.
        """
        try:
            for number, (filename, _, defines, parts) in enumerate(pieces):
                if number == len(self.spec["setup"]):
                    self.load_inputs(arguments)
                in_cell = number >= len(self.spec["setup"])
                if in_cell:
                    self.figures.begin(filename)
                for part in parts:
                    value = eval(part, self.namespace)  # noqa: S307 - the notebook's own code
                    if part.co_flags & CO_COROUTINE:
                        value = await value
                if in_cell:
                    self.figures.end(value)
                del value  # the user's code decides how long it lives
                for name in defines.keys() & self.namespace.keys():
                    identity, plain = defines[name]
                    if not plain or is_defined_in(parts, self.namespace[name]):
                        self.definitions.add(identity, self.namespace[name])
        except StopIteration as error:
            return error
        return None

    def load_inputs(self, arguments: dict[str, Any]) -> None:
        """Bind the inputs; a variable without a value upstream has none here."""
        helpers: dict[str, Any] = {}
        pieces = [*self.spec["setup"], *self.spec["cells"]]
        owns = any(OWNERSHIP.search(source) for _, source, _ in pieces)
        for key, names in self.spec["inputs"].items():
            try:
                path = self.path_of(key, arguments)
                resolve = self.definitions.resolve
                values = load_artifact(path, self.namespace, resolve, owns, helpers)
            except StepError:
                raise
            except Exception as error:  # loading runs code of the values' libraries
                reason = f"{type(error).__name__}: {error}"
                raise StepError(f"{', '.join(names)} cannot be loaded: {reason}") from error
            for name in names:
                if name in GENERATORS:
                    set_generator_state(name, values[name])
                elif name in values:
                    self.namespace[name] = values[name]
        modules = {name: given for name, given in self.spec.get("late", {}).items() if not given[1]}
        self.bind_helpers({**modules, **helpers})

    def bind_helpers(self, helpers: dict[str, Any]) -> None:
        """Bind globals of functions among the inputs that are missing here.

        Raises:
            StepError: A builtin would be used in place of one.
        """

        def load(pickled: bytes) -> Any:
            return Reader(io.BytesIO(pickled), None, self.namespace, self.definitions.resolve).load()

        missing = bind_helpers(helpers, self.namespace, load)
        if missing:
            message = f"a function among this step's inputs calls {missing[0]}, which cannot be serialized"
            raise StepError(f"{message}; the builtin of that name is a different one", "KALE208")

    def everywhere(self) -> list[str]:
        """Return the names of definitions that every step has."""
        prelude = (defines for name, _, defines in self.spec["setup"] if name.startswith("functions, "))
        return [name for defines in prelude for name in defines]

    def path_of(self, key: str, arguments: dict[str, Any]) -> str:
        """Return the file of an input or an output."""
        path: str = arguments[key].path
        if key in self.shared:
            return volume_path(self.shared[key], arguments["kale_workspace"], path)
        return path

    def log_metric(self, name: str, metrics: Any) -> None:
        """Log the value of a variable as a number."""
        if name not in self.namespace:
            message = f"the metric {name} has no value at the end of the step"
            raise StepError(message, "KALE206", f"assign {name} on every path through the step")
        value = self.namespace[name]
        try:
            number = value if type(value) in (int, float) else float(value)
        except (TypeError, ValueError) as error:
            message = f"the metric {name} is a {type_name(value)}, not a number"
            raise StepError(message, "KALE207", "list a variable that is an int or a float") from error
        if math.isfinite(number):
            metrics.log_metric(name, number)
            self.metrics[name] = number
        else:
            reason = "it is not logged, because KFP accepts only finite numbers"
            print(f"the metric {name} is {number}: {reason}", file=sys.stderr)


class NoInput(io.TextIOBase):
    """The stdin of a step: `input()` fails with a reason instead of an end of file."""

    def read(self, *_: Any) -> Any:
        """Reject the call."""
        raise EOFError(NO_INPUT)

    def readline(self, *_: Any) -> Any:
        """Reject the call."""
        raise EOFError(NO_INPUT)


def prepare_process() -> None:
    """Set up the process like a kernel: output is line-buffered, figures need no screen."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    sys.stdin = NoInput()
    if "inline" in os.environ.get("MPLBACKEND", "inline"):
        os.environ["MPLBACKEND"] = "Agg"


def is_defined_in(parts: tuple[types.CodeType, ...], value: Any) -> bool:
    """Whether a function was created by a `def` of that code, and not replaced later."""
    made = [constant for part in parts for constant in part.co_consts if type(constant) is types.CodeType]
    return type(value) is types.FunctionType and any(value.__code__ is code for code in made)


def cache_source(filename: str, source: str) -> None:
    """Let tracebacks show the lines; pieces of one cell keep their line numbers."""
    pairs = itertools.zip_longest(linecache.getlines(filename), source.splitlines(True), fillvalue="\n")
    lines = [new if new.strip() else old for old, new in pairs]
    # Without a modification time, `linecache.checkcache` keeps it.
    linecache.cache[filename] = (len(source), None, lines, filename)


def run_coroutine(work: Any, with_loop: bool) -> Any:
    """Run a coroutine: in one event loop, as in a kernel, or without asyncio if nothing in it awaits."""
    if with_loop:
        import asyncio

        return asyncio.run(work)
    try:
        work.send(None)
    except StopIteration as end:
        return end.value


def report_failure(error: BaseException, step: str, filenames: dict[str, str]) -> dict[str, Any]:
    """Report why a step failed, to the file in `KALE_ERROR_FILE` or else to stderr; return the report."""
    failure = describe_error(error, filenames)
    try:
        if os.environ.get("KALE_ERROR_FILE"):
            save_json(os.environ["KALE_ERROR_FILE"], failure)
            return failure
    except OSError as unwritten:
        print_to(2, f"step {step}: its error cannot be written: {unwritten}\n")
    if not failure["traceback"] or isinstance(error, SystemExit):
        fix = f"  fix: {failure['fix']}\n" if failure["fix"] else ""
        failure["traceback"] += f"step {step}: {failure['message']}\n{fix}"
    print_to(2, failure["traceback"])
    return failure


def save_json(path: str, failure: dict[str, Any]) -> None:
    """Write JSON so that a reader finds all of it or nothing."""
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write(to_json(failure))
    os.replace(path + ".part", path)


def describe_error(error: BaseException, filenames: dict[str, str]) -> dict[str, Any]:
    """Describe an error, with the frames of the user's code.

    Args:
        error: The exception that ended the step.
        filenames: For the file names in tracebacks: what the user calls them.

    Returns:
        "kale_code": the code of a `StepError`, "" if the user's code raised; "fix", for a `StepError`;
        "type"; "message"; "traceback", "" for a `StepError`; and the innermost place in a cell: "cell" (""
        if there is none), "line" and "code".
    """
    trace = traceback.TracebackException.from_exception(error)
    trim_traceback(trace, filenames)
    places = [(f.filename, f.lineno, f.line) for f in trace.stack if f.filename in filenames]
    if isinstance(error, SyntaxError) and error.filename in filenames:
        places.append((error.filename, error.lineno, error.text))
    filename, line, code = places[-1] if places else ("", None, "")
    without_traceback = isinstance(error, StepError)
    return {
        "kale_code": error.code if isinstance(error, StepError) else "",
        "type": type(error).__name__,
        "message": truncate(message_of(error), MAX_MESSAGE),
        "fix": error.fix if isinstance(error, StepError) else "",
        "traceback": "" if without_traceback else truncate("".join(trace.format()), MAX_TRACEBACK),
        "cell": filenames.get(filename, ""),
        "line": line,
        "code": truncate((code or "").strip(), MAX_LINE_SHOWN),
    }


def trim_traceback(trace: traceback.TracebackException, filenames: dict[str, str]) -> None:
    """Remove the runtime's frames, and those above the user's first one, from a traceback and its chain.

    Without a frame of the user, the runtime may be at fault, and all frames are kept.
    """
    ours = trim_traceback.__code__.co_filename
    left, seen = [trace], {id(trace)}
    while left:
        trace = left.pop()
        files = [frame.filename for frame in trace.stack]
        first = next((i for i, file in enumerate(files) if file in filenames), None)
        if first is not None:
            trace.stack[:] = [frame for frame in trace.stack[first:] if frame.filename != ours]
        elif getattr(trace, "filename", None) in filenames:  # a cell that is not Python: it never ran
            trace.stack.clear()
        for other in (trace.__cause__, trace.__context__, *(getattr(trace, "exceptions", None) or ())):
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                left.append(other)


def message_of(error: BaseException) -> str:
    """Return the message of an exception."""
    if isinstance(error, SystemExit):
        code = "" if error.code is None else repr(error.code)
        return f"sys.exit({code}) ends a step as a failure, as it stops a notebook"
    try:
        text = str(error)
    except Exception as broken:  # a user's own __str__ may raise anything
        return f"(its message cannot be shown: {type(broken).__name__})"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: {text}"
    return text
