"""The objects whose methods and attributes are probed."""

from __future__ import annotations

import collections
import contextlib
import copy
import csv
import functools
import inspect
import io
import itertools
import queue
import random
import re
import string
import struct
import types
from collections.abc import Callable, Iterator
from typing import Any

from tests.probe import samples
from tests.probe.trials import call

Factory = Callable[[], Any]


def stdlib_instances() -> Iterator[Factory]:
    """Containers of lists, so that a part of them can be changed; streams; iterators."""
    kinds = samples.PLAIN_KINDS
    for kind in (
        "nested",
        "list",
        "dict_of_lists",
        "dict",
        "set",
        "deque",
        "counter",
        "array",
        "buffer",
        "text",
        "raw",
    ):
        yield kinds[kind]
    yield lambda: frozenset({1000, 2000})
    yield lambda: ([1000], [2000])
    yield lambda: 3000
    yield lambda: 2.5
    yield lambda: collections.OrderedDict(a=[1000], b=[2000])
    yield lambda: collections.defaultdict(list, a=[1000])
    yield lambda: collections.ChainMap({"a": [1000], "b": [2000]}, {"c": [3000]})
    yield lambda: collections.UserDict(a=[1000], b=[2000])
    yield lambda: collections.UserList([[2000], [1000]])
    yield lambda: collections.UserString("beta")
    yield lambda: io.StringIO("a,b\n1,2\n")
    yield lambda: io.BytesIO(b"a,b\n1,2\n")
    yield lambda: random.Random(7)
    yield lambda: _filled(queue.Queue())
    yield lambda: _filled(queue.LifoQueue())
    yield lambda: _filled(queue.PriorityQueue())
    yield lambda: re.compile("a(.)")
    yield lambda: re.match("a(.)", "ab")
    yield lambda: string.Template("$a beta")
    yield lambda: string.Formatter()
    yield lambda: struct.Struct("i")
    yield lambda: types.MappingProxyType({"a": [1000]})
    yield lambda: memoryview(bytearray(b"beta"))
    yield lambda: itertools.chain([[1000]], [[2000]])
    yield lambda: csv.DictReader(io.StringIO("a,b\n1,2\n"))
    yield lambda: csv.DictWriter(io.StringIO(), ["a", "b"])
    yield lambda: contextlib.ExitStack()
    yield lambda: contextlib.nullcontext([1000])


def _filled(empty: Any) -> Any:
    empty.put([1000])
    empty.put([2000])
    return empty


def numpy_instances() -> Iterator[Factory]:
    """Arrays of several ranks and types, and random generators."""
    import numpy as np

    kinds = samples.LIBRARY_KINDS["numpy"]()
    for kind in ("vec", "square", "ints", "cube", "objects", "strings", "complexes", "mask", "structured"):
        yield kinds[kind]
    yield kinds["masked"]
    yield kinds["masked_square"]
    yield lambda: np.rec.array([(1, 2.5), (2, 3.5)], dtype=[("a", "i4"), ("b", "f8")])
    yield kinds["random_state"]
    yield kinds["generator"]
    yield lambda: np.random.PCG64(7)
    yield lambda: np.random.MT19937(7)
    yield lambda: np.random.SeedSequence(7)
    yield lambda: np.arange(4.0).flat
    yield lambda: np.polynomial.Polynomial([1.0, 2.0])
    yield lambda: np.poly1d([1.0, 2.0, 3.0])


