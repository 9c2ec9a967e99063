"""Small values to call functions with: by kind, and which kinds suit a parameter."""

from __future__ import annotations

import array
import collections
import dataclasses
import io
import itertools
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


class Call:
    """A callable whose state shows that it was called."""

    def __init__(self, result: Callable[..., Any]) -> None:
        self.result = result
        self.times = 0
        self.__name__ = "call"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.times += 1
        return self.result(*args, **kwargs)


class Reading:
    """An iterator whose state shows how far it was read."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.position = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.position >= len(self.items):
            raise StopIteration
        self.position += 1
        return self.items[self.position - 1]


@dataclasses.dataclass(order=True)
class Record:
    """A dataclass with a part that can be changed."""

    number: int = 1
    parts: list[int] = dataclasses.field(default_factory=lambda: [1000, 2000])


class Thing:
    """An object with attributes, equal to others of its value."""

    def __init__(self, value: int = 3000) -> None:
        self.value = value
        self.parts = [value]

    def __lt__(self, other: Thing) -> bool:
        return self.value < other.value

    def method(self) -> int:
        return self.value


def new_class() -> type:
    return type(
        "Sample",
        (),
        {"__module__": __name__, "__annotations__": {"a": int}, "a": 1, "__lt__": lambda s, o: True},
    )


def new_function() -> Callable[..., Any]:
    def sample(x: Any = None, *args: Any) -> Any:
        """Return its argument."""
        return x

    return sample


def total(*args: Any, **kwargs: Any) -> Any:
    """The sum of what can be added."""
    result = args[0]
    for item in args[1:]:
        result = result + item
    return result


Point = collections.namedtuple("Point", "x y")

PLAIN_KINDS: dict[str, Callable[[], Any]] = {
    # numbers and text
    "zero": lambda: 0,
    "one": lambda: 1,
    "two": lambda: 2,
    "three": lambda: 3,
    "half": lambda: 0.5,
    "real": lambda: 2.5,
    "true": lambda: True,
    "false": lambda: False,
    "none": lambda: None,
    "text": lambda: "b",
    "word": lambda: "beta gamma",
    "json": lambda: '{"a": [1, 2]}',
    "raw": lambda: b"beta",
    "buffer": lambda: bytearray(b"beta gamma"),
    "ascii": lambda: "x",
    "code": lambda: "d",
    "format": lambda: "i",
    "pattern": lambda: "b",
    "compiled": lambda: re.compile("b"),
    "attribute": lambda: "value",
    # containers
    "list": lambda: [3000, 1000, 2000],
    "floats": lambda: [0.5, 1.5, 2.5, 3.5],
    "nested": lambda: [[3000], [1000], [2000]],
    "texts": lambda: ["b", "a", "c"],
    "things": lambda: [Thing(3), Thing(1)],
    "pairs": lambda: [("a", [1000]), ("b", [2000])],
    "rows": lambda: [{"a": [1]}, {"a": [2]}],
    "indices": lambda: [0, 1],
    "dict": lambda: {"a": 1000, "b": 2000},
    "dict_of_lists": lambda: {"a": [1000], "b": [2000]},
    "set": lambda: {1000, 2000},
    "tuple": lambda: ([1000], [2000]),
    "int_tuple": lambda: (1000, 2000),
    "deque": lambda: collections.deque([[1000], [2000]]),
    "counter": lambda: collections.Counter("abca"),
    "array": lambda: array.array("d", [1.0, 2.0, 3.0, 4.0]),
    "part": lambda: [1000],
    "first_key": lambda: "a",
    "empty": lambda: [],
    # objects
    "thing": lambda: Thing(),
    "record": lambda: Record(),
    "point": lambda: Point([1000], [2000]),
    "iterator": lambda: Reading([3000, 1000, 2000]),
    "things_iterator": lambda: Reading([Thing(3), Thing(1)]),
    "text_iterator": lambda: Reading(["a,b", "1,2"]),
    "pairs_iterator": lambda: Reading([("a", 1), ("b", 2)]),
    "class": new_class,
    "function": new_function,
    "identity": lambda: Call(lambda *a, **k: a[0] if a else []),
    "constant": lambda: Call(lambda *a, **k: 1),
    "listing": lambda: Call(lambda *a, **k: []),
    "predicate": lambda: Call(lambda *a, **k: True),
    "total": lambda: Call(total),
    "type": lambda: int,
    "text_file": lambda: io.StringIO("a,b\n1,2\n3,4\n"),
    "json_file": lambda: io.StringIO('{"a": [1, 2]}'),
    "bytes_file": lambda: io.BytesIO(b"a,b\n1,2\n3,4\n"),
    "pickle_file": lambda: io.BytesIO(b"\x80\x04]\x94."),
    "random": lambda: random.Random(7),
    "number_file": lambda: io.StringIO("1 2\n3 4\n"),
    "int_small": lambda: (2, 2),
    "wide_shape": lambda: (2, 4),
    "path": lambda: "probe.txt",
    "Path": lambda: Path("probe.txt"),
    "count": lambda: itertools.count(3),
}
"""Values that need no library."""


def features() -> Any:
    """Twelve samples of three features: positive, no two the same."""
    import numpy as np

    return np.array([[(3 * i + 5 * j) % 13 + 0.25 * i for j in range(3)] for i in range(12)]) + 1


def labels() -> Any:
    """A class for each of the samples."""
    import numpy as np

    return np.array([0, 1] * 6)


def frame() -> Any:
    """A frame with a column of each usual type."""
    import pandas as pd

    return pd.DataFrame(
        {
            "a": [1.5, 2.5, 3.5, 4.5],
            "b": [1, 2, 1, 2],
            "t": ["x", "y", "x", "z"],
            "d": pd.date_range("2024-01-01", periods=4, freq="D"),
        }
    )


def _npy_file() -> Any:
    import numpy as np

    file = io.BytesIO()
    np.save(file, np.arange(4.0))
    file.seek(0)
    return file


def _numpy_kinds() -> dict[str, Callable[[], Any]]:
    import numpy as np

    return {
        "vec": lambda: np.array([0.5, 0.25, 0.75, 0.125]),
        "longer": lambda: np.array([0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875, 0.1, 0.9, 0.3, 0.7, 0.45]),
        "square": lambda: np.array([[4.0, 1, 0.5, 0], [1, 5, 1, 0.5], [0.5, 1, 6, 1], [0, 0.5, 1, 7]]),
        "fortran": lambda: np.asfortranarray(
            [[4.0, 1, 0.5, 0], [1, 5, 1, 0.5], [0.5, 1, 6, 1], [0, 0.5, 1, 7]]
        ),
        "wide": lambda: np.arange(8.0).reshape(2, 4),
        "cube": lambda: np.arange(16.0).reshape(2, 2, 4),
        "ints": lambda: np.array([3, 1, 2, 0]),
        "int_square": lambda: np.array([[3, 1], [2, 0]]),
        "bytes": lambda: np.array([3, 1, 2, 0], dtype="uint8"),
        "complexes": lambda: np.array([1 + 1j, 2 - 1j, 3j, 4]),
        "mask": lambda: np.array([True, False, True, False]),
        "strings": lambda: np.array(["b", "a", "c", "d"]),
        "objects": lambda: np.array([3000, 1000, None, "x"], dtype=object),
        "dates": lambda: np.array(["2024-01-01", "2024-01-02"], dtype="M8[D]"),
        "points": lambda: np.array([[0.0, 0], [1, 0], [0, 1], [1, 1.5], [2, 0.5], [0.3, 0.7]]),
        "masked": lambda: np.ma.array([0.5, 0.25, 0.75, 0.125], mask=[0, 1, 0, 0]),
        "masked_square": lambda: np.ma.array(np.arange(9.0).reshape(3, 3), mask=np.eye(3)),
        "scalar": lambda: np.array(2.5),
        "structured": lambda: np.array([(1, 2.5), (2, 3.5)], dtype=[("a", "i4"), ("b", "f8")]),
        "arrays": lambda: [np.array([0.5, 0.25, 0.75, 0.125]), np.array([1.5, 2.5, 3.5, 4.5])],
        "random_state": lambda: np.random.RandomState(7),
        "generator": lambda: np.random.default_rng(7),
        "float_type": lambda: np.float64,
        "npy_file": _npy_file,
        "features": features,
        "labels": labels,
        "class_labels": lambda: np.array([0, 1]),
        "label_texts": lambda: np.array(["a", "b"] * 6),
        "targets": lambda: np.linspace(1, 3, 12) ** 2,
        "two_targets": lambda: np.column_stack([labels(), 1 - labels()]),
        "scores": lambda: (np.arange(12) * 7 % 12 + 0.5) / 13,
        "documents": lambda: ["red green", "green blue", "blue red sky", "sky sun"] * 3,
        "feature_dicts": lambda: [{"a": 1.0, "b": 2.0}, {"a": 3.0, "c": 1.0}] * 6,
        "distances": lambda: np.abs(np.subtract.outer(np.arange(12.0), np.arange(12.0))),
        "int_features": lambda: features().astype(int),
    }


def _pandas_kinds() -> dict[str, Callable[[], Any]]:
    import pandas as pd

    return {
        "frame": frame,
        "numbers": lambda: pd.DataFrame({"a": [1.5, 2.5, 3.5, 4.5], "b": [4.0, 1.0, 3.0, 2.0]}),
        "series": lambda: pd.Series([1.5, 2.5, 1.5, 4.5], name="a"),
        "int_series": lambda: pd.Series([3, 1, 2, 0], name="n"),
        "text_series": lambda: pd.Series(["x,1", "y,2", "x,1", "z"], name="t"),
        "date_series": lambda: pd.Series(pd.date_range("2024-01-01", periods=4, freq="D")),
        "categories": lambda: pd.Series(["x", "y", "x", "z"], dtype="category"),
        "index": lambda: pd.Index([3.5, 1.5, 2.5, 0.5]),
        "text_index": lambda: pd.Index(["a", "b"]),
        "dates_index": lambda: pd.date_range("2024-01-01", periods=4, freq="D"),
        "timed": lambda: frame().set_index("d"),
        "gaps": lambda: pd.DataFrame({"a": [None, 1.5, None, 2.5], "b": [1.0, None, 2.0, None]}),
        "gap_series": lambda: pd.Series([None, 1.5, None, 2.5], name="a"),
        "mask_frame": lambda: pd.DataFrame(
            {"a": [True, False, True, False], "b": [False, True, False, True]}
        ),
        "mask_series": lambda: pd.Series([True, False, True, False]),
        "range_end": lambda: "2024-01-04",
        "range_start": lambda: "2024-01-01",
        "index_arrays": lambda: [["x", "x", "y"], [1, 2, 1]],
        "index_codes": lambda: [[0, 1], [1, 0]],
        "interval_tuples": lambda: [(0, 1), (1, 2)],
        "frames": lambda: [frame(), frame()],
        "series_list": lambda: [pd.Series([1.5, 2.5]), pd.Series([3.5, 4.5])],
        "frame_dict": lambda: {"x": frame(), "y": frame()},
        "column": lambda: "a",
        "column_b": lambda: "b",
        "columns": lambda: ["a", "b"],
        "day": lambda: pd.Timestamp("2024-01-02"),
        "delta": lambda: pd.Timedelta("1D"),
        "grouped": lambda: frame().groupby("b"),
        "extension": lambda: pd.array([1, 2, None, 4]),
        "feature_frame": lambda: pd.DataFrame(features(), columns=["p", "q", "r"]),
        "label_series": lambda: pd.Series(labels()),
    }


def _scipy_kinds() -> dict[str, Callable[[], Any]]:
    import numpy as np
    import scipy.sparse

    square = np.array([[4.0, 1, 0, 0], [1, 5, 1, 0], [0, 1, 6, 1], [0, 0, 1, 7]])
    return {
        "csr": lambda: scipy.sparse.csr_matrix(square),
        "csr_array": lambda: scipy.sparse.csr_array(square),
        "csc": lambda: scipy.sparse.csc_matrix(square),
        "coo": lambda: scipy.sparse.coo_matrix(square),
        "sparse_features": lambda: scipy.sparse.csr_matrix(features()),
        "polynomial": lambda: np.array([1.0, -0.5, 0.06]),
        "objective": lambda: Call(lambda x, *a: float(np.sum((np.asarray(x) - 0.3) ** 2))),
        "root": lambda: Call(lambda x, *a: np.asarray(x) - 0.3),
        "integrand": lambda: Call(lambda x, *a: x),
        "rhs": lambda: Call(lambda t, y, *a: -np.asarray(y) if np.ndim(t) == 0 else -np.asarray(t)),
        "model": lambda: Call(lambda x, a, b: a * np.asarray(x) + b),
        "bounds": lambda: [(0.0, 1.0)] * 4,
        "guess": lambda: np.array([0.5, 0.25]),
        "span": lambda: (0.0, 1.0),
    }


def _sklearn_kinds() -> dict[str, Callable[[], Any]]:
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.preprocessing import StandardScaler

    def fitted() -> Any:
        return LogisticRegression().fit(features(), labels())

    def drawing() -> Any:
        """A classifier that draws from numpy's generator when it is fitted."""
        return LogisticRegression(solver="saga", tol=0.1)

    return {
        "classifier": drawing,
        "regressor": lambda: LinearRegression(),
        "transformer": lambda: StandardScaler(),
        "fitted": fitted,
        "steps": lambda: [("scale", StandardScaler()), ("model", drawing())],
        "named": lambda: [("one", drawing()), ("two", LogisticRegression(C=2))],
        "named_regressors": lambda: [("one", LinearRegression()), ("two", LinearRegression())],
        "named_transformers": lambda: [("scale", StandardScaler())],
        "column_transformers": lambda: [("scale", StandardScaler(), [0, 1])],
        "grid": lambda: {"C": [0.5, 1.0]},
        "container": lambda: "pandas",
    }


