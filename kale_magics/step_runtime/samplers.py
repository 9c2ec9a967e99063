"""Which function reads the objects of a class of numpy, pandas or scikit-learn for a fingerprint."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from kale_magics.step_runtime.frames import read_extension, read_frame, read_index, read_series
from kale_magics.step_runtime.kinds import Kind
from kale_magics.step_runtime.nodes import Parts, class_dict, module_name, said
from kale_magics.step_runtime.samples import read_array, read_generator, read_masked, read_scalar

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
