"""The log of a step's pod: the step's output, and its result.

Argo and KFP's launcher write lines of their own into it, before, after and between those of the step. The
launcher's begin as Go's `glog` writes them, and one goes on in JSON over several lines. A program that the
step runs may write such lines too: only those are left out that are known to be the launcher's.
"""

from __future__ import annotations

import json
import re
from bisect import bisect
from collections.abc import Iterator
from typing import Any

from kale_magics.step_runtime.pod import BEGINS, ENDS

GLOG = r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ "
LAUNCHER = re.compile(GLOG + r"\w+\.go:\d+\] ")
"""The beginning of a line that KFP's launcher or driver may have written."""

OF_LAUNCHER = re.compile(
    GLOG + r"((launcher_v2|cache|client|object_store|registry)\.go:\d+\] "
    r"|main\.go:\d+\] (Setting log level|failed to execute component))"
)
"""The beginning of a line of KFP's launcher 2.17."""

OUTPUT = "] ExecutorOutput: {"
"""The end of its line before JSON."""

EXECUTOR = re.compile(r"\[KFP Executor [^]]+\]: ")
"""The beginning of a line of the part of kfp that calls the step's program."""

ARGO = re.compile(r"time=\S+ level=\w+ msg=.* argo=true( \w+=.*)?\s*$")
"""A line of Argo; it may follow a line of the step that has no end."""

ARGO_END = re.compile(r"Error: exit status \d+\s*")
"""Argo's last line of a pod that failed."""

ERRORS = ({"error_message"}, {"error", "code"}, {"kind", "apiVersion", "status"})
"""Fields of the messages of KFP's API, of its gateway and of Kubernetes; their status may be 200."""

BROKEN = {"error_message", "error_details"}
"""Fields of the message that the API writes at the end of a log if it loses the pod meanwhile."""

MAX_ERROR = 10_000
"""Bytes of such a message."""


def is_missing_log(content: bytes) -> bool:
    """Whether the content of a log is a server's message that there is none."""
    fields = set() if BEGINS.encode() in content else _fields(content.strip())
    return any(known <= fields for known in ERRORS)


def _fields(text: str | bytes) -> set[str]:
    """Return the fields of a short object in JSON; none of another text."""
    if len(text) > MAX_ERROR or text[:1] not in ("{", b"{"):
        return set()
    try:
        return set(json.loads(text))
    except (ValueError, RecursionError):
        return set()


def split_log(text: str) -> tuple[str, dict[str, Any] | None]:
    """Split the log of a pod into what the step printed and the result that it reported.

    Args:
        text: The log. If the step has not begun, as when pip fails, what came before it is returned.
    """
    _, begins, rest = text.partition(BEGINS + "\n")
    # A cluster may have deleted the beginning of a long log.
    body, ends, result = (rest if begins else text).rpartition(ENDS)
    if not ends:
        return without_lines_of_kfp(result), None
    text = "".join(_lines(body.splitlines(keepends=True)))
    line, _, after = result.partition("\n")
    # What threads and the end of the process print comes after the result.
    return text + without_lines_of_kfp(after), _result(line)


def _result(line: str) -> dict[str, Any] | None:
    """Return the result that a step reported, with the fields that have the right types."""
    try:
        found = json.loads(line)
        fingerprints = json.loads(found.get("fingerprints") or "{}")
    except (ValueError, TypeError, AttributeError, RecursionError):  # the log is cut off there
        return None
    error = _typed(found.get("error"), (str, int))
    return {
        "step": found.get("step"),
        "metrics": _typed(found.get("metrics"), (int, float)),
        "artifacts": _typed(found.get("artifacts"), (str,)),
        "fingerprints": fingerprints if isinstance(fingerprints, dict) else {},
        "error": error if {"type", "message"} <= error.keys() else None,
    }


def _typed(found: object, types: tuple[type, ...]) -> dict[str, Any]:
    """Return the fields of a dict that have one of the types; empty if it is no dict."""
    return {k: v for k, v in found.items() if isinstance(v, types)} if isinstance(found, dict) else {}


def without_lines_of_kfp(text: str) -> str:
    """Return a log without the lines of Argo, KFP's launcher and its executor."""
    lines = text.splitlines(keepends=True)
    if lines and (ARGO_END.fullmatch(lines[-1]) or _fields(lines[-1]) == BROKEN):
        lines.pop()
    return "".join(_lines(lines))


def _lines(lines: list[str]) -> Iterator[str]:
    ends = [number for number, line in enumerate(lines) if line.rstrip("\r\n") == "}"]
    closing = -1
    for number, line in enumerate(lines):
        if number <= closing:
            continue
        executor = EXECUTOR.match(line)
        other = OF_LAUNCHER.search(line) or ARGO.search(line)
        if executor or other:
            below = executor and number + 1 < len(lines) and lines[number + 1] == "{\n"
            if below or line.rstrip().endswith(OUTPUT):
                after = bisect(ends, number)
                closing = ends[after] if after < len(ends) else -1
            # The step's own line had no end.
            yield from [line[: other.start()] + "\n"] if other and other.start() else []
        else:
            yield line


def launcher_error(text: str) -> str:
    """Return the last fatal or error message of KFP's launcher or driver in a log; empty if there is none."""
    found = ""
    for line in text.splitlines():
        matched = LAUNCHER.search(line)
        kind = line[matched.start()] if matched else ""
        if matched and kind in ("E", "F"):
            found = line[matched.end() :] if kind == "F" or not found else found
    return found
