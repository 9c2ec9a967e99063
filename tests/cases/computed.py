"""What is found by a computed name, chosen by a parameter, or handed out by a function that somebody keeps."""

from tests.cases import Case

CASES = [
    Case(
        "variables found by the names of a list",
        """
%%kale step a
xs = [1]
ys = [2]
%%kale step b --after a
for var in ["xs", "ys"]:
    globals()[var].append(3)
%%kale step c --after b
print("RESULT", xs, ys)
""",
        "[1, 3] [2, 3]",
        cold=True,
    ),
    Case(
        "variables found by names that are put together",
        """
%%kale step a
xs_1 = [1]
xs_2 = [2]
%%kale step b --after a
for i in range(1, 3):
    globals()[f"xs_{i}"].append(3)
%%kale step c --after b
print("RESULT", xs_1, xs_2)
""",
        "[1, 3] [2, 3]",
        cold=True,
    ),
    Case(
        "a variable found by a name that a parameter gives",
        """
%%kale parameters
var = "xs"
%%kale step a
xs = [1]
ys = [2]
%%kale step b --after a
globals()[var].append(3)
%%kale step c --after b
print("RESULT", xs, ys)
""",
        "[1] [2, 3]",
        given={"var": "ys"},
    ),
    Case(
        "a function that finds variables by their names",
        """
%%kale functions
def get(n):
    return globals()[n]
%%kale step a
xs = [1]
ys = [2]
%%kale step b --after a
get("x" + "s").append(3)
y = get("y" + "s")
y.append(4)
%%kale step c --after b
print("RESULT", xs, ys)
""",
        "[1, 3] [2, 4]",
        cold=True,
    ),
    Case(
        "variables found by get and vars",
        """
%%kale step a
xs = [1]
ys = [2]
%%kale step b --after a
n = "xs"
globals().get(n).append(3)
vars()[n][0] = 9
%%kale step c --after b
print("RESULT", xs, ys)
""",
        "[9, 3] [2]",
        cold=True,
    ),
    Case(
        "code that a parameter gives",
        """
%%kale parameters
expr = "len(xs)"
%%kale step a
xs = [3, 1, 2]
%%kale step b --after a
r = eval(expr)
%%kale step c --after b
print("RESULT", xs, r)
""",
        "[3, 1, 2, 4] None",
        given={"expr": "xs.append(4)"},
        cold=True,
    ),
    Case(
        "a type that a parameter names",
        """
%%kale parameters
cls = "list"
%%kale step a
x = eval(cls)()
y = x
y.update({}) if hasattr(y, "update") else y.append(1)
%%kale step b
print("RESULT", x, y is x)
""",
        "{} True",
        given={"cls": "dict"},
        cold=True,
    ),
    Case(
        "a class chosen from all subclasses",
        """
%%kale parameters
c = "A"
%%kale functions
class Base:
    pass
class A(Base):
    def go(self, xs):
        return sum(xs)
class B(Base):
    def go(self, xs):
        xs.append(9)
        return sum(xs)
%%kale step a
xs = [1, 2]
kinds = {k.__name__: k for k in Base.__subclasses__()}
%%kale step b --after a
t = kinds[c]().go(xs)
%%kale step c --after b
print("RESULT", xs, t)
""",
        "[1, 2, 9] 12",
        given={"c": "B"},
        cold=True,
    ),
    Case(
        "a method that a parameter names",
        """
%%kale parameters
m = "count"
%%kale imports
from operator import methodcaller
%%kale step a
xs = [3, 1, 2]
%%kale step b --after a
f = methodcaller(m) if m == "sort" else methodcaller(m, 3)
r = f(xs)
%%kale step c --after b
print("RESULT", xs, r)
""",
        "[1, 2, 3] None",
        given={"m": "sort"},
        cold=True,
    ),
    Case(
        "a module that a parameter names",
        """
%%kale parameters
m = "statistics"
%%kale imports
import importlib
%%kale step a
xs = [3, 1, 2]
%%kale step b --after a
mod = importlib.import_module(m)
r = mod.mean(xs) if m == "statistics" else (mod.seed(3), mod.shuffle(xs))
%%kale step c --after b
print("RESULT", xs, r)
""",
        "[1, 2, 3] (None, None)",
        given={"m": "random"},
        cold=True,
    ),
    Case(
        "a function of a module that a parameter names",
        """
%%kale parameters
mod = "math"
%%kale imports
import importlib
%%kale step a
x = [1, 2]
%%kale step b --after a
m = importlib.import_module(mod)
f = getattr(m, "iconcat", None)
y = f(x, [3]) if f else None
%%kale step c --after b
print("RESULT", x)
""",
        "[1, 2, 3]",
        given={"mod": "operator"},
        cold=True,
    ),
    Case(
        "helpers found by names that a parameter lists",
        """
%%kale parameters
steps = ["scale"]
%%kale imports
import pandas as pd
%%kale functions
def drop(df):
    df.drop(columns=["b"], inplace=True)
def scale(df):
    return df * 2
%%kale step a
x = pd.DataFrame({"a": [2, 1], "b": [1, 2]})
%%kale step b --after a
for s in steps:
    globals()[s](x)
%%kale step c --after b
print("RESULT", list(x.columns))
""",
        "['a']",
        given={"steps": ["scale", "drop"]},
        cold=True,
    ),
    Case(
        "settings of a clone that a parameter gives",
        """
%%kale parameters
p = "{'copy': True}"
%%kale imports
import ast
import numpy as np
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
%%kale step a
x = np.array([[1.0], [2.0], [3.0]])
base = StandardScaler()
%%kale step b --after a
s = clone(base).set_params(**ast.literal_eval(p))
z = s.fit_transform(x)
%%kale step c --after b
print("RESULT", x.ravel().tolist())
""",
        "[-1.224744871391589, 0.0, 1.224744871391589]",
        given={"p": "{'copy': False}"},
        cold=True,
    ),
    Case(
        "settings of an estimator that a parameter gives",
        """
%%kale parameters
p = "{'copy': True}"
%%kale imports
import ast
import numpy as np
from sklearn.preprocessing import StandardScaler
%%kale step a
x = np.array([[1.0], [2.0], [3.0]])
%%kale step b --after a
options = ast.literal_eval(p)
s = StandardScaler(**options)
z = s.fit_transform(x)
%%kale step c --after b
print("RESULT", x.ravel().tolist())
""",
        "[-1.224744871391589, 0.0, 1.224744871391589]",
        given={"p": "{'copy': False}"},
        cold=True,
    ),
    Case(
        "objects of the notebook in an array",
        """
%%kale imports
import numpy as np
%%kale step a
rec = {"a": 1}
arr = np.array([rec, {"a": 2}])
%%kale step b --after a
arr[0]["a"] = 7
%%kale step c --after b
print("RESULT", rec, arr.tolist())
""",
        "{'a': 7} [{'a': 7}, {'a': 2}]",
        cold=True,
    ),
    Case(
        "objects of the notebook's class in an array",
        """
%%kale imports
import numpy as np
%%kale functions
class R:
    def __init__(self): self.a = 1
%%kale step a
rec = R()
recs = [rec, R()]
arr = np.array(recs)
%%kale step b --after a
arr[0].a = 7
%%kale step c --after b
print("RESULT", rec.a, recs[0].a, arr[0].a)
""",
        "7 7 7",
        cold=True,
    ),
    Case(
        "a lambda that fills a dictionary with what is there already",
        """
%%kale imports
from collections import defaultdict
%%kale step a
zs = [1]
found = defaultdict(lambda: zs)
%%kale step b --after a
found[1].append(2)
%%kale step c --after b
print("RESULT", zs, dict(found))
""",
        "[1, 2] {1: [1, 2]}",
        cold=True,
    ),
    Case(
        "a function that fills a dictionary with what is there already",
        """
%%kale imports
from collections import defaultdict
%%kale step a
zs = [1]
def pick(): return zs
found = defaultdict(pick)
%%kale step b --after a
found[1].append(2)
%%kale step c --after b
print("RESULT", zs, dict(found))
""",
        "[1, 2] {1: [1, 2]}",
        cold=True,
    ),
    Case(
        "a lambda in a table gives what is there already",
        """
%%kale step a
zs = [1]
table = {"k": lambda: zs}
%%kale step b --after a
table["k"]().append(2)
%%kale step c --after b
print("RESULT", zs)
""",
        "[1, 2]",
        cold=True,
    ),
    Case(
        "a lambda that map calls gives what is there already",
        """
%%kale step a
zs = [1]
got = list(map(lambda i: zs, range(2)))
%%kale step b --after a
got[0].append(2)
%%kale step c --after b
print("RESULT", zs)
""",
        "[1, 2]",
        cold=True,
    ),
    Case(
        "a function that map calls gives what is there already",
        """
%%kale step a
zs = [1]
def pick(i):
    return zs
got = list(map(pick, range(2)))
%%kale step b --after a
got[0].append(2)
%%kale step c --after b
print("RESULT", zs)
""",
        "[1, 2]",
        cold=True,
    ),
    Case(
        "a function in a table gives what is there already",
        """
%%kale step a
zs = [1]
def pick():
    return zs
table = {"k": pick}
%%kale step b --after a
table["k"]().append(2)
%%kale step c --after b
print("RESULT", zs)
""",
        "[1, 2]",
        cold=True,
    ),
    Case(
        "a function that an object keeps gives what is there already",
        """
%%kale step a
zs = [1]
class Box:
    def __init__(self, f):
        self.f = f
    def go(self):
        self.f().append(2)
def pick():
    return zs
box = Box(pick)
%%kale step b --after a
box.go()
%%kale step c --after b
print("RESULT", zs)
""",
        "[1, 2]",
        cold=True,
    ),
    Case(
        "a property gives what is there already",
        """
%%kale step a
zs = [1]
class P:
    @property
    def all(self):
        return zs
p = P()
%%kale step b --after a
p.all.append(2)
%%kale step c --after b
print("RESULT", zs)
""",
        "[1, 2]",
        cold=True,
    ),
    Case(
        "an operator gives what is there already",
        """
%%kale step a
zs = [1]
class P:
    def all(self):
        return zs
    def __getitem__(self, k):
        return zs
p = P()
%%kale step b --after a
p.all().append(2)
p[1].append(3)
%%kale step c --after b
print("RESULT", zs)
""",
        "[1, 2, 3]",
        cold=True,
    ),
    Case(
        "a generator that is numpy's own under one value of a parameter",
        """
%%kale parameters
n = 1
%%kale imports
import numpy as np
%%kale step a
np.random.seed(3)
if n == 2:
    r = np.random
else:
    r = np.random.default_rng(1)
%%kale step b --after a
first = r.normal()
%%kale step c --after b
print("RESULT", first, np.random.normal())
""",
        "1.7886284734303186 0.43650985051198943",
        given={"n": 2},
        cold=True,
    ),
    Case(
        "a generator that may be numpy's own",
        """
%%kale imports
import numpy as np
%%kale step a
np.random.seed(3)
r = np.random if np.pi > 3 else np.random.default_rng(1)
%%kale step b --after a
first = r.normal()
%%kale step c --after b
print("RESULT", first, np.random.normal())
""",
        "1.7886284734303186 0.43650985051198943",
        cold=True,
    ),
    Case(
        "the object behind numpy's own generator",
        """
%%kale imports
import numpy as np
%%kale step a
np.random.seed(3)
%%kale step b --after a
g = np.random.mtrand._rand
first = g.normal()
%%kale step c --after b
print("RESULT", first, np.random.normal())
""",
        "1.7886284734303186 0.43650985051198943",
        cold=True,
    ),
    Case(
        "functions that draw from numpy's own generator unless they get another one",
        """
%%kale imports
import numpy as np
%%kale functions
def draw(n, rng=None):
    rng = rng or np.random
    return rng.normal(size=n)
def draw2(n, rng=np.random):
    return rng.normal(size=n)
%%kale step a
np.random.seed(3)
%%kale step b --after a
first = draw(1)
%%kale step c --after b
second = draw2(1)
%%kale step d --after c
third = draw(1, np.random)
%%kale step e --after d
print("RESULT", first, second, third, np.random.normal())
""",
        "[1.78862847] [0.43650985] [0.09649747] -1.8634927033644908",
        cold=True,
    ),
    Case(
        "functions that draw from the generator of random unless they get another one",
        """
%%kale imports
import random
%%kale functions
def draw(xs, rng=random):
    return rng.sample(xs, 2)
%%kale step a
random.seed(3)
%%kale step b --after a
first = draw([1,2,3,4])
%%kale step c --after b
shuffle = random.shuffle
xs = [1,2,3]
shuffle(xs)
second = xs
%%kale step d --after c
print("RESULT", first, second, random.random())
""",
        "[2, 3] [2, 1, 3] 0.36995516654807925",
        cold=True,
    ),
    Case(
        "a distribution that draws from numpy's own generator",
        """
%%kale imports
from scipy import stats
import numpy as np
%%kale step a
np.random.seed(3)
d = stats.norm(0, 1)
%%kale step b --after a
one = d.rvs(2).tolist()
%%kale step c --after b
two = np.random.normal()
three = stats.norm.rvs(size=1).tolist()
%%kale step e --after c
print("RESULT", one, two, three, d.rvs(1).tolist())
""",
        "[1.7886284734303186, 0.43650985051198943] 0.09649746807200862 [-1.8634927033644908] [-0.27738820251439905]",
        cold=True,
    ),
    Case(
        "numpy's own generator in a dictionary",
        """
%%kale imports
import numpy as np
from sklearn.utils import check_random_state
%%kale step a
np.random.seed(3)
r = check_random_state(None)
rs = {"r": r}
%%kale step b --after a
one = rs["r"].normal()
%%kale step c --after b
print("RESULT", one, np.random.normal(), r.normal())
""",
        "1.7886284734303186 0.43650985051198943 0.09649746807200862",
        cold=True,
    ),
    Case(
        "a lambda that fills a dictionary with what its variable stands for later",
        """
%%kale step s4
zs = 1
from collections import ChainMap, OrderedDict, defaultdict, deque, namedtuple
found = defaultdict(lambda: zs)
zs = []
ys = found[1]
%%kale step s6
print("RESULT", ys is zs)
""",
        "True",
        cold=True,
    ),
    Case(
        "a variable that is set by a computed name",
        """
%%kale parameters
name = "j"
%%kale step z
k = 1
j = 1
%%kale step a
globals()[name] = 3
%%kale step b
print("RESULT", k, j)
""",
        "3 1",
        given={"name": "k"},
        cold=True,
    ),
    Case(
        "a function that sets a variable by its name",
        """
%%kale functions
def put(n, v):
    globals()[n] = v
%%kale parameters
name = "j"
%%kale step z
k = 1
j = 1
%%kale step a
put(name, 3)
%%kale step b
print("RESULT", k, j)
""",
        "3 1",
        given={"name": "k"},
        cold=True,
    ),
    Case(
        "variables that are set by an update of globals",
        """
%%kale functions
def put(n, v):
    globals().update({n: v})
%%kale parameters
name = "j"
%%kale step z
k = 1
j = 1
%%kale step a
put(name, 3)
%%kale step b
print("RESULT", k, j)
""",
        "3 1",
        given={"name": "k"},
        cold=True,
    ),
    Case(
        "variables that are set one by one by their names",
        """
%%kale functions
def put(n, v):
    globals()[n] = v
%%kale step z
k = 1
j = 1
%%kale step a
for c in "kj":
    put(c, 3)
%%kale step b
print("RESULT", k, j)
""",
        "3 3",
        cold=True,
    ),
    Case(
        "a variable that a computed text binds",
        """
%%kale parameters
name = "j"
%%kale step z
k = 1
j = 1
%%kale step a
exec(f"{name} = 3")
%%kale step b
print("RESULT", k, j)
""",
        "3 1",
        given={"name": "k"},
        cold=True,
    ),
    Case(
        "a way to copy that a parameter chooses",
        """
%%kale imports
import copy
%%kale parameters
p = False
%%kale step a
x = [1, 2]
f = copy.copy if p else copy.deepcopy
y = f([x])
%%kale step b
y[0].append(3)
%%kale step c
print("RESULT", x)
""",
        "[1, 2, 3]",
        given={"p": True},
        cold=True,
    ),
    Case(
        "a function of numpy that a parameter chooses",
        """
%%kale imports
import numpy as np
%%kale parameters
how = "array"
%%kale step a
a = np.zeros(3)
b = getattr(np, how)(a)
%%kale step b
b += 1
%%kale step c
print("RESULT", a.tolist())
""",
        "[1.0, 1.0, 1.0]",
        given={"how": "asarray"},
        cold=True,
    ),
    Case(
        "a partial function with a parameter in it",
        """
%%kale imports
import numpy as np
from functools import partial
%%kale parameters
copy = True
%%kale step a
a = np.zeros(3)
f = partial(np.array, copy=copy or None)
b = f(a)
%%kale step b
b += 1
%%kale step c
print("RESULT", a.tolist())
""",
        "[1.0, 1.0, 1.0]",
        given={"copy": False},
        cold=True,
    ),
    Case(
        "a bound method in a variable",
        """
%%kale imports
import numpy as np
%%kale step a
a = np.zeros(4)
r = a.reshape
b = r(2, 2)
%%kale step b
b += 1
%%kale step c
print("RESULT", a.tolist())
""",
        "[1.0, 1.0, 1.0, 1.0]",
        cold=True,
    ),
    Case(
        "a getter in a variable",
        """
%%kale imports
from operator import itemgetter
%%kale step a
d = {"k": [1]}
g = itemgetter("k")
v = g(d)
%%kale step b
v.append(2)
%%kale step c
print("RESULT", d)
""",
        "{'k': [1, 2]}",
        cold=True,
    ),
    Case(
        "a method that map calls",
        """
%%kale step a
y = []
x = [1]
list(map(y.append, [x]))
%%kale step b
x.append(2)
%%kale step c
print("RESULT", y)
""",
        "[[1, 2]]",
        cold=True,
    ),
]
