"""State that is no value: what one step sets and another one would miss, as seen or as the text says."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import nbformat
import pytest
from nbclient import NotebookClient

from kale_magics.dataflow.notebook_analysis import analyze_notebook
from kale_magics.session.namespace import Session
from kale_magics.session.process_state import ProcessState, StateChange
from tests.forks import in_child
from tests.notebooks import Players, fresh_shell, registered_cells, without_modules

Mode = Literal["live", "cold"]

IMPORTS = """import os, sys, abc, decimal, json, locale, logging, warnings
from abc import ABC
from decimal import Decimal, getcontext
from typing import NamedTuple
import numpy as np
import pandas as pd
import sklearn
import matplotlib as mpl
import matplotlib.pyplot as plt
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
import csv
import ownconf
from ownconf import Counter
"""

FUNCTIONS = """
class Shape(ABC): pass
class Foreign: pass
class Root: pass
class Point(NamedTuple):
    x: int
    ys: list = []
log = logging.getLogger("of the cells")
def quiet():
    np.seterr(divide="ignore")
def draw(values):
    plt.figure()
    plt.plot(values)
    plt.close()
"""

OWN = """
DEBUG = False
OPTIONS = {"depth": 1}
_cache = {}
class Counter:
    made = 0
    def __init__(self):
        Counter.made += 1
class Settings:
    def __init__(self):
        self.level = 1
settings = Settings()
def debug():
    global DEBUG
    DEBUG = True
total = 0
def count():
    global total
    total += 1
    return total
def square(n):
    _cache[n] = n * n
    return _cache[n]
def harden():
    import os, numpy
    os.environ["HARD"] = "yes"
    numpy.seterr(over="raise")