def _matplotlib_kinds() -> dict[str, Callable[[], Any]]:
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    def drawn() -> Any:
        figure = Figure(figsize=(2, 2), dpi=40)
        axes = figure.add_subplot()
        axes.plot([1, 2], [3, 4], label="line")
        return axes

    return {
        "axes": drawn,
        "figure": lambda: drawn().figure,
        "artist": lambda: Line2D([0, 1], [0, 1]),
        "patch": lambda: Rectangle((0, 0), 1, 1),
        "collection": lambda: LineCollection([[(0, 0), (1, 1)]]),
        "mappable": lambda: drawn().scatter([1, 2], [3, 4], c=[1, 2]),
        "bars": lambda: drawn().bar([1, 2], [3, 4]),
        "color": lambda: "red",
        "scale": lambda: "symlog",
        "ticks": lambda: [1, 2],
    }


LIBRARY_KINDS: dict[str, Callable[[], dict[str, Callable[[], Any]]]] = {
    "numpy": _numpy_kinds,
    "pandas": _pandas_kinds,
    "scipy": _scipy_kinds,
    "sklearn": _sklearn_kinds,
    "matplotlib": _matplotlib_kinds,
}
"""Values of each library."""

NEEDED: dict[str, tuple[str, ...]] = {
    "stdlib": (),
    "numpy": ("numpy",),
    "pandas": ("numpy", "pandas"),
    "scipy": ("numpy", "scipy"),
    "sklearn": ("numpy", "pandas", "scipy", "sklearn"),
    "matplotlib": ("numpy", "pandas", "matplotlib"),
}
"""Whose values the functions of each library get."""


def kinds_for(library: str) -> dict[str, Callable[[], Any]]:
    """Return the kinds of values that functions of a library are called with."""
    kinds = dict(PLAIN_KINDS)
    for needed in NEEDED[library]:
        kinds.update(LIBRARY_KINDS[needed]())
    return kinds
