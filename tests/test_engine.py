from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest

from kale_magics.analysis.uses import code_facts
from kale_magics.execution.events import LinePrinted, RunEnded, RunStarted, TaskEnded, TaskStarted
from kale_magics.execution.request import RunRequest
from kale_magics.local.engine import run_pipeline
from kale_magics.local.step_process import LineReader
from kale_magics.model.diagnostics import Code as Refusal
from kale_magics.model.diagnostics import KaleError
from kale_magics.model.options import StepOptions
from kale_magics.model.pipeline import CodeBlock, Input, Output, Parameter, Pipeline, Step
from kale_magics.model.task_id import TaskId

DEADLINE = 20
"""Seconds after which a test gives up what it waits for."""

MEETING = f"""
import time
from pathlib import Path

def meet(mine, theirs):
    Path(mine).touch()
    end = time.monotonic() + {DEADLINE}
    while not Path(theirs).exists():
        if time.monotonic() > end:
            raise TimeoutError(theirs)
        time.sleep(0.005)
"""

STAY = """
import fcntl, subprocess, time
lock = open("lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
child = subprocess.Popen(["sleep", "600"], pass_fds=[lock.fileno()])
print("here")
time.sleep(600)
"""


def step(name, source, takes=None, gives=(), **more):
    """A step of one cell; `takes` maps a variable to the step that makes it."""
    inputs = tuple(
        Input((v,), f"in_{v}", maker, Output((v,), f"out_{v}")) for v, maker in (takes or {}).items()
    )
    outputs = tuple(Output((v,), f"out_{v}") for v in gives)
    cell, setup = CodeBlock(source, f"step {name}", "In [1]"), more.pop("setup", ())
    with contextlib.suppress(SyntaxError):
        more["facts"] = code_facts(tuple(code.source for code in (*setup, cell)))
    return Step(name, name, setup, (cell,), inputs=inputs, outputs=outputs, **more)


class Runner:
    """Runs steps in a folder of their own and keeps what the listener heard."""

    def __init__(self, folder: Path):
        self.folder, self.runs = folder / "work", folder / ".kale"
        self.folder.mkdir()
        (self.folder / "meeting.py").write_text(MEETING)
        self.events, self.run = [], None
        self.react = lambda event: None

    def __call__(self, *steps, arguments=None, parameters=(), runs=None, **more):
        pipeline = Pipeline("test", steps, parameters)
        asked = {name: more.pop(name) for name in ("name", "cache", "resumed", "given") if name in more}
        more = {"max_parallel": 2, "working_directory": self.folder, **more}
        request = RunRequest(pipeline, arguments or {}, **asked)
        return run_pipeline(request, runs_folder=runs or self.runs, listener=self.listen, **more)

    def listen(self, event):
        assert threading.current_thread() is threading.main_thread()
        self.events.append(event)
        if isinstance(event, RunStarted):
            self.run = event.run
        self.react(event)

    def when_printed(self, text, do):
        self.react = lambda event: do() if isinstance(event, LinePrinted) and event.text == text else None

    def nothing_is_left(self):
        """Whether all processes that held the lock are gone, soon."""
        end = time.monotonic() + DEADLINE
        with open(self.folder / "lock") as lock:
            while time.monotonic() < end:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.005)
                else:
                    return True
        return False


@pytest.fixture
def kale(tmp_path):
    return Runner(tmp_path)


def raiser(error):
    def throw():
        raise error

    return throw


def states(run):
    return {name: s.state for name, s in run.steps.items()}


