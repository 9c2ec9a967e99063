"""Values arrive in the next step as they left, in value, type, identity and fingerprint, or are refused.

As tables, whose rows two processes play, and as properties.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kale_magics.step_runtime.artifacts import load_artifact, save_artifact
from kale_magics.step_runtime.pickling import Definitions
from tests.exact import Row, all_rows
from tests.exact.portrait import portrait

Seen = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exact")


def play(act: str, folder: Path) -> Seen:
    """What a process that plays all rows saw."""
    hashes = {"PYTHONHASHSEED": "1" if act == "write" else "2"}
    environment = {
        **os.environ,
        **hashes,
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "tests.exact.play", act, str(folder)]
    root = Path(__file__).parents[1]
    played = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert played.returncode == 0, played.stderr
    seen: Seen = json.loads((folder / f"{act}.json").read_text(encoding="utf-8"))
    return seen


@pytest.fixture(scope="module")
def made(folder: Path) -> Seen:
    return play("write", folder)


@pytest.fixture(scope="module")
def arrived(folder: Path, made: Seen) -> Seen:
    return play("read", folder)


ROWS = [
    pytest.param(
        row,
        id=row.name.replace(" ", "-"),
        marks=pytest.mark.skipif(not all(map(find_spec, row.needs.split())), reason=f"needs {row.needs}"),
    )
    for row in all_rows()
]


@pytest.mark.parametrize("row", [row for row in ROWS if not row.values[0].refused])
def test_values_cross_exactly(row: Row, made: Seen, arrived: Seen) -> None:
    left, first = made[row.name], arrived[row.name]
    assert left.keys() <= {"values", "fingerprints", "then"}, left
    assert first.keys() == {"first", "second"}, first
    for step in first.values():
        assert step == left


@pytest.mark.parametrize("row", [row for row in ROWS if row.values[0].refused])
def test_what_cannot_cross_is_named(row: Row, made: Seen) -> None:
    refusal = made[row.name].get("refused", made[row.name])
    path, _, what = row.refused.partition(" is a ")
    assert f": {path} is a" in refusal
    assert what in refusal


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | st.text() | st.binary()
    | st.datetimes(timezones=st.none() | st.timezones()) | st.decimals() | st.fractions()
)  # fmt: skip
KEYS = st.text() | st.integers() | st.tuples(st.integers(), st.text())
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner) | st.sets(KEYS, max_size=1)
    ),
    max_leaves=20,
)


def cross(path: Path, **values: Any) -> dict[str, Any]:
    """What the next step gets."""
    definitions = Definitions()
    save_artifact(str(path), values, {}, definitions)
    return load_artifact(str(path), {}, definitions.resolve)


@settings(deadline=None)
@given(value=VALUES)
def test_values_arrive_as_they_left(value: Any, folder: Path) -> None:
    assert portrait(cross(folder / "value", value=value)) == portrait({"value": value})


@settings(deadline=None, max_examples=30)
@given(value=st.lists(VALUES, min_size=1))
def test_an_object_that_two_names_share_is_one_object_still(value: list[Any], folder: Path) -> None:
    both = cross(folder / "shared", value=value, wrapped=[value])
    assert both["wrapped"][0] is both["value"]


TYPES = "int8 uint64 >i4 float16 float64 complex128 bool U3 S2 M8[us] m8[s] object".split()


@settings(deadline=None)
@given(data=st.data(), dtype=st.sampled_from(TYPES), order=st.sampled_from("CF"), writeable=st.booleans())
def test_arrays_and_what_they_share(
    data: st.DataObject, dtype: str, order: str, writeable: bool, folder: Path
) -> None:
    np = pytest.importorskip("numpy")
    shape = data.draw(st.lists(st.integers(0, 3), max_size=3))
    bits = data.draw(
        st.lists(st.integers(0, 100), min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))
    )
    array = np.array(bits, dtype="int64").astype(dtype).reshape(shape, order=order)
    steps = data.draw(st.tuples(*(st.sampled_from([1, 2, -1, -2]) for _ in shape)))
    view = array[(*(slice(None, None, step) for step in steps), ...)].T
    view.flags.writeable = writeable
    left = {"view": view, "array": array}
    arrived = cross(folder / "arrays", **left)
    assert portrait(arrived) == portrait(left)
    assert bool(np.shares_memory(arrived["view"], arrived["array"])) == bool(np.shares_memory(view, array))


def test_a_small_view_alone_leaves_its_large_array_behind(folder: Path) -> None:
    np = pytest.importorskip("numpy")
    big = np.zeros(3_000_000)
    assert cross(folder / "small", view=big[5:8])["view"].tolist() == [0, 0, 0]
    assert (folder / "small").stat().st_size < 1000


def test_a_change_does_not_reach_the_file_nor_another_reader(folder: Path) -> None:
    np = pytest.importorskip("numpy")
    pd = pytest.importorskip("pandas")
    array = np.zeros(100_000)
    first = cross(folder / "large", array=array, frame=pd.DataFrame({"a": array}))
    second = load_artifact(str(folder / "large"), {}, Definitions().resolve)
    first["array"][:] = 1
    first["frame"].loc[:, "a"] = 2
    third = load_artifact(str(folder / "large"), {}, Definitions().resolve)
    for reader in (second, third):
        assert reader["array"].sum() == reader["frame"]["a"].sum() == 0
