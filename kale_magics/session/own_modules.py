"""The user's own modules as the session has imported them: whether their files have been edited since."""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import dataclass
from hashlib import sha256
from importlib.machinery import ModuleSpec
from pathlib import Path

from kale_magics.model.diagnostics import Code, Diagnostic, Where
from kale_magics.model.pipeline import Pipeline


@dataclass(frozen=True)
class _Imported:
    """A module at its import, or not long after.

    Attributes:
        spec: Another one after `importlib.reload`.
        file: Its source.
        digest: Of what the source was.
    """

    spec: ModuleSpec
    file: Path
    digest: bytes


class OwnModules:
    """Remembers what the files of modules were; asked at the end of every cell."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._imported: dict[str, _Imported] = {}

    def look(self) -> None:
        """Take in what has been imported, or imported again, since the last look."""
        # IPython's own extension brings what the session has up to date before every cell.
        all_of_them = "IPython.extensions.autoreload" in sys.modules
        names = [
            name for name, known in self._imported.items() if all_of_them or _spec_of(name) is not known.spec
        ]
        for name in (*names, *(sys.modules.keys() - self._seen)):
            spec = _spec_of(name)
            if spec is not None and is_user_file(spec.origin):
                file = Path(str(spec.origin))
                self._imported[name] = _Imported(spec, file, _digest(file))
        self._seen |= sys.modules.keys()

    def warnings(self, pipeline: Pipeline) -> list[Diagnostic]:
        """Warnings of modules that steps use, and whose files are no longer what the session has imported."""
        self.look()
        edited: dict[str, str] = {}
        for name, known in self._imported.items():
            if _digest(known.file) != known.digest:
                edited.setdefault(name.partition(".")[0], name)
        return [
            Diagnostic(
                Code.MODULE_EDITED,
                f"step {step.name} runs {edited[module]} as its file is now, not as this session imported it",
                "restart the kernel and run the notebook again, or importlib.reload it and run its cells",
                Where(step=step.name),
                "warning",
            )
            for step in pipeline.steps
            for module in step.modules
            if module in edited
        ]


def _spec_of(name: str) -> ModuleSpec | None:
    try:
        return getattr(sys.modules.get(name), "__spec__", None)
    except Exception:  # what stands in the place of a module may raise anything
        return None


def is_user_file(origin: str | None) -> bool:
    """Whether a module's file is Python of the user's own: neither a library's nor the standard library's."""
    return origin is not None and origin.endswith(".py") and not origin.startswith(_installed())


@functools.cache
def _installed() -> tuple[str, ...]:
    # What it needs takes longer to import than the extension to load.
    from kale_magics.model.distributions import INSTALL_FOLDERS

    return tuple(f"{home}{os.sep}" for home in INSTALL_FOLDERS)


def _digest(file: Path) -> bytes:
    try:
        return sha256(file.read_bytes()).digest()
    except OSError:  # it is gone
        return b""
