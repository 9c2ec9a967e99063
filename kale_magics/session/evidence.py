"""Mutation observation: what a marked cell did to the session's objects when it ran.

Before the cell runs, the values of the session's variables are digested; afterwards those that still exist
are digested again. In between, the observer holds no references to the values: code can detect references, as
`ndarray.resize` does.
"""

from __future__ import annotations

import pickle
import re
import sys
import time
import types
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kale_magics.session.digests import WORK_OF_OBJECT, Checksum, class_content, digest_of
from kale_magics.session.fingerprints import Identities, fingerprints_of
from kale_magics.session.object_graph import ObjectGraph, object_graph_of
from kale_magics.session.objects import is_immutable
from kale_magics.session.observed_files import NO_FILES, FileObserver, ObservedFiles
from kale_magics.session.process_state import ProcessState, StateChanges
from kale_magics.step_runtime.random_generators import GENERATORS, generator_state, owner_of_state
from kale_magics.step_runtime.reducers import is_one_of, module_of

MAX_WORK = 7 << 19
"""How much may be digested before a cell, and again after it, in bytes of arrays: about two milliseconds.

This bounds work instead of time, so that the evidence does not depend on the load of the machine.
"""

MAX_SECONDS = 0.02
"""Processor time after which digesting ends: pickling by a library may take any time."""

MAX_OBJECTS = 450
"""How many objects of a cell's values are visited to find shared ones."""

MAX_SHARE = 4
"""One value may use 1/MAX_SHARE of the remaining objects: the cell's own come first, and most are small."""

_WORD = re.compile(r"[^\W\d]\w*")

_IPYTHON_NAMES = frozenset("In Out exit quit get_ipython open".split())


@dataclass(frozen=True)
class Evidence:
    """The observed effects of a cell.

    Attributes:
        changed: The names whose objects it changed; also the states of generators (`GENERATORS`).
        unchanged: The names whose objects it left unchanged.
        shared: Groups of names whose values shared an object after it.
        indexed: Groups of names whose values shared only an index of pandas.
        bound: The names that it bound to another object, or for the first time.
        definitions: For a name, the notebook's functions and classes in its value.
        files: The files that it used.
        settings: What it changed in the process state.
        fingerprints: The fingerprints, after it, of the variables that it bound, changed or read.
    """

    changed: frozenset[str] = frozenset()
    unchanged: frozenset[str] = frozenset()
    shared: tuple[frozenset[str], ...] = ()
    indexed: tuple[frozenset[str], ...] = ()
    bound: frozenset[str] = frozenset()
    definitions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    files: ObservedFiles = NO_FILES
    settings: StateChanges = field(default_factory=StateChanges)
    fingerprints: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def with_earlier(self, earlier: Evidence) -> Evidence:
        """Return this merged with the evidence of an earlier run: a change may happen only once."""
        return replace(
            self,
            changed=self.changed | earlier.changed,
            unchanged=self.unchanged - earlier.changed,
            files=self.files | earlier.files,
            settings=self.settings.with_earlier(earlier.settings),
        )


