"""The installed distributions: their versions, and the modules that they provide."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import sys
import sysconfig
from collections.abc import Iterable

INSTALL_FOLDERS = tuple(
    sorted(
        {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
        | {place for place in sys.path if place.endswith(("site-packages", "dist-packages"))}
    )
)
"""The folders of the standard library and of installed distributions."""


def installation_stamp() -> tuple[int, ...]:
    """Return a value that changes when a distribution is installed or removed."""
    return tuple(os.stat(folder).st_mtime_ns for folder in INSTALL_FOLDERS if os.path.isdir(folder))


def distributions_of(module: str) -> tuple[str, ...]:
    """Return the distributions that provide a top-level module."""
    return _distributions_of(module, installation_stamp())


def installed_versions(distributions: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each distribution; empty for one that is not installed."""
    stamp = installation_stamp()
    return {name: _version(name, stamp) for name in distributions}


@functools.lru_cache(maxsize=4096)
def _distributions_of(module: str, stamp: tuple[int, ...]) -> tuple[str, ...]:
    declared = _distributions_by_module(stamp).get(module)
    if declared:
        return tuple(declared)
    # Python 3.10 finds only distributions that list their top-level modules.
    files = (module, f"{module}.py")
    return tuple(
        distribution.metadata["Name"]
        for distribution in importlib.metadata.distributions()
        if any(file.parts[0] in files for file in distribution.files or ())
    )


@functools.lru_cache(maxsize=2)
def _distributions_by_module(_: tuple[int, ...]) -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


@functools.lru_cache(maxsize=4096)
def _version(distribution: str, _: tuple[int, ...]) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
