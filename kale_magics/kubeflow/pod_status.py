"""Why a pod does not start, or died: from what Kubernetes reports of it, and from the end of its log.

The server of Kubeflow's page returns the pod (`/k8s/pod`) and its events (`/k8s/pod/events`) in the form of
Kubernetes' API: `v1.Pod`, and a list of `v1.Event`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kale_magics.kubeflow.pod_log import launcher_error, without_lines_of_kfp
from kale_magics.model.options import StepOptions
from kale_magics.step_runtime.attempts import MEMORY_FIX, TIMEOUT_FIX

MAIN = "main"
"""Argo's name of the container that runs the step."""

MAX_MESSAGE = 300
"""Characters of a message of Kubernetes."""

MAX_PIP_LINES = 3
"""Lines of pip in an error: the last ones name the cause."""

STARTING = frozenset({"ContainerCreating", "PodInitializing"})
"""Reasons of a waiting container that soon starts."""

IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
IMAGE_FIX = "check the image of --image, and give the credentials of its registry with --image-pull-secret"
PLACE_FIX = (
    "ask for less with --cpu, --memory or --gpu, or for other nodes with --node-selector or --toleration"
)
OBJECT_FIX = "create it in the namespace of the run, or correct the name in the step's options"


@dataclass(frozen=True)
class PodProblem:
    """Why a pod does not start, or died.

    Attributes:
        message: What happens, in the words of Kubernetes where there are any.
        fix: What to change; empty if nothing is known.
    """

    message: str
    fix: str = ""


def waiting_problem(
    pod: Mapping[str, Any] | None, events: Sequence[Mapping[str, Any]], options: StepOptions
) -> PodProblem | None:
    """Return why a pod does not start; None if it runs, or if nothing prevents its start.

    Args:
        pod: The pod, as Kubernetes describes it.
        events: Its events, the oldest first.
        options: The options of its step.
    """
    status = (pod or {}).get("status") or {}
    if status.get("phase") not in (None, "Pending"):
        return None
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return _unscheduled(str(condition.get("message") or condition.get("reason") or ""), options)
    waiting = _state_of_main(status).get("waiting") or {}
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in IMAGE_REASONS:
        return _no_image(message or reason, options)
    if reason and reason not in STARTING:
        return PodProblem(_first_part(message) or reason, OBJECT_FIX if "not found" in message else "")
    return _problem_of_events(events, options)


def _problem_of_events(events: Sequence[Mapping[str, Any]], options: StepOptions) -> PodProblem | None:
    """Return the problem of the last warning, unless something went right after it."""
    if not events or events[-1].get("type") != "Warning":
        return None
    reason, message = str(events[-1].get("reason") or ""), str(events[-1].get("message") or "")
    if reason == "FailedScheduling":
        return _unscheduled(message, options)
    if "pull image" in message or "pulling image" in message:
        return _no_image(message, options)
    return PodProblem(_first_part(message) or reason, OBJECT_FIX if "not found" in message else "")


def _unscheduled(message: str, options: StepOptions) -> PodProblem:
    # What follows is about pods of lower priority.
    cause = message.partition(". ")[0].rstrip(".")
    asked = [
        f"{name} {value}"
        for name, value in (
            ("memory", options.memory and options.memory[0]),
            ("CPU", options.cpu and options.cpu[0]),
            ("GPU", options.gpus),
        )
        if value and name.lower() in cause.lower().replace("nvidia.com/gpu", "gpu")
    ]
    return PodProblem(cause[:MAX_MESSAGE] + (f" (asks for {', '.join(asked)})" if asked else ""), PLACE_FIX)


def _no_image(message: str, options: StepOptions) -> PodProblem:
    named = re.search(r'image "([^"]+)"', message)
    image = named[1] if named else options.image or ""
    detail = message.rpartition("ErrImagePull: ")[2]
    return PodProblem(f"cannot pull {image} ({_first_part(detail)})", IMAGE_FIX)


def _first_part(message: str) -> str:
    return " ".join(message.split())[:MAX_MESSAGE]


def _state_of_main(status: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = status.get("containerStatuses") or ()
    found: Mapping[str, Any] = next((c for c in containers if c.get("name") == MAIN), {})
    return found.get("state") or {}


def failure_problem(pod: Mapping[str, Any] | None, log: str, options: StepOptions) -> PodProblem | None:
    """Return why a pod died without a report of its step; None if nothing is known.

    Args:
        pod: The pod, as Kubernetes describes it; None if it is deleted or the server has no page.
        log: Its whole log; may be empty.
        options: The options of its step.
    """
    status = (pod or {}).get("status") or {}
    if status.get("reason") == "DeadlineExceeded":
        # With retries, the pod's own limit is that of all attempts.
        limit = _seconds(None if options.retries else options.timeout)
        return PodProblem(f"ended after its time limit{limit}", TIMEOUT_FIX)
    ended = _state_of_main(status).get("terminated") or {}
    if ended.get("reason") == "OOMKilled" or "exit status 137" in launcher_error(log):
        return _out_of_memory(options, is_certain=ended.get("reason") == "OOMKilled")
    if status.get("reason"):  # evicted, its node is lost
        message = str(status.get("message") or "")
        return PodProblem(f"{status['reason']}: {_first_part(message)}".rstrip(": "), "run it again")
    return _pip_problem(log)


def driver_problem(log: bytes | None) -> PodProblem | None:
    """Return why the driver of a task failed, before there was a pod; None if its log has no reason."""
    message = launcher_error((log or b"").decode("utf-8", "replace"))
    return PodProblem(f"KFP's driver failed: {_first_part(message)}") if message else None


def _seconds(timeout: float | None) -> str:
    return "" if timeout is None else f" of {timeout:g} s"


def memory_limit(options: StepOptions) -> str:
    """Return the memory limit of a step, to follow what it ended of; empty without one."""
    return f" (limit {options.memory[1]})" if options.memory else ""


def _out_of_memory(options: StepOptions, is_certain: bool) -> PodProblem:
    what = "killed: out of memory" if is_certain else "killed by signal 9, as when memory runs out"
    return PodProblem(what + memory_limit(options), MEMORY_FIX)


def _pip_problem(log: str) -> PodProblem | None:
    lines = [line for line in without_lines_of_kfp(log).splitlines() if line.startswith("ERROR: ")]
    if not lines:
        return None
    text = "; ".join(line.removeprefix("ERROR: ") for line in lines[-MAX_PIP_LINES:])
    return PodProblem(
        f"pip could not install its packages: {_first_part(text)}",
        "correct the package or its version (--packages), or use an image that has it (--image)",
    )
