"""The pickler of values and definitions, its reader, and the search for an unpicklable part.

A definition that both steps have (a replayed `def` or `class`) is pickled as its identity, so that it is the
same class in both. Other functions of the notebook are pickled by value, but without a copy of the globals
that they read: they look them up in the step that calls them, as they did in the notebook.
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

from kale_magics.step_runtime.arrays import ArrayBuilders, Arrays, reduce_other
from kale_magics.step_runtime.depth import DeferredStates, DepthBuilders, dump_nested, is_too_deep
from kale_magics.step_runtime.helpers import Helpers
from kale_magics.step_runtime.nans import NanBuilders, Nans
from kale_magics.step_runtime.parts import WORDED_PATH, closure, parts_of
from kale_magics.step_runtime.random_generators import GENERATORS, owner_of_state, state_of_generator
from kale_magics.step_runtime.reducers import (
    RUNTIME,
    Builders,
    reduce_class,
    reduce_known,
    runtime_reference,
)
from kale_magics.step_runtime.tensors import TensorBuilders, Tensors
from kale_magics.step_runtime.timing import TimingBuilders
from kale_magics.step_runtime.unpicklable import known_reason

ATOMS = frozenset((int, float, complex, bool, str, bytes, type(None)))
"""Types whose values can always be pickled."""

SLOT = type(object.__setattr__)
"""The type of a method that is not written in Python."""

CTYPES_FIELDS = ("_fields_", "_anonymous_", "_pack_")
"""Attributes of a `ctypes` structure that cannot be set again."""

DEFINED = (type, types.FunctionType, type(functools.lru_cache(len)))
"""Types of the definitions within a class."""


class StepError(Exception):
    """An error that a step reports without a traceback.

    Attributes:
        code: The code of `kale_magics.model.diagnostics`.
        fix: One fix; empty for a step that fails (KALE301).
    """

    def __init__(self, message: str, code: str = "KALE301", fix: str = "") -> None:
        super().__init__(message)
        self.code, self.fix = code, fix


class Definitions:
    """The functions and classes that a step created by replaying source, by identity.

    Attributes:
        objects: The definitions by identity.
        identities: Their identities by `id`.
        originals: The attributes of each after its source was replayed.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.identities: dict[int, str] = {}
        self.originals: dict[str, dict[str, Any]] = {}

    def add(self, identity: str, definition: Any) -> None:
        """Add a definition of the notebook, and the methods and classes that a class defines."""
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
        """Return the definition of an identity.

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
        """Return the changes of a definition, and of members that are definitions themselves.

        Returns:
            By identity: the names of all attributes, and the values of those that the source may not define.
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
                    # A mutable default keeps what a call has put into it.
                    own.update(__defaults__=definition.__defaults__, __kwdefaults__=definition.__kwdefaults__)
                    # So does the closure that a decorator created.
                    own["__closure__"] = {name: content for name, _, content in closure(definition)}
                state[each] = list(there), own
        return state


class ChangedDefinition:
    """A definition that is pickled with its changes, as a variable; within other values they are omitted."""

    def __init__(self, definition: Any, identity: str, definitions: Definitions) -> None:
        self.definition, self.identity = definition, identity
        self.state = definitions.state(identity)


def comes_with_source(name: str, value: Any, definition: Any) -> bool:
    """Whether an attribute of a class or a function is created by replaying its source."""
    if isinstance(value, types.FunctionType) and isinstance(definition, type):
        # A function that a later line of the cell assigned has another qualified name.
        return value.__qualname__.startswith(definition.__qualname__ + ".")
    if type(definition).__module__ == "_ctypes" and name in CTYPES_FIELDS:
        return True
    return is_special(name) or name == "_abc_impl" or hasattr(type(value), "__get__")


def is_special(name: str) -> bool:
    """Whether a name is one of Python's own, with two underscores on either side."""
    return name.startswith("__") and name.endswith("__")


def function_state(function: types.FunctionType) -> tuple[Any, ...]:
    """Return the state of a function in addition to its code: filled cells, attributes, and settings."""
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
    deferred: DeferredStates | None = None,
    helpers: Helpers | None = None,
    nans: Nans | None = None,
) -> Any:
    """Return a pickler for values of a step; its dumps share objects.

    Args:
        file: The file for the pickles.
        namespace: The globals of the notebook's functions.
        definitions: The definitions that are pickled as identities.
        buffers: Receives the buffers, in the order in which the reader needs them; None to keep them in the
            pickles.
        arrays: The arrays of what is written; None if it is only hashed to detect changes: sharing memory is
            no part of an array's value.
        deferred: Collects the states of objects, for `dump_nested`; None to write them in place.
        helpers: Collects the definitions that are written.
        nans: Gives identities to NaNs; None to write them like other floats.
    """
    import cloudpickle

    cells: set[int] = set()
    reduce_array = arrays.reduce if arrays else reduce_other
    tensors = arrays.tensors if arrays else Tensors()

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
        def reducer_override(self, obj: Any) -> Any:
            if helpers is not None:
                helpers.add(obj)
            if type(obj) is ChangedDefinition:
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
            # Empty, and filled with the function's state: a function may refer to itself.
            if type(obj) is types.CellType and id(obj) in cells:
                return types.CellType, ()
            parts = reduce_known(obj) or reduce_array(obj) or tensors.reduce(obj)
            if parts is None and deferred is not None:
                parts = deferred.reduce(obj)
            if parts is not None:
                return parts
            return reduce_class(obj, super().reducer_override(obj))

    if nans is not None:
        Pickler.persistent_id = nans.persistent_id
    return Pickler(file, protocol=5, buffer_callback=buffers)


