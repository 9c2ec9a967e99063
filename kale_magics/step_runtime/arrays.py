"""Arrays of numpy and pandas that share memory: they still do after they are loaded.

A view of a small part of a large array is written alone, as a copy, unless the array or another view of that
part is in the same artifact: this is known after all is written, and then all is written again.
"""

from __future__ import annotations

import importlib
import itertools
import mmap
import pickle
import sys
from typing import Any

from kale_magics.step_runtime.reducers import module_of, runtime_reference
from kale_magics.step_runtime.tensors import Tensors

MAX_SMALL_ARRAY = 1 << 20
"""Bytes of an array that are written for a view of it, however small the view is."""

BUFFERED = frozenset("biufcSU")
"""Kinds of dtypes whose memory numpy exports as a buffer."""

MAX_REFERENCES = 3
"""References to the base of an array that nothing else views: the array, `is_loaded` and `getrefcount`."""

WRITE_MODES = ("r+", "w+")
"""Modes of a memory map that changes its file."""


PANDAS_ATTRIBUTES = ("_mgr", "_attrs", "_flags", "_name", "_typ", "_metadata", "attrs")
"""Attributes that pandas itself keeps in a frame or a series, and pickles."""


class Arrays:
    """The arrays of one artifact.

    Args:
        whole: The `id` of arrays that are written whole if a view of them is.

    Attributes:
        used: The `id` of arrays, or of owned memory, that were written whole.
        copied: For the `id` of an array: first and last byte of its views that were written as copies.
        plain: By `id`: an array of a subclass, and its view as a plain one.
        tensors: The tensors of the same artifact.
    """

    def __init__(self, whole: frozenset[int] = frozenset()) -> None:
        self.whole = whole
        self.used: set[int] = set()
        self.copied: dict[int, list[tuple[int, int]]] = {}
        self.plain: dict[int, tuple[Any, Any]] = {}
        self.tensors = Tensors()

    def split_arrays(self) -> frozenset[int]:
        """Return the `id` of arrays of which parts were written more than once."""
        split_arrays = set(self.copied) & self.used
        for owner, bounds in self.copied.items():
            bounds.sort()
            if any(one[1] > other[0] for one, other in itertools.pairwise(bounds)):
                split_arrays.add(owner)
        return frozenset(split_arrays)

    def reduce(self, obj: Any) -> Any:
        """Reduce an array, or a pandas object that holds one; None to leave it to pickle."""
        numpy = sys.modules.get("numpy")
        if numpy is None:
            return None
        if not isinstance(obj, numpy.ndarray):
            return self.reduce_record(obj) or reduce_other(obj) or reduce_pandas(obj)
        if type(obj) is not numpy.ndarray:
            return self.reduce_subclass(obj)
        owner = self.owner(obj)
        base = owner if type(owner) is numpy.ndarray else self.as_plain(owner)
        memory = buffer_owner(owner)
        if memory is None:
            memory = self.tensors.memory_of_array(base)
        if base is obj and memory is None:
            self.used.add(id(owner))
        elif obj.size and (base is not obj or obj.flags.c_contiguous):
            base = base if memory is None else memory
            if memory is not None or self.is_written_as_view(obj, base, owner):
                self.used.add(id(owner))
                return reduce_view(obj, base)
        contiguous = obj.flags.c_contiguous or obj.flags.f_contiguous
        # Memory that is written as a buffer stays read-only.
        if not obj.flags.writeable and not (contiguous and obj.dtype.kind in BUFFERED):
            return runtime_reference("make_read_only"), (obj.copy("K"),)
        if obj.dtype.kind in "mM" and not obj.dtype.isnative:  # numpy would swap the bytes
            numbers = obj.view(obj.dtype.byteorder + "i8").copy("K")
            return runtime_reference("make_of_type"), (numbers, obj.dtype)
        if obj.dtype.kind == "O" and contiguous:
            # Empty, and filled later: an object in it may refer to the array.
            how, items = (obj.shape, "C" if obj.flags.c_contiguous else "F"), obj.ravel(order="K").tolist()
            make = runtime_reference("make_array_of_objects")
            return make, how, items, None, None, runtime_reference("fill_array_of_objects")
        if obj.dtype.hasobject or not (obj.flags.owndata or is_loaded(obj)):
            return None
        return runtime_reference("make_owned"), obj.__reduce_ex__(5)

    def reduce_record(self, record: Any) -> Any:
        """Reduce a record that is a view of an element of a structured array; None for all others."""
        numpy = sys.modules["numpy"]
        if type(record) is not numpy.void or not isinstance(record.base, numpy.ndarray):
            return None
        owner = self.owner(record.base)
        if owner.dtype.hasobject or not (owner.flags.c_contiguous or owner.flags.f_contiguous):
            return None
        memory, at = owner.ravel(order="K").view("u1"), address(record) - address(owner)
        return runtime_reference("make_record"), (numpy.ndarray((), record.dtype, memory, at),)

    def is_written_as_view(self, view: Any, base: Any, owner: Any) -> bool:
        """Whether a view is written as one, together with the array that owns the memory.

        Raises:
            PicklingError: It must be, and cannot.
        """
        whole = id(owner) in self.whole
        # Memory with gaps, and texts of variable size, do not allow views to be rebuilt.
        possible = (base.flags.c_contiguous or base.flags.f_contiguous) and base.dtype.kind != "T"
        if possible and (whole or base.nbytes <= max(4 * view.nbytes, MAX_SMALL_ARRAY)):
            return True
        if whole:
            raise pickle.PicklingError("cannot pickle arrays that share this one's memory")
        steps = [(size - 1) * stride for size, stride in zip(view.shape, view.strides)]  # noqa: B905 - the same
        first = address(view) + sum(step for step in steps if step < 0)
        last = address(view) + sum(step for step in steps if step > 0) + view.itemsize
        self.copied.setdefault(id(owner), []).append((first, last))
        return False

    def owner(self, array: Any) -> Any:
        """Return the array that owns the memory of an array, which may be the array itself."""
        numpy = sys.modules["numpy"]
        while not is_loaded(array):
            base = array.base
            if type(base).__name__ == "DummyArray":  # numpy.lib.stride_tricks
                base = base.base
            if not isinstance(base, numpy.ndarray):
                break
            array = base
        return array

    def as_plain(self, array: Any) -> Any:
        """Return an array of a subclass as a plain one, the same one each time.

        Raises:
            PicklingError: Its memory is a file that it changes.
        """
        if getattr(array, "mode", None) in WRITE_MODES and type(array).__name__ == "memmap":
            raise pickle.PicklingError("cannot pickle an array that changes a file")
        plain = self.plain.setdefault(id(array), (array, array.view(sys.modules["numpy"].ndarray)))
        return plain[1]

    def reduce_subclass(self, array: Any) -> Any:
        """Reduce an array of a subclass to a plain array and attributes, unless its class reduces itself."""
        ndarray, masked = sys.modules["numpy"].ndarray, sys.modules.get("numpy.ma")
        ways = ndarray.__reduce__, masked and masked.MaskedArray.__reduce__
        if type(array).__reduce__ not in ways or type(array).__reduce_ex__ != ndarray.__reduce_ex__:
            return None
        state = dict(getattr(array, "__dict__", {}))
        if type(array).__name__ == "memmap":
            state["_mmap"] = None
        make, fill = runtime_reference("make_subarray"), runtime_reference("fill_subarray")
        return make, (type(array), self.as_plain(array)), state, None, None, fill


