"""The attempts at a step in a pod: `--retries`, in the processes of the step's own program."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kale_magics.kubeflow.pod_log import split_log
from kale_magics.model.options import StepOptions
from kale_magics.model.pipeline import CodeBlock, Output, Step
from kale_magics.model.program import PodOptions, render_program

MAIN = """
import json, sys
from types import SimpleNamespace
out = SimpleNamespace(path="out", uri="minio://out", metadata={})
metrics = SimpleNamespace(metadata={})
metrics.log_metric = metrics.metadata.__setitem__
train(out_x=out, metrics=metrics)
# What kfp does after the step: only the attempt that succeeded comes here.
with open("executor_output.json", "a") as file:
    file.write(json.dumps([out.metadata.get("sha256", "")[:4] != "", metrics.metadata]) + chr(10))
"""
"""What stands for kfp's executor, which calls the function of the step."""

COUNT = """
from pathlib import Path
with open('count', 'a') as file: file.write('.')
n = len(Path('count').read_text())
"""
"""Counts the attempts, in a file: each has a process of its own."""


def program_of(source: str, **options: Any) -> str:
    step = Step(
        "train",
        "train",
        (),
        (CodeBlock(source, "step train", "In [1]"),),
        outputs=(Output(("x",), "out_x"),),
        metrics=("score",),
        options=StepOptions(report=False, **options),
    )
    kinds = "from typing import Generic, TypeVar\nT = TypeVar('T')\n"
    kinds += "class Input(Generic[T]): pass\nclass Output(Generic[T]): pass\n"
    kinds += "class Artifact: pass\nclass Metrics: pass\n"
    return kinds + render_program(step, PodOptions()) + MAIN


class Ended:
    """A pod's program that has ended."""

    def __init__(self, folder: Path, code: int, log: str) -> None:
        self.code, (self.text, self.result) = code, split_log(log)
        self.markers = log.count("--- kale: step")
        output = folder / "executor_output.json"
        self.outputs = (
            [json.loads(line) for line in output.read_text().splitlines()] if output.exists() else []
        )
        self.attempts = len((folder / "count").read_text())


def run(folder: Path, source: str, **options: Any) -> Ended:
    program = program_of(COUNT + source, **options)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Ended(folder, done.returncode, done.stdout + done.stderr)


GOOD = "x, score = [n], n / 2\n"


def test_a_step_that_fails_twice_succeeds(tmp_path: Path) -> None:
    ended = run(tmp_path, "print('try', n)\nassert n > 2, 'too early'\n" + GOOD, retries=3)
    assert (ended.code, ended.attempts, ended.markers) == (0, 3, 2)
    assert ended.result
    assert (ended.result["metrics"], ended.result.get("error")) == ({"score": 1.5}, None)
    assert ended.outputs == [[True, {"score": 1.5}]]
    assert "Warning" not in ended.text  # an open file or a fork beside threads
    lines = [line for line in ended.text.splitlines() if line.startswith(("try", "attempt"))]
    assert lines == [
        "try 1",
        "attempt 1 of 4 failed: AssertionError: too early; again",
        "try 2",
        "attempt 2 of 4 failed: AssertionError: too early; again",
        "try 3",
    ]


@pytest.mark.parametrize(
    ("death", "cause"),
    [
        ("os.kill(os.getpid(), 9)", "was killed by signal 9 (SIGKILL): often because it ran out of memory"),
        ("os._exit(3)", "ended with exit code 3 before the step was complete"),
        ("os._exit(0)", "ended with exit code 0 before the step was complete"),
    ],
)
def test_a_process_that_dies_is_tried_again(tmp_path: Path, death: str, cause: str) -> None:
    ended = run(tmp_path, f"import os\nif n == 1: {death}\n{GOOD}", retries=1, delay=0.01)
    assert (ended.code, ended.attempts, ended.outputs) == (0, 2, [[True, {"score": 1.0}]])
    assert f"attempt 1 of 2 failed: StepDied: its process {cause}; again in 0.01 s\n" in ended.text


LATE_DEATH = "import atexit, os\nif n == 1: atexit.register(os._exit, 5)\n"
"""The first attempt dies when all is done, as when a library crashes at the end of its process."""


def test_an_attempt_that_dies_at_its_very_end_has_failed(tmp_path: Path) -> None:
    ended = run(tmp_path, LATE_DEATH + GOOD, retries=1)
    assert (ended.code, ended.attempts, ended.markers) == (0, 2, 2)
    assert ended.result
    assert ended.result["metrics"] == {"score": 1.0}


def test_nothing_is_left_of_a_failed_attempt(tmp_path: Path) -> None:
    ended = run(tmp_path, LATE_DEATH + GOOD + "assert n == 1, 'no more'", retries=1)
    assert (ended.code, ended.attempts, ended.markers) == (1, 2, 2)
    assert ended.result
    assert (ended.result["artifacts"], ended.result["metrics"]) == ({}, {})
    assert ended.result["error"]["message"] == "no more"
    assert not (tmp_path / "out").exists()


