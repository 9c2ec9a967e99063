"""Follows a run on a server, and tells of it as the embedded engine tells of its own."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from kale_magics.execution.run import Event, LinePrinted, RunEnded, RunStarted, StepEnded, StepStarted, Ticked
from kale_magics.kubeflow import remote
from kale_magics.kubeflow.remote import RemoteRun, RemoteStepRun
from kale_magics.kubeflow.server import LONG

LOGS_EVERY = 5
"""Looks at a run between two looks at the logs of steps that run."""

PATIENT_LOOKS = 3
"""Looks at the log of a step that has ended until it is taken as it is: a cluster may be late with it."""


class Follower:
    """Follows a run.

    Args:
        run: The run.
        listener: Is told every event.
    """

    def __init__(self, run: RemoteRun, listener: Callable[[Event], None]) -> None:
        self.run, self.tell = run, listener
        self.begun: set[str] = set()
        self.ended: set[str] = set()
        self.told: dict[str, list[str]] = {}
        self.looks = 0
        self.late: Counter[str] = Counter()

    def follow(self) -> None:
        """Follow it to its end.

        Raises:
            KaleError: The server is away for too long, or no longer lets in.
        """
        self.run.followed = True
        try:
            self.tell(RunStarted(self.run))
            while True:
                self.run.refresh(LONG)
                self.look()
                if self.run.state != "running" and self.ended.issuperset(self.run.steps):
                    break
                self.tell(Ticked())
                time.sleep(remote.PAUSE)
            self.tell(RunEnded(self.run.state, self.run.seconds or 0.0))
        finally:
            self.run.followed = False

    def look(self) -> None:
        """Tell what is new."""
        for step in self.run.steps.values():
            if not isinstance(step, RemoteStepRun):
                continue
            if step.state not in ("waiting", "skipped") and step.name not in self.begun:
                self.begun.add(step.name)
                self.tell(StepStarted(step.name))
            over = step.state in ("succeeded", "failed", "skipped", "cancelled")
            if step.name in self.begun - self.ended and (over or self.looks % LOGS_EVERY == LOGS_EVERY - 1):
                self.tell_log(step)
            if over and step.name not in self.ended and not self.is_late(step):
                self.ended.add(step.name)
                self.tell(StepEnded(step.name, step.state, step.seconds, step.cached))
        self.looks += 1

    def is_late(self, step: RemoteStepRun) -> bool:
        """Whether more of the log of a step that has ended may come."""
        self.late[step.name] += 1
        told = step.complete or not step.nodes
        return not told and self.late[step.name] < PATIENT_LOOKS

    def tell_log(self, step: RemoteStepRun) -> None:
        """Tell the lines of a step that are new."""
        self.run.fetch_log(step, LONG)
        *lines, rest = step.kept_log.split("\n")
        if rest and step.complete:
            lines.append(rest)
        told = self.told.get(step.name, [])
        # Another attempt begins anew.
        for line in lines[len(told) :] if lines[: len(told)] == told else lines:
            self.tell(LinePrinted(step.name, "stdout", line))
        self.told[step.name] = lines
