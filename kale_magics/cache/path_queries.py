"""Records what a step asks about paths without opening them: `os.path.exists`, `os.stat`, `find_spec`, ...

Python raises no audit event for these queries. So the functions that all of them call are replaced in the
process of a step. A query is reported with its answer, and the cache repeats it later. The file is executed
alone in the process of a step, so it imports the standard library only.

All of `os.path` and `pathlib` calls `os.stat`, `os.lstat`, `os.access` and `os.readlink` by these names on
Linux and macOS (Python 3.10 to 3.13), except for `pathlib` of Python 3.10, which keeps them in a class. The
import system calls those of `posix`: importing a module reports nothing here.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import os
import pathlib
import stat
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

FUNCTIONS = ("stat", "lstat", "access", "readlink")
"""The functions of `os` that are replaced."""

STAT, LSTAT, ACCESS, READLINK = os.stat, os.lstat, os.access, os.readlink
"""The functions themselves, which the step's code may replace too."""

QUERIES = {
    "exists": "exists",
    "lexists": "lexists",
    "isfile": "isfile",
    "isdir": "isdir",
    "islink": "islink",
    "ismount": "exists",
    "is_file": "isfile",
    "is_dir": "isdir",
    "is_symlink": "islink",
    "is_mount": "exists",
    "is_fifo": "kind",
    "is_socket": "kind",
    "is_block_device": "kind",
    "is_char_device": "kind",
    "getsize": "size",
    "getmtime": "mtime",
    "getctime": "ctime",
    # Reading a file sets its time of access; only another content can matter.
    "getatime": "mtime",
    "samefile": "inode",
    "realpath": "islink",
    "_joinrealpath": "islink",
    "resolve": "islink",
}
"""The functions of the standard library that query a path, and the query that decides their result."""

LINK_QUERIES = {"exists": "lexists", "lexists": "lexists", "islink": "islink"}
"""The queries that decide a result if links are not followed."""

UNRECORDED = frozenset(
    "makedirs mkdir rmtree _rmtree_safe_fd _rmtree_unsafe _samefile _stat copymode copystat"
    " _get_default_tempdir checkcache updatecache getsourcefile getmodule".split()
)
"""Functions of the standard library that query what they then read or create, or for an error message."""

PATH_MODULES = frozenset(
    "genericpath posixpath os pathlib pathlib._abc pathlib._local pathlib._os glob shutil fnmatch tempfile"
    " linecache inspect".split()
)
"""Modules that query a path for the code that calls them."""

RUNTIME = "<kale step runtime>"
"""The file name of the runtime's code: the tracebacks that a user sees leave its frames out."""

Listener = Callable[[str, str, FrameType], None]
"""Takes a query, a path as it was given, and the frame of the code that asks."""


def answer(query: str, path: str) -> Any:
    """Return the answer to a query of a path, or of a module.

    Args:
        query: One of the values of `QUERIES`, "stat", "lstat", "readlink", "access N" for a mode N,
            "entries" of a folder, or "installed" for the name of a module.
        path: The path or the name.

    Returns:
        JSON: what decides the result of a program; None if the path does not exist.
    """
    if query == "installed":
        return is_installed(path)
    try:
        if query.startswith("access "):
            return ACCESS(path, int(query[7:]))
        return ANSWERS[query](path)
    except (OSError, ValueError):
        return None


def entries(path: str) -> list[Any]:
    """Return the names and kinds of a folder's entries; of files that are not hidden, sizes and times too."""
    with os.scandir(path) as found:
        return sorted([entry.name, *entry_status(entry)] for entry in found)


def entry_status(entry: os.DirEntry[str]) -> list[int]:
    """Return what a program may use of an entry; a folder's times change with everything in it."""
    status = entry.stat(follow_symlinks=False)
    is_plain = stat.S_ISREG(status.st_mode) and not entry.name.startswith(".")
    return comparable(status) if is_plain else [status.st_mode]


def comparable(status: os.stat_result) -> list[int]:
    """Return what a program may use of a status: no inode, and no time that reading or linking changes."""
    return [status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns]


ANSWERS: dict[str, Callable[[str], Any]] = {
    "exists": lambda path: bool(STAT(path)) or None,
    "lexists": lambda path: bool(LSTAT(path)) or None,
    "isfile": lambda path: stat.S_ISREG(STAT(path).st_mode) or None,
    "isdir": lambda path: stat.S_ISDIR(STAT(path).st_mode) or None,
    "islink": lambda path: stat.S_ISLNK(LSTAT(path).st_mode) or None,
    "kind": lambda path: stat.S_IFMT(STAT(path).st_mode),
    "size": lambda path: STAT(path).st_size,
    "mtime": lambda path: STAT(path).st_mtime_ns,
    "ctime": lambda path: STAT(path).st_ctime_ns,
    "inode": lambda path: [STAT(path).st_dev, STAT(path).st_ino],
    "stat": lambda path: comparable(STAT(path)),
    "lstat": lambda path: comparable(LSTAT(path)),
    "readlink": lambda path: os.fsdecode(READLINK(path)),
    "entries": entries,
}


