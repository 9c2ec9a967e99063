"""Checks requests against the models of kfp_server_api, so that what a test sends is what the API knows."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from kfp_server_api import models

from tests.kfp_server.errors import invalid

PLAIN: dict[str, type | tuple[type, ...]] = {
    "str": str, "int": int, "float": (int, float), "bool": bool, "object": dict, "datetime": str,
}  # fmt: skip

INT64 = {"interval_second", "max_concurrency", "long_value"}
"""Fields that the models call texts because JSON has no 64-bit integers; protobuf takes numbers too."""

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def check_body(body: Any, model: str, required: Collection[str] = ()) -> None:
    """Refuse a body that isn't one of a model's.

    Args:
        body: What the request holds, parsed.
        model: The name of a class of kfp_server_api.models.
        required: JSON names of fields that must be there.
    """
    check(body, model, "body")
    for name in required:
        if not body.get(name):
            raise invalid(f"{name} is required")


def check_query(query: Mapping[str, str], known: Collection[str]) -> None:
    """Refuse parameters that an operation doesn't have."""
    for name in query:
        if name not in known:
            raise invalid(f"unknown query parameter {name!r}")


def check(value: Any, kind: str, where: str) -> None:
    """Refuse a value that isn't of a type, as `openapi_types` writes types; null stands for nothing."""
    if value is None:
        return
    if kind.startswith("list["):
        need(isinstance(value, list), where, kind)
        for number, item in enumerate(value):
            check(item, kind[5:-1], f"{where}[{number}]")
    elif kind.startswith("dict("):
        need(isinstance(value, dict), where, kind)
        for key, item in value.items():
            check_value(item, kind[5:-1].split(", ")[1], f"{where}.{key}")
    elif kind in PLAIN:
        check_plain(value, kind, where)
    else:
        check_model(value, getattr(models, kind), where)


def check_value(value: Any, kind: str, where: str) -> None:
    """As `check`, for a value of a map: there an object is any JSON."""
    if kind != "object":
        check(value, kind, where)


def check_plain(value: Any, kind: str, where: str) -> None:
    """As `check`, for what isn't made of parts."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if where.rpartition(".")[2] in INT64:
        need(is_number or (isinstance(value, str) and value.lstrip("-").isdecimal()), where, "int64")
        return
    need(isinstance(value, PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool)), where, kind)
    if kind == "datetime":
        need(TIME.fullmatch(value) is not None, where, "time of RFC 3339")


def check_model(value: Any, model: type, where: str) -> None:
    """As `check`, for a class of kfp_server_api.models: a message or an enumeration."""
    if not model.openapi_types:
        need(value in model.allowable_values, where, model.__name__)
        return
    need(isinstance(value, dict), where, model.__name__)
    types = {model.attribute_map[name]: kind for name, kind in model.openapi_types.items()}
    for name, item in value.items():
        if name not in types:
            raise invalid(f"unknown field {name!r} in {where}")
        check(item, types[name], f"{where}.{name}")


def need(condition: bool, where: str, kind: str) -> None:
    """Refuse a value of another type."""
    if not condition:
        raise invalid(f"invalid value for {where}: it must be of type {kind}")
