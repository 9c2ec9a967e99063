"""What the pods of steps contain: files and modules of the user's own, packages, and the runtime."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from kale_magics.analysis.packages import files_of, project, source_of
from kale_magics.analysis.pip import PodUnsupportedError, installed, is_of_this_machine
from kale_magics.kubeflow.task_options import default_image
from kale_magics.kubeflow.workflow_size import MAX_UNWARNED, PROGRAM_COPIES
from kale_magics.model import naming
from kale_magics.model.diagnostics import Code, Diagnostic, KaleError, Where, kale_error, raise_errors
from kale_magics.model.pipeline import Pipeline, Step
from kale_magics.model.program import MAX_PROGRAM, RUNTIME_PARTS, PodOptions, runtime_loader
from kale_magics.syntax.step_options import check_duplicates, check_files

REQUIREMENT = "--requirement="
"""The option of pip for a requirements file."""

RUNTIME_STEPS = ("kale: runtime", "kale: runtime 1")
"""Steps that only output the runtime, or the first part of it, which the other one gets."""

MAX_SHIPPED_BYTES = 2_000_000
"""Bytes of files up to which they are read to find out whether they fit into the program when compressed."""


def with_runtime_steps(pipeline: Pipeline, compact: bool = False) -> Pipeline:
    """Return the pipeline, with a runtime step if several steps depend on no other one.

    Such a step has the runtime in its program, which stands in the cluster's object `PROGRAM_COPIES` times.

    Args:
        pipeline: At least one step.
        compact: Whether to add steps for the parts of the runtime in any case.
    """
    first = [step for step in pipeline.steps if not step.upstream]
    runtimes = len(first) * PROGRAM_COPIES * len(runtime_loader())
    if not compact and runtimes <= MAX_UNWARNED:
        return pipeline
    names = RUNTIME_STEPS[: RUNTIME_PARTS if compact else 1]
    keys = naming.unique_keys(names, (step.key for step in pipeline.steps))
    # They need what all of these need to run in the cluster.
    asked = first[0].options.shared(step.options for step in first)
    kubernetes = replace(asked.kubernetes, workspace=None)
    options = replace(asked, report=False, files=(), packages=(), kubernetes=kubernetes)
    steps = [Step(name, keys[name], (), (), options=options) for name in reversed(names)]
    return replace(pipeline, nodes=(*steps, *pipeline.nodes))


def is_runtime_step(step: Step) -> bool:
    """Whether a step only outputs the runtime."""
    return step.name in RUNTIME_STEPS


def pods_of(pipeline: Pipeline, folder: Path, compact: bool = False) -> dict[str, PodOptions]:
    """Return what each step's pod contains, by the step's name.

    Args:
        pipeline: The pipeline.
        folder: The notebook's folder, which files are relative to.
        compact: Whether the cluster's object would be too large otherwise.

    Raises:
        KaleError: A module or a file that a step needs is missing or too large.
    """
    image = pipeline.environment.image
    if image in ("", default_image()):
        raise_errors([found for step in pipeline.steps for found in _missing_modules(step)])
    for step in pipeline.steps:
        check_duplicates(step.options, Where(step=step.name))
    shared = {step.name: step.key for step in pipeline.steps if step.options.kubernetes.workspace}
    sources = _runtime_sources(pipeline)
    parts = {name: RUNTIME_PARTS - number for number, name in enumerate(RUNTIME_STEPS)}
    return {
        step.name: PodOptions(
            files=_modules(step) | _files(step, folder),
            report=step.options.report is not False,
            shared={
                **{i.key: f"{shared[i.step]}/{i.output.key}" for i in step.inputs if i.step in shared},
                **{a.key: f"{step.key}/{a.key}" for a in step.outputs if step.name in shared},
            },
            runtime=sources[step.name],
            outputs_runtime=step.name in sources.values() or is_runtime_step(step),
            part=parts.get(step.name, 0) if compact else 0,
            compact=compact,
        )
        for step in pipeline.steps
    }


def _runtime_sources(pipeline: Pipeline) -> dict[str, str]:
    """Return the step from which each step gets the runtime; empty for one that has it in its program."""
    sources: dict[str, str] = {}
    cached: dict[str, bool] = {}
    runtime = next((step.name for step in pipeline.steps if step.name == RUNTIME_STEPS[0]), "")
    for step in pipeline.steps:
        cached[step.name] = step.cache and not step.nondeterminism
        known = [sources[name] or name for name in step.upstream]
        # A step that runs again outputs another artifact, which is not in the key of Kubeflow's cache.
        first = [name for name in known if cached[name]]
        sources[step.name] = next(iter([*first, *known]), "" if is_runtime_step(step) else runtime)
    return sources


def packages_of(step: Step, folder: Path) -> list[str]:
    """Return the arguments of pip in a step's pod: requirements and options.

    Args:
        step: The step.
        folder: The notebook's folder, which requirements files are relative to.

    Raises:
        KaleError: A requirements file cannot be read, or has a line that does not work in a pod.
    """
    files = [word[len(REQUIREMENT) :] for word in step.packages if word.startswith(REQUIREMENT)]
    required = [word for name in files for word in _required(folder / name, step)]
    known = set(map(project, required))
    others = (word for word in step.packages if not word.startswith(REQUIREMENT))
    return list(dict.fromkeys([*required, *(word for word in others if project(word) not in known)]))


def _required(file: Path, step: Step, above: Collection[Path] = ()) -> Iterator[str]:
    """Yield the arguments in a requirements file (pip's format: a requirement or an option on a line)."""
    try:
        lines = file.read_text(encoding="utf-8-sig").replace("\\\n", " ").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise _bad_requirements(f"requirements file {file.name} cannot be read: {reason}", step) from error
    if file in above:
        raise _bad_requirements(f"requirements file {file.name} includes itself", step)
    for line in lines:
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        try:
            words = installed(f"pip install {text}") if text.startswith("-") else _plain(text)
        except PodUnsupportedError as error:
            raise _bad_requirements(f"{error} in {file.name} does not work in a pod", step) from error
        if words is None:
            raise _bad_requirements(f"{file.name} has an invalid line: {text}", step)
        for word in words:
            if word.startswith(REQUIREMENT):
                yield from _required(file.parent / word[len(REQUIREMENT) :], step, (*above, file))
            else:
                yield word


def _plain(text: str) -> list[str]:
    """Return the requirement of a line, without its hashes, which pip does not take on a command line."""
    word, *options = re.split(r"\s+--", text)
    other = [option for option in options if not option.startswith("hash")]
    if other:
        raise PodUnsupportedError(f"pip's option --{other[0]}")
    return [] if not word or is_of_this_machine(word) else [word]


def _bad_requirements(message: str, step: Step) -> KaleError:
    fix = "fix that file, or name the packages of the step with --packages"
    return kale_error(Code.NO_PACKAGE, message, fix, Where(step=step.name))


def _missing_modules(step: Step) -> Iterator[Diagnostic]:
    """Yield errors for modules that no pod can install, unless the step has its own image or packages."""
    if step.options.image or step.options.packages:
        return
    for module, reason in step.unavailable:
        yield Diagnostic(
            Code.NO_PACKAGE,
            f"step {step.name} uses {module}, which a pod cannot install: {reason}",
            "install it in the image (--image), or name its package with --packages",
            Where(step=step.name),
        )


def _modules(step: Step) -> dict[str, bytes]:
    """Return the files of the user's own modules, by their paths in a folder of modules."""
    found: dict[str, bytes] = {}
    for module in step.modules:
        source = source_of(module)
        files = list(files_of(source)) if source else []
        if sum(path.stat().st_size for _, path in files) > MAX_SHIPPED_BYTES:
            message = f"module {module} of step {step.name} is too large for the program of a pod"
            fix = "install it in the image (--image), or from an index or a repository (--packages)"
            raise kale_error(Code.NO_PACKAGE, message, fix, Where(step=step.name))
        found |= {name: path.read_bytes() for name, path in files}
    return found


def _files(step: Step, folder: Path) -> dict[str, bytes]:
    """Return the files of `--file`, and all files below its folders."""
    # They existed when the cell ran.
    check_files(step.options, folder, Where(step=step.name))
    found: dict[str, bytes] = {}
    for name in step.options.files:
        place = folder / name
        paths = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
        if sum(path.stat().st_size for path in paths) > MAX_SHIPPED_BYTES:
            message = f"{name} is larger than the {MAX_PROGRAM:,} bytes of the program of a step"
            fix = "put it on a volume (--pvc), or into object storage"
            raise kale_error(Code.PROGRAM_TOO_LARGE, message, fix, Where(step=step.name))
        found |= {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return found
