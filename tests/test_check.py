"""A run is checked against the notebook: equal values are equal, and a difference is named."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

import kale_magics
from kale_magics.checking.check import Check, CheckRow, check_run, diagnostics_of
from kale_magics.checking.differences import IN_PART, ONLY_ORDER, compare
from kale_magics.checking.expected import expected_of
from kale_magics.execution.folder_source import FolderSource
from kale_magics.execution.run import Run, TaskRun
from kale_magics.model.pipeline import CodeBlock, Input, Output, Pipeline, Step
from kale_magics.model.task_id import TaskId
from kale_magics.session.evidence import Evidence
from kale_magics.step_runtime.fingerprint import (
    MAX_FINGERPRINT_TEXT,
    fingerprint,
    fingerprint_and_cost,
    fingerprint_text,
)
from kale_magics.step_runtime.fingerprint_nodes import TOO_MANY
from tests.exact.computed import DATA, ORDINARY
from tests.kfp_server import KfpServer
from tests.marked import marked
from tests.shells import Shell, fresh_shell
from tests.test_exactness import VALUES

PROGRAM = """
import json, sys
from kale_magics.step_runtime.fingerprint import fingerprint, fingerprint_text
{data}
values = {values}
texts = {{name: fingerprint_text(fingerprint(eval(value))) for name, value in values.items()}}
json.dump(texts, sys.stdout)
"""


def made_in_a_process(seed: str, threads: str) -> dict[str, str]:
    """The fingerprints of all ordinary values, as a process of its own has them."""
    environment = {
        **os.environ,
        "PYTHONHASHSEED": seed,
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
    }
    program = PROGRAM.format(data=DATA, values=ORDINARY)
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, str] = json.loads(ran.stdout)
    return found


@pytest.fixture(scope="module")
def twice() -> tuple[dict[str, str], dict[str, str]]:
    return made_in_a_process("1", "1"), made_in_a_process("2", "2")


@pytest.mark.parametrize("name", ORDINARY)
def test_what_two_processes_compute_alike_is_equal(
    name: str, twice: tuple[dict[str, str], dict[str, str]]
) -> None:
    one, other = (json.loads(texts[name]) for texts in twice)
    assert compare(one, other).verdict == "equal", (one, other)
    assert len(twice[0][name]) <= MAX_FINGERPRINT_TEXT


def told(run: Any, notebook: Any) -> tuple[str, str]:
    """The verdict on two values, and what differs, as far as a manifest says."""
    found = compare(json.loads(fingerprint_text(fingerprint(run))), fingerprint(notebook))
    return found.verdict, found.what


DIFFERENT = [
    ([1, 2], (1, 2), "type list, not tuple"),
    ([1, 2], [1, 2, 3], "length 2, not 3"),
    ([1, 5, 3], [1, 2, 3], "element [1]: 5, not 2"),
    ({"a": {"b": 2.5}}, {"a": {"b": 3.5}}, "['a']['b']: 2.5, not 3.5"),
    ({"a": 1}, {"a": 1, "b": 2}, "length 1, not 2"),
    ("yes", "no", "'yes', not 'no'"),
    (1, True, "type int, not bool"),
    (None, 0, "type None, not int"),
    ({1, 2}, {1, 3}, "element [1]: 2, not 3"),
]


@pytest.mark.parametrize(("run", "notebook", "what"), DIFFERENT)
def test_a_difference_is_named(run: Any, notebook: Any, what: str) -> None:
    assert told(run, notebook) == ("differs", what)


def test_differences_of_arrays_and_frames_are_named() -> None:
    array, frame = np.arange(6.0).reshape(2, 3), pd.DataFrame({"age": [1, 2], "twice": [2, 4]})
    changed = array.copy()
    changed[1, 0] = 2.0
    assert told(changed, array) == ("differs", "element [1, 0]: 2.0, not 3.0")
    assert told(array[:1], array) == ("differs", "shape 1 x 3, not 2 x 3")
    assert told(array.astype("f4"), array) == ("differs", "dtype <f4, not <f8")
    assert told(frame[["age"]], frame) == ("differs", "the column 'twice' is missing")
    verdict, what = told(frame, frame[["age"]])
    assert verdict == "differs"
    assert what.startswith("it has the column 'twice'")
    assert told(frame[["twice", "age"]], frame) == ("differs", "the order of its columns")
    assert told(frame.assign(age=3), frame) == ("differs", "column 'age': element [0]: 3, not 1")
    assert told(frame.assign(age=[1.0, 2]), frame) == ("differs", "column 'age': dtype <f8, not <i8")
    assert told(frame[:1], frame) == ("differs", "shape 1 x 2, not 2 x 2")
    wide = pd.DataFrame({f"c{number}": np.arange(9.0) for number in range(30)})
    assert told(wide.drop(columns="c20"), wide) == ("differs", "the column 'c20' is missing")
    wider = pd.DataFrame({f"c{number}": np.arange(9.0) for number in range(90)})
    swapped = wider[["c1", "c0", *wider.columns[2:]]]
    assert told(swapped, wider) == (
        "differs",
        "it has the column 'c1' where the notebook has the column 'c0'",
    )
    assert told(wider.drop(columns="c80"), wider) == ("differs", "shape 9 x 89, not 9 x 90")
    assert told(frame.set_index("age"), frame.set_index("age")) == ("equal", "")


def test_a_change_far_inside_is_seen() -> None:
    array = np.zeros(10_000)
    changed = array.copy()
    changed[7_777] = 1
    assert told(changed, array) == ("differs", "its content")
    assert told([*range(500), "x"], list(range(501)))[0] == "differs"


SMALL = {
    "the last of 65 columns": "f = pd.DataFrame(np.ones((5, 64))).add_prefix('p'); f['target'] = k",
    "one of 100 columns": "f = pd.DataFrame(np.ones((5, 100))); f[77] = 1.0 * k",
    "the last of ten frames": "f = [*[pd.DataFrame({'a': [1]})] * 9, pd.DataFrame({'a': [k]})]",
    "the end of a dict of models": "f = {j: Ridge(1.0 if j < 30 else k) for j in range(40)}",
    "one of 100 dicts": "f = [{'i': j, 'x': k if j == 77 else 1} for j in range(100)]",
    "one of 100 objects with slots": "f = [Slots(k if j == 77 else 1) for j in range(100)]",
    "a namespace": "f = types.SimpleNamespace(lr=k)",
    "a proxy": "f = types.MappingProxyType({'a': k})",
    "what a method of C is bound to": "f = np.array([1.0, k]).sum",
    "an order of numbers": "f = [1, 2] if k == 1 else [2, 1]",
    "the order of a dict of numbers": "f = {1: 2, 3: 4} if k == 1 else {3: 4, 1: 2}",
    "a type of numpy's": "f = 9.0 if k == 1 else np.float64(2.5)",
}


class Slots:
    __slots__ = ("v",)

    def __init__(self, v: int) -> None:
        self.v = v


@pytest.mark.parametrize("made", SMALL.values(), ids=SMALL)
def test_a_small_value_is_read_to_its_end(made: str) -> None:
    names = {"np": np, "pd": pd, "Ridge": Ridge, "Slots": Slots, "types": types}
    one, again, other = ({**names, "k": k} for k in (1, 1, 5))
    for each in (one, again, other):
        exec(made, each)
    assert told(other["f"], one["f"])[0] == "differs"
    assert told(again["f"], one["f"])[0] == "equal"


def test_what_is_not_read_to_its_end_is_equal_in_part() -> None:
    forest = RandomForestRegressor(100, random_state=0).fit([[0], [1], [2]], [0, 1, 2])
    assert told(forest, forest) == ("equal", f"{IN_PART}: {TOO_MANY}")
    changed = copy.deepcopy(forest)
    for grown in changed.estimators_[5:]:
        grown.tree_.value[:] *= 5
    assert told(changed, forest)[0] == "differs"
    assert "missing" not in told(RandomForestRegressor(10, random_state=1).fit([[0], [1]], [0, 1]), forest)[1]
    rows = [{"epoch": epoch, "loss": 1.0} for epoch in range(100)]
    assert "missing" not in told([*rows[:60], *({**row, "loss": 5.0} for row in rows[60:])], rows)[1]
    table = CheckRow("a", "x", "equal", f"{IN_PART}: {TOO_MANY}"), CheckRow("a", "y", "equal")
    assert str(Check(table)) == "2 of 2 values equal the notebook's (1 of them in part)"


def test_rounding_is_no_difference() -> None:
    values = np.random.default_rng(0).random(5_000)
    for other in (values * (1 + 2e-16), values + 1e-17, values[::-1][::-1]):
        assert told(other, values)[0] == told(other.tolist(), values.tolist())[0] == "equal"
    assert told(values * (1 + 1e-5), values)[0] == "differs"
    assert told(np.array([np.nan]), np.array([-np.nan]))[0] == "equal"
    assert told(0.1 + 0.2, 0.3) == ("equal", "but for rounding")


def test_a_second_is_no_rounding() -> None:
    assert told(2_000_000_000.0, 2_000_000_001.0)[0] == "differs"
    assert told([1.76e9] * 3, [1.76e9, 1.76e9, 1.76e9 + 1])[0] == "differs"
    assert told(np.full(3, 1.76e9), np.full(3, 1.76e9 + 1))[0] == "differs"


def test_the_order_of_a_set_of_objects_that_know_each_other_is_no_difference() -> None:
    sets = [linked() for _ in range(20)]
    assert len({tuple(node.number for node in each) for each in sets}) > 1, "their orders do not differ"
    assert {told(each, sets[0]) for each in sets} == {("equal", "")}


class Node:
    def __init__(self, number: int) -> None:
        self.number, self.near = number, set[Node]()


def linked() -> set[Node]:
    nodes = [Node(number) for number in range(3)]
    for node in nodes:
        node.near.update(other for other in nodes if other is not node)
    return set(nodes[1:])


def test_what_a_library_draws_from_for_everybody_is_no_part_of_a_value() -> None:
    np, stats = pytest.importorskip("numpy"), pytest.importorskip("scipy.stats")
    distribution = stats.norm(0, 1)
    before = json.loads(fingerprint_text(fingerprint(distribution)))
    distribution.rvs(3)
    assert compare(before, fingerprint(distribution)).verdict != "differs"
    assert compare(before, fingerprint(stats.norm(0, 2))).verdict == "differs"
    assert told(np.random.RandomState(1), np.random.RandomState(2))[0] == "differs"


def test_how_an_array_lies_in_memory_is_no_difference() -> None:
    array = np.arange(60_000.0).reshape(300, 200)
    view = np.arange(120_000.0)[::2].reshape(300, 200) / 2
    locked = np.asfortranarray(array)
    locked.flags.writeable = False
    assert told(view, array)[0] == told(locked, array)[0] == "equal"


@pytest.mark.parametrize(
    ("run", "notebook", "why"),
    [
        (["a", "b", "c"], ["c", "a", "b"], ONLY_ORDER),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ONLY_ORDER),
        ((n for n in "a"), (n for n in "b"), "a generator is not compared"),
        (repr(object()), repr(pytest), "a memory address"),
        ("/tmp/a1/x.csv", "/tmp/b2/x.csv", "a path in a folder for temporary files"),
        (sys.path, ["elsewhere"], "it belongs to the process"),
        (os.environ, {}, "is not compared"),
    ],
    ids=["lists", "dicts", "generators", "addresses", "paths", "process", "environment"],
)
def test_what_cannot_be_compared_says_why(run: Any, notebook: Any, why: str) -> None:
    verdict, what = told(run, notebook)
    assert verdict == "not compared"
    assert why in what


class Hostile:
    """An object that must not be touched."""

    __slots__ = ("hidden",)

    def __init__(self, hidden: Any) -> None:
        object.__setattr__(self, "hidden", hidden)

    def refuse(self, *_: Any, **__: Any) -> Any:
        """Show that somebody has asked."""
        pytest.fail("code of the user's has run")

    __getattribute__ = __getattr__ = __setattr__ = __repr__ = __str__ = refuse
    __eq__ = __hash__ = __len__ = __iter__ = __bool__ = __reduce__ = __reduce_ex__ = __sizeof__ = refuse
    __class__ = property(refuse)  # type: ignore[assignment]  # nobody would


class HostileMeta(type):
    """A class whose own attributes must not be touched."""

    def __getattribute__(cls, name: str) -> Any:
        pytest.fail(f"code of the user's has run for {name}")

    def __hash__(cls) -> int:
        pytest.fail("code of the user's has run")

    def __eq__(cls, other: object) -> bool:
        pytest.fail("code of the user's has run")


def test_no_code_of_the_users_runs() -> None:
    kind = HostileMeta("Kind", (), {"__dict__": property(lambda _: pytest.fail("it ran"))})
    wrapped = type("Texts", (str,), {"__len__": lambda _: pytest.fail("it ran"), "__str__": None})("text")
    assert fingerprint([kind, object.__new__(kind), wrapped])["n"] == 3
    one, other = fingerprint({"x": Hostile(1)}), fingerprint({"x": Hostile(2)})
    assert compare(one, other).what == "['x'].hidden: 1, not 2"


def test_what_is_read_of_a_value_does_not_depend_on_what_was_read_before() -> None:
    circular: list[Any] = [1, 1]
    circular += [circular] + [1] * 35
    dicts, pairs = [{"a": [n], "b": (n,)} for n in range(200)], frozenset((n, str(n)) for n in range(290))
    frames = [np.arange(8_000.0) + n for n in range(9)]
    shared = {"circular": circular, "dicts": dicts, "pairs": pairs, "frames": frames}
    values = [
        shared,
        *shared.values(),
        [circular] * 8 + [1],
        [dicts[0], dicts, dicts[3]],
        [dicts, pairs],
        [pairs, dicts],
        {n: frames[n % 9] for n in range(30)},
        [frames, frames[::-1]],
    ]
    alone = [fingerprint(value) for value in values]
    for turn in range(len(values)):
        known: dict[Any, Any] = {}
        for place in [*range(turn, len(values)), *range(turn)]:
            assert fingerprint_and_cost(values[place], known=known)[0] == alone[place], place


def test_deep_and_circular_values_have_fingerprints() -> None:
    deep: list[Any] = []
    for _ in range(3_000):
        deep = [deep]
    assert fingerprint(deep)["some"] == ["it is nested too deeply"]
    one: list[Any] = [1]
    other: list[Any] = [1]
    one.append(one)
    other.append({"back": other})
    assert compare(fingerprint(one), fingerprint(one)).verdict == "equal"
    assert compare(fingerprint(one), fingerprint(other)).verdict == "differs"


@settings(deadline=None, max_examples=50)
@given(value=VALUES)
def test_a_value_equals_itself(value: Any) -> None:
    assert told(value, value)[0] == "equal"


CELLS = (
    "%load_ext kale_magics",
    "%%kale imports\nfrom pathlib import Path",
    "%%kale parameters\nfactor = 2",
    "%%kale step load\nrows = [1, 2, 3]\ntext = Path('text.txt').read_text()",
    "%%kale step grow\nrows.append(factor)\nlength = len(text)",
    "%%kale step show\nprint(rows, length)",
)


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text("abc")
    with fresh_shell(lambda: "".join(capfd.readouterr())) as shell:
        for number, cell in enumerate(CELLS):
            assert shell.run(cell, f"c{number}").success
        yield shell


def verdicts() -> dict[str, str]:
    """What the last run's check says of each value."""
    return {f"{row.step}.{row.variable}": row.verdict for row in kale_magics.last_run().check.rows}


