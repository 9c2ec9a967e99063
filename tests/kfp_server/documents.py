"""Reads compiled pipelines, and checks what a run gives as its parameters against them."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import yaml
from google.protobuf import json_format
from google.protobuf.message import Message
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineDeploymentConfig, PipelineSpec, PlatformSpec

from tests.kfp_server.errors import invalid
from tests.kfp_server.nodes import EXECUTOR

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?")

NUMBER = (int, float)

TYPES: dict[str, type | tuple[type, ...]] = {
    "STRING": str, "NUMBER_INTEGER": NUMBER, "NUMBER_DOUBLE": NUMBER, "BOOLEAN": bool,
    "LIST": list, "STRUCT": dict,
}  # fmt: skip
"""What JSON has for KFP's types of parameters."""


@dataclass(frozen=True)
class Document:
    """A compiled pipeline.

    Attributes:
        spec: The PipelineSpec, as JSON.
        platform: The PlatformSpec, if there is one.
    """

    spec: dict[str, Any]
    platform: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The pipeline's own name."""
        return self.spec["pipelineInfo"]["name"]

    @property
    def tasks(self) -> dict[str, Any]:
        """The tasks of the root."""
        return self.spec["root"]["dag"]["tasks"]

    @property
    def needs(self) -> dict[str, list[str]]:
        """The tasks of the root, and those that each comes after."""
        return {name: task.get("dependentTasks", []) for name, task in self.tasks.items()}

    def is_retried(self, task: str) -> bool:
        """Whether there may be several attempts at a task of the root."""
        return "retryPolicy" in self.tasks.get(task, {})

    def may_be_cached(self, task: str) -> bool:
        """Whether the server may take a task of the root from its cache."""
        return bool(self.tasks.get(task, {}).get("cachingOptions", {}).get("enableCache"))

    def without_retries(self) -> Document:
        """The same pipeline, with no task that is tried again."""
        spec = copy.deepcopy(self.spec)
        for dag in (spec["root"], *spec.get("components", {}).values()):
            for task in dag.get("dag", {}).get("tasks", {}).values():
                task.pop("retryPolicy", None)
        return Document(spec, self.platform)

    def template(self, task: str) -> str:
        """What Argo makes the pod of a task from: tasks that have the same of this share one template."""
        retried = "retry-" if self.is_retried(task) else ""
        metadata = self._pod_settings(task).get("podMetadata")
        if metadata is None:
            return f"{retried}{EXECUTOR}"
        annotations, labels = (len(metadata.get(name, {})) for name in ("annotations", "labels"))
        return f"metadata-{annotations}-{labels}-{retried}{EXECUTOR}"

    def _pod_settings(self, task: str) -> dict[str, Any]:
        """What the platform spec says of the pod of a task of the root."""
        component = self.tasks.get(task, {}).get("componentRef", {}).get("name", "")
        label = self.spec.get("components", {}).get(component, {}).get("executorLabel", "")
        kubernetes = self.platform.get("platforms", {}).get("kubernetes", {})
        return kubernetes.get("deploymentSpec", {}).get("executors", {}).get(label, {})

    @property
    def answer(self) -> dict[str, Any]:
        """How the API tells it."""
        return {"pipeline_spec": self.spec, "platform_spec": self.platform} if self.platform else self.spec

    @property
    def text(self) -> str:
        """As YAML."""
        return yaml.safe_dump_all([self.spec, self.platform] if self.platform else [self.spec])


def read_yaml(text: str, rejects: Collection[str] = ()) -> Document:
    """The pipeline of an uploaded file.

    Args:
        text: YAML, one or two documents.
        rejects: Words that this server is too old for.
    """
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise invalid(f"invalid YAML: {error}") from error
    if not 1 <= len(documents) <= 2 or not all(isinstance(document, dict) for document in documents):
        raise invalid("a pipeline is one YAML document, or two with its platform spec")
    return checked(Document(*documents), rejects)


def read_json(value: dict[str, Any], rejects: Collection[str] = ()) -> Document:
    """The pipeline that a request holds."""
    parts = (value["pipeline_spec"], value.get("platform_spec", {})) if "pipeline_spec" in value else (value,)
    return checked(Document(*parts), rejects)


def checked(document: Document, rejects: Collection[str]) -> Document:
    """The same document, if it is a pipeline to the last field."""
    text = json.dumps(document.answer)
    for word in rejects:
        if word in text:
            raise invalid(f"unknown field {word}")
    parse(document.spec, PipelineSpec())
    if not NAME.fullmatch(document.spec.get("pipelineInfo", {}).get("name", "")):
        raise invalid("pipelineInfo.name must be of lower case letters, digits and dashes")
    if not document.spec.get("root", {}).get("dag", {}).get("tasks"):
        raise invalid("a pipeline needs a root with tasks")
    if not document.spec.get("schemaVersion", "").startswith("2.1"):
        raise invalid("schemaVersion must be 2.1")
    executors = document.spec.get("deploymentSpec", {}).get("executors", {})
    for executor in executors.values():
        parse(executor, PipelineDeploymentConfig.ExecutorSpec())
    parse(document.platform, PlatformSpec())
    for platform in document.platform.get("platforms", {}).values():
        for name, config in platform.get("deploymentSpec", {}).get("executors", {}).items():
            if name not in executors:
                raise invalid(f"platform spec of an unknown executor {name}")
            parse(config, KubernetesExecutorConfig())
    return document


def parse(value: Any, message: Message) -> None:
    """Refuse what isn't the JSON of a message."""
    try:
        json_format.ParseDict(value, message)
    except json_format.ParseError as error:
        raise invalid(f"invalid pipeline spec: {error}") from error


def arguments(document: Document, given: dict[str, Any]) -> dict[str, Any]:
    """What a run's parameters give its pipeline, in Python's types."""
    parameters = document.spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name in given:
        if name not in parameters:
            raise invalid(f"unknown input parameter {name!r}")
    for name, parameter in parameters.items():
        if given.get(name) is None and "defaultValue" not in parameter and not parameter.get("isOptional"):
            raise invalid(f"parameter {name} is required, it has no default value")
    return {
        name: converted(name, value, parameters[name]["parameterType"])
        for name, value in given.items()
        if value is not None
    }


def converted(name: str, value: Any, kind: str) -> Any:
    """A parameter's value; in JSON, and so in protobuf, all numbers are of one type."""
    fits = isinstance(value, TYPES[kind]) and (kind == "BOOLEAN" or not isinstance(value, bool))
    if not fits or (kind == "NUMBER_INTEGER" and value != int(value)):
        raise invalid(f"input parameter {name} requires type {kind}, it is given {value!r}")
    return {"NUMBER_INTEGER": int, "NUMBER_DOUBLE": float}.get(kind, lambda same: same)(value)
