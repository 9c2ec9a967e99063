"""The nodes of an Argo workflow, from which the real server makes the task details of a run.

With the settings of KFP 2.17 every template has a retry strategy, so each node is wrapped: a node of the
type Retry has the plain name, and its only child, the attempt, has `(0)` behind it. Before, nodes have plain
names, and only a task with retries has attempts. Names, ids, children, states and what is a pod are as in the
runs of tests/recordings. Assumptions: what comes after a task that was omitted, and that the launcher adds
task details also where nodes are not wrapped. Not as on a real server: the items of a loop have no nodes of
their own.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tests.kfp_server.pod_states import PodState

NEVER = "1970-01-01T00:00:00Z"
"""The time of what has not happened yet: zero seconds, which the real server doesn't leave out."""

DAG_DRIVER, TASK_DRIVER, EXECUTOR = "system-dag-driver", "system-container-driver", "system-container-impl"
"""The templates of the nodes that are pods; that of an executor may have something before it."""

OMITTED = "RUNTIME_STATE_UNSPECIFIED"
"""What KFP makes of Argo's "Omitted", which it doesn't know; JSON leaves out this state."""


def now() -> str:
    """The time, to the second as the server keeps it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def fnv1a(text: str) -> int:
    """The hash that Argo makes a node's number of."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 % 2**32
    return value


def execution_id(workflow: str, task: str) -> int:
    """The id that this server gives the execution of a task in ML Metadata."""
    return fnv1a(f"{workflow}/{task}")


def node_id(workflow: str, name: str) -> str:
    """The id of a node by its full name; the workflow's own is its name."""
    return workflow if name == workflow else f"{workflow}-{fnv1a(name)}"


def pod_name(workflow: str, name: str, template: str) -> str:
    """The name of a node's pod by the node's full name and template."""
    return f"{workflow}-{template}-{fnv1a(name)}"


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
        pod_state: What Kubernetes says of its pod, if a script says it.
        is_gone: Whether its pod never started and was deleted.
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
    pod_state: PodState | None = None
    is_gone: bool = False
    task_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.state in ("PENDING", "RUNNING")

    def become(self, state: str) -> None:
        """Go on to another state."""
        self.state = state
        self.history.append({"update_time": now(), **({} if state == OMITTED else {"state": state})})
        if self.started == NEVER:
            self.started = now()
        if not self.is_running:
            self.ended = now()

    def detail(self, fills_pod_names: bool) -> dict[str, Any]:
        """What is particular to this node in the task details."""
        return {
            "task_id": self.task_id,
            "display_name": self.display_name,
            "start_time": self.started,
            "end_time": self.ended,
            **({} if self.state == OMITTED else {"state": self.state}),
            "state_history": list(self.history),
            **({"pod_name": self.pod} if fills_pod_names and self.pod else {}),
            **({"child_tasks": [{"pod_name": child} for child in self.children]} if self.children else {}),
        }