def pandas_instances() -> Iterator[Factory]:
    """Frames, series and indexes of several types, and what their methods give."""
    import pandas as pd

    kinds = samples.LIBRARY_KINDS["pandas"]()
    for kind in ("numbers", "frame", "gaps", "timed"):
        yield kinds[kind]
    for kind in ("series", "int_series", "text_series", "date_series", "categories", "gap_series"):
        yield kinds[kind]
    yield lambda: pd.Series([1.5, None, 2.5, 3.5], index=pd.date_range("2024-01-01", periods=4, freq="D"))
    yield lambda: pd.DataFrame(
        {"a": [1.5, None]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["k", "n"])
    )
    for kind in ("index", "text_index", "dates_index", "extension"):
        yield kinds[kind]
    yield lambda: pd.RangeIndex(4)
    yield lambda: pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["k", "n"])
    yield lambda: pd.CategoricalIndex(["x", "y", "x"])
    yield lambda: pd.IntervalIndex.from_breaks([0, 1, 2])
    yield lambda: pd.timedelta_range("1D", periods=3)
    yield lambda: pd.period_range("2024-01", periods=3, freq="M")
    yield lambda: pd.Categorical(["x", "y", "x"])
    yield lambda: kinds["numbers"]().groupby([1, 2, 1, 2])
    yield lambda: kinds["numbers"]().groupby([1, 2, 1, 2])["a"]
    yield lambda: kinds["numbers"]().rolling(2)
    yield lambda: kinds["series"]().rolling(2)
    yield lambda: kinds["numbers"]().expanding()
    yield lambda: kinds["numbers"]().ewm(span=2)
    yield lambda: kinds["timed"]()[["a"]].resample("2D")
    yield lambda: kinds["text_series"]().str
    yield lambda: kinds["date_series"]().dt
    yield lambda: kinds["categories"]().cat
    yield lambda: kinds["numbers"]().style
    yield lambda: kinds["numbers"]().iloc
    yield lambda: kinds["numbers"]().loc
    yield lambda: kinds["series"]().loc
    yield lambda: kinds["series"]().iloc
    yield lambda: pd.Timestamp("2024-01-02")
    yield lambda: pd.Timedelta("1D")
    yield lambda: pd.Period("2024-01", freq="M")
    yield lambda: pd.Interval(0, 1)


def scipy_instances() -> Iterator[Factory]:
    """Sparse matrices of all formats, distributions, trees, interpolators."""
    import numpy as np
    import scipy.interpolate
    import scipy.sparse
    import scipy.spatial
    import scipy.stats

    square = samples.LIBRARY_KINDS["scipy"]()["csr"]
    for form in ("csr", "csc", "coo", "lil", "dok", "dia", "bsr"):
        yield lambda form=form: square().asformat(form)
    for form in ("csr", "csc", "coo", "lil", "dok"):
        yield lambda form=form: scipy.sparse.csr_array(square().toarray()).asformat(form)
    yield lambda: scipy.sparse.csr_matrix(_untidy())
    yield lambda: scipy.sparse.csc_matrix(_untidy())
    yield lambda: scipy.sparse.csr_array(_untidy())
    yield lambda: scipy.sparse.csc_array(_untidy())
    points = samples.LIBRARY_KINDS["numpy"]()["points"]
    yield lambda: scipy.spatial.cKDTree(points())
    yield lambda: scipy.spatial.KDTree(points())
    yield lambda: scipy.spatial.ConvexHull(points())
    yield lambda: scipy.spatial.Delaunay(points())
    yield lambda: scipy.spatial.transform.Rotation.from_euler("x", 0.5)
    yield lambda: scipy.interpolate.interp1d(np.arange(4.0), np.arange(4.0) ** 2)
    yield lambda: scipy.interpolate.CubicSpline(np.arange(4.0), np.arange(4.0) ** 2)
    yield lambda: scipy.interpolate.UnivariateSpline(np.arange(6.0), np.arange(6.0) ** 2)
    yield lambda: scipy.stats.gaussian_kde(np.arange(6.0) ** 2)
    yield lambda: scipy.stats.norm
    yield lambda: scipy.stats.poisson
    yield lambda: scipy.stats.norm(0, 1)
    yield lambda: scipy.stats.poisson(2)
    yield lambda: scipy.stats.multivariate_normal([0, 0])


def _untidy() -> Any:
    """The parts of a sparse matrix with a zero, with an element in two parts, and out of order."""
    import numpy as np

    return np.array([1.0, 0.0, 2.0, 3.0, 4.0]), np.array([2, 0, 1, 1, 0]), np.array([0, 2, 5])


