"""`%run script.py` in a step, as IPython runs a script."""

from __future__ import annotations

import contextlib
import glob
import os
import sys
import types
from typing import Any

RUN_FLAGS = frozenset({"-i", "-n", "-e", "-G"})
"""Options of `%run` that work in a step.

`-i`: run in the notebook's variables; `-n`: not as `__main__`; `-e`: ignore `sys.exit`; `-G`: do not expand
the arguments.
"""


def script_path(name: str) -> str:
    """Return the file for the name given to `%run`, which may lack its suffix."""
    path = os.path.expanduser(name)
    return path if os.path.isfile(path) or path.endswith(".py") else path + ".py"


def run_file(name: str, arguments: list[str], flags: set[str], namespace: dict[str, Any]) -> None:
    """Run a script in a namespace of its own, and copy the names that it binds.

    Args:
        name: The file.
        arguments: The script's `sys.argv`, wildcards expanded unless `-G` is given.
        flags: Some of `RUN_FLAGS`.
        namespace: The variables of the step.

    Raises:
        SystemExit: The script exits with a failure.
    """
    path = script_path(name)
    module_name = os.path.splitext(os.path.basename(path))[0] if "-n" in flags else "__main__"
    own = namespace if "-i" in flags else vars(types.ModuleType(module_name))
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    before: dict[str, Any] = {key: own[key] for key in ("__name__", "__file__") if key in own}
    own.update(__name__=module_name, __file__=path, __builtins__=sys.modules["builtins"])
    argv, sys.argv = sys.argv, [path, *expanded(arguments, flags)]
    folder = os.path.dirname(os.path.abspath(path))
    sys.path.insert(0, folder)
    try:
        exec(code, own)
    except SystemExit as end:
        if end.code and "-e" not in flags:
            raise
    finally:
        sys.argv = argv
        with contextlib.suppress(ValueError):  # the script itself has removed it
            sys.path.remove(folder)
        if own is namespace:
            own.pop("__file__")
            own.update(before)
    special = ("__name__", "__file__", "__builtins__", "__doc__", "__loader__", "__package__", "__spec__")
    namespace.update((key, value) for key, value in own.items() if key not in special)


def expanded(arguments: list[str], flags: set[str]) -> list[str]:
    """Return the arguments of a script, wildcards replaced by the matching files."""
    found: list[str] = []
    for argument in map(os.path.expanduser, arguments):
        files = [] if "-G" in flags else sorted(glob.glob(argument))
        found += files or [argument]
    return found
