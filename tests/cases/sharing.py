"""Names of one object stay names of one object, whatever a step does to one of them."""

from tests.cases import Case

CASES = [
    Case(
        "a name that a step may bind anew, while another holds its object",
        """
%%kale step a
xs = [1]
d = {"x": xs}
%%kale step b
if len(xs) > 5:
    xs = []
%%kale step c
xs.append(4)
print("RESULT", d, xs)
""",
        "{'x': [1, 4]} [1, 4]",
    ),
    Case(
        "a name that is bound to itself",
        """
%%kale step a
xs = [1]
d = {"x": xs}
%%kale step b
xs = xs or []
%%kale step c
xs.append(4)
print("RESULT", d, xs)
""",
        "{'x': [1, 4]} [1, 4]",
    ),
    Case(
        "names that change places",
        """
%%kale step a
xs, ys = [1], [2]
zs = xs
%%kale step b
xs, ys = ys, xs
%%kale step c
zs.append(4)
print("RESULT", xs, ys)
""",
        "[2] [1, 4]",
    ),
    Case(
        "a parameter that a container holds",
        """
%%kale parameters
sizes = [1]
%%kale step a
d = {"sizes": sizes}
%%kale step b
d["sizes"].append(2)
%%kale step c
print("RESULT", sizes)
""",
        "[1, 2]",
    ),
    Case(
        "what a functions cell has made under another name",
        """
%%kale functions
config = {"depth": [1]}
%%kale step a
own = config
%%kale step b
own["depth"].append(2)
%%kale step c
print("RESULT", config)
""",
        "{'depth': [1, 2]}",
    ),
    Case(
        "a function that gives a variable of the notebook",
        """
%%kale functions
cache = {}
def get():
    return cache
%%kale step a
get()["a"] = 1
%%kale step b
held = get()
held["b"] = 2
%%kale step c
print("RESULT", cache)
""",
        "{'a': 1, 'b': 2}",
    ),
    Case(
        "a function that keeps what it gives back",
        """
%%kale functions
kept = {}
def register(value):
    kept["x"] = value
    return value
%%kale step a
xs = [1]
xs = register(xs)
%%kale step b
xs.append(2)
print("RESULT", kept)
""",
        "{'x': [1, 2]}",
    ),
    Case(
        "a closure that gives what it has taken along",
        """
%%kale step a
def make(a):
    return lambda: a
xs = []
f = make(xs)
ys = f()
%%kale step b
xs.append(1)
print("RESULT", ys)
""",
        "[1]",
    ),
    Case(
        "a closure that changes what it has taken along",
        """
%%kale step a
def make(a):
    def inner():
        a.append(1)
    return inner
xs = []
f = make(xs)
%%kale step b
f()
%%kale step c
print("RESULT", xs)
""",
        "[1]",
    ),
    Case(
        "a loop over values of many types",
        """
%%kale step a
d = {"x": [], "a": 0}
%%kale step b
for x in d.values():
    if isinstance(x, list):
        x.append(1)
%%kale step c
print("RESULT", d)
""",
        "{'x': [1], 'a': 0}",
    ),
    Case(
        "a name that ends as a number in its cell",
        """
%%kale step a
xs = []
%%kale step b
x = xs
x.append(1)
x = 0
%%kale step c
print("RESULT", xs)
""",
        "[1]",
    ),
    Case(
        "what is taken out of one container, and still held by a name",
        """
%%kale step a
xs = []
todo = [xs]
%%kale step b
x = todo.pop()
%%kale step c
x.append(1)
%%kale step d
print("RESULT", xs)
""",
        "[1]",
    ),
    *(
        Case(
            f"elements that are changed in a loop over {loop}",
            f"""
%%kale step a
xs = [[2], [1]]
ys = [[3], [4]]
%%kale step b --no-run
for x in {loop}:
    {change}
%%kale step c --no-run
print("RESULT", xs)
""",
            answer,
        )
        for loop, change, answer in (
            ("enumerate(xs)", "x[1].append(0)", "[[2, 0], [1, 0]]"),
            ("zip(xs, ys)", "x[0].append(0)", "[[2, 0], [1, 0]]"),
            ("reversed(xs)", "x.append(0)", "[[2, 0], [1, 0]]"),
            ("sorted(xs)", "x.append(0)", "[[2, 0], [1, 0]]"),
            ("filter(None, xs)", "x.append(0)", "[[2, 0], [1, 0]]"),
            ("list(xs)", "x.append(0)", "[[2, 0], [1, 0]]"),
        )
    ),
    Case(
        "the best of several, changed without a session's help",
        """
%%kale step a --no-run
xs = [[2], [1, 1]]
%%kale step b --no-run
best = max(xs, key=len)
best.append(0)
%%kale step c --no-run
print("RESULT", xs)
""",
        "[[2], [1, 1, 0]]",
    ),
    *(
        Case(
            f"a shallow copy: {copy}",
            f"""
%%kale step a
from copy import copy
ys = []
xs = [ys]
xs = {copy}
%%kale step b
ys.append(1)
print("RESULT", xs)
""",
            answer,
        )
        for copy, answer in (
            ("xs.copy()", "[[1]]"),
            ("xs[:]", "[[1]]"),
            ("list(xs)", "[[1]]"),
            ("sorted(xs)", "[[1]]"),
            ("xs + [0]", "[[1], 0]"),
            ("[x for x in xs]", "[[1]]"),
            ("copy(xs)", "[[1]]"),
        )
    ),
    Case(
        "shallow copies without a session's help",
        """
%%kale step a --no-run
xs = []
d = {"x": xs}
e = d.copy()
f = dict(d)
g = d | {"b": 0}
h = [0] + [xs]
%%kale step b --no-run
xs.append(1)
%%kale step c --no-run
print("RESULT", e, f, g, h)
""",
        "{'x': [1]} {'x': [1]} {'x': [1], 'b': 0} [0, [1]]",
    ),
    Case(
        "an object that is put into a list",
        """
%%kale step a
class Box:
    def __init__(self, n):
        self.n = n
boxes = []
for i in range(3):
    boxes.append(Box(i))
%%kale step b
print("RESULT", [b.n for b in boxes])
""",
        "[0, 1, 2]",
    ),
    Case(
        "objects that functions and methods put away",
        """
%%kale step a
log, table, more = [], {}, {}
class Box:
    def __init__(self, n):
        self.n = n
        log.append(self)
def double(n):
    return 2 * n
def add(n):
    more.update(x=Box(n))
def register(name, function):
    table[name] = function
Box(4)
add(5)
register("d", double)
%%kale step b
print("RESULT", log[0].n, more["x"].n, table["d"](6))
""",
        "4 5 12",
    ),
    Case(
        "a method that is given to a class below it",
        """
%%kale step a
class A:
    pass
def hello(self):
    return "hello"
A.hello = hello
x = A()
%%kale step b
print("RESULT", x.hello())
""",
        "hello",
    ),
    Case(
        "definitions that get another meaning in their cell",
        """
%%kale step a
import functools
def double(f):
    return lambda x: 2 * f(x)
def g(x):
    return x
g = double(g)
def h(x):
    return x
h = lambda x: 3
@functools.total_ordering
class P:
    def __init__(self, n):
        self.n = n
    def __eq__(self, other):
        return self.n == other.n
    def __lt__(self, other):
        return self.n < other.n
class box:
    n = 3
box = box()
def k():
    return 1
k = g
%%kale step b
print("RESULT", g(2), h(2), P(1) >= P(0), box.n, k(5))
""",
        "4 3 True 3 10",
    ),
    Case(
        "a function that stores what it gets in a variable",
        """
%%kale functions
current = None
def use(a):
    global current
    current = a
%%kale step a
xs = []
use(xs)
%%kale step b
xs.append(1)
%%kale step c
print("RESULT", current)
""",
        "[1]",
    ),
    Case(
        "an object that keeps a variable of the notebook",
        """
%%kale step a
log = []
class Box:
    def __init__(self):
        self.items = log
p = Box()
%%kale step b
p.items.append(1)
%%kale step c
print("RESULT", log)
""",
        "[1]",
    ),
    Case(
        "a default that is a variable's object",
        """
%%kale step a
xs = []
def f(a=xs):
    a.append(1)
zs = [xs]
%%kale step b
f()
%%kale step c
print("RESULT", xs, zs)
""",
        "[1] [[1]]",
    ),
    Case(
        "a method that is given away",
        """
%%kale step a
xs, ys = [], []
u = ys.append
%%kale step b
list(map(xs.append, [1, 2]))
list(map(u, [3]))
%%kale step c
print("RESULT", xs, ys)
""",
        "[1, 2] [3]",
    ),
    Case(
        "a name that may be deleted",
        """
%%kale step a
ys = [1]
d = {"x": ys}
%%kale step b
if len(ys) > 3:
    del ys
%%kale step c
ys.append(2)
print("RESULT", d)
""",
        "{'x': [1, 2]}",
    ),
    Case(
        "a function that cleans what others hold",
        """
%%kale functions
def clean(a):
    a.append(0)
    return a
%%kale step a
xs = [1]
d = {"raw": xs}
%%kale step b
xs = clean(xs)
%%kale step c
xs.append(3)
print("RESULT", d)
""",
        "{'raw': [1, 0, 3]}",
    ),
    Case(
        "taken out in a loop",
        """
%%kale step a
p, q = [], []
queue = [p, q]
d = {"x": p}
%%kale step b
while queue:
    item = queue.pop()
    item.append(1)
one = d.pop("x")
%%kale step c
one.append(2)
%%kale step d
print("RESULT", p, q)
""",
        "[1, 2] [1]",
    ),
    Case(
        "a function that may rebind what others hold",
        """
%%kale step a
ys = []
e = {"x": ys}
def reset():
    global ys
    ys = []
%%kale step b
if len(ys) > 3:
    reset()
%%kale step c
ys.append(1)
%%kale step d
print("RESULT", e)
""",
        "{'x': [1]}",
    ),
    Case(
        "a name that is bound to itself, and what holds its object",
        """
%%kale step a
xs = [1]
e = {}
e.update(x=xs)
%%kale step b
e = e
xs.pop()
%%kale step c
print("RESULT", e)
""",
        "{'x': []}",
    ),
    Case(
        "names of one object in a step that puts one of them away",
        """
%%kale step a
ys = xs = []
e = {}
%%kale step b
e.setdefault(1, xs)
xs.append(2)
%%kale step c
print("RESULT", xs is ys, e)
""",
        "True {1: [2]}",
    ),
    Case(
        "a variable that is looked up by its name",
        """
%%kale step a
xs = [5]
ys = globals()['xs']
%%kale step b
xs.append(2)
%%kale step c
print("RESULT", ys)
""",
        "[5, 2]",
    ),
    Case(
        "the default of a lambda",
        """
%%kale step a
xs = []
f = lambda a=xs: a.append(1)
%%kale step b
m = f()
%%kale step c
print("RESULT", xs)
""",
        "[1]",
    ),
    Case(
        "a variable of a class",
        """
%%kale step a
xs = [[]]
class Box:
    shared = [y for x in [xs] for y in x]
%%kale step b
xs[0].append(1)
%%kale step c
print("RESULT", Box.shared)
""",
        "[[1]]",
    ),
    Case(
        "what is popped from a dictionary is still in its copy",
        """
%%kale step a
d = {'x': []}
e = dict(d)
xs = d.pop('x')
%%kale step b
xs.append(1)
%%kale step c
print("RESULT", e)
""",
        "{'x': [1]}",
    ),
    Case(
        "what was looked up in a dictionary before it was popped",
        """
%%kale step a
d = {'x': [4]}
ys = d['x']
xs = d.pop('x')
%%kale step b
xs[0] = 1
%%kale step c
print("RESULT", ys)
""",
        "[1]",
    ),
    Case(
        "instances that count themselves by their type",
        """
%%kale step a
class Box:
    made = 1
    def __init__(self, v=1):
        type(self).made += 1
class Jar:
    made = 0
    def __init__(self):
        self.__class__.made += 1
    @classmethod
    def more(cls):
        cls.made += 10
p = Box(1)
q = Jar()
%%kale step b
Jar.more()
%%kale step c
print("RESULT", Box.made, Jar.made)
""",
        "2 11",
    ),
    Case(
        "a function that was in a dictionary, and is not",
        """
%%kale step a
x = 1
def v(a):
    pass
d = {"x": v}
%%kale step b
d.update(x=1)
print("RESULT", x, d)
""",
        "1 {'x': 1}",
    ),
    Case(
        "a default that is a parameter's object",
        """
%%kale parameters
xs = []
%%kale step a
def f(a=xs):
    a.append(1)
zs = xs
%%kale step b
f()
print("RESULT", xs, zs)
""",
        "[1] [1]",
    ),
    Case(
        "a default of a functions cell that is a parameter's object",
        """
%%kale parameters
xs = []
%%kale functions
def f(a=xs):
    a.append(1)
%%kale step a
zs = xs
%%kale step b
f()
%%kale step c
print("RESULT", xs, zs)
""",
        "[1] [1]",
    ),
    Case(
        "a function that is one of two",
        """
%%kale step a
ys = []
d = {}
def v(a):
    d[1] = a
if not d:
    pass
else:
    def v(a):
        pass
v(ys)
%%kale step b
ys.append(1)
print("RESULT", d)
""",
        "{1: [1]}",
    ),
    Case(
        "functions without a name that are put into a list",
        """
%%kale step a
fs = [lambda i=i: i * k for i in range(3)]
gs = []
for i in range(3):
    gs.append(lambda: i)
k = 2
%%kale step b
k = 5
i = 9
%%kale step c
print("RESULT", [f() for f in fs], [g() for g in gs])
""",
        "[0, 5, 10] [9, 9, 9]",
    ),
    Case(
        "a register of subclasses that a class between them inherits",
        """
%%kale functions
class Base:
    registry = {}
    def __init_subclass__(cls, **kw):
        super().__init_subclass__(**kw)
        Base.registry[cls.__name__] = cls
%%kale step a
class A(Base):
    x = 1
%%kale step b
class B(A):
    x = 2
%%kale step c
print("RESULT", sorted(Base.registry), [c().x for c in Base.registry.values()])
""",
        "['A', 'B'] [1, 2]",
    ),
    Case(
        "functions that stand in a list beside other objects",
        """
%%kale step a
ys = []
e = {"x": 1}
def f():
    pass
def v(a):
    return a
xs = [f, ys]
zs = list(map(v, ys))
try:
    ys = [x for x in zs]
except KeyError:
    pass
%%kale step b
n = e.get("x", 0)
xs = xs[1:]
%%kale step c
print("RESULT", n, xs, ys)
""",
        "1 [[]] []",
    ),
    Case(
        "a global that a function may bind shares what it has shared",
        """
%%kale step s2
zs = []
e = []
def g():
    global zs
    zs = 1
zs[:1] = [e]
%%kale step s3
g = g
%%kale step s4
print('RESULT', [x is e for x in zs])
""",
        "[True]",
    ),
    Case(
        "a list and its part, deleted in a loop that does not run",
        """
%%kale step s4
m = 1
zs = []
n, *ys = [1, [], zs]
%%kale step s5
while m in ys:
    del ys
    ys = zs
%%kale step s6
print('RESULT', [x is zs for x in ys])
""",
        "[False, True]",
    ),
    Case(
        "a list and its part, deleted in a branch that does not run",
        """
%%kale step s4
zs = []
n, *ys = [1, [], zs]
%%kale step s5
if n in ys:
    del ys
    ys = zs
print('RESULT', [x is zs for x in ys])
""",
        "[False, True]",
    ),
    Case(
        "a class that holds a value which another step looks at",
        """
%%kale step s4
xs = []
class Crate:
    def __init__(self, v=1):
        self.items = [x for x in xs]
Crate.shared = xs
%%kale step s5
assert xs is not []
%%kale step s6
print('RESULT', Crate.shared)
""",
        "[]",
    ),
    Case(
        "functions that bind each other and a list",
        """
%%kale step s2
def g():
    global v
    v = 1
zs = []
def v(a):
    global zs
    zs = a
ys, k = (zs, 1)
%%kale step s3
n = g
%%kale step s4
zs.append(1)
print('RESULT', ys)
""",
        "[1]",
    ),
    Case(
        "two names of one list beside one that may have become another",
        """
%%kale step s0
ys = []
e = []
zs = ys
%%kale step s3
xs = ys
%%kale step s5
try:
    pass
except KeyError as error:
    ys = e
print('RESULT', xs is zs)
""",
        "True",
    ),
    Case(
        "a value in one artifact with a function of two meanings",
        """
%%kale step s1
ys = [1, 2]
d = {'x': 1, 'a': 0}
xs = []
for m in ys:
    pass
def v(a):
    pass
%%kale step s2
for k in []:
    v = lambda a: a.append(1)
    ys, ys = xs
zs = map(v, ys)
%%kale step s5
d.update(x=xs)
%%kale step s6
print('RESULT', m)
""",
        "2",
    ),
    Case(
        "what the next round of a loop finds",
        """
%%kale step make
one = {"x": 1}
two = {"x": []}
current = one
for _ in range(2):
    part = current["x"]
    current = two
%%kale step fill
part.append(4)
%%kale step show
print("RESULT", two, current is two)
""",
        "{'x': [4]} True",
        cold=True,
    ),
    Case(
        "a generator that draws from the bits of another one",
        """
%%kale imports
import numpy as np
%%kale functions
one = np.random.default_rng(2)
%%kale step make
two = np.random.Generator(one.bit_generator)
%%kale step show
print("RESULT", int(one.integers(1000)), int(two.integers(1000)))
""",
        "837 261",
        cold=True,
    ),
    Case(
        "names of functions and parameters cells that nobody reads",
        """
%%kale parameters
sizes = [2, 4]
n = 2
double = n * 2
%%kale functions
for held, size in zip([1, sizes], sizes):
    pass
%%kale step make
n = 5
kept, count = sizes, 1
%%kale step add
sizes.append(6)
if not sizes:
    counts[1] += [(n := 5), n]
print("RESULT", count)
""",
        "1",
        cold=True,
    ),
    Case(
        "a class that would put its objects into a list, and has not",
        """
%%kale step s1
d = []
e = d
class Crate:

    def add(self, x):
        e[1] = self
%%kale step s3
n = Crate
%%kale step s5
print("RESULT", d is e)
""",
        "True",
        cold=True,
    ),
    Case(
        "a frame that holds itself under another index",
        """
%%kale step s2
import pandas as pd
ys = []
train = pd.DataFrame({'g': 1, 'v': 1, 'w': 1, 'l': [ys, 1]})
ys[:1] = [train]
train = train.set_index('g')
%%kale step s3
g = train
print("RESULT", list(g), list(ys[0]), ys[0]["l"][0] is ys, g["l"].iloc[0] is ys)
""",
        "['v', 'w', 'l'] ['g', 'v', 'w', 'l'] True True",
        cold=True,
    ),
    Case(
        "a function puts what it gets into a dictionary of its own",
        """
%%kale functions
def F(x):
    d = {}
    d['x'] = x
    return d
%%kale step s1
x = [1, 2]
%%kale step s2
y = F(x)
%%kale step s3
y['x'].append(9)
%%kale step s4
print("RESULT", x)
""",
        "[1, 2, 9]",
        cold=True,
    ),
    Case(
        "a function puts what it gets into a list of its own",
        """
%%kale functions
def F(x):
    d = []
    d.append(x)
    return d
%%kale step s1
x = [1, 2]
%%kale step s2
y = F(x)
%%kale step s3
y[0].append(9)
%%kale step s4
print("RESULT", x)
""",
        "[1, 2, 9]",
        cold=True,
    ),
    Case(
        "a function puts what it gets into an object of its own",
        """
%%kale functions
from types import SimpleNamespace
def F(x):
    ns = SimpleNamespace()
    ns.k = x
    return ns
%%kale step s1
x = [1, 2]
%%kale step s2
y = F(x)
%%kale step s3
y.k.append(9)
%%kale step s4
print("RESULT", x)
""",
        "[1, 2, 9]",
        cold=True,
    ),
    Case(
        "a function puts frames into a dictionary in a loop",
        """
%%kale functions
import pandas as pd
def frames(pairs):
    found = {}
    for name, frame in pairs:
        found[name] = frame
    return found
%%kale step s1
sales = pd.DataFrame({"a": [1, 2]})
costs = pd.DataFrame({"a": [3, 4]})
%%kale step s2
all_ = frames([("sales", sales), ("costs", costs)])
%%kale step s3
for d in all_.values():
    d["pct"] = d["a"] / d["a"].sum()
%%kale step s4
print("RESULT", list(sales.columns), list(costs.columns))
""",
        "['a', 'pct'] ['a', 'pct']",
        cold=True,
    ),
    Case(
        "a function keeps an array in a list in a loop",
        """
%%kale functions
import numpy as np
def train(w, n):
    hist = []
    for i in range(n):
        hist.append(w)
    return hist
%%kale step s1
w = np.array([2, 2])
%%kale step s2
hist = train(w, 2)
%%kale step s3
w += 10
%%kale step s4
print("RESULT", [h.tolist() for h in hist])
""",
        "[[12, 12], [12, 12]]",
        cold=True,
    ),
    Case(
        "a text that is read on by each step",
        """
%%kale step s1
import io
x = io.StringIO("abc")
%%kale step s2
one = x.read(1)
%%kale step s3
two = x.read()
%%kale step s4
print("RESULT", [one, two, x.read()])
""",
        "['a', 'bc', '']",
        cold=True,
    ),
    Case(
        "an array of texts where only steps import numpy",
        """
%%kale step s1
import numpy as np
y = np.array(["a", "bb"], dtype=object)
%%kale step s3
print("RESULT", len(y), y[0])
""",
        "2 a",
        cold=True,
    ),
    Case(
        "a name that is bound to another one of two groups",
        """
%%kale step a
one, other, held, holder = [], [], {}, {}
holder[1] = held
holder[1] = one
%%kale step b
one = other if held is not None else one + []
%%kale step c
print("RESULT", other is one, held is holder)
""",
        "True False",
        cold=True,
    ),
]
