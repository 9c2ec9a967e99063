"""Where a server stores the results of a step: the names of its pods, and the paths of its artifacts.

KFP reports neither. Argo, which runs the pods, makes a pod's name of the workflow, the template, and the hash
of the pod's place in the workflow (Argo's `workflow/util/pod_name.go`). A step itself reports where its
artifacts are, at the end of its log.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from kale_magics.kubeflow.pipeline_spec import IMPLEMENTATION, RemoteTask

SOURCES = {"minio": "minio", "s3": "s3", "gs": "gcs"}
"""Object stores: their names in the URI of an artifact, and for the server of KFP's page."""


def pods_of_task(node: Any, task: RemoteTask) -> tuple[str, ...]:
    """Return the names that the pod of a task may have, the likeliest first.

    Args:
        node: KFP's `V2beta1PipelineTaskDetail` of the task.
        task: The task in the pipeline.
    """
    templates = dict.fromkeys((task.template, _older(task.template), IMPLEMENTATION))
    found: list[str] = []
    for child in reversed([c.pod_name for c in node.child_tasks or () if c.pod_name]):
        workflow, dash, number = child.rpartition("-")
        if not (dash and number.isdecimal()):
            found.append(child)
            continue
        place = f"{workflow}.root.{task.key}.executor"
        attempts = range(task.retries, -1, -1) if task.retries else ()
        numbers = [*(str(hashed(f"{place}({n})")) for n in attempts), number]
        found += (f"{workflow}-{template}-{n}" for template in templates for n in numbers)
        # Before Argo 3.4 a pod had the name of its node.
        found += (f"{workflow}-{n}" for n in numbers)
    return tuple(dict.fromkeys([*found, *([node.pod_name] if node.pod_name else [])]))


def _older(template: str) -> str:
    """Return the name of a template in versions without templates for labels and annotations."""
    return template[template.find("retry-") :] if "retry-" in template else IMPLEMENTATION


def hashed(name: str) -> int:
    """Return Argo's hash of a node: FNV-1a with 32 bits."""
    value = 0x811C9DC5
    for byte in name.encode():
        value = (value ^ byte) * 0x01000193 % 2**32
    return value


def artifact_path(uri: str) -> str:
    """Return the path of an artifact at the server of KFP's page; empty for other stores.

    Args:
        uri: The artifact's URI, as in `minio://mlpipeline/v2/artifacts/...`.
    """
    parts = urlsplit(uri)
    if parts.scheme not in SOURCES or not parts.netloc:
        return ""
    return f"/artifacts/{SOURCES[parts.scheme]}/{quote(parts.netloc)}{quote(parts.path)}"
