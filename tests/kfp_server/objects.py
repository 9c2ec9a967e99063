"""The object store: the files below the roots of runs, addressed as artifacts on a cluster are."""

from __future__ import annotations

import re
from pathlib import Path

STORE = "mlpipeline/v2/artifacts"
"""The bucket, and where in it everything is."""

ADDRESS = re.compile(rf"minio/{STORE}/(?P<run>[^/]+/[^/]+)/(?P<key>.+)")
"""An address: a pipeline's name, a run's id, and a place in the folder of the run's artifacts."""


def root_of(folder: Path, run: str) -> Path:
    """Where a run puts its artifacts, below the folder of all runs."""
    return folder / run / "root"


def with_addresses(text: str, folder: Path) -> str:
    """A text in which the roots of runs are called as on a cluster.

    A task may name the root of another run: that of an artifact from the cache.
    """
    return re.sub(rf"{re.escape(str(folder))}/([a-z0-9-]+/[a-z0-9-]+)/root\b", rf"minio://{STORE}/\1", text)


def file_of(folder: Path, run: str, key: str) -> Path | None:
    """The file of an object, if there is one; nothing outside of the run's root is."""
    root = root_of(folder, run)
    path = root / key
    is_inside = path.is_relative_to(root) and ".." not in path.parts
    return path if is_inside and path.is_file() else None
