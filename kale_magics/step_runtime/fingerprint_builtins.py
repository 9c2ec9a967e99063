"""Fingerprints of objects of Python's own types and of their subclasses.

A reader receives the `FingerprintReader`, the object, how many objects it is nested in, and whether one of
these belongs to a library. It calls the methods of the base class, never those of a subclass.
"""

from __future__ import annotations

import collections
import functools
import gc
import itertools
import math
import opcode
import random
import re
import struct
import sys
import types
from collections.abc import Callable
from typing import Any

from kale_magics.step_runtime.fingerprint_classes import ClassFacts
from kale_magics.step_runtime.fingerprint_nodes import (
    MAX_HEADS,
    MAX_PARTS,
    MEASURED,
    NOISE,
    PLAIN_TYPES,
    PROCESS_SPECIFIC,
    ROUNDED_BITS,
    UNREPEATABLE,
    UNREPEATABLE_MARKERS,
    Parts,
    affordable,
    class_dict,
    class_name,
    encoded,
    float_bits,
    hash_of,
    is_plain,
    number_node,
    rounded_float,
    sample_positions,
    short_text,
    text_facts,
    text_node,
    unknown_node,
)

MAX_SEQUENCE = 1_000
"""Elements of a list or a tuple that are read; of a longer one a sample."""

MAX_TEXT_READ = 1 << 18
"""Characters of a text that are read whole."""

ELEMENTS_PER_OBJECT = 20
"""How many plain elements, read together, cost as much as an object."""


def is_number(value: Any) -> bool:
    """Whether a value is a Python number: in a set, these have the same order in every process."""
    return any(type(value) is kind for kind in (int, float, bool))


def read_text(value: str) -> dict[str, Any]:
    """Return the node of a text; the middle of a very long one is sampled."""
    if UNREPEATABLE.search(value[:2000]):
        return unknown_node("str", PROCESS_SPECIFIC)
    if len(value) <= MAX_TEXT_READ:
        return text_node("str", repr(value[:60]), encoded(value))
    half = MAX_TEXT_READ // 4
    read = value[:half] + value[-half:] + value[half :: len(value) // half + 1]
    return text_node("str", repr(value[:60]), encoded(f"{len(value)} {read}"))


def read_bytes(value: Any) -> dict[str, Any]:
    """Return the node of bytes; the middle of a very long value is omitted."""
    view, kind = memoryview(value), class_name(type(value))
    ends = bytes(view[:MAX_TEXT_READ]) + bytes(view[-MAX_TEXT_READ:])
    return text_node(kind, repr(bytes(view[:24])), b"%d " % len(view) + ends)


def read_int(value: int) -> dict[str, Any]:
    """Return the node of an integer, which may have too many decimal digits to convert."""
    text = hex(value)
    return {
        "t": "int",
        "h": hash_of(b"int", text.encode()),
        "x": short_text(str(value) if len(text) < 24 else text),
    }


NODES = {one: text_node(type(one).__name__, repr(one)) for one in (True, False)}
NONE = text_node("None", "None")
"""The nodes of values that occur often."""


ATOM_READERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    type(None): lambda _: NONE,
    bool: lambda value: NODES[value],
    type(...): lambda _: text_node("ellipsis", "..."),
    type(NotImplemented): lambda _: text_node("NotImplementedType", "NotImplemented"),
    int: read_int,
    float: lambda value: number_node("float", (value,), repr(value)),
    complex: lambda value: number_node("complex", (value.real, value.imag), repr(value)),
    str: read_text,
    bytes: read_bytes,
    bytearray: read_bytes,
    types.ModuleType: lambda value: text_node("module", str(vars(value).get("__name__"))),
}
"""The readers of objects without parts."""


def plain_elements(items: list[Any]) -> bool:
    """Whether all elements are short texts, numbers or None, and none is a path or an address."""
    if set(map(type, map(type, items))) != {type}:  # empty, or a class whose metaclass may define its hash
        return False
    kinds = set(map(type, items))
    if not kinds <= PLAIN_TYPES:
        return False
    texts = [item for item in items if type(item) is str] if str in kinds else []
    if sum(map(len, texts)) > MAX_TEXT_READ:
        return False
    together = "\0".join(texts)
    if any(sign in together for sign in UNREPEATABLE_MARKERS):
        return False
    return int not in kinds or all(-(1 << 64) < item < (1 << 64) for item in items if type(item) is int)


