"""What steps use that is on this machine only: files, and variables of the environment."""

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

OF_EVERY_POD = ("/dev", "/proc", "/sys", "/tmp", "/etc", "/usr", "/bin")  # noqa: S108 - a pod's own, not ours
"""Folders that are in every container."""


OF_EVERY_SYSTEM = frozenset("HOME HOSTNAME LANG LOGNAME PATH PWD SHELL TERM TMPDIR USER".split())
"""Variables that every system has, each its own."""

SMALL = 60_000
"""Bytes of a file that `--file` can take along with room for the code."""


def only_here(pipeline: Pipeline, folder: Path) -> list[Diagnostic]:
    """Warnings of what steps use that no pod has.

    Args:
        pipeline: The steps.
        folder: That of the notebook.
    """
    return [*_files(pipeline, folder), *_variables(pipeline)]


def _files(pipeline: Pipeline, folder: Path) -> list[Diagnostic]:
    """Warnings of files that a step's code names, and that its pod does not have."""
    writers: dict[str, list[str]] = {}
    for step in pipeline.steps:
        for text in _written(step):
            writers.setdefault(text, []).append(step.name)
    found = []
    for step in pipeline.steps:
        for text in _named(step):
            others = writers.get(text, [])
            if step.name in others or _is_there(text, step):
                continue
            if others:
                message = f"step {step.name} names {text!r}, which is in the pod of step {others[0]} only"
                fix = "hand on what is in it as a variable, or put it on a volume (--pvc NAME:/folder)"
            elif _exists(folder / text):
                message = f"step {step.name} names {text!r}, which is on this machine only"
                fix = _way_into_a_pod(text, (folder / text), step)
            else:
                continue
            where = Where(step=step.name)
            found.append(Diagnostic(Code.FILE_ONLY_HERE, message, fix, where, "warning"))
    return found


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # it is too long to be one
        return False


def _written(step: Step) -> set[str]:
    """The paths that a step's code writes to, as far as they stand in it."""
    reader = FileReader({})
    uses = (use for code in (*step.setup, *step.cells) for use in reader.read(ast.parse(code.source)))
    return {use.pattern for use in uses if use.writes and is_exact(use.pattern)}


def _named(step: Step) -> Iterator[str]:
    """Texts that may be paths, each once: in the code, and values of parameters that the step takes."""
    given = [p.default for p in step.parameters if isinstance(p.default, str)]
    yield from filter(looks_like_file, dict.fromkeys([*step.facts.texts, *given]))


def _is_there(text: str, step: Step) -> bool:
    """Whether a pod of the step has a path anyway: taken along, on a volume, or part of every system."""
    path = Path(text)
    own = step.options.kubernetes
    mounted = [place for _, place in (*own.volumes, *own.secret_volumes, *own.config_map_volumes)]
    roots = [Path(place) for place in (*mounted, *OF_EVERY_POD)]
    taken = [Path(name) for name in step.options.files]
    return any(path == t or t in path.parents for t in (*roots, *taken))


def _way_into_a_pod(text: str, place: Path, step: Step) -> str:
    small = place.is_file() and place.stat().st_size <= SMALL
    if small and not Path(text).is_absolute() and ".." not in Path(text).parts:
        return f"take it along: %%kale step {quoted(step.name)} --file {quoted(text)}"
    return "read it from a store, or from a volume of the cluster (--pvc NAME:/folder)"


def _variables(pipeline: Pipeline) -> list[Diagnostic]:
    """Warnings of variables of the environment that steps read, and that no pod has."""
    readers: dict[str, list[str]] = {}
    for step in pipeline.steps:
        for name in _read(step):
            if name in os.environ and name not in {*_given(step), *OF_EVERY_SYSTEM}:
                readers.setdefault(name, []).append(step.name)
    return [
        Diagnostic(
            Code.VARIABLE_DIFFERS,
            f"{_told(steps)} the environment variable {name}, which is set on this machine only",
            _gift(steps, name),
            Where(step=steps[0]),
            "warning",
        )
        for name, steps in readers.items()
    ]


def _told(steps: list[str]) -> str:
    return f"steps {', '.join(steps)} read" if len(steps) > 1 else f"step {steps[0]} reads"


def _gift(steps: list[str], name: str) -> str:
    if len(steps) > 1:
        return f'give it to all steps: %config KaleMagics.step_options = "--env {name}=..."'
    return (
        f"give it to the step: %%kale step {quoted(steps[0])} --env {name}=..., or --secret NAME:KEY:{name}"
    )


def variables_given_otherwise(pipeline: Pipeline, cells: Sequence[Cell]) -> list[Diagnostic]:
    """Warnings of variables that a step reads, and that are set to what they were not when its cells ran.

    Args:
        pipeline: The steps.
        cells: The marked cells that they are made of.
    """
    return [
        Diagnostic(
            Code.VARIABLE_DIFFERS,
            f"step {step.name} is given another value of the environment variable {name} than its cells had",
            f'if they shall have it too: os.environ["{name}"] = ... in the notebook, and run them again',
            Where(step=step.name),
            "warning",
        )
        for step in pipeline.steps
        for name, value in step.options.env
        if any(known.get(name) != value for known in _known(step, name, cells))
    ]


def _known(step: Step, name: str, cells: Sequence[Cell]) -> Iterator[Mapping[str, str]]:
    """The environments in which code has run in the session that reads a variable and is in a step."""
    given = {(cell.source, cell.name): cell.execution.variables for cell in cells}
    for code, owner in [*((code, "") for code in step.setup), *((code, step.name) for code in step.cells)]:
        if name in uses_of(code.source).variables:
            yield {**os.environ, **dict(given.get((code.source, owner), ()))}


def _read(step: Step) -> list[str]:
    """Variables of the environment that a step's code reads and does not set, each once."""
    uses = [*(uses_of(code.source) for code in (*step.setup, *step.cells)), *_uses_of_modules(step)]
    own = {name for use in uses for name in use.set_variables}
    return [n for n in dict.fromkeys(name for use in uses for name in use.variables) if n not in own]


def _uses_of_modules(step: Step) -> Iterator[Uses]:
    """What the modules of the user's own use, as far as they are Python."""
    for source in filter(None, map(source_of, step.modules)):
        for _, path in files_of(source):
            if path.suffix == ".py":
                with contextlib.suppress(SyntaxError, ValueError):
                    yield uses_of(path.read_text(encoding="utf-8"))


def _given(step: Step) -> Iterator[str]:
    """Variables that a step is given."""
    options = step.options
    yield from (name for name, _ in options.env)
    yield from (name for *_, name in (*options.kubernetes.secret_env, *options.kubernetes.config_map_env))
