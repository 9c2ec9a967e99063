"""Objects that hold others: classes with a state, registers, records, callbacks, containers with a memory."""

from __future__ import annotations

from tests.fuzz.patterns import Topic, long, short

NAMES = {
    "Tree": ("tree", "found"),
    "Queue": ("recent",),
    "Text": ("buf", "out"),
    "Iter": ("rows",),
    "Class": ("Job", "Task"),  # its objects have an `n`, and perhaps its other ways
    "Object": ("job", "task"),
    "Bus": ("bus", "events"),
    "Pair": ("Pair", "Point"),  # a tuple with names, x and tags
    "Record": ("pt", "rec"),
    "Table": ("HANDLERS",),
    "Register": ("register",),
}

IMPORTS = short("""
import csv
import io
import itertools
import json
import operator
from collections import ChainMap, OrderedDict, defaultdict, deque, namedtuple
from contextlib import ExitStack, nullcontext, redirect_stdout
from copy import copy, deepcopy
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from operator import methodcaller
from typing import NamedTuple
""")

SIMPLE = short("""
<+Tree> = defaultdict(list)  <+Tree> = defaultdict(list)  <+Tree> = defaultdict(lambda: defaultdict(list))
<+Tree> = defaultdict(lambda: [<int>])  <+Tree> = defaultdict(lambda: <L>)  <+Tree> = <Tree>
<Tree>[<key>]  <Tree>[<key>].append(<value>)  <Tree>[<key>]['b'].append(<int>)  <Tree>[<key>] = <L>
<Tree>.get('z')
<+L> = <Tree>[<key>]  <+L> = <Tree>['x']['y']  <Tree>[<key>] += [<int>]  <+D> = dict(<Tree>)
<Tree>.pop(<key>, None)
[<Tree>[n] for n in 'ab']  <+D> = <Tree>[<key>]  list(map(<Tree>.__getitem__, 'xy'))

<+Queue> = deque([<int>, <value>], maxlen=3)  <Queue>.append(<value>)  <Queue>.appendleft(<L>)
<Queue>.rotate(1)
<Queue>.extend(<list>)  <+L> = list(<Queue>)  <+L> = <Queue>[-1]  <Queue>.pop()  <+Queue> = <Queue>
<Queue>[0].append(1)

<+Text> = io.StringIO()  <+Text> = <Text>  <+Text> = <Text>  print(<int>, file=<Text>)
print(<value>, file=<Text>, end='')
<Text>.write('<letter>')  json.dump(<digit>, <Text>)  csv.writer(<Text>).writerow([<digit>, 'a'])
<+O> = <C>(<Text>)
<O>.v.write('o')  print('x', file=<O>.v)  <Text>.getvalue()  <+S> = <Text>.getvalue()

<+Iter> = iter([<int>, <int>, <value>])  <+I> = next(<Iter>, 0)  next(<Iter>, None)
<+Iter> = enumerate(list('abc'))
<+L> = list(<Iter>)[:3]  <+Iter> = <Iter>

<+D> = ChainMap({}, <D>)  <+D> = OrderedDict(<D>)  <D>.move_to_end(<key>)  <+D> = copy(<D>)
<+L> = deepcopy(<L>)
<+L> = sorted(<L>, key=str)  <L>.sort(key=str)  <+L> = copy(<L>)  <+O> = copy(<O>)
methodcaller('append', <int>)(<L>)
operator.setitem(<D>, <key>, <value>)  operator.iadd(<L>, [<int>])  <+L> = operator.itemgetter('x')(<D>)
reduce(lambda a, x: a.append(x) or a, [1, 2], <L>)  <+F> = partial(<L>.append, <int>)
<+G> = partial(map, str)
<+L> = operator.attrgetter('items')(<O>)  list(map(<L>.append, [1]))

<+Object> = <Class>(<digit>)  <+Object> = <Class>(<digit>)  <+Object> = <Class>(<L>)  <+Object> = <Object>
<Object>.n = <value>  <Object>.n = <L>  <Object>.set(<key>, <value>)  <Object>.set(<key>, <L>)
<Object>.run()  <Object>.run()
<Object>.all.append(<digit>)  <Class>.all.append(<digit>)  <Class>.made = <digit>  <Class>.count()
<Object>.count()
<+I> = <Class>.made  <+I> = <Object>.made  <+L> = <Class>.all  <+L> = <Object>.all  <Object>.made = 9
<Class>.options['k'] = <int>
<+Object> = replace(<Object>, n=<digit>)  <Object>.tags.append(<int>)  <+L> = <Object>.tags
<+Object> = copy(<Object>)
<Object>['a'] = <value>  <Object> += <int>  <+L> = <Object>()  <Object>.n.append(<int>)
<L>.append(<Object>)
<+D> = {'x': <L>, 'o': <Object>}  <D>['o'].n = <int>  <D>['o'].set('y', <value>)  <Object>.half = <int>

<Bus> = Bus()  <+Bus> = <Bus>  <Bus>.on(<L>.append)  <Bus>.on(lambda x: <D>.update(x=x))
<Bus>.on(<Object>.set)
<Bus>.on(partial(<D>.setdefault, 'b'))  <Bus>.on(<Object>.take)  <Bus>.emit(<value>)  <Bus>.emit(<digit>)
<Bus>.emit(<L>)

<+Pair> = namedtuple('Pair', 'x tags')  <+Record> = <Pair>(<digit>, <L>)
<+Record> = <Pair>(x=<value>, tags=<L>)
<+Record> = <Pair>(<L>, [])  <Record>.tags.append(<int>)  <+Record> = <Record>._replace(x=<value>)
<+L> = <Record>.tags
<+I>, <+L> = <Record>  <+D> = <Record>._asdict()  <+Record> = <Record>

<+I> = <Table>['half'](<digit>)  <+L> = sorted(<Table>)  <+S> = <Table>['text'](<L>)
[f(4) for f in <Table>.values()]
""")

