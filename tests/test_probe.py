"""What is known of library functions: facts that users rely on, and a sample of the data probed again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kale_magics.analysis.library_effects import (
    LibraryEffects,
    attribute_shares,
    function_effects,
    has_old_pandas,
    known_types,
    method_effects,
    parse_effects,
    probed_versions,
    result_type,
)
from tests.probe import data
from tests.probe.__main__ import library_of, probed
from tests.tiers import slow_but

FUNCTIONS: list[tuple[str, str, set[int | str]]] = [
    ("numpy.sqrt", "changes", {1, "out"}),
    ("numpy.add", "changes", {2, "out"}),
    ("numpy.put", "changes", {0}),
    ("numpy.copyto", "changes", {0}),
    ("numpy.add.at", "changes", {0}),
    ("numpy.random.shuffle", "changes", {0}),
    ("random.shuffle", "changes", {0}),
    ("heapq.heappush", "changes", {0}),
    ("heapq.heappush", "keeps", {1}),
    ("bisect.insort", "changes", {0}),
    ("print", "changes", {"file"}),
    ("json.dump", "changes", {1, "fp"}),
    ("pickle.dump", "changes", {1}),
    ("setattr", "changes", {0}),
    ("operator.setitem", "changes", {0}),
    ("sklearn.model_selection.train_test_split", "changes", {"random_state"}),
    ("sklearn.utils.shuffle", "changes", {"random_state"}),
    ("sklearn.model_selection.GridSearchCV", "shares", {0, "estimator"}),
    ("sklearn.pipeline.make_pipeline", "shares", {0}),
    ("sklearn.preprocessing.scale", "may_change", {0}),
    ("scipy.linalg.lu_factor", "may_change", {0}),
    ("pandas.Series", "may_share", {0, "data"}),
    ("numpy.swapaxes", "shares", {0}),
    ("numpy.asarray", "shares", {0}),
    ("numpy.broadcast_to", "shares", {0}),
    ("dataclasses.replace", "shares", {0}),
    ("contextlib.nullcontext", "shares", {0}),
    ("functools.partial", "shares", {0, 1, "**"}),
    ("collections.deque", "shares", {0}),
    ("zip", "shares", {0, 1, 12}),
    ("itertools.chain", "shares", {0, 1}),
    ("itertools.islice", "shares", {0}),
    ("next", "consumes", {0}),
    ("list", "consumes", {0}),
    ("sum", "consumes", {0}),
    ("pandas.read_csv", "consumes", {0}),
    ("json.load", "consumes", {0}),
    ("map", "shares", {0, 1}),
    ("functools.reduce", "calls", {0}),
    ("sorted", "calls", {"key"}),
    ("random.shuffle", "draws", {"random"}),
    ("numpy.random.normal", "draws", {"numpy.random"}),
    ("sklearn.model_selection.train_test_split", "draws", {"numpy.random"}),
    ("sklearn.model_selection.cross_val_score", "draws", {"numpy.random"}),
]
"""Functions, an aspect of their effects, and labels that it has on every version."""

METHODS: list[tuple[str, str, str, set[int | str]]] = [
    ("clip", "numpy.ndarray", "changes", {2}),
    ("sort", "numpy.ndarray", "changes", {"self"}),
    ("reshape", "numpy.ndarray", "shares", {"self"}),
    ("shuffle", "numpy.random.RandomState", "changes", {"self", 0}),
    ("shuffle", "numpy.random.Generator", "changes", {"self", 0}),
    ("normal", "numpy.random.Generator", "changes", {"self"}),
    ("append", "list", "changes", {"self"}),
    ("append", "list", "keeps", {0}),
    ("setdefault", "dict", "changes", {"self"}),
    ("popleft", "collections.deque", "changes", {"self"}),
    ("groupby", "pandas.DataFrame", "shares", {"self"}),
    ("groupby", "pandas.core.frame.DataFrame", "shares", {"self"}),
    ("drop", "pandas.DataFrame", "may_change", {"self"}),
    ("drop", "pandas.DataFrame", "options", {"inplace"}),
    ("insert", "pandas.DataFrame", "changes", {"self"}),
    ("pop", "pandas.DataFrame", "changes", {"self"}),
    ("rolling", "pandas.DataFrame", "shares", {"self"}),
    ("fit", "sklearn.linear_model.LinearRegression", "changes", {"self"}),
    ("fit_transform", "sklearn.preprocessing.StandardScaler", "may_change", {0, "X"}),
    ("fit_transform", "sklearn.preprocessing._data.StandardScaler", "options", {"copy"}),
    ("fit", "sklearn.ensemble.RandomForestClassifier", "draws", {"numpy.random"}),
    ("split", "sklearn.model_selection.KFold", "draws", {"numpy.random"}),
    ("rvs", "scipy.stats._distn_infrastructure.rv_continuous_frozen", "draws", {"numpy.random"}),
    ("plot", "matplotlib.axes.Axes", "changes", {"self"}),
    ("set_title", "matplotlib.axes._axes.Axes", "changes", {"self"}),
]
"""Methods, the types of their objects, and as above."""

HARMLESS = [
    *((method, "matplotlib.axes.Axes") for method in ("hist", "scatter", "plot", "imshow", "bar")),
    *((method, "pandas.DataFrame") for method in ("head", "sum", "merge", "describe", "sort_values")),
    *((method, "numpy.ndarray") for method in ("mean", "sum", "copy", "astype")),
    ("predict", "sklearn.linear_model.LinearRegression"),
    ("count", "list"),
]
"""Methods that change none of their arguments."""

READERS = "len isinstance numpy.zeros json.dumps copy.deepcopy collections.namedtuple math.sqrt".split()
"""Functions whose result is nothing of what they get."""


def has(effects: LibraryEffects | None, aspect: str, labels: set[int | str]) -> bool:
    """Whether effects have labels; "*" stands for those that are too many to be listed."""
    assert effects is not None
    found = getattr(effects, aspect)
    if aspect in ("may_change", "may_share"):  # pandas 2 does without an option what 3 does with one
        found |= getattr(effects, aspect.replace("may_change", "changes").replace("may_share", "shares"))
    return all(label in found or (isinstance(label, int) and "*" in found) for label in labels)


@pytest.mark.parametrize(("name", "aspect", "labels"), FUNCTIONS)
def test_effects_of_functions(name: str, aspect: str, labels: set[int | str]) -> None:
    assert has(function_effects(name), aspect, labels)


@pytest.mark.parametrize(("method", "kind", "aspect", "labels"), METHODS)
def test_effects_of_methods(method: str, kind: str, aspect: str, labels: set[int | str]) -> None:
    assert has(method_effects(method, kind), aspect, labels)


@pytest.mark.parametrize(("method", "kind"), HARMLESS)
def test_methods_that_change_no_argument(method: str, kind: str) -> None:
    effects = method_effects(method, kind)
    assert effects is not None
    assert effects.changes <= {"self", "out", 0, 1, 2} if kind == "numpy.ndarray" else {"self"}
    if kind != "matplotlib.axes.Axes":
        assert "self" not in effects.changes


@pytest.mark.parametrize("name", READERS)
def test_functions_that_only_read(name: str) -> None:
    effects = function_effects(name)
    assert effects is not None
    assert not effects.changes | effects.may_change | effects.shares | effects.draws


def test_plotting_does_not_hold_its_data() -> None:
    for method in ("hist", "scatter", "plot", "imshow"):
        effects = method_effects(method, "matplotlib.axes.Axes")
        assert effects is not None
        assert effects.changes == {"self"}
        assert not effects.may_change


def test_a_function_is_found_where_it_is_defined() -> None:
    assert function_effects("heapq.heappush") == function_effects("_heapq.heappush")
    assert function_effects("numpy.lib._shape_base_impl.swapaxes") == function_effects("numpy.swapaxes")
    assert function_effects("builtins.sorted") == function_effects("sorted")
    assert function_effects("list.append") == LibraryEffects(changes=frozenset({0}), keeps=frozenset({1}))


def test_what_is_unknown_has_no_effects() -> None:
    assert function_effects("numpy.no_such_function") is None
    assert function_effects("mine.sorted") is None
    assert function_effects("no_such_function") is None
    assert method_effects("no_such_method") is None
    assert method_effects("append", "mine.Things") is None
    assert attribute_shares("no_such_attribute") is None
    assert result_type("numpy.no_such_function") == ""


def test_a_method_of_an_unknown_type_has_the_effects_of_all() -> None:
    effects = method_effects("sort")
    assert effects is not None
    assert "self" in effects.changes
    assert {"list", "numpy.ndarray"} <= known_types("sort")


@pytest.mark.parametrize(
    ("attribute", "kind", "shares"),
    [
        ("T", "numpy.ndarray", True),
        ("real", "numpy.ndarray", True),
        ("flat", "numpy.ndarray", True),
        ("shape", "numpy.ndarray", False),
        ("dtype", "numpy.ndarray", False),
        ("values", "pandas.DataFrame", True),
        ("index", "pandas.core.frame.DataFrame", True),
        ("loc", "pandas.DataFrame", True),
        ("shape", "pandas.DataFrame", False),
    ],
)
def test_attributes_that_show_their_object(attribute: str, kind: str, shares: bool) -> None:
    assert attribute_shares(attribute, kind) is shares


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("collections.defaultdict", "defaultdict"),
        ("pandas.DataFrame", "DataFrame"),
        ("pandas.read_csv", "DataFrame"),
        ("numpy.zeros", "ndarray"),
        ("sorted", "list"),
        ("pandas.DataFrame.groupby", "DataFrameGroupBy"),
        ("next", ""),
    ],
)
def test_types_of_results(name: str, kind: str) -> None:
    assert result_type(name).rpartition(".")[2] == kind


def test_effects_are_read_from_texts() -> None:
    effects = parse_effects("changes=1,out shares=9*")
    assert effects.changes == {1, "out"}
    assert effects.shares == {9, "*"}
    assert parse_effects("") == LibraryEffects()


def test_differences_have_a_line_each() -> None:
    old = {"function a.f": "changes=0", "function a.g": "", "function a.h": ""}
    new = {"function a.f": "changes=1", "function a.g": "", "function a.i": "shares=0"}
    assert list(data.differences(old, new)) == [
        "~ function a.f: changes=0 -> changes=1",
        "- function a.h: reads only",
        "+ function a.i: shares=0",
    ]


@pytest.mark.parametrize("path", [data.DATA, data.OLD_PANDAS])
def test_the_data_is_small_and_sorted(path: Path) -> None:
    assert path.stat().st_size < 400_000
    stored = data.read(path)
    assert data.as_data(dict(data.stored_facts(stored)), stored["versions"]) == stored


def sampled(library: str) -> dict[str, str]:
    """Facts that are probed again: those of this page, and some others of each library."""
    path = data.OLD_PANDAS if library == "pandas" and has_old_pandas() else data.DATA
    stored = {key: text for key, text in data.stored_facts(data.read(path)) if library_of(key) == library}
    of_callables = [key for key in stored if key.startswith(("function", "method"))]
    known = {name for name, _, _ in FUNCTIONS} | {f"{kind}.{method}" for method, kind, _, _ in METHODS}
    chosen = [key for key in of_callables if key.partition(" ")[2].removeprefix("builtins.") in known]
    step = max(1, len(of_callables) // 8)
    return {key: stored[key] for key in [*chosen, *of_callables[step // 2 :: step]]}


LIBRARIES = ("stdlib", "numpy", "pandas", "sklearn", "scipy", "matplotlib")


@pytest.mark.parametrize("library", slow_but(("stdlib", "numpy"), LIBRARIES))
def test_probing_again_finds_the_same(library: str, tmp_path: Path) -> None:
    expected = sampled(library)
    names = sorted({key.partition(" ")[2] for key in expected})
    found = data.facts(probed(library, tmp_path, names))
    if data.versions([library], {})[library] == probed_versions()[library]:
        assert {key: found.get(key) for key in expected} == expected
    for key, aspect, labels in _well_known(found):
        assert has(parse_effects(found[key]), aspect, labels), key


def _well_known(found: dict[str, Any]) -> list[tuple[str, str, set[int | str]]]:
    """The facts of this page that were probed again, if the version gives the parameters of its methods."""
    functions = [(f"function {name}", aspect, labels) for name, aspect, labels in FUNCTIONS]
    methods = [(f"method {kind}.{method}", aspect, labels) for method, kind, aspect, labels in METHODS]
    return [fact for fact in [*functions, *methods] if fact[0] in found and fact[0] not in WITHOUT_SIGNATURE]


WITHOUT_SIGNATURE = {"method numpy.ndarray.clip"} if not np.ndarray.clip.__text_signature__ else set()
"""What numpy before 2.4 gives no parameters of."""
