"""The holders of process state outside of variables, and readers for them without side effects.

A reader finds its library in `sys.modules` and imports nothing. It returns a `Reading`: for each key a token
that is equal as long as the state is, or for a class a copy of its dict. `holder_label` returns readable
labels.
"""

from __future__ import annotations

import contextvars
import locale
import logging
import os
import re
import sys
import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from kale_magics.step_runtime.parts import contents

Reading = dict[str, Any]
"""For each key, as in "display.max_rows", a token of its value; for classes, their contents."""

MAX_ITEMS = 200
"""How many elements of a container are compared to detect a change."""

_ATOMS = frozenset({int, str, bytes, type(None)})

HANDLERS, LEVEL = "handlers", "level"

LABELS: Mapping[str, str] = {
    "pandas": "the pandas option {}",
    "numpy": "numpy's error handling (np.seterr)",
    "numpy printing": "the numpy print option {}",
    "sklearn": "the scikit-learn configuration ({})",
    "decimal": "the decimal context ({})",
    "matplotlib": "rcParams[{!r}]",
    "torch": "the torch setting {}",
    "csv": "the csv setting {}",
    "calendar": "the first day of the week (calendar.setfirstweekday)",
    "socket": "the default socket timeout (socket.setdefaulttimeout)",
    "mimetypes": "the types of mimetypes",
    "sqlite3": "the adapters and converters of sqlite3",
    "copyreg": "the reducers of copyreg",
    "warnings": "the warnings filters",
    "logging": "the {}",
    "locale": "the locale",
    "environment": "the environment variable {}",
    "variable": "the environment variable {}",
    "folder": "the working directory",
    "path": "sys.path",
    "recursion": "the recursion limit (sys.setrecursionlimit)",
    "digits": "the integer digit limit (sys.set_int_max_str_digits)",
    "pyplot": "pyplot's current figure",
    "class": "{} (an attribute of a library's class)",
    "attribute": "{}",
    "module": "the attribute {}",
    "abc": "the subclasses registered with {} (ABC.register)",
    "subclasses": "the subclasses of {}",
    "default": "the default of the field {}",
}
"""Labels by the first part of a holder's name, with a field for the key."""

LABELS_WITHOUT_KEY: Mapping[str, str] = {
    "pandas": "the pandas options",
    "numpy printing": "the numpy print options",
    "sklearn": "the scikit-learn configuration",
    "decimal": "the decimal context",
    "matplotlib": "matplotlib's rcParams",
    "torch": "the settings of torch",
    "csv": "the settings of csv",
    "logging": "the configuration of logging",
    "environment": "the environment variables",
    "variable": "the environment variables",
    "module": "the attributes",
}
"""Labels without a key."""


def holder_label(holder: str, key: str) -> str:
    """Return a readable label for a holder and a key."""
    kind, _, owner = holder.partition(":")
    label = LABELS[kind] if key else LABELS_WITHOUT_KEY.get(kind, LABELS[kind])
    return label.format(key) + (f" of module {owner}" if kind == "module" else "")


def token(value: Any, depth: int = 2) -> Any:
    """Return builtin objects that are equal as long as a value is unchanged, without referring to it.

    Args:
        value: Any object; no code of its class runs.
        depth: How deep builtin containers are compared.
    """
    kind = type(value)
    if type(kind) is not type:  # a metaclass may raise when its classes are hashed or compared
        return id(kind), id(value), 0
    if kind in _ATOMS:
        return value
    if kind in (bool, float, complex):
        return repr(value)
    if kind in (list, tuple, set, frozenset, dict) and depth and len(value) <= MAX_ITEMS:
        if kind is dict:
            return kind.__name__, tuple((token(k, 0), token(v, depth - 1)) for k, v in list(value.items()))
        parts = [token(item, depth - 1) for item in list(value)]
        return kind.__name__, tuple(parts) if kind in (list, tuple) else frozenset(parts)
    size = len(value) if kind in (list, tuple, set, frozenset, dict) else 0
    return id(kind), id(value), size


def _module(name: str) -> Mapping[str, Any] | None:
    module = sys.modules.get(name)
    return contents(module) if issubclass(type(module), types.ModuleType) else None


