"""The key of a step in the cache: a digest of everything that is known before the step runs."""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kale_magics.model.pipeline import Json, Step
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


def key_parts(
    step: Step,
    parameters: Mapping[str, Json],
    inputs: Mapping[str, str],
    directory: Path,
    environment: Mapping[str, str],
) -> dict[str, str]:
    """Return a digest of each part of a step's key, by the part's name in messages.

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
    parts: dict[str, Any] = {
        "its name": step.name,
        "its code": code,
        "what it outputs": [outputs, step.metrics],
        "kale_magics": runtime_source(),
        "Python": [platform.python_version(), platform.python_implementation(), platform.machine()],
        "its folder": str(directory),
    }
    parts |= {f"parameter {p.name}": parameters[p.name] for p in step.parameters}
    parts |= {f"input {', '.join(i.names)}": [i.names, inputs[i.key]] for i in step.inputs}
    parts |= {
        f"environment variable {name}": value
        for name, value in environment.items()
        if name not in VOLATILE_VARIABLES and not name.startswith(VOLATILE_PREFIXES)
    }
    digests = {name: _digest(value) for name, value in parts.items()}
    return {name: found[:12] if name.startswith("environment") else found for name, found in digests.items()}


def cache_key(parts: Mapping[str, str]) -> str:
    """Return the key with these parts."""
    return _digest(sorted(parts.items()))


def _digest(value: Any) -> str:
    return _text_digest(value) if type(value) is str else hashlib.sha256(to_json(value).encode()).hexdigest()


@functools.lru_cache(maxsize=1024)
def _text_digest(text: str) -> str:
    """Return the digest of a text; most steps share their environment and the text of the runtime."""
    return hashlib.sha256(to_json(text).encode()).hexdigest()
