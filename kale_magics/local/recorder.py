"""What a step uses beside its inputs: files, folders, the network, other programs, chance.

It listens to the events that Python tells audit hooks (PEP 578). The launcher executes this file's text in
the process of a step, so it may use the standard library only and nothing of kale_magics. What it hears goes
into a file, a line of JSON each; processes that the step forks add their own lines:

    ["file" or "list" or "tree", PATH, STATE, HOW]   STATE as `state_of` had it before; HOW: one of `HOWS`
    ["reason", TEXT]                                 why the same step may do something else another time
    ["drawn", GENERATOR]                             it has given numbers, as "numpy.random"
    ["local", NAME, FILE]                            a module that is not installed, loaded at the end
    ["module", NAME, FILE]                           an installed one that was loaded at the end
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any

HOWS = ("watch", "read", "make", "change", "seen")
"""A path is named by the code; is read; is made, whatever was there; is changed; is a value at the end."""

MOST_FILES = 20_000
"""How many files of a folder are looked at."""

LONGEST_PATH = 1024
MOST_VALUES = 1000
"""How many values of a list or a dict may be paths."""

HARMLESS = frozenset(
    {"lscpu", "uname", "ldconfig", "fc-list", "sysctl", "nvidia-smi", "gcc", "cc", "ld", "objdump"}
)
"""Programs that libraries ask about the machine."""

MODULES = ("random", "numpy.random")
"""Whose generators everybody uses."""

LOADERS = (os.path.join("numpy", "random", "_pickle.py"), "<kale step runtime>")
"""Whose code makes generators again that were written."""

SYSTEM = ("/proc/", "/sys/", "/dev/")
"""What is no file, and what libraries put into shared memory."""


def state_of(kind: str, path: str) -> Any:
    """What a path holds, as far as it has to be compared.

    Args:
        kind: "file", "list" for the names in a folder, "tree" for all that is in a folder.
        path: An absolute path.

    Returns:
        JSON: for a file its size and its times of change; "folder"; for the others a digest; None if nothing
        is there; "many" for a folder of too many files.
    """
    try:
        about = os.stat(path)
        if not os.path.isdir(path):
            return [about.st_size, about.st_mtime_ns, about.st_ctime_ns]
        if kind == "file":
            return "folder"
        names = sorted(os.listdir(path)) if kind == "list" else list(tree_of(path))
    except (OSError, ValueError):
        return None
    if len(names) > MOST_FILES:
        return "many"
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def tree_of(folder: str) -> Iterable[Any]:
    """The files below a folder with their states, no more of them than are looked at."""
    count = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(parent, name)
            yield [path, state_of("file", path)]
            count += 1
            if count > MOST_FILES:
                return


class Recorder:
    """Hears what the process does.

    Args:
        place: The file for what is heard.
        ignored: Beginnings of paths of which nothing is told.
    """

    def __init__(self, place: str, ignored: Iterable[str]) -> None:
        self.ignored = (*SYSTEM, *ignored)
        self.told: set[Any] = set()
        self.here = threading.local()
        self.before: dict[str, Any] = {}
        self.out = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
        self.actions: dict[str, Callable[..., object]] = {
            "open": self.opened,
            "os.listdir": self.listed,
            "os.scandir": self.listed,
            "os.mkdir": lambda path, *_: self.use("file", path, "make"),
            "os.rename": self.renamed,
            "sqlite3.connect": lambda path: self.use("file", path, "change"),
            "socket.connect": lambda _, address: self.connected(address),
            "socket.sendto": lambda _, address: self.connected(address),
            "socket.getaddrinfo": lambda host, *_: self.connected((host,)),
            "subprocess.Popen": lambda program, given, *_: self.started(program or given),
            "os.system": self.started,
            "os.exec": lambda program, *_: self.started(program),
            "os.posix_spawn": lambda program, *_: self.started(program),
        }
        for event in ("os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink", "shutil.rmtree"):
            self.actions[event] = lambda path, *_: self.use("file", path, "change")

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Be an audit hook; it must not raise."""
        if event == "import":
            if len(self.before) < len(MODULES):
                self.before = {**generators(), **self.before}  # as a library has them after its import
            return
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
            os.write(self.out, json.dumps(line).encode() + b"\n")

    def reason(self, text: str) -> None:
        """Something that may come out differently."""
        self.tell("reason", text)

    def use(self, kind: str, path: Any, how: str) -> None:
        """A path is used."""
        if path is None:
            path = "."
        if isinstance(path, int) or path == ":memory:":
            return  # a descriptor, which was opened by its name; a database that is no file
        path = os.path.abspath(os.fsdecode(path))
        if not path.startswith(self.ignored) and "__pycache__" not in path and (kind, path) not in self.told:
            self.tell(kind, path, state_of(kind, path), how)

    def opened(self, path: Any, _: Any, flags: int) -> None:
        """A file is opened."""
        writing = flags & (os.O_WRONLY | os.O_RDWR)
        makes = flags & os.O_TRUNC and not flags & os.O_EXCL
        self.use("file", path, "make" if writing and makes else "change" if writing else "read")

    def listed(self, path: Any) -> None:
        """The names in a folder are asked for; what looks for a module to import is not meant."""
        if "importlib" not in sys._getframe(2).f_code.co_filename:
            self.use("list", path, "read")

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
        first = command if isinstance(command, (str, bytes, PurePath)) else next(iter(command))
        name = os.path.basename(os.fsdecode(first).split(" ")[0])
        if name not in HARMLESS:
            self.reason(f"it runs another program ({name})")

    def drawn(self, size: int) -> bytes:
        """Give real chance, as `os.urandom`, to what asks Python for it."""
        asking = sys._getframe(2)
        frame: Any = asking
        while frame is not None and "importlib" not in frame.f_code.co_filename:
            frame = frame.f_back
        # What is drawn by an import is seeded later, or of no importance. Generators of numpy draw before
        # they take their seed, or are filled when they are loaded.
        code = asking.f_code
        filled = code.co_filename.endswith(LOADERS) or "RandomState" in code.co_names
        if frame is None and not filled:
            self.reason("it draws numbers without a seed")
        return os.urandom(size)