def plain_hashes(items: list[Any]) -> tuple[bytes, bytes, bytes]:
    """Return the exact and the rounded hashes of `plain_elements`."""
    kinds = set(map(type, items))
    if kinds == {float}:
        return float_list_hashes(items)
    if float not in kinds:
        exact = hash_of(encoded(repr(items))).encode()
        return exact, exact, exact
    bits = [float_bits(item) if type(item) is float else encoded(repr(item)) for item in items]
    grids = [rounded_float(item) if type(item) is float else (repr(item),) * 2 for item in items]
    first, second = (hash_of(encoded(repr([grid[way] for grid in grids]))).encode() for way in (0, 1))
    return hash_of(*bits).encode(), first, second


def float_list_hashes(items: list[float]) -> tuple[bytes, bytes, bytes]:
    """Return the hashes of a list of floats, like `plain_hashes`."""
    best_form = f"<{len(items)}"
    items = [item if item == item else math.nan for item in items]
    calm = [0.0 if abs(item) < NOISE else item for item in items]
    bits = struct.unpack(best_form + "q", struct.pack(best_form + "d", *calm))
    half = 1 << (ROUNDED_BITS - 1)
    grids = ([b >> ROUNDED_BITS for b in bits], [(b + half) >> ROUNDED_BITS for b in bits])
    first, second = (hash_of(repr(grid).encode()).encode() for grid in grids)
    return hash_of(struct.pack(best_form + "d", *items)).encode(), first, second


def read_sequence(reader: Any, value: Any, depth: int, in_library: bool) -> dict[str, Any]:
    """Read a list, a tuple or a deque."""
    base: Any = next(kind for kind in (list, tuple, collections.deque) if issubclass(type(value), kind))
    length = base.__len__(value)
    if length <= MAX_SEQUENCE or base is collections.deque:
        items = list(base.__iter__(value))[:MAX_SEQUENCE]
        return read_elements(reader, items, range(len(items)), length, depth, in_library)
    places = sample_positions(length, MAX_SEQUENCE)
    items = [base.__getitem__(value, place) for place in places]
    return read_elements(reader, items, places, length, depth, in_library)


def read_elements(
    reader: Any, items: list[Any], places: Any, length: int, depth: int, in_library: bool
) -> dict[str, Any]:
    """Read a sequence of objects.

    Args:
        reader: The `FingerprintReader`.
        items: The elements to read.
        places: Their positions.
        length: How many elements there are.
        depth: How many objects the sequence is nested in.
        in_library: Whether one of these belongs to a library.
    """
    if plain_elements(items):
        reader.left -= len(items) // ELEMENTS_PER_OBJECT
        known: dict[str, Any] = {"n": length, "e": [short_text(repr(item)) for item in items[:MAX_HEADS]]}
        known["hash"] = tuple(b"%d " % length + piece for piece in plain_hashes(items))
        if depth == 0 and len(items) == length and not all(map(is_number, items)):
            known["u"] = hash_of(*sorted(encoded(repr(item)) for item in items))
        return known
    parts, loose = Parts(str(length)), []
    for number in affordable(reader, len(items)):
        node = reader.read(items[number], depth + 1, in_library)
        loose.append(node["h"].encode())
        parts.add(f"[{places[number]}]", node)
    if len(loose) < length:
        parts.stop()
    known = {**parts.known(n=length), "hash": parts.hashes}
    if depth == 0 and len(loose) == length and not all(map(is_number, items)):
        known["u"] = hash_of(*sorted(loose))
    return known


def read_mapping(reader: Any, value: Any, depth: int, in_library: bool) -> dict[str, Any]:
    """Read a dict, in its order."""
    base: Any = collections.OrderedDict if issubclass(type(value), collections.OrderedDict) else dict
    # Python adds its builtins to a dict in which code is executed.
    pairs = [
        (key, item)
        for key, item in base.items(value)
        if not (type(key) is str and (key == "__builtins__" or key in MEASURED))
    ]
    if MAX_PARTS < len(pairs) <= MAX_SEQUENCE:
        known = read_plain_mapping(reader, pairs, depth)
        if known is not None:
            return known
    parts, loose = Parts(str(len(pairs))), []
    for place in affordable(reader, len(pairs)):
        key, item = pairs[place]
        label = f"[{key!r}]" if is_plain(key) and len(str(key)) < 60 else f"[key {place}]"
        if label == f"[key {place}]":
            parts.add(label + " itself", reader.read(key, depth + 1, in_library))
        node = reader.read(item, depth + 1, in_library)
        loose.append(encoded(label) + node["h"].encode())
        parts.add(label, node)
    if len(loose) < len(pairs):
        parts.stop()
    known = {**parts.known(n=len(pairs)), "hash": parts.hashes}
    if depth == 0 and len(loose) == len(pairs) and not all(is_number(key) for key, _ in pairs):
        known["u"] = hash_of(*sorted(loose))
    return known


