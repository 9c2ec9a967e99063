"""Runs whose states, logs and artifacts are data: nothing is executed.

After a failure, tasks that need nothing of the failed one still run. That was observed while something else
was running, and a real server starts all tasks that can run at the same time; here they run one after the
other. No recording shows it: it is an assumption.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.kfp_server.pod_states import USUAL, PodState, recorded_pods, recorded_state

ROOT = "<the folder of the run's artifacts>"
"""What stands for it in a scripted log."""


@dataclass(frozen=True)
class Attempt:
    """What an attempt at a task leaves.

    Attributes:
        log: What it prints.
        succeeds: Whether it does; after one that does not comes the next, if there is one.
        files: Its artifacts, by their places in the folder of the run's artifacts.
        pod: What Kubernetes says of its pod, and what the page shows as its log.
        is_cached: Whether the server takes the task from its cache: then there is no pod, and no log.
    """

    log: str = ""
    succeeds: bool = True
    files: Mapping[str, bytes] = field(default_factory=dict)
    pod: PodState = USUAL
    is_cached: bool = False


Script = Mapping[str, Attempt | tuple[Attempt, ...]]
"""The attempts at each task; a task that is not there succeeds and leaves nothing.

Where nodes are wrapped, only the first attempt counts: Argo's policy there is OnError, and a step that
fails is no error.
"""


def recorded(name: str, **changes: Any) -> Attempt:
    """The attempt of a pod of tests/recordings/pods.json.

    Args:
        name: What happened to it, such as "out_of_memory".
        changes: Other values of the attempt's fields.
    """
    pod = recorded_pods()[name]
    attempt = Attempt(pod.get("api_log", ""), pod["status"]["phase"] == "Succeeded", pod=recorded_state(name))
    return replace(attempt, **changes)


def page_order(attempt: Attempt) -> Attempt:
    """The same attempt with a log that the page shows in another order.

    Argo captures stdout and stderr apart. In succeeded.json, the launcher's lines stand after the marker that
    the step begins, and before what the step prints.
    """
    lines = recorded_pods()["succeeded"]["page_log"].splitlines(keepends=True)
    begins = next(number for number, line in enumerate(lines) if "step begins" in line)
    ends = next(number for number, line in enumerate(lines) if number > begins and line == "}\n") + 1
    first, _, rest = attempt.log.partition("\n")
    log = "".join([*lines[:begins], f"{first}\n", *lines[begins + 1 : ends], rest, *lines[ends + 2 :]])
    return replace(attempt, pod=replace(attempt.pod, page_log=log))


@dataclass
class Player:
    """Plays the script of a run.

    Args:
        needs: The tasks, and those that each comes after.
        script: What comes of them.
        root: The folder of the run's artifacts.
        cached: The tasks that the server takes from its cache, whatever the script says.
        retries: Whether a task that fails is tried again.
    """

    needs: Mapping[str, list[str]]
    script: Script
    root: Path
    cached: Collection[str] = ()
    retries: bool = True

    def events(self) -> Iterator[dict[str, Any]]:
        """What the process of a run would report."""
        done: dict[str, bool] = {}
        stuck: set[str] = set()
        while ready := [task for task in self.needs if task not in done and self._is_ready(task, done)]:
            task = ready[0]
            attempts = self.script.get(task, Attempt())
            attempts = attempts if isinstance(attempts, tuple) else (attempts,)
            yield {"event": "task", "task": task}
            last = yield from self._attempts(task, attempts if self.retries else attempts[:1])
            done[task] = last.pod.starts and last.succeeds
            if last.pod.starts or last.is_cached:
                yield self._done(task, last)
            else:
                stuck.add(task)
        if stuck:
            yield {"event": "stuck", "task": min(stuck)}
        yield {"event": "end", "task": "", "error": ""}

    def _is_ready(self, task: str, done: Mapping[str, bool]) -> bool:
        """Whether all that a task needs has succeeded."""
        return all(done.get(need) for need in self.needs[task])

    def _is_cached(self, task: str, attempt: Attempt) -> bool:
        """Whether the server takes a task from its cache."""
        return attempt.is_cached or task in self.cached

    def _attempts(self, task: str, attempts: tuple[Attempt, ...]) -> Generator[dict[str, Any], None, Attempt]:
        """What is reported of the attempts at a task, until one succeeds; the last one is returned."""
        for attempt in attempts:
            if self._is_cached(task, attempt):
                return attempt
            yield {"event": "ready", "task": task, "pod": attempt.pod}
            if not attempt.pod.starts:
                return attempt
            yield {"event": "log", "task": task, "text": attempt.log.replace(ROOT, str(self.root))}
            yield {"event": "exit", "task": task, "code": int(not attempt.succeeds)}
            if attempt.succeeds:
                break
        return attempt

    def _done(self, task: str, attempt: Attempt) -> dict[str, Any]:
        """That a task has ended, with its artifacts written."""
        outputs = {Path(place).name: str(self.root / place) for place in attempt.files}
        for place, content in attempt.files.items():
            (self.root / place).parent.mkdir(parents=True, exist_ok=True)
            (self.root / place).write_bytes(content)
        is_cached = self._is_cached(task, attempt)
        return {
            "event": "done",
            "task": task,
            "ok": attempt.succeeds,
            "cached": is_cached,
            "outputs": outputs,
        }
