"""What a session sees of a marked cell when it runs, and that nobody notices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kale_magics.session.evidence import Evidence
from tests.shells import Shell, fresh_shell

SEEN = [
    ("a list that is changed", "xs = [1]\nys = [2]", "xs.append(2); ys", "xs", "ys"),
    (
        "inside of containers",
        "d = {'a': [{'b': 1}]}\ne = {'a': [1]}",
        "d['a'][0]['b'] = 2; e['a'][0]",
        "d",
        "e",
    ),
    ("through another name", "xs = [1]\nd = {'x': xs}", "d['x'].append(1)", "d xs", ""),
    ("what a function changes", "xs = [1]\ndef f(): xs.append(2)", "f()", "xs", ""),
    ("what a function of a function changes", "xs = [1]\ndef f(): xs.pop()\ndef g(): f()", "g()", "xs", ""),
    (
        "objects of the notebook",
        "class P: pass\np = P(); p.v = [1]\nq = P(); q.v = 1",
        "p.v.append(1); q.v",
        "p",
        "q",
    ),
    (
        "closures",
        "def make(n):\n    def up():\n        nonlocal n\n        n += 1\n    return up\n"
        "f, g = make(0), make(0)",
        "f(); g",
        "f",
        "g",
    ),
    ("arrays", "import numpy as np\na = np.zeros(9)\nb = a.copy()", "a[3] = 1; b[3]", "a", "b"),
    ("views of arrays", "import numpy as np\na = np.zeros(9)\nb = a[2:]", "b[0] = 1; a", "a b", ""),
    (
        "frames",
        "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2], 't': ['x', 'y']})\nother = df.copy()",
        "df.loc[0, 'a'] = 9; other['a'].sum(); other.sort_values('a').head(1)",
        "df",
        "other",
    ),
    (
        "estimators",
        "from sklearn.tree import DecisionTreeClassifier\nm = DecisionTreeClassifier()\nX = [[1], [2]]",
        "m.fit(X, [0, 1])",
        "m",
        "X",
    ),
    ("a value that is replaced", "xs = [1]", "xs = [2]", "", ""),
    ("an object that is gone", "class P: pass\np = P()", "del p", "", ""),
    ("iterators that are used up", "it = iter([1, 2])\nother = iter([1])", "next(it); other", "it", "other"),
    ("a generator", "g = (i for i in range(3))", "next(g)", "", ""),
    ("what is too large", "xs = list(range(10**6))", "xs[0]", "", ""),
    (
        "a large frame that gets a column",
        "import numpy as np, pandas as pd\nbig = pd.DataFrame(np.zeros((10**6, 2)))\n"
        "same = pd.DataFrame(np.ones((10**6, 2)))",
        "for part in [big]: part['new'] = 1\nsame",
        "big",
        "",
    ),
    (
        "a frame that a grouped one holds",
        "import pandas as pd\ndf = pd.DataFrame({'k': ['a', 'b'], 'v': [1, 2]})\ng = df.groupby('k')\n"
        "other = df.copy().groupby('k')",
        "df['v'] = 0; other['v'].sum()",
        "df g",
        "other",
    ),
    (
        "a list in a frame",
        "import pandas as pd\nxs = [1]\ndf = pd.DataFrame({'v': [xs, [2]]})",
        "xs.append(3)",
        "df xs",
        "",
    ),
    (
        "an index that a frame has",
        "import pandas as pd\ndf = pd.DataFrame({'v': [1]})\nindex = df.index",
        "index.name = 'k'",
        "df index",
        "",
    ),
    (
        "an array that a series shows",
        "import numpy as np, pandas as pd\na = np.zeros(2)\ns = pd.Series(a, copy=False)\n"
        "t = pd.Series(a, copy=True)",
        "a[0] = 1",
        "a s",
        "t",
    ),
    (
        "an estimator in a pipeline",
        "from sklearn.linear_model import Ridge\nfrom sklearn.pipeline import make_pipeline\n"
        "m = Ridge()\nsteps = make_pipeline(m)",
        "m.set_params(alpha=2.0)",
        "m steps",
        "",
    ),
    (
        "a variable of a class",
        "class C:\n    seen = []\n    def note(self, x): self.seen.append(x)\nc = C()",
        "c.note(1)",
        "C",
        "c",
    ),
    ("a list that a method has", "xs = []\nadd = xs.append", "add(1)", "add xs", ""),
    (
        "objects whose attributes are computed",
        "class D(dict):\n    __getattr__ = dict.__getitem__\nd, e = D(a=1), D(a=[1])",
        "e['a'].append(2); d.a",
        "e",
        "d",
    ),
]


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    with fresh_shell(lambda: capsys.readouterr().out) as shell:
        yield shell


def watched(shell: Shell, setup: str, cell: str) -> Evidence:
    shell.run("%load_ext kale_magics")
    assert shell.run(setup).success
    assert shell.run(f"%%kale step a\n{cell}").success
    (marked,) = shell.registry.cells
    assert isinstance(marked.execution.evidence, Evidence)
    return marked.execution.evidence


@pytest.mark.parametrize(
    ("setup", "cell", "changed", "kept"), [row[1:] for row in SEEN], ids=[r[0] for r in SEEN]
)
def test_who_changes_what(shell: Shell, setup: str, cell: str, changed: str, kept: str) -> None:
    seen = watched(shell, setup, cell)
    assert {name for name in seen.changed if name.isidentifier()} == set(changed.split())
    assert {name for name in seen.unchanged if name.isidentifier()} == set(kept.split())


@pytest.mark.parametrize(
    ("cell", "drawn"),
    [
        ("import random\nrandom.random()", "state of random"),
        ("import numpy as np\nnp.random.rand()", "state of numpy.random"),
        ("import numpy as np\nnp.random.default_rng(0).random()", ""),
    ],
)
def test_who_draws_from_a_generator_of_all(shell: Shell, cell: str, drawn: str) -> None:
    seen = watched(shell, "import random, numpy.random", cell)
    assert seen.changed == frozenset({drawn} - {""})


@pytest.mark.parametrize(
    ("cell", "groups"),
    [
        ("xs = []; ys = xs; zs = []", ["xs ys"]),
        ("xs = []; d = {'x': [xs]}; e = (xs, 1)", ["d e xs"]),
        ("xs = [[]]; ys = xs.copy(); zs = [1]; vs = zs.copy()", ["xs ys"]),
        ("def make(a): return lambda: a\nxs = []; f = make(xs)", ["f xs"]),
        ("import numpy as np\na = np.zeros(4); b = a[1:]; c = a.copy()", ["a b"]),
        ("n = 1; m = n; s = 'x'; t = (s, n)", []),
    ],
)
def test_whose_values_hang_together(shell: Shell, cell: str, groups: list[str]) -> None:
    seen = watched(shell, "0", cell)
    assert sorted(" ".join(sorted(group)) for group in seen.shared) == groups


def test_nothing_is_seen_of_a_cell_that_fails_or_does_not_run(shell: Shell) -> None:
    shell.run("%load_ext kale_magics")
    shell.run("xs = [1]")
    shell.run("%%kale step a\nxs.append(2)\n1 / 0")
    shell.run("%%kale step b --no-run\nxs.append(2)")
    assert [cell.execution.evidence for cell in shell.registry.cells] == [None, None]


NOTICING = """
class Loud:
    def __getstate__(self):
        print("pickled")
        return {}
