"""The entries of the cache in a folder of runs.

The folder of a step that has succeeded is its entry: beside its outputs, log and result, `cache.json` holds
everything that these depend on. `<runs folder>/cache/<key>` names the folder of the latest entry of a key.
The key is made of what is known before a step runs; the rest is compared when an entry is found. An entry is
deleted with its run; a run that reuses an entry has links to all of its files.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from kale_magics.cache.cache_key import KeyParts, cache_key
from kale_magics.cache.entry import ENTRY, CacheEntry, entry_text, first_change, read_entry
from kale_magics.execution.file_digests import CHUNK, file_digest
from kale_magics.execution.run import Run
from kale_magics.execution.run_store import write_text
from kale_magics.model.pipeline import Step


class CacheStore:
    """The entries in a folder of runs.

    Args:
        runs_folder: The folder of runs.
    """

    def __init__(self, runs_folder: Path) -> None:
        self.runs_folder = runs_folder
        self.index = runs_folder / "cache"

    def find(self, step: Step, parts: KeyParts, thorough: bool = True) -> Path | None:
        """Return the folder of an entry that can replace running a step; None if there is none.

        Args:
            step: The step.
            parts: The parts of its key (`cache_key.key_parts`).
            thorough: Whether all files are compared with their digests; else large ones need only exist.
        """
        if not step.cache or step.nondeterminism:
            return None
        try:
            folder = self.runs_folder / "runs" / (self.index / cache_key(parts)).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None
        return folder if self.is_valid(folder, parts, thorough) else None

    def is_valid(
        self, folder: Path, parts: KeyParts, thorough: bool = True, any_reason: bool = False
    ) -> bool:
        """Whether a step's folder is an undamaged entry with these parts, of which nothing has changed since.

        Args:
            folder: The folder of the step in an earlier run.
            parts: The parts of the step's key.
            thorough: As in `find`.
            any_reason: Whether an entry of a step that must run each time is valid too.
        """
        entry = read_entry(folder)
        if (
            entry is None
            or dict(entry.parts) != dict(parts)
            or (entry.reason and not any_reason)
            or first_change(entry)
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

    def add(self, folder: Path, entry: CacheEntry) -> None:
        """Make a step's folder an entry.

        Raises:
            OSError: A file cannot be written.
        """
        write_text(folder / ENTRY, entry_text(entry))
        self._index(folder, entry)

    def reuse(self, source: Path, folder: Path) -> None:
        """Link the files of an entry into the folder of a step.

        Raises:
            OSError: A file is missing or cannot be written.
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
        self._index(folder, entry)

    def prune(self) -> None:
        """Remove deleted entries from the index."""
        for place in self.index.iterdir() if self.index.is_dir() else ():
            with contextlib.suppress(OSError, ValueError):
                if not (self.runs_folder / "runs" / place.read_text(encoding="utf-8") / ENTRY).exists():
                    place.unlink()

    def _index(self, folder: Path, entry: CacheEntry) -> None:
        if not entry.reason:
            self.index.mkdir(mode=0o700, exist_ok=True)
            place = folder.relative_to(self.runs_folder / "runs")
            write_text(self.index / cache_key(entry.parts), place.as_posix())


class EarlierResults:
    """The results of earlier runs that a run can reuse.

    Args:
        store: The cache.
        use_cache: Whether the run may reuse any entry of the cache.
        resumed: The run that is resumed; its steps that succeeded are reused.
        given: The folders of steps in earlier runs that replace steps which the pipeline does not have.
    """

    def __init__(
        self, store: CacheStore, use_cache: bool, resumed: Run | None, given: Mapping[str, Path]
    ) -> None:
        self.store, self.use_cache, self.resumed, self.given = store, use_cache, resumed, given

    def find(self, step: Step, parts: KeyParts) -> Path | None:
        """Return a folder of an earlier run that can replace running a step; None if there is none."""
        last = self.resumed.steps.get(step.name) if self.resumed else None
        if last and last.state == "succeeded" and self.store.is_valid(last.folder, parts, any_reason=True):
            return last.folder
        return self.store.find(step, parts) if self.use_cache else None
