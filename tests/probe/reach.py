"""Which objects and which memory a value holds."""

from __future__ import annotations

import collections
import gc
import sys
import types
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_OBJECTS = 5000

ATOMS = (int, float, complex, str, bytes, range, slice, type(None), type(...), type, types.ModuleType)
COMMON_ATOMS = frozenset(ATOMS)
PASSED_OVER = (
    *ATOMS,
    weakref.ref,
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
    types.CodeType,
)
UNCOUNTED = (
    tuple,
    frozenset,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.CellType,
)
"""What holds others but cannot be changed itself."""


@dataclass
class Reach:
    """What a value holds.

    Attributes:
        objects: Those that can be changed, by id.
        arrays: Memory that can be changed through an array.
        managed: Memory of pandas objects: between two of them, pandas may copy before it writes.
    """

    objects: dict[int, Any] = field(default_factory=dict)
    arrays: list[Any] = field(default_factory=list)
    managed: list[Any] = field(default_factory=list)

    def meets(self, other: Reach) -> bool:
        """Whether a change through one of two values may show in the other."""
        if self.objects.keys() & other.objects.keys():
            return True
        pairs = [(a, b) for a in self.arrays for b in [*other.arrays, *other.managed]]
        pairs += [(a, b) for a in self.managed for b in other.arrays]
        if not copies_on_write():
            pairs += [(a, b) for a in self.managed for b in other.managed]
        return any(_overlap(a, b) for a, b in pairs)


def reach(value: Any, indexes: bool = False) -> Reach:
    """Return what a value holds.

    Args:
        value: Any value.
        indexes: Whether the indexes of frames and series count: nearly all results of pandas hold those of
            what they were made of, and they cannot be changed but for their names.
    """
    found = Reach()
    seen: dict[int, Any] = {}
    pending = collections.deque([value])
    while pending and len(seen) < MAX_OBJECTS:
        item = pending.popleft()
        if type(item) in COMMON_ATOMS or id(item) in seen or isinstance(item, PASSED_OVER):
            continue
        seen[id(item)] = item
        if not isinstance(item, UNCOUNTED) and not _is_immutable(item):
            found.objects[id(item)] = item
        pending.extend(_held(item, found, indexes))
    return found


def _held(item: Any, found: Reach, indexes: bool) -> Iterable[Any]:
    """What one object holds directly; its memory goes into what was found."""
    if isinstance(item, types.FunctionType):
        cells = [cell.cell_contents for cell in item.__closure__ or () if cell != types.CellType()]
        return [*cells, item.__defaults__, item.__kwdefaults__, *vars(item).values()]
    if isinstance(item, types.BuiltinFunctionType | types.MethodWrapperType):
        return [item.__self__]
    if isinstance(item, memoryview):
        return [item.obj]
    if "numpy" in sys.modules and (held := _held_by_numpy(item, found)) is not None:
        return held
    if "pandas" in sys.modules and (held := _held_by_pandas(item, found, indexes)) is not None:
        return held
    return gc.get_referents(item)


def _held_by_numpy(item: Any, found: Reach) -> Iterable[Any] | None:
    import numpy as np

    if isinstance(item, np.ndarray):
        found.arrays.append(item)
        elements = item.ravel().tolist() if item.dtype.hasobject else []
        own = [item.mask.view()] if isinstance(item, np.ma.MaskedArray) and item.mask.shape else []
        return [*elements, *own, *([item.base] if isinstance(item.base, bytearray | memoryview) else [])]
    if isinstance(item, np.flatiter):
        return [item.base]
    if isinstance(item, np.nditer):
        return list(item.operands)
    if isinstance(item, np.broadcast):
        return list(item.iters)
    return [] if isinstance(item, np.generic | np.dtype | np.ufunc) else None


def _held_by_pandas(item: Any, found: Reach, indexes: bool) -> Iterable[Any] | None:
    import pandas as pd

    if isinstance(item, pd.DataFrame | pd.Series):
        for block in item._mgr.blocks:
            found.managed.extend(_memory(block.values))
        return list(item.axes) if indexes else []
    if isinstance(item, pd.Index):
        if not isinstance(item, pd.MultiIndex):
            found.managed.extend(_memory(item.array))
        return []
    if isinstance(item, pd.api.extensions.ExtensionArray):
        found.arrays.extend(_memory(item))
        return []
    if type(item).__module__.startswith("pandas.") and isinstance(
        getattr(item, "obj", None), pd.DataFrame | pd.Series
    ):
        return [item.obj]
    return None


def _memory(values: Any) -> list[Any]:
    """The arrays behind the values of a column."""
    import numpy as np

    if isinstance(values, np.ndarray):
        return [values]
    parts = (
        getattr(values, name, None) for name in ("_ndarray", "_data", "_mask", "_left", "_right", "_codes")
    )
    return [part for part in parts if isinstance(part, np.ndarray)]


def _is_immutable(item: Any) -> bool:
    kind = type(item)
    if kind is dict or kind is list:
        return False
    if kind.__module__ == "numpy":
        import numpy as np

        return isinstance(item, np.generic | np.dtype | np.ufunc)
    names = ("re", "_struct", "datetime", "decimal", "fractions", "pathlib", "numpy.dtypes")
    return kind.__module__ in names or kind.__name__ in ("Timestamp", "Timedelta", "Period", "Flags")


def _overlap(one: Any, other: Any) -> bool:
    import numpy as np

    return bool(np.may_share_memory(one, other))


def copies_on_write() -> bool:
    """Whether pandas copies memory that two of its objects share before one writes to it."""
    import pandas as pd

    if int(pd.__version__.partition(".")[0]) >= 3:
        return True
    return bool(pd.options.mode.copy_on_write)
