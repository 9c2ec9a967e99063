"""Forks Python programs from a process that has imported what KFP's tasks import.

    python -I server.py ADDRESS

The client, `python`, sends the arguments, the folder, the environment and the streams of a program. A program
ends when its client does, and the server ends with its standard input.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import runpy
import select
import signal
import socket
import sys
import threading
from pathlib import Path

os.environ["_KFP_RUNTIME"] = "true"  # as in a pod, where kfp does not import its compiler

import kfp.dsl.executor
import kfp.dsl.kfp_config  # noqa: F401  executor_main, which runs as the program, imports these two
import packaging.requirements  # noqa: F401  for the pip of tests/stand_ins

STAND_INS = str(Path(__file__).parents[1] / "stand_ins")

Program = tuple[list[str], str, dict[str, str]]
"""A module with its arguments, the folder, and the environment."""


def serve(listener: socket.socket) -> Program:
    """Accept clients until the standard input ends; return in each process that is to run a program."""
    while 0 not in select.select([0, listener], [], [])[0]:
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            return receive(connection)
        connection.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    sys.exit()


def receive(connection: socket.socket) -> Program:
    """Fork the process of a program; this one waits for its end, and reports it to the client."""
    header, streams, *_ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as file:
        program: Program = marshal.loads(file.read(int.from_bytes(header, "big")))
    os.setsid()
    process = os.fork()
    if not process:
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        return program
    for stream in streams:
        os.close(stream)
    threading.Thread(target=end_with, args=(connection,), daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with contextlib.suppress(OSError):
        connection.sendall(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def end_with(connection: socket.socket) -> None:
    """End the program, and this process with it, when its client has ended."""
    if not connection.recv(1):
        os.killpg(0, signal.SIGKILL)


gc.freeze()
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen(64)
    print("listening", flush=True)
    (module, *arguments), folder, environment = serve(listener)
os.environ.clear()
os.environ.update(environment)
os.chdir(folder)
sys.path[:0] = [folder, STAND_INS, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
sys.argv[1:] = arguments
runpy.run_module(module, run_name="__main__", alter_sys=True)