def generators() -> dict[str, Any]:
    """The states of the generators that are loaded."""
    states: dict[str, Any] = {"random": random.getstate()[1]}
    numpy = getattr(sys.modules.get("numpy.random"), "get_state", None)
    if numpy is not None:
        with contextlib.suppress(ValueError, TypeError):  # its user has put another kind into its place
            _, words, place, *_ = numpy()
            states["numpy.random"] = (words.tobytes(), place)
    return states


def is_fresh(state: tuple[bytes, int]) -> bool:
    """Whether numpy's generator is as its import has left it: seeded from a `SeedSequence`, and not used.

    Source: `MT19937.__init__` of numpy.
    """
    return state[1] in (623, 624) and int.from_bytes(state[0][:4], sys.byteorder) == 0x80000000


def begin(task: dict[str, Any]) -> Recorder:
    """Begin to listen.

    Args:
        task: "uses": the file for what is heard; "ignored": beginnings of paths; "watched": kinds and paths
            that the code names.
    """
    recorder = Recorder(task["uses"], task["ignored"])
    for kind, path in task["watched"]:
        recorder.tell(kind, path, state_of(kind, path), "watch")
    recorder.told.clear()  # how it is used comes after that it is named
    recorder.before = generators()
    random._urandom = recorder.drawn  # type: ignore[attr-defined]  # what `SystemRandom` asks
    sys.addaudithook(recorder.hear)
    return recorder


def end(recorder: Recorder, homes: tuple[str, ...]) -> None:
    """Tell what can only be told at the end.

    Args:
        recorder: What `begin` gave.
        homes: The folders of installed modules.
    """
    recorder.here.busy = True
    for name, state in generators().items():
        if state != recorder.before.get(name, state) or (name not in recorder.before and not is_fresh(state)):
            recorder.tell("drawn", name)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str):
            continue
        if not file.startswith(homes):
            recorder.use("file", file, "read")
            recorder.tell("local", name, file)
        elif "." not in name and name not in sys.stdlib_module_names:
            recorder.tell("module", name, file)
    for value in values_of(vars(sys.modules["__main__"])):
        text = os.fspath(value)
        if 0 < len(text) < LONGEST_PATH and "\0" not in text and os.path.exists(text):
            kind = "tree" if os.path.isdir(text) else "file"
            if kind == "file" or not is_around(text):
                recorder.use(kind, text, "seen")


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
