"""What `%kale_run` can be asked for: steps alone, going on after a failure, a run beside other work."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import kale_magics
from kale_magics.execution.folder_source import DAMAGED_LOG
from tests.shells import Shell, fresh_shell, mentions, shows

NOTEBOOK = (
    "%load_ext kale_magics",
    "%%kale parameters\nrate = 0.5",
    "%%kale step load\nfrom pathlib import Path\nrows = [rate, 2]",
    "%%kale step train\nassert Path('ok').exists(), 'not yet'\nmodel = sum(rows)\nprint('trained')",
    "%%kale step show\nprint('model', model)",
)


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("ok").touch()

    def read() -> str:
        return capsys.readouterr().out

    with fresh_shell(read) as shell:
        for number, cell in enumerate(NOTEBOOK):
            assert shell.run(cell, f"c{number}").success
        yield shell


def ran(shell: Shell, line: str) -> set[str]:
    """The steps that a run executed."""
    assert shell.run(f"run = %kale_run {line}").success
    return {name for name, step in kale_magics.last_run().steps.items() if not step.cached}


def test_a_run_is_remembered_and_kale_says_so(shell):
    assert "next run" not in shell.run("%kale").printed
    assert ran(shell, "") == {"load", "train", "show"}
    assert shell.run("%kale").printed.count("cached") == 3
    told = shell.run("%kale_run").printed
    assert "✓ succeeded, cached" in told
    assert "trained" in told
    assert ran(shell, "-p rate=1") == {"load", "train", "show"}
    shell.run("%%kale step train\nmodel = max(rows)", "c3")
    assert "runs: its code has changed" in shell.run("%kale").printed
    assert "cached, unless the output of train changes" in shell.run("%kale").printed
    assert ran(shell, "") == {"train", "show"}
    assert ran(shell, "--no-cache") == {"load", "train", "show"}


def test_the_clock_is_no_part_of_the_cache(shell):
    shell.run("%%kale step now\nimport datetime\ntoday = datetime.date.today()")
    shell.run("%kale_run")
    assert "runs: it calls datetime.date.today (In [6], line 3)" in shell.run("%kale").printed
    assert ran(shell, "") == {"now"}


def test_a_step_that_measures_its_time_is_remembered(shell):
    shell.run(
        "%%kale step timed\nimport time\nbegan = time.perf_counter()\nprint(time.perf_counter() - began < 9)"
    )
    shell.run("%kale_run")
    assert ran(shell, "") == set()


def test_a_step_may_have_no_cache(shell):
    shell.run("%%kale step extra --no-cache\nextra = 1")
    shell.run("%kale_run")
    assert "runs: --no-cache" in shell.run("%kale").printed
    assert ran(shell, "") == {"extra"}


def test_a_step_alone_takes_what_the_last_run_has(shell):
    refusal = shell.refusal("%kale_run --only train")
    assert shows(refusal, "KALE303", "rows of step load, ", " train\n", "%kale_run --until train")
    shell.run("%kale_run -p rate=3")
    first = kale_magics.last_run().id
    told = shell.run("run = %kale_run --only train --no-cache").printed
    # The run had another `rate` than this one.
    assert f"rows of step load: from run {first}; since then, parameter rate has changed\n" in told
    run = kale_magics.last_run()
    assert list(run.steps) == ["train"]
    assert shell.run("%kale_run --only load show --no-cache").success
    assert kale_magics.last_run().steps["show"].log == "model 5.0\n"
    # The run of `train` alone is the last one that has a model.
    told = shell.run("%kale_run --only show").printed
    # Its input came from the run with another `rate`.
    since = "since then, step load has changed: parameter rate has changed"
    assert f"model of step train: from run {run.id}; {since}\n" in told
    shell.run("%%kale step train\nmodel = max(rows)", "c3")
    assert f"{run.id}; since then, its code has changed\n" in shell.run("%kale_run --only show").printed


def test_what_a_step_is_given_itself_has_not_changed(shell):
    shell.run("%%kale step load --env REGION=eu\nfrom pathlib import Path\nrows = [rate, 3]", "c2")
    shell.run("%kale_run")
    assert (
        f"rows of step load: from run {kale_magics.last_run().id}\n"
        in shell.run("%kale_run --only train").printed
    )


def test_a_step_alone_is_told_what_has_changed_further_up(shell):
    shell.run("%kale_run")
    shell.run("%%kale step load\nfrom pathlib import Path\nrows = [rate, 3]", "c2")
    told = shell.run("%kale_run --only show").printed
    assert "; since then, step load has changed: its code has changed\n" in told


def test_files_that_another_step_makes_are_told_of(shell):
    shell.run("%%kale step write\nPath('out.csv').write_text('1')", "w")
    shell.run("%%kale step read --after write\nprint(Path('out.csv').read_text())", "r")
    shell.run("%kale_run")
    shell.run("%%kale step write --no-run\nPath('out.csv').write_text('2')", "w")
    assert "cached, unless write changes out.csv" in shell.run("%kale").printed
    assert ran(shell, "") == {"write", "read"}


def test_a_damaged_log_is_shown_with_a_note(shell):
    shell.run("%kale_run")
    step = kale_magics.last_run().steps["show"]
    whole = step.log
    (step.folder / "log.txt").write_bytes(b"mod\xff\xfeel\n")
    assert "damaged" not in whole
    assert step.log == f"mod\ufffd\ufffdel\n{DAMAGED_LOG}\n"
    assert step.log in shell.run("%kale_logs show").printed


def test_a_damaged_value_is_not_taken(shell):
    shell.run("%kale_run")
    path = kale_magics.last_run().steps["load"].artifacts["rows"]
    path.write_bytes(path.read_bytes()[:-1])
    assert "KALE303" in shell.refusal("%kale_run --only train")


def test_a_failed_run_goes_on(shell):
    shell.run("%%kale step chance\nimport random\nnumber = random.random()")
    shell.run("%%kale step last\nassert Path('ok').exists()\nprint(number)")
    Path("ok").unlink()
    assert not shell.run("%kale_run -p rate=7").success
    failed = kale_magics.last_run()
    assert failed.steps["chance"].state == "succeeded"
    Path("ok").touch()
    assert ran(shell, "--resume") == {"train", "show", "last"}
    again = kale_magics.last_run()
    assert again.parameters == {"rate": 7.0}
    assert again.steps["show"].log == "model 9.0\n"
    refusal = shell.refusal("%kale_run --resume")
    assert mentions(refusal, f"KALE103 {again.id} succeeded")


@pytest.mark.parametrize("line", ["--only load --until show", "--resume --only load"])
def test_what_cannot_go_together(shell, line):
    assert shell.refusal(f"%kale_run {line}").startswith("KALE103 --only and ")


def test_a_step_that_nobody_knows(shell):
    assert "did you mean train?" in shell.refusal("%kale_run --only trian")


WAITING = """%%kale step wait --no-run
import os, time
Path('pid').write_text(str(os.getpid()))
while not Path('go').exists():
    time.sleep(0.01)
