"""Follows a run on a server, and reports the same events as the local engine."""

from __future__ import annotations

import time
from collections import Counter

from kale_magics.execution.events import (
    LinePrinted,
    Listener,
    RunStarted,
    TaskBlocked,
    TaskEnded,
    TaskStarted,
    Ticked,
)
from kale_magics.execution.run import Run, TaskRun
from kale_magics.kubeflow import server_source
from kale_magics.kubeflow.client import MAX_RETRY_FOLLOWING
from kale_magics.kubeflow.server_source import ServerSource
from kale_magics.model.task_id import TaskId

LOGS_EVERY = 5
"""Requests for the state of a run between two requests for the logs of running tasks."""

MAX_LATE_LOGS = 3
"""Requests for the log of a task that has ended: a cluster may complete the log later."""


class Follower:
    """Follows a run.

    Args:
        run: The run.
        source: Its source.
        listener: Receives every event.
    """

    def __init__(self, run: Run, source: ServerSource, listener: Listener) -> None:
        self.run, self.source, self.emit = run, source, listener
        self.begun: set[TaskId] = set()
        self.ended: set[TaskId] = set()
        self.printed: dict[TaskId, list[str]] = {}
        self.rounds = 0
        self.late: Counter[TaskId] = Counter()

    def follow(self) -> None:
        """Report all events to the run's end.

        Raises:
            KaleError: The server is down for too long, or authorization fails.
        """
        self.source.followed = True
        try:
            self.emit(RunStarted(self.run))
            while True:
                self.source.refresh(self.run, MAX_RETRY_FOLLOWING)
                self.report()
                if self.run.known_state != "running" and self.ended.issuperset(self.run.known_tasks):
                    break
                self.emit(Ticked())
                time.sleep(server_source.PAUSE)
            self.source.complete(self.run)
        finally:
            self.source.followed = False

    def report(self) -> None:
        """Report what has happened since the last report."""
        for task, state in self.run.known_tasks.items():
            never_began = state.state in ("waiting", "skipped") or (
                state.state == "cancelled" and state.seconds is None
            )
            if not never_began and task not in self.begun:
                self.begun.add(task)
                self.emit(TaskStarted(task))
            over = state.state in ("succeeded", "failed", "skipped", "cancelled")
            if task in self.begun - self.ended and (over or self.rounds % LOGS_EVERY == LOGS_EVERY - 1):
                self.report_log(state)
                self.report_block(state, over)
            if over and task not in self.ended and not self.is_late(state):
                self.ended.add(task)
                self.emit(TaskEnded(task, state.state, state.seconds, state.cached))
        self.rounds += 1

    def report_block(self, state: TaskRun, over: bool) -> None:
        """Report why a task has not begun to print, if the cluster reports it."""
        before = state.waits_for
        if over or self.printed.get(state.task) not in (None, [""], []):
            state.waits_for = ""
        else:
            self.source.explain_wait(state)
        if state.waits_for != before:
            self.emit(TaskBlocked(state.task, state.waits_for))

    def is_late(self, state: TaskRun) -> bool:
        """Whether the log of a task that has ended may still be incomplete."""
        self.late[state.task] += 1
        pod = self.source.pods[state.task]
        return not (pod.complete or not pod.names) and self.late[state.task] < MAX_LATE_LOGS

    def report_log(self, state: TaskRun) -> None:
        """Report the new lines of a task."""
        self.source.fetch_log(state, MAX_RETRY_FOLLOWING)
        *lines, rest = self.source.kept_log(state).split("\n")
        if rest and self.source.pods[state.task].complete:
            lines.append(rest)
        before = self.printed.get(state.task, [])
        # A retry starts a new log.
        for line in lines[len(before) :] if lines[: len(before)] == before else lines:
            self.emit(LinePrinted(state.task, "stdout", line))
        self.printed[state.task] = lines
