"""What a request can be refused with: gRPC's codes, as grpc-gateway tells them to HTTP clients."""

from __future__ import annotations

from typing import Any, Literal

from tests.kfp_server.answers import Answer, go_json

INVALID, NOT_FOUND, EXISTS, FORBIDDEN, EXHAUSTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = (
    3,
    5,
    6,
    7,
    8,
    13,
    14,
    16,
)

UNPROCESSABLE = -1
"""No code of gRPC's: the UI server, which speaks HTTP only, has a status for this."""

STATUSES = {3: 400, 5: 404, 6: 409, 7: 403, 8: 429, 13: 500, 14: 503, 16: 401, UNPROCESSABLE: 422}
"""The HTTP status of every code."""

Style = Literal["gateway", "plain", "text"]
"""Who tells of errors: grpc-gateway, those that go past it for uploads and logs, or the server of the page.

Recorded are "plain" for an artifact, and "text". That uploads answer as artifacts do is an assumption.
"""


class ApiError(Exception):
    """A request that is refused.

    Args:
        code: gRPC's.
        message: For the user.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = STATUSES[code]
        self.style: Style = "gateway"

    @property
    def answer(self) -> Answer:
        """What the client is told."""
        message = str(self)
        if self.style == "text":
            return Answer(self.status, message, "text/html")
        if self.style == "plain":
            return Answer(self.status, go_json(plain_error(message)))
        return Answer(self.status, gateway_error(self.code, message))


def invalid(message: str) -> ApiError:
    """The request is at fault."""
    return ApiError(INVALID, message)


def not_found(kind: str, name: str) -> ApiError:
    """Something that a request names is not there."""
    return ApiError(NOT_FOUND, f"{kind} {name} not found")


def gateway_error(code: int, message: str) -> dict[str, Any]:
    """An error as grpc-gateway writes it."""
    return {"error": message, "code": code, "message": message, "details": []}


def plain_error(message: str) -> dict[str, Any]:
    """An error as uploads and logs tell it."""
    return {"error_message": message, "error_details": message}


def code_of(status: int) -> int:
    """The code that most likely stands behind an HTTP status."""
    return next((code for code, known in STATUSES.items() if known == status), INTERNAL)
