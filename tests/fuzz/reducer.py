"""Makes a failing notebook small: takes away what the failure does not need."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.fuzz.notebook import Notebook

PLAIN = (ast.Constant(1), ast.List([], ast.Load()))
"""What an expression may be replaced by."""

BLOCKS = ("body", "orelse", "finalbody")
LEFT = ("keys", "annotation", "type")
"""Where something plain makes no notebook easier to read: of a dict, a variable, an `except`."""

Fails = Callable[[Notebook], bool]
Change = Callable[[Notebook, int], Notebook | None]


def reduced(notebook: Notebook, fails: Fails, seconds: float = 60) -> Notebook:
    """The smallest notebook that is found.

    Args:
        notebook: One that fails.
        fails: Whether another one fails in the same way.
        seconds: How long to look for it.
    """
    end = time.monotonic() + seconds

    def still_fails(other: Notebook) -> bool:
        return time.monotonic() < end and fails(other)

    size = -1
    while size != len(notebook.text) and time.monotonic() < end:
        size = len(notebook.text)
        for change in (
            _without_shown,
            _without_many,
            _without_parts,
            _without_statements,
            _unwrapped,
            _without_after,
            _without_given,
            _joined,
            _simplified,
        ):
            notebook = _greedy(notebook, change, still_fails)
    return notebook


def _greedy(notebook: Notebook, change: Change, fails: Fails) -> Notebook:
    """Try the changes of one kind one by one, each on what the others have left."""
    number = 0
    while True:
        try:
            candidate = change(notebook, number)
        except IndexError:
            return notebook
        if candidate is not None and candidate != notebook and fails(candidate):
            notebook = candidate
        else:
            number += 1


def _without_shown(notebook: Notebook, number: int) -> Notebook:
    kept = list(notebook.shown)
    half = len(kept) // 2
    if half > 1 and number < 2:
        return replace(notebook, shown=tuple(kept[half:] if number else kept[:half]))
    del kept[number - 2 if half > 1 else number]
    return replace(notebook, shown=tuple(kept))


def _without_many(notebook: Notebook, number: int) -> Notebook:
    """Without a half of the statements, a quarter, an eighth and so on."""
    places = [(i, j) for i, part in enumerate(notebook.parts) for j in range(len(part.statements))]
    size = len(places) // 2
    while size > 1 and number * size >= len(places):
        number -= -(-len(places) // size)
        size //= 2
    if size < 2:
        raise IndexError(number)
    gone = places[number * size : (number + 1) * size]
    return notebook.with_statements(set(places).difference(gone))


def _without_parts(notebook: Notebook, number: int) -> Notebook | None:
    parts = list(notebook.parts)
    if number == len(parts) - 1:
        parts[number] = replace(parts[number], statements=())
    else:
        del parts[number]
    return replace(notebook, parts=tuple(parts))


def _without_after(notebook: Notebook, number: int) -> Notebook:
    parts = list(notebook.parts)
    parts[number] = replace(parts[number], after=())
    return replace(notebook, parts=tuple(parts))


def _without_given(notebook: Notebook, number: int) -> Notebook:
    name = sorted(notebook.given)[number]
    return replace(notebook, given={n: value for n, value in notebook.given.items() if n != name})


def _joined(notebook: Notebook, number: int) -> Notebook:
    """A cell and the one below it as one cell."""
    parts = list(notebook.parts)
    below = parts.pop(number + 1)
    statements = (*parts[number].statements, *below.statements)
    parts[number] = replace(below, statements=statements) if below.kind == "step" else parts[number]
    return replace(notebook, parts=tuple(parts))


def _without_statements(notebook: Notebook, number: int) -> Notebook | None:
    return _edited(notebook, number, lambda body, index: body[:index] + body[index + 1 :])


def _unwrapped(notebook: Notebook, number: int) -> Notebook | None:
    def hoist(body: list[ast.stmt], index: int) -> list[ast.stmt]:
        node = body[index]
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            return body
        holders = [node, *getattr(node, "cases", [])]
        inner = [s for h in holders for field in BLOCKS for s in getattr(h, field, [])]
        return [*body[:index], *(inner or [node]), *body[index + 1 :]]

    return _edited(notebook, number, hoist)


def _edited(
    notebook: Notebook, number: int, edit: Callable[[list[ast.stmt], int], list[ast.stmt]]
) -> Notebook | None:
    """Edit around the statement of that number, all cells and depths counted."""
    for place, part in enumerate(notebook.parts):
        tree = ast.parse(part.text)
        for body, index in _statements(tree):
            if number:
                number -= 1
                continue
            body[:] = edit(body, index)
            if not body and body is not tree.body:
                body.append(ast.Pass())
            statements = tuple(ast.unparse(node) for node in tree.body)
            parts = list(notebook.parts)
            parts[place] = replace(part, statements=statements)
            if not statements and place < len(parts) - 1:
                del parts[place]
            return replace(notebook, parts=tuple(parts))
    raise IndexError(number)


def _statements(tree: ast.AST) -> Iterator[tuple[list[ast.stmt], int]]:
    for node in ast.walk(tree):
        for field in BLOCKS:
            body = getattr(node, field, None)
            if isinstance(body, list):
                yield from ((body, index) for index in range(len(body)))


def _simplified(notebook: Notebook, number: int) -> Notebook | None:
    """An expression, counted over all cells, replaced by something plain or by a part of itself."""
    for place, part in enumerate(notebook.parts):
        tree = ast.parse(part.text)
        for node, field, index in _expressions(tree):
            old = getattr(node, field) if index is None else getattr(node, field)[index]
            plain = [*PLAIN, *(n for n in ast.iter_child_nodes(old) if isinstance(n, ast.expr))]
            if number >= len(plain):
                number -= len(plain)
                continue
            if len(ast.unparse(plain[number])) >= len(ast.unparse(old)):
                return None
            if index is None:
                setattr(node, field, plain[number])
            else:
                getattr(node, field)[index] = plain[number]
            parts = list(notebook.parts)
            parts[place] = replace(part, statements=tuple(map(ast.unparse, tree.body)))
            return replace(notebook, parts=tuple(parts))
    raise IndexError(number)


def _expressions(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):  # of which nothing can be replaced by an expression
            continue
        for field, value in ast.iter_fields(node):
            values = value if isinstance(value, list) else [value]
            if field in LEFT:
                continue
            for index, item in enumerate(values):
                if isinstance(item, ast.expr) and isinstance(getattr(item, "ctx", ast.Load()), ast.Load):
                    yield node, field, index if isinstance(value, list) else None
