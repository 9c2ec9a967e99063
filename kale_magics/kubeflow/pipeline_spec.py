"""Reads a pipeline from its specification on a server, if this project has written it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import Any

from kale_magics.kubeflow.pod_contents import is_runtime_step
from kale_magics.model.diagnostics import Code, kale_error
from kale_magics.model.graph import Graph
from kale_magics.model.options import StepOptions
from kale_magics.model.pipeline import Input, Json, Output, OutputKind, Parameter, Pipeline, Step
from kale_magics.model.program import read_specification

KINDS: dict[str, OutputKind] = {"system.Dataset": "Dataset", "system.Model": "Model"}
"""KFP's types of artifacts that are distinguished."""

IMPLEMENTATION = "system-container-impl"
"""KFP's name of the template of a step's pod: it is in the pod's name, between workflow and number."""


@dataclass(frozen=True)
class RemoteTask:
    """The task of a step on a server (KFP's `argocompiler/container.go`).

    Attributes:
        key: KFP's name of it.
        template: The template of its pods.
        retries: How often it is retried.
        content: A digest of it with everything that it depends on (`contents_of`); empty if the server does
            not cache it.
    """

    key: str
    template: str = IMPLEMENTATION
    retries: int = 0
    content: str = ""


@dataclass(frozen=True)
class RemotePipeline:
    """A pipeline on a server.

    Attributes:
        pipeline: Its steps without their code, for the view.
        tasks: The task of each step, by the step's name.
    """

    pipeline: Pipeline
    tasks: Mapping[str, RemoteTask]


def tasks_of(
    spec: Mapping[str, Any],
    platform: Mapping[str, Any] | None = None,
    values: Mapping[str, Json] | None = None,
) -> dict[str, RemoteTask]:
    """Return the task of each step, by the step's name.

    Args:
        spec: The specification of a pipeline.
        platform: The platform specification after it, if there is one.
        values: Values of parameters, by their keys.
    """
    kubernetes = (platform or {}).get("platforms", {}).get("kubernetes", {})
    executors = kubernetes.get("deploymentSpec", {}).get("executors", {})
    contents, found = contents_of(spec, values or {}, executors), dict[str, RemoteTask]()
    for key, task in spec["root"]["dag"]["tasks"].items():
        label = spec["components"][task["componentRef"]["name"]].get("executorLabel", "")
        retries = int(task.get("retryPolicy", {}).get("maxRetryCount", 0))
        template = f"retry-{IMPLEMENTATION}" if "retryPolicy" in task else IMPLEMENTATION
        about = executors.get(label, {}).get("podMetadata")
        if about is not None:
            counts = (len(about.get(kind, ())) for kind in ("annotations", "labels"))
            template = "-".join(["metadata", *map(str, counts), template])
        content = contents[key] if task.get("cachingOptions", {}).get("enableCache") else ""
        found[task["taskInfo"]["name"]] = RemoteTask(key, template, retries, content)
    return found


def read_pipeline(
    document: Mapping[str, Any], run_name: str, values: Mapping[str, Json] | None = None
) -> RemotePipeline:
    """Return a pipeline from a server's description of it.

    Args:
        document: The specification, or a document with it and that of the platform.
        run_name: The pipeline's name, if the specification has none.
        values: Values of parameters, by their keys.

    Raises:
        KaleError: Another tool has written it.
    """
    spec = document.get("pipeline_spec", document)
    try:
        tasks = spec["root"]["dag"]["tasks"]
        steps: dict[str, Step] = {}
        for key in _in_order(tasks):
            steps[key] = _with_edges(tasks[key], _step(spec, tasks[key]), steps)
        remote = tasks_of(spec, document.get("platform_spec") or document, values)
    except (LookupError, ValueError, TypeError, AttributeError, StopIteration) as error:
        message = f"the pipeline of run {run_name} was not written by kale_magics"
        raise kale_error(Code.NO_SUCH_RUN, message, "open the run on Kubeflow's page") from error
    steps = {key: step for key, step in steps.items() if not is_runtime_step(step)}
    info = spec.get("pipelineInfo", {})
    name = info.get("displayName") or info.get("name") or run_name
    parameters = {p.name: p for step in steps.values() for p in step.parameters}
    pipeline = Pipeline(name, tuple(steps.values()), tuple(parameters.values()))
    return RemotePipeline(pipeline, remote)


