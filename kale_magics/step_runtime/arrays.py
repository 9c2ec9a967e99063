"""Arrays that show one memory, of numpy and of pandas: after they have crossed they still do.

A view of a small part of a large array travels alone, as a copy, unless the array or another view of that
part is in the same artifact: this is known when all is written, and then all is written once more.
"""

from __future__ import annotations

import importlib
import mmap
import pickle
import sys
from typing import Any

from kale_magics.step_runtime.reducers import module_of, runtime_reference
from kale_magics.step_runtime.tensors import Tensors

SMALL_ARRAY = 1 << 20
"""Bytes that a view may bring along of the array that it shows a part of, however small it is."""

BUFFERED = frozenset("biufcSU")
"""Kinds of types of which numpy gives the memory as a buffer."""

MOST_HOLDERS = 3
"""Who refers to the base of an array that nobody else shows: the array, `is_loaded` and `getrefcount`."""

WRITERS = ("r+", "w+")
"""How a memory map is open that changes its file."""


PANDAS_ATTRIBUTES = ("_mgr", "_attrs", "_flags", "_name", "_typ", "_metadata", "attrs")
"""What pandas itself keeps in a frame or a series, as it was made or as it was loaded, and its pickle has."""


class Arrays:
    """The arrays of one artifact.

    Args:
        whole: The `id` of arrays that are written whole if a view of them is.

    Attributes:
        used: The `id` of arrays that are written whole, or owned memory that was.
        alone: For the `id` of an array: first and last byte of the views of it that are written alone.
        plain: By `id`: an array of a subclass, and itself as a plain one.
        tensors: The tensors of the same artifact.
    """

    def __init__(self, whole: frozenset[int] = frozenset()) -> None:
        self.whole = whole
        self.used: set[int] = set()
        self.alone: dict[int, list[tuple[int, int]]] = {}
        self.plain: dict[int, tuple[Any, Any]] = {}
        self.tensors = Tensors()

    def torn(self) -> frozenset[int]:
        """The `id` of arrays of which parts have been written more than once."""
        torn = set(self.alone) & self.used
        for owner, bounds in self.alone.items():
            bounds.sort()
            if any(one[1] > other[0] for one, other in zip(bounds, bounds[1:])):  # noqa: B905, RUF007 - Python 3.8
                torn.add(owner)
        return frozenset(torn)

    def parts(self, obj: Any) -> Any:
        """What to make an array, or what holds one in pandas, of; None if pickle knows."""
        numpy = sys.modules.get("numpy")
        if numpy is None:
            return None
        if not isinstance(obj, numpy.ndarray):
            return self.record_parts(obj) or other_parts(obj) or pandas_parts(obj)
        if type(obj) is not numpy.ndarray:
            return self.parts_of_subclass(obj)
        owner = self.owner(obj)
        ground = owner if type(owner) is numpy.ndarray else self.as_plain(owner)
        memory = memory_below(owner)
        if memory is None:
            memory = self.tensors.memory_of_array(ground)
        if ground is obj and memory is None:
            self.used.add(id(owner))
        elif obj.size and (ground is not obj or obj.flags.c_contiguous):
            ground = ground if memory is None else memory
            if memory is not None or self.goes_along(obj, ground, owner):
                self.used.add(id(owner))
                return view_of(obj, ground)
        contiguous = obj.flags.c_contiguous or obj.flags.f_contiguous
        # Memory that travels as a buffer stays read-only.
        if not obj.flags.writeable and not (contiguous and obj.dtype.kind in BUFFERED):
            return runtime_reference("make_read_only"), (obj.copy("K"),)
        if obj.dtype.kind in "mM" and not obj.dtype.isnative:  # numpy would turn the bytes round
            numbers = obj.view(obj.dtype.byteorder + "i8").copy("K")
            return runtime_reference("make_of_type"), (numbers, obj.dtype)
        if obj.dtype.kind == "O" and contiguous:
            # Empty, and filled later: what an object in it refers to may be the array.
            how, items = (obj.shape, "C" if obj.flags.c_contiguous else "F"), obj.ravel(order="K").tolist()
            make = runtime_reference("make_array_of_objects")
            return make, how, items, None, None, runtime_reference("fill_array_of_objects")
        if obj.dtype.hasobject or not (obj.flags.owndata or is_loaded(obj)):
            return None
        return runtime_reference("make_owned"), obj.__reduce_ex__(5)

    def record_parts(self, record: Any) -> Any:
        """A record that shows an element of a structured array as what it shows; None for all others."""
        numpy = sys.modules["numpy"]
        if type(record) is not numpy.void or not isinstance(record.base, numpy.ndarray):
            return None
        owner = self.owner(record.base)
        if owner.dtype.hasobject or not (owner.flags.c_contiguous or owner.flags.f_contiguous):
            return None
        memory, at = owner.ravel(order="K").view("u1"), address(record) - address(owner)
        return runtime_reference("make_record"), (numpy.ndarray((), record.dtype, memory, at),)

    def goes_along(self, view: Any, ground: Any, owner: Any) -> bool:
        """Whether a view is written as one, with the array that owns the memory.

        Raises:
            PicklingError: It should be, and cannot.
        """
        whole = id(owner) in self.whole
        # Views cannot be made again of memory with gaps, nor of texts of variable size.
        possible = (ground.flags.c_contiguous or ground.flags.f_contiguous) and ground.dtype.kind != "T"
        if possible and (whole or ground.nbytes <= max(4 * view.nbytes, SMALL_ARRAY)):
            return True
        if whole:
            raise pickle.PicklingError("cannot pickle arrays that share this one's memory")
        steps = [(size - 1) * stride for size, stride in zip(view.shape, view.strides)]  # noqa: B905 - the same
        first = address(view) + sum(step for step in steps if step < 0)
        last = address(view) + sum(step for step in steps if step > 0) + view.itemsize
        self.alone.setdefault(id(owner), []).append((first, last))
        return False

    def owner(self, array: Any) -> Any:
        """The array whose memory an array shows, itself if it is its own."""
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
        """An array of a subclass as a plain one, always the same.

        Raises:
            PicklingError: Its memory is a file that it changes.
        """
        if getattr(array, "mode", None) in WRITERS and type(array).__name__ == "memmap":
            raise pickle.PicklingError("cannot pickle an array that changes a file")
        plain = self.plain.setdefault(id(array), (array, array.view(sys.modules["numpy"].ndarray)))
        return plain[1]

    def parts_of_subclass(self, array: Any) -> Any:
        """An array of a subclass as a plain array and its attributes, if the class has no way of its own."""
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
    """Whether an array is as pickle has made it of a buffer of an artifact, and nobody else shows that."""
    base = array.base
    memory = getattr(base, "base", None)
    return (
        type(memory) is memoryview
        and type(memory.obj) is mmap.mmap
        and array.nbytes == base.nbytes
        and (array.flags.c_contiguous or array.flags.f_contiguous)
        and sys.getrefcount(base) <= MOST_HOLDERS
    )


