"""The values that `-p` gives to parameters: text as typed, in the type of the parameter."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from kale_magics.arguments import near
from kale_magics.commands import RUN
from kale_magics.diagnostics import Code, Where, refuse
from kale_magics.pipeline import Json, Parameter
from kale_magics.step_runtime.fixed import from_json, to_json

_FORMS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list as in JSON or Python, in quotes",
    "dict": "a dict as in JSON or Python, in quotes",
}


def parameter_values(
    parameters: Sequence[Parameter], pairs: Sequence[str], where: Where | None = None
) -> dict[str, Json]:
    """The values that `-p` gives to parameters, in the types of the parameters.

    Args:
        parameters: Those that the pipeline has.
        pairs: NAME=VALUE, each.
        where: Where they stand, for the refusal.

    Raises:
        KaleError: Not of that form, no such parameter, one given twice, or a value that it does not take.
    """
    known = {parameter.name: parameter for parameter in parameters}
    values: dict[str, Json] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            message = f"-p takes NAME=VALUE without spaces around the =, not {pair!r}"
            raise refuse(Code.BAD_ARGUMENTS, message, f"write it as in {RUN.example}", where)
        if name not in known:
            raise _unknown_parameter(name, known, where)
        if name in values:
            raise refuse(
                Code.DUPLICATE_PARAMETER, f"-p gives {name} a value twice", "leave one of them out", where
            )
        values[name] = _typed(known[name], text, where)
    return values


def _unknown_parameter(name: str, known: Iterable[str], where: Where | None) -> Exception:
    guess, names = near(name, known), ", ".join(known)
    fix = f"did you mean {guess}?" if guess else f"there is: {names}"
    if not names:
        fix = "there is none yet: give it a name and a default in a cell that begins with %%kale parameters"
    return refuse(Code.UNKNOWN_PARAMETER, f"the pipeline has no parameter {name!r}", fix, where)


def _typed(parameter: Parameter, text: str, where: Where | None) -> Json:
    if parameter.type in ("str", "None"):
        return text
    value = _read(parameter.type, text)
    if value is not None:
        return value
    default = to_json(parameter.default, ensure_ascii=False)
    raise refuse(
        Code.BAD_VALUE,
        f"parameter {parameter.name} takes {_FORMS[parameter.type]}, not {text!r}",
        f"write it like its default: -p {shlex.quote(f'{parameter.name}={default}')}",
        where,
    )


def _read(kind: str, text: str) -> Json:
    """The value that a text stands for; None if it is not of that type."""
    if kind == "bool":
        return {"true": True, "false": False}.get(text.strip().lower())
    try:
        if kind in ("int", "float"):
            return int(text) if kind == "int" else float(text)
        value = _literal(text)
    except (ValueError, SyntaxError, TypeError, RecursionError):  # the readers do not take the text
        return None
    return value if type(value).__name__ == kind and _is_json(value) else None


def _literal(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return ast.literal_eval(text.strip())


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, (str, int, float))
