"""An entry of the cache: what a step did in a run, and what that hangs on."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kale_magics.cache.audit_log import AuditLog, nearby
from kale_magics.cache.file_access import state_of
from kale_magics.cache.path_queries import ask, is_question
from kale_magics.execution.file_digests import file_digest
from kale_magics.execution.run_store import LOG, RESULT, USES
from kale_magics.execution.signing import is_signed_by_user
from kale_magics.model.code_facts import looks_like_file
from kale_magics.model.distributions import distributions_of, installed_versions
from kale_magics.model.pipeline import Json, Step
from kale_magics.model.program import runtime_source
from kale_magics.step_runtime.fixed import from_json, to_json

ENTRY = "cache.json"

LARGEST = 1 << 26
"""Bytes: of a file that is larger only its size and its times are compared."""

MOST_TEXTS = 500
"""How many texts of a step may be names of files without looking like it."""

VOLATILE = frozenset(
    "CLICOLOR COLORFGBG COLORTERM CONDA_PROMPT_MODIFIER CONDA_SHLVL DISPLAY GIT_ASKPASS GIT_PAGER"
    " GPG_TTY HISTFILE INVOCATION_ID JOURNAL_STREAM KERNEL_ID KERNEL_USERNAME KMP_DUPLICATE_LIB_OK"
    " KMP_INIT_AT_FORK LESS LINES LS_COLORS MAIL"
    " MEMORY_PRESSURE_WATCH MEMORY_PRESSURE_WRITE OLDPWD PAGER PS1 PWD SESSION_MANAGER SHLVL STY"
    " SYSTEMD_EXEC_PID TERM TERM_PROGRAM TERM_PROGRAM_VERSION TERM_SESSION_ID TMUX TMUX_PANE"
    " VIRTUAL_ENV_PROMPT VTE_VERSION WINDOW WINDOWID WT_SESSION _".split()
)
"""Environment variables that say where a kernel came from, not what a step does."""

VOLATILE_FAMILIES = (
    "JPY_ JUPYTER_ PYDEVD_ PYTEST_ VSCODE_ SSH_ XDG_ DBUS_ WAYLAND_ ITERM_ KITTY_ ALACRITTY_ GNOME_ KONSOLE_"
).split()
"""Beginnings of more of them."""


@dataclass(frozen=True)
class CacheEntry:
    """What a step did, and what it hangs on.

    Attributes:
        run: The id of the run in which it was executed.
        seconds: How long it took there.
        parts: Digests of what was known before it ran, by what people call it.
        files: SHA-256 of the entry's files, by their paths in the folder of the step.
        paths: Kind, path and state (of `file_access.state_of` or `path_queries.ask`) of what it used or made
            outside, or asked about, and the digest of a file's content; that may be empty.
        libraries: Versions by distribution.
        made: Those of the paths that it has made.
        reason: Why it must run each time; empty if it need not.
    """

    run: str
    seconds: float
    parts: Mapping[str, str]
    files: Mapping[str, str]
    paths: Sequence[Sequence[Any]] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    made: Sequence[str] = ()


def cache_parts(
    step: Step,
    parameters: Mapping[str, Json],
    inputs: Mapping[str, str],
    directory: Path,
    environment: Mapping[str, str],
) -> dict[str, str]:
    """What a step hangs on, as far as it is known before it runs: a digest for each part.

    Args:
        step: The step.
        parameters: Values by the user's names.
        inputs: The digest of every artifact that it takes, by the key of the input.
        directory: Where it runs.
        environment: Its environment.
    """
    # What a cell is called, `In [5]`, says when it was run here, and nothing of what it does.
    code = [(c.source, c.defines) for c in (*step.setup, *step.cells)]
    hands_on = [(artifact.names, artifact.key) for artifact in step.outputs]
    parts: dict[str, Any] = {
        "its name": step.name,
        "its code": code,
        "what it hands on": [hands_on, step.metrics],
        "kale_magics": runtime_source(),
        "Python": [platform.python_version(), platform.python_implementation(), platform.machine()],
        "its folder": str(directory),
    }
    parts |= {f"parameter {p.name}": parameters[p.name] for p in step.parameters}
    parts |= {f"input {', '.join(i.names)}": [i.names, inputs[i.key]] for i in step.inputs}
    parts |= {
        f"environment variable {name}": value
        for name, value in environment.items()
        if name not in VOLATILE and not name.startswith(tuple(VOLATILE_FAMILIES))
    }
    digests = {name: _digest(value) for name, value in parts.items()}
    return {name: found[:12] if name.startswith("environment") else found for name, found in digests.items()}


def key_of(parts: Mapping[str, str]) -> str:
    """The key of an entry with these parts."""
    return _digest(sorted(parts.items()))


def _digest(value: Any) -> str:
    return (
        _digest_of_text(value) if type(value) is str else hashlib.sha256(to_json(value).encode()).hexdigest()
    )


@functools.lru_cache(maxsize=1024)
def _digest_of_text(text: str) -> str:
    """Of what most steps have in common, their environment and the text of the runtime, made once."""
    return hashlib.sha256(to_json(text).encode()).hexdigest()


def watched(step: Step, parameters: Mapping[str, Json], directory: Path) -> list[tuple[str, str]]:
    """The files and folders that the code or a parameter of a step names: kinds and absolute paths.

    What compiled code opens, Python does not see.
    """
    texts = set(step.facts.texts)
    texts |= {
        value for p in step.parameters if isinstance(value := parameters[p.name], str) and "\0" not in value
    }
    found, few = {}, len(texts) <= MOST_TEXTS
    for text in texts - {text for text in texts if "://" in text}:
        path = os.path.normpath(directory / os.path.expanduser(text))
        if os.path.isdir(path):
            if not directory.is_relative_to(path):  # too much changes in these
                found[path] = "tree"
        elif looks_like_file(text) or few or os.path.exists(path):
            found[path] = "file"
    return sorted((kind, path) for path, kind in found.items())


def read_entry(folder: Path) -> CacheEntry | None:
    """What `cache.json` of a step says; None if there is none, it is damaged, or somebody else wrote it."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = from_json((folder / ENTRY).read_text(encoding="utf-8"))
        body = to_json(told["entry"], sort_keys=True)
        if is_signed_by_user(body, told["signature"]):
            return CacheEntry(**told["entry"])
    return None