def test_a_run_says_that_its_values_are_the_notebooks(shell: Shell) -> None:
    for _ in range(2):  # the second run has all steps from the cache
        assert "4 of 4 values equal the notebook's\n" in shell.run("run = %kale_run --check").printed
        assert set(verdicts().values()) == {"equal"}
    assert "load  rows      equal" in shell.run("print(repr(run.check))").printed
    assert [run.check for run in kale_magics.runs()] == [kale_magics.last_run().check] * 2


def test_a_difference_is_a_warning_and_with_check_an_error(shell: Shell) -> None:
    Path("text.txt").write_text("abcd")
    outcome = shell.run("run = %kale_run")
    assert outcome.success
    assert "2 of 4 values equal the notebook's" in outcome.printed
    assert re.search(r"KALE304 step load: text .*\('abcd', not 'abc'\)", outcome.printed)
    assert "text.txt has changed since the cell ran" in outcome.printed
    assert outcome.printed.count("KALE304") == 1  # the length follows from the text
    assert "text of step load differs" in [row.reason for row in kale_magics.last_run().check.rows]
    assert shell.refusal("run = %kale_run --check").count("KALE304") == 1


def test_a_run_with_other_parameters_is_compared_as_far_as_these_do_not_matter(shell: Shell) -> None:
    printed = shell.run("run = %kale_run -p factor=5").printed
    assert "2 of 2 values equal the notebook's, 2 not compared (parameter factor " in printed
    assert verdicts()["grow.rows"] == "not compared"


