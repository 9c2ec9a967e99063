"""What a step uses beside its inputs: files, folders, the network, other programs, chance.

It listens to the events that Python tells audit hooks (PEP 578). The launcher executes this file's text in
the process of a step, so it may use the standard library only and nothing of kale_magics. What it hears goes
into a file, a line of JSON each; processes that the step forks add their own lines:

    ["file" or "list" or "tree", PATH, STATE, HOW]   STATE as `state_of` had it before; HOW: one of `HOWS`
    [QUESTION, PATH, ANSWER, HOW]                    as `path_queries.ask` has them; HOW: "look" or "glance"
    ["fork"]                                         it has started processes of its own
    ["end"]                                          all is told
    ["reason", TEXT]                                 why the same step may do something else another time
    ["drawn", GENERATOR]                             it has given numbers, as "numpy.random"
    ["local", FILE]                                  a module that is not installed
    ["module", NAME, FILE]                           an installed one that was loaded at the end
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import itertools
import json
import os
import random
import stat
import sys
import threading
from collections.abc import Callable, Container, Iterable
from pathlib import PurePath
from types import ModuleType
from typing import Any

HOWS = ("watch", "read", "make", "change", "seen", "look", "glance")
"""A path is named by the code; is read; is made, whatever was there; is changed; is a value at the end; the
user's code asks about it; a library does."""

MOST_FILES = 20_000
"""How many files of a folder are looked at."""

LONGEST_PATH = 1024
MOST_VALUES = 1000
"""How many values of a list or a dict may be paths."""

OPEN, WRITE, CLOSE, DUMPS = os.open, os.write, os.close, json.dumps
"""As they are before the step's code can put others into their places."""

SHELL = frozenset("&|;<>`$\n")
"""What makes one command of several."""

HARMLESS = frozenset(
    {"lscpu", "uname", "ldconfig", "fc-list", "sysctl", "nvidia-smi", "gcc", "cc", "ld", "objdump"}
)
"""Programs that libraries ask about the machine."""

MODULES = ("random", "numpy.random")
"""Whose generators everybody uses."""


