"""What pickle or cloudpickle would change on its way: how such an object is taken apart, and made again.

The functions that take apart answer as `__reduce__` does; what they name by `runtime_reference` is a method
of `Makers`, which the reader of pickles has.
"""

from __future__ import annotations

import contextlib
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
"""The module that pickles of steps name; no such module exists, the reader puts its methods in its place."""

HEAP_TYPE = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE`: in the flags of a class that Python code has made."""


def runtime_reference(name: str) -> Any:
    """A function that pickles as a method of the reader."""
    module = sys.modules.setdefault(RUNTIME, types.ModuleType(RUNTIME))
    if not hasattr(module, name):

        def reference() -> None: ...

        reference.__module__, reference.__name__, reference.__qualname__ = RUNTIME, name, name
        setattr(module, name, reference)
    return getattr(module, name)


def refuse(obj: Any) -> Any:
    """Refuse an object of which a pickle would make something else."""
    if obj is sys.stdout or obj is sys.stderr:
        return None
    raise pickle.PicklingError(f"cannot pickle {type(obj).__name__!r} object")


def view_parts(view: Any) -> Any:
    """The keys, values or items of a dict stay those of that dict."""
    return getattr(gc.get_referents(view)[0], type(view).__name__.rpartition("_")[2]), ()


def proxy_parts(proxy: Any) -> Any:
    """A read-only dict stays that of its dict; cloudpickle knows what to do with that of a class."""
    shown = gc.get_referents(proxy)[0]
    of_class = isinstance(shown, dict) and isinstance(shown.get("__dict__"), types.GetSetDescriptorType)
    return None if of_class else (types.MappingProxyType, (shown,))


def weak_parts(container: Any) -> Any:
    """What holds objects weakly would lose those that nothing else holds where it arrives; classes stay."""
    if all(isinstance(item, type) for item in container):
        return None if isinstance(container, weakref.WeakSet) else (type(container), (dict(container),))
    return refuse(container)


def cached_parts(function: Any) -> Any:
    """A function with a cache, if it has to travel: with what it computes, without what it has computed."""
    if function.__module__ != "__main__":
        return None
    how = function.cache_parameters()
    make = runtime_reference("make_cached")
    return make, (function.__wrapped__, how["maxsize"], how["typed"]), dict(vars(function))


def property_parts(cached: Any) -> Any:
    """A cached property without its lock, which Python had until 3.11."""
    state = {name: value for name, value in vars(cached).items() if name != "lock"}
    return type(cached), (cached.func,), state


def code_parts(code: types.CodeType) -> Any:
    """Code with the name of its file, which is its cell: cloudpickle 3.1.3 forgets it."""
    import cloudpickle

    return runtime_reference("make_code"), (
        *cloudpickle.Pickler.dispatch_table[types.CodeType](code),
        code.co_filename,
    )


def new_type_parts(new: Any) -> Any:
    """A type of `typing.NewType`, which pickle knows by its name only."""
    return (type(new), (new.__name__, new.__supertype__), dict(vars(new))) if in_main(new) else None


def param_spec_parts(spec: Any) -> Any:
    """A `typing.ParamSpec`, which pickle knows by its name only."""
    state = None, {"__module__": "__main__"}  # set one by one: it has no __dict__ in some releases
    unbound = spec.__bound__ in (None, type(None))  # which of them hangs on Python's release
    return (type(spec), (spec.__name__,), state) if in_main(spec) and unbound else None


def logger_parts(logger: Any) -> Any:
    """A logger, which pickle knows by its name only, with what was set in it, but for its handlers."""
    state = {name: getattr(logger, name) for name in ("level", "disabled", "propagate")}
    return (*logger.__reduce__(), state, None, None, runtime_reference("fill_logger"))


def is_one_of(kind: type, kinds: Any) -> bool:
    """Whether a class is one of these; a metaclass may raise when its classes are hashed or compared."""
    return type(kind) is type and kind in kinds


def module_of(kind: type) -> str:
    """The module of a type; empty for those types of Cython that have something else there."""
    module = kind.__module__
    return module if isinstance(module, str) else ""


def in_main(obj: Any) -> bool:
    """Whether the notebook has made a class, a function or a type."""
    return getattr(obj, "__module__", None) == "__main__"


def exception_parts(error: BaseException) -> Any:
    """An exception with what led to it, and without a call of its class, which may want other arguments."""
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


def class_parts(kind: Any, made: Any) -> Any:
    """What cloudpickle makes of a class of the notebook, made again without the hooks that have run.

    Args:
        kind: The class.
        made: What cloudpickle says.
    """
    if not isinstance(made, tuple) or len(made) < 6:
        return made
    make, args, (own, slots), _, _, fill = made
    if make.__name__ == "_make_skeleton_class":
        given = {name: own.pop(name) for name in ("__slots__",) if own.get(name)}
        args = (*args[:3], {**args[3], **given, "__qualname__": kind.__qualname__}, *args[4:])
        made_anew = [n for n, v in own.items() if isinstance(v, types.MemberDescriptorType)]
        own = {name: value for name, value in own.items() if name not in made_anew}
    members = [
        (name, member.value, vars(member)) for name, member in getattr(kind, "__members__", {}).items()
    ]
    is_enum = "_member_map_" in vars(kind)
    state = fill, (own, slots), members if is_enum else []
    return runtime_reference("make_class"), (make, *args), state, None, None, runtime_reference("fill_class")


def ctypes_parts(kind: Any) -> Any:
    """A type of arrays or of pointers that `ctypes` makes itself; None for one with a definition."""
    made: Any = None
    if type(kind).__name__ == "PyCArrayType":
        made = operator.mul, (kind._type_, kind._length_)
    elif type(kind).__name__ == "PyCPointerType":
        made = sys.modules["ctypes"].POINTER, (kind._type_,)
    return made if made and made[0](*made[1]) is kind else None


DICTS: tuple[Any, ...] = {}, OrderedDict()
REDUCERS: dict[type, Callable[[Any], Any]] = {
    io.TextIOWrapper: refuse,  # cloudpickle would make a copy of the text that is in a file
    memoryview: refuse,  # and bytes of a view of bytes
    weakref.ProxyType: refuse,
    weakref.CallableProxyType: refuse,
    weakref.WeakSet: weak_parts,
    weakref.WeakKeyDictionary: weak_parts,
    weakref.WeakValueDictionary: weak_parts,
    types.CodeType: code_parts,
    types.MappingProxyType: proxy_parts,
    type(functools.lru_cache(len)): cached_parts,
    functools.cached_property: property_parts,
    **{type(view): view_parts for each in DICTS for view in (each.keys(), each.values(), each.items())},
}
REDUCERS_BY_NAME = {"typing.NewType": new_type_parts, "typing.ParamSpec": param_spec_parts}


def known_parts(obj: Any) -> Any:
    """What to make an object of; None if pickle and cloudpickle know."""
    kind = type(obj)
    if kind in REDUCERS:
        return REDUCERS[kind](obj)
    if kind.__module__ == "logging" and kind.__name__ in ("Logger", "RootLogger"):
        return logger_parts(obj)
    if kind.__module__ == "tempfile":
        return refuse(obj)  # it is deleted when nobody holds it in the process that made it
    if kind.__module__ == "_ctypes" and isinstance(obj, type):
        return ctypes_parts(obj)
    if kind.__module__ == "typing":
        by_name = REDUCERS_BY_NAME.get(f"typing.{kind.__name__}")
        return by_name(obj) if by_name else None
    if issubclass(kind, BaseException):
        return exception_parts(obj)
    return instance_parts(obj, kind) if in_main(kind) else None


def instance_parts(obj: Any, kind: type) -> Any:
    """An object of a class of the notebook that makes its objects itself: pickle would make another."""
    for name in ("__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__"):
        if getattr(kind, name, None) is not getattr(object, name, None):
            return None
    makers = [vars(base)["__new__"] for base in kind.__mro__ if "__new__" in vars(base)]
    if len(makers) < 2 or kind.__mro__[-2].__flags__ & HEAP_TYPE == 0:
        return None
    made: Any = object.__reduce_ex__(obj, 4)
    return runtime_reference("make_instance"), (kind,), made[2] if len(made) > 2 else None


class Makers:
    """Make again what was taken apart."""

    def make_cached(self, function: Any, maxsize: int | None, typed: bool) -> Any:
        """As `cached_parts` said."""
        return functools.lru_cache(maxsize, typed)(function)

    def make_code(self, make: Any, args: tuple[Any, ...], filename: str) -> types.CodeType:
        """As `code_parts` said."""
        code: types.CodeType = make(*args).replace(co_filename=filename)
        return code

    def fill_logger(self, logger: Any, state: Any) -> None:
        """As `logger_parts` said."""
        logger.setLevel(state.pop("level"))
        vars(logger).update(state)

    def make_instance(self, kind: Any) -> Any:
        """As `instance_parts` said."""
        return object.__new__(kind)

    def make_exception(self, kind: Any, args: tuple[Any, ...]) -> BaseException:
        """As `exception_parts` said."""
        base = next(k for k in kind.__mro__ if not k.__flags__ & HEAP_TYPE)
        error: BaseException = base.__new__(kind, *args)
        error.args = args
        return error

    def fill_exception(self, error: Any, state: Any) -> None:
        """As `exception_parts` said."""
        own, members, links = state
        for name, value in members.items():
            with contextlib.suppress(AttributeError, TypeError):  # cannot be set, and has been
                setattr(error, name, value)
        if own is not None:
            error.__setstate__(own)
        error.__cause__, error.__context__, error.__suppress_context__ = links

    def make_class(self, make: Any, first: Any, name: str, bases: Any, *others: Any) -> Any:
        """As `class_parts` said; `__init_subclass__` and a metaclass of the notebook have had their turn."""
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
        """As `class_parts` said; members of an enumeration get their attributes and their other names."""
        fill, own, members = state
        for name, _, _ in members:
            if name in own[0]:
                kind._member_map_.pop(name, None)  # or it could not be set
        fill(kind, own)
        for name, value, attributes in members:
            member = kind.__members__[name] if name in kind.__members__ else kind(value)
            vars(member).update(attributes)
            kind._member_map_[name] = member
