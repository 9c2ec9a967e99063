"""What the notebook had run before any step: imports, functions, and what they do besides defining."""

from tests.cases import Case, refused

CASES = [
    refused(
        "a functions cell that draws without a seed for two steps",
        """
%%kale imports
import random
%%kale functions
chosen = random.randint(0, 10**9)
%%kale step a
x = chosen
%%kale step b
print("RESULT", x == chosen)
""",
        "KALE222",
        "chosen",
        "a, b",
    ),
    refused(
        "a parameters cell that asks the clock for two steps",
        """
%%kale imports
from datetime import datetime
%%kale parameters
prefix = "run"
now = datetime.now()
label = f"{prefix}-{now:%f}"
%%kale step a
x = label
%%kale step b
print("RESULT", x == label)
""",
        "KALE222",
        "label",
    ),
    Case(
        "a functions cell that asks the clock for one step",
        """
%%kale imports
import time
%%kale functions
started = time.time()
%%kale step a
x = 1
%%kale step b
print("RESULT", x, time.time() - started < 60)
""",
        "1 True",
    ),
    Case(
        "imports that steps use directly and through functions",
        """
%%kale imports
import json, math as m
from os import path as p, sep
%%kale functions
def dump(v):
    return json.dumps(v)
%%kale step a
x = m.floor(2.7)
%%kale step b
y = p.join("a", "b"), sep
%%kale step c
print("RESULT", dump([x, *y]))
""",
        '[2, "a/b", "/"]',
    ),
    Case(
        "an import that a definition of the prelude needs",
        """
%%kale imports
import functools
from abc import ABC
from dataclasses import dataclass, field
from math import pi
%%kale functions
@functools.lru_cache
def area(r, factor=pi):
    return round(r * r * factor, 2)
class Shape(ABC):
    pass
@dataclass
class Circle(Shape):
    tags: list = field(default_factory=list)
%%kale step a
c = Circle(["t"])
%%kale step b
print("RESULT", area(1), c, isinstance(c, Shape))
""",
        "3.14 Circle(tags=['t']) True",
    ),
    Case(
        "an import for its side effect",
        """
%%kale imports
import registering
from registry_of_names import NAMES
%%kale step a
n = len(NAMES)
%%kale step b
print("RESULT", n, NAMES)
""",
        "1 ['registered']",
        files={
            "registering.py": "from registry_of_names import NAMES\nNAMES.append('registered')\n",
            "registry_of_names.py": "NAMES = []\n",
        },
    ),
    Case(
        "statements in the imports cell",
        """
%%kale imports
import os
import random
import warnings
warnings.filterwarnings("ignore", message="harmless")
os.environ["KALE_CASE"] = "set"
random.seed(3)
LIMIT = 10
%%kale step a
import warnings
warnings.warn("harmless")
x = random.randrange(1000), os.environ["KALE_CASE"], LIMIT
%%kale step b
again = random.Random(3).randrange(1000)
print("RESULT", x[0] == again, x[1:])
""",
        "True ('set', 10)",
    ),
    Case(
        "options of a library",
        """
%%kale imports
import pandas as pd
pd.set_option("display.max_columns", 3)
%%kale step a
columns = pd.get_option("display.max_columns")
%%kale step b
print("RESULT", columns, pd.get_option("display.max_columns"))
""",
        "3 3",
    ),
    Case(
        "imports below steps",
        """
%%kale step a
x = 4.0
%%kale imports
import math
%%kale functions
def root(v):
    return math.sqrt(v)
%%kale step b
print("RESULT", root(x))
""",
        "2.0",
    ),
    Case(
        "functions above imports",
        """
%%kale functions
def half(v):
    return fractions.Fraction(v, 2)
%%kale imports
import fractions
%%kale step a
x = half(3)
%%kale step b
print("RESULT", x)
""",
        "3/2",
    ),
    Case(
        "the same name imported twice",
        """
%%kale imports
from os import path
from sys import path
%%kale step a
kind = type(path).__name__
%%kale imports
import os
%%kale step b
print("RESULT", kind, isinstance(path, list), os.sep)
""",
        "list True /",
    ),
    Case(
        "names that are looked up when the program runs",
        """
%%kale imports
import json
import math
%%kale functions
def call(module, name, *args):
    return getattr(globals()[module], name)(*args)
def secret():
    return "found"
%%kale step a
x = call("math", "floor", 2.5)
%%kale step b
y = eval("secret()")
print("RESULT", x, y, eval("json.dumps([x])"))
""",
        "2 found [2]",
    ),
    Case(
        "an import that a step replaces",
        """
%%kale imports
import json
%%kale step a
text = json.dumps({"a": 1})
%%kale step b
class json:
    @staticmethod
    def dumps(value):
        return "mine"
%%kale step c
print("RESULT", text, json.dumps(1))
""",
        '{"a": 1} mine',
    ),
    Case(
        "a function that a step replaces",
        """
%%kale functions
def score(v):
    return v
def report(v):
    return f"score {score(v)}"
%%kale step a
before = report(1)
%%kale step b
def score(v):
    return v * 100
%%kale step c
print("RESULT", before, report(1))
""",
        "score 1 score 100",
    ),
    Case(
        "a functions cell that keeps an object",
        """
%%kale functions
class Log:
    def __init__(self):
        self.lines = []
log = Log()
def note(line):
    log.lines.append(line)
note("start")
%%kale step a
note("a")
%%kale step b
note("b")
print("RESULT", log.lines)
""",
        "['start', 'a', 'b']",
    ),
    Case(
        "a module's own state is the step's",
        """
%%kale imports
import logging
logger = logging.getLogger("kale case")
logger.setLevel(logging.ERROR)
%%kale functions
def level():
    return logger.getEffectiveLevel()
%%kale step a
x = level()
%%kale step b
logger.info("not shown")
print("RESULT", x, logger.name, level())
""",
        "40 kale case 40",
    ),
    Case(
        "many names from one import",
        """
%%kale imports
from collections import (
    Counter,  # counts
    OrderedDict as Ordered,
    deque,
)
%%kale step a
c = Counter("aab")
%%kale step b
d = deque(Ordered(a=1))
%%kale step c
print("RESULT", c.most_common(1), d, type(c) is Counter)
""",
        "[('a', 2)] deque(['a']) True",
    ),
    Case(
        "an import in a step is there in the later ones",
        """
%%kale step a
import math
from json import dumps as to_json
r = math.sqrt(16)
%%kale step b
x = math.floor(r + 0.5)
%%kale step c
print("RESULT", to_json([r, x]), math.pi > 3)
""",
        "[4.0, 4] True",
    ),
]
