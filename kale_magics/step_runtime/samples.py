"""What a fingerprint has of arrays and other objects of numpy.

Of a large array a sample is read, at positions that depend on its size alone. The libraries are taken from
`sys.modules`: a value of a library that is not loaded cannot be there.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any

from kale_magics.step_runtime.nodes import (
    MAX_HEADS,
    NOISE,
    Parts,
    checksum_of,
    hash_of,
    module_name,
    sample_positions,
    sealed_node,
    short_text,
)

MAX_WHOLE_BYTES = 1 << 17
"""Bytes of an array that is read whole."""

SAMPLE = 2_048
"""Elements that are read of a larger one."""

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


def account_for(reader: Any, array: Any, most: int = 0, cost: int = ARRAY_COST) -> Any:
    """The elements of an array that are read, in one dimension; the reader's budgets pay for them."""
    reader.left -= cost * (1 + len(array.dtype.names or ()))
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
    """The hashes of floats or complex numbers, which are left as they are; see `float_rows_hashes`."""
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
