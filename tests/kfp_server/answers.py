"""What requests are answered by, in HTTP's terms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What a request is answered by.

    Attributes:
        status: HTTP's.
        content: JSON, text, or bytes.
        kind: The type of a text; "" for a text or bytes whose type is not said.
        headers: Further ones.
    """

    status: int
    content: Any
    kind: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()

    def encoded(self) -> tuple[str, bytes]:
        """The type and the bytes."""
        if isinstance(self.content, str):
            return f"{self.kind}; charset=utf-8" if self.kind else "", self.content.encode()
        if isinstance(self.content, bytes):
            return self.kind if "/" in self.kind and self.kind != "text/plain" else "", self.content
        return "application/json", json.dumps(self.content).encode()


def go_json(value: Any) -> str:
    """JSON as Go writes it: without spaces, and without characters that HTML gives a meaning."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def no_such_page(method: str, path: str) -> Answer:
    """A path that the server of the page does not have; it answers 404 and HTML, its words are assumed."""
    text = f"<!DOCTYPE html>\n<html><body><pre>Cannot {method} {path}</pre></body></html>\n"
    return Answer(404, text, "text/html")
