"""Mark the cells of a notebook and run them as a Kubeflow pipeline, on this machine or on a cluster.

    %load_ext kale_magics

loads the magics; `%%kale?` shows how to mark a cell.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from kale_magics.execution.run import Run

__all__ = ["__version__", "last_run", "load_ipython_extension", "runs", "unload_ipython_extension"]

__version__ = "0.1.0"

_NAME = "KaleMagics"


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Register the magics in a shell (IPython's extension protocol)."""
    from kale_magics.magics.magics import KaleMagics

    if _NAME not in ipython.magics_manager.registry:
        KaleMagics(ipython).load()


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Remove the magics and all marks from a shell (IPython's extension protocol)."""
    magics = ipython.magics_manager.registry.get(_NAME)
    if magics is not None:
        magics.unload()


def last_run() -> Run | None:
    """Return the last run that `%kale_run` started in this session, even a failed one; None without one."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    magics = shell.magics_manager.registry.get(_NAME) if shell else None
    return magics.workspace.last_run if magics else None


def runs(folder: str | os.PathLike[str] | None = None) -> list[Run]:
    """Return the runs on this machine, newest first, including those of other sessions.

    Args:
        folder: The folder of the runs; by default that of this notebook's runs, or `.kale`.
    """
    from IPython.core.getipython import get_ipython

    from kale_magics.local.past_runs import past_runs

    shell = get_ipython()
    magics = shell.magics_manager.registry.get(_NAME) if shell else None
    own = magics.workspace.runs_folder if magics else Path(".kale").absolute()
    return past_runs(Path(folder).expanduser() if folder is not None else own)