class Last:
    def __del__(self):
        print("gone")
class Odd:
    def __getattr__(self, name):
        print("asked for", name)
        raise RuntimeError(name)
class Meta(type):
    __hash__ = None
    def __eq__(self, other):
        print("compared")
        raise RuntimeError
class Compared(metaclass=Meta):
    made = 0
loud, last, odd = Loud(), Last(), Odd()
"""


def test_an_array_can_be_resized_while_it_is_watched(shell: Shell) -> None:
    shell.run("%load_ext kale_magics")
    shell.run("import numpy as np\na = np.arange(6)")
    # Nothing but the session's variable may refer to the array: numpy counts.
    shell.run("%%kale step a\na.resize(3)")
    (cell,) = shell.registry.cells
    assert (cell.execution.state, cell.execution.error) == ("ran", "")
    assert isinstance(cell.execution.evidence, Evidence)
    assert "a" in cell.execution.evidence.changed


def test_what_a_cell_binds_by_a_computed_text(shell: Shell) -> None:
    seen = watched(shell, "text = 'new = 1'", "exec(text)")
    assert "new" in seen.bound


def test_which_functions_a_value_holds(shell: Shell) -> None:
    seen = watched(shell, "def f(): pass\nclass C: pass", "table = {'f': f, 'made': [C()]}; n = 1")
    assert seen.definitions == {"table": {"f", "C"}}


def test_the_notebook_does_not_notice(shell: Shell) -> None:
    """No code of the notebook runs for being watched, and nothing lives longer."""
    shell.run("%load_ext kale_magics")
    shell.run(NOTICING)
    printed = shell.run("%%kale step a\nloud; odd; Compared\nlast = None\nprint('after')").printed
    assert printed == "gone\nafter\n"
