"""The notebook's file: its path, the order of its cells, and their saved source.

A kernel may not know its notebook, and the file may be older than what was run. So the file is optional, and
it is used only if it was saved after the cell was marked.
"""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kale_magics.model.diagnostics import Code, Diagnostic, KaleError, Where
from kale_magics.session.marking import find_magic
from kale_magics.session.registry import Cell
from kale_magics.syntax.arguments import quoted
from kale_magics.syntax.commands import parse_mark

CHANGED, DELETED = "changed since", "deleted"


def find_notebook(namespace: Mapping[str, Any]) -> Path | None:
    """Return the file of the notebook, if the frontend provides its path and it exists.

    Args:
        namespace: The user's variables; VS Code stores the path there.
    """
    candidates = (namespace.get("__vsc_ipynb_file__"), os.environ.get("JPY_SESSION_NAME"))
    for name in candidates:
        if isinstance(name, str) and name.endswith(".ipynb"):
            # Jupyter's path may be relative to the server's folder; the kernel runs in the notebook's.
            found = next((path for path in (Path(name), Path(Path(name).name)) if path.is_file()), None)
            if found:
                return found.resolve()
    return None


@dataclass(frozen=True)
class Notebook:
    """The content of a notebook's file.

    Attributes:
        saved_at: When it was saved, in seconds since the epoch.
        cells: The ids (empty in old files) and the sources of its code cells, in order.
    """

    saved_at: float = 0.0
    cells: tuple[tuple[str, str], ...] = ()

    def ordered(self, cells: Sequence[Cell]) -> tuple[Cell, ...]:
        """Return marked cells in the order of the notebook.

        Args:
            cells: In the order in which they were marked. A cell that is not in the file, by its id or else
                by its source, stays after its predecessor.
        """
        ids = {cell_id: number for number, (cell_id, _) in enumerate(self.cells) if cell_id}
        texts = _single_places([text for _, text in self.cells])
        place = -1
        places = []
        for number, cell in enumerate(cells):
            place = ids.get(cell.cell_id or "", texts.get(_content(cell), place))
            places.append((place, number))
        return tuple(cells[number] for _, number in sorted(places))

    def deleted(self, cells: Sequence[Cell]) -> tuple[Cell, ...]:
        """Return the marked cells that are no longer in the notebook.

        Args:
            cells: Those of the session. A file that contains none of them belongs to another notebook.
        """
        ids = {cell_id for cell_id, _ in self.cells if cell_id}
        if ids.isdisjoint(cell.cell_id for cell in cells):
            return ()
        return tuple(c for c in cells if c.cell_id and c.cell_id not in ids and self.saved_at > c.marked_at)

    def diagnostics(self, cells: Sequence[Cell]) -> list[Diagnostic]:
        """Return warnings about marked cells that were edited or deleted after they ran."""
        changed = [
            Diagnostic(
                Code.CELL_CHANGED,
                "this cell was edited after it ran; the pipeline uses the version that ran",
                "run it again",
                Where(cell.label, cell.name),
                "warning",
            )
            for cell in self.changed(cells)
        ]
        deleted = [
            Diagnostic(
                Code.CELL_DELETED,
                "this cell is no longer in the notebook; the pipeline leaves it out",
                f"unmark it with %kale_reset {quoted(cell.name or cell.kind)}, or restore it and run it",
                Where(cell.label, cell.name),
                "warning",
            )
            for cell in self.deleted(cells)
        ]
        return changed + deleted

    def states(self, cells: Sequence[Cell]) -> dict[Cell, str]:
        """Return the states of marked cells that were edited or deleted after they ran."""
        return {**dict.fromkeys(self.changed(cells), CHANGED), **dict.fromkeys(self.deleted(cells), DELETED)}

    def changed(self, cells: Sequence[Cell]) -> tuple[Cell, ...]:
        """Return the marked cells that were edited after they ran."""
        texts = {cell_id: text for cell_id, text in self.cells if cell_id}
        return tuple(
            cell
            for cell in cells
            if cell.cell_id in texts
            and self.saved_at > cell.marked_at
            and _read(texts[cell.cell_id]) != _content(cell)
        )


def read_notebook(path: Path | None) -> Notebook:
    """Read the file; the content is empty if it is missing or damaged."""
    if path is None:
        return Notebook()
    # Its import takes a tenth of a second, and only frontends with a file need it.
    from nbformat import ValidationError, reader

    try:
        saved_at = path.stat().st_mtime
        content = reader.reads(path.read_text(encoding="utf-8"))
        cells = [
            (str(cell.get("id", "")), str(cell["source"]))
            for cell in content["cells"]
            if cell["cell_type"] == "code"
        ]
    except (ValidationError, OSError, ValueError, LookupError, AttributeError, TypeError):
        return Notebook()
    return Notebook(saved_at, tuple(cells))


def _content(cell: Cell) -> tuple[Any, ...]:
    return (
        cell.kind,
        cell.name,
        cell.mark.after,
        cell.mark.run,
        cell.mark.reads,
        cell.mark.options,
        _code(cell.source),
    )


def _read(text: str) -> tuple[Any, ...] | None:
    """Return what a source marks; None if it has no valid mark."""
    magic = find_magic(text)
    if magic is None:
        return None
    try:
        mark = parse_mark(magic.arguments)
    except KaleError:  # reported when the cell runs
        return None
    return (mark.kind, mark.name, mark.after, mark.run, mark.reads, mark.options, _code(magic.source))


def _code(source: str) -> str:
    """Return a cell without surrounding empty lines and common indentation."""
    return textwrap.dedent(source).strip()


def _single_places(texts: Sequence[str]) -> dict[tuple[Any, ...], int]:
    """Return the positions of the marked cells whose content is unique in the notebook."""
    contents = [_read(text) for text in texts]
    times = Counter(contents)
    return {content: place for place, content in enumerate(contents) if content and times[content] == 1}
