"""Values and definitions as pickles.

A definition that both steps have (a replayed `def` or `class`) travels as its identity, so that there is one
class on either side. Other functions of the notebook travel by value, but without a copy of the globals that
they read: they look them up in the step that calls them, as they did in the notebook.
"""

from __future__ import annotations

import functools
import importlib
import io
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

from kale_magics.step_runtime.arrays import ArrayMakers, Arrays, other_parts
from kale_magics.step_runtime.depth import DepthMakers, Later, dump_shallowly, is_too_deep
from kale_magics.step_runtime.generators import GENERATORS, owner_of_state, state_of_generator
from kale_magics.step_runtime.helpers import Helpers
from kale_magics.step_runtime.nans import NanMakers, Nans
from kale_magics.step_runtime.parts import IN_WORDS, closure, parts_of
from kale_magics.step_runtime.reducers import (
    RUNTIME,
    Makers,
    class_parts,
    known_parts,
    runtime_reference,
)
from kale_magics.step_runtime.suspects import suspected
from kale_magics.step_runtime.tensors import TensorMakers, Tensors
from kale_magics.step_runtime.timing import TimingMakers

ATOMS = frozenset((int, float, complex, bool, str, bytes, type(None)))
"""Types of which every value can be pickled."""

SLOT = type(object.__setattr__)
"""The type of a method that is not written in Python."""

FINAL = ("_fields_", "_anonymous_", "_pack_")
"""What cannot be set in a structure of `ctypes` once it is there."""

DEFINED = (type, types.FunctionType, type(functools.lru_cache(len)))
"""What a class may define within itself."""


class StepError(Exception):
    """What a step tells its user without a traceback.

    Attributes:
        code: The code of `kale_magics.model.diagnostics`.
        fix: One way out; none for a step that fails (KALE301).
    """

    def __init__(self, message: str, code: str = "KALE301", fix: str = "") -> None:
        super().__init__(message)
        self.code, self.fix = code, fix


class Definitions:
    """The functions and classes that a step made by replaying source, by identity.

    Attributes:
        objects: The definitions by identity.
        identities: Their identities by `id`.
        originals: What each had in it when its source had been replayed.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.identities: dict[int, str] = {}
        self.originals: dict[str, dict[str, Any]] = {}

    def add(self, identity: str, definition: Any) -> None:
        """Note a definition of the notebook, and the methods and classes that are defined in a class."""
        if getattr(definition, "__module__", None) != "__main__":
            return
        self.objects[identity] = definition
        self.identities.setdefault(id(definition), identity)
        self.originals[identity] = dict(getattr(definition, "__dict__", {}))
        if isinstance(definition, type):
            prefix = definition.__qualname__ + "."
            for name, member in list(vars(definition).items()):
                if isinstance(member, DEFINED) and member.__qualname__.startswith(prefix):
                    self.add(f"{identity}.{name}", member)

    def resolve(self, identity: str) -> Any:
        """The definition of that identity.

        Raises:
            StepError: This step does not have it.
        """
        if identity not in self.objects:
            raise StepError(
                f"a value needs the definition of {identity.partition('@')[0]!r} ({identity}),"
                " which this step does not have"
            )
        return self.objects[identity]

    def state(self, identity: str) -> dict[str, tuple[list[str], dict[str, Any]]]:
        """What the notebook has changed in a definition and in the members that are definitions themselves.

        Returns:
            By identity: the names of all that is in the definition, and what of it the source may not give.
        """
        state = {}
        for each, definition in self.objects.items():
            if each == identity or each.startswith(identity + "."):
                there, original = getattr(definition, "__dict__", {}), self.originals[each]
                own = {
                    name: value
                    for name, value in there.items()
                    if value is not original.get(name) or not comes_with_source(name, value, definition)
                }
                if isinstance(definition, types.FunctionType):
                    # A default that is a list or a dict remembers what a call has put there.
                    own.update(__defaults__=definition.__defaults__, __kwdefaults__=definition.__kwdefaults__)
                    # So does what a decorator has let it take along.
                    own["__closure__"] = {name: content for name, _, content in closure(definition)}
                state[each] = list(there), own
        return state


class Changed:
    """A definition that is written with its state, under its own name; within other values it has none."""

    def __init__(self, definition: Any, identity: str, definitions: Definitions) -> None:
        self.definition, self.identity = definition, identity
        self.state = definitions.state(identity)


def comes_with_source(name: str, value: Any, definition: Any) -> bool:
    """Whether an entry of a class or a function is what replaying its source makes."""
    if isinstance(value, types.FunctionType) and isinstance(definition, type):
        # One that a later line of the cell has put there is called otherwise.
        return value.__qualname__.startswith(definition.__qualname__ + ".")
    if type(definition).__module__ == "_ctypes" and name in FINAL:
        return True
    return is_special(name) or name == "_abc_impl" or hasattr(type(value), "__get__")


def is_special(name: str) -> bool:
    """Whether a name is one of Python's own, with two underscores on either side."""
    return name.startswith("__") and name.endswith("__")


