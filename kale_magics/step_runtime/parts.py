"""The parts of a value, with the expressions that lead to them: where one that cannot be pickled is."""

from __future__ import annotations

import collections
import contextlib
import functools
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

from kale_magics.step_runtime.reducers import in_main, module_of

IN_WORDS = re.compile(r"(a key of|an element of|\w+ in) ")
"""How a path begins that is no expression."""


def parts_of(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The parts of any object."""
    module = module_of(type(value)).partition(".")[0]
    if module == "pandas" and hasattr(type(value), "iloc") and hasattr(type(value), "attrs"):
        yield from parts_of_frame(value, path)
    elif module in ("numpy", "pandas") and hasattr(value, "dtype") and hasattr(value, "__getitem__"):
        yield from parts_of_array(value, path)
    elif module not in ("pandas", "weakref", "_weakrefset"):
        yield from parts_of_container(value, path)
        yield from parts_of_callable(value, path)
        yield from parts_of_object(value, path)


def parts_of_container(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Keys, items and elements."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"a key of {path}", key
            yield f"{path}[{key!r:.60}]", item
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        yield from ((f"{path}.{name}", getattr(value, name)) for name in value._fields)
    elif isinstance(value, (list, tuple, collections.deque)):
        for index, item in enumerate(value):
            yield f"{path}[{index}]", item
    elif isinstance(value, (set, frozenset)):
        for item in value:
            yield f"an element of {path}", item


def parts_of_callable(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """What a function, a method or a partial has taken along."""
    names: tuple[str, ...] = ()
    if isinstance(value, (types.MethodType, types.BuiltinMethodType)):
        names = "__self__", "__func__"
    elif isinstance(value, types.FunctionType):
        names = "__defaults__", "__kwdefaults__"
        for name, _, content in closure(value):
            yield f"{name} in {path}", content
    elif isinstance(value, functools.partial):
        names = "func", "args", "keywords"
    elif isinstance(value, collections.defaultdict):
        names = ("default_factory",)
    yield from ((f"{path}.{name}", getattr(value, name, None)) for name in names)


def parts_of_object(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Attributes, and the class if it travels."""
    if isinstance(value, BaseException):
        for name in ("args", "__cause__", "__context__"):
            yield f"{path}.{name}", getattr(value, name)
    for name, item in list(getattr(value, "__dict__", {}).items()):
        yield f"{path}.{name}", item
    kind = type(value)
    for base in kind.__mro__:
        for name, member in list(vars(base).items()):
            if isinstance(member, types.MemberDescriptorType) and in_main(base):
                yield f"{path}.{name}", getattr(value, name, None)
    if in_main(kind):
        yield f"type({path})", kind


def parts_of_array(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The elements of an array or an index that are objects."""
    if getattr(value.dtype, "names", None):
        fields = (name for name in value.dtype.names if value.dtype[name].hasobject)
        yield from ((f"{path}[{name!r}]", value[name].copy()) for name in fields)
    elif value.dtype == object and value.ndim == 1:
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(value))
    elif value.dtype == object:
        ndindex = sys.modules["numpy"].ndindex
        for index in ndindex(*value.shape):
            yield f"{path}[{', '.join(map(str, index)) or '()'}]", value[index]


def parts_of_frame(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The columns of a frame, or the elements of a series, and what else it has."""
    yield f"{path}.attrs", value.attrs
    yield f"{path}.index", value.index
    if value.ndim == 1 and value.dtype == object:
        yield from ((f"{path}.iloc[{index}]", item) for index, item in enumerate(value))
    for index, name in enumerate(value.columns if value.ndim == 2 else ()):
        column = value.iloc[:, index]
        if getattr(column.dtype, "hasobject", True):
            unique = value.columns.is_unique
            # Without what is beside it in the frame's memory.
            yield f"{path}[{name!r}]" if unique else f"{path}.iloc[:, {index}]", column.copy()
    yield from ((f"{path}.{name}", getattr(value, name, None)) for name in value._metadata)


def closure(function: types.FunctionType) -> Iterator[tuple[str, types.CellType, Any]]:
    """The variables that a function has taken along: name, cell and value, where they have one."""
    for index, cell in enumerate(function.__closure__ or ()):
        with contextlib.suppress(ValueError):  # an empty cell: its variable has no value yet
            yield function.__code__.co_freevars[index], cell, cell.cell_contents
