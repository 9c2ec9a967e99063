"""An entry of the cache: what a step did in a run, and what that hangs on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kale_magics.analysis.packages import owners, versions
from kale_magics.analysis.uses import looks_like_file, uses_of, varying_call
from kale_magics.flow.surroundings import HARMLESS, VARYING
from kale_magics.local.folder import LOG, RESULT, USES
from kale_magics.local.recorder import state_of
from kale_magics.pipeline import Json, Step
from kale_magics.program import runtime_source, specification
from kale_magics.step_runtime.runtime import restore

ENTRY = "cache.json"

CHUNK = 1 << 20
"""Bytes: what is read at a time."""

VOLATILE = (
    "JPY_ JUPYTER KERNEL_ IPYTHON VSCODE_ PYDEVD_ PYTEST_ TERM COLORTERM COLUMNS LINES SHLVL PWD OLDPWD _"
    " SSH_ XDG_ DBUS_ WINDOWID DISPLAY WAYLAND_ LS_COLORS LESS PAGER GIT_PAGER CLICOLOR FORCE_COLOR PS1 HIST"
).split()
"""Beginnings of environment variables that say where a kernel came from, not what a step does."""


@dataclass(frozen=True)
class Entry:
    """What a step did, and what it hangs on.

    Attributes:
        run: The id of the run in which it was executed.
        seconds: How long it took there.
        parts: Digests of what was known before it ran, by what people call it.
        files: SHA-256 of the entry's files, by their paths in the folder of the step.
        paths: Kind, path and state of what it used or made outside: `recorder.state_of`.
        libraries: Versions by distribution.
        reason: Why it must run each time; empty if it need not.
    """

    run: str
    seconds: float
    parts: Mapping[str, str]
    files: Mapping[str, str]
    paths: Sequence[Sequence[Any]] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def parts_of(
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
    spec = specification(step)["parameters"]
    for parameter in step.parameters:
        _, default, kind = spec[parameter.key]
        parts[f"parameter {parameter.name}"] = restore(parameters[parameter.name], default, kind)
    parts |= {f"input {', '.join(i.names)}": [i.names, inputs[i.key]] for i in step.inputs}
    parts |= {
        f"environment variable {name}": value
        for name, value in environment.items()
        if not name.startswith(tuple(VOLATILE))
    }
    return {
        name: _digest(value)[: 12 if name.startswith("environment") else 64] for name, value in parts.items()
    }


def key_of(parts: Mapping[str, str]) -> str:
    """The key of an entry with these parts."""
    return _digest(sorted(parts.items()))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _codes(step: Step) -> Iterator[str]:
    return (code.source for code in (*step.setup, *step.cells))


def watched(step: Step, parameters: Mapping[str, Json], directory: Path) -> list[tuple[str, str]]:
    """The files and folders that the code or a parameter of a step names: kinds and absolute paths.

    What compiled code opens, Python does not see.
    """
    texts = {text for code in _codes(step) for text in uses_of(code).texts}
    texts |= {
        value for p in step.parameters if isinstance(value := parameters[p.name], str) and "\0" not in value
    }
    found = {}
    for text in texts - {text for text in texts if "://" in text}:
        path = os.path.normpath(directory / os.path.expanduser(text))
        if os.path.isdir(path):
            if not directory.is_relative_to(path):  # too much changes in these
                found[path] = "tree"
        elif looks_like_file(text) or os.path.exists(path):
            found[path] = "file"
    return sorted((kind, path) for path, kind in found.items())


def digest_of(file: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.sha256()
    with open(file, "rb") as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_entry(folder: Path) -> Entry | None:
    """What `cache.json` of a step says; None if there is none, or it is damaged."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads((folder / ENTRY).read_text(encoding="utf-8"))
        body = json.dumps(told["entry"], sort_keys=True)
        if hashlib.sha256(body.encode()).hexdigest() == told["sha256"]:
            return Entry(**told["entry"])
    return None


def changes(entry: Entry) -> str:
    """The first thing outside of its pipeline that is not as an entry had it, for people; empty if all is."""
    for kind, path, state in entry.paths:
        if state_of(kind, path) != state:
            return f"{_nearby(path)} has changed"
    now = versions(entry.libraries)
    for name, version in entry.libraries.items():
        if now[name] != version:
            return f"{name} is {now[name] or 'gone'}, was {version}"
    return ""


