"""Fingerprints of arrays and other objects of numpy.

Of a large array a sample is read, at positions that depend on its size alone. The libraries come from
`sys.modules`: a value of a library that is not loaded cannot exist.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any

from kale_magics.step_runtime.fingerprint_nodes import (
    MAX_HEADS,
    NOISE,
    Parts,
    checksum_of,
    hash_of,
    make_node,
    module_name,
    sample_positions,
    short_text,
)

MAX_WHOLE_BYTES = 1 << 17
"""Bytes of an array that is read whole."""

SAMPLE_SIZE = 2_048
"""Elements that are read of a larger one."""

SMALL_SAMPLE_SIZE = 128
"""The same once the budget of a value is spent."""

BYTES_PER_SAMPLE = 64
"""The cost of a sampled element in the budget of bytes: it is read alone."""

MAX_OBJECTS = 400
"""Elements of an array of objects that are read."""

ROUNDED_ARRAY_BITS = {8: 18, 4: 6}
"""Bits of a float that rounding removes, by its size in bytes."""

ARRAY_COST = 5
"""The cost of an array in the budget of objects."""


def plain_array_facts(reader: Any, array: Any, depth: int, limit: int = 0) -> dict[str, Any]:
    """Return the facts about an array.

    Args:
        reader: A `FingerprintReader`.
        array: An ndarray, not of a subclass.
        depth: How many objects it is nested in.
        limit: How many elements are read; 0 for as many as its size allows.
    """
    flat = sample_array(reader, array, limit)
    return array_facts(array, flat_facts(reader, flat, depth))


def sample_array(reader: Any, array: Any, limit: int = 0, cost: int = ARRAY_COST) -> Any:
    """Return the elements to read of an array, in one dimension, and charge the reader's budgets for them."""
    reader.left -= cost * (1 + len(array.dtype.names or ()))
    return flat_sample(reader, array, limit or elements_read(reader, array))


def array_facts(array: Any, known: dict[str, Any]) -> dict[str, Any]:
    """Complete the facts about an array's elements to those about the array."""
    dtype, shape = array.dtype, array.shape
    described = str(dtype.descr) if dtype.names else str(dtype) if dtype.kind == "T" else dtype.str
    head = f"{described} {shape} ".encode("utf-8", "replace")
    known["hash"] = tuple([head + piece for piece in known["hash"]])
    known["d"], known["s"] = short_text(described), list(shape)
    return known


def elements_read(reader: Any, array: Any) -> int:
    """Return how many elements of an array are read."""
    if array.dtype.hasobject or array.dtype.kind == "T":
        return MAX_OBJECTS
    cost = array.nbytes if array.nbytes <= MAX_WHOLE_BYTES else SAMPLE_SIZE * BYTES_PER_SAMPLE
    if cost > reader.bytes_left:
        reader.is_cut = True
        return SMALL_SAMPLE_SIZE
    reader.bytes_left -= cost
    return int(array.size) if cost == array.nbytes else SAMPLE_SIZE


def flat_sample(reader: Any, array: Any, limit: int) -> Any:
    """Return the elements to read of an array, in one dimension."""
    size = int(array.size)
    if size <= limit:
        return array.reshape(-1)
    numpy: Any = sys.modules["numpy"]
    places = reader.places.get((size, limit))
    if places is None:
        places = reader.places[size, limit] = numpy.array(sample_positions(size, limit))
    if array.flags.c_contiguous:
        return array.reshape(-1)[places]
    return array[numpy.unravel_index(places, array.shape)]


