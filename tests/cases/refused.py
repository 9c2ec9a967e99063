"""What is refused before anything runs, and what the user is told."""

from tests.cases import refused

CASES = [
    refused(
        "nothing is marked",
        """
# %%
x = 1
""",
        "KALE201",
    ),
    refused(
        "no step is marked",
        """
%%kale imports
import json
%%kale parameters
n = 1
""",
        "KALE201",
    ),
    refused(
        "a cell that is not Python",
        """
%%kale step load
x = 1
%%kale step train
y = (x +
z = 2
%%kale step show
print(x)
""",
        "KALE202",
        "train",
    ),
    refused(
        "a statement among the parameters",
        """
%%kale parameters
n = 3
print(n)
%%kale step a
x = n
""",
        "KALE203",
        "print(n)",
        "line 3",
    ),
    refused(
        "an augmented assignment among the parameters",
        """
%%kale parameters
n = 3
n += 1
%%kale step a
x = n
""",
        "KALE203",
        "n += 1",
    ),
    refused(
        "a name that an unmarked cell makes",
        """
# %%
helper = 5
%%kale step a
x = 1
%%kale step b
y = x + helper
""",
        "KALE204",
        "helper",
        "In [1]",
        "step b",
        "line 2",
    ),
    refused(
        "a name that a skipped cell makes",
        """
%%kale step a
x = 1
%%kale skip
scale = 10
%%kale step b
y = x * scale
""",
        "KALE204",
        "scale",
        "In [2]",
    ),
    refused(
        "a name that nothing makes",
        """
%%kale step a
x = 1
%%kale step b
y = x + mising
""",
        "KALE204",
        "mising",
        "line 2",
    ),
    refused(
        "a name that a function reads and an unmarked cell makes",
        """
# %%
factor = 2
%%kale functions
def scale(v):
    return v * factor
%%kale step a
x = scale(1)
""",
        "KALE204",
        "factor",
    ),
    refused(
        "a name that is made only below",
        """
%%kale step a
x = later + 1
%%kale step b
later = 1
""",
        "KALE204",
        "later",
    ),
    refused(
        "a module that an unmarked cell imports",
        """
# %%
import json
%%kale step a
text = json.dumps([1])
""",
        "KALE204",
        "json",
        "In [1]",
    ),
    refused(
        "a name that a step deletes",
        """
%%kale step a
x = 1
%%kale step b
del x
%%kale step c
print(x)
""",
        "KALE204",
        "x",
    ),
    refused(
        "two steps that wait for each other",
        """
%%kale step a --after b
x = 1
%%kale step b
y = x
""",
        "KALE205",
        "a",
        "b",
    ),
    refused(
        "a step that waits for itself",
        """
%%kale step a --after a
x = 1
""",
        "KALE205",
        "a",
    ),
    refused(
        "three steps in a ring",
        """
%%kale step first --after third
x = 1
%%kale step second --after first
y = 1
%%kale step third --after second
z = 1
""",
        "KALE205",
        "first",
        "second",
        "third",
    ),
    refused(
        "a metric that no step has",
        """
%%kale step a
x = 1
%%kale metrics
accuracy
""",
        "KALE206",
        "accuracy",
    ),
    refused(
        "a metric that is a text",
        """
%%kale step a
verdict = "good"
%%kale metrics
verdict
""",
        "KALE207",
        "verdict",
        "str",
    ),
    refused(
        "a metric that is a list",
        """
%%kale step a
losses = [0.1, 0.2]
%%kale metrics
print(losses)
""",
        "KALE207",
        "losses",
        "list",
    ),
    refused(
        "a lock that has to cross",
        """
%%kale imports
import threading
%%kale step a
lock = threading.Lock()
%%kale step b
with lock:
    x = 1
""",
        "KALE208",
        "lock",
    ),
    refused(
        "a generator that has to cross",
        """
%%kale step load
rows = (n for n in range(3))
%%kale step use
print(list(rows))
""",
        "KALE208",
        "rows",
        "generator",
        "load",
    ),
    refused(
        "an open file that has to cross",
        """
%%kale step a
log = open("log.txt", "w")
%%kale step b
log.write("x")
""",
        "KALE208",
        "log",
    ),
    refused(
        "a connection deep in a container",
        """
%%kale imports
import sqlite3
%%kale step a
tools = {"db": [sqlite3.connect(":memory:")]}
%%kale step b
tools["db"][0].execute("select 1")
""",
        "KALE208",
        "tools['db'][0]",
        "Connection",
    ),
    refused(
        "a cell for the browser",
        """
%%kale step a
%%javascript
alert("hello")
%%kale step b
x = 1
""",
        "KALE209",
        "javascript",
    ),
    refused(
        "a magic that nobody knows",
        """
%%kale step a
%no_such_magic now
x = 1
""",
        "KALE209",
        "no_such_magic",
    ),
    refused(
        "a step that goes on after another one used its value",
        """
%%kale step a
x = [1]
%%kale step b
y = len(x)
%%kale step a
x.append(y)
%%kale step c
print(x)
""",
        "KALE210",
        "a",
        "b",
    ),
    refused(
        "a functions cell that needs a value of a step",
        """
%%kale step a
n = 3
%%kale functions
TABLE = list(range(n))
%%kale step b
x = TABLE
""",
        "KALE211",
        "n",
    ),
    refused(
        "a parameter that is given twice",
        """
%%kale parameters
n = 1
%%kale parameters
n = 2
%%kale step a
x = n
""",
        "KALE213",
        "n",
    ),
    refused(
        "a function that a later functions cell redefines",
        """
%%kale functions
def f():
    return 1
%%kale step a
x = f()
%%kale functions
def f():
    return 2
%%kale step b
y = f()
""",
        "KALE214",
        "f",
    ),
    refused(
        "after a step that there is not",
        """
%%kale step load
x = 1
%%kale step train --after laod
y = x
""",
        "KALE107",
        "laod",
        "load",
    ),
]
