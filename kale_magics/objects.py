"""What can be told of an object without changing it: its type, its size, what it is made of."""

from __future__ import annotations

import gc
import sys
import types
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from kale_magics.pipeline import ArtifactKind
from kale_magics.step_runtime.pickling import type_name

MOST_OBJECTS = 50_000
"""How many objects are looked at to see whether two values share one."""

MOST_ELEMENTS = 2_000
"""How many elements of containers are looked at to see whether a value is plain."""

MAX_DEPTH = 50
"""How deeply within each other tuples are looked into."""

MOST_LOOKED_INTO = 300
"""How many objects are looked at to see which modules a value needs."""

_IMMUTABLE = (
    int, float, complex, bool, str, bytes, type(None), type(...), range, types.ModuleType,
    types.MethodDescriptorType, types.GenericAlias,
)  # fmt: skip

_ATOMS = frozenset((int, float, complex, bool, str, bytes, type(None), type))

_IMMUTABLE_NAMES = frozenset(
    "datetime.datetime datetime.date datetime.time datetime.timedelta datetime.timezone decimal.Decimal"
    " fractions.Fraction uuid.UUID re.Pattern pathlib.PosixPath pathlib.WindowsPath"
    " pathlib._local.PosixPath pandas._libs.tslibs.timestamps.Timestamp"
    " pandas._libs.tslibs.timedeltas.Timedelta numpy.dtype".split()
)

_DATASETS = ("numpy.ndarray", "pandas.", "scipy.sparse.", "polars.", "pyarrow.", "xarray.")

_MODELS = (
    ("sklearn.base", "BaseEstimator"),
    ("torch.nn", "Module"),
    ("keras", "Model"),
    ("xgboost", "Booster"),
    ("lightgbm", "Booster"),
)


@dataclass(frozen=True)
class Facts:
    """What is known of a live value.

    Attributes:
        type_name: Its type with its module; without, for builtins and the notebook's own classes.
        kind: KFP's type of artifact for it.
        description: Type and shape for people.
        size: About how many bytes it takes; None if nobody can tell quickly.
        immutable: Whether it can never change.
        iterator: Whether it can be used up.
        plain: Whether there is no code of the notebook in it, for certain.
        number: Whether it is a number, or what `float` makes one of without loss.
        calls_change_it: Whether calling it may change it.
        own: Whether its class is the notebook's own.
        modules: The modules of the classes in it, as far as it was looked into.
    """

    type_name: str
    kind: ArtifactKind
    description: str
    size: int | None
    immutable: bool
    iterator: bool
    plain: bool
    number: bool
    calls_change_it: bool
    own: bool
    modules: frozenset[str] = frozenset()


def facts_of(value: Any) -> Facts:
    """What is known of a value."""
    name = type_name(value)
    immutable = is_immutable(value)
    return Facts(
        type_name=name,
        kind=_artifact_kind(value, name),
        description=_description(value),
        size=size_of(value),
        immutable=immutable,
        iterator=hasattr(type(value), "__next__"),
        plain=_is_plain(value),
        number=isinstance(value, (int, float)) or (hasattr(type(value), "__float__") and _size_one(value)),
        calls_change_it=not immutable and not _is_open_function(value),
        own=type(value).__module__ == "__main__",
        modules=modules_of(value),
    )


_NOT_LOOKED_INTO = (types.ModuleType, types.CodeType, types.TracebackType, types.FrameType)
"""Types of which nothing goes with a value that has one."""


def modules_of(value: Any) -> frozenset[str]:
    """The modules of the classes and functions in a value, but of the standard library's only some."""
    found: set[str] = set()
    seen: set[int] = set()
    pending = [value]
    while pending and len(seen) < MOST_LOOKED_INTO:
        item = pending.pop()
        if id(item) in seen or (type(item) in _ATOMS and not isinstance(item, type)):
            continue
        seen.add(id(item))
        code = isinstance(item, (type, types.FunctionType, types.BuiltinFunctionType))
        found.add(getattr(item if code else type(item), "__module__", None) or "")
        if isinstance(item, types.FunctionType):
            pending += (*(item.__closure__ or ()), *(item.__defaults__ or ()))
        elif not code and not isinstance(item, _NOT_LOOKED_INTO):
            pending += islice(gc.get_referents(item), MOST_LOOKED_INTO)
    return frozenset(filter(None, found))


