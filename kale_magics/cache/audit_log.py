"""What `file_access` has recorded of a step, and what it means for the next run."""

from __future__ import annotations

import contextlib
import os
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kale_magics.cache.path_queries import answer, is_query
from kale_magics.cache.path_states import path_state
from kale_magics.model.nondeterminism import nondeterminism_of
from kale_magics.model.pipeline import Step
from kale_magics.step_runtime.unpatched import from_json

OWN_ACCESSES = ("read", "create", "modify")
"""The accesses of the step itself that Python reports."""

INCOMPLETE = "not everything that it used is known"

Use = tuple[str, str]
"""A kind of path or a query, and the path."""


@dataclass
class AuditLog:
    """The record of a step.

    Attributes:
        reasons: Why the step may give another result next time.
        generators: The generators that gave numbers, as "numpy.random".
        local_modules: The files of modules that are not installed.
        modules: The files of installed modules, by their names.
        forked: Whether the step started processes of its own.
        complete: Whether the record is complete.
        uses: The states of paths, or the answers to queries, when they were used, and how they were used.
    """

    reasons: list[str] = field(default_factory=list)
    generators: list[str] = field(default_factory=list)
    local_modules: list[str] = field(default_factory=list)
    modules: dict[str, str] = field(default_factory=dict)
    forked: bool = False
    complete: bool = False
    uses: dict[Use, list[tuple[Any, str]]] = field(default_factory=dict)

    def add(self, kind: str, *values: Any) -> None:
        """Add a line of the record.

        Raises:
            ValueError, IndexError: It is no such line.
        """
        if kind == "reason":
            self.reasons.append(str(values[0]))
        elif kind == "draws":
            self.generators.append(values[0])
        elif kind == "local module":
            self.local_modules.append(values[0])
        elif kind == "module":
            self.modules[values[0]] = values[1]
        elif kind == "fork":
            self.forked = True
        elif kind == "end":
            self.complete = True
        else:
            path, state, access = values
            self.uses.setdefault((kind, path), []).append((state, access))


def read_audit_log(file: Path) -> AuditLog:
    """Read the record of a step.

    Raises:
        OSError: The file cannot be read.
    """
    log = AuditLog()
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            log.add(*from_json(line))
        except (ValueError, TypeError, IndexError):
            # A process of the step was killed while it wrote, or has written something else here.
            log.reasons.append(INCOMPLETE)
    return log


@dataclass
class PathChanges:
    """What became of the paths that a step used.

    Attributes:
        compared: Kind, path and state now of what the next run has to compare.
        created: Those of the paths that the step has created.
        reasons: Why the next run may give another result whatever it compares.
    """

    compared: list[tuple[str, str, Any]] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def add_path(self, kind: str, path: str, uses: Sequence[tuple[Any, str]]) -> None:
        """Compare a file, or the names in a folder, with its state before the step."""
        before = uses[0][0]
        access = next((access for _, access in uses if access != "named"), "named")
        after = path_state(kind, path)
        is_new = before is None and after is not None
        created = is_new and (access == "named" or path.startswith(user_caches()))
        created = created or (after is not None and access == "create")
        if "many" in (before, after):
            self.reasons.append(f"the folder {display_path(path)} has too many names to compare")
        elif before == after or access == "value" or created:
            if before is not None or after is not None or access in ("named", "read"):
                self.compared.append((kind, path, after))
            self.created += [path] * created
        else:
            self.reasons.append(f"it changes {display_path(path)}")

    def add_query(self, query: str, path: str, before: Any, access: str) -> None:
        """Compare the answer to a query; what a library asks before it creates a file does not matter."""
        after = answer(query, path)
        self.compared.append((query, path, after))
        if before != after and access == "query" and not path.startswith(user_caches()):
            verb = "creates" if before is None else "changes"
            self.reasons.append(f"it checks {display_path(path)} and then {verb} it")

    def add_tree(self, path: str, uses: Mapping[Use, list[tuple[Any, str]]]) -> None:
        """Compare a folder that the code names, of which compiled code may read any file."""
        below = [use for use in uses if use[1].startswith(os.path.join(path, ""))]
        accesses = {access for use in below for _, access in uses[use] if access in OWN_ACCESSES}
        (before, access), after = uses["tree", path][0], path_state("tree", path)
        if accesses == {"create"}:
            return  # a folder for what this step, and others, create
        if "many" in (before, after):
            self.reasons.append(f"the folder {display_path(path)} has too many files to compare")
        elif not accesses and before not in (None, after) and access == "named":
            self.reasons.append(f"it changes {display_path(path)}")
        else:
            compared = frozenset(path for kind, path, _ in self.compared if kind == "file")
            self.compared.append(("tree", path, path_state("tree", path, compared)))


def path_changes(log: AuditLog) -> PathChanges:
    """Return what became of the paths in the record of a step that has just ended."""
    changes = PathChanges()
    for (kind, path), uses in log.uses.items():
        if is_query(kind):
            changes.add_query(kind, path, *uses[0])
        elif kind != "tree":
            changes.add_path(kind, path, uses)
    for kind, path in log.uses:
        if kind == "tree":
            changes.add_tree(path, log.uses)
    return changes


def reasons_to_rerun(log: AuditLog, changes: PathChanges, step: Step) -> Iterator[str]:
    """Yield why a step may give another result next time, though nothing that it used has changed."""
    yield from log.reasons
    if not log.complete:
        yield INCOMPLETE
    for file in log.local_modules:
        with contextlib.suppress(OSError, SyntaxError, ValueError), tokenize.open(file) as module:
            found = nondeterminism_of(module.read())
            if found:
                yield f"its module {Path(file).stem} {found}"
    known = {*step.facts.seeds, *(name for i in step.inputs for name in i.names)}
    for generator in log.generators:
        if f"state of {generator}" not in known:
            yield f"it draws from {generator} without a seed"
    if log.forked and step.facts.draws and not step.facts.seeds:
        yield "processes that it starts may draw random numbers without a seed"
    yield from changes.reasons


def user_caches() -> tuple[str, ...]:
    """Return the folders where libraries keep what they would otherwise compute again."""
    folders = (os.environ.get("XDG_CACHE_HOME") or "~/.cache", "~/Library/Caches")
    return tuple(os.path.join(os.path.expanduser(folder), "") for folder in folders)


def display_path(path: str) -> str:
    """Return a path for messages: relative if it is in the working directory."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
