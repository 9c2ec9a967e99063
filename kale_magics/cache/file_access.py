"""Records what a step uses beside its inputs: files, folders, modules, the network, programs, random numbers.

It listens to Python's audit events (PEP 578). The file is executed alone in the process of a step, so it
imports the standard library only. It writes a line of JSON for each use; processes that the step forks add
their own lines:

    ["file" or "list" or "tree", PATH, STATE, ACCESS]  the `path_state` before; ACCESS is one of `ACCESSES`
    [QUERY, PATH, ANSWER, ACCESS]                      a query of `path_queries`
    ["fork"]                                           the step started processes of its own
    ["reason", TEXT]                                   why the same step may give another result next time
    ["draws", GENERATOR]                               a generator gave numbers, as "numpy.random"
    ["local module", FILE]                             a module that is not installed
    ["module", NAME, FILE]                             an installed module that was loaded at the end
    ["end"]                                            the record is complete
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any

from kale_magics.cache.path_states import path_state
from kale_magics.cache.preloaded import PRELOADED
from kale_magics.cache.random_draws import (
    GENERATOR_MODULES,
    RUNTIME,
    generator_states,
    is_fresh,
    uses_system_randomness,
)

ACCESSES = ("named", "read", "create", "modify", "value", "query", "library query")
"""How a path is used: the code names it; it is read; created, whatever was there; modified; a variable holds
it at the end; the user's code asks about it; a library does."""

OPEN, WRITE, CLOSE, DUMPS = os.open, os.write, os.close, json.dumps
"""The functions themselves, which the step's code may replace in their modules."""

SHELL_OPERATORS = frozenset("&|;<>`$\n")
"""Characters that make several commands of one."""

SYSTEM_QUERIES = frozenset(
    {"lscpu", "uname", "ldconfig", "fc-list", "sysctl", "nvidia-smi", "gcc", "cc", "ld", "objdump"}
)
"""Programs by which libraries ask about the machine."""

SYSTEM_FOLDERS = ("/proc/", "/sys/", "/dev/")
"""Folders without regular files, and shared memory."""


