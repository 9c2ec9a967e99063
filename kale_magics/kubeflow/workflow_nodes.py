"""Where a server keeps what a step has left: the names of its pods, and the places of its artifacts.

KFP tells neither. Argo, which runs its pods, makes a pod's name of what is known: workflow, template, and a
number that is the hash of its place in the workflow (Argo's `workflow/util/pod_name.go`). Where its artifacts
are, a step itself says at the end of its log.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from kale_magics.kubeflow.reading import IMPLEMENTATION, RemoteTask

SOURCES = {"minio": "minio", "s3": "s3", "gs": "gcs"}
"""Stores of artifacts, as they are called in the address of an artifact and by the server of KFP's page."""


def pods_of_task(node: Any, task: RemoteTask) -> tuple[str, ...]:
    """What the pod of a task may be called, the likeliest name first.

    Args:
        node: KFP's `V2beta1PipelineTaskDetail` of the task.
        task: What is known of the task.
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
        # Before Argo 3.4 a pod was called like its node.
        found += (f"{workflow}-{n}" for n in numbers)
    return tuple(dict.fromkeys([*found, *([node.pod_name] if node.pod_name else [])]))


def _older(template: str) -> str:
    """What a template was called before labels and annotations had one of their own."""
    return template[template.find("retry-") :] if "retry-" in template else IMPLEMENTATION


def hashed(name: str) -> int:
    """The number that Argo gives a node: the 32 bits of FNV-1a."""
    value = 0x811C9DC5
    for byte in name.encode():
        value = (value ^ byte) * 0x01000193 % 2**32
    return value


def value_place(uri: str) -> str:
    """The path of an artifact at the server of KFP's page; empty if it is in a store that is not known there.

    Args:
        uri: Where it is, as in `minio://mlpipeline/v2/artifacts/...`.
    """
    parts = urlsplit(uri)
    if parts.scheme not in SOURCES or not parts.netloc:
        return ""
    return f"/artifacts/{SOURCES[parts.scheme]}/{quote(parts.netloc)}{quote(parts.path)}"
