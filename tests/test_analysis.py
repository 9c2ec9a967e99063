"""What the text of code tells: tables of code and of the facts that must be read off it."""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kale_magics.analysis.cells import names_mentioned, read_cell
from kale_magics.analysis.effects import (
    Behaviour,
    Bind,
    Branch,
    Call,
    Define,
    Dynamic,
    Effect,
    Mutate,
    Read,
    Unbind,
    flattened,
)
from kale_magics.analysis.names import NameReader
from kale_magics.analysis.nesting import with_deep_stack
from kale_magics.analysis.packages import imported_modules, imported_paths, needs_of
from kale_magics.analysis.parameter_cells import metric_names, read_parameters
from kale_magics.analysis.reader import effects_of
from kale_magics.analysis.scripts import paths_of_scripts
from kale_magics.analysis.shell_calls import BEGIN, END
from kale_magics.analysis.statements import keep_statements
from kale_magics.analysis.submodules import used_submodules
from kale_magics.analysis.summaries import summarise
from kale_magics.analysis.syntax import CellProblemError, to_python
from kale_magics.dataflow.bindings import bound_by
from kale_magics.model.diagnostics import Code


def effects(source: str) -> tuple[Effect, ...]:
    return tuple(effect for statement in read_cell(source).statements for effect in statement)


def at_once(source: str) -> Iterator[Effect]:
    """All that happens when the code runs, inside of definitions and branches too."""
    for effect in flattened(effects(source)):
        yield effect
        if isinstance(effect, Define):
            yield from flattened(effect.at_once)


def reads(source: str) -> set[str]:
    return {e.name for e in at_once(source) if isinstance(e, Read)}


def binds(source: str) -> set[str]:
    found = {e.name for e in at_once(source) if isinstance(e, Bind)}
    return found | {n for e in at_once(source) if isinstance(e, Define) for n in e.names}


READS = [
    ("a plain name", "y = x + 1", "x"),
    ("an attribute is no name", "y = x.z.w", "x"),
    ("a keyword is no name", "f(key=v)", "f v"),
    ("comprehension", "[i * k for i in xs if i > m]", "xs k m"),
    ("the first iterable belongs outside", "i = [1]; [i for i in i]", "i"),
    ("nested comprehension", "{a: b for a in xs for b in a.rows}", "xs"),
    ("generator in a call", "total = sum(v * w for v in vs)", "sum w vs"),
    ("lambda that is called by what gets it", "sorted(xs, key=lambda r: r[k])", "sorted xs k"),
    ("lambda that is kept reads late", "f = lambda r: r + k", ""),
    ("defaults of a lambda are read at once", "f = lambda r=d: r + k", "d"),
    ("a function reads late", "def f(a):\n    return a + k", ""),
    ("what a function evaluates at once", "@deco\ndef f(a: T = d) -> R:\n    return k", "deco T d R"),
    ("a class body runs at once", "class C(B, metaclass=M):\n    x = v\n    def m(self): return k", "B M v"),
    ("a class variable is no global of a method", "class C:\n    n = 1\n    def m(self): return n", ""),
    ("walrus", "if (n := f(x)) > 2: print(n)", "f x print n"),
    ("walrus in a comprehension", "[y := g(v) for v in vs]", "g vs"),
    ("f-string", "s = f'{a} {b!r:>{w}}'", "a b w"),
    ("global statement", "def f():\n    global g\n    g = h", ""),
    ("with and for", "with open(p) as f:\n    for line in f: print(line)", "open p print f line"),
    ("except", "try:\n    a()\nexcept E as e:\n    b(e)", "a E b e"),
    ("match", "match v:\n    case P(x=0, y=q) if q > k: r = q", "v P k q"),
    ("del", "del d[k]", "d k"),
    ("a deleted name is looked up by deleting", "del a", ""),
    ("augmented", "n += k", "n k"),
    ("subscript target", "d[k] = v", "d k v"),
    ("starred", "f(*a, **b)", "f a b"),
    ("await", "r = await job()", "job"),
    ("a command's values", "!echo {x} $y.z '$not'", "get_ipython x y"),
    ("a frame's query", "df.query('a > @limit')", "df limit"),
    ("annotation without a value", "x: T", "T"),
    ("nested functions inside", "def f():\n    def g(): return k\n    return g", ""),
]