def is_loaded(array: Any) -> bool:
    """Whether an array was loaded from a buffer of an artifact, and nothing else views that buffer."""
    base = array.base
    memory = getattr(base, "base", None)
    return (
        type(memory) is memoryview
        and type(memory.obj) is mmap.mmap
        and array.nbytes == base.nbytes
        and (array.flags.c_contiguous or array.flags.f_contiguous)
        and sys.getrefcount(base) <= MAX_REFERENCES
    )


def address(array: Any) -> int:
    """Return the address of an array's first element."""
    at: int = array.__array_interface__["data"][0]
    return at


def buffer_owner(owner: Any) -> Any:
    """Return the mutable Python object whose memory an array views; None if there is none."""
    base = owner.base.obj if isinstance(owner.base, memoryview) else owner.base
    known = type(base) is bytearray or type(base).__module__ == "array"
    return base if known and not owner.dtype.hasobject else None


def reduce_view(view: Any, base: Any) -> Any:
    """Reduce a view to its place in an array or a bytearray.

    Raises:
        PicklingError: It is writeable and the array is not.
    """
    numpy = sys.modules["numpy"]
    owner = base if isinstance(base, numpy.ndarray) else numpy.frombuffer(base, "u1")
    if view.flags.writeable and not owner.flags.writeable:
        raise pickle.PicklingError("cannot pickle a writeable view of a read-only array")
    how = address(view) - address(owner), view.shape, view.strides, view.dtype, view.flags.writeable
    if view.dtype.hasobject or owner.dtype.hasobject:
        return runtime_reference("make_view_of_objects"), (base, owner.shape, *how)
    return runtime_reference("make_view"), (base, *how)


