"""What steps take along into their pods, files and modules of the user's own, and what they cannot have."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from kale_magics.analysis.packages import files_of, project, source_of
from kale_magics.analysis.pip import PodUnsupportedError, installed, is_of_this_machine
from kale_magics.kubeflow.task_options import default_image
from kale_magics.model import naming
from kale_magics.model.diagnostics import Code, Diagnostic, KaleError, Where, raise_errors, refuse
from kale_magics.model.pipeline import Pipeline, Step
from kale_magics.model.program import MAX_PROGRAM, Pod
from kale_magics.syntax.step_options import check_duplicates, check_files

MOST_CARRIERS = 4
"""Steps that may have the text of the runtime in their programs; all others get it as an artifact. A cluster
keeps six copies of every program in one object, which may be a megabyte."""

MOST_READABLE = 50
"""Steps up to which their code stands in the file as it is: more of them do not fit into that object."""

REQUIREMENT = "--requirement="
"""What stands before the name of a file of requirements."""

CARRIER = "kale: runtime"
"""A step that only hands on the runtime, where too many steps wait for no other one."""

LARGEST_MODULE = 2_000_000
"""Bytes of a module's files beyond which nobody tries whether they fit."""


def with_carrier(pipeline: Pipeline) -> Pipeline:
    """A pipeline as it goes to a cluster: with a step more if many wait for no other one.

    Args:
        pipeline: At least one step.
    """
    first = [step for step in pipeline.steps if not step.upstream]
    if len(first) <= MOST_CARRIERS:
        return pipeline
    keys = naming.unique_keys([CARRIER], (step.key for step in pipeline.steps))
    # What all of those need to run in this cluster, it needs too.
    asked = first[0].options.shared(step.options for step in first)
    kubernetes = replace(asked.kubernetes, workspace=None)
    options = replace(asked, report=False, files=(), packages=(), kubernetes=kubernetes)
    carrier = Step(CARRIER, keys[CARRIER], (), (), options=options)
    return replace(pipeline, nodes=(carrier, *pipeline.nodes))


def is_carrier(step: Step) -> bool:
    """Whether a step only hands on the runtime."""
    return step.name == CARRIER


def pods_of(pipeline: Pipeline, folder: Path) -> dict[str, Pod]:
    """What each step's program is told, by the step's name.

    Args:
        pipeline: The steps, those that a step waits for before it.
        folder: That of the notebook, from which files are taken.

    Raises:
        KaleError: A module or a file that a step needs cannot be taken along.
    """
    image = pipeline.environment.image
    if image in ("", default_image()):
        raise_errors([found for step in pipeline.steps for found in _not_to_be_had(step)])
    for step in pipeline.steps:
        check_duplicates(step.options, Where(step=step.name))
    shared = {step.name: step.key for step in pipeline.steps if step.options.kubernetes.workspace}
    givers = _givers(pipeline)
    return {
        step.name: Pod(
            files=_modules(step) | _files(step, folder),
            report=step.options.report is not False,
            shared={
                **{i.key: f"{shared[i.step]}/{i.output.key}" for i in step.inputs if i.step in shared},
                **{a.key: f"{step.key}/{a.key}" for a in step.outputs if step.name in shared},
            },
            runtime=givers[step.name],
            gives=step.name in givers.values(),
            readable=len(pipeline.steps) <= MOST_READABLE,
        )
        for step in pipeline.steps
    }


def _givers(pipeline: Pipeline) -> dict[str, str]:
    """From which step each one gets the runtime; empty for one that has it."""
    givers: dict[str, str] = {}
    keep: dict[str, bool] = {}
    carrier = next((step.name for step in pipeline.steps if is_carrier(step)), "")
    for step in pipeline.steps:
        keep[step.name] = step.cache and not step.nondeterminism
        known = [givers[name] or name for name in step.upstream]
        # What has run again gives another artifact, with which a step is not in Kubeflow's cache.
        kept = [name for name in known if keep[name]]
        givers[step.name] = next(iter([*kept, *known]), "" if step.name == carrier else carrier)
    return givers


def packages_of(step: Step, folder: Path) -> list[str]:
    """What pip is told in a step's pod: requirements, and options.

    Args:
        step: The step.
        folder: That of the notebook, in which files of requirements are.

    Raises:
        KaleError: A file of requirements cannot be read, or has what cannot be said in a pod.
    """
    files = [word[len(REQUIREMENT) :] for word in step.packages if word.startswith(REQUIREMENT)]
    required = [word for name in files for word in _required(folder / name, step)]
    known = set(map(project, required))
    others = (word for word in step.packages if not word.startswith(REQUIREMENT))
    return list(dict.fromkeys([*required, *(word for word in others if project(word) not in known)]))


def _required(file: Path, step: Step, above: Collection[Path] = ()) -> Iterator[str]:
    """What a file of requirements asks for (pip's format: a requirement or an option a line)."""
    try:
        lines = file.read_text(encoding="utf-8-sig").replace("\\\n", " ").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise _not_required(f"no requirements can be read from {file.name}: {reason}", step) from error
    if file in above:
        raise _not_required(f"{file.name} asks for itself", step)
    for line in lines:
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        try:
            words = installed(f"pip install {text}") if text.startswith("-") else _plain(text)
        except PodUnsupportedError as error:
            raise _not_required(f"{error}, in {file.name}, cannot be said to pip in a pod", step) from error
        if words is None:
            raise _not_required(f"{file.name} has a line that cannot be read: {text}", step)
        for word in words:
            if word.startswith(REQUIREMENT):
                yield from _required(file.parent / word[len(REQUIREMENT) :], step, (*above, file))
            else:
                yield word


def _plain(text: str) -> list[str]:
    """The requirement of a line; what pip checks it against is not said on a command line."""
    word, *options = re.split(r"\s+--", text)
    other = [option for option in options if not option.startswith("hash")]
    if other:
        raise PodUnsupportedError(f"pip's option --{other[0]}")
    return [] if not word or is_of_this_machine(word) else [word]


def _not_required(message: str, step: Step) -> KaleError:
    fix = "mend that file, or name what the step needs: --packages"
    return refuse(Code.NO_PACKAGE, message, fix, Where(step=step.name))


def _not_to_be_had(step: Step) -> Iterator[Diagnostic]:
    """What no pod can get; nobody can look into an image or packages that the user names for it."""
    if step.options.image or step.options.packages:
        return
    for module, reason in step.unavailable:
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
    # They were there when the cell was run.
    check_files(step.options, folder, Where(step=step.name))
    found: dict[str, bytes] = {}
    for name in step.options.files:
        place = folder / name
        paths = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
        if sum(path.stat().st_size for path in paths) > LARGEST_MODULE:
            message = f"{name} is larger than the {MAX_PROGRAM:,} bytes that a step can take along"
            fix = "put it on a volume (--pvc), or in a store from which the step reads it"
            raise refuse(Code.PROGRAM_TOO_LARGE, message, fix, Where(step=step.name))
        found |= {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return found
