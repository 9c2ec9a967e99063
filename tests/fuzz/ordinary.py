"""What people write: values, aliases, changes, branches, loops, functions, closures, small classes."""

from __future__ import annotations

from tests.fuzz.patterns import long, short

SIMPLE = short("""
<+I> = <int>  <+I> = <int>  <I> += <int>  <+I> = <+I> = <int>  <I>, <I> = <I>, <digit>
<+R> = <int>  <R> *= 2  <+S> = <str>  <S> += <str>  <+I>, <+S> = <int>, <str>

<+L> = <list>  <+L> = <list>  <+L> = <L>  <+L> = <+L> = <list>  <L>, <L> = <L>, <L>  <+L>: list = <list>
<L>.append(<value>)  <L>.append(<value>)  <L>.append(<L>)  <L>.extend(<list>)  <L>.insert(0, <value>)
<L> += [<value>]  <L> += <L>  <L> *= 2  <L>.pop()  <L>.clear()  <L>.reverse()  <L>.remove(<I>)
<L>[0] = <value>  <L>[:1] = [<value>]  del <L>[:1]  <L>[0].append(<int>)  <L>[-1].append(<int>)
<L>[0] += [<int>]  <+I>, *<+L> = [<value>, <value>, <value>]  <+L>, <+I> = <L>, len(<L>)
<+L> = sorted(<L>, key=lambda n: str(n))  <+L> = [(n := x) for x in <L>]

<+D> = <dict>  <+D> = <dict>  <+D> = <D>  <D>[<key>] = <value>  <D>[<key>] = <L>  <D>.update(a=<value>)
<D>.update(x=<L>)  <D>.pop(<key>, None)  del <D>[<key>]  <D> |= {'b': <value>}  <D>.clear()
<D>['x'].append(<int>)  <D>['x'] += [<int>]  <D>.setdefault('x', []).append(<int>)
<D>.setdefault('x', <L>)  <D>['a'] = <D>.get('a', 0)  <D>['a'] += 1  <D>.get('x', []).append(<int>)
<+L> = <D>['x']  <+L> = <D>.pop('x')  <+D> = {'x': <L>, 'p': <O>}  <D>['p'].add(<int>)

<+O> = <object>  <+O> = <object>  <+O> = <C>(<L>)  <+O> = <O>  <O>.v = <value>  <O>.v += 1  <O>.v = <O>
<O>.items = <L>  <O>.items.append(<value>)  <O>.items += [<int>]  <O>.add(<value>)  <O>.add(<L>)
<O>.add(1).add(2)  <O>.v.append(1)  <O>.size = <int>  <+L> = <O>.items  <+L> = <O>.v  <+I> = <O>.total()
<L>.append(<O>)  <L>[0].v = <int>  <O>, <O> = <O>, <O>

<F>()  <F>()  <+L> = [<F>()]  <+I> = <F>()  <+F> = <F>  <+F> = lambda: <value>
<+F> = lambda: <L>.append(<int>)  <+I> = len([<F>() for n in range(2)])
<G>(<L>)  <G>(<L>)  <+L> = <G>(<L>)  <+G> = lambda a: a.append(<value>)  <+G> = lambda a: a
[<G>(x) for x in [<L>]]  <+L> = list(map(<G>, [<L>, <L>]))

import <+M>  from collections import <+K>  print(<value>)  assert <L> is not None
del <I>  del <L>  <+I> = (m := <int>) + 1  <+L> = <L> if <test> else <L>
""")

