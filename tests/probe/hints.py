"""Which kinds of values suit a parameter, by its name; and which are tried where that says nothing."""

from __future__ import annotations

import inspect
from collections.abc import Collection

ANY: dict[str, str] = {
    "stdlib": "list nested things texts text one dict pairs_iterator thing iterator text_file"
    " identity pairs set half raw deque class function tuple buffer record type array",
    "numpy": "vec square ints list one cube objects complexes mask half text strings arrays nested bytes"
    " masked two dates structured indices",
    "pandas": "column one frame series list columns numbers int_series text half vec dict identity index"
    " true day text_series categories date_series dates_index indices delta",
    "scipy": "vec square longer ints one half csr points objective wide mask list two polynomial text csc"
    " complexes cube span",
    "sklearn": "features labels classifier targets one feature_frame sparse_features half frame texts"
    " documents scores text two_targets list vec",
    "matplotlib": "one vec list half text color ints square true ticks artist axes series column int_tuple"
    " figure two none",
}
"""For each library, the kinds for a parameter of any name; the first ones suit most."""

STREAM = "text_file number_file json_file bytes_file pickle_file npy_file"
NAMES: dict[str, str] = {
    **dict.fromkeys(
        ["file", "fp", "f", "stream", "buf", "buffer", "path_or_buf", "fname", "fileobj", "csvfile"], STREAM
    ),
    **dict.fromkeys(["filepath_or_buffer", "path_or_buffer", "path", "excel_writer", "con"], STREAM),
    **dict.fromkeys(["out", "output"], "out outs"),
    **dict.fromkeys(
        ["random_state", "rng", "seed", "qrng", "generator", "bit_generator"], "random_state generator random"
    ),
    **dict.fromkeys(
        ["iterable", "iterables", "seq", "sequence", "it"],
        "list nested iterator things texts pairs_iterator dict",
    ),
    **dict.fromkeys(
        [
            "func",
            "function",
            "fun",
            "callback",
            "key",
            "predicate",
            "callable",
            "func1d",
            "pyfunc",
            "reducer",
        ],
        "identity constant predicate total listing",
    ),
    **dict.fromkeys(
        ["default_factory", "hook", "object_hook", "default", "on_bad_lines"], "listing identity thing"
    ),
    **dict.fromkeys(["axis", "axis1", "k", "axes"], "zero one none axes"),
    "axis2": "one",
    **dict.fromkeys(["dtype", "type", "dtype_"], "float_type type"),
    **dict.fromkeys(["n", "size", "num", "repeats", "nperseg", "M", "N", "m"], "three two one vec square"),
    "shape": "int_small two",
    "newshape": "int_small",
    **dict.fromkeys(
        ["by", "on", "left_on", "right_on", "subset", "keys", "level"], "column column_b columns zero"
    ),
    **dict.fromkeys(
        ["X", "x", "Y", "XA", "XB"],
        "features vec square feature_frame sparse_features ints frame one longer list points",
    ),
    **dict.fromkeys(
        ["y", "Y", "y_true", "labels_true"], "labels targets vec features list two_targets column square ints"
    ),
    **dict.fromkeys(["y_pred", "labels_pred"], "labels targets scores two_targets"),
    **dict.fromkeys(["y_score", "y_prob", "y_proba", "pred_decision", "probas_pred"], "scores two_targets"),
    **dict.fromkeys(
        ["estimator", "model", "base_estimator", "clf"], "classifier regressor fitted transformer"
    ),
    **dict.fromkeys(["sample_weight", "w", "weights"], "targets vec longer"),
    **dict.fromkeys(["param_grid", "param_distributions"], "grid"),
    "estimators": "named named_regressors",
    "transformers": "column_transformers",
    "steps": "steps",
    "transformer_list": "named_transformers",
    **dict.fromkeys(["data", "object"], "frame vec dict list series square numbers nested text"),
    **dict.fromkeys(["objs"], "frames series_list frame_dict"),
    **dict.fromkeys(
        ["other", "right", "left", "others"],
        "numbers series frame one vec int_series list csr square text_series",
    ),
    **dict.fromkeys(
        ["a", "arr", "ary", "A", "array", "arrays", "B", "b", "c", "C", "m", "p"],
        "square vec ints cube wide list points fortran csr arrays mask one objects masked",
    ),
    **dict.fromkeys(["mask", "cond", "condition", "where"], "mask true"),
    **dict.fromkeys(["indices", "ind", "idx", "index"], "indices ints zero index text_index columns"),
    **dict.fromkeys(["fmt", "format"], "format text"),
    **dict.fromkeys(["obj", "o", "a_dict", "instance"], "list thing record dict function class frame vec"),
    "cls": "class type",
    **dict.fromkeys(["wrapper", "wrapped", "user_function"], "function identity"),
    **dict.fromkeys(["heap", "h"], "list things"),
    **dict.fromkeys(["item", "elem", "v"], "one thing vec text list"),
    **dict.fromkeys(["raw_documents", "documents"], "documents"),
    **dict.fromkeys(["ax", "axs", "axes"], "axes zero one"),
    **dict.fromkeys(["fig", "figure"], "figure"),
    **dict.fromkeys(["artist", "a", "handle", "line"], "artist square vec ints cube list points mask one"),
    "mappable": "mappable",
    **dict.fromkeys(["handles"], "empty"),
    **dict.fromkeys(["x0"], "guess vec half"),
    **dict.fromkeys(
        ["f", "func", "fun"],
        "identity objective root integrand model rhs constant total text_file bytes_file",
    ),
    **dict.fromkeys(["bounds"], "bounds"),
    **dict.fromkeys(["xs", "columns"], "columns list vec"),
    **dict.fromkeys(["cols", "column", "col", "loc"], "column zero one"),
}
"""For each name, the kinds that are tried first."""

TOGGLED = ("copy", "inplace", "overwrite", "deep", "readonly", "subok", "copy_X", "as_view", "shallow")
"""Options whose values true and false are tried, whatever their default is."""


KEPT_AS_THEY_ARE = {
    "numpy": frozenset({"dict", "thing", "things", "record", "set", "deque", "function", "class"})
}
"""For each library, what its functions can only hold as an element of an array of objects."""


def kinds_of(parameter: inspect.Parameter | None, library: str, known: Collection[str]) -> list[str]:
    """Return the kinds to try for a parameter, the best first."""
    hinted = NAMES.get(parameter.name, "").split() if parameter is not None else []
    candidates = dict.fromkeys([*hinted, *ANY[library].split()])
    passed_over = KEPT_AS_THEY_ARE.get(library, frozenset())
    return [
        kind for kind in candidates if kind not in passed_over and (kind in known or kind in ("out", "outs"))
    ]


def option_kinds(parameter: inspect.Parameter, known: Collection[str]) -> list[str]:
    """Return the kinds to try for a parameter that has a default; none where nothing is to be found out."""
    name, default = parameter.name, parameter.default
    if isinstance(default, bool):
        return ["false" if default else "true"]
    if name.startswith(TOGGLED):
        return ["true", "false"]
    hinted = NAMES.get(name, "").split()
    return [kind for kind in hinted if kind in known or kind in ("out", "outs")]
