"""An entry of the cache: what a step did in a run, and everything that this depends on."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kale_magics.cache.audit_log import display_path, path_changes, read_audit_log, reasons_to_rerun
from kale_magics.cache.cache_key import KeyPart, KeyParts
from kale_magics.cache.path_queries import answer, is_query
from kale_magics.cache.path_states import path_state
from kale_magics.execution.file_digests import file_digest
from kale_magics.execution.run_store import LOG, RESULT, USES
from kale_magics.execution.signing import is_signed_by_user, sign
from kale_magics.model.code_facts import looks_like_file
from kale_magics.model.distributions import distributions_of, installed_versions
from kale_magics.model.pipeline import Json, Step
from kale_magics.step_runtime.unpatched import from_json, to_json

ENTRY = "cache.json"

MAX_DIGESTED = 1 << 26
"""Bytes of a file whose content is compared; of larger ones only size and times are."""

MAX_TEXTS = 500
"""Texts of a step up to which those that do not look like the name of a file may be one too."""


@dataclass(frozen=True)
class CacheEntry:
    """What a step did, and what this depends on.

    Attributes:
        run: The id of the run that executed the step.
        seconds: How long the step took there.
        parts: The parts of its key (`cache_key.key_parts`).
        files: SHA-256 of the entry's files, by their paths in the folder of the step.
        paths: Kind, path and state (`path_state` or `path_queries.answer`) of what the step used, created or
            queried, and the digest of a file's content, which may be empty.
        libraries: Versions by distribution.
        created: Those of the paths that the step created.
        reason: Why the step must run each time; empty if it need not.
    """

    run: str
    seconds: float
    parts: KeyParts
    files: Mapping[str, str]
    paths: Sequence[Sequence[Any]] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    created: Sequence[str] = ()


def named_paths(step: Step, parameters: Mapping[str, Json], directory: Path) -> list[tuple[str, str]]:
    """Return the files ("file") and folders ("tree") that the code or a parameter of a step names.

    Compiled code may open them, which Python does not report.

    Args:
        step: The step.
        parameters: Values by the user's names.
        directory: The working directory.

    Returns:
        Kinds and absolute paths.
    """
    values = [parameters[p.name] for p in step.parameters]
    texts = {*step.facts.texts, *(v for v in values if isinstance(v, str) and "\0" not in v)}
    found, few = {}, len(texts) <= MAX_TEXTS
    for text in (text for text in texts if "://" not in text):
        path = os.path.normpath(directory / os.path.expanduser(text))
        if os.path.isdir(path):
            if not directory.is_relative_to(path):  # too much changes in the folders around the step
                found[path] = "tree"
        elif looks_like_file(text) or few or os.path.exists(path):
            found[path] = "file"
    return sorted((kind, path) for path, kind in found.items())


def new_entry(
    step: Step, folder: Path, run: str, seconds: float, parts: KeyParts, outputs: Mapping[str, Any]
) -> CacheEntry:
    """Return the entry of a step that has just succeeded.

    Args:
        step: The step.
        folder: The step's folder.
        run: The id of its run.
        seconds: How long it took.
        parts: The parts of its key when it started.
        outputs: The metadata of each output, with "sha256".

    Raises:
        OSError: A file of the step cannot be read.
    """
    files = {f"outputs/{key}": str(about["sha256"]) for key, about in outputs.items()}
    files |= {name: file_digest(folder / name) for name in (LOG, RESULT)}
    log = read_audit_log(folder / USES)
    changes = path_changes(log)
    observed = next(reasons_to_rerun(log, changes, step), "")
    paths = [(*compared, _content_digest(*compared)) for compared in changes.compared]
    libraries: set[str] = set()
    for module, file in log.modules.items():
        libraries |= set(distributions_of(module))
        if not distributions_of(module):
            paths.append(("file", file, path_state("file", file), ""))
    reason = "; ".join(filter(None, (step.nondeterminism, observed)))
    versions = installed_versions(libraries)
    return CacheEntry(run, seconds, parts, files, paths, versions, reason, changes.created)


def read_entry(folder: Path) -> CacheEntry | None:
    """Read the entry of a step; None if there is none, it is damaged, or another user wrote it."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        content = from_json((folder / ENTRY).read_text(encoding="utf-8"))
        body = to_json(content["entry"], sort_keys=True)
        if is_signed_by_user(body, content["signature"]):
            fields = content["entry"]
            parts = {KeyPart(kind, name): digest for kind, name, digest in fields["parts"]}
            return CacheEntry(**{**fields, "parts": parts})
    return None


def entry_text(entry: CacheEntry) -> str:
    """Return the text of an entry's file, which `read_entry` reads."""
    fields = {**vars(entry), "parts": [(*part, digest) for part, digest in entry.parts.items()]}
    body = to_json(fields, sort_keys=True)
    return f'{{"signature": "{sign(body)}",\n"entry": {body}}}\n'


def first_change(entry: CacheEntry) -> str:
    """Return the first change outside the pipeline since an entry was made, in words; may be empty."""
    compared = {path for kind, path, *_ in entry.paths if kind == "file"}
    for kind, path, state, digest in entry.paths:
        now = answer(kind, path) if is_query(kind) else path_state(kind, path, compared)
        # A file that was written again with the same content has not changed.
        same_size = digest and isinstance(now, list) and now[0] == state[0]
        if now != state and not (same_size and _content_digest(kind, path, now) == digest):
            return f"{path if kind == 'installed' else display_path(path)} has changed"
    installed = installed_versions(entry.libraries)
    for name, version in entry.libraries.items():
        if installed[name] != version:
            now = f"has version {installed[name]}" if installed[name] else "is not installed"
            return f"{name} {now}, was {version}"
    return ""


def reason_to_run(entry: CacheEntry, parts: KeyParts, inputs: bool = True) -> str:
    """Return why an entry cannot replace running its step now, in words; empty if it can.

    Args:
        entry: The entry of an earlier run of the step.
        parts: The parts of the step's key now.
        inputs: Whether to compare the inputs.
    """
    for part in (*parts, *entry.parts):
        if part.kind == "input" and not inputs:
            continue
        if part not in entry.parts:
            return f"{part} is new"
        if part not in parts:
            return f"{part} is gone"
        if entry.parts[part] != parts[part]:
            return f"{part} has changed"
    return entry.reason or first_change(entry)


def _content_digest(kind: str, path: str, state: Any) -> str:
    """Return the digest of a file's content; empty for a large file, and for anything else."""
    if kind == "file" and isinstance(state, list) and state[0] <= MAX_DIGESTED:
        with contextlib.suppress(OSError):  # then its times are compared
            return file_digest(Path(path))
    return ""
