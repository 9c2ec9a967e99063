"""Detect what a cell changed in the process state: settings of libraries, the environment, own modules.

The state is read before and after a marked cell, and compared. What a library sets when it is imported does
not count: every step imports it.
"""

from __future__ import annotations

import abc
import sys
import types
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from itertools import islice
from operator import is_
from typing import Any

from kale_magics.analysis.module_setters import CACHE_NAMES
from kale_magics.session.own_modules import is_user_file
from kale_magics.session.state_holders import (
    READERS,
    Reading,
    holder_label,
    is_inherited,
    library_classes,
    token,
)
from kale_magics.step_runtime.parts import contents

MAX_ATTRIBUTES = 4_000
"""How many attributes of the user's own modules are compared."""

_OF_THE_CELL = frozenset({"folder", "pyplot", "default", "abc", "class", "module"})
"""The kinds of holders that imports do not change: an import may explain any other change."""


@dataclass(frozen=True)
class StateChange:
    """A change of state outside of variables.

    Attributes:
        holder: The owner of the state, as in "pandas", "environment", "class:pandas", "module:config"; it
            determines which code can see the change.
        key: The setting, as in "display.max_rows"; empty if there is only one, or if it is unknown.
        provider: For an attribute of a library's class, the library whose import added it.
        added: For an attribute of a library's class, whether the class did not have it before.
    """

    holder: str
    key: str = ""
    provider: str = ""
    added: bool = False

    @property
    def what(self) -> str:
        """A readable label."""
        return holder_label(self.holder, self.key)


@dataclass(frozen=True)
class StateChanges:
    """What a cell changed in the process state.

    Attributes:
        changed: What it certainly changed.
        untouched: The holders that it left unchanged, in the state of their first reading: the setters in the
            cell's code have no effect on them.
    """

    changed: tuple[StateChange, ...] = ()
    untouched: frozenset[str] = frozenset()

    def with_earlier(self, earlier: StateChanges) -> StateChanges:
        """Return this merged with an earlier run, which may have set the state already."""
        changed = tuple(dict.fromkeys((*self.changed, *earlier.changed)))
        return StateChanges(changed, self.untouched - {change.holder for change in earlier.changed})


class _Modules:
    """The user's own modules among those that are loaded; each module is checked once."""

    def __init__(self) -> None:
        self.seen: dict[str, None] = {}
        self.own: dict[str, Any] = {}

    def update(self) -> None:
        """Check the modules that were imported since the last update."""
        # The check itself may import modules.
        while new := sys.modules.keys() - self.seen.keys():
            for name in new:
                self.seen[name] = None
                module = sys.modules.get(name)
                if issubclass(type(module), types.ModuleType) and _is_of_user(name, module):
                    self.own[name] = module


def _is_of_user(name: str, module: Any) -> bool:
    spec = contents(module).get("__spec__")
    if name.partition(".")[0] in ("kale_magics", "__main__", "__mp_main__"):
        return False
    return type(spec) is ModuleSpec and is_user_file(spec.origin)


_MODULES = _Modules()
_FIRST: dict[str, Reading] = {}
"""The first reading of each holder."""


