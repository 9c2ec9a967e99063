"""Reducers for objects that pickle or cloudpickle would change.

They return what `__reduce__` does; `runtime_reference` names a method of `Builders`, which the reader of
pickles inherits.
"""

from __future__ import annotations

import contextlib
import copyreg
import functools
import gc
import io
import operator
import pickle
import sys
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

RUNTIME = "kale_step_runtime"
"""The module that pickles of steps name; it does not exist, the reader uses its own methods."""

HEAP_TYPE = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE`: in the flags of a class that Python code has created."""


def runtime_reference(name: str) -> Any:
    """Return a function that pickles as a method of the reader."""
    module = sys.modules.setdefault(RUNTIME, types.ModuleType(RUNTIME))
    if not hasattr(module, name):

        def reference() -> None: ...

        reference.__module__, reference.__name__, reference.__qualname__ = RUNTIME, name, name
        setattr(module, name, reference)
    return getattr(module, name)


def reject(obj: Any) -> Any:
    """Reject an object that would not survive a pickle."""
    if obj is sys.stdout or obj is sys.stderr:
        return None
    raise pickle.PicklingError(f"cannot pickle {type(obj).__name__!r} object")


def reduce_dict_view(view: Any) -> Any:
    """Reduce the keys, values or items of a dict, which stay a view of that dict."""
    return getattr(gc.get_referents(view)[0], type(view).__name__.rpartition("_")[2]), ()


def reduce_proxy(proxy: Any) -> Any:
    """Reduce a read-only view of a dict, which stays a view; cloudpickle handles that of a class."""
    shown = gc.get_referents(proxy)[0]
    of_class = isinstance(shown, dict) and isinstance(shown.get("__dict__"), types.GetSetDescriptorType)
    return None if of_class else (types.MappingProxyType, (shown,))


def reduce_weak(container: Any) -> Any:
    """Reject a weak container: its objects would be lost in another process, unless they are classes."""
    if all(isinstance(item, type) for item in container):
        return None if isinstance(container, weakref.WeakSet) else (type(container), (dict(container),))
    return reject(container)


def reduce_cached(function: Any) -> Any:
    """Reduce a cached function that is pickled by value, without its cached results."""
    if function.__module__ != "__main__":
        return None
    how = function.cache_parameters()
    make = runtime_reference("make_cached")
    return make, (function.__wrapped__, how["maxsize"], how["typed"]), dict(vars(function))


def reduce_property(cached: Any) -> Any:
    """Reduce a cached property without its lock, which Python had until 3.11."""
    state = {name: value for name, value in vars(cached).items() if name != "lock"}
    return type(cached), (cached.func,), state


def reduce_code(code: types.CodeType) -> Any:
    """Reduce code with its file name, which is that of its cell: cloudpickle 3.1.3 drops it."""
    import cloudpickle

    return runtime_reference("make_code"), (
        *cloudpickle.Pickler.dispatch_table[types.CodeType](code),
        code.co_filename,
    )


def reduce_new_type(new: Any) -> Any:
    """Reduce a `typing.NewType`, which pickle refers to by name only."""
    return (type(new), (new.__name__, new.__supertype__), dict(vars(new))) if in_main(new) else None


def reduce_param_spec(spec: Any) -> Any:
    """Reduce a `typing.ParamSpec`, which pickle refers to by name only."""
    state = None, {"__module__": "__main__"}  # set one by one: it has no __dict__ in some releases
    unbound = spec.__bound__ in (None, type(None))  # depends on Python's release
    return (type(spec), (spec.__name__,), state) if in_main(spec) and unbound else None


def reduce_logger(logger: Any) -> Any:
    """Reduce a logger, which pickle refers to by name only, with its settings except for its handlers."""
    state = {name: getattr(logger, name) for name in ("level", "disabled", "propagate")}
    return (*logger.__reduce__(), state, None, None, runtime_reference("fill_logger"))


def is_one_of(kind: type, kinds: Any) -> bool:
    """Whether a class is one of these; a metaclass may raise when its classes are hashed or compared."""
    return type(kind) is type and kind in kinds


def module_of(kind: type) -> str:
    """Return the module of a type; empty for Cython types with another `__module__`."""
    module = kind.__module__
    return module if isinstance(module, str) else ""


def in_main(obj: Any) -> bool:
    """Whether a class, a function or a type is defined in the notebook."""
    return getattr(obj, "__module__", None) == "__main__"


def reduce_exception(error: BaseException) -> Any:
    """Reduce an exception with its cause, without calling its class, whose arguments may differ."""
    made: Any = error.__reduce_ex__(5)
    if isinstance(made, str):
        return made
    kind = type(error)
    state, members = made[2] if len(made) > 2 else None, {}
    own = [k for k in kind.__mro__ if k.__flags__ & HEAP_TYPE]
    if not any(name in vars(k) for k in own for name in ("__reduce__", "__reduce_ex__", "__getstate__")):
        made, state = (runtime_reference("make_exception"), (kind, error.args)), vars(error)
        for name, member in ((n, m) for k in kind.__mro__ for n, m in vars(k).items()):
            if isinstance(member, types.MemberDescriptorType):
                members[name] = getattr(error, name, None)
    members = {name: value for name, value in members.items() if value is not None}
    links = error.__cause__, error.__context__, error.__suppress_context__
    return (*made[:2], (state, members, links), None, None, runtime_reference("fill_exception"))


def reduce_class(kind: Any, made: Any) -> Any:
    """Reduce a class of the notebook as cloudpickle does, but without running its hooks again.

    Args:
        kind: The class.
        made: The reduce value of cloudpickle.
    """
    if not isinstance(made, tuple) or len(made) < 6:
        return made
    make, args, (own, slots), _, _, fill = made
    if make.__name__ == "_make_skeleton_class":
        given = {name: own.pop(name) for name in ("__slots__",) if own.get(name)}
        args = (*args[:3], {**args[3], **given, "__qualname__": kind.__qualname__}, *args[4:])
        rebuilt = [n for n, v in own.items() if isinstance(v, types.MemberDescriptorType)]
        own = {name: value for name, value in own.items() if name not in rebuilt}
    members = [
        (name, member.value, vars(member)) for name, member in getattr(kind, "__members__", {}).items()
    ]
    is_enum = "_member_map_" in vars(kind)
    state = fill, (own, slots), members if is_enum else []
    return runtime_reference("make_class"), (make, *args), state, None, None, runtime_reference("fill_class")


def reduce_ctypes(kind: Any) -> Any:
    """Reduce a type of arrays or pointers that `ctypes` creates itself; None for one with a definition."""
    made: Any = None
    if type(kind).__name__ == "PyCArrayType":
        made = operator.mul, (kind._type_, kind._length_)
    elif type(kind).__name__ == "PyCPointerType":
        made = sys.modules["ctypes"].POINTER, (kind._type_,)
    return made if made and made[0](*made[1]) is kind else None


DICTS: tuple[Any, ...] = {}, OrderedDict()
REDUCERS: dict[type, Callable[[Any], Any]] = {
    io.TextIOWrapper: reject,  # cloudpickle would copy the text of a file
    memoryview: reject,  # and would copy the bytes of a view
    weakref.ProxyType: reject,
    weakref.CallableProxyType: reject,
    weakref.WeakSet: reduce_weak,
    weakref.WeakKeyDictionary: reduce_weak,
    weakref.WeakValueDictionary: reduce_weak,
    types.CodeType: reduce_code,
    types.MappingProxyType: reduce_proxy,
    type(functools.lru_cache(len)): reduce_cached,
    functools.cached_property: reduce_property,
    **{type(view): reduce_dict_view for each in DICTS for view in (each.keys(), each.values(), each.items())},
}
REDUCERS_BY_NAME = {"typing.NewType": reduce_new_type, "typing.ParamSpec": reduce_param_spec}


def reduce_known(obj: Any) -> Any:
    """Reduce an object; None to leave it to pickle and cloudpickle."""
    kind = type(obj)
    if kind in REDUCERS:
        return REDUCERS[kind](obj)
    if kind.__module__ == "logging" and kind.__name__ in ("Logger", "RootLogger"):
        return reduce_logger(obj)
    if kind.__module__ == "tempfile":
        return reject(obj)  # it is deleted with its last reference in the process that created it
    if kind.__module__ == "_ctypes" and isinstance(obj, type):
        return reduce_ctypes(obj)
    if kind.__module__ == "typing":
        by_name = REDUCERS_BY_NAME.get(f"typing.{kind.__name__}")
        return by_name(obj) if by_name else None
    if issubclass(kind, BaseException):
        return reduce_exception(obj)
    return reduce_instance(obj, kind) if in_main(kind) else None


def reduce_instance(obj: Any, kind: type) -> Any:
    """Reduce an object of a class of the notebook with its own `__new__`, which pickle would call again."""
    for name in ("__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__"):
        if getattr(kind, name, None) is not getattr(object, name, None):
            return None
    if issubclass(kind, dict) and not hasattr(kind, "__getstate__") and not vars(obj):
        # Python 3.10 looks up `__getstate__` of the object, whose own `__getattr__` may raise any exception.
        return copyreg.__newobj__, (kind,), None, None, iter(dict.items(obj))  # type: ignore[attr-defined]
    makers = [vars(base)["__new__"] for base in kind.__mro__ if "__new__" in vars(base)]
    if len(makers) < 2 or kind.__mro__[-2].__flags__ & HEAP_TYPE == 0:
        return None
    made: Any = object.__reduce_ex__(obj, 4)
    return runtime_reference("make_instance"), (kind,), made[2] if len(made) > 2 else None


class Builders:
    """Rebuilds objects from their reduced form."""

    def make_cached(self, function: Any, maxsize: int | None, typed: bool) -> Any:
        """Rebuild an object of `reduce_cached`."""
        return functools.lru_cache(maxsize, typed)(function)

    def make_code(self, make: Any, args: tuple[Any, ...], filename: str) -> types.CodeType:
        """Rebuild an object of `reduce_code`."""
        code: types.CodeType = make(*args).replace(co_filename=filename)
        return code

    def fill_logger(self, logger: Any, state: Any) -> None:
        """Set a state of `reduce_logger`."""
        logger.setLevel(state.pop("level"))
        vars(logger).update(state)

    def make_instance(self, kind: Any) -> Any:
        """Rebuild an object of `reduce_instance`."""
        return object.__new__(kind)

    def make_exception(self, kind: Any, args: tuple[Any, ...]) -> BaseException:
        """Rebuild an object of `reduce_exception`."""
        base = next(k for k in kind.__mro__ if not k.__flags__ & HEAP_TYPE)
        error: BaseException = base.__new__(kind, *args)
        error.args = args
        return error

    def fill_exception(self, error: Any, state: Any) -> None:
        """Set a state of `reduce_exception`."""
        own, members, links = state
        for name, value in members.items():
            with contextlib.suppress(AttributeError, TypeError):  # read-only, and already set
                setattr(error, name, value)
        if own is not None:
            error.__setstate__(own)
        error.__cause__, error.__context__, error.__suppress_context__ = links

    def make_class(self, make: Any, first: Any, name: str, bases: Any, *others: Any) -> Any:
        """Rebuild a class of `reduce_class` without `__init_subclass__` and metaclasses of the notebook."""
        if not isinstance(first, type):  # an enumeration
            return make(first, name, bases, *others)
        if in_main(first):
            meta, parent = first, next(k for k in first.__mro__ if not in_main(k))
            first = lambda name, bases, space: parent.__new__(meta, name, bases, space)  # noqa: E731 - in its place
        hook = "__init_subclass__"
        hooked = {k for base in bases for k in getattr(base, "__mro__", ()) if in_main(k) and hook in vars(k)}
        hooks = [(k, vars(k)[hook]) for k in hooked]
        for k in hooked:
            type.__delattr__(k, hook)
        try:
            return make(first, name, bases, *others)
        finally:
            for k, function in hooks:
                type.__setattr__(k, hook, function)

    def fill_class(self, kind: Any, state: Any) -> None:
        """Set a state of `reduce_class`; members of an enumeration get their attributes and aliases."""
        fill, own, members = state
        for name, _, _ in members:
            if name in own[0]:
                kind._member_map_.pop(name, None)  # or it could not be set
        fill(kind, own)
        for name, value, attributes in members:
            member = kind.__members__[name] if name in kind.__members__ else kind(value)
            vars(member).update(attributes)
            kind._member_map_[name] = member