def changes(entry: CacheEntry) -> str:
    """The first thing outside of its pipeline that is not as an entry had it, for people; empty if all is."""
    made = {path for kind, path, *_ in entry.paths if kind == "file"}
    for kind, path, state, content in entry.paths:
        now = ask(kind, path) if is_question(kind) else state_of(kind, path, made)
        # Written anew with the same content, as when the notebook was run again, it is the same.
        written = content and isinstance(now, list) and now[0] == state[0]
        if now != state and not (written and _content(kind, path, now) == content):
            return f"{path if kind == 'installed' else nearby(path)} has changed"
    installed = installed_versions(entry.libraries)
    for name, version in entry.libraries.items():
        if installed[name] != version:
            return f"{name} is {installed[name] or 'gone'}, was {version}"
    return ""


def why_not(entry: CacheEntry, parts: Mapping[str, str], inputs: bool = True) -> str:
    """Why an entry cannot stand for running its step now, for people; empty if it can.

    Args:
        entry: What is known of an earlier run of the step.
        parts: As `parts_of` gives them.
        inputs: Whether the inputs count.
    """
    for name in (*parts, *entry.parts):
        if name.startswith("input ") and not inputs:
            continue
        if name not in entry.parts:
            return f"{name} is new"
        if name not in parts:
            return f"{name} is gone"
        if entry.parts[name] != parts[name]:
            return f"{name} has changed"
    return entry.reason or changes(entry)


def entry_of(
    step: Step, folder: Path, run: str, seconds: float, parts: Mapping[str, str], outputs: Mapping[str, Any]
) -> CacheEntry:
    """The entry of a step that has just succeeded.

    Args:
        step: The step.
        folder: Its folder.
        run: The id of its run.
        seconds: How long it took.
        parts: What it hung on when it began.
        outputs: What is known about each output, with "sha256".

    Raises:
        OSError: A file of the step cannot be read.
    """
    files = {f"outputs/{key}": str(about["sha256"]) for key, about in outputs.items()}
    files |= {name: file_digest(folder / name) for name in (LOG, RESULT)}
    heard = AuditLog(folder / USES)
    observed = next(heard.reasons_against(step), "")
    paths = [(kind, path, state, _content(kind, path, state)) for kind, path, state in heard.paths]
    libraries: set[str] = set()
    for module, file in heard.modules.items():
        libraries |= set(distributions_of(module))
        if not distributions_of(module):
            paths.append(("file", file, state_of("file", file), ""))
    reason = "; ".join(filter(None, (step.varies, observed)))
    return CacheEntry(run, seconds, parts, files, paths, installed_versions(libraries), reason, heard.made)


def _content(kind: str, path: str, state: Any) -> str:
    """The digest of a file that is not too large for it."""
    if kind == "file" and isinstance(state, list) and state[0] <= LARGEST:
        with contextlib.suppress(OSError):  # then only its times tell
            return file_digest(Path(path))
    return ""
