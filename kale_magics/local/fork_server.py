"""The fork server: a process that has executed the imports of the notebook, and forks every step from itself.

A fresh interpreter executes this file's text, so it imports the standard library only. It exchanges messages
with the engine over a socket:

    engine -> server   8 bytes of length, then JSON. A step's two descriptors (stdout, stderr) come with the
                       length. The first message, and those that may follow:
        {"imports": [...], "runtime": TEXT, "worker": PATH, "bootstrap": TEXT, "fork": BOOL,
         "install_folders": [...]}
        {"start": ID, "task": PATH, "directory": PATH, "environment": {...}, "threads": N or null}
        {"signal": NUMBER, "steps": [ID, ...]}
    server -> engine   JSON, a line each
        {"ended": ID, "returncode": N} or {"ended": ID, "failure": TEXT}

When the engine closes its end of the socket, or dies, the server kills all steps and ends.
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

UNSAFE_TO_FORK = frozenset({"tensorflow", "jax", "polars", "ray", "grpc", "pyspark", "cupy", "cudf"})
"""Libraries that start threads or drivers, which do not survive a fork."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""Environment variables that limit the threads of numerical libraries, which read them at their import."""

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""Operations of Linux's `prctl`: a signal when the parent dies; becoming the parent of orphans."""

STEP_VARIABLE = "KALE_STEP_OF"
"""An environment variable of a step and all programs that it starts: the server's and the step's number."""


