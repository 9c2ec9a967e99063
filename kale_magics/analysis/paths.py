"""Fold path expressions to patterns with gaps, and test whether two patterns can match one file."""

from __future__ import annotations

import ast
import functools
import os
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from kale_magics.analysis.names import dotted

GAP = "\0"
"""An unknown part of a pattern; `*`, `?`, `[...]` and `**` are those of `glob`."""

MAX_PATH = 1024
"""Characters of a string that may be a path."""

_PATHS = frozenset({"Path", "PurePath", "PosixPath", "PurePosixPath"})
_SAME = frozenset("str fspath fsdecode abspath normpath realpath expanduser".split())
_SAME_METHODS = frozenset("absolute resolve expanduser as_posix".split())
_CONVERSION = re.compile(r"%[-+ 0#]*\d*(\.\d+)?[a-zA-Z]")
_FIELD = re.compile(r"\{[^{}]*\}")
_WILD = re.compile(r"[*?\0]|\[[^\]]+\]")


def fold(node: ast.expr, values: Mapping[str, str]) -> str | None:
    """Return the path or string that an expression gives, as a pattern.

    Args:
        node: The expression.
        values: The patterns of names.

    Returns:
        None if it is not a string, or if all of it is unknown.
    """
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) and len(node.value) <= MAX_PATH else None
    if isinstance(node, ast.Name):
        return values.get(node.id)
    if isinstance(node, ast.JoinedStr):
        return "".join(_part(part, values) for part in node.values)
    if isinstance(node, ast.BinOp):
        return _of_operation(node, values)
    if isinstance(node, ast.Attribute):
        owner = fold(node.value, values)
        return None if owner is None else _of_attribute(owner, node.attr)
    if isinstance(node, ast.Call):
        return _of_call(node, values)
    return None


def _part(node: ast.expr, values: Mapping[str, str]) -> str:
    """Return the pattern of a part of an f-string."""
    if isinstance(node, ast.FormattedValue):
        found = fold(node.value, values) if node.format_spec is None else None
        return GAP if found is None else found
    return fold(node, values) or ""


def _of_operation(node: ast.BinOp, values: Mapping[str, str]) -> str | None:
    left, right = fold(node.left, values), fold(node.right, values)
    if isinstance(node.op, ast.Div):
        return None if left is None else os.path.join(left, right or GAP)
    if isinstance(node.op, ast.Add) and (left or right):
        return f"{GAP if left is None else left}{GAP if right is None else right}"
    if isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant) and left is not None:
        return _CONVERSION.sub(GAP, left)
    return None


def _of_attribute(owner: str, name: str) -> str | None:
    if name == "parent":
        return os.path.dirname(owner) or "."
    if name in ("name", "stem", "suffix"):
        return str(getattr(PurePosixPath(owner), name))
    return None


def _of_call(node: ast.Call, values: Mapping[str, str]) -> str | None:
    function, name = dotted(node.func), dotted(node.func).rpartition(".")[2]
    given = [fold(argument, values) for argument in node.args]
    if name in ("getcwd", "cwd"):
        return "."
    if name == "home":
        return "~"
    if name in _PATHS or function.endswith("path.join"):
        return _joined(given or ["."])
    if name in _SAME and len(given) == 1:
        return given[0]
    if name == "dirname" and len(given) == 1 and given[0] is not None:
        return os.path.dirname(given[0]) or "."
    owner = fold(node.func.value, values) if isinstance(node.func, ast.Attribute) else None
    if owner is None or not isinstance(node.func, ast.Attribute):
        return None
    return _of_method(owner, node.func.attr, given)


def _of_method(owner: str, name: str, given: list[str | None]) -> str | None:
    if name == "joinpath":
        return _joined([owner, *given])
    if name in _SAME_METHODS:
        return owner
    if name == "format":
        return _FIELD.sub(GAP, owner)
    if name == "with_suffix" and given:
        return f"{os.path.splitext(owner)[0]}{GAP if given[0] is None else given[0]}"
    if name == "with_name" and given:
        return os.path.join(os.path.dirname(owner), given[0] or GAP)
    return None


def _joined(parts: list[str | None]) -> str | None:
    return None if parts[0] is None else os.path.join(parts[0], *(part or GAP for part in parts[1:]))


def absolute(pattern: str, folder: str) -> str:
    """Return an absolute pattern without `.`, `..` and `~`.

    Args:
        pattern: As `fold` gives it.
        folder: The folder that it is relative to.
    """
    return os.path.normpath(os.path.join(folder, os.path.expanduser(pattern)))


def is_exact(pattern: str) -> bool:
    """Whether a pattern matches only one path."""
    return _WILD.search(pattern) is None


def is_specific(pattern: str) -> bool:
    """Whether the known parts of a pattern distinguish its files from others in the same folder."""
    folder, _, name = pattern.rpartition("/")
    stem = os.path.splitext(name)[0]
    return GAP not in folder and (GAP not in name or any(map(str.isalnum, stem)))


def may_be_same(one: str, other: str) -> bool:
    """Whether some path matches two patterns.

    Args:
        one: An absolute pattern.
        other: Another one.
    """
    if is_exact(one) and is_exact(other):
        return one == other
    return _fit(tuple(one.split("/")), tuple(other.split("/")))


def _fit(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the parts of two patterns can match the same path."""
    if not one or not other:
        return all(part == "**" for part in one + other)
    if one[0] == "**":
        return _fit(one[1:], other) or _fit(one, other[1:])
    if other[0] == "**":
        return _fit(one, other[1:]) or _fit(one[1:], other)
    return _share(*(re.sub(r"\*+", "*", _WILD.sub("*", part)) for part in (one[0], other[0]))) and _fit(
        one[1:], other[1:]
    )


@functools.lru_cache(maxsize=4096)
def _share(one: str, other: str) -> bool:
    """Whether some string matches two patterns whose only wildcard is `*`."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return _share(one[1:], other) or _share(one, other[1:])
    if other[0] == "*":
        return _share(one, other[1:]) or _share(one[1:], other)
    return one[0] == other[0] and _share(one[1:], other[1:])
