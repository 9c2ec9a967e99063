"""The server process: it has executed the imports of the notebook, and every step is forked from it.

A fresh interpreter executes this file's text, so it may use the standard library only and nothing of
kale_magics. It talks to the engine through a socket:

    engine -> here   8 bytes of length, JSON; a step's two descriptors (stdout, stderr) come with the length;
                     the first one, and what may follow
        {"imports": [...], "runtime": TEXT, "launcher": PATH, "bootstrap": TEXT, "fork": BOOL, "homes": [...]}
        {"begin": ID, "task": PATH, "directory": PATH, "environment": {...}, "threads": N or null}
        {"signal": NUMBER, "steps": [ID, ...]}
    here -> engine   JSON, a line each
        {"ended": ID, "returncode": N} or {"ended": ID, "failure": TEXT}

When the engine's end of the socket is closed, be it by its death, all steps are killed and this process ends.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import warnings
from typing import Any

HEADER = struct.Struct("!Q")

UNSAFE = frozenset({"tensorflow", "jax", "polars", "ray", "grpc", "pyspark", "cupy", "cudf"})
"""Libraries that start threads or drivers of their own, which do not live on in a forked process."""

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""What libraries for numbers read when they are loaded: how many threads they may use."""

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""Of Linux's `prctl`: the signal that a process gets when its parent dies; who gets its orphans."""

MARK = "KALE_STEP_OF"
"""A variable in the environment of a step, and so of all that it starts: the server and the step's number."""