@pytest.mark.parametrize(("code", "names"), [row[1:] for row in READS], ids=[row[0] for row in READS])
def test_reads(code: str, names: str) -> None:
    assert reads(code) == set(names.split())


LATE = [
    ("def f(a):\n    b = a\n    return b + k", "k"),
    ("def f():\n    def g(x): return x + k\n    return g(m)", "k m"),
    ("class C:\n    n = 1\n    def m(self): return n + self.k", "n"),
    ("def f():\n    nums = [i for i in xs]\n    return nums", "xs"),
    ("f = lambda a, *b, c=1, **d: (a, b, c, d, k)", "k"),
    ("def f():\n    global g\n    g += 1", "g"),
    ("def f():\n    import os\n    return os.getcwd()", ""),
    ("def f(n):\n    return f(n - 1)", "f"),
]


@pytest.mark.parametrize(("code", "names"), LATE)
def test_late_reads(code: str, names: str) -> None:
    assert names_mentioned(effects(code)) == set(names.split())


BINDS = [
    ("a, (b, *c) = 1, (2, 3)", "a b c"),
    ("x = y = 1", "x y"),
    ("for i, j in p: k = 1", "i j k"),
    ("import a.b, c.d as e\nfrom f import g as h, m", "a e h m"),
    ("def f(): x = 1", "f"),
    ("class C: x = 1", "C"),
    ("with o as (a, b): pass", "a b"),
    ("[y := v for v in vs]", "y"),
    ("d[0] = o.a = 1", ""),
    ("match v:\n    case [a, *b] | {'k': a, **b}: pass\n    case C() as c: pass", "a b c"),
    ("try:\n    pass\nexcept E as e:\n    x = 1", "e x"),
    ("n += 1", "n"),
    ("x: int = 1\ny: int", "x"),
    ("async def f(): pass", "f"),
]


@pytest.mark.parametrize(("code", "names"), BINDS)
def test_binds(code: str, names: str) -> None:
    assert binds(code) == set(names.split())


CHANGES = [
    ("d[k] = v", "d"), ("o.a.b = 1", "o"), ("o.rows[0].x += 1", "o"), ("del d[k], e.a", "d e"), ("n += 1", "n"),
    ("x = 1", ""), ("(a if c else b)[0] = 1", "a b"), ("d['k'], o.v = 1, 2", "d o"), ("for d[0] in xs: pass", "d xs"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "names"), CHANGES)
def test_changes(code: str, names: str) -> None:
    found = {e.source.name for e in at_once(code) if isinstance(e, Mutate) and e.cause != "item"}
    assert found == set(names.split())


def behaviour(source: str, name: str = "f") -> Behaviour:
    return next(
        e.behaviour for e in effects(source) if isinstance(e, Define) and name in e.names and e.behaviour
    )


SUMMARIES = [
    ("def f(a, b):\n    a.append(b)", "@a", "", "@a>@b"),
    ("def f(a):\n    a = list(a)\n    a.append(1)", "@a", "", ""),
    ("def f(a):\n    b = a\n    b['x'] = 1\n    return b", "@a", "@a", ""),
    ("def f(a):\n    return a.copy()", "", "@a", ""),
    ("def f(a):\n    return len(a)", "", "", ""),
    ("def f(a, *rest):\n    for r in rest: r.sort()", "@rest", "", ""),
    ("def f(a):\n    g(a)\ndef g(x):\n    h(x)\ndef h(y):\n    y.clear()", "@a", "", ""),
    ("def f(a, n):\n    if n: f(a, n - 1)\n    else: a.pop()", "@a", "", ""),
    ("def f(a):\n    a.drop(columns=['x'], inplace=True)", "@a", "", ""),
    ("def f(a):\n    random.shuffle(a)", "@a", "", ""),
    ("def f(a):\n    LOG.append(a)", "", "", "LOG>@a"),
    ("def f(a):\n    def inner(x): x.append(1)\n    inner(a)", "@a", "", ""),
]


