"""What only a live kernel knows: the values that the notebook's names have, and where they came from."""

from __future__ import annotations

import builtins
import functools
import gc
import importlib
import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from kale_magics.pipeline import ArtifactKind
from kale_magics.step_runtime.pickling import Definitions, find_culprit, type_name

BUILTINS = frozenset(dir(builtins)) | {"get_ipython", "display", "__name__", "__builtins__", "__doc__"}
"""Names that every step has without anybody making them."""

MOST_OBJECTS = 20_000
"""How many objects are looked at to see whether two values share one."""

MOST_ELEMENTS = 2_000
"""How many elements of containers are looked at to see whether a value is plain."""

MOST_PICKLED = 16 << 20
"""Bytes of a value, arrays not counted, that are pickled to see whether it can cross."""

_IMMUTABLE = (
    int, float, complex, bool, str, bytes, type(None), type(...), range, types.ModuleType,
    types.MethodDescriptorType, types.GenericAlias,
)  # fmt: skip

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


class Session:
    """A live kernel.

    Args:
        shell: IPython's shell; None for no session at all.
    """

    def __init__(self, shell: Any = None) -> None:
        self._values: dict[str, Any] = shell.user_ns if shell is not None else {}
        self._hidden = frozenset(shell.user_ns_hidden) if shell is not None else frozenset()
        history = getattr(shell, "history_manager", None)
        self._inputs: list[str] = list(history.input_hist_raw) if history is not None else []
        self._facts: dict[str, Facts | None] = {}
        self._parts: dict[str, frozenset[int]] = {}

    def has(self, name: str) -> bool:
        """Whether the user gave that name a value that is still there."""
        return name in self._values and name not in self._hidden

    def facts(self, name: str) -> Facts | None:
        """What is known of the value of a name; None if there is no value."""
        if name not in self._facts:
            self._facts[name] = facts_of(self._values[name]) if self.has(name) else None
        return self._facts[name]

    def shares(self, one: str, other: str) -> bool | None:
        """Whether two names' values share an object that can change; None if that is not known."""
        if not (self.has(one) and self.has(other)):
            return None
        first, second = self._parts_of(one), self._parts_of(other)
        if not first.isdisjoint(second):
            return True
        return None if max(len(first), len(second)) >= MOST_OBJECTS else False

    def _parts_of(self, name: str) -> frozenset[int]:
        if name not in self._parts:
            self._parts[name] = _mutable_parts(self._values[name])
        return self._parts[name]

    def cannot_cross(self, name: str) -> tuple[str, str, str] | None:
        """Which part of a value cannot be pickled: the path to it, its type, and why; None if all can."""
        if not self.has(name):
            return None
        definitions = Definitions()
        for own, value in self._values.items():
            if isinstance(value, (type, types.FunctionType)):
                definitions.add(own, value)
        found = find_culprit(self._values[name], name, self._values, definitions, most=MOST_PICKLED)
        if found is None:
            return None
        path, culprit, error = found
        return path, type_name(culprit), f"{type(error).__name__}: {error}"

    def origin(self, name: str) -> tuple[str, str]:
        """The last cell of the session that bound a name, as in "In [7]", and its text; empty if none did."""
        for number in range(len(self._inputs) - 1, 0, -1):
            if name in _bound_by(self._inputs[number]):
                return f"In [{number}]", self._inputs[number]
        return "", ""

    def kind_of_cell(self, name: str) -> str:
        """What a cell that makes a name would best be marked as."""
        value = self._values.get(name)
        if isinstance(value, types.ModuleType):
            return "imports"
        if isinstance(value, (type, types.FunctionType)):
            return "functions" if value.__module__ == "__main__" else "imports"
        return "step NAME"


@functools.lru_cache(maxsize=4096)
def _bound_by(source: str) -> frozenset[str]:
    from kale_magics.analysis.scopes import bound_names
    from kale_magics.analysis.syntax import CellProblemError, to_python

    first, newline, rest = source.partition("\n")
    if "--no-run" in first and first.startswith("%"):
        return frozenset()
    try:
        return frozenset(
            bound_names(to_python(newline + rest if first.lstrip().startswith("%") else source).tree.body)[0]
        )
    except CellProblemError:
        return frozenset()


@functools.cache
def star_names(module: str) -> tuple[str, ...]:
    """The names that `from MODULE import *` binds; none if the module cannot be imported."""
    try:
        found = sys.modules.get(module) or importlib.import_module(module)
    except ImportError:
        return ()
    names: Iterable[str] = getattr(found, "__all__", None) or (
        n for n in vars(found) if not n.startswith("_")
    )
    return tuple(names)


def facts_of(value: Any) -> Facts:
    """What is known of a value."""
    name = type_name(value)
    immutable = _is_immutable(value)
    return Facts(
        type_name=name,
        kind=_artifact_kind(value, name),
        description=_description(value),
        size=_size(value),
        immutable=immutable,
        iterator=hasattr(type(value), "__next__"),
        plain=_is_plain(value),
        number=isinstance(value, (int, float)) or (hasattr(type(value), "__float__") and _size_one(value)),
        calls_change_it=not immutable and not _is_open_function(value),
        own=type(value).__module__ == "__main__",
    )


def _is_open_function(value: Any) -> bool:
    return isinstance(value, types.FunctionType) and not value.__closure__


def _is_immutable(value: Any) -> bool:
    if isinstance(value, types.FunctionType):
        # What a library's decorator has made of a function of the notebook has the notebook's module.
        return "__main__" not in (value.__module__, value.__globals__.get("__name__"))
    if isinstance(value, types.BuiltinFunctionType):
        return value.__self__ is None or isinstance(value.__self__, (types.ModuleType, type))
    if isinstance(value, type):
        return value.__module__ != "__main__"
    if isinstance(value, (tuple, frozenset)):
        return len(value) <= MOST_ELEMENTS and all(map(_is_immutable, value))
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
    return _is_immutable(item) or name.startswith("pandas.")


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


def _size(value: Any) -> int | None:
    nbytes = getattr(value, "nbytes", None)
    if isinstance(nbytes, int):
        return nbytes
    if _full_name(value).startswith("pandas.") and hasattr(value, "memory_usage"):
        total = value.memory_usage()
        return int(total.sum() if hasattr(total, "sum") else total)
    if isinstance(value, (int, float, complex, bool, str, bytes, type(None))):
        return sys.getsizeof(value)
    return None


def _mutable_parts(value: Any) -> frozenset[int]:
    """The identities of the objects in a value that can change; at most about `MOST_OBJECTS`."""
    found: set[int] = set()
    keep: list[Any] = []
    pending = [value]
    while pending and len(found) < MOST_OBJECTS:
        item = pending.pop()
        if isinstance(item, types.FunctionType):
            pending += item.__closure__ or ()
            continue
        if isinstance(item, (type, types.CodeType)) or id(item) in found or _is_immutable(item):
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
    return frozenset(found)
