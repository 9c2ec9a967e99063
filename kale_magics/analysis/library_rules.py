"""Hand-written rules for functions and methods of libraries: whether they change their arguments.

The tables list what notebooks call most. For a method that is not listed, the caller decides.
"""

from __future__ import annotations

import collections
import re
import sys
from typing import Literal

from kale_magics.analysis.library_effects import function_effects, method_effects
from kale_magics.step_runtime.random_generators import GENERATORS, OWNERS

SCALAR_CALLS = frozenset(
    "all any ascii bin bool chr complex float format hash hex id int isinstance issubclass len oct ord"
    " repr str".split()
)
"""Builtins whose result is immutable."""

FRESH = frozenset(
    "abs copy.deepcopy deepcopy input open print range round type json.dumps json.loads pickle.dumps"
    " pickle.loads time.time time.perf_counter os.path.join".split()
)
"""Functions whose result shares no object with their arguments."""

CHANGING_FUNCTIONS: dict[str, tuple[int, ...]] = dict.fromkeys(("next", "anext", "object.__setattr__"), (0,))
"""Functions that probes (`library_effects`) do not fully measure, and the positions of the arguments that
they change.

`next` accepts only iterators, so it changes its argument even if the type of that is unknown.
"""

CONSUMING_FUNCTIONS = frozenset(
    "enumerate zip map filter reversed itertools.islice islice itertools.chain chain deque ''.join".split()
)
"""Functions that consume an iterator lazily, when their result is used: probes do not measure that."""

CHANGING_METHODS = frozenset(
    "append appendleft extend extendleft insert pop popitem popleft remove clear sort reverse rotate add"
    " discard update setdefault difference_update intersection_update symmetric_difference_update subtract"
    " fit fit_transform fit_predict partial_fit set_params __setitem__ __delitem__ __setattr__ __iadd__"
    " move_to_end push put fill resize setflags load_state_dict step zero_grad backward train eval write"
    " writelines send throw close".split()
)
"""Methods that change their object, whatever its type."""

ARGUMENT_CHANGING_METHODS = frozenset({"shuffle", "readinto", "readinto1", "recv_into", "pack_into"})
"""Methods that change their first argument."""

REMOVING_METHODS = frozenset("pop popitem popleft remove clear discard update".split())
"""Methods that may remove elements from their object."""

HOLDING_METHODS = frozenset(
    "append appendleft extend extendleft insert add update setdefault push put __setitem__ put_nowait"
    " register add_edge add_node".split()
)
"""Methods after which their object may hold their arguments."""

CONTAINER_METHODS = frozenset(
    name for kind in (list, dict, set, collections.deque) for name in vars(kind) if name in CHANGING_METHODS
)
"""Methods that change a container, but not its elements."""

ELEMENT_METHODS = frozenset(
    "get items pop popitem popleft setdefault values reshape ravel view copy elements union difference"
    " intersection symmetric_difference __getitem__ squeeze swapaxes transpose".split()
)
"""Methods whose result is, or holds, a part of their object."""

ELEMENT_FUNCTIONS = frozenset(
    "list tuple set frozenset dict sorted reversed enumerate zip map filter iter next max min sum vars"
    " getattr copy copy.copy deque collections.deque OrderedDict collections.OrderedDict defaultdict"
    " collections.defaultdict ChainMap collections.ChainMap dict.fromkeys random.choice random.sample"
    " choice sample chain itertools.chain chain.from_iterable itertools.chain.from_iterable islice"
    " itertools.islice cycle itertools.cycle repeat itertools.repeat tee itertools.tee groupby"
    " itertools.groupby product itertools.product combinations itertools.combinations permutations"
    " itertools.permutations heapq.nlargest heapq.nsmallest nlargest nsmallest reduce functools.reduce"
    " partial functools.partial np.asarray numpy.asarray np.ravel np.reshape np.transpose np.squeeze"
    " np.atleast_1d np.atleast_2d np.broadcast_to".split()
)
"""Functions whose result is, or holds, their argument or a part of it."""

