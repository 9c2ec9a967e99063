"""Values and definitions as pickles.

A definition that both steps have (a replayed `def` or `class`) travels as its identity, so that there is one
class on either side. Other functions of the notebook travel by value, but without a copy of the globals that
they read: they look them up in the step that calls them, as they did in the notebook.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

RUNTIME = "kale_step_runtime"
"""The module that pickles of steps name; no such module exists, the reader puts its methods in its place."""


class StepError(Exception):
    """What a step tells its user without a traceback.

    Attributes:
        code: The code of `kale_magics.diagnostics`.
    """

    def __init__(self, message: str, code: str = "KALE301") -> None:
        super().__init__(message)
        self.code = code


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
                if isinstance(member, (type, types.FunctionType)) and member.__qualname__.startswith(prefix):
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
                own = {n: v for n, v in there.items() if not comes_with_source(n, v, original.get(n))}
                if isinstance(definition, types.FunctionType):
                    # A default that is a list or a dict remembers what a call has put there.
                    own.update(__defaults__=definition.__defaults__, __kwdefaults__=definition.__kwdefaults__)
                state[each] = list(there), own
        return state


class Changed:
    """A definition that is written with its state, under its own name; within other values it has none."""

    def __init__(self, definition: Any, identity: str, definitions: Definitions) -> None:
        self.definition, self.identity = definition, identity
        self.state = definitions.state(identity)


def comes_with_source(name: str, value: Any, original: Any) -> bool:
    """Whether an entry of a class or a function is what replaying its source makes."""
    return value is original and (is_special(name) or name == "_abc_impl" or hasattr(type(value), "__get__"))


def is_special(name: str) -> bool:
    """Whether a name is one of Python's own, with two underscores on either side."""
    return name.startswith("__") and name.endswith("__")


def runtime_reference(name: str) -> Any:
    """A function that pickles as a method of `Reader`."""
    module = sys.modules.setdefault(RUNTIME, types.ModuleType(RUNTIME))
    if not hasattr(module, name):

        def reference() -> None: ...

        reference.__module__, reference.__name__, reference.__qualname__ = RUNTIME, name, name
        setattr(module, name, reference)
    return getattr(module, name)


def closure(function: types.FunctionType) -> Iterator[tuple[str, types.CellType, Any]]:
    """The variables that a function has taken along: name, cell and value, where they have one."""
    for index, cell in enumerate(function.__closure__ or ()):
        with contextlib.suppress(ValueError):  # an empty cell: its variable has no value yet
            yield function.__code__.co_freevars[index], cell, cell.cell_contents


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
    buffers: Callable[[pickle.PickleBuffer], Any],
) -> Any:
    """A pickler for values of a step; several dumps share what they have in common.

    Args:
        file: Where the pickles go.
        namespace: The globals of the notebook's functions.
        definitions: What travels as its identity.
        buffers: Takes the buffers, in the order in which the reader must have them.
    """
    import cloudpickle

    cells: set[int] = set()

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if type(obj) is Changed:
                make, change = runtime_reference("definition"), runtime_reference("change_definition")
                return make, (obj.identity,), obj.state, None, None, change
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
            view = array_view(obj)
            if view is not None:
                return runtime_reference("make_view"), view
            # cloudpickle would make a copy of the text that is in a file, and bytes of a view of bytes.
            shown = obj is sys.stdout or obj is sys.stderr
            if isinstance(obj, (io.TextIOWrapper, memoryview)) and not shown:
                raise pickle.PicklingError(f"cannot pickle {type(obj).__name__!r} object")
            return super().reducer_override(obj)

    return Pickler(file, protocol=5, buffer_callback=buffers)


SMALL_ARRAY = 1 << 20
"""Bytes that a view may bring along of the array that it shows a part of, however small it is."""


def array_view(obj: Any) -> tuple[Any, ...] | None:
    """For an array of numpy that shows memory of another one: that one, and what of it.

    Two views of one array stay views of one array. A view of a small part of a large array is no such view:
    it travels alone, as a copy.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None or type(obj) is not numpy.ndarray or not obj.size:
        return None
    owner = obj.base
    if type(owner) is not numpy.ndarray:
        return None
    while type(owner.base) is numpy.ndarray:
        owner = owner.base
    contiguous = owner.flags.c_contiguous or owner.flags.f_contiguous
    if obj.dtype.hasobject or not contiguous or owner.nbytes > max(4 * obj.nbytes, SMALL_ARRAY):
        return None
    offset = obj.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    return owner, offset, obj.shape, obj.strides, obj.dtype, obj.flags.writeable


class Reader(pickle.Unpickler):
    """Reads what `make_pickler` wrote.

    Args:
        file: The pickles.
        buffers: The buffers, in order.
        namespace: The globals that the notebook's functions get.
        resolve: Gives the definition of an identity.
    """

    def __init__(
        self, file: Any, buffers: Any, namespace: dict[str, Any], resolve: Callable[[str], Any]
    ) -> None:
        super().__init__(file, buffers=buffers)
        self.namespace = namespace
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

    def make_view(
        self, owner: Any, offset: int, shape: Any, strides: Any, dtype: Any, writeable: bool
    ) -> Any:
        """An array that shows memory of another one, as `array_view` said."""
        memory = owner.ravel(order="K").view("u1")
        view = type(owner)(shape, dtype, buffer=memory, offset=offset, strides=strides)
        view.flags.writeable = writeable
        return view

    def change_definition(self, _: Any, state: Any) -> None:
        """Give a definition what `Definitions.state` said; what is no longer in it is taken out."""
        for identity, (names, own) in state.items():
            definition = self.definition(identity)
            # What a metaclass does when an attribute is set has been done where it was set first.
            base: Any = type if isinstance(definition, type) else object
            for name in vars(definition).keys() - set(names):
                if not is_special(name):  # Python makes some when they are asked for
                    base.__delattr__(definition, name)
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
    try:
        make_pickler(Nowhere(most), namespace, definitions, lambda _: None).dump(value)
    except EnoughError:
        return None
    except Exception as error:  # a user's own __reduce__ may raise anything
        return error
    return None


def children(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The parts of a value, with the expressions that lead to them."""
    if isinstance(value, Changed):
        for each, (_, own) in value.state.items():
            yield from ((f"{path}{each[len(value.identity) :]}.{name}", item) for name, item in own.items())
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"a key of {path}", key
            yield f"{path}[{key!r:.60}]", item
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield f"{path}[{index}]", item
    elif isinstance(value, (set, frozenset)):
        for item in value:
            yield f"an element of {path}", item
    if isinstance(value, types.MethodType):
        yield f"{path}.__self__", value.__self__
    if isinstance(value, types.FunctionType):
        for name, _, content in closure(value):
            yield f"{name} in {path}", content
    for name, item in list(getattr(value, "__dict__", {}).items()):
        yield f"{path}.{name}", item


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
    seen, parts = {id(value)}, children(value, name)
    for _ in range(attempts):
        path, part = next(parts, ("", None))
        if not path:
            break
        if id(part) in seen:
            continue
        seen.add(id(part))
        reason = pickling_error(part, namespace, definitions)
        if reason is not None:
            name, value, error, parts = path, part, reason, children(part, path)
    return name, value, error


def type_name(value: Any) -> str:
    """The type of a value with its module, as in "sqlite3.Connection"."""
    kind = type(value)
    hidden = kind.__module__ in ("builtins", "__main__")
    return kind.__qualname__ if hidden else f"{kind.__module__}.{kind.__qualname__}"