class Inherited:
    """What a forked process has from the beginning: modules, and what these have read.

    A forked process leaves the modules alone: to look at one is to write to its memory, which is copied then.

    Attributes:
        files: The files of the installed ones, by their top-level names.
        count: How many modules there are in all.
        read: The states of all files that were opened, by their paths.
    """

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.count = 0
        self.read: dict[str, Any] = {}
        self.listening = False

    def listen(self) -> None:
        """Note what is opened from here on."""
        self.listening = True
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Be an audit hook."""
        if self.listening and event == "open" and isinstance(arguments[0], str):
            path = os.path.abspath(arguments[0])
            self.read.setdefault(path, state_of("file", path))

    def note(self, homes: tuple[str, ...]) -> None:
        """Take in what is loaded now, and listen no more.

        Args:
            homes: The folders of installed modules.
        """
        for name, module in list(sys.modules.items()):
            top, file = name.partition(".")[0], file_of(module)
            if file.startswith(homes) and top not in sys.stdlib_module_names:
                self.files.setdefault(top, file)
        self.count = len(sys.modules)
        self.listening = False


INHERITED = Inherited()

RUNTIME = "<kale step runtime>"
"""What the code of the runtime is called."""

LOADERS = (os.path.join("numpy", "random", "_pickle.py"), RUNTIME)
"""Whose code makes generators again that were written."""

SYSTEM = ("/proc/", "/sys/", "/dev/")
"""What is no file, and what libraries put into shared memory."""


def state_of(kind: str, path: str, without: Container[str] = ()) -> Any:
    """What a path holds, as far as it has to be compared.

    Args:
        kind: "file", "list" for the names in a folder, "tree" for all that is in a folder.
        path: An absolute path.
        without: Files that do not count in a tree.

    Returns:
        JSON: for a file its size and its times of change; "folder"; "device" for what is neither; for the
        others a digest; None if nothing is there; "many" for a folder of too many files.
    """
    try:
        about = os.stat(path)
        if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
            return "device"
        if not os.path.isdir(path):
            return [about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino]
        if kind == "file":
            return "folder"
        names = sorted(os.listdir(path)) if kind == "list" else list(tree_of(path, without))
    except (OSError, ValueError):
        return None
    if len(names) > MOST_FILES:
        return "many"
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def tree_of(folder: str, without: Container[str]) -> Iterable[Any]:
    """The files below a folder with their states, no more of them than are looked at."""
    count = 0
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(parent, name)
            count += 1
            if path not in without:
                yield [path, state_of("file", path)]
            if count > MOST_FILES:
                return


class Recorder:
    """Hears what the process does.

    Args:
        place: The file for what is heard.
        ignored: Beginnings of paths of which nothing is told.
        homes: The folders of installed modules.
        ask: As `path_queries.ask`.

    Attributes:
        made: What was not there before this process made it.
    """

    def __init__(
        self, place: str, ignored: Iterable[str], homes: Iterable[str], ask: Callable[[str, str], Any]
    ) -> None:
        self.place, self.homes, self.ask = place, tuple(homes), ask
        self.ignored = (*SYSTEM, *ignored)
        self.made: set[str] = set()
        self.told: set[Any] = set()
        self.here = threading.local()
        self.before: dict[str, Any] = {}
        self.imported: set[str] = set()
        self.held: list[bytes] = []
        self.holds = False
        self.inherited = INHERITED.count
        os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        self.actions: dict[str, Callable[..., object]] = {
            "open": self.opened,
            "os.listdir": self.listed,
            "os.scandir": self.scanned,
            "os.mkdir": lambda path, *_: self.use("file", path, "make"),
            "os.rename": self.renamed,
            "os.symlink": lambda _, path, *__: self.use("file", path, "make"),
            "os.link": lambda _, path, *__: self.use("file", path, "make"),
            "os.fork": lambda: self.tell("fork"),
            "sqlite3.connect": self.attached,
            "socket.connect": lambda _, address: self.connected(address),
            "socket.sendto": lambda _, address: self.connected(address),
            "socket.sendmsg": lambda _, address: self.connected(address),
            "socket.bind": lambda _, address: self.connected(address),
            "socket.getaddrinfo": lambda host, *_: self.connected((host,)),
            "socket.gethostbyname": lambda host: self.connected((host,)),
            "import": self.imports,
            "subprocess.Popen": lambda program, given, *_: self.started(program or given),
            "os.system": self.started,
            "os.exec": lambda program, *_: self.started(program),
            "os.posix_spawn": lambda program, *_: self.started(program),
        }
        for event in ("os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"):
            self.actions[event] = lambda path, *_: self.use("file", path, "change")

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Be an audit hook; it must not raise."""
        action = self.actions.get(event)
        if action is not None and not getattr(self.here, "busy", False):
            self.here.busy = True  # what is done here tells events too
            try:
                action(*arguments)
            except Exception as error:  # what is not understood cannot be told apart another time
                with contextlib.suppress(OSError):  # the disk is full: the step will say so itself
                    self.reason(f"{event} could not be followed ({type(error).__name__})")
            finally:
                self.here.busy = False

    def tell(self, *line: Any) -> None:
        """Add a line, once."""
        known = line[:2] if line[0] != "reason" else line
        if known not in self.told:
            self.told.add(known)
            written = DUMPS(line).encode() + b"\n"
            if self.holds:
                self.held.append(written)
            else:
                self.write(written)

    def write(self, lines: bytes) -> None:
        """Add to the file."""
        # By its name: the step may close descriptors that are not its own, and get their numbers.
        out = OPEN(self.place, os.O_WRONLY | os.O_APPEND)
        try:
            WRITE(out, lines)
        finally:
            CLOSE(out)

    def reason(self, text: str) -> None:
        """Something that may come out differently."""
        self.tell("reason", text)

    def use(self, kind: str, path: Any, how: str) -> None:
        """A path is used."""
        if path is None:
            path = "."
        if isinstance(path, int):
            return  # a descriptor, which was opened by its name
        path = os.fsdecode(path)
        # Behind a link to a folder, `..` is not what it looks like.
        path = os.path.realpath(path) if ".." in path else os.path.abspath(path)
        if not path.startswith(self.ignored) and "__pycache__" not in path and (kind, path) not in self.told:
            state = state_of(kind, path)
            if how == "make" and state is None:
                self.made.add(path)
            self.tell(kind, path, state, how)

    def asked(self, question: str, path: str, frame: Any) -> None:
        """The code of a frame asks something about a path, or whether a module can be found."""
        if getattr(self.here, "busy", False) or frame.f_code.co_filename == RUNTIME:
            return
        self.here.busy = True
        try:
            self.note(question, path, frame)
        except Exception as error:  # a question must be answered as if nobody heard it
            with contextlib.suppress(OSError):  # the disk is full: the step will say so itself
                self.reason(f"a question about a path could not be followed ({type(error).__name__})")
        finally:
            self.here.busy = False

    def note(self, question: str, path: str, frame: Any) -> None:
        """Report a question with its answer, unless it is about what the step itself has made."""
        if question == "installed":
            path = path.partition(".")[0]
            tell_places(self, path)
        else:
            path = os.path.abspath(path)
        if self.counts(question, path):
            how = "glance" if self.by_library(frame) else "look"
            self.tell(question, path, self.ask(question, path), how)

    def counts(self, question: str, path: str) -> bool:
        """Whether a question is to be reported: not one about what the step itself has made."""
        if (question, path) in self.told or path.startswith(self.ignored) or "__pycache__" in path:
            return False
        return not self.made or self.made.isdisjoint((path, *map(str, PurePath(path).parents)))

    def opened(self, path: Any, _: Any, flags: int) -> None:
        """A file is opened; that of a compiled module stands for its source."""
        if isinstance(path, str) and path.endswith(".pyc") and not path.startswith(self.ignored):
            with contextlib.suppress(ValueError, NotImplementedError):
                path = importlib.util.source_from_cache(path)
        if isinstance(path, str) and path.endswith(".py") and not path.startswith(self.ignored):
            self.tell("local", os.path.abspath(path))
        writing = flags & (os.O_WRONLY | os.O_RDWR)
        anew = flags & os.O_TRUNC or not (flags & os.O_APPEND or os.path.exists(path))
        makes = anew and not flags & os.O_EXCL
        self.use("file", path, "make" if writing and makes else "change" if writing else "read")

    def listed(self, path: Any) -> None:
        """The names in a folder are asked for; what looks for a module to import is not meant."""
        if "importlib" not in sys._getframe(2).f_code.co_filename:
            self.use("list", path, "read")

    def scanned(self, path: Any) -> None:
        """The entries of a folder are asked for: of these, the standard library uses the names."""
        frame = sys._getframe(2)
        top = frame.f_globals.get("__name__", "").partition(".")[0]
        if top == "importlib":
            return
        self.use("list", path, "read")
        if isinstance(path, (str, os.PathLike)) and top not in sys.stdlib_module_names:
            self.note("entries", os.fsdecode(path), frame)

    def imports(self, name: str, *_: Any) -> None:
        """A module is looked for; numpy's generator is looked at as long as it is new."""
        if "." not in name:
            self.imported.add(name)
        if len(self.before) < len(MODULES):
            for module, state in generators().items():
                if module not in self.before:
                    self.before[module] = state
                    if module == "numpy.random" and not is_fresh(state):
                        self.tell("drawn", module)

    def attached(self, path: Any) -> None:
        """A database is opened."""
        path = os.fsdecode(path)
        path = path.removeprefix("file:").partition("?")[0] if path.startswith("file:") else path
        if path and path != ":memory:":
            self.use("file", path, "change")
            self.use("file", path + "-wal", "change")

    def renamed(self, source: Any, target: Any, *_: Any) -> None:
        """A file takes the place of another one."""
        self.use("file", source, "change")
        self.use("file", target, "make")

    def connected(self, address: Any) -> None:
        """Somebody is talked to."""
        if isinstance(address, tuple):
            self.reason(f"it uses the network ({os.fsdecode(address[0] or 'localhost')})")
        elif "pymp-" not in os.fsdecode(address):  # how processes of multiprocessing talk
            self.reason(f"it talks to another process ({os.fsdecode(address)})")

    def started(self, command: Any) -> None:
        """Another program is started."""
        whole = command if isinstance(command, (str, bytes, PurePath)) else next(iter(command))
        text = os.fsdecode(whole)
        name = os.path.basename(text.split(" ")[0])
        if name not in HARMLESS or not SHELL.isdisjoint(text) or not self.by_library(sys._getframe(3)):
            self.reason(f"it runs another program ({name})")

    def by_library(self, frame: Any) -> bool:
        """Whether an installed library does what a frame does, be it by way of the standard library."""
        while frame is not None:
            file = frame.f_code.co_filename
            if "site-packages" in file or "dist-packages" in file:
                return True
            if not file.startswith((*self.homes, "<frozen")):
                return False
            frame = frame.f_back
        return False

    def drawn(self, size: int) -> bytes:
        """Give real chance, as `os.urandom`, to what asks Python for it."""
        with contextlib.suppress(OSError):  # the disk is full: the step will say so itself
            if self.is_chance():
                self.reason("it draws random numbers without a seed")
        return os.urandom(size)

    def is_chance(self) -> bool:
        """Whether what asks for chance, two frames above `drawn`, will use it."""
        try:
            frame: Any = sys._getframe(3)
        except ValueError:  # a thread that does nothing else
            return True
        code = frame.f_code
        # Generators of numpy draw before they take their seed, or are filled when they are loaded.
        if code.co_filename.endswith(LOADERS) or "RandomState" in code.co_names:
            return False
        installed = code.co_filename.startswith((*self.homes, "<frozen"))
        while frame is not None and "importlib" not in frame.f_code.co_filename:
            frame = frame.f_back
        # What a library draws when it is imported is seeded later, or of no importance.
        return frame is None or not installed


