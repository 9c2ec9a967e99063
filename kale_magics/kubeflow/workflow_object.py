"""Describes the object that a cluster stores for a run: Argo's `Workflow`, with its spec and its nodes.

The API server compiles a pipeline to the spec (kubeflow/pipelines, `backend/src/v2/compiler/argocompiler`).
For all that starts, Argo adds a node to the status, with the inputs and outputs of its template. KFP's driver
outputs a patch of the pod (`backend/src/v2/driver`). The texts here repeat as theirs do, and have about their
lengths.

With the settings of KFP 2.17, each node stands below another one for its attempts, with the same inputs and
outputs. So a program is once in the spec, twice in each of the two nodes of a driver (the container, and the
patch), and once in each of the four nodes of an executor. With the settings of older versions, half as many
nodes have it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

WORKFLOW = "pipeline-abcde"
"""A name of a workflow, with which the names of its nodes begin: the pipeline's, and five characters."""

FIXED_BYTES = 10_600
"""The templates of every pipeline, other fields of the spec, and metadata (KFP 2.17)."""

TEMPLATE_BYTES = 4_200
"""Two templates more, for steps with retries, and for each number of labels and annotations (KFP 2.17)."""

STORE = (
    '{"Provider":"minio","Params":{"accessKeyKey":"accesskey","disableSSL":"true",'
    '"endpoint":"seaweedfs.kubeflow:9000","fromEnv":"false","maxRetries":"5","region":"minio",'
    '"secretKeyKey":"secretkey","secretName":"mlpipeline-minio-artifact"}}'
)
"""KFP's description of the store of artifacts, in the metadata of each."""

LAUNCHER = (
    "--ml_pipeline_server_address ml-pipeline.kubeflow --ml_pipeline_server_port 8887"
    " --mlmd_server_address metadata-grpc-service.kubeflow --mlmd_server_port 8080 --publish_logs true"
    " --ml_pipeline_tls_enabled=false --metadata_tls_enabled=false --ca_cert_path  --cache_disabled=false"
    " --log_level 1 --"
).split(" ")
"""Arguments of KFP's launcher that are the same for all steps."""

RUNTIME = "kale_runtime"
"""The artifact with the runtime."""

PATHS = {
    "execution-id": "",
    "iteration-count": "0",
    "condition": "true",
    "pod-spec-patch": "",
    "cached-decision": "false",
}
"""The outputs of drivers, with their defaults."""


def go_json(value: Any) -> str:
    """Return a value in JSON as Go writes it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def proto_json(value: Any) -> str:
    """Return a message of KFP in JSON as its compiler writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


