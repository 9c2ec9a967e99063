"""What a step asks about paths without opening them: `os.path.exists`, `os.stat`, `find_spec` and the like.

Python raises no audit event for these questions. So the functions that they all end in are replaced in the
process of a step. A question is reported with its answer, and the cache asks it again. The launcher executes
this file's text in the process of a step, so it may use the standard library only and nothing of kale_magics.

All of `os.path` and `pathlib` calls `os.stat`, `os.lstat`, `os.access` and `os.readlink` by these names on
Linux and macOS (Python 3.10 to 3.13), but for `pathlib` of Python 3.10, which keeps them in a class. The
import system uses those of `posix`: importing a module reports nothing here.
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
"""As they are before a step's code can put others into their places."""

QUESTIONS = {
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
"""The functions of the standard library that look at a path, and what of the path decides their answer."""

OF_LINKS = {"exists": "lexists", "lexists": "lexists", "islink": "islink"}
"""What decides these answers if links are not followed."""

SILENT = frozenset(
    "makedirs mkdir rmtree _rmtree_safe_fd _rmtree_unsafe _samefile _stat copymode copystat"
    " _get_default_tempdir checkcache updatecache getsourcefile getmodule".split()
)
"""Functions of the standard library that look at what they read or make anyway, or for an error message."""

LIBRARY = frozenset(
    "genericpath posixpath os pathlib pathlib._abc pathlib._local pathlib._os glob shutil fnmatch tempfile"
    " linecache inspect".split()
)
"""Modules that look at a path on behalf of the code that calls them."""

RUNTIME = "<kale step runtime>"
"""What the code of the runtime is called: its frames are left out of the tracebacks that a user sees."""

Listener = Callable[[str, str, FrameType], None]
"""Takes a question, a path as it was given, and the frame of the code that asks."""


def ask(question: str, path: str) -> Any:
    """Return the answer to a question about a path, or about a module.

    Args:
        question: One of the values of `QUESTIONS`, "stat", "lstat", "readlink", "access N" for a mode N,
            "entries" of a folder, or "installed" for the name of a module.
        path: The path or the name.

    Returns:
        JSON: as much as decides what a program sees; None if nothing is there.
    """
    if question == "installed":
        return is_installed(path)
    try:
        if question.startswith("access "):
            return ACCESS(path, int(question[7:]))
        return ANSWERS[question](path)
    except (OSError, ValueError):
        return None


def entries(path: str) -> list[Any]:
    """Return names and kinds of what is in a folder, and of files that are not hidden sizes and times."""
    with os.scandir(path) as found:
        return sorted([entry.name, *of_entry(entry)] for entry in found)


def of_entry(entry: os.DirEntry[str]) -> list[int]:
    """Return what a program may use of an entry; the times of folders change with all that is in them."""
    status = entry.stat(follow_symlinks=False)
    plain = stat.S_ISREG(status.st_mode) and not entry.name.startswith(".")
    return about(status) if plain else [status.st_mode]


def about(status: os.stat_result) -> list[int]:
    """Return what a program may use of a status; no inode, and no time that reading or linking changes."""
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
    "stat": lambda path: about(STAT(path)),
    "lstat": lambda path: about(LSTAT(path)),
    "readlink": lambda path: os.fsdecode(READLINK(path)),
    "entries": entries,
}


def is_question(kind: str) -> bool:
    """Whether a kind of use is a question that `ask` answers."""
    return kind in ANSWERS or kind == "installed" or kind.startswith("access ")


def is_installed(module: str) -> bool:
    """Whether a module is among the installed ones."""
    homes = [place for place in sys.path if place.endswith(("site-packages", "dist-packages"))]
    return importlib.machinery.PathFinder.find_spec(module.partition(".")[0], homes) is not None


class Asked:
    """Stands for a function: reports its calls, and then calls it.

    It equals the function and is pickled by the function's name. It is no descriptor: as an attribute of a
    class it is called without the object, as functions of C are.

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
        """Return the function's own attribute, as `__name__` or `__text_signature__`."""
        return getattr(self._function, name)

    @property  # type: ignore[misc]  # what `isinstance` and `inspect` look at
    def __class__(self) -> type:
        """The function's class."""
        return type(self._function)

    def __repr__(self) -> str:
        """As the function's."""
        return repr(self._function)

    def __eq__(self, other: object) -> bool:
        """Whether it is the same function, so that `os.stat in os.supports_fd` holds."""
        return bool(self._function == (other._function if type(other) is Asked else other))

    def __hash__(self) -> int:
        """As the function's, for the same reason."""
        return hash(self._function)

    def __reduce__(self) -> str:
        """Pickle by name."""
        return str(self._function.__name__)


def install(listener: Listener) -> None:
    """Report from here on what the process asks about paths and modules.

    Args:
        listener: Called before the question is answered; it must not raise.
    """
    call: CodeType = Asked.__call__.__code__
    Asked.__call__.__code__ = call.replace(co_filename=RUNTIME)
    accessor = getattr(pathlib, "_NormalAccessor", None)
    for name in FUNCTIONS:
        asked = Asked(getattr(os, name), "os", reporter(name, listener))
        setattr(os, name, asked)
        if accessor is not None and hasattr(accessor, name):
            setattr(accessor, name, asked)
    importlib.util.find_spec = Asked(importlib.util.find_spec, "importlib.util", reporter("spec", listener))


def reporter(function: str, listener: Listener) -> Callable[[tuple[Any, ...], dict[str, Any]], None]:
    """Return what reports the calls of one function."""

    def report(given: tuple[Any, ...], named: dict[str, Any]) -> None:
        with contextlib.suppress(
            LookupError, TypeError, ValueError
        ):  # the function itself raises an error then
            path = given[0] if given else named["name" if function == "spec" else "path"]
            # An open file or folder was opened by its name.
            if not isinstance(path, int) and named.get("dir_fd") is None:
                question, asker = question_of(asked_by(function, given, named), sys._getframe(2))
                if question:
                    listener(question, os.fsdecode(path), asker)

    return report


def asked_by(function: str, given: tuple[Any, ...], named: dict[str, Any]) -> str:
    """Return what a call of a function asks if the user's code makes it."""
    if function == "access":
        return f"access {int(named['mode'] if 'mode' in named else given[1])}"
    if function == "stat" and named.get("follow_symlinks") is False:
        return "lstat"
    return "installed" if function == "spec" else function


def question_of(question: str, frame: FrameType) -> tuple[str, FrameType]:
    """Return what the standard library needs to know of an answer.

    Args:
        question: What it asks.
        frame: Of the code that asks.

    Returns:
        The question, empty if it does not matter, and the frame of the code on whose behalf it is asked.
    """
    found = ""
    while frame.f_globals.get("__name__") in LIBRARY and frame.f_back is not None:
        name = frame.f_code.co_name
        if name in SILENT:
            return "", frame
        found = found or QUESTIONS.get(name, "")
        frame = frame.f_back
    if question == "lstat":
        found = OF_LINKS.get(found, "")
    return found if found and question in ("stat", "lstat") else question, frame
