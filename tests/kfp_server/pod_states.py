"""What Kubernetes says of a pod: its status and its events, as the server of the page passes them on.

The status and the events of a pod of which a script says nothing are those of recorded pods, cut to the parts
that differ: that a pod is running is an assumption.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parent.parent / "recordings"

ARGO_BEGINS = (
    'time=2026-11-29T22:05:39.029Z level=INFO msg="capturing logs" argo=true\n'
    'time=2026-11-29T22:05:39.065Z level=INFO msg="waiting for signals" argo=true '
    "signalPath=/var/run/argo/ctr/main/signal\n"
)
ARGO_ENDS = 'time=2026-11-29T22:05:53.387Z level=INFO msg="sub-process exited" argo=true error={}\n'
"""What the page's log has of Argo before and after what a container prints; the API's log has none of it."""


@dataclass(frozen=True)
class PodState:
    """What Kubernetes says of a pod.

    Attributes:
        status: The pod's status; empty for that of a usual pod of its phase.
        events: Its events, the oldest first; empty for those of a usual pod.
        page_log: What the page shows as its log; None for the API's log with Argo's lines around it.
        starts: Whether its container ever starts; if not, the run lasts until it is cancelled.
    """

    status: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[Mapping[str, Any], ...] = ()
    page_log: str | None = None
    starts: bool = True


USUAL = PodState()


@functools.cache
def recorded_pods() -> dict[str, Any]:
    """The pods of tests/recordings/pods.json, by what happened to them."""
    return json.loads((RECORDINGS / "pods.json").read_text(encoding="utf-8"))


def recorded_state(name: str) -> PodState:
    """What Kubernetes said of a recorded pod."""
    pod = recorded_pods()[name]
    is_pending = pod["status"]["phase"] == "Pending"
    return PodState(pod["status"], tuple(pod["events"]), pod.get("page_log"), starts=not is_pending)


def status_of(state: str, said: PodState) -> dict[str, Any]:
    """The status of a pod.

    Args:
        state: KFP's state of its node.
        said: What a script says of it; that counts from the end of the pod on, or while it cannot start.
    """
    is_over = state in ("SUCCEEDED", "FAILED")
    if said.status and (is_over or not said.starts):
        return dict(said.status)
    if is_over:
        return recorded_pods()["succeeded" if state == "SUCCEEDED" else "raised"]["status"]
    if state == "PENDING":
        waiting = {"reason": "PodInitializing"}
        return {"phase": "Pending", "containerStatuses": [{"name": "main", "state": {"waiting": waiting}}]}
    return {"phase": "Running", "containerStatuses": [{"name": "main", "state": {"running": {}}}]}


def events_of(pod: str, said: PodState) -> dict[str, Any]:
    """The list of a pod's events, as Kubernetes has lists; "{pod}" stands for the pod in recorded ones."""
    events = [dict(event) for event in said.events or recorded_pods()["succeeded"]["events"]]
    for event in events:
        event["message"] = event["message"].replace("{pod}", pod)
    return event_list(events)


def event_list(events: list[dict[str, Any]]) -> dict[str, Any]:
    """A list of events."""
    return {
        "apiVersion": "v1",
        "items": events,
        "kind": "EventList",
        "metadata": {"resourceVersion": "25399"},
    }


def page_log(state: str, log: str, said: PodState) -> str:
    """What the page shows as the log of a pod."""
    if said.page_log is not None:
        return said.page_log
    if state == "SUCCEEDED":
        return f"{ARGO_BEGINS}{log}{ARGO_ENDS.format('<nil>')}"
    if state == "FAILED":
        return f"{ARGO_BEGINS}{log}{ARGO_ENDS.format(json.dumps('exit status 1'))}Error: exit status 1\n"
    return f"{ARGO_BEGINS}{log}"