def test_values_parameters_and_metrics_cross(kale):
    rate = Parameter("rate", "rate", "float", 0.5)
    base = Parameter("größe", "gru00f6u00dfe", "int", 2)
    run = kale(
        step("load", "xs = [größe] * 3", gives=["xs"], parameters=(base,)),
        step("train", "acc = sum(xs) * rate", {"xs": "load"}, ["acc"], parameters=(rate,), metrics=("acc",)),
        parameters=(rate, base),
        arguments={"größe": 4},
    )
    assert (run.state, states(run)) == ("succeeded", {"load": "succeeded", "train": "succeeded"})
    assert run.parameters == {"rate": 0.5, "größe": 4}
    assert run.metrics == {"acc": 6.0}
    assert run.outputs["load"]["xs"] == [4, 4, 4]
    assert run.outputs["load"]["xs"] is run.outputs["load"]["xs"]
    assert {k: list(v) for k, v in run.outputs.items()} == {"load": ["xs"], "train": ["acc"]}
    assert run.seconds >= run.steps["train"].seconds > 0


def test_outputs_load_when_asked_for_and_say_what_there_is(kale):
    run = kale(step("train", "model = 1", gives=["model"]))
    (run.folder / "train" / "outputs" / "out_model").unlink()
    assert "model" in run.outputs["train"]
    assert "modle" not in run.outputs["train"]
    assert len(run.outputs) == 1
    assert run.outputs.get("tain") is None
    with pytest.raises(KaleError, match=r"KALE303 the run has no step 'tain'\n.*did you mean 'train'\?"):
        run.outputs["tain"]
    with pytest.raises(KaleError, match=r"KALE303 the run has no step 'tain'\n.*did you mean 'train'\?"):
        run.steps["tain"]
    assert run.steps.get("tain") is None
    with pytest.raises(KaleError, match=r"KALE303 .*train.*'x'.*\n.*: model"):
        run.outputs["train"]["x"]


def test_branches_run_at_the_same_time(kale):
    run = kale(
        step("load", "n = 1", gives=["n"]),
        step("left", "from meeting import meet; meet('l', 'r'); a = n", {"n": "load"}, ["a"]),
        step("right", "from meeting import meet; meet('r', 'l'); b = n", {"n": "load"}, ["b"]),
        step("join", "total = a + b", {"a": "left", "b": "right"}, ["total"]),
    )
    assert run.state == "succeeded", [s.error for s in run.steps.values()]
    assert run.outputs["join"]["total"] == 2


def test_one_at_a_time_when_asked(kale):
    kale(step("a", ""), step("b", ""), step("c", "", after=("a",)), max_parallel=1)
    order = [(type(e), e.task.step) for e in kale.events if isinstance(e, TaskStarted | TaskEnded)]
    assert order == [(kind, name) for name in "abc" for kind in (TaskStarted, TaskEnded)]


def test_a_failure_skips_what_depends_on_it_and_nothing_else(kale):
    run = kale(
        step("bad", "x = 1 / 0", gives=["x"]),
        step("child", "y = x", {"x": "bad"}, ["y"]),
        step("grandchild", "", after=("child",)),
        step("other", "z = 1", gives=["z"]),
        step("late", "w = z", {"z": "other"}, ["w"]),
    )
    skipped, done = (
        dict.fromkeys(("child", "grandchild"), "skipped"),
        dict.fromkeys(("other", "late"), "succeeded"),
    )
    assert states(run) == {"bad": "failed", **skipped, **done}
    assert run.state == "failed"
    assert run.outputs["late"]["w"] == 1
    with pytest.raises(KaleError, match="step child has no outputs: it is skipped"):
        run.outputs["child"]
    ended = {e.task.step: e.state for e in kale.events if isinstance(e, TaskEnded)}
    assert ended == states(run)
    assert isinstance(kale.events[-1], RunEnded)
    assert kale.events[-1].state == "failed"


