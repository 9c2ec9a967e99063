"""Which function answers which request."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tests.kfp_server.errors import Style, not_found
from tests.kfp_server.strict import check_body, check_query

if TYPE_CHECKING:
    from tests.kfp_server.service import Service

PREFIX = "/apis/v2beta1"

Address = Literal["both", "api", "page"]
"""What is served at an address: the API alone, the page with what it passes on of the API, or, as no real
address does, all that both have."""


@dataclass
class Call:
    """A request to the API.

    Attributes:
        user: Who sends it.
        query: Its parameters.
        body: What it holds: JSON, parsed, or the text of an uploaded file.
        file_name: That of an uploaded file.
        parts: What its path has in the places of the route's variables.
        address: What the address that it came to serves.
    """

    user: str
    query: dict[str, str]
    body: Any = None
    file_name: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    address: Address = "both"

    def __getitem__(self, name: str) -> str:
        return self.parts[name]

    def asked(self, name: str) -> str:
        """A parameter of the query."""
        return self.query.get(name, "")


Handler = Callable[["Service", Call], Any]
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True)
class Route:
    """An operation of the API.

    Attributes:
        method: HTTP's.
        pattern: The paths that it answers for.
        handler: Gives the answer: JSON, text, or bytes.
        query: The parameters that it has.
        body: The model of what it is sent, "upload" for a file, "bytes" for anything, or "".
        required: The fields of the body that must be there.
        errors: How it tells errors.
    """

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    query: tuple[str, ...]
    body: str
    required: tuple[str, ...]
    errors: Style

    def answer(self, service: Service, call: Call) -> Any:
        """Check a request and answer it."""
        check_query(call.query, self.query)
        if self.body not in ("", "upload", "bytes"):
            check_body(call.body, self.body, self.required)
        with service.store.changed:
            answer = self.handler(service, call)
            service.store.changed.notify_all()
        return answer


ROUTES: list[Route] = []


def route(
    method: str,
    path: str,
    *,
    prefix: str = PREFIX,
    query: tuple[str, ...] = (),
    body: str = "",
    required: tuple[str, ...] = (),
    errors: Style = "gateway",
) -> Callable[[H], H]:
    """Make a function the answer to requests.

    Args:
        method: HTTP's.
        path: With variables in braces; one with dots, as {key...}, may have slashes.
        prefix: What goes before it.
        query: See `Route`, as for the others.
        body: See `Route`.
        required: See `Route`.
        errors: See `Route`.
    """
    whole = re.sub(r"\{(\w+)\.\.\.\}", r"(?P<\1>.+)", prefix + path)
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/:]+)", whole))

    def add(handler: H) -> H:
        ROUTES.append(Route(method, pattern, handler, query, body, required, errors))
        return handler

    return add


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The operation that a request asks for; a path without variables goes before one with them."""
    matches = [(one, one.pattern.fullmatch(path)) for one in ROUTES if one.method == method]
    found = [(one, match.groupdict()) for one, match in matches if match]
    if not found:
        raise not_found("operation", f"{method} {path}")
    return min(found, key=lambda pair: len(pair[1]))