class WorkflowObject:
    """The object of a run of a pipeline, when all of its pods have ended.

    Args:
        spec: The specification of the pipeline.
        platform: That of the platform, if there is one.
        attempts: Whether each node stands below one for its attempts, as with KFP 2.17.

    Attributes:
        spec_bytes: The bytes of the spec and the metadata.
        step_bytes: Those of them that are each step's, by the step's name.
        nodes: The nodes by id, each with the name of its step; empty for those of the pipeline.
    """

    def __init__(self, spec: Json, platform: Json | None = None, attempts: bool = True) -> None:
        kubernetes = (platform or {}).get("platforms", {}).get("kubernetes", {})
        self._configs: Json = kubernetes.get("deploymentSpec", {}).get("executors", {})
        self._components: Json = spec["components"]
        self._executors: Json = spec["deploymentSpec"]["executors"]
        self._pipeline = spec["pipelineInfo"]["name"]
        self._attempts = attempts
        self.step_bytes: dict[str, int] = {}
        self.nodes: dict[str, tuple[str, dict[str, Any]]] = {}
        root = spec["root"]
        values = {k: p["defaultValue"] for k, p in _inputs(root, "parameters") if "defaultValue" in p}
        config = proto_json({"parameterValues": values})
        fixed = [_parameter("components-root", proto_json(root)), _parameter("runtime-config", config)]
        top, top_id = self._add(WORKFLOW, WORKFLOW, "DAG", "entrypoint")
        inputs = {
            "component": proto_json(root),
            "runtime-config": config,
            "task": "",
            "driver-type": "ROOT_DAG",
        }
        self._add_driver(f"{top}.root-driver", top_id, inputs, {}, "dag")
        inner = self._add(f"{top}.root", "root", "DAG", "root", top_id, {"parent-dag-id": "123"})
        self._add_tasks(root["dag"], *inner)
        templates = {self._template_of(task) for task in root["dag"]["tasks"].values()} - {""}
        extra = TEMPLATE_BYTES * len(templates)
        self.spec_bytes = FIXED_BYTES + extra + len(go_json(fixed).encode()) + sum(self.step_bytes.values())

    def _template_of(self, task: Json) -> str:
        """Return what distinguishes the templates of a task's pod; empty for the usual ones."""
        about = self._configs.get(self._components[task["componentRef"]["name"]].get("executorLabel", ""), {})
        metadata = about.get("podMetadata", {})
        counts = [len(metadata.get(kind, ())) for kind in ("annotations", "labels")]
        return "retry" * ("retryPolicy" in task) + "-".join(map(str, counts)) * any(counts)

    def _add_tasks(self, dag: Json, above: str, above_id: str) -> None:
        """Add the nodes of a DAG's tasks, and their part of the spec."""
        for key, task in dag["tasks"].items():
            name = str(task["taskInfo"]["name"])
            component = self._components[task["componentRef"]["name"]]
            label = component.get("executorLabel", "")
            container, config = self._executors.get(label, {}).get("container", {}), self._configs.get(label)
            inputs = {"component": proto_json(component), "task": proto_json(task), "task-name": key}
            inputs |= {"container": proto_json(container)} if container else {}
            inputs |= {"kubernetes-config": proto_json(config)} if config else {}
            used = len(go_json(_in_spec(key, task, inputs, label)).encode())
            self.step_bytes[name] = self.step_bytes.get(name, 0) + used
            if container:
                patch = {"pod-spec-patch": go_json(self._patch(key, task, component, container))}
                self._add_driver(f"{above}.{key}-driver", above_id, inputs, patch, "container", name)
                given = patch | {"cached-decision": "false"}
                template = "system-container-executor"
                node, place = self._add(f"{above}.{key}", key, "DAG", template, above_id, given, step=name)
                retries = int(task.get("retryPolicy", {}).get("maxRetryCount", 0))
                template = "system-container-impl"
                self._add(f"{node}.executor", "executor", "Pod", template, place, patch, {}, name, retries)
                continue
            # A loop has as many items as it finds when it runs: at least one is sure.
            self._add_driver(f"{above}.{key}-driver", above_id, inputs, {}, "dag", name)
            inner = self._add(
                f"{above}.{key}", key, "DAG", key, above_id, {"parent-dag-id": "124"}, step=name
            )
            self._add_tasks(component["dag"], *inner)

    def _add_driver(
        self, name: str, above: str, inputs: Json, outputs: Json, kind: str, step: str = ""
    ) -> None:
        display, given = name.rpartition(".")[2], {**inputs, "parent-dag-id": "123", "iteration-index": "-1"}
        found = {**outputs, "condition": "nil"}
        found |= {"cached-decision": "false"} if outputs else {"execution-id": "123", "iteration-count": "0"}
        self._add(name, display, "Pod", f"system-{kind}-driver", above, given, found, step)

    def _add(
        self, name: str, display: str, kind: str, template: str, above: str = "", inputs: Json | None = None,
        outputs: Json | None = None, step: str = "", retries: int = 0,
    ) -> tuple[str, str]:  # fmt: skip
        """Add a node, and those of its attempts; return the name and the id of the (first) attempt."""
        node: dict[str, Any] = {
            "id": _node_id(name), "name": name, "displayName": display,
            "type": "Retry" if retries or self._attempts else kind, "templateName": template,
            "templateScope": f"local/{WORKFLOW}", "phase": "Succeeded",
            "boundaryID": above, "startedAt": "2026-11-29T22:06:10Z", "finishedAt": "2026-11-29T22:06:20Z",
            "progress": "1/1", "resourcesDuration": {"cpu": 0, "memory": 2},
            "inputs": {"parameters": [_parameter(*item) for item in (inputs or {}).items()]},
            "children": [_node_id(f"child of {name}")], "outboundNodes": [_node_id(f"last of {name}")],
        }  # fmt: skip
        if kind == "Pod":
            log = f"{WORKFLOW}/2026/11/29/{WORKFLOW}-{template}-{_node_id(name)[-10:]}/main.log"
            found = [_output(*item) for item in (outputs or {}).items()]
            logs = [{"name": "main-logs", "s3": {"key": log}}]
            node["outputs"] = {"parameters": found, "artifacts": logs, "exitCode": "0"}
            node["hostNodeName"] = "cluster-node-1"
        self.nodes[_node_id(name)] = step, node
        if not retries and not self._attempts:
            return name, _node_id(name)
        for number in range(retries + 1):
            attempt = f"{name}({number})"
            same = {
                "id": _node_id(attempt),
                "name": attempt,
                "displayName": f"{display}({number})",
                "type": kind,
            }
            self.nodes[_node_id(attempt)] = step, {**node, **same, "nodeFlag": {"retried": True}}
        return f"{name}(0)", _node_id(f"{name}(0)")

    def _patch(self, key: str, task: Json, component: Json, container: Json) -> dict[str, Any]:
        """Return the patch of a step's pod."""
        folder = f"minio://mlpipeline/v2/artifacts/{self._pipeline}/{_uuid('run')}"
        values = {name: "x" * 8 for name, _ in _inputs(component, "parameters")}
        given = {}
        for name, about in _inputs(component, "artifacts"):
            source = task.get("inputs", {}).get("artifacts", {}).get(name, {}).get("taskOutputArtifact", {})
            other, output_key = source.get("producerTask", key), source.get("outputArtifactKey", name)
            uri = f"{folder}/{other}/{_uuid(other)}/{output_key}"
            given[name] = {"artifacts": [_artifact(name, about, uri, True)]}
        logs = {"executor-logs": {"artifactType": {"schemaTitle": "system.Artifact"}}}
        made = {
            name: {"artifacts": [_artifact(name, about, f"{folder}/{key}/{_uuid(key)}/{name}", False)]}
            for name, about in {**component.get("outputDefinitions", {}).get("artifacts", {}), **logs}.items()
        }
        path = f"{folder}/{key}/{_uuid(key)}/output_metadata.json"
        executor_input = json.dumps(
            {
                "inputs": {"parameterValues": values, "artifacts": given},
                "outputs": {"artifacts": made, "outputFile": path},
            },
            separators=(",", ":"),
        )
        arguments = ["--pipeline_name", self._pipeline, "--run_id", _uuid("run"), "--execution_id", "123"]
        arguments += ["--executor_input", executor_input, "--component_spec", proto_json(component)]
        arguments += ["--pod_name", "$(KFP_POD_NAME)", "--pod_uid", "$(KFP_POD_UID)", *LAUNCHER]
        main = {
            "name": "main", "image": container["image"], "command": ["/kfp-launcher/launch", *arguments],
            "args": [*container["command"], *container["args"]],
            "env": container.get("env", []), "resources": container.get("resources", {}),
        }  # fmt: skip
        return {"containers": [main]}


