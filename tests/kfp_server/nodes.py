"""The nodes of an Argo workflow, from which the real server makes the task details of a run."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

NEVER = "1970-01-01T00:00:00Z"
"""The time of what has not happened yet: zero seconds, which the real server doesn't leave out."""

DAG_DRIVER, TASK_DRIVER, EXECUTOR = "system-dag-driver", "system-container-driver", "system-container-impl"
"""The templates of the nodes that are pods; that of an executor may have something before it."""

OMITTED = "RUNTIME_STATE_UNSPECIFIED"
"""What KFP makes of Argo's "Omitted", which it doesn't know."""


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

    @property
    def waiting(self) -> str:
        """Why a pod that isn't there yet has no log."""
        return f'container "main" in pod "{self.pod}" is waiting to start: ContainerCreating'


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
        parents = tuple(self._last(need) for need in needs) or ("root",)
        self.add(f"root.{task}-driver", "SUCCEEDED", TASK_DRIVER, after=parents)
        self.add(f"root.{task}", "RUNNING", after=(f"root.{task}-driver",))

    def start_pod(self, task: str, template: str, is_retried: bool) -> Node:
        """The pod of a task is made.

        Args:
            task: Its name; the tasks of a loop have one name, and each takes the place of the one before.
            template: What the pod is made from.
            is_retried: Whether there may be several attempts: then each has a node, below the executor's.
        """
        path = f"root.{task}.executor"
        parents = () if path in self.nodes else (f"root.{task}",)
        if not is_retried:
            return self.add(path, "PENDING", template, after=parents)
        executor = self.nodes.get(path) or self.add(path, "RUNNING", after=parents)
        return self.add(f"{path}({len(executor.children)})", "PENDING", template, after=(path,))

    def skip_pod(self, task: str, template: str) -> Node:
        """The cache has what a task would do, so its pod never was, and no attempts."""
        path = f"root.{task}.executor"
        parents = () if path in self.nodes else (f"root.{task}",)
        self.nodes = {other: node for other, node in self.nodes.items() if not other.startswith(f"{path}(")}
        return self.add(path, "SKIPPED", template, after=parents)

    def omit(self, needs: Mapping[str, Collection[str]]) -> None:
        """A failure is final: the tasks that come after it, at once or later, are never going to start.

        Args:
            needs: All tasks, and those that each comes after.
        """
        found = {task: node for task in needs if (node := self.task(task))}
        lost = {task for task, node in found.items() if node.state in ("FAILED", OMITTED)}
        new = [task for task in needs if task not in found and not lost.isdisjoint(needs[task])]
        for task in new:
            self.add(f"root.{task}", OMITTED, after=tuple(self._last(need) for need in needs[task]))
        if new:
            self.omit(needs)

    def _last(self, task: str) -> str:
        """The path of the last node that a task has, of itself, its executor and its attempts."""
        own = f"root.{task}"
        return [own, *(path for path in self.nodes if path.startswith(f"{own}."))][-1]

    def task(self, task: str) -> Node | None:
        """The node of a task, if it has started."""
        return self.nodes.get(f"root.{task}")

    def executor(self, task: str) -> Node | None:
        """The executor of a task, if it has started: a pod, unless attempts at it are."""
        return self.nodes.get(f"root.{task}.executor")

    def pod(self, task: str) -> Node | None:
        """The pod of a task, if it has started: that of the last attempt, if there may be several."""
        return self.nodes[self._last(task)] if self.executor(task) else None

    @property
    def failure(self) -> str:
        """The id of what failed first, "" if nothing did; no pod counts, as another attempt may follow."""
        failed = (node.id for node in self.nodes.values() if node.state == "FAILED" and not node.pod)
        return next(failed, "")

    def finish(self, state: str) -> None:
        """Nothing runs any more: what still did becomes this."""
        for node in self.nodes.values():
            if node.state in ("PENDING", "RUNNING"):
                node.become(state)

    def find(self, *names: str) -> Iterator[Node]:
        """The nodes with one of these pods or ids."""
        return (node for node in self.nodes.values() if node.pod in names or node.id in names)

    def pod_called(self, name: str) -> Node | None:
        """The pod of a name; one that was skipped never was."""
        pods = (node for node in self.nodes.values() if node.pod == name and node.state != "SKIPPED")
        return next(pods, None)

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