COMPOUND = long("""
class <+C>:
    def __init__(self, v=0):
        self.v = v
        self.items = []
    def add(self, x):
        self.v = x
        self.items += [<digit>]
        return self
    def total(self):
        return len(self.items)
    def __repr__(self):
        return f'{type(self).__name__}({self.v!r}, {self.items!r})'

class <+Class>:
    all = []
    made = 0
    def __init__(self, n=0):
        self.n = n
        self.all.append(n)
    def count(self):
        type(self).made += 1
        return self.made
    def __repr__(self):
        return f'{type(self).__name__}({self.n!r})'

class <+Class>:
    all = []
    options = {}
    made = <digit>
    def __init__(self, n=0):
        self.n = n
    def set(self, key, value=0):
        self.options[key] = value
        return self
    def run(self):
        self.all.append(self)
        self.__class__.made += 1
    @classmethod
    def count(cls):
        cls.made += 1
        return cls.made
    def __repr__(self):
        return f'{type(self).__name__}({self.n!r}, {sorted(self.options)})'

class <+Class>(<Class>):
    def run(self):
        super().run()
        self.all.append(<digit>)

class <+Class>(<Class>):
    all = []
    def set(self, key, value=0):
        setattr(self, key, value)
        <method>
        return self

ALL = []
@dataclass
class <+Class>:
    n: object = 0
    tags: list = field(default_factory=list)
    def __post_init__(self):
        ALL.append(self)
    def set(self, key, value=0):
        ALL[0].n = value

@dataclass
class <+Class>:
    n: object = 0
    tags: list = field(default_factory=list)
    made: int = <digit>
    def take(self, x):
        self.tags.append(x)
    def run(self):
        return replace(self, n=<digit>)

class <+Class>:
    known = {}
    made = 0
    def __new__(cls, n=0):
        return cls.known.setdefault(str(n), super().__new__(cls))
    def __init__(self, n=0):
        self.n = n
    def __repr__(self):
        return f'{type(self).__name__}({self.n!r}, {sorted(self.known)})'

class <+Class>:
    __slots__ = ('n', 'other')
    def __init__(self, n=0):
        self.n, self.other = n, []
    def __setitem__(self, key, value):
        self.other.append((key, value))
    def __iadd__(self, x):
        self.other.append(x)
        return self
    def __call__(self):
        return self.other
    def take(self, x):
        self.other.append(x)
    def __repr__(self):
        return f'{type(self).__name__}({self.n!r}, {self.other!r})'

class <+Class>:
    all = {}
    def __init_subclass__(cls):
        cls.all[cls.__name__] = len(cls.all)
    def __init__(self, n=0):
        self.n = n
    @property
    def half(self):
        self.seen = True
        return 2
    @half.setter
    def half(self, value):
        self.n = value
    def __enter__(self):
        return self.n
    def __exit__(self, *error):
        <L>.append('closed')
    def __repr__(self):
        return f'{type(self).__name__}({self.n!r})'

with <Object> as x:
<block>

for x in (<Object>, <Object>):
    x.n = <digit>

for name, x in {'a': <Object>}.items():
    x.n = name

class Bus:
    def __init__(self):
        self.hooks = []
    def on(self, hook):
        self.hooks.append(hook)
        return hook
    def emit(self, x):
        for hook in self.hooks:
            hook(x)
        return len(self.hooks)
<+Bus> = Bus()

@<Bus>.on
def seen(x):
    <L>.append(x)

class <+Pair>(NamedTuple):
    x: object
    tags: list

<+Table> = {}
def <+Register>(function):
    HANDLERS[function.__name__] = function
    return function
@register
def half(x):
    return x // 2
@register
def text(x):
    return json.dumps(len(str(x)))

@<Register>
def other(x):
    <L>.append(<digit>)
    return <value>

def helper(x):
    return json.dumps(<digit>)
@<Register>
def text(x):
    return helper(x)

def account():
    total = <list>
    def put(n=1):
        total.append(n)
    def get():
        return total
    return put, get
<+F>, <+F> = account()

with redirect_stdout(<Text>):
    print(<value>)

with nullcontext(<L>) as part:
    part.append(<int>)

with ExitStack() as stack:
    part = stack.enter_context(nullcontext(<D>))
    part['x'] = <L>

if (part := <L>) is not None:
    part.append(<int>)

match [<L>, <D>]:
    case [part, {}]:
        part.append(<int>)

first, *rest = [<L>, <L>]
rest[0].append(<int>)

for word in ('a', 'x'):
    <Tree>[word].append(<int>)

for word in 'ab':
    <Tree>[word]
""")

MORE = {
    "list": short("<Tree>[<key>]  list(<Queue>)  <Class>.all  <Object>.all  [<Object>]"),
    "dict": short("<Class>.options  dict(<Tree>)"),
    "int": short("<Class>.made  len(<Queue>)"),
    "test": short("<Object>.n  'x' in <Tree>  <Object> is <Object>  hasattr(<Object>, 'tags')"),
    "value": short("<Object>  <Object>.n"),
}

TOPIC = Topic(NAMES, IMPORTS, (), SIMPLE, COMPOUND, {}, MORE)
