"""What fingerprints need to know of classes, found out once for each of them.

Nothing here asks a class itself, whose metaclass may say anything.
"""

from __future__ import annotations

import enum
import sys
import types
from typing import Any

from kale_magics.step_runtime.nodes import MEASURED, class_dict, class_name, module_name

CLOSED_LIBRARIES = frozenset(
    "matplotlib mpl_toolkits seaborn torch tensorflow keras jax jaxlib cupy numba pyspark dask ray polars"
    " pyarrow IPython ipywidgets traitlets logging threading _thread weakref _weakref asyncio concurrent"
    " socket subprocess multiprocessing ctypes _ctypes sqlite3 _io io os kale_step_runtime".split()
)
"""Libraries whose objects hold devices, memory addresses, locks or caches."""

SHOWN_TYPES = frozenset(
    "datetime.datetime datetime.date datetime.time datetime.timedelta datetime.timezone decimal.Decimal"
    " fractions.Fraction uuid.UUID zoneinfo.ZoneInfo ipaddress.IPv4Address ipaddress.IPv6Address"
    " pathlib.PosixPath pathlib.PurePosixPath pathlib.WindowsPath pathlib._local.PosixPath"
    " pathlib._local.PurePosixPath pandas.Timestamp pandas.Timedelta pandas.Period pandas.Interval"
    " pandas.api.typing.NaTType pandas.api.typing.NAType pandas._libs.tslibs.timestamps.Timestamp"
    " pandas._libs.tslibs.timedeltas.Timedelta pandas._libs.tslibs.nattype.NaTType"
    " pandas._libs.missing.NAType pandas._libs.tslibs.period.Period pandas._libs.interval.Interval".split()
)
"""Types whose `repr` is all that there is, and always the same."""

NOISY_WORDS = ("cache", "lock", "logger", "n_threads")
NOISY_STARTS = ("_has_", "_repr", "_deprecated")

MAX_KINDS = 4_096
"""How many classes are remembered."""

UNSEEN: Any = object()

_KINDS: dict[int, Kind] = {}


class Kind:
    """A class.

    Args:
        kind: The class itself.

    Attributes:
        name: Its name with its module, as `class_name` gives it.
        library: The first part of that, if there is a module.
        bases: Its `__mro__`.
        is_class: Whether its objects are classes.
        is_enum: Whether they are members of an enumeration.
        is_shown: Whether their `repr` says all.
        is_closed: Whether they are of a library whose objects cannot be compared.
        libraries: The packages that its bases are of.
        reader: What reads its objects, once that has been found out.
    """

    def __init__(self, kind: type) -> None:
        self.kind, self.name = kind, class_name(kind)
        self.bases = type.__dict__["__mro__"].__get__(kind)
        self.library = self.name.partition(".")[0] if "." in self.name else ""
        self.libraries = frozenset([module_name(base).partition(".")[0] for base in self.bases])
        self.is_class, self.is_enum = self.has(type), self.has(enum.Enum)
        self.is_shown = self.name in SHOWN_TYPES and is_known_class(kind, self.name)
        closed = not CLOSED_LIBRARIES.isdisjoint(self.libraries) or self.library == "typing"
        self.is_closed = closed and not self.is_class
        self.reader = UNSEEN
        self._noise: dict[tuple[str, bool], bool] = {}
        self._members: list[tuple[type, str, Any]] | None = None

    def has(self, base: type) -> bool:
        """Whether it is a class or derived from it."""
        return any(own is base for own in self.bases)

    def place_of(self, base: type) -> int:
        """How many classes come before one of its bases."""
        return next(place for place, own in enumerate(self.bases) if own is base)

    def state_of(self, value: Any) -> tuple[dict[str, Any], bool]:
        """The attributes of an object of it, and whether it has state that cannot be read."""
        state: dict[str, Any] = {}
        if self._members is None:
            self._members = [(base, name, member) for base in self.bases for name, member in members_of(base)]
        for base, name, member in self._members:
            try:
                found = member.__get__(value, base)
            except (AttributeError, TypeError):  # an empty slot, or the attributes of a class
                continue
            if name != "__dict__":
                state[name] = found
            elif type(found) is dict:
                state.update([(key, item) for key, item in list(found.items()) if type(key) is str])
        slots = sum(name != "__dict__" for _, name, _ in self._members)
        return state, size_of(self.kind) > object.__basicsize__ + 8 * slots

    def is_noise(self, attribute: str, in_library: bool) -> bool:
        """Whether an attribute says nothing of an object's value: caches, locks, addresses, times."""
        known = self._noise.get((attribute, in_library))
        if known is None:
            known = self._noise[attribute, in_library] = self._makes_noise(attribute, in_library)
        return known

    def _makes_noise(self, attribute: str, in_library: bool) -> bool:
        dicts = map(class_dict, self.bases)
        makers = [class_name(type(members[attribute])) for members in dicts if attribute in members]
        if attribute in MEASURED or any(name.endswith("cached_property") for name in makers):
            return True
        if not in_library:
            return False
        if attribute == "__doc__":  # as scipy writes it when somebody asks for it
            return True
        ends = attribute.startswith(NOISY_STARTS) or attribute.endswith("_id")
        return ends or any(word in attribute for word in NOISY_WORDS)


def kind_of(kind: type) -> Kind:
    """What is known of a class; what a library has is remembered, for it stays as it is."""
    known = _KINDS.get(id(kind))
    if known is None:
        known = Kind(kind)
        if len(_KINDS) < MAX_KINDS and module_name(kind) not in ("", "__main__"):
            _KINDS[id(kind)] = known  # it holds the class, whose id nothing else gets
    return known


def size_of(kind: type) -> int:
    """The bytes of an object of a class, without the places of its dict and of its weak references."""
    names = ("__basicsize__", "__dictoffset__", "__weakrefoffset__")
    size, *offsets = (int(type.__dict__[name].__get__(kind)) for name in names)
    return size - 8 * sum(offset > 0 for offset in offsets)  # Python 3.12 keeps them elsewhere


def members_of(base: type) -> list[tuple[str, Any]]:
    """What gives the attributes of objects of a class: their dict and their slots."""
    slot, attributes = types.MemberDescriptorType, types.GetSetDescriptorType
    return [
        (name, member)
        for name, member in list(class_dict(base).items())
        if (type(member) is slot and not name.startswith("__"))
        or (name == "__dict__" and (type(member) is attributes or type(member) is slot))
    ]


def is_known_class(kind: type, name: str) -> bool:
    """Whether a class is the one that its module has under its name: anybody may call a class so."""
    module, _, own = name.rpartition(".")
    found = sys.modules.get(module)
    return found is not None and vars(found).get(own) is kind
