"""Warnings for what steps use that pods do not have: local files, and environment variables."""

from __future__ import annotations

import ast
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kale_magics.analysis.files import FileReader
from kale_magics.analysis.packages import files_of, source_of
from kale_magics.analysis.paths import is_exact
from kale_magics.analysis.uses import Uses, uses_of
from kale_magics.model.code_facts import looks_like_file
from kale_magics.model.diagnostics import Code, Diagnostic, Where
from kale_magics.model.pipeline import Pipeline, Step
from kale_magics.session.registry import Cell
from kale_magics.syntax.arguments import quoted

POD_FOLDERS = ("/dev", "/proc", "/sys", "/tmp", "/etc", "/usr", "/bin")  # noqa: S108 - those of a pod, not of this machine
"""Folders of every container."""

SYSTEM_VARIABLES = frozenset("HOME HOSTNAME LANG LOGNAME PATH PWD SHELL TERM TMPDIR USER".split())
"""Environment variables that every system sets to values of its own."""

MAX_SHIPPED = 60_000
"""Bytes of a file up to which `--file` is suggested: there must be room for the code too."""


def portability_warnings(pipeline: Pipeline, folder: Path) -> list[Diagnostic]:
    """Return warnings for what steps use that their pods do not have.

    Args:
        pipeline: The pipeline.
        folder: The notebook's folder.
    """
    return [*_file_warnings(pipeline, folder), *_variable_warnings(pipeline)]


def _file_warnings(pipeline: Pipeline, folder: Path) -> list[Diagnostic]:
    """Return warnings for files that a step's code names and its pod does not have."""
    writers: dict[str, list[str]] = {}
    for step in pipeline.steps:
        for text in _written_paths(step):
            writers.setdefault(text, []).append(step.name)
    found = []
    for step in pipeline.steps:
        for text in _named_paths(step):
            others = writers.get(text, [])
            if step.name in others or _is_in_pod(text, step):
                continue
            if others:
                message = f"step {step.name} uses {text!r}, which is only in the pod of step {others[0]}"
                fix = "pass its content as a variable, or put it on a volume (--pvc NAME:/folder)"
            elif _exists(folder / text):
                message = f"step {step.name} uses {text!r}, which is only on this machine"
                fix = _file_fix(text, folder / text, step)
            else:
                continue
            where = Where(step=step.name)
            found.append(Diagnostic(Code.LOCAL_FILE, message, fix, where, "warning"))
    return found


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # the text is too long for a path
        return False


def _written_paths(step: Step) -> set[str]:
    """Return the paths that a step's code writes to, if they are constants."""
    reader = FileReader({})
    uses = (use for code in (*step.setup, *step.cells) for use in reader.read(ast.parse(code.source)))
    return {use.pattern for use in uses if use.writes and is_exact(use.pattern)}


def _named_paths(step: Step) -> Iterator[str]:
    """Yield the texts in the code and the default parameters of a step that look like paths, each once."""
    given = [p.default for p in step.parameters if isinstance(p.default, str)]
    yield from filter(looks_like_file, dict.fromkeys([*step.facts.texts, *given]))


def _is_in_pod(text: str, step: Step) -> bool:
    """Whether the step's pod has a path: by `--file`, on a volume, or as part of every system."""
    path = Path(text)
    own = step.options.kubernetes
    mounted = [place for _, place in (*own.volumes, *own.secret_volumes, *own.config_map_volumes)]
    roots = [Path(place) for place in (*mounted, *POD_FOLDERS)]
    shipped = [Path(name) for name in step.options.files]
    return any(path == t or t in path.parents for t in (*roots, *shipped))


def _file_fix(text: str, place: Path, step: Step) -> str:
    small = place.is_file() and place.stat().st_size <= MAX_SHIPPED
    if small and not Path(text).is_absolute() and ".." not in Path(text).parts:
        return f"copy it into the pod: %%kale step {quoted(step.name)} --file {quoted(text)}"
    return "read it from object storage, or from a volume of the cluster (--pvc NAME:/folder)"


def _variable_warnings(pipeline: Pipeline) -> list[Diagnostic]:
    """Return warnings for environment variables that steps read and no pod has."""
    readers: dict[str, list[str]] = {}
    for step in pipeline.steps:
        for name in _read_variables(step):
            if name in os.environ and name not in {*_set_variables(step), *SYSTEM_VARIABLES}:
                readers.setdefault(name, []).append(step.name)
    return [
        Diagnostic(
            Code.ENVIRONMENT_DIFFERS,
            f"{_readers(steps)} the environment variable {name}, which is only set on this machine",
            _variable_fix(steps, name),
            Where(step=steps[0]),
            "warning",
        )
        for name, steps in readers.items()
    ]


def _readers(steps: list[str]) -> str:
    return f"steps {', '.join(steps)} read" if len(steps) > 1 else f"step {steps[0]} reads"


def _variable_fix(steps: list[str], name: str) -> str:
    if len(steps) > 1:
        return f'set it for all steps: %config KaleMagics.step_options = "--env {name}=..."'
    return (
        f"set it for the step: %%kale step {quoted(steps[0])} --env {name}=..., or --secret NAME:KEY:{name}"
    )


def changed_variables(pipeline: Pipeline, cells: Sequence[Cell]) -> list[Diagnostic]:
    """Return warnings for variables that a step reads and that had another value when its cells ran.

    Args:
        pipeline: The pipeline.
        cells: The marked cells of its steps.
    """
    return [
        Diagnostic(
            Code.ENVIRONMENT_DIFFERS,
            f"step {step.name} sets the environment variable {name} to another value than its cells had",
            f'set os.environ["{name}"] = ... in the notebook too, and run the cells again',
            Where(step=step.name),
            "warning",
        )
        for step in pipeline.steps
        for name, value in step.options.env
        if any(environment.get(name) != value for environment in _cell_environments(step, name, cells))
    ]


def _cell_environments(step: Step, name: str, cells: Sequence[Cell]) -> Iterator[Mapping[str, str]]:
    """Yield the environments in which the session ran the code of a step that reads a variable."""
    given = {(cell.source, cell.name): cell.execution.variables for cell in cells}
    for code, owner in [*((code, "") for code in step.setup), *((code, step.name) for code in step.cells)]:
        if name in uses_of(code.source).variables:
            yield {**os.environ, **dict(given.get((code.source, owner), ()))}


def _read_variables(step: Step) -> list[str]:
    """Return the environment variables that a step's code reads and does not set, each once."""
    uses = [*(uses_of(code.source) for code in (*step.setup, *step.cells)), *_module_uses(step)]
    own = {name for use in uses for name in use.set_variables}
    return [n for n in dict.fromkeys(name for use in uses for name in use.variables) if n not in own]


def _module_uses(step: Step) -> Iterator[Uses]:
    """Yield what the Python files of the user's own modules use."""
    for source in filter(None, map(source_of, step.modules)):
        for _, path in files_of(source):
            if path.suffix == ".py":
                with contextlib.suppress(SyntaxError, ValueError):
                    yield uses_of(path.read_text(encoding="utf-8"))


def _set_variables(step: Step) -> Iterator[str]:
    """Yield the environment variables that the options of a step set."""
    options = step.options
    yield from (name for name, _ in options.env)
    yield from (name for *_, name in (*options.kubernetes.secret_env, *options.kubernetes.config_map_env))
