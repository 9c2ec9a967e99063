"""What a cell changed in the state of its process: settings of libraries, the environment, own modules.

The state is read before a marked cell and after it, and compared. What a library sets when it is imported is
no change: every step imports it itself.
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
"""The kinds of holders that no import changes: what else changes meanwhile may be the import's work."""


@dataclass(frozen=True)
class StateChange:
    """Something that belongs to no variable is set.

    Attributes:
        holder: Where, as in "pandas", "environment", "class:pandas", "module:config": it says which code can
            see the change.
        key: What there, as in "display.max_rows"; empty if there is one setting, or if nothing tells which.
        provider: For an attribute of a library's class, the library that put it there when it was imported.
        added: For an attribute of a library's class, whether the class is without it else.
    """

    holder: str
    key: str = ""
    provider: str = ""
    added: bool = False

    @property
    def what(self) -> str:
        """What it is called by people."""
        return holder_label(self.holder, self.key)


@dataclass(frozen=True)
class StateChanges:
    """What a cell did to the state of its process.

    Attributes:
        changed: What it changed, for certain.
        untouched: The holders that it left as they were, and as they were when they were first seen: what the
            cell's text says of those has no effect.
    """

    changed: tuple[StateChange, ...] = ()
    untouched: frozenset[str] = frozenset()

    def with_earlier(self, earlier: StateChanges) -> StateChanges:
        """The same, of a cell that ran before too: what it set once, it may find set already."""
        changed = tuple(dict.fromkeys((*self.changed, *earlier.changed)))
        return StateChanges(changed, self.untouched - {change.holder for change in earlier.changed})


class _Modules:
    """Which modules of the session are whose; each is looked at once."""

    def __init__(self) -> None:
        self.seen: dict[str, None] = {}
        self.own: dict[str, Any] = {}

    def look(self) -> None:
        """Take in what has been imported since the last look."""
        # To know whose a module is may itself import some.
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
"""By holder, what was found there when it was first seen."""


class ProcessState:
    """The state of this process at a point in time.

    Args:
        values: The session's variables.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        _MODULES.look()
        self._values = values
        self._modules = len(_MODULES.seen)
        self._own = {name: id(contents(module).get("__spec__")) for name, module in _MODULES.own.items()}
        self._readings = dict(_readings(values))
        for holder, reading in self._readings.items():
            _FIRST.setdefault(holder, reading)

    @classmethod
    def take(cls, values: Mapping[str, Any] | None = None) -> ProcessState:
        """Read the state; nothing is imported for that, and no code of the notebook runs."""
        return cls(values or {})

    def changes(self) -> StateChanges:
        """What has changed since."""
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
        except Exception:  # another release, or half imported: nothing is known of its state then
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
    """A token of a value; of an object of the user's own class, with its attributes."""
    kind = type(value)
    if kind.__module__ not in _MODULES.own:
        return token(value)
    return (*token(value), tuple((name, token(item)) for name, item in _state_of(contents(value))))


def _of_classes(values: Mapping[str, Any]) -> Iterator[tuple[str, Reading]]:
    """What the notebook's classes keep where no variable shows it: subclasses, defaults of fields."""
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
    """The name of a class, whatever its metaclass says."""
    found: str = type.__dict__["__name__"].__get__(kind)
    return found


def _registry(kind: abc.ABCMeta) -> Iterable[Any]:
    dump: Any = getattr(abc, "_get_dump", None)  # of CPython
    return list(dump(kind)[0]) if dump is not None else ()


def _differences(holder: str, before: Reading, after: Reading, new: Collection[str]) -> Iterator[StateChange]:
    kind = holder.partition(":")[0]
    if kind == "class":
        for name in before.keys() & after.keys():
            yield from _class_differences(holder, name, before[name], after[name], new)
        return
    if before == after:  # tokens: no code of anybody's classes compares them
        return
    for key in [*after, *(before.keys() - after.keys())]:
        if before.get(key) == after.get(key) and (key in before) == (key in after):
            continue
        if kind == "pyplot" and key not in after:
            continue  # closed, and what a step below draws begins a figure
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
    """Forget how the state was when it was first seen: a session begins."""
    _FIRST.clear()


def record_new_libraries(values: Mapping[str, Any]) -> None:
    """Take in how new libraries are, if something has been imported since the last look."""
    if not _FIRST or sys.modules.keys() - _MODULES.seen.keys():
        ProcessState(values)
