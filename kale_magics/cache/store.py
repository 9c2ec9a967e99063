"""What steps did in earlier runs, and whether it may stand for running them again.

The folder of a step that has succeeded is its entry: beside its outputs, its log and its result stands
`cache.json`, which says what all of that hangs on. `<runs folder>/cache/<key>` names the folder of a key's
latest entry. The key is made of what is known before a step runs; the rest is looked at when an entry is
found. An entry goes when its run is thrown away; a run that takes an entry has links to all of its files.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from kale_magics.cache.entry import ENTRY, CacheEntry, changes, key_of, read_entry
from kale_magics.execution.file_digests import CHUNK, file_digest
from kale_magics.execution.run import Run
from kale_magics.execution.run_store import write_text
from kale_magics.execution.signing import sign
from kale_magics.model.pipeline import Step
from kale_magics.step_runtime.fixed import to_json


class CacheStore:
    """The entries of a folder of runs.

    Args:
        runs_folder: Where the runs are.
    """

    def __init__(self, runs_folder: Path) -> None:
        self.runs_folder = runs_folder
        self.index = runs_folder / "cache"

    def find(self, step: Step, parts: Mapping[str, str], thorough: bool = True) -> Path | None:
        """The folder of an entry that may stand for running a step.

        Args:
            step: The step.
            parts: As `parts_of` gives them.
            thorough: Whether all files are compared with their digests; else large ones need only be there.
        """
        if not step.cache or step.varies:
            return None
        try:
            folder = self.runs_folder / "runs" / (self.index / key_of(parts)).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None
        return folder if self.holds(folder, parts, thorough) else None

    def holds(
        self, folder: Path, parts: Mapping[str, str], thorough: bool = True, waive: bool = False
    ) -> bool:
        """Whether a step's folder is an entry with these parts, undamaged, and all that it used is as it was.

        Args:
            folder: Of the step in an earlier run.
            parts: As `parts_of` gives them.
            thorough: As in `find`.
            waive: Whether it may be one that must run each time.
        """
        entry = read_entry(folder)
        if (
            entry is None
            or dict(entry.parts) != dict(parts)
            or (entry.reason and not waive)
            or changes(entry)
        ):
            return False
        try:
            return all(
                file_digest(folder / name) == digest
                for name, digest in entry.files.items()
                if thorough or (folder / name).stat().st_size <= CHUNK
            )
        except OSError:
            return False

    def keep(self, folder: Path, entry: CacheEntry) -> None:
        """Make a step's folder an entry.

        Raises:
            OSError: A file cannot be written.
        """
        body = to_json(vars(entry), sort_keys=True)
        write_text(folder / ENTRY, f'{{"signature": "{sign(body)}",\n"entry": {body}}}\n')
        self._point_at(folder, entry)

    def _point_at(self, folder: Path, entry: CacheEntry) -> None:
        if not entry.reason:
            self.index.mkdir(mode=0o700, exist_ok=True)
            write_text(self.index / key_of(entry.parts), f"{folder.parent.name}/{folder.name}")

    def take(self, source: Path, folder: Path) -> None:
        """Give a step the files of an entry, as links.

        Raises:
            OSError: A file is gone or cannot be written.
        """
        entry = read_entry(source)
        if entry is None:
            raise FileNotFoundError(source / ENTRY)
        for name in (*entry.files, ENTRY):
            (folder / name).unlink(missing_ok=True)
            try:
                os.link(source / name, folder / name)
            except OSError:  # a file system without links
                shutil.copyfile(source / name, folder / name)
        self._point_at(folder, entry)

    def tidy(self) -> None:
        """Forget the entries that are gone."""
        for place in self.index.iterdir() if self.index.is_dir() else ():
            with contextlib.suppress(OSError, ValueError):
                if not (self.runs_folder / "runs" / place.read_text(encoding="utf-8") / ENTRY).exists():
                    place.unlink()


class EarlierResults:
    """What earlier runs have for this one."""

    def __init__(self, cache: CacheStore, look: bool, resumed: Run | None, given: Mapping[str, Path]) -> None:
        self.cache, self.look, self.resumed, self.given = cache, look, resumed, given

    def entry_for(self, step: Step, parts: Mapping[str, str]) -> Path | None:
        """The folder of a step in an earlier run that may stand for running it."""
        before = self.resumed.steps.get(step.name) if self.resumed else None
        if before and before.state == "succeeded" and self.cache.holds(before.folder, parts, waive=True):
            return before.folder
        return self.cache.find(step, parts) if self.look else None
