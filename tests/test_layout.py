"""The layout of the package: which folder may import which, how long modules are, and their names."""

from __future__ import annotations

import ast
import re
from collections import Counter
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
    "cache": {"execution"},
    "local": {"cache"},
    "view": {"execution"},
    "checking": {"dataflow", "local", "view"},
    "kubeflow": {"analysis", "checking"},
    "magics": {"dataflow", "local", "kubeflow"},
}
"""What each folder may import, and with it all that this may import."""

EXCEPTIONS = {
    ("execution/request.py", "checking"),  # the type of an attribute
    ("execution/run.py", "checking"),      # `Run.check` reads what the check has written
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


def test_packages_list_the_modules_that_they_have() -> None:
    found = {}
    for path in PACKAGE.glob("*/__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        listed = re.findall(r"^ {4}([a-z_]+(?:, [a-z_]+)*) ", text, re.MULTILINE)
        if listed:
            names = {name for line in listed for name in line.split(", ")}
            found[path.parent.name] = names ^ {p.stem for p in path.parent.glob("*.py")} - {"__init__"}
    assert found == {"analysis": set(), "cache": set(), "kubeflow": set(), "step_runtime": set()}


LONGEST_MODULE, LONGEST_FUNCTION = 450, 45
"""Lines."""

LONG = {
    "local/engine.py run_pipeline",
    "step_runtime/artifacts.py save_artifact", "step_runtime/pickling.py make_pickler",
    "step_runtime/runtime.py",
}  # fmt: skip
"""Modules and functions that are still longer."""

NAMESAKES = {"main"}
"""Public names that two modules have: one of them is executed alone, in a step or in the server of steps."""


def test_modules_and_functions_are_short() -> None:
    found = set()
    for name, tree, lines in modules():
        if lines > LONGEST_MODULE:
            found.add(name)
        functions = (
            node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        )
        long = (f.name for f in functions if (f.end_lineno or 0) - f.lineno >= LONGEST_FUNCTION)
        found.update(f"{name} {function}" for function in long)
    assert found == LONG


def test_no_two_modules_and_no_two_public_names_are_the_same() -> None:
    stems, public = Counter[str](), Counter[str]()
    for name, tree, _ in modules():
        stems[Path(name).stem] += 1
        definitions = (n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)))
        public.update({node.name for node in definitions if not node.name.startswith("_")})
    assert [stem for stem, count in stems.items() if count > 1] == []
    assert {name for name, count in public.items() if count > 1} == NAMESAKES


def modules() -> Iterator[tuple[str, ast.Module, int]]:
    """Each module's path, its tree, and how many lines it has."""
    for path in sorted(PACKAGE.glob("*/*.py")):
        text = path.read_text(encoding="utf-8")
        if path.name != "__init__.py":
            yield path.relative_to(PACKAGE).as_posix(), ast.parse(text), len(text.splitlines())
