"""Arrays: views, results that are written into arrays, loops over displays of them, sparse matrices."""

from __future__ import annotations

from tests.fuzz.patterns import Topic, long, short

TOPIC = Topic(
    names={
        "Mat": ("mat", "img"),
        "Vec": ("vec", "w"),
        "Sparse": ("left", "right"),
        "Fix": ("fix", "scale"),  # called with an array
    },
    imports=short("""
import numpy as np
from contextlib import nullcontext
from functools import partial
from operator import methodcaller
from scipy import sparse
"""),
    start=(
        "<+Mat> = <mat>",
        "<+Vec> = <vec>",
    ),
    simple=short("""
<+Mat> = <mat>  <+Vec> = <vec>  <+Vec> = <vec>  <+Mat> = <Mat>  <+Vec> = <Vec>  <+Mat> = <Mat>.T
<+Vec> = <Mat>[<at>]
<+Vec> = <Mat>[:, <at>]  <+Vec> = <Mat>.ravel()  <+Vec> = <Mat>.reshape(-1)  <+Mat> = <Vec>.reshape(-1, 1)
<+Mat> = np.swapaxes(<Mat>, 0, 1)  <+Vec> = np.asarray(<Vec>)  <+Mat> = np.atleast_2d(<Vec>)
<+Mat> = <Mat>[1:]
<+Vec> = <Vec>[1:]  <+Vec> = <Vec>[::2]  <+Mat> = <Mat>.copy()  <+Vec> = np.squeeze(<Vec>)
<+Vec> = <Vec>.view()
<+Vec> = np.split(<Vec>[:2], 2)[0]  <+Vec> = np.diagonal(<Mat>)
<+Vec> = np.broadcast_to(<Vec>, (2, len(<Vec>)))[0]
<+Mat> = np.lib.stride_tricks.sliding_window_view(<Vec>, 2)  <+Vec> = next(iter(<Mat>))
<+Vec> = [<Vec>, <Vec>][<bit>]
<+Vec> = <Vec> if <test> else <Vec>  <+Vec>, <+Mat> = <Vec>, <Mat>
<+Vec> = np.concatenate([<Vec>, <Vec>])[:4]

<Vec> += 1  <Vec> *= 2  <Mat> += 1  <Mat> -= <int>  <Mat>[<at>] += 1  <Mat>[:, 0] *= 2  <Mat>[<Mat> > 2] = 0
<Vec>[0] = <int>  <Vec>[:] = <int>  <Vec>[<Vec> > 1] -= 1  <Vec> -= <Vec>.mean()  <Mat>.T[0] = <int>
<Mat>.flat[0] = 7
np.add(<Mat>, 1, out=<Mat>)  np.multiply(<Vec>, 2, <Vec>)  np.negative(<Vec>, <Vec>)
np.abs(<Mat>, out=<Mat>)
np.sqrt(np.abs(<Vec>), <Vec>)  <Mat>.clip(0, 3, <Mat>)  <Vec>.clip(0, 3, out=<Vec>)
np.clip(<Vec>, 0, 4, <Vec>)
np.fill_diagonal(<Mat>, <digit>)  np.put(<Vec>, [0], <digit>)  np.copyto(<Vec>, 1)
np.place(<Mat>, <Mat> > 3, [9])
<Vec>.sort()  <Vec>.fill(<digit>)  <Mat>.sort(axis=0)  np.cumsum(<Vec>, out=<Vec>)
np.nan_to_num(<Vec>, copy=False)
<Vec>.put(0, 5)  np.putmask(<Vec>, <Vec> > 1, 0)  np.add.at(<Vec>, [0, 0], 1)  memoryview(<Vec>)[0] = 2.0
<Mat>.ravel()[0] = <int>  np.asarray(<Vec>)[0] = <int>  [<Vec>, <Vec>][<bit>][:] = 5
<Vec>.resize(2, refcheck=False)
np.add(<Vec>, <Vec>)  <Vec>.sum()  <Mat> @ <Mat>.T  np.sort(<Vec>)  <Vec>.tolist()

<+I> = int(<Vec>.sum())  <+L> = <Vec>.tolist()  <+L> = list(<Mat>)  <L>.append(<Vec>)  <L>[0] += 1
<L>[-1][0] = 3
<+D> = {'x': <Vec>, 'm': <Mat>}  <D>['x'] = <Vec>  <D>['x'] += 1  <D>['x'][0] = 4  <D>['m'][0] = 1
<+Vec> = <D>['x']
<+D> = dict(enumerate(<Mat>))  <D>[0][0] = 8  <+O> = <C>(<Vec>)  <O>.v = <Vec>  <O>.v[0] = 6
<O>.items = [<Vec>]
<O>.items[0][0] = <int>

<Fix>(<Vec>)  <Fix>(<Vec>)  <Fix>(<Mat>[0])  <+Vec> = <Fix>(<Vec>)  <+Vec> = np.asarray(<Fix>(<Vec>))
list(map(<Fix>, [<Vec>, <Vec>]))  <+L> = [<Fix>(x) for x in [<Vec>, <Vec>]]
[x.fill(1) for x in (<Vec>, <Vec>)]
<+Fix> = lambda a: a.fill(<digit>)  <+Fix> = lambda a: np.add(a, 1, out=a)  <+Fix> = np.sort
<+Fix> = np.ndarray.sort
<+F> = <Vec>.sort  <+F> = lambda: <Vec>.fill(2)  <+F> = partial(<Vec>.fill, <digit>)
<+Fix> = methodcaller('fill', 0)
<+Fix> = <Fix> if <test> else <Fix>

<+Sparse> = <sparse>  <+Sparse> = <sparse>  <+Sparse> = <Sparse>  <+Sparse> = <Sparse>.T
<+Vec> = <Sparse>.data
<Sparse>.data *= 2  <Sparse>.data[0] = <int>  <Sparse>.eliminate_zeros()  <Sparse> *= 2
<+Sparse> = <Sparse>.copy()
"""),
    compound=long("""
view = <Mat>[0]
view += <digit>

view = <Mat>.T
view[0] = <digit>

view = <Vec>[1:]
np.multiply(view, 3, view)

part = [<Vec>, <Mat>][<bit>]
part *= 2

part = {'a': <Vec>, 'b': <Vec>}[<letters>]
part += 1

if (part := <Vec>) is not None:
    part[0] = 8

if <test>:
    part = <Mat>[:, 0]
    part *= 10

for part in (<Vec>, <Vec>):
    part[:] = <digit>

for part in [<Vec>, <Mat>]:
    part += 1

for part in [<Vec>, <Vec>]:
    part = part * 2

for row in <Mat>:
    row -= row.mean()

for i, row in enumerate(<Mat>):
    row[i % 2] = 0

for row, x in zip(<Mat>, [1, 2]):
    row += x

for name, part in {'a': <Vec>, 'b': <Vec>}.items():
    part *= 2
part = None

for a, b in zip([<Vec>, <Vec>], [1, 2]):
    a[0] = b

for x in list(<D>.values()):
    if isinstance(x, np.ndarray):
        x[...] = 1

for x in <L>:
    if isinstance(x, np.ndarray):
        x += 1

for part in (<Sparse>, <Sparse>):
    part.data *= 3

queue = [<Vec>, <Vec>]
while queue:
    queue.pop()[0] += 1

with nullcontext(<Vec>) as part:
    part += 1

with np.nditer(<Mat>, op_flags=['readwrite']) as cells:
    for x in cells:
        x[...] = 2 * x

with np.errstate(all='ignore'):
<block>

match [<Vec>, 1]:
    case [part, 1]:
        part[0] = 3

try:
    part = <Mat>[0]
    part /= 2
    part[9] = 1
except IndexError:
    part += 1

def <+Fix>(a):
    a[0] = <digit>

def <+Fix>(a):
    a *= 2
    return a

def <+Fix>(a):
    part = a[1:]
    part += 1
    return len(part)

def <+Fix>(a):
    return a.T

def <+Fix>(a):
    return a * 2

def <+Fix>(a):
    np.clip(a, 0, 2, a)
    return <value>

def <+Fix>(a, b=<Vec>):
    b[0] = len(a)
    return b

def <+Fix>(a):
    <Vec>[0] += 1
    return a

def <+Fix>(a):
    if <test>:
        a[:] = 0
    return a
"""),
    places={
        "mat": short("""
            np.arange(4.0).reshape(2, 2)  np.arange(6.0).reshape(3, 2)  np.zeros((2, 2))  np.ones((3, 3))
            np.array([[0.0, 1.0], [5.0, 3.0], [2.0, <digit>], [7.0, 4.0]])  <Mat>  <Mat>.T  <Mat> * 2
            <Mat>[:2]
            np.stack([<Vec>[:2], <Vec>[:2]])  np.diag(<Vec>)
        """),
        "vec": short("""
            np.arange(4.0)  np.zeros(3)  np.array([3.0, 1.0, <digit>])  np.ones(2)  np.linspace(0, 1, 3)
            <Vec>
            <Vec>.copy()  <Vec> + 1  <Mat>[0]  <Mat>[:, -1]  <Mat>.sum(axis=0)  <Vec>[:2]  np.array(<Vec>)
        """),
        "sparse": short("""
            sparse.csr_matrix(np.eye(2))  sparse.csr_matrix(np.array([[1.0, 0.0], [2.0, 3.0]]))
            sparse.csc_matrix(<Mat>)
        """),
        "at": short("0  0  1  -1"),
        "bit": short("0  1"),
        "letters": short("'a'  'b'"),
    },
    more={
        "test": short("<Vec>.sum() > <digit>  <Vec> is <Vec>"),
        "int": short("len(<Vec>)  int(<Vec>[0])"),
        "value": short("<Vec>"),
        "method": short("self.v[0] = 3"),
    },
)
