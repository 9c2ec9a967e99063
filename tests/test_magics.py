"""The magics, in a shell of this process: what each shows, and every mistake with its words."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kale_magics
from kale_magics.execution.run import Run
from tests.shells import Outcome, Shell, fresh_shell, mentions, shows

NOTEBOOK = [
    "%%kale imports\nimport math",
    "%%kale parameters\nepochs = 3\nlr = 0.5\nname = 'a'\nlayers = [1, 2]",
    "%%kale step load\ndata = list(range(epochs))\nprint('loading', len(data))",
    "%%kale step train\nmodel = {'w': sum(data) * lr}\nloss = model['w']",
    "%%kale step 'other branch'\nlargest = max(data)",
    "%%kale step report --after train\nprint(math.floor(largest), model, name, layers)",
    "%%kale metrics\nloss",
]


@pytest.fixture
def shell(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    with fresh_shell(lambda: "".join(capfd.readouterr())) as shell:
        shell.run("%load_ext kale_magics")
        yield shell


@pytest.fixture
def marked(shell: Shell) -> Shell:
    for cell in NOTEBOOK:
        assert shell.run(cell).success
    return shell


def test_kale_shows_what_is_marked(marked: Shell) -> None:
    lines = marked.run("%kale").printed.splitlines()
    assert [line.split("  ")[0] for line in lines if line[:1].strip()] == [
        "kind", "-" * 10, "imports", "parameters", "step", "step", "step", "step", "metrics",
    ]  # fmt: skip
    table = "\n".join(lines)
    assert re.search(r"step +load +In \[4\] +✓ ran +epochs from the parameters +data \(list of 3.*\)", table)
    assert "after train" in table
    assert "loss from train" in table
    assert "error" not in table


def test_kale_shows_the_diagnostics_below_the_table(marked: Shell) -> None:
    marked.run("%%kale step late --no-run --after lod\nx = data")
    table, _, shown = marked.run("%kale  # what is there").printed.partition("\n1 error")
    assert re.search(r"step +late +In \[9\] +○ not run", table)
    assert re.fullmatch(
        r"KALE107 .*\blate\b.*\blod\b.*\n"
        r"  at:  In \[9\], step late, line 1: %%kale step late --no-run --after lod\n"
        r"  fix: did you mean load\?",
        shown.strip(),
    )


def test_kale_without_marked_cells_says_how_to_begin(shell: Shell) -> None:
    assert shell.run("%kale").printed.strip() == "No cell is marked. Begin one with %%kale step NAME."


def test_a_failed_cell_is_known_to_have_failed(shell: Shell) -> None:
    shell.run("%%kale step a\nx = 1\n1 / 0")
    printed = shell.run("%kale").printed
    assert re.search(r"step +a +In \[2\] +✗ failed", printed)
    assert "KALE212" in printed


def test_a_cell_below_steps_that_were_only_marked_has_nothing_to_mend(shell: Shell) -> None:
    shell.run("%%kale step load --no-run\nscore = 0.5")
    shell.run("%%kale metrics\nscore = score")
    assert "KALE212" not in shell.run("%kale").printed
    shell.run("%%kale step other\nprint(nothing)")
    assert "KALE212" in shell.run("%kale").printed


def test_a_cell_that_is_not_python_is_shown_and_refused(shell: Shell) -> None:
    shell.run("%%kale step a\nx = = 1")
    assert re.search(r"step +a +In \[2\] +✗ failed", shell.run("%kale").printed)
    assert "KALE202" in shell.refusal("%kale_run")


def test_other_kinds_are_forgotten_by_their_kind(marked: Shell) -> None:
    assert marked.run("%kale_reset metrics train").printed == "marked cells forgotten: 2\n"
    printed = marked.run("%kale").printed
    assert "metrics" not in printed
    assert not re.search(r"step +train", printed)


def test_a_parameter_takes_the_value_of_a_variable(marked: Shell) -> None:
    assert marked.run("for n in (2, 5):\n    run = %kale_run -p epochs={n}").success
    assert kale_magics.last_run().parameters["epochs"] == 5
    assert marked.run("run = %kale_run -p layers=[{epochs}]").success
    assert kale_magics.last_run().parameters["layers"] == [3]


def test_a_model_is_kept_though_no_step_takes_it(shell: Shell) -> None:
    shell.run("%%kale imports\nfrom sklearn.linear_model import Ridge")
    shell.run("%%kale step train\nmodel = Ridge().fit([[0], [1]], [0, 1])\nother = 3")
    shell.run("run = %kale_run")
    assert list(kale_magics.last_run().outputs["train"]) == ["model"]
    assert type(kale_magics.last_run().outputs["train"]["model"]).__name__ == "Ridge"


def test_a_function_of_a_library_is_changed_by_no_call(shell: Shell) -> None:
    shell.run("%%kale imports\nfrom sklearn.metrics import accuracy_score")
    shell.run("%%kale step a\nx = accuracy_score([1], [1])")
    shell.run("%%kale step b\ny = accuracy_score([1], [0])")
    assert " reads" not in shell.run("%kale").printed


def test_what_turns_out_in_a_step_not_to_cross_is_told_as_such(shell: Shell) -> None:
    shell.run("%%kale parameters\nopened = False")
    shell.run("%%kale step a\nimport threading\nlock = threading.Lock() if opened else None")
    shell.run("%%kale step b\nprint(lock)")
    message, place, fix = shell.refusal("%kale_run -p opened=True").splitlines()[-3:]
    assert message.startswith("KALE208 lock ")
    assert ": lock is a _thread.lock (" in message
    assert (place, fix) == ("  at:  step a", "  fix: create it in the step that uses it")


REFUSED_IN_A_STEP = [
    ("pass", "%%kale metrics\nx", "KALE206 the metric x has no value", "assign x "),
    ("x = 'much'", "%%kale metrics\nx", "KALE207 the metric x is a str", "list a variable"),
    (
        "import glob, shutil; x = 1; [shutil.rmtree(p) for p in glob.glob('.kale/runs/*/a/outputs')]",
        "%%kale step b\nx", "KALE302 x cannot be written to ", "free some space",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("code", "other", "message", "fix"), REFUSED_IN_A_STEP)
def test_a_refusal_within_a_step_is_shown_under_its_own_code(
    shell: Shell, code: str, other: str, message: str, fix: str
) -> None:
    shell.run("%%kale parameters\nlate = False")
    shell.run(f"%%kale step a\nif late: {code}\nelse: x = 1")
    shell.run(other)
    told = shell.refusal("%kale_run -p late=true").splitlines()[-3:]
    assert told[0].startswith(message)
    assert told[1] == "  at:  step a"
    assert told[2].startswith(f"  fix: {fix}")


def test_a_step_that_dies_is_told_without_words_of_ours(shell: Shell) -> None:
    shell.run("%%kale step a --no-run\nimport os\nos.kill(os.getpid(), 9)")
    assert "\nKALE301 step a failed\n    its process was killed by" in shell.refusal("%kale_run")


def test_the_graph_is_a_tree_in_a_terminal(marked: Shell) -> None:
    printed = marked.run("%kale_graph").printed
    assert printed.startswith("pipeline (4 steps)")
    assert {"load", "train", "other branch", "report"} <= set(
        re.findall(r"load|train|other branch|report", printed)
    )


def test_a_run_shows_its_lines_and_a_summary_and_is_returned(marked: Shell) -> None:
    outcome = marked.run("run = %kale_run")
    assert outcome.success
    assert outcome.result is None
    lines = outcome.printed.splitlines()
    assert lines[0] == "pipeline: 4 steps, epochs = 3, lr = 0.5, name = 'a', layers = [1, 2]"
    assert "load         | loading 3" in lines
    assert "report       | 2 {'w': 1.5} a [1, 2]" in lines
    assert any(line.startswith("✓ run succeeded in ") for line in lines)
    assert "  loss  1.5  from train" in lines
    assert lines[-1].startswith("files: ")
    run = marked.ipython.user_ns["run"]
    assert isinstance(run, Run)
    assert (run.state, run.name, run.metrics) == ("succeeded", "pipeline", {"loss": 1.5})
    assert run.outputs["train"]["model"] == {"w": 1.5}
    assert run.steps["load"].log == "loading 3\n"
    assert kale_magics.last_run() is run


def test_a_run_takes_values_and_a_name(marked: Shell) -> None:
    outcome = marked.run(
        "%kale_run -p epochs=5 lr=2 -p 'name=b c' -p 'layers=[\"x\", null]' --name 'five epochs'"
    )
    assert "report       | 4 {'w': 20.0} b c ['x', None]" in outcome.printed
    assert outcome.printed.startswith("five epochs: 4 steps, epochs = 5, lr = 2.0, name = 'b c'")
    assert isinstance(outcome.result, Run)
    assert outcome.result.parameters == {"epochs": 5, "lr": 2.0, "name": "b c", "layers": ["x", None]}


def test_braces_and_dollars_that_are_no_variables_reach_a_run_as_typed(shell: Shell) -> None:
    shell.run("%%kale parameters\ntext = ''\noptions = {}\n")
    shell.run("%%kale step show\nprint(text, options)")
    outcome = shell.run("%kale_run -p 'text={HOME} $HOME' -p 'options={\"a\": 1}'")
    assert "show | {HOME} $HOME {'a': 1}" in outcome.printed


def test_text_behind_a_magic_has_the_variables_of_the_session(marked: Shell, tmp_path: Path) -> None:
    marked.run("year, title, extra = 2024, 'the best', '-p epochs=4'")
    outcome = marked.run("run = %kale_run {extra} -p name=data_{year + 1}.csv --name sweep-$year # {title}")
    assert (outcome.success, kale_magics.last_run().name) == (True, "sweep-2024")
    assert kale_magics.last_run().parameters["epochs"] == 4
    assert kale_magics.last_run().parameters["name"] == "data_2025.csv"
    marked.run("run = %kale_run -p name={title} -p 'layers=[{year}]' --name {title}")
    assert kale_magics.last_run().name == "the best"
    assert (kale_magics.last_run().parameters["name"], run_layers()) == ("the best", [2024])
    assert marked.run("%kale_compile {year}.yaml").success
    assert (tmp_path / "2024.yaml").is_file()
    assert marked.run("step = 'load'\n%kale_logs {step}").printed == "loading 3\n"
    assert marked.run("%kale_pull $step --run {run.id}").success
    assert marked.run("%kale_reset {step}").printed == "marked cells forgotten: 1\n"


def run_layers() -> object:
    return kale_magics.last_run().parameters["layers"]


def test_text_behind_a_magic_has_the_variables_of_the_function_that_calls_it(marked: Shell) -> None:
    marked.run("def sweep(n):\n    %kale_run -p epochs={n} --name n-{n}\nn = 9")
    assert marked.run("sweep(4)").success
    assert (kale_magics.last_run().name, kale_magics.last_run().parameters["epochs"]) == ("n-4", 4)
    assert marked.run("get_ipython().run_line_magic('kale_run', '-p epochs={n}')").success
    assert kale_magics.last_run().parameters["epochs"] == 9


def test_a_refusal_shows_the_line_as_typed(marked: Shell) -> None:
    marked.run("word = 'ten'")
    told = marked.refusal("%kale_run -p epochs={word}").splitlines()[-3:]
    assert mentions(told[0], "KALE108 parameter epochs integer 'ten'")
    assert told[1].endswith("%kale_run -p epochs={word}")


FAILED = """\
KALE301 step train failed
    Traceback (most recent call last):
      File "<step train, In [4]>", line 3, in <module>
        1 / (epochs - 3)
    ZeroDivisionError: division by zero
  at:  In [4], step train, line 3: 1 / (epochs - 3)"""


def test_a_step_that_fails_fails_the_cell_after_the_summary(shell: Shell) -> None:
    shell.run("%%kale parameters\nepochs = 3\nother = 1")
    shell.run("%%kale step load\ndata = epochs")
    shell.run("%%kale step train --no-run\nprint('training', data)\n1 / (epochs - 3)\nmodel = data")
    shell.run("%%kale step use --no-run\nmodel")
    shell.run("%%kale step aside\nprint('aside', data)")
    shown = shell.refusal("%kale_run")
    before, _, error = shown.partition("KALE301")
    # Pythons from 3.11 on mark the part of the line that failed.
    what, _, fix = error.partition("\n  fix: ")
    assert re.sub(r"\n +[~^]+(?=\n)", "", "KALE301" + what) == FAILED
    assert fix.endswith("%kale_logs train")
    assert "aside | aside 3" in before
    assert re.search(
        r"train +✗ failed +[\d.]+ s +ZeroDivisionError: division by zero \(In \[4\], line 3\)", before
    )
    assert "✗ run failed in" in before
    run = kale_magics.last_run()
    assert run is not None
    assert {name: step.state for name, step in run.steps.items()} == {
        "load": "succeeded", "train": "failed", "use": "skipped", "aside": "succeeded",
    }  # fmt: skip
    assert run.steps["train"].log.startswith("training 3\n")


def test_the_pipeline_is_written_as_yaml(marked: Shell, tmp_path: Path) -> None:
    outcome = marked.run("%kale_compile 'my pipeline.yaml'  # for the cluster")
    assert outcome.printed == "pipeline: 4 steps written to my pipeline.yaml\n"
    text = (tmp_path / "my pipeline.yaml").read_text()
    assert "schemaVersion: 2" in text
    assert re.search(r"image: python:3\.\d+-slim", text)


def test_settings_are_listed_and_used(marked: Shell, tmp_path: Path) -> None:
    listed = marked.run("%config KaleMagics").printed
    names = ("base_image", "description", "max_parallel", "pipeline_name", "runs_folder", "slim_imports")
    for name in names:
        assert re.search(rf"KaleMagics\.{name}=<\w+>\n +\w", listed)
    settings = [
        "pipeline_name = 'fraud'",
        "base_image = 'python:3.12'",
        "runs_folder = 'kept'",
        "description = 'Why'",
    ]
    for setting in settings:
        assert marked.run(f"%config KaleMagics.{setting}").success
    assert marked.run("%kale_run").printed.startswith("fraud: 4 steps")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    marked.run("%kale_compile p.yaml")
    text = (tmp_path / "p.yaml").read_text()
    assert "image: python:3.12\n" in text
    assert "Why" in text


def test_reset_forgets(marked: Shell) -> None:
    assert marked.run("%kale_reset report 'other branch'").printed == "marked cells forgotten: 2\n"
    assert marked.registry.steps == ("load", "train")
    assert marked.run("%kale_reset").printed == "marked cells forgotten: 5\n"
    assert marked.registry.cells == ()


REFUSALS = [
    ("%kale_graph now", "KALE103 %kale_graph no 'now'", "remove"),
    ("%kale_run --nam x", "KALE102 %kale_run --nam", "--name?"),
    ("%kale_run -p epoch=1", "KALE109 parameter 'epoch'", "epochs?"),
    (
        "%kale_run -p epochs=ten",
        "KALE108 parameter epochs integer 'ten'",
        "default -p epochs=3",
    ),
    (
        "%kale_compile",
        "KALE103 %kale_compile FILE.yaml",
        "%kale_compile pipeline.yaml",
    ),
    ("%kale_reset trian", "KALE107 step 'trian'", "train?"),
    (
        "%kale_reset train zzz",
        "KALE107 step 'zzz'",
        "load, train, other branch, report, imports, parameters, metrics",
    ),
]


@pytest.mark.parametrize(("cell", "what", "fix"), REFUSALS)
def test_a_mistake_in_a_magic_is_refused(marked: Shell, cell: str, what: str, fix: str) -> None:
    message, at, advice = marked.refusal(cell).splitlines()
    assert mentions(message, what)
    assert at == f"  at:  In [9]: {cell}"
    assert mentions(advice, f"fix: {fix}")
    assert len(marked.registry.cells) == len(NOTEBOOK)


def test_a_file_that_is_no_yaml_is_refused(marked: Shell) -> None:
    assert shows(
        marked.refusal("%kale_compile pipeline.json"), "KALE401", "'pipeline.json'", " pipeline.yaml"
    )


@pytest.mark.parametrize("magic", ["%kale_run", "%kale_graph", "%kale_compile a.yaml"])
def test_nothing_marked_is_refused(shell: Shell, magic: str) -> None:
    assert shell.refusal(magic).splitlines()[0] == "KALE201 no step is marked"


ASSEMBLY = [
    (["%%kale step a --no-run --after b\nx = 1"], "KALE107", "In [2]"),
    (["%%kale step a --no-run --after a\nx = 1"], "KALE205", "a"),
    (["%%kale step a --after b\nx = 1", "%%kale step b --after a\ny = 1"], "KALE205", "b"),
    (["%%kale step a --no-run\nx = missing"], "KALE204", "missing"),
    (["seen = 1", "%%kale step a\nx = seen"], "KALE204", "In [2]"),
    (["%%kale parameters\nprint(1)", "%%kale step a\nx = 1"], "KALE203", "print(1)"),
    (["%%kale step a\nx = 1", "%%kale metrics --no-cache\ny"], "KALE102", "--no-cache"),
    (["%%kale step a\nx = 'text'", "%%kale metrics\nx"], "KALE207", "x"),
    (["other = 1", "%%kale step a\nx = 1", "%%kale metrics\nother"], "KALE206", "other"),
    (["%%kale step a\nf = open('/dev/null')", "%%kale step b\nf.name"], "KALE208", "f"),
]


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize(("cells", "code", "named"), ASSEMBLY)
def test_a_mistake_in_the_pipeline_is_refused_before_anything_runs(
    shell: Shell, tmp_path: Path, cells: list[str], code: str, named: str
) -> None:
    outcomes = [shell.run(cell) for cell in cells]
    shown = outcomes[-1].printed if not outcomes[-1].success else shell.refusal("%kale_run")
    assert shown.startswith(code)
    assert named in shown
    assert "  fix: " in shown
    assert list(tmp_path.iterdir()) == []


PLACES_AND_FIXES = [
    (
        ["\n%%kale step a --no-run --after b # hm\nx = 1"],
        "KALE107 ", "In [2], step a, line 2: %%kale step a --no-run --after b # hm", "the steps are: a",
    ),
    (
        ["%%kale step a --after 'b c'\nx = 1", "%%kale step 'b c'\ny = x"],
        "KALE205 ", "In [2], step a, line 1: %%kale step a --after 'b c'",
        'remove --after "b c" from step a',
    ),
    (
        ["%%kale step a\nx = [1]", "%%kale step b\ny = x[0]", "%%kale step a\nz = y"],
        "KALE205 ", "In [4], step a, line 1: %%kale step a",
        "give this cell another step name, as in %%kale step a-2",
    ),
    (
        ["%%kale step a\nx = [1]", "%%kale step 'b c'\nx.append(2)", "%%kale step a\nx"],
        "KALE210 step a uses x after step b c ",
        "In [4], step a", "give this cell another step name, as in %%kale step a-2",
    ),
    (
        ["%%kale step 'b c'\nx = [1]", "%%kale step a\ny = x[0]", "%%kale step 'b c'\nx.append(2)"],
        "KALE210 step b c changes x after step a ",
        "In [4], step b c", 'give this cell another step name, as in %%kale step "b c-2"',
    ),
    (["%%kale step a\nx = 1", "%%kale functions\n\ny = x"], "KALE211 ", "In [3], line 3: y = x", "move the"),
    (
        ["%%kale functions\nF = 1", "%%kale step a\nx = F", "%%kale functions\nG = 1\nF = 2"],
        "KALE214 ", "In [4], line 3: F = 2", "move the cell",
    ),
    (
        ["scale = 10", "%%kale step a\nx = scale"],
        "KALE204 ", "In [3], step a, line 2: x = scale", "mark that cell, as in %%kale parameters,",
    ),
    (
        ["scale = 10\nprint(scale)", "%%kale step a\nx = scale"],
        "KALE204 ", "In [3], step a, line 2: x = scale", "mark that cell, as in %%kale step NAME,",
    ),
    (
        ["%%kale step a\nx = 1", "%%kale metrics\nx = 2"],
        "KALE203 ", "In [3], line 2: x = 2", "compute the value in a step",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "message", "place", "fix"), PLACES_AND_FIXES)
def test_a_mistake_in_the_pipeline_has_its_place_and_a_fix_that_fits(
    shell: Shell, cells: list[str], message: str, place: str, fix: str
) -> None:
    for cell in cells:
        shell.run(cell)
    told = shell.refusal("%kale_run").splitlines()
    assert told[0].startswith(message)
    assert told[1] == f"  at:  {place}"
    assert told[2].startswith(f"  fix: {fix}")


SUSPECTS = [
    ("(n for n in [])", "v is a generator (", "make a list of it, or create it in"),
    (
        "open('/dev/null')",
        "v is a _io.TextIOWrapper (an open file belongs",
        "pass its path, and open it in",
    ),
    ("[threading.RLock()]", "v[0] is a _thread.RLock (a lock ", "create it in"),
    ("{'t': threading.Thread()}", "v['t'] is a threading.Thread (a thread runs in one", "start it in"),
    ("sqlite3.connect(':memory:')", "v is a sqlite3.Connection (a connection belongs to", "open it in"),
    ("socket.socket()", "v is a socket.socket (a socket belongs to its process", "connect it in"),
]


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("value", "what", "fix"), SUSPECTS)
def test_a_usual_suspect_is_told_in_words(shell: Shell, value: str, what: str, fix: str) -> None:
    shell.run("%%kale imports\nimport threading, sqlite3, socket")
    shell.run(f"%%kale step a\nv = {value}")
    shell.run("%%kale step b\nprint(v)")
    told = shell.refusal("%kale_run").splitlines()
    assert f": {what}" in told[0]
    assert told[2] == f"  fix: {fix} step b"


def test_a_folder_that_cannot_be_written_is_refused(marked: Shell, tmp_path: Path) -> None:
    (tmp_path / ".kale").write_text("a file")
    shown = marked.refusal("%kale_run")
    assert shown.startswith("KALE302")
    assert ".kale" in shown


def test_warnings_are_shown_before_the_run(shell: Shell, tmp_path: Path) -> None:
    shell.run("%%kale step a\nwith open('late.txt') as file:\n    print(file.read())")
    (tmp_path / "late.txt").write_text("here")
    outcome = shell.run("%kale_run")
    assert outcome.success
    assert outcome.printed.startswith("1 warning\n\nKALE212")
    assert outcome.printed.index("KALE212") < outcome.printed.index("a | here")


@pytest.mark.parametrize(
    ("magic", "words"),
    [
        (
            "%%kale?",
            ["%%kale step NAME [--after STEP ...] [--no-run]", "Example:", "%%kale step train --after"],
        ),
        ("%kale?", ["Show the marked cells", "%%kale metrics"]),
        ("%kale_graph?", ["Draw the pipeline", "Example:\n    %kale_graph"]),
        ("%kale_run?", ["[-p NAME=VALUE ...]", "Example:", "run = %kale_run -p epochs=5"]),
        ("%kale_compile?", ["%kale_compile FILE.yaml", "Example:", "%kale_compile pipeline.yaml"]),
        ("%kale_reset?", ["%kale_reset [STEP or KIND ...]", "Example:", "%kale_reset train evaluate"]),
    ],
)
def test_help_is_real(shell: Shell, magic: str, words: list[str]) -> None:
    printed = shell.run(magic).printed
    assert all(word in printed for word in words)
    assert not [line for line in printed.splitlines() if len(line) > 110]


def test_an_interrupt_passes_through(marked: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from kale_magics.local import local_backend

    def interrupted(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(local_backend, "run_pipeline", interrupted)
    outcome: Outcome = marked.run("%kale_run")
    assert isinstance(outcome.error, KeyboardInterrupt)
    assert outcome.printed == "KeyboardInterrupt: the run is cancelled, and no process of it is left\n"


def test_our_own_magics_mean_nothing_in_a_step_but_the_one_that_binds_variables(shell: Shell) -> None:
    known = shell.ipython.magics_manager.magics
    ours = {name for kind in known.values() for name in kind if name.startswith("kale")}
    for name in sorted(ours - {"kale_pull"}):
        shell.run(f"%%kale step {name} --no-run\n%{name} a b\nx = 1")
    assert len(ours) > 10
    assert "KALE209" not in shell.run("%kale").printed
    shell.run("%%kale step pull --no-run\n%kale_pull a b\nprint(b)")
    assert "KALE209 %kale_pull" in shell.run("%kale").printed


def test_the_package_tells_its_version_and_names() -> None:
    assert kale_magics.__version__ == importlib.metadata.version("kale-magics")
    assert all(hasattr(kale_magics, name) for name in kale_magics.__all__)


def test_there_is_no_last_run_before_the_first(shell: Shell) -> None:
    assert kale_magics.last_run() is None
    shell.run("%unload_ext kale_magics")
    assert kale_magics.last_run() is None


WARNED = [
    ("%%kale step a\nx = 1\n%cd .", "%%kale step b\nprint(x)", "KALE221"),
    ("%%kale step a\nx = 1\n%env REGION=eu", "%%kale step b\nprint(x)", "KALE221"),
    ("%%kale step a\nimport os\nx = 1\nos.chdir('.')", "%%kale step b\nprint(x)", "KALE221"),
    ("%%kale step a\nx = [2, 1]", "%%kale skip\nx = sorted(x)", "KALE217"),
    ("%%kale step a\nx = [2, 1]", "x.clear()", "KALE217"),
    ("%%kale step a\nx = [2, 1]", "print(x)", ""),
]
CACHED = "%%kale functions\nfrom functools import cache\nimport random\n@cache\ndef given(n): return {}"
WRITE, READ = "x = open('a.txt', 'w').close()", "y = open('a.txt').close()"
SHARED = [
    (CACHED.format("[n]"), "x = given(1)\nx.append(2)", "y = given(1)", "KALE223"),
    (CACHED.format("{n: []}"), "given(1)[1].append(2)\nx = 1", "y = given(1)", "KALE223"),
    (CACHED.format("n"), "x = given(1)", "y = given.cache_info().hits", "KALE223"),
    (CACHED.format("random.random()"), "x = given(1)", "y = given(1)", "KALE223"),
    (CACHED.format("[n]"), "x = given(1)[0]", "y = given(1)\ny.append(x)", ""),
    (CACHED.format("[n]"), "x = list(given(1))\nx.append(1)", "y = given(1)", ""),
    (CACHED.format("n"), "x = given(1)", "y = given(1)", ""),
    ("%%kale functions\npath = 'a.txt'", "x = open(path, 'w').close()", "y = open(path).close()", "KALE224"),
    ("%%kale parameters\npath = 'a.txt'", "x = open(path, 'w').close()", "y = open(path).close()", "KALE224"),
    ("%%kale functions\ndef keep(): open('a.txt', 'w').close()\n", "keep()\nx = 1", READ, "KALE224"),
    ("%%kale imports\nimport os", WRITE, WRITE, "KALE224"),
    ("%%kale imports\nimport os", "x = 1\n!echo 1 > a.txt", READ, "KALE224"),
    ("%%kale imports\nimport os", "y = 1\nx = 1\n!echo 1 > a.txt", f"print(y)\n{READ}", ""),
    ("%%kale imports\nimport os", "x = os.path.exists('a.txt')", "y = os.path.exists('a.txt')", ""),
]


@pytest.mark.parametrize(("functions", "first", "second", "code"), SHARED)
def test_what_steps_do_not_share_is_told_of(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    functions: str, first: str, second: str, code: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for cell in (functions, f"%%kale step a\n{first}", f"%%kale step b\n{second}", "%%kale step c\nprint(x)"):
        assert shell.run(cell).success
    assert re.findall(r"^KALE\d+", shell.run("%kale").printed, re.MULTILINE) == [code] * bool(code)


@pytest.mark.parametrize(
    ("until", "steps"),
    [
        ("train", ["load", "train"]),
        ("train 'other branch'", ["load", "train", "other branch"]),
        ("report", ["load", "train", "other branch", "report"]),
        ("load,train", ["load", "train"]),
    ],
)
def test_a_run_may_end_before_the_last_step(marked: Shell, until: str, steps: list[str]) -> None:
    assert marked.run(f"%kale_run --until {until}").success
    run = kale_magics.last_run()
    assert run is not None
    assert list(run.steps) == steps
    assert run.outputs["load"]["data"] == [0, 1, 2]


@pytest.mark.parametrize("until", ["trian", "imports"])
def test_a_run_cannot_end_with_what_is_no_step(marked: Shell, until: str) -> None:
    refusal = marked.refusal(f"%kale_run --until {until}")
    assert f"KALE107 no step '{until}' is marked" in refusal
    assert ("did you mean train?" in refusal) == (until == "trian")
