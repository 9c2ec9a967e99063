"""What cannot cross, and how its place is told."""

from tests.exact import Row


def refused(name: str, source: str, says: str, setup: str = "", crosses: str = "", needs: str = "") -> Row:
    """A row that is refused."""
    return Row(f"refused: {name}", source, "", setup, needs, crosses, refused=says)


ROWS = [
    refused("a generator", "g = (x for x in [])", "g is a generator"),
    refused(
        "a generator in a dict of lists",
        "v = {'a': [1, (2, (x for x in []))]}",
        "v['a'][1][1] is a generator",
    ),
    refused(
        "an attribute of an attribute",
        "import sqlite3\nclass A: pass\nv = {'db': A()}; v['db'].conn = sqlite3.connect(':memory:')",
        "v['db'].conn is a sqlite3.Connection",
    ),
    refused(
        "a slot",
        "import threading\nclass A: __slots__ = ('lock',)\nv = [A()]; v[0].lock = threading.Lock()",
        "v[0].lock is a _thread.lock",
    ),
    refused(
        "a slot of a base",
        "import threading\nclass A: __slots__ = ('lock',)\nclass B(A): pass\nv = B(); v.x = 1; v.lock = threading.RLock()",
        "v.lock is a _thread.RLock",
    ),
    refused(
        "a private slot",
        "class A:\n    __slots__ = ('__g',)\n    def __init__(self): self.__g = (x for x in [])\nv = A()",
        "v._A__g is a generator",
    ),
    refused(
        "a dataclass with slots",
        "import dataclasses\n@dataclasses.dataclass(slots=True)\nclass A: g: object\nv = A((x for x in []))",
        "v.g is a generator",
    ),
    refused(
        "a field of a dataclass",
        "import dataclasses\n@dataclasses.dataclass\nclass A: g: object\nv = A((x for x in []))",
        "v.g is a generator",
    ),
    refused(
        "a field of a named tuple",
        "import typing\nclass A(typing.NamedTuple): g: object\nv = [A((x for x in []))]",
        "v[0].g is a generator",
    ),
    refused(
        "an item of a deque",
        "from collections import deque\nv = deque([1, (x for x in [])])",
        "v[1] is a generator",
    ),
    refused("a key", "v = {1: 2, (x for x in []): 3}", "a key of v is a generator"),
    refused(
        "a part of a key",
        "import threading\nv = {'k': {(1, threading.Lock()): 3}}",
        "(a key of v['k'])[1] is a _thread.lock",
    ),
    refused("an element of a set", "v = [{1, (x for x in [])}]", "an element of v[0] is a generator"),
    refused(
        "a closure", "def _make(g):\n    return lambda: g\nv = _make(x for x in [])", "g in v is a generator"
    ),
    refused("a default", "def v(a, g=(x for x in [])): pass", "v.__defaults__[0] is a generator"),
    refused(
        "a keyword's default", "def v(*, g=(x for x in [])): pass", "v.__kwdefaults__['g'] is a generator"
    ),
    refused("an attribute of a function", "def v(): pass\nv.g = (x for x in [])", "v.g is a generator"),
    refused(
        "an argument of a partial",
        "import functools\nv = functools.partial(print, 1, (x for x in []))",
        "v.args[1] is a generator",
    ),
    refused(
        "a keyword of a partial",
        "import functools\nv = functools.partial(print, end=(x for x in []))",
        "v.keywords['end'] is a generator",
    ),
    refused(
        "a function of a partial",
        "import functools\ndef _f(a, g=(x for x in [])): pass\nv = functools.partial(_f, 1)",
        "v.func.__defaults__[0] is a generator",
    ),
    refused(
        "the object of a method",
        "class A:\n    def m(self): pass\n_a = A(); _a.g = (x for x in [])\nv = _a.m",
        "v.__self__.g is a generator",
    ),
    refused("the object of a builtin method", "v = [(x for x in [])].append", "v.__self__[0] is a generator"),
    refused("a class that travels", "class A:\n    g = (x for x in [])", "A.g is a generator"),
    refused(
        "an object of a class that travels",
        "class _A:\n    g = (x for x in [])\nv = _A()",
        "type(v).g is a generator",
    ),
    refused(
        "the state of a definition",
        "import threading\nC.locks = {'a': threading.Lock()}; C",
        "C.locks['a'] is a _thread.lock",
        "class C: pass",
        "C",
    ),
    refused(
        "a method with a closure",
        "def _make(g):\n    class A:\n        def m(self): return g\n    return A\nA = _make(x for x in [])",
        "g in A.m is a generator",
    ),
    refused("an open file", "import os\nv = {'f': open(os.devnull)}", "v['f'] is a _io.TextIOWrapper"),
    refused("an open binary file", "import os\nv = open(os.devnull, 'rb')", "v is a _io.BufferedReader"),
    refused(
        "a file of a csv reader",
        "import csv, io\nv = [csv.reader(io.StringIO('a'))]",
        "v[0] is a _csv.reader",
    ),
    refused("a socket", "import socket\nv = [socket.socket()]", "v[0] is a socket.socket"),
    refused("a thread", "import threading\nv = [threading.Thread()]", "v[0] is a threading.Thread"),
    refused("a queue", "import queue\nv = queue.Queue()", "v.mutex is a _thread.lock"),
    refused("an event", "import threading\nv = threading.Event()", "v._cond._lock is a _thread.lock"),
    refused(
        "a pool",
        "from concurrent.futures import ThreadPoolExecutor\nv = {'p': ThreadPoolExecutor(1)}",
        "v['p']._work_queue is a _queue.SimpleQueue",
    ),
    refused("variables of a thread", "import threading\nv = threading.local()", "v is a _thread._local"),
    refused(
        "a context variable",
        "import contextvars\nv = [contextvars.ContextVar('a')]",
        "v[0] is a _contextvars.ContextVar",
    ),
    refused(
        "a process",
        "import subprocess\nv = subprocess.Popen(['true']); v.wait()",
        "v._waitpid_lock is a _thread.lock",
    ),
    refused(
        "a cursor",
        "import sqlite3\n_c = sqlite3.connect(':memory:'); v = [_c.cursor()]",
        "v[0] is a sqlite3.Cursor",
    ),
    refused("a coroutine", "async def _f(): pass\n_c = _f(); v = [_c]; _c.close()", "v[0] is a coroutine"),
    refused("a frame", "import sys\nv = [sys._getframe()]", "v[0] is a frame"),
    refused(
        "a traceback", "try: 1 / 0\nexcept Exception as _e: v = [_e.__traceback__]", "v[0] is a traceback"
    ),
    refused(
        "an attribute of an exception",
        "v = [ValueError('a')]; v[0].g = (x for x in [])",
        "v[0].g is a generator",
    ),
    refused(
        "an argument of an exception", "v = ValueError('a', (x for x in []))", "v.args[1] is a generator"
    ),
    refused(
        "a cause of an exception",
        "v = ValueError('a'); v.__cause__ = KeyError(x for x in [])",
        "v.__cause__.args[0] is a generator",
    ),
    refused("a view of bytes", "v = {'m': memoryview(b'ab')}", "v['m'] is a memoryview"),
    refused("a map over a generator", "v = map(str, (x for x in []))", "v is a map"),
    refused(
        "a cell of a frame",
        "import pandas as pd\ndf = pd.DataFrame({'x': [1, 2, 3, (x for x in [])], 'y': 1})",
        "df['x'].iloc[3] is a generator",
    ),
    refused(
        "a part of a cell",
        "import pandas as pd\nv = [pd.DataFrame({('a', 1): [1, {'k': (x for x in [])}]})]",
        "v[0][('a', 1)].iloc[1]['k'] is a generator",
    ),
    refused(
        "a cell of one of two columns of a name",
        "import pandas as pd\ndf = pd.DataFrame([[1, (x for x in [])]], columns=['x', 'x'], dtype=object)",
        "df.iloc[:, 1].iloc[0] is a generator",
    ),
    refused(
        "an element of a series",
        "import pandas as pd\ns = pd.Series([1, (x for x in [])], index=['a', 'b'])",
        "s.iloc[1] is a generator",
    ),
    refused(
        "a label of an index",
        "import pandas as pd\ns = pd.Series([1, 2], index=['a', (x for x in [])])",
        "s.index[1] is a generator",
    ),
    refused(
        "attrs of a frame",
        "import pandas as pd\ndf = pd.DataFrame({'x': [1]}); df.attrs['g'] = (x for x in [])",
        "df.attrs['g'] is a generator",
    ),
    refused(
        "an element of an array",
        "import numpy as np\na = np.array([[1, 2], [3, None]], dtype=object); a[1, 0] = (x for x in [])",
        "a[1, 0] is a generator",
    ),
    refused(
        "an element of an array of no dimension",
        "import numpy as np\na = np.array((x for x in []), dtype=object)",
        "a[()] is a generator",
    ),
    refused(
        "a field of an array",
        "import numpy as np\na = np.zeros(3, [('n', int), ('o', object)]); a['o'][2] = (x for x in [])",
        "a['o'][2] is a generator",
    ),
    refused(
        "a memory map that writes",
        "import numpy as np, tempfile\nm = [np.memmap(tempfile.TemporaryFile(), 'u1', 'w+', shape=3)]",
        "m[0] is a numpy.memmap",
    ),
    refused(
        "a model with a lock",
        "import threading\nfrom sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import FunctionTransformer\n"
        "m = make_pipeline(FunctionTransformer(len, kw_args={'l': threading.Lock()}))",
        "m.steps[0][1].kw_args['l'] is a _thread.lock",
    ),
    refused(
        "the graph of a computation",
        "import torch\nlosses = [torch.ones(2, requires_grad=True).sum()]",
        "losses[0] is a torch.Tensor",
        needs="torch",
    ),
    refused(
        "a user's own reason",
        "class A:\n    def __reduce__(self): raise ValueError('not me')\nv = {'a': A()}",
        "v['a'] is a A (ValueError: not me)",
    ),
]
