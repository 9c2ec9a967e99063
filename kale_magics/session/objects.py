"""Inspect objects without side effects: their type, size and content.

Nothing here gets an attribute of an object of an unknown type, compares it or takes its length: that could
run the user's code.
"""

from __future__ import annotations

import functools
import gc
import sys
import types
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from kale_magics.model.pipeline import OutputKind
from kale_magics.step_runtime.pickling import type_name
from kale_magics.step_runtime.reducers import is_one_of, module_of

MAX_ELEMENTS = 2_000
"""How many elements of containers are checked to decide whether a value is plain."""

MAX_DEPTH = 50
"""How deeply nested tuples are checked."""

MAX_INSPECTED = 300
"""How many objects are visited to find the modules that a value needs."""

_IMMUTABLE = (
    int, float, complex, bool, str, bytes, type(None), type(...), range, types.ModuleType,
    types.MethodDescriptorType, types.GenericAlias,
)  # fmt: skip

ATOMS = frozenset((int, float, complex, bool, str, bytes, type(None), type))
"""Types whose objects hold no mutable object."""

_IMMUTABLE_NAMES = frozenset(
    "datetime.datetime datetime.date datetime.time datetime.timedelta datetime.timezone decimal.Decimal"
    " fractions.Fraction uuid.UUID re.Pattern pathlib.PosixPath pathlib.WindowsPath"
    " pathlib._local.PosixPath pandas._libs.tslibs.timestamps.Timestamp"
    " pandas._libs.tslibs.timedeltas.Timedelta numpy.dtype".split()
)

_DATASETS = ("numpy.ndarray", "pandas.", "scipy.sparse.", "polars.", "pyarrow.", "xarray.")

_SHAPED = frozenset("numpy pandas scipy polars pyarrow xarray torch tensorflow jax".split())
"""Libraries whose objects have a size and a shape."""

_MODELS = (
    ("sklearn.base", "BaseEstimator"),
    ("torch.nn", "Module"),
    ("keras", "Model"),
    ("xgboost", "Booster"),
    ("lightgbm", "Booster"),
)


@dataclass(frozen=True)
class Facts:
    """Facts about a live value.

    Attributes:
        type_name: Its type with its module; without for builtins and the notebook's own classes.
        kind: The KFP artifact type for it.
        description: A readable type and shape.
        size: About how many bytes it takes; None if that cannot be computed quickly.
        immutable: Whether it can never change.
        iterator: Whether reading consumes it.
        plain: Whether it certainly contains no code of the notebook.
        number: Whether it is a number, or `float` converts it to one without loss.
        calls_change_it: Whether calling it may change it.
        own: Whether the notebook defines its class.
        modules: The modules of the classes in the visited part of it.
    """

    type_name: str
    kind: OutputKind
    description: str
    size: int | None
    immutable: bool
    iterator: bool
    plain: bool
    number: bool
    calls_change_it: bool
    own: bool
    modules: frozenset[str] = frozenset()

    @property
    def may_be_setting(self) -> bool:
        """Whether it may hold settings: a container of numbers and strings, or an object with attributes."""
        simple = self.type_name in ("dict", "list", "tuple", "set") and self.modules <= {"builtins"}
        return simple or self.own or self.type_name == "types.SimpleNamespace"


def facts_of(value: Any) -> Facts:
    """Return facts about a value."""
    kind, name, immutable = type(value), type_name(value), is_immutable(value)
    shape = shape_of(value)
    return Facts(
        type_name=name,
        kind=_artifact_kind(value, name),
        description=_description(value, shape),
        size=value_size(value),
        immutable=immutable,
        iterator=defines(kind, "__next__"),
        plain=_is_plain(value),
        number=issubclass(kind, (int, float)) or (defines(kind, "__float__") and shape in (None, (), (1,))),
        calls_change_it=not immutable and not _is_open_function(value),
        own=module_of(kind) == "__main__",
        modules=modules_of(value),
    )


def referents(item: Any) -> list[Any]:
    """Return the objects that an object refers to, except its class."""
    return [part for part in gc.get_referents(item) if part is not type(item)]


def defines(kind: type, name: str) -> bool:
    """Whether a class, or a base class, defines an attribute."""
    return any(name in vars(base) for base in kind.__mro__)


_NOT_TRAVERSED = (types.ModuleType, types.CodeType, types.TracebackType, types.FrameType)
"""Types whose content does not belong to a value that refers to them."""


def modules_of(value: Any) -> frozenset[str]:
    """Return the modules of the classes and functions in a value; of the standard library's only some."""
    found: set[str] = set()
    seen: set[int] = set()
    pending = [value]
    while pending and len(seen) < MAX_INSPECTED:
        item = pending.pop()
        kind = type(item)
        if id(item) in seen or (is_one_of(kind, ATOMS) and kind is not type):
            continue
        seen.add(id(item))
        code = issubclass(kind, (type, types.FunctionType, types.BuiltinFunctionType))
        module = getattr(item, "__module__", None) if code else module_of(kind)
        found.add(module if isinstance(module, str) else "")
        if kind is types.FunctionType:
            pending += (*(item.__closure__ or ()), *(item.__defaults__ or ()))
        elif not code and not issubclass(kind, _NOT_TRAVERSED):
            pending += islice(referents(item), MAX_INSPECTED)
    return frozenset(filter(None, found))


