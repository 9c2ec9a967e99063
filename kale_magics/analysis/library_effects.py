"""Measured effects of library functions on their arguments.

`make probe UPDATE=1` calls the public functions and methods of the libraries on small samples and writes
library_effects.json, which this module reads on first use. Functions that could not be called are not in it.
Before version 3, results of pandas share memory with their sources: with such a version, this module reads
the effects of pandas from library_effects_pandas2.json, which `make probe` writes there.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

MAX_POSITIONS = 10
"""How many positions of `*args` are listed one by one."""

ITSELF = "itself"
"""In the data, the result type of a class."""

Fact = TypeVar("Fact")
Labels = frozenset[int | str]
Effects = Mapping[str, Mapping[str, str]]
"""For each module or type, from a string of effects to the names of the callables that have them."""


@dataclass(frozen=True)
class LibraryEffects:
    """The effects of a call on its arguments.

    A label is a position, a keyword, or "self" for the object of a method; "**" is every keyword that is not
    a parameter, "*" every position from `MAX_POSITIONS` on.

    Attributes:
        changes: Arguments that the call changes.
        may_change: Arguments that it changes only with one of `options`.
        shares: Arguments that the result is, holds, or shares memory with.
        may_share: The same, only with one of `options`.
        keeps: Arguments that the method's object, or a changed argument, holds afterwards.
        consumes: Arguments that the call consumes, if they are iterators or open files.
        calls: Arguments that the call calls: it changes what they change.
        options: Parameters of the call, or keywords of the constructor of its object, that
            `may_change` and `may_share` need.
        draws: The modules from whose global random generators the call may draw.
    """

    changes: Labels = frozenset()
    may_change: Labels = frozenset()
    shares: Labels = frozenset()
    may_share: Labels = frozenset()
    keeps: Labels = frozenset()
    consumes: Labels = frozenset()
    calls: Labels = frozenset()
    options: Labels = frozenset()
    draws: Labels = frozenset()

    def __or__(self, other: LibraryEffects) -> LibraryEffects:
        """Return the effects of either of two calls."""
        return LibraryEffects(*(getattr(self, f.name) | getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class _Tables:
    """The data in the order of its lookup: module or type, then name.

    Attributes:
        functions: Functions, constructors, class methods and static methods.
        methods: Methods of instances, for the types that define them or were probed.
        attributes: Attributes of instances, and whether they share memory with their object or are parts of
            it.
        results: Types of results.
        bases: The base classes of each probed type, in method resolution order.
        short_names: From a library and the last part of a type's name to the type, if there is only one.
    """

    functions: dict[str, dict[str, LibraryEffects]]
    methods: dict[str, dict[str, LibraryEffects]]
    attributes: dict[str, dict[str, bool]]
    results: dict[str, dict[str, str]]
    bases: dict[str, tuple[str, ...]]
    short_names: dict[tuple[str, str], str]


def matches(label: int | str, labels: Labels) -> bool:
    """Return whether labels include an argument.

    Args:
        label: Its position or keyword, or "self"; "*" or "**" for an unpacked one.
        labels: As in `LibraryEffects`.
    """
    if label == "*":
        return any(isinstance(each, int) for each in labels)
    if label == "**":
        return bool({each for each in labels if isinstance(each, str)} - {"self"})
    if label == "self":
        return label in labels
    return label in labels or ("*" if isinstance(label, int) else "**") in labels


def function_effects(origin: str) -> LibraryEffects | None:
    """Return the effects of calling a function, or None if the probe never called it successfully.

    Args:
        origin: Its path, as in "numpy.sqrt", "sorted" or "sklearn.model_selection.train_test_split"; the path
            of its definition works too. A class means its constructor, "list.append" the method with its
            object as the first argument.
    """
    found = _lookup(_tables().functions, origin)
    if found is not None:
        return found
    type_name, _, method = origin.rpartition(".")
    bound = _method_of(_type(type_name), method) if type_name else None
    return None if bound is None else _unbound(bound)


def method_effects(method: str, type_name: str = "") -> LibraryEffects | None:
    """Return the effects of calling a method, or None if the probe never called it successfully.

    Args:
        method: Its name.
        type_name: The type of its object, as in "pandas.DataFrame" or "pandas.core.frame.DataFrame"; empty if
            it is unknown: the effects are then the union over all probed types that have the method.
    """
    if type_name:
        return _method_of(_type(type_name), method)
    return _united().get(method)


def attribute_shares(attribute: str, type_name: str = "") -> bool | None:
    """Return whether an attribute shares memory with its object or is a part of it; None if unknown.

    Args:
        attribute: Its name.
        type_name: The type of the object, as in `method_effects`; if empty, any type counts.
    """
    tables = _tables().attributes
    names = _lineage(_type(type_name)) if type_name else tables
    found = [tables[name][attribute] for name in names if attribute in tables.get(name, ())]
    if not found:
        return None
    return found[0] if type_name else any(found)


def result_type(origin: str) -> str:
    """Return the result type of a function, class or method (as in "pandas.DataFrame.groupby").

    It is empty if it is unknown or differed between calls.
    """
    results = _tables().results
    found = _lookup(results, origin)
    if found is not None:
        return found
    owner, _, name = origin.rpartition(".")
    if not owner:
        return ""
    return next((results[t][name] for t in _lineage(_type(owner)) if name in results.get(t, ())), "")


def known_types(method: str) -> frozenset[str]:
    """Return the probed types that have a method."""
    tables = _tables()
    return frozenset(
        name for name in tables.bases if any(method in tables.methods.get(t, ()) for t in _lineage(name))
    )


def probed_versions() -> dict[str, str]:
    """Return the versions of the libraries that were probed; that of "stdlib" is Python's."""
    return dict(_data()["versions"])


