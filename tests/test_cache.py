"""What is not run again: steps whose code, inputs, files and libraries are as before, and only these."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from pathlib import Path

import pytest

from kale_magics.cache.plan import plan_run
from kale_magics.execution import signing
from kale_magics.execution.events import LinePrinted, TaskEnded, TaskStarted
from kale_magics.local.fork_client import close_servers
from kale_magics.local.past_runs import clean, past_runs
from kale_magics.model import distributions
from kale_magics.model.diagnostics import Code as Codes
from kale_magics.model.diagnostics import KaleError
from kale_magics.model.options import StepOptions
from kale_magics.model.pipeline import CodeBlock, Parameter, Pipeline
from tests.test_engine import Runner, states, step
from tests.tiers import slow_but

DATA = "a,b\n1,2\n"


@pytest.fixture
def kale(tmp_path):
    runner = Runner(tmp_path)
    (runner.folder / "data.csv").write_text(DATA)
    return runner


def cached(run):
    assert run.state == "succeeded", {name: s.error for name, s in run.steps.items()}
    return {name for name, s in run.steps.items() if s.cached}


def cache_plan(kale, *steps, parameters=(), values=None):
    """What `%kale` prints of the cache for each step."""
    plans = plan_run(Pipeline("test", steps, parameters), values or {}, kale.runs, kale.folder)
    return {name: ("cached " if plan.cached else "") + plan.reason for name, plan in plans.items()}


def test_all_is_there_as_if_it_had_run(kale):
    steps = (
        step(
            "a",
            "import sys\nx = [1.5]; n = 2; print('hi'); print('oh', file=sys.stderr)",
            gives=["x"],
            metrics=("n",),
        ),
        step("b", "print(x)", {"x": "a"}),
    )
    first = kale(*steps)
    assert cached(first) == set()
    kale.events.clear()
    again = kale(*steps)
    assert cached(again) == {"a", "b"}
    assert again.outputs["a"]["x"] == [1.5]
    assert again.metrics == {"n": 2.0}
    assert {name: s.log for name, s in again.steps.items()} == {
        name: s.log for name, s in first.steps.items()
    }
    assert not any(isinstance(event, TaskStarted) for event in kale.events)
    told = [
        (e.task.step, getattr(e, "text", "ended"))
        for e in kale.events
        if isinstance(e, LinePrinted | TaskEnded)
    ]
    assert set(told[:2]) == {("a", "hi"), ("a", "oh")}
    assert told[2:] == [("a", "ended"), ("b", "[1.5]"), ("b", "ended")]
    assert [s.cached for s in past_runs(kale.runs)[0].steps.values()] == [True, True]


def test_what_a_cell_is_called_is_no_part_of_it(kale):
    def labelled(label):
        made = step("a", "x = 1", gives=["x"])
        return type(made)(**{**vars(made), "cells": (CodeBlock("x = 1", "step a", label),)})

    kale(labelled("In [1]"))
    assert cached(kale(labelled("In [7]"))) == {"a"}


def test_a_step_that_gives_the_same_leaves_the_next_alone(kale):
    use = step("b", "print(x)", {"x": "a"})
    kale(step("a", "x = 1", gives=["x"]), use)
    changed = step("a", "x = 2 - 1", gives=["x"]), use
    assert cache_plan(kale, *changed) == {
        "a": "its code has changed",
        "b": "cached unless the output of a changes",
    }
    assert cached(kale(*changed)) == {"b"}
    assert cached(kale(step("a", "x = 2", gives=["x"]), use)) == set()


def test_each_parameter_counts_where_it_is_used(kale):
    rate, size = Parameter("rate", "rate", "float", 0.5), Parameter("size", "size", "int", 1)
    steps = step("a", "print(rate)", parameters=(rate,)), step("b", "print(size)", parameters=(size,))
    more = {"parameters": (rate, size)}
    kale(*steps, **more)
    assert cached(kale(*steps, arguments={"rate": 1.0}, **more)) == {"b"}
    assert cached(kale(*steps, arguments={"rate": 1.0}, **more)) == {"a", "b"}
    told = cache_plan(kale, *steps, values={"rate": 2.0, "size": 1}, **more)
    assert told == {"a": "parameter rate has changed", "b": "cached "}
    # The first values are remembered too.
    assert cached(kale(*steps, **more)) == {"a", "b"}


READ = "x = open('data.csv').read()"
PANDAS = "import pandas as pd\nx = pd.read_csv('data.csv').sum().sum()"
MADE = "import os\nout = 'out'\nos.makedirs(out, exist_ok=True)\nwith open(f'{out}/made.txt', 'w') as f: f.write('x')"
IN_CHILD = "import multiprocessing, pathlib\nwith multiprocessing.get_context('fork').Pool(1) as pool:\n    x = pool.map(pathlib.Path.read_text, [pathlib.Path('data' + '.csv')])"
NATIVE = (
    "import os\nwhere = 'folder'\nx = os.system.__name__  # stands for compiled code that reads the folder"
)
SAME = {
    "a file": READ,
    "pandas": PANDAS,
    "a file that is made": MADE,
    "an empty file that is made": "from pathlib import Path\nPath('done').touch()",
    "a module beside the notebook": "import meeting",
    "a temporary folder": "import tempfile\nwith tempfile.TemporaryDirectory() as d: open(d + '/x', 'w').close()",
    "a seed": "import random\nrandom.seed(1); x = random.random()",
    "numpy's seed": "import numpy as np\nnp.random.seed(1); x = np.random.rand(624)",
    "a generator with a seed": "import numpy as np\nx = np.random.default_rng(1).random(), np.random.RandomState(1).rand()",
    "a generator that is loaded": "import numpy as np, copy\nx = copy.deepcopy([np.random.default_rng(1), np.random.RandomState(1)])",
    "a model with a seed": "from sklearn.tree import DecisionTreeRegressor as T\nm = T(random_state=0).fit([[0], [1]], [0, 1])",
    "a plot": "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.savefig('plot.png')",
    "processes of its own": IN_CHILD,
    "names in a folder": "import os\nx = sorted(os.listdir('.'))",
}


@pytest.mark.parametrize("name", slow_but(set(SAME) - {"a model with a seed", "a plot"}, SAME))
def test_nothing_has_changed(kale, name):
    source = SAME[name]
    kale(step("a", source))
    assert cache_plan(kale, step("a", source)) == {"a": "cached "}
    assert cached(kale(step("a", source))) == {"a"}


def test_what_a_library_has_put_aside_for_the_next_time_is_no_change(kale, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(kale.folder / "put aside"))
    (kale.folder / "put aside").mkdir()
    source = "from pathlib import Path\nimport os\nplace = Path(os.environ['XDG_CACHE_HOME'], 'fonts')\n"
    source += "try: x = place.read_text()\nexcept OSError: place.write_text('serif')"
    kale(step("a", source))
    assert cached(kale(step("a", source))) == {"a"}


def test_what_a_library_has_read_before_the_step_counts(kale, monkeypatch):
    monkeypatch.chdir(kale.folder)
    write("matplotlibrc", "lines.linewidth: 3")(kale.folder)
    imports = (CodeBlock("import matplotlib", "imports", "In [1]"),)
    use = step("a", "print(matplotlib.rcParams['lines.linewidth'])", setup=imports)
    close_servers()
    assert kale(use).steps["a"].log == "3.0\n"
    assert cached(kale(use)) == {"a"}
    write("matplotlibrc", "lines.linewidth: 4")(kale.folder)
    assert cache_plan(kale, use) == {"a": "matplotlibrc has changed"}
    close_servers()
    assert kale(use).steps["a"].log == "4.0\n"


def test_steps_that_are_not_forked_are_recorded_too(kale):
    for source, expected in ((PANDAS, {"a"}), ("import numpy as np\nx = np.random.rand(3)", set())):
        kale(step("a", source), fork=False)
        assert cached(kale(step("a", source), fork=False)) == expected
    write("data.csv")(kale.folder)
    assert cached(kale(step("a", READ), fork=False)) == set()


def write(name, text="changed"):
    return lambda folder: (folder / name).write_text(text)


CHANGED = {
    "a file": (READ, write("data.csv"), "data.csv has changed"),
    "a file, as long as before": (PANDAS, write("data.csv", "a,b\n1,3\n"), "data.csv has changed"),
    "a file in another process": (IN_CHILD, write("data.csv"), "data.csv has changed"),
    "a file that is gone": (READ, lambda folder: (folder / "data.csv").unlink(), "data.csv has changed"),
    "a file that was made": (MADE, write("out/made.txt"), "made.txt has changed"),
    "a file that was made and is gone": (MADE, lambda f: (f / "out" / "made.txt").unlink(), "made.txt has changed"),
    "a file that was not there": ("import os\nx = os.path.exists('flag.txt')", write("flag.txt"), "flag.txt has changed"),
    "a file that could not be opened": (
        "try: x = open('fl' + 'ag').read()\nexcept OSError: x = ''", write("flag"), "flag has changed"
    ),
    "a folder that compiled code may read": ("where = 'folder'", write("folder/b.parquet"), "folder has changed"),
    "a path that is computed": ("where = 'data' + '.csv'", write("data.csv"), "data.csv has changed"),
    "the names in a folder": ("import os\nx = os.listdir('.')", write("new.csv"), "work has changed"),
    "a module beside the notebook": ("import meeting", write("meeting.py", "x = 1"), "meeting.py has changed"),
    "a module that only another process has loaded": (
        "import multiprocessing\ndef f(_): import meeting; return 1\n"
        "with multiprocessing.get_context('fork').Pool(1) as pool: x = pool.map(f, [1])",
        write("meeting.py", "x = 1"), "meeting.py has changed",
    ),
    "a module that was forgotten again": (
        "import meeting, sys\ndel sys.modules['meeting']", write("meeting.py", "x = 1"), "meeting.py has changed"
    ),
    "a module that was not there": (
        "try: import own_settings\nexcept ImportError: pass", write("own_settings.py", "x = 1"), "own_settings.py has changed"
    ),
    "a file beside one that Python has opened": (
        "where = 'folder'\nopen('folder/labels.csv').close()", write("folder/a.parquet"), "folder has changed"
    ),
    "a name without an ending": ("import os\nx = os.path.isdir('models')", lambda f: (f / "models").mkdir(), "models has changed"),
    "a file whose name begins as that of the runs' folder": (
        "x = open('.kale' + 'ndar').read()", write(".kalendar"), ".kalendar has changed"
    ),
    "a link": ("x = open('li' + 'nk').read()", lambda f: ((f / "link").unlink(), (f / "link").symlink_to("data.csv")), "link has changed"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "change", "reason"), CHANGED.values(), ids=CHANGED)
def test_what_it_uses_has_changed(kale, source, change, reason):
    (kale.folder / "folder").mkdir()
    for name in ("folder/a.parquet", "folder/labels.csv", ".kalendar"):
        write(name, "as it was")(kale.folder)
    (kale.folder / "link").symlink_to("meeting.py")
    kale(step("a", f"{source}\nprint('ran')"))
    change(kale.folder)
    assert cache_plan(kale, step("a", f"{source}\nprint('ran')"))["a"].endswith(reason)
    run = kale(step("a", f"{source}\nprint('ran')"))
    assert not run.steps["a"].cached


EACH_TIME = {
    "chance": ("import random\nx = random.random()", "from random .*seed"),
    "numpy's chance before an import": (
        "import numpy as np\nx = np.random.rand(3)\nimport colorsys", r"numpy\.random .*seed"
    ),
    "the seed of another generator": (
        "import random\nimport numpy as np\nrandom.seed(1)\nx = np.random.rand()", r"numpy\.random .*seed"
    ),
    "a seed that is none": ("import random\nrandom.seed(None)\nx = random.random()  # seed (none)", "from random .*seed"),
    "chance in another process": (
        "import multiprocessing, random\ndef f(_): return random.random()\n"
        "with multiprocessing.get_context('fork').Pool(1) as pool: x = pool.map(f, [1])",
        "processes .*seed",
    ),
    "a counter in a file": (
        "import os\nn = int(open('cnt').read()) if os.path.exists('cnt') else 0\nwith open('cnt', 'w') as f: f.write(str(n + 1))",
        "cnt",
    ),
    "a harmless program and another one": ("import os\nos.system('uname > /dev/null; true')", r"program \(uname\)"),
    "a socket that listens": (
        "import socket\nwith socket.socket() as s: s.bind(('127.0.0.1', 0))", r"network \(127\.0\.0\.1\)"
    ),
    "numpy's chance": ("import numpy as np\nx = np.random.rand(624)", r"numpy\.random .*seed"),
    "a generator without a seed": ("import numpy as np\nx = np.random.default_rng().random()", "random numbers .*seed"),
    "a generator of a library without a seed": (
        "import numpy as np, functools\nx = functools.partial(np.random.default_rng)().random()", "random numbers .*seed"
    ),
    "a model without a seed": (
        "from sklearn.ensemble import RandomForestRegressor as F\nm = F(2).fit([[0], [1]], [0, 1])",
        r"numpy\.random .*seed",
    ),
    "a module that asks the clock": (
        "from pathlib import Path\nPath('clock.py').write_text('from datetime import date as d\\ndef f(): return d.today()')\n"
        "import clock\nx = clock.f()",
        r"module clock .*datetime\.date\.today",
    ),
    "a module that draws": (
        "from pathlib import Path\nPath('dice.py').write_text('import random\\ndef f(): return random.Random().random()')\n"
        "import dice\nx = dice.f()",
        "module dice ",
    ),
    "another program": ("import subprocess\nsubprocess.run(['true'])", r"program \(true\)"),
    "the shell": ("get_ipython().system('true')", r"program \(bash\)"),
    "the network": (
        "import socket\ns = socket.socket()\ntry: s.connect(('127.0.0.1', 9))\nexcept OSError: pass\ns.close()",
        r"network \(127\.0\.0\.1\)",
    ),
    "a file that it adds to": ("with open('log.txt', 'a') as f: f.write('x')", r"log\.txt"),
    "a database": (
        "import sqlite3\nc = sqlite3.connect('x.db')\nc.execute('create table if not exists t (a)')\n"
        "c.execute('insert into t values (1)')\nc.commit(); c.close()",
        r"x\.db",
    ),
    "a file that it removes": ("import os\nopen('x', 'a').close(); os.remove('data.csv')\nopen('data.csv', 'x').close()", r"data\.csv"),
}  # fmt: skip


@pytest.mark.parametrize("name", slow_but(set(EACH_TIME) - {"a model without a seed"}, EACH_TIME))
def test_what_may_come_out_differently_runs_each_time(kale, name, monkeypatch):
    source, reason = EACH_TIME[name]
    monkeypatch.chdir(kale.folder)
    monkeypatch.setenv("SHELL", "/bin/bash")
    kale(step("a", source))
    assert re.search(reason, cache_plan(kale, step("a", source))["a"])
    assert cached(kale(step("a", source))) == set()


HARMED = {
    "descriptors that are closed": "import os\nos.closerange(3, 256)\nwith open('mine.txt', 'w') as f: open('data.csv').close(); f.write('mine')",
    "a module that raises": "import sys, types\nclass M(types.ModuleType):\n    def __getattr__(self, name): raise RuntimeError(name)\nsys.modules['lazy'] = M('lazy')",
    "another kind of generator": "import numpy as np\nnp.random.set_bit_generator(np.random.PCG64(1))\nimport colorsys",
    "a folder that is gone": "import os\nos.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')",
    "a thread that draws": "import _thread, random, time\n_thread.start_new_thread(random.SystemRandom().random, ())",
    "json of its own": "import json\njson.dumps = None; open('data.csv').close()",
}


@pytest.mark.parametrize("source", HARMED.values(), ids=HARMED)
def test_a_step_is_not_harmed_by_being_recorded(kale, source):
    run = kale(step("a", f"{source}\nprint('done')"))
    assert run.state == "succeeded", run.steps["a"].error
    assert run.steps["a"].log == "done\n"
    if (kale.folder / "mine.txt").exists():
        assert (kale.folder / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("line", ["5", "{", '["file"]', '["reason"]', "\xff"])
def test_a_step_that_writes_to_its_record_runs_again(kale, line):
    source = f"from pathlib import Path\nfor p in Path('../.kale/runs').glob('*/a/uses.jsonl'): p.open('a', encoding='latin-1').write({line!r} + chr(10))"
    kale(step("a", source))
    assert cached(kale(step("a", source))) == set()


def test_a_file_that_is_written_anew_with_the_same_content_is_the_same(kale):
    use = step("a", READ)
    kale(use)
    write("data.csv", DATA)(kale.folder)
    os.utime(kale.folder / "data.csv", (1, 1))
    assert cached(kale(use)) == {"a"}
    write("data.csv", DATA.replace("2", "3"))(kale.folder)
    os.utime(kale.folder / "data.csv", (1, 1))
    assert cached(kale(use)) == set()


def test_steps_that_write_into_one_folder_leave_each_other_alone(kale):
    steps = (
        step(
            "a",
            "from pathlib import Path\nout = Path('out')\nout.mkdir(exist_ok=True)\n(out / 'a').write_text('a')",
        ),
        step("b", "from pathlib import Path\nout = Path('out')\n(out / 'b').write_text('b')", after=("a",)),
    )
    kale(*steps)
    assert cached(kale(*steps)) == {"a", "b"}


def test_without_the_cache_when_asked(kale):
    steps = step("a", "x = 1", options=StepOptions(cache=False)), step("b", "y = 1")
    kale(*steps)
    assert cache_plan(kale, *steps) == {"a": "--no-cache", "b": "cached "}
    assert cached(kale(*steps)) == {"b"}
    assert cached(kale(*steps, cache=False)) == set()


def make(name):
    return lambda folder: (folder / name).write_text("made")


def age(name, seconds):
    return lambda folder: os.utime(folder / name, (seconds, seconds))


def relink(name, target):
    return lambda folder: ((folder / name).unlink(), (folder / name).symlink_to(target))


def remove(name):
    return lambda folder: (folder / name).unlink()


def become_folder(name):
    return lambda folder: (remove(name)(folder), (folder / name).mkdir())


LOOKS = {
    "os.path.exists": ("os.path.exists(a + 'bsent')", make("absent"), "True"),
    "os.path.exists of what goes": ("os.path.exists(d + 'ata.csv')", remove("data.csv"), "False"),
    "os.path.lexists": ("os.path.lexists(d + 'ata.csv')", remove("data.csv"), "False"),
    "os.path.isfile": ("os.path.isfile(d + 'ata.csv')", become_folder("data.csv"), "False"),
    "os.path.isdir": ("os.path.isdir(d + 'ata.csv')", become_folder("data.csv"), "True"),
    "os.path.islink": ("os.path.islink(l + 'ink')", become_folder("link"), "False"),
    "os.path.getsize": ("os.path.getsize(d + 'ata.csv')", make("data.csv"), "4"),
    "os.path.getmtime": ("os.path.getmtime(d + 'ata.csv')", age("data.csv", 7), "7.0"),
    "os.path.realpath": ("os.path.basename(os.path.realpath(l + 'ink'))", relink("link", "other"), "other"),
    "os.path.samefile": ("os.path.samefile(l + 'ink', d + 'ata.csv')", relink("link", "meeting.py"), "False"),
    "os.stat": ("os.stat(d + 'ata.csv').st_mtime", age("data.csv", 7), "7.0"),
    "os.stat of bytes": ("os.stat(b'da' + b'ta.csv').st_size", make("data.csv"), "4"),
    "os.lstat": ("len(os.readlink(l + 'ink')) == os.lstat(l + 'ink').st_size", become_folder("link"), None),
    "os.readlink": ("os.readlink(l + 'ink')", relink("link", "other"), "other"),
    "os.access": ("os.access(a + 'bsent', os.R_OK)", make("absent"), "True"),
    "os.scandir": ("[e.stat().st_size for e in os.scandir(f + 'older')]", make("folder/a.txt"), "[4]"),
    "os.walk": ("[names for _, _, names in os.walk(f + 'older')]", remove("folder/a.txt"), "[[]]"),
    "Path.exists": ("Path(a + 'bsent').exists()", make("absent"), "True"),
    "Path.is_file": ("Path(d + 'ata.csv').is_file()", become_folder("data.csv"), "False"),
    "Path.is_dir": ("Path(d + 'ata.csv').is_dir()", become_folder("data.csv"), "True"),
    "Path.is_symlink": ("Path(l + 'ink').is_symlink()", become_folder("link"), "False"),
    "Path.stat": ("Path(d + 'ata.csv').stat().st_size", make("data.csv"), "4"),
    "Path.lstat": ("Path(d + 'ata.csv').lstat().st_mtime", age("data.csv", 7), "7.0"),
    "Path.resolve": ("Path(l + 'ink').resolve().name", relink("link", "other"), "other"),
    "Path.iterdir": ("sorted(p.name for p in Path(f + 'older').iterdir())", make("folder/b.txt"), "['a.txt', 'b.txt']"),
    "Path.glob": ("len([*Path(f + 'older').glob('*.txt')])", make("folder/b.txt"), "2"),
    "Path.rglob": ("len([*Path(f + 'older').rglob('*.txt')])", make("folder/b.txt"), "2"),
    "glob.glob": ("len(glob.glob(f + 'older/*.txt'))", make("folder/b.txt"), "2"),
    "glob.glob of a name": ("glob.glob(a + 'bsen?')", make("absent"), "['absent']"),
    "shutil.which": ("shutil.which('to' + 'ol', path=os.getcwd()) is None", make("tool"), "True"),
    "importlib.util.find_spec": ("importlib.util.find_spec('own_' + 'settings') is None", make("own_settings.py"), "False"),
    "importlib.resources": (
        "(importlib.resources.files('pack' + 'age') / 'data.txt').is_file()", make("package/data.txt"), "True"
    ),
    "a name of its own": ("check(a + 'bsent')", make("absent"), "True"),
    "a thread": ("threaded(a + 'bsent')", make("absent"), "True"),
    "another process": ("forked(a + 'bsent')", make("absent"), "True"),
}  # fmt: skip
ASKING = """
import glob, importlib.resources, importlib.util, multiprocessing, os, shutil
from concurrent.futures import ThreadPoolExecutor
from os.path import exists as check
from pathlib import Path
a, d, f, l = 'adfl'
def threaded(path):
    with ThreadPoolExecutor(1) as pool: return pool.submit(check, path).result()
