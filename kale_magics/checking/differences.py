"""Comparison of two fingerprints: the values are equal, or differ at some place, or cannot be compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kale_magics.step_runtime.fingerprint_nodes import NOISE

Verdict = Literal["equal", "differs", "not compared"]
Node = Mapping[str, Any]

MAX_RELATIVE_DIFFERENCE = 1e-10
"""The relative difference up to which two numbers count as equal."""

IN_PART = "in part"

ONLY_ORDER = "only the order of its elements differs"


@dataclass(frozen=True)
class Difference:
    """The result of a comparison.

    Attributes:
        verdict: Whether the values are equal.
        what: What differs, or why the values cannot be compared.
        is_number: Whether a number differs, and nothing else is known to.
        tolerated: Whether the values differ for a reason that is not a fault.
    """

    verdict: Verdict
    what: str = ""
    is_number: bool = False
    tolerated: bool = False


def compare(run: Node, notebook: Node) -> Difference:
    """Compare two fingerprints.

    Args:
        run: The fingerprint of a value of the run.
        notebook: That of the notebook's value.

    Returns:
        The verdict; `what` names first the run's value, then the notebook's.
    """
    reason = run.get("no") or notebook.get("no")
    if reason:
        return Difference("not compared", str(reason))
    same = run["h"] == notebook["h"]
    if same or _equal_but_for_rounding(run, notebook):
        unread = (run.get("some") or notebook.get("some") or ("",))[0]
        return Difference("equal", f"{IN_PART}: {unread}" if unread else "" if same else "but for rounding")
    if _versions_differ(str(run.get("v")), str(notebook.get("v"))):
        what = f"created by {run.get('v')}, in the notebook by {notebook.get('v')}"
        return Difference("not compared", what, tolerated=True)
    if run["t"] == notebook["t"] and "u" in run and run["u"] == notebook.get("u"):
        return Difference("not compared", ONLY_ORDER, tolerated=True)
    found = next(_differences(run, notebook), None)
    if found is None and run.get("some") != notebook.get("some"):
        return Difference("not compared", str((run.get("some") or notebook.get("some") or ("",))[0]))
    path, what, is_number = found or ("", "its content", False)
    if path.endswith("]itself"):
        path = path.removesuffix("itself")
    return Difference("differs", f"{path}: {what}" if path else what, is_number)


def _versions_differ(run: str, notebook: str) -> bool:
    """Whether two texts, as "Python 3.11, numpy 2.1", name different versions of Python or of one library."""
    (python, *library), (other_python, *other_library) = run.split(", "), notebook.split(", ")
    same_library = [name.partition(" ")[0] for name in library] == [
        name.partition(" ")[0] for name in other_library
    ]
    return python != other_python or (same_library and library != other_library)


def compare_numbers(run: Node, notebook: Node) -> Difference:
    """Compare two fingerprints by the numbers that they show, whatever their types."""
    one, other = str(run.get("x", "")), str(notebook.get("x", ""))
    try:
        same = math.isclose(float(one), float(other), rel_tol=MAX_RELATIVE_DIFFERENCE, abs_tol=NOISE)
    except ValueError:
        return Difference("not compared", "the notebook has no number there")
    return Difference("equal") if same else Difference("differs", f"{one}, not {other}", is_number=True)


def _equal_but_for_rounding(run: Node, notebook: Node) -> bool:
    pairs = zip(run.get("a", ()), notebook.get("a", ()), strict=False)
    return any(one == other for one, other in pairs)


def _differences(run: Node, notebook: Node, path: str = "") -> Iterator[tuple[str, str, bool]]:
    """Yield the differences, the most specific first: path, description, and whether it is a number."""
    if run["t"] != notebook["t"]:
        yield path, f"type {run['t']}, not {notebook['t']}", False
        return
    for what in _column_differences(run, notebook):
        yield path, what, False
    if run.get("d") != notebook.get("d"):
        yield path, f"dtype {run.get('d')}, not {notebook.get('d')}", False
    if run.get("s") != notebook.get("s"):
        yield path, f"shape {_shape(run.get('s'))}, not {_shape(notebook.get('s'))}", False
    elif run.get("n") != notebook.get("n"):
        yield path, f"length {run.get('n')}, not {notebook.get('n')}", False
    yield from _part_differences(run, notebook, path)
    yield from _element_differences(run, notebook, path)
    if run.get("x", "") != notebook.get("x", "") and "p" not in run:
        is_number = run["t"].rpartition(".")[2].startswith("float")
        yield path, f"{run.get('x')}, not {notebook.get('x')}", is_number


def _column_differences(run: Node, notebook: Node) -> Iterator[str]:
    """Yield how the columns of two frames differ."""
    if "c" not in run or "c" not in notebook or run["c"] == notebook["c"]:
        return
    if len(run["c"]) < run["n"] or len(notebook["c"]) < notebook["n"]:  # only the first ones are known
        for one, other in zip(run["c"], notebook["c"], strict=False):
            if one != other:
                yield f"it has the {one} where the notebook has the {other}"
        return
    missing = [name for name in notebook["c"] if name not in run["c"]]
    added = [name for name in run["c"] if name not in notebook["c"]]
    if missing and run["n"] <= notebook["n"]:
        yield f"the {missing[0]} is missing"
    elif added:
        yield f"it has the {added[0]}, which the notebook does not have"
    yield "the order of its columns" if not missing and not added else "columns"


def _part_differences(run: Node, notebook: Node, path: str) -> Iterator[tuple[str, str, bool]]:
    """Yield how the parts of two objects differ."""
    run_parts, notebook_parts = run.get("p", {}), notebook.get("p", {})
    for label, part in run_parts.items():
        other = notebook_parts.get(label)
        if other is None or part["h"] == other["h"] or _equal_but_for_rounding(part, other):
            continue
        if "no" in part or "no" in other:
            continue
        yield from _differences(part, other, _joined(path, label))
        yield _joined(path, label), "its content", False
    if "cut" in run or "cut" in notebook:
        return  # the full list of parts is not known
    if run.get("n") == notebook.get("n") and len(run_parts) < 4 * len(notebook_parts) < 16 * len(run_parts):
        for label in notebook_parts:
            if label not in run_parts and label.startswith(("[", ".")):
                yield path, f"{label} is missing", False
    elif notebook_parts.keys() - run_parts.keys() and len(run_parts) < len(notebook_parts):
        yield (
            path,
            f"{next(iter(label for label in notebook_parts if label not in run_parts))} is missing",
            False,
        )


def _joined(path: str, label: str) -> str:
    return f"{path}{label}" if label.startswith(("[", ".")) or not path else f"{path}, {label}"


def _element_differences(run: Node, notebook: Node, path: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the first elements that differ."""
    shape: Sequence[int] = run.get("s") or ()
    for number, (one, other) in enumerate(zip(run.get("e", ()), notebook.get("e", ()), strict=False)):
        if one != other and not _same_number(one, other):
            place = ", ".join(map(str, _position(number, shape))) or str(number)
            yield path, f"element [{place}]: {one}, not {other}", _is_float(one) and _is_float(other)


def _position(number: int, shape: Sequence[int]) -> list[int]:
    """Return the index of an element in an array, given its number in C order."""
    found: list[int] = []
    for size in reversed(shape):
        number, rest = divmod(number, size or 1)
        found.insert(0, rest)
    return found


def _same_number(one: str, other: str) -> bool:
    try:
        return math.isclose(float(one), float(other), rel_tol=MAX_RELATIVE_DIFFERENCE)
    except ValueError:
        return False


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "." in text or "e" in text


def _shape(shape: Sequence[int] | None) -> str:
    return " x ".join(map(str, shape)) if shape else "()"