def read_plain_mapping(reader: Any, pairs: list[Any], depth: int) -> dict[str, Any] | None:
    """Read a dict of texts and numbers; None for another one."""
    keys, items = [key for key, _ in pairs], [item for _, item in pairs]
    if not (plain_elements(keys) and plain_elements(items)):
        return None
    reader.left -= 2 * len(pairs) // ELEMENTS_PER_OBJECT
    hashes = itertools.zip_longest(plain_hashes(keys), plain_hashes(items))
    known: dict[str, Any] = {"n": len(pairs), "hash": tuple(key + item for key, item in hashes)}
    known["p"] = {f"[{key!r}]": reader.read(item, depth + 1) for key, item in pairs[:MAX_HEADS]}
    if depth == 0 and not all(map(is_number, keys)):
        known["u"] = hash_of(*sorted(encoded(repr(pair)) for pair in pairs))
    return known


def read_set(reader: Any, value: Any, depth: int, in_library: bool) -> dict[str, Any]:
    """Read a set, whatever its order."""
    base: Any = set if issubclass(type(value), set) else frozenset
    items = list(base.__iter__(value))
    known: dict[str, Any] = {"n": len(items)}
    hashes: list[str] = []
    if plain_elements(items) and len(items) <= 10 * MAX_SEQUENCE:
        reader.left -= len(items) // ELEMENTS_PER_OBJECT
        hashes = sorted(hash_of(encoded(repr(item))) for item in items)
        known["e"] = sorted(short_text(repr(item)) for item in items)[:MAX_HEADS]
    elif len(items) > reader.left:
        reader.is_cut = True
    else:
        nodes = [reader.read(item, depth + 1, in_library) for item in items]
        # The order decides which elements come after the budget is spent.
        if reader.left >= 0 and not any("no" in node or "some" in node for node in nodes):
            hashes = sorted(node["h"] for node in nodes)
    if items and not hashes:
        known["some"] = ["elements of a set that cannot be compared"]
    known["hash"] = (b"%d " % len(items) + "".join(hashes).encode(),) * 3
    return known


def read_function(reader: Any, value: Any, depth: int, in_library: bool) -> dict[str, Any]:
    """Read the name of a function; for one of the notebook also its code, defaults and closure."""
    del in_library
    name = str(value.__qualname__)
    if value.__module__ != "__main__":
        return {**text_facts(f"{value.__module__}.{name}"), "x": short_text(name)}
    parts = Parts(name)
    parts.add(".__code__", reader.read(value.__code__, depth + 1))
    state = {".__defaults__": value.__defaults__, ".__kwdefaults__": value.__kwdefaults__}
    for variable, cell in itertools.zip_longest(value.__code__.co_freevars, value.__closure__ or ()):
        try:
            state[f" closure {variable}"] = cell.cell_contents
        except ValueError:  # the variable has no value yet
            continue
    for label in sorted(state.keys() - {" closure __class__"}):
        if state[label] is not None:
            parts.add(label, reader.read(state[label], depth + 1))
    return parts.whole(x=short_text(name))


def read_builtin(reader: Any, value: Any, depth: int, in_library: bool) -> dict[str, Any]:
    """Read a function of C: its name, and the object that it is bound to."""
    known = text_facts(f"{value.__module__}.{value.__qualname__}")
    owner = value.__self__
    if owner is None or issubclass(type(owner), (types.ModuleType, type)):
        return known
    parts = Parts(value.__qualname__)
    parts.add(".__self__", reader.read(owner, depth + 1, in_library))
    return parts.whole(x=known["x"])


def read_code(reader: Any, value: Any, depth: int, in_library: bool) -> dict[str, Any]:
    """Read the names in code, its constants and its operators."""
    if "get_ipython" in value.co_names:
        return {"no": "code with notebook syntax"}
    names = [" ".join(part) for part in (value.co_names, value.co_varnames, value.co_freevars)]
    texts = [constant for constant in value.co_consts if type(constant) is str]
    others = [constant for constant in value.co_consts if type(constant) is not str]
    parts = Parts("\0".join(["{}.{}".format(*sys.version_info), *names, *texts]))
    parts.add("the operators", text_node("bytes", value.co_name, operators_in(value.co_code)))
    for place, constant in enumerate(others):
        parts.add(f"constant {place}", reader.read(constant, depth + 1, in_library))
    return parts.whole(x=short_text(value.co_name))


def operators_in(code: bytes) -> bytes:
    """Return the operators in code; how names are looked up depends on what was compiled with it."""
    pairs = (code[place : place + 2] for place in range(0, len(code), 2))
    return b"".join(pair for pair in pairs if opcode.opname[pair[0]].startswith(OPERATORS))


