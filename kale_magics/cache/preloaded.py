"""What the fork server has loaded before it forks a step: modules, and the files that these have read.

The file is executed alone in the fork server, so it imports the standard library only.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

from kale_magics.cache.path_states import path_state


class Preloaded:
    """The modules and files of the fork server.

    A step reads this in the place of the modules themselves: reading a module writes to its memory (reference
    counts), which is copied then.

    Attributes:
        modules: The files of installed modules, by their top-level names.
        count: The number of all modules.
        files: The states of all files that were opened, by their paths.
    """

    def __init__(self) -> None:
        self.modules: dict[str, str] = {}
        self.count = 0
        self.files: dict[str, Any] = {}
        self._recording = False

    def start(self) -> None:
        """Start to record the files that are opened."""
        self._recording = True
        sys.addaudithook(self._hook)

    def stop(self, library_folders: tuple[str, ...]) -> None:
        """Stop recording, and record the modules that are loaded now.

        Args:
            library_folders: The folders of installed modules.
        """
        for name, module in list(sys.modules.items()):
            top, file = name.partition(".")[0], module_file(module)
            if file.startswith(library_folders) and top not in sys.stdlib_module_names:
                self.modules.setdefault(top, file)
        self.count = len(sys.modules)
        self._recording = False

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._recording and event == "open" and isinstance(arguments[0], str):
            path = os.path.abspath(arguments[0])
            self.files.setdefault(path, path_state("file", path))


PRELOADED = Preloaded()
"""That of this process; empty in a step that is not forked."""


def module_file(module: Any) -> str:
    """Return the file that a module was loaded from; empty if there is none."""
    file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
    return file if isinstance(file, str) else ""