class Reader(
    NanBuilders, pickle.Unpickler, Builders, ArrayBuilders, TensorBuilders, TimingBuilders, DepthBuilders
):
    """Reads the output of `make_pickler`.

    Args:
        file: The pickles.
        buffers: The buffers, in order.
        namespace: The globals for the notebook's functions.
        resolve: Returns the definition of an identity.
        owns: Whether large arrays own their memory too, instead of viewing that of the file.
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
        """Resolve a global of a pickle."""
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
        """Return the global generator of this process, whose state arrives separately."""
        importlib.import_module(GENERATORS[state][0])
        return owner_of_state(state)

    def make_function(self, code: types.CodeType, closure: Any) -> types.FunctionType:
        """Return a function that looks up its globals in this step."""
        return types.FunctionType(code, self.namespace, None, None, closure)

    def fill_function(self, function: types.FunctionType, state: Any) -> None:
        """Set the state of a function returned by `function_state`."""
        cells, attributes, settings = state
        for cell, content in cells:
            cell.cell_contents = content
        vars(function).update(attributes)
        for name, value in settings.items():
            setattr(function, name, value)

    def change_definition(self, _: Any, state: Any) -> None:
        """Set the changes returned by `Definitions.state`, and delete removed attributes."""
        for identity, (names, own) in state.items():
            definition = self.definition(identity)
            # The hooks of a metaclass ran where the attribute was set first.
            kinds: Any = type(definition).__mro__ if isinstance(definition, type) else (object,)
            base: Any = next(k for k in kinds if isinstance(vars(k).get("__setattr__"), SLOT))
            for name in vars(definition).keys() - set(names):
                if not is_special(name):  # Python creates some on access
                    base.__delattr__(definition, name)
            for name, content in own.pop("__closure__", {}).items():
                place = definition.__code__.co_freevars.index(name)
                definition.__closure__[place].cell_contents = content
            for name, value in own.items():
                base.__setattr__(definition, name, value)


class LimitReachedError(Exception):
    """Enough bytes were written."""


class NullFile(io.RawIOBase):
    """A file that discards what is written.

    Args:
        limit: Bytes that may be written; 0 for any number.
    """

    def __init__(self, limit: int = 0) -> None:
        super().__init__()
        self.left = limit or sys.maxsize

    def write(self, data: Any) -> int:
        """Count the bytes."""
        size = memoryview(data).nbytes
        self.left -= size
        if self.left < 0:
            raise LimitReachedError
        return size


def pickling_error(
    value: Any, namespace: dict[str, Any], definitions: Definitions, limit: int = 0
) -> Exception | None:
    """Return why a value cannot be pickled; None if it can, or if its first `limit` bytes can."""
    for deferred in (None, DeferredStates()):
        try:
            pickler = make_pickler(
                NullFile(limit), namespace, definitions, lambda _: None, Arrays(), deferred
            )
            if deferred is None:
                pickler.dump(value)
            else:
                dump_nested(pickler, value, deferred)
        except LimitReachedError:
            return None
        except Exception as error:  # a user's own __reduce__ may raise anything
            if deferred is None and is_too_deep(error):
                continue
            return error
        return None
    return None


def children(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a value, with the expressions to them; none for a known unpicklable type."""
    if known_reason(type_name(value)):
        return
    path = f"({path})" if WORDED_PATH.match(path) else path
    if type(value) is ChangedDefinition:
        for each, (_, own) in value.state.items():
            yield from ((f"{path}{each[len(value.identity) :]}.{name}", item) for name, item in own.items())
    else:
        yield from parts_of(value, path)


def find_unpicklable(
    value: Any,
    name: str,
    namespace: dict[str, Any],
    definitions: Definitions | None = None,
    attempts: int = 1000,
    limit: int = 0,
) -> tuple[str, Any, Exception] | None:
    """Find the part of a value that cannot be pickled.

    Args:
        value: Any object.
        name: Its name in the notebook.
        namespace: The globals of the notebook's functions.
        definitions: The definitions that are pickled as identities.
        attempts: How many parts are tried at most.
        limit: How many bytes of the value are tried at most; 0 for all.

    Returns:
        The expression that leads to the innermost part at fault, that part, and why it cannot be pickled;
        None if the value can be pickled.
    """
    definitions = definitions or Definitions()
    error = pickling_error(value, namespace, definitions, limit)
    if error is None:
        return None
    if is_too_deep(error):
        return name, value, pickle.PicklingError("its parts are nested too deeply")
    seen, parts = {id(value)}, children(value, name)
    alive = []  # holds parts that are created on access
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
    """Return the type of a value with its module, as in "sqlite3.Connection"."""
    kind = type(value)
    hidden = kind.__module__ in ("builtins", "__main__")
    return kind.__qualname__ if hidden else f"{kind.__module__}.{kind.__qualname__}"