def function_state(function: types.FunctionType) -> tuple[Any, ...]:
    """What makes a function beyond its code: filled cells, attributes, and what else can be set."""
    cells = [(cell, content) for _, cell, content in closure(function)]
    names = ["__name__", "__qualname__", "__module__", "__doc__", "__defaults__", "__kwdefaults__"]
    names += ["__annotations__"] + ["__type_params__"] * bool(getattr(function, "__type_params__", ()))
    return cells, vars(function), {name: getattr(function, name) for name in names}


def make_pickler(
    file: Any,
    namespace: dict[str, Any],
    definitions: Definitions,
    buffers: Callable[[pickle.PickleBuffer], Any] | None,
    arrays: Arrays | None = None,
    later: Later | None = None,
    helpers: Helpers | None = None,
    nans: Nans | None = None,
) -> Any:
    """A pickler for values of a step; several dumps share what they have in common.

    Args:
        file: Where the pickles go.
        namespace: The globals of the notebook's functions.
        definitions: What travels as its identity.
        buffers: Takes the buffers, in the order in which the reader must have them; None
            to have them in the pickles.
        arrays: The arrays of what is written; None if nobody will read it, as a sum that tells of changes:
            who else shows an array's memory is no part of its value.
        later: Takes the states of objects, for `dump_shallowly`; None to write them where they are.
        helpers: Takes the definitions that are written.
        nans: Names the NaNs that are written; None to write them as other floats are.
    """
    import cloudpickle

    cells: set[int] = set()
    array_parts = arrays.parts if arrays else other_parts
    tensors = arrays.tensors if arrays else Tensors()

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
        def reducer_override(self, obj: Any) -> Any:
            if helpers is not None:
                helpers.note(obj)
            if type(obj) is Changed:
                make, change = runtime_reference("definition"), runtime_reference("change_definition")
                return make, (obj.identity,), obj.state, None, None, change
            if state := state_of_generator(obj):
                return runtime_reference("generator_of"), (state,)
            identity = definitions.identities.get(id(obj))
            if identity is not None:
                return runtime_reference("definition"), (identity,)
            if type(obj) is types.FunctionType and obj.__globals__ is namespace:
                cells.update(map(id, obj.__closure__ or ()))
                make, fill = runtime_reference("make_function"), runtime_reference("fill_function")
                return make, (obj.__code__, obj.__closure__), function_state(obj), None, None, fill
            # Empty, and filled with the function's state: what a function refers to may be itself.
            if type(obj) is types.CellType and id(obj) in cells:
                return types.CellType, ()
            parts = known_parts(obj) or array_parts(obj) or tensors.parts(obj)
            if parts is None and later is not None:
                parts = later.parts(obj)
            if parts is not None:
                return parts
            return class_parts(obj, super().reducer_override(obj))

    if nans is not None:
        Pickler.persistent_id = nans.persistent_id
    return Pickler(file, protocol=5, buffer_callback=buffers)