def _nearby(path: str) -> str:
    shown = os.path.relpath(path)
    return path if shown.startswith("..") else shown


def why_not(entry: Entry, parts: Mapping[str, str]) -> str:
    """Why an entry cannot stand for running its step now, for people; empty if it can."""
    for name in (*parts, *entry.parts):
        if name not in entry.parts:
            return f"{name} is new"
        if name not in parts:
            return f"{name} is gone"
        if entry.parts[name] != parts[name]:
            return f"{name} has changed"
    return entry.reason or changes(entry)


def entry_of(
    step: Step, folder: Path, run: str, seconds: float, parts: Mapping[str, str], outputs: Mapping[str, Any]
) -> Entry:
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
    files |= {name: digest_of(folder / name) for name in (LOG, RESULT)}
    heard = _Heard(folder / USES)
    reasons = [
        step.varies,
        *_calls_in(heard.local),
        *heard.reasons,
        *_undrawn(step, heard.drawn),
        *heard.changed,
    ]
    paths = [*heard.paths]
    libraries: set[str] = set()
    for module, file in heard.modules.items():
        libraries |= set(owners(module))
        if not owners(module):
            paths.append(("file", file, state_of("file", file)))
    return Entry(run, seconds, parts, files, paths, versions(libraries), next(filter(None, reasons), ""))


def _calls_in(modules: Mapping[str, str]) -> Iterator[str]:
    """Why a step that has loaded these modules of the user's may do something else each time."""
    for name, file in modules.items():
        with contextlib.suppress(OSError, SyntaxError, ValueError):  # it was loaded, be it what it may
            called = varying_call(Path(file).read_text(encoding="utf-8"), VARYING - HARMLESS)
            if called:
                yield f"its module {name} calls {called}"


def _undrawn(step: Step, drawn: Sequence[str]) -> Iterator[str]:
    """Why it draws something else each time: the generators that it uses and that nobody has seeded."""
    given = {name for i in step.inputs for name in i.names}
    if not any(uses_of(code).seeds for code in _codes(step)):
        yield from (
            f"it draws from {name} without a seed" for name in drawn if f"state of {name}" not in given
        )


def _read_line(line: str) -> list[Any]:
    try:
        told: list[Any] = json.loads(line)
    except ValueError:  # a process of the step was killed while it wrote
        return ["reason", "not all is known that it used"]
    return told


class _Heard:
    """What a step's `recorder` has told, and what has come of the paths since."""

    def __init__(self, file: Path) -> None:
        self.reasons: list[str] = []
        self.drawn: list[str] = []
        self.modules: dict[str, str] = {}
        self.local: dict[str, str] = {}
        self.paths: list[tuple[str, str, Any]] = []
        self.changed: list[str] = []
        used: dict[tuple[str, str], list[tuple[Any, str]]] = {}
        for line in file.read_text(encoding="utf-8").splitlines():
            what, *told = _read_line(line)
            if what == "reason":
                self.reasons.append(told[0])
            elif what == "drawn":
                self.drawn.append(told[0])
            elif what == "local":
                self.local[told[0]] = told[1]
            elif what == "module":
                self.modules[told[0]] = told[1]
            else:
                used.setdefault((what, told[0]), []).append((told[1], told[2]))
        followed = {path for (_, path), its in used.items() if any(how in FOLLOWED for _, how in its)}
        for (kind, path), its in used.items():
            # Where Python has opened files of a folder, compiled code has hardly opened others.
            if kind != "tree" or not any(other.startswith(os.path.join(path, "")) for other in followed):
                self._take_in(kind, path, its)

    def _take_in(self, kind: str, path: str, its: Sequence[tuple[Any, str]]) -> None:
        before, hows = its[0][0], [how for _, how in its]
        how = next((how for how in hows if how != "watch"), "watch")
        after = state_of(kind, path)
        appeared = before is None and how == "watch"
        if after == "many":
            self.changed.append(f"the folder {path} has too many files to compare")
        elif before == after or how == "seen" or (after is not None and (how == "make" or appeared)):
            if before is not None or after is not None or how in ("watch", "read"):
                self.paths.append((kind, path, after))
        else:
            self.changed.append(f"it changes {_nearby(path)}")


FOLLOWED = ("read", "make", "change")
"""How a path is used where Python tells of it."""
