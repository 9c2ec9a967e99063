"""Objects that others hold: records, containers with a memory, text in memory, context managers, iterators."""

from tests.cases import Case

CASES = [
    Case(
        "fields that a changed copy of data shares",
        """
%%kale imports
from dataclasses import dataclass, field, replace
%%kale functions
@dataclass
class Config:
    n: int
    tags: list = field(default_factory=list)
%%kale step make
config = Config(1)
other = replace(config, n=2)
%%kale step change
other.tags.append("x")
%%kale step show
print("RESULT", config, other, config.tags is other.tags)
""",
        "Config(n=1, tags=['x']) Config(n=2, tags=['x']) True",
        cold=True,
    ),
    Case(
        "shallow copies share what they hold",
        """
%%kale imports
import copy
from types import SimpleNamespace
%%kale step make
space = SimpleNamespace(items=[1])
a, b = copy.copy(space), copy.deepcopy(space)
ordered = sorted([[2], [1]])
again = list(ordered)
%%kale step change
a.items.append(2)
again[0].append(3)
%%kale step show
print("RESULT", space.items, b.items, ordered)
""",
        "[1, 2] [1] [[1, 3], [2]]",
        cold=True,
    ),
    Case(
        "named tuples hold what they are given",
        """
%%kale imports
from collections import namedtuple
from typing import NamedTuple
%%kale functions
class Point(NamedTuple):
    x: int
    tags: list
Pair = namedtuple("Pair", "left right")
%%kale step make
tags = ["a"]
point = Point(1, tags)
pair = Pair(tags, right=[])
moved = point._replace(x=2)
%%kale step change
moved.tags.append("b")
pair.right.append(0)
%%kale step show
print("RESULT", point, pair, moved.tags is tags)
""",
        "Point(x=1, tags=['a', 'b']) Pair(left=['a', 'b'], right=[0]) True",
        cold=True,
    ),
    Case(
        "constructors of records leave what they get alone",
        """
%%kale imports
from collections import namedtuple
from dataclasses import dataclass
from typing import NamedTuple
%%kale functions
Pair = namedtuple("Pair", "a b")
class Point(NamedTuple):
    x: list
@dataclass
class Box:
    items: list
%%kale step make
rows = [1, 2]
%%kale step one
a = len(Pair(rows, 0).a)
%%kale step two
b = len(Point(rows).x)
%%kale step three
c = len(Box(rows).items)
%%kale step show
print("RESULT", a, b, c, rows)
""",
        "2 2 2 [1, 2]",
        parallel="one two three",
        cold=True,
    ),
    Case(
        "a dictionary whose keys are its attributes",
        """
%%kale functions
class Options(dict):
    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__
%%kale step make
options = Options(rate=0.1)
%%kale step change
options.depth = 3
%%kale step show
print("RESULT", options.rate, dict(options))
""",
        "0.1 {'rate': 0.1, 'depth': 3}",
        cold=True,
    ),
    Case(
        "objects that answer to every name",
        """
%%kale functions
class Mock:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return len(name)
%%kale step make
mock = Mock()
%%kale step show
print("RESULT", mock.anything, mock.fit)
""",
        "8 3",
        cold=True,
    ),
    Case(
        "a dictionary with defaults that is only looked into",
        """
%%kale imports
from collections import defaultdict
%%kale step make
counts, words = defaultdict(int), defaultdict(list)
%%kale step look
counts["asked"]
words.get("no")
"never" in words
%%kale step loop
for key in ("a", "b"):
    words[key]
%%kale step show
print("RESULT", dict(counts), dict(words))
""",
        "{'asked': 0} {'a': [], 'b': []}",
        cold=True,
    ),
    Case(
        "a dictionary of dictionaries with defaults",
        """
%%kale imports
from collections import defaultdict
%%kale step make
tree = defaultdict(lambda: defaultdict(list))
%%kale step fill
tree["a"]["b"].append(1)
%%kale step more
branch = tree["c"]
branch["d"].append(2)
%%kale step show
print("RESULT", {key: dict(value) for key, value in tree.items()})
""",
        "{'a': {'b': [1]}, 'c': {'d': [2]}}",
        cold=True,
    ),
    Case(
        "a dictionary that numbers what is asked for",
        """
%%kale imports
from collections import defaultdict
%%kale step make
ids = defaultdict(lambda: len(ids))
%%kale step one
a = ids["x"]
%%kale step two
b = [ids[letter] for letter in "yx"]
%%kale step show
print("RESULT", a, b, dict(ids))
""",
        "0 [1, 0] {'x': 0, 'y': 1}",
        cold=True,
    ),
    Case(
        "text that is printed into memory",
        """
%%kale imports
import csv
import io
import json
from contextlib import redirect_stdout
%%kale step make
memory = io.StringIO()
%%kale step one
print("a", file=memory, end=";")
%%kale step two
csv.writer(memory, lineterminator=";").writerow([1, 2])
json.dump([3], memory)
%%kale step three
with redirect_stdout(memory):
    print(";b", end="")
%%kale step show
print("RESULT", memory.getvalue())
""",
        "a;1,2;[3];b",
        cold=True,
    ),
    Case(
        "text in memory under another name, and as an attribute",
        """
%%kale imports
import io
%%kale functions
class Log:
    def __init__(self, out):
        self.out = out
    def say(self, text):
        print(text, file=self.out, end=" ")
%%kale step make
memory = io.StringIO()
log, same = Log(memory), memory
%%kale step say
log.say("hello")
same.write("you")
%%kale step show
print("RESULT", memory.getvalue())
""",
        "hello you",
        cold=True,
    ),
    Case(
        "functions that call a method by its name",
        """
%%kale imports
import operator
from functools import partial, reduce
%%kale step make
a, b, c, d, e = [], [], [0], {}, []
%%kale step change
operator.methodcaller("append", 4)(a)
partial(list.append, b)(5)
operator.setitem(c, 0, 6)
operator.iadd(c, [7])
getattr(d, "__setitem__")("k", 8)
reduce(lambda all, x: all.append(x) or all, [9], e)
%%kale step show
print("RESULT", a, b, c, d, e)
""",
        "[4] [5] [6, 7] {'k': 8} [9]",
        cold=True,
    ),
    Case(
        "what a getter gives is what the object holds",
        """
%%kale imports
from operator import attrgetter, itemgetter
from types import SimpleNamespace
%%kale step make
record, space = {"tags": []}, SimpleNamespace(inner=SimpleNamespace(items=[]))
tags, items = itemgetter("tags")(record), attrgetter("inner.items")(space)
%%kale step change
tags.append(1)
items.append(2)
%%kale step show
print("RESULT", record, space.inner.items)
""",
        "{'tags': [1]} [2]",
        cold=True,
    ),
    Case(
        "what a with statement gives a name to",
        """
%%kale imports
from contextlib import ExitStack, contextmanager, nullcontext
%%kale functions
@contextmanager
def lent(item):
    yield item
class Held:
    def __init__(self, item):
        self.item = item
    def __enter__(self):
        return self.item
    def __exit__(self, *error):
        self.item.append("closed")
%%kale step make
a, b, c, d = [], [], [], []
%%kale step use
with nullcontext(a) as one, lent(b) as two:
    one.append(1)
    two.append(2)
with Held(c) as three:
    three.append(3)
with ExitStack() as stack:
    four = stack.enter_context(nullcontext(d))
    four.append(4)
%%kale step show
print("RESULT", a, b, c, d)
""",
        "[1] [2] [3, 'closed'] [4]",
        cold=True,
    ),
    Case(
        "what walrus, match, try and unpacking give a name to",
        """
%%kale step make
a, b, c, d, e = ([] for _ in range(5))
%%kale step use
if (one := a) == []:
    one.append(1)
match {"k": b}:
    case {"k": two}:
        two.append(2)
try:
    three = c
    three.append(3)
    three[9]
except IndexError:
    three.append("late")
first, *rest = [d, e]
first.append(4)
rest[0].append(5)
%%kale step show
print("RESULT", a, b, c, d, e)
""",
        "[1] [2] [3, 'late'] [4] [5]",
        cold=True,
    ),
    Case(
        "chains, queues and heaps",
        """
%%kale imports
import bisect
import heapq
from collections import ChainMap, OrderedDict, deque
%%kale step make
base, top = {"a": 1}, {}
layers, queue, order, heap, line = ChainMap(top, base), deque(maxlen=2), OrderedDict(a=1, b=2), [3, 5], [1, 4]
%%kale step change
layers["b"] = 2
queue.extend([1, 2, 3])
order.move_to_end("a")
heapq.heappush(heap, 1)
bisect.insort(line, 2)
%%kale step show
print("RESULT", top, base, list(queue), list(order), heap, line)
""",
        "{'b': 2} {'a': 1} [2, 3] ['b', 'a'] [1, 5, 3] [1, 2, 4]",
        cold=True,
    ),
    Case(
        "iterators that several steps take from",
        """
%%kale step make
rows = iter([1, 2, 3, 4])
pairs = enumerate("abc")
%%kale step one
first = next(rows)
%%kale step two
second = [next(rows), next(pairs)]
%%kale step show
print("RESULT", first, second, list(rows), list(pairs))
""",
        "1 [2, (0, 'a')] [3, 4] [(1, 'b'), (2, 'c')]",
        cold=True,
    ),
    Case(
        "closures that share a variable",
        """
%%kale functions
def account():
    total = [0]
    def put(n):
        total[0] += n
    def get():
        return total[0]
    return put, get
%%kale step make
put, get = account()
%%kale step one
put(3)
%%kale step two
put(4)
%%kale step show
print("RESULT", get())
""",
        "7",
        cold=True,
    ),
    Case(
        "memory that a list and a view of its bytes share",
        """
%%kale imports
from array import array
%%kale step make
numbers, raw = array("i", [1, 2]), bytearray(b"abc")
%%kale step change
numbers.append(3)
view = memoryview(raw)
view[0] = ord("x")
view.release()
del view
%%kale step show
print("RESULT", numbers.tolist(), bytes(raw))
""",
        "[1, 2, 3] b'xbc'",
        cold=True,
    ),
    Case(
        "a long chain of objects",
        """
%%kale functions
class Link:
    def __init__(self, value, below=None):
        self.value, self.below = value, below
%%kale step make
top = None
for value in range(3000):
    top = Link(value, top)
%%kale step show
depth, link = 0, top
while link is not None:
    depth, link = depth + 1, link.below
print("RESULT", top.value, depth)
""",
        "2999 3000",
        cold=True,
    ),
    Case(
        "an object that is changed by operators and by items",
        """
%%kale functions
class Bag:
    def __init__(self):
        self.items = {}
    def __setitem__(self, key, value):
        self.items[key] = value
    def __delitem__(self, key):
        del self.items[key]
    def __ior__(self, other):
        self.items.update(other)
        return self
    def __call__(self, key):
        self.items[key] = "called"
%%kale step make
bag = Bag()
same = bag
%%kale step one
bag["a"] = 1
bag["b"] = 2
del bag["a"]
%%kale step two
same |= {"c": 3}
same("d")
%%kale step show
print("RESULT", bag.items, bag is same)
""",
        "{'b': 2, 'c': 3, 'd': 'called'} True",
        cold=True,
    ),
    Case(
        "a dict and a list hold objects whose methods have the names of theirs",
        """
%%kale functions
class Word:
    def __init__(self, text):
        self.text = text
    def update(self, other):
        return Word(self.text + other)
    def append(self, other):
        return Word(self.text + other)
%%kale step make
words, named = [Word("a")], {"b": Word("b")}
%%kale step change
words.append(Word("c"))
named.update(d=Word("d"))
%%kale step show
print("RESULT", [w.text for w in words], [*named], words[0].append("x").text)
""",
        "['a', 'c'] ['b', 'd'] ax",
        cold=True,
    ),
    Case(
        "a frame beside an object whose method has the name of one of the frame's",
        """
%%kale imports
import pandas as pd
%%kale functions
class Clean:
    def insert(self, *given):
        return given
%%kale step make
frame = pd.DataFrame({"a": [1]})
parts = {"clean": Clean(), "frame": frame}
%%kale step change
parts["frame"].insert(0, "z", 1)
%%kale step show
print("RESULT", list(frame))
""",
        "['z', 'a']",
        cold=True,
    ),
]
