"""Who a request is from: nobody asks, a token is asked for, or a cookie that Dex gives after a login."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tests.kfp_server.errors import UNAUTHENTICATED, ApiError

Auth = Literal["none", "token", "dex"]

LOGIN = "/dex/auth"

LOGIN_PAGE = "<!DOCTYPE html><html><head><title>dex</title></head><body>Log in to Your Account</body></html>"


class LoginNeededError(Exception):
    """The client is sent to a page where a person would log in."""


@dataclass
class Access:
    """What the server lets in.

    Attributes:
        auth: How clients show who they are.
        tokens: The users, by their tokens.
        cookies: The users, by their cookies.
        default: Who sends requests that need not show anything; the header of a proxy may name another user.
    """

    auth: Auth
    tokens: dict[str, str]
    cookies: dict[str, str]
    default: str

    def user(self, headers: Mapping[str, str]) -> str:
        """Who a request is from."""
        if self.auth == "token":
            kind, _, token = headers.get("authorization", "").partition(" ")
            if kind != "Bearer" or token not in self.tokens:
                raise ApiError(UNAUTHENTICATED, "Request header error: there is no valid token")
            return self.tokens[token]
        if self.auth == "dex":
            sent = {cookie.strip() for cookie in headers.get("cookie", "").split(";")}
            for cookie, user in self.cookies.items():
                if cookie in sent:
                    return user
            raise LoginNeededError
        return headers.get("kubeflow-userid", self.default)
