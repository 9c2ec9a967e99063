"""Which callables of which libraries are probed, and under which names."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import types
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import Any

from tests.probe.examples import EXAMPLES
from tests.probe.findings import Target
from tests.probe.instances import INSTANCES, Factory, estimator_bases, estimators, fitted, splitters
from tests.probe.modules import DENIED, MODULES
from tests.probe.signatures import signature_of
from tests.probe.trials import call

Wanted = Callable[[str], bool]
"""Whether a callable is to be probed, by its name."""


def public_name(item: Any) -> str:
    """The name of a class or function in the highest public module that has it; builtins without module."""
    module, name = item.__module__ or "builtins", item.__qualname__
    if module == "builtins":
        return str(name)
    parts = module.split(".")
    paths = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    for path in [*(p.removeprefix("_") for p in paths), module]:
        found: Any = sys.modules.get(path)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is item:
            return f"{path}.{name}"
    return f"{module}.{name}"


def functions(library: str, wanted: Wanted) -> Iterator[Target]:
    """The functions and classes of a library's public modules, and the class and static methods."""
    return (target for target in _functions(library) if wanted(target.name))


def _functions(library: str) -> Iterator[Target]:
    seen: set[str] = set()
    for module_name in MODULES[library].split():
        for name, item in _members(module_name, library):
            path = f"{module_name}.{name}"
            if path in seen or DENIED.fullmatch(path):
                continue
            seen.add(path)
            yield _function(path, item, library)
            if isinstance(item, type):
                yield from _class_methods(item, library, seen)
            is_ufunc = module_name == "numpy" and type(item).__name__ == "ufunc"
            if is_ufunc and item.nout == 1 and item.signature is None:
                for part in ("at", "reduce", "accumulate", "outer", "reduceat")[
                    : None if item.nin == 2 else 1
                ]:
                    yield _function(f"{path}.{part}", getattr(item, part), library)


def _members(module_name: str, library: str) -> Iterator[tuple[str, Any]]:
    try:
        module = importlib.import_module(module_name)
    except ImportError:
        if "." not in module_name:
            return
        parent, _, name = module_name.rpartition(".")
        module = getattr(importlib.import_module(parent), name)
    for name in sorted(getattr(module, "__all__", dir(module))):
        succeeded, item = call(getattr, {0: module, 1: name})
        if not succeeded or name.startswith("_") or isinstance(item, types.ModuleType) or not callable(item):
            continue
        if isinstance(item, type) and issubclass(item, BaseException):
            continue
        home = getattr(item, "__module__", None) or module_name
        if library == "stdlib" or hasattr(module, "__all__") or f"{home}.".startswith(f"{module_name}."):
            yield name, item


def _function(path: str, item: Callable[..., Any], library: str) -> Target:
    return Target(
        path, (lambda: (item, None),), library, signature_of(path, item), examples=EXAMPLES.get(path, ())
    )


def _class_methods(kind: type, library: str, seen: set[str]) -> Iterator[Target]:
    for name in dir(kind):
        static = inspect.getattr_static(kind, name)
        if name.startswith("_") or not (
            isinstance(static, classmethod | staticmethod | types.ClassMethodDescriptorType)
        ):
            continue
        path = f"{public_name(kind)}.{name}"
        if path not in seen and not DENIED.fullmatch(path):
            seen.add(path)
            yield _function(path, getattr(kind, name), library)


@functools.cache
def objects(library: str) -> dict[str, tuple[type, list[Factory], list[tuple[str, Factory]]]]:
    """For the name of each type: the type, what makes its objects, and what makes them with an option."""
    found: dict[str, tuple[type, list[Factory], list[tuple[str, Factory]]]] = {}
    if library == "sklearn":
        for kind, make in estimator_bases():
            found[public_name(kind)] = (kind, [make], [])
        for kind, make in estimators():
            succeeded, _ = call(make, {})
            if not succeeded:
                continue
            entry = found.setdefault(public_name(kind), (kind, [], []))
            entry[1].append(make)
            entry[1].append(fitted(make))
            entry[2].extend(_with_options(kind, make))
        for make in splitters():
            found.setdefault(public_name(type(make())), (type(make()), [], []))[1].append(make)
        return found
    for make in INSTANCES[library]():
        succeeded, example = call(make, {})
        if succeeded:
            kind = type(example)
            found.setdefault(public_name(kind), (kind, [], []))[1].append(make)
    return found


