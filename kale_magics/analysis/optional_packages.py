"""Packages that a step needs although neither its code nor its packages require them.

`df.to_markdown()` imports tabulate when it is called. Two sources reveal such packages: the modules that were
loaded while the cell ran, and the extras in the metadata of a package, as pandas has
`matplotlib; extra == "plot"` for `df.plot()`.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import sys
from collections.abc import Collection, Iterable, Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from kale_magics.analysis.packages import is_local, owners_of, places, requirement
from kale_magics.model.distributions import installation_stamp, installed_versions

_MACHINERY = ("ipython", "ipykernel", "ipywidgets", "kale-magics")
"""Packages of the notebook environment, not of its code; with their dependencies, except for the last one."""


def optional_packages(
    loaded: Iterable[str], trees: Iterable[ast.AST], packages: Collection[str]
) -> tuple[str, ...]:
    """Return the requirements of a step beyond those that its code shows.

    Args:
        loaded: Modules that were loaded while the step's cells ran.
        trees: The step's cells.
        packages: The requirements that pip installs for the step.
    """
    found = {canonicalize_name(name) for path in loaded for name in owners_of(path)}
    found |= set(_of_features(trees, packages))
    found = {name for name in found if not is_local(name) and not name.startswith("jupyter")}
    found -= installed_with(_MACHINERY[:-1]) | installed_with(packages) | {_MACHINERY[-1]}
    for name in sorted(found):
        if name in installed_with(found - {name}):
            found.remove(name)
    return tuple(sorted(requirement(name, version) for name, version in installed_versions(found).items()))


def installed_with(packages: Iterable[str]) -> frozenset[str]:
    """Return the canonical names of all distributions that pip installs for requirements."""
    return _installed_with(tuple(packages), installation_stamp())


@functools.lru_cache(maxsize=256)
def _installed_with(packages: tuple[str, ...], stamp: tuple[int, ...]) -> frozenset[str]:
    pending = [parsed for parsed in map(_parsed, packages) if parsed is not None]
    seen: set[tuple[str, str]] = set()
    while pending:
        parsed = pending.pop()
        name = canonicalize_name(parsed.name)
        for extra in ("", *parsed.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                pending += _required(name, extra, stamp)
    return frozenset(name for name, _ in seen)


def _of_features(trees: Iterable[ast.AST], packages: Collection[str]) -> Iterator[NormalizedName]:
    """Yield distributions of extras that code seems to use, by the names of the methods that it calls.

    This finds modules that an earlier cell loaded: they are not loaded again. They must be loaded in this
    session.
    """
    attributes = {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    words = {word for attribute in attributes for word in attribute.split("_")}
    stamp = installation_stamp()
    for parsed in filter(None, map(_parsed, packages)):
        for feature in words & _features(parsed.name, stamp):
            for other in _required(parsed.name, feature, stamp):
                if any(place.replace("/", ".") in sys.modules for place in places(other.name)):
                    yield canonicalize_name(other.name)


def _parsed(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:  # an address, or an option, which pip accepts too
        return None


@functools.lru_cache(maxsize=4096)
def _required(distribution: str, extra: str, _: tuple[int, ...]) -> tuple[Requirement, ...]:
    """Return the requirements of a distribution, with an extra or, if that is empty, without any."""
    try:
        texts = importlib.metadata.requires(distribution) or ()
    except importlib.metadata.PackageNotFoundError:
        return ()
    parsed = filter(None, map(_parsed, texts))
    return tuple(r for r in parsed if r.marker is None or r.marker.evaluate({"extra": extra}))


@functools.lru_cache(maxsize=4096)
def _features(distribution: str, _: tuple[int, ...]) -> frozenset[str]:
    """Return the extras of a distribution."""
    try:
        return frozenset(importlib.metadata.metadata(distribution).get_all("Provides-Extra") or ())
    except importlib.metadata.PackageNotFoundError:
        return frozenset()
