"""What a pipeline on a server is: read from its specification, if this project has written it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kale_magics.diagnostics import Code, refuse
from kale_magics.pipeline import Artifact, ArtifactKind, Input, Parameter, ParameterType, Pipeline, Step
from kale_magics.program import read_specification

KINDS: dict[str, ArtifactKind] = {"system.Dataset": "Dataset", "system.Model": "Model"}
"""KFP's types of artifacts that are told apart."""


@dataclass(frozen=True)
class RemotePipeline:
    """A pipeline on a server.

    Attributes:
        pipeline: Its steps without their code, for the view.
        tasks: What KFP calls each step, by its name.
    """

    pipeline: Pipeline
    tasks: Mapping[str, str]


def tasks_of(spec: Mapping[str, Any]) -> dict[str, str]:
    """What KFP calls each step, by the step's name, from the specification of a pipeline."""
    tasks = spec["root"]["dag"]["tasks"]
    return {task["taskInfo"]["name"]: key for key, task in tasks.items()}


def read_pipeline(document: Mapping[str, Any], run_name: str) -> RemotePipeline:
    """A pipeline from what a server tells of it.

    Args:
        document: The specification, alone or beside that of the platform.
        run_name: What it is called where its name is not known.

    Raises:
        KaleError: Another tool has written it.
    """
    spec = document.get("pipeline_spec", document)
    try:
        steps = {key: _step(spec, task) for key, task in spec["root"]["dag"]["tasks"].items()}
    except (KeyError, ValueError, StopIteration) as error:
        message = f"run {run_name} is of a pipeline that this project has not written"
        raise refuse(Code.NO_SUCH_RUN, message, "look at it on Kubeflow's page") from error
    names = {key: step.name for key, step in steps.items()}
    joined = [
        _with_edges(spec["root"]["dag"]["tasks"][key], step, steps, names) for key, step in steps.items()
    ]
    info = spec.get("pipelineInfo", {})
    name = info.get("displayName") or info.get("name") or run_name
    parameters = {p.name: p for step in steps.values() for p in step.parameters}
    ordered = Pipeline(name, tuple(_ordered(joined)), tuple(parameters.values()))
    return RemotePipeline(ordered, {name: key for key, name in names.items()})


def _step(spec: Mapping[str, Any], task: Mapping[str, Any]) -> Step:
    component = spec["components"][task["componentRef"]["name"]]
    container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
    told = read_specification(next(text for text in container["command"] if "\ndef " in text))
    kinds = component.get("outputDefinitions", {}).get("artifacts", {})
    outputs = tuple(
        Artifact(tuple(names), key, KINDS.get(kinds[key]["artifactType"]["schemaTitle"], "Artifact"))
        for key, names in told["outputs"].items()
    )
    parameters = tuple(_parameters(told["parameters"]))
    key = container["args"][-1]
    return Step(told["step"], key, (), (), parameters, outputs=outputs, metrics=tuple(told["metrics"]))


def _parameters(told: Mapping[str, tuple[str, Any, ParameterType]]) -> Iterator[Parameter]:
    for key, (name, default, kind) in told.items():
        yield Parameter(name, key, kind, default)


def _with_edges(
    task: Mapping[str, Any], step: Step, steps: Mapping[str, Step], names: Mapping[str, str]
) -> Step:
    inputs = []
    for key, source in task.get("inputs", {}).get("artifacts", {}).items():
        made = source["taskOutputArtifact"]
        maker = steps[made["producerTask"]]
        artifact = next(a for a in maker.outputs if a.key == made["outputArtifactKey"])
        inputs.append(Input(artifact.names, key, maker.name, artifact))
    taken = {i.step for i in inputs}
    after = tuple(names[key] for key in task.get("dependentTasks", ()) if names[key] not in taken)
    return Step(
        step.name, step.key, (), (), step.parameters, tuple(inputs), step.outputs, after, step.metrics
    )  # fmt: skip


def _ordered(steps: list[Step]) -> Iterator[Step]:
    """Each after all that it needs."""
    waiting, done = list(steps), set[str]()
    while waiting:
        ready = [step for step in waiting if done.issuperset(step.needs)]
        yield from ready
        done |= {step.name for step in ready}
        waiting = [step for step in waiting if step.name not in done]