def matplotlib_instances() -> Iterator[Factory]:
    """Figures, axes and what is drawn in them."""
    import matplotlib.pyplot as plt
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    kinds = samples.LIBRARY_KINDS["matplotlib"]()
    yield Artist
    yield kinds["axes"]
    yield kinds["figure"]
    yield lambda: kinds["axes"]().lines[0]
    yield lambda: kinds["axes"]().xaxis
    yield lambda: kinds["axes"]().yaxis
    yield lambda: kinds["axes"]().spines["top"]
    yield lambda: kinds["axes"]().spines
    yield lambda: kinds["axes"]().legend()
    yield lambda: kinds["axes"]().title
    yield lambda: kinds["axes"]().patch
    yield kinds["mappable"]
    yield lambda: kinds["axes"]().imshow([[1.0, 2], [3, 4]])
    yield lambda: kinds["axes"]().bar([1, 2], [3, 4])
    yield lambda: kinds["axes"]().annotate("text", (1, 3))
    yield lambda: Figure(figsize=(2, 2), dpi=40).add_subplot(projection="polar")
    yield lambda: Figure(figsize=(2, 2), dpi=40).add_subplot(projection="3d")
    yield lambda: Figure(figsize=(2, 2), dpi=40).add_gridspec(2, 2)
    yield lambda: plt.cm.viridis
    yield lambda: plt.Normalize(0, 1)


def estimator_bases() -> Iterator[tuple[type, Factory]]:
    """The classes that give estimators their methods for parameters and output, and an estimator each."""
    from sklearn.base import BaseEstimator
    from sklearn.utils._set_output import _SetOutputMixin

    kinds = samples.LIBRARY_KINDS["sklearn"]()
    yield BaseEstimator, kinds["classifier"]
    yield _SetOutputMixin, kinds["transformer"]


def estimators() -> Iterator[tuple[type, Factory]]:
    """Each estimator of scikit-learn, and what makes one with few and small parts."""
    from sklearn.base import BaseEstimator
    from sklearn.utils import all_estimators

    kinds = samples.kinds_for("sklearn")
    small = {"n_estimators": 3, "max_iter": 20, "n_init": 1, "random_state": 0, "cv": 2, "n_splits": 2}
    for _, kind in all_estimators():
        parameters = BaseEstimator._get_param_names.__func__(kind)
        given = {name: value for name, value in small.items() if name in parameters}
        for needed in _needed(kind, kinds):
            parts = {name: kinds[needed[name]] for name in needed}
            yield (
                kind,
                lambda kind=kind, parts=parts, given=given: kind(
                    **given, **{name: make() for name, make in parts.items()}
                ),
            )


def splitters() -> Iterator[Factory]:
    """The objects of scikit-learn that give the parts of a cross-validation; those that can, shuffle."""
    import sklearn.model_selection

    for name in sorted(sklearn.model_selection.__all__):
        kind = vars(sklearn.model_selection).get(name)  # some are there only if they are asked for
        if not isinstance(kind, type) or not hasattr(kind, "get_n_splits"):
            continue
        given = {"shuffle": True} if "shuffle" in inspect.signature(kind).parameters else {}
        if call(kind, given)[0]:
            yield functools.partial(kind, **given)


def _needed(kind: type, kinds: dict[str, Factory]) -> Iterator[dict[str, str]]:
    """Kinds of samples for what an estimator cannot be made without."""
    from tests.probe.hints import NAMES

    required = [
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    choices = [NAMES.get(name, "two").split()[:2] for name in required]
    for choice in itertools.product(*choices):
        yield dict(zip(required, choice, strict=True))


FIT_SAMPLES = (
    ("features", "labels"),
    ("features", "targets"),
    ("features", "two_targets"),
    ("features", "features"),
    ("int_features", "labels"),
    ("scores", "targets"),
    ("labels",),
    ("two_targets",),
    ("documents",),
    ("feature_dicts",),
    ("distances",),
    ("features",),
)
"""What estimators are fitted with: the first that succeeds."""


def fitted(make: Factory) -> Factory:
    """Return what makes fitted estimators, or fails if no sample suits."""

    @functools.cache
    def first() -> Any:
        kinds = samples.kinds_for("sklearn")
        for names in FIT_SAMPLES:
            estimator = make()
            if call(estimator.fit, dict(enumerate(kinds[name]() for name in names)))[0]:
                return estimator
        return None

    def ready() -> Any:
        if first() is None:
            raise ValueError("No sample suits.")
        return copy.deepcopy(first())

    return ready


INSTANCES: dict[str, Callable[[], Iterator[Factory]]] = {
    "stdlib": stdlib_instances,
    "numpy": numpy_instances,
    "pandas": pandas_instances,
    "scipy": scipy_instances,
    "matplotlib": matplotlib_instances,
}
"""For each library, what makes its objects."""