def _step(spec: Mapping[str, Any], task: Mapping[str, Any]) -> Step:
    component = spec["components"][task["componentRef"]["name"]]
    container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
    about = read_specification(next(text for text in container["command"] if "\ndef " in text))
    kinds = component.get("outputDefinitions", {}).get("artifacts", {})
    outputs = tuple(
        Output(tuple(names), key, KINDS.get(kinds[key]["artifactType"]["schemaTitle"], "Artifact"))
        for key, names in about["outputs"].items()
    )
    parameters = tuple(_parameters(about["parameters"]))
    key = container["args"][-1]
    if not all(name.isascii() and name.isidentifier() for name in (key, *about["outputs"])):
        raise ValueError(key)  # they become names of files
    resources = container.get("resources", {})
    limit = resources.get("resourceMemoryLimit")
    options = StepOptions(memory=(resources.get("resourceMemoryRequest", limit), limit) if limit else None)
    metrics = tuple(about["metrics"])
    return Step(about["step"], key, (), (), parameters, outputs=outputs, metrics=metrics, options=options)


def _parameters(values: Mapping[str, tuple[str, Any, str]]) -> Iterator[Parameter]:
    for key, (name, default, kind) in values.items():
        yield Parameter(name, key, kind, default)


def _with_edges(task: Mapping[str, Any], step: Step, steps: Mapping[str, Step]) -> Step:
    """Return a step with its inputs, and with the other steps that it depends on (`--after`)."""
    sources = {
        key: source["taskOutputArtifact"]
        for key, source in task.get("inputs", {}).get("artifacts", {}).items()
    }
    runtime = sources.pop("kale_runtime", {}).get("producerTask", "")
    sources.pop("kale_runtime_part", None)
    inputs = []
    for key, source in sources.items():
        producer = steps[source["producerTask"]]
        output = next(o for o in producer.outputs if o.key == source["outputArtifactKey"])
        inputs.append(Input(output.names, key, producer.name, output))
    needed = [steps[key] for key in task.get("dependentTasks", ()) if not is_runtime_step(steps[key])]
    producers = {i.step for i in inputs}
    others = [other for other in needed if other is not steps.get(runtime)]
    graph = Graph({other.name: other.upstream for other in steps.values()})
    passed = graph.with_ancestors(name for other in others for name in other.upstream)
    # The user has not asked for the dependency on the step with the runtime.
    after = tuple(s.name for s in needed if s.name not in producers and (s in others or s.name not in passed))
    return replace(step, inputs=tuple(inputs), after=after)


def contents_of(
    spec: Mapping[str, Any], values: Mapping[str, Json], platform: Mapping[str, Any]
) -> dict[str, str]:
    """Return a digest of each task of a pipeline with everything that it depends on, by KFP's name of it.

    Args:
        spec: The specification of the pipeline.
        values: Values of parameters, by their keys.
        platform: What the specification of the platform says of each executor, by its label.
    """
    inputs = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    known = {key: about.get("defaultValue") for key, about in inputs.items()} | dict(values)
    tasks, found = spec["root"]["dag"]["tasks"], dict[str, str]()
    for key in _in_order(tasks):
        component = spec["components"][tasks[key]["componentRef"]["name"]]
        given = tasks[key].get("inputs", {})
        sources = {name: a["taskOutputArtifact"] for name, a in given.get("artifacts", {}).items()}
        label = component["executorLabel"]
        step = {
            "pipeline": spec.get("pipelineInfo", {}).get("name", ""),
            "component": component,
            "executor": [spec["deploymentSpec"]["executors"][label], platform.get(label, {})],
            "parameters": {
                name: [source, known.get(source.get("componentInputParameter", ""))]
                for name, source in given.get("parameters", {}).items()
            },
            "artifacts": {
                name: [found[source["producerTask"]], source["outputArtifactKey"]]
                for name, source in sources.items()
            },
        }
        found[key] = hashlib.sha256(json.dumps(as_stored(step), sort_keys=True).encode()).hexdigest()
    return found


def as_stored(value: Json) -> Json:
    """Return a value as KFP stores it: it has one type of number, and no order in a dict."""
    if isinstance(value, dict):
        return {key: as_stored(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [as_stored(item) for item in value]
    return float(value) if type(value) is int else value


def _in_order(tasks: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of tasks, each after those that it depends on; a cycle is a ValueError."""
    yield from TopologicalSorter(
        {k: task.get("dependentTasks", ()) for k, task in tasks.items()}
    ).static_order()
