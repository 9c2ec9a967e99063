"""What a run would do now: which steps it would take from the cache, and why it would run the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kale_magics.cache.audit_log import nearby
from kale_magics.cache.entry import ENTRY, CacheEntry, cache_parts, read_entry, why_not
from kale_magics.cache.store import CacheStore
from kale_magics.execution.step_environment import common_environment, step_environment
from kale_magics.execution.step_result import read_result
from kale_magics.model.pipeline import Json, Pipeline, Step

MOST_RUNS = 50
"""How many runs are looked through for the last one of a step."""

UNKNOWN = "?"
"""Stands for the digest of an input that nobody knows before its step has run."""


@dataclass(frozen=True)
class CachePlan:
    """What would become of a step.

    Attributes:
        cached: Whether it would be taken from the cache.
        reason: Why it would run; for a cached one, on what that hangs; empty if there is nothing to say.
    """

    cached: bool
    reason: str = ""


def plan(
    pipeline: Pipeline, parameters: Mapping[str, Json], runs_folder: Path, directory: Path
) -> dict[str, CachePlan]:
    """What a run would do now.

    Args:
        pipeline: What would run.
        parameters: Values of the parameters, by the user's names.
        runs_folder: Where earlier runs are.
        directory: Where the steps would run.

    Returns:
        For every step; nothing at all if no step has run before.
    """
    planner = _Planner(parameters, CacheStore(runs_folder.absolute()), directory)
    outlooks = {step.name: planner.look(step) for step in pipeline.steps}
    return outlooks if any(planner.last.values()) else {}


class _Planner:
    def __init__(self, parameters: Mapping[str, Json], cache: CacheStore, directory: Path) -> None:
        self.parameters, self.cache, self.directory = parameters, cache, directory
        self.environment = common_environment()
        runs = cache.runs_folder / "runs"
        self.runs = sorted(runs.iterdir(), reverse=True)[:MOST_RUNS] if runs.is_dir() else []
        self.digests: dict[tuple[str, str], str] = {}
        self.last: dict[str, CacheEntry | None] = {}
        # For every step those above it, and itself, that would run.
        self.uncertain: dict[str, set[str]] = {}

    def look(self, step: Step) -> CachePlan:
        """What would become of a step, when all above it are known."""
        last = self.last[step.name] = self.last_entry(step)
        inputs = {i.key: self.digests.get((i.step, i.artifact.key), UNKNOWN) for i in step.inputs}
        waits = [i.step for i in step.inputs if inputs[i.key] == UNKNOWN]
        parts = cache_parts(
            step, self.parameters, inputs, self.directory, step_environment(step, self.environment)
        )
        if last is not None and waits:
            unknown = [f"input {', '.join(i.names)}" for i in step.inputs if inputs[i.key] == UNKNOWN]
            parts |= {name: last.parts[name] for name in unknown if name in last.parts}
        found = self.cache.find(step, parts, thorough=False)
        if found is not None and not waits:
            outputs = read_result(found).metadata
            self.digests |= {(step.name, key): about["sha256"] for key, about in outputs.items()}
        above = {name for need in step.needs for name in self.uncertain.get(need, ())}
        self.uncertain[step.name] = above if found is not None else above | {step.name}
        if found is not None:
            return CachePlan(True, self.unless(waits, above, last))
        return CachePlan(False, self.reason(step, last, parts))

    def unless(self, waits: list[str], above: set[str], last: CacheEntry | None) -> str:
        """On what it hangs that a step is cached: the values of other steps, and files that they make."""
        used = {path for _, path, *_ in last.paths} if last else set()
        files = [
            f"{name} changes {nearby(path)}"
            for name, entry in self.last.items()
            for path in (entry.made if entry and name in above else ())
            if path in used
        ]
        values = [f"{' or '.join(dict.fromkeys(waits))} gives something else"] if waits else []
        return f"unless {' or '.join([*values, *files[:1]])}" if values or files else ""

    def reason(self, step: Step, last: CacheEntry | None, parts: Mapping[str, str]) -> str:
        """Why a step would run."""
        if not step.cache:
            return "--no-cache"
        if step.varies:
            return step.varies
        if last is None:
            return "it has not run yet"
        return why_not(last, parts) or "its files are gone or damaged"

    def last_entry(self, step: Step) -> CacheEntry | None:
        """What is known of the step's last success."""
        folders = (run / step.key for run in self.runs)
        known = (read_entry(folder) for folder in folders if (folder / ENTRY).exists())
        return next((entry for entry in known if entry is not None), None)