def is_query(kind: str) -> bool:
    """Whether `answer` answers this kind of use."""
    return kind in ANSWERS or kind == "installed" or kind.startswith("access ")


def is_installed(module: str) -> bool:
    """Whether a module is in a folder of installed distributions."""
    folders = [place for place in sys.path if place.endswith(("site-packages", "dist-packages"))]
    return importlib.machinery.PathFinder.find_spec(module.partition(".")[0], folders) is not None


class ReportedFunction:
    """Replaces a function: reports each call, and then calls the function.

    It equals the function and is pickled by the function's name. It is no descriptor: as an attribute of a
    class it is called without the object, like functions of C.

    Args:
        function: The function.
        module: The name of the module in which users find it.
        report: Called with the arguments before each call; it must not raise.
    """

    def __init__(
        self, function: Any, module: str, report: Callable[[tuple[Any, ...], dict[str, Any]], None]
    ) -> None:
        self._function, self._report = function, report
        self.__module__, self.__doc__ = module, function.__doc__

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Report the call, and return what the function returns."""
        self._report(given, named)
        return self._function(*given, **named)

    def __getattr__(self, name: str) -> Any:
        """Return the function's own attribute, such as `__name__` or `__text_signature__`."""
        return getattr(self._function, name)

    @property  # type: ignore[misc]  # `isinstance` and `inspect` read it
    def __class__(self) -> type:
        """The function's class."""
        return type(self._function)

    def __repr__(self) -> str:
        """Return the function's text."""
        return repr(self._function)

    def __eq__(self, other: object) -> bool:
        """Whether it is the same function, so that `os.stat in os.supports_fd` holds."""
        return bool(self._function == (other._function if type(other) is ReportedFunction else other))

    def __hash__(self) -> int:
        """Return the function's hash, for the same reason."""
        return hash(self._function)

    def __reduce__(self) -> str:
        """Pickle by name."""
        return str(self._function.__name__)


def install(listener: Listener) -> None:
    """Report all further queries of paths and modules in this process.

    Args:
        listener: Called before the query is answered; it must not raise.
    """
    call: CodeType = ReportedFunction.__call__.__code__
    ReportedFunction.__call__.__code__ = call.replace(co_filename=RUNTIME)
    accessor = getattr(pathlib, "_NormalAccessor", None)
    for name in FUNCTIONS:
        reported = ReportedFunction(getattr(os, name), "os", reporter(name, listener))
        setattr(os, name, reported)
        if accessor is not None and hasattr(accessor, name):
            setattr(accessor, name, reported)
    report = reporter("spec", listener)
    importlib.util.find_spec = ReportedFunction(importlib.util.find_spec, "importlib.util", report)


def reporter(function: str, listener: Listener) -> Callable[[tuple[Any, ...], dict[str, Any]], None]:
    """Return a function that reports the calls of one function."""

    def report(given: tuple[Any, ...], named: dict[str, Any]) -> None:
        # The function itself raises an error for arguments that are not understood here.
        with contextlib.suppress(LookupError, TypeError, ValueError):
            path = given[0] if given else named["name" if function == "spec" else "path"]
            # A descriptor's file or folder was opened by its path.
            if not isinstance(path, int) and named.get("dir_fd") is None:
                query, caller = relevant_query(query_of(function, given, named), sys._getframe(2))
                if query:
                    listener(query, os.fsdecode(path), caller)

    return report


def query_of(function: str, given: tuple[Any, ...], named: dict[str, Any]) -> str:
    """Return the query of a call that the user's code makes."""
    if function == "access":
        return f"access {int(named['mode'] if 'mode' in named else given[1])}"
    if function == "stat" and named.get("follow_symlinks") is False:
        return "lstat"
    return "installed" if function == "spec" else function


def relevant_query(query: str, frame: FrameType) -> tuple[str, FrameType]:
    """Return the part of a query that decides what the standard library's functions return.

    Args:
        query: The query.
        frame: The frame of the code that asks.

    Returns:
        The query, empty if it does not matter, and the frame of the code that called the standard library.
    """
    found = ""
    while frame.f_globals.get("__name__") in PATH_MODULES and frame.f_back is not None:
        name = frame.f_code.co_name
        if name in UNRECORDED:
            return "", frame
        found = found or QUERIES.get(name, "")
        frame = frame.f_back
    if query == "lstat":
        found = LINK_QUERIES.get(found, "")
    return found if found and query in ("stat", "lstat") else query, frame