def test_a_retry_does_not_write_into_what_the_attempt_before_has_left(tmp_path: Path) -> None:
    (tmp_path / "input").write_text("of another step")
    # An output with the content of an input is a link to its file, renamed when it is complete.
    killed = "import os\nif n == 1:\n    os.link('input', 'out.part')\n    os.kill(os.getpid(), 9)\n"
    assert run(tmp_path, killed + GOOD, retries=1).code == 0
    assert (tmp_path / "input").read_text() == "of another step"


@pytest.mark.parametrize(
    ("source", "kind"), [("1 / 0", "ZeroDivisionError"), ("import os; os.kill(os.getpid(), 9)", "StepDied")]
)
def test_the_last_failure_is_that_of_the_step(tmp_path: Path, source: str, kind: str) -> None:
    ended = run(tmp_path, source, retries=2)
    assert (ended.code, ended.attempts, ended.markers, ended.outputs) == (1, 3, 2, [])
    assert ended.result
    assert ended.result["error"]["type"] == kind


def test_each_attempt_has_the_time_limit(tmp_path: Path) -> None:
    ended = run(tmp_path, f"import time\nif n == 1: time.sleep(600)\n{GOOD}", retries=1, timeout=2)
    assert (ended.code, ended.attempts) == (0, 2)
    # In the words of the local engine.
    text = "attempt 1 of 2 failed: Timeout: it exceeded its --timeout of 2 s and was killed; again\n"
    assert text in ended.text


def test_what_a_failed_attempt_has_started_ends_with_it(tmp_path: Path) -> None:
    source = "import subprocess\nif n == 1:\n    p = subprocess.Popen(['sleep', '600'])\n"
    source += "    Path('pid').write_text(str(p.pid))\n    raise ValueError\n" + GOOD
    assert run(tmp_path, source, retries=1).code == 0
    state = ["ps", "-o", "stat=", "-p", (tmp_path / "pid").read_text()]
    # Whoever inherits it may not have waited for it yet.
    assert subprocess.run(state, capture_output=True, text=True, check=False).stdout.strip()[:1] in ("", "Z")


@contextlib.contextmanager
def begun(folder: Path, source: str, line: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A pod's program that has printed a line that begins with a text."""
    with subprocess.Popen(
        [sys.executable, "-c", program_of(COUNT + source, **options)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        assert any(printed.startswith(line) for printed in process.stdout)
        yield process


STAY = "import signal\nprint('begun', flush=True)\nsignal.pause()\n"


def test_the_end_of_the_pod_ends_the_attempt(tmp_path: Path) -> None:
    with begun(tmp_path, STAY, "begun", retries=5) as process:
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + signal.SIGTERM
    # Neither a further attempt nor an error: the step is cancelled.
    assert ((tmp_path / "count").read_text(), rest) == (".", "")


def test_the_end_of_the_pod_ends_the_pause_before_a_retry(tmp_path: Path) -> None:
    with begun(tmp_path, "1 / 0", "attempt 1 of 6 failed", retries=5, delay=600) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert (tmp_path / "count").read_text() == "."


def test_an_attempt_may_complete_when_the_pod_ends(tmp_path: Path) -> None:
    save = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
    save += "print('begun', flush=True)\nsignal.sigwait([signal.SIGTERM])\nprint('saving')\n"
    with begun(tmp_path, save + GOOD, "begun", retries=5) as process:
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=60)[0]
    assert (process.returncode, rest.splitlines()[0]) == (0, "saving")
    assert (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the group")
def test_no_attempt_outlives_the_program(tmp_path: Path) -> None:
    start = "import subprocess\nsubprocess.Popen(['sleep', '600'])\n"
    with begun(tmp_path, start + STAY, "begun", retries=5) as process:
        process.kill()
        # All that it has started held the pipe open.
        assert process.communicate(timeout=60)[0] == ""


def test_a_step_without_retries_has_one_process(tmp_path: Path) -> None:
    ended = run(tmp_path, "import os\nPath('parent').write_text(str(os.getppid()))\n" + GOOD)
    assert (ended.code, ended.attempts) == (0, 1)
    assert (tmp_path / "parent").read_text() == str(os.getpid())


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_step_that_closes_its_streams_still_reports(tmp_path: Path, stream: str, retries: int) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    closes = f"import sys\nsys.{stream}.close()\n"
    good = run(tmp_path / "good", closes + GOOD, retries=retries)
    assert (good.code, good.outputs) == (0, [[True, {"score": 0.5}]])
    assert good.result
    bad = run(tmp_path / "bad", f"{closes}1 / 0", retries=retries)
    assert bad.code == 1
    assert bad.result
    assert bad.result["error"]["type"] == "ZeroDivisionError"