print('gone on')
"""


def started(run, step):
    """Wait until a step has said who it is."""
    end = time.monotonic() + 20
    while not Path("pid").exists() or not Path("pid").read_text():
        assert time.monotonic() < end, run
        time.sleep(0.01)
    return int(Path("pid").read_text())


def test_a_run_beside_the_work(shell):
    shell.run(WAITING)
    outcome = shell.run("run = %kale_run --background")
    assert outcome.success
    run = kale_magics.last_run()
    started(run, "wait")
    assert run.state == "running"
    assert run.steps["wait"].state == "running"
    with pytest.raises(TimeoutError, match=r"run .* 0\.01 s"):
        run.wait(0.01)
    assert shell.run("1 + 1").result == 2
    assert shell.run("%kale_run --only load").success
    Path("go").touch()
    assert run.wait() is run
    assert run.state == "succeeded"
    assert run.steps["wait"].log == "gone on\n"


def test_a_run_beside_the_work_can_be_ended(shell):
    shell.run(WAITING)
    shell.run("%kale_run --background")
    run = kale_magics.last_run()
    process = started(run, "wait")
    run.cancel()
    assert run.state == "cancelled"
    assert run.steps["wait"].state == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert run.wait() is run
    run.cancel()
    assert shell.run("%kale_run --only load").success


def test_a_run_beside_the_work_can_be_ended_after_a_step_of_it_has_failed(shell):
    shell.run(WAITING)
    shell.run("%%kale step broken --no-run\n1 / 0")
    shell.run("%kale_run --background")
    run = kale_magics.last_run()
    started(run, "wait")
    end = time.monotonic() + 20
    while run.steps["broken"].state != "failed":
        assert time.monotonic() < end, run
        time.sleep(0.01)
    run.cancel()
    assert (run.state, run.steps["wait"].state) == ("cancelled", "cancelled")
    assert run.wait() is run


def test_a_run_beside_the_work_that_fails(shell):
    Path("ok").unlink()
    shell.run("run = %kale_run --background")
    refusal = shell.refusal("run.wait()")
    assert "KALE301 step train failed" in refusal
    assert "AssertionError: not yet" in refusal
    assert kale_magics.last_run().state == "failed"


def test_a_run_beside_the_work_that_cannot_begin(shell, tmp_path):
    (tmp_path / ".kale").write_text("")
    assert "KALE302" in shell.refusal("run = %kale_run --background")


def test_a_run_that_was_waited_for_has_ended(shell):
    shell.run("run = %kale_run")
    run = kale_magics.last_run()
    assert run.wait() is run
    run.cancel()
    assert run.state == "succeeded"