def address(array: Any) -> int:
    """Where an array's first element is."""
    at: int = array.__array_interface__["data"][0]
    return at


def memory_below(owner: Any) -> Any:
    """The object of Python that an array shows and that can change; None if there is none."""
    base = owner.base.obj if isinstance(owner.base, memoryview) else owner.base
    known = type(base) is bytearray or type(base).__module__ == "array"
    return base if known and not owner.dtype.hasobject else None


def view_of(view: Any, ground: Any) -> Any:
    """A view as what of an array, or of a bytearray, it shows.

    Raises:
        PicklingError: It can change what the array itself cannot.
    """
    numpy = sys.modules["numpy"]
    owner = ground if isinstance(ground, numpy.ndarray) else numpy.frombuffer(ground, "u1")
    if view.flags.writeable and not owner.flags.writeable:
        raise pickle.PicklingError("cannot pickle a view that can be changed of an array that cannot")
    how = address(view) - address(owner), view.shape, view.strides, view.dtype, view.flags.writeable
    if view.dtype.hasobject or owner.dtype.hasobject:
        return runtime_reference("make_view_of_objects"), (ground, owner.shape, *how)
    return runtime_reference("make_view"), (ground, *how)


def other_parts(obj: Any) -> Any:
    """What to make of a frame, a random generator or a type of numbers; None if pickle knows."""
    kind = type(obj)
    if hasattr(kind, "_internal_names") and hasattr(kind, "_metadata"):
        return frame_parts(obj)
    module = module_of(kind)
    if module.startswith("numpy.random"):
        return random_parts(obj) if sys.modules["numpy"].__version__.startswith("1.") else None
    if module.startswith("numpy") and getattr(obj, "char", "") in ("q", "Q") and obj.isnative:
        return runtime_reference("make_dtype"), (obj.char,)  # numpy writes another one of that size
    return None


def random_parts(generator: Any) -> Any:
    """A random generator with its stream, and that with its seed: numpy 1 would separate them."""
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


