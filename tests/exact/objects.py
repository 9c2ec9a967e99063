"""Objects and classes of the notebook; of most rows, one variant has the classes replayed, one has them travel."""

from tests.exact import Row

CLASSES = [
    (
        "dataclasses",
        """
import dataclasses
from dataclasses import dataclass, field, KW_ONLY, InitVar
from typing import ClassVar
@dataclass
class Point:
    x: int
    tags: list = field(default_factory=list)
    count: ClassVar[int] = 0
@dataclass(frozen=True, order=True)
class Frozen:
    a: int
    b: tuple = ()
@dataclass(slots=True)
class Slots:
    a: int
    b: list = field(default_factory=list)
@dataclass(frozen=True, slots=True, kw_only=True)
class All:
    a: int
    b: str = "b"
@dataclass
class Late:
    a: int
    given: InitVar[int] = 3
    _: KW_ONLY
    b: int = field(init=False, repr=False, metadata={"unit": "m"})
    def __post_init__(self, given): self.b = self.a + given
""",
        "tags = ['t']; v = [Point(1, tags), Frozen(1, (2,)), Slots(1, tags), All(a=1), Late(1)]; v[0].extra = 5",
        """
tags.append("u")
r = v, hash(v[1]) == hash(Frozen(1, (2,))), v[1] < Frozen(2), Point(5), type(v[0]) is Point, v[0] == Point(1, tags)
r += [f.name for f in dataclasses.fields(Late)], dataclasses.fields(Late)[1].metadata["unit"], dataclasses.replace(v[3], a=2)
r += dataclasses.asdict(v[0]), Late(7), Slots(3).b, dataclasses.is_dataclass(All)
try: v[3].a = 5
except dataclasses.FrozenInstanceError as e: r += (str(e),)
""",
    ),
    (
        "enums",
        """
import enum
class Color(enum.Enum):
    RED = 1
    GREEN = "g"
    ROT = 1
    def title(self): return self.name.title() + str(self.value)
    @classmethod
    def first(cls): return next(iter(cls))
class Perm(enum.Flag):
    R = 4
    W = 2
    X = 1
    RWX = 7
class Level(enum.IntEnum):
    LOW = 1
    HIGH = enum.auto()
class Planet(enum.Enum):
    EARTH = (5.9, 6.3)
    MARS = (0.6, 3.4)
    def __init__(self, mass, radius): self.mass, self.radius = mass, radius
    @property
    def density(self): return self.mass / self.radius
class Text(str, enum.Enum):
    A = "a"
    @classmethod
    def _missing_(cls, value): return cls.A
class Auto(enum.Enum):
    def _generate_next_value_(name, start, count, last): return name.lower()
    ONE = enum.auto()
""",
        """
Made = enum.Enum("Made", "A B")
v = [Color.RED, Color.ROT, Perm.R | Perm.W, Perm.RWX, Perm(0), Level.HIGH, Planet.MARS, Text.A, Auto.ONE, Made.B]
d = {Color.RED: 1}; k = [Color, Perm]
""",
        """
r = [v[0] is Color.RED, v[1] is Color.RED, d[Color.RED], v[2] is Perm.R | Perm.W, v[5] > 1, v[6].density, Text("?") is Text.A]
r += [v[0].title(), Color.first() is v[0], k[0] is Color, list(Color), Perm.R in v[2], Made.B is v[9], Made(1), Color["ROT"]]
r += [list(Color.__members__), list(Perm.__members__), v[3] is Perm.RWX, Perm["RWX"], [*Perm], Auto.ONE.value, Perm(7)]
r += [isinstance(v[7], str), Color("g"), Text.A == "a", Level(2).name, ~Perm.R, Planet((0.6, 3.4))]
""",
    ),
    (
        "named tuples",
        """
import collections, typing
class Row(typing.NamedTuple):
    a: int
    b: list = []
    def total(self): return self.a + len(self.b)
Pair = collections.namedtuple("Pair", "x y", defaults=[5])
class Sub(Pair):
    def sum(self): return self.x + self.y
""",
        "xs = [1]; v = [Row(1, xs), Pair(1), Sub(1, 2)]; v[2].note = xs",
        "xs.append(2); r = v, v[0].total(), v[1]._fields, v[2].sum(), v[1]._replace(x=3), type(v[1]) is Pair, Row(4), Pair._field_defaults",
    ),
    (
        "slots and state of their own",
        """
class Slots:
    __slots__ = ("a", "b", "__weakref__")
class Both(Slots):
    __slots__ = ("c", "__dict__")
class Private:
    __slots__ = ("__a",)
    def __init__(self, a): self.__a = a
    def get(self): return self.__a
class Stated:
    def __init__(self): self.a, self.skip = 1, 2
    def __getstate__(self): return {"a": self.a}
    def __setstate__(self, state): self.__dict__.update(state, skip="new")
class Reduced:
    def __init__(self, a): self.a = a
    def __reduce__(self): return Reduced, (self.a,), {"more": 1}
class Newargs:
    def __new__(cls, a, *, b): self = super().__new__(cls); self.pair = a, b; return self
    def __getnewargs_ex__(self): return (self.pair[0],), {"b": self.pair[1]}
""",
        "v = [Slots(), Both(), Stated(), Reduced([1]), Newargs(1, b=2), Private(5)]; v[0].a = v; v[3].more = 1; v[2].__setstate__({}); v[1].a, v[1].c, v[1].z = 1, v[0], 3",
        "r = v[0].a is v, v[1].c is v[0], v[2].skip, v[3].a, v[3].more, v[4].pair, v[5].get(), hasattr(v[0], 'b')",
    ),
    (
        "subclasses of builtin types",
        """
class Int(int): pass
class Str(str): pass
class Float(float): unit = "m"
class List(list):
    def __init__(self, *a, tag=None): super().__init__(*a); self.tag = tag
class Dict(dict):
    def __missing__(self, key): return key
class Set(set): pass
class Tuple(tuple): pass
class Bytes(bytes): pass
class Attr(dict):
    def __getattr__(self, name):
        if name not in self: raise AttributeError(name)
        return self[name]
    __setattr__ = dict.__setitem__
class Upper(dict):
    def __setitem__(self, k, v): super().__setitem__(k.upper(), v)
""",
        """
v = [Int(2**70), Str("s"), Float(-0.0), List([1], tag="t"), Dict(a=1), Set([1]), Tuple([1, 2]), Bytes(b"b")]
for _x in v: _x.note = v
a = Attr(b=1); u = Upper(); u["k"] = 1
""",
        "r = [type(x).__name__ for x in v], v[0] + 1, v[4]['z'], v[3].tag, a.b, u; v[3].append(5)",
    ),
    (
        "abstract classes, metaclasses and hooks",
        """
import abc
class Meta(type):
    def __new__(mcs, name, bases, space, **kw): cls = super().__new__(mcs, name, bases, space); cls.made_by = mcs.__name__; return cls
    def __init__(cls, name, bases, space, **kw): super().__init__(name, bases, space); cls.kw = kw
    def __call__(cls, *a): o = super().__call__(*a); o.called = True; return o
    def __len__(cls): return 7
class Base(metaclass=Meta, tag=1): pass
class Child(Base, tag=2):
    def who(self): return __class__.__name__, super().__repr__()[:5]
class Plugin:
    registry = []
    def __init_subclass__(cls, **kw): Plugin.registry.append(cls.__name__)
class PluginA(Plugin): pass
class Shape(abc.ABC):
    @property
    @abc.abstractmethod
    def area(self): ...
    @classmethod
    def __subclasshook__(cls, other): return True if other is int else NotImplemented
class Square(Shape):
    area = 4
class Registered: pass
Shape.register(Registered)
class Descriptor:
    def __set_name__(self, owner, name): self.name = name
    def __get__(self, obj, kind=None): return self if obj is None else (self.name, obj.__dict__.get("d"))
class WithDescriptor: field = Descriptor()
""",
        "v = [Base(), Child(), PluginA(), Square(), Registered(), WithDescriptor()]; v[5].d = 3",
        """
r = [len(Base), Child.made_by, Child.kw, v[1].who(), v[0].called, Plugin.registry, v[3].area, isinstance(v[4], Shape), v[5].field]
r += [issubclass(int, Shape), isinstance(v[1], Base), type(Child).__name__, WithDescriptor.field.name]
try: Shape()
except TypeError as e: r.append("abstract")
""",
    ),
    (
        "what a class can have",
        """
import functools
class Thing:
    total = 0
    items = []
    def __init__(self, n): self.n = n; Thing.total += n; self.items.append(n)
    @property
    def double(self): "twice"; return 2 * self.n
    @double.setter
    def double(self, value): self.n = value / 2
    @classmethod
    def make(cls, n): return cls(n)
    @staticmethod
    def help(): return "help"
    @functools.cached_property
    def slow(self): Thing.total += 100; return [self.n]
    @functools.lru_cache
    def cached(self, x): return x + self.n
    @functools.singledispatchmethod
    def show(self, x): return "any"
    @show.register
    def _(self, x: int): return "int"
    power = functools.partialmethod(pow, 2)
    class Inner:
        def __init__(self): self.x = 1
    def __eq__(self, other): return self.n == other.n
    def __hash__(self): return hash(self.n)
""",
        "t = Thing(3); u = Thing.make(4); slow = t.slow; bound = t.help, u.make, Thing.double; i = Thing.Inner(); d = {t: 1}; m = u.cached",
        """
t.double = 10
r = [t.slow is slow, t.n, u.slow, Thing.total, Thing.items, t.help(), u.cached(5), t.show(1), t.show("x"), d.get(u), i.x, bound[0]()]
r += [Thing.double.__doc__, type(i) is Thing.Inner, bound[1](9).n, m(1), sorted(d)[0].n if len(d) < 2 else 0]
""",
    ),
    (
        "generic classes, protocols and types of one's own",
        """
import typing
T = typing.TypeVar("T")
class Stack(typing.Generic[T]):
    def __init__(self): self.items: list[T] = []
@typing.runtime_checkable
class Closable(typing.Protocol):
    def close(self) -> None: ...
class File:
    def close(self): pass
class Movie(typing.TypedDict):
    name: str
UserId = typing.NewType("UserId", int)
""",
        "s = Stack[int](); f = File(); m = Movie(name='x'); u = UserId(5); k = Stack[str], list[T], Movie; n = UserId",
        "r = isinstance(f, Closable), type(s) is Stack, k[0].__origin__ is Stack, k[1].__args__[0] is T, k[2] is Movie, n(1), "
        "typing.get_type_hints(Movie)",
    ),
    (
        "objects that refer to each other",
        """
class Node:
    def __init__(self, parent=None):
        self.parent, self.kids, self.on = parent, [], self.hear
        if parent: parent.kids.append(self)
    def hear(self): return len(self.kids)
    def __eq__(self, other): return isinstance(other, Node) and len(self.kids) == len(other.kids)
    def __hash__(self): return hash(len(self.kids))
""",
        "root = Node(); leaf = Node(root); kids = root.kids; s = {leaf}; inner = Node(leaf); d = {root: leaf}",
        "kids.append(None); r = root.on(), leaf.parent is root, inner.parent.parent is root, leaf.on.__self__ is leaf, len(s)",
    ),
]