class AccessRecorder:
    """Records what the process uses.

    Args:
        log: The file for the record.
        ignored: Beginnings of paths that are not recorded.
        library_folders: The folders of installed modules.
        answer: `path_queries.answer`.

    Attributes:
        created: The paths that did not exist before this process created them.
        states_before: The states of generators before they were used.
        imported: The top-level names that were imported.
        preloaded: How many modules were loaded before the step.
    """

    def __init__(
        self,
        log: str,
        ignored: Iterable[str],
        library_folders: Iterable[str],
        answer: Callable[[str, str], Any],
    ) -> None:
        self.log, self.library_folders, self.answer = log, tuple(library_folders), answer
        self.ignored = (*SYSTEM_FOLDERS, *ignored)
        self.created: set[str] = set()
        self.states_before: dict[str, Any] = {}
        self.imported: set[str] = set()
        self.preloaded = PRELOADED.count
        self._recorded: set[Any] = set()
        self._thread = threading.local()
        self._buffer: list[bytes] | None = None
        os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        self._handlers = self._event_handlers()

    def _event_handlers(self) -> dict[str, Callable[..., object]]:
        """Return the handlers of audit events, which take the arguments of the event."""
        handlers: dict[str, Callable[..., object]] = {
            "open": self._on_open,
            "os.listdir": self._on_list,
            "os.scandir": self._on_scan,
            "os.mkdir": lambda path, *_: self.record_path("file", path, "create"),
            "os.rename": self._on_rename,
            "os.symlink": lambda _, path, *__: self.record_path("file", path, "create"),
            "os.link": lambda _, path, *__: self.record_path("file", path, "create"),
            "os.fork": lambda: self.record("fork"),
            "sqlite3.connect": self._on_database,
            "socket.connect": lambda _, address: self._on_socket(address),
            "socket.sendto": lambda _, address: self._on_socket(address),
            "socket.sendmsg": lambda _, address: self._on_socket(address),
            "socket.bind": lambda _, address: self._on_socket(address),
            "socket.getaddrinfo": lambda host, *_: self._on_socket((host,)),
            "socket.gethostbyname": lambda host: self._on_socket((host,)),
            "import": self._on_import,
            "subprocess.Popen": lambda program, given, *_: self._on_program(program or given),
            "os.system": self._on_program,
            "os.exec": lambda program, *_: self._on_program(program),
            "os.posix_spawn": lambda program, *_: self._on_program(program),
        }
        for event in ("os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"):
            handlers[event] = lambda path, *_: self.record_path("file", path, "modify")
        return handlers

    def start(self, named: Iterable[tuple[str, str]], install: Callable[..., None]) -> None:
        """Start to record.

        Args:
            named: Kinds and paths that the code names.
            install: `path_queries.install`.
        """
        for kind, path in named:
            self.record(kind, path, path_state(kind, path), "named")
        self._recorded.clear()  # how a named path is used is recorded too
        self.states_before = generator_states()
        # `SystemRandom` calls it; `random` may be a copy here.
        sys.modules["random"]._urandom = self._urandom  # type: ignore[attr-defined]  # it is private
        sys.addaudithook(self._hook)
        install(self._on_query)

    def finish(self, record_rest: Callable[[AccessRecorder], None]) -> None:
        """Stop to record; an error here does not fail the step, but its record stays incomplete.

        Args:
            record_rest: Records what is known at the end only.
        """
        self._thread.busy, self._buffer = True, []
        try:
            record_rest(self)
            self.record("end")
            self._write(b"".join(self._buffer))
        except Exception as error:  # modules and values of the step may raise anything
            self._buffer = None
            with contextlib.suppress(OSError):
                self._record_reason(f"not everything that it used is known ({type(error).__name__})")

    def record(self, *line: Any) -> None:
        """Add a line to the record, once."""
        known = line[:2] if line[0] != "reason" else line
        if known not in self._recorded:
            self._recorded.add(known)
            written = DUMPS(line).encode() + b"\n"
            if self._buffer is not None:
                self._buffer.append(written)
            else:
                self._write(written)

    def record_path(self, kind: str, path: Any, access: str) -> None:
        """Record how a path is used."""
        if path is None:
            path = "."
        if isinstance(path, int):
            return  # a descriptor, which was opened by its path
        path = os.fsdecode(path)
        # `..` after a link to a folder leads to the parent of the link's target.
        path = os.path.realpath(path) if ".." in path else os.path.abspath(path)
        if not self.ignores(path) and (kind, path) not in self._recorded:
            state = path_state(kind, path)
            if access == "create" and state is None:
                self.created.add(path)
            self.record(kind, path, state, access)

    def record_module_places(self, name: str) -> None:
        """Record where a module that is not installed is, and where Python would look for it."""
        file = vars(sys.modules[name]).get("__file__") if name in sys.modules else None
        if isinstance(file, str) and file.startswith(self.library_folders):
            return
        if name not in sys.modules and name not in sys.stdlib_module_names:
            self.record("installed", name, self.answer("installed", name), "query")
        for folder in sys.path:
            place = os.path.join(os.path.abspath(folder), name)
            if not place.startswith(self.library_folders):
                self.record_path("file", place + ".py", "read")
                self.record_path("file", os.path.join(place, "__init__.py"), "read")

    def ignores(self, path: str) -> bool:
        """Whether a path is not recorded."""
        return path.startswith(self.ignored) or "__pycache__" in path

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Handle an audit event without raising an error."""
        handler = self._handlers.get(event)
        if handler is not None and not getattr(self._thread, "busy", False):
            self._thread.busy = True  # the handler causes events too
            try:
                handler(*arguments)
            except Exception as error:  # a hook that raises would make the step fail
                with contextlib.suppress(OSError):  # the disk is full: the step itself reports it
                    self._record_reason(f"{event} could not be followed ({type(error).__name__})")
            finally:
                self._thread.busy = False

    def _on_query(self, query: str, path: str, frame: Any) -> None:
        """Handle a query of a path, or of whether a module can be found, by the code of a frame."""
        if getattr(self._thread, "busy", False) or frame.f_code.co_filename == RUNTIME:
            return
        self._thread.busy = True
        try:
            self._record_query(query, path, frame)
        except Exception as error:  # the query itself must be answered
            with contextlib.suppress(OSError):  # the disk is full: the step itself reports it
                self._record_reason(f"a query of a path could not be followed ({type(error).__name__})")
        finally:
            self._thread.busy = False

    def _record_query(self, query: str, path: str, frame: Any) -> None:
        """Record a query with its answer, unless it is about what the step itself has created."""
        if query == "installed":
            path = path.partition(".")[0]
            self.record_module_places(path)
        else:
            path = os.path.abspath(path)
        known = (query, path) in self._recorded or self.ignores(path)
        if not known and self.created.isdisjoint((path, *map(str, PurePath(path).parents))):
            access = "library query" if self._by_library(frame) else "query"
            self.record(query, path, self.answer(query, path), access)

    def _record_reason(self, text: str) -> None:
        self.record("reason", text)

    def _write(self, lines: bytes) -> None:
        # By its path: the step may close descriptors that are not its own, and reuse their numbers.
        out = OPEN(self.log, os.O_WRONLY | os.O_APPEND)
        try:
            WRITE(out, lines)
        finally:
            CLOSE(out)

    def _on_open(self, path: Any, _: Any, flags: int) -> None:
        """A file is opened; the file of a compiled module stands for its source."""
        if isinstance(path, str) and path.endswith(".pyc") and not path.startswith(self.ignored):
            with contextlib.suppress(ValueError, NotImplementedError):
                path = importlib.util.source_from_cache(path)
        if isinstance(path, str) and path.endswith(".py") and not path.startswith(self.ignored):
            self.record("local module", os.path.abspath(path))
        writes = flags & (os.O_WRONLY | os.O_RDWR)
        is_new = flags & os.O_TRUNC or not (flags & os.O_APPEND or os.path.exists(path))
        creates = is_new and not flags & os.O_EXCL
        self.record_path("file", path, "create" if writes and creates else "modify" if writes else "read")

    def _on_list(self, path: Any) -> None:
        """The names in a folder are read; the import system's own reads do not count."""
        if "importlib" not in sys._getframe(2).f_code.co_filename:
            self.record_path("list", path, "read")

    def _on_scan(self, path: Any) -> None:
        """The entries of a folder are read; the standard library uses their names only."""
        frame = sys._getframe(2)
        top = frame.f_globals.get("__name__", "").partition(".")[0]
        if top == "importlib":
            return
        self.record_path("list", path, "read")
        if isinstance(path, (str, os.PathLike)) and top not in sys.stdlib_module_names:
            self._record_query("entries", os.fsdecode(path), frame)

    def _on_import(self, name: str, *_: Any) -> None:
        """A module is imported; numpy's generator is compared as long as it is new."""
        if "." not in name:
            self.imported.add(name)
        if len(self.states_before) < len(GENERATOR_MODULES):
            for module, state in generator_states().items():
                if module not in self.states_before:
                    self.states_before[module] = state
                    if module == "numpy.random" and not is_fresh(state):
                        self.record("draws", module)

    def _on_database(self, path: Any) -> None:
        """An SQLite database is opened."""
        path = os.fsdecode(path)
        path = path.removeprefix("file:").partition("?")[0] if path.startswith("file:") else path
        if path and path != ":memory:":
            self.record_path("file", path, "modify")
            self.record_path("file", path + "-wal", "modify")

    def _on_rename(self, source: Any, target: Any, *_: Any) -> None:
        """A file replaces another one."""
        self.record_path("file", source, "modify")
        self.record_path("file", target, "create")

    def _on_socket(self, address: Any) -> None:
        """A socket is used."""
        if isinstance(address, tuple):
            self._record_reason(f"it uses the network ({os.fsdecode(address[0] or 'localhost')})")
        elif "pymp-" not in os.fsdecode(address):  # a socket of multiprocessing
            self._record_reason(f"it connects to another process ({os.fsdecode(address)})")

    def _on_program(self, command: Any) -> None:
        """Another program is started."""
        whole = command if isinstance(command, (str, bytes, PurePath)) else next(iter(command))
        text = os.fsdecode(whole)
        name = os.path.basename(text.split(" ")[0])
        is_plain = name in SYSTEM_QUERIES and SHELL_OPERATORS.isdisjoint(text)
        if not is_plain or not self._by_library(sys._getframe(3)):
            self._record_reason(f"it runs another program ({name})")

    def _by_library(self, frame: Any) -> bool:
        """Whether an installed library runs the code of a frame, directly or through the standard library."""
        while frame is not None:
            file = frame.f_code.co_filename
            if "site-packages" in file or "dist-packages" in file:
                return True
            if not file.startswith((*self.library_folders, "<frozen")):
                return False
            frame = frame.f_back
        return False

    def _urandom(self, size: int) -> bytes:
        """Replace `os.urandom` for the module `random`."""
        with contextlib.suppress(OSError):  # the disk is full: the step itself reports it
            if uses_system_randomness(self.library_folders):
                self._record_reason("it draws random numbers without a seed")
        return os.urandom(size)
