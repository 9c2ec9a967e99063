"""README and docs: what a page shows is what happens, and what it names exists.

A page is a notebook. Its blocks of `python` are the cells, and a block of `text` is the output of the block
above it, in which a line `...` stands for lines left out. A cell that fails is labelled `python fails`. After
the cells, the commands of the page's `sh` blocks run in the same folder, where the cells are saved as
`notebook.ipynb`. Commands that install, clone or start something are not run; what they name must exist.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import kale_magics
from kale_magics.magics.magics import KaleMagics
from tests import reference
from tests.catalogue import ADDRESS
from tests.kfp_server import KfpServer
from tests.tiers import slow_but

ROOT = Path(__file__).parents[1]
PATHS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PATHS}
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = "docs/diagnostics.md"
"""Written by `make docs`, which runs its examples; see `test_diagnostics`."""

TIMEOUT = 120
"""Seconds that a cell may take."""

FENCE = re.compile(r"^```(?P<label>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LABELS = {"sh", "python", "python fails", "text"}
ONLY_NAMED = ("make ", "pip ", ".venv/bin/")
"""How commands begin that are not run."""


@dataclass
class Block:
    """Code of a page, with the output that it shows, if it shows one."""

    label: str
    text: str
    output: str | None = None

    @property
    def is_cell(self) -> bool:
        return self.label.startswith("python")


def blocks(page: str) -> list[Block]:
    found: list[Block] = []
    for match in FENCE.finditer(reference.PART.sub("", page)):
        if match["label"] == "text" and found and found[-1].output is None:
            found[-1].output = match["text"].rstrip("\n")
        else:
            found.append(Block(match["label"], match["text"].rstrip("\n")))
    return found


WITH_CODE = [name for name, page in PAGES.items() if blocks(page) and name != EXAMPLES]


@pytest.mark.parametrize("name", WITH_CODE)
def test_every_block_is_of_a_kind_that_is_checked(name: str) -> None:
    assert {block.label for block in blocks(PAGES[name])} <= LABELS - {"text"}


@pytest.mark.parametrize("name", slow_but(("README.md", "docs/semantics.md"), WITH_CODE))
def test_a_page_shows_what_happens(name: str, tmp_path: Path) -> None:
    page = PAGES[name]
    with KfpServer(tmp_path / "server") if ADDRESS in page else nullcontext() as server:
        here = server.url if server else ADDRESS
        cells = [block for block in blocks(page) if block.is_cell]
        printed = [text.replace(here, ADDRESS) for text in outputs_of(cells, here, tmp_path)]
        shell = [block for block in blocks(page) if block.label == "sh" and not is_only_named(block)]
        printed += [run_in_shell(block.text, tmp_path) for block in shell]
    for block, text in zip([*cells, *shell], printed, strict=True):
        if block.output is not None:
            found = appears(stable(block.output), stable(text))
            assert found, f"{block.text}\n\n{text}"


def outputs_of(cells: Sequence[Block], server: str, folder: Path) -> list[str]:
    """Run cells as one notebook and return what each shows."""
    notebook = nbformat.v4.new_notebook()
    for block in cells:
        cell = nbformat.v4.new_code_cell(block.text.replace(ADDRESS, server))
        cell.metadata["tags"] = ["raises-exception"] if block.label == "python fails" else []
        notebook.cells.append(cell)
    if not cells:
        return []
    nbformat.write(notebook, folder / "notebook.ipynb")
    client = NotebookClient(notebook, timeout=TIMEOUT, resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, "JPY_SESSION_NAME": ""})
    failed = [any(output.output_type == "error" for output in cell.outputs) for cell in notebook.cells]
    assert failed == [block.label == "python fails" for block in cells]
    return [output_of(cell) for cell in notebook.cells]


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


def is_only_named(block: Block) -> bool:
    return all(line.startswith(ONLY_NAMED) for line in block.text.splitlines())


def run_in_shell(text: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "JPY_SESSION_NAME": ""}
    ended = subprocess.run(
        ["sh", "-c", text], cwd=folder, env=environment, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
    )  # fmt: skip
    return ended.stdout.rstrip("\n")


def stable(text: str) -> list[str]:
    """The lines of an output as they are on every machine."""
    text = re.sub(r"\b\d+(\.\d+)? s\b", "N s", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
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


def test_what_is_left_out_is_all_that_may_differ() -> None:
    assert appears(["a", "...", "d"], ["a", "b", "c", "d"])
    assert appears(["...", "d"], ["d"])
    assert not appears(["a", "...", "d"], ["a", "b", "c"])
    assert not appears(["a", "d"], ["a", "b", "d"])
    assert not appears(["a"], ["a", "b"])


def commands(page: str) -> list[str]:
    return [line for block in blocks(page) if block.label == "sh" for line in block.text.splitlines()]


def targets() -> set[str]:
    documents = [*PAGES.values(), CONTRIBUTING]
    shown = [line for page in PAGES.values() for line in commands(page)]
    named = [code for text in documents for code in re.findall(r"`([^`\n]+)`", text)]
    return {line.split()[1] for line in (*shown, *named) if line.startswith("make ")}


def test_the_two_commands_are_named() -> None:
    assert [c for c in commands(PAGES["README.md"]) if c.startswith("make")][:2] == ["make demo", "make test"]


def test_every_target_of_the_makefile_is_named() -> None:
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert declared
    assert set(declared[1].split()) == targets()


@pytest.mark.parametrize("target", sorted(targets()))
def test_make_has_the_target(target: str) -> None:
    asked = ["make", "--dry-run", "--always-make", target]
    told = subprocess.run(asked, cwd=ROOT, check=False, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    files = re.findall(r"(?<![\w./])(?:[\w.-]+/)+[\w-]+\.(?:py|ipynb)\b", told.stdout)
    assert [name for name in files if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("command", [c for c in commands(PAGES["README.md"] + CONTRIBUTING) if c[0] == "."])
def test_a_command_finds_what_it_needs(command: str) -> None:
    program, subcommand, *words = shlex.split(command)
    assert program == ".venv/bin/jupyter"
    assert Path(sys.executable).with_name(f"jupyter-{subcommand}").is_file()
    places = [word for word in words if "/" in word or word == "demo_notebooks"]
    assert places
    assert [place for place in places if not list(ROOT.glob(place))] == []


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links() -> Iterator[tuple[str, str]]:
    for path in (*PATHS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"):
        for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if not link.startswith("https://"):
                yield path.relative_to(ROOT).as_posix(), link


def test_links_lead_to_files_and_headings() -> None:
    broken = []
    for name, link in links():
        file, _, anchor = link.partition("#")
        target = (ROOT / name).parent / file if file else ROOT / name
        if not target.is_file() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(f"{name}: {link}")
    assert broken == []


def test_places_of_the_repository_exist() -> None:
    texts = (PAGES["docs/architecture.md"], CONTRIBUTING)
    places = {place for text in texts for place in re.findall(r"`([\w/]+(?:/|\.py|\.toml))`", text)}
    assert len(places) > 10
    assert [p for p in places if not (ROOT / p).exists() and not (ROOT / "kale_magics" / p).exists()] == []


def test_the_readme_leads_to_every_page() -> None:
    assert set(PAGES) - {"README.md"} <= {link for name, link in links() if name == "README.md"}


def test_the_changelog_has_the_version_and_its_date() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[([\d.]+)\] - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert versions[0] == kale_magics.__version__


def test_what_repeats_the_code_is_current() -> None:
    assert [name for name, page in PAGES.items() if page != reference.current(page)] == [], "make docs"
    marked = [match["name"] for page in PAGES.values() for match in reference.PART.finditer(page)]
    assert sorted(marked) == sorted(reference.PARTS)


def test_the_reference_has_every_magic() -> None:
    known = {name for kind in KaleMagics.magics.values() for name in kind}
    assert {reference.name_of(syntax) for syntax in reference.MAGICS} == known
