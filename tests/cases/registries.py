"""Attributes of classes that change through instances; registers of instances, classes, functions and callbacks."""

from tests.cases import Case

CASES = [
    Case(
        "a dictionary of a class, filled through an instance",
        """
%%kale functions
class Settings:
    values = {}
    def set(self, key, value):
        self.values[key] = value
        return self
%%kale step set
settings = Settings().set("rate", 0.1)
%%kale step show
print("RESULT", settings.values, Settings.values)
""",
        "{'rate': 0.1} {'rate': 0.1}",
        cold=True,
    ),
    Case(
        "a list of a class, filled through an instance, a subclass and the class",
        """
%%kale functions
class Base:
    names = []
    def note(self, name):
        self.names.append(name)
    @classmethod
    def note_too(cls, name):
        cls.names.append(name)
class Child(Base):
    pass
%%kale step one
Base().note("a")
%%kale step two
Child.note_too("b")
%%kale step three
Child().note("c")
%%kale step show
print("RESULT", Base.names, Child.names is Base.names)
""",
        "['a', 'b', 'c'] True",
        cold=True,
    ),
    Case(
        "numbers of a class that its instances count up",
        """
%%kale functions
class Job:
    made = 0
    done = 0
    def __init__(self):
        type(self).made += 1
    def run(self):
        self.__class__.done += 1
    @classmethod
    def reset(cls):
        cls.made = 0
%%kale step one
first = Job()
%%kale step two
second = Job()
second.run()
%%kale step three
totals = Job.made, Job.done
Job.reset()
%%kale step show
print("RESULT", totals, Job.made, first.done)
""",
        "(2, 1) 0 1",
        cold=True,
    ),
    Case(
        "numbers that a class hands out",
        """
%%kale imports
import itertools
%%kale functions
class Ticket:
    last = [0]
    def __init__(self):
        self.last[0] += 1
        self.number = self.last[0]
%%kale step one
a = Ticket()
%%kale step two
b = Ticket()
%%kale step show
print("RESULT", a.number, b.number, Ticket.last)
""",
        "1 2 [2]",
        cold=True,
    ),
    Case(
        "an attribute of a class that an instance hides",
        """
%%kale functions
class Model:
    rate = 1
    def speed(self):
        self.rate += 1
%%kale step one
model = Model()
model.speed()
%%kale step two
Model.rate = 10
%%kale step show
print("RESULT", model.rate, Model().rate)
""",
        "2 10",
        cold=True,
    ),
    Case(
        "instances that a list of their class keeps",
        """
%%kale functions
class Node:
    all = []
    def __init__(self, n):
        self.n = n
        self.all.append(self)
%%kale step one
a = Node(1)
%%kale step two
b = Node(2)
%%kale step change
a.n = 10
%%kale step show
print("RESULT", [node.n for node in Node.all], Node.all[0] is a)
""",
        "[10, 2] True",
        cold=True,
    ),
    Case(
        "instances that a dictionary of their class keeps by name",
        """
%%kale functions
class Topic:
    known = {}
    def __new__(cls, name):
        if name not in cls.known:
            cls.known[name] = super().__new__(cls)
        return cls.known[name]
    def __init__(self, name):
        self.name = name
%%kale step one
a = Topic("x")
%%kale step two
b = Topic("x")
c = Topic("y")
%%kale step show
print("RESULT", a is b, sorted(Topic.known))
""",
        "True ['x', 'y']",
        cold=True,
    ),
    Case(
        "data that registers itself after it was made",
        """
%%kale imports
from dataclasses import dataclass
%%kale functions
RUNS = []
@dataclass
class Run:
    id: int
    def __post_init__(self):
        RUNS.append(self)
%%kale step one
a = Run(1)
%%kale step two
b = Run(2)
%%kale step change
a.id = 10
%%kale step show
print("RESULT", RUNS, RUNS[0] is a)
""",
        "[Run(id=10), Run(id=2)] True",
        cold=True,
    ),
    Case(
        "subclasses that register themselves",
        """
%%kale imports
import json
%%kale functions
class Writer:
    kinds = {}
    def __init_subclass__(cls, kind, **rest):
        super().__init_subclass__(**rest)
        cls.kinds[kind] = cls
class Json(Writer, kind="json"):
    def write(self, value):
        return json.dumps(value)
%%kale step add
class Text(Writer, kind="text"):
    def write(self, value):
        return str(value)
%%kale step show
print("RESULT", sorted(Writer.kinds), [Writer.kinds[k]().write([1]) for k in ("json", "text")])
""",
        "['json', 'text'] ['[1]', '[1]']",
        cold=True,
    ),
    Case(
        "subclasses that are looked for",
        """
%%kale imports
import json
import math
%%kale functions
class Check:
    pass
class Whole(Check):
    def run(self, value):
        return json.loads(value)
class Half(Check):
    def run(self, value):
        return math.floor(float(value) / 2)
%%kale step use
found = [check().run("3") for check in Check.__subclasses__()]
%%kale step show
print("RESULT", found, [c.__name__ for c in Check.__subclasses__()])
""",
        "[3, 1] ['Whole', 'Half']",
        cold=True,
    ),
    Case(
        "functions that a decorator registers, with imports of their own",
        """
%%kale imports
import json
import textwrap
%%kale functions
ACTIONS = {}
def action(function):
    ACTIONS[function.__name__] = function
    return function
@action
def dump(value):
    return json.dumps(value)
@action
def short(value):
    return textwrap.shorten(value, 8)
def run(name, value):
    return ACTIONS[name](value)
%%kale step one
a = run("dump", {"a": 1})
%%kale step two
b = run("short", "some long words")
%%kale step show
print("RESULT", a, b)
""",
        '{"a": 1} [...]',
        cold=True,
    ),
    Case(
        "classes that a decorator with an argument registers",
        """
%%kale imports
import numpy as np
%%kale functions
MODELS = {}
def model(name):
    def add(cls):
        MODELS[name] = cls
        return cls
    return add
@model("mean")
class Mean:
    def fit(self, values):
        return float(np.mean(values))
%%kale step fit
result = MODELS["mean"]().fit([1.0, 3.0])
%%kale step show
print("RESULT", result)
""",
        "2.0",
        cold=True,
    ),
    Case(
        "a function that a step registers, and whose helper is called like a builtin",
        """
%%kale imports
import json
%%kale step make
known = {}
def help(value):
    return json.dumps(value)
def input(value):
    return [value]
def add(function):
    known[function.__name__] = function
    return function
@add
def dump(value):
    return help(input(value))
%%kale step show
print("RESULT", known["dump"](1))
""",
        "[1]",
        cold=True,
    ),
    Case(
        "functions in a list, each with a helper",
        """
%%kale imports
import math
%%kale step make
def half(x):
    return math.floor(x / 2)
def less(x):
    return half(x) - 1
jobs = [less, half]
%%kale step show
print("RESULT", [job(9) for job in jobs])
""",
        "[3, 4]",
        cold=True,
    ),
    Case(
        "a function that an object keeps and calls later",
        """
%%kale imports
import json
%%kale functions
class Source:
    def __init__(self, load):
        self.load = load
    def get(self, text):
        return self.load(text)
def parse(text):
    return json.loads(text)["n"]
%%kale step make
source = Source(parse)
%%kale step show
print("RESULT", source.get('{"n": 4}'))
""",
        "4",
        cold=True,
    ),
    Case(
        "a bound method that an object is given",
        """
%%kale functions
class Bus:
    def __init__(self):
        self.listeners = []
    def on(self, function):
        self.listeners.append(function)
        return function
    def emit(self, value):
        for function in self.listeners:
            function(value)
%%kale step make
got, seen, bus = [], {}, Bus()
%%kale step listen
bus.on(got.append)
bus.on(lambda value: seen.update(last=value))
%%kale step emit
bus.emit(3)
%%kale step show
print("RESULT", got, seen)
""",
        "[3] {'last': 3}",
        cold=True,
    ),
    Case(
        "a function that a decorator of an object registers",
        """
%%kale functions
class Trainer:
    def __init__(self):
        self.hooks, self.epoch = [], 0
    def after(self, hook):
        self.hooks.append(hook)
        return hook
    def fit(self, epochs):
        for _ in range(epochs):
            self.epoch += 1
            for hook in self.hooks:
                hook(self.epoch)
        return self
%%kale step make
trainer, history = Trainer(), []
@trainer.after
def record(epoch):
    history.append(epoch)
%%kale step fit
trainer.fit(2)
%%kale step show
print("RESULT", trainer.epoch, history)
""",
        "2 [1, 2]",
        cold=True,
    ),
    Case(
        "bound methods in variables, lists and partial functions",
        """
%%kale imports
from functools import partial
%%kale step make
a, b, c = [], [], {}
add = a.append
adders = [b.append, partial(c.__setitem__, "k")]
%%kale step use
add(1)
for adder in adders:
    adder(2)
%%kale step show
print("RESULT", a, b, c)
""",
        "[1] [2] {'k': 2}",
        cold=True,
    ),
    Case(
        "a method of the notebook's object that another object calls",
        """
%%kale functions
class Meter:
    def __init__(self):
        self.total = 0
    def add(self, n):
        self.total += n
class Machine:
    def __init__(self, report):
        self.report = report
    def work(self):
        self.report(5)
%%kale step make
meter = Meter()
machine = Machine(meter.add)
%%kale step work
machine.work()
%%kale step show
print("RESULT", meter.total)
""",
        "5",
        cold=True,
    ),
    Case(
        "what a function that is never called would put into an object",
        """
%%kale step make
found = {"a": 1}
%%kale step name
def search():
    found["b"] = search()
search_again = search
print(found)
%%kale step show
for kind in [search_again]:
    found
print("RESULT", found)
""",
        "{'a': 1}",
        cold=True,
    ),
    Case(
        "a call that was put together for later",
        """
%%kale step make
import numpy as np
from functools import partial
from operator import methodcaller
scores = np.arange(3.0)
sizes = np.arange(3.0)
clear = methodcaller("fill", 0)
copy = partial(np.copyto, sizes)
%%kale step clear
clear(scores)
copy(scores)
%%kale step show
print("RESULT", scores.tolist(), sizes.tolist())
""",
        "[0.0, 0.0, 0.0] [0.0, 0.0, 0.0]",
        cold=True,
    ),
    Case(
        "a method of a list that goes on beside what another step has changed",
        """
%%kale step make
rows = [0, 1]
rows = [(last := row) for row in rows]
add = rows.append
more = [row for row in rows if row]
%%kale step grow
getattr(more, "append")(3)
%%kale step show
[add(row) for row in more]
print("RESULT", last, rows)
""",
        "1 [0, 1, 1, 3]",
        cold=True,
    ),
    Case(
        "what a function in a dictionary remembers, where the dictionary was first passed on only",
        """
%%kale step make
rows = []
def note(a, seen=[]):
    seen.append(a)
    return list(seen)
tools = {"note": note}
tools["rows"] = rows
note(1)
%%kale step use
def counted(function):
    def run(*args):
        rows(1)
@counted
def never():
    pass
tools
rows.append(2)
print("RESULT", tools["note"](3), tools["rows"])
""",
        "[1, 3] [2]",
        cold=True,
    ),
    Case(
        "methods and calls for later that others call",
        """
%%kale step make
from collections import defaultdict
from operator import methodcaller
import numpy as np
tree = defaultdict(list)
clear = methodcaller("fill", 0)
grid = np.ones((2, 2))
held, holder = [], []
put = holder.append
put(held)
letters = enumerate("abc")
%%kale step call
list(map(tree.__getitem__, "xy"))
list(map(clear, grid))
next(letters)
%%kale step handle
try:
    def mark(key):
        tree[key] = 1
    held[2]
except IndexError:
    mark("z")
held.append(5)
%%kale step show
print("RESULT", dict(tree), grid.tolist(), holder, holder[0] is held, next(letters))
""",
        "{'x': [], 'y': [], 'z': 1} [[0.0, 0.0], [0.0, 0.0]] [[5]] True (1, 'b')",
        cold=True,
    ),
    Case(
        "another function of the same name takes a place in a registry",
        """
%%kale step a
handlers = {}
def handler(function):
    handlers[function.__name__] = function
@handler
def text(x):
    pass
%%kale step b
@handler
def text(x):
    return x + 1
%%kale step c
print("RESULT", handlers["text"](1))
""",
        "2",
        cold=True,
    ),
    Case(
        "another class of the same name takes a place in a registry",
        """
%%kale step a
models = {}
def model(cls):
    models[cls.__name__] = cls
    return cls
@model
class Small:
    size = 1
%%kale step b
@model
class Small:
    size = 2
%%kale step c
print("RESULT", models["Small"].size)
""",
        "2",
        cold=True,
    ),
    Case(
        "another lambda takes a place in a list",
        """
%%kale step a
callbacks = [lambda x: x]
def put(function):
    callbacks[0] = function
%%kale step b
put(lambda x: -x)
%%kale step c
print("RESULT", callbacks[0](1))
""",
        "-1",
        cold=True,
    ),
    Case(
        "a method in a variable is called by another function",
        """
%%kale step a
items, more, last = [], [], []
put = items.append
add = lambda target: target.append(1)
%%kale step b
unused = list(map(put, [1, 2]))
def fill(target):
    add(target)
fill(more)
for x in filter(last.append, [3]):
    pass
%%kale step c
print("RESULT", items, more, last)
""",
        "[1, 2] [1] [3]",
        cold=True,
    ),
    Case(
        "a decorator puts functions of steps into a list of the functions cell",
        """
%%kale functions
tasks = []
def task(function):
    tasks.append(function)
    return function
%%kale step one
@task
def load():
    return 1
%%kale step two
@task
def save():
    return 2
%%kale step show
print("RESULT", load is tasks[0], save is tasks[-1], [f() for f in tasks])
""",
        "True True [1, 2]",
        cold=True,
    ),
]