def reduce_other(obj: Any) -> Any:
    """Reduce a frame, a random generator or a dtype; None to leave it to pickle."""
    kind = type(obj)
    if hasattr(kind, "_internal_names") and hasattr(kind, "_metadata"):
        return reduce_frame(obj)
    module = module_of(kind)
    if module.startswith("numpy.random"):
        return reduce_generator(obj) if sys.modules["numpy"].__version__.startswith("1.") else None
    if module.startswith("numpy") and getattr(obj, "char", "") in ("q", "Q") and obj.isnative:
        return runtime_reference("make_dtype"), (obj.char,)  # numpy would write another dtype of that size
    return None


def reduce_generator(generator: Any) -> Any:
    """Reduce a random generator with its stream, and a stream with its seed: numpy 1 would separate them."""
    kind, fill = type(generator), runtime_reference("set_random_state")
    if kind.__name__ == "Generator":
        return kind, (generator.bit_generator,)
    if kind.__name__ == "RandomState":
        state = generator.get_state(legacy=False)
        return kind, (generator._bit_generator,), state, None, None, fill
    seed = getattr(generator, "seed_seq", None)
    if type(seed).__name__ != "SeedSequence":
        return None
    return kind, (seed,), generator.state, None, None, fill


def reduce_pandas(obj: Any) -> Any:
    """Reduce a pandas object that copies its shared memory before a write, with its references."""
    kind = type(obj)
    if not module_of(kind).startswith("pandas"):
        return None
    if kind.__name__ == "BlockValuesRefs":
        return kind, ()
    if kind.__name__ == "SingleBlockManager":  # it would omit the state of its block
        return kind, (obj.blocks[0], obj.axes[0])
    is_block = hasattr(kind, "mgr_locs")
    if is_block:
        references = obj.refs
    else:
        references = obj.__dict__.get("_references") if hasattr(kind, "_references") else None
    if references is not None and references.has_reference():
        return (*obj.__reduce__()[:2], references, None, None, runtime_reference("set_references"))
    # `__reduce_ex__` of a block would copy an array with gaps.
    return obj.__reduce__() if is_block else None


def reduce_frame(frame: Any) -> Any:
    """Reduce a frame or a series with added attributes, which pandas would drop."""
    known = {*PANDAS_ATTRIBUTES, *frame._metadata, *frame._internal_names}
    added = {name: value for name, value in vars(frame).items() if name not in known}
    make, args, state = frame.__reduce_ex__(5)[:3]
    return (make, args, (state, added), None, None, runtime_reference("fill_frame")) if added else None


