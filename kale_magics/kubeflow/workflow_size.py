"""Estimates how large the object of a run becomes in a cluster, before anything is sent.

Argo stores spec and nodes in one object of at most 1 MiB (argo-workflows, `workflow/packer/packer.go`). If
the object is larger in JSON, Argo compresses the nodes with gzip and writes them in base64, and rejects it if
it is still larger. So spec and compressed nodes must fit, when all pods have ended. The nodes are sorted by
their ids, which are hashes: equal texts are often further apart than the 32 KB in which gzip finds them.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kale_magics.kubeflow.workflow_object import WorkflowObject, go_json
from kale_magics.model.diagnostics import Code, Diagnostic

MAX_WORKFLOW = 1024 * 1024
"""Bytes of an object (Argo's `MAX_WORKFLOW_SIZE`, by default)."""

MAX_UNWARNED = MAX_WORKFLOW * 8 // 10
"""Bytes up to which there is no warning: names and values in a run, and attempts of pods, need space."""

PROGRAM_COPIES = 9
"""Copies of a large program in an object: one in the spec, and eight in nodes (`WorkflowObject`)."""

MIN_STEP = 5_000
"""Bytes that the smallest step adds to spec and compressed nodes; measured are 5,400."""

MAX_NAMED = 3
"""Steps that a message names."""


@dataclass(frozen=True)
class WorkflowSize:
    """The size of an object.

    Attributes:
        spec: The bytes of its spec and its metadata.
        nodes: The bytes of its nodes in JSON.
        compressed: The bytes of its nodes, compressed; not computed for an object that fits in any case.
        workflow: The object.
    """

    spec: int
    nodes: int
    compressed: int
    workflow: WorkflowObject

    @property
    def total(self) -> int:
        """The bytes that must fit."""
        return self.spec + min(self.compressed, self.nodes)

    def of_steps(self) -> dict[str, int]:
        """Return the bytes that each step adds to spec and compressed nodes, by the step's name."""
        nodes: dict[str, list[Any]] = {name: [] for name in self.workflow.step_bytes}
        for step, node in self.workflow.nodes.values():
            nodes.get(step, []).append(node)
        # A step's nodes share texts with others': its part is in proportion to what they need alone.
        alone = {name: compressed_bytes(go_json(own)) for name, own in nodes.items()}
        rate = self.compressed / max(sum(alone.values()), 1)
        return {name: round(self.workflow.step_bytes[name] + rate * alone[name]) for name in nodes}


def workflow_size(documents: Sequence[Mapping[str, Any]], attempts: bool = True) -> WorkflowSize:
    """Return the size of the object of a run, when all of its pods have ended.

    Args:
        documents: The specification of a pipeline, and that of the platform if there is one.
        attempts: Whether nodes have a node for their attempts, as with KFP 2.17; without, it is smaller.
    """
    platform = documents[1] if len(documents) > 1 else None
    found = WorkflowObject(documents[0], platform, attempts)
    nodes = {identifier: node for identifier, (_, node) in sorted(found.nodes.items())}
    text = go_json(nodes)
    size = len(text.encode())
    fits = found.spec_bytes + size <= MAX_UNWARNED
    return WorkflowSize(found.spec_bytes, size, size if fits else compressed_bytes(text), found)


def compressed_bytes(text: str) -> int:
    """Return the bytes of a text in base64 after gzip (argo-workflows, `util/file/fileutil.go`)."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    data = packer.compress(text.encode()) + packer.flush()
    return -(-len(data) // 3) * 4


def size_problem(size: WorkflowSize, names: Iterable[str]) -> Diagnostic | None:
    """Return a warning for an object that may become too large, an error if it does; None if it fits.

    Args:
        size: The size.
        names: The names of the user's steps.
    """
    if size.total <= MAX_UNWARNED:
        return None
    sizes = size.of_steps()
    own = {name: sizes[name] for name in names if name in sizes}
    largest = sorted(own, key=lambda name: -own[name])[:MAX_NAMED]
    heaviest = ", ".join(f"{name} ({_about(own[name])})" for name in largest)
    too_large = size.total > MAX_WORKFLOW
    outcome = "exceeds" if too_large else f"is {size.total / MAX_WORKFLOW:.0%} of"
    message = (
        f"a run of {len(own)} steps needs about {_about(size.total)} in the cluster, which {outcome}"
        f" Argo's limit of {MAX_WORKFLOW // 1024:,} KiB; the largest steps are {heaviest}"
    )
    fix = "combine steps, load long texts from files, or install your modules in the image (--image)"
    return Diagnostic(Code.RUN_TOO_LARGE, message, fix, severity="error" if too_large else "warning")


def _about(size: int) -> str:
    """Return a number of bytes in two digits: an estimate has no more."""
    return f"{float(f'{size / 1024:.1e}'):,.0f} KiB"
