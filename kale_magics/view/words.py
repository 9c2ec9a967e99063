"""Text that several views use: sizes, variables with their types, text cut to a width."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import accumulate, takewhile

from kale_magics.model.pipeline import Output, Parameter

_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def human_size(size: int) -> str:
    """Format a number of bytes: "512 B", "3.4 KB", "100 KB", "1.2 GB" (1 KB is 1,024 bytes)."""
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in ("KB", "MB", "GB", "TB", "PB"):
        value /= 1024
        if round(value) < 1024 or unit == "PB":
            break
    return f"{value:.1f} {unit}" if round(value, 1) < 10 else f"{value:.0f} {unit}"


def plural(count: int, word: str) -> str:
    """Return a count with its noun: "1 step", "2 steps"."""
    return f"{count} {word}" + "s" * (count != 1)


def columns(text: str) -> int:
    """Count the terminal columns of a text: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def pad(text: str, width: int) -> str:
    """Pad a text with spaces to `width` columns."""
    return text + " " * (width - columns(text))


def one_line(text: str) -> str:
    """Replace line breaks and control characters by spaces."""
    return _BREAKS.sub(" ", text).strip()


def shorten(text: str, limit: int) -> str:
    """Return a text in one line of at most `limit` columns, with an ellipsis for what is left out."""
    text = one_line(text)
    if columns(text) <= limit:
        return text
    widths = accumulate(map(columns, text))
    shown = sum(1 for _ in takewhile(lambda width: width < limit, widths))
    return text[:shown].rstrip() + "…"


def listed(names: Iterable[str], limit: int) -> str:
    """Join names with commas in at most `limit` columns; "+2" stands for two without room."""
    names = [one_line(name) for name in names]
    widths = accumulate(columns(name) + len(", ") for name in names)
    most = sum(1 for _ in takewhile(lambda width: width - len(", ") <= limit, widths))
    for shown in range(most, 0, -1):
        rest = len(names) - shown
        text = ", ".join(names[:shown]) + (f" +{rest}" if rest else "")
        if columns(text) <= limit:
            return text
    tail = f" +{len(names) - 1}" if len(names) > 1 else ""
    return shorten(names[0], limit - len(tail)) + tail if names else ""


def first_names(names: Sequence[str], count: int) -> str:
    """Join the first names with commas, as in "a, b, c +97 more"."""
    more = f" +{len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def type_and_size(output: Output) -> str:
    """Return the type, shape and size of a value, as in "DataFrame 426 x 30, 100 KB"; may be empty."""
    size = "" if output.size is None else human_size(output.size)
    return ", ".join(part for part in (output.description, size) if part)


def describe_variables(names: Iterable[str], output: Output, source: str = "") -> str:
    """Return variables with type and size, as in "X_train from prep (DataFrame 426 x 30, 100 KB)"."""
    known = type_and_size(output)
    return ", ".join(names) + (f" from {source}" if source else "") + (f" ({known})" if known else "")


def plan_text(cached: bool, reason: str) -> str:
    """Return what a run would do with a step: "cached", or "runs: data.csv has changed"."""
    if not cached:
        return f"runs: {reason}"
    return f"cached, {reason}" if reason else "cached"


def assignment(parameter: Parameter) -> str:
    """Return a parameter with its default, as Python code."""
    return f"{parameter.name} = {parameter.default!r}"
