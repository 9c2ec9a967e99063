"""What the server knows: resources as the API tells them, and runs, which change by themselves."""

from __future__ import annotations

import random
import string
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from subprocess import Popen
from typing import Any

from tests.kfp_server.documents import Document
from tests.kfp_server.errors import EXISTS, ApiError, invalid, not_found
from tests.kfp_server.nodes import NEVER, Workflow, now

FINAL = ("SUCCEEDED", "FAILED", "CANCELED")

LONGEST = {"Pipeline": 128, "PipelineVersion": 127, "Experiment": 128}
"""The most bytes that a name can have."""

Resource = dict[str, Any]
"""What the API answers when it is asked for a thing."""


@dataclass
class Run:
    """A run.

    Attributes:
        resource: What the API tells, but for what changes.
        namespace: Whose it is; "" unless there are several users.
        document: Its pipeline.
        arguments: The parameters that it is given.
        workflow: Its nodes.
        state: One of KFP's states.
        history: All its states, with their times.
        finished: When it ended.
        error: Why its process failed, which the API does not tell.
        process: What executes it, while it does.
    """

    resource: Resource
    namespace: str
    document: Document
    arguments: dict[str, Any]
    workflow: Workflow
    state: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)
    finished: str = NEVER
    error: str = ""
    process: Popen[str] | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return self.resource["run_id"]

    @property
    def place(self) -> str:
        """Where its artifacts are in the store, and all that it writes in the folder of runs."""
        return f"{self.document.name}/{self.id}"

    @property
    def is_cancelled(self) -> bool:
        """Whether it has ended because it was cancelled."""
        return self.state in FINAL and any(past["state"] == "CANCELING" for past in self.history)

    def become(self, state: str, error: str = "") -> None:
        """Go on to another state."""
        self.state, self.error = state, error
        self.history.append({"update_time": now(), "state": state})
        self.finished = now() if state in FINAL else NEVER

    def answer(self, fills_pod_names: bool = False) -> Resource:
        """What the API tells; of a failed run, no error."""
        details = self.workflow.details(self.id, self.resource["created_at"], fills_pod_names)
        return {
            **self.resource,
            "state": self.state,
            "state_history": list(self.history),
            "finished_at": self.finished,
            **({"run_details": {"task_details": details}} if details else {}),
        }


class Store:
    """All resources by their ids, the oldest first.

    Attributes:
        changed: Held by whoever looks at the store or changes it, and notified of every change.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.pipelines: dict[str, Resource] = {}
        self.versions: dict[str, Resource] = {}
        self.experiments: dict[str, Resource] = {}
        self.recurring_runs: dict[str, Resource] = {}
        self.runs: dict[str, Run] = {}

    def versions_of(self, pipeline_id: str) -> list[Resource]:
        """The versions of a pipeline, the oldest first."""
        return [version for version in self.versions.values() if version["pipeline_id"] == pipeline_id]

    def runs_in(self, experiment_id: str) -> Iterator[Run]:
        """The runs of an experiment."""
        return (run for run in self.runs.values() if run.resource["experiment_id"] == experiment_id)


def get(resources: dict[str, Any], kind: str, name: str) -> Any:
    """A resource that a request names by its id."""
    if name not in resources:
        raise not_found(kind, name)
    return resources[name]


def new_id() -> str:
    """An id that nothing else has."""
    return str(uuid.uuid4())


def suffix() -> str:
    """What Kubernetes makes generated names differ by."""
    return "".join(random.choices(string.ascii_lowercase + string.digits, k=5))


def filled(**fields: Any) -> Resource:
    """The fields that have a value; protobuf's JSON leaves out the others."""
    return {name: value for name, value in fields.items() if value not in (None, "", 0, {}, [])}


def be_unique(resources: Iterator[Resource], kind: str, **fields: Any) -> None:
    """Refuse a name that another resource of the same place has."""
    for other in resources:
        if all(other.get(name, "") == value for name, value in fields.items()):
            raise ApiError(EXISTS, f"Already exist error: {kind} with {fields} already exists")


def be_short(kind: str, name: str) -> None:
    """Refuse a name that has no room in the database's column."""
    size, most = len(name.encode()), LONGEST[kind]
    if size > most:
        raise invalid(f"{kind}.Name length cannot exceed {most}, got {size}")


def set_mode(recurring_run: Resource, *, enabled: bool) -> None:
    """Let a schedule make runs, or not."""
    recurring_run["mode"] = "ENABLE" if enabled else "DISABLE"
    recurring_run["status"] = "ENABLED" if enabled else "DISABLED"
    recurring_run["updated_at"] = now()