"""

FILES = {"ownconf.py": OWN, "late_import.py": "import warnings\nwarnings.simplefilter('always')\nx = 1\n"}

LOST: list[tuple[str, str, str, str, str]] = [
    # what is set, step a, step b, what a live session says, what the text says
    ("an option of pandas", "pd.set_option('mode.sim_interactive', True)\ndf = pd.DataFrame({'v': [1]})",
     "print(df.v.sum())", "the pandas option mode.sim_interactive", "the pandas option mode.sim_interactive"),
    ("an option by its attribute", "pd.options.mode.sim_interactive = True\ndf = pd.DataFrame({'v': [1]})",
     "print(df.v.sum())", "the pandas option mode.sim_interactive", "the pandas option mode.sim_interactive"),
    ("what is displayed", "pd.set_option('display.max_rows', 3)\ndf = pd.DataFrame({'v': [1]})", "df",
     "display.max_rows", "display.max_rows"),
    ("numpy's errors", "np.seterr(divide='raise')\nxs = np.ones(2)", "ys = 1 / xs", "np.seterr", "np.seterr"),
    ("a function of the cells", "quiet()\nxs = np.ones(2)", "ys = 1 / xs", "np.seterr", "np.seterr"),
    ("how arrays print", "np.set_printoptions(precision=3)\nxs = np.ones(2)", "print(xs)",
     "the numpy print option precision", "the numpy print option precision"),
    ("scikit-learn", "sklearn.set_config(transform_output='pandas')\nxs = [[1.0], [2.0]]",
     "print(StandardScaler().fit_transform(xs))", "scikit-learn configuration (transform_output)",
     "scikit-learn configuration (transform_output)"),
    ("the decimal context", "getcontext().prec = 5\nx = Decimal(1) / 3", "print(Decimal(1) / 3)",
     "the decimal context (prec)", "the decimal context (prec)"),
    ("a context of one's own", "ctx = decimal.getcontext()\nctx.prec = 5\nx = Decimal(1)", "print(x / 3)",
     "the decimal context (prec)", "the decimal context (prec)"),
    ("warnings", "warnings.filterwarnings('error')\nx = 1", "print(x)", "warnings filters", "warnings filters"),
    ("a logger's level", "logging.getLogger('mine').setLevel(10)\nx = 1", "logging.getLogger('mine').info(x)",
     "the level of logger 'mine'", "the level of logger 'mine'"),
    ("a logger's handlers", "logging.getLogger('mine').addHandler(logging.NullHandler())\nx = 1",
     "logging.getLogger('mine').info(x)", "the handlers of logger 'mine'", "the handlers of logger 'mine'"),
    ("logging", "logging.basicConfig(level=10, force=True)\nx = 1", "logging.info(x)",
     "the level of logger 'root'", "the configuration of logging"),
    ("rcParams", "plt.rcParams['figure.dpi'] = 50\nx = 1", "draw([x])", "rcParams['figure.dpi']",
     "rcParams['figure.dpi']"),
    ("a style", "plt.style.use('ggplot')\nx = 1", "draw([x])", " more;", "matplotlib's rcParams"),
    ("the locale", "locale.setlocale(locale.LC_ALL, 'C')\nx = 1", "print(f'{x:n}')", "the locale", "the locale"),
    ("the environment", "os.environ['REGION'] = 'eu'\nx = 1", "print(x)", "the environment variable REGION",
     "the environment variable REGION"),
    ("a magic", "%env REGION=eu\nx = 1", "print(x)", "the environment variable REGION",
     "the environment variable REGION"),
    ("putenv", "os.putenv('REGION', 'eu')\nx = 1", "print(x)", "the environment variable REGION",
     "the environment variable REGION"),
    ("the folder", "os.makedirs('deep')\nos.chdir('deep')\nx = 1", "print(x)", "the working directory",
     "the working directory"),
    ("the folder by a magic", "os.makedirs('deep')\n%cd deep\nx = 1", "print(x)", "the working directory",
     "the working directory"),
    ("sys.path", "sys.path.append('deep')\nx = 1", "print(x)", "sys.path", "sys.path"),
    ("recursion", "sys.setrecursionlimit(4000)\nx = 1", "print(x)", "the recursion limit", "the recursion limit"),
    ("the current figure", "plt.figure(); plt.plot([1, 2]); n = 1", "plt.plot([3])\nprint(n)",
     "pyplot's current figure", "pyplot's current figure"),
    ("a method that is replaced", "pd.DataFrame.describe = lambda self: 1\ndf = pd.DataFrame({'v': [1]})",
     "print(df.describe())", "DataFrame.describe", "DataFrame.describe"),
    ("a method that getattr finds", "pd.DataFrame.extra = lambda self: 1\ndf = pd.DataFrame({'v': [1]})",
     "print(getattr(df, 'extra', None))", "DataFrame.extra", "DataFrame.extra"),
    ("a method that hasattr looks for", "pd.DataFrame.extra = lambda self: 1\ndf = pd.DataFrame({'v': [1]})",
     "print(hasattr(df, 'extra'))", "DataFrame.extra", "DataFrame.extra"),
    ("a dialect of csv", "csv.register_dialect('semi', delimiter=';')\nx = ['a;b']", "print(list(csv.reader(x, 'semi')))",
     "the csv setting semi", "the csv setting semi"),
    ("the limit of csv", "csv.field_size_limit(10)\nx = ['a;b']", "print(list(csv.reader(x)))",
     "the csv setting field_size_limit", "the settings of csv"),
    ("a function of a library", "json.extra = 1\nx = 1", "print(json.extra)", "json.extra", "json.extra"),
    ("the first day of the week", "import calendar\ncalendar.setfirstweekday(6)\nx = 1", "import calendar\nprint(calendar.firstweekday())",
     "calendar.setfirstweekday", "calendar.setfirstweekday"),
    ("the timeout of sockets", "import socket\nsocket.setdefaulttimeout(9)\nx = 1",
     "import socket\nprint(socket.getdefaulttimeout())", "socket.setdefaulttimeout", "socket.setdefaulttimeout"),
    ("the types of files", "import mimetypes\nmimetypes.init()\nmimetypes.add_type('a/b', '.abx')\nx = 1",
     "import mimetypes\nprint(mimetypes.guess_type('x.abx'))", "mimetypes", "mimetypes"),
    ("an adapter of sqlite", "import sqlite3\nsqlite3.register_adapter(complex, str)\nx = 1",
     "import sqlite3\nprint(sqlite3.connect(':memory:'))", "sqlite3", "sqlite3"),
    ("how objects are taken apart", "import copyreg\ncopyreg.pickle(Foreign, lambda f: (Foreign, ()))\nx = 1",
     "import copy\nprint(copy.copy(Foreign()))", "copyreg", "copyreg"),
    ("the integer digit limit", "sys.set_int_max_str_digits(9000)\nx = 1", "print(str(x))",
     "sys.set_int_max_str_digits", "sys.set_int_max_str_digits"),
    ("what a module looks up itself", "import tempfile\ntempfile.tempdir = 'deep'\nx = 1",
     "import tempfile\nprint(tempfile.gettempdir())", "tempfile.tempdir", "tempfile.tempdir"),
    ("a class registered with one of Python's", "import collections.abc\ncollections.abc.Sized.register(Foreign)\nx = 1",
     "import collections.abc\nprint(isinstance(Foreign(), collections.abc.Sized))", "Sized", "Sized"),
    ("a registered class", "Shape.register(Foreign)\nx = 1", "print(isinstance(Foreign(), Shape))", "Shape", "Shape"),
    ("subclasses", "class Leaf(Root): pass\nx = 1", "print(Root.__subclasses__())", "the subclasses of Root",
     "the subclasses of Root"),
    ("a default", "p = Point(1)\np.ys.append(2)", "print(Point(2).ys)", "Point.ys", "Point.ys"),
    ("an own module", "ownconf.DEBUG = 3\nx = 1", "print(ownconf.DEBUG)", "the attribute DEBUG of module ownconf",
     "the attribute DEBUG of module ownconf"),
    ("a dict of it", "ownconf.OPTIONS['depth'] = 2\nx = 1", "print(ownconf.OPTIONS)", "OPTIONS", "OPTIONS"),
    ("an object of it", "ownconf.settings.level = 2\nx = 1", "print(ownconf.settings.level)", "settings", "settings"),
    ("a function of it", "ownconf.debug()\nx = 1", "print(ownconf.DEBUG)", "DEBUG of module ownconf",
     "DEBUG of module ownconf"),
    ("a function of it that counts", "x = ownconf.count()", "print(ownconf.count())", "total of module ownconf",
     "total of module ownconf"),
    ("a class of it", "c = Counter()\nx = 1", "print(Counter.made)", "Counter.made of module ownconf",
     "Counter.made of module ownconf"),
    ("what it sets elsewhere", "ownconf.harden()\nx = 1", "print(x)", "the environment variable HARD", ""),
    ("only under a parameter", "if strict:\n    np.seterr(divide='raise')\nxs = np.ones(2)", "ys = 1 / xs", "np.seterr",
     "np.seterr"),
    ("one of two", "os.environ['A'] = '1'\nos.environ['B'] = '2'\nx = 1", "os.environ['A'] = '3'\nprint(x)",
     "the environment variable B", "the environment variable B"),
    ("after it is used", "np.seterr(divide='raise')\nxs = np.ones(2)", "ys = 1 / xs\nnp.seterr(divide='raise')",
     "np.seterr", "np.seterr"),
]  # fmt: skip

SILENT: list[tuple[str, str, str]] = [
    ("nothing is set", "x = 1", "print(x)"),
    ("an import in a step", "import statistics, sklearn.cluster, scipy.stats\nx = 1", "print(x)"),
    ("an own import with an effect", "import late_import\nx = late_import.x", "import late_import\nprint(x)"),
    ("pandas, displayed nowhere", "pd.set_option('display.max_rows', 3)\ndf = pd.DataFrame({'v': [1]})",
     "total = df.v.sum()"),
    ("context managers", "with pd.option_context('mode.sim_interactive', True), np.errstate(divide='raise'):\n    x = 1",
     "print(np.ones(x) / 1, pd.Series([x]).sum())"),
    ("warnings that are restored", "with warnings.catch_warnings():\n    warnings.simplefilter('error')\n    x = 1",
     "print(x)"),
    ("figures' settings that are restored", "with plt.rc_context({'figure.dpi': 50}):\n    plt.rcParams['font.size'] = 3\nx = 1",
     "draw([x])"),
    ("a decimal context that is restored", "with decimal.localcontext() as ctx:\n    ctx.prec = 3\n    x = Decimal(1) / 3",
     "print(x / 3)"),
    ("a setting that the next step repeats", "np.seterr(divide='raise')\nxs = np.ones(2)",
     "np.seterr(divide='raise')\nys = 1 / xs"),
    ("another value for the same setting", "os.environ['REGION'] = 'eu'\nx = 1",
     "os.environ['REGION'] = 'us'\nprint(x)"),
    ("a setting of a library that is not used", "sklearn.set_config(transform_output='pandas')\nx = 1", "print(x)"),
    ("a printed number", "getcontext().prec = 5\nx = Decimal(1) / 3", "print(x)"),
    ("a logger that crosses", "mine = logging.getLogger('mine')\nmine.setLevel(10)", "print(mine.level)"),
    ("a logger of the cells", "log.setLevel(10)\nx = 1", "print(x)"),
    ("a logger that is not used", "logging.getLogger('mine').setLevel(10)\nx = 1", "print(x)"),
    ("figures that are closed", "plt.plot([1])\nplt.close()\nx = 1", "plt.plot([x])\nplt.close()"),
    ("a figure of its own", "plt.plot([1])\nx = 1", "draw([x])"),
    ("figures as objects", "fig, ax = plt.subplots()\nax.plot([1])\nx = 1", "f, a = plt.subplots()\na.plot([x])"),
    ("plotting by pandas", "df = pd.DataFrame({'v': [1.0, 2]})\nax = df.plot(); plt.close('all')\nx = 1",
     "ax = pd.Series([x]).plot(); plt.close('all')"),
    ("fits", "df = pd.DataFrame({'v': [1.0, 2]})\nmodel = Ridge().fit(df, [1, 2])", "print(model.predict(df))"),
    ("warnings that are emitted", "warnings.warn('one')\nx = 1", "warnings.warn('two')\nprint(x)"),
    ("results that a module keeps", "x = ownconf.square(2)", "print(ownconf.square(x))"),
    ("an own module that is not used", "ownconf.debug()\nx = 1", "print(x)"),
    ("subclasses that a step has", "class Leaf(Root): pass\nx = 1", "print(Root.__subclasses__(), Leaf, x)"),
    ("a method that is not used", "pd.DataFrame.triple = lambda self: self * 3\ndf = pd.DataFrame({'v': [1]})",
     "print(df.v.sum())"),
    ("seeds", "import random\nrandom.seed(1)\nnp.random.seed(1)\nx = random.random()", "print(x)"),
]  # fmt: skip

UNCHANGED = [
    ("the folder that it is in", "os.chdir('.')\nx = 1", "print(x)"),
    (
        "a branch that is not taken",
        "if False:\n    np.seterr(divide='raise')\nxs = np.ones(2)",
        "ys = 1 / xs",
    ),
    ("the same value", "np.seterr(divide='warn')\nxs = np.ones(2)", "ys = 1 / xs"),
]
"""What the text finds, and the session knows better."""


PRELUDE = [
    f"%%kale imports\n{IMPORTS}",
    f"%%kale functions\n{FUNCTIONS}",
    "%%kale parameters\nstrict = False",
]


def cells(mode: Mode, first: str, second: str) -> list[str]:
    mark = " --no-run" if mode == "cold" else ""
    return [f"%%kale step a{mark}\n{first}", f"%%kale step b{mark}\n{second}"]


Told = list[tuple[str, str]]
"""Severity and text of each diagnostic about the state of a process."""


def told(players: Players, folder: Path, prelude: list[str], *endings: list[str]) -> list[Told]:
    """What is said of notebooks that begin alike; each is played to its end in a fork."""
    return players.data.call(play, folder, prelude, endings, seconds=600)


def play(folder: Path, prelude: list[str], endings: Sequence[list[str]]) -> list[Told]:
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    os.chdir(folder)
    os.environ["MPLBACKEND"] = "agg"
    with without_modules("tests"):
        shell = fresh_shell(folder)
        shell.run_line_magic("load_ext", "kale_magics")
        run(shell, prelude)
        found = []
        for cells in endings:
            found.append(in_child(end, shell, cells))
            shutil.rmtree("deep", ignore_errors=True)  # what an ending may have made
        return found


def end(shell: Any, cells: list[str]) -> Told:
    run(shell, cells)
    found = analyze_notebook(registered_cells(shell), Session(shell)).diagnostics
    return [(each.severity, str(each)) for each in found if each.code.code == "KALE221"]


def run(shell: Any, cells: list[str]) -> None:
    for cell in cells:
        assert shell.run_cell(cell, store_history=True).success, cell


@pytest.fixture(scope="module")
def table(players: Players, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, Mode], Told]:
    """What is said of the rows, by name and mode."""
    modes: tuple[Mode, ...] = "live", "cold"
    rows = [*LOST, *SILENT, *UNCHANGED]
    endings = [cells(mode, *row[1:3]) for mode in modes for row in rows]
    names = [(row[0], mode) for mode in modes for row in rows]
    return dict(zip(names, told(players, tmp_path_factory.mktemp("rows"), PRELUDE, *endings), strict=True))


def named(row: Any) -> str:
    return re.sub(r"\W+", "-", row[0]) if isinstance(row, tuple) else str(row)


@pytest.mark.parametrize("mode", ["live", "cold"])
@pytest.mark.parametrize("row", LOST, ids=named)
def test_a_step_that_misses_a_setting_is_named(
    table: dict[tuple[str, Mode], Told], mode: Mode, row: tuple[str, ...]
) -> None:
    name, _, _, live, cold = row
    says = live if mode == "live" else cold
    assert [severity for severity, _ in table[name, mode]] == ["warning"] * bool(says)
    for _, text in table[name, mode]:
        assert says in text
        assert "step a changes" in text
        assert "step b" in text


@pytest.mark.parametrize("mode", ["live", "cold"])
@pytest.mark.parametrize("name", [row[0] for row in SILENT])
def test_what_no_step_misses_is_not_said(table: dict[tuple[str, Mode], Told], mode: Mode, name: str) -> None:
    assert table[name, mode] == []


@pytest.mark.parametrize("name", [row[0] for row in UNCHANGED])
def test_what_the_session_saw_decides(table: dict[tuple[str, Mode], Told], name: str) -> None:
    assert table[name, "live"] == []
    assert len(table[name, "cold"]) == 1


def test_a_step_that_needs_a_method_of_another_one_is_refused(players: Players, tmp_path: Path) -> None:
    methods = {
        "triple": "pd.DataFrame.triple = lambda self: self * 3",
        "own": "@pd.api.extensions.register_dataframe_accessor('own')\nclass Own:\n    def __init__(self, df): pass",
    }
    modes: tuple[Mode, ...] = "live", "cold"
    endings = [
        cells(mode, f"{first}\ndf = pd.DataFrame({{'v': [1]}})", f"print(df.{name})")
        for name, first in methods.items()
        for mode in modes
    ]
    names = [name for name in methods for _ in modes]
    for name, found in zip(names, told(players, tmp_path, PRELUDE, *endings), strict=True):
        ((severity, text),) = found
        assert severity == "error"
        assert f"DataFrame.{name}" in text


def test_a_setting_is_remembered_when_its_cell_runs_again(players: Players, tmp_path: Path) -> None:
    first, second = cells("live", *LOST[3][1:3])
    typed = [cell.partition("\n")[2] for cell in (first, second)]
    again, unmarked = told(players, tmp_path, PRELUDE, [first, second, first], [*typed, first, second])
    assert len(again) == 1
    assert len(unmarked) == 1


def test_what_every_step_sets_is_not_missed(players: Players, tmp_path: Path) -> None:
    imports, *others = PRELUDE
    prelude = [f"{imports}np.seterr(divide='raise')\n", *others]
    assert told(players, tmp_path, prelude, cells("live", *LOST[3][1:3])) == [[]]


class Hostile:
    __hash__ = None  # type: ignore[assignment]

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)


class Odd(metaclass=Meta):
    pass


def test_no_code_of_the_user_runs_for_being_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    monkeypatch.setitem(sys.modules, "hostile module", Hostile())
    monkeypatch.setattr(pd.DataFrame, "hostile", Hostile(), raising=False)
    state = ProcessState({"hostile": Hostile(), "Odd": Odd})
    monkeypatch.setattr(pd.DataFrame, "hostile", Hostile(), raising=False)
    monkeypatch.setenv("REGION", "eu")
    assert state.changes().changed == (
        StateChange("environment", "REGION"),
        StateChange("class:pandas", "DataFrame.hostile"),
    )


@pytest.mark.slow
def test_a_notebook_that_shows_figures_in_place_has_nothing_to_say(tmp_path: Path) -> None:
    notebook = [
        "%load_ext kale_magics",
        "%%kale step draw\n%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nn = 2",
        "%%kale step again\nimport matplotlib.pyplot as plt\nplt.plot([n, 1])\nplt.title('two')",
        "%%kale step cold --no-run\nimport matplotlib.pyplot as plt\nplt.plot([n])",
        "%%kale step last --no-run\nimport matplotlib.pyplot as plt\nplt.plot([n])",
        "%kale",
    ]
    written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in notebook])
    NotebookClient(written, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "KALE221" not in str(written.cells[-1].outputs)
