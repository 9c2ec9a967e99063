"""Split a cell into statements, each with its comments."""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection
from typing import NamedTuple

import ast_comments


class Piece(NamedTuple):
    """A range of source code: its first and last line, from 1, and the byte offsets of its start and end."""

    first: int
    column: int
    last: int
    end: int


def keep_statements(source: str, kept: Collection[int]) -> str:
    """Return a cell with only some of its statements, and their comments.

    Args:
        source: Python.
        kept: The indexes of the top-level statements to keep, from 0.

    Returns:
        As many lines as before; what remains keeps its position.
    """
    lines = source.encode().split(b"\n")
    result = [b""] * len(lines)
    for number, pieces in enumerate(_pieces(source)):
        for piece in pieces if number in kept else ():
            _copy(lines, result, piece)
    return b"\n".join(result).decode()


@functools.lru_cache(maxsize=64)
def _pieces(source: str) -> list[list[Piece]]:
    """Return for every statement the comments above it, itself, and the comment after it."""
    statements = [_place(node) for node in ast.parse(source).body]
    ends = {statement.last: number for number, statement in enumerate(statements)}
    comments = _comments(source)
    pieces = []
    for number, statement in enumerate(statements):
        first = statement.first
        while first - 1 in comments and first - 1 not in ends:
            first -= 1
        above = [comments[line] for line in range(first, statement.first)]
        behind = (
            [comments[statement.last]]
            if statement.last in comments and ends[statement.last] == number
            else []
        )
        pieces.append([*above, statement, *behind])
    return pieces


def _place(node: ast.stmt) -> Piece:
    decorators = getattr(node, "decorator_list", [])
    first, column = (decorators[0].lineno, 0) if decorators else (node.lineno, node.col_offset)
    return Piece(first, column, node.end_lineno or first, node.end_col_offset or 0)


def _comments(source: str) -> dict[int, Piece]:
    """Return the comments outside of statements by line; `ast_comments` counts columns in characters."""
    lines = source.split("\n")
    found = {}
    for node in ast_comments.parse(source).body:
        if isinstance(node, ast_comments.Comment):
            column = len(lines[node.lineno - 1][: node.col_offset].encode())
            found[node.lineno] = Piece(node.lineno, column, node.lineno, column + len(node.value.encode()))
    return found


def _copy(lines: list[bytes], result: list[bytes], piece: Piece) -> None:
    for number in range(piece.first - 1, piece.last):
        start = piece.column if number == piece.first - 1 else 0
        text = lines[number][start : piece.end if number == piece.last - 1 else None]
        if result[number]:
            result[number] += b"  " if text.startswith(b"#") else b"; "
        result[number] += text
