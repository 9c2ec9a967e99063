"""The report of a step: what a notebook would have shown under its cells."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kale_magics.model.pipeline import CodeBlock, Step
from kale_magics.model.program import PodOptions, render_program

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
    step = Step(
        "a", "a", (), tuple(CodeBlock(cell, "step a", f"In [{n}]") for n, cell in enumerate(cells, 1))
    )
    namespace: dict[str, Any] = {"Artifact": object, "HTML": object, "Input": list, "Output": list}
    exec(
        compile(render_program(step, PodOptions(report=report)), "program.py", "exec", dont_inherit=True),
        namespace,
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
    "both streams": ("import sys\nprint(1)\nprint(2, file=sys.stderr)\nprint(3)", ["1", "2", "3"]),
    "a semicolon in a text": ("print('a') or ';'", ["a", "';'"]),
    "a semicolon in a comment": ("5  # ;", ["5"]),
    "a text alone": ("'alone'\n", ["'alone'"]),
    "an object once": ("seen = []\nseen.append(1) or len(seen)", ["1"]),
    "an await in the middle": ("import asyncio\nx = await asyncio.sleep(0, 4)\nx", ["4"]),
    "a coroutine that nobody awaits": (
        "class A:\n    def __await__(self): 1 / 0\n"
        "    def __repr__(self): return 'waits'\nA()",
        ["waits"],
    ),
    "a command": ("get_ipython().system('echo from the shell')", ["from the shell"]),
    "a magic's value": ("get_ipython().run_cell_magic('sx', '', 'echo 1')", ["['1']"]),
    "what a cell captures, once it is shown": (
        "get_ipython().begin_capture()\nprint('kept'); display('kept')\n"
        "c = get_ipython().end_capture()\nprint('now')\nc()",
        ["now\nkept\n'kept'"],
    ),
    "nothing that a cell captures": (
        f"get_ipython().begin_capture()\n{FIGURE}\nplt.show()\ndisplay(1)\nget_ipython().end_capture()", []
    ),
    "what a handler logs that holds the stream": (
        "import logging, sys\nlog = logging.Logger('a')\nlog.addHandler(logging.StreamHandler(sys.stdout))\n"
        "log.error('logged')",
        ["logged"],
    ),
    "lines that are written": ("import sys\nsys.stdout.writelines(['a\\n', 'b\\n'])", ["a\nb"]),
    "the stream as it is": (
        "from sys import stdout as out\nout.reconfigure(line_buffering=True)\n"
        "out.buffer.write(b'x')\nout.encoding.lower(), out.isatty()",
        ["('utf-8', False)"],
    ),
    "a class": ("class A:\n    def _repr_html_(self): return 'no'\nA", ["__main__.A"]),
    "the text where the rich form fails": (
        "class A:\n    def _repr_html_(self): 1 / 0\n    def __repr__(self): return 'plain'\nA()", ["plain"]
    ),
    "an object that has every attribute": (
        "from unittest import mock\nclass M(mock.MagicMock):\n    def __repr__(self): return 'mock'\nM()",
        ["mock"],
    ),
    "a bundle": (
        "class A:\n    def _repr_mimebundle_(self, **_): return {'text/html': '<i>b</i>'}\nA()", ["b"]
    ),
    "what was shown last in a place": (
        "h = display('one', display_id=True)\nprint('between')\nh.update('two'); h.update('three');",
        ["'three'", "between\n"],
    ),
    "a dict in its order": ("{'b': 1, 'a': [2]}", ["{'b': 1, 'a': [2]}"]),
    "displays of objects that cannot be printed": (BROKEN + "display(A(), 2)", ["(cannot be shown: A)", "2"]),
    "IPython's objects": (
        "from IPython.display import HTML, Markdown, display\ndisplay(HTML('<b>bold</b>'))\nMarkdown('*m*')",
        ["bold", "*m*"],
    ),
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


PICTURE = '<img src="data:image/png;base64,'
PICTURES = {
    "left open": (FIGURE, 1),
    "each of two": ("import matplotlib.pyplot as plt\nfor n in 1, 2: plt.figure(); plt.plot([n])", 2),
    "once, though it is shown": (FIGURE + "\nplt.show()", 1),
    "as an object": ("from matplotlib.figure import Figure\nf = Figure(); f.subplots()\nf", 1),
    "not closed": (FIGURE + "\nplt.close()", 0),
    "not without axes": ("import matplotlib.pyplot as plt\nf = plt.figure()", 0),
    "not while it is off": (FIGURE.replace("\n", "\nplt.ioff();", 1), 0),
    "bytes": ("class A:\n    def _repr_png_(self): return b'png'\nA()", 1),
    "base64, with metadata": ("class A:\n    def _repr_png_(self): return 'cG5n', {'width': 1}\nA()", 1),
}


@pytest.mark.parametrize(("source", "count"), PICTURES.values(), ids=PICTURES)
def test_pictures(source: str, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib.pyplot").close("all")
    assert played(source).read_text(encoding="utf-8").count(PICTURE) == count
    assert capsys.readouterr().err == ""


def test_a_figure_is_closed_when_its_cell_ends_unless_the_user_shows_figures_himself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cells = (
        FIGURE,
        "print('OPEN', plt.get_fignums())\nplt.ioff()",
        "plt.plot([1])",
        "print('OPEN', plt.get_fignums())\nplt.show()",
    )
    played(*cells, report=False)
    assert re.findall("OPEN.*", capsys.readouterr().out) == ["OPEN []", "OPEN [1]"]
    page = played(*cells).read_text(encoding="utf-8")
    assert re.findall("OPEN.*", capsys.readouterr().out) == ["OPEN []", "OPEN [1]"]
    assert re.findall(rf"In \[\d\]|{PICTURE}", page) == [
        "In [1]",
        PICTURE,
        "In [2]",
        "In [3]",
        "In [4]",
        PICTURE,
    ]


def test_what_is_printed_still_reaches_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    played("print('hello')\ndisplay([1, 2])\n'not in the log'")
    printed = capsys.readouterr().out
    assert "hello\n" in printed
    assert "[1, 2]\n" in printed
    assert "not in the log" not in printed


def test_a_report_leaves_chance_and_names_alone(capsys: pytest.CaptureFixture[str]) -> None:
    source = (
        "import random\nrandom.seed(1)\nclass A:\n    def _repr_html_(self): return str(random.random())\n"
    )
    cells = (
        source + "A()",
        "print('DREW', random.random(), sorted(globals()), sorted(dir()))",
    )
    drawn = []
    for report in (True, False):
        played(*cells, report=report)
        drawn.append(re.findall("DREW.*", capsys.readouterr().out))
    assert drawn[0] == drawn[1]


def test_without_a_report_streams_are_not_touched(capsys: pytest.CaptureFixture[str]) -> None:
    write = sys.stdout.write
    assert not played("import sys\nprint(sys.stdout.write)\n7", report=False).exists()
    assert f"{write}\n" in capsys.readouterr().out


def test_the_process_is_afterwards_as_it_was() -> None:
    import matplotlib.pyplot as plt

    before = sys.stdout.write, sys.stderr.write, list(sys.meta_path), plt.show, plt.isinteractive()
    played(FIGURE + "\nplt.show()")
    with pytest.raises(SystemExit):
        played("1 / 0")
    assert (sys.stdout.write, sys.stderr.write, list(sys.meta_path), plt.show, plt.isinteractive()) == before


FAILING = {
    "in the last expression": ("x = 0\n\n(1 /\n x)", "ZeroDivisionError", 3),
    "behind an await": ("import asyncio\nawait asyncio.sleep(0)\n1 / 0", "ZeroDivisionError", 3),
    "in what is awaited": ("async def f():\n    return 1 / 0\nawait f()", "ZeroDivisionError", 2),
    "no Python": ("x = 1\ny = = 2", "SyntaxError", 2),
    "no code": ("x = 1\nreturn 3\nx", "SyntaxError", 2),
    "an end": ("x = 1\nnext(iter([]))", "StopIteration", 2),
}


@pytest.mark.parametrize(("source", "kind", "line"), FAILING.values(), ids=FAILING)
def test_a_failure_is_told_as_without_a_report(
    source: str, kind: str, line: int, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for report in (True, False):
        with pytest.raises(SystemExit):
            played(source, report=report)
        told.append(capsys.readouterr().err)
    assert told[0] == told[1]
    assert kind in told[0]
    assert f'File "<step a, In [1]>", line {line}' in told[0]


def test_the_top_says_which_step_it_is_and_how_long_it_took() -> None:
    texts = Text(played("x = 1").read_text(encoding="utf-8")).texts
    assert texts[:3] == ["a", "step", "a"]
    assert texts[3] == "seconds"
    assert float(texts[4]) >= 0
    assert texts[5:] == ["Python", sys.version.split()[0], "step a, In [1]"]


HUGE = {
    "a text": "'x' * 10_000_000",
    "a list": "list(range(3_000_000))",
    "a dict": "dict.fromkeys(range(1_000_000))",
    "an object": "class A:\n    def __repr__(self): return 'y' * 10_000_000\nA()",
    "lines without an end": "for n in range(100_000): print('lines', end='')",
    "a list that holds itself": "x = [1]\nx.append(x)\nx",
    "a progress bar": "for n in range(300_000): print('\\r', n, end='')",
}


@pytest.mark.parametrize("source", HUGE.values(), ids=HUGE)
def test_huge_things_are_shortened(source: str) -> None:
    assert len(played(source).read_text(encoding="utf-8")) < 150_000


def test_a_report_that_cannot_be_written_fails_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("report.html").mkdir()
    played("print('done')")
    told = capsys.readouterr()
    assert "done" in told.out
    assert told.err.startswith("step a: its report cannot be written: ")
    assert told.err.count("\n") == 1


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
