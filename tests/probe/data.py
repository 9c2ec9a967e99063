"""Findings as the data that the package reads, and back."""

from __future__ import annotations

import json
import platform
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from kale_magics.analysis.library_effects import ITSELF

FOLDER = Path(__file__).parents[2] / "kale_magics" / "analysis"
DATA = FOLDER / "library_effects.json"
OLD_PANDAS = FOLDER / "library_effects_pandas2.json"
"""What is known of pandas before version 3."""

DISTRIBUTIONS = {name: name for name in ("matplotlib", "numpy", "pandas", "scipy")} | {
    "sklearn": "scikit-learn"
}
"""What the libraries are called where they come from."""

FIELDS = ("changes", "may_change", "shares", "may_share", "keeps", "consumes", "calls", "options", "draws")

Line = dict[str, Any]
Facts = dict[str, str]
"""From "method pandas.DataFrame.drop" and the like to what was found, as a text."""


def versions(libraries: Iterable[str], others: dict[str, str]) -> dict[str, str]:
    """Return the versions of libraries as installed, and those of the others; of Python two numbers."""
    python = ".".join(platform.python_version_tuple()[:2])
    own = {name: python if name == "stdlib" else metadata.version(DISTRIBUTIONS[name]) for name in libraries}
    return dict(sorted({**others, **own}.items()))


def facts(lines: Iterable[Line]) -> Facts:
    """Return what the lines of workers say, by kind and name."""
    found: Facts = {}
    for line in lines:
        what, name = line["what"], line["name"]
        if what == "type":
            found[f"bases {name}"] = line["bases"]
        elif what == "attribute" and "shares" in line:
            found[f"attribute {name}"] = "shares" if line["shares"] else ""
        elif "effects" in line and not _is_unseen(line) and not _is_doubtful(line):
            found[f"{what} {name}"] = effects_text(_without_caches(line))
            if line["result"] not in ("", "NoneType"):
                found[f"result {name}"] = line["result"]
    return found


def _is_unseen(line: Line) -> bool:
    """Whether a method's object cannot be compared, and nothing tells that the method changes it."""
    changed = {*line["effects"].get("changes", ()), *line["effects"].get("consumes", ())}
    return bool(line["hidden"]) and "self" not in changed


def _is_doubtful(line: Line) -> bool:
    """Whether a method seems to do nothing, or a setter to set nothing: no sample showed what it does."""
    name, effects = line["name"].rpartition(".")[2], line["effects"]
    if line["what"] != "method" or "self" in effects.get("changes", ()):
        return False
    if line["result"] == "NoneType":
        return not (effects.keys() - {"calls"} or name.startswith(("get", "is", "has")))
    return (_is_drawing(line) and name.startswith("set")) or name in ("set_params", "set_output")


def _is_drawing(line: Line) -> bool:
    return line["name"].startswith(("matplotlib.", "mpl_toolkits."))


def _without_caches(line: Line) -> dict[str, list[str]]:
    """The effects of a line; what reads a drawing may fill its caches, and changes nothing."""
    effects: dict[str, list[str]] = dict(line["effects"])
    if _is_drawing(line) and line["name"].rpartition(".")[2].startswith("get_"):
        effects["changes"] = [label for label in effects.get("changes", ()) if label != "self"]
    return effects


def effects_text(effects: dict[str, list[str]]) -> str:
    """Return effects as `kale_magics.analysis.library_effects.parse_effects` reads them."""
    return " ".join(f"{name}={','.join(sorted(effects[name]))}" for name in FIELDS if effects.get(name))


def as_data(found: Facts, of: dict[str, str]) -> dict[str, Any]:
    """Return facts as they are stored: names with the same effects together."""
    groups: dict[str, dict[str, dict[str, list[str]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    bases: dict[str, str] = {}
    own = without_inherited(found)
    having = {key.partition(" ")[2].rpartition(".")[0] for key in own if not key.startswith("bases ")}
    for key, text in own.items():
        what, _, path = key.partition(" ")
        owner, _, name = path.rpartition(".")
        if what == "bases":
            bases[path] = " ".join(base for base in text.split() if base in having)
        else:
            groups[what][owner][ITSELF if what == "result" and text == path else text].append(name)
    stored = {
        f"{what}s": {
            owner: {text: " ".join(sorted(names)) for text, names in sorted(by_text.items())}
            for owner, by_text in sorted(groups[what].items())
        }
        for what in ("function", "method", "attribute", "result")
    }
    return {"versions": of, "bases": dict(sorted(bases.items())), **stored}


def without_inherited(found: Facts) -> Facts:
    """Facts without those that the first probed base class of a type has just so."""
    bases = {key.partition(" ")[2]: text.split() for key, text in found.items() if key.startswith("bases ")}
    return {key: text for key, text in found.items() if not _is_inherited(key, text, found, bases)}


def _is_inherited(key: str, text: str, found: Facts, bases: dict[str, list[str]]) -> bool:
    what, _, path = key.partition(" ")
    owner, _, name = path.rpartition(".")
    inherited = (f"{what} {base}.{name}" for base in bases.get(owner, ()))
    first = next((found[other] for other in inherited if other in found), None)
    return what != "bases" and first == text


def read(path: Path = DATA) -> dict[str, Any]:
    """Return the data in the tree; empty if there is none."""
    loaded: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return loaded


def write(data: dict[str, Any], path: Path = DATA) -> None:
    """Write data, a line for each group of names."""
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")


def stored_facts(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The facts of stored data, without those that base classes have just so."""
    for path, text in data.get("bases", {}).items():
        yield f"bases {path}", text
    for what in ("function", "method", "attribute", "result"):
        for owner, by_text in data.get(f"{what}s", {}).items():
            for text, names in by_text.items():
                for name in names.split():
                    yield f"{what} {owner}.{name}", f"{owner}.{name}" if text == ITSELF else text


def differences(old: Facts, new: Facts) -> Iterator[str]:
    """A line for each fact that was added, removed or changed."""
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            yield f"+ {key}: {new[key] or 'reads only'}"
        elif key not in new:
            yield f"- {key}: {old[key] or 'reads only'}"
        elif old[key] != new[key]:
            yield f"~ {key}: {old[key] or 'reads only'} -> {new[key] or 'reads only'}"
