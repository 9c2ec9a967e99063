"""Fingerprints: descriptions of values that two processes can compare without having both values.

A fingerprint is a tree of dicts. Each node describes one object:

    t     the name of its type
    h     a hash of all that was read of it, floats in arrays rounded
    a     two hashes of the same with floats rounded, on two grids; absent if there are no floats
    u     a hash that ignores the order of the elements; only at the root
    x     the value as a short text
    n     the length
    d, s  dtype and shape of an array
    c     what the columns of a frame are called here
    e     the first elements as texts
    p     the parts, by the expression that leads to them
    cut   there are more parts than these
    no    why the object cannot be compared
    some  why some of its parts cannot be compared
    v     the versions of Python and of the library of the type; only at the root

No code of the user runs: nothing here looks an attribute up on an object whose class is not known, compares
it, hashes it, or asks for its `repr`. What is read depends on the content alone, never on time or addresses,
so that equal values have equal fingerprints in every process.
"""

from __future__ import annotations

import collections
import math
import re
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any

from kale_magics.step_runtime.contents import ATOM_READERS, CONTAINERS, read_elements, reader_of
from kale_magics.step_runtime.fixed import from_json, to_json
from kale_magics.step_runtime.generators import OWNERS, owner_of_state
from kale_magics.step_runtime.kinds import UNSEEN, Kind, kind_of
from kale_magics.step_runtime.nodes import (
    MAX_PARTS,
    TOO_MANY,
    Parts,
    class_name,
    module_name,
    sealed_node,
    text_node,
    unknown_node,
)
from kale_magics.step_runtime.samplers import sampler_of

FINGERPRINT_BUDGET = 300
"""How many objects of a value are read at most; an array counts as several."""

MAX_FINGERPRINT_BYTES = 1 << 19
"""Bytes of arrays that are read whole, for one value; of more a sample is read."""

MAX_FINGERPRINT_DEPTH = 40

MAX_FINGERPRINT_TEXT = 3_000
"""Characters of one fingerprint in a manifest."""

MAX_FINGERPRINTS_TEXT = 12_000
"""Characters of all fingerprints of a manifest, or in the log of a pod."""

MAX_STEP_VALUES = 4.0
"""How many values of a step that it does not hand on are read whole."""

ORDERED = (list, tuple, dict, collections.deque)

HIDDEN = "its state cannot be read"

TIME_ZONES = ("datetime.", "zoneinfo.", "pytz.", "dateutil.")


def fingerprint(value: Any, budget: int = FINGERPRINT_BUDGET) -> dict[str, Any]:
    """Describe a value so that another process can tell whether it has an equal one.

    Args:
        value: Any object.
        budget: How many objects of it may be read.

    Returns:
        The tree; a single node with "no" if the value cannot be read.
    """
    return fingerprint_and_cost(value, budget)[0]


def fingerprint_and_cost(
    value: Any, budget: int = FINGERPRINT_BUDGET, known: dict[Any, Any] | None = None
) -> tuple[dict[str, Any], float]:
    """A fingerprint, and how much of the budgets of objects and of bytes it took.

    Args:
        value: Any object.
        budget: How many objects of it may be read.
        known: What is in other values that are read at the same time; it takes in what is read now.
    """
    reader = FingerprintReader(budget, {} if known is None else known)
    try:
        node = reader.read(value)
    except Exception as error:  # a value that cannot be described is no reason for a cell or a step to fail
        node = unknown_node(class_name(type(value)), f"its fingerprint failed ({type(error).__name__})")
    return {**node, "v": versions_of(type(value))}, reader.cost


def versions_of(kind: type) -> str:
    """The versions of Python and of the library of a type: what else may make two values differ."""
    library = module_name(kind).partition(".")[0]
    version = vars(sys.modules[library]).get("__version__") if library in sys.modules else None
    python = "Python {}.{}".format(*sys.version_info)
    return f"{python}, {library} {version}" if type(version) is str else python


