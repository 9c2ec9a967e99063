"""What a step does: the program of a hand-made step, run in this process with stand-ins for KFP's classes."""

from __future__ import annotations

import gc
import json
import os
import re
import subprocess
import symtable
import sys
import textwrap
import types
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kale_magics.local.fork_client import BOOTSTRAP
from kale_magics.model.diagnostics import KaleError
from kale_magics.model.pipeline import CodeBlock, Input, Json, Output, Parameter, Step
from kale_magics.model.program import literal, render_program
from kale_magics.step_runtime import MODULES, runtime
from kale_magics.step_runtime.artifacts import load_artifact
from kale_magics.step_runtime.shell import expand


class File:
    """Stands in for an artifact of KFP."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.metadata: dict[str, Any] = {}

    def __class_getitem__(cls, item: object) -> object:
        return item

    def log_metric(self, name: str, value: float) -> None:
        self.metadata[name] = value


KFP = dict.fromkeys(["Input", "Output", "Artifact", "Dataset", "Model", "Metrics"], File)


class Steps:
    """Runs steps one after the other; a step reads what the ones before it wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, File] = {}
        self.metrics = File(folder / "metrics")

    def run(
        self,
        *cells: str,
        setup: tuple[str | tuple[str, tuple[tuple[str, str], ...]], ...] = (),
        needs: str = "",
        makes: str = "",
        metrics: tuple[str, ...] = (),
        parameters: tuple[Parameter, ...] = (),
        arguments: dict[str, Json] | None = None,
        name: str = "try",
    ) -> dict[str, Any]:
        """Run a step whose inputs and outputs are one artifact a variable; gives its variables."""
        prelude = tuple(
            CodeBlock(
                clean(p if isinstance(p, str) else p[0]),
                "imports",
                f"In [{n}]",
                () if isinstance(p, str) else p[1],
            )
            for n, p in enumerate(setup, 1)
        )
        step = Step(
            name,
            "step_" + name,
            prelude,
            tuple(CodeBlock(clean(c), f"step {name}", f"In [{n}]") for n, c in enumerate(cells, 10)),
            parameters=parameters,
            inputs=tuple(Input((v,), f"in_{v}", "before", Output((v,), f"out_{v}")) for v in needs.split()),
            outputs=tuple(Output((v,), f"out_{v}") for v in makes.split()),
            metrics=metrics,
        )
        return self.call(step, arguments or {})

    def call(self, step: Step, arguments: dict[str, Json]) -> dict[str, Any]:
        namespace: dict[str, Any] = dict(KFP)
        exec(compile(render_program(step), "program.py", "exec", dont_inherit=True), namespace)
        outputs = {a.key: File(self.folder / a.key) for a in step.outputs}
        inputs = {i.key: self.files[i.output.key] for i in step.inputs}
        logged = {"metrics": self.metrics} if step.metrics else {}
        namespace[step.key](**arguments, **inputs, **outputs, **logged)
        self.files |= outputs
        return vars(sys.modules["__main__"])


def clean(source: str) -> str:
    return textwrap.dedent(source).lstrip("\n")


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(sys, "stdin", sys.stdin)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.chdir(tmp_path)
    return Steps(tmp_path)


