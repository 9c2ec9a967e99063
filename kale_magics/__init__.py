"""Mark the cells of a notebook and run them as a Kubeflow pipeline, on this machine or on a cluster.

    %load_ext kale_magics

in a notebook; from then on `%%kale?` says how a cell is marked.
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
    """Give a shell the magics: IPython's protocol for extensions."""
    from kale_magics.magics.magics import KaleMagics

    if _NAME not in ipython.magics_manager.registry:
        KaleMagics(ipython).load()


def unload_ipython_extension(ipython: InteractiveShell) -> None:
    """Take the magics, and all that was marked, from a shell: IPython's protocol for extensions."""
    magics = ipython.magics_manager.registry.get(_NAME)
    if magics is not None:
        magics.unload()


def last_run() -> Run | None:
    """The run that `%kale_run` started last, however it ended; None if there is none in this session."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    magics = shell.magics_manager.registry.get(_NAME) if shell else None
    return magics.last_run if magics else None


def runs(folder: str | os.PathLike[str] | None = None) -> list[Run]:
    """The runs of this machine, the newest first, those of other sessions included.

    Args:
        folder: Where they are kept; by default where `%kale_run` of this notebook puts them, or `.kale`.
    """
    from IPython.core.getipython import get_ipython

    from kale_magics.local.past_runs import past_runs

    shell = get_ipython()
    magics = shell.magics_manager.registry.get(_NAME) if shell else None
    own = magics.runs_place if magics else Path(".kale").absolute()
    return past_runs(Path(folder).expanduser() if folder is not None else own)
