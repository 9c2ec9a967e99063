"""Writes that may not happen: the step takes the old value in and hands on whichever it ends with."""

from tests.cases import Case

CASES = [
    Case(
        "if that is not taken",
        """
%%kale step a
model, retrain = "old", False
%%kale step b
if retrain:
    model = "new"
%%kale step c
print("RESULT", model)
""",
        "old",
    ),
    Case(
        "if that is taken",
        """
%%kale step a
model, retrain = "old", True
%%kale step b
if retrain:
    model = "new"
%%kale step c
print("RESULT", model)
""",
        "new",
    ),
    Case(
        "both arms write",
        """
%%kale step a
n = 3
size = "unset"
%%kale step b
if n > 5:
    size = "large"
else:
    size = "small"
%%kale step c
print("RESULT", size)
""",
        "small",
    ),
    Case(
        "one arm of elif",
        """
%%kale step a
n, kind = 0, "unset"
%%kale step b
if n > 0:
    kind = "positive"
elif n < 0:
    kind = "negative"
%%kale step c
print("RESULT", kind)
""",
        "unset",
    ),
    Case(
        "a parameter decides",
        """
%%kale parameters
retrain = False
%%kale step a
model = "old"
%%kale step b
if retrain:
    model = "new"
%%kale step c
print("RESULT", model)
""",
        "old",
    ),
    Case(
        "a parameter decides otherwise than in the notebook",
        """
%%kale parameters
retrain = False
%%kale step a
model = "old"
%%kale step b
if retrain:
    model = "new"
%%kale step c
print("RESULT", model)
""",
        "new",
        given={"retrain": True},
    ),
    Case(
        "a parameter decides on a change in place",
        """
%%kale parameters
grow = False
%%kale step a
items = [1]
%%kale step b
if grow:
    items.append(2)
%%kale step c
print("RESULT", items)
""",
        "[1, 2]",
        given={"grow": True},
    ),
    Case(
        "a parameter decides on a call that changes its object",
        """
%%kale parameters
grow = False
%%kale functions
class Box:
    def __init__(self):
        self.items = []
    def put(self, item):
        self.items = [*self.items, item]
%%kale step a
box = Box()
%%kale step b
if grow:
    box.put(2)
%%kale step c
print("RESULT", box.items)
""",
        "[2]",
        given={"grow": True},
    ),
    Case(
        "for over nothing",
        """
%%kale step a
best, names = "start", []
%%kale step b
for best in names:
    length = len(best)
%%kale step c
print("RESULT", best)
""",
        "start",
    ),
    Case(
        "for with break and else",
        """
%%kale step a
numbers, found = [4, 9, 3], "nothing"
%%kale step b
for n in numbers:
    if n % 2:
        found = n
        break
else:
    found = "all even"
%%kale step c
print("RESULT", found, n)
""",
        "9 9",
    ),
    Case(
        "while that never starts",
        """
%%kale step a
error, rounds = 0.01, 7
%%kale step b
while error > 0.1:
    error /= 2
    rounds = rounds + 1
%%kale step c
print("RESULT", error, rounds)
""",
        "0.01 7",
    ),
    Case(
        "while that ends",
        """
%%kale step a
error, rounds = 8, 0
%%kale step b
while error > 1:
    error /= 2
    rounds = rounds + 1
else:
    done = True
%%kale step c
print("RESULT", error, rounds, done)
""",
        "1.0 3 True",
    ),
    Case(
        "try that fails before it writes",
        """
%%kale step a
data, source = "cached", "no number"
%%kale step b
try:
    data = int(source)
except ValueError:
    failed = True
%%kale step c
print("RESULT", data, failed)
""",
        "cached True",
    ),
    Case(
        "try with else and finally",
        """
%%kale step a
data, state, closed = "cached", "unknown", 0
%%kale step b
try:
    data = int("42")
except ValueError:
    state = "bad"
else:
    state = "good"
finally:
    closed += 1
%%kale step c
print("RESULT", data, state, closed)
""",
        "42 good 1",
    ),
    Case(
        "a block that swallows the error before the write",
        """
%%kale imports
from contextlib import suppress
%%kale step a
value = "kept"
%%kale step b
with suppress(KeyError):
    value = {}["missing"]
%%kale step c
print("RESULT", value)
""",
        "kept",
    ),
    Case(
        "a condition that stops early",
        """
%%kale step a
flag, seen = False, "before"
%%kale step b
taken = flag and (seen := "after")
%%kale step c
print("RESULT", taken, seen)
""",
        "False before",
    ),
    Case(
        "match that meets no case",
        """
%%kale step a
command, argument = ["quit"], "none"
%%kale step b
match command:
    case ["go", argument]:
        moved = True
    case ["stop"]:
        argument = "stopped"
%%kale step c
print("RESULT", argument)
""",
        "none",
    ),
    Case(
        "del that may not happen",
        """
%%kale step a
x, tidy = "kept", False
%%kale step b
if tidy:
    del x
%%kale step c
print("RESULT", x)
""",
        "kept",
    ),
    Case(
        "a name made only in an arm that is not taken",
        """
%%kale step a
deep = False
%%kale step b
if deep:
    extra = 1
%%kale step c
try:
    shown = extra
except NameError:
    shown = "no extra"
print("RESULT", shown)
""",
        "no extra",
    ),
    Case(
        "two steps that may write",
        """
%%kale step a
x = 1
%%kale step b
if x > 5:
    x = 50
%%kale step c
if x < 5:
    x = x + 1
%%kale step d
print("RESULT", x)
""",
        "2",
    ),
    Case(
        "a function that may write a global",
        """
%%kale step a
level = "low"
def check(n):
    global level
    if n > 10:
        level = "high"
%%kale step b
check(3)
%%kale step c
first = level
check(30)
%%kale step d
print("RESULT", first, level)
""",
        "low high",
    ),
    Case(
        "a definition in a branch",
        """
%%kale step a
fast = True
%%kale step b
if fast:
    def power(n):
        return n * n
else:
    def power(n):
        return n ** 2.0
%%kale step c
print("RESULT", power(3))
""",
        "9",
    ),
    Case(
        "an import that may fail",
        """
%%kale imports
try:
    import no_such_parser_here as parser
except ImportError:
    import json as parser
%%kale step a
value = parser.loads("[1]")
%%kale step b
print("RESULT", value, parser.__name__)
""",
        "[1] json",
    ),
    Case(
        "an import that may fail in a step",
        """
%%kale step a
try:
    from no_such_parser_here import loads
    HAS_FAST = True
except ImportError:
    from json import loads
    HAS_FAST = False
value = loads("[1]")
%%kale step b
print("RESULT", value, loads("2"), HAS_FAST)
""",
        "[1] 2 False",
    ),
    Case(
        "branches in branches",
        """
%%kale step a
data = {"rows": [5, 1]}
best = None
%%kale step b
for key, rows in data.items():
    with open("log.txt", "w") as log:
        try:
            for row in rows:
                if best is None or row < best:
                    best = row
        finally:
            print(best, file=log)
%%kale step c
print("RESULT", best)
""",
        "1",
    ),
    Case(
        "a definition that its try does not reach",
        """
%%kale step make
rows = []
get = lambda: rows
try:
    rows[2]
    def get():
        pass
except IndexError:
    pass
%%kale step use
found = get()
found.append(1)
%%kale step show
print("RESULT", rows)
""",
        "[1]",
        cold=True,
    ),
    Case(
        "what a try has bound before it failed, kept by its handler",
        """
%%kale step s3
xs = []
import numpy as np
try:
    vec = np.asarray(1)
    xs[5]
except IndexError:
    w = vec
%%kale step s6
print("RESULT", np.shares_memory(vec, w))
""",
        "True",
        cold=True,
    ),
    Case(
        "what a try has bound before it failed, changed by its handler",
        """
%%kale step a
xs = [1]
%%kale step b
try:
    ys = xs
    zs = [ys, 1]
    1 / 0
except ZeroDivisionError:
    zs[0].append(2)
%%kale step c
print("RESULT", xs)
""",
        "[1, 2]",
        cold=True,
    ),
    Case(
        "what a try has bound before it failed, and an else",
        """
%%kale step b
try:
    ys = [1]
    1 / 0
except ZeroDivisionError:
    ws = ys
else:
    ws = 3
%%kale step c
ws.append(3)
%%kale step d
print("RESULT", ys)
""",
        "[1, 3]",
        cold=True,
    ),
    Case(
        "a parameter that is bound on every way before it is read, in a loop that never runs",
        """
%%kale parameters
ys = [5, 0]
%%kale step a
for x in [ys]:
    x.append(1)
%%kale step b
m = 1
for k in []:
    try:
        ys = [1]
    except KeyError:
        ys = [2]
    m, *rest = ys
%%kale step c
print("RESULT", m)
""",
        "1",
        parallel="b",
        takes={"b": ""},
    ),
    Case(
        "a list that holds itself, in a dict, and a sorted list of its elements",
        """
%%kale step a
xs = [1, 1]
xs.append(xs)
xs = xs * 12
d = {"a": 4}
%%kale step b
xs.append(xs)
d.update(x=xs)
ys = sorted(xs, key=lambda x: str(x))
%%kale step c
xs.pop()
print("RESULT", len(xs), d["x"] is xs)
""",
        "36 True",
    ),
    Case(
        "what a body that fails has bound before it would bind it again",
        """
%%kale step a
items = []
try:
    put = items.append
    items[3]
    def put(x):
        pass
except IndexError:
    pass
%%kale step b
put(1)
print("RESULT", items)
""",
        "[1]",
        cold=True,
    ),
]