ROWS = [
    Row(
        f"{name}, {way}",
        made if way == "replayed" else definitions + made,
        then,
        definitions * (way == "replayed"),
        crosses="Thing" * (way == "replayed" and "Thing" in definitions),
    )
    for name, definitions, made, then in CLASSES
    for way in ("replayed", "travelling")
]
ROWS += [
    Row(
        "a class and its state",
        "C.n = [5]; c = C(); xs = C.n",
        "xs.append(1); r = C.n, c.n, type(c) is C",
        "class C: n = []",
        crosses="C",
    ),
    Row(
        "a weak reference",
        "import weakref\nclass C: pass\nc = C(); w = {'r': weakref.ref(c)}",
        refused="w['r'] is a weakref.ReferenceType",
    ),
    Row(
        "a weak set",
        "import weakref\nclass C: pass\nc = C(); w = weakref.WeakSet([c])",
        refused="w is a _weakrefset.WeakSet",
    ),
    Row(
        "a dict with weak keys",
        "import weakref\nclass C: pass\nc = C(); w = [weakref.WeakKeyDictionary({c: 1})]",
        refused="w[0] is a weakref.WeakKeyDictionary",
    ),
    Row(
        "weak containers of classes, and empty ones",
        "import weakref\nclass C: pass\nw = weakref.WeakSet([C, int]); k = weakref.WeakKeyDictionary({C: 1}); v = weakref.WeakValueDictionary(); e = weakref.WeakSet()",
        "r = C in w, int in w, len(w), k[C], len(v), len(e); v['a'] = C; r += (v['a'] is C,)",
    ),
    Row(
        "a proxy",
        "import weakref\nclass C: pass\nc = C(); w = weakref.proxy(c)",
        refused="w is a weakref.ProxyType",
    ),
]
