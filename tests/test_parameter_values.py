"""What KFP does to the value of a parameter, undone."""

from __future__ import annotations

import ast
import re
import sys

import pytest

from kale_magics.analysis.parameter_cells import read_parameters
from kale_magics.kubeflow.submission import with_exact_values
from kale_magics.model.pipeline import Json, Parameter, Pipeline
from kale_magics.step_runtime.parameters import (
    NULL,
    decode_parameter,
    encode_parameter,
    input_form,
    read_value,
    write_value,
)

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
    (2.0, 1, "int | float", 2),
    (2.5, 1, "int | float", 2.5),
    (1.0, 1, "int | float", 1),
    (2.0, 0.5, "int | float", 2.0),
    ("5", None, "int | None", 5),
    ("None", 5, "int | None", None),
    ("", None, "None", ""),
    ("[1, 2.0, null]", None, "Any", [1, 2.0, None]),
    ("5", "x", "int | str", 5),
    ('"5"', "x", "int | str", "5"),
    ("b", "a", "Literal['a', 'b']", "b"),
    (2.0, 1, "Literal[1, 2]", 2),
    ([1.0], [2], "list[int]", [1]),
]


@pytest.mark.parametrize(("value", "default", "kind", "expected"), RESTORED)
def test_parameters_get_their_types_back(value: Json, default: Json, kind: str, expected: Json) -> None:
    assert repr(decode_parameter(value, default, kind)) == repr(expected)


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
        (1, "int | float"),
        (None, "int | None"),
        (2**70 + 1, "int | None"),
        (1e999, "float | None"),
        ("None", "str | None"),
        ("None (no value)", "str | None"),
        ("$(HOME) $$ ☃ {{$.x}}", "str | None"),
        ("3", "None"),
        ("3", "int | str"),
        ("[1]", "Any"),
        ({"b": None, "a": [1, 1.0, -1e999, "$$"]}, "Any"),
        (True, "bool | None"),
        ("b", "Literal['a', 'b', None]"),
        (2, "Literal[1, 2]"),
    ],
)
def test_a_default_that_kfp_cannot_hold_comes_back(default: Json, kind: str) -> None:
    from google.protobuf import json_format
    from kfp.compiler.pipeline_spec_builder import to_protobuf_value

    arrived = json_format.MessageToDict(to_protobuf_value(encode_parameter(default, kind)))
    assert repr(decode_parameter(arrived, default, kind)) == repr(default)


EXACT = [
    ("int | float", 0.5, 2),
    ("int | float", 1, 2.0),
    ("int | float", 1, 2),
    ("int", 1, 2**53 + 1),
    ("list", [0.5], [1, 2]),
    ("list", [1], [1.0, 2.5]),
    ("dict", {"a": 1, "b": 2}, {"b": 1, "a": 2.0}),
    ("dict[str, int | float]", {}, {"b": 1.0, "a": 2}),
    ("int | None", None, 5),
    ("None", None, {"b": [1, 1.0], "a": None}),
]


@pytest.mark.parametrize(("kind", "default", "value"), EXACT)
def test_a_value_that_is_given_for_a_run_on_a_server_arrives_as_it_is(
    kind: str, default: Json, value: Json
) -> None:
    from google.protobuf import json_format
    from kfp.compiler.pipeline_spec_builder import to_protobuf_value

    (sent,) = with_exact_values(
        Pipeline("p", (), (Parameter("x", "x", kind, default),)), {"x": value}
    ).parameters
    arrived = json_format.MessageToDict(to_protobuf_value(encode_parameter(value, kind)))
    assert repr(decode_parameter(arrived, sent.default, kind)) == repr(value)


