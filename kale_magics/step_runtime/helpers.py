"""Globals that functions of the notebook look up, for steps that load the functions and lack the globals.

A function looks up its globals in the step that calls it. Where the function is found by its name in a dict,
the analysis cannot know which step calls it, and a builtin could be used in place of a missing helper of the
same name. So the definitions and imports that functions look up are added to the artifact, each as a pickle
of its own. A step binds those that it lacks.
"""

from __future__ import annotations

import builtins
import importlib
import io
import sys
import types
from collections.abc import Callable, Collection, Iterator
from typing import Any

DEFINED_TYPES = (type, types.FunctionType, types.BuiltinFunctionType)

NOT_OF_NOTEBOOK = frozenset({"get_ipython", "display"})


class Helpers:
    """The functions and classes of the notebook in one artifact.

    Args:
        namespace: The globals of these functions.
        everywhere: The names of definitions that every step has.
        late: For names that the notebook imports and this step does not: the module, and the attribute that
            is imported from it.
    """

    def __init__(
        self,
        namespace: dict[str, Any],
        everywhere: Collection[str] = (),
        late: dict[str, tuple[str, str]] | None = None,
    ) -> None:
        self.namespace, self.everywhere, self.late = namespace, everywhere, late or {}
        self.codes: list[types.CodeType] = []

    def add(self, definition: Any) -> None:
        """Add a function, or a class with its methods; ignore anything else."""
        if isinstance(definition, types.FunctionType):
            if definition.__globals__ is self.namespace:
                self.codes.append(definition.__code__)
        elif isinstance(definition, type) and definition.__module__ == "__main__":
            for member in list(vars(definition).values()):
                for function in (member, getattr(member, "__func__", None), getattr(member, "fget", None)):
                    if isinstance(function, types.FunctionType):
                        self.add(function)

    def names(self) -> list[str]:
        """Return the definitions and imports that the functions look up, directly or not."""
        found: dict[str, None] = {}
        seen: set[types.CodeType] = set()
        while self.codes:
            code = self.codes.pop()
            if code in seen:
                continue
            seen.add(code)
            for name in names_in(code):
                if name not in found and (self.is_helper(name) or name in self.late):
                    found[name] = None
                    self.add(self.namespace.get(name))
        return sorted(name for name in found if name not in self.everywhere)

    def is_helper(self, name: str) -> bool:
        """Whether a name refers to a definition, an import, or a value that shadows a builtin."""
        if name not in self.namespace or name in NOT_OF_NOTEBOOK or name.startswith("__"):
            return False
        value = self.namespace[name]
        return isinstance(value, (*DEFINED_TYPES, types.ModuleType)) or hasattr(builtins, name)

    def pickled(self, make: Callable[[Any], Any]) -> dict[str, Any]:
        """Return for each name a module and an attribute, or a pickle; None for what cannot be pickled.

        Args:
            make: Returns a pickler that writes to a file.
        """
        found: dict[str, Any] = {}
        for name in self.names():
            value, file = self.namespace.get(name), io.BytesIO()
            if name in self.late and (value is None or isinstance(value, LazyModule)):
                found[name] = self.late[name]
                continue
            if isinstance(value, types.ModuleType):
                found[name] = value.__name__, ""
                continue
            try:
                make(file).dump(value)
                found[name] = file.getvalue()
            except Exception:  # a user's own __reduce__ may raise anything; the step that needs it reports it
                found[name] = None
        return found


def names_in(code: types.CodeType) -> Iterator[str]:
    """Yield the names that code looks up as globals or attributes, including functions in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_in(constant)


class LazyModule(types.ModuleType):
    """A module that is imported when one of its attributes is used.

    Args:
        name: The module.
        key: Its name in the notebook.
        namespace: The variables with that name.
    """

    def __init__(self, name: str, key: str, namespace: dict[str, Any]) -> None:
        super().__init__(name)
        vars(self)["_place"] = key, namespace

    def __getattr__(self, name: str) -> Any:
        module = importlib.import_module(self.__name__)
        key, namespace = self._place
        if "." in self.__name__ and key == self.__name__.partition(".")[0]:
            module = sys.modules[key]  # as `import a.b` binds `a`
        if namespace.get(key) is self:
            namespace[key] = module
        return getattr(module, name)


def imported(path: str, attribute: str, key: str, namespace: dict[str, Any]) -> Any:
    """Return what an import would bind; a module that is not loaded is imported on its first use.

    Raises:
        ImportError: The module or the attribute does not exist.
    """
    if not attribute:
        return sys.modules[key] if key == path and key in sys.modules else LazyModule(path, key, namespace)
    module = importlib.import_module(path)
    if hasattr(module, attribute):
        return getattr(module, attribute)
    return importlib.import_module(f"{path}.{attribute}")


def bind_helpers(
    helpers: dict[str, Any], namespace: dict[str, Any], load: Callable[[bytes], Any]
) -> list[str]:
    """Bind globals of functions that a step lacks.

    Args:
        helpers: As returned by `Helpers.pickled`.
        namespace: The variables of the step.
        load: Loads a pickle.

    Returns:
        The names that could not be bound and that builtins have too.
    """
    missing = []
    for name, given in helpers.items():
        if name in namespace:
            continue
        try:
            if isinstance(given, tuple):
                path, attribute = given
                namespace[name] = imported(path, attribute, name, namespace)
            elif given is not None:
                namespace[name] = load(given)
        except Exception:  # noqa: S110 - a class may need what is missing here; its use raises a NameError
            pass
        if name not in namespace and hasattr(builtins, name):
            missing.append(name)
    return missing
