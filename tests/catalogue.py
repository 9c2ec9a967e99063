"""`python -m tests.catalogue`: run the example of every code, and write its output to docs/diagnostics.md."""

from __future__ import annotations

import functools
import io
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kale_magics.model.diagnostics import Code
from tests.diagnostic_examples import CATALOGUE, FAMILIES, Entry
from tests.kfp_server import KfpServer
from tests.shells import Outcome, fresh_shell

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "diagnostics.md"

DIAGNOSTIC = re.compile(r"^KALE\d+(?= )", re.MULTILINE)
"""The beginning of a diagnostic."""

ADDRESS = "http://localhost:8080"
"""The address of an example's server."""

SERVERS: dict[str, dict[str, Any]] = {
    "": {},
    "good": {},
    "failing": {},
    "of version 1": {"version": "v1"},
    "for users only": {"auth": "token"},
    "old": {"rejects": ("workspace",)},
}
"""The kinds of server that an example may have, with the options of `KfpServer`."""

INTRODUCTION = """\
# Diagnostics

Every error and every warning of kale_magics has a code. `make docs` writes this page: it runs each example
and records the output.

| codes | about |
|---|---|
{families}

An example is a small notebook with an empty line between its cells, run after `%load_ext kale_magics`,
which is In [1]. Below it is the output of its last cell.

| code | meaning |
|---|---|
{codes}
"""

SECTION = """
## {code}

{meaning}.

```python
{example}
```
{saved}
{heading}

```text
{text}
```

Fix: {fix}.
"""


SAVED = """
Before its last cell runs, the notebook is edited and saved as:

```python
{example}
```
"""


@dataclass(frozen=True)
class ExampleOutput:
    """The output of an example.

    Attributes:
        before: The output of the cells above the last one.
        text: The output of the last cell, from the first diagnostic on.
        failed: Whether the last cell failed.
    """

    before: str
    text: str
    failed: bool


@functools.cache
def output_of(code: Code) -> ExampleOutput:
    """Run the example of a code."""
    *above, last = outcomes(CATALOGUE[code])
    start = DIAGNOSTIC.search(last.printed)
    text = last.printed[start.start() :].rstrip("\n") if start else ""
    return ExampleOutput("".join(outcome.printed for outcome in above), text, failed=not last.success)


def outcomes(entry: Entry) -> list[Outcome]:
    """Run the cells of an example in a shell of this process, in a new folder."""
    printed = io.StringIO()

    def read() -> str:
        text = printed.getvalue()
        printed.seek(0)
        printed.truncate()
        if entry.server:
            text = text.replace(server.url, ADDRESS).replace("127.0.0.1", "localhost")
        return re.sub(r"\S*/fault-[\d-]+\.txt", "/tmp/fault-20270101-120000-000000.txt", text)

    with (
        tempfile.TemporaryDirectory() as folder,
        KfpServer(Path(folder, "server"), script={}, **SERVERS[entry.server]) as server,
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(printed),
        redirect_stderr(printed),
        fresh_shell(read) as shell,
    ):
        patch.chdir(folder)
        if entry.server == "failing":
            server.fail("", "", 503, times=1000)
        *above, last = ["%load_ext kale_magics", *(c.replace(ADDRESS, server.url) for c in entry.cells)]
        found = [shell.run(cell, _identity(cell) if entry.saved else None) for cell in above]
        if entry.saved:
            shell.ipython.user_ns["__vsc_ipynb_file__"] = save(entry.saved_cells, Path(folder))
        return [*found, shell.run(last)]


def _identity(cell: str) -> str:
    return re.sub(r"\W+", "-", cell.partition("\n")[0])


def save(cells: list[str], folder: Path) -> str:
    """Write a notebook with a time after the execution of its cells; a cell's id is its first line."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell, id=_identity(cell)) for cell in cells]
    )
    path = folder / "example.ipynb"
    nbformat.write(notebook, path)
    now = time.time() + 1
    os.utime(path, (now, now))
    return str(path)


def sections() -> Iterator[str]:
    """Yield the section of each code."""
    for code in Code:
        output = output_of(code)
        yield SECTION.format(
            code=code.code,
            meaning=code.meaning[:1].upper() + code.meaning[1:],
            example="\n\n".join(CATALOGUE[code].cells),
            saved=SAVED.format(example="\n\n".join(saved)) if (saved := CATALOGUE[code].saved_cells) else "",
            heading="Error:" if output.failed else "Warning:",
            text=output.text,
            fix=CATALOGUE[code].fix,
        )


def page() -> str:
    """Return the page."""
    families = "\n".join(f"| {start}xx | {when} |" for start, when in FAMILIES.items())
    codes = "\n".join(f"| [{code.code}](#{code.code.lower()}) | {code.meaning} |" for code in Code)
    return "".join([INTRODUCTION.format(families=families, codes=codes), *sections()])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
