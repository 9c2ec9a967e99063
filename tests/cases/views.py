"""Arrays that share their memory, results that are written into arrays, loops over displays of arrays."""

from tests.cases import Case

CASES = [
    Case(
        "a row under a name of its own, and added to in the same cell",
        """
%%kale imports
import numpy as np
%%kale step load
scores = np.arange(1, 5.0).reshape(2, 2)
%%kale step shift
top = scores[0]
top += 10
%%kale step show
print("RESULT", scores.tolist())
""",
        "[[11.0, 12.0], [3.0, 4.0]]",
        cold=True,
    ),
    Case(
        "a transposed array, whose name a later step uses for something else",
        """
%%kale imports
import numpy as np
%%kale step load
scores = np.arange(1, 5.0).reshape(2, 2)
%%kale step flip
turned = scores.T
turned[0] = 0
%%kale step show
turned = len(scores)
print("RESULT", scores.tolist(), turned)
""",
        "[[0.0, 2.0], [0.0, 4.0]] 2",
        cold=True,
    ),
    Case(
        "a column that is taken under an if, in a with and in a try",
        """
%%kale imports
import numpy as np
%%kale step load
scores = np.arange(1, 7.0).reshape(2, 3)
%%kale step change
if scores.shape[0] > 1:
    first = scores[:, 0]
    first *= 10
with np.errstate(all="ignore"):
    second = scores[:, 1]
    second *= 100
try:
    third = scores[:, 2]
    third *= 1000
finally:
    checked = True
%%kale step show
print("RESULT", scores.tolist())
""",
        "[[10.0, 200.0, 3000.0], [40.0, 500.0, 6000.0]]",
        cold=True,
    ),
    Case(
        "a row that a walrus and one that a match has named",
        """
%%kale imports
import numpy as np
%%kale step load
scores = np.arange(1, 5.0).reshape(2, 2)
pair = [scores, "rows"]
%%kale step change
if (top := scores[0]).sum() > 0:
    top[:] = 7
match pair:
    case [found, _]:
        found[1] = 8
%%kale step show
print("RESULT", scores.tolist())
""",
        "[[7.0, 7.0], [8.0, 8.0]]",
        cold=True,
    ),
    Case(
        "arrays that are flattened or given another shape",
        """
%%kale imports
import numpy as np
%%kale step load
a, b, c = (np.zeros((2, 2)) for _ in range(3))
%%kale step change
flat = a.ravel()
flat[0] = 1
long = b.reshape(-1)
long[1] = 2
thin = np.squeeze(c[np.newaxis])
thin[1, 1] = 3
%%kale step show
print("RESULT", a.tolist(), b.tolist(), c.tolist())
""",
        "[[1.0, 0.0], [0.0, 0.0]] [[0.0, 2.0], [0.0, 0.0]] [[0.0, 0.0], [0.0, 3.0]]",
        cold=True,
    ),
    Case(
        "axes that change places",
        """
%%kale imports
import numpy as np
%%kale step load
a = np.arange(4).reshape(2, 2)
b = np.arange(4).reshape(2, 2)
%%kale step views
swapped, moved = np.swapaxes(a, 0, 1), np.moveaxis(b, 0, -1)
%%kale step change
swapped[0, 1] = 9
moved[1, 0] = 8
%%kale step show
print("RESULT", a.tolist(), b.tolist())
""",
        "[[0, 1], [9, 3]] [[0, 8], [2, 3]]",
        cold=True,
    ),
    Case(
        "functions of numpy that give an array back as it is",
        """
%%kale imports
import numpy as np
%%kale step load
a, b, c = np.zeros(2), np.zeros(2), np.zeros(2)
%%kale step change
same = np.asarray(a)
same[0] = 1
wide = np.atleast_2d(b)
wide[0, 0] = 2
dense = np.ascontiguousarray(c)
dense[0] = 3
%%kale step show
print("RESULT", a.tolist(), b.tolist(), c.tolist())
""",
        "[1.0, 0.0] [2.0, 0.0] [3.0, 0.0]",
        cold=True,
    ),
    Case(
        "a part of a part",
        """
%%kale imports
import numpy as np
%%kale step load
cube = np.zeros((2, 2, 2))
%%kale step change
layer = cube[0]
line = layer[:, 1]
line += [1, 2]
%%kale step show
print("RESULT", cube.tolist())
""",
        "[[[0.0, 1.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]]",
        cold=True,
    ),
    Case(
        "a view that is looked at after its array has changed",
        """
%%kale imports
import numpy as np
%%kale step load
scores = np.arange(4.0)
tail = scores[2:]
%%kale step change
scores *= 10
%%kale step show
print("RESULT", tail.tolist(), scores.tolist())
""",
        "[20.0, 30.0] [0.0, 10.0, 20.0, 30.0]",
        cold=True,
    ),
    Case(
        "an array that is looked at after its view has changed",
        """
%%kale imports
import numpy as np
%%kale step load
scores = np.arange(4.0)
%%kale step cut
tail = scores[2:]
%%kale step change
tail[0] = -1
%%kale step show
print("RESULT", scores.tolist(), np.shares_memory(scores, tail))
""",
        "[0.0, 1.0, -1.0, 3.0] True",
        cold=True,
    ),
    Case(
        "two views of one array, which nothing else holds any more",
        """
%%kale imports
import numpy as np
%%kale step load
both = np.zeros(4)
left, right = both[:3], both[1:]
del both
%%kale step change
left[1] = 5
%%kale step show
print("RESULT", left.tolist(), right.tolist())
""",
        "[0.0, 5.0, 0.0] [5.0, 0.0, 0.0]",
        cold=True,
    ),
    Case(
        "rows of an array, changed one by one",
        """
%%kale imports
import numpy as np
%%kale step load
scores = np.arange(6.0).reshape(2, 3)
%%kale step centre
for row in scores:
    row -= row.mean()
%%kale step show
print("RESULT", scores.tolist())
""",
        "[[-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]]",
        cold=True,
    ),
    Case(
        "rows of an array in a list and in a dictionary",
        """
%%kale imports
import numpy as np
%%kale step load
scores = np.arange(4.0).reshape(2, 2)
rows = list(scores)
named = dict(zip("xy", scores))
%%kale step change
rows[0][0] = 10
named["y"][1] = 20
%%kale step show
print("RESULT", scores.tolist())
""",
        "[[10.0, 1.0], [2.0, 20.0]]",
        cold=True,
    ),
    Case(
        "an array that is split",
        """
%%kale imports
import numpy as np
%%kale step load
scores = np.arange(4.0)
%%kale step cut
low, high = np.split(scores, 2)
%%kale step change
high[:] = 0
%%kale step show
print("RESULT", scores.tolist())
""",
        "[0.0, 1.0, 0.0, 0.0]",
        cold=True,
    ),
    Case(
        "a field of a structured array",
        """
%%kale imports
import numpy as np
%%kale step load
points = np.array([(1, 2.0), (3, 4.0)], dtype=[("n", int), ("v", float)])
%%kale step change
values = points["v"]
values *= 10
%%kale step show
print("RESULT", points.tolist())
""",
        "[(1, 20.0), (3, 40.0)]",
        cold=True,
    ),
    Case(
        "the memory of an array under another type",
        """
%%kale imports
import numpy as np
%%kale step load
scores = np.arange(3.0)
raw = bytearray(3)
%%kale step change
memoryview(scores)[0] = 5.0
bits = np.frombuffer(raw, dtype=np.uint8)
bits[1] = 7
%%kale step show
print("RESULT", scores.tolist(), bytes(raw))
""",
        "[5.0, 1.0, 2.0] b'\\x00\\x07\\x00'",
        cold=True,
    ),
    Case(
        "windows over an array that changes",
        """
%%kale imports
import numpy as np
%%kale step load
scores = np.arange(4.0)
windows = np.lib.stride_tricks.sliding_window_view(scores, 2)
spread = np.broadcast_to(scores, (2, 4))
%%kale step change
scores[0] = 9
%%kale step show
print("RESULT", windows.tolist(), spread[1].tolist())
""",
        "[[9.0, 1.0], [1.0, 2.0], [2.0, 3.0]] [9.0, 1.0, 2.0, 3.0]",
        cold=True,
    ),
    Case(
        "one of two arrays, chosen by an index or a condition",
        """
%%kale imports
import numpy as np
%%kale step load
a, b, c, d = (np.zeros(2) for _ in range(4))
%%kale step change
one = (a, b)[1]
one += 1
other = c if len(c) > 5 else d
other += 2
%%kale step show
print("RESULT", a.tolist(), b.tolist(), c.tolist(), d.tolist())
""",
        "[0.0, 0.0] [1.0, 1.0] [0.0, 0.0] [2.0, 2.0]",
        cold=True,
    ),
    Case(
        "one of two arrays in a dictionary that is written on the spot",
        """
%%kale imports
import numpy as np
%%kale step load
weights, bias = np.zeros(2), np.zeros(1)
%%kale step change
part = {"w": weights, "b": bias}["b"]
part -= 0.5
%%kale step show
print("RESULT", weights.tolist(), bias.tolist())
""",
        "[0.0, 0.0] [-0.5]",
        cold=True,
    ),
    Case(
        "masks, slices and the diagonal",
        """
%%kale imports
import numpy as np
%%kale step load
a = np.arange(4.0).reshape(2, 2)
b = np.arange(4.0).reshape(2, 2)
c = np.zeros((2, 2))
%%kale step change
a[a > 1] = -1
b[:, 0] *= 10
np.fill_diagonal(c, 4)
%%kale step show
print("RESULT", a.tolist(), b.tolist(), c.tolist())
""",
        "[[0.0, 1.0], [-1.0, -1.0]] [[0.0, 1.0], [20.0, 3.0]] [[4.0, 0.0], [0.0, 4.0]]",
        cold=True,
    ),
    Case(
        "the array for a result as the last argument of a function",
        """
%%kale imports
import numpy as np
%%kale step load
a, b, c, d = (np.full(2, 4.0) for _ in range(4))
%%kale step change
np.sqrt(a, a)
np.multiply(b, 3, b)
np.clip(c, 0, 1, c)
np.cumsum(d, 0, None, d)
%%kale step show
print("RESULT", a.tolist(), b.tolist(), c.tolist(), d.tolist())
""",
        "[2.0, 2.0] [12.0, 12.0] [1.0, 1.0] [4.0, 8.0]",
        cold=True,
    ),
    Case(
        "the array for a result as the last argument of a method",
        """
%%kale imports
import numpy as np
%%kale step load
a, b, c = (np.array([1.25, 3.5]) for _ in range(3))
%%kale step change
a.clip(2, 3, a)
b.round(0, b)
c.cumsum(0, None, c)
%%kale step show
print("RESULT", a.tolist(), b.tolist(), c.tolist())
""",
        "[2.0, 3.0] [1.0, 4.0] [1.25, 4.75]",
        cold=True,
    ),
    Case(
        "the array for a result by its keyword",
        """
%%kale imports
import numpy as np
%%kale step load
a, b, c = (np.array([1.0, -2.0]) for _ in range(3))
%%kale step change
np.abs(a, out=a)
b.clip(0, 5, out=b)
np.add.accumulate(c, out=c)
%%kale step show
print("RESULT", a.tolist(), b.tolist(), c.tolist())
""",
        "[1.0, 2.0] [1.0, 0.0] [1.0, -1.0]",
        cold=True,
    ),
    Case(
        "functions of numpy that fill their first argument",
        """
%%kale imports
import numpy as np
%%kale step load
a, b, c, d, e = (np.zeros(2) for _ in range(5))
%%kale step change
np.put(a, [0], 1)
np.place(b, b == 0, [2])
np.copyto(c, 3)
np.add.at(d, [0, 0], 4)
np.putmask(e, e == 0, 5)
%%kale step show
print("RESULT", *(x.tolist() for x in (a, b, c, d, e)))
""",
        "[1.0, 0.0] [2.0, 2.0] [3.0, 3.0] [8.0, 0.0] [5.0, 5.0]",
        cold=True,
    ),
    Case(
        "numbers that are missing, replaced in place",
        """
%%kale imports
import numpy as np
%%kale step load
a = np.array([1.0, np.nan])
%%kale step change
np.nan_to_num(a, copy=False, nan=9.0)
%%kale step show
print("RESULT", a.tolist())
""",
        "[1.0, 9.0]",
        cold=True,
    ),
    Case(
        "a function of numpy under a name of its own",
        """
%%kale imports
import numpy as np
from numpy import negative as minus
%%kale step load
a, b, c = np.ones(1), np.ones(1), np.ones(1)
table = {"minus": np.negative}
%%kale step change
minus(a, a)
table["minus"](b, b)
getattr(np, "negative")(c, c)
%%kale step show
print("RESULT", a.tolist(), b.tolist(), c.tolist())
""",
        "[-1.0] [-1.0] [-1.0]",
        cold=True,
    ),
    Case(
        "methods of arrays that sort, fill and swap",
        """
%%kale imports
import numpy as np
%%kale step load
a, b, c = np.array([3.0, 1.0]), np.zeros(2), np.array([1], dtype="<u2")
%%kale step change
a.sort()
b.fill(6)
c.byteswap(inplace=True)
%%kale step show
print("RESULT", a.tolist(), b.tolist(), c.tolist())
""",
        "[1.0, 3.0] [6.0, 6.0] [256]",
        cold=True,
    ),
    Case(
        "an array that gets another size",
        """
%%kale imports
import numpy as np
%%kale step load
a = np.arange(6)
%%kale step change
a.resize(3, refcheck=False)
%%kale step show
print("RESULT", a.tolist())
""",
        "[0, 1, 2]",
        cold=True,
    ),
    Case(
        "an array that gets another size while nothing else holds it",
        """
%%kale imports
import numpy as np
%%kale step make
a = np.arange(6)
a.resize(4)
%%kale step show
print("RESULT", a.tolist())
""",
        "[0, 1, 2, 3]",
        cold=True,
    ),
    Case(
        "an array's own attributes",
        """
%%kale imports
import numpy as np
%%kale step load
a = np.arange(4.0)
b = np.array([1 + 1j])
%%kale step change
a.shape = (2, 2)
a.flat[0] = 8
b.real[0] = 5
%%kale step show
print("RESULT", a.tolist(), b.tolist())
""",
        "[[8.0, 1.0], [2.0, 3.0]] [(5+1j)]",
        cold=True,
    ),
    Case(
        "an iterator of numpy that writes",
        """
%%kale imports
import numpy as np
%%kale step load
a = np.arange(4.0)
%%kale step change
with np.nditer(a, op_flags=["readwrite"]) as cells:
    for cell in cells:
        cell[...] = 2 * cell
%%kale step show
print("RESULT", a.tolist())
""",
        "[0.0, 2.0, 4.0, 6.0]",
        cold=True,
    ),
    Case(
        "sparse matrices in a loop over a display",
        """
%%kale imports
import numpy as np
from scipy import sparse
%%kale step load
left, right = (sparse.csr_matrix(np.eye(2)) for _ in range(2))
%%kale step change
for matrix in [left, right]:
    matrix.data *= 4
%%kale step show
print("RESULT", left.sum(), right.sum())
""",
        "8.0 8.0",
        cold=True,
    ),
    Case(
        "the stored numbers of a sparse matrix, and the matrix on its side",
        """
%%kale imports
import numpy as np
from scipy import sparse
%%kale step load
left, right = (sparse.csr_matrix(np.array([[1.0, 2.0], [0.0, 3.0]])) for _ in range(2))
%%kale step change
stored = left.data
stored[0] = 10
side = right.T
side.data[1] = 20
%%kale step show
print("RESULT", left.toarray().tolist(), right.toarray().tolist())
""",
        "[[10.0, 2.0], [0.0, 3.0]] [[1.0, 20.0], [0.0, 3.0]]",
        cold=True,
    ),
    Case(
        "a sparse matrix that changes itself",
        """
%%kale imports
import numpy as np
from scipy import sparse
%%kale step load
grid = sparse.lil_matrix(np.eye(2))
rest = sparse.csr_matrix(np.array([[1.0, 0.0], [2.0, 3.0]]))
%%kale step change
grid.setdiag(5)
grid[0, 1] = 6
rest.data[0] = 0
rest.eliminate_zeros()
%%kale step show
print("RESULT", grid.toarray().tolist(), rest.nnz)
""",
        "[[5.0, 6.0], [0.0, 5.0]] 2",
        cold=True,
    ),
    Case(
        "arrays in a loop over a tuple",
        """
%%kale imports
import numpy as np
%%kale step load
weights, bias = np.zeros(2), np.zeros(1)
%%kale step change
for part in (weights, bias):
    part[:] = 7
%%kale step show
print("RESULT", weights.tolist(), bias.tolist())
""",
        "[7.0, 7.0] [7.0]",
        cold=True,
    ),
    Case(
        "arrays in loops with zip, enumerate and items",
        """
%%kale imports
import numpy as np
%%kale step load
a, b, c, d = (np.zeros(2) for _ in range(4))
%%kale step change
for part, value in zip([a, b], [1, 2]):
    part += value
for i, part in enumerate([b, c]):
    part[i] = 10
for name, part in {"d": d}.items():
    part[:] = len(name)
%%kale step show
print("RESULT", a.tolist(), b.tolist(), c.tolist(), d.tolist())
""",
        "[1.0, 1.0] [10.0, 2.0] [0.0, 10.0] [1.0, 1.0]",
        cold=True,
    ),
    Case(
        "arrays in a loop that takes them from a list",
        """
%%kale imports
import numpy as np
%%kale step load
a, b = np.zeros(1), np.zeros(1)
%%kale step change
waiting = [a, b]
while waiting:
    waiting.pop()[0] += 3
%%kale step show
print("RESULT", a.tolist(), b.tolist())
""",
        "[3.0] [3.0]",
        cold=True,
    ),
    Case(
        "arrays that a comprehension and a map change",
        """
%%kale imports
import numpy as np
%%kale step load
a, b, c = np.zeros(1), np.zeros(1), np.array([2, 1])
%%kale step change
[part.fill(5) for part in (a, b)]
list(map(np.ndarray.sort, [c]))
%%kale step show
print("RESULT", a.tolist(), b.tolist(), c.tolist())
""",
        "[5.0] [5.0] [1, 2]",
        cold=True,
    ),
    Case(
        "a variable of a loop that its cell uses again",
        """
%%kale imports
import numpy as np
%%kale step load
a, b = np.zeros(1), np.zeros(1)
%%kale step change
for part in reversed([a, b]):
    part += 1
part = "done"
%%kale step show
print("RESULT", a.tolist(), b.tolist(), part)
""",
        "[1.0] [1.0] done",
        cold=True,
    ),
    Case(
        "a mask that a step changes",
        """
%%kale imports
import numpy as np
%%kale step a
x = np.arange(4)
mask = x > 1
%%kale step b
mask[0] = True
%%kale step c
print("RESULT", x[mask].tolist(), mask.tolist())
""",
        "[0, 2, 3] [True, False, True, True]",
        cold=True,
    ),
    Case(
        "two names of a mask that a step changes",
        """
%%kale imports
import pandas as pd
%%kale step a
df = pd.DataFrame({"v": [1, 2, 3]})
mask = df["v"] > 1
other = mask
%%kale step b
mask.iloc[0] = True
%%kale step c
print("RESULT", df[mask].v.tolist(), other.tolist())
""",
        "[1, 2, 3] [True, True, True]",
        cold=True,
    ),
    Case(
        "pandas objects over every second element of an array",
        """
%%kale imports
import numpy as np
import pandas as pd
%%kale step a
grid = np.arange(6.0).reshape(3, 2)
column = grid[:, 1]
series = pd.Series(column, copy=False)
backwards = pd.DataFrame(column[::-1], copy=False)
index = pd.Index(column, copy=False)
%%kale step b
for part, number in zip([column, column], [1, 2]):
    part[0] = number
%%kale step c
print("RESULT", series.tolist(), backwards[0].tolist(), index.tolist())
""",
        "[2.0, 3.0, 5.0] [5.0, 3.0, 2.0] [2.0, 3.0, 5.0]",
        cold=True,
    ),
]
