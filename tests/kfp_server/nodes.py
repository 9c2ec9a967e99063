"""The nodes of an Argo workflow, from which the real server makes the task details of a run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

NEVER = "1970-01-01T00:00:00Z"
"""The time of what has not happened yet: zero seconds, which the real server doesn't leave out."""

DAG_DRIVER, TASK_DRIVER, EXECUTOR = "system-dag-driver", "system-container-driver", "system-container-impl"
"""The templates of the nodes that are pods."""


def now() -> str:
    """The time, to the second as the server keeps it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def fnv1a(text: str) -> int:
    """The hash that Argo makes a node's number of."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 % 2**32
    return value


@dataclass
class Node:
    """A node.

    Attributes:
        display_name: What KFP calls it.
        id: Argo's.
        pod: The name of its pod; "" if it is no pod.
        state: One of KFP's states.
        started: When it started.
        ended: When it ended.
        history: All its states, with their times.
        children: Ids of the nodes that come next.
        log: What it printed.
        outputs: Where its artifacts are.
        task_id: KFP's.
    """

    display_name: str
    id: str
    pod: str = ""
    state: str = ""
    started: str = NEVER
    ended: str = NEVER
    history: list[dict[str, str]] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    outputs: dict[str, Path] = field(default_factory=dict)
    task_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def become(self, state: str) -> None:
        """Go on to another state."""
        self.state = state
        self.history.append({"update_time": now(), "state": state})
        if state != "PENDING" and self.started == NEVER:
            self.started = now()
        if state not in ("PENDING", "RUNNING"):
            self.ended = now()

    def skip(self) -> None:
        """The cache has what it would do, so it never was."""
        self.history.clear()
        self.log.clear()
        self.started = NEVER
        self.become("SKIPPED")


class Workflow:
    """The nodes of a run, each from the time on at which it starts.

    Args:
        name: Argo's.
        pod_names: "v2", or "v1": then pods are called like their nodes.
    """

    def __init__(self, name: str, pod_names: str) -> None:
        self.name = name
        self.pod_names = pod_names
        self.nodes: dict[str, Node] = {}

    def add(self, path: str, state: str, template: str = "", after: tuple[str, ...] = ()) -> Node:
        """A new node.

        Args:
            path: Where it is in the workflow: names with dots between them; "" is the workflow itself.
            state: Its first state.
            template: What its pod is made from, if it is a pod.
            after: The paths of the nodes whose child it is.
        """
        number = fnv1a(f"{self.name}.{path}")
        node = Node(path.rpartition(".")[2] or self.name, f"{self.name}-{number}" if path else self.name)
        if template:
            node.pod = f"{self.name}-{template}-{number}" if self.pod_names == "v2" else node.id
        node.become(state)
        self.nodes[path] = node
        for parent in after:
            if parent in self.nodes:
                self.nodes[parent].children.append(node.id)
        return node

    def start(self) -> None:
        """What there is as soon as the run runs."""
        self.add("", "RUNNING")
        self.add("root-driver", "SUCCEEDED", DAG_DRIVER, after=("",))
        self.add("root", "RUNNING", after=("root-driver",))

    def start_task(self, task: str, needs: list[str]) -> None:
        """A task starts: its driver, which is quick, and itself."""
        parents = tuple(f"root.{need}.executor" for need in needs) or ("root",)
        self.add(f"root.{task}-driver", "SUCCEEDED", TASK_DRIVER, after=parents)
        self.add(f"root.{task}", "RUNNING", after=(f"root.{task}-driver",))

    def start_executor(self, task: str) -> Node:
        """The pod of a task is made; a further attempt of a task takes the place of the one before."""
        path = f"root.{task}.executor"
        parents = () if path in self.nodes else (f"root.{task}",)
        return self.add(path, "PENDING", EXECUTOR, after=parents)

    def task(self, task: str) -> Node | None:
        """The node of a task, if it has started."""
        return self.nodes.get(f"root.{task}")

    def executor(self, task: str) -> Node | None:
        """The pod of a task, if it has started."""
        return self.nodes.get(f"root.{task}.executor")

    def finish(self, state: str) -> None:
        """Nothing runs any more: what still did becomes this."""
        for node in self.nodes.values():
            if node.state in ("PENDING", "RUNNING"):
                node.become(state)

    def find(self, *names: str) -> Iterator[Node]:
        """The nodes with one of these pods or ids."""
        return (node for node in self.nodes.values() if node.pod in names or node.id in names)

    def details(self, run_id: str, created: str, fills_pod_names: bool) -> list[dict[str, Any]]:
        """The task details of a run, in the order of Argo's ids as the real server has them."""
        return [
            {
                "run_id": run_id,
                "task_id": node.task_id,
                "display_name": node.display_name,
                "create_time": created,
                "start_time": node.started,
                "end_time": node.ended,
                "state": node.state,
                "state_history": list(node.history),
                **({"pod_name": node.pod} if fills_pod_names and node.pod else {}),
                **(
                    {"child_tasks": [{"pod_name": child} for child in node.children]} if node.children else {}
                ),
            }
            for node in sorted(self.nodes.values(), key=lambda node: node.id)
        ]