def test_an_error_names_cell_and_line_and_shows_no_frame_of_ours(kale):
    helper = CodeBlock("\ndef half(x):\n    return x / 0", "step train", "In [3]")
    cell = "import json\ntry:\n    json.loads('{')\nexcept ValueError:\n    half(2)"
    run = kale(step("train", cell, setup=(helper,)))
    error = run.steps["train"].error
    assert (error.type, error.message) == ("ZeroDivisionError", "division by zero")
    assert (error.cell, error.line, error.code) == ("In [3]", 3, "return x / 0")
    for text in (
        '"<step train, In [1]>", line 5',
        '"<step train, In [3]>", line 3',
        "JSONDecodeError",
        "json.loads('{')",
    ):
        assert text in error.traceback
    for ours in ("kale_magics", "worker", "program.py", "<string>"):
        assert ours not in error.traceback


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("import os; os._exit(3)", "StepDied", "exit code 3 "),
        ("import os; os._exit(0)", "StepDied", "exit code 0 "),
        (
            "import os; os.kill(os.getpid(), 9)",
            "StepDied",
            "signal 9 (SIGKILL): ",
        ),
        ("import os; os.kill(os.getpid(), 11)", "StepDied", "signal 11 (SIGSEGV)"),
        ("import sys; sys.exit(0)", "SystemExit", "sys.exit(0)"),
        ("f = open('/dev/full', 'w'); f.write('x'); f.flush()", "OSError", "the disk is full"),
        ("class E(Exception):\n    def __str__(self): raise ValueError\nraise E", "E", "cannot be shown"),
    ],
)
def test_a_step_that_dies_says_how(kale, source, kind, message):
    run = kale(step("train", source))
    assert run.steps["train"].state == "failed"
    assert run.steps["train"].error.type == kind
    assert message in run.steps["train"].error.message


def test_the_log_ends_with_the_traceback_that_nothing_prints(kale):
    run = kale(step("train", "print('hi')\n1 / 0"))
    assert [e.text for e in kale.events if isinstance(e, LinePrinted)] == ["hi"]
    assert run.steps["train"].log == "hi\n" + run.steps["train"].error.traceback
    assert run.steps["train"].log.endswith("ZeroDivisionError: division by zero\n")


def test_a_log_takes_every_character(kale):
    run = kale(step("train", r"raise ValueError('\ud800')"))
    assert run.steps["train"].log.endswith("ValueError: \\ud800\n")


def test_a_refusal_has_its_code_and_no_traceback(kale):
    run = kale(step("train", "x = (n for n in [])", gives=["x"]), step("next", "x", {"x": "train"}))
    error = run.steps["train"].error
    assert (error.kale_code, error.traceback) == ("KALE208", "")
    assert str(error).startswith("KALE208 x ")
    assert ": x is a generator (" in str(error)
    assert error.fix == "make a list of it, or create it in the step that uses it"
    assert run.steps["train"].log == f"{error}\n"


def test_a_program_that_cannot_begin_is_told(kale):
    run = kale(step("class", ""))
    assert run.steps["class"].error.type == "SyntaxError"
    assert "SyntaxError" in run.steps["class"].log


def test_input_fails_with_a_reason(kale):
    run = kale(step("train", "name = input('Name? ')"))
    error = run.steps["train"].error
    assert (error.type, error.line) == ("EOFError", 1)
    assert error.message.startswith("input()")
    assert "parameter" in error.message


CLASSES = "class Net:\n    class Layer: pass\n    def __init__(self): self.layer, self.n = Net.Layer(), 3\n"


@pytest.fixture
def trained(kale):
    setup = (CodeBlock(CLASSES, "functions", "In [1]", (("Net", "Net@12ab"),)),)
    return kale(step("train", "net = Net()", gives=["net"], setup=setup))


def test_outputs_are_instances_of_the_classes_of_the_session(trained, monkeypatch):
    session = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", session)
    with pytest.raises(KaleError, match=r"KALE303 net of step train .*needs Net, which.*\n.*defines Net"):
        trained.outputs["train"]["net"]
    exec("class Net: pass", vars(session))
    with pytest.raises(KaleError, match=r"KALE303 net of step train .*needs Net\.Layer, which"):
        trained.outputs["train"]["net"]
    exec(CLASSES, vars(session))
    net = trained.outputs["train"]["net"]
    assert (type(net), type(net.layer), net.n) == (session.Net, session.Net.Layer, 3)


