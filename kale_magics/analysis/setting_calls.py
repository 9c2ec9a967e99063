"""The calls that set process state, by their full path; for cells that did not run."""

from __future__ import annotations

from collections.abc import Mapping

PYPLOT = "matplotlib.pyplot."

CALLS: Mapping[str, tuple[str, str]] = {
    "pandas.set_option": ("pandas", "pairs"),
    "pandas.reset_option": ("pandas", "pairs"),
    "numpy.seterr": ("numpy", "keywords"),
    "numpy.seterrcall": ("numpy", ""),
    "numpy.set_printoptions": ("numpy printing", "keywords"),
    "sklearn.set_config": ("sklearn", "keywords"),
    "decimal.setcontext": ("decimal", ""),
    "csv.register_dialect": ("csv", "first"),
    "csv.unregister_dialect": ("csv", "first"),
    "csv.field_size_limit": ("csv", ""),
    "calendar.setfirstweekday": ("calendar", ""),
    "socket.setdefaulttimeout": ("socket", ""),
    "mimetypes.add_type": ("mimetypes", ""),
    "sqlite3.register_adapter": ("sqlite3", ""),
    "sqlite3.register_converter": ("sqlite3", ""),
    "copyreg.pickle": ("copyreg", ""),
    "torch.set_default_dtype": ("torch", ""),
    "torch.set_default_device": ("torch", ""),
    "torch.set_grad_enabled": ("torch", ""),
    "torch.use_deterministic_algorithms": ("torch", ""),
    "warnings.filterwarnings": ("warnings", ""),
    "warnings.simplefilter": ("warnings", ""),
    "warnings.resetwarnings": ("warnings", ""),
    "logging.basicConfig": ("logging", ""),
    "logging.disable": ("logging", ""),
    "logging.config.dictConfig": ("logging", ""),
    "logging.config.fileConfig": ("logging", ""),
    "locale.setlocale": ("locale", ""),
    "os.putenv": ("variable", "first"),
    "os.unsetenv": ("variable", "first"),
    "os.chdir": ("folder", ""),
    "os.fchdir": ("folder", ""),
    "os.environ.update": ("environment", "names"),
    "os.environ.setdefault": ("environment", "first"),
    "os.environ.pop": ("environment", "first"),
    "os.environ.clear": ("environment", ""),
    "site.addsitedir": ("path", ""),
    "sys.setrecursionlimit": ("recursion", ""),
    "sys.set_int_max_str_digits": ("digits", ""),
    "matplotlib.rc": ("matplotlib", ""),
    "matplotlib.pyplot.rc": ("matplotlib", ""),
    "matplotlib.rc_file": ("matplotlib", ""),
    "matplotlib.rcdefaults": ("matplotlib", ""),
    "matplotlib.pyplot.rcdefaults": ("matplotlib", ""),
    "matplotlib.style.use": ("matplotlib", ""),
    "matplotlib.rcParams.update": ("matplotlib", "names"),
    "tqdm.pandas": ("class:pandas", ""),
}
"""Functions that set state: the holder, and how the arguments name the keys."""

ACCESSORS: Mapping[str, str] = {
    f"pandas.api.extensions.register_{kind.lower()}_accessor": kind
    for kind in ("DataFrame", "Series", "Index")
}
"""Functions that add an attribute to a class of pandas, and that class."""

RESTORED: Mapping[str, str] = {
    "warnings.catch_warnings": "warnings",
    "matplotlib.rc_context": "matplotlib",
    "matplotlib.pyplot.rc_context": "matplotlib",
    "matplotlib.style.context": "matplotlib",
    "decimal.localcontext": "decimal",
    "numpy.errstate": "numpy",
    "numpy.printoptions": "numpy printing",
    "pandas.option_context": "pandas",
    "sklearn.config_context": "sklearn",
    "contextlib.chdir": "folder",
}
"""Context managers, and the holder whose state they restore."""

CLASSES = frozenset(
    "pandas.DataFrame pandas.Series pandas.Index sklearn.base.BaseEstimator sklearn.base.ClassifierMixin"
    " sklearn.base.RegressorMixin sklearn.base.TransformerMixin torch.nn.Module torch.Tensor"
    " matplotlib.axes.Axes matplotlib.figure.Figure".split()
)
"""The classes of libraries whose attributes are compared when a cell runs."""

MAGICS: Mapping[str, str] = {
    "cd": "folder",
    "pushd": "folder",
    "popd": "folder",
    "env": "environment",
    "set_env": "environment",
}

BEGINS = frozenset({"figure", "subplots", "subplot_mosaic"})
"""Functions of pyplot that open a figure."""

CLOSES = frozenset({"close", "show"})

NEITHER = frozenset(
    "rc rcParams rcdefaults rc_context style ion ioff isinteractive get_cmap colormaps cm switch_backend"
    " get_backend set_loglevel get_fignums fignum_exists Figure Axes Normalize colors set_cmap".split()
)
"""Functions of pyplot that do not use the current figure."""

ABSTRACT = ("abc.ABC", "collections.abc.", "numbers.")
"""Prefixes of the names of classes that others can be registered with."""

NAMES_OF_PYPLOT = ("matplotlib.pylab.", "pylab.")