READING_METHODS = frozenset(
    (
        # strings, bytes, numbers
        " _asdict _replace"  # of named tuples
        " capitalize casefold center count decode encode endswith expandtabs find format format_map index"
        " isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace"
        " istitle"
        " isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind rindex rjust"
        " rpartition rsplit rstrip split splitlines startswith strip swapcase title translate upper zfill"
        " is_integer as_integer_ratio bit_length"
        # containers
        " copy get items keys values most_common elements total union intersection difference"
        " symmetric_difference isdisjoint issubset issuperset"
        # arrays and frames
        " abs agg aggregate all any apply argmax argmin argsort asfreq assign astype at_time between bfill"
        " clip combine_first corr cov cummax cummin cumprod cumsum describe diff dot drop"
        " drop_duplicates dropna duplicated eq equals ewm expanding explode ffill fillna filter first flatten"
        " floordiv from_dict ge groupby gt head idxmax idxmin infer_objects info interpolate isin isna"
        " isnull iterrows itertuples kurt le last lt map mask max mean median melt memory_usage merge min mod"
        " mode mul ne nlargest notna notnull nsmallest nunique pct_change pipe pivot pivot_table pow"
        " prod"
        " quantile query rank ravel reindex rename rename_axis reset_index reshape resample rolling round"
        " sample searchsorted select_dtypes sem set_axis set_index shift skew sort_index sort_values squeeze"
        " stack std sub sum swapaxes tail take to_csv to_dict to_excel to_feather to_frame to_html to_json"
        " to_latex to_list to_markdown to_numpy to_parquet to_pickle to_records to_sql to_string tolist"
        " tobytes trace transform transpose truediv tz_convert tz_localize unique unstack value_counts var"
        " view where xs zfill cat dt to_timestamp to_period strftime date time isoformat timestamp normalize"
        # estimators
        " predict predict_proba predict_log_proba decision_function score score_samples inverse_transform"
        " get_params get_feature_names_out get_support feature_names_out staged_predict kneighbors"
        " apply_transform"
        # tensors, paths, dates, patterns
        " cpu cuda detach numpy item size dim numel permute unsqueeze contiguous state_dict parameters"
        " named_parameters exists is_file is_dir read_text read_bytes resolve absolute glob rglob iterdir"
        " with_suffix with_name joinpath as_posix relative_to expanduser match fullmatch search findall"
        " finditer group groups groupdict total_seconds weekday isoweekday"
    ).split()
)
"""Methods that leave their object unchanged; with `inplace=True` none does."""

CLOSED_TYPES: dict[str, frozenset[str]] = {
    "pandas": frozenset(
        "insert pop update isetitem __setitem__ __delitem__ add_categories set_flags clear".split()
    ),
    "numpy.ndarray": frozenset("sort fill put resize itemset setflags partition byteswap setfield".split()),
    "scipy.sparse": frozenset("sort_indices sum_duplicates eliminate_zeros resize setdiag prune".split()),
    "sklearn": frozenset("fit fit_transform fit_predict partial_fit set_params set_output".split()),
}
"""For a type, or all types of a module, the only methods that change their object."""


FACTORIES = frozenset("collections.namedtuple typing.NamedTuple dataclasses.make_dataclass enum.Enum".split())
"""Functions that make a class: calling their result makes an object and changes nothing."""

HARMLESS_DECORATORS = frozenset(
    "staticmethod classmethod property functools dataclasses contextlib typing abc enum warnings"
    " numba".split()
)
"""Builtins, and modules, whose decorators register nothing elsewhere."""

GENERATOR_ARGUMENTS: frozenset[int | str] = frozenset({"random_state", "rng", "generator", "bit_generator"})
"""Arguments of a class that its object keeps as its random generator."""

GENERATORS_OF_BITS = frozenset({"numpy.random.Generator", "numpy.random.RandomState"})
"""Classes whose objects draw from the bit generator that is their argument."""

CALLERS = frozenset({"operator.methodcaller", "functools.partial"})
"""Types whose objects call another function with their arguments."""

CALLED_LATER = frozenset(
    f"{module}{name}"
    for module in ("", "itertools.")
    for name in "map filter starmap takewhile dropwhile filterfalse".split()
)
"""Functions that call their first argument when their result is read, which the probe does not see."""

ITERATORS = frozenset("iter reversed zip map filter enumerate io.StringIO io.BytesIO".split())
"""Types that are consumed by reading, and builtins that make them; so are all types of `itertools`."""


def is_iterator(type_name: str) -> bool:
    """Whether reading consumes objects of a type."""
    return type_name in ITERATORS or type_name.startswith("itertools.")


SPLITTERS = "sklearn.model_selection"
"""The prefix of the names of types that split data at random."""

ESTIMATORS = "sklearn."
"""The prefix of the names of classes whose objects keep the splitter of their constructor, as `cv`."""

FRAMES = "pandas."
"""The prefix of the names of types whose results share the objects in their columns, not their memory."""

COPYING_TYPES = ("pandas.", "numpy.", "scipy.sparse.", "polars.")
"""Prefixes of types whose operators and `copy` return new objects."""

