"""The log of a step's pod: the step's output, and its result."""

from __future__ import annotations

import json
from typing import Any

from kale_magics.step_runtime.pod import BEGINS, ENDS


def split_log(text: str) -> tuple[str, dict[str, Any] | None]:
    """Split the log of a pod into what the step printed and the result that it reported.

    Args:
        text: The log. If the step has not begun, as when pip fails, all of it is returned.
    """
    _, begins, rest = text.partition(BEGINS + "\n")
    if not begins:
        return text, None
    body, ends, result = rest.rpartition(ENDS)
    if not ends:
        return rest, None
    try:
        return body, dict(json.loads(result.partition("\n")[0]))
    except (ValueError, TypeError):  # the log is cut off there
        return body, None
