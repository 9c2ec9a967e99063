"""What a value is, as lines that can be compared: types, values, memory order, flags, and what is shared."""

from __future__ import annotations

import collections
import enum
import re
import struct
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

ATOMS = (type(None), bool, int, str, bytes, type(...), type(NotImplemented))


def portrait(values: dict[str, Any]) -> list[str]:
    """The portrait of variables: of an object that was seen before, only where."""
    painter = Painter()
    for name, value in values.items():
        painter.paint(name, value)
    return painter.lines


class Painter:
    """Paints objects, each once.

    Attributes:
        lines: The portrait.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.seen: dict[int, tuple[str, Any]] = {}

    def paint(self, path: str, value: Any) -> None:
        """Add what an object is."""
        kind = type(value)
        if kind in ATOMS:
            self.lines.append(f"{path}: {kind.__name__} {value!r}")
            return
        if kind is float or kind is complex:  # the bits: -0.0 and each NaN
            parts = (value,) if kind is float else (value.real, value.imag)
            self.lines.append(f"{path}: {value!r} {struct.pack(f'{len(parts)}d', *parts).hex()}")
            return
        if kind.__module__.startswith("numpy") and kind.__name__.endswith(
            "DType"
        ):  # one or many, as numpy likes
            from tests.exact.numpy_portrait import describe_type

            self.lines.append(f"{path}: {describe_type(value)}")
            return
        if id(value) in self.seen:
            self.lines.append(f"{path}: is {self.seen[id(value)][0]}")
            return
        self.seen[id(value)] = path, value
        self.lines.append(f"{path}: {kind.__module__}.{kind.__qualname__}")
        for name, part in self.parts(value):
            if name == "!":
                self.lines.append(f"{path}! {part}")
            else:
                self.paint(path + name, part)

    def parts(self, value: Any) -> Iterator[tuple[str, Any]]:
        """What an object consists of; a part called "!" is a text."""
        library = type(value).__module__.partition(".")[0]
        for kind, parts in self.known().items():
            if isinstance(value, kind):
                yield from parts(value)
                if not (
                    hasattr(type(value), "iloc")
                    or library == "pandas"
                    or isinstance(value, (type, enum.Enum))
                ):
                    yield from attributes(value)
                return
        state = [] if library in ("matplotlib", "mpl_toolkits") else list(attributes(value))
        yield from state or [("!", re.sub(r"0x[0-9a-fA-F]+", "0x", repr(value)))]

    def known(self) -> dict[Any, Callable[[Any], Iterator[tuple[str, Any]]]]:
        """How to look at objects of some types."""
        looks: dict[Any, Callable[[Any], Iterator[tuple[str, Any]]]] = {}
        if "pandas" in sys.modules:
            from tests.exact import pandas_portrait

            looks |= pandas_portrait.LOOKS
        if "numpy" in sys.modules:
            from tests.exact import numpy_portrait

            looks |= numpy_portrait.LOOKS
        return looks | LOOKS


def attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """What is in an object's `__dict__` and slots."""
    if isinstance(value, types.ModuleType) or type(value).__module__ in ("weakref", "_weakrefset", "typing"):
        return
    for name, item in sorted(getattr(value, "__dict__", {}).items()):
        if name != "_mmap" and not name.startswith("_deprecated"):
            yield f".{name}", item
    for kind in type(value).__mro__:
        for name, member in vars(kind).items():
            if isinstance(member, types.MemberDescriptorType) and kind.__module__ == "__main__":
                yield f".{name}", getattr(value, name, "(empty)")


def of_mapping(value: Any) -> Iterator[tuple[str, Any]]:
    """Keys and items, in order."""
    for number, (key, item) in enumerate(value.items()):
        if type(key) in ATOMS:
            yield f"[{key!r}]", item
        else:
            yield f".key{number}", key
            yield f".item{number}", item
    if isinstance(value, collections.defaultdict):
        yield ".default_factory", value.default_factory


def of_sequence(value: Any) -> Iterator[tuple[str, Any]]:
    """Items, in order."""
    if isinstance(value, collections.deque):
        yield ".maxlen", value.maxlen
    for number, item in enumerate(value):
        yield f"[{number}]", item


def of_set(value: Any) -> Iterator[tuple[str, Any]]:
    """Elements; their order has no meaning."""
    for number, item in enumerate(sorted(value, key=repr)):
        yield f".element{number}", item


def of_exception(value: Any) -> Iterator[tuple[str, Any]]:
    """What an exception says and what led to it."""
    yield "!", f"{value} {value!r}"
    for name in ("args", "__cause__", "__context__", "__suppress_context__"):
        yield f".{name}", getattr(value, name)
    for name in (
        "errno",
        "strerror",
        "filename",
        "name",
        "path",
        "obj",
        "value",
        "code",
        "start",
        "exceptions",
    ):
        if hasattr(value, name):
            yield f".{name}", getattr(value, name)


def of_function(value: Any) -> Iterator[tuple[str, Any]]:
    """What makes a function, beside its code."""
    names = "__name__ __qualname__ __module__ __doc__ __defaults__ __kwdefaults__ __annotations__".split()
    for name in names:
        yield f".{name}", getattr(value, name)
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
        if name != "__class__":
            yield f".closure.{name}", cell.cell_contents


def of_class(value: Any) -> Iterator[tuple[str, Any]]:
    """The name of a class, and its kind."""
    yield "!", f"{value.__module__}.{value.__qualname__} of {[b.__qualname__ for b in value.__mro__]}"


def of_method(value: Any) -> Iterator[tuple[str, Any]]:
    """A function and its object."""
    yield ".__func__", value.__func__
    yield ".__self__", value.__self__


LOOKS: dict[Any, Callable[[Any], Iterator[tuple[str, Any]]]] = {
    type: of_class,
    types.ModuleType: lambda value: iter([("!", value.__name__)]),
    types.FunctionType: of_function,
    types.MethodType: of_method,
    enum.Enum: lambda value: iter([("!", f"{value!r}")]),
    BaseException: of_exception,
    (dict, types.MappingProxyType, collections.ChainMap): of_mapping,
    (list, tuple, collections.deque): of_sequence,
    (set, frozenset, weakref.WeakSet): of_set,
    (weakref.WeakKeyDictionary, weakref.WeakValueDictionary): of_mapping,
    (int, str, bytes, bytearray, float): lambda value: iter([("!", f"{value!r}")]),
}
