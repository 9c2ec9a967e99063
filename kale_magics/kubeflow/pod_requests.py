"""Requests for the pods of a run: logs, events and states, and the files that they have stored.

KFP's API server returns logs; all else is at the server of Kubeflow's page, which passes the API on. Inside a
cluster the address is often that of the API server alone: then the page's service beside it is asked.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from kale_magics.kubeflow.client import MAX_RETRY, KfpClient
from kale_magics.kubeflow.metadata_store import HEADERS, artifacts_of_run
from kale_magics.kubeflow.pod_log import is_missing_log
from kale_magics.kubeflow.responses import InvalidResponseError
from kale_magics.model.diagnostics import Code, KaleError

API_LOG = "/apis/v1alpha1/runs/{run}/nodes/{node}/log"
PAGE_LOG = "/k8s/pod/logs?podname={node}&runid={run}"
TASKS = "/apis/v2beta1/runs/{run}/tasks?page_size=200"
POD, EVENTS = "/k8s/pod?podname={node}", "/k8s/pod/events?podname={node}"
"""Paths at the two servers; servers up to 2.17 have no `TASKS` (`run.proto` of KFP's branch mlmd-removal)."""

MAX_PAGES = 100
"""Pages of a list of tasks."""

MAX_OPTIONAL = 3.0
"""Seconds for which a request is repeated whose answer is not necessary."""

POD_SHAPE = {
    "status": {
        "conditions": [{}],
        "containerStatuses": [{"state": {"waiting": {}, "terminated": {}}}],
    }
}
"""The fields of a pod that are read, with the types of their values (Kubernetes' `v1.Pod`)."""

API_SERVICE = re.compile(r"ml-pipeline((?:\.[\w-]+)*)")
"""The host name of KFP's API server in its cluster, and of the page's without its `-ui`."""

DEFAULT_NAMESPACE = "kubeflow"
"""Where the pods of a single-user installation are."""


class PodRequests:
    """Asks a server for the pods of one run.

    Args:
        server: The server.
        run_id: The run's id.

    Attributes:
        has_page: Whether a request to the server of Kubeflow's page has been answered; None before the first.
    """

    def __init__(self, server: KfpClient, run_id: str) -> None:
        self.server, self.run_id = server, run_id
        self.has_page: bool | None = None
        self._down: set[str] = set()

    def log(self, pods: Sequence[str], action: str, patience: float = MAX_RETRY) -> bytes | None:
        """Return the log of the first of these pods that has one; None if none has."""
        for path in (API_LOG, PAGE_LOG):
            for pod in pods:
                found = self._get(self._path(path, pod), action, patience)
                if found is not None and not is_missing_log(found):
                    return found
        return None

    def state(self, pods: Sequence[str], action: str) -> tuple[str, dict[str, Any]]:
        """Return the name and the state of the first of these pods that exists (Kubernetes' `v1.Pod`)."""
        for pod in pods:
            found = _json(self._optional(self._path(POD, pod), action))
            if isinstance(found, dict) and "status" in found and _has_shape(found, POD_SHAPE):
                return pod, found
        return "", {}

    def events(self, pod: str, action: str) -> list[dict[str, Any]]:
        """Return the events of a pod, the oldest first (Kubernetes' `v1.Event`)."""
        found = _json(self._optional(self._path(EVENTS, pod), action))
        items = found.get("items") if isinstance(found, dict) else found
        return [event for event in items or () if isinstance(event, dict)] if isinstance(items, list) else []

    def has_run(self, run_id: str) -> bool:
        """Whether the server has a run of this user."""
        answer = self._optional(f"/apis/v2beta1/runs/{quote(run_id)}", "looking up a run")
        return isinstance(_json(answer), dict)

    def artifact(self, pods: Sequence[str], key: str, action: str) -> bytes | None:
        """Return an artifact of Argo's own, which the API returns; None for one of KFP's."""
        for pod in pods:
            path = f"/apis/v2beta1/runs/{self.run_id}/nodes/{quote(pod)}/artifacts/{key}:read"
            found = _json(self._get(path, action))
            if isinstance(found, dict) and isinstance(found.get("data"), str):
                with contextlib.suppress(ValueError):  # it is no text in base64
                    return base64.b64decode(found["data"], validate=True)
        return None

    def addresses(self, action: str) -> dict[str, dict[str, str]]:
        """Return the addresses of the artifacts of each task, which the API or ML Metadata knows.

        Returns:
            For KFP's name of each task, addresses by KFP's names of the artifacts; empty without both.
        """
        listed = self._listed_addresses(action)
        with contextlib.suppress(InvalidResponseError):  # it is another server at that path
            return listed or artifacts_of_run(
                self.run_id, lambda path, body: self._optional(path, action, body=body, headers=HEADERS)
            )
        return {}

    def _listed_addresses(self, action: str) -> dict[str, dict[str, str]]:
        """Return the addresses that the API itself lists; empty for a server that does not."""
        found: dict[str, dict[str, str]] = {}
        page = ""
        for _ in range(MAX_PAGES):
            path = TASKS.format(run=self.run_id) + (f"&page_token={quote(page)}" if page else "")
            answer = _json(self._optional(path, action))
            if not isinstance(answer, dict) or not isinstance(answer.get("tasks"), list):
                break
            for task in answer["tasks"]:
                with contextlib.suppress(LookupError, TypeError):  # it has no artifacts yet
                    listed = task["outputs"]["artifacts"]
                    places = {each["artifact_key"]: str(each["artifacts"][-1]["uri"]) for each in listed}
                    found[task["name"]] = places
            page = str(answer.get("next_page_token") or "")
            if not page:
                break
        return found

    def file(self, path: str, action: str) -> bytes | None:
        """Return the file at a path of the page's server; None if it has none."""
        return self._get(self._scoped(path), action)

    def _path(self, path: str, pod: str) -> str:
        return self._scoped(path.format(run=self.run_id, node=quote(pod)))

    def _scoped(self, path: str) -> str:
        """Add the namespace to a path of the page's server."""
        namespace = self.server.namespace_argument.get("namespace", "")
        if path.startswith("/apis") or not (namespace or path.startswith(("/k8s/pod?", "/k8s/pod/events"))):
            return path
        name = "podnamespace" if path.startswith("/k8s") else "namespace"
        return f"{path}{'&' if '?' in path else '?'}{name}={quote(namespace or DEFAULT_NAMESPACE)}"

    def _optional(self, path: str, action: str, **more: Any) -> bytes | None:
        """Return a small answer of a route that a server need not have; None also if the request fails."""
        with contextlib.suppress(KaleError):
            return self._get(path, action, MAX_OPTIONAL, large=False, **more)
        return None

    def _get(self, path: str, action: str, patience: float = MAX_RETRY, **more: Any) -> bytes | None:
        if path.startswith("/apis"):
            return self.server.download(path, action, patience, **more)
        return self._page(path, action, patience, **more)

    def _page(self, path: str, action: str, patience: float = MAX_RETRY, **more: Any) -> bytes | None:
        """Send a request to the server of the page."""
        for address in self._pages():
            found = self._send_to(address, path, action, patience, more)
            if found is not None:
                self.has_page = True
                return found
        self.has_page = bool(self.has_page)
        return None

    def _pages(self) -> Iterator[str]:
        """Yield the addresses where the page's server may be."""
        parts = urlsplit(self.server.address)
        beside = API_SERVICE.fullmatch(parts.hostname or "")
        # Not where the credentials would leave a connection with TLS.
        if beside and parts.scheme == "http":
            yield f"http://ml-pipeline-ui{beside[1]}"
        yield self.server.address

    def _send_to(
        self, address: str, path: str, action: str, patience: float, more: dict[str, Any]
    ) -> bytes | None:
        """Send a request, unless the server of the page did not respond to an earlier one.

        Raises:
            KaleError: The request failed; the server at the user's own address must respond.
        """
        if address in self._down:
            return None
        try:
            return self.server.download(path, action, patience, address, **more)
        except KaleError as error:
            if address == self.server.address or error.diagnostics[0].code is not Code.UNREACHABLE:
                raise
            self._down.add(address)
            return None


def _json(content: bytes | None) -> Any:
    """Return the value of a JSON text; None if it is another text."""
    try:
        return None if content is None else json.loads(content)
    except (ValueError, RecursionError):
        return None


def _has_shape(value: Any, shape: Any) -> bool:
    """Whether a value of JSON has the types of another one, as far as it has its fields."""
    if value is None or type(value) is not type(shape):
        return value is None
    if isinstance(shape, dict):
        return all(_has_shape(value.get(name), part) for name, part in shape.items())
    return all(item is not None and _has_shape(item, shape[0]) for item in value) if shape else True
