"""The notebook's own file as a witness, and the registry that it puts in order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import indent

import pytest

from kale_magics.session.marking import find_magic
from kale_magics.session.notebook_file import Notebook, find_notebook, read_notebook
from kale_magics.session.registry import Cell, Registry
from kale_magics.syntax.commands import parse_mark


def cell(cell_id: str | None, text: str, marked_at: float = 0.0) -> Cell:
    magic = find_magic(text)
    assert magic is not None
    mark = parse_mark(magic.arguments)
    return Cell(mark, magic.source, cell_id, marked_at=marked_at)


A, B, C, D = (f"%%kale step {name}\n{name} = 1" for name in "abcd")


@pytest.mark.parametrize(
    ("marked", "file", "order"),
    [
        ([("1", A), ("2", B)], [("2", B), ("1", A)], "ba"),
        ([("1", A), ("2", B), ("3", C)], [("3", C), ("1", A), ("2", B)], "cab"),
        ([("1", A), ("9", D), ("2", B)], [("2", B), ("1", A)], "bad"),
        ([("9", D), ("1", A), ("2", B)], [("2", B), ("1", A)], "dba"),
        ([("1", A), ("2", B)], [], "ab"),
        ([(None, A), (None, B)], [("x", B), ("y", A)], "ba"),
        ([("vscode-1", A), ("vscode-2", B)], [("x", B), ("y", A)], "ba"),
        ([(None, A), (None, B)], [("x", B), ("y", A), ("z", A)], "ab"),
        ([(None, A), (None, B), (None, C)], [("x", C), ("y", A), ("z", A)], "abc"),
        ([("1", A), ("2", B)], [("", "x = 1"), ("2", "# changed"), ("1", A)], "ba"),
    ],
)
def test_cells_stand_in_the_order_of_the_notebook(
    marked: list[tuple[str | None, str]], file: list[tuple[str, str]], order: str
) -> None:
    cells = [cell(cell_id, text) for cell_id, text in marked]
    assert "".join(c.name for c in Notebook(1.0, tuple(file)).ordered(cells)) == order


def test_a_cell_that_the_file_has_otherwise_has_changed_since_it_ran() -> None:
    file = Notebook(5.0, (("1", A + "\n"), ("2", B.replace("1", "2")), ("3", "x = 1"), ("4", D + " # note")))
    texts = {"1": A, "2": B, "3": C, "4": D, "9": D}
    cells = {cell_id: cell(cell_id, text, marked_at=4.0) for cell_id, text in texts.items()}
    cells["4"] = replace(cells["4"], marked_at=6.0)
    assert file.changed(list(cells.values())) == (cells["2"], cells["3"])
    assert set(file.states(list(cells.values())).values()) == {"changed since", "deleted"}


def test_another_option_is_a_change_too_and_an_empty_line_above_is_none() -> None:
    a, b = "%%kale step a --cpu 1\na = 1", "%%kale step b --cpu 1\nb = 1"
    file = Notebook(5.0, (("1", a.replace("1", "2", 1)), ("2", f"\n\n{b}"), ("3", indent(C, "  "))))
    cells = [cell("1", a, marked_at=4.0), cell("2", b, marked_at=4.0), cell("3", C, marked_at=4.0)]
    assert file.changed(cells) == (cells[0],)


def test_a_cell_that_the_file_no_longer_has_is_deleted() -> None:
    file = Notebook(5.0, (("1", A),))
    cells = [
        cell("1", A, marked_at=4.0),
        cell("2", B, marked_at=4.0),
        cell("3", C, marked_at=6.0),
        cell(None, D),
    ]
    assert file.deleted(cells) == (cells[1],)
    assert file.states(cells) == {cells[1]: "deleted"}
    assert file.deleted(cells[1:]) == (), "another notebook's file"


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", "5", '{"cells": 1}', '{"nbformat": 4, "cells": [{}]}', "\xff"]
)
def test_a_damaged_file_has_nothing(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "a.ipynb"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    assert read_notebook(path).cells == ()


def test_the_notebook_is_found_only_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "my work.ipynb"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JPY_SESSION_NAME", "folder/my work.ipynb")
    assert find_notebook({}) is None
    path.write_text("{}")
    assert find_notebook({}) == path
    monkeypatch.setenv("JPY_SESSION_NAME", "console-1")
    assert find_notebook({}) is None
    assert find_notebook({"__vsc_ipynb_file__": str(path)}) == path


def test_steps_are_removed_from_the_registry() -> None:
    registry = Registry()
    for text in (A, B, A.replace("1", "2"), "%%kale skip\nx = 1"):
        registry.put(cell(None, text))
    registry.remove(["a"])
    assert [(c.kind, c.name) for c in registry.cells] == [("step", "b"), ("skip", "")]
    registry.clear()
    assert registry.cells == ()