def _inputs(component: Json, kind: str) -> Iterator[tuple[str, Any]]:
    yield from component.get("inputDefinitions", {}).get(kind, {}).items()


def _in_spec(key: str, task: Json, inputs: Json, label: str) -> list[Any]:
    """Return a task's part of the spec: its arguments of the workflow, and its two tasks in the template."""
    digest = hashlib.sha256(label.encode()).hexdigest()
    names = {"component": f"components-{digest}", "container": f"implementations-{digest}"}
    names["kubernetes-config"] = f"kubernetes-{label}"
    arguments = [_parameter(names[name], text) for name, text in inputs.items() if name in names]
    given = {
        name: f"{{{{workflow.parameters.{names[name]}}}}}" if name in names else text
        for name, text in inputs.items()
    }
    given["parent-dag-id"] = "{{inputs.parameters.parent-dag-id}}"
    outputs = {
        name: f"{{{{tasks.{key}-driver.outputs.parameters.{name}}}}}"
        for name in ("pod-spec-patch", "cached-decision")
    }
    driver = {
        "name": f"{key}-driver", "template": "system-container-driver",
        "arguments": {"parameters": [_parameter(*item) for item in given.items()]},
        "depends": " && ".join(f"{other}.Succeeded" for other in task.get("dependentTasks", ())),
    }  # fmt: skip
    executor = {
        "name": key, "template": "system-container-executor",
        "arguments": {"parameters": [_parameter(*item) for item in outputs.items()]},
        "depends": f"{key}-driver.Succeeded",
    }  # fmt: skip
    return [*arguments, driver, executor]


def _parameter(name: str, value: str) -> dict[str, Any]:
    """Return a parameter of Argo with a value."""
    return {"name": name, "value": value}


def _output(name: str, value: str) -> dict[str, Any]:
    """Return an output of a driver."""
    path = {"path": f"/tmp/outputs/{name}", "default": PATHS[name]}  # noqa: S108  # a path in a pod
    return {"name": name, "value": value, "valueFrom": path}


def _artifact(name: str, about: Json, uri: str, exists: bool) -> dict[str, Any]:
    """Return an artifact as in the input of KFP's executor; one that exists has metadata."""
    if not exists:
        return {"name": name, "type": about["artifactType"], "uri": uri}
    metadata: dict[str, Any] = {"display_name": name, "store_session_info": STORE}
    if name != RUNTIME:
        # As `step_runtime.artifacts` writes it.
        values = {"struct": {name: {"bytes": 22, "library": "", "type": "list"}}}
        digest = hashlib.sha256(uri.encode()).hexdigest()
        metadata |= {
            "bytes": 88,
            "format": "KALE artifact 1",
            "python": "3.11.2",
            "sha256": digest,
            "values": values,
        }
    return {"name": "283", "type": {"instanceSchema": ""}, "uri": uri, "metadata": metadata}


def node_number(name: str) -> int:
    """Return the number in the id of a node, and in the name of its pod: Argo's FNV-1a hash of 32 bits."""
    value = 0x811C9DC5
    for byte in name.encode():
        value = (value ^ byte) * 0x01000193 % 2**32
    return value


def _node_id(name: str) -> str:
    """Return the id of a node."""
    if name == WORKFLOW:
        return name
    return f"{WORKFLOW}-{node_number(name)}"


def _uuid(seed: str) -> str:
    """Return a UUID that cannot be compressed, always the same for a seed."""
    text = hashlib.md5(seed.encode(), usedforsecurity=False).hexdigest()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
