"""Values of parameters: which values a type accepts, how text is read, how KFP holds them.

A type is text in the notation of annotations: "int", "int | None", "list[float]", "Literal['a', 'b']". "Any"
accepts every JSON value; so does "None", the type of a default None without an annotation. A type that KFP
has is an input of that type. Any other type is a text input, which the step reads as `-p` reads it.
"""

from __future__ import annotations

import ast
import itertools
import sys
from collections.abc import Iterator
from typing import Any

from kale_magics.step_runtime.unpatched import from_json, to_json

MISSING = object()

NULL = "None (no value)"
"""Replaces None within a list or a dict, where KFP accepts no null."""

PERCENT = "percent-encoded: "
"""Prefix of an encoded text in which KFP or Kubernetes would replace something."""

CONSTANTS: dict[str, bool | None] = {"true": True, "True": True, "false": False, "False": False}
CONSTANTS.update(dict.fromkeys(("null", "None", NULL)))
"""Words for constants, in JSON and in Python."""


def alternatives_of(kind: str) -> list[Any]:
    """Return the alternatives of a type: pairs of a name and, for some names, their content.

    The content of "list" is the alternatives of its items, that of "dict" those of its values, with None for
    any; that of "Literal" is one value.
    """
    return alternatives_in(ast.parse("Any" if kind == "None" else kind, mode="eval").body)


def alternatives_in(node: Any) -> list[Any]:
    """Return the `alternatives_of` a parsed type."""
    if isinstance(node, ast.BinOp):
        return alternatives_in(node.left) + alternatives_in(node.right)
    if not isinstance(node, ast.Subscript):
        name = ast.literal_eval(node) if isinstance(node, ast.Constant) else getattr(node, "id", "Any")
        return [(str(name), None)]
    content = node.slice
    parts = content.elts if isinstance(content, ast.Tuple) else [content]
    name = getattr(node.value, "id", "Any")
    if name == "Literal":
        return [(name, ast.literal_eval(part)) for part in parts]
    return [(name, alternatives_in(parts[-1]))]


def accepts(alternatives: list[Any], value: Any) -> bool:
    """Return whether one of the alternatives of a type accepts a value."""
    return any(accepts_one(name, content, value) for name, content in alternatives)


def accepts_one(name: str, content: Any, value: Any) -> bool:
    """Return whether one alternative of a type accepts a value."""
    if name == "Literal":
        return type(value) is type(content) and bool(value == content)
    inner = content or [("Any", None)]
    if isinstance(value, list):
        return name in ("list", "Any") and all(accepts(inner, item) for item in value)
    if isinstance(value, dict):
        keys = all(isinstance(key, str) for key in value)
        return name in ("dict", "Any") and keys and all(accepts(inner, item) for item in value.values())
    names = {type(None): "None", bool: "bool", int: "int", float: "float", str: "str"}
    return type(value) in names and name in (names[type(value)], "Any")


def input_form(kind: str) -> str:
    """Return the type of a pipeline's input: "int", "float", "bool", "list", "dict" or "str".

    An input of a type that KFP does not have is "text": a str that holds a literal.
    """
    alternatives = alternatives_of(kind)
    names = {name for name, _ in alternatives}
    if names <= {"int", "float"}:
        return "float" if "float" in names else "int"
    if names == {"Literal"} and all(type(value) is int for _, value in alternatives):
        return "int"
    return names.pop() if len(names) == 1 and names <= {"str", "bool", "list", "dict"} else "text"


def read_value(text: str, kind: str) -> Any:
    """Return the value of a text: a literal of JSON or Python, or the text itself.

    Raises:
        ValueError: The type accepts none of the possible values.
    """
    alternatives = alternatives_of(kind)
    names = {name for name, _ in alternatives}
    if names == {"str"}:
        return text
    strict = bool(names & {"str", "Any", "Literal"})
    for value in readings(text, strict, "Any" in names):
        if accepts(alternatives, value):
            return value
    raise ValueError(text)


def readings(text: str, strict: bool, only_literals: bool) -> Iterator[Any]:
    """Yield the possible values of a text.

    Args:
        text: As typed.
        strict: Whether it may be a text too: "nan" and "TRUE" are texts then.
        only_literals: Whether a literal may not be a text.
    """
    word = text.strip()
    if word in CONSTANTS:
        yield CONSTANTS[word]
    if not strict:
        if word.lower() in ("true", "false"):
            yield word.lower() == "true"
        for number in (int, float):
            try:
                yield number(word)
            except ValueError:  # it is no such number
                continue
    try:
        yield literal_in(word)
        is_literal = True
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # it is not a literal
        is_literal = False
    if not (is_literal and only_literals):
        yield text


