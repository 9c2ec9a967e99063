"""Deeply nested code: analyse all that Python compiles, and detect what it cannot compile."""

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
"""Bytes of the stack of a thread for deep recursion; memory is allocated only as it is used."""

MAX_FRAMES = 200_000
"""The recursion limit there: twenty calls per level, for more levels than Python compiles."""

MAX_SHALLOW = 1_500
"""Characters; shorter code cannot be nested too deeply."""

_NORMAL = threading.local()


def with_deep_stack(work: Callable[[], Result]) -> Result:
    """Return the result of a function that may recurse as deeply as any code that Python compiles.

    Args:
        work: The function; it is called again, on a larger stack, if the usual stack is too small.
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
        except BaseException as error:  # raised again in the caller's thread
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


def is_on_deep_stack() -> bool:
    """Whether this is the thread of `with_deep_stack`, in which nothing more can be tried."""
    return hasattr(_NORMAL, "limit")


def can_be_compiled(source: str) -> bool:
    """Whether Python compiles code; false only if it is nested too deeply."""
    if len(source) <= MAX_SHALLOW:
        return True
    with _usual_limit(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # From a syntax tree, as IPython and a step do: that allows fewer levels than source code.
            compile(ast.parse(source), "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except (RecursionError, MemoryError):
            return False
        except (SyntaxError, ValueError):
            return True
    return True


@contextmanager
def _usual_limit() -> Iterator[None]:
    """Restore Python's own recursion limit, even inside `with_deep_stack`."""
    usual, limit = getattr(_NORMAL, "limit", 0), sys.getrecursionlimit()
    if usual:
        sys.setrecursionlimit(usual)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
