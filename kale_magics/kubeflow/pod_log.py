"""The log of a step's pod: the step's output, and its result.

Argo and KFP's launcher write lines of their own into it, before, after and between those of the step: the
launcher's begin as Go's `glog` writes them, and some go on in JSON over several lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from kale_magics.step_runtime.pod import BEGINS, ENDS

LAUNCHER = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \w+\.go:\d+\] ")
"""The beginning of a line of KFP's launcher or driver."""

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
    try:
        return without_lines_of_kfp(body), dict(json.loads(result.partition("\n")[0]))
    except (ValueError, TypeError):  # the log is cut off there
        return without_lines_of_kfp(body), None


def without_lines_of_kfp(text: str) -> str:
    """Return a log without the lines of Argo, KFP's launcher and its executor."""
    return "".join(_lines(text.splitlines(keepends=True)))


def _lines(lines: list[str]) -> Iterator[str]:
    closing = -1
    for number, line in enumerate(lines):
        if number <= closing:
            continue
        if LAUNCHER.match(line) or EXECUTOR.match(line):
            # JSON goes on after the line's end, or after a line with a colon at its end.
            opens = line.rstrip().endswith("{")
            below = number + 1 < len(lines) and line.endswith(":\n") and lines[number + 1] == "{\n"
            if opens or below:
                ends = (at for at in range(number + 1, len(lines)) if lines[at].rstrip("\r\n") == "}")
                closing = next(ends, -1)
        elif not ARGO.match(line) and not (number == len(lines) - 1 and ARGO_END.fullmatch(line)):
            yield line


def launcher_error(text: str) -> str:
    """Return the last fatal or error message of KFP's launcher or driver in a log; empty if there is none."""
    found = ""
    for line in text.splitlines():
        matched = LAUNCHER.match(line)
        if matched and line[0] in "EF":
            found = line[matched.end() :] if line[0] == "F" or not found else found
    return found
