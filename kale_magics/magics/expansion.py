"""Expands variables in the line of a magic: `{name}`, `{k + 1}` and `$name`, as IPython does.

IPython's `var_expand` leaves the whole line unchanged if one part cannot be evaluated, and it inserts values
before the line is split into words. Here only that part is unchanged, a value does not split its word, and a
dict of JSON or Python is never a variable.
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
    """Decorate a line magic so that its line can use the caller's local variables; also guard it."""
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
    """Insert the values of variables and expressions into the arguments of a magic.

    Args:
        text: The arguments, without a comment.
        variables: Values by name.

    Returns:
        The arguments; values are quoted where necessary. Parts that cannot be evaluated are unchanged.
    """
    return _Expansion(text, variables).expanded()


class _Expansion:
    """The state of one expansion of a text."""

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
        """Expand the next part of the text, and move past it."""
        text, start = self.text, self.at
        character = text[start]
        if character == "\\" and self.quote != "'":
            return self._as_typed(start + 2)
        if character in "\"'" and self.quote in ("", character):
            self.quote = "" if self.quote else character
        if character == "{":
            return self._brace()
        if character == "}":
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
        except Exception:  # as in IPython, a field that cannot be evaluated is plain text
            return None

    def _in_place(self, value: str, end: int) -> str:
        """Quote or escape a value for the place of its field, which ends at `end`."""
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
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # not a literal
            continue
    return False