TYPES = [
    ("rate: float = 1", "int | float", "float"),
    ("rate: float = 0.5", "int | float", "float"),
    ("n: int = 1", "int", "int"),
    ("n: 'int' = 1", "int", "int"),
    ("n = None", "None", "text"),
    ("n: int = None", "int | None", "text"),
    ("limit: int | None = None", "int | None", "text"),
    ("limit: None | int = 5", "None | int", "text"),
    ("limit: Optional[int] = None", "int | None", "text"),
    ("limit: 'typing.Optional[int]' = None", "int | None", "text"),
    ("x: Union[int, str] = 'a'", "int | str", "text"),
    ("x: t.Union[int, Union[str, int], None] = 'a'", "int | str | None", "text"),
    ("mode: Literal['a', 'b'] = 'a'", "Literal['a', 'b']", "text"),
    ("mode: Literal['a'] | Literal['b'] | None = 'a'", "Literal['a', 'b'] | None", "text"),
    ("level: Literal[1, -2] = 1", "Literal[1, -2]", "int"),
    ("xs: list[int] = [1]", "list[int]", "list"),
    ("xs: List[Optional[str]] = []", "list[str | None]", "list"),
    ("xs: List = []", "list", "list"),
    ("xs: list[int] = None", "list[int] | None", "text"),
    ("d: dict[str, float] = {}", "dict[str, int | float]", "dict"),
    ("d: Dict[str, Any] = {}", "dict[str, Any]", "dict"),
    ("x: Any = 5", "Any", "text"),
    ("x: Union[Any, int] = 5", "Any", "text"),
    ("x: Annotated[int, 'steps'] = 5", "int", "int"),
    ("x: Final[int] = 5", "int", "int"),
    ("x: Final = 5", "int", "int"),
    ("n: int = 0.5", "int | float", "float"),
    ("n: str = 5", "str | int", "text"),
    ("x: np.int64 = 5", "int", "int"),
    ("x: tuple[int, ...] = 5", "int", "int"),
    ("x: 'no type' = 5", "int", "int"),
    ("x: Literal[Colour.RED] = 5", "int", "int"),
    ("x: pd.DataFrame | None = None", "None", "text"),
    ("x: dict[int, str] = {}", "dict", "dict"),
]


@pytest.mark.parametrize(("line", "kind", "form"), TYPES)
def test_an_annotation_says_the_type_of_a_parameter(line: str, kind: str, form: str) -> None:
    (default,), _, _ = read_parameters(ast.parse(line))
    assert (default.type, input_form(default.type)) == (kind, form)
    assert default.value == ast.literal_eval(line.partition(" = ")[2])


TEXTS: list[tuple[str, str, Json]] = [
    ("int | float", "2", 2),
    ("int | float", "2.0", 2.0),
    ("int | float", "nan", float("nan")),
    ("float", "2", 2.0),
    ("None", "3", 3),
    ("None", "abc", "abc"),
    ("None", "None", None),
    ("None", '"3"', "3"),
    ("None", "'3'", "3"),
    ("None", "true", True),
    ("None", "nan", "nan"),
    ("None", "007", "007"),
    ("None", "[1, None, 'a']", [1, None, "a"]),
    ("None", "", ""),
    ("int | None", "null", None),
    ("int | None", "5", 5),
    ("bool | None", "FALSE", False),
    ("str | None", "None", None),
    ("str | None", "none", "none"),
    ("str | None", "5", "5"),
    ("str | None", '"None"', "None"),
    ("int | str", "5", 5),
    ("int | str", '"5"', "5"),
    ("int | str", "5.0", "5.0"),
    ("int | str", "(1, 2)", "(1, 2)"),
    ("int | float | str", "nan", "nan"),
    ("Literal['a', 1]", "1", 1),
    ("Literal['1', 2]", "1", "1"),
    ("dict[str, list[int]]", "{'a': [1]}", {"a": [1]}),
]


@pytest.mark.parametrize(("kind", "text", "value"), TEXTS)
def test_a_text_is_read_in_a_type_and_a_value_is_written_as_it_is_read(
    kind: str, text: str, value: Json
) -> None:
    assert repr(read_value(text, kind)) == repr(value)
    assert repr(read_value(write_value(value, kind), kind)) == repr(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("int | None", "abc"),
        ("int | None", "1.5"),
        ("None", "(1, 2)"),
        ("Any", "{1: 2}"),
        ("Literal['a', 'b']", "c"),
        ("Literal[1]", "true"),
        ("list[int]", "[1.5]"),
        ("dict[str, int]", "[1]"),
        ("bool | None", "1"),
    ],
)
def test_a_text_for_no_value_of_a_type_is_refused(kind: str, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        read_value(text, kind)