def generators() -> dict[str, Any]:
    """The states of the generators that are loaded."""
    states: dict[str, Any] = {"random": random.getstate()[1]}
    numpy = getattr(sys.modules.get("numpy.random"), "get_state", None)
    if numpy is not None:
        state = numpy(legacy=False)["state"]
        words = state["key"].tobytes() if "key" in state else repr(state).encode()
        states["numpy.random"] = (words, state.get("pos"))
    return states


def is_fresh(state: tuple[bytes, int]) -> bool:
    """Whether numpy's generator is as its import has left it: seeded from a `SeedSequence`, and not used.

    Source: `MT19937.__init__` of numpy.
    """
    return state[1] in (623, 624) and int.from_bytes(state[0][:4], sys.byteorder) == 0x80000000


def begin(task: dict[str, Any], queries: dict[str, Any]) -> Recorder:
    """Begin to listen.

    Args:
        queries: What `path_queries.py` defines.
        task: "uses": the file for what is heard; "ignored": beginnings of paths; "watched": kinds and paths
            that the code names.
    """
    recorder = Recorder(task["uses"], task["ignored"], task["homes"], queries["ask"])
    for kind, path in task["watched"]:
        recorder.tell(kind, path, state_of(kind, path), "watch")
    recorder.told.clear()  # how it is used comes after that it is named
    recorder.before = generators()
    # What `SystemRandom` asks; `random` may be a copy here.
    sys.modules["random"]._urandom = recorder.drawn  # type: ignore[attr-defined]
    sys.addaudithook(recorder.hear)
    queries["install"](recorder.asked)
    return recorder