def origin(path: str) -> str:
    """What names stand for in a notebook that has imported some libraries."""
    first, dot, rest = path.partition(".")
    imported = {"np": "numpy", "random": "random", "mylib": "mylib"}
    return imported[first] + dot + rest if first in imported else ""


@pytest.mark.parametrize(("code", "changed", "returned", "links"), SUMMARIES)
def test_summaries(code: str, changed: str, returned: str, links: str) -> None:
    functions = {n: e.behaviour for e in effects(code) if isinstance(e, Define) for n in e.names}
    summary = summarise(behaviour(code), functions.get, origin)
    assert summary.changed == set(changed.split())
    assert summary.returned == set(returned.split())
    assert {f"{a}>{b}" for a, b in summary.links if a != b} == set(links.split())


PERHAPS = [
    ("def f(a): mylib.tidy(a)", "@a True"),
    ("def f(a): np.mean(a)", ""),
    ("def f(a): print(a)", ""),
    ("def f(a): a.absorb(1)", "@a True"),
    ("def f(a, b): a.absorb(b)", "@a True, @b True"),
    ("def f(a):\n    if a: mylib.tidy(a)", "@a False"),
    ("def f(a):\n    for x in a: mylib.tidy(x)", "@a True"),
    ("def f(a):\n    mylib.tidy(a)\n    a.clear()", ""),
    ("def f(a):\n    if a: g(a)\ndef g(b): mylib.tidy(b)", "@a False"),
    ("def f(a, go): go(a)", "@a True, @go True"),
]


@pytest.mark.parametrize(("code", "perhaps"), PERHAPS)
def test_what_nobody_knows_of_may_change_what_it_gets(code: str, perhaps: str) -> None:
    functions = {n: e.behaviour for e in effects(code) if isinstance(e, Define) for n in e.names}
    summary = summarise(behaviour(code), functions.get, origin)
    assert ", ".join(f"{name} {ran}" for name, ran in sorted(summary.may_change)) == perhaps


def test_branches_keep_their_ways_apart() -> None:
    (branch,) = [e for e in effects("if c:\n    x = 1\nelse:\n    raise E") if isinstance(e, Branch)]
    assert [path.ends for path in branch.paths] == [False, True]
    (loop,) = [e for e in effects("for i in xs: x = 1") if isinstance(e, Branch)]
    assert loop.paths[1].effects == ()
    assert not any(isinstance(e, Branch) for e in effects("if __name__ == '__main__':\n    x = 1"))


def test_an_except_name_is_gone_after_its_handler() -> None:
    assert [e.name for e in at_once("try: a()\nexcept E as e: pass") if isinstance(e, Unbind)] == ["e"]


def test_a_call_says_what_goes_where() -> None:
    (call,) = [e for e in effects("np.multiply(a, b[0], out=c)") if isinstance(e, Call)]
    assert (call.path, call.method) == ("np.multiply", "multiply")
    assert [(label, [s.name for s in sources]) for label, sources in call.arguments] == [
        (0, ["a"]), (1, ["b"]), ("out", ["c"]),
    ]  # fmt: skip


