"""Which callables of which libraries are probed, and under which names."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import types
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from tests.probe.examples import EXAMPLES
from tests.probe.findings import Target
from tests.probe.instances import INSTANCES, Factory, estimators, fitted
from tests.probe.signatures import signature_of
from tests.probe.trials import call

MODULES: dict[str, str] = {
    "stdlib": "builtins json pickle heapq bisect collections itertools functools operator copy random contextlib"
    " dataclasses io csv re statistics array queue string textwrap math cmath struct types fractions decimal"
    " datetime os.path shlex difflib pprint base64 hashlib zlib html urllib.parse uuid calendar enum numbers"
    " collections.abc time keyword locale itertools.chain argparse weakref reprlib marshal",
    "numpy": "numpy numpy.linalg numpy.fft numpy.random numpy.ma numpy.char numpy.strings numpy.rec numpy.polynomial"
    " numpy.polynomial.polynomial numpy.lib.stride_tricks numpy.testing numpy.emath numpy.lib.recfunctions",
    "pandas": "pandas pandas.testing pandas.api.types pandas.plotting pandas.tseries.offsets pandas.tseries.frequencies"
    " pandas.api.indexers",
    "scipy": "scipy.stats scipy.linalg scipy.optimize scipy.signal scipy.sparse scipy.sparse.linalg scipy.spatial"
    " scipy.spatial.distance scipy.interpolate scipy.integrate scipy.fft scipy.ndimage scipy.special"
    " scipy.cluster.hierarchy scipy.cluster.vq scipy.stats.mstats scipy.sparse.csgraph scipy.signal.windows",
    "sklearn": "sklearn sklearn.metrics sklearn.metrics.pairwise sklearn.metrics.cluster sklearn.model_selection"
    " sklearn.preprocessing sklearn.utils sklearn.utils.validation sklearn.utils.extmath sklearn.utils.class_weight"
    " sklearn.utils.multiclass sklearn.compose sklearn.pipeline sklearn.base sklearn.inspection sklearn.datasets"
    " sklearn.feature_selection sklearn.feature_extraction sklearn.feature_extraction.text sklearn.decomposition"
    " sklearn.cluster sklearn.linear_model sklearn.covariance sklearn.isotonic sklearn.svm sklearn.tree"
    " sklearn.ensemble sklearn.neighbors sklearn.calibration sklearn.manifold sklearn.random_projection"
    " sklearn.naive_bayes sklearn.neural_network sklearn.impute sklearn.mixture sklearn.multiclass"
    " sklearn.multioutput sklearn.discriminant_analysis sklearn.dummy sklearn.gaussian_process"
    " sklearn.gaussian_process.kernels sklearn.kernel_approximation sklearn.kernel_ridge sklearn.semi_supervised"
    " sklearn.cross_decomposition",
    "matplotlib": "matplotlib.pyplot matplotlib matplotlib.cbook matplotlib.colors matplotlib.dates matplotlib.ticker"
    " matplotlib.cm matplotlib.lines matplotlib.patches matplotlib.gridspec matplotlib.figure",
}
"""The public modules of each library."""

DENIED = re.compile(
    r"builtins\.(input|breakpoint|exit|quit|help|exec|eval|compile|open|__import__|copyright|credits|license|globals)"
    r"|types\.(CodeType|FunctionType|CoroutineType|GeneratorType|CellType)|time\.(sleep|tzset|.*set.*|pthread.*)|locale\..*|io\.(FileIO|open|open_code)|uuid\..*"
    r"|shutil\..*|numpy\.(testing\.(run.*|measure|rundocs|.*test.*|extbuild.*)|test|show_.*|f2py|distutils|info|lookfor|source)"
    r"|numpy\.(setbufsize|setbufsize|seterr.*|set_printoptions|set_string_function|get_include)"
    r"|pandas\.(read_clipboard|read_sql.*|read_gbq|show_versions|test|set_option|reset_option|set_eng_float_format)"
    r"|.*\.(to_clipboard|to_sql|to_gbq|wait|join|acquire|__class__|mro|task_done|shutdown|raw_input|ginput|waitforbuttonpress)"
    r"|sklearn\.(show_versions|set_config|datasets\.fetch_.*|datasets\.get_data_home|datasets\.clear_data_home)"
    r"|matplotlib\.(pyplot\.(show|pause|ginput|waitforbuttonpress|switch_backend|connect|ion|ioff|install_repl.*)"
    r"|use|rc.*|interactive|matplotlib_fname|get_cachedir|get_configdir|set_loglevel|test|cbook\.(open_file_cm|get_sample_data))"
    r"|.*\.(plt_block_show|start_event_loop|show)"
    r"|scipy\..*\.(test|show_config)|.*\.fileno|os\.path\.(sameopenfile)|weakref\..*|contextlib\.(chdir|redirect_std.*)"
)
"""What is never called: it waits, opens, reads or sets what does not belong to a sample."""

BLOCKING = {("queue.Queue", "get"), ("queue.Queue", "put")}
MAX_TYPES_OF_ATTRIBUTES = 60


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


def functions(library: str) -> Iterator[Target]:
    """The functions and classes of a library's public modules, and the class and static methods."""
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
            if type(item).__name__ == "ufunc":
                for part in ("at", "reduce", "accumulate", "outer", "reduceat"):
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
        item = getattr(module, name, None)
        if name.startswith("_") or isinstance(item, types.ModuleType) or not callable(item):
            continue
        if isinstance(item, type) and issubclass(item, BaseException):
            continue
        home = getattr(item, "__module__", None) or module_name
        if library == "stdlib" or home.partition(".")[0] == library or hasattr(module, "__all__"):
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


def objects(library: str) -> dict[str, tuple[type, list[Factory], list[tuple[str, Factory]]]]:
    """For the name of each type: the type, what makes its objects, and what makes them with an option."""
    found: dict[str, tuple[type, list[Factory], list[tuple[str, Factory]]]] = {}
    if library == "sklearn":
        for kind, make in estimators():
            succeeded, _ = call(make, {})
            if not succeeded:
                continue
            entry = found.setdefault(public_name(kind), (kind, [], []))
            entry[1].append(make)
            if (ready := fitted(make)) is not None:
                entry[1].append(ready)
            entry[2].extend(_with_options(kind, make))
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
            if (ready := fitted(with_option)) is not None:
                yield name, ready


def methods(library: str) -> Iterator[Target]:
    """The methods of a library's objects."""
    for type_name, (kind, makes, variants) in objects(library).items():
        for name in sorted(method_names(kind)):
            path = f"{type_name}.{name}"
            if DENIED.fullmatch(path) or (type_name, name) in BLOCKING:
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


def attributes(library: str) -> Iterator[tuple[str, str, list[Factory]]]:
    """For each type and each of its attributes: the names, and what makes the objects."""
    for type_name, (kind, makes, _) in objects(library).items():
        names: dict[str, list[Factory]] = defaultdict(list)
        for make in makes:
            example = make()
            callables = method_names(kind)
            for name in dir(example):
                if (
                    not name.startswith("_")
                    and name not in callables
                    and not DENIED.fullmatch(f"{type_name}.{name}")
                ):
                    names[name].append(make)
        for name, having in sorted(names.items()):
            yield type_name, name, having
