"""What the operations of the API have at hand."""

from __future__ import annotations

from dataclasses import dataclass

from tests.kfp_server.documents import Document, read_json
from tests.kfp_server.errors import FORBIDDEN, ApiError, invalid
from tests.kfp_server.execution import Execution
from tests.kfp_server.store import Resource, Store


@dataclass
class Service:
    """The API behind HTTP.

    Attributes:
        store: What there is.
        execution: What runs runs.
        multi_user: Whether things belong to namespaces, and namespaces to users.
        namespaces: The users' namespaces.
        rejects: Words that make a pipeline one that this server is too old for.
        is_wrapped: See `Workflow`.
        pod_names: See `Workflow`.
        fills_pod_names: Whether task details have the names of pods, which they lack on real servers.
        has_logs: Whether the operation for logs is there.
        has_artifacts: Whether the one for artifacts is.
        reads_artifacts: Whether that one finds any.
        has_ui: Whether the UI server is in front of the API.
        has_metadata: Whether that one passes requests on to ML Metadata.
        lists_tasks: Whether the API itself lists the tasks of a run with their artifacts.
    """

    store: Store
    execution: Execution
    multi_user: bool
    namespaces: dict[str, tuple[str, ...]]
    rejects: tuple[str, ...]
    is_wrapped: bool
    pod_names: str
    fills_pod_names: bool
    has_logs: bool
    has_artifacts: bool
    reads_artifacts: bool
    has_ui: bool
    has_metadata: bool
    lists_tasks: bool

    def document(self, spec: Resource) -> Document:
        """The pipeline that a request or a version holds."""
        return read_json(spec, self.rejects)

    def namespace(self, user: str, name: str, what: str) -> str:
        """The namespace that a request is about; with one user only, the name says nothing."""
        if not self.multi_user:
            return ""
        if not name:
            raise invalid(f"{what} cannot have an empty namespace in multi-user mode")
        self.admit(user, name)
        return name

    def shared_namespace(self, user: str, name: str) -> str:
        """As `namespace`, where an empty one stands for what all users share."""
        return self.namespace(user, name, "") if name else ""

    def admit(self, user: str, namespace: str) -> None:
        """Refuse what belongs to others; what has no namespace is everybody's."""
        if self.multi_user and namespace and namespace not in self.namespaces.get(user, ()):
            raise ApiError(FORBIDDEN, f"User '{user}' is not authorized in namespace {namespace}")