def end(recorder: Recorder) -> None:
    """Tell what can only be told at the end; a step does not fail because of it."""
    recorder.here.busy = recorder.holds = True
    try:
        tell_rest(recorder)
        recorder.tell("end")
        recorder.write(b"".join(recorder.held))
    except (
        Exception
    ) as error:  # modules and values of the step may raise anything; without an end, nothing counts
        recorder.holds = False
        with contextlib.suppress(OSError):
            recorder.reason(f"not all is known that it used ({type(error).__name__})")


def tell_rest(recorder: Recorder) -> None:
    """The generators, the modules and the paths among the variables."""
    for name, state in generators().items():
        if state != recorder.before.get(name, state) or (name not in recorder.before and not is_fresh(state)):
            recorder.tell("drawn", name)
    for top, file in INHERITED.files.items():
        recorder.tell("module", top, file)
    for path, state in INHERITED.read.items():
        if not path.startswith(recorder.ignored) and "__pycache__" not in path:
            recorder.tell("file", path, state, "read")
    for name, module in newest_modules(recorder.inherited):
        file = file_of(module)
        top = name.partition(".")[0]
        if file and not file.startswith(recorder.homes):
            recorder.use("file", file, "read")
            recorder.tell("local", file)
        elif file and top not in sys.stdlib_module_names:
            recorder.tell("module", top, file)
    for name in recorder.imported - sys.stdlib_module_names:
        tell_places(recorder, name)
    for value in values_of(vars(sys.modules["__main__"])):
        text = os.fspath(value)
        if 0 < len(text) < LONGEST_PATH and "\0" not in text and os.path.exists(text):
            kind = "tree" if os.path.isdir(text) else "file"
            if kind == "file" or not is_around(text):
                recorder.use(kind, text, "seen")


def newest_modules(count: int) -> list[tuple[str, Any]]:
    """The modules that were loaded after the first ones, as many as there were."""
    return list(itertools.islice(reversed(sys.modules.items()), max(0, len(sys.modules) - count)))


def file_of(module: Any) -> str:
    """Where a module was loaded from; empty if that is no file."""
    file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
    return file if isinstance(file, str) else ""


def tell_places(recorder: Recorder, name: str) -> None:
    """Where a module that is not installed is, or would be if somebody put it there."""
    file = vars(sys.modules[name]).get("__file__") if name in sys.modules else None
    if isinstance(file, str) and file.startswith(recorder.homes):
        return
    if name not in sys.modules and name not in sys.stdlib_module_names:
        recorder.tell("installed", name, recorder.ask("installed", name), "look")
    for folder in sys.path:
        place = os.path.join(os.path.abspath(folder), name)
        if not place.startswith(recorder.homes):
            recorder.use("file", place + ".py", "read")
            recorder.use("file", os.path.join(place, "__init__.py"), "read")


def is_around(folder: str) -> bool:
    """Whether a folder is the present one, or one that this is in: too much changes there."""
    return os.path.join(os.getcwd(), "").startswith(os.path.join(os.path.abspath(folder), ""))


def values_of(namespace: dict[str, Any]) -> Iterable[Any]:
    """The values of variables that may be paths."""
    for name, value in list(namespace.items()):
        if name.startswith("__"):
            continue
        items: Iterable[Any] = [value]
        if type(value) in (list, tuple, set) and len(value) <= MOST_VALUES:
            items = value
        elif type(value) is dict and len(value) <= MOST_VALUES:
            items = value.values()
        yield from (item for item in items if type(item) is str or isinstance(item, PurePath))
