"""Parameters: typed inputs, derived values, and what steps do to them."""

from tests.cases import Case

TYPES = """
%%kale parameters
n = 3
rate = 0.5
name = "abc"
flag = True
nothing = None
sizes = [1, 2.5, "x", None, [True]]
options = {"k": {"deep": [1, 2]}, "none": None}
%%kale step a
values = [n, rate, name, flag, nothing, sizes, options]
%%kale step b
print("RESULT", values, [type(v).__name__ for v in values[:4]], n, options["k"])
"""

DERIVED = """
%%kale parameters
base = 4
lr = base / 8
steps = [base, lr * 2]
label = f"run-{base}"
%%kale step a
v = [base, lr]
%%kale step b
print("RESULT", v, lr, steps, label)
"""

ANNOTATED = """
%%kale imports
from typing import Any, Dict, List, Literal, Optional, Union
%%kale parameters
rate: float = 1
limit: int | None = None
either: Union[int, str] = 5
mode: Literal["fast", "good"] = "fast"
sizes: Optional[List[int]] = [3]
weights: "Dict[str, float]" = {"a": 1, "b": 0.5}
anything: Any = "5"
text = None
named: str | None = "none"
%%kale step a
values = [rate, limit, either, mode, sizes, weights, anything, type(rate).__name__, text, named]
%%kale step b
print("RESULT", values)
"""

ANNOTATED_ANSWER = "[1, None, 5, 'fast', [3], {'a': 1, 'b': 0.5}, '5', 'int', None, 'none']"

UNSET = """
%%kale parameters
a = None
b = None
c = None
d = None
e = None
%%kale step s
values = [a, b, c, d, e]
%%kale step t
print("RESULT", values)
"""

ANSWER = """\
[3, 0.5, 'abc', True, None, [1, 2.5, 'x', None, [True]], {'k': {'deep': [1, 2]}, 'none': None}] \
['int', 'float', 'str', 'bool'] 3 {'deep': [1, 2]}"""