class ProcessState:
    """The state of this process at a point in time.

    Args:
        values: The session's variables.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        _MODULES.update()
        self._values = values
        self._modules = len(_MODULES.seen)
        self._own = {name: id(contents(module).get("__spec__")) for name, module in _MODULES.own.items()}
        self._readings = dict(_readings(values))
        for holder, reading in self._readings.items():
            _FIRST.setdefault(holder, reading)

    @classmethod
    def take(cls, values: Mapping[str, Any] | None = None) -> ProcessState:
        """Read the state, without importing anything or running code of the notebook."""
        return cls(values or {})

    def changes(self) -> StateChanges:
        """Return what has changed since this was created."""
        now = ProcessState(self._values)
        arrived = islice(_MODULES.seen, self._modules, None)
        new = {name.partition(".")[0] for name in arrived} - sys.stdlib_module_names
        changed: list[StateChange] = []
        untouched = set[str]()
        for holder, before in self._readings.items():
            after = now._readings.get(holder)
            if after is None or self._reloaded(holder, now):
                continue
            found = list(_differences(holder, before, after, new))
            first = _FIRST[holder]
            if not found:
                if first is before or not any(_differences(holder, first, after, ())):
                    untouched.add(holder)
            elif not new or holder.partition(":")[0] in _OF_THE_CELL:
                changed += found
        return StateChanges(tuple(dict.fromkeys(changed)), frozenset(untouched))

    def _reloaded(self, holder: str, now: ProcessState) -> bool:
        kind, _, name = holder.partition(":")
        return kind == "module" and self._own.get(name) != now._own.get(name)


def _readings(values: Mapping[str, Any]) -> Iterator[tuple[str, Reading]]:
    for holder, read in READERS.items():
        try:
            reading = read()
        except Exception:  # an unknown release, or partially imported: its state is unknown
            reading = None
        if reading is not None:
            yield holder, reading
    yield from library_classes().items()
    yield from _own_modules()
    yield from _of_classes(values)


def _own_modules() -> Iterator[tuple[str, Reading]]:
    left = MAX_ATTRIBUTES
    for name, module in list(_MODULES.own.items()):
        if sys.modules.get(name) is not module:
            continue
        reading: Reading = {}
        for attribute, value in _state_of(contents(module)):
            if issubclass(type(value), type) and contents(value).get("__module__") == name:
                reading.update({f"{attribute}.{n}": _shallow(v) for n, v in _state_of(contents(value))})
            reading[attribute] = _shallow(value)
        left -= len(reading)
        if left < 0:
            return
        yield f"module:{name}", reading


def _state_of(attributes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in list(attributes.items()):
        special = name.startswith("__") and name.endswith("__")
        if not (
            special or name == "_abc_impl" or type(value) is types.ModuleType or CACHE_NAMES.search(name)
        ):
            yield name, value


def _shallow(value: Any) -> Any:
    """Return a token of a value; for an object of a class in an own module, with its attributes."""
    kind = type(value)
    if kind.__module__ not in _MODULES.own:
        return token(value)
    return (*token(value), tuple((name, token(item)) for name, item in _state_of(contents(value))))


def _of_classes(values: Mapping[str, Any]) -> Iterator[tuple[str, Reading]]:
    """Yield state of the notebook's classes that is in no variable: registered subclasses, field defaults."""
    registered: Reading = {}
    defaults: Reading = {}
    for name, value in list(values.items()):
        kind = type(value)
        if (
            not issubclass(kind, type)
            or contents(value).get("__module__") != "__main__"
            or _name(value) != name
        ):
            continue
        if issubclass(kind, abc.ABCMeta):
            found = (reference() for reference in _registry(value))
            registered.update({f"{name} {_name(each)}": "" for each in found if each is not None})
        fields = contents(value).get("_field_defaults")
        for field, default in fields.items() if type(fields) is dict else ():
            defaults[f"{name}.{field}"] = token(default)
    yield "abc", registered
    yield "default", defaults


def _name(kind: type) -> str:
    """Return the name of a class, even if its metaclass overrides it."""
    found: str = type.__dict__["__name__"].__get__(kind)
    return found


def _registry(kind: abc.ABCMeta) -> Iterable[Any]:
    dump: Any = getattr(abc, "_get_dump", None)  # CPython only
    return list(dump(kind)[0]) if dump is not None else ()


def _differences(holder: str, before: Reading, after: Reading, new: Collection[str]) -> Iterator[StateChange]:
    kind = holder.partition(":")[0]
    if kind == "class":
        for name in before.keys() & after.keys():
            yield from _class_differences(holder, name, before[name], after[name], new)
        return
    if before == after:  # tokens: comparing them runs no user code
        return
    for key in [*after, *(before.keys() - after.keys())]:
        if before.get(key) == after.get(key) and (key in before) == (key in after):
            continue
        if kind == "pyplot" and key not in after:
            continue  # closed: drawing in a later step opens a new figure
        if kind == "default" and (key not in before or key not in after):
            continue  # the cell makes the class
        yield StateChange(holder, _key_of(kind, key))


def _key_of(kind: str, key: str) -> str:
    return key.partition(" ")[0] if kind == "abc" else key


def _class_differences(
    holder: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any], new: Collection[str]
) -> Iterator[StateChange]:
    if before.keys() == after.keys() and all(map(is_, before.values(), after.values())):
        return
    for attribute in [*after, *(before.keys() - after.keys())]:
        value = after.get(attribute)
        if value is before.get(attribute) or attribute.startswith("_"):
            continue
        module = value.__module__ if type(value) is types.FunctionType else None
        provider = module.partition(".")[0] if isinstance(module, str) else ""
        added = attribute not in before and not is_inherited(holder, name, attribute)
        yield StateChange(holder, f"{name}.{attribute}", provider if provider in new else "", added)


def forget_first_state() -> None:
    """Forget the first readings: a session starts."""
    _FIRST.clear()


def record_new_libraries(values: Mapping[str, Any]) -> None:
    """Record the first readings of new libraries, if modules were imported since the last update."""
    if not _FIRST or sys.modules.keys() - _MODULES.seen.keys():
        ProcessState(values)
