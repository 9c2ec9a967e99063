"""The notebook's own file: where it is, the order of its cells, and their present text.

A kernel need not be told which notebook it serves, and what the file has may be older than what was run. So
the file is a witness that may be missing, and is heard only where it can know better.
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
    """The file of the notebook, if whoever started the kernel says it and it exists.

    Args:
        namespace: The user's variables; VS Code puts the path there.
    """
    told = (namespace.get("__vsc_ipynb_file__"), os.environ.get("JPY_SESSION_NAME"))
    for name in told:
        if isinstance(name, str) and name.endswith(".ipynb"):
            # Jupyter may give the path from the server's folder; the kernel runs in the notebook's own.
            found = next((path for path in (Path(name), Path(Path(name).name)) if path.is_file()), None)
            if found:
                return found.resolve()
    return None


@dataclass(frozen=True)
class Notebook:
    """What the file of a notebook has.

    Attributes:
        saved_at: When it was written, in seconds since the epoch.
        cells: The ids (empty in old files) and the texts of its code cells, in order.
    """

    saved_at: float = 0.0
    cells: tuple[tuple[str, str], ...] = ()

    def ordered(self, cells: Sequence[Cell]) -> tuple[Cell, ...]:
        """Marked cells in the order of the notebook.

        Args:
            cells: In the order in which they were marked. One that is not in the file, by its id or else by
                its text, keeps its place behind the one before it.
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
        """The marked cells that are no longer in the notebook.

        Args:
            cells: Those that the session knows. A file that has none of them is another notebook's.
        """
        ids = {cell_id for cell_id, _ in self.cells if cell_id}
        if ids.isdisjoint(cell.cell_id for cell in cells):
            return ()
        return tuple(c for c in cells if c.cell_id and c.cell_id not in ids and self.saved_at > c.marked_at)

    def diagnostics(self, cells: Sequence[Cell]) -> list[Diagnostic]:
        """What there is to tell of marked cells that are not as they were when they ran."""
        changed = [
            Diagnostic(
                Code.CELL_CHANGED,
                "this cell was edited after it ran; the pipeline has it as it ran",
                "run it again",
                Where(cell.label, cell.name),
                "warning",
            )
            for cell in self.changed(cells)
        ]
        deleted = [
            Diagnostic(
                Code.CELL_DELETED,
                "this cell is no longer in the notebook, and so it is not in the pipeline",
                f"forget it: %kale_reset {quoted(cell.name or cell.kind)}; or put it back and run it",
                Where(cell.label, cell.name),
                "warning",
            )
            for cell in self.deleted(cells)
        ]
        return changed + deleted

    def states(self, cells: Sequence[Cell]) -> dict[Cell, str]:
        """The states of those marked cells of which the file knows more than the session."""
        return {**dict.fromkeys(self.changed(cells), CHANGED), **dict.fromkeys(self.deleted(cells), DELETED)}

    def changed(self, cells: Sequence[Cell]) -> tuple[Cell, ...]:
        """The marked cells whose text is another now than when they were run."""
        texts = {cell_id: text for cell_id, text in self.cells if cell_id}
        return tuple(
            cell
            for cell in cells
            if cell.cell_id in texts
            and self.saved_at > cell.marked_at
            and _read(texts[cell.cell_id]) != _content(cell)
        )


def read_notebook(path: Path | None) -> Notebook:
    """Read the file; one that is missing or damaged has nothing."""
    if path is None:
        return Notebook()
    # It takes a tenth of a second to import, and is only needed in a frontend that has a file.
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
    return (cell.kind, cell.name, cell.after, cell.run, cell.reads, cell.options, _code(cell.source))


def _read(text: str) -> tuple[Any, ...] | None:
    """What a text marks; None if it marks nothing."""
    magic = find_magic(text)
    if magic is None:
        return None
    try:
        mark = parse_mark(magic.arguments)
    except KaleError:  # the cell says so when it is run
        return None
    return (mark.kind, mark.name, mark.after, mark.run, mark.reads, mark.options, _code(magic.source))


def _code(source: str) -> str:
    """A cell without what means nothing: empty lines around it, and an indentation of all of it."""
    return textwrap.dedent(source).strip()


def _single_places(texts: Sequence[str]) -> dict[tuple[Any, ...], int]:
    """The places of the marked texts that the notebook has once."""
    contents = [_read(text) for text in texts]
    times = Counter(contents)
    return {content: place for place, content in enumerate(contents) if content and times[content] == 1}
