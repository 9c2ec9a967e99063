"""The parameters of callables, those without a signature of their own included."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

WRITTEN: dict[str, str] = {
    "builtins.min": "(*args, key=None)",
    "builtins.max": "(*args, key=None)",
    "builtins.zip": "(*iterables, strict=False)",
    "builtins.map": "(function, iterable, /, *iterables)",
    "builtins.print": "(*values, file=None)",
    "functools.partial": "(func, /, *args, **keywords)",
    "functools.partialmethod": "(func, /, *args, **keywords)",
    "itertools.chain": "(*iterables)",
    "itertools.product": "(*iterables, repeat=1)",
    "itertools.zip_longest": "(*iterables, fillvalue=None)",
    "collections.defaultdict": "(default_factory=None, iterable=None, /, **items)",
    "collections.OrderedDict": "(iterable=None, /, **items)",
    "collections.deque": "(iterable=None, maxlen=None)",
    "builtins.dict": "(iterable=None, /, **items)",
    "types.SimpleNamespace": "(**items)",
    "argparse.Namespace": "(**items)",
}
"""Signatures that Python does not tell."""

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
KEYWORD = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

Label = int | str


def signature_of(name: str, function: Callable[..., Any]) -> inspect.Signature | None:
    """Return the parameters of a callable, without the object of a method; None if nothing tells them."""
    if name in WRITTEN:
        return inspect.signature(eval(f"lambda {WRITTEN[name][1:-1]}: None"))
    try:
        return inspect.signature(function)
    except (ValueError, TypeError):
        return _ufunc_signature(function) if type(function).__name__ == "ufunc" else None


def _ufunc_signature(function: Any) -> inspect.Signature:
    """The parameters of a ufunc, which older versions of numpy do not tell."""
    inputs = ", ".join(f"x{number}" for number in range(function.nin))
    return inspect.signature(eval(f"lambda {inputs}, /, out=None, *, where=True, dtype=None: None"))


def labels_of(parameter: inspect.Parameter, position: int) -> frozenset[Label]:
    """Return how an argument for a parameter can be given: its position, its keyword, or both."""
    if parameter.kind is parameter.VAR_POSITIONAL:
        return frozenset({f"{position}*"})
    if parameter.kind is parameter.VAR_KEYWORD:
        return frozenset({"**"})
    labels: set[Label] = set()
    if parameter.kind in POSITIONAL:
        labels.add(position)
    if parameter.kind in KEYWORD:
        labels.add(parameter.name)
    return frozenset(labels)


def has_default(parameter: inspect.Parameter) -> bool:
    """Whether a call may leave a parameter out."""
    return parameter.default is not parameter.empty or parameter.kind in (
        parameter.VAR_POSITIONAL,
        parameter.VAR_KEYWORD,
    )


def is_leading(parameter: inspect.Parameter) -> bool:
    """Whether a parameter with a default may be what a call is about, as `data` of a frame."""
    if parameter.kind not in POSITIONAL:
        return False
    default = parameter.default
    return default is None or not (isinstance(default, bool | int | float | str) or callable(default))
