"""Which folder of the package may import which: arrows point down, and there is no circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import kale_magics

PACKAGE = Path(kale_magics.__file__).parent

BELOW = {"model": {"step_runtime"}, "analysis": {"model"}, "syntax": {"model"}}
BELOW |= {
    "step_runtime": set(),
    "session": {"analysis", "syntax"},
    "dataflow": {"session"},
    "execution": {"syntax"},
    "local": {"execution"},
    "view": {"execution"},
    "checking": {"dataflow", "local", "view"},
    "kubeflow": {"analysis", "checking"},
    "magics": {"dataflow", "local", "kubeflow"},
}
"""What each folder may import, and with it all that this may import."""

EXCEPTIONS = {
    ("execution/request.py", "checking"),  # the type of an attribute
    ("execution/run.py", "checking"),      # `Run.check` reads what the check has written
    ("execution/run.py", "local"),         # values are verified with the entry of the cache
    ("local/entry.py", "analysis"),
    ("local/exchange.py", "analysis"),
    ("local/fork_server.py", "analysis"),
    ("local/heard.py", "analysis"),
    ("view/table.py", "session"),          # the table of the marked cells
}  # fmt: skip
"""What still points up, by the module and the folder."""


def test_imports_point_down() -> None:
    found = {(module, to) for module, to in imports() if to not in allowed(module.partition("/")[0])}
    assert found == EXCEPTIONS


def test_every_folder_has_its_place() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(BELOW)
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py"}


def allowed(folder: str) -> set[str]:
    """The folders that one may import, itself too."""
    return {folder}.union(*map(allowed, BELOW[folder]))


def imports() -> Iterator[tuple[str, str]]:
    """Each module with a folder that it imports from, the top of the package left out."""
    for path in PACKAGE.glob("*/*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "kale_magics":
                first = (node.module or "").split(".")[1:2] or [alias.name for alias in node.names]
                yield from ((name, folder) for folder in first)
