"""Fingerprints: descriptions of values that two processes can compare without having both values.

A fingerprint is a tree of dicts. Each node describes one object:

    t     the name of its type
    h     a hash of all that was read of it, floats in arrays rounded
    a     two hashes of the same with floats rounded, on two grids; absent if there are no floats
    u     a hash that ignores the order of the elements; only at the root
    x     the value as a short text
    n     the length
    d, s  dtype and shape of an array
    c     the labels of the columns of a frame
    e     the first elements as texts
    p     the parts, by the expression that leads to them
    cut   there are more parts than these
    no    why the object cannot be compared
    some  why some of its parts cannot be compared
    v     the versions of Python and of the library of the type; only at the root

No user code runs: nothing here looks up an attribute on an object of an unknown class, compares it, hashes
it, or calls its `repr`. What is read depends on the content alone, never on time or addresses, so that equal
values have equal fingerprints in every process.
"""

from __future__ import annotations

import collections
import math
import re
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any

from kale_magics.step_runtime.fingerprint_builtins import (
    ATOM_READERS,
    CONTAINER_READERS,
    builtin_reader,
    read_elements,
)
from kale_magics.step_runtime.fingerprint_classes import UNKNOWN, ClassFacts, facts_of_class
from kale_magics.step_runtime.fingerprint_libraries import library_reader
from kale_magics.step_runtime.fingerprint_nodes import (
    MAX_PARTS,
    TOO_MANY,
    Parts,
    class_name,
    make_node,
    module_name,
    text_node,
    unknown_node,
)
from kale_magics.step_runtime.random_generators import OWNERS, owner_of_state
from kale_magics.step_runtime.unpatched import from_json, to_json

MAX_FINGERPRINT_OBJECTS = 300
"""Objects of a value that are read; an array counts as several."""

MAX_FINGERPRINT_BYTES = 1 << 19
"""Bytes of arrays that are read whole, for one value; of more a sample is read."""

MAX_FINGERPRINT_DEPTH = 40

MAX_FINGERPRINT_TEXT = 3_000
"""Characters of one fingerprint in a manifest."""

MAX_FINGERPRINTS_TEXT = 12_000
"""Characters of all fingerprints of a manifest, or in the log of a pod."""

MAX_OTHER_VALUES = 4.0
"""Values of a step, other than its outputs, that are read whole."""

ORDERED = (list, tuple, dict, collections.deque)

HIDDEN = "its state cannot be read"

TIME_ZONES = ("datetime.", "zoneinfo.", "pytz.", "dateutil.")


def fingerprint(value: Any, budget: int = MAX_FINGERPRINT_OBJECTS) -> dict[str, Any]:
    """Describe a value so that another process can decide whether it has an equal one.

    Args:
        value: Any object.
        budget: How many objects of it may be read.

    Returns:
        The tree; a single node with "no" if the value cannot be read.
    """
    return fingerprint_and_cost(value, budget)[0]


def fingerprint_and_cost(
    value: Any, budget: int = MAX_FINGERPRINT_OBJECTS, known: dict[Any, Any] | None = None
) -> tuple[dict[str, Any], float]:
    """Return a fingerprint, and the share of the budgets of objects and of bytes that it used.

    Args:
        value: Any object.
        budget: How many objects of it may be read.
        known: Objects read for other values at the same time; the objects read now are added.
    """
    reader = FingerprintReader(budget, {} if known is None else known)
    try:
        node = reader.read(value)
    except Exception as error:  # a cell or a step must not fail because a value cannot be described
        node = unknown_node(class_name(type(value)), f"its fingerprint failed ({type(error).__name__})")
    return {**node, "v": versions_of(type(value))}, reader.cost


def versions_of(kind: type) -> str:
    """Return the versions of Python and of a type's library, which may make equal values differ."""
    library = module_name(kind).partition(".")[0]
    version = vars(sys.modules[library]).get("__version__") if library in sys.modules else None
    python = "Python {}.{}".format(*sys.version_info)
    return f"{python}, {library} {version}" if type(version) is str else python