def pandas_parts(obj: Any) -> Any:
    """What pandas copies when it is written to, because others show its memory, with the note of that."""
    kind = type(obj)
    if not module_of(kind).startswith("pandas"):
        return None
    if kind.__name__ == "BlockValuesRefs":
        return kind, ()
    if kind.__name__ == "SingleBlockManager":  # it would leave out what its block knows
        return kind, (obj.blocks[0], obj.axes[0])
    if hasattr(kind, "mgr_locs"):
        references = obj.refs
    else:
        references = obj.__dict__.get("_references") if hasattr(kind, "_references") else None
    if references is None or not references.has_reference():
        return None
    return (*obj.__reduce__()[:2], references, None, None, runtime_reference("set_references"))


def frame_parts(frame: Any) -> Any:
    """A frame or a series with the attributes that were put there, which pandas would leave behind."""
    known = {*PANDAS_ATTRIBUTES, *frame._metadata, *frame._internal_names}
    added = {name: value for name, value in vars(frame).items() if name not in known}
    make, args, state = frame.__reduce_ex__(5)[:3]
    return (make, args, (state, added), None, None, runtime_reference("fill_frame")) if added else None


class ArrayMakers:
    """Make again the arrays that were taken apart.

    Attributes:
        owns: Whether large arrays own their memory too.
    """

    owns = False

    def make_view(
        self, owner: Any, offset: int, shape: Any, strides: Any, dtype: Any, writeable: bool
    ) -> Any:
        """An array that shows memory of another one, or of a bytearray, as `view_of` said."""
        numpy = sys.modules["numpy"]
        is_array = isinstance(owner, numpy.ndarray)
        memory = owner.ravel(order="K").view("u1") if is_array else numpy.frombuffer(owner, "u1")
        view = numpy.ndarray(shape, dtype, buffer=memory, offset=offset, strides=strides)
        view.flags.writeable = writeable
        return view

    def make_view_of_objects(
        self, owner: Any, full: Any, offset: int, shape: Any, strides: Any, dtype: Any, writeable: bool
    ) -> Any:
        """As `make_view`, by means that respect references."""
        if owner.shape != full:  # pickle's own way to make an array begins with one of another shape
            raise pickle.UnpicklingError("an array of objects that holds a view of itself cannot cross")
        numpy = sys.modules["numpy"]
        first, within = divmod(offset, owner.itemsize)
        elements = owner.ravel(order="K")[first:]
        if elements.dtype != dtype:
            elements = elements.getfield(dtype, within)
        return numpy.lib.stride_tricks.as_strided(elements, shape, strides, writeable=writeable)

    def make_array_of_objects(self, shape: Any, order: Any) -> Any:
        """An array that `fill_array_of_objects` fills."""
        return importlib.import_module("numpy").empty(shape, object, order)

    def fill_array_of_objects(self, array: Any, items: list[Any]) -> None:
        """Give an array its elements, in the order of its memory."""
        array.ravel(order="K")[...] = sys.modules["numpy"].fromiter(items, object, len(items))

    def make_owned(self, make: Any, args: Any, state: Any = None) -> Any:
        """An array that owned its memory, and does so again unless it is large."""
        array = make(*args)
        if state is not None:
            array.__setstate__(state)
        if not array.flags.owndata and (self.owns or array.nbytes <= SMALL_ARRAY):
            writeable = array.flags.writeable
            array = array.copy("K")
            array.flags.writeable = writeable
        return array

    def make_of_type(self, array: Any, dtype: Any) -> Any:
        """An array of whole numbers as one of another type."""
        return array.view(dtype)

    def make_record(self, array: Any) -> Any:
        """The element of an array without dimensions; what is set in it is set there."""
        return array[()]

    def make_dtype(self, char: str) -> Any:
        """As `other_parts` said."""
        return sys.modules["numpy"].dtype(char)

    def make_read_only(self, array: Any) -> Any:
        """An array that cannot be changed."""
        array.flags.writeable = False
        return array

    def make_subarray(self, kind: Any, array: Any) -> Any:
        """An array of a subclass."""
        return array.view(kind)

    def fill_subarray(self, array: Any, state: dict[str, Any]) -> None:
        """Give an array of a subclass its attributes."""
        if state:
            vars(array).update(state)

    def set_random_state(self, generator: Any, state: Any) -> None:
        """As `random_parts` said."""
        if hasattr(generator, "set_state"):
            generator.set_state(state)
        else:
            generator.state = state

    def fill_frame(self, frame: Any, state: Any) -> None:
        """As `frame_parts` said."""
        own, added = state
        frame.__setstate__(own)
        vars(frame).update(added)

    def set_references(self, holder: Any, references: Any) -> None:
        """Let what holds memory in pandas know of others that show it."""
        if hasattr(type(holder), "mgr_locs"):
            holder.refs = references
            references.add_reference(holder)
        else:
            holder._references = references
            references.add_index_reference(holder)
