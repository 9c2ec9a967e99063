"""What steps that run alone take from earlier runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kale_magics.cache.cache_key import key_parts
from kale_magics.cache.entry import read_entry, reason_to_run
from kale_magics.execution.file_digests import file_digest
from kale_magics.execution.run import Run, TaskRun
from kale_magics.execution.step_environment import common_environment, step_environment
from kale_magics.execution.step_result import read_result
from kale_magics.local.past_runs import past_runs
from kale_magics.model.diagnostics import Code, Where, refuse
from kale_magics.model.pipeline import Input, Json, Pipeline


@dataclass(frozen=True)
class PastStep:
    """A step of an earlier run from which something is taken.

    Attributes:
        run: That run.
        step: The step there.
        names: The variables that are taken.
        changed: Why the step would make others now, as in "parameter lr has changed"; may be empty.
    """

    run: Run
    step: TaskRun
    names: tuple[str, ...]
    changed: str

    def __str__(self) -> str:
        since = f"; since then {self.changed}" if self.changed else ""
        return f"{', '.join(self.names)} of step {self.step.name}: from run {self.run.id}{since}"


def past_inputs(
    pipeline: Pipeline, only: Collection[str], values: Mapping[str, Json], runs_folder: Path, where: Where
) -> dict[str, PastStep]:
    """For every step that does not run and that those that run need: the last run that has what they take.

    Args:
        pipeline: All steps.
        only: The names of those that are to run.
        values: Of the parameters, by the user's names.
        runs_folder: Where earlier runs are.
        where: What asks for it, for the refusal.

    Raises:
        KaleError: No run has it.
    """
    own = set(only)
    needed: dict[str, list[tuple[str, Input]]] = {}
    for step in pipeline.only(only).steps:
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
        found[maker] = PastStep(*past, names, _changed(pipeline, maker, past[0], values))
    return found


def _changed(pipeline: Pipeline, maker: str, run: Run, values: Mapping[str, Json]) -> str:
    """Why a step, or one that it hangs on, would not do now what it did in a run; the first reason."""
    for step in pipeline.until([maker]).steps:
        own = step_environment(step, common_environment())
        parts = key_parts(step, values, {i.key: "" for i in step.inputs}, Path.cwd(), own)
        entry = read_entry(run.steps[step.name].folder) if step.name in run.steps else None
        if entry is not None and (reason := reason_to_run(replace(entry, reason=""), parts, inputs=False)):
            return reason if step.name == maker else f"step {step.name} has changed: {reason}"
    return ""


def _having(runs: list[Run], maker: str, inputs: list[Input]) -> Iterator[tuple[Run, TaskRun]]:
    """The runs that have all of these inputs, undamaged."""
    for run in runs:
        step = run.steps.get(maker)
        if step is not None and step.state == "succeeded" and all(_has(step, i) for i in inputs):
            yield run, step


def _has(step: TaskRun, wanted: Input) -> bool:
    names = {name for name, path in step.artifacts.items() if path.name == wanted.output.key}
    entry = read_entry(step.folder)
    try:
        digest = str(read_result(step.folder).metadata[wanted.output.key]["sha256"])
        known = entry is not None and entry.files.get(f"outputs/{wanted.output.key}") == digest
        return (
            known
            and names == set(wanted.output.names)
            and file_digest(step.folder / "outputs" / wanted.output.key) == digest
        )
    except (OSError, ValueError, KeyError):
        return False
