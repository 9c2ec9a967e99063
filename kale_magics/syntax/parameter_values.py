"""Parse the values of `-p` in the types of the parameters."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from kale_magics.model.diagnostics import Code, Where, kale_error
from kale_magics.model.pipeline import Json, Parameter
from kale_magics.step_runtime.parameters import alternatives_of, read_value
from kale_magics.step_runtime.unpatched import to_json
from kale_magics.syntax.arguments import closest
from kale_magics.syntax.commands import RUN

_FORMS = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "str": "a string",
    "None": "None",
    "list": "a list in JSON or Python syntax, in quotes",
    "dict": "a dict in JSON or Python syntax, in quotes",
    "Any": "a JSON literal",
}
_SAMPLES = {"int": "1", "float": "0.5", "bool": "true", "list": "[1, 2]", "dict": '{"a": 1}'}


def parameter_values(
    parameters: Sequence[Parameter], pairs: Sequence[str], where: Where | None = None
) -> dict[str, Json]:
    """Return the values of `-p`, in the types of the parameters.

    Args:
        parameters: The parameters of the pipeline.
        pairs: Each NAME=VALUE.
        where: The place of the line, for errors.

    Raises:
        KaleError: Not of that form, an unknown or a duplicate parameter, or a value of another type.
    """
    known = {parameter.name: parameter for parameter in parameters}
    values: dict[str, Json] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            message = f"-p takes NAME=VALUE without spaces around the =, not {pair!r}"
            raise kale_error(Code.BAD_ARGUMENTS, message, f"write it as in {RUN.example}", where)
        if name not in known:
            raise _unknown_parameter(name, known, where)
        if name in values:
            raise kale_error(
                Code.DUPLICATE_PARAMETER, f"-p sets parameter {name} twice", "remove one of them", where
            )
        values[name] = _typed(known[name], text, where)
    return values


def _unknown_parameter(name: str, known: Iterable[str], where: Where | None) -> Exception:
    guess, names = closest(name, known), ", ".join(known)
    fix = f"did you mean {guess}?" if guess else f"the parameters are: {names}"
    if not names:
        fix = "there is none yet: define it with a default in a cell marked %%kale parameters"
    return kale_error(Code.UNKNOWN_PARAMETER, f"the pipeline has no parameter {name!r}", fix, where)


def _typed(parameter: Parameter, text: str, where: Where | None) -> Json:
    try:
        value: Json = read_value(text, parameter.type)
    except ValueError as error:
        raise _bad_value(parameter, text, where) from error
    return value


def _bad_value(parameter: Parameter, text: str, where: Where | None) -> Exception:
    alternatives = alternatives_of(parameter.type)
    message = f"parameter {parameter.name} must be {_form(alternatives)}, not {text!r}"
    words = [str(value) for name, value in alternatives if name == "Literal"]
    sample = next((_SAMPLES[name] for name, _ in alternatives if name in _SAMPLES), "None")
    if parameter.default is not None:
        default = parameter.default
        sample = default if isinstance(default, str) else to_json(default, ensure_ascii=False)
    like = "like its default" if parameter.default is not None else "as in"
    fix = f"write it {like}: -p {shlex.quote(f'{parameter.name}={sample}')}"
    guess = closest(text, words)
    return kale_error(Code.BAD_VALUE, message, f"did you mean {guess}?" if guess else fix, where)


def _form(alternatives: Sequence[tuple[str, Any]]) -> str:
    """Describe the values that a type accepts: "an integer or None"."""
    names = [name for name, _ in alternatives]
    forms = [
        _form_of(name, content) for name, content in alternatives if name != "int" or "float" not in names
    ]
    return " or ".join([", ".join(forms[:-1]), forms[-1]] if len(forms) > 1 else forms)


def _form_of(name: str, content: Any) -> str:
    if name == "Literal":
        return repr(content)
    if name in ("list", "dict") and content:
        return f"{_FORMS[name]}, each {'item' if name == 'list' else 'value'} {_form(content)}"
    return _FORMS[name]
