"""Facts about classes that fingerprints need, determined once for each class.

Nothing here calls a class itself, whose metaclass may run any code.
"""

from __future__ import annotations

import enum
import sys
import types
from typing import Any

from kale_magics.step_runtime.fingerprint_nodes import MEASURED, class_dict, class_name, module_name

OPAQUE_LIBRARIES = frozenset(
    "matplotlib mpl_toolkits seaborn torch tensorflow keras jax jaxlib cupy numba pyspark dask ray polars"
    " pyarrow IPython ipywidgets traitlets logging threading _thread weakref _weakref asyncio concurrent"
    " socket subprocess multiprocessing ctypes _ctypes sqlite3 _io io os kale_step_runtime".split()
)
"""Libraries whose objects hold devices, memory addresses, locks or caches."""

REPR_TYPES = frozenset(
    "datetime.datetime datetime.date datetime.time datetime.timedelta datetime.timezone decimal.Decimal"
    " fractions.Fraction uuid.UUID zoneinfo.ZoneInfo ipaddress.IPv4Address ipaddress.IPv6Address"
    " pathlib.PosixPath pathlib.PurePosixPath pathlib.WindowsPath pathlib._local.PosixPath"
    " pathlib._local.PurePosixPath pathlib.PureWindowsPath pathlib._local.PureWindowsPath"
    " pandas.Timestamp pandas.Timedelta pandas.Period pandas.Interval"
    " pandas.api.typing.NaTType pandas.api.typing.NAType pandas._libs.tslibs.timestamps.Timestamp"
    " pandas._libs.tslibs.timedeltas.Timedelta pandas._libs.tslibs.nattype.NaTType"
    " pandas._libs.missing.NAType pandas._libs.tslibs.period.Period pandas._libs.interval.Interval".split()
)
"""Types whose `repr` is their whole value, and always the same."""

NOISY_WORDS = ("cache", "lock", "logger", "n_threads")
NOISY_STARTS = ("_has_", "_repr", "_deprecated")

MAX_CLASSES = 4_096
"""How many classes are cached."""

UNKNOWN: Any = object()

_KINDS: dict[int, ClassFacts] = {}


class ClassFacts:
    """Facts about a class.

    Args:
        kind: The class itself.

    Attributes:
        name: Its name with its module, as in `class_name`.
        library: The first part of the name, if there is a module.
        bases: Its `__mro__`.
        is_class: Whether its objects are classes.
        is_enum: Whether they are members of an enumeration.
        has_full_repr: Whether their `repr` is their whole value.
        is_opaque: Whether they belong to a library whose objects cannot be compared.
        libraries: The packages of its bases.
        reader: The reader of its objects, once it is known.
    """

    def __init__(self, kind: type) -> None:
        self.kind, self.name = kind, class_name(kind)
        self.bases = type.__dict__["__mro__"].__get__(kind)
        self.library = self.name.partition(".")[0] if "." in self.name else ""
        self.libraries = frozenset([module_name(base).partition(".")[0] for base in self.bases])
        self.is_class, self.is_enum = self.has(type), self.has(enum.Enum)
        self.has_full_repr = self.name in REPR_TYPES and is_known_class(kind, self.name)
        opaque = not OPAQUE_LIBRARIES.isdisjoint(self.libraries) or self.library == "typing"
        self.is_opaque = opaque and not self.is_class
        self.reader = UNKNOWN
        self._noise: dict[tuple[str, bool], bool] = {}
        self._members: list[tuple[type, str, Any]] | None = None

    def has(self, base: type) -> bool:
        """Whether it is a class or derived from it."""
        return any(own is base for own in self.bases)

    def place_of(self, base: type) -> int:
        """Return how many classes precede one of its bases."""
        return next(place for place, own in enumerate(self.bases) if own is base)

    def state_of(self, value: Any) -> tuple[dict[str, Any], bool]:
        """Return the attributes of an object of it, and whether it has state that cannot be read."""
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
        """Whether an attribute is no part of an object's value: caches, locks, addresses, times."""
        known = self._noise.get((attribute, in_library))
        if known is None:
            known = self._noise[attribute, in_library] = self._determine_noise(attribute, in_library)
        return known

    def _determine_noise(self, attribute: str, in_library: bool) -> bool:
        dicts = map(class_dict, self.bases)
        makers = [class_name(type(members[attribute])) for members in dicts if attribute in members]
        if attribute in MEASURED or any(name.endswith("cached_property") for name in makers):
            return True
        if not in_library:
            return False
        if attribute == "__doc__":  # scipy writes it on first use
            return True
        ends = attribute.startswith(NOISY_STARTS) or attribute.endswith("_id")
        return ends or any(word in attribute for word in NOISY_WORDS)


def facts_of_class(kind: type) -> ClassFacts:
    """Return the facts about a class; those about a library's classes are cached, for they never change."""
    known = _KINDS.get(id(kind))
    if known is None:
        known = ClassFacts(kind)
        if len(_KINDS) < MAX_CLASSES and module_name(kind) not in ("", "__main__"):
            _KINDS[id(kind)] = known  # it holds the class, so no other object gets the id
    return known


def size_of(kind: type) -> int:
    """Return the bytes of an object of a class, without the places of its dict and its weak references."""
    names = ("__basicsize__", "__dictoffset__", "__weakrefoffset__")
    size, *offsets = (int(type.__dict__[name].__get__(kind)) for name in names)
    return size - 8 * sum(offset > 0 for offset in offsets)  # Python 3.12 keeps them elsewhere


def members_of(base: type) -> list[tuple[str, Any]]:
    """Return the descriptors of an object's attributes: its dict and its slots."""
    slot, attributes = types.MemberDescriptorType, types.GetSetDescriptorType
    return [
        (name, member)
        for name, member in list(class_dict(base).items())
        if (type(member) is slot and not name.startswith("__"))
        or (name == "__dict__" and (type(member) is attributes or type(member) is slot))
    ]


def is_known_class(kind: type, name: str) -> bool:
    """Whether a class is the one that its module has under its name, which any class may use."""
    module, _, own = name.rpartition(".")
    found = sys.modules.get(module)
    return found is not None and vars(found).get(own) is kind