@pytest.mark.parametrize(
    ("cell", "number", "why"),
    [
        ("%%kale step grow\nrows.append(factor)\nlength = len(text)", 4, "KALE216"),
        ("%%kale step load --no-run\nrows = [1, 2, 3]\ntext = ''", 3, "has not run"),
        ("%%kale parameters\nfactor = 3", 2, "KALE216"),
    ],
)
def test_what_ran_otherwise_in_the_session_is_not_compared(
    shell: Shell, cell: str, number: int, why: str
) -> None:
    shell.run(cell, f"c{number}")
    outcome = shell.run("run = %kale_run --check")
    assert outcome.success, outcome.printed
    found = [row.what for row in kale_magics.last_run().check.rows if row.verdict == "not compared"]
    assert any(why in what for what in found), found


@pytest.mark.parametrize(
    ("code", "fix"),
    [("import random\nnumber = random.random()", "seed"), ("number = hash('a text')", "hashlib")],
)
def test_what_varies_is_told_with_its_reason(shell: Shell, code: str, fix: str) -> None:
    shell.run(f"%%kale step draw\n{code}")
    shell.run("%%kale step use\nprint(number)")
    printed = shell.run("%kale_run").printed
    assert "KALE304 step draw: number differs " in printed
    assert fix in printed.partition("fix: ")[2]