class ForkServer:
    """Starts steps, and reports how they ended.

    Args:
        channel: The socket.
        settings: The first message.
    """

    def __init__(self, channel: socket.socket, settings: dict[str, Any]) -> None:
        self.channel, self.settings = channel, settings
        self.fork = settings["fork"] and UNSAFE_TO_FORK.isdisjoint(sys.modules)
        self.steps: dict[int, int] = {}  # process id to the engine's id of the step
        self.orphans: dict[int, set[int]] = {}  # process id to the steps that it may belong to
        self.own = child_processes()  # an import may have started them
        if sys.platform == "linux":
            LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.wakeup, self.waker = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(self.waker, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.waker)

    def serve(self) -> dict[str, Any] | None:
        """Serve until the engine closes the socket.

        Returns:
            None at the end; in a forked process, the message that starts its step.
        """
        selector = selectors.DefaultSelector()
        selector.register(self.channel, selectors.EVENT_READ)
        selector.register(self.wakeup, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is self.channel:
                    message, descriptors = receive(self.channel)
                    if message is None:
                        self.send_signal(signal.SIGKILL, list(self.steps.values()))
                        self.kill_orphans(set(self.steps.values()), every=True)
                        return None
                    if "signal" in message:
                        self.send_signal(message["signal"], message["steps"])
                    elif self.start(message, descriptors):
                        selector.close()
                        return message
                else:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.wakeup, 4096)
                    self.reap()

    def start(self, message: dict[str, Any], descriptors: list[int]) -> bool:
        """Start a step's process; True in that process, if it was forked."""
        try:
            os.stat(os.path.join(message["directory"], ""))
            process = fork() if self.fork else self.spawn(message, descriptors)
        except OSError as error:
            self.send({"ended": message["start"], "failure": str(error)})
            process = -1
        if process == 0:
            self.become_step(message, descriptors)
            return True
        close_all(descriptors)
        if process > 0:
            self.steps[process] = message["start"]
        return False

    def become_step(self, message: dict[str, Any], descriptors: list[int]) -> None:
        """Release what belongs to the server, and take the step's streams, directory and environment."""
        os.setsid()
        die_with_parent()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        self.channel.close()
        for stream, descriptor in enumerate(descriptors, start=1):
            os.dup2(descriptor, stream)
        close_all([*descriptors, self.wakeup, self.waker])
        os.chdir(message["directory"])
        os.environ.clear()
        os.environ.update(process_environment(message, os.getppid()))

    def spawn(self, message: dict[str, Any], descriptors: list[int]) -> int:
        """Start a fresh interpreter for a step, and return its process id."""
        command = [sys.executable, "-c", self.settings["bootstrap"], self.settings["worker"], message["task"]]
        process = subprocess.Popen(  # noqa: S603 - this interpreter with the engine's own text
            command,
            cwd=message["directory"],
            env=process_environment(message, os.getpid()),
            stdin=subprocess.DEVNULL,
            stdout=descriptors[0],
            stderr=descriptors[1],
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        process.returncode = 0  # `reap` waits for it
        return process.pid

    def reap(self) -> None:
        """Report the steps that have ended, and kill the processes that they have left."""
        for process, step in list(self.steps.items()):
            # Until a process is reaped, no other one gets its number: the group to kill is its own.
            if hasattr(os, "waitid"):
                if os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
                    continue
                kill(process, signal.SIGKILL)
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                kill(process, signal.SIGKILL)
                del self.steps[process]
                self.kill_orphans({step})
                self.send({"ended": step, "returncode": os.waitstatus_to_exitcode(status)})

    def kill_orphans(self, ended: set[int], every: bool = False) -> None:
        """Kill the processes that steps have left in sessions of their own; only on Linux.

        When a process dies, its children become children of the server. A program has the number of its step
        in its environment; a mere fork may belong to any step that ran at the same time.

        Args:
            ended: The ids of steps that have ended.
            every: Whether no step is running: all orphans are killed.
        """
        left = True
        while left:
            left = False
            for orphan in child_processes() - self.steps.keys() - self.own:
                server, _, step = step_mark(orphan).partition(":")
                if server == str(os.getpid()) and step.isdecimal():
                    owners = {int(step)}
                else:
                    owners = self.orphans.setdefault(orphan, {*self.steps.values(), *ended})
                owners -= ended
                if every or not owners:
                    left = True  # its own children become the server's next
                    kill(orphan, signal.SIGKILL)
                    with contextlib.suppress(ChildProcessError):
                        os.waitpid(orphan, 0)
                    self.orphans.pop(orphan, None)

    def send_signal(self, number: int, steps: list[int]) -> None:
        """Send a signal to steps and to all processes in their groups."""
        for process, step in self.steps.items():
            if step in steps:
                kill(process, number)

    def send(self, message: dict[str, Any]) -> None:
        """Send a message to the engine; `serve` notices if the engine has closed the socket."""
        with contextlib.suppress(OSError):
            self.channel.sendall(json.dumps(message).encode() + b"\n")


def fork() -> int:
    """Fork; return 0 in the new process, and its id in the old one."""
    with warnings.catch_warnings():
        # Python 3.12 warns of threads; those of numerical libraries are ready for a fork.
        warnings.simplefilter("ignore")
        return os.fork()


def kill(group: int, number: int) -> None:
    """Send a signal to a process group, if it still exists."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # not a group yet, or not any more
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(group, number)


def close_all(descriptors: list[int]) -> None:
    """Close descriptors, whether they are open or not."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def receive(channel: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Return the next message with its descriptors; None when the engine has closed the socket."""
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


def child_processes() -> set[int]:
    """Return the ids of this process's children; empty where the system does not list them."""
    found: set[int] = set()
    for place in os.listdir("/proc") if sys.platform == "linux" else ():
        if not place.isdecimal():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{place}/stat") as file:
            # The name, in parentheses, may have any characters in it (man 5 proc).
            if file.read().rpartition(")")[2].split()[1] == str(os.getpid()):
                found.add(int(place))
    return found


def step_mark(process: int) -> str:
    """Return the value of `STEP_VARIABLE` of a program; empty for a mere fork."""
    with contextlib.suppress(OSError), open(f"/proc/{process}/environ", "rb") as file:
        for entry in file.read().split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name == STEP_VARIABLE.encode():
                return value.decode("ascii", "replace")
    return ""


def process_environment(message: dict[str, Any], server: int) -> dict[str, str]:
    """Return the environment of a step's process, with its share of the threads if the user sets no limit."""
    environment: dict[str, str] = {**message["environment"], STEP_VARIABLE: f"{server}:{message['start']}"}
    if message["threads"] is not None and not any(name in environment for name in THREAD_VARIABLES):
        environment.update(dict.fromkeys(THREAD_VARIABLES, str(message["threads"])))
    return environment


def die_with_parent() -> None:
    """Have the system kill this process when its parent dies; only on Linux."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def preload(statements: list[str]) -> None:
    """Execute import statements; the step that needs one that fails here reports it."""
    for statement in ["import cloudpickle", *statements]:
        with contextlib.suppress(BaseException):  # an import may raise anything, SystemExit too
            exec(statement, {"__name__": "kale_imports"})
    gc.collect()
    gc.freeze()  # all steps share these objects: the garbage collector need not visit them


def limit_threads(message: dict[str, Any]) -> None:
    """Limit the thread pools of loaded libraries to the step's share, if the user sets no limit."""
    environment = message["environment"]
    limited = any(name in environment for name in THREAD_VARIABLES)
    if message["threads"] is None or limited or "numpy" not in sys.modules:
        return
    with contextlib.suppress(ImportError):
        import threadpoolctl

        threadpoolctl.threadpool_limits(message["threads"])


def run_worker(message: dict[str, Any], worker: dict[str, Any]) -> None:
    """Run a step in a forked process, and end as an interpreter does: wait for threads, close files."""
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()  # numbers that the imports drew do not affect this step
    limit_threads(message)
    sys.argv[:] = ["-c", "", message["task"]]
    code = 0
    try:
        worker["main"]()
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
    """Serve the engine over the socket whose descriptor is the second argument."""
    channel = socket.socket(fileno=int(sys.argv[2]))
    channel.setblocking(True)  # the notebook may have set another default for sockets
    settings, _ = receive(channel)
    if settings is None:
        return
    worker: dict[str, Any] = {"__name__": "kale_forked_worker", "__builtins__": {**vars(builtins)}}
    with open(settings["worker"], encoding="utf-8") as file:
        exec(compile(file.read(), settings["worker"], "exec"), worker)
    worker["UNPATCHED"]["copy_modules"](globals())
    if settings["fork"]:
        # Every step has the same runtime: it is compiled once.
        known = settings["runtime"], compile(settings["runtime"], "<kale step runtime>", "exec")
        worker["compile_program"] = lambda source, *more: (
            known[1]
            if more == ("<kale step runtime>", "exec") and source in (known[0], known[0].encode())
            else builtins.compile(source, *more)
        )
        worker["FILE_ACCESS"]["PRELOADED"].start()
        preload(settings["imports"])
        worker["FILE_ACCESS"]["PRELOADED"].stop(tuple(settings["install_folders"]))
    message = ForkServer(channel, settings).serve()
    if message is not None:
        run_worker(message, worker)


if __name__ == "kale_fork_server":
    main()
