"""How to look at what is numpy's and scipy's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


def content(array: Any) -> Iterator[tuple[str, Any]]:
    """The elements: as bits where every bit counts."""
    plain = array.dtype.kind in "biufcmMSU" and array.dtype.char not in "gG"
    if plain:
        yield "!", array.tobytes().hex()[:4000]
    if array.dtype.kind == "O":
        for number, item in enumerate(array.ravel("A").tolist() if array.size else ()):
            yield f".flat[{number}]", item
    elif not plain or array.size < 100:
        yield "!", repr(array.tolist())


def of_array(array: Any) -> Iterator[tuple[str, Any]]:
    """Type, shape, order, flags and elements of an array."""
    flags = array.flags
    yield "!", f"{describe_type(array.dtype)} {array.shape} c={flags.c_contiguous} f={flags.f_contiguous}"
    yield "!", f"writeable={flags.writeable} aligned={flags.aligned}"
    if array is np.ma.masked:
        yield "!", "masked"
    elif isinstance(array, np.ma.MaskedArray):
        yield ".data", np.ma.getdata(array).view(np.ndarray)
        yield ".mask", "nomask" if array.mask is np.ma.nomask else np.ma.getmaskarray(array)
        yield "!", f"fill {array.fill_value!r} hard {array.hardmask}"
    else:
        yield from content(array)


def describe_type(dtype: Any) -> str:
    """All of a dtype, with what its text leaves out."""
    inner = {n: (describe_type(f[0]), *f[1:]) for n, f in (dtype.fields or {}).items()}
    return f"{dtype!r} {dtype.str} {dtype.char} {dtype.itemsize} {dtype.isalignedstruct} {dtype.metadata or None} {inner or ''}"


LOOKS: dict[Any, Callable[[Any], Iterator[tuple[str, Any]]]] = {
    np.ndarray: of_array,
    np.generic: lambda value: content(np.asarray(value)),
}
