"""Stored runs: their list, their logs and values in another session, and their end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import kale_magics
from kale_magics.local.past_runs import clean, locked, past_runs
from kale_magics.model.diagnostics import Code, KaleError
from kale_magics.syntax.arguments import parse_duration
from tests.shells import Shell, fresh_shell, mentions, shows
from tests.test_engine import Runner, step

NOTEBOOK = (
    "%load_ext kale_magics",
    "%%kale parameters\nrate = 0.5",
    "%%kale step train\nscore = [rate]\nprint('trained')\nnumber = rate * 2",
    "%%kale step show\nprint(score)",
    "%%kale metrics\nnumber",
)


@pytest.fixture
def kale(tmp_path):
    return Runner(tmp_path)


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def read() -> str:
        return capsys.readouterr().out

    with fresh_shell(read) as shell:
        for cell in NOTEBOOK:
            assert shell.run(cell).success
        yield shell


def test_a_run_is_the_same_when_it_is_read(kale):
    run = kale(
        step("a", "x = [1]; n = 2; print('hi')", gives=["x"], metrics=("n",)),
        step("b", "1 / 0", {"x": "a"}),
        step("c", "", after=("b",)),
    )
    (again,) = past_runs(kale.runs)
    for name in ("id", "name", "state", "parameters", "metrics", "started", "ended", "seconds", "folder"):
        assert getattr(again, name) == getattr(run, name), name
    for name, known in run.steps.items():
        assert {**vars(again.steps[name]), "source": None} == {**vars(known), "source": None}
    assert again.outputs["a"]["x"] == [1]
    assert again.steps["a"].log == "hi\n"
    assert again.steps["b"].error.type == "ZeroDivisionError"


def test_runs_of_another_process_the_newest_first(kale):
    first, second = (kale(step("a", f"x = {n}", gives=["x"])) for n in range(2))
    code = (
        "import kale_magics, sys\n"
        "if __name__ == '__main__':\n"
        "    print([(run.id, run.outputs['a']['x']) for run in kale_magics.runs(sys.argv[1])])"
    )
    command = [sys.executable, "-c", code, str(kale.runs)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str([(second.id, 1), (first.id, 0)])


@pytest.mark.parametrize("lives", [True, False])
def test_a_run_without_a_process_has_been_cancelled(kale, lives):
    run = kale(step("a", "x = 1", gives=["x"]), step("b", ""))
    told = json.loads((run.folder / "run.json").read_text())
    told.update(state="running", ended=None, seconds=None)
    told["steps"]["b"]["state"] = "running"
    (run.folder / "run.json").write_text(json.dumps(told))
    with locked(run.folder) if lives else contextlib.nullcontext():
        (again,) = past_runs(kale.runs)
        gone, _ = clean(kale.runs, None, None)
        states = again.state, again.steps["a"].state, again.steps["b"].state
    expected = "running" if lives else "cancelled"
    assert states == (expected, "succeeded", expected)
    assert len(gone) == (not lives)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": "failed"}', "\0\0"])
def test_what_is_damaged_is_no_run_and_no_error(kale, content):
    run = kale(step("a", ""))
    (run.folder / "run.json").write_text(content)
    (run.folder.parent / "mine.txt").touch()
    assert past_runs(kale.runs) == []
    assert kale(step("a", "")).state == "succeeded"


def test_cleaning_keeps_what_it_should(kale):
    runs = [kale(step("a", "x = bytes(10_000)", gives=["x"])) for _ in range(4)]
    assert clean(kale.runs, 0, timedelta(days=1)) == ([], 0)
    gone, freed = clean(kale.runs, 3, None)
    assert [folder.name for folder in gone] == [runs[0].id]
    assert 10_000 < freed < 200_000
    assert not runs[0].folder.exists()
    assert [run.id for run in past_runs(kale.runs)] == [run.id for run in reversed(runs[1:])]
    gone, _ = clean(kale.runs, None, timedelta(0))
    assert len(gone) == 3


def test_the_magics(shell: Shell, tmp_path: Path):
    assert re.search(r"No run .*%kale_run ", shell.run("%kale_runs").printed)
    assert mentions(shell.refusal("%kale_logs train"), "KALE303 no run")
    assert shell.run("%kale_run --name first").success
    assert shell.run("%kale_run -p rate=2").success
    told = shell.run("%kale_runs").printed.splitlines()
    assert told[0].split() == ["run", "name", "state", "started", "time", "parameters", "metrics"]
    assert "✓ succeeded" in told[2]
    assert "rate=2.0" in told[2]
    assert "number=4" in told[2]
    assert "first" in told[3]
    assert shell.run("%kale_logs train").printed == "trained\n"
    first = kale_magics.runs()[1]
    assert shell.run(f"%kale_logs show --run {first.id}").printed == "[0.5]\n"
    assert "KALE303 there is no run 1" in shell.refusal("%kale_logs show --run 1")
    assert "did you mean 'train'?" in shell.run("%kale_logs trian").printed
    assert "KALE103" in shell.refusal("%kale_clean")
    assert "'soon'" in shell.refusal("%kale_clean --older-than soon")
    assert mentions(shell.refusal("%kale_clean --keep all"), "KALE103 --keep number 'all'")
    assert re.fullmatch(r"1 run .*, \d+ KB freed\n", shell.run("%kale_clean --keep 1").printed)
    assert not first.folder.exists()
    assert len(os.listdir(tmp_path / ".kale" / "runs")) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("7d", 604800), ("2w", 1209600), ("45", 45), ("0.5h", 1800)],
)
def test_lengths_of_time(text, seconds):
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "1h30", "m", "10x", "-5m", "1m1h", "ten"])
def test_what_is_no_length_of_time(text):
    with pytest.raises(KaleError, match="not a duration"):
        parse_duration(text)


def test_the_handle_of_a_run_elsewhere_follows_it_and_does_not_end_it(kale):
    run = kale(step("a", "x = 1", gives=["x"]))
    ended = (run.folder / "run.json").read_text()
    told = json.loads(ended)
    told.update(state="running", ended=None, seconds=None)
    told["steps"]["a"]["state"] = "running"
    (run.folder / "run.json").write_text(json.dumps(told))
    with locked(run.folder):
        (again,) = past_runs(kale.runs)
        assert again.steps["a"].state == "running"
        with pytest.raises(KaleError) as refusal:
            again.cancel()
        assert refusal.value.diagnostics[0].code is Code.BAD_ARGUMENTS
        with pytest.raises(TimeoutError):
            again.wait(0)
        (run.folder / "run.json").write_text(ended)
        assert again.wait() is again
        assert (again.state, again.steps["a"].state) == ("succeeded", "succeeded")
        again.cancel()


def test_a_damaged_run_is_cleaned(kale):
    run = kale(step("a", "x = 1", gives=["x"]))
    (run.folder / "run.json").write_text("{broken")
    assert past_runs(kale.runs) == []
    gone, freed = clean(kale.runs, None, timedelta(days=1))
    assert gone == []
    gone, freed = clean(kale.runs, None, None)
    assert ([folder.name for folder in gone], freed > 0) == ([run.id], True)
    assert not run.folder.exists()


def test_a_deleted_run_is_not_the_last_one(shell):
    shell.run("%kale_run --name first")
    shell.run("run = %kale_run --name second --no-cache")
    shutil.rmtree(kale_magics.last_run().folder)
    told = shell.refusal("next(iter(next(iter(run.outputs.values())).values()))")
    assert shows(told, "KALE303", "deleted")
    assert "first" in shell.run("%kale_runs").printed
    assert shell.run("%kale_logs train").success
