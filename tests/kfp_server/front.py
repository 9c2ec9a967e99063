"""What the server of the page adds to the API: the bytes of objects; logs, status and events of pods.

That an object or a log is not there, and all about pods, is answered as recorded. Assumptions are what
several users see, and that an argument which is missing has the status that the page's source gives it
(frontend/server/handlers of kubeflow/pipelines).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.kfp_server.answers import Answer
from tests.kfp_server.errors import INTERNAL, NOT_FOUND, UNPROCESSABLE, ApiError, invalid
from tests.kfp_server.nodes import Node
from tests.kfp_server.objects import ADDRESS, file_of, with_addresses
from tests.kfp_server.pod_states import USUAL, event_list, events_of, page_log, status_of
from tests.kfp_server.routing import Call, route
from tests.kfp_server.service import Service
from tests.kfp_server.store import Run


def runs_seen(service: Service, call: Call, namespace: str) -> Iterator[Run]:
    """The runs of a namespace, which must be the user's; with one user only, all of them."""
    service.admit(call.user, namespace)
    return (
        run for run in service.store.runs.values() if not service.multi_user or run.namespace == namespace
    )


def need_page(service: Service, call: Call) -> None:
    """Refuse what only the server of the page has, if there is none at this address."""
    if not service.has_ui or call.address == "api":
        raise ApiError(NOT_FOUND, "404 page not found")


@route(
    "GET",
    "/artifacts/{source}/{bucket}/{key...}",
    prefix="",
    query=("namespace", "peek", "providerInfo", "download"),
    errors="text",
)
def get_object(service: Service, call: Call) -> Answer:
    """The bytes of an object, all of them whatever `peek` says."""
    need_page(service, call)
    namespace = call.asked("namespace")
    if service.multi_user and not namespace:
        raise invalid("Namespace parameter is required when authentication is enabled")
    runs = {run.place for run in runs_seen(service, call, namespace)}
    address = ADDRESS.fullmatch(f"{call['source']}/{call['bucket']}/{call['key']}")
    if address is not None and address["run"] in runs:
        file = file_of(service.execution.folder, address["run"], address["key"])
        if file is not None:
            return Answer(200, file.read_bytes(), "")
    raise ApiError(NOT_FOUND, f"No objects found at {call['bucket']}/{call['key']}")


@route(
    "GET",
    "/k8s/pod/logs",
    prefix="",
    query=("podname", "runid", "podnamespace", "createdat"),
    errors="text",
)
def get_pod_log(service: Service, call: Call) -> Answer:
    """What a pod has printed so far; the real server doesn't look at `runid` either."""
    need_page(service, call)
    name, namespace = call.asked("podname"), call.asked("podnamespace")
    if not name:
        raise invalid("podname argument is required")
    if service.multi_user and not namespace:
        raise ApiError(UNPROCESSABLE, "podnamespace argument is required")
    pod = pod_seen(service, call, name, namespace)
    if pod is None or pod.is_gone or pod.state == "PENDING":
        message = "Could not get main container logs: S3Error: The specified key does not exist."
        raise ApiError(INTERNAL, message)
    log = page_log(pod.state, "".join(pod.log), pod.pod_state or USUAL).replace("{pod}", name)
    return Answer(200, with_addresses(log, service.execution.folder), "")


@route("GET", "/k8s/pod", prefix="", query=("podname", "podnamespace"), errors="text")
def get_pod(service: Service, call: Call) -> Answer:
    """A pod, with the parts of its status that say how it is; a real server answers the whole pod."""
    name, namespace = named_pod(service, call)
    pod = pod_seen(service, call, name, namespace)
    if pod is None or pod.is_gone:
        raise ApiError(INTERNAL, f"Could not get pod {name} in namespace {namespace}")
    status = status_of(pod.state, pod.pod_state or USUAL)
    return Answer(200, json.dumps({"metadata": {"name": name}, "status": status}), "text/html")


@route("GET", "/k8s/pod/events", prefix="", query=("podname", "podnamespace"), errors="text")
def get_pod_events(service: Service, call: Call) -> Answer:
    """The events of a pod; those of one that is gone are still there, which is an assumption."""
    name, namespace = named_pod(service, call)
    pod = pod_seen(service, call, name, namespace)
    events: dict[str, Any] = event_list([]) if pod is None else events_of(name, pod.pod_state or USUAL)
    return Answer(200, json.dumps(events), "text/html")


def named_pod(service: Service, call: Call) -> tuple[str, str]:
    """The name and the namespace of the pod that a request is about."""
    need_page(service, call)
    for name in ("podname", "podnamespace"):
        if not call.asked(name):
            raise ApiError(UNPROCESSABLE, f"{name} argument is required")
    return call.asked("podname"), call.asked("podnamespace")


def pod_seen(service: Service, call: Call, name: str, namespace: str) -> Node | None:
    """The pod of a name, also one that is gone."""
    for run in runs_seen(service, call, namespace):
        for node in run.workflow.find(name):
            if node.pod == name:
                return node
    return None
