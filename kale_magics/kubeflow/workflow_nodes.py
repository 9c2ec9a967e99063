"""Where a server stores the results of a step: the names of its pods, and the paths of its artifacts.

KFP reports neither. Argo, which runs the pods, makes the id of a node of the workflow and the hash of its
full name, and the name of its pod of both and the template (Argo's `workflow/util/pod_name.go`). A full
name is `wf.root.train.executor`. Where a template can be retried, each attempt is a node of its own, with its
number: `wf(0).root(0).train(0).executor(0)`. That is so for all templates by default since KFP 2.17, before
that only for the pods of steps with retries. So a full name is one of which the run reports the id.
A step itself reports where its artifacts are, at the end of its log.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlsplit

from kale_magics.kubeflow.pipeline_spec import IMPLEMENTATION, RemoteTask
from kale_magics.kubeflow.workflow_object import node_number

SOURCES = {"minio": "minio", "s3": "s3", "gs": "gcs"}
"""Object stores: their names in the URI of an artifact, and for the server of KFP's page."""

DRIVER = "system-container-driver"
"""KFP's name of the template of a task's driver, which decides what its pod does."""

ROOT, EXECUTOR = "root", "executor"
"""KFP's names of the node of the pipeline, and of that of a step's pod below its task."""


class WorkflowNodes:
    """The nodes of a run's workflow.

    Args:
        details: KFP's `V2beta1PipelineTaskDetail` of each node.
    """

    def __init__(self, details: Iterable[Any]) -> None:
        # Those of the store of metadata have no name.
        self._details = [detail for detail in details if detail.display_name]
        self._by_name = {detail.display_name: detail for detail in self._details}
        children = (child.pod_name for detail in self._details for child in detail.child_tasks or ())
        self._ids = {child for child in children if child}
        self._workflow = next((workflow for workflow, number in map(_split, self._ids) if number), "")

    def task(self, task: RemoteTask) -> Any:
        """Return the details of a task; None before it starts."""
        return self._by_name.get(task.key)

    def is_cached(self, task: RemoteTask) -> bool:
        """Whether a task succeeded without a pod, because the server has its results."""
        detail = self.task(task)
        if detail is None or detail.state != "SUCCEEDED":
            return False
        states = {change.state for change in detail.state_history or ()}
        skipped = {d.start_time for d in self._details if (d.display_name, d.state) == (EXECUTOR, "SKIPPED")}
        return "RUNNING" not in states and detail.start_time in skipped

    def pods(self, task: RemoteTask) -> tuple[str, ...]:
        """Return the names that the pod of a task may have, the likeliest first; none if there is no pod."""
        detail = self.task(task)
        if detail is None:
            return ()
        templates = dict.fromkeys((task.template, _older(task.template), IMPLEMENTATION))
        executors = self._find(ROOT, task.key, EXECUTOR)
        if executors:
            attempts = [name for name in executors if name.endswith(")")]
            # Where all templates can be retried, the executor itself is no pod.
            pods = attempts or ([] if self._is_known(f"{self._workflow}(0)") else executors)
            found = self._named(pods, templates)
        else:
            found = self._guessed(detail, task, templates)
        return tuple(dict.fromkeys([*found, *([detail.pod_name] if detail.pod_name else [])]))

    def drivers(self, task: RemoteTask) -> tuple[str, ...]:
        """Return the names that the pod of a task's driver may have, the likeliest first."""
        return tuple(self._named(self._find(ROOT, f"{task.key}-driver"), [DRIVER]))

    def _find(self, *path: str) -> list[str]:
        """Return the full names of the nodes at a path below the workflow, the last attempts first."""
        found = self._with_attempts(self._workflow)
        for name in path:
            found = [f"{parent}.{name}" for parent in found]
            found = [node for full in found if self._is_known(full) for node in self._with_attempts(full)]
        return found

    def _with_attempts(self, full_name: str) -> list[str]:
        attempts: list[str] = []
        while self._is_known(attempt := f"{full_name}({len(attempts)})"):
            attempts.insert(0, attempt)
        return [*attempts, full_name]

    def _is_known(self, full_name: str) -> bool:
        return f"{self._workflow}-{node_number(full_name)}" in self._ids

    def _named(self, full_names: Iterable[str], templates: Iterable[str]) -> list[str]:
        """Return the names that the pods of nodes may have."""
        numbers = [str(node_number(name)) for name in full_names]
        found = [f"{self._workflow}-{template}-{number}" for template in templates for number in numbers]
        # Before Argo 3.4 a pod had the name of its node.
        return found + [f"{self._workflow}-{number}" for number in numbers]

    def _guessed(self, detail: Any, task: RemoteTask, templates: Iterable[str]) -> list[str]:
        """Return the names that pods of the children of a node may have, if none has an expected name."""
        found: list[str] = []
        for child in reversed([child.pod_name for child in detail.child_tasks or () if child.pod_name]):
            workflow, number = _split(child)
            if not number:
                found.append(child)
                continue
            place = f"{workflow}.{ROOT}.{task.key}.{EXECUTOR}"
            attempts = range(task.retries, -1, -1) if task.retries else ()
            numbers = [*(str(node_number(f"{place}({n})")) for n in attempts), number]
            found += (f"{workflow}-{template}-{n}" for template in templates for n in numbers)
            found += (f"{workflow}-{n}" for n in numbers)
        return found


def _split(node: str) -> tuple[str, str]:
    """Return the workflow and the number of a node's id; no number for an id of another form."""
    workflow, dash, number = node.rpartition("-")
    return (workflow, number) if dash and number.isdecimal() else (node, "")


def _older(template: str) -> str:
    """Return the name of a template in versions without templates for labels and annotations."""
    return template[template.find("retry-") :] if "retry-" in template else IMPLEMENTATION


def artifact_path(uri: str) -> str:
    """Return the path of an artifact at the server of KFP's page; empty for other stores.

    Args:
        uri: The artifact's URI, as in `minio://mlpipeline/v2/artifacts/...`.
    """
    try:
        parts = urlsplit(uri.encode("utf-8", "replace").decode())
    except ValueError:
        return ""
    if parts.scheme not in SOURCES or not parts.netloc:
        return ""
    return f"/artifacts/{SOURCES[parts.scheme]}/{quote(parts.netloc)}{quote(parts.path)}"