def fingerprint_texts(values: dict[str, Any], most: float = math.inf) -> dict[str, str]:
    """The fingerprints of variables as compact JSON, as long as a manifest may have them.

    Args:
        values: The variables.
        most: How many values may be read, each as far as the budget of one value goes.
    """
    limit = min(MAX_FINGERPRINT_TEXT, MAX_FINGERPRINTS_TEXT // max(1, len(values)))
    texts: dict[str, str] = {}
    known: dict[Any, Any] = {}
    for name, value in values.items():
        if most <= 0:
            break
        node, cost = fingerprint_and_cost(value, known=known)
        texts[name] = fingerprint_text(node, limit)
        most -= cost
    return texts


def joined_texts(texts: dict[str, str]) -> str:
    """The fingerprints of several variables as one JSON text, with nothing that KFP replaces in metadata."""
    joined = "{" + ",".join(f"{to_json(name)}:{text}" for name, text in texts.items()) + "}"
    # JSON itself has no dollar and no two braces side by side: here they are in texts.
    return joined.replace("$", r"\u0024").replace("{{", r"{\u007b")


def one_text(texts: Iterable[str]) -> str:
    """Several of these as one; of a variable that is in more than one, the last counts."""
    return "{" + ",".join(text[1:-1] for text in texts if text != "{}") + "}"


def shorter_text(text: str, limit: int = MAX_FINGERPRINTS_TEXT) -> str:
    """One that is not too long for the log of a pod."""
    if len(text) <= limit:
        return text
    trees = {name: pruned(tree, 0, 0) for name, tree in from_json(text).items()}
    return joined_texts({name: to_json(tree, separators=(",", ":")) for name, tree in trees.items()})


def fingerprint_text(node: dict[str, Any], limit: int = MAX_FINGERPRINT_TEXT) -> str:
    """A fingerprint as compact JSON: parts are left out, always the same ones, until it is short enough."""
    text, whole, parts = "", 0, max(1, len(node.get("p", ())))
    for depth, count in ((4, MAX_PARTS), (3, 24), (2, 12), (1, 12), (1, 4), (0, 0)):
        if count < parts and whole * count / parts > limit:
            continue  # the parts that it keeps are hardly short enough
        text = to_json(pruned(node, depth, count), separators=(",", ":"))
        if len(text) <= limit:
            break
        whole = whole or len(text)
    return text


def pruned(node: dict[str, Any], depth: int, count: int) -> dict[str, Any]:
    """A tree without what is below a depth, and with at most so many parts of each object.

    The names of columns stay longer: with them a missing column can be named.
    """
    if "p" not in node and 0 < len(node.get("e", "?")) <= count:
        return node  # most are such
    kept = {key: item for key, item in node.items() if key not in ("p", "c", "e")}
    if count and "e" in node:
        kept["e"] = node["e"][:count]
    if depth and "c" in node:
        kept["c"] = node["c"][: count if depth < 2 else MAX_PARTS]
    if "p" in node and (len(node["p"]) > count or not depth):
        kept["cut"] = 1
    if depth and count and "p" in node:
        kept["p"] = {label: pruned(part, depth - 1, count) for label, part in list(node["p"].items())[:count]}
    return kept


def reached_names(sources: Iterable[str], values: Mapping[str, Any]) -> list[str]:
    """The variables whose values code may change: those in its text, and those that their functions use.

    Args:
        sources: The code.
        values: All variables.

    Returns:
        Their names but those with an underscore before them; definitions last.
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
    """The names that code looks up, and those of the functions in it."""
    inner = (constant for constant in code.co_consts if type(constant) is types.CodeType)
    return set(code.co_names).union(*map(names_in_code, inner))


class FingerprintReader:
    """Reads one value.

    Args:
        budget: How many objects may be read.
        known: Objects that have been read, by their ids, whether they are in one of a library's, and whether
            they have the hash without an order: each object itself, which lives as long as its id counts, its
            node, and how many objects and bytes were read for it.

    Attributes:
        left: How many may still be read.
        bytes_left: How many bytes of arrays may still be read whole.
        is_cut: Whether something was left out that would not be if it were read alone.
        places: Which elements of an array are read, by its size and their number.
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
        """How much of the budgets was spent on what was not known."""
        objects, size = self.left + self._saved[0], self.bytes_left + self._saved[1]
        return 1 - min(objects / self._budget, size / MAX_FINGERPRINT_BYTES)

    def read(self, value: Any, depth: int = 0, in_library: bool = False) -> dict[str, Any]:
        """The node of an object.

        Args:
            value: The object.
            depth: How many objects it is in.
            in_library: Whether one of these belongs to a library.
        """
        kind = type(value)
        self.left -= 1
        if self.left < 0:
            return unknown_node(class_name(kind), TOO_MANY)
        # A metaclass may say how its classes are hashed.
        atom = ATOM_READERS.get(kind) if type(kind) is type else None
        if atom is not None:
            return atom(value)
        key = id(value)  # in a step this is an event that hooks hear, so it takes its time
        if key in self._depths:
            self._cycles += 1
            return text_node("cycle", f"{depth - self._depths[key]} levels up")
        if key in self._of_process:
            return unknown_node(class_name(kind), "it belongs to the process")
        if depth > MAX_FINGERPRINT_DEPTH:
            self.is_cut = True
            return unknown_node(class_name(kind), "it is nested too deeply")
        # Only a root has the hash without an order.
        place = key, in_library, depth == 0 and issubclass(kind, ORDERED)
        known = self._known.get(place)
        if known is None or known[2] > self.left or known[3] > self.bytes_left:
            return self._first_time(value, place, depth)
        # As if it had been read again, for whether objects are shared must not count.
        self.left -= known[2]
        self.bytes_left -= known[3]
        self._saved = [self._saved[0] + known[2], self._saved[1] + known[3]]
        node: dict[str, Any] = known[1]
        return node

    def elements(self, items: list[Any], depth: int) -> dict[str, Any]:
        """What is known of the elements of an array of objects."""
        return read_elements(self, items, range(len(items)), len(items), depth, in_library=False)

    def _first_time(self, value: Any, place: tuple[int, bool, bool], depth: int) -> dict[str, Any]:
        before = self._cycles, self.left, self.bytes_left
        was_cut, self.is_cut = self.is_cut, False
        self._depths[place[0]] = depth
        try:
            node = self._node(value, type(value), depth, place[1])
        finally:
            del self._depths[place[0]]
        # Else what it is depends on what was read before, or on the way that led to it.
        if self._cycles == before[0] and self.left >= 0 and not self.is_cut:
            self._known[place] = value, node, before[1] - self.left, before[2] - self.bytes_left
        self.is_cut |= was_cut
        return node

    def _node(self, value: Any, kind: type, depth: int, in_library: bool) -> dict[str, Any]:
        reader = CONTAINERS.get(kind) if type(kind) is type else None
        if reader is not None:
            return sealed_node(kind.__name__, reader(self, value, depth, in_library))
        its = kind_of(kind)
        if its.is_shown:
            return shown_node(value, its.name)
        if its.is_closed:
            return unknown_node(its.name, f"a {its.name} is not compared")
        if its.is_enum:
            member = its.state_of(value)[0].get("_name_")
            return text_node(its.name, member if type(member) is str else "?")
        in_library = in_library or bool(its.library)
        if its.reader is UNSEEN:
            its.reader = find_reader(its)
        known = its.reader(self, value, depth, in_library) if its.reader is not None else {}
        if known.pop("closed", False) or "no" in known:
            return sealed_node(its.name, known)
        state, hidden = its.state_of(value)
        if hidden and not known and not state:
            return unknown_node(its.name, HIDDEN)
        parts = self._attributes(state, its, depth, in_library)
        parts.reasons.update([HIDDEN] if hidden and not known else ())
        return sealed_node(its.name, known, parts)

    def _attributes(self, state: dict[str, Any], kind: Kind, depth: int, in_library: bool) -> Parts:
        """The attributes of an object that say something of its value."""
        parts = Parts("")
        for attribute in sorted(state):
            if self.left < 0:
                parts.stop()
                break
            if not kind.is_noise(attribute, in_library):
                parts.add(f".{attribute}", self.read(state[attribute], depth + 1, in_library))
        return parts


def find_reader(kind: Kind) -> Any:
    """What reads the objects of a class; None if their attributes say all."""
    sampler = sampler_of(kind)
    if sampler is not None:
        return lambda reader, value, depth, _: sampler(reader, value, depth)
    return None if kind.name.startswith("scipy.sparse") else reader_of(kind)


def shown_node(value: Any, name: str) -> dict[str, Any]:
    """The node of an object of `SHOWN_TYPES`."""
    zone = getattr(value, "tzinfo", None)
    if zone is not None and not class_name(type(zone)).startswith(TIME_ZONES):
        return unknown_node(name, "its time zone is not known")
    return text_node(name, str(value) if name.startswith("pathlib") else repr(value))
