"""The inputs of steps that run alone: outputs of earlier runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kale_magics.cache.cache_key import key_parts
from kale_magics.cache.entry import read_entry, reason_to_run
from kale_magics.execution.file_digests import file_digest
from kale_magics.execution.run import Run, TaskRun
from kale_magics.execution.step_environment import common_environment, step_environment
from kale_magics.execution.step_result import read_result
from kale_magics.local.past_runs import past_runs
from kale_magics.model.diagnostics import Code, Where, kale_error
from kale_magics.model.pipeline import Input, Json, Pipeline


@dataclass(frozen=True)
class PastStep:
    """A step of an earlier run whose outputs are used.

    Attributes:
        run: The run.
        step: The step.
        names: The variables that are used.
        changed: What has changed since, as in "parameter lr has changed"; empty if nothing has.
    """

    run: Run
    step: TaskRun
    names: tuple[str, ...]
    changed: str

    def __str__(self) -> str:
        since = f"; since then, {self.changed}" if self.changed else ""
        return f"{', '.join(self.names)} of step {self.step.name}: from run {self.run.id}{since}"


def past_inputs(
    pipeline: Pipeline, only: Collection[str], values: Mapping[str, Json], runs_folder: Path, where: Where
) -> dict[str, PastStep]:
    """Return, for every other step that steps need, the last run that has the outputs that they need.

    Args:
        pipeline: All steps.
        only: The names of the steps that are to run.
        values: Values of the parameters, by the user's names.
        runs_folder: The folder of earlier runs.
        where: Where the user asked for these steps.

    Raises:
        KaleError: No run has the outputs.
    """
    own = set(only)
    needed: dict[str, list[tuple[str, Input]]] = {}
    for step in pipeline.only(only).steps:
        for i in step.inputs:
            if i.step not in own:
                needed.setdefault(i.step, []).append((step.name, i))
    runs = past_runs(runs_folder) if needed else []
    found = {}
    for producer, uses in needed.items():
        inputs, user = [i for _, i in uses], uses[0][0]
        names = tuple(dict.fromkeys(name for i in inputs for name in i.names))
        past = next(_runs_with(runs, producer, inputs), None)
        if past is None:
            message = f"no stored run has {', '.join(names)} of step {producer}, an input of step {user}"
            fix = f"run its upstream steps too: %kale_run --until {user}"
            raise kale_error(Code.NO_SUCH_OUTPUT, message, fix, where)
        found[producer] = PastStep(*past, names, _change(pipeline, producer, past[0], values, runs))
    return found


def _change(pipeline: Pipeline, name: str, run: Run, values: Mapping[str, Json], runs: Sequence[Run]) -> str:
    """Return a change of a step since a run, else one of a step upstream of it; empty if there is none."""
    part = pipeline.until([name])
    made = _origins(part, {name: run}, runs)
    for step in reversed(part.steps):
        own = step_environment(step, common_environment())
        parts = key_parts(step, values, {i.key: "" for i in step.inputs}, Path.cwd(), own)
        entry = read_entry(made[step.name].steps[step.name].folder) if step.name in made else None
        if entry is not None and (reason := reason_to_run(replace(entry, reason=""), parts, inputs=False)):
            return reason if step.name == name else f"step {step.name} has changed: {reason}"
    return ""


def _origins(pipeline: Pipeline, made: dict[str, Run], runs: Sequence[Run]) -> dict[str, Run]:
    """Return the runs from which the inputs of a step came, through all steps upstream.

    Args:
        pipeline: The step and those upstream of it.
        made: The run of the step.
        runs: All runs, the newest first. A run of some steps took its inputs from the last one before it.
    """
    for step in reversed(pipeline.steps):
        run = made.get(step.name)
        if run is None:
            continue
        for i in step.inputs:
            if i.step in run.steps:
                made.setdefault(i.step, run)
                continue
            earlier = (other for other in runs if other.id < run.id)
            found = next(_runs_with(earlier, i.step, [i]), None)
            if found is not None:
                made.setdefault(i.step, found[0])
    return made


def _runs_with(runs: Iterable[Run], producer: str, inputs: list[Input]) -> Iterator[tuple[Run, TaskRun]]:
    """Yield the runs that have all of these inputs, undamaged."""
    for run in runs:
        step = run.steps.get(producer)
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
