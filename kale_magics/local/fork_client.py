"""The engine's end of the fork server: starts it, keeps it for the next run, and reads how steps ended."""

from __future__ import annotations

import ast
import atexit
import contextlib
import importlib.util
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kale_magics.local.fork_server import STEP_VARIABLE
from kale_magics.model.distributions import INSTALL_FOLDERS, installation_stamp
from kale_magics.model.pipeline import Pipeline
from kale_magics.model.program import runtime_source
from kale_magics.step_runtime.unpatched import from_json, to_json

SERVER, WORKER = (Path(__file__).with_name(f"{name}.py") for name in ("fork_server", "worker"))

# The file's imports come before the notebook's folder is on the path: its json.py is not the library's.
BOOTSTRAP = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; "
    "exec(compile(open(sys.argv[1], 'rb').read(), sys.argv[1], 'exec'),"
    " {'__name__': 'kale_NAME', '__builtins__': {**vars(__import__('builtins'))}})"
)

PROCESS_SCANS = 2
"""How often the processes of the system are searched for those of steps."""

MAX_SHUTDOWN = 1.0
"""Seconds that the server has to end by itself."""

SIDE_EFFECT_NAMES = frozenset(
    {"os", "sys", "environ", "putenv", "site", "importlib", "load_dotenv", "get_ipython"}
)
"""Names in statements that may change what later imports do."""


def shared_imports(pipeline: Pipeline) -> tuple[str, ...]:
    """Return the import statements that can be executed once for all steps.

    Args:
        pipeline: Only its imports cells are searched, each up to the first statement that may change what an
            import does, such as one that sets an environment variable.

    Returns:
        Statements that import installed modules, each once.
    """
    found: dict[str, None] = {}
    for cell in dict.fromkeys(code for step in pipeline.steps for code in step.setup):
        if cell.kind == "imports":
            found |= dict.fromkeys(_shared_imports_in(cell.source))
    return tuple(found)


def _shared_imports_in(source: str) -> Iterator[str]:
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ImportFrom):
            module = "" if statement.level else statement.module or ""
            if module != "__future__" and is_installed_module(module.partition(".")[0]):
                yield ast.unparse(statement)
        elif isinstance(statement, ast.Import):
            if all(is_installed_module(alias.name.partition(".")[0]) for alias in statement.names):
                yield ast.unparse(statement)
        else:
            names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
            names |= {n.attr for n in ast.walk(statement) if isinstance(n, ast.Attribute)}
            if not names.isdisjoint(SIDE_EFFECT_NAMES):
                return


def is_installed_module(module: str) -> bool:
    """Whether a module belongs to this Python: to the standard library, or to an installed distribution."""
    if module in sys.builtin_module_names:
        return True
    try:
        spec = importlib.util.find_spec(module) if module else None
    except (ImportError, ValueError):
        return False
    if spec is not None and spec.origin == "frozen":
        return True
    places = list(spec.submodule_search_locations or ()) if spec else []
    places += [spec.origin] if spec and spec.origin and not places else []
    return bool(places) and all(
        any(p.startswith(f"{folder}{os.sep}") for folder in INSTALL_FOLDERS) for p in places
    )


class ForkServerClient:
    """A connection to a fork server of its own.

    Args:
        imports: The statements that the server executes first.
        environment: The server's environment.
        fork: Whether steps are forked; else each starts a fresh interpreter.

    Attributes:
        imports: The statements that the server has executed.
        settings: What else decides whether another run can use the server.
        socket: Readable when a step, or the server itself, has ended.
        alive: False when the server has ended.
    """

    def __init__(self, imports: Sequence[str], environment: Mapping[str, str], fork: bool) -> None:
        self.imports = frozenset(imports)
        self.settings = dict(environment), fork, installation_stamp()
        self.socket, theirs = socket.socketpair()
        self.socket.setblocking(True)  # the notebook may have set another default for sockets
        self.alive = True
        self._unread = b""
        with theirs:
            command = [sys.executable, "-c", BOOTSTRAP.replace("NAME", "fork_server"), str(SERVER)]
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter with this package's own text
                [*command, str(theirs.fileno())],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._send({
            "imports": list(imports),
            "runtime": runtime_source(),
            "worker": str(WORKER),
            "bootstrap": BOOTSTRAP.replace("NAME", "worker"),
            "fork": fork,
            "install_folders": INSTALL_FOLDERS,
        })  # fmt: skip

    def start(
        self,
        step: int,
        task: Path,
        directory: Path,
        environment: Mapping[str, str],
        threads: int | None,
        streams: Sequence[int],
    ) -> None:
        """Start a step.

        Args:
            step: The step's id in `read_ended`.
            task: Its `arguments.json`.
            directory: Its working directory.
            environment: Its environment.
            threads: How many threads numerical libraries may use; None for no limit.
            streams: Descriptors for its stdout and stderr.
        """
        message = {
            "start": step, "task": str(task), "directory": str(directory),
            "environment": dict(environment), "threads": threads,
        }  # fmt: skip
        self._send(message, streams)

    def send_signal(self, number: signal.Signals, steps: Iterable[int]) -> None:
        """Send a signal to steps, and to all processes in their groups."""
        self._send({"signal": int(number), "steps": list(steps)})

    def read_ended(self) -> list[dict[str, Any]]:
        """Return the messages of the server about steps that have ended (`fork_server`)."""
        try:
            chunk = self.socket.recv(1 << 16)
        except ConnectionError:
            chunk = b""
        self.alive = bool(chunk)
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        return [from_json(line) for line in lines]

    def close(self) -> None:
        """End the server, and all steps that are running."""
        self.alive = False
        self.socket.close()
        try:
            self._process.wait(MAX_SHUTDOWN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        kill_leftovers(self._process.pid)

    def _send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        body = to_json(message).encode()
        # `read_ended` notices that the server has died.
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            socket.send_fds(self.socket, [struct.pack("!Q", len(body))], descriptors)
            self.socket.sendall(body)


def kill_leftovers(server: int) -> None:
    """Kill the processes that the steps of a server have left when it ended or was killed; only on Linux."""
    mark = f"{STEP_VARIABLE}={server}:".encode()
    # The list changes while it is read: a process that is started meanwhile may not be in it.
    for _ in range(PROCESS_SCANS if sys.platform == "linux" else 0):
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # another user's, or it has just ended
                if any(entry.startswith(mark) for entry in (place / "environ").read_bytes().split(b"\0")):
                    os.kill(int(place.name), signal.SIGKILL)


_idle: list[ForkServerClient] = []
"""The server of the last run."""


def acquire_server(pipeline: Pipeline, environment: Mapping[str, str], fork: bool) -> ForkServerClient:
    """Return the server of the last run if this pipeline can use it, else a new one; see `release_server`."""
    imports = shared_imports(pipeline) if fork else ()
    while _idle:
        server = _idle.pop()
        same = server.settings == (dict(environment), fork, installation_stamp())
        if server.alive and same and server.imports.issuperset(imports):
            return server
        server.close()
    return ForkServerClient(imports, environment, fork)


def release_server(server: ForkServerClient) -> None:
    """Keep a server without running steps for the next run."""
    if server.alive:
        _idle.append(server)
    else:
        server.close()


@atexit.register
def close_servers() -> None:
    """End the servers that are kept."""
    while _idle:
        _idle.pop().close()
