"""Calls that are written by hand, where samples by name do not suit: kinds by position and keyword."""

from __future__ import annotations

WRITTEN: dict[str, list[str]] = {
    "functools.partial": ["identity list", "identity list key=nested"],
    "functools.reduce": ["total list", "total nested empty", "identity nested"],
    "functools.update_wrapper": ["function function"],
    "dataclasses.replace": ["record", "record parts=list"],
    "dataclasses.asdict": ["record"],
    "collections.namedtuple": ["text texts"],
    "json.dump": ["dict text_file", "dict_of_lists text_file default=identity"],
    "json.load": ["json_file", "json_file object_hook=identity"],
    "pickle.dump": ["dict_of_lists bytes_file"],
    "pickle.load": ["pickle_file"],
    "builtins.sum": ["nested empty"],
    "builtins.next": ["iterator", "iterator list", "things_iterator"],
    "builtins.iter": ["nested", "iterator", "listing list"],
    "builtins.setattr": ["thing attribute list"],
    "builtins.delattr": ["thing attribute"],
    "builtins.getattr": ["thing attribute", "thing text list"],
    "builtins.print": ["list dict file=text_file", "list file=text_file"],
    "csv.writer": ["text_file"],
    "csv.reader": ["text_file", "text_iterator"],
    "csv.DictReader": ["text_file", "text_iterator"],
    "csv.DictWriter": ["text_file texts"],
    "struct.pack_into": ["format buffer zero three"],
    "contextlib.closing": ["text_file"],
    "operator.setitem": ["list zero nested", "dict text nested"],
    "operator.delitem": ["list zero", "dict text"],
    "operator.iadd": ["list nested", "vec vec"],
    "itertools.groupby": ["nested", "iterator identity"],
    "numpy.resize": ["square int_small"],
    "numpy.ma.resize": ["masked int_small"],
    "numpy.random.zipf": ["two"],
    "numpy.random.RandomState.zipf": ["two"],
    "numpy.random.Generator.zipf": ["two"],
    "numpy.broadcast_to": ["vec wide_shape"],
    "numpy.ndarray.resize": ["int_small refcheck=false"],
    "numpy.put": ["vec indices one"],
    "numpy.place": ["vec mask list"],
    "numpy.copyto": ["vec half", "vec ints"],
    "numpy.putmask": ["vec mask half"],
    "numpy.add.at": ["vec indices one"],
    "numpy.apply_along_axis": ["identity zero square"],
    "sklearn.model_selection.GridSearchCV": ["classifier grid"],
    "sklearn.model_selection.RandomizedSearchCV": ["classifier grid"],
    "sklearn.pipeline.Pipeline": ["steps"],
    "sklearn.pipeline.make_pipeline": ["transformer classifier"],
    "sklearn.pipeline.make_union": ["transformer"],
    "sklearn.compose.make_column_transformer": [],
    "sklearn.model_selection.cross_val_score": ["classifier features labels"],
    "sklearn.model_selection.cross_validate": ["classifier features labels"],
    "sklearn.model_selection.cross_val_predict": ["classifier features labels"],
    "sklearn.model_selection.train_test_split": ["features labels", "frame", "list"],
    "sklearn.inspection.permutation_importance": ["fitted features labels"],
    "sklearn.utils.shuffle": ["features labels", "list"],
    "sklearn.utils.resample": ["features labels", "list"],
    "sklearn.base.clone": ["classifier"],
    "scipy.optimize.curve_fit": ["model vec vec"],
    "scipy.optimize.minimize": ["objective guess"],
    "scipy.optimize.least_squares": ["root guess"],
    "scipy.integrate.solve_ivp": ["rhs span guess"],
    "scipy.integrate.odeint": ["rhs guess vec"],
    "scipy.integrate.quad": ["integrand zero one"],
    "pandas.merge": ["frame frame on=column"],
    "pandas.concat": ["frames", "series_list"],
    "pandas.DataFrame.merge": ["frame on=column"],
    "pandas.DataFrame.assign": ["z=vec", "z=series"],
    "pandas.DataFrame.insert": ["zero text vec", "zero text series"],
    "pandas.DataFrame.update": ["numbers"],
    "pandas.DataFrame.pipe": ["identity", "identity list"],
    "pandas.DataFrame.apply": ["identity"],
    "pandas.DataFrame.to_csv": ["text_file"],
    "pandas.DataFrame.join": ["series"],
    "matplotlib.pyplot.hist": ["vec"],
    "matplotlib.pyplot.plot": ["vec", "vec vec", "vec vec text"],
    "matplotlib.pyplot.scatter": ["vec vec", "vec vec c=vec"],
    "matplotlib.pyplot.imshow": ["square"],
    "matplotlib.axes.Axes.plot": ["vec", "vec vec"],
    "matplotlib.axes.Axes.scatter": ["vec vec", "vec vec c=vec"],
    "matplotlib.axes.Axes.imshow": ["square"],
    "matplotlib.axes.Axes.hist": ["vec"],
    "matplotlib.axes.Axes.text": ["one one text"],
    "matplotlib.figure.Figure.savefig": ["bytes_file"],
}


ONLY_EXAMPLES = frozenset(
    {
        "numpy.resize",
        "numpy.ma.resize",
        "numpy.random.zipf",
        "numpy.random.RandomState.zipf",
        "numpy.random.Generator.zipf",
    }
)
"""What must not be called with other samples: it would not end."""


def _parsed(text: str) -> tuple[tuple[str, ...], dict[str, str]]:
    words = text.split()
    keywords = dict(word.split("=") for word in words if "=" in word)
    return tuple(word for word in words if "=" not in word), keywords


EXAMPLES = {name: tuple(_parsed(text) for text in texts) for name, texts in WRITTEN.items()}
"""For the name of a callable, calls of it."""