def _flat(options: Mapping[str, Any], prefix: str = "") -> Reading:
    found: Reading = {}
    for name, value in options.items():
        if type(value) is dict and value:
            found.update(_flat(value, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = token(value)
    return found


def _pandas() -> Reading | None:
    module = _module("pandas._config.config")
    return _flat(module["_global_config"]) if module else None


def _numpy() -> Reading | None:
    module = _module("numpy")
    if not module:
        return None
    return {**module["geterr"](), "call": token(module["geterrcall"]())}


def _numpy_printing() -> Reading | None:
    module = _module("numpy")
    return _flat(module["get_printoptions"]()) if module else None


def _sklearn() -> Reading | None:
    module = _module("sklearn._config")
    return _flat(module["get_config"]()) if module else None


def _decimal() -> Reading | None:
    module = _module("decimal")
    if not module:
        return None
    # `decimal.getcontext()` would create a context.
    found = [value for var, value in contextvars.copy_context().items() if var.name == "decimal_context"]
    context = found[0] if found else module["DefaultContext"]
    names = "prec", "rounding", "Emin", "Emax", "capitals", "clamp"
    reading = {name: getattr(context, name) for name in names}
    return reading | {"traps": tuple(signal.__name__ for signal, on in context.traps.items() if on)}


def _csv() -> Reading | None:
    module = _module("csv")
    if not module:
        return None
    details = "delimiter quotechar doublequote skipinitialspace lineterminator quoting escapechar".split()
    dialects = {name: module["get_dialect"](name) for name in module["list_dialects"]()}
    found: Reading = {n: tuple(str(getattr(d, each)) for each in details) for n, d in dialects.items()}
    return found | {"field_size_limit": module["field_size_limit"]()}


def _torch() -> Reading | None:
    module = _module("torch")
    if not module or "is_grad_enabled" not in module or "get_default_dtype" not in module:
        return None
    return {"gradients": str(module["is_grad_enabled"]()), "dtype": str(module["get_default_dtype"]())}


_DISPLAY_SETTINGS = frozenset({"backend", "backend_fallback", "interactive"})
"""The rcParams for the display of figures, which each step sets itself."""


def _matplotlib() -> Reading | None:
    module = _module("matplotlib")
    if not module or not isinstance(module.get("rcParams"), dict):
        return None
    # `rcParams[...]` would choose a backend. Its values are matplotlib's, and can be compared.
    items = dict.items(module["rcParams"])
    found = {name: tuple(value) if type(value) is list else value for name, value in items}
    return {name: value for name, value in found.items() if name not in _DISPLAY_SETTINGS}


def _pyplot() -> Reading | None:
    module = _module("matplotlib._pylab_helpers")
    figures = contents(module["Gcf"]).get("figs") if module else None
    if not figures:
        return {} if module else None
    number, manager = next(reversed(figures.items()))
    return {"": (number, id(manager))}


def _warnings() -> Reading:
    filters = []
    for action, message, category, module, line in warnings.filters:
        patterns = [p.pattern if isinstance(p, re.Pattern) else p for p in (message, module)]
        filters.append((action, *map(str, patterns), id(category), line))
    return {"": tuple(filters)}


def _logging() -> Reading:
    root = logging.root
    found: Reading = {"disabled": token(root.manager.disable)}
    for name, logger in [("root", root), *list(root.manager.loggerDict.items())]:
        if not isinstance(logger, logging.Logger):
            continue
        own = contents(logger)
        level, handlers = own.get(LEVEL), own.get(HANDLERS)
        if level or name == "root":
            found[f"{LEVEL} of logger {name!r}"] = token(level)
        if handlers or name == "root":
            found[f"{HANDLERS} of logger {name!r}"] = token(handlers)
        if own.get("disabled") or own.get("propagate") is not True:
            found[f"propagation of logger {name!r}"] = (str(own.get("disabled")), str(own.get("propagate")))
    return found


def _locale() -> Reading:
    return {"": locale.setlocale(locale.LC_ALL)}


def _environment() -> Reading:
    return dict(os.environ)


def _folder() -> Reading:
    try:
        return {"": os.getcwd()}
    except OSError:  # deleted
        return {"": ""}


def _path() -> Reading:
    return {"": token(sys.path)}


def _recursion() -> Reading:
    return {"": sys.getrecursionlimit()}


def _digits() -> Reading | None:
    return {"": sys.get_int_max_str_digits()} if hasattr(sys, "get_int_max_str_digits") else None


def _calendar() -> Reading | None:
    module = _module("calendar")
    return {"": module["firstweekday"]()} if module else None


def _socket() -> Reading | None:
    module = _module("socket")
    return {"": str(module["getdefaulttimeout"]())} if module else None


READERS: Mapping[str, Callable[[], Reading | None]] = {
    "pandas": _pandas, "numpy": _numpy, "numpy printing": _numpy_printing, "sklearn": _sklearn,
    "decimal": _decimal, "torch": _torch, "matplotlib": _matplotlib, "pyplot": _pyplot, "warnings": _warnings,
    "logging": _logging, "locale": _locale, "environment": _environment, "folder": _folder, "path": _path,
    "recursion": _recursion, "csv": _csv, "digits": _digits, "calendar": _calendar, "socket": _socket,
}  # fmt: skip
"""The reader of each holder; it returns None while the library is not loaded."""

_CLASSES = (
    ("pandas", "DataFrame Series Index"),
    ("pandas.core.groupby", "DataFrameGroupBy SeriesGroupBy"),
    ("sklearn.base", "BaseEstimator ClassifierMixin RegressorMixin TransformerMixin ClusterMixin"),
    ("torch", "Tensor"),
    ("torch.nn", "Module"),
    ("matplotlib.axes", "Axes"),
    ("matplotlib.figure", "Figure"),
)
"""The classes of libraries that users add methods to."""


def library_classes() -> dict[str, Reading]:
    """Return the contents of the loaded classes of libraries, by the holder's name and the class."""
    found: dict[str, Reading] = {}
    for name, classes in _CLASSES:
        module = _module(name)
        for each in classes.split() if module else ():
            kind = module.get(each) if module else None
            if isinstance(kind, type):
                found.setdefault(f"class:{name.partition('.')[0]}", {})[each] = dict(contents(kind))
    return found


def is_inherited(holder: str, name: str, attribute: str) -> bool:
    """Whether a class inherits an attribute.

    Args:
        holder: As in "class:pandas".
        name: The name of the class.
        attribute: The name of the attribute.
    """
    kind = _library_class(holder, name)
    return kind is None or any(attribute in contents(base) for base in type.mro(kind)[1:])


def is_missing(holder: str, name: str, attribute: str) -> bool:
    """Whether a loaded class lacks an attribute."""
    kind = _library_class(holder, name)
    return kind is not None and not any(attribute in contents(base) for base in type.mro(kind))


def _library_class(holder: str, name: str) -> type | None:
    library = holder.partition(":")[2]
    modules = [
        _module(m) for m, classes in _CLASSES if m.partition(".")[0] == library and name in classes.split()
    ]
    found = [module.get(name) for module in modules if module]
    return next((kind for kind in found if isinstance(kind, type)), None)
