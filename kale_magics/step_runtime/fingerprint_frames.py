"""Fingerprints of frames and other objects of pandas.

A reader receives the `FingerprintReader`, the object, and how many objects it is nested in.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any

from kale_magics.step_runtime.fingerprint_arrays import (
    ARRAY_COST,
    MAX_OBJECTS,
    float_rows_hashes,
    plain_array_facts,
    sample_array,
)
from kale_magics.step_runtime.fingerprint_nodes import (
    MAX_PARTS,
    MEASURED,
    Parts,
    affordable,
    is_plain,
    make_node,
    module_name,
    sample_positions,
    short_text,
)

MAX_COLUMN_HEADS = 4
"""First elements that are shown of a column of doubles; there may be many columns."""

EXTENSION_ARRAYS = (
    ("Categorical", ("_ndarray", "_ordered", "_categories")),
    ("BaseMaskedArray", ("_data", "_mask")),
    ("IntervalArray", ("_left", "_right")),
    ("SparseArray", ("sp_values", "_sparse_places", "fill_value")),
    ("NDArrayBackedExtensionArray", ("_ndarray",)),
)
"""Extension arrays of pandas by the name of a base, and the attributes with their content."""


def read_frame(reader: Any, frame: Any, depth: int) -> dict[str, Any]:
    """Read the columns and the index of a frame."""
    manager = object.__getattribute__(frame, "_mgr")
    columns, index = manager.axes
    labels = column_labels(columns)
    parts = Parts("frame")
    parts.add("the index", reader.read(index, depth + 1))
    measured = [label[8:-1] in MEASURED for label in labels]
    if not any(measured):
        parts.add("the columns", reader.read(columns, depth + 1))
    found = itertools.zip_longest(labels, column_values(manager), measured)
    read = {label: array for label, array, times in found if not times}
    nodes = column_nodes(reader, read, depth + 1)
    for label in read:
        if label in nodes:
            parts.add(label, nodes[label])
        else:
            parts.stop()
    add_attributes(reader, frame, depth, parts)
    return parts.whole(c=labels[:MAX_PARTS], n=len(labels), s=[len(index), len(columns)])


def column_nodes(reader: Any, columns: dict[str, Any], depth: int) -> dict[str, dict[str, Any]]:
    """Return the nodes of the columns of a frame, as many as the budget allows.

    Columns of doubles are read together and hashed by checksums, which takes a quarter of the time.
    """
    numpy: Any = sys.modules["numpy"]
    nodes: dict[str, dict[str, Any]] = {}
    fast: list[str] = []
    slow: list[str] = []
    for label, array in columns.items():
        is_double = type(array) is numpy.ndarray and array.dtype.char == "d" and array.dtype.isnative
        (fast if is_double else slow).append(label)
    for number in affordable(reader, len(slow)):
        nodes[slow[number]] = values_node(reader, columns[slow[number]], depth)
    doubles: dict[int, dict[str, Any]] = {}
    for number in affordable(reader, len(fast)):
        array = columns[fast[number]]
        flat = sample_array(reader, array, cost=1)
        doubles.setdefault(flat.size, {})[fast[number]] = flat
        nodes[fast[number]] = {"t": "array", "d": array.dtype.str, "s": list(array.shape)}
    for alike in doubles.values():
        rows = numpy.stack(list(alike.values()))
        heads = rows[:, :MAX_COLUMN_HEADS].tolist()
        for label, head, hashes in itertools.zip_longest(alike, heads, float_rows_hashes(rows)):
            exact, *rounded = map(bytes.decode, hashes)
            nodes[label].update(e=list(map(repr, head)), h=exact)
            if rounded != [exact, exact]:
                nodes[label]["a"] = rounded
    return nodes


def column_values(manager: Any) -> list[Any]:
    """Return the values of each column of a frame, however pandas stores them."""
    found: dict[int, Any] = {}
    for block in manager.blocks:
        values = block.values
        for row, place in enumerate(block.mgr_locs.as_array.tolist()):
            found[place] = values[row] if values.ndim == 2 else values
    return [found[place] for place in sorted(found)]


def column_labels(columns: Any) -> list[str]:
    """Return a unique label for each column of a frame."""
    found: dict[str, None] = {}
    for place, name in enumerate(columns.tolist()):
        shown = all(map(is_plain, name if type(name) is tuple else (name,)))
        label = f"column {name!r}" if shown else f"column {place}"
        found[
            label if label not in found and len(label) <= 80 else f"column {place}: {short_text(label)}"
        ] = None
    return list(found)


def values_node(reader: Any, array: Any, depth: int) -> dict[str, Any]:
    """Return the node of the values of a column or an index."""
    if type(array) is sys.modules["numpy"].ndarray:
        return make_node("array", plain_array_facts(reader, array, depth))
    return make_node(type(array).__name__, read_extension(reader, array, depth))


def add_attributes(reader: Any, value: Any, depth: int, parts: Parts) -> None:
    """Add the `attrs` of a frame or a series."""
    attributes = object.__getattribute__(value, "__dict__").get("_attrs")
    if attributes:
        parts.add("attrs", reader.read(attributes, depth + 1))


def read_series(reader: Any, series: Any, depth: int) -> dict[str, Any]:
    """Read the values, the index and the name of a series."""
    manager = object.__getattribute__(series, "_mgr")
    (index,) = manager.axes
    parts = Parts("series")
    parts.add("the values", values_node(reader, manager.blocks[0].values, depth + 1))
    parts.add("the index", reader.read(index, depth + 1))
    parts.add("the name", reader.read(object.__getattribute__(series, "_name"), depth + 1))
    add_attributes(reader, series, depth, parts)
    return parts.whole(s=[len(index)])


def read_index(reader: Any, index: Any, depth: int) -> dict[str, Any]:
    """Read the values and the names of an index."""
    kinds = {base.__name__ for base in type(index).__mro__}
    parts = Parts("index")
    parts.add("the names", reader.read(list(index.names), depth + 1))
    if "RangeIndex" in kinds:
        parts.add("the range", reader.read((index.start, index.stop, index.step), depth + 1))
    elif "MultiIndex" in kinds:
        for number, (level, codes) in enumerate(itertools.zip_longest(index.levels, index.codes)):
            parts.add(f"level {number}", reader.read(level, depth + 1))
            parts.add(f"the codes of level {number}", reader.read(codes, depth + 1))
    else:
        parts.add("the values", values_node(reader, index._data, depth + 1))
    return parts.whole(s=[len(index)])


def read_extension(reader: Any, array: Any, depth: int) -> dict[str, Any]:
    """Read an extension array of pandas."""
    reader.left -= ARRAY_COST
    if not module_name(type(array)).startswith("pandas"):
        return {"no": "an extension array of another library"}
    kinds = {base.__name__ for base in type(array).__mro__}
    about = {"d": short_text(str(array.dtype)), "s": [len(array)]}
    if "ArrowExtensionArray" in kinds:
        return {**read_arrow(reader, array, depth), **about}
    names = next((names for base, names in EXTENSION_ARRAYS if base in kinds), None)
    if names is None:
        return {"no": "an extension array that cannot be read"}
    parts = Parts(str(array.dtype))
    for name in names:
        parts.add(name, reader.read(content_of_extension(array, name), depth + 1))
    return parts.whole(**about)


def content_of_extension(array: Any, name: str) -> Any:
    """Return a part of the content of an extension array."""
    if name == "_ordered":
        return bool(array.dtype.ordered)
    if name == "_categories":
        return array.dtype.categories
    if name == "_sparse_places":
        return array.sp_index.to_int_index().indices
    content = getattr(array, name)
    if name == "_data" and array._mask.any():
        content = content.copy()
        content[array._mask] = 0  # masked values have no meaning
    return content


def read_arrow(reader: Any, array: Any, depth: int) -> dict[str, Any]:
    """Read an Arrow array, whatever its chunks."""
    content = array._pa_array
    if len(array) > MAX_OBJECTS:
        content = content.take(list(sample_positions(len(array), MAX_OBJECTS)))
    known = dict(reader.elements(content.to_pylist(), depth))
    head = f"{array.dtype} {len(array)} ".encode()
    return {**known, "hash": tuple(head + piece for piece in known["hash"]), "complete": True}
