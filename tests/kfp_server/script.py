"""Runs whose states, logs and artifacts are data: nothing is executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = "<the folder of the run's artifacts>"
"""What stands for it in a scripted log."""


@dataclass(frozen=True)
class Attempt:
    """What an attempt at a task leaves.

    Attributes:
        log: What it prints.
        succeeds: Whether it does; after one that does not comes the next, if there is one.
        files: Its artifacts, by their places in the folder of the run's artifacts.
    """

    log: str = ""
    succeeds: bool = True
    files: Mapping[str, bytes] = field(default_factory=dict)


Script = Mapping[str, Attempt | tuple[Attempt, ...]]
"""The attempts at each task; a task that is not there succeeds and leaves nothing."""


def events(needs: Mapping[str, list[str]], script: Script, root: Path) -> Iterator[dict[str, Any]]:
    """What the process of a run would report.

    Args:
        needs: The tasks, and those that each comes after.
        script: What comes of them.
        root: The folder of the run's artifacts.
    """
    done = dict.fromkeys(needs, False)
    succeeds = True
    while succeeds and not all(done.values()):
        task = next(task for task in needs if not done[task] and all(done[need] for need in needs[task]))
        done[task] = True
        yield {"event": "task", "task": task}
        attempts = script.get(task, Attempt())
        for attempt in attempts if isinstance(attempts, tuple) else (attempts,):
            yield {"event": "ready", "task": task}
            yield {"event": "log", "task": task, "text": attempt.log.replace(ROOT, str(root))}
            yield {"event": "exit", "task": task, "code": int(not attempt.succeeds)}
            succeeds = attempt.succeeds
            if succeeds:
                break
        outputs = {Path(place).name: str(root / place) for place in attempt.files}
        for place, content in attempt.files.items():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).write_bytes(content)
        yield {"event": "done", "task": task, "ok": succeeds, "cached": False, "outputs": outputs}
    yield {"event": "end", "task": "", "error": ""}