def flat_facts(reader: Any, flat: Any, depth: int) -> dict[str, Any]:
    """Return the hashes and the first elements of an array in one dimension."""
    if flat.dtype.names:
        fields = [flat_facts(reader, flat[name].reshape(-1), depth) for name in flat.dtype.names]
        hashes = tuple(hash_of(*(field["hash"][way] for field in fields)).encode() for way in (0, 1, 2))
        some = sorted({reason for field in fields for reason in field.get("some", ())})
        # The `repr` of objects in it may be user code.
        shown = [] if flat.dtype.hasobject else flat[:2].tolist()
        known = {"hash": hashes, "e": [short_text(repr(item)) for item in shown]}
        return {**known, "some": some} if some else known
    if flat.dtype.kind in "OT":
        return dict(reader.elements(flat.tolist(), depth))
    if flat.dtype.kind in "fc":
        return {"hash": float_hashes(flat), "e": first_texts(flat)}
    return {"hash": (checksum_of(flat.tobytes()),) * 3, "e": first_texts(flat)}


def first_texts(flat: Any) -> list[str]:
    """Return the first elements as texts."""
    if flat.dtype.kind in "biu" or flat.dtype.str[1:] == "f8":
        return list(map(repr, flat[:MAX_HEADS].tolist()))
    return [short_text(str(item)) for item in flat[:MAX_HEADS]]


def float_hashes(flat: Any) -> tuple[bytes, bytes, bytes]:
    """Return the hashes of floats or complex numbers, without changing them; see `float_rows_hashes`."""
    numpy: Any = sys.modules["numpy"]
    if flat.dtype.kind == "c":
        flat = numpy.concatenate([flat.real, flat.imag])
    if flat.dtype.itemsize > 8:  # a long double has padding bytes
        flat = flat.astype("f8")
    return float_rows_hashes(numpy.array(flat[None], dtype=flat.dtype.newbyteorder("="), order="C"))[0]


def float_rows_hashes(rows: Any) -> list[tuple[bytes, bytes, bytes]]:
    """Return the hashes of each row of a two-dimensional array of floats, which is changed.

    Floats are rounded on two grids: rows that differ by rounding errors are equal on at least one of them;
    the first one is used for the exact values. Elements much smaller than the largest of their row count as
    zero. All is done in place, because allocating memory takes longer than the calculation.
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
    """Read an array that is not masked; the attributes of a user's subclass count too."""
    numpy: Any = sys.modules["numpy"]
    if type(value) is numpy.ndarray:
        return {**plain_array_facts(reader, value, depth), "complete": True}
    plain = numpy.ndarray.view(value, numpy.ndarray)
    return {
        **plain_array_facts(reader, plain, depth),
        "complete": module_name(type(value)).startswith("numpy"),
    }


def read_masked(reader: Any, value: Any, depth: int) -> dict[str, Any]:
    """Read a masked array."""
    numpy: Any = sys.modules["numpy"]
    plain = numpy.ndarray.view(value, numpy.ndarray)
    limit = elements_read(reader, plain)
    mask = numpy.asarray(object.__getattribute__(value, "_mask"))
    hidden = flat_sample(reader, numpy.broadcast_to(mask, plain.shape), limit)
    shown = flat_sample(reader, plain, limit).copy()
    if not plain.dtype.names:
        shown[hidden] = numpy.zeros((), plain.dtype)  # masked values have no meaning
    parts = Parts(f"{plain.dtype} {plain.shape}")
    parts.add(".data", make_node("array", plain_array_facts(reader, shown, depth, limit)))
    parts.add(".mask", make_node("array", plain_array_facts(reader, hidden, depth, limit)))
    return parts.whole(d=plain.dtype.str, s=list(plain.shape))


def read_scalar(reader: Any, value: Any, depth: int) -> dict[str, Any]:
    """Read a number of numpy."""
    known = plain_array_facts(reader, sys.modules["numpy"].asarray(value), depth)
    return {**known, "x": short_text(str(value)), "complete": True}


def read_generator(reader: Any, value: Any, depth: int) -> dict[str, Any]:
    """Read the state of one of numpy's random generators."""
    if not module_name(type(value)).startswith("numpy"):
        return {"no": "its state cannot be read"}
    legacy = hasattr(type(value), "get_state")
    parts = Parts("")
    parts.add(
        ".state", reader.read(value.get_state(False) if legacy else value.bit_generator.state, depth + 1)
    )
    return parts.whole()
