"""Files that steps share: what code names, what is seen when a cell runs, and what a user is told."""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kale_magics.analysis.files import FileReader
from kale_magics.analysis.paths import GAP, may_be_same
from kale_magics.session.observed_files import FileObserver
from tests.shells import Shell, fresh_shell


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shell(folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    with fresh_shell(lambda: capsys.readouterr().out) as shell:
        assert shell.run("%load_ext kale_magics").success
        yield shell
        shell.run("%unload_ext kale_magics")


NAMED = [
    ("a text", "open('a.txt').read()", "a.txt", ""),
    ("a text without an ending", "open('a').read(); open('b', 'w').close()", "a", "b"),
    ("joined by /", "(Path('d') / 'x.txt').write_text('1')", "", "d/x.txt"),
    ("joined by os.path", "pd.read_csv(os.path.join('d', 'x.csv'))", "d/x.csv", ""),
    ("joined by arguments", "Path('d', 'e', 'x').read_bytes()", "d/e/x", ""),
    ("joined by a method", "np.load(Path('d').joinpath('x.npy'))", "d/x.npy", ""),
    ("added", "d = 'out'\nopen(d + '/x', 'w').close()", "", "out/x"),
    ("an f-string", "d = 'out'\nopen(f'{d}/x', 'w').close()", "", "out/x"),
    ("with a gap", "[open(f'parts/p{i}.txt', 'w').close() for i in range(2)]", "", "parts/p?.txt"),
    ("by format", "open('parts/p{}.txt'.format(i)); open('q%02d.txt' % i)", "parts/p?.txt q?.txt", ""),
    ("a variable", "out = Path('data'); out.mkdir()\nx = out / 'x'\nx.write_text('1')", "", "data/x"),
    ("added to a variable", "p = Path('a')\np /= 'b'\np.read_text()", "a/b", ""),
    ("in a with", "with open('a.txt', 'a') as f: f.write('b.txt')", "", "a.txt"),
    ("a parent, another ending", "p = Path('a/b.csv')\np.with_suffix('.txt').read_text(); (p.parent / 'c').read_text()", "a/b.txt a/c", ""),
    ("a name that is bound again", "p = 'a.txt'\np = f()\nopen(p)", "", ""),
    ("a name that is bound in a branch", "p = 'a.txt'\nif x: p = 'b.txt'\nopen(p)", "", ""),
    ("a parameter of that name", "p = 'a.txt'\ndef f(p): open(p)", "", ""),
    ("a function", "p = 'a.txt'\ndef f(): open(p)", "a.txt", ""),
    ("glob", "glob.glob('parts/*.txt'); sorted(Path('q').glob('*.csv'))", "parts/*.txt q/*.csv", ""),
    ("rglob", "[*Path('q').rglob('*.csv')]", "q/**/*.csv", ""),
    ("listed", "os.listdir('a'); os.scandir('b'); Path('c').iterdir(); os.walk('d')", "a/* b/* c/* d/**", ""),
    ("the present folder", "os.listdir()", "./*", ""),
    ("a folder", "pd.read_parquet('d')", "d d/**", ""),
    ("endings", "np.save('a', x); np.savez(file='b', x=x); plt.savefig('c')", "", "a.npy b.npz c.png"),
    ("endings that are there", "np.save('a.npy', x); plt.savefig('c.pdf')", "", "a.npy c.pdf"),
    ("an archive", "shutil.make_archive('a', 'gztar', 'd')", "d d/**", "a.tar.gz"),
    ("joblib, pickle", "joblib.dump(m, 'm.joblib'); pickle.dump(m, open('m.pkl', 'wb'))", "", "m.joblib m.pkl"),
    ("torch", "torch.save(m.state_dict(), 'm.pt')", "", "m.pt"),
    ("a copy", "shutil.copy('a.csv', 'd'); shutil.copyfile('a', 'b')", "a a.csv", "b d/a.csv"),
    ("a move", "os.replace('a', 'b'); Path('c').rename('e')", "", "a b c e"),
    ("a removal", "os.remove('a'); Path('b').unlink(); shutil.rmtree('c')", "", "a b c/**"),
    ("an archive that is opened", "zipfile.ZipFile('a.zip', 'w'); tarfile.open('b.tgz', 'w:gz'); zipfile.ZipFile('c.zip')", "c.zip", "a.zip b.tgz"),
    ("a database that is read", "c = sqlite3.connect('a.db')\nc.execute('select 1')", "a.db", ""),
    ("a database that is changed", "c = sqlite3.connect('a.db')\nc.execute('insert into t values (1)')", "", "a.db"),
    ("what makes a folder", "os.makedirs('a/b'); Path('c/d').mkdir(); os.chdir('e/f')", "", ""),
    ("texts that are no files", "s.replace('a/b', 'c/d'); xs.remove('a'); ys = xs.copy(); print('x.txt'); ' '.join(xs)", "a/b c/d", ""),
    ("an address", "pd.read_csv('https://x.org/a.csv')", "", ""),
    ("a command", "get_ipython().system('sort a.txt > b.txt')", "a.txt", "b.txt"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "read", "written"), [n[1:] for n in NAMED], ids=[n[0] for n in NAMED])
def test_files_that_code_names(source: str, read: str, written: str) -> None:
    uses = FileReader({}).read(ast.parse(source))
    found = [{u.pattern.replace(GAP, "?") for u in uses if u.writes is writes} for writes in (False, True)]
    assert found == [set(read.split()), set(written.split())]


FIT = [
    ("/a/b.txt", "/a/b.txt", True),
    ("/a/b.txt", "/a/c.txt", False),
    ("/a/*.txt", "/a/b.txt", True),
    ("/a/*.txt", "/a/b/c.txt", False),
    ("/a/**/*.txt", "/a/b/c.txt", True),
    ("/a/**/*.txt", "/a/c.txt", True),
    ("/a/**", "/a/b/c", True),
    ("/a/**", "/b/c", False),
    (f"/a/p{GAP}.txt", "/a/*.txt", True),
    (f"/a/p{GAP}.txt", "/a/q*.txt", False),
    (f"/a/{GAP}1.txt", f"/a/x{GAP}", True),
    ("/a/p?.txt", "/a/p[0-9].txt", True),
    ("/" + "*a" * 30, "/" + "a" * 60 + "b", False),
]


@pytest.mark.parametrize(("one", "other", "same"), FIT)
def test_paths_that_may_be_of_one_file(one: str, other: str, same: bool) -> None:
    assert may_be_same(one, other) is may_be_same(other, one) is same


IMPORTS = "%%kale imports\nimport glob, os, shutil, sqlite3\nfrom pathlib import Path\nimport numpy as np\nimport pandas as pd"
MAKE = "os.makedirs('parts', exist_ok=True)\n"
PARTS = MAKE + "for i in range(2):\n    with open(f'parts/p{i}.txt', 'w') as f: f.write(str(i))"
SHARED = [
    ("joined", "out = Path('data'); out.mkdir(exist_ok=True)\n(out / 'x.txt').write_text('1')", "(Path('data') / 'x.txt').read_text()"),
    ("joined and in one text", MAKE + "open(os.path.join('parts', 'x'), 'w').close()", "open('parts/x').close()"),
    ("absolute and relative", "Path('x').write_text('1')", "(Path.cwd() / 'x').read_text()"),
    ("globbed", PARTS, "for p in glob.glob('parts/*.txt'): open(p).close()"),
    ("globbed by pathlib", PARTS, "[p.read_text() for p in Path('parts').glob('p*')]"),
    ("globbed by pathlib, deep", PARTS, "[p.read_text() for p in Path('.').rglob('p*.txt')]"),
    ("listed", PARTS, "os.listdir('parts')"),
    ("iterated", PARTS, "names = [p.name for p in Path('parts').iterdir()]"),
    ("walked", PARTS, "[n for _, _, n in os.walk('parts')]"),
    ("scanned", PARTS, "names = [e.name for e in os.scandir('parts')]"),
    ("one of several", PARTS, "open('parts/p1.txt').close()"),
    ("packed", PARTS, "shutil.make_archive('packed', 'zip', 'parts')"),
    ("numpy's ending", "np.save('a', np.zeros(2))", "b = np.load('a.npy')"),
    ("numpy's other ending", "np.savez('a', b=np.zeros(2))", "b = np.load('a.npz')['b']"),
    ("a table", MAKE + "pd.DataFrame({'a': [1]}).to_csv(Path('parts') / 'a.csv')", "pd.read_csv('parts/a.csv')"),
    ("added to by both", "with open('log.txt', 'a') as f: f.write('a')", "with open('log.txt', 'a') as f: f.write('b')"),
    ("moved", "Path('t').write_text('1'); os.replace('t', 'final')", "open('final').close()"),
    ("removed", "Path('x').write_text('1')", "Path('x').unlink()"),
    ("a database", "c = sqlite3.connect('x.db'); c.execute('create table if not exists t (a)'); c.commit(); c.close()",
     "c = sqlite3.connect('x.db'); c.execute('select * from t'); c.close()"),
]  # fmt: skip
APART = [
    ("its own file", "Path('a').write_text('1'); Path('a').read_text()", "Path('b').write_text('1'); Path('b').read_text()"),
    ("only read", "pd.read_csv('given.csv'); os.listdir('.')", "pd.read_csv('given.csv'); glob.glob('*.csv')"),
    ("one folder", MAKE + "Path('parts/a').write_text('1')", MAKE + "Path('parts/b').write_text('1')"),
    ("files for parts of one thing", MAKE + "for k in range(2): open(f'parts/a{k}', 'w').close()",
     MAKE + "for k in range(2, 4): open(f'parts/a{k}', 'w').close()"),
    ("another pattern", PARTS, "glob.glob('parts/*.csv'); glob.glob('*.txt')"),
    ("looked for", "os.path.exists('a.txt')", "os.path.exists('a.txt')"),
    ("temporary files", "import tempfile\nwith tempfile.TemporaryDirectory(dir='.') as d: (Path(d) / 'x').write_text('1')",
     "import tempfile\nwith tempfile.TemporaryFile() as f: f.write(b'1')"),
    ("a picture of its own", "import matplotlib.pyplot as plt\nplt.plot([1]); plt.savefig('a.png')",
     "import matplotlib.pyplot as plt\nplt.plot([1]); plt.savefig('b.png')"),
]  # fmt: skip
HIDDEN = [
    ("a path that is computed", "p = '-'.join(['a', 'b'])\nPath(p).write_text('1')", "q = str.join('-', 'ab')\nPath(q).read_text()"),
    ("a helper", "def keep(p): Path(p).write_text('1')\nkeep('x' * 3)", "Path('xxx').read_text()"),
    ("a thread", "import threading\nt = threading.Thread(target=lambda: Path('x' * 3).write_text('1')); t.start(); t.join()", "open('xxx').close()"),
    ("names from a list", MAKE + "for n in ['one', 'two']: Path('parts', n).write_text('1')", "[(Path('parts') / n).read_text() for n in ['one']]"),
]  # fmt: skip


def told(shell: Shell, first: str, second: str, options: str = "") -> list[str]:
    """Run two steps; the messages that name a file."""
    Path("given.csv").write_text("a\n1\n")
    for cell in (IMPORTS, f"%%kale step a{options}\n{first}", f"%%kale step b{options}\n{second}"):
        outcome = shell.run(cell)
        assert outcome.success, outcome.printed
    return re.findall(r"^KALE224.*|^  fix: .*--after a$", shell.run("%kale").printed, re.MULTILINE)


@pytest.mark.parametrize("cold", ["", " --no-run"], ids=["live", "cold"])
@pytest.mark.parametrize(("first", "second"), [s[1:] for s in SHARED], ids=[s[0] for s in SHARED])
def test_a_file_of_two_steps_is_reported(shell: Shell, first: str, second: str, cold: str) -> None:
    message, fix = told(shell, first, second, cold)
    assert "step a" in message
    assert "step b" in message
    assert fix.endswith("%%kale step b --after a")


@pytest.mark.parametrize(("first", "second"), [s[1:] for s in HIDDEN], ids=[s[0] for s in HIDDEN])
def test_a_file_that_only_the_session_has_seen(shell: Shell, first: str, second: str) -> None:
    assert len(told(shell, first, second)) == 2


@pytest.mark.parametrize("cold", ["", " --no-run"], ids=["live", "cold"])
@pytest.mark.parametrize(("first", "second"), [s[1:] for s in APART], ids=[s[0] for s in APART])
def test_files_that_steps_do_not_share(shell: Shell, first: str, second: str, cold: str) -> None:
    assert told(shell, first, second, cold) == []


def test_steps_that_are_ordered_may_share_files(shell: Shell) -> None:
    assert told(shell, "n = 1\n" + PARTS, "print(n)\nglob.glob('parts/*.txt')") == []
    shell.run("%kale_reset")
    for cell in (IMPORTS, f"%%kale step a\n{PARTS}", "%%kale step b --after a\nglob.glob('parts/*.txt')"):
        assert shell.run(cell).success
    assert "KALE224" not in shell.run("%kale").printed


def test_a_file_outside_of_the_notebooks_folder_counts_if_the_code_names_it(
    shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "notebook").mkdir()
    (folder / "data").mkdir()
    monkeypatch.chdir(folder / "notebook")
    write = f"place = {str(folder / 'data')!r}\n(Path(place) / ('x' * 3)).write_text('1')"
    assert len(told(shell, write, f"data = {str(folder / 'data')!r}\nopen(data + '/' + 'xxx').close()")) == 2


def test_what_a_cell_that_failed_has_used_is_not_told(shell: Shell) -> None:
    assert shell.run(IMPORTS).success
    assert not shell.run("%%kale step a\nPath('x' * 3).write_text('1')\n1 / 0").success
    assert shell.run("%%kale step b\ny = 1\nopen('x' 'xx').close()").success
    assert "KALE224" not in shell.run("%kale").printed
    assert observers() == 0


def observers() -> int:
    """How many cells are observed."""
    from kale_magics.session import observed_files

    return len(observed_files._observers)


def test_a_cell_that_runs_another_one_is_observed_with_it(shell: Shell) -> None:
    assert shell.run(IMPORTS).success
    inner = 'get_ipython().run_cell(\'open("x" * 3, "w").close()\')'
    assert shell.run(f"%%kale step a\n{inner}").success
    assert shell.run("%%kale step b\nn = 3\nopen('x' * n).close()").success
    assert "KALE224" in shell.run("%kale").printed


def test_what_is_observed(folder: Path) -> None:
    observer = FileObserver("", {})
    thread = threading.Thread(target=Path("b").write_text, args=["1"])
    Path("a").write_text("1")
    thread.start()
    thread.join()
    for name in ("a", "given", "b"):
        Path(name).touch()
        Path(name).read_text()
    seen = observer.end()
    assert seen.written == {str(folder / name) for name in ("a", "b", "given")}
    assert seen.read == set()
    Path("c").write_text("1")
    again = FileObserver("", {})
    Path("c").read_text()
    list(Path(".").iterdir())
    assert again.end().read == {str(folder / "c"), str(folder / "*")}


def test_nothing_is_done_while_no_cell_is_observed(folder: Path) -> None:
    observer = FileObserver("", {})
    Path("a").write_text("1")
    observer.end()
    events = observer.events
    Path("a").read_text()
    assert observer.events == events == 1


def test_code_without_files_costs_no_events(folder: Path) -> None:
    observer = FileObserver("", {})
    exec(
        compile("x = sum(i * i for i in range(1000)); import json; json.dumps([x] * 100)", "cell", "exec"), {}
    )
    assert observer.end().read == set()
    assert observer.events == 0


def test_many_files_are_told_by_their_folders(folder: Path) -> None:
    Path("many").mkdir()
    observer = FileObserver("", {})
    for number in range(1100):
        open(f"many/{number:04}", "w").close()
    seen = observer.end()
    assert len(seen.written) == 1001
    assert str(folder / "many" / "*") in seen.written
