"""What hardly anybody writes, but somebody may: classes and builtins that change, functions with a state."""

from __future__ import annotations

from tests.fuzz.patterns import long, short

SIMPLE = short("""
list.append(<L>, <int>)  getattr(<L>, 'append')(<int>)  list(map(<L>.append, [<int>]))
<+L> = [x.append(<int>) for x in <L> if isinstance(x, list)]  <+L> = globals()['xs']
(<L> if <test> else <L>).append(<int>)  (<G> if <test> else <L>.append)(<L>)
<test> and <L>.append(<int>)  <test> or <D>.update(a=<int>)  <+L> = <+D> = None or <L>

<C>.made += 1  <C>.made = <int>  <C>.shared.append(<value>)  <C>.extra = <value>  <C>.shared = <L>
<C>.items = <L>  <C>.add = lambda self, x: self  <O>.shared.append(<int>)  <O>.__class__ = <C>
setattr(<O>, 'v', <value>)  vars(<O>)['v'] = <int>

<+F> = lambda a=<L>: a.append(<int>)  <+F> = <L>.copy  <+F> = <O>.total  <+G> = <L>.append  <+G> = <O>.add
<D>['f'] = <F>  <D>['f']()  <O>.v = <F>  <O>.v()  <F>.calls = <int>  <+I> = <F>.calls
<+L> = [<F>, <F>]  <L>[0]()  <+D> = {'x': <G>}  <D>['x'](<L>)

sum = <int>  <+I> = sum  del <F>
""")

COMPOUND = long("""
def <+F>(a=<L>):
    a.append(<int>)
    return len(a)

def <+F>(a=<list>, b={}):
    b[len(b)] = <int>
    return [a, len(b)]

def <+G>(a, seen=[]):
    seen.append(len(a))
    return list(seen)

def noted(function):
    <L>.append(function.__name__)
    return function
@noted
def <+F>():
    return <value>

def counted(function):
    def run(*args):
        <L>.append(len(args))
        return function(*args)
    return run
@counted
def <+F>():
    return <value>

class <+C>:
    made = 0
    shared = []
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
    made = <int>
    shared = <list>
    def __init__(self, v=None):
        type(self).made += 1
        self.v = v
        self.items = <list>
    def add(self, x):
        <method>
        return self
    def total(self):
        return <value>
    def __repr__(self):
        return f'{type(self).__name__}({self.v!r}, {self.items!r})'
""")

MORE = {
    "simple": SIMPLE,
    "compound": COMPOUND,
    "method": short("type(self).made += 1  self.shared.append(3)"),
    "list": short("<C>.shared"),
    "dict": short("<O>.__dict__  vars(<O>)"),
}
