"""How to look at what is pandas'."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
from pandas.api.extensions import ExtensionArray, ExtensionDtype


def of_frame(frame: Any) -> Iterator[tuple[str, Any]]:
    """Axes, columns and what a frame says about itself."""
    yield "!", f"{frame.shape} {frame.flags} {[getattr(frame, name, None) for name in frame._metadata]}"
    yield ".attrs", frame.attrs
    yield ".lost", frame.__dict__.get("lost")
    yield ".index", frame.index
    if isinstance(frame, pd.Series):
        yield ".name", frame.name
        yield from of_array(frame.array)
        return
    yield ".columns", frame.columns
    for number in range(frame.shape[1]):
        yield from (
            (f".iloc[:, {number}]{name}", part) for name, part in of_array(frame.iloc[:, number].array)
        )


def of_index(index: Any) -> Iterator[tuple[str, Any]]:
    """Labels, names and how the index holds them."""
    yield "!", f"{index!r:.2000} {list(index.names)} {getattr(index, 'freq', None)!r}"
    if isinstance(index, pd.MultiIndex):
        for number, (level, codes) in enumerate(zip(index.levels, index.codes, strict=True)):
            yield f".levels[{number}]", level
            yield f".codes[{number}]", codes
    elif not isinstance(index, pd.RangeIndex):
        yield from of_array(index.array)  # made when it is asked for


def of_array(array: Any) -> Iterator[tuple[str, Any]]:
    """Type and elements of a column."""
    yield from ((f".dtype{name}", part) for name, part in of_dtype(array.dtype))
    yield "!", f"{type(array).__name__} read-only={getattr(array, '_readonly', None)}"
    if isinstance(array, pd.Categorical):
        yield ".codes", array.codes
    for name in ("_ndarray", "_data", "_mask"):
        memory = getattr(array, name, None)
        if type(memory).__module__ == "numpy":
            yield "!", f"{name} {memory.dtype} writeable={memory.flags.writeable}"
    for number, item in enumerate(list(array)[:20]):
        simple = array.dtype.kind != "O" or type(item).__module__.startswith("pandas")
        yield ("!", f"{type(item).__name__} {item!r}") if simple else (f"[{number}]", item)


def of_dtype(dtype: Any) -> Iterator[tuple[str, Any]]:
    """All of a type."""
    yield "!", f"{dtype!r} {getattr(dtype, 'storage', '')} {getattr(dtype, 'na_value', '')!r}"
    if isinstance(dtype, pd.CategoricalDtype):
        yield ".categories", dtype.categories
        yield ".ordered", dtype.ordered


def of_text(value: Any) -> Iterator[tuple[str, Any]]:
    """What says all in one text."""
    unit = getattr(value, "unit", "")
    yield "!", f"{value!r} {unit}"


LOOKS: dict[Any, Callable[[Any], Iterator[tuple[str, Any]]]] = {
    (pd.DataFrame, pd.Series): of_frame,
    pd.Index: of_index,
    pd.CategoricalDtype: of_dtype,
    ExtensionDtype: of_dtype,
    ExtensionArray: of_array,
    (pd.Timestamp, pd.Timedelta, pd.Period, pd.Interval, pd.DateOffset, type(pd.NA), type(pd.NaT)): of_text,
}
