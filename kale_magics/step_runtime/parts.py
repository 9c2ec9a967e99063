"""The parts of a value, with the expressions that lead to them, to locate one that cannot be pickled."""

from __future__ import annotations

import collections
import contextlib
import functools
import re
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

from kale_magics.step_runtime.reducers import in_main, module_of

WORDED_PATH = re.compile(r"(a key of|a value of|an element of|\w+ in) ")
"""The beginning of a path that is not an expression."""


BUILTIN_CONTAINERS = (dict, tuple, list, collections.deque, set, frozenset)
PLAIN_KEYS = (str, bytes, int, float, bool, type(None))
"""Types whose `repr` is Python's own code."""


def parts_of(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the parts of any object."""
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
    """Yield keys, items and elements."""
    kind: Any = next((k for k in BUILTIN_CONTAINERS if issubclass(type(value), k)), None)
    if kind is dict:
        for key, item in list(dict.items(value)):
            yield f"a key of {path}", key
            yield f"{path}[{key!r:.60}]" if is_plain_key(key) else f"a value of {path}", item
    elif kind is not None:  # not by methods of a subclass
        fields = vars(type(value)).get("_fields") if kind is tuple else None
        fields = fields if type(fields) is tuple else ()
        for index, item in enumerate(kind.__iter__(value)):
            named = f".{fields[index]}" if index < len(fields) else f"[{index}]"
            yield f"an element of {path}" if kind in (set, frozenset) else path + named, item


def is_plain_key(key: Any) -> bool:
    """Whether the `repr` of a key, and of each element of one, is Python's own code."""
    return all(type(part) in PLAIN_KEYS for part in (key if type(key) is tuple else (key,)))


def parts_of_callable(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the closure, defaults and bound objects of a function, a method or a partial."""
    names: tuple[str, ...] = ()
    if issubclass(type(value), (types.MethodType, types.BuiltinMethodType)):
        names = "__self__", "__func__"
    elif type(value) is types.FunctionType:
        names = "__defaults__", "__kwdefaults__"
        for name, _, content in closure(value):
            yield f"{name} in {path}", content
    elif issubclass(type(value), functools.partial):
        names = "func", "args", "keywords"
    elif issubclass(type(value), collections.defaultdict):
        names = ("default_factory",)
    # By `object`: a user's class may run any code on attribute access.
    for name in names:
        with contextlib.suppress(AttributeError):  # a method of C has no function
            yield f"{path}.{name}", object.__getattribute__(value, name)


def parts_of_object(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield attributes, and the class if it is pickled by value."""
    if issubclass(type(value), BaseException):
        for name in ("args", "__cause__", "__context__"):
            yield f"{path}.{name}", getattr(BaseException, name).__get__(value)
    for name, item in list(contents(value).items()):
        yield f"{path}.{name}", item
    kind = type(value)
    for base in kind.__mro__:
        for name, member in list(vars(base).items()):
            if isinstance(member, types.MemberDescriptorType) and in_main(base):
                with contextlib.suppress(AttributeError):  # nothing has been set there
                    yield f"{path}.{name}", member.__get__(value)
    if in_main(kind):
        yield f"type({path})", kind


def contents(item: Any) -> Mapping[str, Any]:
    """Return the attributes of a module, class or object, without running its code; empty without a dict."""
    kind = type(item)
    if issubclass(kind, type):
        of_class: Mapping[str, Any] = type.__dict__["__dict__"].__get__(item)
        return of_class
    for base in kind.__mro__:
        place = type.__dict__["__dict__"].__get__(base).get("__dict__")
        if isinstance(place, (types.GetSetDescriptorType, types.MemberDescriptorType)):
            found: Any = place.__get__(item)
            return found if type(found) is dict else {}
    return {}


def parts_of_array(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the elements of an array or an index that are objects."""
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
    """Yield the columns of a frame, or the elements of a series, and their metadata."""
    yield f"{path}.attrs", value.attrs
    yield f"{path}.index", value.index
    if value.ndim == 1 and value.dtype == object:
        yield from ((f"{path}.iloc[{index}]", item) for index, item in enumerate(value))
    for index, name in enumerate(value.columns if value.ndim == 2 else ()):
        column = value.iloc[:, index]
        if getattr(column.dtype, "hasobject", True):
            unique = value.columns.is_unique
            # Without the other columns in the frame's memory.
            yield f"{path}[{name!r}]" if unique else f"{path}.iloc[:, {index}]", column.copy()
    yield from ((f"{path}.{name}", getattr(value, name, None)) for name in value._metadata)


def closure(function: types.FunctionType) -> Iterator[tuple[str, types.CellType, Any]]:
    """Yield the closure variables of a function that have a value: name, cell and value."""
    for index, cell in enumerate(function.__closure__ or ()):
        with contextlib.suppress(ValueError):  # an empty cell: its variable has no value yet
            yield function.__code__.co_freevars[index], cell, cell.cell_contents
