"""Values arrive in the next step as they left: as a property, not as a list of examples."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kale_magics.step_runtime.artifacts import load_artifact, save_artifact
from kale_magics.step_runtime.pickling import Definitions

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


def cross(**values: Any) -> dict[str, Any]:
    """What the next step gets."""
    definitions = Definitions()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "artifact")
        save_artifact(path, values, {}, definitions)
        return load_artifact(path, {}, definitions.resolve)


@settings(deadline=None)
@given(value=VALUES)
def test_values_arrive_as_they_left(value: Any) -> None:
    # By repr: it tells types, the order of keys, and one NaN is as good as another.
    assert repr(cross(value=value)["value"]) == repr(value)


@settings(deadline=None)
@given(value=st.lists(VALUES, min_size=1))
def test_an_object_that_two_names_share_is_one_object_still(value: list[Any]) -> None:
    both = cross(value=value, wrapped=[value])
    assert both["wrapped"][0] is both["value"]


ARRAYS = [
    "int8",
    "uint64",
    ">i4",
    "float16",
    "float64",
    "complex128",
    "bool",
    "U3",
    "S2",
    "M8[us]",
    "m8[s]",
    "object",
]


@settings(deadline=None)
@given(data=st.data(), dtype=st.sampled_from(ARRAYS), order=st.sampled_from("CF"), writable=st.booleans())
def test_arrays_arrive_as_they_left(data: st.DataObject, dtype: str, order: str, writable: bool) -> None:
    np = pytest.importorskip("numpy")
    shape = data.draw(st.lists(st.integers(0, 3), max_size=3))
    count = int(np.prod(shape))
    bits = data.draw(st.lists(st.integers(0, 100), min_size=count, max_size=count))
    array = np.array(bits, dtype="int64").astype(dtype).reshape(shape, order=order)
    array.flags.writeable = writable
    arrived = cross(array=array)["array"]
    assert (arrived.dtype, arrived.shape) == (array.dtype, array.shape)
    assert arrived.tolist() == array.tolist()
    if writable:
        arrived[...] = arrived.copy()
