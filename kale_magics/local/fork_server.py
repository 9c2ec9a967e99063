"""The engine's end of the server of steps: starts it, keeps it for the next run, and hears how steps end."""

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

from kale_magics.local.keeper import MARK
from kale_magics.model.distributions import INSTALL_FOLDERS, installation_stamp
from kale_magics.model.pipeline import Pipeline
from kale_magics.model.program import runtime_source
from kale_magics.step_runtime.fixed import from_json, to_json

KEEPER, LAUNCHER = (Path(__file__).with_name(f"{name}.py") for name in ("keeper", "launcher"))

# What it executes imports before the notebook's folder is on the path: a json.py there is not the library's.
BOOTSTRAP = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; "
    "exec(compile(open(sys.argv[1], 'rb').read(), sys.argv[1], 'exec'),"
    " {'__name__': 'kale_NAME', '__builtins__': {**vars(__import__('builtins'))}})"
)

LOOKS = 2
"""How often the processes of the system are looked through for those of steps."""

PATIENCE = 1.0
"""Seconds that the server has to end by itself."""

SURROUNDINGS = frozenset(
    {"os", "sys", "environ", "putenv", "site", "importlib", "load_dotenv", "get_ipython"}
)
"""Names in statements after which an import may do something else than without them."""


def imports_of(pipeline: Pipeline) -> tuple[str, ...]:
    """The import statements that can be executed once for all steps.

    Args:
        pipeline: Its imports cells are looked at, down to the first statement that may change what an import
            does, as one that sets the environment.

    Returns:
        Statements that import installed modules, each once.
    """
    found: dict[str, None] = {}
    for cell in dict.fromkeys(code for step in pipeline.steps for code in step.setup):
        if cell.filename.startswith("imports, "):
            found |= dict.fromkeys(_imports_in(cell.source))
    return tuple(found)


def _imports_in(source: str) -> Iterator[str]:
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
            if not names.isdisjoint(SURROUNDINGS):
                return


def is_installed_module(module: str) -> bool:
    """Whether a module belongs to this Python: to its standard library, or to what is installed there."""
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
        any(p.startswith(f"{home}{os.sep}") for home in INSTALL_FOLDERS) for p in places
    )


class StepServer:
    """A process from which steps are forked.

    Args:
        imports: What it executes first.
        environment: Its environment.
        fork: Whether steps are forked, or each starts a fresh interpreter.

    Attributes:
        imports: What it has executed.
        surroundings: What else tells it from another server.
        socket: Becomes readable when a step has ended, or the server itself.
        alive: False when the server has ended.
    """

    def __init__(self, imports: Sequence[str], environment: Mapping[str, str], fork: bool) -> None:
        self.imports = frozenset(imports)
        self.surroundings = dict(environment), fork, installation_stamp()
        self.socket, theirs = socket.socketpair()
        self.socket.setblocking(True)  # whatever the notebook has set for all sockets
        self.alive = True
        self._heard = b""
        with theirs:
            command = [sys.executable, "-c", BOOTSTRAP.replace("NAME", "keeper"), str(KEEPER)]
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
            "launcher": str(LAUNCHER),
            "bootstrap": BOOTSTRAP.replace("NAME", "launcher"),
            "fork": fork,
            "homes": INSTALL_FOLDERS,
        })  # fmt: skip

    def begin(
        self,
        number: int,
        task: Path,
        directory: Path,
        environment: Mapping[str, str],
        threads: int | None,
        streams: Sequence[int],
    ) -> None:
        """Start a step.

        Args:
            number: What it is called in `ended`.
            task: Its `arguments.json`.
            directory: Where it runs.
            environment: Its environment.
            threads: How many threads libraries for numbers may use; None for as many as they like.
            streams: Descriptors for what it prints, to stdout and to stderr.
        """
        message = {
            "begin": number, "task": str(task), "directory": str(directory),
            "environment": dict(environment), "threads": threads,
        }  # fmt: skip
        self._send(message, streams)

    def send_signal(self, number: signal.Signals, steps: Iterable[int]) -> None:
        """Send a signal to steps, and to all that they have started."""
        self._send({"signal": int(number), "steps": list(steps)})

    def ended(self) -> list[dict[str, Any]]:
        """What the server has told, as `keeper` describes it: steps that have ended."""
        try:
            chunk = self.socket.recv(1 << 16)
        except ConnectionError:
            chunk = b""
        self.alive = bool(chunk)
        *lines, self._heard = (self._heard + chunk).split(b"\n")
        return [from_json(line) for line in lines]

    def close(self) -> None:
        """End it, and with it all steps that still run."""
        self.alive = False
        self.socket.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        end_strays(self._process.pid)

    def _send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        body = to_json(message).encode()
        # A server that has died is noticed by who waits for it.
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            socket.send_fds(self.socket, [struct.pack("!Q", len(body))], descriptors)
            self.socket.sendall(body)


def end_strays(server: int) -> None:
    """End what the steps of a server that has ended, or was killed, have left behind; only Linux tells it."""
    mark = f"{MARK}={server}:".encode()
    # The list changes while it is read: a process that is started meanwhile may not be in it.
    for _ in range(LOOKS if sys.platform == "linux" else 0):
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # another user's, or it has just ended
                if any(entry.startswith(mark) for entry in (place / "environ").read_bytes().split(b"\0")):
                    os.kill(int(place.name), signal.SIGKILL)


_kept: list[StepServer] = []


def take_server(pipeline: Pipeline, environment: Mapping[str, str], fork: bool) -> StepServer:
    """The server of the last run if it serves this pipeline too, else a new one; `give_back` keeps it."""
    imports = imports_of(pipeline) if fork else ()
    while _kept:
        server = _kept.pop()
        same = server.surroundings == (dict(environment), fork, installation_stamp())
        if server.alive and same and server.imports.issuperset(imports):
            return server
        server.close()
    return StepServer(imports, environment, fork)


def give_back(server: StepServer) -> None:
    """Keep a server, which has nothing to do, for the next run."""
    if server.alive:
        _kept.append(server)
    else:
        server.close()


@atexit.register
def close_servers() -> None:
    """End the servers that are kept."""
    while _kept:
        _kept.pop().close()