def test_outputs_that_are_gone_or_damaged_are_told(trained):
    file = trained.steps["train"].artifacts["net"]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(KaleError, match=r"KALE303 net of step train is damaged"):
        trained.outputs["train"]["net"]
    file.unlink()
    with pytest.raises(KaleError, match=r"KALE303 net of step train cannot be read"):
        trained.outputs["train"]["net"]


def test_lines_arrive_while_the_step_runs(kale):
    kale.when_printed("one", (kale.folder / "heard").touch)
    source = """if True:
        import sys
        from meeting import meet
        print('one')
        meet('said', 'heard')
        print('two', file=sys.stderr)
    """
    run = kale(step("train", source))
    assert run.state == "succeeded", run.steps["train"].error
    lines = [e for e in kale.events if isinstance(e, LinePrinted)]
    assert lines == [
        LinePrinted(TaskId("train"), "stdout", "one"),
        LinePrinted(TaskId("train"), "stderr", "two"),
    ]
    assert run.steps["train"].log == "one\ntwo\n"


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        ([b"a\nb\n"], ["a", "b"]),
        ([b"a\r", b"\nb\r\n"], ["a", "b"]),
        ([b"\n\na"], ["", "", "a"]),
        ([b"\r 1%\r 2%", b"\r 3%\n"], [" 3%"]),
        ([b" 1%\r", b" 2%\r", b"\r", b"\r\n", b"\r\nb\r"], [" 2%", "", "b"]),
        ([b"\r 1%", b"\r\r"], [" 1%"]),
        (["ü".encode()[:1], "ü".encode()[1:] + b"\xff\n"], ["ü\\xff"]),
        ([b"no line end"], ["no line end"]),
        ([b"done\r"], ["done"]),
        (["ü".encode() * 30_000] * 18, ["ü" * 539_999, "ü"]),
        ([b"x", b"\xc3", *[b"\xbc\xc3" * 30_000] * 18, b"\xbc\n"], ["x" + "ü" * 540_000, "ü"]),
    ],
)
def test_what_counts_as_a_line(written, lines):
    reader = LineReader()
    heard = []
    for part in written:
        os.write(reader.writer, part)
        heard += reader.read()
    os.close(reader.writer)
    assert heard + reader.drain() == lines
    reader.close()


def test_a_child_that_outlives_its_step_does_not_hold_up_the_run(kale):
    run = kale(step("train", STAY.replace("time.sleep(600)", "")))
    assert run.state == "succeeded"
    assert kale.nothing_is_left()


