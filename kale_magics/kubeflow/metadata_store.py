"""ML Metadata: which artifacts a step has, also one whose results came from Kubeflow's cache.

The server of Kubeflow's page passes requests on to it, in gRPC for browsers: one message after five bytes (a
flag, and the length of the message). The messages are those of ML Metadata's
`proto/metadata_store_service.proto` and `proto/metadata_store.proto`, as far as they are used here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from kale_magics.kubeflow.responses import InvalidResponseError

SERVICE = "/ml_metadata.MetadataStoreService"
HEADERS = {"Content-Type": "application/grpc-web+proto", "X-Grpc-Web": "1"}

RUN_TYPE = "system.PipelineRun"
"""KFP's type of the context of a run; its name is the run's id."""

OUTPUT = 4
"""The type of the event of an artifact that an execution made."""

FLAG_AND_LENGTH = 5
TRAILERS = 0x80
"""The flag of a frame without a message."""

Field = descriptor_pb2.FieldDescriptorProto
PACKAGE = "kale_magics.ml_metadata"

MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "Value": {"string_value": (3, "string")},
    "Property": {"key": (1, "string"), "value": (2, "Value")},
    "Context": {"id": (1, "int64")},
    "Execution": {"id": (1, "int64"), "custom_properties": (5, "Property*")},
    "Step": {"key": (2, "string")},
    "Path": {"steps": (1, "Step*")},
    "Event": {
        "artifact_id": (1, "int64"), "execution_id": (2, "int64"), "path": (3, "Path"), "type": (4, "int32"),
    },
    "Artifact": {"id": (1, "int64"), "uri": (3, "string")},
    "GetContextByTypeAndName": {"type_name": (1, "string"), "context_name": (2, "string")},
    "GetContextByTypeAndNameAnswer": {"context": (1, "Context")},
    "GetExecutionsByContext": {"context_id": (1, "int64")},
    "GetExecutionsByContextAnswer": {"executions": (1, "Execution*")},
    "GetEventsByExecutionIDs": {"execution_ids": (1, "int64*")},
    "GetEventsByExecutionIDsAnswer": {"events": (1, "Event*")},
    "GetArtifactsByContext": {"context_id": (1, "int64")},
    "GetArtifactsByContextAnswer": {"artifacts": (1, "Artifact*")},
}  # fmt: skip
"""For each message its fields: number and type; a star for a repeated one. A map is a list of pairs."""

Send = Callable[[str, bytes], bytes | None]
"""Sends a message to a path, and returns the answer; None if the server does not have that path."""


def artifacts_of_run(run_id: str, send: Send) -> dict[str, dict[str, str]]:
    """Return the addresses of the artifacts of each task, by KFP's names of the task and the artifact.

    Args:
        run_id: The run's id.
        send: Sends a request.

    Returns:
        Empty if there is no such store, or if it does not know the run.

    Raises:
        InvalidResponseError: The response is no answer of ML Metadata.
    """
    context = _call(send, "GetContextByTypeAndName", type_name=RUN_TYPE, context_name=run_id)
    if context is None or not context.context.id:
        return {}
    of_run = {"context_id": context.context.id}
    executions = _call(send, "GetExecutionsByContext", **of_run)
    artifacts = _call(send, "GetArtifactsByContext", **of_run)
    if executions is None or artifacts is None:
        return {}
    tasks = {execution.id: _task_of(execution) for execution in executions.executions}
    events = _call(send, "GetEventsByExecutionIDs", execution_ids=sorted(tasks))
    addresses = {artifact.id: artifact.uri for artifact in artifacts.artifacts}
    found: dict[str, dict[str, str]] = {}
    for event in events.events if events else ():
        if event.type == OUTPUT and event.path.steps and event.artifact_id in addresses:
            task = found.setdefault(tasks.get(event.execution_id, ""), {})
            task[event.path.steps[0].key] = addresses[event.artifact_id]
    return found


def _task_of(execution: Any) -> str:
    properties = {pair.key: pair.value.string_value for pair in execution.custom_properties}
    return str(properties.get("task_name", ""))


def _call(send: Send, method: str, **fields: Any) -> Any:
    """Call a method of the store; None if the server does not have the store, or the store no such thing."""
    message = _messages()[method](**fields).SerializeToString()
    answer = send(f"{SERVICE}/{method}", b"\0" + len(message).to_bytes(4, "big") + message)
    if answer is None or len(answer) < FLAG_AND_LENGTH:
        return None
    if answer[0] & TRAILERS:  # an error: there is no message
        return None
    size = int.from_bytes(answer[1:FLAG_AND_LENGTH], "big")
    try:
        return _messages()[f"{method}Answer"].FromString(answer[FLAG_AND_LENGTH : FLAG_AND_LENGTH + size])
    except DecodeError as error:
        raise InvalidResponseError("it is no message of ML Metadata") from error


@functools.cache
def _messages() -> dict[str, Any]:
    """Return the classes of the messages."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{PACKAGE}.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            base = kind.rstrip("*")
            label = Field.LABEL_REPEATED if kind.endswith("*") else Field.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if base in MESSAGES:
                added.type, added.type_name = Field.TYPE_MESSAGE, f".{PACKAGE}.{base}"
            else:
                added.type = getattr(Field, f"TYPE_{base.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in MESSAGES
    }
