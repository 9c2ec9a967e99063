"""What a random notebook shows in the end: its data in a stable text, and what is one object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from tests.fuzz.grammar import NAMES

LONGEST = 1000
"""Characters of a value that is shown."""

FORMS = {
    "Mat": "{}.round(6).tolist()",
    "Vec": "{}.round(6).tolist()",
    "Sparse": "{}.toarray().tolist()",
    "Frame": "({0}.to_dict('list'), {0}.index.tolist(), {0}.index.name, {0}.columns.name, {0}.attrs)",
    "Series": "({0}.tolist(), {0}.index.tolist(), {0}.name)",
    "Index": "({0}.tolist(), {0}.name)",
    "Group": "{}.sum().round(6).to_dict()",
    "Model": "([round(float(x), 4) for x in getattr({0}, 'coef_', ())], {0}.get_params().get('alpha'))",
    "Scaler": "(getattr({0}, 'mean_', None), {0}.copy)",
    "Search": "{0}.steps if hasattr({0}, 'steps') else {0}.estimator",
    "Rng": "{}.randint(1000)",
    "Dice": "{}.randint(0, 1000)",
    "Gen": "int({}.integers(1000))",
    "Tree": "{{k: dict(v) if isinstance(v, dict) else v for k, v in {}.items()}}",
    "Queue": "list({})",
    "Text": "{}.getvalue()",
    "Iter": "[next({}, None) for _ in range(3)]",
    "Object": "{}",
    "Bus": "len({}.hooks)",
    "Record": "{}",
    "Table": "sorted({})",
}
"""How the data of a kind is shown."""

PARTS = {
    "Object": ("all", "made", "options", "n", "tags", "half"),
    "Class": ("all", "made", "options", "known"),
    "Record": ("x",),
}
"""The attributes that are shown beside that."""

HELD = {"Frame": "[x is {b} for x in {a}['l']]", "Record": "{a}.tags is {b}", "Object": "{a}.n is {b}"}
"""Whether something of a kind holds a list."""

SHARED = {
    "Mat": "np.shares_memory({a}, {b})",
    "Vec": "np.shares_memory({a}, {b})",
    "Sparse": "np.shares_memory({a}.data, {b}.data)",
}
"""Whether two of a kind share their memory."""

HOLDERS = {
    "Group": ("Frame", "{a}.obj is {b}"),
    "Search": ("Model", "[x is {b} for x in ({a}.estimator if hasattr({a}, 'estimator') else {a}[-1],)]"),
    "Class": ("Object", "[x is {b} for x in {a}.all]"),
}
"""Which kind another one may hold, and whether it does."""


def shown(values: dict[str, Any]) -> list[str]:
    """The expressions that tell what is in a notebook's data, and what is one object.

    Args:
        values: The notebook's variables; to look at some of them changes these.
    """
    texts = (_checked(text, values) for text in (*_ordinary(values), *_data(values)))
    return [text for text in texts if text]


def _checked(text: str, values: dict[str, Any]) -> str:
    """The expression, with a text of one line; empty if it has no value, or another text each time."""
    try:
        told = str(eval(text, values))
    except Exception:  # a value of another kind than its name
        return ""
    if len(told) > LONGEST or " at 0x" in told:
        return ""
    return f"' '.join(str({text}).split())" if "\n" in told else text


def _ordinary(values: Mapping[str, object]) -> tuple[str, ...]:
    data = [n for kind in "IRSLDO" for n in NAMES[kind] if n in values and not callable(values[n])]
    changing = [n for n in data if not isinstance(values[n], (int, float, str, type(None), tuple))]
    pairs = combinations(changing, 2)
    same = [f"{a} is {b}" for a, b in pairs if type(values[a]) is type(values[b])]
    lists = [n for n in changing if isinstance(values[n], list)]
    held = [f"[x is {b} for x in {a}]" for a in lists for b in changing if a != b]
    dicts = [n for n in changing if isinstance(values[n], dict)]
    held += [f"[x is {b} for x in {a}.values()]" for a in dicts for b in changing if a != b]
    # What a library keeps beside an object's content is its own affair.
    objects = [n for n in changing if type(values[n]).__module__ == "__main__"]
    held += [f"[x is {b} for x in vars({a}).values()]" for a in objects for b in changing if a != b]
    classes = [n for n in NAMES["C"] + NAMES["B"] if n in values]
    parts = [f"{n}.{part}" for n in classes for part in ("made", "shared") if hasattr(values[n], part)]
    kinds = [f"type({a}) is {b}" for a in objects for b in classes]
    return (*data, *same, *held, *parts, *kinds)


def _data(values: Mapping[str, object]) -> Iterator[str]:
    """The same for the kinds of the level "data"."""
    there = {kind: [name for name in names if name in values] for kind, names in NAMES.items()}
    for kind, form in FORMS.items():
        yield from (form.format(name) for name in there[kind])
        yield from (f"{a} is {b}" for a, b in combinations(there[kind], 2))
    for kind, parts in PARTS.items():
        yield from (f"{name}.{part}" for name in there[kind] for part in parts)
    for kind, form in SHARED.items():
        yield from (form.format(a=a, b=b) for a, b in combinations(there[kind], 2))
    yield from (f"np.shares_memory({a}, {b})" for a in there["Mat"] for b in there["Vec"])
    for kind, form in HELD.items():
        yield from (form.format(a=a, b=b) for a in there[kind] for b in there["L"])
    for kind, (other, form) in HOLDERS.items():
        yield from (form.format(a=a, b=b) for a in there[kind] for b in there[other])
