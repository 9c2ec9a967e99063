"""Steps are forked from one process: they start quickly, and still see only what is theirs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kale_magics.execution.events import TaskStarted
from kale_magics.local.engine import CAN_FORK
from kale_magics.local.fork_client import close_servers, shared_imports
from kale_magics.local.scheduling import remaining_times
from kale_magics.model.pipeline import CodeBlock, Pipeline
from tests.test_engine import STAY, Runner, states, step

IMPORTS = CodeBlock("import numpy as np\nimport fractions", "imports", "In [1]")
FORKED = pytest.param(True, marks=pytest.mark.skipif(not CAN_FORK, reason="steps are forked on Linux"))
MODES = pytest.mark.parametrize("fork", [FORKED, False])
THREADS = """
import os, threadpoolctl
threads = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
asked = os.environ.get("OMP_NUM_THREADS")
"""


@pytest.fixture
def kale(tmp_path):
    close_servers()
    yield Runner(tmp_path)
    close_servers()


def test_a_step_has_modules_as_if_it_had_imported_them(kale):
    change = "fractions.marked = 1; np.seterr(all='raise'); drawn = float(np.random.random())"
    look = "here = [hasattr(fractions, 'marked'), np.geterr()['over'] == 'raise']\n"
    look += "drawn = float(np.random.random())"
    run = kale(
        step("one", change, gives=["drawn"], setup=(IMPORTS,)),
        step(
            "two",
            look,
            gives=["here", "drawn"],
            setup=(IMPORTS,),
            after=("one",),
        ),
    )
    assert run.state == "succeeded", [s.error for s in run.steps.values()]
    assert run.outputs["two"]["here"] == [False, False]
    assert run.outputs["one"]["drawn"] != run.outputs["two"]["drawn"]


def test_one_process_serves_the_runs_of_a_session(kale):
    parent = step("a", "import os\nparent = os.getppid()", gives=["parent"], setup=(IMPORTS,))
    other = CodeBlock("import numpy as np\nimport json", "imports", "In [1]")
    first, second = (kale(parent).outputs["a"]["parent"] for _ in range(2))
    assert first == second
    source = "import os\nparent = os.getppid()"
    fewer = kale(step("a", source, gives=["parent"]))
    assert fewer.outputs["a"]["parent"] == first
    changed = kale(step("a", source, gives=["parent"], setup=(other,)))
    assert changed.outputs["a"]["parent"] != first


@MODES
def test_a_step_ends_as_an_interpreter_does(kale, fork):
    source = """
import atexit, threading, time
file = open("written", "w")
file.write("all of it")
atexit.register(lambda: open("exited", "w").close())
def late():
    time.sleep(0.05)
    open("waited", "w").close()
threading.Thread(target=late).start()
"""
    run = kale(step("train", source), fork=fork)
    assert run.state == "succeeded", run.steps["train"].error
    assert (kale.folder / "written").read_text() == "all of it"
    assert {p.name for p in kale.folder.iterdir()} >= {"exited", "waited"}


@MODES
def test_a_step_that_dies_leaves_the_others_alone(kale, fork):
    run = kale(
        step("bad", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"),
        step("good", "x = 1"),
        fork=fork,
    )
    assert states(run) == {"bad": "failed", "good": "succeeded"}
    assert "SIGSEGV" in run.steps["bad"].error.message


@MODES
def test_an_interrupt_ends_every_process_and_the_next_run_works(kale, fork):
    def interrupt():
        raise KeyboardInterrupt

    kale.when_printed("here", interrupt)
    with pytest.raises(KeyboardInterrupt):
        kale(step("train", STAY), step("later", "", after=("train",)), fork=fork)
    assert kale.nothing_is_left()
    assert kale.run.state == "cancelled"
    kale.react = lambda event: None
    assert kale(step("train", "x = 1"), fork=fork).state == "succeeded"


def test_a_server_that_dies_fails_what_runs_and_nothing_else(kale):
    source = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nimport time; time.sleep(60)"
    run = kale(
        step("bad", source), step("skipped", "", after=("bad",)), step("good", "x = 1"), max_parallel=1
    )
    assert states(run) == {"bad": "failed", "skipped": "skipped", "good": "succeeded"}
    assert "the process that starts the steps died" in run.steps["bad"].error.message


KERNEL = """
import sys
from pathlib import Path
from kale_magics.local.engine import run_pipeline
from kale_magics.execution.events import LinePrinted
from kale_magics.execution.request import RunRequest
from tests.test_engine import STAY, step
from kale_magics.model.pipeline import Pipeline

