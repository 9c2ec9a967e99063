"""What the UI server in front of the API adds to it: the bytes of objects, and the logs of pods."""

from __future__ import annotations

from collections.abc import Iterator

from tests.kfp_server.errors import INTERNAL, NOT_FOUND, UNPROCESSABLE, ApiError, invalid, not_found
from tests.kfp_server.objects import ADDRESS, file_of, with_addresses
from tests.kfp_server.routing import Call, route
from tests.kfp_server.service import Service
from tests.kfp_server.store import Run


def runs_seen(service: Service, call: Call, namespace: str) -> Iterator[Run]:
    """The runs of a namespace, which must be the user's; with one user only, all of them."""
    service.admit(call.user, namespace)
    return (
        run for run in service.store.runs.values() if not service.multi_user or run.namespace == namespace
    )


def need_ui(service: Service) -> None:
    """Refuse what only the UI server has, if there is none."""
    if not service.has_ui:
        raise ApiError(NOT_FOUND, "404 page not found")


@route(
    "GET",
    "/artifacts/{source}/{bucket}/{key...}",
    prefix="",
    query=("namespace", "peek", "providerInfo", "download"),
    errors="text",
)
def get_object(service: Service, call: Call) -> bytes:
    """The bytes of an object, all of them whatever `peek` says."""
    need_ui(service)
    namespace = call.asked("namespace")
    if service.multi_user and not namespace:
        raise invalid("Namespace parameter is required when authentication is enabled")
    runs = {run.workflow.name for run in runs_seen(service, call, namespace)}
    address = ADDRESS.fullmatch(f"{call['source']}/{call['bucket']}/{call['key']}")
    if address is not None and address["workflow"] in runs:
        file = file_of(service.execution.folder, address["workflow"], address["key"])
        if file is not None:
            return file.read_bytes()
    raise not_found("object", call["key"])


@route(
    "GET",
    "/k8s/pod/logs",
    prefix="",
    query=("podname", "runid", "podnamespace", "createdat"),
    errors="text",
)
def get_pod_log(service: Service, call: Call) -> str:
    """What a pod has printed so far; the real server doesn't look at `runid` either."""
    need_ui(service)
    name, namespace = call.asked("podname"), call.asked("podnamespace")
    if not name:
        raise invalid("podname argument is required")
    if service.multi_user and not namespace:
        raise ApiError(UNPROCESSABLE, "podnamespace argument is required")
    pods = (run.workflow.pod_called(name) for run in runs_seen(service, call, namespace))
    pod = next((pod for pod in pods if pod is not None), None)
    if pod is None:
        raise ApiError(NOT_FOUND, "pod not found")
    if pod.state == "PENDING":
        raise ApiError(INTERNAL, f"Could not get main container logs: {pod.waiting}")
    return with_addresses("".join(pod.log), service.execution.folder)