OPERATORS = ("BINARY_", "COMPARE_", "CONTAINS_", "INPLACE_", "IS_", "UNARY_")
"""Prefixes of the instructions of operators."""


def read_class(reader: Any, value: Any, depth: int, in_library: bool) -> dict[str, Any]:
    """Read the name of a class; for one of the notebook also its attributes."""
    del in_library
    bases = type.__dict__["__mro__"].__get__(value)
    parts = Parts(" ".join(map(class_name, bases)))
    if class_dict(value).get("__module__") == "__main__" and type(value) is type:
        for attribute, item in sorted(class_dict(value).items()):
            special = attribute.startswith("__") and attribute.endswith("__")
            if not special and not any(type(item) is made for made in MADE_WITH_CLASS):
                parts.add(f".{attribute}", reader.read(item, depth + 1))
    return parts.whole(x=short_text(class_name(value)))


MADE_WITH_CLASS = (types.MemberDescriptorType, types.GetSetDescriptorType)


def read_attributes(*names: str) -> Callable[..., dict[str, Any]]:
    """Return a reader of some attributes of a built-in type."""

    def read(reader: Any, value: Any, depth: int, in_library: bool) -> dict[str, Any]:
        parts = Parts("")
        for name in names:
            parts.add(f".{name}", reader.read(object.__getattribute__(value, name), depth + 1, in_library))
        return parts.whole()

    return read


def read_as(make: Callable[[Any], Any], complete: bool = False) -> Callable[..., dict[str, Any]]:
    """Return a reader of an object by another one that has its content."""

    def read(reader: Any, value: Any, depth: int, in_library: bool) -> dict[str, Any]:
        node = reader.read(make(value), depth + 1, in_library)
        if "no" in node:
            return {"no": node["no"]}
        hashes = (node["h"], *node.get("a", (node["h"], node["h"])))
        known = {key: item for key, item in node.items() if key not in ("t", "h", "a")}
        return {**known, "hash": tuple(h.encode() for h in hashes), "complete": complete}

    return read


def reject_object(reader: Any, value: Any, depth: int, in_library: bool) -> dict[str, Any]:
    """Reject a generator, a coroutine or a frame."""
    del reader, depth, in_library
    return {"no": f"a {class_name(type(value))} is not compared"}


READERS: tuple[tuple[tuple[Any, ...], Callable[..., dict[str, Any]]], ...] = (
    ((list, tuple, collections.deque), read_sequence),
    ((dict,), read_mapping),
    ((set, frozenset), read_set),
    ((types.FunctionType,), read_function),
    ((types.CodeType,), read_code),
    ((type,), read_class),
    ((types.MethodType,), read_attributes("__func__", "__self__")),
    ((functools.partial,), read_attributes("func", "args", "keywords")),
    ((range, slice), read_attributes("start", "stop", "step")),
    ((staticmethod, classmethod), read_attributes("__func__")),
    ((property,), read_attributes("fget", "fset", "fdel")),
    ((int,), read_as(lambda value: int.__index__(value))),
    ((float,), read_as(lambda value: float.__float__(value))),
    ((str,), read_as(lambda value: str.__str__(value))),
    ((bytes,), read_as(lambda value: bytes.__getitem__(value, slice(None)))),
    ((bytearray,), read_as(lambda value: bytes(bytearray.__getitem__(value, slice(None))))),
    ((BaseException,), read_as(lambda value: class_dict(BaseException)["args"].__get__(value))),
    ((random.Random,), read_as(lambda value: random.Random.getstate(value), complete=True)),
    ((re.Pattern,), read_as(lambda value: (value.pattern, value.flags), complete=True)),
    ((types.BuiltinFunctionType,), read_builtin),
    ((types.MappingProxyType,), read_as(lambda value: gc.get_referents(value)[0])),
    ((types.GeneratorType, types.CoroutineType, types.FrameType, types.TracebackType), reject_object),
    ((type({}.keys()), type({}.values()), type({}.items())), read_as(list, complete=True)),
)
"""The readers of objects whose class has one of these bases; the nearest base counts."""


def builtin_reader(kind: ClassFacts) -> Callable[..., dict[str, Any]] | None:
    """Return the reader of the objects of a class with one of these bases; None for all others."""
    readers = ((base, reader) for bases, reader in READERS for base in bases if kind.has(base))
    return min(readers, key=lambda found: kind.place_of(found[0]), default=(None, None))[1]


CONTAINER_READERS: dict[type, Callable[..., dict[str, Any]]] = {
    list: read_sequence,
    tuple: read_sequence,
    dict: read_mapping,
    set: read_set,
    frozenset: read_set,
}
"""The readers of objects of types without attributes."""
