"""A marked cell: what it is to the shell, and what the registry knows of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kale_magics.dataflow import assemble as assembling
from kale_magics.session import marking
from kale_magics.session.evidence import MutationObserver
from kale_magics.session.registry import Cell
from kale_magics.syntax.commands import KINDS, RUN
from tests.shells import Outcome, Shell, fresh_shell, mentions


@pytest.fixture
def shell(capfd: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    with fresh_shell(lambda: "".join(capfd.readouterr())) as shell:
        shell.ipython.run_line_magic("load_ext", "kale_magics")
        yield shell


def only(shell: Shell) -> Cell:
    (cell,) = shell.registry.cells
    return cell


SAME = [
    "x = 1",
    "x = 1\nx + 1",
    "x = 1\nx + 1;",
    "print('a')\nx = 1",
    "import asyncio\nx = await asyncio.sleep(0, 'done')\nx",
    "async def f():\n    return 5\nawait f()",
    "\n\n\nx = 5\nx",
    "    x = 5\n    y = 6\n    x + y",
    "\n    x = 5\n    x",
    ">>> x = 3\n>>> x",
    "In [1]: x = 3",
    "!echo hello",
    "x = !echo hello\nx",
    "%precision 3\nx = 1",
    "x = 5\nint.bit_length?",
    "%%bash\necho hi",
    "\n%%bash\necho hi",
    "%%python --no-raise-error\nprint('hi')",
    "%%writefile /dev/null\n%%kale step inner\nx = 1",
    "text = '''\n%%kale step inner\n'''\ntext",
    "from __future__ import annotations\nx: Nothing = 1",
    "def f(n):\n    return n and f(n - 1)\n\nf(3)",
]


@pytest.mark.parametrize("magic", ["%%kale step a", "%kale step a", "%%kale skip", "\n  %%kale step a"])
@pytest.mark.parametrize("body", SAME)
def test_a_marked_cell_does_what_the_cell_does(shell: Shell, magic: str, body: str) -> None:
    plain = shell.run(body)
    marked = shell.run(f"{magic}\n{body}")
    assert (marked.success, marked.result) == (plain.success, plain.result)
    assert numbered(marked) == numbered(plain)
    assert plain.success
    assert only(shell).execution.state == "ran"


def numbered(outcome: Outcome) -> str:
    return outcome.printed.replace("Out[1]", "Out[n]").replace("Out[2]", "Out[n]")


FAILING = [
    ("x = 1\n\n1 / 0\nx", 4, "ZeroDivisionError"),
    ("def f():\n    raise ValueError('no')\nf()", 4, "ValueError"),
    ("import asyncio\nawait asyncio.sleep(0)\nmissing", 4, "NameError"),
    ("x = 1\nx = = 2", 3, "SyntaxError"),
    ("x = 1\n  y = 2", 3, "IndentationError"),
    ("raise KeyboardInterrupt", 2, "KeyboardInterrupt"),
]

WITHOUT_A_TRACEBACK = ("SyntaxError", "IndentationError")


@pytest.mark.parametrize(("body", "line", "error"), FAILING)
def test_a_failing_cell_shows_one_traceback_with_its_lines(
    shell: Shell, body: str, line: int, error: str
) -> None:
    outcome = shell.run(f"%%kale step a\n{body}")
    assert not outcome.success
    assert outcome.printed.count("Traceback (most recent call last)") == (error not in WITHOUT_A_TRACEBACK)
    assert error in outcome.printed
    assert f"In[1], line {line}" in outcome.printed
    assert "kale_magics" not in outcome.printed
    assert only(shell).execution.state == "failed"


def test_hooks_fire_once_and_history_keeps_what_was_typed(shell: Shell) -> None:
    told: list[str] = []
    for event in ("pre_execute", "pre_run_cell", "post_execute", "post_run_cell"):
        shell.ipython.events.register(event, lambda *args, event=event: told.append(event))
    typed = "%%kale step a --after b # because\nx = 1\nx"
    shell.run(typed)
    assert told == ["pre_execute", "pre_run_cell", "post_execute", "post_run_cell"]
    assert shell.ipython.history_manager.input_hist_raw[-1] == typed
    assert shell.ipython.user_ns["In"][-1].splitlines()[1:] == ["x = 1", "x"]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("%%kale step a", "incomplete"),
        ("%%kale step a\nx = 1", "incomplete"),
        ("%%kale step a\nfor i in x:\n    i", "incomplete"),
        ("%%kale step a\nx = 1\n\n", "complete"),
        ("%%kale stp a\nx = 1\n\n", "complete"),
        ("%kale step a\nfor i in x:", "incomplete"),
        ("%kale step a\nx = 1", "complete"),
        ("%kale", "complete"),
        ("x = (", "incomplete"),
    ],
)
def test_a_terminal_knows_when_the_cell_is_complete(shell: Shell, text: str, status: str) -> None:
    assert shell.ipython.input_transformer_manager.check_complete(text)[0] == status
    assert shell.registry.cells == ()


def test_to_transform_a_cell_does_nothing_else(shell: Shell) -> None:
    typed = "%%kale step a\nx = 1\ny = [\n    x]\n"
    first, second = (shell.ipython.transform_cell(typed) for _ in range(2))
    assert first == second
    assert first.splitlines()[1:] == typed.splitlines()[1:]
    assert shell.registry.cells == ()


@pytest.mark.parametrize(
    ("typed", "kind", "source"),
    [
        ("%%kale imports\nimport os", "imports", "\nimport os"),
        ("%%kale pipeline-parameters\nlr = 0.1\n", "parameters", "\nlr = 0.1\n"),
        ("\n\n%kale metrics\n\nx = 1", "metrics", "\n\n\n\nx = 1"),
        ("%%kale functions\n    def f():\n        pass", "functions", "\ndef f():\n    pass"),
        ("%%kale skip\n%%bash\ntrue", "skip", "\n%%bash\ntrue"),
    ],
)
def test_the_registry_knows_the_cell(shell: Shell, typed: str, kind: str, source: str) -> None:
    shell.run(typed, "id-1")
    cell = only(shell)
    assert (cell.kind, cell.source, cell.cell_id, cell.label, cell.execution.state) == (
        kind,
        source,
        "id-1",
        "In [1]",
        "ran",
    )


def test_a_step_is_known_by_name_and_order(shell: Shell) -> None:
    shell.run('%%kale step "Train model 2" --after a,b\nx = 1')
    assert (only(shell).name, only(shell).mark.after) == ("Train model 2", ("a", "b"))


def test_no_run_marks_without_running(shell: Shell) -> None:
    outcome = shell.run("%%kale step a --no-run\nx = 1\nprint('ran')\nx")
    assert outcome == Outcome(True, None, "", None)
    assert "x" not in shell.ipython.user_ns
    assert only(shell).execution.state == "not run"
    assert only(shell).source == "\nx = 1\nprint('ran')\nx"


def test_metrics_of_steps_that_have_not_run_are_marked_without_running(shell: Shell) -> None:
    shell.run("%%kale step a --no-run\nloss = 0.5")
    assert shell.run("%%kale metrics --no-run\nloss").success
    assert "metrics        In [2]  ○ not run  loss from a" in shell.run("%kale").printed


def test_with_an_id_a_cell_is_itself_whatever_becomes_of_it(shell: Shell) -> None:
    shell.run("%%kale step a\nx = 1", "one")
    shell.run("%%kale step b\ny = 1", "two")
    shell.run("%%kale step a\nx = 2", "one")
    assert [(c.name, c.source, c.label) for c in shell.registry.cells] == [
        ("a", "\nx = 2", "In [3]"),
        ("b", "\ny = 1", "In [2]"),
    ]
    shell.run("%%kale skip\nx = 2", "one")
    assert [(c.kind, c.name) for c in shell.registry.cells] == [("skip", ""), ("step", "b")]
    shell.run("x = 2", "one")
    assert [c.name for c in shell.registry.cells] == ["b"]
    shell.run("%%kale stp b\ny = 1", "two")
    assert shell.registry.cells == ()


def test_without_ids_only_the_same_cell_is_replaced(shell: Shell) -> None:
    for cell in ("x = 1", "y = 1", "x = 1", "x = 2"):
        shell.run(f"%%kale step a\n{cell}")
    shell.run("x = 1")
    assert [(c.source, c.label) for c in shell.registry.cells] == [
        ("\nx = 1", "In [3]"),
        ("\ny = 1", "In [2]"),
        ("\nx = 2", "In [4]"),
    ]


def test_a_cell_that_is_mended_has_not_failed(shell: Shell) -> None:
    states = []
    for cell in ("x = = 1", "1 / 0", "x = 1"):
        shell.run(f"%%kale step a\n{cell}", "one")
        states.append((only(shell).execution.state, only(shell).source))
    assert states == [("failed", "\nx = = 1"), ("failed", "\n1 / 0"), ("ran", "\nx = 1")]


def is_not_first(shown: str, line: int, magic: str) -> bool:
    message, at, fix = shown.splitlines()
    place = f"  at:  In [1], line {line}: {magic}"
    return message.startswith("KALE105 ") and "kale step a" in message and at == place and "first line" in fix


@pytest.mark.parametrize("magic", ["%%kale step a", "%kale step a"])
@pytest.mark.parametrize(
    "above", ["# a comment\n", "\n# a comment\n\n", "x = 1\n", "'''a text'''\n", "%kale skip\n"]
)
def test_a_magic_below_other_lines_is_refused(shell: Shell, magic: str, above: str) -> None:
    assert is_not_first(shell.refusal(f"{above}{magic}\nran = True"), above.count("\n") + 1, magic)
    assert "ran" not in shell.ipython.user_ns


def test_a_magic_below_another_cell_magic_is_refused(shell: Shell) -> None:
    outcome = shell.run("%%time\n%%kale step a\nran = True")
    assert is_not_first(outcome.printed[outcome.printed.index("KALE") :], 2, "%%kale step a")
    assert "ran" not in shell.ipython.user_ns
    assert shell.registry.cells == ()


@pytest.mark.parametrize("body", ["", "\n", "\n\n  \n", "\n# only a comment", "\n\n# a\n  # b\n"])
def test_an_empty_body_is_refused(shell: Shell, body: str) -> None:
    message, at, _ = shell.refusal(f"%%kale step a{body}").splitlines()
    assert message.startswith("KALE106 ")
    assert at == "  at:  In [1], line 1: %%kale step a"
    assert shell.registry.cells == ()


@pytest.mark.parametrize("magic", ["%%kale", "%%kale  # which?"])
def test_a_mark_without_a_kind_is_refused_above_code(shell: Shell, magic: str) -> None:
    message, at, fix = shell.refusal(f"\n{magic}\nran = True").splitlines()
    assert mentions(message, "KALE101 %%kale")
    assert at == f"  at:  In [1], line 2: {magic}"
    assert mentions(fix, "fix: imports, functions, parameters, step NAME, metrics, skip")
    assert "ran" not in shell.ipython.user_ns
    assert shell.registry.cells == ()


@pytest.mark.parametrize("cell", ["%%kale", "%%kale\n\n# nothing", "%kale", "%kale\nran = True"])
def test_without_a_kind_and_code_the_table_is_shown(shell: Shell, cell: str) -> None:
    outcome = shell.run(cell)
    assert outcome.success
    assert outcome.printed.startswith("No cell is marked.")
    assert ("ran" in shell.ipython.user_ns) == ("ran" in cell)


def test_a_marked_cell_may_show_the_table(shell: Shell) -> None:
    assert "step  a" in shell.run("%%kale step a\n%kale").printed


def test_a_mistake_is_told_before_anything_runs(shell: Shell) -> None:
    message, at, fix = shell.refusal("\n%%kale step a --aftr b # c\nran = True").splitlines()
    assert mentions(message, "KALE102 %%kale step --aftr")
    assert at == "  at:  In [1], line 2: %%kale step a --aftr b # c"
    assert mentions(fix, "fix: --after?")
    assert "ran" not in shell.ipython.user_ns


def test_a_cell_within_a_cell_leaves_the_outer_one_marked(shell: Shell) -> None:
    shell.run(
        "%%kale step a\nget_ipython().run_cell('%%kale step b\\ny = 1')\nget_ipython().run_cell('')\n1 / 0"
    )
    assert [(c.name, c.execution.state) for c in shell.registry.cells] == [("a", "failed"), ("b", "ran")]


def test_completion_and_help_work_in_a_marked_cell(shell: Shell) -> None:
    shell.run("number = 5")
    assert "%%kale step a\nnumber.bit_length" in shell.completions("%%kale step a\nnumber.bit_l")
    assert "int.bit_count" not in shell.run("%%kale step a\nx = 1\nnumber?").printed
    assert "Type:        int" in shell.run("%%kale step a\nx = 1\nnumber?").printed


def traces(ipython: Any) -> dict[str, Any]:
    """All that an extension may leave in a shell."""
    return {
        "transformers": list(map(called, ipython.input_transformers_cleanup)),
        "post": list(map(called, ipython.input_transformers_post)),
        "events": {name: list(map(called, found)) for name, found in ipython.events.callbacks.items()},
        "magics": {kind: sorted(found) for kind, found in ipython.magics_manager.magics.items()},
        "registry": sorted(ipython.magics_manager.registry),
        "matchers": list(map(called, ipython.Completer.custom_matchers)),
        "configurables": [type(found).__name__ for found in ipython.configurables],
        "printers": list(ipython.display_formatter.ipython_display_formatter.type_printers),
        "variables": {name for name in ipython.user_ns if not name.startswith("_")},
    }


def called(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))


def test_nothing_is_left_and_nothing_doubled(capfd: pytest.CaptureFixture[str]) -> None:
    with fresh_shell(lambda: "".join(capfd.readouterr())) as shell:
        shell.run("%unload_ext kale_magics")
        before = traces(shell.ipython)
        shell.run("%load_ext kale_magics")
        loaded = traces(shell.ipython)
        assert loaded != before
        for cell in ("%load_ext kale_magics", "%reload_ext kale_magics", "%reload_ext kale_magics"):
            shell.run(cell)
            assert traces(shell.ipython) == loaded
        shell.run("%%kale step a\nx = 1")
        assert [c.name for c in shell.registry.cells] == ["a"]
        for _ in range(2):
            shell.run("%unload_ext kale_magics")
            assert traces(shell.ipython) == {**before, "variables": {*before["variables"], "x"}}
        assert "Cell magic `%%kale` not found" in shell.run("%%kale step a\nx = 1").printed
        shell.run("%load_ext kale_magics")
        assert shell.registry.cells == ()
        assert shell.run("%%kale step a\nx = 1").success


def test_to_load_imports_nothing_heavy() -> None:
    code = """if True:
        import sys
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        before = set(sys.modules)
        shell.run_line_magic("load_ext", "kale_magics")
        shell.run_cell("%%kale step a\\nx = 1").raise_error()
        heavy = {"kfp", "pandas", "numpy", "nbformat", "cloudpickle", "yaml", "IPython.display"}
        assert "kale_magics.magics.magics" in sys.modules
        print(sorted(heavy & (set(sys.modules) - before)))
        """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


RUN_OPTIONS = sorted(option.name for option in RUN.options if option.name.startswith("--"))
STEP_OPTIONS = sorted(option.name for option in KINDS["step"].options)

COMPLETIONS = [
    ("%%kale st", ["%%kale step"]),
    ("%kale st", ["%kale step"]),
    ("%%kale pi", ["%%kale pipeline-metrics", "%%kale pipeline-parameters"]),
    ("%%kale step new --", [f"%%kale step new {name}" for name in STEP_OPTIONS]),
    ("%%kale step new --no-r", ["%%kale step new --no-report", "%%kale step new --no-run"]),
    ("%%kale step new --after t", ["%%kale step new --after train"]),
    ("%%kale step new --after=t", ["%%kale step new --after=train"]),
    ("%%kale step new --after load,t", ["%%kale step new --after load,train"]),
    ("%%kale step new --after load t", ["%%kale step new --after load train"]),
    ('%%kale step new --after "Tr', ['%%kale step new --after "Train 2"']),
    ("%%kale step t", ["%%kale step train"]),
    ("%kale_run --", [f"%kale_run {name}" for name in RUN_OPTIONS]),
    ("run = %kale_run --na", ["run = %kale_run --name"]),
    ("%kale_run -p e", ["%kale_run -p epochs="]),
    ("%kale_run -p lr=1 e", ["%kale_run -p lr=1 epochs="]),
    ("%kale_reset tr", ["%kale_reset train"]),
    ("%kale_reset load tr", ["%kale_reset load train"]),
    ("%kale_r", ["%kale_reset", "%kale_run", "%kale_runs"]),
]


@pytest.mark.parametrize("above", ["", "x = 1\n"])
@pytest.mark.parametrize(("typed", "expected"), COMPLETIONS)
def test_tab_completes(shell: Shell, above: str, typed: str, expected: list[str]) -> None:
    shell.run("%%kale parameters\nepochs: int = 5\nlr = 0.1")
    for name in ("load", "train", '"Train 2"'):
        shell.run(f"%%kale step {name}\nx = 1")
    assert shell.completions(above + typed) == [above + text for text in expected]


def test_a_metaclass_may_raise_when_classes_are_compared(shell: Shell) -> None:
    shell.run(
        "%%kale functions\nclass Field(type):\n    key = 1\n    def __eq__(c, o): return c.key == o.key\n"
        "    def __hash__(c): return 1\nclass A(metaclass=Field):\n    key = 2"
    )
    outcome = shell.run("%%kale step a\nl = A()\nmany = [A(), (A(),), {1: A()}]")
    assert (outcome.success, outcome.printed) == (True, "")
    assert shell.registry.cells[-1].execution.evidence is not None


def test_a_fault_of_ours_in_a_mark_is_one_diagnostic(shell: Shell, monkeypatch, tmp_path) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(marking, "parse_mark", broken)
    outcome = shell.run("%%kale step a\nx = 1")
    assert not outcome.success
    assert outcome.printed.count("KALE901") == 1
    assert "Traceback" not in outcome.printed
    assert "x" not in shell.ipython.user_ns


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A process that heeds Ctrl-C: one that a script has started in the background does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def interrupted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with Ctrl-C as it begins."""

    def call(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return function(*arguments)

    return call


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_at_the_end_of_a_cell_loses_nothing(shell: Shell, monkeypatch) -> None:
    monkeypatch.setattr(MutationObserver, "end", interrupted(MutationObserver.end))
    outcome = shell.run("%%kale step a\nx = 1")
    assert outcome.success
    assert outcome.printed.count("KeyboardInterrupt") == outcome.printed.count("\n") == 1
    assert shell.registry.cells[0].execution.state == "ran"
    assert shell.registry.cells[0].execution.evidence.bound == {"x"}


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_before_a_cell_ends_it(shell: Shell, monkeypatch) -> None:
    monkeypatch.setattr(MutationObserver, "__init__", interrupted(MutationObserver.__init__))
    outcome = shell.run("%%kale step a\nx = 1")
    assert isinstance(outcome.error, KeyboardInterrupt)
    assert outcome.printed.startswith("KeyboardInterrupt: ")
    assert outcome.printed.count("\n") == 1
    assert "x" not in shell.ipython.user_ns


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("magic", ["%kale", "%kale_graph", "%kale_run", "%kale_compile p.yaml"])
def test_an_interrupt_of_a_magic_is_one_line(shell: Shell, monkeypatch, tmp_path, magic) -> None:
    monkeypatch.chdir(tmp_path)
    shell.run("%%kale step a\nx = 1")
    monkeypatch.setattr(assembling, "assemble", interrupted(assembling.assemble))
    outcome = shell.run(magic)
    assert isinstance(outcome.error, KeyboardInterrupt)
    assert outcome.printed.startswith("KeyboardInterrupt: ")
    assert outcome.printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