class Keeper:
    """Starts steps, and tells how they ended.

    Args:
        channel: The socket.
        hello: The first message.
    """

    def __init__(self, channel: socket.socket, hello: dict[str, Any]) -> None:
        self.channel, self.hello = channel, hello
        self.fork = hello["fork"] and UNSAFE.isdisjoint(sys.modules)
        self.steps: dict[int, int] = {}  # process number to the engine's
        self.orphans: dict[int, set[int]] = {}  # process number to the steps that it may belong to
        self.own = children()  # an import may have started them
        if sys.platform == "linux":
            LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.woken, waker = os.pipe()
        os.set_blocking(self.woken, False)
        os.set_blocking(waker, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker)
        self.waker = waker

    def serve(self) -> dict[str, Any] | None:
        """Serve until the engine is gone.

        Returns:
            None at the end; in a forked process, the task of the step that it is to be.
        """
        selector = selectors.DefaultSelector()
        selector.register(self.channel, selectors.EVENT_READ)
        selector.register(self.woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is self.channel:
                    message, descriptors = receive(self.channel)
                    if message is None:
                        self.send_signal(signal.SIGKILL, list(self.steps.values()))
                        self.sweep(set(self.steps.values()), every=True)
                        return None
                    if "signal" in message:
                        self.send_signal(message["signal"], message["steps"])
                    elif self.begin(message, descriptors):
                        selector.close()
                        return message
                else:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.woken, 4096)
                    self.reap()

    def begin(self, message: dict[str, Any], descriptors: list[int]) -> bool:
        """Start a step's process; True in that process, if it was forked."""
        try:
            os.stat(os.path.join(message["directory"], ""))
            number = self.divide() if self.fork else self.spawn(message, descriptors)
        except OSError as error:
            self.tell({"ended": message["begin"], "failure": str(error)})
            number = -1
        if number == 0:
            self.become(message, descriptors)
            return True
        close_all(descriptors)
        if number > 0:
            self.steps[number] = message["begin"]
        return False

    def divide(self) -> int:
        """Fork: 0 in the new process, its number in the old one."""
        with warnings.catch_warnings():
            # Python 3.12 warns of threads; those of the libraries for numbers are ready for a fork.
            warnings.simplefilter("ignore")
            return os.fork()

    def become(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Let go of all that is the server's, and take on what is the step's."""
        os.setsid()
        die_with_parent()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        self.channel.close()
        for place, descriptor in enumerate(descriptors, start=1):
            os.dup2(descriptor, place)
        close_all([*descriptors, self.woken, self.waker])
        os.chdir(message["directory"])
        os.environ.clear()
        os.environ.update(environment_of(message, os.getppid()))

    def spawn(self, message: dict[str, Any], descriptors: list[int]) -> int:
        """Start a fresh interpreter for a step."""
        command = [sys.executable, "-c", self.hello["bootstrap"], self.hello["launcher"], message["task"]]
        process = subprocess.Popen(  # noqa: S603 - this interpreter with the engine's own text
            command,
            cwd=message["directory"],
            env=environment_of(message, os.getpid()),
            stdin=subprocess.DEVNULL,
            stdout=descriptors[0],
            stderr=descriptors[1],
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        process.returncode = 0  # it is waited for here
        return process.pid

    def reap(self) -> None:
        """Tell of the steps that have ended, and end what they have left behind."""
        for number, step in list(self.steps.items()):
            # Until it is reaped, no other process can get its number: the group that is ended is its own.
            if hasattr(os, "waitid"):
                if os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
                    continue
                kill(number, signal.SIGKILL)
            ended, status = os.waitpid(number, os.WNOHANG)
            if ended:
                kill(number, signal.SIGKILL)
                del self.steps[number]
                self.sweep({step})
                self.tell({"ended": step, "returncode": os.waitstatus_to_exitcode(status)})

    def sweep(self, ended: set[int], every: bool = False) -> None:
        """End the processes that steps have left behind in sessions of their own; only Linux tells which.

        When a process dies, its children become those of this one. One that has been started as a program
        has the mark of its step in its environment; a mere fork may belong to any step that ran meanwhile.

        Args:
            ended: The numbers of steps that have ended.
            every: Whether no step goes on: all orphans are ended.
        """
        left = True
        while left:
            left = False
            for orphan in children() - self.steps.keys() - self.own:
                mark = mark_of(orphan)
                server, _, number = mark.partition(":")
                mine = server == str(os.getpid()) and number.isdecimal()
                owners = (
                    {int(number)} if mine else self.orphans.setdefault(orphan, {*self.steps.values(), *ended})
                )
                owners -= ended
                if every or not owners:
                    left = True  # its own children come here next
                    kill(orphan, signal.SIGKILL)
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(orphan, 0)
                    self.orphans.pop(orphan, None)

    def send_signal(self, number: int, steps: list[int]) -> None:
        """Send a signal to steps and to all that they have started."""
        for process, step in self.steps.items():
            if step in steps:
                kill(process, number)

    def tell(self, message: dict[str, Any]) -> None:
        """Tell the engine; if it is gone, `serve` finds out."""
        with contextlib.suppress(OSError):
            self.channel.sendall(json.dumps(message).encode() + b"\n")


def kill(group: int, number: int) -> None:
    """Send a signal to a group of processes, if there is any of them."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # not a group yet, or not any more
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(group, number)


def close_all(descriptors: list[int]) -> None:
    """Close what a message brought."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def receive(channel: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The next message, with the descriptors that came with it; None at the end."""
    try:
        head, descriptors, _, _ = socket.recv_fds(channel, HEADER.size, 2)
        while 0 < len(head) < HEADER.size:
            head += channel.recv(HEADER.size - len(head))
        if not head:
            return None, []
        rest, pieces = HEADER.unpack(head)[0], []
        while rest:
            piece = channel.recv(min(rest, 1 << 20))
            if not piece:
                return None, descriptors
            pieces.append(piece)
            rest -= len(piece)
    except OSError:
        return None, []
    return json.loads(b"".join(pieces)), descriptors


def children() -> set[int]:
    """The processes whose parent this one is; none where the system does not tell."""
    found: set[int] = set()
    for place in os.listdir("/proc") if sys.platform == "linux" else ():
        if not place.isdecimal():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{place}/stat") as file:
            # The name, in parentheses, may have any characters in it (man 5 proc).
            if file.read().rpartition(")")[2].split()[1] == str(os.getpid()):
                found.add(int(place))
    return found


def mark_of(process: int) -> str:
    """The mark of the step that has started a program; empty for a mere fork of one."""
    with contextlib.suppress(OSError), open(f"/proc/{process}/environ", "rb") as file:
        for entry in file.read().split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == MARK.encode():
                return value.decode("ascii", "replace")
    return ""


def environment_of(message: dict[str, Any], server: int) -> dict[str, str]:
    """The environment of a step, with its share of the threads where its user has not said how many."""
    environment: dict[str, str] = {**message["environment"], MARK: f"{server}:{message['begin']}"}
    if message["threads"] is not None and not any(name in environment for name in POOLS):
        environment.update(dict.fromkeys(POOLS, str(message["threads"])))
    return environment


def die_with_parent() -> None:
    """Let the system kill this process if its parent dies; only Linux can."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def preload(statements: list[str]) -> None:
    """Execute import statements; one that fails will fail in the step that needs it, and be told there."""
    for statement in ["import cloudpickle", *statements]:
        with contextlib.suppress(BaseException):  # an import may raise anything, SystemExit too
            exec(statement, {"__name__": "kale_imports"})
    gc.collect()
    gc.freeze()  # what is there now is the same in all steps: nobody looks through it again


def hold_threads(message: dict[str, Any]) -> None:
    """Hold the thread pools of libraries that are loaded already to the step's share."""
    given = message["environment"]
    if message["threads"] is None or any(name in given for name in POOLS) or "numpy" not in sys.modules:
        return
    with contextlib.suppress(ImportError):
        import threadpoolctl

        threadpoolctl.threadpool_limits(message["threads"])


def perform(message: dict[str, Any], launcher: dict[str, Any]) -> None:
    """Be a step, and end as an interpreter ends: threads are waited for, files are closed."""
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()  # what was drawn by the import is no state of this step
    hold_threads(message)
    sys.argv[:] = ["-c", "", message["task"]]
    code = 0
    try:
        launcher["main"]()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    threading._shutdown()  # type: ignore[attr-defined]  # as Python's own end does
    atexit._run_exitfuncs()
    # As at the end of an interpreter: in a cycle, a file might be closed before its last text is written.
    variables = vars(sys.modules["__main__"])
    variables.update((name, None) for name in list(variables) if name != "__builtins__")
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def main() -> None:
    """Serve the engine whose socket is the descriptor that the second argument names."""
    channel = socket.socket(fileno=int(sys.argv[2]))
    channel.setblocking(True)  # whatever the notebook has set for all sockets
    hello, _ = receive(channel)
    if hello is None:
        return
    launcher: dict[str, Any] = {"__name__": "kale_launcher_of_server", "__builtins__": {**vars(builtins)}}
    with open(hello["launcher"], encoding="utf-8") as file:
        exec(compile(file.read(), hello["launcher"], "exec"), launcher)
    launcher["FIXED"]["fix_modules"](globals())
    if hello["fork"]:
        # Every step has the same runtime: it is compiled once.
        known = hello["runtime"], compile(hello["runtime"], "<kale step runtime>", "exec")
        launcher["compile_program"] = lambda source, *more: (
            known[1]
            if more == ("<kale step runtime>", "exec") and source in (known[0], known[0].encode())
            else builtins.compile(source, *more)
        )
        launcher["FILE_ACCESS"]["PRELOADED"].start()
        preload(hello["imports"])
        launcher["FILE_ACCESS"]["PRELOADED"].stop(tuple(hello["homes"]))
    message = Keeper(channel, hello).serve()
    if message is not None:
        perform(message, launcher)


if __name__ == "kale_keeper":
    main()
