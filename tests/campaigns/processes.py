"""No process outlives a run: whatever a step has started, and however the step ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.campaigns import Try
from tests.campaigns.playing import run_cells, session, tracebacks_of_ours

STARTS = {
    "a child": "p = subprocess.Popen(['sleep', '600']).pid",
    "a session": "p = subprocess.Popen(['sleep', '600'], start_new_session=True).pid",
    "a shell's child": "os.system('sleep 600 & echo $! > pid.txt')\np = int(open('pid.txt').read())",
    "a shell's session": "os.system('setsid sleep 600 & echo $! > pid.txt')\np = int(open('pid.txt').read())",
    "no hang-up": (
        "os.system('nohup sleep 600 > /dev/null 2>&1 & echo $! > pid.txt')\np = int(open('pid.txt').read())"
    ),
    "one that ignores signals": (
        "p = subprocess.Popen([sys.executable, '-c', 'import signal, time; signal.signal(15, signal.SIG_IGN);"
        " signal.signal(2, signal.SIG_IGN); time.sleep(600)'], start_new_session=True).pid"
    ),
    "a fork": "p = os.fork()\nif not p:\n    time.sleep(600)\n    os._exit(0)",
    "a fork in a session": "p = os.fork()\nif not p:\n    os.setsid()\n    time.sleep(600)\n    os._exit(0)",
    "a process of multiprocessing": (
        "import multiprocessing as m\n"
        "q = m.get_context('fork').Process(target=time.sleep, args=(600,), daemon=False)\n"
        "q.start()\np = q.pid\nm.process._children.clear()"
    ),
    "a chain": (
        "p = subprocess.Popen(['sh', '-c', 'setsid sh -c \"setsid sleep 600\"'], start_new_session=True).pid"
    ),
}
ENDS = {
    "it ends": "",
    "it fails": "1 / 0",
    "it exits": "sys.exit(3)",
    "it is killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "it crashes": "os.abort()",
    "it takes too long": "time.sleep(600)",
}


def tries() -> Iterator[Try]:
    """Each start with each end."""
    for name, start in STARTS.items():
        for how, end in ENDS.items():
            yield Try(f"{name}, {how}", partial(_one, start, end))


def _one(start: str, end: str) -> list[str]:
    timeout = " --timeout 1s" if "600" in end else ""
    cells = [
        f"%%kale step go --no-run{timeout}\nimport os, signal, subprocess, sys, time\n{start}\n"
        f"print('pid', p, flush=True)\nopen('started', 'w').write(str(p))\n{end}",
        "%kale_run",
    ]
    with session() as shell:
        outcomes = run_cells(shell, cells)
    complaints = tracebacks_of_ours(outcomes)
    if not Path("started").exists():
        return [f"it has not started: {outcomes[1].printed[-300:]}"]
    here = Path.cwd()
    for place in Path("/proc").glob("[0-9]*") if sys.platform == "linux" else ():
        if _is_of(place, here):
            complaints.append(f"it lives on: {place.name} {(place / 'cmdline').read_bytes()[:60]!r}")
            os.kill(int(place.name), signal.SIGKILL)
    return complaints


def _is_of(place: Path, folder: Path) -> bool:
    """Whether a process runs in a folder, and is none of this one."""
    try:
        state = (place / "stat").read_text().rpartition(")")[2].split()[0]
        inside = Path(os.readlink(place / "cwd")) == folder
    except OSError:
        return False
    sleeps = b"600" in (place / "cmdline").read_bytes() or b"time.sleep" in (place / "cmdline").read_bytes()
    return inside and state != "Z" and sleeps and int(place.name) != os.getpid()
