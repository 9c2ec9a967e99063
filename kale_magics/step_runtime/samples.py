"""What a fingerprint has of arrays, frames and other objects of numpy, pandas and scikit-learn.

Of a large array a sample is read, at positions that depend on its size alone. The libraries are taken from
`sys.modules`: a value of a library that is not loaded cannot be there.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable
from typing import Any

from kale_magics.step_runtime.kinds import Kind
from kale_magics.step_runtime.nodes import (
    MAX_HEADS,
    MAX_PARTS,
    MEASURED,
    NOISE,
    Parts,
    checksum_of,
    class_dict,
    hash_of,
    is_plain,
    module_name,
    said,
    sample_positions,
    sealed_node,
    short_text,
)

MAX_WHOLE_BYTES = 1 << 17
"""Bytes of an array that is read whole."""

SAMPLE = 2_048
"""Elements that are read of a larger one."""

COLUMN_HEADS = 4
"""First elements that are shown of a column of doubles: there may be many columns."""

SMALL_SAMPLE = 128
"""The same once a value has been read as far as its budget goes."""

BYTES_OF_SAMPLED = 64
"""What an element of a sample costs of the budget of bytes: it is read alone."""

MAX_OBJECTS = 400
"""Elements of an array of objects that are read."""

ROUNDED_ARRAY_BITS = {8: 18, 4: 6}
"""Bits of a float that rounding removes, by its size in bytes."""

ARRAY_COST = 5
"""What an array costs of the budget of objects."""

EXTENSION_ARRAYS = (
    ("Categorical", ("_ndarray", "_ordered", "_categories")),
    ("BaseMaskedArray", ("_data", "_mask")),
    ("IntervalArray", ("_left", "_right")),
    ("SparseArray", ("sp_values", "_sparse_places", "fill_value")),
    ("NDArrayBackedExtensionArray", ("_ndarray",)),
)
"""Extension arrays of pandas by the name of a base, and where their content is."""

UNREADABLE_PANDAS = (
    "pandas.core.groupby pandas.core.window pandas.core.resample pandas.io pandas.core.internals"
    " pandas.plotting pandas.core.accessor pandas.core.strings pandas.core.indexes.accessors"
    " pandas.api.typing"
).split()
"""Modules of pandas whose objects arrange themselves anew when they are used."""


def sampler_of(kind: Kind) -> Callable[[Any, Any, int], dict[str, Any]] | None:
    """What reads the objects of a class of numpy, pandas or scikit-learn.

    Args:
        kind: The class.

    Returns:
        A function of a `FingerprintReader`, an object and how many objects that is in, which gives what is
        known of it; None if the attributes of the object say what it is.
    """
    found = None
    if "numpy" in kind.libraries and hasattr(sys.modules.get("numpy"), "ndarray"):
        found = sampler_of_numpy(kind)
    if "pandas" in kind.libraries and hasattr(sys.modules.get("pandas"), "DataFrame"):
        found = sampler_of_pandas(kind)
    if found is None and kind.library == "sklearn":
        found = sampler_of_compiled(kind)
    return found


def sampler_of_numpy(kind: Kind) -> Any:
    """What reads objects of a class of numpy's; None if it is none."""
    numpy: Any = sys.modules["numpy"]
    if hasattr(sys.modules.get("numpy.ma"), "MaskedArray") and kind.has(numpy.ma.MaskedArray):
        return read_masked
    readers = {
        numpy.ndarray: read_array,
        numpy.generic: read_scalar,
        numpy.dtype: as_said(str),
        numpy.ufunc: as_said(lambda function: function.__name__),
        numpy.random.RandomState: read_generator,
        numpy.random.Generator: read_generator,
    }
    return next((read for base, read in readers.items() if kind.has(base)), None)


def sampler_of_pandas(kind: Kind) -> Any:
    """What reads objects of a class of pandas'; None if it is none, or if their attributes say all."""
    pandas: Any = sys.modules["pandas"]
    readers = {
        pandas.DataFrame: read_frame,
        pandas.Series: read_series,
        pandas.Index: read_index,
        pandas.api.extensions.ExtensionArray: read_extension,
    }
    found = next((read for base, read in readers.items() if kind.has(base)), None)
    if found is None and any(module_name(base).startswith(tuple(UNREADABLE_PANDAS)) for base in kind.bases):
        return lambda *_: {"no": f"a {kind.name} is not compared"}
    return found


def as_said(text_of: Callable[[Any], str]) -> Callable[..., dict[str, Any]]:
    """A reader of objects that a text says completely."""
    return lambda _, value, *__: said(text_of(value))