PYTHON = [
    ("plain", "\nx = 1", "\nx = 1", ()),
    ("command", "\n!ls {x}", "\nget_ipython().system('ls {x}')", ()),
    ("output", "\ny = !ls", "\ny = get_ipython().getoutput('ls')", ()),
    ("time", "\n%time y = f(x)  # why", f"\n{BEGIN}; y = f(x); {END}", ()),
    ("timeit", "\n%timeit -n 2 f(x)\nz = 1", "\nget_ipython().timeit('-n 2', '', 'f(x)')\nz = 1", ()),
    ("timeit with a result", "\nt = %timeit -qo f(x)", "\nt = (get_ipython().timeit('-q -o', '', 'f(x)'))", ()),
    ("time in an expression", "\ny = %time f(x)", f"\n{BEGIN}; y = (f(x)); {END}", ()),
    ("time of a command", "\n%time !ls", f"\n{BEGIN}; get_ipython().end_time(get_ipython().system('ls'))", ()),
    ("time of a loop", "\nif a:\n    %time for i in x: f(i)", f"\nif a:\n    {BEGIN}\n    for i in x: f(i)\n    {END}", ()),
    ("cell time", "\n%%time\nx = 1\ny = 2", f"\n{BEGIN}\nx = 1\ny = 2\n{END}", ()),
    ("cell time of a value", "\n%%time\nx = 1\nf(\nx)", f"\n{BEGIN}\nx = 1\nget_ipython().end_time(f(\nx))", ()),
    ("a call of time", "get_ipython().run_line_magic('time', 'x = 1')", f"{BEGIN}; x = 1; {END}", ()),
    ("a call of run_cell", "get_ipython().run_cell('x = 1\\n!ls')", """exec("x = 1\\nget_ipython().system('ls')\\n")""", ()),
    ("another name for the shell", "ip = get_ipython()\nip.system('ls')", "ip = get_ipython()\nget_ipython().system('ls')", ()),
    ("cell capture", "\n%%capture\nx = 1", "\nget_ipython().begin_capture()\nx = 1\nget_ipython().end_capture()", ()),
    ("cell timeit", "\n%%timeit y = 2\nx = 1", "\nget_ipython().timeit('', 'y = 2', 'x = 1')", ()),
    ("bash", "\n%%bash\necho é", "\nget_ipython().run_cell_magic('bash', '', 'echo é')", ()),
    ("pip", "\n%pip install -q 'a>=1' b  # both", "\nNone", ("a>=1", "b")),
    ("pip as a command", "\n!pip install -i INDEX a", "\nNone", ("--index-url=INDEX", "a")),
    ("options of pip", "\n%pip install -qU --pre --extra-index-url=B -rmore.txt -r ../all.txt --progress-bar off a", "\nNone", ("--pre", "--extra-index-url=B", "--requirement=more.txt", "--requirement=../all.txt", "a")),
    ("pip and where its output goes", "\n!pip install -q 'a>=1' > /dev/null 2>&1", "\nNone", ("a>=1",)),
    ("pip of a version", "\n!pip3.11 -q install --root-user-action=ignore a", "\nNone", ("a",)),
    ("uv", "\n!uv pip install --index https://a.org --system a", "\nNone", ("--extra-index-url=https://a.org", "a")),
    ("pip and more", "\n!pip install a && echo b", "\nget_ipython().system('pip install a && echo b')", ()),
    ("pip from this machine", "\n%pip install -e ../own ./built.whl old.tar.gz 'b @ https://c/d.whl'", "\nNone", ("b @ https://c/d.whl",)),
    ("python -m pip", "\n!python -m pip install a", "\nNone", ("a",)),
    ("help", "\nx = 1\nx?", "\nx = 1\nget_ipython().run_line_magic('pinfo', 'x')", ()),
    ("in a block", "\nif a:\n    %matplotlib inline", "\nif a:\n    get_ipython().run_line_magic('matplotlib', 'inline')", ()),
    ("no magic in a text", "\ns = '''\n%time x\n!ls\n'''", "\ns = '''\n%time x\n!ls\n'''", ()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "python", "packages"), [row[1:] for row in PYTHON], ids=[row[0] for row in PYTHON]
)
def test_ipython_syntax(source: str, python: str, packages: tuple[str, ...]) -> None:
    cell = to_python(source)
    assert cell.source.rstrip() == python
    assert cell.packages == packages


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        ("\n%%javascript\nx", "KALE209", 2), ("\nx = 1\n%sql select", "KALE209", 3), ("\n%%bash --bg\nx", "KALE209", 2), ("\nx = get_ipython().kernel", "KALE209", 2), ("\nget_ipython().run_line_magic(m, 'x')", "KALE209", 2),
        ("\nx = = 1", "KALE202", 2), ("\nx = '\x00'", "KALE202", 1), ("\n%run other.py", "KALE209", 2),
    ],
)  # fmt: skip
def test_what_is_no_python_is_refused_with_its_line(source: str, code: str, line: int) -> None:
    with pytest.raises(CellProblemError) as refused:
        to_python(source)
    assert (refused.value.code.code, refused.value.line) == (code, line)