class ArrayBuilders:
    """Rebuild arrays from their reduced form.

    Attributes:
        owns: Whether large arrays own their memory too.
    """

    owns = False

    def make_view(
        self, owner: Any, offset: int, shape: Any, strides: Any, dtype: Any, writeable: bool
    ) -> Any:
        """Return a view of another array, or of a bytearray, reduced by `reduce_view`."""
        numpy = sys.modules["numpy"]
        is_array = isinstance(owner, numpy.ndarray)
        memory = owner.ravel(order="K").view("u1") if is_array else numpy.frombuffer(owner, "u1")
        view = numpy.ndarray(shape, dtype, buffer=memory, offset=offset, strides=strides)
        view.flags.writeable = writeable
        return view

    def make_view_of_objects(
        self, owner: Any, full: Any, offset: int, shape: Any, strides: Any, dtype: Any, writeable: bool
    ) -> Any:
        """Return a view like `make_view`, by means that respect references."""
        if owner.shape != full:  # pickle itself begins with an array of another shape
            raise pickle.UnpicklingError("an array of objects that holds a view of itself cannot be loaded")
        numpy = sys.modules["numpy"]
        first, within = divmod(offset, owner.itemsize)
        elements = owner.ravel(order="K")[first:]
        if elements.dtype != dtype:
            elements = elements.getfield(dtype, within)
        return numpy.lib.stride_tricks.as_strided(elements, shape, strides, writeable=writeable)

    def make_array_of_objects(self, shape: Any, order: Any) -> Any:
        """Return an array that `fill_array_of_objects` fills."""
        return importlib.import_module("numpy").empty(shape, object, order)

    def fill_array_of_objects(self, array: Any, items: list[Any]) -> None:
        """Set the elements of an array, in the order of its memory."""
        array.ravel(order="K")[...] = sys.modules["numpy"].fromiter(items, object, len(items))

    def make_owned(self, make: Any, args: Any, state: Any = None) -> Any:
        """Return an array that owned its memory, and does so again unless it is large."""
        array = make(*args)
        if state is not None:
            array.__setstate__(state)
        if not array.flags.owndata and (self.owns or array.nbytes <= MAX_SMALL_ARRAY):
            writeable = array.flags.writeable
            array = array.copy("K")
            array.flags.writeable = writeable
        return array

    def make_of_type(self, array: Any, dtype: Any) -> Any:
        """Return an array of integers with another dtype."""
        return array.view(dtype)

    def make_record(self, array: Any) -> Any:
        """Return the element of an array without dimensions, as a view."""
        return array[()]

    def make_dtype(self, char: str) -> Any:
        """Return a dtype reduced by `reduce_other`."""
        return sys.modules["numpy"].dtype(char)

    def make_read_only(self, array: Any) -> Any:
        """Make an array read-only."""
        array.flags.writeable = False
        return array

    def make_subarray(self, kind: Any, array: Any) -> Any:
        """Return an array as one of a subclass."""
        return array.view(kind)

    def fill_subarray(self, array: Any, state: dict[str, Any]) -> None:
        """Set the attributes of an array of a subclass."""
        if state:
            vars(array).update(state)

    def set_random_state(self, generator: Any, state: Any) -> None:
        """Set a state reduced by `reduce_generator`."""
        if hasattr(generator, "set_state"):
            generator.set_state(state)
        else:
            generator.state = state

    def fill_frame(self, frame: Any, state: Any) -> None:
        """Set a state reduced by `reduce_frame`."""
        own, added = state
        frame.__setstate__(own)
        vars(frame).update(added)

    def set_references(self, holder: Any, references: Any) -> None:
        """Register a pandas object with the other views of its memory."""
        if hasattr(type(holder), "mgr_locs"):
            holder.refs = references
            references.add_reference(holder)
        else:
            holder._references = references
            references.add_index_reference(holder)