# numpy


def plain_array(reader: Any, array: Any, depth: int, most: int = 0) -> dict[str, Any]:
    """What is known of an array.

    Args:
        reader: A `FingerprintReader`.
        array: An ndarray, and no subclass.
        depth: How many objects it is in.
        most: How many elements are read; 0 for as many as its size allows.
    """
    flat = account_for(reader, array, most)
    return of_elements(array, flat_known(reader, flat, depth))


def account_for(reader: Any, array: Any, most: int = 0) -> Any:
    """The elements of an array that are read, in one dimension; the reader's budgets pay for them."""
    reader.left -= ARRAY_COST * (1 + len(array.dtype.names or ()))
    return flat_sample(reader, array, most or elements_read(reader, array))


def of_elements(array: Any, known: dict[str, Any]) -> dict[str, Any]:
    """What is known of an array of whose elements this is known."""
    dtype, shape = array.dtype, array.shape
    described = str(dtype.descr) if dtype.names else str(dtype) if dtype.kind == "T" else dtype.str
    head = f"{described} {shape} ".encode("utf-8", "replace")
    known["hash"] = tuple([head + piece for piece in known["hash"]])
    known["d"], known["s"] = short_text(described), list(shape)
    return known


def elements_read(reader: Any, array: Any) -> int:
    """How many elements of an array are read."""
    if array.dtype.hasobject or array.dtype.kind == "T":
        return MAX_OBJECTS
    cost = array.nbytes if array.nbytes <= MAX_WHOLE_BYTES else SAMPLE * BYTES_OF_SAMPLED
    if cost > reader.bytes_left:
        reader.is_cut = True
        return SMALL_SAMPLE
    reader.bytes_left -= cost
    return int(array.size) if cost == array.nbytes else SAMPLE


def flat_sample(reader: Any, array: Any, most: int) -> Any:
    """The elements of an array that are read, in one dimension."""
    size = int(array.size)
    if size <= most:
        return array.reshape(-1)
    numpy: Any = sys.modules["numpy"]
    places = reader.places.get((size, most))
    if places is None:
        places = reader.places[size, most] = numpy.array(sample_positions(size, most))
    if array.flags.c_contiguous:
        return array.reshape(-1)[places]
    return array[numpy.unravel_index(places, array.shape)]


def flat_known(reader: Any, flat: Any, depth: int) -> dict[str, Any]:
    """The hashes and the first elements of an array in one dimension."""
    if flat.dtype.names:
        fields = [flat_known(reader, flat[name].reshape(-1), depth) for name in flat.dtype.names]
        hashes = tuple(hash_of(*(field["hash"][way] for field in fields)).encode() for way in (0, 1, 2))
        some = sorted({reason for field in fields for reason in field.get("some", ())})
        # Objects in it have a `repr` that may be anybody's.
        shown = [] if flat.dtype.hasobject else flat[:2].tolist()
        known = {"hash": hashes, "e": [short_text(repr(item)) for item in shown]}
        return {**known, "some": some} if some else known
    if flat.dtype.kind in "OT":
        return dict(reader.elements(flat.tolist(), depth))
    if flat.dtype.kind in "fc":
        return {"hash": float_hashes(flat), "e": first_texts(flat)}
    return {"hash": (checksum_of(flat.tobytes()),) * 3, "e": first_texts(flat)}


def first_texts(flat: Any) -> list[str]:
    """The first elements as texts."""
    if flat.dtype.kind in "biu" or flat.dtype.str[1:] == "f8":
        return list(map(repr, flat[:MAX_HEADS].tolist()))
    return [short_text(str(item)) for item in flat[:MAX_HEADS]]


def float_hashes(flat: Any) -> tuple[bytes, bytes, bytes]:
    """The exact and the rounded hashes of floats or complex numbers, which may be an array's own memory."""
    numpy: Any = sys.modules["numpy"]
    if flat.dtype.kind == "c":
        flat = numpy.concatenate([flat.real, flat.imag])
    if flat.dtype.itemsize > 8:  # a long double has bytes that mean nothing
        flat = flat.astype("f8")
    return float_rows_hashes(numpy.array(flat[None], dtype=flat.dtype.newbyteorder("="), order="C"))[0]


