"""Names that are looked up in odd places: texts, decorators, defaults, annotations, modules."""

from tests.cases import Case, refused

CASES = [
    Case(
        "decorators",
        """
%%kale functions
import functools
def loud(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args).upper() + "!"
    return wrapper
%%kale step a
@loud
def greet(name):
    return f"hi {name}"
%%kale step b
print("RESULT", greet("bob"), greet.__name__)
""",
        "HI BOB! greet",
    ),
    Case(
        "a decorator that takes a value of a step",
        """
%%kale step a
times = 3
%%kale step b
def repeat(n):
    return lambda function: lambda text: function(text) * n
@repeat(times)
def echo(text):
    return text
times = 99
%%kale step c
print("RESULT", echo("ab"), times)
""",
        "ababab 99",
    ),
    Case(
        "default arguments keep the value of their time",
        """
%%kale step a
rate = 2
def scale(v, by=rate, *, plus=rate + 1):
    return v * by + plus
%%kale step b
rate = 50
%%kale step c
print("RESULT", scale(10), scale(10, rate), rate)
""",
        "23 503 50",
    ),
    Case(
        "a default argument that remembers",
        """
%%kale functions
def collect(item, seen=[]):
    seen.append(item)
    return list(seen)
%%kale step a
one = collect("a")
%%kale step b
two = collect("b")
%%kale step c
print("RESULT", one, two)
""",
        "['a'] ['a', 'b']",
    ),
    Case(
        "annotations",
        """
%%kale imports
from typing import Optional
import decimal
%%kale step a
count: int = 3
name: Optional[str]
class Row:
    price: decimal.Decimal
def price(row: Row, tax: "Unknown" = 1) -> decimal.Decimal:
    local: list[int] = [tax]
    return decimal.Decimal(local[0])
%%kale step b
name: str = "n"
print("RESULT", price(Row()), count, name)
""",
        "1 3 n",
    ),
    Case(
        "async functions and comprehensions",
        """
%%kale imports
import asyncio
%%kale functions
async def numbers(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield i
%%kale step a
i = "i"
%%kale step b
squares = [i * i async for i in numbers(3)]
async for last in numbers(2):
    pass
pair = await asyncio.gather(asyncio.sleep(0, "x"), asyncio.sleep(0, "y"))
%%kale step c
print("RESULT", squares, last, pair, i)
""",
        "[0, 1, 4] 1 ['x', 'y'] i",
    ),
    Case(
        "async with",
        """
%%kale imports
import contextlib
%%kale step a
log = []
%%kale step b
@contextlib.asynccontextmanager
async def opened(name):
    log.append(f"open {name}")
    yield name.upper()
    log.append("close")
async with opened("x") as handle:
    log.append(handle)
%%kale step c
print("RESULT", log)
""",
        "['open x', 'X', 'close']",
    ),
    Case(
        "names in f-strings",
        """
%%kale step a
value, width, places = 3.14159, 8, 2
%%kale step b
text = f"{value:>{width}.{places}f}|{value!r}|{[w for w in 'ab']}|{{value}}|{width=}"
%%kale step c
print("RESULT", text)
""",
        "    3.14|3.14159|['a', 'b']|{value}|width=8",
        takes={"b": "value width places"},
    ),
    Case(
        "names that eval looks up",
        """
%%kale step a
x, y = 3, 4
%%kale step b
z = eval("x * y")
%%kale step c
print("RESULT", z, eval("x + y + z"))
""",
        "12 19",
    ),
    Case(
        "names that globals and locals look up",
        """
%%kale step a
alpha, beta = 1, 2
%%kale step b
found = sorted(name for name in globals() if name in ("alpha", "beta"))
total = sum(globals()[name] for name in found) + locals()["beta"]
%%kale step c
print("RESULT", found, total)
""",
        "['alpha', 'beta'] 5",
    ),
    Case(
        "names that a format looks up",
        """
%%kale step a
city = "Pisa"
%%kale step b
line = "{city}, {who}".format(**globals(), who="me")
again = "%(city)s" % vars()
%%kale step c
print("RESULT", line, again)
""",
        "Pisa, me Pisa",
    ),
    Case(
        "a name that is an attribute, a keyword and a key elsewhere",
        """
%%kale step a
real = "real"
data = {"real": 1}
%%kale step b
parts = (3 + 4j).real, dict(real=5)["real"], data["real"]
%%kale step c
print("RESULT", parts, real)
""",
        "(3.0, 5, 1) real",
        takes={"b": "data"},
    ),
    Case(
        "an import in a function",
        """
%%kale step a
json = "not the module"
def dump(value):
    import json
    return json.dumps(value)
%%kale step b
print("RESULT", dump([1]), json)
""",
        "[1] not the module",
    ),
    Case(
        "modules by parts and other names",
        """
%%kale step a
import os.path
import xml.dom.minidom as md, collections.abc
joined = os.path.join("a", "b")
%%kale step b
import concurrent.futures
doc = md.parseString("<p>hi</p>").documentElement.tagName
ok = isinstance([], collections.abc.Sized)
%%kale step c
print("RESULT", joined, doc, ok, os.sep, concurrent.futures.__name__)
""",
        "a/b p True / concurrent.futures",
    ),
    Case(
        "private names in a class",
        """
%%kale step a
__secret = "global"
class Safe:
    __secret = "class"
    def show(self):
        return self.__secret
%%kale step b
print("RESULT", Safe().show(), Safe._Safe__secret, __secret)
""",
        "class class global",
    ),
    Case(
        "a name of another step that is looked up in globals and bound again",
        """
%%kale parameters
limit = 3
%%kale functions
bound = globals()["limit"] + 1
%%kale step make
rows = [1]
same = rows
%%kale step look
same = same
rows = globals()["rows"]
print("RESULT", rows, same is rows, bound)
""",
        "[1] True 4",
        cold=True,
    ),
    refused(
        "a step that has deleted a name and goes on with another step's",
        """
%%kale step first
total = 1
del total
%%kale step second
total = 2
%%kale step first
doubled = total * 2
%%kale step show
print("RESULT", doubled)
""",
        "KALE210",
        "total",
    ),
]
