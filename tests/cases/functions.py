"""Functions: definitions that travel as source, the globals that they read, and state that they keep."""

from tests.cases import Case

CASES = [
    Case(
        "a function that reads a value of its step",
        """
%%kale step a
k = 7
def times(v):
    return v * k
%%kale step b
z = times(2)
%%kale step c
print("RESULT", z, times(3))
""",
        "14 21",
    ),
    Case(
        "a global that changes after the definition",
        """
%%kale step a
k = 3
def get():
    return k
%%kale step b
k = 8
%%kale step c
print("RESULT", get())
""",
        "8",
    ),
    Case(
        "a global that is made after the definition",
        """
%%kale functions
def report():
    return f"{title}: {body()}"
%%kale step a
title = "T"
def body():
    return "body of " + author
%%kale step b
author = "me"
%%kale step c
print("RESULT", report())
""",
        "T: body of me",
    ),
    Case(
        "functions that call each other",
        """
%%kale step a
def even(n):
    return n == 0 or odd(n - 1)
%%kale step b
def odd(n):
    return n != 0 and even(n - 1)
%%kale step c
print("RESULT", even(10), odd(10))
""",
        "True False",
    ),
    Case(
        "a function that is written anew",
        """
%%kale step a
def version():
    return 1
def both():
    return version() * 10
%%kale step b
old = version(), both()
%%kale step c
def version():
    return 2
%%kale step d
print("RESULT", old, version(), both())
""",
        "(1, 10) 2 20",
    ),
    Case(
        "the old function in the new one",
        """
%%kale step a
def name():
    return "a"
%%kale step b
inner = name
def name():
    return inner() + "b"
%%kale step c
print("RESULT", name())
""",
        "ab",
    ),
    Case(
        "a function handed to others",
        """
%%kale step a
offset = 100
def shift(v):
    return v + offset
%%kale step b
moved = list(map(shift, [1, 2]))
best = max([3, 1], key=lambda v: -shift(v))
%%kale step c
print("RESULT", moved, best)
""",
        "[101, 102] 1",
    ),
    Case(
        "lambdas and closures as values",
        """
%%kale step a
base = 10
scale = lambda v: v * base
def power(n):
    def raised(v):
        return v ** n
    return raised
square, table = power(2), {"neg": lambda v: -v}
%%kale step b
got = [scale(2), square(3), table["neg"](4)]
base = 20
%%kale step c
print("RESULT", got, scale(2))
""",
        "[20, 9, -4] 40",
    ),
    Case(
        "lambdas made in a loop",
        """
%%kale step a
late = [lambda: i for i in range(3)]
early = [lambda i=i: i for i in range(3)]
%%kale step b
print("RESULT", [f() for f in late], [f() for f in early])
""",
        "[2, 2, 2] [0, 1, 2]",
    ),
    Case(
        "a closure that counts",
        """
%%kale functions
def make_counter():
    n = 0
    def count():
        nonlocal n
        n += 1
        return n
    return count
%%kale step a
count = make_counter()
count()
%%kale step b
count()
%%kale step c
print("RESULT", count())
""",
        "3",
    ),
    Case(
        "a counter in the functions cell",
        """
%%kale functions
counter = 0
def bump():
    global counter
    counter += 1
    return counter
%%kale step a
one = bump()
%%kale step b
two = bump()
%%kale step c
print("RESULT", one, two, bump(), counter)
""",
        "1 2 3 3",
    ),
    Case(
        "settings in the functions cell",
        """
%%kale functions
SETTINGS = {"depth": 1}
def depth():
    return SETTINGS["depth"]
%%kale step a
before = depth()
SETTINGS["depth"] = 5
%%kale step b
print("RESULT", before, depth())
""",
        "1 5",
    ),
    Case(
        "a memory of results",
        """
%%kale functions
memo = {}
def slow_square(n):
    if n not in memo:
        memo[n] = n * n
    return memo[n]
%%kale step a
x = slow_square(3)
%%kale step b
y = slow_square(4)
%%kale step c
print("RESULT", x, y, memo)
""",
        "9 16 {3: 9, 4: 16}",
    ),
    Case(
        "a constant that the functions cell computes",
        """
%%kale imports
import string
%%kale functions
def build():
    return {c: i for i, c in enumerate(string.ascii_lowercase)}
TABLE = build()
def code(word):
    return [TABLE[c] for c in word]
%%kale step a
word = code("abz")
%%kale step b
print("RESULT", word, len(TABLE))
""",
        "[0, 1, 25] 26",
    ),
    Case(
        "a register filled by decorators",
        """
%%kale functions
HANDLERS = {}
def handler(function):
    HANDLERS[function.__name__] = function
    return function
%%kale step a
@handler
def load():
    return "loaded"
%%kale step b
@handler
def store():
    return "stored"
%%kale step c
print("RESULT", {name: f() for name, f in HANDLERS.items()})
""",
        "{'load': 'loaded', 'store': 'stored'}",
    ),
    Case(
        "attributes of a function",
        """
%%kale functions
def ping():
    ping.calls += 1
    return ping.calls
ping.calls = 0
%%kale step a
ping()
%%kale step b
ping()
ping.label = "p"
%%kale step c
print("RESULT", ping.calls, ping.label)
""",
        "2 p",
    ),
    Case(
        "cached, partial and single-dispatch functions",
        """
%%kale imports
from functools import lru_cache, partial, singledispatch
%%kale functions
@lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
@singledispatch
def kind(value):
    return "thing"
@kind.register
def _(value: int):
    return "number"
%%kale step a
add_five = partial(lambda a, b: a + b, 5)
twenty = fib(20)
%%kale step b
print("RESULT", twenty, fib(10), add_five(1), kind(3), kind("x"))
""",
        "6765 55 6 number thing",
    ),
    Case(
        "a dispatcher that a later step extends",
        """
%%kale imports
from functools import singledispatch
%%kale functions
@singledispatch
def kind(value):
    return "thing"
%%kale step a
@kind.register
def _(value: int):
    return "number"
%%kale step b
print("RESULT", kind(3), kind("x"))
""",
        "number thing",
    ),
    Case(
        "generators and context managers of the notebook",
        """
%%kale imports
from contextlib import contextmanager
%%kale functions
def pairs(items):
    for i in range(0, len(items), 2):
        yield items[i : i + 2]
trail = []
@contextmanager
def section(name):
    trail.append(f"<{name}>")
    yield name.upper()
    trail.append(f"</{name}>")
%%kale step a
with section("a") as upper:
    parts = list(pairs([1, 2, 3]))
%%kale step b
with section("b"):
    pass
print("RESULT", upper, parts, trail)
""",
        "A [[1, 2], [3]] ['<a>', '</a>', '<b>', '</b>']",
    ),
    Case(
        "a function in another function's default",
        """
%%kale functions
def plain(v):
    return v
def apply(v, how=plain):
    return how(v)
%%kale step a
x = apply(1)
%%kale step b
def plain(v):
    return "new"
%%kale step c
print("RESULT", x, apply(2), plain(3))
""",
        "1 2 new",
    ),
    Case(
        "recursion over data",
        """
%%kale functions
def depth(tree):
    return 1 + max((depth(child) for child in tree), default=0)
%%kale step a
tree = [[], [[]]]
%%kale step b
d = depth(tree)
%%kale step c
print("RESULT", d, depth([]))
""",
        "3 1",
    ),
    Case(
        "functions of the notebook in a model",
        """
%%kale imports
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
%%kale functions
def double(X):
    return X * 2
%%kale step a
bias = 0.5
def shift(X):
    return X + bias
steps = make_pipeline(FunctionTransformer(double), FunctionTransformer(shift))
%%kale step b
out = steps.fit_transform(np.array([[1.0], [2.0]]))
%%kale step c
print("RESULT", out.ravel(), steps.transform(np.array([[0.0]]))[0, 0])
""",
        "[2.5 4.5] 0.5",
    ),
    Case(
        "a name in a text that is no code",
        '''
%%kale functions
def helper():
    """Uses zebra and yak."""
    return "zebra"  # yak
%%kale step a
zebra = helper()
%%kale step b
print("RESULT", zebra, helper.__doc__)
''',
        "zebra Uses zebra and yak.",
    ),
    Case(
        "only what a function reads is taken along",
        """
%%kale step a
used, unused = [1], list(range(1000))
def get():
    return used
def other():
    return unused
%%kale step b
print("RESULT", get())
""",
        "[1]",
        takes={"b": "used"},
    ),
    Case(
        "coroutines that call coroutines",
        """
%%kale imports
import asyncio
%%kale functions
async def fetch(n):
    await asyncio.sleep(0)
    return n * factor
%%kale step a
factor = 3
async def total(ns):
    return sum(await asyncio.gather(*map(fetch, ns)))
%%kale step b
t = await total([1, 2])
%%kale step c
factor = 10
print("RESULT", t, await total([1, 2]))
""",
        "9 30",
    ),
    Case(
        "a function that is defined again in a branch",
        """
%%kale step a
def rate(n):
    return 1
try:
    1 / 0
except ZeroDivisionError:
    def rate(n):
        return 2
%%kale step b
print("RESULT", rate(0))
""",
        "2",
    ),
    Case(
        "a function that is defined in the midst of other statements",
        """
%%kale step a
import contextlib
d = 1
try:
    pass
finally:
    d = d + 1
    def f():
        return d
with contextlib.nullcontext():
    def g():
        return 3
%%kale step b
print("RESULT", f(), g(), d)
""",
        "2 3 2",
    ),
    Case(
        "a decorator that keeps results",
        """
%%kale functions
def memo(f):
    seen = {}
    def inner(x):
        if x not in seen:
            seen[x] = f(x)
        return seen[x]
    inner.seen = seen
    return inner
@memo
def sq(x):
    return x * x
%%kale step a
sq(2)
%%kale step b
sq(3)
%%kale step c
print("RESULT", sq.seen)
""",
        "{2: 4, 3: 9}",
    ),
    Case(
        "a decorator that counts calls in an attribute",
        """
%%kale functions
import functools
def counted(f):
    @functools.wraps(f)
    def inner(*a):
        inner.calls += 1
        return f(*a)
    inner.calls = 0
    return inner
@counted
def sq(x):
    return x * x
%%kale step a
sq(2)
%%kale step b
sq(3)
%%kale step c
print("RESULT", sq.calls)
""",
        "2",
    ),
    Case(
        "a class as a decorator, which counts calls",
        """
%%kale functions
class Counted:
    def __init__(self, f):
        self.f, self.calls = f, 0
    def __call__(self, *a):
        self.calls += 1
        return self.f(*a)
@Counted
def sq(x):
    return x * x
%%kale step a
sq(2)
%%kale step b
sq(3)
%%kale step c
print("RESULT", sq.calls)
""",
        "2",
    ),
    Case(
        "a decorator without a memory leaves steps apart",
        """
%%kale functions
import time
def timed(f):
    def inner(*a):
        start = time.time()
        r = f(*a)
        return r
    return inner
@timed
def sq(x):
    return x * x
%%kale step a
x = sq(2)
%%kale step b
y = sq(3)
%%kale step c
print("RESULT", x + y)
""",
        "13",
        parallel="a b",
    ),
    Case(
        "a decorator with an argument that counts down",
        """
%%kale functions
def limit(n):
    def deco(f):
        left = n
        def inner(*a):
            nonlocal left
            left -= 1
            return f(*a) if left >= 0 else None
        return inner
    return deco
@limit(2)
def sq(x):
    return x * x
%%kale step a
x = sq(2)
%%kale step b
y = sq(3)
%%kale step c
print("RESULT", x, y, sq(4))
""",
        "4 9 None",
    ),
    Case(
        "a cached function without side effects leaves steps apart",
        """
%%kale functions
from functools import lru_cache
@lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
%%kale step a
x = fib(20)
%%kale step b
y = fib(30)
%%kale step c
print("RESULT", x + y)
""",
        "838805",
        parallel="a b",
    ),
    Case(
        "a dict of one function",
        """
%%kale step a
ys = []
u = lambda a: a
d = {"x": u}
ys.append(d)
%%kale step b
d.update(x=1)
%%kale step c
print("RESULT", ys)
""",
        "[{'x': 1}]",
    ),
    Case(
        "a dict of a lambda",
        """
%%kale step a
d = {"x": lambda a: a}
ys = [d]
%%kale step b
d.update(x=1)
%%kale step c
print("RESULT", ys)
""",
        "[{'x': 1}]",
    ),
    Case(
        "a list of functions that is extended",
        """
%%kale functions
def f(x): return x + 1
hooks = [f]
%%kale step a
hooks.append(lambda x: x * 2)
%%kale step b
print("RESULT", [h(3) for h in hooks])
""",
        "[4, 6]",
    ),
    Case(
        "a function or none",
        """
%%kale functions
def f(x): return x + 1
c = True
g = f if c else 3
%%kale step a
h = g
%%kale step b
print("RESULT", h(3), g(1))
""",
        "4 2",
    ),
    Case(
        "a function that puts another one in a function's place",
        """
%%kale step s1
def g():
    return 1
def h():
    global g
    g = lambda: 2
h()
%%kale step s2
print("RESULT", g())
""",
        "2",
        cold=True,
    ),
    Case(
        "a function that defines another one in its place",
        """
%%kale step s1
def g():
    return 1
def h():
    global g
    def g():
        return 2
h()
%%kale step s2
print("RESULT", g())
""",
        "2",
        cold=True,
    ),
    Case(
        "a function that puts another one in its place through globals",
        """
%%kale step s1
def g(a=1):
    return 1
def h():
    globals()["g"] = lambda: 2
h()
%%kale step s2
print("RESULT", g())
""",
        "2",
        cold=True,
    ),
    Case(
        "a function of every step in whose place another one is put",
        """
%%kale functions
def g(): return 1
def h():
    global g
    g = lambda: 2
%%kale step s1
h()
x = g
%%kale step s2
print("RESULT", g(), x is g)
""",
        "2 True",
        cold=True,
    ),
    Case(
        "a function that puts a closure in its own place",
        """
%%kale step s1
ys = 1
rate = 1
d = {'x': 1, 'a': 4}
def g():
    global g

    def make(a):
        return lambda: a
    g = make(1)
    return g()
ys += g()
%%kale step s2
d.update(x=ys)
print("RESULT", rate)
""",
        "1",
        cold=True,
    ),
    Case(
        "a default that is a list, which an operator then changes in place",
        """
%%kale step a
ys = []
def f(a=ys, b=1):
    return a
ys *= 2
%%kale step b
f.calls = 1
ys.append(1)
%%kale step c
print("RESULT", ys, f(), f.calls)
""",
        "[1] [1] 1",
        cold=True,
    ),
]
