"""The README: what it shows is what happens, and what it names exists.

A block of `python` is a cell; all of them are one notebook, in order. A block of `text` below one is its
output, in which a line `...` stands for lines left out. A cell that is to fail says so: `python fails`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from kale_magics.magics.magics import KaleMagics
from kale_magics.model.diagnostics import Code
from kale_magics.syntax import commands as magic_commands

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TIMEOUT = 120
"""Seconds that a cell may take."""

FENCE = re.compile(r"^```(?P<label>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LABELS = {"sh", "python", "python fails", "text"}


@dataclass(frozen=True)
class Shown:
    """A cell of the README with the output that it shows, if it shows one."""

    source: str
    fails: bool
    output: str | None


def blocks() -> list[tuple[str, str]]:
    return [(match["label"], match["text"].rstrip("\n")) for match in FENCE.finditer(README)]


def shown_cells() -> Iterator[Shown]:
    found = [*blocks(), ("", "")]
    for (label, text), (next_label, next_text) in pairwise(found):
        if label.startswith("python"):
            yield Shown(text, label == "python fails", next_text if next_label == "text" else None)


def commands() -> list[str]:
    return [line for label, text in blocks() if label == "sh" for line in text.splitlines()]


def section(title: str) -> str:
    return re.split(r"^##+ ", README.partition(f" {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The tables in a text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = [number for number, row in enumerate(cells) if set(row[0]) == {"-"}]
    return [row for number, row in enumerate(cells) if not {number, number + 1} & set(rules)]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The cells of the README after they have run, by their text."""
    notebook = nbformat.v4.new_notebook()
    for shown in shown_cells():
        cell = nbformat.v4.new_code_cell(shown.source)
        cell.metadata["tags"] = ["raises-exception"] if shown.fails else []
        notebook.cells.append(cell)
    folder = tmp_path_factory.mktemp("readme")
    client = NotebookClient(notebook, timeout=TIMEOUT, resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, "JPY_SESSION_NAME": ""})
    assert (folder / "diabetes.yaml").stat().st_size > 0
    return {cell.source: cell for cell in notebook.cells}


def output_of(cell: Any) -> str:
    parts = []
    for output in cell.outputs:
        if output.output_type == "stream":
            parts.append(output.text)
        elif output.output_type == "error":
            parts.append("\n".join(output.traceback))
        else:
            parts.append(output.data["text/plain"] + "\n")
    return "".join(parts).rstrip("\n")


def stable(text: str) -> list[str]:
    """The lines of an output as they are on every machine."""
    text = re.sub(r"\b\d+(\.\d+)? s\b", "N s", text)
    text = re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", text)
    text = re.sub(r"-{2,}", "--", re.sub(r" {2,}", "  ", text))
    return [line.rstrip() for line in text.splitlines()]


def appears(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether lines are those that were printed, but for what `...` leaves out."""
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(appears(shown[1:], printed[skipped:]) for skipped in range(len(printed) + 1))
    return bool(printed) and shown[0] == printed[0] and appears(shown[1:], printed[1:])


@pytest.mark.parametrize("shown", list(shown_cells()), ids=lambda shown: shown.source.partition("\n")[0])
def test_a_cell_gives_what_is_shown(shown: Shown, executed: dict[str, Any]) -> None:
    cell = executed[shown.source]
    errors = [output.ename for output in cell.outputs if output.output_type == "error"]
    assert errors == (["KaleError"] if shown.fails else [])
    if shown.output is not None:
        assert appears(stable(shown.output), stable(output_of(cell))), output_of(cell)


def test_what_is_left_out_is_all_that_may_differ() -> None:
    assert appears(["a", "...", "d"], ["a", "b", "c", "d"])
    assert appears(["...", "d"], ["d"])
    assert not appears(["a", "...", "d"], ["a", "b", "c"])
    assert not appears(["a", "d"], ["a", "b", "d"])
    assert not appears(["a"], ["a", "b"])


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert {label for label, _ in blocks()} == LABELS


def targets() -> list[str]:
    return sorted(set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)))


def test_the_two_commands_are_named() -> None:
    assert commands()[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("target", targets())
def test_make_has_the_target(target: str) -> None:
    asked = ["make", "--dry-run", "--always-make", target]
    told = subprocess.run(asked, cwd=ROOT, check=False, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    files = re.findall(r"(?<![\w./])(?:[\w.-]+/)+[\w-]+\.(?:py|ipynb)\b", told.stdout)
    assert [name for name in files if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("command", [c for c in commands() if not c.startswith("make ")])
def test_a_command_finds_what_it_needs(command: str) -> None:
    program, subcommand, *words = shlex.split(command)
    assert program == ".venv/bin/jupyter"
    assert Path(sys.executable).with_name(f"jupyter-{subcommand}").is_file()
    places = [word for word in words if "/" in word or word == "demo_notebooks"]
    assert places
    assert [place for place in places if not list(ROOT.glob(place))] == []


def test_links_lead_to_files() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("https://")]
    assert len(links) >= 5
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_the_places_of_the_repository_exist() -> None:
    for place, _ in rows(section("The repository")):
        for name in re.findall(r"`([^`]+)`", place):
            assert (ROOT / name).exists() or (ROOT / "kale_magics" / name).exists(), name


def test_the_table_of_codes_is_current() -> None:
    assert rows(section("The codes")) == [[code.code, code.meaning] for code in Code]


def test_every_magic_and_option_is_explained() -> None:
    magics = [re.findall(r"`([^`]+)`", row[0])[0] for row in rows(section("All others"))]
    names = (
        "KALE",
        "GRAPH",
        "RUN",
        "COMPILE",
        "RUNS",
        "LOGS",
        "PULL",
        "ATTACH",
        "CANCEL",
        "SCHEDULE",
        "CLEAN",
        "RESET",
    )
    syntaxes = [getattr(magic_commands, name) for name in names]
    assert magics == [syntax.usage for syntax in syntaxes]
    marking = [re.findall(r"`([^`]+)`", row[0]) for row in rows(section("Marking a cell: `%%kale KIND`"))]
    kinds = [magic_commands.KINDS[kind].usage.partition(" [")[0] for kind in magic_commands.KINDS]
    assert [names[0] for names in marking[: len(kinds)]] == kinds
    assert {name for names in marking for name in names[1:]} == set(magic_commands.SYNONYMS)
    options = [names[0].split()[0] for names in marking[len(kinds) :]]
    options += [name for row in rows(section("On a cluster")) for name in re.findall(r"--[\w-]+", row[0])]
    known = {option.name for option in magic_commands.KINDS["step"].options}
    assert sorted(set(options)) == sorted(known)


def test_every_option_of_a_run_is_explained() -> None:
    explained = [re.findall(r"`([^`]+)`", row[0])[0].split()[0] for row in rows(section("Options of a run"))]
    assert explained == [option.name for option in magic_commands.RUN.options]


def test_every_setting_is_explained() -> None:
    explained = [row[0].strip("`") for row in rows(section("Settings"))]
    assert sorted(explained) == sorted(KaleMagics.class_traits(config=True))
