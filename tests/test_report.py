"""The report of a step: what a notebook would have shown under its cells."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kale_magics.pipeline import Code, Step
from kale_magics.program import Pod, render_program

FIGURE = "import matplotlib.pyplot as plt\nplt.plot([1, 2])"


class Text(HTMLParser):
    """The texts of a page, and the names of its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.feed(page.partition("</style>")[2])

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(" ".join([tag, *(value for key, value in attrs if key == "class")]))

    def handle_data(self, data: str) -> None:
        if data.strip() and self.tags[-1:] != ["style"]:
            self.texts.append(data.strip("\n"))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")


def played(*cells: str, report: bool = True) -> Any:
    """Run a step in this process, and give the artifact of its report."""
    step = Step("a", "a", (), tuple(Code(cell, f"step a, In [{n}]") for n, cell in enumerate(cells, 1)))
    namespace: dict[str, Any] = {"Artifact": object, "HTML": object, "Input": list, "Output": list}
    exec(
        compile(render_program(step, Pod(report=report)), "program.py", "exec", dont_inherit=True), namespace
    )
    artifact = SimpleNamespace(path=str(Path.cwd() / "report.html"), metadata={})
    namespace["a"](**({"report": artifact} if report else {}))
    return Path(artifact.path)


def shown(*cells: str) -> list[str]:
    """What a page shows below the headings of the cells."""
    page = Text(played(*cells).read_text(encoding="utf-8"))
    first = page.texts.index("step a, In [1]")
    return page.texts[first + 1 :]


BROKEN = "class A:\n    def __repr__(self): raise ValueError\n"
SHOWN = {
    "printed lines": ("print('one')\nprint('two')", ["one\ntwo\n"]),
    "the last expression": ("x = 1\nx + 1", ["2"]),
    "only the last one": ("1\n2", ["2"]),
    "nothing behind a semicolon": ("x = 1\nx + 1;  # quiet", []),
    "no None": ("None", []),
    "no statement": ("x = 1", []),
    "in order": ("print('above')\ndisplay([1])\nprint('below')\n'last'", ["above", "[1]", "below", "'last'"]),
    "an object that cannot be shown": (BROKEN + "A()", ["(cannot be shown: A)"]),
    "an await": ("import asyncio\nawait asyncio.sleep(0, 'slept')", ["'slept'"]),
    "what HTML would take for its own": ("'<b>&'", ["'<b>&'"]),
    "the last state of a progress bar": ("print('10%', end='\\r'); print('99%')", ["99%"]),
    "colours": ("print('\\x1b[31mred\\x1b[0m')", ["red"]),
    "rich text": ("class A:\n    def _repr_html_(self): return '<i>rich</i>'\nA()", ["rich"]),
    "a frame": ("import pandas as pd\npd.DataFrame({'a': [17]})", ["a", "0", "17"]),
}  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), SHOWN.values(), ids=SHOWN)
def test_a_report_shows_what_the_notebook_does(source: str, expected: list[str]) -> None:
    texts = [text.strip() for text in shown(source) if text.strip()]
    assert texts == [text.strip() for text in expected]


def test_each_cell_has_its_part_and_stderr_is_told_apart() -> None:
    page = played("import sys\nprint('fine')\nprint('oh', file=sys.stderr)", "3").read_text()
    read = Text(page)
    parts = [text.strip() for text in read.texts[read.texts.index("step a, In [1]") :]]
    assert parts == ["step a, In [1]", "fine", "oh", "step a, In [2]", "3"]
    assert "pre stderr" in read.tags


def test_figures_stand_where_they_are_shown() -> None:
    page = played(
        f"print('before')\n{FIGURE}\nplt.show()\nprint('after')", "plt.figure(); plt.plot([3])\nopen_now = 1"
    )
    text = page.read_text()
    order = re.findall(r"before|after|<img src=\"data:image/png;base64,|In \[2\]", text)
    assert order == ["before", order[1], "after", "In [2]", order[1]]
    assert order[1].startswith("<img")


def test_what_is_printed_still_reaches_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    played("print('hello')\n'not in the log'")
    printed = capsys.readouterr().out
    assert "hello\n" in printed
    assert "not in the log" not in printed


def test_a_report_leaves_chance_and_names_alone(capsys: pytest.CaptureFixture[str]) -> None:
    source = (
        "import random\nrandom.seed(1)\nclass A:\n    def _repr_html_(self): return str(random.random())\n"
    )
    cells = (
        source + "A()",
        "print('DREW', random.random(), sorted(n for n in globals() if 'kale' in n or n == '_'))",
    )
    drawn = []
    for report in (True, False):
        played(*cells, report=report)
        drawn.append(re.findall("DREW.*", capsys.readouterr().out))
    assert drawn[0] == drawn[1]


def test_a_step_that_fails_has_no_report_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        played("x = 1\n\n1 / 0")
    assert not Path("report.html").exists()
    assert 'File "<step a, In [1]>", line 3' in capsys.readouterr().err


def test_long_output_is_shortened() -> None:
    page = played("for n in range(100_000): print('line', n)").read_text()
    assert len(page) < 200_000
    assert "line 0\n" in page
    assert "line 99999" in page
    assert "(shortened)" in page