def _with_options(kind: type, make: Factory) -> Iterator[tuple[str, Factory]]:
    for name, parameter in inspect.signature(kind).parameters.items():
        if name.startswith(("copy", "inplace", "overwrite")) and isinstance(parameter.default, bool):
            changed = {name: not parameter.default}

            def with_option(changed: dict[str, bool] = changed) -> Any:
                return make().set_params(**changed)

            yield name, with_option
            yield name, fitted(with_option)
    if "random_state" in inspect.signature(kind).parameters:
        for given in ({}, *({name: value} for name, values in DRAWING.items() for value in values)):
            yield "", functools.partial(_without_seed, make, given)


def _without_seed(make: Factory, given: dict[str, str]) -> Any:
    return make().set_params(random_state=None, **given)


DRAWING = {
    "solver": ("liblinear", "saga", "adam"),
    "svd_solver": ("randomized", "arpack"),
    "eigen_solver": ("arpack",),
    "selection": ("random",),
    "init": ("random",),
}
"""Parameters of estimators, with values for which some draw that do not by default."""


def methods(library: str, wanted: Wanted) -> Iterator[Target]:
    """The methods of a library's objects."""
    found = objects(library)
    kinds = {kind for kind, _, _ in found.values()}
    for type_name, (kind, makes, variants) in found.items():
        for name in sorted(method_names(kind)):
            path = f"{type_name}.{name}"
            if is_inherited(kind, name, kinds) or DENIED.fullmatch(path) or not wanted(path):
                continue
            first = next((m for m in (_bound(make, name) for make in makes) if call(m, {})[0]), None)
            signature = None if first is None else signature_of(path, first()[0])
            yield Target(
                path,
                tuple(_bound(make, name) for make in makes),
                library,
                signature,
                tuple((option, _bound(make, name)) for option, make in variants),
                EXAMPLES.get(path, ()),
            )


def _bound(make: Factory, name: str) -> Callable[[], tuple[Callable[..., Any], Any]]:
    def bound() -> tuple[Callable[..., Any], Any]:
        owner = make()
        return getattr(owner, name), owner

    return bound


def is_inherited(kind: type, name: str, probed: Collection[type]) -> bool:
    """Whether a class has a method or attribute just as a base class that is probed itself."""
    definer = next((base for base in kind.__mro__ if name in vars(base)), kind)
    return definer is not kind and definer in probed


SPECIAL = frozenset("__getitem__ __setitem__ __delitem__ __call__ __enter__ __iter__ __next__".split())


def method_names(kind: type) -> set[str]:
    """The public methods of a class, and the special ones that code calls by their syntax."""
    names = set()
    for name in dir(kind):
        if name.startswith("_") and name not in SPECIAL:
            continue
        static = inspect.getattr_static(kind, name)
        plain = not isinstance(
            static, classmethod | staticmethod | types.ClassMethodDescriptorType | property
        )
        if plain and not isinstance(static, type) and _is_callable(kind, name):
            names.add(name)
    return names


def _is_callable(kind: type, name: str) -> bool:
    succeeded, item = call(getattr, {0: kind, 1: name})
    static = inspect.getattr_static(kind, name)
    return (succeeded and callable(item)) or type(static).__name__ == "_AvailableIfDescriptor"


def attributes(library: str, wanted: Wanted) -> Iterator[tuple[str, str, list[Factory]]]:
    """For each type and each of its attributes: the names, and what makes the objects."""
    found = objects(library)
    kinds = {kind for kind, _, _ in found.values()}
    for type_name, (kind, makes, _) in found.items():
        callables = method_names(kind)
        names: dict[str, list[Factory]] = defaultdict(list)
        for make in makes:
            for name in call(lambda make=make: dir(make()), {})[1] or ():
                path = f"{type_name}.{name}"
                passed_over = name.startswith("_") or name in callables or DENIED.fullmatch(path)
                if not passed_over and not is_inherited(kind, name, kinds) and wanted(path):
                    names[name].append(make)
        for name, having in sorted(names.items()):
            yield type_name, name, having
