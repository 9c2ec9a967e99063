"""What steps take along into their pods, files and modules of the user's own, and what they cannot have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kale_magics.analysis.packages import files_of, source_of
from kale_magics.arguments import near
from kale_magics.diagnostics import Code, Diagnostic, Where, raise_errors, refuse
from kale_magics.pipeline import Pipeline, Step
from kale_magics.program import LARGEST_PROGRAM, Pod, packed_runtime

SHARED_FROM = 800_000
"""Bytes of copies of the runtime from which on a pipeline has it once, as an input."""

LARGEST_MODULE = 2_000_000
"""Bytes of a module's files beyond which nobody tries whether they fit."""


def pods_of(pipeline: Pipeline, folder: Path) -> dict[str, Pod]:
    """What each step's program is told, by the step's name.

    Args:
        pipeline: The steps.
        folder: That of the notebook, from which files are taken.

    Raises:
        KaleError: A module or a file that a step needs cannot be taken along.
    """
    raise_errors([found for step in pipeline.steps for found in _not_to_be_had(step)])
    given = len(pipeline.steps) * len(packed_runtime()) > SHARED_FROM
    shared = {step.name: step.key for step in pipeline.steps if step.options.workspace}
    return {
        step.name: Pod(
            files=_modules(step) | _files(step, folder),
            report=step.options.report is not False,
            shared={
                **{i.key: f"{shared[i.step]}/{i.artifact.key}" for i in step.inputs if i.step in shared},
                **{a.key: f"{step.key}/{a.key}" for a in step.outputs if step.name in shared},
            },
            given=given,
        )
        for step in pipeline.steps
    }


def _not_to_be_had(step: Step) -> Iterator[Diagnostic]:
    for module, reason in step.missing:
        yield Diagnostic(
            Code.NO_PACKAGE,
            f"step {step.name} uses {module}, which no pod can get: {reason}",
            "install it in the image (--image), or name its package: --packages",
            Where(step=step.name),
        )


def _modules(step: Step) -> dict[str, bytes]:
    """The files of the modules of the user's own."""
    found: dict[str, bytes] = {}
    for module in step.modules:
        source = source_of(module)
        files = list(files_of(source)) if source else []
        if sum(path.stat().st_size for _, path in files) > LARGEST_MODULE:
            message = f"module {module} of step {step.name} is too large to be taken along into a pod"
            fix = "install it in the image (--image), or from an index or a repository (--packages)"
            raise refuse(Code.NO_PACKAGE, message, fix, Where(step=step.name))
        found |= {name: path.read_bytes() for name, path in files}
    return found


def _files(step: Step, folder: Path) -> dict[str, bytes]:
    """The files of `--file`; all that is below a folder."""
    found: dict[str, bytes] = {}
    for name in step.options.files:
        place = folder / name
        paths = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
        if not paths:
            raise _no_such_file(step, name, folder)
        if sum(path.stat().st_size for path in paths) > LARGEST_MODULE:
            message = f"{name} is larger than the {LARGEST_PROGRAM:,} bytes that a step can take along"
            fix = "put it on a volume (--pvc), or in a store from which the step reads it"
            raise refuse(Code.PROGRAM_TOO_LARGE, message, fix, Where(step=step.name))
        found |= {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return found


def _no_such_file(step: Step, name: str, folder: Path) -> Exception:
    parent = (folder / name).parent
    guess = near(Path(name).name, [p.name for p in parent.iterdir()]) if parent.is_dir() else None
    fix = (
        f"did you mean {Path(name).with_name(guess)}?" if guess else "write it as from the notebook's folder"
    )
    return refuse(
        Code.BAD_STEP_OPTION, f"there is no file {name!r} to take along", fix, Where(step=step.name)
    )