def fingerprint_texts(values: dict[str, Any], budget: float = math.inf) -> dict[str, str]:
    """Return the fingerprints of variables as compact JSON, within the limits of a manifest.

    Args:
        values: The variables.
        budget: How many values may be read, each within the budget of one value.
    """
    limit = min(MAX_FINGERPRINT_TEXT, MAX_FINGERPRINTS_TEXT // max(1, len(values)))
    texts: dict[str, str] = {}
    known: dict[Any, Any] = {}
    for name, value in values.items():
        if budget <= 0:
            break
        node, cost = fingerprint_and_cost(value, known=known)
        texts[name] = fingerprint_text(node, limit)
        budget -= cost
    return texts


def join_texts(texts: dict[str, str]) -> str:
    """Join the fingerprints of variables to one JSON text, without what KFP replaces in metadata."""
    merged_runs = "{" + ",".join(f"{to_json(name)}:{text}" for name, text in texts.items()) + "}"
    # JSON itself has no dollar and no two braces side by side: here they are in strings.
    return merged_runs.replace("$", r"\u0024").replace("{{", r"{\u007b")


def merge_texts(texts: Iterable[str]) -> str:
    """Merge joined texts; of a variable that is in more than one, the last counts."""
    return "{" + ",".join(text[1:-1] for text in texts if text != "{}") + "}"


def shorten_texts(text: str, limit: int = MAX_FINGERPRINTS_TEXT) -> str:
    """Shorten a joined text to fit into the log of a pod."""
    if len(text) <= limit:
        return text
    trees = {name: prune(tree, 0, 0) for name, tree in from_json(text).items()}
    return join_texts({name: to_json(tree, separators=(",", ":")) for name, tree in trees.items()})


def fingerprint_text(node: dict[str, Any], limit: int = MAX_FINGERPRINT_TEXT) -> str:
    """Return a fingerprint as compact JSON; parts are dropped, always the same ones, until it fits."""
    text, whole, parts = "", 0, max(1, len(node.get("p", ())))
    for depth, count in ((4, MAX_PARTS), (3, 24), (2, 12), (1, 12), (1, 4), (0, 0)):
        if count < parts and whole * count / parts > limit:
            continue  # the remaining parts are unlikely to fit
        text = to_json(prune(node, depth, count), separators=(",", ":"))
        if len(text) <= limit:
            break
        whole = whole or len(text)
    return text


def prune(node: dict[str, Any], depth: int, count: int) -> dict[str, Any]:
    """Return a tree without nodes below a depth, and with a limited number of parts for each object.

    The labels of columns are kept longer: with them a missing column can be named.
    """
    if "p" not in node and 0 < len(node.get("e", "?")) <= count:
        return node  # the usual case
    kept = {key: item for key, item in node.items() if key not in ("p", "c", "e")}
    if count and "e" in node:
        kept["e"] = node["e"][:count]
    if depth and "c" in node:
        kept["c"] = node["c"][: count if depth < 2 else MAX_PARTS]
    if "p" in node and (len(node["p"]) > count or not depth):
        kept["cut"] = 1
    if depth and count and "p" in node:
        kept["p"] = {label: prune(part, depth - 1, count) for label, part in list(node["p"].items())[:count]}
    return kept


def reached_names(sources: Iterable[str], values: Mapping[str, Any]) -> list[str]:
    """Return the variables that code may change: those that it names, and those that their functions use.

    Args:
        sources: The code.
        values: All variables.

    Returns:
        Their names, except those that start with an underscore; definitions last.
    """
    found: dict[str, None] = {}
    pending: list[Any] = [re.findall(r"[^\W\d]\w*", source) for source in sources]
    while pending:
        for name in pending.pop():
            if name in values and name not in found and not name.startswith("_"):
                found[name] = None
                if type(values[name]) is types.FunctionType and values[name].__globals__ is values:
                    pending.append(names_in_code(values[name].__code__))
    names = [name for name in found if not issubclass(type(values[name]), types.ModuleType)]
    return sorted(names, key=lambda name: issubclass(type(values[name]), (type, types.FunctionType)))


def names_in_code(code: types.CodeType) -> set[str]:
    """Return the names that code looks up, including those of functions in it."""
    inner = (constant for constant in code.co_consts if type(constant) is types.CodeType)
    return set(code.co_names).union(*map(names_in_code, inner))


class FingerprintReader:
    """Reads one value.

    Args:
        budget: How many objects may be read.
        known: Objects that were read, by their ids, whether they are nested in one of a library's, and
            whether they have the unordered hash: each object itself, which keeps its id valid, its node, and
            how many objects and bytes were read for it.

    Attributes:
        left: How many objects may still be read.
        bytes_left: How many bytes of arrays may still be read whole.
        is_cut: Whether something was omitted that would be read if the value were read alone.
        places: The positions of the elements to read of an array, by its size and their number.
    """

    def __init__(self, budget: int, known: dict[Any, Any]) -> None:
        self.left, self.bytes_left = budget, MAX_FINGERPRINT_BYTES
        self.is_cut = False
        self.places: dict[tuple[int, int], Any] = {}
        self._budget, self._known = budget, known
        self._saved = [0, 0]
        self._of_process = {
            id(own) for own in (sys.path, sys.argv, sys.modules, *map(owner_of_state, OWNERS))
        }
        self._depths: dict[int, int] = {}
        self._cycles = 0

    @property
    def cost(self) -> float:
        """The share of the budgets that was used for objects not known before."""
        objects, size = self.left + self._saved[0], self.bytes_left + self._saved[1]
        return 1 - min(objects / self._budget, size / MAX_FINGERPRINT_BYTES)

    def read(self, value: Any, depth: int = 0, in_library: bool = False) -> dict[str, Any]:
        """Return the node of an object.

        Args:
            value: The object.
            depth: How many objects it is nested in.
            in_library: Whether one of these belongs to a library.
        """
        kind = type(value)
        self.left -= 1
        if self.left < 0:
            return unknown_node(class_name(kind), TOO_MANY)
        # A metaclass may define how its classes are hashed.
        atom = ATOM_READERS.get(kind) if type(kind) is type else None
        if atom is not None:
            return atom(value)
        key = id(value)  # an audit event in a step, so it is slow
        if key in self._depths:
            self._cycles += 1
            return text_node("cycle", f"{depth - self._depths[key]} levels up")
        if key in self._of_process:
            return unknown_node(class_name(kind), "it belongs to the process")
        if depth > MAX_FINGERPRINT_DEPTH:
            self.is_cut = True
            return unknown_node(class_name(kind), "it is nested too deeply")
        # Only a root has the unordered hash.
        place = key, in_library, depth == 0 and issubclass(kind, ORDERED)
        known = self._known.get(place)
        if known is None or known[2] > self.left or known[3] > self.bytes_left:
            return self._first_time(value, place, depth)
        # The budget is charged again: whether objects are shared must not count.
        self.left -= known[2]
        self.bytes_left -= known[3]
        self._saved = [self._saved[0] + known[2], self._saved[1] + known[3]]
        node: dict[str, Any] = known[1]
        return node

    def elements(self, items: list[Any], depth: int) -> dict[str, Any]:
        """Return what is known of the elements of an array of objects."""
        return read_elements(self, items, range(len(items)), len(items), depth, in_library=False)

    def _first_time(self, value: Any, place: tuple[int, bool, bool], depth: int) -> dict[str, Any]:
        before = self._cycles, self.left, self.bytes_left
        was_cut, self.is_cut = self.is_cut, False
        self._depths[place[0]] = depth
        try:
            node = self._node(value, type(value), depth, place[1])
        finally:
            del self._depths[place[0]]
        # Otherwise the node depends on what was read before, or on the path to the object.
        if self._cycles == before[0] and self.left >= 0 and not self.is_cut:
            self._known[place] = value, node, before[1] - self.left, before[2] - self.bytes_left
        self.is_cut |= was_cut
        return node

    def _node(self, value: Any, kind: type, depth: int, in_library: bool) -> dict[str, Any]:
        reader = CONTAINER_READERS.get(kind) if type(kind) is type else None
        if reader is not None:
            return make_node(kind.__name__, reader(self, value, depth, in_library))
        its = facts_of_class(kind)
        if its.has_full_repr:
            return repr_node(value, its.name)
        if its.is_opaque:
            return unknown_node(its.name, f"a {its.name} is not compared")
        if its.is_enum:
            member = its.state_of(value)[0].get("_name_")
            return text_node(its.name, member if type(member) is str else "?")
        in_library = in_library or bool(its.library)
        if its.reader is UNKNOWN:
            its.reader = find_reader(its)
        known = its.reader(self, value, depth, in_library) if its.reader is not None else {}
        if known.pop("complete", False) or "no" in known:
            return make_node(its.name, known)
        state, hidden = its.state_of(value)
        if hidden and not known and not state:
            return unknown_node(its.name, HIDDEN)
        parts = self._attributes(state, its, depth, in_library)
        parts.reasons.update([HIDDEN] if hidden and not known else ())
        return make_node(its.name, known, parts)

    def _attributes(self, state: dict[str, Any], kind: ClassFacts, depth: int, in_library: bool) -> Parts:
        """Return the attributes of an object that belong to its value."""
        parts = Parts("")
        for attribute in sorted(state):
            if self.left < 0:
                parts.stop()
                break
            if not kind.is_noise(attribute, in_library):
                parts.add(f".{attribute}", self.read(state[attribute], depth + 1, in_library))
        return parts


def find_reader(kind: ClassFacts) -> Any:
    """Return the reader of a class's objects; None if their attributes are their whole value."""
    reader_function = library_reader(kind)
    if reader_function is not None:
        return lambda reader, value, depth, _: reader_function(reader, value, depth)
    return None if kind.name.startswith("scipy.sparse") else builtin_reader(kind)


def repr_node(value: Any, name: str) -> dict[str, Any]:
    """Return the node of an object of `REPR_TYPES`."""
    zone = getattr(value, "tzinfo", None)
    if zone is not None and not class_name(type(zone)).startswith(TIME_ZONES):
        return unknown_node(name, "its time zone is not known")
    return text_node(name, str(value) if name.startswith("pathlib") else repr(value))