def _is_open_function(value: Any) -> bool:
    if type(value) is not types.FunctionType or value.__closure__:
        return False
    return all(map(is_immutable, value.__defaults__ or ()))


def is_immutable(value: Any, depth: int = 0) -> bool:
    """Whether a value can never change, by its type, and for a tuple by its elements."""
    kind = type(value)
    if kind is types.FunctionType:
        # A library's decorator returns a function of its own, with the notebook's `__module__`.
        return "__main__" not in (value.__module__, value.__globals__.get("__name__"))
    if kind is types.BuiltinFunctionType:
        return value.__self__ is None or issubclass(type(value.__self__), (types.ModuleType, type))
    if issubclass(kind, type):
        return module_of(value) != "__main__"
    for base in (tuple, frozenset):
        if issubclass(kind, base) and not kind.__dictoffset__:
            small = base.__len__(value) <= MAX_ELEMENTS and depth < MAX_DEPTH
            return small and all(is_immutable(item, depth + 1) for item in base.__iter__(value))
    return is_immutable_type(kind)


def is_immutable_type(kind: type) -> bool:
    """Whether no object of a type can ever change, whatever it contains."""
    if module_of(kind) == "__main__":
        return False  # even a subclass of `int` may have attributes
    # A user's metaclass may define how a class is hashed.
    ask: Any = _is_immutable_type if type(kind) is type else _is_immutable_type.__wrapped__
    return bool(ask(kind))


@functools.lru_cache(maxsize=1024)
def _is_immutable_type(kind: type) -> bool:
    return issubclass(kind, _IMMUTABLE) or _is_numpy_scalar(kind) or full_name(kind) in _IMMUTABLE_NAMES


def full_name(kind: type) -> str:
    """Return the name of a type, with its module."""
    return f"{module_of(kind)}.{kind.__qualname__}"


def _is_numpy_scalar(kind: type) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(kind, numpy.generic)


def _is_plain(value: Any) -> bool:
    """Whether a value contains no code of the notebook; false also for one with too many elements."""
    seen: set[int] = set()
    pending = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if id(item) in seen:
            continue
        seen.add(id(item))
        if len(seen) > MAX_ELEMENTS or module_of(kind) == "__main__":
            return False
        if kind is dict:
            pending += islice(chain(item, item.values()), MAX_ELEMENTS + 1)
        elif is_one_of(kind, (list, tuple, set, frozenset)):
            pending += islice(item, MAX_ELEMENTS + 1)
        elif not _is_plain_leaf(item, kind):
            return False
    return True


def _is_plain_leaf(item: Any, kind: type) -> bool:
    name = full_name(kind)
    if name == "numpy.ndarray":
        return not item.dtype.hasobject
    if issubclass(kind, type):
        return module_of(item) != "__main__"
    return is_immutable(item) or (name.startswith("pandas.") and not _has_objects(item))


def _has_objects(frame: Any) -> bool:
    """Whether a frame or the like may hold arbitrary objects, in columns of dtype object."""
    dtypes: Any = frame.dtypes if defines(type(frame), "dtypes") else getattr(frame, "dtype", object)
    listed: list[Any] = list(dtypes) if defines(type(dtypes), "__iter__") else [dtypes]
    return any(getattr(dtype, "hasobject", dtype is object) for dtype in listed)


def _artifact_kind(value: Any, name: str) -> OutputKind:
    if name.startswith(_DATASETS) and shape_of(value) is not None:
        return "Dataset"
    for module, kind in _MODELS:
        known = getattr(sys.modules.get(module), kind, None)
        if isinstance(known, type) and known in type(value).__mro__:
            return "Model"
    return "Artifact"


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Return the shape of an array, a frame or the like of a well-known library; None for all others."""
    kind = type(value)
    if module_of(kind).partition(".")[0] not in _SHAPED:
        return None
    try:
        shape = value.shape
    except Exception:  # a library's property: an exhausted np.nditer has none
        return None
    return tuple(shape) if isinstance(shape, tuple) else None


def _description(value: Any, shape: tuple[int, ...] | None) -> str:
    kind = type(value)
    if shape:
        return f"{kind.__name__} {' x '.join(map(str, shape))}"
    for base in (list, dict, set, frozenset, tuple):
        if issubclass(kind, base):
            return f"{kind.__name__} of {base.__len__(value)}"
    return kind.__name__


def value_size(value: Any) -> int | None:
    """Return about how many bytes a value takes; None if that cannot be computed quickly."""
    kind = type(value)
    if is_one_of(kind, ATOMS):
        return sys.getsizeof(value)
    if shape_of(value) is None:
        return None
    try:
        if full_name(kind).startswith("pandas."):
            total = value.memory_usage()
            return int(total.sum() if hasattr(total, "sum") else total)
        nbytes = value.nbytes
    except Exception:  # a library's property: some indexes do not support it
        return None
    return nbytes if isinstance(nbytes, int) else None