def test_a_child_that_left_the_session_does_not_hold_up_the_run(kale):
    source = "import subprocess\nprint(subprocess.Popen(['sleep', '600'], start_new_session=True).pid)"
    run = kale(step("train", source))
    if sys.platform != "linux":  # nobody finds it there
        os.kill(int(run.steps["train"].log), signal.SIGKILL)
    assert run.state == "succeeded"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("ignores", ["", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"])
def test_what_the_listener_raises_ends_every_process(kale, error, ignores):
    kale.when_printed("here", raiser(error()))
    with pytest.raises(error):
        kale(step("train", ignores + STAY), step("later", "", after=("train",)), step("done", ""))
    assert kale.nothing_is_left()
    assert kale.run.state == "cancelled"
    assert states(kale.run)["train"] == states(kale.run)["later"] == "cancelled"
    assert json.loads((kale.run.folder / "run.json").read_text())["state"] == "cancelled"


@pytest.fixture
def interruptible():
    """A process that heeds Ctrl-C: one that a script has started in the background does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_while_waiting_ends_every_process(kale, interruptible):
    kale.when_printed("here", threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start)
    with pytest.raises(KeyboardInterrupt):
        kale(step("train", STAY))
    assert kale.nothing_is_left()
    assert states(kale.run) == {"train": "cancelled"}


def test_steps_run_in_the_working_directory_and_see_its_modules(kale):
    (kale.folder / "json.py").write_text("")
    source = (
        "import os, sys, meeting\nhere = os.getcwd(); kale = 'kale_magics' in sys.modules; argv = sys.argv"
    )
    run = kale(step("train", source, gives=["here", "kale", "argv"]))
    assert run.state == "succeeded", run.steps["train"].error
    assert dict(run.outputs["train"]) == {"here": str(kale.folder), "kale": False, "argv": ["-c"]}


def test_the_folder_of_a_run_is_private_and_readable(kale):
    run = kale(step("train", "print('hi')\nx = 1", gives=["x"]), name="first")
    assert run.folder == kale.runs / "runs" / run.id
    assert run.folder.stat().st_mode & 0o777 == 0o700
    assert (kale.runs / ".gitignore").read_text() == "*\n"
    written = json.loads((run.folder / "run.json").read_text())
    assert (written["id"], written["name"], written["state"]) == (run.id, "first", "succeeded")
    assert written["steps"]["train"]["state"] == "succeeded"
    files = {str(p.relative_to(run.folder)) for p in run.folder.rglob("*") if p.is_file()}
    mine = "program.py arguments.json result.json log.txt outputs/out_x uses.jsonl cache.json".split()
    assert files == {"run.json", *(f"train/{name}" for name in mine)}


def test_a_folder_of_the_users_own_gets_no_gitignore(kale):
    kale(step("train", ""), runs=kale.folder)
    assert not (kale.folder / ".gitignore").exists()


def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(kale):
    (kale.folder / "file").touch()
    with pytest.raises(KaleError, match=r"KALE302 .*work/file/x: Not a directory") as refused:
        kale(step("train", ""), runs=kale.folder / "file" / "x")
    assert refused.value.diagnostics[0].code is Refusal.RUN_FOLDER
    assert kale.events == []


def test_a_step_never_leaves_the_run_folder(kale):
    with pytest.raises(ValueError, match="key of a step"):
        kale(step("../train", ""))


def test_a_missing_working_directory_fails_the_step(kale):
    run = kale(step("train", ""), working_directory=kale.folder / "gone")
    assert "could not be started" in run.steps["train"].error.message


def test_handles_show_themselves_in_a_line(kale):
    run = kale(step("train", "x = 1", gives=["x"]))
    assert repr(run) == f"<run test {run.id}: succeeded, {run.seconds:.1f} s>"
    assert repr(run.steps["train"]).startswith("<step train: succeeded")
    assert repr(run.outputs) == "<outputs: train>"


FLAKY = """
from pathlib import Path
tries = Path("tries")
tries.write_text(tries.read_text() + "." if tries.exists() else ".")
x = len(tries.read_text())
print("try", x)
assert x > {}, "not yet"
"""


def test_a_step_is_tried_again(kale):
    run = kale(
        step("flaky", FLAKY.format(2), gives=["x"], options=StepOptions(retries=2)),
        step("next", "y = x", {"x": "flaky"}, ["y"]),
    )
    assert run.state == "succeeded"
    assert run.outputs["next"]["y"] == 3
    log = run.steps["flaky"].log
    assert "try 1\n" in log
    assert "attempt 2 of 3 failed: AssertionError: not yet; again\n" in log
    assert log.endswith("try 3\n")
    assert [e.state for e in kale.events if isinstance(e, TaskEnded)] == ["succeeded", "succeeded"]
    assert len([e for e in kale.events if isinstance(e, TaskStarted)]) == 2


def test_the_last_attempt_decides(kale):
    run = kale(step("flaky", FLAKY.format(9), options=StepOptions(retries=1, delay=0.01)))
    assert states(run) == {"flaky": "failed"}
    assert run.steps["flaky"].error.message == "not yet"
    assert (kale.folder / "tries").read_text() == ".."
    assert "again in 0.01 s" in run.steps["flaky"].log


def test_others_run_while_a_step_waits_for_its_next_attempt(kale):
    run = kale(
        step("flaky", FLAKY.format(1), options=StepOptions(retries=1, delay=0.5)),
        step("other", "from pathlib import Path; assert Path('tries').read_text() == '.'"),
        max_parallel=1,
    )
    assert run.state == "succeeded", run.steps["other"].error


@pytest.mark.parametrize("retries", [0, 1])
def test_an_attempt_that_takes_too_long_is_ended(kale, retries):
    run = kale(step("slow", STAY, options=StepOptions(retries=retries, timeout=0.3)), step("other", ""))
    assert states(run) == {"slow": "failed", "other": "succeeded"}
    assert run.steps["slow"].error.type == "Timeout"
    assert "0.3 s" in run.steps["slow"].error.message


def test_a_time_limit_that_is_kept_holds_nobody_up(kale):
    run = kale(step("quick", "x = 1", options=StepOptions(timeout=600)))
    assert run.state == "succeeded"
    assert run.seconds < 60


def test_a_step_has_the_environment_variables_that_it_asks_for(kale: Runner) -> None:
    asked = StepOptions(env=(("LEVEL", "debug"),))
    source = "import os\nprint(os.environ.get('LEVEL'))"
    run = kale(step("a", source, options=asked), step("b", source))
    assert (run.steps["a"].log, run.steps["b"].log) == ("debug\n", "None\n")
    again = kale(step("a", source, options=StepOptions(env=(("LEVEL", "info"),))))
    assert again.steps["a"].log == "info\n"


def test_how_a_user_comes_in_is_no_step_s(kale, monkeypatch):
    monkeypatch.setenv("KALE_TOKEN", "not-for-steps")
    monkeypatch.setenv("KALE_COOKIES", "not-for-steps")
    monkeypatch.setenv("KF_PIPELINES_APP_OAUTH2_CLIENT_SECRET", "not-for-steps")
    source = textwrap.dedent("""
        import os
        from pathlib import Path
        parents = [Path(f"/proc/{pid}/environ") for pid in (os.getpid(), os.getppid())]
        texts = [str(dict(os.environ)), *(p.read_text() for p in parents if p.exists())]
        print(any("not-for-steps" in text for text in texts))
    """)
    assert kale(step("train", source)).steps["train"].log == "False\n"


AWAY = {
    "a program": "import subprocess\np = subprocess.Popen(['sleep', '600'], start_new_session=True).pid",
    "a program of a program": """
        os.system('setsid sh -c "sleep 600 & sleep 600" & echo $!')
        p = 0
    """,
    "a fork": """
        p = os.fork()
        if not p:
            os.setsid()
            time.sleep(600)
            os._exit(0)
    """,
    "a daemon": """
        r, w = os.pipe()
        p = os.fork()
        if not p:
            os.setsid()
            p = os.fork()
            if p:
                os.write(w, str(p).encode())
                os._exit(0)
            time.sleep(600)
            os._exit(0)
        os.waitpid(p, 0)
        p = int(os.read(r, 99))
    """,
}
MARKED = (AWAY["a program"], AWAY["a program of a program"])
ENDS = {
    "it ends": "",
    "it fails": "\n1 / 0",
    "it is killed": "\nimport signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "the server is killed": "\nimport signal\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(600)",
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has started a process")
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("source", AWAY.values(), ids=AWAY)
def test_nothing_outlives_a_step(kale, source, end):
    code = f"import os, time\n{textwrap.dedent(source)}\nprint(p, flush=True)\n{end}"
    kale(step("train", code), step("other", "pass"))
    (folder,) = kale.runs.glob("runs/*/train")
    pid = int((folder / "log.txt").read_text().partition("\n")[0])
    found = source in MARKED or end != ENDS["the server is killed"]
    if not found:  # a mere fork bears no mark: the README says so
        os.kill(pid, signal.SIGKILL)
    assert is_gone(pid) or not found


def is_gone(pid):
    """Whether a process ends, which may take a moment when it was killed."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], DEADLINE)[0])
    finally:
        os.close(handle)