def listen(event):
    if isinstance(event, LinePrinted):
        print(event.text, flush=True)

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    pipeline, fork = Pipeline("test", (step("train", STAY),)), sys.argv[2] == "True"
    places = {"runs_folder": folder / "runs", "working_directory": folder / "work"}
    run_pipeline(RunRequest(pipeline), **places, listener=listen, fork=fork)
"""


@MODES
def test_nothing_outlives_a_kernel_that_is_killed(kale, fork, tmp_path):
    command = [sys.executable, "-c", KERNEL, str(tmp_path), str(fork)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as kernel:
        assert kernel.stdout.readline() == "here\n"
        kernel.kill()
    assert kale.nothing_is_left()
    assert kale(step("train", "x = 1"), fork=fork).state == "succeeded"


def test_steps_side_by_side_share_the_cores(kale, monkeypatch):
    monkeypatch.setattr("kale_magics.local.engine.available_cores", lambda: 8)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    more = {"gives": ["threads", "asked"], "setup": (IMPORTS,)}
    steps = [step(name, THREADS, **more) for name in "abcd"]
    run = kale(*steps, step("e", THREADS, after=tuple("abcd"), **more), max_parallel=4)
    assert run.state == "succeeded", run.steps["a"].error
    assert set(run.outputs["a"]["threads"]) == {2}
    assert [run.outputs[name]["asked"] for name in "ae"] == ["2", None]


def test_who_says_how_many_threads_is_obeyed(kale, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    source = "import os; asked = os.environ['OMP_NUM_THREADS']"
    run = kale(step("a", source, gives=["asked"]), step("b", source, gives=["asked"]))
    assert [run.outputs[n]["asked"] for n in "ab"] == ["3", "3"]


@pytest.mark.parametrize(
    ("source", "imports"),
    [
        ("import json, csv as c\nfrom math import *", ["import json, csv as c", "from math import *"]),
        ("from __future__ import annotations\nimport nowhere\nfrom . import near\nfrom .near import x", []),
        ("import mine\nimport json", ["import json"]),
        ("import os\nos.environ['X'] = '1'\nimport json", ["import os"]),
        ("import numpy as np\nnp.random.seed(0)\nimport json", ["import numpy as np", "import json"]),
        ("import sys\nsys.path.append('lib')\nimport json", ["import sys"]),
    ],
)
def test_what_is_imported_once_for_all(source, imports, tmp_path, monkeypatch):
    (tmp_path / "mine.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    cells = (CodeBlock(source, "imports", "In [1]"), CodeBlock("import csv", "functions", "In [2]"))
    assert list(shared_imports(Pipeline("p", (step("a", "", setup=cells),)))) == imports


def test_what_most_waits_for_starts_first(kale):
    steps = (step("a", ""), step("b", ""), step("c", "", after=("b",)), step("d", "", after=("c",)))
    kale(*steps, max_parallel=1)
    assert [e.task.step for e in kale.events if isinstance(e, TaskStarted)] == ["b", "c", "a", "d"]
    times = remaining_times(Pipeline("p", steps).graph, {"a": 9.0, "b": 1.0})
    assert times == {"a": 9.0, "b": 11.0, "c": 10.0, "d": 5.0}


def test_the_times_of_the_last_run_decide(kale):
    steps = step("a", "import time"), step("b", "import time")
    run = kale(*steps, max_parallel=1)
    written = json.loads((run.folder / "run.json").read_text())
    written["steps"]["b"]["seconds"] = 100.0
    (run.folder / "run.json").write_text(json.dumps(written))
    kale.events.clear()
    kale(*steps, max_parallel=1, cache=False)
    assert [e.task.step for e in kale.events if isinstance(e, TaskStarted)] == ["b", "a"]


def test_a_message_of_any_size_arrives(kale, monkeypatch):
    monkeypatch.setenv("LARGE", "x" * 100_000)
    run = kale(step("a", "import os; size = len(os.environ['LARGE'])", gives=["size"]))
    assert run.outputs["a"]["size"] == 100_000