@pytest.mark.parametrize("clock", ["time.perf_counter", "time.time"])
def test_a_measured_time_is_not_compared(shell: Shell, clock: str) -> None:
    shell.run(f"%%kale step timed\nimport time\nbegan = {clock}()\ntook = {clock}() - began")
    shell.run("%%kale step use\nprint(took)")
    assert shell.run("%kale_run --check").success
    assert verdicts()["timed.took"] == "not compared"


def test_a_change_that_a_later_step_does_not_get_is_seen(tmp_path: Path) -> None:
    made = {"load": {"rows": [1]}, "add": {"rows": [1, 2]}, "show": {"rows": [1], "total": 1}}
    left = {"load": {"rows": [1]}, "add": {"rows": [1, 2]}, "show": {"rows": [1, 2], "total": 3}}
    rows = Output(("rows",), "out_rows")
    sources = {"load": "rows = [1]", "add": "rows += [2]", "show": "total = sum(rows)"}
    takes = {"add": (Input(("rows",), "in_rows", "load", rows),)}
    takes["show"] = takes["add"]
    steps, cells, runs = [], [], {}
    for number, (name, values) in enumerate(made.items(), 1):
        steps.append(
            Step(
                name, name, (), (CodeBlock(sources[name], f"step {name}", "In [1]"),),
                inputs=takes.get(name, ()),
                outputs=(rows,) * (name == "load"),
            )
        )  # fmt: skip
        evidence = Evidence(fingerprints={n: fingerprint(v) for n, v in left[name].items()})
        cells.append(marked("step", sources[name], name, count=number, evidence=evidence))
        runs[name] = TaskRun(TaskId(name), tmp_path / name, {}, FolderSource(), "succeeded")
        runs[name].folder.mkdir()
        told = {"fingerprints": {n: fingerprint(v) for n, v in values.items()}}
        (runs[name].folder / "result.json").write_text(json.dumps(told))
    run, pipeline = Run("lost", tmp_path, {}, runs.values(), FolderSource()), Pipeline("lost", tuple(steps))
    check = check_run(run, pipeline, expected_of(cells, ()))
    (warning,) = diagnostics_of(check)
    assert re.search(r"step show: rows .*\(length 1, not 2\)", str(warning))
    assert re.search(r"step add changes it, and step show .* from step load", str(warning))
    assert str(check) == "2 of 4 values equal the notebook's"
    assert run.check == check


