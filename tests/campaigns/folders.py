"""A folder of runs that is damaged, or came from elsewhere, breaks no magic, no later run and no answer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.campaigns import Try
from tests.campaigns.playing import run_cells, session, tracebacks_of_ours

FILES = (
    "run.json check.json load/result.json load/cache.json load/uses.jsonl load/log.txt load/program.py"
    " load/arguments.json load/outputs/out_rows"
).split()

HARMS: dict[str, Callable[[Path], object]] = {
    "is gone": lambda path: path.unlink(),
    "is empty": lambda path: path.write_bytes(b""),
    "is cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "has another byte": lambda path: path.write_bytes(_other_byte(path.read_bytes())),
    "is no text": lambda path: path.write_bytes(b"\xff\xfe\x00" * 20),
    "is null": lambda path: path.write_bytes(b"null"),
    "is a list": lambda path: path.write_bytes(b"[]"),
    "is an empty object": lambda path: path.write_bytes(b"{}"),
    "has wrong types": lambda path: path.write_bytes(b'{"state": 3, "steps": [], "entry": 1, "started": {}}'),
    "is a folder": lambda path: (path.unlink(), path.mkdir()),
    "is a link to nowhere": lambda path: (path.unlink(), path.symlink_to("nowhere")),
    "is a link to itself": lambda path: (path.unlink(), path.symlink_to(path.name)),
    "cannot be read": lambda path: path.chmod(0),
    "leads out": lambda path: path.write_bytes(path.read_bytes().replace(b'"load"', b'"../../../load"')),
}

CELLS = [
    "%%kale step load\nrows = [1, 2]\nprint('loaded')",
    "%%kale step add\ntotal = sum(rows)\nprint('RESULT', total)",
]
AFTER = [
    "%kale",
    "%kale_runs",
    "%kale_logs load",
    "run = %kale_run",
    "run.outputs['load']['rows']",
    "run.check",
    "%kale_clean --keep 1",
]


def _other_byte(content: bytes) -> bytes:
    place = len(content) // 3
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :] if content else b"x"


def tries() -> Iterator[Try]:
    """Each harm to each file."""
    for file in FILES:
        for name, harm in HARMS.items():
            yield Try(f"{file} {name}", partial(_one, file, harm))


def _one(file: str, harm: Callable[[Path], object]) -> list[str]:
    with session() as shell:
        before = run_cells(shell, [*CELLS, "%kale_run"])
        (place,) = Path(".kale/runs").iterdir()
        if not (place / file).exists():
            return [f"there is no {file}"]
        harm(place / file)
        outcomes = run_cells(shell, AFTER)
    complaints = tracebacks_of_ours([*before, *outcomes])
    for cell, outcome in zip(AFTER, outcomes, strict=True):
        if "KALE901" in outcome.printed or (not outcome.success and "KALE" not in outcome.printed):
            complaints.append(f"{cell}: {outcome.printed[-400:]}")
    if "RESULT 3" not in outcomes[3].printed:
        complaints.append(f"the next run: {outcomes[3].printed[-400:]}")
    elif outcomes[4].success and outcomes[4].result != [1, 2]:
        complaints.append(f"a value is {outcomes[4].result!r}")
    for path in (Path("load"), Path("../load")):
        if path.exists():
            complaints.append(f"something was written to {path}")
            shutil.rmtree(path, ignore_errors=True)
    os.chmod(".kale", 0o700)
    return complaints
