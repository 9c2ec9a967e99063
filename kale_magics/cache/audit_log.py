"""What a step's `file_access` has recorded, and what follows from it for the next time."""

from __future__ import annotations

import contextlib
import os
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kale_magics.cache.file_access import state_of
from kale_magics.cache.path_queries import ask, is_question
from kale_magics.model.nondeterminism import nondeterminism_of
from kale_magics.model.pipeline import Step
from kale_magics.step_runtime.fixed import from_json

FOLLOWED = ("read", "make", "change")
"""How a path is used where Python tells of it."""

UNKNOWN = "not all is known that it used"


class AuditLog:
    """What was told, and what has come of the paths since.

    Args:
        file: Where the recorder has written.

    Attributes:
        modules: The files of installed modules, by their names.
        paths: Kind, path and state of what was used or made, and is looked at the next time.
        made: Those of the paths that the step has made.

    Raises:
        OSError: The file cannot be read.
    """

    def __init__(self, file: Path) -> None:
        self.modules: dict[str, str] = {}
        self.paths: list[tuple[str, str, Any]] = []
        self.made: list[str] = []
        self._reasons: list[str] = []
        self._drawn: list[str] = []
        self._local: list[str] = []
        self._changed: list[str] = []
        self._forked = self._ended = False
        self._used: dict[tuple[str, str], list[tuple[Any, str]]] = {}
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                self._hear(*from_json(line))
            except (ValueError, TypeError, IndexError):
                # A process of the step was killed while it wrote, or has written something else here.
                self._reasons.append(UNKNOWN)
        for (kind, path), its in self._used.items():
            if is_question(kind):
                self._take_answer(kind, path, *its[0])
            elif kind != "tree":
                self._take_in(kind, path, its)
        files = frozenset(path for kind, path, _ in self.paths if kind == "file")
        for (kind, path), its in self._used.items():
            if kind == "tree":
                self._take_in_folder(path, its, files)

    def reasons_against(self, step: Step) -> Iterator[str]:
        """Why the step may do something else another time.

        Args:
            step: The step.
        """
        yield from self._reasons
        if not self._ended:
            yield UNKNOWN
        for file in self._local:
            with contextlib.suppress(OSError, SyntaxError, ValueError), tokenize.open(file) as module:
                found = nondeterminism_of(module.read())
                if found:
                    yield f"its module {Path(file).stem} {found}"
        given = {name for i in step.inputs for name in i.names} | set(step.facts.seeds)
        for name in self._drawn:
            if f"state of {name}" not in given:
                yield f"it draws from {name} without a seed"
        if self._forked and step.facts.draws and not step.facts.seeds:
            yield "processes that it starts may draw numbers without a seed"
        yield from self._changed

    def _hear(self, what: str, *told: Any) -> None:
        if what == "reason":
            self._reasons.append(str(told[0]))
        elif what == "drawn":
            self._drawn.append(told[0])
        elif what == "local":
            self._local.append(told[0])
        elif what == "module":
            self.modules[told[0]] = told[1]
        elif what == "fork":
            self._forked = True
        elif what == "end":
            self._ended = True
        else:
            path, state, how = told
            self._used.setdefault((what, path), []).append((state, how))

    def _take_in(self, kind: str, path: str, its: Sequence[tuple[Any, str]]) -> None:
        before, hows = its[0][0], [how for _, how in its]
        how = next((how for how in hows if how != "watch"), "watch")
        after = state_of(kind, path)
        made = after is not None and (how == "make" or (before is None and how == "watch"))
        made = made or (after is not None and before is None and path.startswith(memories()))
        if "many" in (before, after):
            self._changed.append(f"the folder {nearby(path)} has too many names to compare")
        elif before == after or how == "seen" or made:
            if before is not None or after is not None or how in ("watch", "read"):
                self.paths.append((kind, path, after))
            self.made += [path] * made
        else:
            self._changed.append(f"it changes {nearby(path)}")

    def _take_answer(self, question: str, path: str, before: Any, how: str) -> None:
        """A question; what a library finds out before it makes something does not change what it makes."""
        after = ask(question, path)
        self.paths.append((question, path, after))
        if before != after and how == "look" and not path.startswith(memories()):
            verb = "makes" if before is None else "changes"
            self._changed.append(f"it looks at {nearby(path)} and {verb} it")

    def _take_in_folder(self, path: str, its: Sequence[tuple[Any, str]], files: frozenset[str]) -> None:
        """A folder that is named, of which compiled code may read any file."""
        below = [key for key in self._used if key[1].startswith(os.path.join(path, ""))]
        hows = {how for key in below for _, how in self._used[key] if how in FOLLOWED}
        before, after = its[0][0], state_of("tree", path)
        if hows == {"make"}:
            return  # a place for what the step makes, and others too
        if "many" in (before, after):
            self._changed.append(f"the folder {nearby(path)} has too many files to compare")
        elif not hows and before not in (None, after) and its[0][1] == "watch":
            self._changed.append(f"it changes {nearby(path)}")
        else:
            self.paths.append(("tree", path, state_of("tree", path, files)))


def memories() -> tuple[str, ...]:
    """Where libraries keep what they would otherwise compute again, as matplotlib its list of fonts."""
    places = (os.environ.get("XDG_CACHE_HOME") or "~/.cache", "~/Library/Caches")
    return tuple(os.path.join(os.path.expanduser(place), "") for place in places)


def nearby(path: str) -> str:
    """A path as it is called from here, if it is below."""
    shown = os.path.relpath(path)
    return path if shown.startswith("..") else shown