def test_what_was_there_before_an_order_does_not_follow_from_it(shell: Shell) -> None:
    Path("mode.txt").write_text("a")
    shell.run(
        "%%kale step a\nfrom pathlib import Path\nmode = Path('mode.txt').read_text()\n"
        "q = ['x', 'y'] if mode == 'a' else ['y', 'x']\nlast = q[-1]"
    )
    shell.run("%%kale step b\nprint(mode, q, last)")
    Path("mode.txt").write_text("b")
    shell.run("%kale_run")
    found = verdicts()
    assert (found["a.mode"], found["a.q"], found["a.last"]) == ("differs", "not compared", "not compared")


def test_unseeded_numbers_are_named_beside_the_clock(shell: Shell) -> None:
    shell.run(
        "%%kale step a\nimport time, random\nbegan = time.time()\nx = [random.random() for _ in range(9)]"
    )
    shell.run("%%kale step b\nprint(x)")
    printed = shell.run("%kale_run").printed
    (told,) = re.findall(r"KALE304 step a: x differs.*?likely reason: (.*?)\n", printed, re.DOTALL)
    assert "time.time" in told
    assert "random without a seed" in told


def test_metrics_are_compared(shell: Shell) -> None:
    shell.run("%%kale step count\nimport numpy as np\ncount = np.float64(len(text) / 7)")
    shell.run("%%kale metrics\ncount")
    assert "5 of 5 values equal the notebook's\n" in shell.run("%kale_run").printed
    Path("text.txt").write_text("abcd")
    shell.run("%kale_run")
    assert verdicts()["count.count"] == "differs"


def test_a_change_by_another_name_is_no_difference(shell: Shell) -> None:
    shell.run("%%kale step lists\nfirst = [1]\nsecond = first")
    shell.run("%%kale step lists\nsecond.append(2)")
    shell.run("%%kale step use\nprint(first)")
    assert shell.run("%kale_run --check").success
    assert verdicts()["lists.first"] == "equal"


@pytest.mark.kfp
def test_a_run_on_a_server_is_checked(cluster_shell: Shell, tmp_path: Path) -> None:
    Path("text.txt").write_text("abc")
    for cell in CELLS[2:]:
        cluster_shell.run(cell.replace("Path('text.txt').read_text()", "'abc'"))
    with KfpServer(tmp_path / "server") as server:
        printed = cluster_shell.run(f"run = %kale_run --check --host {server.url}").printed
    assert "4 of 4 values equal the notebook's\n" in printed
