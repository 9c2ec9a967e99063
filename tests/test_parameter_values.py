"""What KFP does to the value of a parameter, undone."""

from __future__ import annotations

import sys

import pytest

from kale_magics.pipeline import Json
from kale_magics.step_runtime.runtime import NULL, hold, restore

RESTORED = [
    (3.0, 1, "int", 3),
    (3, 1, "int", 3),
    (float(2**53), 2**53 + 1, "int", 2**53 + 1),
    (2**53, 2**53 + 1, "int", 2**53 + 1),
    (3, 0.5, "float", 3.0),
    (True, False, "bool", True),
    ("1", "x", "str", "1"),
    (None, None, "None", None),
    (NULL, None, "None", None),
    ("x", None, "None", "x"),
    (NULL, "", "str", NULL),
    ({"a": [NULL, 1.0]}, {"a": []}, "dict", {"a": [None, 1]}),
    (3e300, 1e999, "float", 3e300),
    ([sys.float_info.max], [10**400], "list", [10**400]),
    ([1.0, 2.0], [1, 2], "list", [1, 2]),
    ([1.0, 2.0], [1, 2.0], "list", [1, 2.0]),
    ([5.0, 6.0, 7.0], [1], "list", [5, 6, 7]),
    ([5.0, 6.0], [0.5], "list", [5.0, 6.0]),
    ([1, 2], [0.5], "list", [1.0, 2.0]),
    ([True, 1.0], [True, 1], "list", [True, 1]),
    ([1.0], [True], "list", [1]),
    ([2.5], [1], "list", [2.5]),
    ([-(2.0**60)], [-(2**60) + 1], "list", [-(2**60) + 1]),
    ({"a": {"b": 1.0}, "c": 2.0}, {"a": {"b": 1}}, "dict", {"a": {"b": 1}, "c": 2}),
    ({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 2}, "dict", {"a": 1.0, "b": 2}),
    ({"lr": 1.0, "new": 2.0}, {"lr": 0.1}, "dict", {"lr": 1.0, "new": 2.0}),
    ([None, "a", []], [], "list", [None, "a", []]),
]


@pytest.mark.parametrize(("value", "default", "kind", "expected"), RESTORED)
def test_parameters_get_their_types_back(value: Json, default: Json, kind: str, expected: Json) -> None:
    assert repr(restore(value, default, kind)) == repr(expected)


@pytest.mark.parametrize(
    ("default", "kind"),
    [
        (None, "None"),
        ({"a": [None, {"b": None}], "c": 1}, "dict"),
        ([None, 1e999, -1e999, 0.5], "list"),
        (1e999, "float"),
        (10**400, "int"),
        (-(10**400), "int"),
        (2**70 + 1, "int"),
    ],
)
def test_a_default_that_kfp_cannot_hold_comes_back(default: Json, kind: str) -> None:
    from google.protobuf import json_format
    from kfp.compiler.pipeline_spec_builder import to_protobuf_value

    arrived = json_format.MessageToDict(to_protobuf_value(hold(default)))
    assert repr(restore(arrived, default, kind)) == repr(default)
    assert repr(restore(default, default, kind)) == repr(default)
