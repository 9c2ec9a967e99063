"""Variables in the text behind a magic: `{name}`, `{k + 1}` and `$name`, as IPython expands them.

IPython's own `var_expand` leaves the whole line as it is if one part cannot be evaluated, and it puts values
in before the line is split into words. Here only that part stays as it is, a value stays within its word, and
a dict of JSON or Python is never a variable.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

from IPython.core.magic import needs_local_scope, no_var_expand
from IPython.utils.text import DollarFormatter

from kale_magics.session.guard import guarded
from kale_magics.syntax.arguments import quoted

Magic = TypeVar("Magic", bound=Callable[..., Any])

_DOLLAR = re.compile(r"\$(\$?[\w.]+)")


def expanding(magic: Magic) -> Magic:
    """Give a line magic the local variables of its caller, which its line may use; it is guarded too."""
    magic = guarded(magic)

    @no_var_expand
    @needs_local_scope
    @wraps(magic)
    def call(self: Any, line: str, local_ns: Mapping[str, Any] | None = None) -> Any:
        self.workspace.local_variables = local_ns or {}
        try:
            return magic(self, line)
        finally:
            self.workspace.local_variables = {}

    return cast(Magic, call)


def expand_arguments(text: str, variables: Mapping[str, Any]) -> str:
    """Put the values of variables and of expressions into the arguments of a magic.

    Args:
        text: The arguments, without a comment.
        variables: Values by name.

    Returns:
        The arguments with values in quotes where they need them. What cannot be evaluated stays as typed.
    """
    return _Expansion(text, variables).expanded()


class _Expansion:
    """One reading of a text, from its beginning to its end."""

    def __init__(self, text: str, variables: Mapping[str, Any]) -> None:
        self.text, self.variables = text, variables
        self.at = 0
        self.quote = ""
        self.open: list[str] = []

    def expanded(self) -> str:
        parts = []
        while self.at < len(self.text):
            parts.append(self._next())
        return "".join(parts)

    def _next(self) -> str:
        """What the text has at its present place, expanded; the place is behind it then."""
        text, start = self.text, self.at
        sign = text[start]
        if sign == "\\" and self.quote != "'":
            return self._as_typed(start + 2)
        if sign in "\"'" and self.quote in ("", sign):
            self.quote = "" if self.quote else sign
        if sign == "{":
            return self._brace()
        if sign == "}":
            return self._closing_brace()
        match = _DOLLAR.match(text, start)
        if match and self.quote != "'":
            return self._dollar(match)
        return self._as_typed(start + 1)

    def _as_typed(self, end: int) -> str:
        start, self.at = self.at, end
        return self.text[start:end]

    def _brace(self) -> str:
        start = self.at
        ends = [match.end() for match in re.finditer("}", self.text) if match.end() > start]
        end = next((end for end in ends if _is_dict(self.text[start:end])), None)
        if end is not None:
            return self._as_typed(end)
        if self.text.startswith("{{", start):
            self.open.append("{{")
            self.at += 2
            return "{"
        for end in ends:
            value = self._value(self.text[start:end])
            if value is not None:
                return self._in_place(value, end)
        self.open.append("{")
        return self._as_typed(start + 1)

    def _closing_brace(self) -> str:
        opened = self.open.pop() if self.open else "{{"
        if opened == "{{" and self.text.startswith("}}", self.at):
            self.at += 2
            return "}"
        return self._as_typed(self.at + 1)

    def _dollar(self, match: re.Match[str]) -> str:
        if match[1].startswith("$"):
            self.at = match.end()
            return match[1]
        value = self._value(match[0])
        return self._as_typed(match.end()) if value is None else self._in_place(value, match.end())

    def _value(self, field: str) -> str | None:
        try:
            return DollarFormatter().vformat(field, [], self.variables)
        except Exception:  # as in IPython: whatever is wrong with it, it is a text then
            return None

    def _in_place(self, value: str, end: int) -> str:
        """A value as it has to be typed where a field ends."""
        alone = not self.text[: self.at][-1:].strip() and not self.text[end : end + 1].strip()
        self.at = end
        if self.quote == "'":
            return value.replace("'", "'\"'\"'")
        if self.quote:
            return re.sub(r'(["\\])', r"\\\1", value)
        if (alone and value.startswith("-")) or not re.search(r"[\s\"'\\#]", value):
            return value
        return quoted(value)


def _is_dict(text: str) -> bool:
    """Whether a text is a dict in JSON or Python."""
    for read in (json.loads, ast.literal_eval):
        try:
            return isinstance(read(text), dict)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # it is none
            continue
    return False