KNOWN_LIBRARIES = frozenset(
    "builtins numpy pandas sklearn scipy matplotlib mpl_toolkits seaborn plotly altair bokeh statsmodels"
    " polars pyarrow joblib tqdm yaml requests IPython ipywidgets pytest PIL networkx sympy torch torchvision"
    " tensorflow keras xgboost lightgbm catboost nltk spacy gensim cloudpickle dateutil pytz packaging rich"
    " tabulate click skimage imblearn".split()
) | frozenset(sys.stdlib_module_names)
"""Modules whose functions leave their arguments unchanged, except for those in the tables here."""


def is_known(name: str) -> bool:
    """Whether the rules for libraries apply to a function, or to a type."""
    return bool(name) and (("." not in name) or name.partition(".")[0] in KNOWN_LIBRARIES)


_MAKERS = frozenset(
    "Random SystemRandom Generator RandomState SeedSequence default_rng PCG64 PCG64DXSM MT19937 Philox SFC64"
    " BitGenerator getstate get_state get_rng_state".split()
)
_SEEDS = frozenset("seed setstate set_state manual_seed set_rng_state".split())
_TORCH_DRAWS = frozenset(
    "rand randn randint randperm normal bernoulli multinomial rand_like randn_like randint_like".split()
)
_OWNERS = {
    place: state
    for state, (module, variable) in OWNERS.items()
    for place in (GENERATORS[state][0], module, f"{module}.{variable}")
}
"""From the path of what draws from a global random generator to the name of its state."""

_ALL_SEEDS = re.compile(r"(^|_)(seed|seeds|random_seed)($|_)")


def generator_use(origin: str, method: str) -> list[tuple[str, Literal["seed", "draw"]]]:
    """Return what a call does to the global random generators of libraries.

    Args:
        origin: The callee, as in "numpy.random.rand"; empty if it is not imported.
        method: The last attribute.

    Returns:
        The names of the generators' states, each with whether the call seeds it or draws from it.
    """
    last = origin.rpartition(".")[2]
    use: Literal["seed", "draw"] = "seed" if last in _SEEDS else "draw"
    for name in GENERATORS:
        if generator_of(origin.rpartition(".")[0]) == name:
            return [] if last in _MAKERS else [(name, use)]
    if origin.startswith("torch."):
        return [("state of torch", use)] if last in _SEEDS | _TORCH_DRAWS else []
    if origin and _ALL_SEEDS.search(last):
        return [(name, "seed") for name in GENERATORS]
    return [("state of numpy.random", "draw")] if not origin and method == "sample" else []


def generator_of(origin: str) -> str:
    """Return the state of the generator that a module, or an object in it, draws from; empty for others."""
    return _OWNERS.get(origin, "")


def draws_of(module: str, method: str) -> str:
    """Return the state of the generator that a method of a module's attribute draws from; may be empty."""
    owners = [owner for owner in _OWNERS if owner == module or owner.startswith(f"{module}.")]
    states = {_OWNERS[owner] for owner in owners} if method not in _MAKERS else set()
    known = (s for s in sorted(states) if function_effects(f"{s.removeprefix('state of ')}.{method}"))
    return next(known, "")


def may_draw(origin: str, method: str, kind: str) -> tuple[str, ...]:
    """Return the states of the global random generators that a call may draw from.

    This covers calls that do not show it: only observation finds out whether they draw.

    Args:
        origin: The callee, as in "sklearn.utils.shuffle"; empty if it is not imported.
        method: The last attribute.
        kind: The type of the method's object; empty if that is unknown.
    """
    effects = function_effects(origin) if origin else method_effects(method, kind)
    if effects is None:
        drawing = (origin or kind).partition(".")[0] in ("sklearn", "scipy")
        usual = ("state of numpy.random",) if drawing else ()
        return usual if not origin or is_known(origin) else tuple(GENERATORS)
    if not (origin or kind) and any(method in vars(builtin) for builtin in (str, bytes, list, dict, set)):
        return ()  # most likely a method of one of these
    return tuple(name for name, (module, *_) in GENERATORS.items() if module in effects.draws)


def method_changes(method: str, type_name: str) -> Literal["yes", "no", "perhaps"]:
    """Whether a method changes its object.

    Args:
        method: Its name.
        type_name: The object's type with its module, as in "pandas.core.frame.DataFrame"; empty if unknown.
    """
    if type_name.startswith("matplotlib."):
        return "no" if method.startswith("get_") or method == "savefig" else "yes"
    for prefix, changing in CLOSED_TYPES.items():
        if type_name == prefix or type_name.startswith(f"{prefix}."):
            return "yes" if method in changing else "no"
    if method in CHANGING_METHODS:
        return "yes"
    return "no" if method in READING_METHODS else "perhaps"