def parse_effects(text: str) -> LibraryEffects:
    """Parse effects such as "changes=1,out shares=0*".

    "2*" is the position 2 and all after it.
    """
    parts = (part.split("=") for part in text.split())
    return LibraryEffects(**{field: frozenset(_labels(labels.split(","))) for field, labels in parts})


def _labels(texts: Iterable[str]) -> Iterator[int | str]:
    for text in texts:
        if text.isdecimal():
            yield int(text)
        elif text.endswith("*") and text[:-1].isdecimal():
            yield from range(int(text[:-1]), MAX_POSITIONS)
            yield "*"
        else:
            yield text


@functools.cache
def _data() -> dict[str, Any]:
    data = _read("library_effects.json")
    if not has_old_pandas():
        return data
    old = _read("library_effects_pandas2.json")
    merged = {
        section: {name: facts for name, facts in of_all.items() if name.partition(".")[0] != "pandas"}
        for section, of_all in data.items()
    }
    return {section: {**of_others, **old[section]} for section, of_others in merged.items()}


def _read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(Path(__file__).with_name(name).read_text("utf-8"))
    return loaded


@functools.cache
def has_old_pandas() -> bool:
    """Return whether the installed pandas is older than 3, where frames share memory with each other."""
    try:
        return int(metadata.version("pandas").partition(".")[0]) < 3
    except metadata.PackageNotFoundError:
        return False


@functools.cache
def _tables() -> _Tables:
    data = _data()
    bases = {name: tuple(text.split()) for name, text in data["bases"].items()}
    by_short: dict[tuple[str, str], list[str]] = {}
    for name in bases:
        by_short.setdefault(_short(name), []).append(name)
    return _Tables(
        functions=_effects_by_name(data["functions"]),
        methods=_effects_by_name(data["methods"]),
        attributes=_by_name(data["attributes"], bool),
        results={
            owner: {name: f"{owner}.{name}" if kind == ITSELF else kind for name, kind in kinds.items()}
            for owner, kinds in _by_name(data["results"], str).items()
        },
        bases=bases,
        short_names={short: names[0] for short, names in by_short.items() if len(names) == 1},
    )


def _effects_by_name(groups: Effects) -> dict[str, dict[str, LibraryEffects]]:
    return _by_name(groups, functools.cache(parse_effects))


def _by_name(groups: Effects, parse: Callable[[str], Fact]) -> dict[str, dict[str, Fact]]:
    """Return the facts of each name, from facts of groups of names."""
    return {
        owner: {name: parse(key) for key, names in by_key.items() for name in names.split()}
        for owner, by_key in groups.items()
    }


@functools.cache
def _united() -> dict[str, LibraryEffects]:
    united: dict[str, LibraryEffects] = {}
    for methods in _tables().methods.values():
        for method, effects in methods.items():
            united[method] = united[method] | effects if method in united else effects
    return united


def _lookup(tables: Mapping[str, Mapping[str, Fact]], origin: str) -> Fact | None:
    """Find a function by its path, or in a public module above that of its definition."""
    owner, _, name = origin.rpartition(".")
    owner = _public(owner)
    if owner in tables:
        return tables[owner].get(name)
    while "." in owner:
        owner = owner.rpartition(".")[0]
        if name in tables.get(owner, ()):
            return tables[owner][name]
    return None


def _public(module: str) -> str:
    """Return the public name of a standard library module: heapq for "_heapq"."""
    if module in ("", "__builtin__"):
        return "builtins"
    if module in ("posixpath", "ntpath"):
        return "os.path"
    return module.removeprefix("_")


def _type(name: str) -> str:
    """Return the name under which a type was probed, or the name itself."""
    bases = _tables().bases
    name = name.removeprefix("builtins.")
    if name in bases:
        return name
    return _tables().short_names.get(_short(name), name)


def _short(type_name: str) -> tuple[str, str]:
    """Return a type's library and the last part of its name: libraries move types between modules."""
    library, _, rest = _public(type_name).partition(".")
    return library, rest.rpartition(".")[2]


def _lineage(type_name: str) -> tuple[str, ...]:
    return (type_name, *_tables().bases.get(type_name, ()))


def _method_of(type_name: str, method: str) -> LibraryEffects | None:
    methods = _tables().methods
    return next((methods[t][method] for t in _lineage(type_name) if method in methods.get(t, ())), None)


def _unbound(bound: LibraryEffects) -> LibraryEffects:
    """Return the effects of a method that is called as a function of its class."""

    def shifted(label: int | str) -> int | str:
        if label == "self":
            return 0
        return label + 1 if isinstance(label, int) else label

    return LibraryEffects(
        *(frozenset(shifted(label) for label in getattr(bound, f.name)) for f in fields(bound))
    )
