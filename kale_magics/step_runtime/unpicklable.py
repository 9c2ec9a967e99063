"""Types whose values cannot be serialized, each with a reason and a fix."""

from __future__ import annotations

import re

UNPICKLABLE_TYPES = (
    (r"^(async_)?generator$", "it has not computed its values", "make a list of it, or create it in"),
    (r"^_io\.", "an open file belongs to its process", "pass its path, and open it in"),
    (r"\.R?[Ll]ock$", "a lock works in one process only", "create it in"),
    (r"^threading\.(Thread|Timer)$", "a thread runs in one process only", "start it in"),
    (r"\.([Cc]onnection|[Cc]ursor)$", "a connection belongs to its process", "open it in"),
    (r"^tempfile\.", "it is deleted when its step ends", "create it in"),
    (r"\.(SSL)?[Ss]ocket$", "a socket belongs to its process", "connect it in"),
)
"""A pattern for the name of a type; why its values cannot be serialized; the fix, up to a step's name."""


def known_reason(kind: str) -> tuple[str, str] | None:
    """Return why values of a type cannot be serialized, and the fix; None for other types."""
    return next(((why, fix) for pattern, why, fix in UNPICKLABLE_TYPES if re.search(pattern, kind)), None)


def explain_unpicklable(kind: str, reason: str, user: str) -> tuple[str, str]:
    """Describe a value that cannot be pickled, with the reason; and a fix.

    Args:
        kind: The name of its type.
        reason: The pickler's message.
        user: The step that needs it, as in "step train".
    """
    why, fix = known_reason(kind) or (reason, "pass the data that it is created from, or create it in")
    return f"a {kind} ({why})", f"{fix} {user}"