COMPOUND = long("""
if <test>:
<block>

if <test>:
<block>

if <test>:
<block>
else:
<block>

if <test>:
<block>
elif <test>:
<block>
else:
<block>

for <+I> in range(<digit>):
<block>

for x in <L>[:3]:
<block>

for i, x in enumerate(<L>[:3]):
    <D>[i] = x
<block>

for key, x in list(<D>.items()):
    <L>.append(key)

for x in list(<D>.values()):
    if isinstance(x, list):
        x.append(<int>)

for x in [<L>, <L>]:
    x.append(<int>)

for i, x in enumerate(<L>[:3]):
    if isinstance(x, list):
        x.append(i)

for x, y in zip([<L>, <L>], <L>):
    x.append(y)

queue = [x for x in <L> if isinstance(x, list)]
while queue:
    queue.pop().append(<int>)

queue = [<L>, <L>]
while queue:
    x = queue.pop()
    x.append(<int>)

if <L> is None:
    <L> = []

for <+L> in [<L>, <list>]:
<block>

for <+I> in <L>[:2]:
<block>
else:
<block>

for <+I> in range(3):
    if <test>:
        break
<block>

for <+I> in range(3):
    if <test>:
        continue
<block>

count = 0
while <test> and count < 3:
    count += 1
<block>

count = 0
while count < 2:
<block>
    count += 1

try:
<block>
    <L>[<digit>]
<block>
except IndexError:
<block>

try:
<block>
    <D>[<key>]
<block>
except KeyError as error:
<block>

try:
<block>
finally:
<block>

try:
    <I> / <I>
except ZeroDivisionError:
<block>
else:
<block>

match <L>:
    case [n, *ys]:
    <block>
    case _:
    <block>

match <D>:
    case {'x': zs}:
    <block>

def <+F>():
<body>
    return <value>

def <+F>():
<body>
    return <value>

def <+F>():
    return <value>

def <+F>():
<body>

def <+F>(a=<int>):
    result = [a]
    result.append(<I>)
    return result

def <+F>():
    def inner():
        <L>.append(<int>)
        return <I>
    return inner()

def <+G>(a):
    a.append(<value>)

def <+G>(a):
    a.append(<value>)
    return a

def <+G>(a):
    return a

def <+G>(a):
    return [a, <value>]

def <+G>(a):
    return [x for x in a if x != <int>]

def <+G>(a):
    if <test>:
        a.append(<int>)
    return len(a)

def <+G>(a):
<body>
    return a

def <+G>(a):
    global <L>
    <L> = a

def <+G>(a):
    <L>.append(a)
    return <L>

def <+G>(a):
    <D>['x'] = a
    return a

def <+G>(a):
    b = a
    b += [<int>]
    return len(b)

def <+G>(a):
    <G>(a)
    return a

def <+G>(a):
    for x in a[:3]:
        if isinstance(x, list):
            x.append(<int>)

def make(a):
    def inner():
        a.append(<int>)
        return len(a)
    return inner
<+F> = make(<L>)

def make(a):
    return lambda: a
<+F> = make(<L>)

def wrapped(function):
    return lambda: [function()]
<F> = wrapped(<F>)

def counter():
    count = 0
    def up():
        nonlocal count
        count += 1
        return count
    return up
<+F> = counter()

class <+C>:
    made = <int>
    def __init__(self, v=0):
        self.v = v
        self.items = []
    def add(self, x):
        <method>
        return self
    def total(self):
        return <value>
    def __repr__(self):
        return f'{type(self).__name__}({self.v!r}, {self.items!r})'

class <+C>:
    def __init__(self, v=None):
        self.v = v
        self.items = <list>
    def add(self, x):
        self.items.append(x)
        return self
    def total(self):
        return len(self.items) + <int>
    def __repr__(self):
        return f'{type(self).__name__}({self.v!r}, {self.items!r})'

class <+B>(<C>):
    def add(self, x):
        <method>
        return super().add(x)

class <+B>(<C>):
    def __init__(self, v=0):
        super().__init__(v)
        <method>
""")

PATTERNS = {
    "simple": SIMPLE,
    "compound": COMPOUND,
    "method": short("""
        self.items.append(1)  self.items.append(x)  self.v = 2  self.v = <value>  self.other = <L>  <F>()
        <L>.append(self.v)  <L>.append(self)  self.items = <L>  self.items.append(<I>)  <D>['a'] = self.v
    """),
    "int": short("""
        <digit>  <digit>  <I>  <I>  <I> + <digit>  <I> * <R>  len(<L>)  len(<D>)  len(<S>)
        max(<I>, <digit>)  <O>.v  sum(1 for n in <L>)  <D>.get('a', <digit>)  [n := <int>, n + 1][1]
        (lambda n: n + <digit>)(<I>)  (<I> if <test> else <digit>)  <C>.made  <M>.floor(<I> / 2)
    """),
    "str": short("""
        '<letter>'  <S>  <S> + '<letter>'  str(<int>)  f'{<I>}-{<S>}'  '<letter>' * <digit>  <S>.upper()
        ','.join(map(str, <L>))
    """),
    "list": short("""
        []  [<value>]  [<value>, <value>]  <L>  <L>  <L>  <L> + [<value>]  <L>[:]  <L>[1:]  list(<L>)
        <L>.copy()  [<L>]  [<L>, <L>]  [x for x in <L>]  [<I> for n in <L>]
        [y for x in [<L>, <L>] for y in x]
        <O>.items  list(<D>)  list(<D>.values())  list(range(<digit>))  list(zip(<L>, <L>))  <D>['x']
        <D>.get('x', [])  <D>.setdefault('x', [])  <L> or [<value>]  (<L> if <test> else <L>)  <G>(<L>)
        <L>[0]  (<L>, <I>)[0]  list(map(<G>, [<L>]))  max([<L>, <L>], key=len)
        next(x for x in [<L>, <L>] if x is not None)
    """),
    "dict": short("""
        {}  {'a': <value>}  {'x': <L>}  {'x': <L>, 'a': <int>}  dict(<D>)  <D>  <D>  dict(x=<list>)
        {**<D>, 'b': <value>}  {str(x): x for x in range(<digit>)}  <D> | {'x': <L>}  <D>.copy()
        dict(<K>(str(<L>)))
    """),
    "object": short(
        "<C>(<value>)  <C>(<L>)  <O>  <C>(<O>)  <O>.add(<value>)  (<O> if <test> else <C>(1))  <B>(<value>)"
    ),
    "value": short(
        "<int>  <int>  <str>  <list>  <L>  <D>  <O>  <C>(<int>)  <F>()  (<I>, <L>)  None  <G>(<L>)"
    ),
    "test": short("""
        <I> > <digit>  <L>  len(<L>) > <digit>  'x' in <D>  <I> % 2  True  False  <L> is <L>  not <L>
        <I> in <L>  <F>()  (n := <int>)  <S> == '<letter>'  isinstance(<O>, <C>)
    """),
    "digit": tuple("012345"),
    "letter": tuple("abx"),
    "key": short("'a'  'x'  'x'  'b'"),
}
