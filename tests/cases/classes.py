"""Classes: instances that find their class again, in whatever step they arrive."""

from tests.cases import Case, refused

CASES = [
    Case(
        "an instance and its class",
        """
%%kale step a
class Scaler:
    factor = 3
    def __init__(self, shift):
        self.shift = shift
    def run(self, v):
        return v * self.factor + self.shift
scaler = Scaler(1)
%%kale step b
y = scaler.run(2)
%%kale step c
print("RESULT", y, isinstance(scaler, Scaler), type(scaler) is Scaler, Scaler(0).run(1))
""",
        "7 True True 3",
    ),
    Case(
        "a base class from another step",
        """
%%kale step a
class Base:
    def name(self):
        return "base"
%%kale step b
class Child(Base):
    def name(self):
        return "child of " + super().name()
%%kale step c
child = Child()
%%kale step d
print("RESULT", child.name(), isinstance(child, Base), issubclass(Child, Base), Child.__mro__[1] is Base)
""",
        "child of base True True True",
    ),
    Case(
        "a class in the functions cell",
        """
%%kale functions
class Stack:
    def __init__(self):
        self.items = []
    def push(self, item):
        self.items.append(item)
        return self
    def __len__(self):
        return len(self.items)
    def __eq__(self, other):
        return isinstance(other, Stack) and self.items == other.items
%%kale step a
stack = Stack().push(1)
%%kale step b
stack.push(2)
%%kale step c
print("RESULT", len(stack), stack == Stack().push(1).push(2), isinstance(stack, Stack))
""",
        "2 True True",
    ),
    Case(
        "enumerations",
        """
%%kale imports
import enum
%%kale functions
class Color(enum.Enum):
    RED = 1
    BLUE = "b"
    def loud(self):
        return self.name + "!"
class Mode(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()
%%kale step a
color, mode = Color.BLUE, Mode.READ | Mode.WRITE
names = {Color.RED: "rosso", Color.BLUE: "blu"}
%%kale step b
print("RESULT", color is Color.BLUE, names[color], color.loud(), Mode.READ in mode, mode == Mode.READ | Mode.WRITE)
""",
        "True blu BLUE! True True",
    ),
    Case(
        "an enumeration that a step defines",
        """
%%kale step a
from enum import IntEnum
class Level(IntEnum):
    LOW = 1
    HIGH = 2
levels = [Level.LOW, Level.HIGH]
%%kale step b
top = max(levels)
%%kale step c
print("RESULT", top is Level.HIGH, top > Level.LOW, [l.name for l in levels])
""",
        "True True ['LOW', 'HIGH']",
    ),
    Case(
        "data classes",
        """
%%kale imports
from dataclasses import asdict, dataclass, field, replace
%%kale step a
@dataclass(order=True)
class Run:
    score: float
    tags: list = field(default_factory=list, compare=False)
@dataclass(frozen=True)
class Key:
    name: str
runs = {Key("x"): Run(0.5)}
%%kale step b
runs[Key("x")].tags.append("t")
runs[Key("y")] = replace(runs[Key("x")], score=0.9)
%%kale step c
print("RESULT", max(runs.values()), Key("y") in runs, asdict(runs[Key("x")]))
""",
        "Run(score=0.9, tags=['t']) True {'score': 0.5, 'tags': ['t']}",
    ),
    Case(
        "named tuples and typed dictionaries",
        """
%%kale imports
from collections import namedtuple
from typing import NamedTuple, TypedDict
%%kale step a
Point = namedtuple("Point", "x y")
class Size(NamedTuple):
    w: int
    h: int = 2
class Row(TypedDict):
    n: int
p, s, row = Point(1, 2), Size(5), Row(n=1)
%%kale step b
q = p._replace(x=9)
%%kale step c
print("RESULT", p, q, s, row, isinstance(p, Point), type(s) is Size, Point(0, 0).y)
""",
        "Point(x=1, y=2) Point(x=9, y=2) Size(w=5, h=2) {'n': 1} True True 0",
    ),
    Case(
        "an attribute of a class that a step changes",
        """
%%kale functions
class Config:
    rate = 1
    names = ["x"]
%%kale step a
Config.rate = 2
%%kale step b
Config.names.append("y")
Config.extra = True
%%kale step c
print("RESULT", Config.rate, Config.names, Config.extra, Config().rate)
""",
        "2 ['x', 'y'] True 2",
    ),
    Case(
        "instances that the class counts",
        """
%%kale functions
class Ticket:
    sold = 0
    log = []
    def __init__(self):
        Ticket.sold += 1
        self.number = Ticket.sold
        self.log.append(self.number)
%%kale step a
first = Ticket()
%%kale step b
second = Ticket()
%%kale step c
print("RESULT", first.number, second.number, Ticket.sold, Ticket.log)
""",
        "1 2 2 [1, 2]",
    ),
    Case(
        "a register of subclasses",
        """
%%kale functions
class Plugin:
    known = []
    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        Plugin.known.append(cls)
%%kale step a
class Csv(Plugin):
    suffix = ".csv"
%%kale step b
class Json(Plugin):
    suffix = ".json"
%%kale step c
print("RESULT", [p.suffix for p in Plugin.known], Plugin.known[0] is Csv)
""",
        "['.csv', '.json'] True",
    ),
    Case(
        "methods that read globals",
        """
%%kale step a
tax = 1
class Price:
    def __init__(self, net):
        self.net = net
    def gross(self):
        return self.net + tax
    @property
    def text(self):
        return f"{self.gross()} {unit}"
price = Price(10)
%%kale step b
tax, unit = 5, "EUR"
%%kale step c
print("RESULT", price.gross(), price.text)
""",
        "15 15 EUR",
    ),
    Case(
        "slots, class methods, static methods and properties",
        """
%%kale functions
class Money:
    __slots__ = ("cents", "_note")
    def __init__(self, cents):
        self.cents = cents
    @classmethod
    def of(cls, euros):
        return cls(cls.round(euros * 100))
    @staticmethod
    def round(v):
        return int(v)
    @property
    def note(self):
        return getattr(self, "_note", "none")
    @note.setter
    def note(self, text):
        self._note = text
%%kale step a
money = Money.of(1.5)
%%kale step b
money.note = "paid"
%%kale step c
print("RESULT", money.cents, money.note, isinstance(money, Money), hasattr(money, "__dict__"))
""",
        "150 paid True False",
    ),
    Case(
        "a metaclass and an abstract class",
        """
%%kale imports
import abc
%%kale functions
class Named(type):
    def __new__(mcs, name, bases, space):
        space["label"] = name.lower()
        return super().__new__(mcs, name, bases, space)
class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...
%%kale step a
class Thing(metaclass=Named):
    pass
class Square(Shape):
    def __init__(self, side):
        self.side = side
    def area(self):
        return self.side ** 2
thing, square = Thing(), Square(3)
%%kale step b
print("RESULT", thing.label, type(type(thing)) is Named, square.area(), isinstance(square, Shape))
""",
        "thing True 9 True",
    ),
    Case(
        "a class in a class and a class in a function",
        """
%%kale functions
class Tree:
    class Node:
        def __init__(self, value):
            self.value = value
    def __init__(self):
        self.root = Tree.Node(1)
def make(n):
    class Local:
        size = n
    return Local
%%kale step a
tree, Made = Tree(), make(4)
made = Made()
%%kale step b
tree.root.value += 1
%%kale step c
print("RESULT", tree.root.value, isinstance(tree.root, Tree.Node), made.size, isinstance(made, Made))
""",
        "2 True 4 True",
    ),
    Case(
        "an exception of the notebook",
        """
%%kale functions
class TooBig(ValueError):
    def __init__(self, size, limit):
        super().__init__(f"{size} > {limit}")
        self.size = size
    def __reduce__(self):
        return TooBig, (self.size, 10)
def check(n):
    if n > 10:
        raise TooBig(n, 10)
%%kale step a
caught = None
try:
    check(50)
except ValueError as error:
    caught = error
%%kale step b
try:
    raise caught
except TooBig as error:
    text = str(error)
print("RESULT", text, caught.size, type(caught).__name__)
""",
        "50 > 10 50 TooBig",
    ),
    Case(
        "a class that is written anew",
        """
%%kale step a
class Shape:
    sides = 3
old = Shape()
%%kale step b
class Shape:
    sides = 4
new = Shape()
%%kale step c
print("RESULT", old.sides, new.sides, isinstance(new, Shape), isinstance(old, Shape))
""",
        "3 4 True False",
    ),
    Case(
        "a method that is kept and a class that is a value",
        """
%%kale functions
class Acc:
    def __init__(self):
        self.total = 0
    def add(self, n):
        self.total += n
        return self.total
%%kale step a
acc = Acc()
add, kind = acc.add, Acc
%%kale step b
add(5)
%%kale step c
other = kind()
print("RESULT", acc.total, add.__self__ is acc, isinstance(other, Acc), kind is Acc)
""",
        "5 True True True",
    ),
    Case(
        "a method that is added later",
        """
%%kale step a
class Dog:
    pass
rex = Dog()
%%kale step b
def bark(self):
    return "woof"
Dog.bark = bark
%%kale step c
print("RESULT", rex.bark(), Dog().bark())
""",
        "woof woof",
    ),
    Case(
        "an estimator of the notebook",
        """
%%kale imports
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.pipeline import Pipeline
%%kale functions
class Center(BaseEstimator, TransformerMixin):
    def __init__(self, scale=1.0):
        self.scale = scale
    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        return self
    def transform(self, X):
        return (X - self.mean_) * self.scale
%%kale step load
X = np.array([[1.0], [3.0]])
flow = Pipeline([("center", Center(scale=2.0))])
%%kale step fit
flow.fit(X)
%%kale step show
part = flow.named_steps["center"]
print("RESULT", flow.transform(X).ravel(), isinstance(part, Center), clone(part).scale)
""",
        "[-2.  2.] True 2.0",
    ),
    Case(
        "a generic class and a protocol",
        """
%%kale imports
from typing import Generic, Protocol, TypeVar, runtime_checkable
%%kale step a
T = TypeVar("T")
@runtime_checkable
class Sized(Protocol):
    def size(self) -> int: ...
class Pack(Generic[T]):
    def __init__(self, item: T) -> None:
        self.item = item
    def size(self) -> int:
        return 1
pack: Pack[int] = Pack(3)
%%kale step b
print("RESULT", pack.item, isinstance(pack, Sized), isinstance(pack, Pack))
""",
        "3 True True",
    ),
    Case(
        "what an instance does when it is pickled",
        """
%%kale imports
import threading
%%kale functions
class Guarded:
    def __init__(self, n):
        self.n, self.lock = n, threading.Lock()
    def __getstate__(self):
        return {"n": self.n}
    def __setstate__(self, state):
        self.__init__(state["n"])
    def up(self):
        with self.lock:
            self.n += 1
%%kale step a
guarded = Guarded(1)
%%kale step b
guarded.up()
%%kale step c
guarded.up()
print("RESULT", guarded.n)
""",
        "3",
    ),
    Case(
        "a class made while an exception is handled, and one derived from it",
        """
%%kale step s1
n = 0
try:
    n / n
except ZeroDivisionError:

    class Crate:
        shared = []
else:
    pass
class Chest(Crate):
    pass
%%kale step s4
Crate.shared = 1
%%kale step s6
print('RESULT', Chest.shared)
""",
        "1",
    ),
    Case(
        "a class under an if in a functions cell, and one derived from it",
        """
%%kale functions
n = 1
if n:
    class Crate:
        shared = []
class Chest(Crate):
    pass
%%kale step s4
Crate.shared = 1
%%kale step s6
print('RESULT', Chest.shared)
""",
        "1",
    ),
    Case(
        "a class and a function made on one of two ways",
        """
%%kale functions
try:
    from nowhere import Box
except ImportError:
    class Box:
        def __init__(self, n): self.n = n
if True:
    def make(n): return Box(n)
else:
    def make(n): return None
%%kale step a
b = make(3)
%%kale step b
print("RESULT", isinstance(b, Box), b.n, make(2).n)
""",
        "True 3 2",
    ),
    Case(
        "one of two classes in functions",
        """
%%kale parameters
fancy = True
%%kale functions
if fancy:
    class Box:
        kind = "fancy"
else:
    class Box:
        kind = "plain"
class Chest(Box): pass
%%kale step a
b = Chest()
c = Box()
%%kale step b
print("RESULT", isinstance(b, Box), b.kind, isinstance(c, Box), type(c) is Box)
""",
        "True fancy True True",
    ),
    Case(
        "a class whose base has another meaning where it is used",
        """
%%kale step make
class Task:
    all = []
    def __init__(self, n):
        self.all.append(n)
class Job(Task):
    pass
job = Job(3)
%%kale step show
class Task:
    pass
print("RESULT", Job.all, job.all is Job.all, isinstance(job, Task))
""",
        "[3] True False",
        cold=True,
    ),
    refused(
        "a class whose base is another one where both are used",
        """
%%kale step make
class Task:
    all = []
class Job(Task):
    pass
Job.all.append(3)
%%kale step change
class Task:
    all = [4]
Task.all.append(5)
%%kale step show
print("RESULT", Job.all, Task.all)
""",
        "KALE210",
        "Task",
    ),
    Case(
        "what a class has of its base, changed through the class and through an object",
        """
%%kale step make
class Task:
    all = []
class Middle(Task):
    pass
class Job(Middle):
    @classmethod
    def more(cls):
        cls.all.append(4)
job = Job()
job.all.append(3)
%%kale step use
Job.more()
%%kale step again
Job.all.append(5)
%%kale step show
print("RESULT", Task.all, Middle.all, job.all is Job.all)
""",
        "[3, 4, 5] [3, 4, 5] True",
        cold=True,
    ),
    Case(
        "a list of a class, changed through an instance",
        """
%%kale step s1
shared = [0]
class T:
    k = shared
t = T()
%%kale step s2
t.k.append(1)
%%kale step s3
print("RESULT", shared, T.k, t.k)
""",
        "[0, 1] [0, 1] [0, 1]",
        cold=True,
    ),
    Case(
        "a number that a method sets in a derived class",
        """
%%kale functions
class Base:
    n = 0
    def __init__(self):
        type(self).n += 1
class Child(Base):
    pass
%%kale step s1
a = Base()
%%kale step s2
b = Child(); c = Child()
%%kale step s3
print("RESULT", Child.n, Base.n)
""",
        "3 1",
    ),
    Case(
        "objects that keep a dict of their class",
        """
%%kale functions
class Model:
    defaults = {"lr": 1}
    def __init__(self):
        self.options = self.defaults
%%kale step build
model = Model()
%%kale step tune
model.options["lr"] = 5
%%kale step show
print("RESULT", Model().options, model.options)
""",
        "{'lr': 5} {'lr': 5}",
        cold=True,
    ),
    Case(
        "a counter that each class has of its own",
        """
%%kale functions
class B:
    n = 0
    def hit(self):
        type(self).n += 1
class D(B):
    pass
%%kale step a
d = D()
d.hit()
%%kale step b
D().hit()
%%kale step c
print("RESULT", B.n, D.n, d.n)
""",
        "0 2 2",
        cold=True,
    ),
    Case(
        "a metaclass that lists its classes",
        """
%%kale functions
class M(type):
    reg = []
    def __new__(m, n, b, ns):
        c = super().__new__(m, n, b, ns)
        M.reg.append(c.__name__)
        return c
%%kale step a
class A(metaclass=M):
    pass
%%kale step b
print("RESULT", M.reg)
""",
        "['A']",
        cold=True,
    ),
    Case(
        "a class that a call makes from a dict",
        """
%%kale step a
x = [1]
T = type("T", (), {"k": x})
%%kale step b
T.k.append(2)
%%kale step c
print("RESULT", x)
""",
        "[1, 2]",
        cold=True,
    ),
    Case(
        "numbers that know how they were computed",
        """
%%kale imports
import numpy as np
%%kale functions
class Value:
    def __init__(self, data, prev=(), op=""): self.data = data; self.grad = 0.0; self._back = lambda: None; self._prev = set(prev); self.op = op
    def __add__(self, o):
        out = Value(self.data + o.data, (self, o), "+")
        def back(): self.grad += out.grad; o.grad += out.grad
        out._back = back
        return out
    def __mul__(self, o):
        out = Value(self.data * o.data, (self, o), "*")
        def back(): self.grad += o.data * out.grad; o.grad += self.data * out.grad
        out._back = back
        return out
    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen:
                seen.add(v)
                for p in v._prev: build(p)
                topo.append(v)
        build(self)
        self.grad = 1.0
        for v in reversed(topo): v._back()
%%kale step a
a = Value(2.0); b = Value(3.0)
c = a * b + a
%%kale step b
c.backward()
%%kale step upd
for p in (a, b): p.data -= 0.1 * p.grad
%%kale step z
print("RESULT", a.grad, b.grad, round(a.data, 3), round(b.data, 3), c.data)
""",
        "4.0 2.0 1.6 2.8 8.0",
        cold=True,
    ),
    Case(
        "a minus sign that keeps what it is before",
        """
%%kale functions
class V:
    def __init__(self, d, prev=()): self.d = d; self.g = 0.0; self.prev = list(prev)
    def __neg__(self): return V(-self.d, [self])
    def zero(self):
        self.g = -1.0
        for p in self.prev: p.zero()
%%kale step a
a = V(2.0)
c = -a
%%kale step b
c.zero()
%%kale step z
print("RESULT", a.g)
""",
        "-1.0",
        cold=True,
    ),
    Case(
        "a comparison that keeps what it compares",
        """
%%kale functions
class V:
    def __init__(self, d, prev=()): self.d = d; self.g = 0.0; self.prev = list(prev)
    def __lt__(self, o): return V(self.d, [self, o])
    def zero(self):
        self.g = -1.0
        for p in self.prev: p.zero()
%%kale step a
a = V(2.0); b = V(3.0)
c = a < b
%%kale step b
c.zero()
%%kale step z
print("RESULT", a.g, b.g)
""",
        "-1.0 -1.0",
        cold=True,
    ),
    Case(
        "a sum of objects that keep their parts",
        """
%%kale functions
class E:
    def __init__(self, parts=()): self.parts = list(parts); self.seen = 0
    def __radd__(self, o): return E([self]) if o == 0 else E([o, self])
    def __add__(self, o): return E([self, o])
    def touch(self):
        self.seen += 1
        for p in self.parts: p.touch()
%%kale step a
f = E(); g = E()
s = sum([f, g])
%%kale step b
s.touch()
%%kale step c
print("RESULT", f.seen, g.seen)
""",
        "1 1",
        cold=True,
    ),
    Case(
        "an operator of the left side that keeps the right one",
        """
%%kale functions
class Pipe:
    def __init__(self, *steps): self.steps = list(steps)
    def __rshift__(self, o): return Pipe(*self.steps, o)
    def run(self, x):
        for s in self.steps: x = s(x)
        return x
class Count:
    def __init__(self): self.n = 0
    def __call__(self, x): self.n += 1; return x + 1
%%kale step a
cnt = Count()
p = Pipe() >> cnt
%%kale step b
r = p.run(1)
%%kale step c
print("RESULT", r, cnt.n)
""",
        "2 1",
        cold=True,
    ),
    Case(
        "expressions that keep their parts",
        """
%%kale functions
class Expr:
    def __init__(self, name, parts=()): self.name = name; self.parts = list(parts); self.seen = 0
    def __add__(self, o): return Expr("+", [self, o])
    def __radd__(self, o): return self if o == 0 else Expr("+", [o, self])
    def __sub__(self, o): return Expr("-", [self, o])
    def __or__(self, o): return Expr("|", [self, o])
    def __rshift__(self, o): return Expr(">>", [self, o])
    def __matmul__(self, o): return Expr("@", [self, o])
    def __neg__(self): return Expr("neg", [self])
    def touch(self):
        self.seen += 1
        for p in self.parts: p.touch()
%%kale step a
a, b, c, d, e, f = (Expr(n) for n in "abcdef")
s1 = a + b
s2 = c | d
s3 = -e
s4 = sum([f, f])
%%kale step t1
s1.touch()
%%kale step t2
s2.touch()
%%kale step t3
s3.touch()
%%kale step t4
s4.touch()
%%kale step z
print("RESULT", [x.seen for x in (a, b, c, d, e, f)])
""",
        "[1, 1, 1, 1, 1, 2]",
        cold=True,
    ),
    Case(
        "a list of objects in the class that theirs is derived from",
        """
%%kale functions
class Base:
    log = []
    def __init__(self, v): self.v = v; Base.log.append(self)
class Sub(Base):
    def __init__(self, v): super().__init__(v)
%%kale step a
b = Sub(1)
%%kale step b
b.v = 5
%%kale step c
print("RESULT", [x.v for x in Base.log])
""",
        "[5]",
        cold=True,
    ),
    Case(
        "objects that are changed through the list of a class",
        """
%%kale functions
class Base:
    log = []
    def __init__(self): Base.log.append(self)
class Sub(Base):
    def __init__(self, s): super().__init__(); self.s = s
%%kale step mk
s1 = Sub(2)
%%kale step use
for x in Base.log: x.s = 10
%%kale step fin
print("RESULT", s1.s)
""",
        "10",
        cold=True,
    ),
    Case(
        "classes of a step that keep their objects",
        """
%%kale imports
from abc import ABC, abstractmethod
from enum import Enum, auto
from typing import NamedTuple, Protocol
%%kale step defs
class Kind(Enum):
    A = auto()
    B = auto()
class Row(NamedTuple):
    k: Kind
    v: float
class Shape(ABC):
    registry = []
    def __init__(self): Shape.registry.append(self)
    @abstractmethod
    def area(self): ...
class Sq(Shape):
    def __init__(self, s): super().__init__(); self.s = s
    def area(self): return self.s ** 2
%%kale step mk
rows = [Row(Kind.A, 1.0), Row(Kind.B, 2.0)]
s1 = Sq(2)
%%kale step mk2
s2 = Sq(3)
%%kale step use
by = {r.k: r for r in rows}
tot = sum(s.area() for s in Shape.registry)
s1.s = 10
%%kale step fin
print("RESULT", by[Kind.A].v, tot, Kind.B in by, [s.area() for s in Shape.registry], isinstance(rows[0], Row))
""",
        "1.0 13 True [100, 9] True",
        cold=True,
    ),
    Case(
        "constructors that are methods of a class",
        """
%%kale imports
import numpy as np
%%kale functions
class Vec:
    def __init__(self, a): self.a = a
    @classmethod
    def zeros(cls, n): return cls(np.zeros(n))
    @staticmethod
    def ones(n): return Vec(np.ones(n))
%%kale step a
v = Vec.zeros(4)
%%kale step b
w = Vec.ones(2)
%%kale step d
print("RESULT", v.a.tolist(), w.a.tolist())
""",
        "[0.0, 0.0, 0.0, 0.0] [1.0, 1.0]",
        cold=True,
    ),
    Case(
        "an exception of a step's own class is kept",
        """
%%kale step make
class Broken(Exception):
    pass
%%kale step fail
try:
    raise Broken("a")
except Broken as error:
    first = error
errors = []
try:
    raise Broken("b")
except (ValueError, Broken) as error:
    errors.append(error)
%%kale step show
print("RESULT", repr(first), errors, isinstance(first, Broken))
""",
        "Broken('a') [Broken('b')] True",
        cold=True,
    ),
]
