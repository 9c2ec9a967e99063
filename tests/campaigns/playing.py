"""How a try is played: in a fork of its own, in a folder of its own, within a time."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection

from tests.campaigns import Try
from tests.shells import Outcome, Shell, fresh_shell

TIMEOUT = 60
"""Seconds after which a try hangs."""

OURS = re.compile(r"/kale_magics/[a-z_/]+\.py|kale_magics[\w/]*/\w+\.py:\d+")
"""What stands in a traceback of ours."""


def play(tried: Try) -> list[str]:
    """The complaints of a try."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_play, args=(tried, theirs))
    process.start()
    theirs.close()
    try:
        answer = ours.recv_bytes() if ours.poll(TIMEOUT) else json.dumps([f"it hangs for {TIMEOUT} s"])
    except EOFError:
        return ["its process died"]
    else:
        found: list[str] = json.loads(answer)
        return found
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.join()


def _play(tried: Try, answer: Connection) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            complaints = tried.play()
        except Exception:
            complaints = [f"it raises:\n{traceback.format_exc()}"]
        os.chdir("/")
    answer.send_bytes(json.dumps(complaints).encode())


@contextlib.contextmanager
def session() -> Iterator[Shell]:
    """A shell with the extension; what it prints is read from a file, whoever prints it."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        end = 0

        def read() -> str:
            nonlocal end
            sys.stdout.flush()
            sys.stderr.flush()
            text = os.pread(file.fileno(), os.fstat(file.fileno()).st_size - end, end)
            end += len(text)
            return text.decode("utf-8", "replace")

        with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file), fresh_shell(read) as shell:
            shell.run("%load_ext kale_magics")
            yield shell


def run_cells(shell: Shell, cells: Sequence[str]) -> list[Outcome]:
    """What comes of cells."""
    outcomes = []
    for cell in cells:
        try:
            outcomes.append(shell.run(cell))
        except RecursionError as error:  # IPython lets it through
            outcomes.append(Outcome(False, None, "", error))
    return outcomes


def tracebacks_of_ours(outcomes: Sequence[Outcome]) -> list[str]:
    """Complaints about what shows code of the package."""
    return [f"a traceback of ours:\n{o.printed[-1500:]}" for o in outcomes if OURS.search(o.printed)]
