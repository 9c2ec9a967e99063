"""What a step's runtime does as a notebook does: measuring, showing, scripts, patched modules, values of any shape."""

from tests.cases import Case, refused

CASES = [
    Case(
        "a statement that is timed binds what it binds",
        """
%%kale step a
xs = [1]
ys = %time xs
%time ys.append(2)  # a comment
%time n = len(xs); m = n + 1
%time for x in [1, 2]: ys.append(x)
%%kale step b
t = %timeit -n 2 -r 2 -q -o total = sum(xs)
%timeit -n 1 -r 1 xs.count(1)
%%kale step c
print("RESULT", xs, ys, n, m, t.loops, len(t.all_runs), "total" in globals())
""",
        "[1, 2, 1, 2] [1, 2, 1, 2] 2 3 2 2 False",
    ),
    Case(
        "what is measured reads what it reads",
        """
%%kale step a
base, unused = 3, 4
%%kale step b
%%timeit -n 1 -r 1 start = base
start + 1
%%kale step c
%%time
result = base * 2
result
%%kale step d
print("RESULT", result)
""",
        "6",
        takes={"b": "base", "c": "base", "d": "result"},
    ),
    Case(
        "calls of IPython's shell with texts",
        """
%%kale step a
get_ipython().run_line_magic("time", "x = 4")
ip = get_ipython()
ip.run_cell("y = x + 1\\nz = [y]")
ip.ex("z.append(x)")
%%kale step b
lines = get_ipython().getoutput("echo {x}")
print("RESULT", x, y, z, lines[0], get_ipython().ev("y * 2"))
""",
        "4 5 [5, 4] 4 10",
        takes={"b": "x y z"},
    ),
    Case(
        "a written file ends as the cell does",
        """
%%kale step a
%%writefile lines.txt
one
%%kale step a
%%writefile -a lines.txt
two
%%kale step a
text = open("lines.txt").read()
%%kale step b
print("RESULT", repr(text))
""",
        "'one\\ntwo\\n'",
    ),
    Case(
        "a script that the notebook runs",
        """
%%kale step a
%run script.py a "b c"
n = 10
%%kale step b
n = n + 1
print("RESULT", n, twice(2), words, Box(3).get(), os.sep)
""",
        "11 6 ['a', 'b c'] 3 /",
        files={
            "script.py": "import os, sys\nn = 3\nwords = sys.argv[1:]\ndef twice(x): return x * n\n"
            "class Box:\n    def __init__(self, v): self.v = v\n    def get(self): return self.v\n"
            "if __name__ == '__main__':\n    del_me = 1\n    del del_me\n"
        },
    ),
    Case(
        "a script in the notebook's own variables",
        """
%%kale step a
n = 10
%%kale step b
%run -i more.py
%%kale step c
print("RESULT", n, doubled)
""",
        "11 20",
        files={"more.py": "doubled = n * 2\nn += 1\n"},
        takes={"b": "n", "c": "doubled n"},
    ),
    Case(
        "a script that every step runs",
        """
%%kale functions
%run helpers.py
%%kale step a
x = helper(1)
%%kale step b
print("RESULT", helper(x))
""",
        "3",
        files={"helpers.py": "def helper(x): return x + 1\n"},
    ),
    refused(
        "a script that is not there",
        """
%%kale step a
%run nowhere.py
""",
        "KALE209",
        "nowhere.py",
        "cannot be read",
    ),
    refused(
        "what only a notebook's shell has",
        """
%%kale step a
x = get_ipython().kernel
""",
        "KALE209",
        "get_ipython().kernel",
    ),
    Case(
        "a function of a module that the notebook replaces",
        """
%%kale imports
import json
%%kale functions
plain = json.dumps
json.dumps = lambda o, **k: "P" + plain(o, **k)
%%kale step a
x = json.dumps([1])
%%kale step b
print("RESULT", x, json.dumps(2))
""",
        "P[1] P2",
    ),
    Case(
        "texts that are evaluated read what they name",
        """
%%kale step a
x, y, unused = 1, 2, 3
%%kale step b
z = eval("x + 1")
exec("w = y * 2\\ndef f(v): return v + z")
box = {}
exec("q = 1", box)
%%kale step c
print("RESULT", z, w, f(1), box["q"])
""",
        "2 4 3 1",
        takes={"b": "x y", "c": "box f w z"},
    ),
    refused(
        "a text that is executed in a cell that has not run, and names that are looked up",
        """
%%kale step a
src = "y = x * 2"
x = 4
%%kale step b --no-run
exec(src)
%%kale step c --no-run
name = "y"
print("RESULT", eval("x +" + name))
""",
        "KALE204",
        "step b executes",
    ),
    refused(
        "the history of the notebook",
        """
%%kale step a
1 + 1
%%kale step b
x = _ + 1
""",
        "KALE209",
        "history",
    ),
    refused(
        "an output of the notebook",
        """
%%kale step a
1 + 1
%%kale step b
x = Out[1]
""",
        "KALE209",
        "history",
    ),
    Case(
        "underscores of the notebook's own",
        """
%%kale functions
def _(text): return text.upper()
%%kale step a
for __ in range(2): pass
_1, first = 1, _("a")
%%kale step b
print("RESULT", __, _1, first, _("b"))
""",
        "1 1 A B",
    ),
    Case(
        "a default that asks its own dict",
        """
%%kale imports
from collections import defaultdict
%%kale step a
ids = defaultdict(lambda: len(ids))
ids["a"], ids["b"]
%%kale step b
ids["c"]
print("RESULT", dict(ids))
""",
        "{'a': 0, 'b': 1, 'c': 2}",
    ),
    Case(
        "long chains of objects and deep containers",
        """
%%kale functions
class Node:
    def __init__(self, v, next=None): self.v, self.next, self.before = v, next, None
%%kale step a
head = None
for i in range(3000):
    old, head = head, Node(i, head)
    if old: old.before = head
cells = deep = ()
for i in range(3000):
    cells, deep = (i, cells), {"down": [deep]}
middle = head.next.next
%%kale step b
count, node = 0, head
while node: count, node = count + node.v, node.next
depth = 0
while deep: depth, deep = depth + 1, deep["down"][0]
print("RESULT", count, cells[0], depth, middle is head.next.next, head.next.before is head, type(head) is Node)
""",
        "4498500 2999 3000 True True True",
    ),
    Case(
        "an array that is resized where it is",
        """
%%kale imports
import numpy as np
%%kale step a
small, large = np.arange(6), np.zeros(400_000)
view = small[1:3]
fixed = np.arange(3)
fixed.flags.writeable = False
%%kale step b --no-run
flags = small.flags.owndata, large.flags.owndata, fixed.flags.writeable, small.base is None, view.base is small
del view
small.resize(3, refcheck=False)
large.resize(2, refcheck=False)
%%kale step c --no-run
print("RESULT", flags, small.tolist(), large.tolist())
""",
        "(True, True, False, True, True) [0, 1, 2] [0.0, 0.0]",
    ),
    Case(
        "arrays and structures of C",
        """
%%kale imports
import ctypes
%%kale functions
class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double * 2)]
%%kale step a
numbers, text = (ctypes.c_int * 3)(1, 2, 3), ctypes.create_string_buffer(b"ab")
points = (Point * 2)(Point(1), Point(2))
kind = ctypes.c_int * 3
%%kale step b
print("RESULT", list(numbers), text.value, points[1].x, type(numbers) is kind, type(points[0]) is Point)
""",
        "[1, 2, 3] b'ab' 2 True True",
    ),
    refused(
        "a pointer of C",
        """
%%kale imports
import ctypes
%%kale step a
pointer = ctypes.pointer(ctypes.c_int(1))
%%kale step b
print(pointer[0])
""",
        "KALE208",
        "pointer",
    ),
    Case(
        "a registered function whose helper is called like a builtin",
        """
%%kale imports
import json
from math import floor
%%kale step a
registry = {}
max = 10
def help(v): return json.dumps(v)
def add(f): registry[f.__name__] = f; return f
@add
def dump(v): return help(v), floor(2.5), max
%%kale step b
print("RESULT", registry["dump"]([1]))
""",
        "('[1]', 2, 10)",
    ),
    Case(
        "a submodule that something else has loaded",
        """
%%kale imports
import matplotlib as mpl
import matplotlib.pyplot as plt
import xml
from xml.etree.ElementTree import Element
%%kale step a
x = plt.get_fignums(), Element("a").tag
%%kale step b
x = *x, mpl.pyplot.get_fignums(), xml.etree.ElementTree.fromstring("<b/>").tag
%%kale step c
print("RESULT", x, isinstance(__builtins__, type(xml)))
""",
        "([], 'a', [], 'b') True",
    ),
]
