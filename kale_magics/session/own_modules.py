"""Detect that files of the user's own modules were edited after the session imported them."""

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
    """A module shortly after its import.

    Attributes:
        spec: Its spec; `importlib.reload` makes a new one.
        file: Its source file.
        digest: The digest of the source at that time.
    """

    spec: ModuleSpec
    file: Path
    digest: bytes


class OwnModules:
    """Records the digests of modules' files at their import; updated at the end of every cell."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._imported: dict[str, _Imported] = {}

    def update(self) -> None:
        """Record modules that were imported, or reloaded, since the last update."""
        # IPython's autoreload extension reloads edited modules before every cell.
        autoreload = "IPython.extensions.autoreload" in sys.modules
        names = [
            name for name, known in self._imported.items() if autoreload or _spec_of(name) is not known.spec
        ]
        for name in (*names, *(sys.modules.keys() - self._seen)):
            spec = _spec_of(name)
            if spec is not None and is_user_file(spec.origin):
                file = Path(str(spec.origin))
                self._imported[name] = _Imported(spec, file, _digest(file))
        self._seen |= sys.modules.keys()

    def warnings(self, pipeline: Pipeline) -> list[Diagnostic]:
        """Return warnings about modules of steps whose files were edited after the session imported them."""
        self.update()
        edited: dict[str, str] = {}
        for name, known in self._imported.items():
            if _digest(known.file) != known.digest:
                edited.setdefault(name.partition(".")[0], name)
        return [
            Diagnostic(
                Code.MODULE_EDITED,
                f"step {step.name} runs the edited {edited[module]}; this session has an earlier version",
                "restart the kernel and run the notebook again; or importlib.reload it and run its cells",
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
    except Exception:  # an object in `sys.modules` may raise anything
        return None


def is_user_file(origin: str | None) -> bool:
    """Whether a module's file is the user's own Python source, outside of the installed libraries."""
    return origin is not None and origin.endswith(".py") and not origin.startswith(_installed())


@functools.cache
def _installed() -> tuple[str, ...]:
    # Its imports take longer than loading the extension.
    from kale_magics.model.distributions import INSTALL_FOLDERS

    return tuple(f"{home}{os.sep}" for home in INSTALL_FOLDERS)


def _digest(file: Path) -> bytes:
    try:
        return sha256(file.read_bytes()).digest()
    except OSError:  # deleted
        return b""
