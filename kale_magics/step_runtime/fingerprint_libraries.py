"""The choice of a fingerprint reader for a class of numpy, pandas or scikit-learn."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from kale_magics.step_runtime.fingerprint_arrays import read_array, read_generator, read_masked, read_scalar
from kale_magics.step_runtime.fingerprint_classes import ClassFacts
from kale_magics.step_runtime.fingerprint_frames import read_extension, read_frame, read_index, read_series
from kale_magics.step_runtime.fingerprint_nodes import Parts, class_dict, module_name, text_facts

UNREADABLE_PANDAS = (
    "pandas.core.groupby pandas.core.window pandas.core.resample pandas.io pandas.core.internals"
    " pandas.plotting pandas.core.accessor pandas.core.strings pandas.core.indexes.accessors"
    " pandas.api.typing"
).split()
"""Modules of pandas whose objects change their state when they are used."""


def library_reader(kind: ClassFacts) -> Callable[[Any, Any, int], dict[str, Any]] | None:
    """Return the reader of the objects of a class of numpy, pandas or scikit-learn.

    Args:
        kind: The class.

    Returns:
        A function of a `FingerprintReader`, an object and its depth, which returns the facts about it; None
        if the object's attributes are its whole value.
    """
    found = None
    if "numpy" in kind.libraries and hasattr(sys.modules.get("numpy"), "ndarray"):
        found = numpy_reader(kind)
    if "pandas" in kind.libraries and hasattr(sys.modules.get("pandas"), "DataFrame"):
        found = pandas_reader(kind)
    if found is None and kind.library == "sklearn":
        found = compiled_reader(kind)
    return found


def numpy_reader(kind: ClassFacts) -> Any:
    """Return the reader of a numpy class; None for other classes."""
    numpy: Any = sys.modules["numpy"]
    if hasattr(sys.modules.get("numpy.ma"), "MaskedArray") and kind.has(numpy.ma.MaskedArray):
        return read_masked
    readers = {
        numpy.ndarray: read_array,
        numpy.generic: read_scalar,
        numpy.dtype: reader_of_text(str),
        numpy.ufunc: reader_of_text(lambda function: function.__name__),
        numpy.random.RandomState: read_generator,
        numpy.random.Generator: read_generator,
    }
    return next((read for base, read in readers.items() if kind.has(base)), None)


def pandas_reader(kind: ClassFacts) -> Any:
    """Return the reader of a pandas class; None for others, or if the attributes are the whole value."""
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


def reader_of_text(text_of: Callable[[Any], str]) -> Callable[..., dict[str, Any]]:
    """Return a reader of objects that a text describes completely."""
    return lambda _, value, *__: text_facts(text_of(value))


def compiled_reader(kind: ClassFacts) -> Any:
    """Return the reader of a compiled scikit-learn class, as the trees of a forest; None for all others."""
    for base in kind.bases:
        if base is object or "__dict__" in class_dict(base):
            return None  # its attributes are its value
        if "__getstate__" in class_dict(base) and module_name(base).startswith("sklearn."):
            return functools.partial(read_state, base.__getstate__)
    return None


def read_state(state_of: Any, reader: Any, value: Any, depth: int) -> dict[str, Any]:
    """Read an object by its `__getstate__`."""
    parts = Parts("")
    parts.add(".state", reader.read(state_of(value), depth + 1))
    return parts.whole()
