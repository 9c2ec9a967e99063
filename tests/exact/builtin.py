"""What Python brings along."""

from tests.exact import Row

ROWS = [
    Row(
        "numbers",
        """
v = [0, -1, 2**62, 2**63, -(2**64), 10**400, True, 0.1, -0.0, 5e-324, float("inf"), 1j, complex(-0.0, float("nan"))]
import struct
nans = [struct.unpack("<d", bits.to_bytes(8, "little"))[0] for bits in (0x7FF8000000000001, 0xFFF8000000000abc)]
""",
    ),
    Row(
        "texts and bytes",
        "v = ['', 'größe ☃ 🚀', '\\ud800', 'a\\0b', b'', bytes(range(256)), bytearray(b'ab'), 'x' * 10**5]",
    ),
    Row("a bytearray under two names", "a = bytearray(b'ab'); b = [a]", "a.append(99); r = b"),
    Row(
        "a large bytearray",
        "a = bytearray(2_000_000); b = bytes(2_000_000)",
        "a[0] = 1; r = len(a), a[:2], len(b)",
    ),
    Row(
        "constants",
        "v = [None, ..., NotImplemented, range(0, 10, 3), range(2**70), slice(1, None, 2), type(None), type(...)]",
    ),
    Row(
        "containers",
        "v = [(), [], {}, set(), frozenset({1, 'a'}), {1: {2: [3]}}, {(1, 'a'): 1, None: 2, 1.5: 3, frozenset(): 4}]",
    ),
    Row("a list in itself", "v = [1]; v.append(v)", "v[1][1].append(2); r = len(v), v[1] is v"),
    Row(
        "a dict in itself, in a tuple", "v = {}; v['t'] = (v, [v]); w = v['t']", "r = v['t'] is w, w[0] is v"
    ),
    Row("a list in a dict", "xs = [1]; d = {'a': xs, 'b': [xs, xs]}; t = (xs,)", "xs.append(2); r = d, t"),
    Row("keys that are objects", "class K: pass\nk = K(); d = {k: 1}; e = {k}", "r = d[k], k in e"),
    Row("strings as keys are one", "d = {'a' * 50: 1}; e = [*d] * 2"),
    Row(
        "collections",
        """
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, deque
v = [deque([1, [2]], maxlen=3), deque(), OrderedDict(b=1, a=2), Counter("abca"), UserDict(a=1), UserList([1])]
base, top = {"a": 1}, {}
chain = ChainMap(top, base)
""",
        "v[0].append(4); v[0].append(5); v[2].move_to_end('b'); chain['b'] = 2; base['c'] = 3; r = v[0], v[2], top, chain",
    ),
    Row(
        "defaultdicts",
        "from collections import defaultdict\nd = defaultdict(lambda: [0]); d['a'].append(1)\n"
        "nested = defaultdict(lambda: defaultdict(int)); nested[1][2] += 3",
        "d['b'].append(2); nested[4][5] += 1; r = d['b'], nested[4]",
    ),
    Row(
        "views of a dict",
        "d = {'a': 1, 'b': [2]}; k, v, i = d.keys(), d.values(), d.items()",
        "d['c'] = 3; r = list(k), list(v), list(i), k.mapping",
    ),
    Row(
        "views of an ordered dict",
        "from collections import OrderedDict\nd = OrderedDict(a=1); k, v, i = d.keys(), d.values(), d.items()",
        "d['c'] = 3; r = [list(k), list(v), list(i), type(k).__name__]",
    ),
    Row(
        "a view of a dict alone",
        "_d = {'a': 1, 'b': [2]}; k, v, i = _d.keys(), _d.values(), _d.items()",
        "r = list(k), list(v), list(i)",
    ),
    Row("a view of a dict in it", "d = {}; d['k'] = d.keys(); k = d['k']", "d[1] = 2; r = list(k)"),
    Row(
        "a read-only dict",
        "import types\nd = {'a': 1}; m = types.MappingProxyType(d)",
        "d['b'] = 2; r = dict(m)",
    ),
    Row(
        "a namespace",
        "from types import SimpleNamespace\nn = SimpleNamespace(a=1, b=[]); n.me = n; m = n.b",
        "m.append(1); r = n.b",
    ),
    Row(
        "iterators half consumed",
        """
import itertools
xs = [1, 2, 3, 4]
v = [iter(xs), iter((1, 2, 3)), iter("abc"), reversed(xs), enumerate(xs, 5), zip(xs, "abcd"), iter(range(9)), map(str, xs)]
v.append(filter(None, [0, 1, 2]))
w = [next(i) for i in v]
""",
        "xs.append(5); r = [list(i) for i in v], xs",
    ),
    Row(
        "itertools half consumed",
        """
import itertools, operator
v = [itertools.count(3), itertools.cycle("abc"), itertools.repeat(1, 5), itertools.accumulate([1, 2, 3]),
     itertools.chain([1, 2], [3]), itertools.islice(range(9), 2, 8), itertools.product("ab", repeat=2),
     itertools.combinations("abcd", 2), itertools.permutations("abc"), itertools.compress("abc", [1, 0, 1]),
     itertools.starmap(operator.add, [(1, 2), (3, 4)]), itertools.zip_longest("ab", "a"),
     itertools.takewhile(bool, [1, 2, 0]), itertools.dropwhile(bool, [1, 0, 2])]
w = [next(i) for i in v]
""",
        "r = [list(itertools.islice(i, 5)) for i in v]",
    ),
    Row("a tee", "import itertools\na, b = itertools.tee([1, 2, 3]); _ = next(a)", "r = list(a), list(b)"),
    Row(
        "decimals and fractions",
        """
import decimal, fractions
v = [decimal.Decimal("1.10"), decimal.Decimal("-0"), decimal.Decimal("sNaN5"), decimal.Decimal("1E+999"), fractions.Fraction(-1, 3)]
c = decimal.Context(prec=3, rounding=decimal.ROUND_UP, traps=[decimal.Inexact], flags=[decimal.Rounded], Emax=99)
""",
        "r = [c.prec, c.rounding, c.Emax, sorted(map(str, [s for s in c.traps if c.traps[s]])), c.flags[decimal.Rounded]]",
    ),
    Row(
        "dates and times",
        """
import datetime as dt, zoneinfo
rome = zoneinfo.ZoneInfo("Europe/Rome")
v = [dt.date(2024, 2, 29), dt.time(1, 2, 3, 4, tzinfo=dt.timezone.utc), dt.timedelta(-1, 5, 7),
     dt.datetime(2024, 10, 27, 2, 30, tzinfo=rome, fold=1), dt.timezone(dt.timedelta(hours=2), "X"), rome]
""",
        "r = [str(v[3].utcoffset()), v[3].fold, v[3].tzinfo is rome, v[4].tzname(None), v[1].tzinfo is dt.timezone.utc]",
    ),
    Row(
        "paths, patterns and ids",
        """
import ipaddress, pathlib, re, uuid
v = [pathlib.Path("a/b"), pathlib.PurePosixPath("/a"), pathlib.PureWindowsPath("C:\\\\a\\\\b"), uuid.UUID(int=2**70)]
v += [re.compile("a(?P<x>.)", re.I | re.S), re.compile(b"a.", re.M), ipaddress.ip_network("10.0.0.0/8")]
""",
        "r = v[4].flags, v[5].flags, v[4].match('AB')['x'], v[5].pattern",
    ),
    Row(
        "a match of a pattern is refused",
        "import re\nm = [re.match('a', 'ab')]",
        refused="m[0] is a re.Match",
    ),
    Row(
        "files in memory",
        "import io\na, b = io.StringIO('ab\\ncd'), io.BytesIO(b'abc'); _ = a.readline(), b.read(1)",
        "r = a.read(), b.read(), a.getvalue()",
    ),
    Row(
        "arrays of the standard library",
        "import array\na = array.array('d', [1, 2]); b = [a]",
        "a.append(3); r = b[0].tolist()",
    ),
    Row(
        "generators of random numbers",
        "import random\ng = random.Random(5); _ = g.random(), g.gauss(0, 1)",
        "r = g.gauss(0, 1), g.random(), g.sample(range(99), 5)",
    ),
    Row(
        "functions of functools",
        """
import functools, operator
base = {"n": 1}
@functools.wraps(len)
def size(x, *, plus=base): return len(x) + plus["n"]
p = functools.partial(size, plus=base); p.note = 1
q = functools.partialmethod(size, 1)
v = [operator.itemgetter(1, 2), operator.attrgetter("a.b"), operator.methodcaller("split", ","), functools.reduce]
""",
        "base['n'] = 5; r = [p('ab'), size('ab'), p.keywords, v[0]('abc'), v[2]('a,b'), size.__wrapped__]",
    ),
    Row(
        "a function with a cache",
        """
import functools
k = 2
def _make():
    @functools.lru_cache(maxsize=3, typed=True)
    def times(x): return x * k
    return times
times = _make(); times.note = "n"; _ = times(3)
@functools.cache
def double(x): return 2 * x
""",
        "r = times(4), times.cache_parameters(), times.note, times.__wrapped__(5), double(1), times.__name__",
    ),
    Row(
        "a function that dispatches",
        """
import functools
@functools.singledispatch
def show(x): return "object"
@show.register
def _show_int(x: int): return "int"
show.register(list, lambda x: "list" + str(len(x)))
_ = show(1)
""",
        "r = show(1), show([1]), show(None), sorted(t.__name__ for t in show.registry)",
    ),
    Row(
        "methods",
        "xs = [1]; add = xs.append; s = 'a-b'.split; c = dict.fromkeys; up = str.upper; n = [].__len__; m = (5).__add__",
        "add(2); r = xs, s('-'), c('ab'), up('x'), n(), m(1)",
    ),
    Row(
        "functions with defaults, attributes and closures that share",
        """
seen = []
def note(x, *, into=seen): into.append(x); note.calls += 1
note.calls = 0
def _make():
    n, log = 0, seen
    def up():
        nonlocal n
        n += 1; log.append(n)
        return n
    def get() -> "int": return n
    return up, get
up, get = _make(); up(); note("a")
""",
        "note('b'); up(); r = seen, note.calls, get(), note.__kwdefaults__['into'] is seen",
    ),
    Row(
        "a function and its module-like globals",
        "_space = {}\nexec('n = 1\\ndef f():\\n    global n\\n    n += 1\\n    return n', _space)\nf = _space['f']; f()",
        "r = f()",
    ),
    Row(
        "exceptions",
        """
import json
class Late(ValueError):
    def __init__(self, step, *, code): super().__init__(f"{step} is late"); self.step, self.code = step, code
class Slotted(Exception):
    __slots__ = ("a",)
class Own(Exception):
    def __init__(self, a, b): self.a, self.b = a, b
    def __reduce__(self): return Own, (self.a, self.b)
v = [Late("x", code=3), KeyError("k"), FileNotFoundError(2, "no", "f"), StopIteration(5), SystemExit(3), OSError("x"), Own(1, 2)]
v.append(Slotted("s")); v[-1].a = 1
v[0].__notes__ = ["n"]
shared = v[0].shared = [1]
for _code in ("json.loads('{')", "b'\\\\xff'.decode()", "None.x", "nope", "import nope", "1 +", "int('x')", "{}['a']", "1/0"):
    try:
        exec(_code)
    except Exception as _error:
        v.append(_error)
try:
    try: 1 / 0
    except ZeroDivisionError as _error: raise Late("y", code=4) from _error
except Late as _error: chained = _error
try:
    try: 1 / 0
    except ZeroDivisionError: raise KeyError("k")
except KeyError as _error: during = _error
_a, _b = ValueError("a"), ValueError("b"); _a.__context__ = _b; _a.args = ("a", [_b]); both = _a
""",
        "shared.append(2); r = v[0].shared, [str(e) for e in v], [repr(e) for e in v]",
    ),
    Row(
        "groups of exceptions",
        "import sys\nv = []\nif sys.version_info >= (3, 11): v = [ExceptionGroup('g', [ValueError(1), KeyError(2)])]",
    ),
    Row("warnings as values", "v = [UserWarning('w'), DeprecationWarning('d', 1)]"),
    Row(
        "types and annotations",
        """
import typing
from typing import Any, Callable, Generic, NewType, Optional, Protocol, TypedDict, TypeVar
T = TypeVar("T", bound=int); P = typing.ParamSpec("P")
UserId = NewType("UserId", int)
class Movie(TypedDict, total=False): name: str
class Sized2(Protocol):
    def size(self) -> int: ...
class Box(Generic[T]):
    def __init__(self, x: T): self.x = x
b = Box[int](5)
v = [list[int], dict[str, T], Optional[int], Callable[[int], str], Any, int | None, typing.Literal[1, "a"], Box[int]]
""",
        "r = [repr(t) for t in v], UserId(5), UserId.__name__, UserId.__supertype__, Movie(name='x'), Movie.__total__, b.x, "
        "b.__orig_class__, Box[int].__args__, T.__bound__, P.__name__, v[1].__args__[1] is T, Box.__parameters__[0] is T",
    ),
    Row(
        "modules and what is in them",
        "import math, os.path\nv = [math, os.path, len, math.floor, dict, type, int.from_bytes, os.environ.get]",
        "r = v[0] is math, v[1] is os.path, v[3](2.5)",
    ),
    Row(
        "a module that was made",
        "import types\n_m = types.ModuleType('made'); _m.x = [1]; v = [_m, _m.x]",
        "v[1].append(2); r = v[0].x, v[0].__name__",
    ),
    Row(
        "a logger",
        "import logging\nlog = logging.getLogger('a.b'); root = logging.getLogger()",
        "r = log.name, root is logging.getLogger()",
    ),
    Row(
        "strings of templates",
        "import string\nt = string.Template('$a'); f = string.Formatter(); m = '{}'.format",
        "r = t.substitute(a=1), m(5)",
    ),
    Row("code", "c = compile('a + 1', 'x', 'eval')", "r = eval(c, {'a': 1})"),
    Row(
        "a tree of XML",
        "import xml.etree.ElementTree as ET\nt = ET.fromstring('<a x=\"1\"><b>t</b></a>'); b = t[0]",
        "b.text = 'u'; r = ET.tostring(t)",
    ),
    Row("a syntax tree", "import ast\nt = ast.parse('x = 1')", "r = ast.dump(t), ast.unparse(t)"),
]
