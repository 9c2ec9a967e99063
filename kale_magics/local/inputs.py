"""What steps that run alone take from earlier runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kale_magics.diagnostics import Code, Where, refuse
from kale_magics.local.entry import digest_of, read_entry
from kale_magics.local.exchange import read_result
from kale_magics.local.history import past_runs
from kale_magics.pipeline import Input, Pipeline
from kale_magics.run import Run, StepRun


@dataclass(frozen=True)
class PastStep:
    """A step of an earlier run from which something is taken.

    Attributes:
        run: That run.
        step: The step there.
        names: The variables that are taken.
    """

    run: Run
    step: StepRun
    names: tuple[str, ...]


def past_inputs(pipeline: Pipeline, runs_folder: Path, where: Where) -> dict[str, PastStep]:
    """For every step that is not in a pipeline and that its steps need: the last run that has what they take.

    Args:
        pipeline: The steps that are to run.
        runs_folder: Where earlier runs are.
        where: What asks for it, for the refusal.

    Raises:
        KaleError: No run has it.
    """
    own = {step.name for step in pipeline.steps}
    needed: dict[str, list[tuple[str, Input]]] = {}
    for step in pipeline.steps:
        for i in step.inputs:
            if i.step not in own:
                needed.setdefault(i.step, []).append((step.name, i))
    runs = past_runs(runs_folder) if needed else []
    found = {}
    for maker, taken in needed.items():
        inputs = [i for _, i in taken]
        names = tuple(dict.fromkeys(name for i in inputs for name in i.names))
        past = next(_having(runs, maker, inputs), None)
        if past is None:
            message = f"no run that is kept has {', '.join(names)} of step {maker}, which {taken[0][0]} takes"
            fix = f"%kale_run --until {taken[0][0]} runs what it needs as well"
            raise refuse(Code.NO_SUCH_OUTPUT, message, fix, where)
        found[maker] = PastStep(*past, names)
    return found


def _having(runs: list[Run], maker: str, inputs: list[Input]) -> Iterator[tuple[Run, StepRun]]:
    """The runs that have all of these inputs, undamaged."""
    for run in runs:
        step = run.steps.get(maker)
        if step is not None and step.state == "succeeded" and all(_has(step, i) for i in inputs):
            yield run, step


def _has(step: StepRun, wanted: Input) -> bool:
    names = {name for name, path in step.artifacts.items() if path.name == wanted.artifact.key}
    entry = read_entry(step.folder)
    try:
        digest = str(read_result(step.folder).metadata[wanted.artifact.key]["sha256"])
        known = entry is not None and entry.files.get(f"outputs/{wanted.artifact.key}") == digest
        return (
            known
            and names == set(wanted.artifact.names)
            and digest_of(step.folder / "outputs" / wanted.artifact.key) == digest
        )
    except (OSError, ValueError, KeyError):
        return False
