"""Loads artifacts into the session."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kale_magics.model.diagnostics import Code, KaleError, kale_error


def load_values(path: Path, what: str) -> Mapping[str, Any]:
    """Load the variables of an artifact; the session's classes and functions replace those of the step.

    Args:
        path: A trusted file: loading it can execute code.
        what: Its name in messages, "model of step train".

    Raises:
        KaleError: The file is missing or damaged, or a class or function is not in the session.
    """
    from kale_magics.step_runtime.artifacts import load_artifact
    from kale_magics.step_runtime.pickling import StepError

    namespace = vars(sys.modules["__main__"])

    def resolve(identity: str) -> Any:
        name, _, rest = identity.partition("@")
        members = rest.split(".")[1:]
        try:
            return functools.reduce(getattr, members, namespace[name])
        except (KeyError, AttributeError) as error:
            needed = ".".join([name, *members])
            message = f"{what} cannot be loaded: it needs {needed}, which this session does not define"
            fix = f"run the cell that defines {name}, then try again"
            raise kale_error(Code.NO_SUCH_OUTPUT, message, fix) from error

    try:
        return load_artifact(str(path), namespace, resolve)
    except KaleError:
        raise
    except Exception as error:  # loading executes code of libraries
        reason = error if isinstance(error, StepError) else f"{type(error).__name__}: {error}"
        message = f"{what} cannot be loaded: {reason}"
        fix = "run the pipeline again, in a session with the same packages and definitions"
        raise kale_error(Code.NO_SUCH_OUTPUT, message, fix) from error