def float_rows_hashes(rows: Any) -> list[tuple[bytes, bytes, bytes]]:
    """The hashes of each row of floats, an array of two dimensions that is changed.

    Floats are rounded on two grids: rows that differ by rounding errors are equal on at least one of them;
    the first one stands for the exact values. What is much smaller than the largest element of its row
    counts as zero. All is done in place, for fresh memory takes more time than the calculation.
    """
    numpy: Any = sys.modules["numpy"]
    ends = {"axis": 1, "initial": 0, "keepdims": True}
    largest = numpy.maximum(rows.max(**ends), -rows.min(**ends))
    if not (largest < numpy.inf).all():  # there is an infinity or a NaN
        rows[rows != rows] = numpy.nan
        size = numpy.abs(rows)
        largest = size.max(where=size < numpy.inf, **ends)
    if rows.dtype.itemsize < 4:
        return [(checksum_of(row),) * 3 for row in rows]
    least = numpy.maximum(largest * rows.dtype.type(2.0**-44), rows.dtype.type(NOISE))
    is_noise = rows < least
    is_noise &= rows > -least
    rows[is_noise] = 0
    bits = rows.view(f"i{rows.dtype.itemsize}")
    bits >>= ROUNDED_ARRAY_BITS[rows.dtype.itemsize] - 1
    half = numpy.empty(bits.shape, "u1")  # whether the last bit, which the first grid drops, is set
    numpy.bitwise_and(bits, 1, out=half, casting="unsafe")
    bits >>= 1
    first = [checksum_of(row) for row in bits]
    bits += half
    second = [checksum_of(row) for row in bits]
    return list(itertools.zip_longest(first, first, second))


def read_array(reader: Any, value: Any, depth: int) -> dict[str, Any]:
    """An array that is not masked; what a subclass of the user's has in its attributes counts too."""
    numpy: Any = sys.modules["numpy"]
    if type(value) is numpy.ndarray:
        return {**plain_array(reader, value, depth), "closed": True}
    plain = numpy.ndarray.view(value, numpy.ndarray)
    return {**plain_array(reader, plain, depth), "closed": module_name(type(value)).startswith("numpy")}


def read_masked(reader: Any, value: Any, depth: int) -> dict[str, Any]:
    """A masked array."""
    numpy: Any = sys.modules["numpy"]
    plain = numpy.ndarray.view(value, numpy.ndarray)
    most = elements_read(reader, plain)
    mask = numpy.asarray(object.__getattribute__(value, "_mask"))
    hidden = flat_sample(reader, numpy.broadcast_to(mask, plain.shape), most)
    shown = flat_sample(reader, plain, most).copy()
    if not plain.dtype.names:
        shown[hidden] = numpy.zeros((), plain.dtype)  # what is below the mask means nothing
    parts = Parts(f"{plain.dtype} {plain.shape}")
    parts.add(".data", sealed_node("array", plain_array(reader, shown, depth, most)))
    parts.add(".mask", sealed_node("array", plain_array(reader, hidden, depth, most)))
    return parts.whole(d=plain.dtype.str, s=list(plain.shape))


def read_scalar(reader: Any, value: Any, depth: int) -> dict[str, Any]:
    """A number of numpy's."""
    known = plain_array(reader, sys.modules["numpy"].asarray(value), depth)
    return {**known, "x": short_text(str(value)), "closed": True}


def read_generator(reader: Any, value: Any, depth: int) -> dict[str, Any]:
    """The state of one of numpy's random generators."""
    if not module_name(type(value)).startswith("numpy"):
        return {"no": "its state cannot be read"}
    legacy = hasattr(type(value), "get_state")
    parts = Parts("")
    parts.add(
        ".state", reader.read(value.get_state(False) if legacy else value.bit_generator.state, depth + 1)
    )
    return parts.whole()


# pandas


def read_frame(reader: Any, frame: Any, depth: int) -> dict[str, Any]:
    """The columns and the index of a frame."""
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
        if label not in nodes:
            parts.stop()
            break
        parts.add(label, nodes[label])
    add_attributes(reader, frame, depth, parts)
    return parts.whole(c=labels[:MAX_PARTS], n=len(labels), s=[len(index), len(columns)])