class Workflow:
    """The nodes of a run, each from the time on at which it starts.

    Args:
        name: Argo's.
        is_wrapped: Whether every node is wrapped by one for its attempts, as KFP 2.17 has it.
        pod_names: "v2", or "v1": then pods are called like their nodes.

    Attributes:
        nodes: The nodes, by their full names without the workflow's at the beginning.
        launched: What the launcher adds to the task details for each task that may be cached and has run.
    """

    def __init__(self, name: str, is_wrapped: bool = False, pod_names: str = "v2") -> None:
        self.name = name
        self.is_wrapped = is_wrapped
        self.pod_names = pod_names
        self.nodes: dict[str, Node] = {}
        self.launched: list[dict[str, str]] = []

    def clear(self) -> None:
        """Forget all nodes, as the run starts again."""
        self.nodes.clear()
        self.launched.clear()

    def _inner(self, path: str) -> str:
        """The path of the node that does what a template says: the attempt, if nodes are wrapped."""
        return f"{path}(0)" if self.is_wrapped else path

    def path(self, task: str) -> str:
        """The path of a task of the root."""
        return f"{self._root}.{task}"

    @property
    def _root(self) -> str:
        """The path that those of the tasks begin with."""
        return self._inner(f"{self._inner('')}.root")

    def _add(self, path: str, state: str, template: str = "", after: tuple[str, ...] = ()) -> Node:
        """A new node.

        Args:
            path: Its full name, without the workflow's.
            state: Its first state.
            template: What its pod is made from, if it is a pod.
            after: The paths of the nodes whose child it is.
        """
        name = f"{self.name}{path}"
        node = Node(name.rpartition(".")[2], node_id(self.name, name))
        if template:
            node.pod = pod_name(self.name, name, template) if self.pod_names == "v2" else node.id
        node.become(state)
        self.nodes[path] = node
        for parent in after:
            if parent in self.nodes:
                self.nodes[parent].children.append(node.id)
        return node

    def _begin(self, path: str, state: str, template: str = "", after: tuple[str, ...] = ()) -> Node:
        """The node of a template, below the one for its attempts if nodes are wrapped."""
        if not self.is_wrapped:
            return self._add(path, state, template, after)
        self._add(path, "RUNNING", after=after)
        return self._add(self._inner(path), state, template, after=(path,))

    def _drive(self, path: str, template: str, after: tuple[str, ...]) -> str:
        """Let a driver, which is quick, come and end; the path of what its children come after."""
        self._begin(path, "PENDING", template, after)
        self._become("SUCCEEDED", self._inner(path), path)
        return self._inner(path)

    def _become(self, state: str, *paths: str) -> None:
        """Let nodes that have not ended go on to a state."""
        for path in paths:
            if path in self.nodes and self.nodes[path].is_running:
                self.nodes[path].become(state)

    def start(self) -> None:
        """What there is as soon as the run runs."""
        self._begin("", "RUNNING")
        base = self._inner("")
        driver = self._drive(f"{base}.root-driver", DAG_DRIVER, after=(base,))
        self._begin(f"{base}.root", "RUNNING", after=(driver,))

    def start_task(self, task: str, needs: list[str]) -> None:
        """A task starts: its driver, and itself."""
        parents = tuple(self._last(need) for need in needs) or (self._root,)
        driver = self._drive(f"{self.path(task)}-driver", TASK_DRIVER, parents)
        self._begin(self.path(task), "RUNNING", after=(driver,))

    def start_pod(self, task: str, template: str, is_retried: bool) -> Node:
        """The pod of a task is made.

        Args:
            task: Its name; the tasks of a loop have one name, and each takes the place of the one before.
            template: What the pod is made from.
            is_retried: Whether there may be several attempts: then each has a node, below the executor's.
        """
        path = self._executor(task)
        parents = () if path in self.nodes else (self._inner(self.path(task)),)
        if self.is_wrapped or not is_retried:
            return self._begin(path, "PENDING", template, after=parents)
        executor = self.nodes.get(path) or self._add(path, "RUNNING", after=parents)
        return self._add(f"{path}({len(executor.children)})", "PENDING", template, after=(path,))

    def skip_pod(self, task: str) -> None:
        """The cache has what a task would do, so its pod never was, and no attempts."""
        path = self._executor(task)
        parents = () if path in self.nodes else (self._inner(self.path(task)),)
        self.nodes = {other: node for other, node in self.nodes.items() if not other.startswith(f"{path}(")}
        skipped = self._add(path, "SKIPPED", after=parents)
        for own in {self.path(task), self._inner(self.path(task))}:
            node = self.nodes[own]
            node.history.clear()  # the server sees such a task when it has ended
            node.become("SUCCEEDED")
            node.started = node.ended = skipped.started

    def end_task(self, task: str, state: str, may_be_cached: bool = False) -> None:
        """A task has ended, and so have its executor and the attempts at both."""
        own = self.path(task)
        pod = self.pod(task)
        if may_be_cached and state == "SUCCEEDED" and pod and pod.state != "SKIPPED":
            times = {"create_time": pod.started, "start_time": pod.started, "end_time": pod.ended}
            ids = {"task_id": str(uuid.uuid4()), "execution_id": str(execution_id(self.name, task))}
            self.launched.append({**ids, **times})
        self._become(state, self._executor(task), self._inner(own), own)

    def omit(self, needs: Mapping[str, Collection[str]]) -> None:
        """A failure is final: the tasks that come after it, at once or later, are never going to start.

        Args:
            needs: All tasks, and those that each comes after.
        """
        found = {task: node for task in needs if (node := self.task(task))}
        lost = {task for task, node in found.items() if node.state in ("FAILED", OMITTED)}
        new = [task for task in needs if task not in found and not lost.isdisjoint(needs[task])]
        for task in new:
            started = tuple(self._last(need) for need in needs[task])
            self._add(f"{self.path(task)}-driver", OMITTED, after=started)
            self._add(self.path(task), OMITTED, after=(f"{self.path(task)}-driver",))
        if new:
            self.omit(needs)

    def _last(self, task: str) -> str:
        """The path of the node that what needs a task comes after.

        It is the attempt at the task, if nodes are wrapped; else the last of its executor and attempts.
        """
        own = self.path(task)
        if self.is_wrapped:
            return self._inner(own) if self._inner(own) in self.nodes else own
        return [own, *(path for path in self.nodes if path.startswith(f"{own}."))][-1]

    def _executor(self, task: str) -> str:
        """The path of the executor of a task."""
        return f"{self._inner(self.path(task))}.executor"

    def task(self, task: str) -> Node | None:
        """The node of a task, if it has started."""
        return self.nodes.get(self.path(task))

    def executor(self, task: str) -> Node | None:
        """The executor of a task, if it has started: a pod, unless attempts at it are."""
        return self.nodes.get(self._executor(task))

    def pod(self, task: str) -> Node | None:
        """The pod of a task, if it has started: that of the last attempt, if there may be several."""
        own = self._executor(task)
        pods = [node for path, node in self.nodes.items() if path == own or path.startswith(f"{own}(")]
        return pods[-1] if pods else None

    @property
    def has_failed(self) -> bool:
        """Whether a task failed; no pod counts, as another attempt may follow."""
        return any(node.state == "FAILED" and not node.pod for node in self.nodes.values())

    def finish(self, state: str) -> None:
        """Nothing runs any more: what still did becomes this; a pod that never started is deleted."""
        for node in self.nodes.values():
            if node.is_running:
                node.is_gone = bool(node.pod) and node.state == "PENDING"
                node.become(state)

    def find(self, *names: str) -> Iterator[Node]:
        """The nodes with one of these pods or ids."""
        return (node for node in self.nodes.values() if node.pod in names or node.id in names)

    def pod_called(self, name: str) -> Node | None:
        """The pod of a name, if there is one."""
        return next((node for node in self.nodes.values() if node.pod == name and not node.is_gone), None)

    def details(self, run_id: str, created: str, fills_pod_names: bool) -> list[dict[str, Any]]:
        """The task details of a run, in the order of their ids as the real server has them."""
        common = {"run_id": run_id, "create_time": created}
        nodes = [{**common, **node.detail(fills_pod_names)} for node in self.nodes.values()]
        return sorted((*nodes, *({**common, **one} for one in self.launched)), key=lambda one: one["task_id"])