CASES = [
    Case("parameters of every type", TYPES, ANSWER),
    Case(
        "parameters given for a run",
        TYPES,
        """\
[-7, 2.0, 'it\\'s "x"\\n', False, None, [9, 2.5, 'y', [False]], {'k': {'deep': []}}] \
['int', 'float', 'str', 'bool'] -7 {'deep': []}""",
        given={
            "n": -7,
            "rate": 2.0,
            "name": 'it\'s "x"\n',
            "flag": False,
            "sizes": [9, 2.5, "y", [False]],
            "options": {"k": {"deep": []}},
        },
    ),
    Case("derived parameters", DERIVED, "[4, 0.5] 0.5 [4, 1.0] run-4"),
    Case("derived parameters of a given one", DERIVED, "[16, 2.0] 2.0 [16, 4.0] run-16", given={"base": 16}),
    Case(
        "negative, large and small numbers",
        """
%%kale parameters
minus = -1
plus = +2
big = 2**70
tiny = 1e-300
million = 1_000_000
mask = 0xFF
whole = 3.0
less = -0.25
%%kale step a
got = [minus, plus, big, tiny, million, mask, whole, less]
%%kale step b
print("RESULT", got, type(whole).__name__)
""",
        "[-1, 2, 1180591620717411303424, 1e-300, 1000000, 255, 3.0, -0.25] float",
    ),
    Case(
        "a whole number given for a float",
        """
%%kale parameters
rate = 0.5
%%kale step a
half = rate / 2
%%kale step b
print("RESULT", half, rate)
""",
        "1.0 2.0",
        given={"rate": 2.0},
    ),
    Case(
        "texts with everything in them",
        r"""
%%kale parameters
quotes = 'it\'s "so"'
path = r"C:\new\table"
lines = "one\ntwo\ttab"
long = '''three "" quotes
'and' a line'''
smile = "naïve ☃ 🚀"
kfp = "{{$.inputs.parameters['x']}} {{workflow.name}} {{ jinja }} {% if %}"
empty = ""
%%kale step a
n = [len(v) for v in (quotes, path, lines, long, smile, kfp, empty)]
%%kale step b
print("RESULT", n, ascii([quotes, path, lines, long, smile, kfp]))
""",
        r"""[9, 12, 11, 28, 9, 67, 0] ['it\'s "so"', 'C:\\new\\table', 'one\ntwo\ttab', """
        r"""'three "" quotes\n\'and\' a line', 'na\xefve \u2603 \U0001f680', """
        r""""{{$.inputs.parameters['x']}} {{workflow.name}} {{ jinja }} {% if %}"]""",
    ),
    Case(
        "tuples, sets and bytes",
        """
%%kale parameters
shape = (2, (3, 4))
only = {"one"}
raw = b"\\x00\\xff"
z = 1 + 2j
%%kale step a
area = shape[0] * shape[1][0]
%%kale step b
print("RESULT", area, shape, only, raw, z)
""",
        r"6 (2, (3, 4)) {'one'} b'\x00\xff' (1+2j)",
    ),
    Case(
        "keys that are no texts",
        """
%%kale parameters
labels = {0: "no", 1: "yes", None: "?"}
%%kale step a
first = labels[0]
%%kale step b
print("RESULT", first, labels)
""",
        "no {0: 'no', 1: 'yes', None: '?'}",
    ),
    Case(
        "annotated parameters and comments",
        """
%%kale parameters
# how many rounds
rounds: int = 3  # not too many
rate: "float" = 1e-1
%%kale step a
total = rounds * rate
%%kale step b
print("RESULT", round(total, 2), rounds)
""",
        "0.3 3",
    ),
    Case(
        "a parameter with an annotation given for a run",
        """
%%kale parameters
rounds: int = 3
%%kale step a
total = rounds * 2
%%kale step b
print("RESULT", total)
""",
        "20",
        given={"rounds": 10},
    ),
    Case(
        "several parameters in a line",
        """
%%kale parameters
a = 1; b = 2
c, d = 3, "four"
e = f = [5]
%%kale step s
e.append(6)
%%kale step t
print("RESULT", a, b, c, d, e, f)
""",
        "1 2 3 four [5, 6] [5, 6]",
    ),
    Case(
        "two cells of parameters",
        """
%%kale parameters
a = 1
%%kale step s
x = a + 1
%%kale pipeline-parameters
b = 10
%%kale step t
print("RESULT", x + b)
""",
        "12",
    ),
    Case(
        "a parameter that a step rebinds",
        """
%%kale parameters
n = 3
%%kale step a
before = n
%%kale step b
n = n + 1
%%kale step c
print("RESULT", before, n)
""",
        "3 4",
    ),
    Case(
        "a given parameter that a step may rebind",
        """
%%kale parameters
n = 3
limit = 5
%%kale step a
if n > limit:
    n = limit
%%kale step b
print("RESULT", n)
""",
        "5",
        given={"n": 50},
    ),
    Case(
        "a parameter that a step changes in place",
        """
%%kale parameters
layers = [8]
options = {"depth": 1}
%%kale step a
layers.append(16)
options["depth"] += 1
%%kale step b
print("RESULT", layers, options)
""",
        "[8, 16] {'depth': 2}",
    ),
    Case(
        "a derived parameter keeps its value when its source is rebound",
        """
%%kale parameters
base = 4
lr = base / 8
%%kale step a
base = 100
%%kale step b
print("RESULT", base, lr)
""",
        "100 0.5",
    ),
    Case(
        "a parameter that only functions read",
        """
%%kale parameters
k = 5
%%kale functions
def scale(v, by=k):
    return v * by + k
%%kale step a
z = scale(2)
%%kale step b
print("RESULT", z, scale(1))
""",
        "30 20",
        given={"k": 10},
    ),
    Case(
        "a parameter that functions read after it was rebound",
        """
%%kale parameters
k = 5
%%kale functions
def scale(v):
    return v * k
%%kale step a
one = scale(1)
k = 7
%%kale step b
two = scale(1)
%%kale step c
print("RESULT", one, two)
""",
        "5 7",
    ),
    Case(
        "a parameter's name inside other scopes",
        """
%%kale parameters
n = 3
%%kale step a
squares = [n * n for n in range(3)]
def f(n):
    return n
got = f("inner")
%%kale step b
print("RESULT", squares, got, n)
""",
        "[0, 1, 4] inner 3",
        takes={"a": ""},
    ),
    Case(
        "parameters in capitals and beside their small namesakes",
        """
%%kale parameters
LR = 0.1
lr = 0.2
EPOCHS = 4
Epochs = 5
%%kale step a
total = LR * EPOCHS
%%kale step b
print("RESULT", round(total, 2), lr, Epochs)
""",
        "0.4 0.2 5",
    ),
    Case(
        "parameters derived by an import",
        """
%%kale imports
import math
from pathlib import PurePosixPath
%%kale parameters
n = 16
root = math.sqrt(n)
folder = "data"
path = PurePosixPath(folder) / "x.csv"
%%kale step a
r = root + 1
%%kale step b
print("RESULT", r, path, math.isqrt(n))
""",
        "6.0 data/x.csv 5",
        given={"n": 25},
    ),
    Case(
        "parameters derived by a function of the notebook",
        """
%%kale functions
def halves(v):
    return [v / 2, v / 4]
%%kale parameters
n = 8
parts = halves(n)
worst = max(halves(v)[1] for v in (n, 2))
%%kale step a
p = parts[0]
%%kale step b
print("RESULT", p, parts, worst)
""",
        "4.0 [4.0, 2.0] 2.0",
    ),
    Case(
        "a parameter in a command",
        """
%%kale parameters
word = "hi"
n = 2
%%kale step a
lines = !echo {word} $n {n + 1}
%%kale step b
print("RESULT", lines[0])
""",
        "ho 2 3",
        given={"word": "ho"},
    ),
    Case(
        "a parameter that nothing reads",
        """
%%kale parameters
unused = 1
used = 2
%%kale step a
print("RESULT", used)
""",
        "2",
    ),
    Case("annotated parameters keep the values of the notebook", ANNOTATED, ANNOTATED_ANSWER),
    Case(
        "annotated parameters given for a run",
        ANNOTATED,
        "[2, 5, 'x', 'good', [1, 2], {'b': 1, 'a': 2.5}, [1, 1.0], 'int', '3', None]",
        given={
            "rate": 2,
            "limit": 5,
            "either": "x",
            "mode": "good",
            "sizes": [1, 2],
            "weights": {"b": 1, "a": 2.5},
            "anything": [1, 1.0],
            "text": "3",
            "named": None,
        },
    ),
    Case(
        "numbers given for parameters whose annotations take several types",
        ANNOTATED,
        "[2.0, None, 7, 'fast', None, {}, '5', 'float', 3, 'None']",
        given={
            "rate": 2.0,
            "limit": None,
            "either": 7,
            "sizes": None,
            "weights": {},
            "anything": "5",
            "text": 3,
            "named": "None",
        },
    ),
    Case(
        "values given for parameters without a value",
        UNSET,
        "[3, 'abc', [None, 1.5], True, 2.0]",
        given={"a": 3, "b": "abc", "c": [None, 1.5], "d": True, "e": 2.0},
    ),
    Case("parameters without a value", UNSET, "[None, None, None, None, None]"),
]