class MutationObserver:
    """Observes the execution of one cell.

    Args:
        source: The cell.
        values: The session's variables.
        hidden: The names of those that belong to the shell.
        used: The names with a fingerprint from earlier cells of the same step.
    """

    def __init__(
        self,
        source: str,
        values: Mapping[str, Any],
        hidden: Collection[str] = (),
        used: Iterable[str] = (),
    ) -> None:
        self._source, self._values, self._hidden, self._used = source, values, hidden, tuple(used)
        self._files = FileObserver(source, values)
        self._generators = _generators()
        self._identities = Identities(values)
        self._before: dict[str, tuple[int, int, Checksum]] = {}
        left, until = MAX_WORK, time.thread_time() + MAX_SECONDS
        for name in self._names():
            work = left // 2
            if work < WORK_OF_OBJECT:
                break  # the rest of the budget is too small for any value
            before, spent = digest_of(values[name], work, until)
            left -= spent
            if before is not None:
                self._before[name] = id(values[name]), work, before
        self._state = ProcessState(values)

    def close(self) -> None:
        """Stop observing."""
        self._files.close()

    def end(self) -> Evidence:
        """Stop observing, and return what the cell did."""
        files, settings = self._files.end(), self._state.changes()
        changed, unchanged, bound = set[str](), set[str](), set[str]()
        until = time.thread_time() + MAX_SECONDS
        for name, (identity, work, before) in self._before.items():
            if name not in self._values or id(self._values[name]) != identity:
                continue
            after, _ = digest_of(self._values[name], work, until)
            if after is not None and after != before:
                changed.add(name)
            elif after is not None and after.whole:
                unchanged.add(name)
        states = _generators()
        for name, state in self._generators.items():
            (unchanged if state == states.get(name) else changed).add(name)
        bound.update(filter(self._is_of_user, self._identities.rebound(self._values)))
        used = (*self._used, *filter(str.isidentifier, sorted(changed)))
        return self._with_sharing(
            Evidence(
                frozenset(changed),
                frozenset(unchanged),
                bound=frozenset(bound),
                files=files,
                settings=settings,
                fingerprints=fingerprints_of(self._values, self._identities, self._source, used),
            )
        )

    def _with_sharing(self, evidence: Evidence) -> Evidence:
        """Return the evidence with the names that share objects, and the functions that their values hold."""
        names = list(dict.fromkeys([*sorted(evidence.bound), *self._names()]))
        found: dict[str, ObjectGraph] = {}
        left = MAX_OBJECTS
        for number, name in enumerate(names):
            value = self._values[name]
            if not _is_inert(value):
                found[name] = object_graph_of(value, max(left // min(len(names) - number, MAX_SHARE), 20))
                left -= found[name].cost
            if left <= 0:
                break
        for state in self._generators:
            if (owner := owner_of_state(state)) is not None:
                found[state] = ObjectGraph(frozenset({id(owner)}))
        definitions = {name: its.definitions for name, its in found.items() if its.definitions}
        return replace(evidence, shared=_groups(found), indexed=_index_groups(found), definitions=definitions)

    def _names(self) -> list[str]:
        """Return the variables to observe: first those that the cell mentions, then the user's others."""
        reachable = _reachable(self._source, self._values)
        others = [name for name in reversed(list(self._values)) if self._is_of_user(name)]
        return [n for n in dict.fromkeys([*reachable, *others]) if not _is_inert(self._values[n])]

    def _is_of_user(self, name: str) -> bool:
        return not (name.startswith("_") or name in self._hidden or name in _IPYTHON_NAMES)


def _groups(found: Mapping[str, ObjectGraph]) -> tuple[frozenset[str], ...]:
    """Return groups of names that share a mutable object."""
    owners: dict[int, str] = {}
    groups: dict[str, set[str]] = {name: {name} for name in found}
    for name, its in found.items():
        _unite(groups, {name, *(owners.setdefault(part, name) for part in its.own)})
    for name, its in found.items():
        _unite(groups, {name, *(owners[part] for part in its.copied if part in owners)})
    return tuple({id(g): frozenset(g) for g in groups.values() if len(g) > 1}.values())


def _index_groups(found: Mapping[str, ObjectGraph]) -> tuple[frozenset[str], ...]:
    """Return pairs of names that share an index of pandas that one of them holds as an index."""
    holders = {name: its for name, its in found.items() if its.indexes}
    return tuple(
        frozenset({one, other})
        for one, its in holders.items()
        for other in found
        if other != one and its.shares_index(found[other])
    )


def _unite(groups: dict[str, set[str]], names: set[str]) -> None:
    if len(names) > 1:
        group = set().union(*(groups[name] for name in names))
        groups.update(dict.fromkeys(group, group))


def _generators() -> dict[str, int]:
    """Return a checksum of the state of each random generator that has been imported."""
    states = {
        name: generator_state(name) for name, (module, *_) in GENERATORS.items() if module in sys.modules
    }
    return {name: zlib.crc32(pickle.dumps(state)) for name, state in states.items()}


def _reachable(source: str, values: Mapping[str, Any]) -> list[str]:
    """Return the names that a cell mentions, directly or in functions that it mentions."""
    found: dict[str, None] = {}
    pending: list[Iterable[str]] = [_WORD.findall(source)]
    while pending:
        for name in pending.pop():
            if name in found or name not in values:
                continue
            found[name] = None
            pending += [_names_of(code) for code in _codes_of(values[name], values)]
    return list(found)


def _codes_of(value: Any, values: Mapping[str, Any]) -> Iterator[types.CodeType]:
    """Yield the code of a function of the notebook, or of the methods of an object's class."""
    if type(value) is types.FunctionType:
        if value.__globals__ is values:
            yield value.__code__
        return
    kind = value if issubclass(type(value), type) else type(value)
    for base in kind.__mro__ if module_of(kind) == "__main__" else ():
        for member in list(vars(base).values()):
            function = member.__func__ if is_one_of(type(member), (staticmethod, classmethod)) else member
            if type(function) is types.FunctionType and function.__globals__ is values:
                yield function.__code__


def _names_of(code: types.CodeType) -> set[str]:
    """Return the names that a function and its nested functions look up."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_of(constant)
    return names


def _is_inert(value: Any) -> bool:
    """Whether a value cannot change: it is immutable, or a definition without mutable parts."""
    if type(value) is types.FunctionType:
        return is_immutable(value) or not (value.__closure__ or value.__defaults__ or value.__kwdefaults__)
    if issubclass(type(value), type):
        if module_of(value) != "__main__":
            return True
        # A method may override in a subclass a number of its base class.
        own = (kind for kind in type.__dict__["__mro__"].__get__(value) if module_of(kind) == "__main__")
        members = [member for kind in own for _, member in class_content(kind)]
        return all(type(m) is types.FunctionType and _is_inert(m) for m in members)
    return is_immutable(value)