CELL = """
# about a
a = 1  # behind a

# far away

# about f
@deco
def f():
    '''text   

    é'''
b = 2; c = 3  # behind c
"""  # noqa: W291


def test_cutting_keeps_places_and_comments() -> None:
    assert keep_statements(CELL, {0}).split("\n")[:3] == ["", "# about a", "a = 1  # behind a"]
    kept = keep_statements(CELL, {1})
    assert kept.split("\n")[6:11] == CELL.split("\n")[6:11]
    assert "far away" not in kept
    assert keep_statements(CELL, {3}).split("\n")[-2] == "c = 3  # behind c"
    assert keep_statements(CELL, {2, 3}).split("\n")[-2] == "b = 2; c = 3  # behind c"
    assert ast.dump(ast.parse(keep_statements(CELL, {0, 1, 2, 3}))) == ast.dump(ast.parse(CELL))


PARAMETERS = [
    (
        "n = 3\nrate = -0.5\nname = 'a'\nflag = True\nnothing = None",
        "n:int rate:float name:str flag:bool nothing:None",
        "",
    ),
    ("xs = [1, [2, None]]\nd = {'a': {'b': 1}}", "xs:list d:dict", ""),
    ("base = 4\nlr = base / 8", "base:int", "lr"),
    ("'a text'\n# a comment\nn: int = 1", "n:int", ""),
    ("a, b = 1, 'x'", "a:int b:str", ""),
    ("a = b = 2", "a:int b:int", ""),
    ("a = b = []", "", "a b"),
    ("t = (1, 2)\ns = {1}\nd = {1: 2}", "", "t s d"),
]


@pytest.mark.parametrize(("source", "literal", "derived"), PARAMETERS)
def test_parameters(source: str, literal: str, derived: str) -> None:
    defaults, _, names = read_parameters(ast.parse(source))
    assert [f"{d.name}:{d.type}" for d in defaults] == literal.split()
    assert [name for name, _ in names] == derived.split()


@pytest.mark.parametrize(
    "source", ["print(1)", "import os", "d['a'] = 1", "x.y = 1", "def f(): pass", "n += 1", "if a: b = 1"]
)
def test_a_parameters_cell_is_a_list_of_assignments(source: str) -> None:
    with pytest.raises(CellProblemError, match="assignments to names"):
        read_parameters(ast.parse(source))


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("print(a)\nprint('b is', b)", "a b"),
        ("a\nb", "a b"),
        ("a, b", "a b"),
        ("print(f'{a:.3f} {b}')", "a b"),
        ("'text'\na", "a"),
    ],
)
def test_metrics(source: str, names: str) -> None:
    assert [name for name, _ in metric_names(ast.parse(source))] == names.split()


@pytest.mark.parametrize("source", ["a = 1", "print()", "f(a)", "import os"])
def test_a_metrics_cell_is_a_list_of_variables(source: str) -> None:
    with pytest.raises(CellProblemError, match="metrics cell"):
        metric_names(ast.parse(source))


def test_packages_are_what_is_installed_of_what_is_imported() -> None:
    code = "import os, ast_comments.x\nfrom IPython import a\nfrom . import b\ndef f():\n    import nowhere_at_all"
    modules = imported_modules(ast.parse(code))
    assert modules == {"os", "ast_comments", "IPython", "nowhere_at_all"}
    packages = needs_of(imported_paths(ast.parse(code))).packages
    assert [p.partition("==")[0] for p in packages] == ["ast-comments", "ipython"]


