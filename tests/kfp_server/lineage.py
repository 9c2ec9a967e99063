"""Which artifacts the tasks of a run have, cached or not: ML Metadata behind the page's server, or the API.

Requests and answers are messages of protobuf in gRPC for browsers. The numbers of fields are those of
`ml_metadata/proto/metadata_store.proto` and `metadata_store_service.proto` in ml-metadata 1.17.1. Contexts,
executions, artifacts and events have the fields of recorded ones that say what belongs together; their ids
are this server's. Assumptions: that an unknown run has an empty answer, and that the pages of a list do not
matter. The API's list is that of KFP's branch mlmd-removal (`backend/api/v2beta1/run.proto`), an assumption.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.kfp_server.answers import Answer
from tests.kfp_server.errors import not_found
from tests.kfp_server.front import need_page, runs_seen
from tests.kfp_server.nodes import Node, execution_id, fnv1a
from tests.kfp_server.objects import with_addresses
from tests.kfp_server.routing import Call, route
from tests.kfp_server.service import Service
from tests.kfp_server.store import Run

Fields = dict[int, list[int | bytes]]
"""The values of a message, by the numbers of its fields."""

RUN_TYPE = b"system.PipelineRun"

STATES = {"RUNNING": 2, "SUCCEEDED": 3, "FAILED": 4, "SKIPPED": 5}
"""ML Metadata's RUNNING, COMPLETE, FAILED and CACHED, for the states of a task's pod."""

OUTPUT, LIVE = 4, 2


def varint(number: int) -> bytes:
    """A number, seven bits in each byte, the lowest first."""
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def message(*fields: tuple[int, int | str | bytes]) -> bytes:
    """A message of numbers, texts and other messages, each with the number of its field."""
    content = b""
    for number, value in fields:
        if isinstance(value, int):
            content += varint(number << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            content += varint(number << 3 | 2) + varint(len(data)) + data
    return content


def numbers(content: bytes) -> Iterator[int]:
    """The numbers that stand one after the other in some bytes."""
    number = shift = 0
    for byte in content:
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            yield number
            number = shift = 0


def parsed(content: bytes) -> Fields:
    """The fields of a message of numbers and bytes."""
    found: Fields = {}
    while content:
        key, number = (*numbers(content), 0)[:2]
        content = content[len(varint(key)) + len(varint(number)) :]
        value: int | bytes = number
        if key & 7:
            value, content = content[:number], content[number:]
        found.setdefault(key >> 3, []).append(value)
    return found


def properties(values: Mapping[str, str]) -> list[tuple[int, bytes]]:
    """Custom properties, whose field has the same number in all messages."""
    return [(5, message((1, name), (2, message((3, value))))) for name, value in values.items()]


def context_id(run: Run) -> int:
    """The id of the context of a run."""
    return fnv1a(run.id)


def pods_of(run: Run) -> Iterator[tuple[int, str, Node]]:
    """The executions of a run: their ids, tasks and pods."""
    for task in run.document.tasks:
        pod = run.workflow.pod(task)
        if pod is not None and pod.state in STATES:
            yield execution_id(run.workflow.name, task), task, pod


def artifacts_of(service: Service, pod: Node) -> dict[str, str]:
    """The addresses of the artifacts of a pod, by their names."""
    files = pod.outputs.items()
    return {name: with_addresses(str(path), service.execution.folder) for name, path in files}


def execution(number: int, task: str, pod: Node) -> bytes:
    """A `ml_metadata.Execution`."""
    named = {"task_name": task, "display_name": task, "pod_name": pod.pod}
    return message((1, number), (3, STATES[pod.state]), (7, "system.ContainerExecution"), *properties(named))


def artifact(name: str, address: str) -> bytes:
    """A `ml_metadata.Artifact`."""
    named = properties({"display_name": name})
    return message((1, fnv1a(address)), (3, address), *named, (6, LIVE), (8, "system.Artifact"))


def event(number: int, name: str, address: str) -> bytes:
    """A `ml_metadata.Event`: an execution has put out an artifact."""
    path = message((1, message((2, name))))
    return message((1, fnv1a(address)), (2, number), (3, path), (4, OUTPUT))


def get_context(service: Service, runs: list[Run], asked: Fields) -> bytes:
    run = next((run for run in runs if [RUN_TYPE, run.id.encode()] == [asked[1][0], asked[2][0]]), None)
    return b"" if run is None else message((1, message((1, context_id(run)), (3, run.id), (6, RUN_TYPE))))


def get_executions(service: Service, runs: list[Run], asked: Fields) -> bytes:
    run = next(run for run in runs if context_id(run) == asked[1][0])
    return message(*((1, execution(*found)) for found in pods_of(run)))


def get_events(service: Service, runs: list[Run], asked: Fields) -> bytes:
    ids = {
        one for value in asked.get(1, []) for one in ([value] if isinstance(value, int) else numbers(value))
    }
    found = (one for run in runs for one in pods_of(run) if one[0] in ids)
    outputs = ((number, artifacts_of(service, pod)) for number, _, pod in found)
    return message(*((1, event(number, *one)) for number, files in outputs for one in files.items()))


def get_artifacts(service: Service, runs: list[Run], asked: Fields) -> bytes:
    run = next(run for run in runs if context_id(run) == asked[1][0])
    files = {item for _, _, pod in pods_of(run) for item in artifacts_of(service, pod).items()}
    return message(*((1, artifact(*item)) for item in sorted(files)))


METHODS: Mapping[str, Callable[[Service, list[Run], Fields], bytes]] = {
    "GetContextByTypeAndName": get_context,
    "GetExecutionsByContext": get_executions,
    "GetEventsByExecutionIDs": get_events,
    "GetArtifactsByContext": get_artifacts,
}


@route("POST", "/ml_metadata.MetadataStoreService/{method}", prefix="", body="bytes", errors="text")
def call_metadata(service: Service, call: Call) -> Answer:
    """Answer a call: a frame with the answer, and one with the status."""
    need_page(service, call)
    if not service.has_metadata or call["method"] not in METHODS:
        raise not_found("method", call["method"])
    runs = list(runs_seen(service, call, call.asked("namespace")))
    content = METHODS[call["method"]](service, runs, parsed(call.body[5:]))
    trailer = b"grpc-status:0\r\n"
    frames = b"\0" + len(content).to_bytes(4, "big") + content
    frames += b"\x80" + len(trailer).to_bytes(4, "big") + trailer
    return Answer(200, frames, "application/grpc-web+proto")


@route("GET", "/runs/{run_id}/tasks", query=("page_size", "page_token"))
def list_tasks(service: Service, call: Call) -> dict[str, Any]:
    """The tasks of a run with the addresses of what they have put out; two on a page."""
    run = next((run for run in runs_seen(service, call, "") if run.id == call["run_id"]), None)
    if run is None or not service.lists_tasks:
        raise not_found("path", call["run_id"])
    first = int(call.asked("page_token") or 0)
    listed = [
        {
            "name": task,
            "outputs": {
                "artifacts": [
                    {"artifact_key": name, "artifacts": [{"uri": address}]}
                    for name, address in artifacts_of(service, pod).items()
                ]
            },
        }
        for _, task, pod in pods_of(run)
    ]
    more = str(first + 2) if len(listed) > first + 2 else ""
    return {"tasks": listed[first : first + 2], "next_page_token": more, "total_size": len(listed)}
