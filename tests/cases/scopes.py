"""Which variable a name means: scopes, not text."""

from tests.cases import Case

CASES = [
    Case(
        "comprehension variables of all four kinds",
        """
%%kale step a
i, j = "outer i", "outer j"
%%kale step b
squares = [i * i for i in range(3)]
evens = {i for i in range(5) if i % 2 == 0}
codes = {i: j for i, j in enumerate("ab")}
total = sum(i for i in range(4))
%%kale step c
print("RESULT", i, j, squares, evens, codes, total)
""",
        "outer i outer j [0, 1, 4] {0, 2, 4} {0: 'a', 1: 'b'} 6",
        takes={"b": ""},
    ),
    Case(
        "a comprehension over a variable of its own name",
        """
%%kale step a
x = [1, 2, 3]
%%kale step b
x = [x + 1 for x in x]
%%kale step c
print("RESULT", x)
""",
        "[2, 3, 4]",
    ),
    Case(
        "nested comprehensions",
        """
%%kale step a
rows = [[1, 2], [3]]
row = "row"
k = 10
%%kale step b
flat = [cell * k for row in rows for cell in row]
table = [[k for k in range(n)] for n in flat[:1]]
%%kale step c
print("RESULT", flat, len(table[0]), row, k)
""",
        "[10, 20, 30] 10 row 10",
        takes={"b": "rows k"},
    ),
    Case(
        "lambda arguments",
        """
%%kale step a
x, y = 5, 7
%%kale step b
add = (lambda x, *y, z=y: (x, y, z))(1, 2)
%%kale step c
print("RESULT", add, x, y)
""",
        "(1, (2,), 7) 5 7",
        takes={"b": "y"},
    ),
    Case(
        "function arguments and locals",
        """
%%kale step a
x, total, rest = 1, 2, 3
%%kale step b
def f(x, *rest, **more):
    total = x + len(rest) + len(more)
    return total
got = f(1, 2, 3, k=4)
%%kale step c
print("RESULT", got, x, total, rest)
""",
        "4 1 2 3",
        takes={"b": ""},
    ),
    Case(
        "a class body",
        """
%%kale step a
size, unit = 3, "cm"
%%kale step b
class Box:
    size = size + 1
    unit: str = "mm"
    sides = [n for n in range(size)]
    def text(self):
        return f"{self.size} {self.unit}, not {size} {unit}"
shown = Box().text()
%%kale step c
print("RESULT", shown, size, unit)
""",
        "4 mm, not 3 cm 3 cm",
    ),
    Case(
        "global writes through a function",
        """
%%kale step a
count = 0
def up():
    global count, label
    count += 1
    label = f"n{count}"
%%kale step b
up()
up()
%%kale step c
print("RESULT", count, label)
""",
        "2 n2",
    ),
    Case(
        "global that is only read",
        """
%%kale step a
rate = 2
%%kale step b
def twice(v):
    global rate
    return v * rate
x = twice(4)
%%kale step c
print("RESULT", x)
""",
        "8",
    ),
    Case(
        "nonlocal",
        """
%%kale step a
n = "outside"
%%kale step b
def counter():
    n = 0
    def up():
        nonlocal n
        n += 1
        return n
    return up
up = counter()
seen = [up(), up()]
%%kale step c
print("RESULT", seen, n)
""",
        "[1, 2] outside",
        takes={"b": ""},
    ),
    Case(
        "walrus in a comprehension",
        """
%%kale step a
last = "none"
%%kale step b
big = [last for v in (1, 5, 3) if (last := v * 2) > 4]
%%kale step c
print("RESULT", big, last)
""",
        "[10, 6] 6",
    ),
    Case(
        "walrus in a condition",
        """
%%kale step a
words = "one two three".split()
%%kale step b
if (n := len(words)) > 2 and (first := words[0]):
    message = f"{n} words"
%%kale step c
print("RESULT", n, first, message)
""",
        "3 one 3 words",
    ),
    Case(
        "match captures",
        """
%%kale step a
event = {"kind": "move", "to": [3, 4, 5], "speed": 2}
kind, rest = "old kind", "old rest"
%%kale step b
match event:
    case {"kind": "stop" as kind}:
        where = None
    case {"kind": "move", "to": [x, *ys], **rest}:
        where = (x, ys)
%%kale step c
print("RESULT", where, x, ys, rest, kind)
""",
        "(3, [4, 5]) 3 [4, 5] {'speed': 2} old kind",
    ),
    Case(
        "match on a class and on values",
        """
%%kale imports
from dataclasses import dataclass
%%kale functions
@dataclass
class Point:
    x: int
    y: int
%%kale step a
p = Point(0, 7)
%%kale step b
match p:
    case Point(x=0, y=height):
        side = "axis"
    case Point() as other:
        side = "plane"
%%kale step c
print("RESULT", side, height, p)
""",
        "axis 7 Point(x=0, y=7)",
    ),
    Case(
        "with as",
        """
%%kale step a
from pathlib import Path
n = Path("numbers.txt").write_text("1 2 3")
%%kale step a
with open("numbers.txt") as file, open("numbers.txt") as (second):
    numbers = [int(word) for word in file.read().split()]
%%kale step b
print("RESULT", numbers, n)
""",
        "[1, 2, 3] 5",
    ),
    Case(
        "except as removes the name",
        """
%%kale step a
error = "before"
%%kale step b
try:
    1 / 0
except ZeroDivisionError as error:
    message = str(error)
%%kale step c
try:
    left = error
except NameError:
    left = "gone"
print("RESULT", message, left)
""",
        "division by zero gone",
    ),
    Case(
        "except as that does not happen",
        """
%%kale step a
error = "before"
%%kale step b
try:
    value = int("12")
except ValueError as error:
    value = None
%%kale step c
print("RESULT", value, error)
""",
        "12 before",
    ),
    Case(
        "del of some of the names",
        """
%%kale step a
x, y, z = 1, 2, 3
%%kale step b
total = x + y + z
del x, (y)
%%kale step c
print("RESULT", total, z, "x" in globals(), "y" in dir())
""",
        "6 3 False False",
    ),
    Case(
        "a star import in a step",
        """
%%kale step a
pi = 3
%%kale step b
from math import *
area = floor(pi * 100)
%%kale step c
print("RESULT", area, round(pi, 3), sqrt(9))
""",
        "314 3.142 3.0",
    ),
    Case(
        "a star import in the imports",
        """
%%kale imports
from itertools import *
from statistics import *
%%kale step a
pairs = list(combinations("abc", 2))
%%kale step b
print("RESULT", len(pairs), mean([1, 2, 6]))
""",
        "3 3",
    ),
    Case(
        "builtins rebound",
        """
%%kale step a
sum = 10
list = [1, 2]
id, input, type = "id", "in", "t"
%%kale step b
sum += len(list)
%%kale step c
print("RESULT", sum, list, id, input, type)
""",
        "12 [1, 2] id in t",
    ),
    Case(
        "a builtin rebound by a function of the notebook",
        """
%%kale functions
def max(values):
    return "my max of " + str(len(values))
%%kale step a
found = max([3, 4])
%%kale step b
print("RESULT", found, max([]), min([5, 4]))
""",
        "my max of 2 my max of 0 4",
    ),
    Case(
        "a builtin rebound and given back",
        """
%%kale step a
len = 3
shown = len
%%kale step b
del len
%%kale step c
print("RESULT", shown, len("four"))
""",
        "3 4",
    ),
    Case(
        "a builtin rebound below its use",
        """
%%kale step a
n = sum([1, 2])
%%kale step b
sum = n * 2
%%kale step c
print("RESULT", n, sum)
""",
        "3 6",
        takes={"a": ""},
    ),
    Case(
        "for targets",
        """
%%kale step a
i, last = "i", "last"
%%kale step b
for i, (head, *last) in enumerate(["abc", "de"]):
    pass
%%kale step c
print("RESULT", i, head, last)
""",
        "1 d ['e']",
    ),
    Case(
        "for targets that are places in objects",
        """
%%kale step a
table, slots = {}, [0, 0]
%%kale step b
for table["last"] in range(3):
    for slots[0] in "xy":
        pass
%%kale step c
print("RESULT", table, slots)
""",
        "{'last': 2} ['y', 0]",
    ),
    Case(
        "augmented assignments",
        """
%%kale step a
n, text, items, bits = 7, "a", [1], {1}
%%kale step b
n //= 2
text *= 3
items += [2]
bits |= {5}
%%kale step c
print("RESULT", n, text, items, bits)
""",
        "3 aaa [1, 2] {1, 5}",
    ),
    Case(
        "unpacking in every place",
        """
%%kale step a
(a, [b, *c]), d = ("p", "qrs"), "t"
first, *_, last = range(9)
%%kale step b
a, d = d, a
[e, f] = {"x": 1, "y": 2}
merged = {**{"k": a}, **dict(zip("mn", c))}
%%kale step c
print("RESULT", a, b, c, d, e, f, first, last, merged, _)
""",
        "t q ['r', 's'] p x y 0 8 {'k': 't', 'm': 'r', 'n': 's'} [1, 2, 3, 4, 5, 6, 7]",
    ),
    Case(
        "chained assignment to one list",
        """
%%kale step a
left = right = []
%%kale step b
left.append(1)
%%kale step c
print("RESULT", left, right, left is right)
""",
        "[1] [1] True",
    ),
    Case(
        "functions in functions",
        """
%%kale step a
base = 100
%%kale step b
def outer(n):
    def inner(m):
        return m + n + base
    return inner
answer = outer(20)(3)
%%kale step c
base = 200
print("RESULT", answer, outer(0)(0))
""",
        "123 200",
    ),
]
