"""`python -m tests.probe`: probe the libraries again, and show what differs from the data in the tree."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kale_magics.analysis.library_effects import has_old_pandas
from tests.probe import data
from tests.probe.modules import MODULES

ROOT = Path(__file__).parents[2]

MAX_IDLE_SECONDS = 300
"""A worker that writes nothing for so long waits for something: it is stopped, and the next one goes on."""

POLL_SECONDS = 0.2


def main() -> int:
    """Probe as the command line says; the exit code is 1 if something differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.probe", description=__doc__)
    parser.add_argument(
        "libraries", nargs="*", default=[], metavar="LIBRARY", help=f"of {', '.join(MODULES)}"
    )
    parser.add_argument("--update", action="store_true", help="write the data")
    parser.add_argument("--coverage", action="store_true", help="print how many callables could be called")
    asked = parser.parse_args()
    libraries = asked.libraries or list(MODULES)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(
            zip(libraries, pool.map(lambda name: probed(name, Path(folder)), libraries), strict=True)
        )
    if asked.coverage:
        for name, lines in found.items():
            print(coverage(name, lines))
    new = {
        key: text
        for library, lines in found.items()
        for key, text in data.facts(lines).items()
        if library_of(key) == library
    }
    return compare(new, libraries, asked.update)


def compare(new: data.Facts, libraries: Sequence[str], update: bool) -> int:
    """Show what differs from the data in the tree, and write it if that is asked for."""
    differing = 0
    paths = {data.DATA: [name for name in libraries if name != "pandas" or not has_old_pandas()]}
    if has_old_pandas() and "pandas" in libraries:
        paths[data.OLD_PANDAS] = ["pandas"]
    for path, of in paths.items():
        differing += _compare(path, {k: v for k, v in new.items() if library_of(k) in of}, of, update)
    if not differing:
        print("Nothing differs from the data in the tree.")
    return 1 if differing and not update else 0


def _compare(path: Path, new: data.Facts, libraries: Sequence[str], update: bool) -> int:
    """Show what differs from one file; how many facts do."""
    stored = data.read(path)
    old = dict(data.stored_facts(stored))
    kept = {key: text for key, text in old.items() if library_of(key) not in libraries}
    changed = data.as_data(new | kept, data.versions(libraries, stored.get("versions", {})))
    lines = list(data.differences(old, dict(data.stored_facts(changed))))
    for line in lines:
        print(line)
    if update:
        data.write(changed, path)
    return len(lines)


def library_of(key: str) -> str:
    """Whose fact it is."""
    first = key.partition(" ")[2].partition(".")[0]
    return first if first in MODULES else "matplotlib" if first == "mpl_toolkits" else "stdlib"


def coverage(library: str, lines: Sequence[data.Line]) -> str:
    """How many of the public callables could be called."""
    named = {line["name"] for line in lines if line["what"] in ("function", "method")}
    called = {line["name"] for line in lines if "effects" in line}
    return f"{library}: {len(called)} of {len(named)} callables were called"


def probed(library: str, folder: Path, only: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the lines that workers write for a library, started again after each that had to be stopped."""
    output = folder / f"{library}.jsonl"
    work = folder / library
    work.mkdir()
    while _run(library, output, work, only):
        pass
    return list(read_lines(output))


def read_lines(output: Path) -> Iterator[dict[str, Any]]:
    """The lines that workers wrote."""
    for line in output.read_text("utf-8").splitlines() if output.exists() else ():
        yield json.loads(line)


def last_name(output: Path) -> str:
    """What was being probed when the worker was stopped."""
    return str(list(read_lines(output))[-1]["name"])


def _run(library: str, output: Path, work: Path, only: Sequence[str]) -> bool:
    """Run a worker until it ends or is idle; whether another one has to go on after that."""
    own = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "HOME": str(work), "MPLCONFIGDIR": str(work)}
    environment = {**os.environ, **own, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    before = output.stat().st_size if output.exists() else 0
    command = [sys.executable, "-m", "tests.probe.worker", library, str(output), *only]
    with subprocess.Popen(command, cwd=work, env=environment, stdin=subprocess.DEVNULL) as worker:
        size, since = before, time.monotonic()
        while worker.poll() is None:
            time.sleep(POLL_SECONDS)
            now = output.stat().st_size if output.exists() else 0
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > MAX_IDLE_SECONDS:
                worker.kill()
    if worker.returncode and size == before:
        raise RuntimeError(f"The worker that probes {library} failed before it had probed anything.")
    if worker.returncode:
        print(f"{library}: {last_name(output)} does not end, or ends the process", file=sys.stderr)
    return bool(worker.returncode)


if __name__ == "__main__":
    sys.exit(main())