def column_nodes(reader: Any, columns: dict[str, Any], depth: int) -> dict[str, dict[str, Any]]:
    """The nodes of the columns of a frame, as many as the budget allows.

    Columns of doubles are read together, and known by their checksums: that takes a fourth of the time.
    """
    numpy: Any = sys.modules["numpy"]
    nodes: dict[str, dict[str, Any]] = {}
    doubles: dict[int, dict[str, Any]] = {}
    for label, array in columns.items():
        if reader.left < 0:
            break
        if type(array) is numpy.ndarray and array.dtype.char == "d" and array.dtype.isnative:
            flat = account_for(reader, array)
            doubles.setdefault(flat.size, {})[label] = flat
            nodes[label] = {"t": "array", "d": array.dtype.str, "s": list(array.shape)}
        else:
            nodes[label] = values_node(reader, array, depth)
    for alike in doubles.values():
        rows = numpy.stack(list(alike.values()))
        heads = rows[:, :COLUMN_HEADS].tolist()
        for label, head, hashes in itertools.zip_longest(alike, heads, float_rows_hashes(rows)):
            exact, *rounded = map(bytes.decode, hashes)
            nodes[label].update(e=list(map(repr, head)), h=exact)
            if rounded != [exact, exact]:
                nodes[label]["a"] = rounded
    return nodes


def column_values(manager: Any) -> list[Any]:
    """The values of each column of a frame, however pandas keeps them together."""
    found: dict[int, Any] = {}
    for block in manager.blocks:
        values = block.values
        for row, place in enumerate(block.mgr_locs.as_array.tolist()):
            found[place] = values[row] if values.ndim == 2 else values
    return [found[place] for place in sorted(found)]


def column_labels(columns: Any) -> list[str]:
    """What the columns of a frame are called here, each otherwise."""
    found: dict[str, None] = {}
    for place, name in enumerate(columns.tolist()):
        shown = all(map(is_plain, name if type(name) is tuple else (name,)))
        label = f"column {name!r}" if shown else f"column {place}"
        found[
            label if label not in found and len(label) <= 80 else f"column {place}: {short_text(label)}"
        ] = None
    return list(found)


def values_node(reader: Any, array: Any, depth: int) -> dict[str, Any]:
    """The node of the values of a column or an index."""
    if type(array) is sys.modules["numpy"].ndarray:
        return sealed_node("array", plain_array(reader, array, depth))
    return sealed_node(type(array).__name__, read_extension(reader, array, depth))


def add_attributes(reader: Any, value: Any, depth: int, parts: Parts) -> None:
    """Take in what a frame or a series has in `attrs`."""
    attributes = object.__getattribute__(value, "__dict__").get("_attrs")
    if attributes:
        parts.add("attrs", reader.read(attributes, depth + 1))


def read_series(reader: Any, series: Any, depth: int) -> dict[str, Any]:
    """The values, the index and the name of a series."""
    manager = object.__getattribute__(series, "_mgr")
    (index,) = manager.axes
    parts = Parts("series")
    parts.add("the values", values_node(reader, manager.blocks[0].values, depth + 1))
    parts.add("the index", reader.read(index, depth + 1))
    parts.add("the name", reader.read(object.__getattribute__(series, "_name"), depth + 1))
    add_attributes(reader, series, depth, parts)
    return parts.whole(s=[len(index)])


def read_index(reader: Any, index: Any, depth: int) -> dict[str, Any]:
    """The values and the names of an index."""
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
    """An extension array of pandas."""
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
    """One of the parts that an extension array has."""
    if name == "_ordered":
        return bool(array.dtype.ordered)
    if name == "_categories":
        return array.dtype.categories
    if name == "_sparse_places":
        return array.sp_index.to_int_index().indices
    content = getattr(array, name)
    if name == "_data" and array._mask.any():
        content = content.copy()
        content[array._mask] = 0  # what is below the mask means nothing
    return content


def read_arrow(reader: Any, array: Any, depth: int) -> dict[str, Any]:
    """An array of Arrow's, whatever its chunks."""
    content = array._pa_array
    if len(array) > MAX_OBJECTS:
        content = content.take(list(sample_positions(len(array), MAX_OBJECTS)))
    known = dict(reader.elements(content.to_pylist(), depth))
    head = f"{array.dtype} {len(array)} ".encode()
    return {**known, "hash": tuple(head + piece for piece in known["hash"]), "closed": True}


# scikit-learn


def sampler_of_compiled(kind: Kind) -> Any:
    """What reads objects of scikit-learn's compiled code, as the trees of a forest; None for all others."""
    for base in kind.bases:
        if base is object or "__dict__" in class_dict(base):
            return None  # its attributes say what it is
        if "__getstate__" in class_dict(base) and module_name(base).startswith("sklearn."):
            return functools.partial(read_state, base.__getstate__)
    return None


def read_state(state_of: Any, reader: Any, value: Any, depth: int) -> dict[str, Any]:
    """An object as its `__getstate__` tells it."""
    parts = Parts("")
    parts.add(".state", reader.read(state_of(value), depth + 1))
    return parts.whole()
