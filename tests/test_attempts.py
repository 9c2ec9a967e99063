"""The attempts at a step in a pod: `--retries`, in the processes of the step's own program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
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
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    return Ended(folder, done.returncode, done.stdout + done.stderr)


GOOD = "x, score = [n], n / 2\n"


def test_a_step_that_fails_twice_succeeds(tmp_path: Path) -> None:
    ended = run(tmp_path, "print('try', n)\nassert n > 2, 'too early'\n" + GOOD, retries=3)
    assert (ended.code, ended.attempts, ended.markers) == (0, 3, 2)
    assert ended.result
    assert (ended.result["metrics"], ended.result.get("error")) == ({"score": 1.5}, None)
    assert ended.outputs == [[True, {"score": 1.5}]]
    lines = [line for line in ended.text.splitlines() if line.startswith(("try", "attempt"))]
    assert lines == [
        "try 1",
        "attempt 1 of 4 failed: AssertionError: too early; again",
        "try 2",
        "attempt 2 of 4 failed: AssertionError: too early; again",
        "try 3",
    ]


@pytest.mark.parametrize("death", ["os.kill(os.getpid(), 9)", "os._exit(3)"])
def test_a_process_that_dies_is_tried_again(tmp_path: Path, death: str) -> None:
    ended = run(tmp_path, f"import os\nif n == 1: {death}\n{GOOD}", retries=1, delay=0.01)
    assert (ended.code, ended.attempts, ended.outputs) == (0, 2, [[True, {"score": 1.0}]])
    assert "attempt 1 of 2 failed" in ended.text


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
    assert "attempt 1 of 2 failed: it exceeded its --timeout of 2 s" in ended.text


def test_what_a_failed_attempt_has_started_ends_with_it(tmp_path: Path) -> None:
    source = "import subprocess\nif n == 1:\n    p = subprocess.Popen(['sleep', '600'])\n"
    source += "    Path('pid').write_text(str(p.pid))\n    raise ValueError\n" + GOOD
    assert run(tmp_path, source, retries=1).code == 0
    state = ["ps", "-o", "stat=", "-p", (tmp_path / "pid").read_text()]
    # Whoever inherits it may not have waited for it yet.
    assert subprocess.run(state, capture_output=True, text=True, check=False).stdout.strip()[:1] in ("", "Z")


def test_the_end_of_the_pod_ends_the_attempt(tmp_path: Path) -> None:
    program = program_of(COUNT + "print('begun', flush=True)\nimport time\ntime.sleep(600)", retries=5)
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        assert any(line.startswith("begun") for line in process.stdout)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert (tmp_path / "count").read_text() == "."


def test_a_step_without_retries_has_one_process(tmp_path: Path) -> None:
    ended = run(tmp_path, "import os\nPath('parent').write_text(str(os.getppid()))\n" + GOOD)
    assert (ended.code, ended.attempts) == (0, 1)
    assert (tmp_path / "parent").read_text() == str(os.getpid())
