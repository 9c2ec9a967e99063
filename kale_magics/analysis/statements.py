"""A cell cut into statements, each with the comments that belong to it."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

import ast_comments


def cut(source: str, kept: Collection[int]) -> str:
    """Leave only some statements of a cell, and the comments that belong to them.

    Args:
        source: Python.
        kept: The numbers of the statements that stay, from 0, at the top level.

    Returns:
        As many lines as before; what stays has not moved.
    """
    lines = source.encode().split(b"\n")
    result = [b""] * len(lines)
    for number, nodes in enumerate(_with_comments(source)):
        if number in kept:
            for node in nodes:
                _copy(lines, result, node)
    return b"\n".join(result).decode()


@functools.lru_cache(maxsize=64)
def _with_comments(source: str) -> list[list[Any]]:
    """For every statement its node, with the comments above it and behind it."""
    groups: list[list[Any]] = []
    above: list[Any] = []
    for node in ast_comments.parse(source).body:
        if not isinstance(node, ast_comments.Comment):
            touching = [c for i, c in enumerate(above) if c.lineno + len(above) - i == _start(node)[0]]
            groups.append([*touching, node])
            above = []
        elif node.inline and groups:
            groups[-1].append(node)
        else:
            above.append(node)
    return groups


def _start(node: Any) -> tuple[int, int]:
    """Line and column at which a node begins, its decorators included."""
    decorators = getattr(node, "decorator_list", [])
    return (decorators[0].lineno, 0) if decorators else (node.lineno, node.col_offset)


def _copy(lines: list[bytes], result: list[bytes], node: Any) -> None:
    first, column = _start(node)
    last, end = node.end_lineno, node.end_col_offset
    if isinstance(node, ast_comments.Comment):
        end = column + len(node.value.encode())
    for number in range(first - 1, last):
        start = column if number == first - 1 else 0
        text = lines[number][start : end if number == last - 1 else None]
        if result[number]:
            result[number] += b"  " if text.startswith(b"#") else b"; "
        result[number] += text
