"""Stands in for pip where KFP's runner starts it: what is asked for must be installed already.

KFP calls pip twice for every step; the real one takes longer to find out that it has nothing to do than the
step takes to run.
"""

from __future__ import annotations

import importlib.metadata
import sys

from packaging.requirements import Requirement


def is_missing(text: str) -> bool:
    """Whether a requirement holds for this Python, and nothing that is installed meets it."""
    requirement = Requirement(text)
    if requirement.marker is not None and not requirement.marker.evaluate():
        return False
    return not requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)


command, *words = sys.argv[1:]
if command != "install":
    sys.exit(f"this pip installs nothing, least of all by {command}")
missing = [word for word in words if not word.startswith("-") and is_missing(word)]
sys.exit(f"not installed: {', '.join(missing)}" if missing else 0)
