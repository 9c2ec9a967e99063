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
    """The functions and classes that a step made by replaying source, by identity."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.identities: dict[int, str] = {}

    def add(self, identity: str, definition: Any) -> None:
        """Note a definition of the notebook, and the methods and classes that are defined in a class."""
        if getattr(definition, "__module__", None) != "__main__":
            return
        self.objects[identity] = definition
        self.identities.setdefault(id(definition), identity)
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
            # cloudpickle would make a copy of the text that is in a file, and bytes of a view of bytes.
            if isinstance(obj, (io.TextIOWrapper, memoryview)) and obj is not sys.stdout and obj is not sys.stderr:
                raise pickle.PicklingError(f"cannot pickle {type(obj).__name__!r} object")
            return super().reducer_override(obj)

    return Pickler(file, protocol=5, buffer_callback=buffers)


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


class Nowhere(io.RawIOBase):
    """A file that forgets what is written."""

    def write(self, data: Any) -> int:
        """Say that it was written."""
        return memoryview(data).nbytes


def pickling_error(value: Any, namespace: dict[str, Any], definitions: Definitions) -> Exception | None:
    """Why a value cannot be pickled; None if it can."""
    try:
        make_pickler(Nowhere(), namespace, definitions, lambda buffer: None).dump(value)
    except Exception as error:  # a user's own __reduce__ may raise anything
        return error
    return None


def children(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The parts of a value, with the expressions that lead to them."""
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
) -> tuple[str, Any, Exception] | None:
    """Find the part of a value that cannot be pickled.

    Args:
        value: Any object.
        name: What its user calls it.
        namespace: The globals of the notebook's functions.
        definitions: What travels as its identity.
        attempts: How many parts are tried at most.

    Returns:
        The expression that leads to the innermost culprit, the culprit, and why it cannot be pickled; None if
        the value can be pickled.
    """
    definitions = definitions or Definitions()
    error = pickling_error(value, namespace, definitions)
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