def _is_open_function(value: Any) -> bool:
    if not isinstance(value, types.FunctionType) or value.__closure__:
        return False
    return all(map(is_immutable, value.__defaults__ or ()))


def is_immutable(value: Any, depth: int = 0) -> bool:
    """Whether a value can never change, as far as its type tells, and for a tuple what is in it."""
    if isinstance(value, types.FunctionType):
        # What a library's decorator has made of a function of the notebook has the notebook's module.
        return "__main__" not in (value.__module__, value.__globals__.get("__name__"))
    if isinstance(value, types.BuiltinFunctionType):
        return value.__self__ is None or isinstance(value.__self__, (types.ModuleType, type))
    if isinstance(value, type):
        return value.__module__ != "__main__"
    if isinstance(value, (tuple, frozenset)):
        small = len(value) <= MOST_ELEMENTS and depth < MAX_DEPTH
        return small and all(is_immutable(item, depth + 1) for item in value)
    return isinstance(value, _IMMUTABLE) or _is_numpy_scalar(value) or _full_name(value) in _IMMUTABLE_NAMES


def _full_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _is_numpy_scalar(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.generic)


def _size_one(value: Any) -> bool:
    return getattr(value, "size", 1) == 1 and getattr(value, "shape", ()) in ((), (1,))


def _is_plain(value: Any) -> bool:
    """Whether there is no code of the notebook in a value; "no" as well for one with too many elements."""
    seen: set[int] = set()
    pending = [value]
    while pending:
        item = pending.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if len(seen) > MOST_ELEMENTS or type(item).__module__ == "__main__":
            return False
        if isinstance(item, dict):
            pending += islice(chain(item, item.values()), MOST_ELEMENTS + 1)
        elif isinstance(item, (list, tuple, set, frozenset)):
            pending += islice(item, MOST_ELEMENTS + 1)
        elif not _is_plain_leaf(item):
            return False
    return True


def _is_plain_leaf(item: Any) -> bool:
    name = _full_name(item)
    if name == "numpy.ndarray":
        return not item.dtype.hasobject
    if isinstance(item, type):
        return item.__module__ != "__main__"
    return is_immutable(item) or name.startswith("pandas.")


def _artifact_kind(value: Any, name: str) -> ArtifactKind:
    if name.startswith(_DATASETS) and hasattr(value, "shape"):
        return "Dataset"
    for module, kind in _MODELS:
        known = getattr(sys.modules.get(module), kind, None)
        if isinstance(known, type) and isinstance(value, known):
            return "Model"
    return "Artifact"


def _description(value: Any) -> str:
    kind = type(value).__name__
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape and not isinstance(value, type):
        return f"{kind} {' x '.join(map(str, shape))}"
    if isinstance(value, (list, dict, set, frozenset, tuple)):
        return f"{kind} of {len(value)}"
    return kind


def size_of(value: Any) -> int | None:
    """About how many bytes a value takes; None if nobody can tell quickly."""
    nbytes = getattr(value, "nbytes", None)
    if isinstance(nbytes, int):
        return nbytes
    if _full_name(value).startswith("pandas.") and hasattr(value, "memory_usage"):
        total = value.memory_usage()
        return int(total.sum() if hasattr(total, "sum") else total)
    if isinstance(value, (int, float, complex, bool, str, bytes, type(None))):
        return sys.getsizeof(value)
    return None


def mutable_parts(value: Any, most: int = MOST_OBJECTS) -> tuple[frozenset[int], bool]:
    """The identities of the objects in a value that can change.

    Args:
        value: Any object.
        most: How many objects are looked at.

    Returns:
        What was found, and whether that is all.
    """
    found: set[int] = set()
    keep: list[Any] = []
    pending = list(vars(value).values()) if isinstance(value, type) else [value]
    while pending and most > 0:
        most -= 1
        item = pending.pop()
        if type(item) in _ATOMS:
            continue
        if isinstance(item, types.FunctionType):
            pending += (*(item.__closure__ or ()), *(item.__defaults__ or ()))
            continue
        if id(item) in found or isinstance(item, (type, types.CodeType)) or is_immutable(item):
            continue
        found.add(id(item))
        keep.append(item)
        name = _full_name(item)
        if name == "numpy.ndarray":
            if item.base is not None:
                pending.append(item.base)
            pending += item.ravel().tolist() if item.dtype.hasobject and item.size < MOST_ELEMENTS else []
        elif not name.startswith("pandas."):
            pending += gc.get_referents(item)
    return frozenset(found), not pending
