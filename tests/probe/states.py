"""What can be compared of a value before and after a call."""

from __future__ import annotations

import array
import collections
import copyreg
import io
import random
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

MAX_DEPTH = 12

PLAIN = (int, str, bytes, complex, range, slice, type(None), type(...), type(NotImplemented))
NAMED = (types.ModuleType, types.BuiltinFunctionType, types.MethodWrapperType, types.CodeType)
NAMED_TYPES = {"numpy.ufunc", "numpy._ArrayFunctionDispatcher", "re.Pattern", "re.Match", "_struct.Struct"}
LOCKS = {"_thread.lock", "_thread.RLock", "threading.Condition", "threading.Event"}
CACHES = frozenset(
    "_cache _item_cache stale _stale_viewlims _cached_renderer _remove_method"
    " _has_sorted_indices _has_canonical_format _html_repr _stop_words_id".split()
)
"""Attributes that libraries fill when something is read."""


def state(value: Any) -> tuple[Any, bool]:
    """Return what compares equal as long as a value is unchanged, and whether all of it was seen."""
    reader = _Reader()
    return reader.read(value, 0), not reader.hidden


class _Reader:
    """Reads one value.

    Attributes:
        hidden: Whether a part of the value could not be read.
    """

    def __init__(self) -> None:
        self.hidden = False
        self.numbers: dict[int, int] = {}
        self.kept: list[Any] = []

    def read(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if isinstance(value, PLAIN):
            return kind.__name__, value
        if kind is float:
            return "float", repr(value)
        if id(value) in self.numbers:
            return "again", self.numbers[id(value)]
        if depth > MAX_DEPTH:
            self.hidden = True
            return "deep"
        self.numbers[id(value)] = len(self.numbers)
        self.kept.append(value)
        return kind.__qualname__, self.read_content(value, depth + 1)

    def read_content(self, value: Any, depth: int) -> Any:
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        if isinstance(value, NAMED) or name in NAMED_TYPES or name in LOCKS:
            return id(value)
        for kind, reader in READERS:
            if isinstance(value, kind):
                return reader(self, value, depth)
        for library, finder in LIBRARY_READERS.items():
            if library in sys.modules and (found := finder(value)) is not None:
                return found(self, value, depth)
        return self.read_object(value, depth)

    def read_all(self, values: Iterable[Any], depth: int) -> list[Any]:
        return [self.read(value, depth) for value in values]

    def read_object(self, value: Any, depth: int) -> Any:
        """By its attributes; else as it would be pickled."""
        attributes = getattr(value, "__dict__", None)
        slots = [
            (name, getattr(value, name)) for name in copyreg._slotnames(type(value)) if hasattr(value, name)
        ]
        if attributes is None and not slots:
            return self.read_reduced(value, depth)
        own = [(k, v) for k, v in (attributes or {}).items() if k not in CACHES]
        return [(name, self.read(item, depth)) for name, item in [*own, *slots]]

    def read_reduced(self, value: Any, depth: int) -> Any:
        try:
            reduced = value.__reduce_ex__(4)
        except Exception:  # it cannot be pickled: it cannot be read
            self.hidden = True
            return id(value)
        if isinstance(reduced, str):
            return reduced
        if len(reduced) > 3:
            reduced = (*reduced[:3], *(None if part is None else list(part) for part in reduced[3:5]))
        return self.read_all(reduced[1:], depth)

    def read_mapping(self, value: Any, depth: int) -> Any:
        items = [(self.read(k, depth), self.read(v, depth)) for k, v in dict.items(value)]
        return items, self.read(getattr(value, "__dict__", None), depth)

    def read_sequence(self, value: Any, depth: int) -> Any:
        return self.read_all(value, depth), self.read(getattr(value, "__dict__", None), depth)

    def read_set(self, value: Any, depth: int) -> Any:
        return sorted(repr(_Reader().read(item, depth)) for item in value)

    def read_function(self, value: Any, depth: int) -> Any:
        names = (value.__name__, value.__qualname__, value.__module__, value.__doc__)
        cells = [cell.cell_contents for cell in value.__closure__ or () if cell != types.CellType()]
        return names, self.read(vars(value), depth), self.read_all(cells, depth)

    def read_class(self, value: Any, depth: int) -> Any:
        own = value.__module__.startswith("tests.probe")
        return (id(value), sorted((k, id(v)) for k, v in vars(value).items())) if own else id(value)

    def read_method(self, value: Any, depth: int) -> Any:
        return self.read(value.__self__, depth), value.__func__.__qualname__

    def read_text_buffer(self, value: Any, depth: int) -> Any:
        return ("closed",) if value.closed else (value.getvalue(), value.tell())

    def read_file(self, value: Any, depth: int) -> Any:
        if value.closed:
            return ("closed",)
        try:
            return value.tell(), value.name
        except (OSError, AttributeError):  # no file that has a place
            self.hidden = True
            return id(value)


READERS: list[tuple[Any, Callable[[_Reader, Any, int], Any]]] = [
    (type, _Reader.read_class),
    (types.FunctionType, _Reader.read_function),
    (types.MethodType, _Reader.read_method),
    (dict, _Reader.read_mapping),
    ((list, tuple), _Reader.read_sequence),
    (collections.deque, _Reader.read_sequence),
    ((set, frozenset), _Reader.read_set),
    ((bytearray, memoryview), lambda r, v, d: bytes(v)),
    (array.array, lambda r, v, d: (v.typecode, v.tobytes())),
    (random.Random, lambda r, v, d: v.getstate()),
    ((io.StringIO, io.BytesIO), _Reader.read_text_buffer),
    (io.IOBase, _Reader.read_file),
]


def _numpy_reader(value: Any) -> Callable[[_Reader, Any, int], Any] | None:
    import numpy as np

    if isinstance(value, np.ma.MaskedArray):
        return lambda r, v, d: (
            _array(r, v.data, d),
            _array(r, np.ma.getmaskarray(v), d),
            repr(v.fill_value),
            v.hardmask,
        )
    if isinstance(value, np.ndarray):
        return _array
    if isinstance(value, np.generic | np.dtype):
        return lambda r, v, d: repr(v)
    if isinstance(value, np.random.RandomState):
        return lambda r, v, d: r.read(v.get_state(legacy=False), d)
    if isinstance(value, np.random.Generator):
        return lambda r, v, d: r.read(v.bit_generator.state, d)
    if isinstance(value, np.random.BitGenerator):
        return lambda r, v, d: r.read(v.state, d)
    if isinstance(value, np.flatiter):
        return lambda r, v, d: (v.index, r.read(v.base, d))
    return None


def _array(reader: _Reader, value: Any, depth: int) -> Any:
    layout = (str(value.dtype), value.shape, value.strides, value.flags.writeable)
    if value.dtype.hasobject:
        return layout, reader.read_all(value.ravel().tolist(), depth)
    return layout, value.tobytes()


def _pandas_reader(value: Any) -> Callable[[_Reader, Any, int], Any] | None:
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return _frame
    if isinstance(value, pd.Series):
        return _series
    if isinstance(value, pd.Index):
        return _index
    if isinstance(value, pd.api.extensions.ExtensionArray):
        return lambda r, v, d: (str(v.dtype), repr(list(v)))
    if isinstance(value, pd.api.extensions.ExtensionDtype | pd.Timestamp | pd.Timedelta | pd.Period):
        return lambda r, v, d: repr(v)
    if type(value).__module__.startswith("pandas.") and hasattr(value, "obj"):
        return lambda r, v, d: r.read_all([v.obj, getattr(v, "_selection", None)], d)
    return None


def _frame(reader: _Reader, value: Any, depth: int) -> Any:
    columns = [_values(reader, value._ixs(i, axis=1), depth) for i in range(value.shape[1])]
    return columns, _index(reader, value.index, depth), _index(reader, value.columns, depth), _labels(value)


def _series(reader: _Reader, value: Any, depth: int) -> Any:
    return _values(reader, value, depth), _index(reader, value.index, depth), repr(value.name), _labels(value)


def _values(reader: _Reader, value: Any, depth: int) -> Any:
    return str(value.dtype), reader.read_all(value.array.tolist(), depth)


def _index(reader: _Reader, value: Any, depth: int) -> Any:
    return type(value).__name__, str(value.dtype), repr(value.tolist()), repr(list(value.names))


def _labels(value: Any) -> Any:
    return repr(value.attrs), value.flags.allows_duplicate_labels


def _matplotlib_reader(value: Any) -> Callable[[_Reader, Any, int], Any] | None:
    import matplotlib.artist
    import matplotlib.transforms

    if isinstance(value, matplotlib.artist.Artist):
        return _artist
    if isinstance(value, matplotlib.transforms.TransformNode):
        return lambda r, v, d: type(v).__name__
    if type(value).__module__.startswith(("matplotlib.backend", "matplotlib.cbook", "matplotlib.axis")):
        return lambda r, v, d: type(v).__name__
    return None


def _artist(reader: _Reader, value: Any, depth: int) -> Any:
    """What it looks like: its own plain attributes, its place, and the artists in it."""
    if hasattr(value, "viewLim"):
        limits = (repr(value.viewLim), repr(value.dataLim), repr(value.get_position()))
    else:
        limits = ()
    looks = [
        (name, reader.read(item, depth))
        for name, item in vars(value).items()
        if name not in CACHES and _is_look(item)
    ]
    tickers = [getattr(value, name) for name in ("major", "minor") if hasattr(value, name)]
    children = [c for c in value.get_children() if not type(c).__name__.endswith("Tick")]
    return limits, looks, [_ticker(reader, t, depth) for t in tickers], reader.read_all(children, depth)


def _ticker(reader: _Reader, value: Any, depth: int) -> Any:
    """Where an axis has its ticks, and how they are labelled."""
    return [
        (type(part).__name__, [(k, reader.read(v, depth)) for k, v in vars(part).items() if _is_look(v)])
        for part in (value.locator, value.formatter)
    ]


def _is_look(item: Any) -> bool:
    import numpy as np

    parts = item.values() if isinstance(item, dict) else item if isinstance(item, list | tuple) else ()
    plain = isinstance(item, int | float | str | tuple | list | dict | np.ndarray | type(None))
    return plain and not any(hasattr(part, "__dict__") for part in parts)


LIBRARY_READERS: dict[str, Callable[[Any], Callable[[_Reader, Any, int], Any] | None]] = {
    "numpy": _numpy_reader,
    "pandas": _pandas_reader,
    "matplotlib": _matplotlib_reader,
}
