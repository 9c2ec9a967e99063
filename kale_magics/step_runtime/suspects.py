"""The usual suspects: values that cannot go from step to step, with a reason and a way out in words."""

from __future__ import annotations

import re

SUSPECTS = (
    (r"^(async_)?generator$", "its values are not there yet", "make a list of it, or make it in"),
    (r"^_io\.", "an open file belongs to its process", "hand on its path, and open it in"),
    (r"\.R?[Ll]ock$", "a lock works in one process only", "make it in"),
    (r"^threading\.(Thread|Timer)$", "a thread runs in one process only", "start it in"),
    (r"\.([Cc]onnection|[Cc]ursor)$", "a connection belongs to its process", "open it in"),
    (r"^tempfile\.", "it is deleted when its step ends", "make it in"),
    (r"\.(SSL)?[Ss]ocket$", "a socket belongs to its process", "connect it in"),
)
"""A pattern for the name of a type; why its values cannot cross; what to do, up to the name of a step."""


def suspected(kind: str) -> tuple[str, str] | None:
    """Why values of a type cannot cross, by its name, and what to do; None if they are no suspects."""
    return next(((why, fix) for pattern, why, fix in SUSPECTS if re.search(pattern, kind)), None)


def explain_culprit(kind: str, reason: str, user: str) -> tuple[str, str]:
    """What a value is that cannot be pickled, with why; and what helps.

    Args:
        kind: The name of its type.
        reason: Why, in the pickler's words.
        user: The step that needs it, as in "step train".
    """
    why, fix = suspected(kind) or (reason, "hand on what it is made of, or make it in")
    return f"a {kind} ({why})", f"{fix} {user}"
