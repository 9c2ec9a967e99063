"""The cache plan: which steps a run would take from the cache now, and why it would run the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kale_magics.cache.audit_log import display_path
from kale_magics.cache.cache_key import KeyParts, input_part, key_parts
from kale_magics.cache.entry import ENTRY, CacheEntry, read_entry, reason_to_run
from kale_magics.cache.store import CacheStore
from kale_magics.execution.step_environment import common_environment, step_environment
from kale_magics.execution.step_result import read_result
from kale_magics.model.pipeline import Json, Pipeline, Step

MAX_RUNS = 50
"""Runs that are searched for the last one of a step."""

UNKNOWN = "?"
"""Replaces the digest of an input that is unknown until its step has run."""


@dataclass(frozen=True)
class CachePlan:
    """What a run would do with a step.

    Attributes:
        cached: Whether it would take the step from the cache.
        reason: Why it would run the step; for a cached one, on which condition it would not; may be empty.
    """

    cached: bool
    reason: str = ""


def plan_run(
    pipeline: Pipeline, parameters: Mapping[str, Json], runs_folder: Path, directory: Path
) -> dict[str, CachePlan]:
    """Return what a run would do with each step now; empty if no step has run before.

    Args:
        pipeline: The pipeline.
        parameters: Values of the parameters, by the user's names.
        runs_folder: The folder of earlier runs.
        directory: The working directory.
    """
    planner = _Planner(parameters, CacheStore(runs_folder.absolute()), directory)
    plans = {step.name: planner.plan(step) for step in pipeline.steps}
    return plans if any(planner.last.values()) else {}


class _Planner:
    def __init__(self, parameters: Mapping[str, Json], store: CacheStore, directory: Path) -> None:
        self.parameters, self.store, self.directory = parameters, store, directory
        self.environment = common_environment()
        runs = store.runs_folder / "runs"
        self.runs = sorted(runs.iterdir(), reverse=True)[:MAX_RUNS] if runs.is_dir() else []
        self.digests: dict[tuple[str, str], str] = {}
        self.last: dict[str, CacheEntry | None] = {}
        # For each step, those of it and its upstream steps that would run.
        self.uncertain: dict[str, set[str]] = {}

    def plan(self, step: Step) -> CachePlan:
        """Plan a step whose upstream steps are planned."""
        last = self.last[step.name] = self.last_entry(step)
        inputs = {i.key: self.digests.get((i.step, i.output.key), UNKNOWN) for i in step.inputs}
        pending = [i.step for i in step.inputs if inputs[i.key] == UNKNOWN]
        environment = step_environment(step, self.environment)
        parts = key_parts(step, self.parameters, inputs, self.directory, environment)
        if last is not None and pending:
            unknown = [input_part(i) for i in step.inputs if inputs[i.key] == UNKNOWN]
            parts |= {part: last.parts[part] for part in unknown if part in last.parts}
        found = self.store.find(step, parts, thorough=False)
        if found is not None and not pending:
            outputs = read_result(found).metadata
            self.digests |= {(step.name, key): about["sha256"] for key, about in outputs.items()}
        upstream = {name for need in step.upstream for name in self.uncertain.get(need, ())}
        self.uncertain[step.name] = upstream if found is not None else upstream | {step.name}
        if found is not None:
            return CachePlan(True, self.condition(pending, upstream, last))
        return CachePlan(False, self.reason(step, last, parts))

    def condition(self, pending: list[str], upstream: set[str], last: CacheEntry | None) -> str:
        """Return what would make a cached step run: a changed output or file of an upstream step."""
        used = {path for _, path, *_ in last.paths} if last else set()
        files = [
            f"{name} changes {display_path(path)}"
            for name, entry in self.last.items()
            for path in (entry.created if entry and name in upstream else ())
            if path in used
        ]
        values = [f"the output of {' or '.join(dict.fromkeys(pending))} changes"] if pending else []
        return f"unless {' or '.join([*values, *files[:1]])}" if values or files else ""

    def reason(self, step: Step, last: CacheEntry | None, parts: KeyParts) -> str:
        """Return why a step would run."""
        if not step.cache:
            return "--no-cache"
        if step.nondeterminism:
            return step.nondeterminism
        if last is None:
            return "it has not run yet"
        return reason_to_run(last, parts) or "its files are missing or damaged"

    def last_entry(self, step: Step) -> CacheEntry | None:
        """Return the entry of the step's last success."""
        folders = (run / step.key for run in self.runs)
        known = (read_entry(folder) for folder in folders if (folder / ENTRY).exists())
        return next((entry for entry in known if entry is not None), None)
