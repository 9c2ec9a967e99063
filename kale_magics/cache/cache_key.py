"""The key of a step in the cache: a digest of everything that is known before the step runs."""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kale_magics.model.pipeline import Input, Json, Step
from kale_magics.model.program import runtime_source
from kale_magics.step_runtime.unpatched import to_json

VOLATILE_VARIABLES = frozenset(
    "CLICOLOR COLORFGBG COLORTERM CONDA_PROMPT_MODIFIER CONDA_SHLVL DISPLAY GIT_ASKPASS GIT_PAGER"
    " GPG_TTY HISTFILE INVOCATION_ID JOURNAL_STREAM KERNEL_ID KERNEL_USERNAME KMP_DUPLICATE_LIB_OK"
    " KMP_INIT_AT_FORK LESS LINES LS_COLORS MAIL"
    " MEMORY_PRESSURE_WATCH MEMORY_PRESSURE_WRITE OLDPWD PAGER PS1 PWD SESSION_MANAGER SHLVL STY"
    " SYSTEMD_EXEC_PID TERM TERM_PROGRAM TERM_PROGRAM_VERSION TERM_SESSION_ID TMUX TMUX_PANE"
    " VIRTUAL_ENV_PROMPT VTE_VERSION WINDOW WINDOWID WT_SESSION _".split()
)
"""Environment variables that depend on how the kernel was started, and do not affect what a step does."""

VOLATILE_PREFIXES = tuple(
    (
        "JPY_ JUPYTER_ PYDEVD_ PYTEST_ VSCODE_ SSH_ XDG_ DBUS_ WAYLAND_ ITERM_ KITTY_ ALACRITTY_ GNOME_"
        " KONSOLE_"
    ).split()
)
"""Prefixes of more of them."""


PartKind = Literal["step", "code", "outputs", "version", "python", "folder", "parameter", "input", "variable"]

WORDS: Mapping[PartKind, str] = {
    "step": "its name", "code": "its code", "outputs": "what it outputs", "version": "kale_magics",
    "python": "Python", "folder": "its folder", "variable": "environment variable",
}  # fmt: skip
"""What each kind is called in messages, where it is not its own name."""

MAX_VARIABLE_DIGEST = 12
"""Characters of the digest of an environment variable: there are many."""


class KeyPart(NamedTuple):
    """A part of a step's key.

    Attributes:
        kind: What it is.
        name: Which one, if there are several: of a parameter, a variable, or the variables of an input.
    """

    kind: PartKind
    name: str = ""

    def __str__(self) -> str:
        """Return what it is called in messages."""
        return f"{WORDS.get(self.kind, self.kind)} {self.name}".rstrip()


KeyParts = Mapping[KeyPart, str]
"""The digest of each part of a step's key."""


def key_parts(
    step: Step,
    parameters: Mapping[str, Json],
    inputs: Mapping[str, str],
    directory: Path,
    environment: Mapping[str, str],
) -> dict[KeyPart, str]:
    """Return a digest of each part of a step's key.

    Args:
        step: The step.
        parameters: Values by the user's names.
        inputs: The digest of every input, by the key of the input.
        directory: The working directory.
        environment: The environment variables of the step.
    """
    # The label of a cell, `In [5]`, says when it ran here, and does not affect what it does.
    code = [(c.source, c.defines) for c in (*step.setup, *step.cells)]
    outputs = [(artifact.names, artifact.key) for artifact in step.outputs]
    parts: dict[KeyPart, Any] = {
        KeyPart("step"): step.name,
        KeyPart("code"): code,
        KeyPart("outputs"): [outputs, step.metrics],
        KeyPart("version"): runtime_source(),
        KeyPart("python"): [platform.python_version(), platform.python_implementation(), platform.machine()],
        KeyPart("folder"): str(directory),
    }
    parts |= {KeyPart("parameter", p.name): parameters[p.name] for p in step.parameters}
    parts |= {input_part(i): [i.names, inputs[i.key]] for i in step.inputs}
    found = {part: _digest(value) for part, value in parts.items()}
    return found | {
        KeyPart("variable", name): _digest(value)[:MAX_VARIABLE_DIGEST]
        for name, value in environment.items()
        if name not in VOLATILE_VARIABLES and not name.startswith(VOLATILE_PREFIXES)
    }


def input_part(taken: Input) -> KeyPart:
    """Return the part of a key for an input."""
    return KeyPart("input", ", ".join(taken.names))


def cache_key(parts: KeyParts) -> str:
    """Return the key with these parts."""
    return _digest(sorted((str(part), digest) for part, digest in parts.items()))


def _digest(value: Any) -> str:
    return _text_digest(value) if type(value) is str else hashlib.sha256(to_json(value).encode()).hexdigest()


@functools.lru_cache(maxsize=1024)
def _text_digest(text: str) -> str:
    """Return the digest of a text; most steps share their environment and the text of the runtime."""
    return hashlib.sha256(to_json(text).encode()).hexdigest()
