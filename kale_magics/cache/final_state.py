"""What a step has used that is known only when its code has ended: generators, modules, paths in variables.

The file is executed alone in the process of a step, so it imports the standard library only.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from kale_magics.cache.file_access import AccessRecorder
from kale_magics.cache.preloaded import PRELOADED, module_file
from kale_magics.cache.random_draws import generator_states, is_fresh

MAX_PATH = 1024
"""Characters of a text that may be a path."""

MAX_ITEMS = 1000
"""Items of a list or a dict that may hold paths."""


def record_final_state(recorder: AccessRecorder) -> None:
    """Record the generators that gave numbers, the modules, and the paths among the variables."""
    _record_generators(recorder)
    _record_modules(recorder)
    for path in _paths_in(vars(sys.modules["__main__"])):
        is_folder = os.path.isdir(path)
        if not is_folder or not _holds_working_directory(path):
            recorder.record_path("tree" if is_folder else "file", path, "value")


def _record_generators(recorder: AccessRecorder) -> None:
    before = recorder.states_before
    for name, state in generator_states().items():
        if state != before.get(name, state) or (name not in before and not is_fresh(state)):
            recorder.record("draws", name)


def _record_modules(recorder: AccessRecorder) -> None:
    for top, file in PRELOADED.modules.items():
        recorder.record("module", top, file)
    for path, state in PRELOADED.files.items():
        if not recorder.ignores(path):
            recorder.record("file", path, state, "read")
    count = max(0, len(sys.modules) - recorder.preloaded)
    for name, module in list(itertools.islice(reversed(sys.modules.items()), count)):
        file = module_file(module)
        top = name.partition(".")[0]
        if file and not file.startswith(recorder.library_folders):
            recorder.record_path("file", file, "read")
            recorder.record("local module", file)
        elif file and top not in sys.stdlib_module_names:
            recorder.record("module", top, file)
    for name in recorder.imported - sys.stdlib_module_names:
        recorder.record_module_places(name)


def _paths_in(namespace: dict[str, Any]) -> Iterator[str]:
    """Yield the paths that exist among the values of variables, and among the items of these."""
    for name, value in list(namespace.items()):
        if name.startswith("__"):
            continue
        items: Any = [value]
        if type(value) in (list, tuple, set) and len(value) <= MAX_ITEMS:
            items = value
        elif type(value) is dict and len(value) <= MAX_ITEMS:
            items = value.values()
        for item in items:
            if type(item) is str or isinstance(item, PurePath):
                path = os.fspath(item)
                if 0 < len(path) < MAX_PATH and "\0" not in path and os.path.exists(path):
                    yield path


def _holds_working_directory(folder: str) -> bool:
    """Whether a folder is or holds the working directory: too much changes there."""
    return os.path.join(os.getcwd(), "").startswith(os.path.join(os.path.abspath(folder), ""))