class Reader(NanMakers, pickle.Unpickler, Makers, ArrayMakers, TensorMakers, TimingMakers, DepthMakers):
    """Reads what `make_pickler` wrote.

    Args:
        file: The pickles.
        buffers: The buffers, in order.
        namespace: The globals that the notebook's functions get.
        resolve: Gives the definition of an identity.
        owns: Whether large arrays own their memory too, and do not show that of the file.
    """

    def __init__(
        self,
        file: Any,
        buffers: Any,
        namespace: dict[str, Any],
        resolve: Callable[[str], Any],
        owns: bool = False,
    ) -> None:
        super().__init__(file, buffers=buffers)
        self.namespace, self.owns = namespace, owns
        self.nans = {}
        self.definition = resolve

    def find_class(self, module: str, name: str) -> Any:
        """What a global of a pickle stands for."""
        if module == RUNTIME:
            return getattr(self, name)
        if module != "__main__":
            return super().find_class(module, name)
        first, *attributes = name.split(".")
        if first not in self.namespace:
            raise AttributeError(f"a value needs {first!r}, which is not defined here")
        found = self.namespace[first]
        for attribute in attributes:
            found = getattr(found, attribute)
        return found

    def generator_of(self, state: str) -> Any:
        """The object that this process draws from for everybody: it goes on from the state that arrives."""
        importlib.import_module(GENERATORS[state][0])
        return owner_of_state(state)

    def make_function(self, code: types.CodeType, closure: Any) -> types.FunctionType:
        """A function that looks its globals up where it has arrived."""
        return types.FunctionType(code, self.namespace, None, None, closure)

    def fill_function(self, function: types.FunctionType, state: Any) -> None:
        """Give a function what `function_state` said."""
        cells, attributes, settings = state
        for cell, content in cells:
            cell.cell_contents = content
        vars(function).update(attributes)
        for name, value in settings.items():
            setattr(function, name, value)

    def change_definition(self, _: Any, state: Any) -> None:
        """Give a definition what `Definitions.state` said; what is no longer in it is taken out."""
        for identity, (names, own) in state.items():
            definition = self.definition(identity)
            # What a metaclass does when an attribute is set has been done where it was set first.
            kinds: Any = type(definition).__mro__ if isinstance(definition, type) else (object,)
            base: Any = next(k for k in kinds if isinstance(vars(k).get("__setattr__"), SLOT))
            for name in vars(definition).keys() - set(names):
                if not is_special(name):  # Python makes some when they are asked for
                    base.__delattr__(definition, name)
            for name, content in own.pop("__closure__", {}).items():
                place = definition.__code__.co_freevars.index(name)
                definition.__closure__[place].cell_contents = content
            for name, value in own.items():
                base.__setattr__(definition, name, value)


class EnoughError(Exception):
    """A file has got all that it wants."""


class Nowhere(io.RawIOBase):
    """A file that forgets what is written.

    Args:
        most: Bytes after which it has enough; 0 for any number.
    """

    def __init__(self, most: int = 0) -> None:
        super().__init__()
        self.left = most or sys.maxsize

    def write(self, data: Any) -> int:
        """Say that it was written."""
        size = memoryview(data).nbytes
        self.left -= size
        if self.left < 0:
            raise EnoughError
        return size


def pickling_error(
    value: Any, namespace: dict[str, Any], definitions: Definitions, most: int = 0
) -> Exception | None:
    """Why a value cannot be pickled; None if it can, or if its first `most` bytes can."""
    for later in (None, Later()):
        try:
            pickler = make_pickler(Nowhere(most), namespace, definitions, lambda _: None, Arrays(), later)
            if later is None:
                pickler.dump(value)
            else:
                dump_shallowly(pickler, value, later)
        except EnoughError:
            return None
        except Exception as error:  # a user's own __reduce__ may raise anything
            if later is None and is_too_deep(error):
                continue
            return error
        return None
    return None


def children(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The parts of a value, with the expressions that lead to them; none of a usual suspect, which is it."""
    if suspected(type_name(value)):
        return
    path = f"({path})" if IN_WORDS.match(path) else path
    if type(value) is Changed:
        for each, (_, own) in value.state.items():
            yield from ((f"{path}{each[len(value.identity) :]}.{name}", item) for name, item in own.items())
    else:
        yield from parts_of(value, path)


def find_culprit(
    value: Any,
    name: str,
    namespace: dict[str, Any],
    definitions: Definitions | None = None,
    attempts: int = 1000,
    most: int = 0,
) -> tuple[str, Any, Exception] | None:
    """Find the part of a value that cannot be pickled.

    Args:
        value: Any object.
        name: What its user calls it.
        namespace: The globals of the notebook's functions.
        definitions: What travels as its identity.
        attempts: How many parts are tried at most.
        most: How many bytes are tried at most of the value; 0 for all.

    Returns:
        The expression that leads to the innermost culprit, the culprit, and why it cannot be pickled; None if
        the value can be pickled.
    """
    definitions = definitions or Definitions()
    error = pickling_error(value, namespace, definitions, most)
    if error is None:
        return None
    if is_too_deep(error):
        return name, value, pickle.PicklingError("its parts are nested too deeply")
    seen, parts = {id(value)}, children(value, name)
    alive = []  # parts that are made when they are asked for
    while attempts:
        path, part = next(parts, ("", None))
        if not path:
            break
        if id(part) in seen or type(part) in ATOMS:
            continue
        seen.add(id(part))
        alive.append(part)
        attempts -= 1
        reason = pickling_error(part, namespace, definitions)
        if reason is not None:
            name, value, error, parts = path, part, reason, children(part, path)
    return name, value, error


def type_name(value: Any) -> str:
    """The type of a value with its module, as in "sqlite3.Connection"."""
    kind = type(value)
    hidden = kind.__module__ in ("builtins", "__main__")
    return kind.__qualname__ if hidden else f"{kind.__module__}.{kind.__qualname__}"