def forked(path):
    with multiprocessing.get_context('fork').Pool(1) as pool: return pool.map(check, [path])[0]
print({})
"""


@pytest.fixture
def asked(kale):
    for name in ("folder", "package"):
        (kale.folder / name).mkdir()
    for name in ("folder/a.txt", "package/__init__.py"):
        (kale.folder / name).touch()
    (kale.folder / "link").symlink_to("data.csv")
    return kale


@pytest.mark.parametrize(("expression", "change", "answer"), LOOKS.values(), ids=LOOKS)
def test_what_a_step_asks_about_computed_paths_counts(asked, expression, change, answer):
    use = step("a", ASKING.format(expression))
    asked(use)
    assert cache_plan(asked, use) == {"a": "cached "}
    assert cached(asked(use)) == {"a"}
    change(asked.folder)
    assert cache_plan(asked, use)["a"].endswith(" has changed")
    if answer is not None:
        run = asked(use)
        assert (run.steps["a"].cached, run.steps["a"].log) == (False, f"{answer}\n")


UNCHANGED = {
    "whether a file is there": ("os.path.exists(d + 'ata.csv'), os.access(d + 'ata.csv', os.R_OK)", make("data.csv")),
    "its size": ("os.path.getsize(d + 'ata.csv')", write("data.csv", DATA.replace("2", "3"))),
    "where a link leads": ("os.path.realpath(l + 'ink')", make("data.csv")),
    "whether it is a folder": ("os.path.isdir(a + 'bsent')", make("absent")),
    "the names in a folder": ("os.listdir(f + 'older')", make("folder/a.txt")),
}  # fmt: skip


@pytest.mark.parametrize(("expression", "change"), UNCHANGED.values(), ids=UNCHANGED)
def test_what_a_step_has_not_asked_does_not_count(asked, expression, change):
    use = step("a", ASKING.format(expression))
    asked(use)
    change(asked.folder)
    assert cached(asked(use)) == {"a"}


OWN = {
    "a folder": "os.makedirs('o' + 'ut/deep', exist_ok=True)\nos.path.exists('o' + 'ut/deep/x')\nopen('o' + 'ut/deep/x', 'w').close()",
    "a copy": "shutil.copy2(d + 'ata.csv', 'co' + 'py.csv')",
    "an archive": "shutil.make_archive('pa' + 'cked', 'zip', f + 'older')",
    "a temporary file": "open('t' + 'mp', 'w').close(); os.path.getsize('t' + 'mp'); os.remove('t' + 'mp')",
    "a file beside": "(Path(f + 'older').resolve().parent / ('out' + 'put')).write_text('x')",
    "a frame": "import pandas as pd\npd.DataFrame({'a': [1]}).to_csv(f + 'older/frame' + '.csv')",
    "an array": "import numpy as np\nnp.save('arr' + 'ay', np.zeros(2))",
}  # fmt: skip


@pytest.mark.parametrize("source", OWN.values(), ids=OWN)
def test_what_a_step_asks_about_what_it_makes_itself_does_not_count(asked, source):
    use = step("a", ASKING.format("0") + source)
    asked(use)
    assert cache_plan(asked, use) == {"a": "cached "}
    assert cached(asked(use)) == {"a"}


def test_a_file_that_the_step_looks_for_before_it_makes_it(asked, monkeypatch):
    monkeypatch.chdir(asked.folder)
    use = step("a", ASKING.format("check(a + 'bsent')") + "open(a + 'bsent', 'w').close()")
    assert asked(use).steps["a"].log == "False\n"
    assert "absent" in cache_plan(asked, use)["a"]
    assert asked(use).steps["a"].log == "True\n"
    assert cached(asked(use)) == {"a"}


UNNOTICED = r"""
import copy, inspect, os, pathlib, pickle, posix, shutil, types
assert os.stat in os.supports_fd and os.stat in os.supports_follow_symlinks and {os.stat} <= os.supports_dir_fd
assert os.access in os.supports_effective_ids and len({os.stat, os.lstat, os.stat}) == 2
assert pickle.loads(pickle.dumps(os.stat)) is os.stat is copy.deepcopy(os.stat)
assert isinstance(os.stat, types.BuiltinFunctionType) and callable(os.stat) and os.stat.__name__ == 'stat'
assert 'follow_symlinks' in inspect.signature(os.stat).parameters and repr(os.stat) == '<built-in function stat>'
class Own: look = os.stat
assert Own().look('.').st_size == os.stat(path='.').st_size == os.stat(os.open('.', os.O_RDONLY)).st_size
def outcome(function, arguments):
    try: return function(*arguments)
    except (OSError, TypeError, ValueError) as error: return type(error), str(error)
