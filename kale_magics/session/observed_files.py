"""Observe the files that a marked cell uses when it runs in the session, through Python's audit events.

An audit hook cannot be removed. So one hook, installed with the first observed cell, lasts for the session;
it does nothing while no cell is observed. Compiled readers and other programs raise no events.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from kale_magics.analysis.paths import MAX_PATH
from kale_magics.model.distributions import INSTALL_FOLDERS

MAX_FILES = 1000
"""How many paths of a cell are kept; of any further ones only their folders."""

_TEXT = re.compile(r"""(["'])(?P<text>[^"'\n]{2,1024})\1""")
_NO_FILES = ("/dev/", "/proc/", "/sys/")
_NO_NAMES = frozenset({"__pycache__", "site-packages", "dist-packages", "node_modules"})
_NO_ENDINGS = (".ipynb", ".pyc")


@dataclass(frozen=True)
class ObservedFiles:
    """Files that a cell used: absolute paths or `glob` patterns; "FOLDER/**" is all files below a folder.

    Attributes:
        read: Those that were read, and patterns of those that were listed.
        written: Those that were created, changed or deleted.
    """

    read: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()

    def __or__(self, other: ObservedFiles) -> ObservedFiles:
        """Return the files of both."""
        return ObservedFiles(self.read | other.read, self.written | other.written)


NO_FILES = ObservedFiles()


class FileObserver:
    """Observes the files that are used from its creation to `end`.

    Args:
        source: The cell. A file outside of the working directory counts only if the cell, or a variable,
            names it.
        values: The session's variables.
    """

    def __init__(self, source: str, values: Mapping[str, Any]) -> None:
        self._source, self._values = source, values
        self._folder = os.getcwd()
        self._read: dict[str, None] = {}
        self._written: dict[str, None] = {}
        self._databases: dict[str, Any] = {}
        self._temporary: set[str] = set()
        self._scratch = os.path.join(os.path.abspath(tempfile.gettempdir()), "")
        self.events = 0
        _install()
        _observers.append(self)

    def close(self) -> None:
        """Stop observing."""
        with contextlib.suppress(ValueError):  # already closed
            _observers.remove(self)

    def end(self) -> ObservedFiles:
        """Stop observing, and return the files that were used."""
        self.close()
        for path, before in self._databases.items():
            (self._written if _state(path) != before else self._read)[path] = None
        named = self._named()
        kept = [[p for p in paths if self._counts(p, named)] for paths in (self._read, self._written)]
        return ObservedFiles(*(frozenset(_shortened(paths)) for paths in kept))

    def record(self, event: str, arguments: tuple[Any, ...], frame: Any) -> None:
        """Record an audit event."""
        self.events += 1
        getattr(self, _EVENTS[event])(frame, *arguments)

    def _open(self, _: Any, path: Any, __: Any, flags: int) -> None:
        if isinstance(path, int) or flags & getattr(os, "O_DIRECTORY", 0):
            return
        place = self._absolute(path)
        if flags & (os.O_WRONLY | os.O_RDWR):
            self._written[place] = None
        elif place not in self._written:
            self._read[place] = None

    def _listdir(self, frame: Any, path: Any) -> None:
        module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        # Functions that search for names raise an event of their own.
        looks = module.startswith("pathlib") and name not in ("iterdir", "walk", "_walk")
        if isinstance(path, int) or looks or module in ("glob", "shutil") or module.startswith("importlib"):
            return
        self._read[os.path.join(self._absolute("." if path is None else path), "*")] = None

    def _glob(self, _: Any, pattern: Any, __: Any, root: Any, ___: Any) -> None:
        self._read[self._absolute(os.path.join(root or "", os.fspath(pattern)))] = None

    def _path_glob(self, _: Any, folder: Any, pattern: Any) -> None:
        self._read[self._absolute(os.path.join(folder, os.fspath(pattern)))] = None

    def _path_rglob(self, _: Any, folder: Any, pattern: Any) -> None:
        self._read[self._absolute(os.path.join(folder, "**", os.fspath(pattern)))] = None

    def _rename(self, _: Any, source: Any, target: Any, *folders: Any) -> None:
        if set(folders) <= {-1}:
            self._written.update(dict.fromkeys(map(self._absolute, (source, target))))

    def _link(self, _: Any, __: Any, target: Any, *___: Any) -> None:
        self._written[self._absolute(target)] = None

    def _remove(self, _: Any, path: Any, *folders: Any) -> None:
        if not isinstance(path, int) and set(folders) <= {-1}:
            self._written[self._absolute(path)] = None

    def _rmtree(self, _: Any, path: Any, *folders: Any) -> None:
        if set(folders) <= {-1, None}:
            self._written[os.path.join(self._absolute(path), "**")] = None

    def _connect(self, _: Any, path: Any, *__: Any) -> None:
        text = os.fsdecode(path)
        text = text.removeprefix("file:").partition("?")[0] if text.startswith("file:") else text
        if text and text != ":memory:":
            place = self._absolute(text)
            self._databases.setdefault(place, _state(place))

    def _scratch_file(self, _: Any, path: Any) -> None:
        self._temporary.add(self._absolute(path))

    def _absolute(self, path: Any) -> str:
        return os.path.abspath(os.fsdecode(path))

    def _named(self) -> tuple[str, ...]:
        """Return the paths outside of the working directory that the cell or a variable names."""
        texts = [match["text"] for match in _TEXT.finditer(self._source)]
        # `type`, not `__class__`: that may run code of the notebook.
        kinds = ((type(value), value) for value in list(self._values.values()))
        texts += [str(v) for t, v in kinds if issubclass(t, PurePath) or (t is str and len(v) <= MAX_PATH)]
        paths = {os.path.abspath(os.path.expanduser(t)) for t in texts if "/" in t and "\0" not in t}
        around = {self._folder, os.path.expanduser("~"), self._scratch.rstrip("/")}
        inside = tuple(os.path.join(place, "") for place in around)
        return tuple(p for p in paths if not any(i.startswith(os.path.join(p, "")) for i in inside))

    def _counts(self, path: str, named: tuple[str, ...]) -> bool:
        """Whether a path may be a file that steps share."""
        if path.startswith(_NO_FILES) or path.endswith(_NO_ENDINGS) or self._is_scratch(path):
            return False
        if any(path == place or path.startswith(f"{place}/") for place in named):
            return True
        inside = path.startswith(os.path.join(self._folder, ""))
        parts = os.path.relpath(path, self._folder).split("/")
        hidden = any(p.startswith(".") for p in parts) or not _NO_NAMES.isdisjoint(parts)
        return inside and not hidden and not path.startswith(tuple(f"{home}/" for home in INSTALL_FOLDERS))

    def _is_scratch(self, path: str) -> bool:
        if self._temporary and any(path == t or path.startswith(f"{t}/") for t in self._temporary):
            return True
        return path.startswith(self._scratch) and not f"{self._folder}/".startswith(self._scratch)


_EVENTS = {
    "open": "_open",
    "os.listdir": "_listdir",
    "os.scandir": "_listdir",
    "glob.glob/2": "_glob",
    "pathlib.Path.glob": "_path_glob",
    "pathlib.Path.rglob": "_path_rglob",
    "os.rename": "_rename",
    "os.link": "_link",
    "os.symlink": "_link",
    "os.remove": "_remove",
    "os.truncate": "_remove",
    "shutil.rmtree": "_rmtree",
    "sqlite3.connect": "_connect",
    "tempfile.mkstemp": "_scratch_file",
    "tempfile.mkdtemp": "_scratch_file",
}
"""The method that handles each event."""

_observers: list[FileObserver] = []
"""The observers of the running cells: a cell may run another one."""

_here = threading.local()
_installed: list[Callable[..., None]] = []


def _install() -> None:
    if not _installed:
        _installed.append(_audit_hook)
        sys.addaudithook(_audit_hook)


def _audit_hook(event: str, arguments: tuple[Any, ...]) -> None:
    """Pass events to the observers; an audit hook must not raise."""
    if not _observers or event not in _EVENTS or getattr(_here, "busy", False):
        return
    _here.busy = True
    try:
        for observer in tuple(_observers):
            observer.record(event, arguments, sys._getframe(1))
    except Exception:  # noqa: S110 - the audited call must go on; an event that cannot be parsed is ignored
        pass
    finally:
        _here.busy = False


def _state(path: str) -> Any:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _shortened(paths: list[str]) -> list[str]:
    """Return at most `MAX_FILES` paths, and the folders of the others."""
    return paths[:MAX_FILES] + sorted({os.path.join(os.path.dirname(p), "*") for p in paths[MAX_FILES:]})
