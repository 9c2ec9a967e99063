"""The log of a step's pod: the step's output, and its result.

Argo and KFP's launcher write lines of their own into it, before, after and between those of the step. The
launcher's begin as Go's `glog` writes them, and one goes on in JSON over several lines. A program that the
step runs may write such lines too: only those are left out that are known to be the launcher's.
"""

from __future__ import annotations

import json
import re
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

ARGO = re.compile(r"time=\S+ level=\w+ msg=.* argo=true")
"""A line of Argo."""

ARGO_END = re.compile(r"Error: exit status \d+\s*")
"""Argo's last line of a pod that failed."""

ERROR_FIELDS = frozenset({"error_message", "error_details"})
"""The fields of the API's answer if it has no log; its status may be 200."""


def is_missing_log(content: bytes) -> bool:
    """Whether the content of a log is the server's message that there is none."""
    if not content.startswith(b'{"error_message"'):
        return False
    try:
        return set(json.loads(content)) <= ERROR_FIELDS
    except ValueError:
        return False


def split_log(text: str) -> tuple[str, dict[str, Any] | None]:
    """Split the log of a pod into what the step printed and the result that it reported.

    Args:
        text: The log. If the step has not begun, as when pip fails, what came before it is returned.
    """
    _, begins, rest = text.partition(BEGINS + "\n")
    if not begins:
        return without_lines_of_kfp(text), None
    body, ends, result = rest.rpartition(ENDS)
    if not ends:
        return without_lines_of_kfp(rest), None
    text = "".join(_lines(body.splitlines(keepends=True)))  # Argo's last line comes after the result
    try:
        return text, dict(json.loads(result.partition("\n")[0]))
    except (ValueError, TypeError):  # the log is cut off there
        return text, None


def without_lines_of_kfp(text: str) -> str:
    """Return a log without the lines of Argo, KFP's launcher and its executor."""
    lines = text.splitlines(keepends=True)
    if lines and ARGO_END.fullmatch(lines[-1]):
        lines.pop()
    return "".join(_lines(lines))


def _lines(lines: list[str]) -> Iterator[str]:
    closing = -1
    for number, line in enumerate(lines):
        if number <= closing:
            continue
        executor = EXECUTOR.match(line)
        if executor or OF_LAUNCHER.match(line):
            below = executor and number + 1 < len(lines) and lines[number + 1] == "{\n"
            if below or line.rstrip().endswith(OUTPUT):
                ends = (at for at in range(number + 1, len(lines)) if lines[at].rstrip("\r\n") == "}")
                closing = next(ends, -1)
        elif not ARGO.match(line):
            yield line


def launcher_error(text: str) -> str:
    """Return the last fatal or error message of KFP's launcher or driver in a log; empty if there is none."""
    found = ""
    for line in text.splitlines():
        matched = LAUNCHER.match(line)
        if matched and line[0] in "EF":
            found = line[matched.end() :] if line[0] == "F" or not found else found
    return found