def literal_in(word: str) -> Any:
    """Return the value of a literal of JSON or Python.

    Raises:
        ValueError, SyntaxError, TypeError, RecursionError, MemoryError: It is not a literal.
    """
    if word in ("NaN", "Infinity", "-Infinity"):
        raise ValueError(word)
    try:
        return from_json(word)
    except ValueError:
        return ast.literal_eval(word)


def write_value(value: Any, kind: str) -> str:
    """Return a text that `read_value` reads as this value."""
    text = value if isinstance(value, str) else to_json(value)
    if isinstance(value, float):
        text = repr(value).replace("inf", "1e999")
    if value is None:
        return "None"
    try:
        if repr(read_value(text, kind)) == repr(value):
            return text
    except ValueError:  # the text is written as a literal
        pass
    return to_json(value)


def encode_parameter(value: Any, kind: str = "") -> Any:
    """Encode a parameter's value so that KFP can hold it; `decode_parameter` is the inverse.

    KFP accepts no null and no number beyond a double's range, and replaces `{{$...}}` in texts; Kubernetes
    replaces `$(...)` there, and `$$` by `$`.

    Args:
        value: The value.
        kind: The parameter's type; empty for a part of a value.
    """
    best_form = input_form(kind) if kind else ""
    if best_form == "text":
        return encode_text(write_value(value, kind))
    if best_form == "float":
        return float(encode_parameter(value))
    if isinstance(value, dict):
        return {encode_text(key): encode_parameter(item) for key, item in value.items()}
    if isinstance(value, list):
        return [encode_parameter(item) for item in value]
    if type(value) in (int, float):
        largest = sys.float_info.max
        return largest if value > largest else -largest if value < -largest else value
    if isinstance(value, str):
        return encode_text(value)
    return NULL if value is None else value


def encode_text(text: str) -> str:
    """Encode a text like `encode_parameter`."""
    if not any(pair in text for pair in ("{{$", "$$", "$(")) and not text.startswith(PERCENT):
        return text
    import urllib.parse

    return PERCENT + urllib.parse.quote(text, safe=" /:,;=", errors="surrogatepass")


def decode_text(text: Any) -> Any:
    """Decode a text of `encode_text`; return any other value as it is."""
    if not isinstance(text, str) or not text.startswith(PERCENT):
        return text
    import urllib.parse

    return urllib.parse.unquote(text[len(PERCENT) :], errors="surrogatepass")


def decode_parameter(value: Any, default: Any, kind: str) -> Any:
    """Restore what a parameter's value lost when KFP stored it as JSON.

    KFP keeps numbers as doubles: in a list, 1 arrives as 1.0, and 2**53 + 1 as 2**53 anywhere. It does not
    keep the order of a dict: keys get the order that they have in the default, new ones last.

    Args:
        value: The value as it arrived.
        default: The value in the notebook.
        kind: The parameter's type.

    Returns:
        The default itself if it is what arrived, else the value; a whole number is an int where the default
        has no float.

    Raises:
        ValueError: A text arrived for which the type accepts no value.
    """
    best_form = input_form(kind)
    if best_form == "text":
        return read_value(decode_text(value), kind) if isinstance(value, str) else value
    if best_form == "str":
        return decode_text(value)
    return value if best_form == "bool" else restore_types(value, default, has_float(default))


def restore_types(value: Any, default: Any, floats: bool) -> Any:
    """Decode like `decode_parameter`; `floats` is whether numbers without a default are floats."""
    if isinstance(value, list):
        known = default if isinstance(default, list) else []
        places = itertools.chain(known, itertools.repeat(MISSING))
        return [restore_types(item, place, floats) for item, place in zip(value, places)]  # noqa: B905 - new in Python 3.10
    if isinstance(value, dict):
        value = {decode_text(key): item for key, item in value.items()}
        items = default if isinstance(default, dict) else {}
        keys = [key for key in items if key in value] + [key for key in value if key not in items]
        return {key: restore_types(value[key], items.get(key, MISSING), floats) for key in keys}
    if isinstance(value, str):
        return None if value == NULL and default != NULL else decode_text(value)
    if type(value) not in (int, float):
        return value
    if type(default) in (int, float):
        floats = type(default) is float
        if value == float(encode_parameter(default)) and not -(2**53) <= default <= 2**53:
            return default
    if floats:
        return float(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def has_float(value: Any) -> bool:
    """Return whether a JSON value contains a float."""
    if isinstance(value, (list, dict)):
        return any(map(has_float, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float)
