"""What a pipeline on a server is: read from its specification, if this project has written it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import Any

from kale_magics.kubeflow.cargo import is_carrier
from kale_magics.model.diagnostics import Code, refuse
from kale_magics.model.graph import Graph
from kale_magics.model.pipeline import Input, Output, OutputKind, Parameter, Pipeline, Step
from kale_magics.model.program import read_specification

KINDS: dict[str, OutputKind] = {"system.Dataset": "Dataset", "system.Model": "Model"}
"""KFP's types of artifacts that are told apart."""


IMPLEMENTATION = "system-container-impl"
"""What KFP calls the template of a step's pod: it is in the pod's name, between workflow and number."""


@dataclass(frozen=True)
class RemoteTask:
    """What becomes of a step on a server (KFP's `argocompiler/container.go`).

    Attributes:
        key: What KFP calls it.
        template: Of its pods.
        retries: How often it is tried again.
    """

    key: str
    template: str = IMPLEMENTATION
    retries: int = 0


@dataclass(frozen=True)
class RemotePipeline:
    """A pipeline on a server.

    Attributes:
        pipeline: Its steps without their code, for the view.
        tasks: What becomes of each step there, by its name.
    """

    pipeline: Pipeline
    tasks: Mapping[str, RemoteTask]


def tasks_of(spec: Mapping[str, Any], platform: Mapping[str, Any] | None = None) -> dict[str, RemoteTask]:
    """What becomes of each step, by the step's name.

    Args:
        spec: Of a pipeline.
        platform: What follows it, if anything.
    """
    kubernetes = (platform or {}).get("platforms", {}).get("kubernetes", {})
    executors = kubernetes.get("deploymentSpec", {}).get("executors", {})
    found: dict[str, RemoteTask] = {}
    for key, task in spec["root"]["dag"]["tasks"].items():
        label = spec["components"][task["componentRef"]["name"]].get("executorLabel", "")
        retries = int(task.get("retryPolicy", {}).get("maxRetryCount", 0))
        template = f"retry-{IMPLEMENTATION}" if "retryPolicy" in task else IMPLEMENTATION
        about = executors.get(label, {}).get("podMetadata")
        if about is not None:
            counts = (len(about.get(kind, ())) for kind in ("annotations", "labels"))
            template = "-".join(["metadata", *map(str, counts), template])
        found[task["taskInfo"]["name"]] = RemoteTask(key, template, retries)
    return found


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
        tasks = spec["root"]["dag"]["tasks"]
        # Those that a task needs come before it; a circle is a ValueError.
        order = TopologicalSorter({key: task.get("dependentTasks", ()) for key, task in tasks.items()})
        steps: dict[str, Step] = {}
        for key in order.static_order():
            steps[key] = _with_edges(tasks[key], _step(spec, tasks[key]), steps)
    except (KeyError, ValueError, StopIteration) as error:
        message = f"run {run_name} is of a pipeline that this project has not written"
        raise refuse(Code.NO_SUCH_RUN, message, "look at it on Kubeflow's page") from error
    steps = {key: step for key, step in steps.items() if not is_carrier(step)}
    info = spec.get("pipelineInfo", {})
    name = info.get("displayName") or info.get("name") or run_name
    parameters = {p.name: p for step in steps.values() for p in step.parameters}
    pipeline = Pipeline(name, tuple(steps.values()), tuple(parameters.values()))
    return RemotePipeline(pipeline, tasks_of(spec, document.get("platform_spec") or document))


def _step(spec: Mapping[str, Any], task: Mapping[str, Any]) -> Step:
    component = spec["components"][task["componentRef"]["name"]]
    container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
    told = read_specification(next(text for text in container["command"] if "\ndef " in text))
    kinds = component.get("outputDefinitions", {}).get("artifacts", {})
    outputs = tuple(
        Output(tuple(names), key, KINDS.get(kinds[key]["artifactType"]["schemaTitle"], "Artifact"))
        for key, names in told["outputs"].items()
    )
    parameters = tuple(_parameters(told["parameters"]))
    key = container["args"][-1]
    if not all(name.isascii() and name.isidentifier() for name in (key, *told["outputs"])):
        raise ValueError(key)  # files are called so
    return Step(told["step"], key, (), (), parameters, outputs=outputs, metrics=tuple(told["metrics"]))


def _parameters(told: Mapping[str, tuple[str, Any, str]]) -> Iterator[Parameter]:
    for key, (name, default, kind) in told.items():
        yield Parameter(name, key, kind, default)


def _with_edges(task: Mapping[str, Any], step: Step, steps: Mapping[str, Step]) -> Step:
    """A step with what it takes from the steps before it, and for which others it waits."""
    sources = {
        key: source["taskOutputArtifact"]
        for key, source in task.get("inputs", {}).get("artifacts", {}).items()
    }
    giver = sources.pop("kale_runtime", {}).get("producerTask", "")
    inputs = []
    for key, made in sources.items():
        maker = steps[made["producerTask"]]
        artifact = next(a for a in maker.outputs if a.key == made["outputArtifactKey"])
        inputs.append(Input(artifact.names, key, maker.name, artifact))
    needed = [steps[key] for key in task.get("dependentTasks", ()) if not is_carrier(steps[key])]
    makers = {i.step for i in inputs}
    others = [other for other in needed if other is not steps.get(giver)]
    graph = Graph({other.name: other.upstream for other in steps.values()})
    passed = graph.with_ancestors(name for other in others for name in other.upstream)
    # Where the runtime comes from is no reason of the user's to wait.
    after = tuple(s.name for s in needed if s.name not in makers and (s in others or s.name not in passed))
    return replace(step, inputs=tuple(inputs), after=after)