for name in ('stat', 'lstat', 'access', 'readlink'):
    for arguments in ('missing',), (1.5,), (), ('.',), ('a\0',), ('missing', 4), (b'.', os.F_OK):
        assert outcome(getattr(os, name), arguments) == outcome(getattr(posix, name), arguments)
print(os.path.exists('a\0'), os.path.exists(99), pathlib.Path('.').exists(), shutil.which('missing'))
os.stat('gone')
"""


def test_a_step_does_not_notice_that_its_questions_are_recorded(kale):
    failed = kale(step("a", UNNOTICED)).steps["a"]
    assert not re.search("file_access|path_queries|runtime", failed.error.traceback)
    assert failed.error.type == "FileNotFoundError"
    assert failed.log.startswith("False False True None\n")


def test_libraries_and_imports_ask_about_few_paths_of_the_user(kale):
    run = kale(step("a", "import pandas, sklearn.ensemble, matplotlib.pyplot\nprint('done')"))
    told = [json.loads(line) for line in (run.steps["a"].folder / "uses.jsonl").read_text().splitlines()]
    questions = [line for line in told if line[-1] in ("query", "library query")]
    assert not [line for line in questions if "-packages" in line[1]]
    assert 0 < len(questions) < 100


def test_another_version_of_a_library(kale, monkeypatch):
    use = step("a", "import numpy as np\nx = np.pi")
    kale(use)
    real = distributions.installed_versions
    monkeypatch.setattr(
        "kale_magics.cache.entry.installed_versions", lambda names: {**real(names), "numpy": "0.1"}
    )
    assert cache_plan(kale, use)["a"].startswith("numpy has version 0.1, ")
    assert cached(kale(use)) == set()


def test_another_environment(kale, monkeypatch):
    use = step("a", "import os\nx = os.environ.get('MODE')")
    kale(use)
    monkeypatch.setenv("TERM_SESSION_ID", "7")
    monkeypatch.setenv("KMP_DUPLICATE_LIB_OK", "True")  # as scikit-learn does when it is imported
    assert cache_plan(kale, use) == {"a": "cached "}
    monkeypatch.setenv("MODE", "fast")
    assert cache_plan(kale, use) == {"a": "environment variable MODE is new"}
    assert cached(kale(use)) == set()
    assert "fast" not in "".join(p.read_text() for p in kale.runs.rglob("cache.json"))


def damage(name):
    def write(folder):
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return write


DAMAGES = {
    **{name: damage(name) for name in ("outputs/out_x", "result.json", "log.txt", "cache.json")},
    "an empty entry": lambda folder: (folder / "cache.json").write_text(""),
    "another entry": lambda folder: (folder / "cache.json").write_text("[]"),
    "no output": lambda folder: (folder / "outputs" / "out_x").unlink(),
    "no folder": shutil.rmtree,
}


@pytest.mark.parametrize("harm", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_entry_is_a_miss(kale, harm):
    make = step(
        "a",
        "x = list(range(1000)); print('made')",
        gives=["x"],
        metrics=("n",),
        setup=(CodeBlock("n = 1", "imports", "In [0]"),),
    )
    use = step("b", "assert x == list(range(1000))", {"x": "a"})
    first = kale(make, use)
    harm(first.steps["a"].folder)
    again = kale(make, use)
    assert not again.steps["a"].cached
    assert cached(again) <= {"b"}
    assert again.steps["a"].log == "made\n"


@pytest.mark.parametrize("name", ["../../../etc", "\0", "runs", ""])
def test_a_damaged_index_is_a_miss(kale, name):
    kale(step("a", "x = 1"))
    (place,) = (kale.runs / "cache").iterdir()
    place.write_text(name)
    assert cached(kale(step("a", "x = 1"))) == set()


def test_a_large_output_is_checked_too(kale):
    make = step("a", "import numpy as np\nx = np.zeros(1 << 20)", gives=["x"])
    harm = damage("outputs/out_x")
    harm(kale(make).steps["a"].folder)
    assert cached(kale(make)) == set()


def test_an_entry_goes_with_the_last_run_that_has_it(kale):
    make = step("a", "x = bytes(1 << 20)", gives=["x"])
    first, second = kale(make), kale(make)
    files = [run.steps["a"].artifacts["x"] for run in (first, second)]
    assert os.path.samefile(*files)
    gone, freed = clean(kale.runs, 1, None)
    assert [folder.name for folder in gone] == [first.id]
    assert freed < 1 << 20
    third = kale(make)
    assert cached(third) == {"a"}
    assert third.outputs["a"]["x"] == bytes(1 << 20)
    _, freed = clean(kale.runs, 0, None)
    assert freed >= 1 << 20
    assert list((kale.runs / "cache").iterdir()) == []


def test_a_step_that_failed_is_no_entry(kale):
    fails = step("a", "from pathlib import Path\nassert Path('ok').exists()")
    assert kale(fails).state == "failed"
    (kale.folder / "ok").touch()
    assert cached(kale(fails)) == set()
    assert cached(kale(fails)) == {"a"}


def test_what_succeeded_in_a_failed_run_is_not_run_again(kale):
    make = step("a", "x = 1", gives=["x"])
    kale(make, step("b", "1 / 0", {"x": "a"}))
    assert cached(kale(make, step("b", "x / 1", {"x": "a"}))) == {"a"}


def test_going_on_takes_what_would_run_each_time(kale):
    draws = step("a", "import random\nx = random.random()", gives=["x"])
    failed = kale(draws, step("b", "1 / 0", {"x": "a"}))
    mended = step("b", "x / 1", {"x": "a"})
    run = kale(draws, mended, resumed=failed)
    assert run.outputs["a"]["x"] == failed.outputs["a"]["x"]
    assert cached(run) == {"a"}
    other = step("a", "import random\nx = random.random() + 1", gives=["x"])
    assert cached(kale(other, mended, resumed=failed)) == set()


def test_a_value_that_is_handed_on_unchanged_is_linked(kale):
    run = kale(
        step("a", "import numpy as np\nx = np.arange(1 << 18)", gives=["x"]),
        step("b", "seen = x.sum()", {"x": "a"}, ["x"]),
        step("c", "x[-1] = 0", {"x": "b"}, ["x"]),
    )
    a, b, c = (run.steps[name].artifacts["x"] for name in "abc")
    assert os.path.samefile(a, b)
    assert not os.path.samefile(b, c)
    assert run.outputs["c"]["x"][-2:].tolist() == [(1 << 18) - 2, 0]
    told = {name: json.loads((run.steps[name].folder / "result.json").read_text()) for name in "abc"}
    digests = [told[name]["outputs"]["out_x"]["sha256"] for name in "abc"]
    assert digests[0] == digests[1] != digests[2]


def test_other_runs_are_not_harmed_by_a_step_that_runs_again(kale):
    make = step("a", "import sys\nprint('first'); x = 1", gives=["x"])
    kale(make)
    second = kale(make)
    (second.steps["a"].folder / "cache.json").unlink()
    kale(make, cache=False)
    assert [run.steps["a"].log for run in past_runs(kale.runs)] == ["first\n"] * 3


def test_nothing_is_told_before_the_first_run(kale):
    assert cache_plan(kale, step("a", "x = 1")) == {}
    assert not Path(kale.runs).exists()


def test_states_are_those_of_a_run(kale):
    make = step("a", "x = 1", gives=["x"]), step("b", "print(x)", {"x": "a"})
    kale(*make)
    assert states(kale(*make)) == {"a": "succeeded", "b": "succeeded"}


@pytest.fixture
def another_user(monkeypatch, tmp_path):
    """Lets whoever asks be somebody else from then on."""

    def become():
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
        signing._key.cache_clear()

    yield become
    signing._key.cache_clear()


def test_what_somebody_else_has_written_is_not_taken(kale, another_user):
    made = step("a", "x = 1", gives=["x"])
    assert cached(kale(made)) == set()
    assert cached(kale(made)) == {"a"}
    another_user()
    assert cached(kale(made)) == set()
    assert cached(kale(made)) == {"a"}
    assert stat.S_IMODE(signing.key_file().stat().st_mode) == 0o600


def test_a_value_that_somebody_else_has_written_is_loaded_if_they_are_trusted(kale, another_user):
    run = kale(step("a", "x = [1]", gives=["x"]))
    (kept,) = past_runs(kale.runs)
    another_user()
    for each in (run, kept):
        with pytest.raises(KaleError) as raised:
            each.outputs["a"]["x"]
        assert raised.value.diagnostics[0].code is Codes.NO_SUCH_OUTPUT
        each.trusted = True
        assert each.outputs["a"]["x"] == [1]


@pytest.mark.parametrize("harm", [lambda content: content[:-1], lambda content: content.replace(b"K", b"L")])
def test_a_damaged_value_is_not_loaded(kale, harm):
    run = kale(step("a", "x = [1]", gives=["x"]))
    path = run.steps["a"].artifacts["x"]
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(KaleError) as raised:
        run.outputs["a"]["x"]
    assert raised.value.diagnostics[0].code is Codes.NO_SUCH_OUTPUT


@pytest.mark.parametrize(("before", "after"), [('"folder": "a"', '"folder": "../../a"'), ("outputs/", "../")])
def test_a_run_that_leads_out_of_its_folder_is_none(kale, before, after):
    run = kale(step("a", "x = [1]", gives=["x"]))
    place = run.folder / "run.json"
    text = place.read_text()
    assert before in text
    place.write_text(text.replace(before, after))
    assert past_runs(kale.runs) == []
