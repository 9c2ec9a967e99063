"""Code that is nested deeply: what Python compiles can be analysed, what it cannot is said so."""

from __future__ import annotations

import ast
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")

STACK_SIZE = 256 << 20
"""Bytes of the stack of a thread for deep recursion: memory is taken only as far as it is used."""

MAX_FRAMES = 200_000
"""How deep the recursion may be there: twenty calls a level, for more levels than Python compiles."""

MAX_SHALLOW = 1_500
"""Characters in which nothing can be nested too deeply."""

_NORMAL = threading.local()


def with_deep_stack(work: Callable[[], Result]) -> Result:
    """The result of a function, which may recurse as deeply as any code is nested that Python compiles.

    Args:
        work: It is called again, on a deeper stack, if the usual one does not do.
    """
    try:
        return work()
    except RecursionError:
        pass
    found: list[Result] = []
    raised: list[BaseException] = []

    def call(normal: int) -> None:
        _NORMAL.limit = normal
        try:
            found.append(work())
        except BaseException as error:  # it is raised where the caller waits
            raised.append(error)

    limit, size = sys.getrecursionlimit(), threading.stack_size(STACK_SIZE)
    sys.setrecursionlimit(max(limit, MAX_FRAMES))
    try:
        thread = threading.Thread(target=call, args=(limit,), daemon=True)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(size)
    if raised:
        raise raised[0]
    return found[0]


def can_be_compiled(source: str) -> bool:
    """Whether Python compiles code; false only where that fails because it is nested too deeply."""
    if len(source) <= MAX_SHALLOW:
        return True
    with _usual_limit(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # By way of a tree, as IPython and a step do, which takes fewer levels than a text does.
            compile(ast.parse(source), "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except (RecursionError, MemoryError):
            return False
        except (SyntaxError, ValueError):
            return True
    return True


@contextmanager
def _usual_limit() -> Iterator[None]:
    """Python's own limit, also where `with_deep_stack` has raised it."""
    usual, limit = getattr(_NORMAL, "limit", 0), sys.getrecursionlimit()
    if usual:
        sys.setrecursionlimit(usual)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