class Failure:
    """Runs steps that fail: once as in a pod, and once as under an engine that listens."""

    def __init__(
        self, steps: Steps, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.steps, self.capsys, self.monkeypatch = steps, capsys, monkeypatch

    def __call__(self, *cells: str, **how: Any) -> tuple[str, dict[str, Any]]:
        """What is printed to stderr where nobody listens, and what the engine is told."""
        printed = self.run(*cells, **how)
        told = self.steps.folder / "error.json"
        with self.monkeypatch.context() as patch:
            patch.setenv("KALE_ERROR_FILE", str(told))
            assert self.run(*cells, **how) == ""
        return printed, json.loads(told.read_text())

    def run(self, *cells: str, **how: Any) -> str:
        with pytest.raises(SystemExit) as ended:
            self.steps.run(*cells, **how)
        assert ended.value.code == 1
        return self.capsys.readouterr().err


@pytest.fixture
def failure(steps: Steps, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Failure:
    return Failure(steps, capsys, monkeypatch)


def test_values_cross_as_they_are(steps: Steps) -> None:
    steps.run("xs = [1, 2**70]; text = 'größe ☃'; gone = 1; del gone", makes="xs text gone")
    after = steps.run("xs.append(len(text))", needs="xs text gone", makes="xs")
    assert after["xs"] == [1, 2**70, 7]
    assert "gone" not in after
    assert steps.run("n = sum(xs)", needs="xs")["n"] == 2**70 + 8


def test_names_of_one_artifact_share_their_object(steps: Steps) -> None:
    both = Output(("a", "b"), "out_ab")
    steps.call(
        Step("m", "m", (), (CodeBlock("a = [1]; b = {'a': a}", "step m", "In [1]"),), outputs=(both,)), {}
    )
    taker = Step(
        "t",
        "t",
        (),
        (CodeBlock("a.append(2)", "step t", "In [2]"),),
        inputs=(Input(("a", "b"), "in_ab", "m", both),),
    )
    assert steps.call(taker, {})["b"] == {"a": [1, 2]}


def test_a_replayed_definition_is_one_class(steps: Steps) -> None:
    source = """
        import enum, functools
        class Base:
            class Inner: pass
            def who(self): return type(self).__name__
        class Child(Base):
            def who(self): return "child of " + super().who()
        class Color(enum.Enum):
            RED = 1
        @functools.lru_cache
        def twice(x): return 2 * x
    """
    setup = ((source, tuple((name, f"{name}@1") for name in ("Base", "Child", "Color", "twice"))),)
    steps.run(
        "v = [Child(), Base.Inner(), Color.RED, Child, Base.who, twice]; base = Base()",
        setup=setup, makes="v base",
    )  # fmt: skip
    after = steps.run(
        """
        answers = [isinstance(v[0], Base), v[0].who(), isinstance(v[1], Base.Inner), v[2] is Color.RED,
                   v[3] is Child, v[4] is Base.who, v[5] is twice, type(base) is Base]
        """,
        setup=setup, needs="v base",
    )  # fmt: skip
    assert after["answers"] == [True, "child of Child", *[True] * 6]


def test_a_missing_definition_is_named(steps: Steps, failure: Failure) -> None:
    steps.run("v = C()", setup=(("class C: pass", (("C", "C@12ab"),)),), makes="v")
    err, told = failure("v", needs="v")
    assert err == "step try: a value needs the definition of 'C' (C@12ab), which this step does not have\n"
    assert told["traceback"] == ""


CLOSURES = """
    def counter():
        n = 0
        def inc():
            nonlocal n
            n += 1
            return n + k
        def get(): return n
        return inc, get
    inc, get = counter()
    def make():
        def fact(n): return 1 if n < 2 else n * fact(n - 1)
        fact.me = fact
        return fact
    fact = make()
    late = lambda x, y=1, *, z=2: x + y + z + k
    def annotated(x: int = 3) -> "str":
        "doc"
    class Model:
        def __init__(self): super().__init__()
        def predict(self): return k
        @property
        def kind(self): return __class__.__name__
        @staticmethod
        def s(): return k
    k = 10
    inc()
    model = Model()
"""


def test_functions_travel_without_their_globals(steps: Steps) -> None:
    steps.run(CLOSURES, makes="inc get fact late annotated model Model")
    pair = Output(("inc", "get"), "out_pair")
    code = (CodeBlock(clean(CLOSURES), "step m", "In [1]"),)
    steps.call(Step("m", "m", (), code, outputs=(pair,)), {})
    after = steps.run(
        """
        r = [late(0), fact(5), fact.me is fact, model.predict(), model.kind, model.s()]
        r.append(isinstance(model, Model))
        """,
        setup=("k = 1000",), needs="late fact annotated model Model",
    )  # fmt: skip
    assert after["r"] == [1003, 120, True, 1000, "Model", 1000, True]
    assert after["late"].__globals__ is after
    assert (after["annotated"].__doc__, after["annotated"].__annotations__) == (
        "doc",
        {"x": int, "return": "str"},
    )
    cells = (CodeBlock("k = 100; r = inc(), get()", "step t", "In [2]"),)
    taker = Step("t", "t", (), cells, inputs=(Input(("inc", "get"), "in_pair", "m", pair),))
    assert steps.call(taker, {})["r"] == (102, 2)


DYNAMIC = """
    import abc, collections, dataclasses, enum, typing
    @dataclasses.dataclass
    class Point:
        x: int
        tags: list = dataclasses.field(default_factory=list)
    Pair = collections.namedtuple("Pair", "a b")
    class Row(typing.NamedTuple):
        a: int = 1
    class Shape(abc.ABC):
        @abc.abstractmethod
        def area(self): ...
    class Square(Shape):
        __slots__ = ("side",)
        def area(self): return 4
    class Color(enum.Flag):
        RED = 1
        BLUE = 2
    T = typing.TypeVar("T")
    class Box(typing.Generic[T]): pass
    v = [Point(1), Pair(1, 2), Row(), Square(), Color.RED | Color.BLUE, Box()]
    w = {type(x).__name__: x for x in v}
"""


def test_dynamic_classes_are_one_class_in_two_artifacts(steps: Steps) -> None:
    steps.run(DYNAMIC, makes="v w")
    check = """
        same = [type(x) is type(w[type(x).__name__]) for x in v]
        r = [v[0] == w["Point"], v[0].tags, type(v[0])(2).tags, v[1].b, v[3].area()]
        r.append(v[4] is w[type(v[4]).__name__])
    """
    first = steps.run(check, needs="v w", makes="v")
    second = steps.run(check, needs="v w")
    assert first["same"] == second["same"] == [True] * 6
    assert first["r"] == second["r"] == [True, [], [], 2, 4, True]


def test_code_runs_as_in_a_notebook(steps: Steps) -> None:
    after = steps.run(
        "import asyncio\nasync def five():\n    await asyncio.sleep(0)\n    return 5",
        "task = asyncio.create_task(five())",
        "v = await task\nclass A:\n    def f(self) -> Nope: return __name__",
        "main = __name__ == '__main__', A().f(), sys.modules['__main__'].v",
        setup=("from __future__ import annotations\nimport sys",),
    )  # fmt: skip
    assert after["main"] == (True, "__main__", 5)
    assert os.environ["MPLBACKEND"] == "Agg"


def test_a_backend_that_was_chosen_stays(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "svg")
    assert steps.run("import os; b = os.environ['MPLBACKEND']")["b"] == "svg"


SHELL = [
    ("!echo", "sh.system('echo hello; echo oops >&2; exit 3'); r = _exit_code", 3, "hello\noops\n"),
    ("values", "x = [1, 2]; r = sh.getoutput('echo {x[0]} $x')", ["1 [1, 2]"], ""),
    ("in a function", "def f(q): return sh.getoutput('echo {q}')\nr = f(7).n", "7", ""),
    ("not an expression", "r = sh.getoutput(\"echo '{a b}'\").s", "{a b}", ""),
    (
        "lines",
        "o = sh.getoutput('printf \"a\\\\nb\\\\n\"'); r = [o.n, o.s, o.l is o]",
        ["a\nb", "a b", True],
        "",
    ),
    (
        "magics",
        "r = [sh.run_line_magic('matplotlib', 'inline'), sh.run_line_magic('sx', 'echo 1')]",
        [None, ["1"]],
        "",
    ),
    (
        "env",
        "sh.run_line_magic('env', 'KALE_T={1+1}'); r = sh.run_line_magic('env', 'KALE_T')",
        "2",
        "env: KALE_T=2\n",
    ),
    ("cd", "sh.run_line_magic('cd', '-q /'); r = sh.run_line_magic('pwd', '')", "/", ""),
    ("bash", "r = sh.run_cell_magic('bash', '', 'X=1\\necho $X {y}\\n')", None, "1 {y}\n"),
    ("display", "r = display('a', 2)", None, "'a'\n2\n"),
    (
        "a wide display",
        f"r = display([{'9' * 50}, {{2: {'8' * 50}}}, int])",
        None,
        f"[{'9' * 50},\n {{2: {'8' * 50}}},\n int]\n",
    ),
    (
        "display of IPython",
        "from IPython.display import display as d, update_display\n"
        "r = d('a'); update_display('b', display_id='c')",
        None,
        "'a'\n'b'\n",
    ),
    (
        "a handle",
        "h = display(1, display_id=True); h.update('b'); h.display(3); r = bool(h.display_id)",
        True,
        "1\n'b'\n3\n",
    ),
    (
        "a display of its own",
        "class A:\n    def _ipython_display_(self): print('own')\nr = display(A())",
        None,
        "own\n",
    ),
    (
        "writefile",
        "import pathlib; sh.run_cell_magic('writefile', 'f', 'a')\n"
        "sh.run_cell_magic('writefile', '-a f', 'b\\n'); r = pathlib.Path('f').read_text()",
        "a\nb\n",
        "Writing f\nAppending to f\n",
    ),
    ("timeit", "n = []; r = sh.timeit('-n 3 -r 2 -q', 'k = []', 'n.append(k)'), len(n)", (None, 6), ""),
]


@pytest.mark.parametrize(("source", "expected", "printed"), [t[1:] for t in SHELL], ids=[t[0] for t in SHELL])
def test_shell(
    source: str, expected: Any, printed: str, steps: Steps, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("KALE_T", "")
    assert steps.run("sh = get_ipython()\n" + source)["r"] == expected
    assert capsys.readouterr().out == printed


EXPANDED = [
    "$x",
    "{x[1:]}",
    "{x[0]!r}{y:>3}",
    "{{a}} {{{{",
    "$$HOME",
    "a.$obj.imag'",
    "'$y' $y '$y",
    "$y$y {y}$",
    "{y!s} {y!a}",
    "no",
    "",
    "{a b}",
    "{nothing} $y",
    "$nothing",
]


@pytest.mark.parametrize("text", EXPANDED)
def test_commands_are_expanded_as_ipython_does(text: str) -> None:
    formatter = pytest.importorskip("IPython.utils.text").DollarFormatter()
    names = {"x": [1, 2], "y": "é", "obj": 3}
    try:
        expected = formatter.vformat(text, args=[], kwargs=names)
    except Exception:  # what IPython's own raises, whatever it is
        with pytest.raises((NameError, SyntaxError, ValueError)):
            "".join(expand(text, names))
    else:
        assert "".join(expand(text, names)) == expected


def test_writefile(steps: Steps) -> None:
    write = "get_ipython().run_cell_magic('writefile', {!r}, 'größe\\n')"
    steps.run(write.format("'my file.txt'"), write.format("-a 'my file.txt'"))
    assert (steps.folder / "my file.txt").read_text(encoding="utf-8") == "größe\ngröße\n"


def test_a_failure_shows_the_users_frames(failure: Failure) -> None:
    err, told = failure(
        "\n\nx = 1\ny = f(0)", "never = 1",
        setup=("import json\ndef f(x):\n    return json.loads('{') / x",),
    )  # fmt: skip
    lines = [line for line in err.splitlines() if not set(line) <= set(" ~^")]
    assert lines[:5] == [
        "Traceback (most recent call last):",
        '  File "<step try, In [10]>", line 2, in <module>',
        "    y = f(0)",
        '  File "<imports, In [1]>", line 3, in f',
        "    return json.loads('{') / x",
    ]
    assert "json/__init__.py" in err
    assert "kale" not in err.lower().replace("kale-magics", "")
    assert told | {"traceback": "", "message": ""} == {
        "kale_code": "", "type": "JSONDecodeError", "message": "", "fix": "", "traceback": "",
        "cell": "imports, In [1]", "line": 3, "code": "return json.loads('{') / x",
    }  # fmt: skip
    assert told["traceback"] == err


FAILURES = [
    ("syntax", "x = 1\ny = = 2", "SyntaxError", 2),
    ("exit", "import sys\nsys.exit(0)", "SystemExit", 2),
    ("stop", "next(iter([]))", "StopIteration", 1),
    ("await", "import asyncio\nawait asyncio.sleep(0)\n1/0", "ZeroDivisionError", 3),
    ("magic", "get_ipython().run_line_magic('frobnicate', '')", "RuntimeError", 1),
    ("bash", "get_ipython().run_cell_magic('bash', '', 'exit 4')", "CalledProcessError", 1),
]


@pytest.mark.parametrize(("source", "kind", "line"), [f[1:] for f in FAILURES], ids=[f[0] for f in FAILURES])
def test_failures(source: str, kind: str, line: int, failure: Failure) -> None:
    err, told = failure(source)
    assert (told["type"], told["cell"], told["line"]) == (kind, "step try, In [10]", line)
    assert "kale_magics" not in err
    assert err.count("Traceback") <= 1


def test_pieces_of_one_cell_keep_their_lines(steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    first = CodeBlock("def f():\n    return 1 / 0\n", "step a", "In [1]")
    second = CodeBlock("\n\nf()\n", "step a", "In [1]")
    with pytest.raises(SystemExit):
        steps.call(Step("a", "a", (first,), (second,)), {})
    err = capsys.readouterr().err
    assert "    f()\n" in err
    assert "    return 1 / 0\n" in err


NOT_SERIALIZABLE = [
    ("generator", "v = (x for x in [])", "v is a generator"),
    ("lock", "import threading; v = {'a': [threading.Lock()]}", "v['a'][0] is a _thread.lock"),
    ("attribute", "import sqlite3\nclass A: pass\nv = A(); v.db = {'c': sqlite3.connect(':memory:')}",
     "v.db['c'] is a sqlite3.Connection"),
    ("open file", "v = [open(__import__('os').devnull)]", "v[0] is a _io.TextIOWrapper"),
    ("closure", "def make(g):\n    return lambda: g\nv = make(x for x in [])", "g in v is a generator"),
    ("coroutine", "async def f(): pass\nv = f()", "v is a coroutine"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "sentence"), [c[1:] for c in NOT_SERIALIZABLE], ids=[c[0] for c in NOT_SERIALIZABLE]
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
def test_what_cannot_cross(source: str, sentence: str, steps: Steps, failure: Failure) -> None:
    err, told = failure(source, makes="v")
    assert err.startswith("step try: v ")
    assert sentence in err
    assert err.endswith(f"\n  fix: {told['fix']}\n")
    assert told["kale_code"] == "KALE208"
    assert not list(steps.folder.glob("out_*"))
    # Let go of the value here, where what it warns of is expected.
    vars(sys.modules["__main__"]).clear()
    gc.collect()


def test_metrics(steps: Steps, failure: Failure, capsys: pytest.CaptureFixture[str]) -> None:
    numpy = pytest.importorskip("numpy")
    steps.run(
        "acc = np.float32(0.5); n = 3; bad = float('nan')",
        setup=("import numpy as np",),
        metrics=("acc", "n", "bad"),
    )
    assert steps.metrics.metadata == {"acc": 0.5, "n": 3}
    assert type(steps.metrics.metadata["acc"]) is float
    assert "bad is nan" in capsys.readouterr().err
    for source, sentence in [
        ("m = 'x'", "the metric m is a str"),
        ("", "the metric m has no value"),
    ]:
        assert sentence in failure(source, metrics=("m",))[0]
    assert numpy


def test_parameters_are_bound_under_their_names(steps: Steps) -> None:
    after = steps.run(
        "r = größe, exec_",
        parameters=(
            Parameter("exec_", "v_exec", "None", None),
            Parameter("größe", "arguments", "dict", {"a": 1}),
        ),
        arguments={"arguments": {"a": 1}, "v_exec": None},
    )
    assert after["r"] == ({"a": 1}, None)


HOSTILE = [
    "{{$.x}}",
    "{{{{",
    "}}}}}",
    "'{{' \"}}\"",
    "\\{{",
    "r'\\{{'",
    "a\tb \n  c\r\nd\x0ce\u2028f",
    "größe ☃ 🚀",
    "'''\"\"\"\\",
    "",
    "\n\n",
    "\ud800",
    "a\x00b",
    "{'a': {'b': {}}}",
    "$$E = mc^2$$ $(HOME) $$$$(PATH) $$$(x) $x $",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_literals_are_exact_and_hold_nothing_that_is_replaced(text: str) -> None:
    value = {text: [text, {"a": {"b": {}, text: (text,)}}, -1, 2**70, 1e999, None, True]}
    written = literal(value)
    assert eval(written) == value
    assert written.isascii()
    assert not any(pair in written for pair in ("{{", "}}", "$$", "$("))


def test_a_large_program_is_compressed_and_a_huge_one_refused(steps: Steps) -> None:
    table = "\n".join(f"    {n * 7919 % 10007}," for n in range(20_000))
    after = steps.run(f"t = [\n{table}\n]\nk = '}}}}{{{{'", name="large")
    assert (len(after["t"]), after["k"]) == (20_000, "}}{{")
    noise = "".join(chr(33 + (n * n * 7919 + n * 31) % 90) for n in range(400)) + str(
        os.urandom(200_000).hex()
    )
    with pytest.raises(KaleError, match=r"KALE402 .* step huge .*120,000 bytes"):
        steps.run(f"t = {noise!r}", name="huge")


def test_the_program_needs_nothing_of_this_package(steps: Steps) -> None:
    program = render_program(Step("a", "a", (), (CodeBlock("x = 1", "step a", "In [1]"),)))
    assert "kale_magics" not in program
    namespace = types.SimpleNamespace(**KFP).__dict__
    exec(program, namespace)
    assert list(namespace["a"].__annotations__) == []


def test_the_modules_of_the_runtime_can_become_one_text() -> None:
    folder, names = Path(runtime.__file__).parent, Counter[str]()
    for module in MODULES:
        table = symtable.symtable((folder / f"{module}.py").read_text(), module, "exec")
        names.update(s.get_name() for s in table.get_symbols() if s.is_assigned() and not s.is_imported())
    assert [name for name, count in names.items() if count > 1] == []


STATEFUL = """
    import abc, enum, functools
    class Counter(abc.ABC):
        __slots__ = ("free",)
        total = 0
        seen = []
        gone = 1
        class Inner: n = 0
        def __init__(self): Counter.total += 1; Counter.seen.append(self)
        @property
        def sum(self): return Counter.total
        @staticmethod
        def kind(): return "first"
        def call(self): pass
    def bump():
        bump.calls = getattr(bump, "calls", 0) + 1
        return bump.calls
    class Color(enum.Enum):
        RED = 1
    @functools.lru_cache
    def cached(x): return x
"""


def test_the_state_of_a_definition_travels_under_its_name(steps: Steps) -> None:
    setup = ((STATEFUL, tuple((name, f"{name}@1") for name in ("Counter", "bump", "Color", "cached"))),)
    change = """
        c = Counter(); Counter.Inner.n = 5; Counter.call.tag = "t"; Counter.new = Color.RED; del Counter.gone
        Counter.kind = staticmethod(lambda: "second")
        bump(); bump(); bump.other = {"k": c}
        Color.note = [Color.RED]; cached.note = 1
    """
    names = "Counter bump Color cached c"
    steps.run(change, setup=setup, makes=names)
    # A second step that has the definitions and changes them further hands all of it on.
    steps.run("Counter(); bump(); del bump.other", setup=setup, needs=names, makes=names)
    after = steps.run(
        """
        of_class = [Counter.total, len(Counter.seen), type(Counter.seen[0]) is Counter, Counter.Inner.n,
                    Counter.call.tag, Counter.new is Color.RED, hasattr(Counter, "gone"), Counter.kind(),
                    c.sum]
        of_others = [bump.calls, bump(), hasattr(bump, "other"), Color.note[0] is Color.RED, cached.note]
        """,
        setup=setup, needs=names,
    )  # fmt: skip
    assert after["of_class"] == [2, 2, True, 5, "t", True, False, "second", 2]
    assert after["of_others"] == [3, 4, False, True, 1]


def test_an_instance_leaves_the_state_of_its_class_alone(steps: Steps) -> None:
    setup = (("class C: n = 0", (("C", "C@1"),)),)
    steps.run("C.n = 5; v = [C(), C]", setup=setup, makes="v")
    assert steps.run("r = C.n, v[1].n, type(v[0]) is C", setup=setup, needs="v")["r"] == (0, 0, True)


def test_the_state_of_a_definition_that_cannot_cross_is_named(steps: Steps, failure: Failure) -> None:
    setup = (("import threading\nclass C: pass", (("C", "C@1"),)),)
    err, _ = failure("C.locks = {'a': threading.Lock()}", setup=setup, makes="C")
    assert err.startswith("step try: C (a type) ")
    assert ": C.locks['a'] is a _thread.lock (" in err


def test_chained_exceptions_show_no_frame_of_ours(failure: Failure) -> None:
    err, told = failure(
        """
        try:
            get_ipython().run_cell_magic("bash", "", "exit 3")
        except Exception as error:
            raise ValueError("no") from error
        """
    )
    assert "kale step runtime" not in err
    assert "CalledProcessError" in err
    assert '"<step try, In [10]>", line 2' in err
    assert (told["type"], told["line"], told["code"]) == (
        "ValueError",
        4,
        'raise ValueError("no") from error',
    )


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups are new in Python 3.11")
def test_exception_groups_show_no_frame_of_ours(failure: Failure) -> None:
    err, _ = failure(
        """
        try:
            get_ipython().run_line_magic("frobnicate", "")
        except Exception as error:
            raise ExceptionGroup("both", [error, KeyError("k")])
        """
    )
    assert "kale step runtime" not in err
    assert "RuntimeError: %frobnicate " in err


def test_a_step_has_nobody_to_ask(failure: Failure) -> None:
    for source in ("input('Name? ')", "import sys; sys.stdin.read()"):
        assert re.search(r"EOFError: input\(\) .* parameter", failure(source)[0])


def test_an_error_that_cannot_be_told_is_printed(failure: Failure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALE_ERROR_FILE", "/dev/full/error.json")
    err = failure.run("1 / 0")
    assert "its error cannot be written" in err
    assert "ZeroDivisionError: division by zero" in err


def test_time_prints_what_ipython_prints(steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    steps.run(
        "sh = get_ipython(); sh.begin_time(); x = sh.end_time(3)", "sh.timeit('-n 10 -r 2', '', 'x + 1')"
    )
    number = r"[\d.e+-]+ (ns|μs|us|ms|s)"
    measured = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"CPU times: user {number}, sys: {number}, total: {number}", measured[0])
    assert re.fullmatch(rf"Wall time: {number}", measured[1])
    *warned, last = measured[2:]  # on a busy machine one run may be slow, which IPython says too
    assert all(line.startswith("The slowest run took ") for line in warned)
    assert len(warned) <= 1
    assert re.fullmatch(
        rf"{number} (±|\+-) {number} per loop \(mean (±|\+-) std\. dev\. of 2 runs, 10 loops each\)",
        last,
    )


def test_a_measurement_crosses(steps: Steps) -> None:
    made = steps.run("t = get_ipython().timeit('-n 2 -r 3 -o -q', '', '1')", makes="t")["t"]
    got = steps.run("n = 0", needs="t")["t"]
    assert (got.loops, got.repeat, got.all_runs, got.average) == (2, 3, made.all_runs, made.average)
    assert str(got) == str(made)


PATCHES = """
import builtins, json, os.path, time
def never(*_, **__): raise RuntimeError("patched")
x = [1]
for owner, names in [
    (builtins, "open print"), (json, "dumps loads dump load JSONEncoder"), (os, "replace makedirs remove"),
    (os.path, "exists join dirname getsize"), (time, "time perf_counter"),
]:
    for name in names.split():
        setattr(owner, name, never)
"""


def test_what_the_notebook_patches_is_not_used_here(tmp_path: Path) -> None:
    worker = Path(runtime.__file__).parents[1] / "local" / "worker.py"
    output = Output(("x",), "out_x")
    cell = CodeBlock("n = 2\n" + PATCHES, "step a", "In [1]")
    step = Step("a", "a", (), (cell,), outputs=(output,), metrics=("n",))
    (tmp_path / "program.py").write_text(render_program(step))
    paths = {
        name: str(tmp_path / name) for name in ("program.py", "result.json", "error.json", "uses", "x", "m")
    }
    outputs = {"out_x": {"kind": "Artifact", "path": paths["x"], "metadata": {}}}
    outputs["metrics"] = {"kind": "Metrics", "path": paths["m"], "metadata": {}}
    task = {
        "program": paths["program.py"], "function": "a", "parameters": {}, "inputs": {}, "outputs": outputs,
        "result": paths["result.json"], "error": paths["error.json"], "uses": paths["uses"], "ignored": [],
        "install_folders": [], "named_paths": [],
    }  # fmt: skip
    (tmp_path / "arguments.json").write_text(json.dumps(task))
    command = [sys.executable, "-c", BOOTSTRAP.replace("NAME", "worker"), str(worker)]
    done = subprocess.run(
        [*command, str(tmp_path / "arguments.json")], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert json.loads((tmp_path / "result.json").read_text())["metrics"] == {"n": 2}
    assert load_artifact(paths["x"], {}, str) == {"x": [1]}
    assert '["end"]' in (tmp_path / "uses").read_text()


def test_what_lies_deep_crosses(steps: Steps) -> None:
    steps.run(
        """
        class Node:
            __slots__ = ("v", "next", "before")
        head = end = None
        for i in range(20_000):
            old, head = head, Node()
            head.v, head.next, head.before = i, old, None
            if old is None: end = head
            else: old.before = head
        deep, keys = [], ()
        for i in range(20_000): deep, keys = [{"x": (deep,)}], (keys, i)
        """,
        setup=("class Unused: pass",),
        makes="head end deep keys",
    )  # fmt: skip
    after = steps.run(
        """
        n, node = 0, head
        while node.next: n, node = n + 1, node.next
        back = 0
        while node.before: back, node = back + 1, node.before
        d = k = 0
        while deep: d, deep = d + 1, deep[0]["x"][0]
        while keys: k, keys = k + 1, keys[0]
        """,
        needs="head deep keys",
    )  # fmt: skip
    assert (after["n"], after["back"], after["d"], after["k"]) == (19_999, 19_999, 20_000, 20_000)


def test_functions_find_their_helpers_where_they_arrive(steps: Steps) -> None:
    steps.run(
        """
        import json
        from math import floor
        def help(v): return json.dumps([floor(v), len])
        def later(v): return Box(v).get()
        class Box:
            def __init__(self, v): self.v = v
            def get(self): return help(self.v)
        len = 7
        f = {"a": lambda v: later(v)}
        """,
        makes="f",
    )  # fmt: skip
    assert steps.run("r = f['a'](2.5)", needs="f", makes="f")["r"] == "[2, 7]"
    assert steps.run("def help(v): return 'own'\nr = f['a'](2.5)", needs="f")["r"] == "own"


def test_a_helper_that_cannot_cross_is_no_builtin(steps: Steps, failure: Failure) -> None:
    steps.run("import threading\nmax = threading.Lock()\nf = [lambda: max(1, 2)]", makes="f")
    _, told = failure("r = f[0]()", needs="f")
    assert told["kale_code"] == "KALE208"
    assert "max" in told["message"]


def test_submodules_are_there_on_first_use(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "xml.dom.pulldom", raising=False)
    import xml.dom

    monkeypatch.delattr(xml.dom, "pulldom", raising=False)
    cell = CodeBlock(
        "import xml.dom\nr = xml.dom.pulldom.PullDOM.__name__, hasattr(xml.dom, 'nothing')",
        "step a",
        "In [1]",
    )
    after = steps.call(Step("a", "a", (), (cell,), submodules=("xml.dom.pulldom",)), {})
    assert after["r"] == ("PullDOM", False)
    assert "__getattr__" not in vars(xml.dom)


def test_builtins_are_a_module(steps: Steps) -> None:
    assert steps.run("b = __builtins__")["b"] is sys.modules["builtins"]
