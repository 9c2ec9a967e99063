"""Filters, orders and pages, as all lists of the API have them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from tests.kfp_server.errors import invalid

PARAMETERS = ("page_size", "page_token", "sort_by", "filter")

DEFAULT_SIZE, LARGEST_SIZE = 20, 200

KEYS = ("display_name", "name")
"""What all resources can be filtered and sorted by."""

EQUALS, IS_SUBSTRING = ("EQUALS", 1), ("IS_SUBSTRING", 9)


def page(
    items: Iterable[dict[str, Any]], query: Mapping[str, str], name: str, keys: Collection[str] = KEYS
) -> dict[str, Any]:
    """The part of a list that a request asks for.

    Args:
        items: All of them, the oldest first.
        query: The request's parameters.
        name: What the answer calls the items.
        keys: What they can be filtered by.
    """
    predicates = predicates_of(query.get("filter", ""))
    wanted = [item for item in items if all(holds(item, predicate, keys) for predicate in predicates)]
    in_order = ordered(wanted, query.get("sort_by", ""), keys)
    start, size = start_of(query), size_of(query)
    answer: dict[str, Any] = {}
    if in_order[start:]:
        answer[name] = in_order[start : start + size]
    if in_order:
        answer["total_size"] = len(in_order)
    if in_order[start + size :]:
        answer["next_page_token"] = token(start + size, query)
    return answer


def predicates_of(text: str) -> list[dict[str, Any]]:
    """The conditions of a filter, which is URL-encoded JSON: the server decodes what HTTP has decoded."""
    if not text:
        return []
    if re.search("%(?![0-9A-Fa-f]{2})", text):
        raise invalid("invalid filter: invalid URL escape")
    try:
        predicates = json.loads(unquote_plus(text, errors="strict")).get("predicates", [])
        return [dict(predicate) for predicate in predicates]
    except (ValueError, TypeError, AttributeError) as error:
        raise invalid(f"invalid filter: {error}") from error


def holds(item: Mapping[str, Any], predicate: Mapping[str, Any], keys: Collection[str]) -> bool:
    """Whether an item meets one condition."""
    known = {"operation", "key", "stringValue", "string_value"}
    if not known.issuperset(predicate):
        raise invalid(f"unknown field in a filter: {sorted(predicate.keys() - known)}")
    key, operation = predicate.get("key"), predicate.get("operation")
    value = predicate.get("stringValue", predicate.get("string_value"))
    if key not in keys:
        raise invalid(f"invalid filter: no support for the key {key!r}")
    if not isinstance(value, str):
        raise invalid("invalid filter: string_value must be a text")
    if operation in EQUALS:
        return own(item, key) == value
    if operation in IS_SUBSTRING:
        return value in own(item, key)
    raise invalid(f"invalid filter: no support for the operation {operation!r}")


def own(item: Mapping[str, Any], key: str) -> str:
    """What a key stands for: where the API has one name only it is both."""
    return item.get(key, item["display_name"])


def ordered(items: list[dict[str, Any]], sort_by: str, keys: Collection[str]) -> list[dict[str, Any]]:
    """The items in the order asked for; times count by the order of creation, as seconds are coarse."""
    key, *direction = sort_by.split() or ["created_at"]
    if key not in (*keys, "created_at") or direction not in ([], ["asc"], ["desc"]):
        raise invalid(f"invalid sort_by: {sort_by!r}")
    in_order = items if key == "created_at" else sorted(items, key=lambda item: own(item, key))
    return in_order[::-1] if direction == ["desc"] else in_order


def size_of(query: Mapping[str, str]) -> int:
    """How many items a page has."""
    text = query.get("page_size") or "0"
    if not text.isdecimal():
        raise invalid(f"invalid page_size: {text!r}")
    return min(int(text) or DEFAULT_SIZE, LARGEST_SIZE)


def start_of(query: Mapping[str, str]) -> int:
    """The number of a page's first item; a token holds for the list only that it was given for."""
    if not query.get("page_token"):
        return 0
    try:
        start, *rest = json.loads(base64.urlsafe_b64decode(query["page_token"]))
    except (ValueError, TypeError) as error:
        raise invalid("invalid page_token") from error
    if rest != [query.get("sort_by", ""), query.get("filter", "")]:
        raise invalid("the page_token belongs to another list")
    return int(start)


def token(start: int, query: Mapping[str, str]) -> str:
    """What asks for the page that begins somewhere."""
    content = json.dumps([start, query.get("sort_by", ""), query.get("filter", "")])
    return base64.urlsafe_b64encode(content.encode()).decode()