def certain_reads(source: str) -> dict[str, bool]:
    """The names that code reads, and whether it does so for certain."""
    return {e.name: e.certain for e in effects(source) if isinstance(e, Read)}


def test_a_text_that_is_evaluated_reads_what_it_names() -> None:
    assert certain_reads("z = eval('x + 1')") == {"eval": True, "x": True}
    assert not any(isinstance(e, Dynamic) for e in effects("eval('x'); exec('y = x'); exec(t, {})"))
    assert [e.name for e in effects("exec('y = x')") if isinstance(e, Bind)] == ["y"]
    assert [e.executes for e in effects("eval(t); exec(t)") if isinstance(e, Dynamic)] == [False, True]


def test_what_timeit_measures_is_read_and_binds_nothing() -> None:
    assert "f" in certain_reads("get_ipython().timeit('', 'a = b', 'c = f(a)')")
    assert not [e for e in effects("get_ipython().timeit('', 'a = b', 'c = f(a)')") if isinstance(e, Bind)]


def test_a_lambda_looks_up_late_what_its_statement_binds() -> None:
    assert certain_reads("ids = defaultdict(lambda: len(ids))")["ids"] is False
    assert certain_reads("x = sorted(xs, key=lambda v: y[v])")["y"] is True


def test_submodules_that_nothing_imports() -> None:
    sources = [
        "import xml, os\nimport os.path\nimport email.mime as mime",
        "xml.dom.minidom.x; os.path.x; mime.text.x",
    ]
    assert used_submodules(sources) == ("email.mime.text", "xml.dom", "xml.dom.minidom")


def test_a_script_says_what_it_binds_and_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text("import json\nfrom random import *\nn = 1\ndef _f(): x = 2\n")
    cell = read_cell("\n%run script.py a")
    bound = {e.name for e in cell.statements[0] if isinstance(e, Bind)}
    assert bound >= {"json", "n", "_f", "shuffle"}
    assert "x" not in bound
    assert paths_of_scripts(cell.python.tree) == {"json", "random.*"}


@pytest.mark.parametrize(
    "nested",
    [
        lambda n: f"y = {'f(' * n}x{')' * n}",
        lambda n: f"y = x{'.a(x)' * n}",
        lambda n: f"y = {'x.a(' * n}x{')' * n}",
        lambda n: f"y = {'x[' * n}x{']' * n}",
        lambda n: f"y = {'[z for z in ' * n}x{']' * n}",
        lambda n: f"y = {'lambda: ' * n}x",
        lambda n: f"y = {'(x if c else ' * n}x{')' * n}",
        lambda n: "if x:\n    y = 0\n" + "elif x:\n    y = 1\n" * n,
    ],
)
def test_what_is_nested_takes_proportional_work(nested, monkeypatch):
    asked = []
    roots = NameReader._roots
    monkeypatch.setattr(NameReader, "_roots", lambda self, node: [asked.append(node), roots(self, node)][1])
    counts = []
    for levels in (20, 40, 80):
        asked.clear()
        for statement in ast.parse(nested(levels)).body:
            effects_of(statement)
        counts.append(len(asked))
    assert counts[2] - counts[1] <= 2.1 * (counts[1] - counts[0]) + 4


@pytest.mark.parametrize(
    "deep", ["y = x" + " + x" * 900, "if x:\n    y = 0\n" + "elif x:\n    y = 1\n" * 900]
)
def test_all_that_python_compiles_is_read(deep):
    if (3, 12) <= sys.version_info < (3, 12, 3):  # it limits calls through C
        with contextlib.suppress(CellProblemError):
            with_deep_stack(lambda: read_cell(deep))
        return
    statements = with_deep_stack(lambda: read_cell(deep)).statements
    assert "y" in bound_by(statements[0])


def test_what_python_cannot_compile_is_said_so():
    with pytest.raises(CellProblemError) as raised:
        read_cell("y = x" + ".a()" * 9_000)
    assert raised.value.code is Code.SYNTAX
