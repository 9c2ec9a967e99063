"""From the imports of code to what it needs elsewhere: packages, and the source of the user's own modules."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import importlib.util
import os
import sys
import tokenize
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from kale_magics.model.distributions import distributions_of, installation_stamp, installed_versions
from kale_magics.step_runtime.unpatched import from_json


def imported_modules(node: ast.AST) -> frozenset[str]:
    """Return the top-level modules that code imports anywhere, without relative imports."""
    modules: set[str] = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            modules.update(alias.name.partition(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            modules.add(child.module.partition(".")[0])
    return frozenset(modules)


def imported_paths(node: ast.AST) -> frozenset[str]:
    """Return the dotted paths that code imports anywhere, without relative imports."""
    paths: set[str] = set()
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            paths.update(alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            paths.update(f"{child.module}.{alias.name}" for alias in child.names)
    return frozenset(paths)


NOT_INSTALLED = "it is not installed on this machine either"
"""The reason for a missing module that is not installed here either."""


@dataclass(frozen=True)
class Needs:
    """What another machine needs for code to find its modules.

    Attributes:
        packages: Requirements for pip, each with the version installed here.
        own: Top-level modules with source of the user's own: beside the notebook, or installed in editable
            mode.
        missing: Modules that are neither, each with the reason.
    """

    packages: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()


def needs_of(paths: Iterable[str], certain: Collection[str] = ()) -> Needs:
    """Return what imports need; the imports of own modules are followed.

    A module of the standard library needs nothing. Neither does one that cannot be imported here: the code
    may fall back to another one.

    Args:
        paths: As `imported_paths` gives them.
        certain: Those of them that have no fallback.
    """
    own: dict[str, None] = {}
    missing: dict[str, str] = {}
    distributions: set[str] = set()
    pending, seen = sorted(paths), set(paths)
    while pending:
        path = pending.pop()
        top = path.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("__main__", *own, *missing):
            continue
        found = tuple(name for name in owners_of(path) if not is_edited(name))
        source = None if found else source_of(top)
        if source is not None:
            own[top] = None
            new = imports_in(source) - seen
            pending += sorted(new)
            seen |= new
        elif found:
            distributions.update(name for name in found if not _file_of(name))
            local = [name for name in found if _file_of(name)]
            missing.update({top: f"{local[0]} was installed from {_file_of(local[0])}"} if local else {})
        elif reason := _why_missing(top) or (NOT_INSTALLED if path in certain else ""):
            missing[top] = reason
    return Needs(
        tuple(
            sorted(requirement(name, version) for name, version in installed_versions(distributions).items())
        ),
        tuple(own),
        tuple(missing.items()),
    )


def project(requirement: str) -> str:
    """Return the canonical name of the distribution of a requirement."""
    try:
        return canonicalize_name(Requirement(requirement).name)
    except InvalidRequirement:  # an address, or an option, which pip accepts too
        return requirement


def requirement(name: str, version: str) -> str:
    """Return the requirement that makes pip install a distribution as it is installed here."""
    direct = _direct_url(name, installation_stamp())
    place = str(direct.get("url", ""))
    inside = f"#subdirectory={direct['subdirectory']}" if direct.get("subdirectory") else ""
    commit = direct.get("vcs_info", {}).get("commit_id")
    if commit:
        return f"{name} @ {direct['vcs_info']['vcs']}+{place}@{commit}{inside}"
    if "archive_info" in direct and not place.startswith("file:"):
        return f"{name} @ {place}{inside}"
    # An index has the public version; the part after a plus names a build.
    return f"{name}=={version.partition('+')[0]}"


def _file_of(distribution: str) -> str:
    """Return the local file that a distribution was installed from; empty if it was none."""
    direct = _direct_url(distribution, installation_stamp())
    return "" if "dir_info" in direct else os.path.basename(_place_here(direct))


def owners_of(path: str) -> tuple[str, ...]:
    """Return the distributions that provide a module, by its dotted path.

    If several share a top-level name, such as `google`, those that provide most of the path.
    """
    top, *rest = path.split(".")
    found = distributions_of(top)
    if len(found) < 2:
        return found
    for length in range(len(rest), 0, -1):
        have = tuple(name for name in found if "/".join([top, *rest[:length]]) in places(name))
        if have:
            return have
    return found


def is_edited(distribution: str) -> bool:
    """Whether a distribution is installed from a local folder."""
    direct = _direct_url(distribution, installation_stamp())
    return "dir_info" in direct and bool(_place_here(direct))


def is_local(distribution: str) -> bool:
    """Whether a distribution is installed from a local folder or file."""
    return is_edited(distribution) or bool(_file_of(distribution))


def _place_here(direct: Mapping[str, Any]) -> str:
    """Return the local path that a distribution was installed from; empty if it does not exist here."""
    address = urlsplit(str(direct.get("url", "")))
    path = unquote(address.path) if address.scheme == "file" else ""
    return path.rstrip("/") if os.path.exists(path) else ""


def source_of(module: str) -> Path | None:
    """Return the file or the folder of a module's Python source; None if it has none."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):  # put into sys.modules by hand
        return None
    places = list(spec.submodule_search_locations or ()) if spec else []
    place = places[0] if places else spec.origin if spec else None
    if place is None or not (os.path.isdir(place) or place.endswith(".py")):
        return None
    return Path(place)


def files_of(source: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a module, each with its path relative to the folder of the module."""
    if source.is_file():
        yield source.name, source
        return
    for parent, folders, names in os.walk(source):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__pycache__")
        for name in sorted(names):
            if not name.endswith((".pyc", ".pyo")) and not name.startswith("."):
                path = Path(parent, name)
                yield path.relative_to(source.parent).as_posix(), path


def imports_in(source: Path) -> frozenset[str]:
    """Return the dotted paths that the Python files of a module import."""
    found: set[str] = set()
    for _, path in files_of(source):
        if path.suffix == ".py":
            found |= _imports_in_file(path, path.stat().st_mtime_ns)
    return frozenset(found)


@functools.lru_cache(maxsize=4096)
def _imports_in_file(path: Path, _: int) -> frozenset[str]:
    try:
        with tokenize.open(path) as file:
            return imported_paths(ast.parse(file.read()))
    except (SyntaxError, UnicodeDecodeError, ValueError):
        return frozenset()


def _why_missing(module: str) -> str:
    """Return why a module without distribution and source is missing; empty if built in or not found."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return "it was created in this session and has no file" if module in sys.modules else ""
    if spec is None:
        return ""
    if spec.origin in ("built-in", "frozen"):
        return ""
    return f"{spec.origin or 'it'} is not Python source, and no installed package provides it"


@functools.lru_cache(maxsize=4096)
def _direct_url(distribution: str, _: tuple[int, ...]) -> dict[str, Any]:
    """Return where pip installed a distribution from, if not from an index (PEP 610)."""
    try:
        text = importlib.metadata.distribution(distribution).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return {}
    try:
        return dict(from_json(text)) if text else {}
    except ValueError:  # a damaged file
        return {}


def places(distribution: str) -> frozenset[str]:
    """Return the modules of a distribution, and their folders, with slashes."""
    return _places(distribution, installation_stamp())


@functools.lru_cache(maxsize=256)
def _places(distribution: str, _: tuple[int, ...]) -> frozenset[str]:
    try:
        files = importlib.metadata.files(distribution) or ()
    except importlib.metadata.PackageNotFoundError:
        return frozenset()
    modules = [file.with_suffix("").as_posix() for file in files if file.suffix in (".py", ".so", ".pyd")]
    return frozenset({part for m in modules for part in (m, m.rpartition("/")[0])})
