"""What the code does not tell, the session has seen: who changes an object, and who only looks at it."""

from tests.cases import Case, refused

LIBRARY = {
    "shop.py": """
class Shop:
    def __init__(self, rows):
        self.rows = rows
    def absorb(self, row):
        self.rows.append(row)
    def glance(self):
        return len(self.rows)
    def swallow(self, rows):
        rows.clear()

def tidy(rows):
    rows.sort()

def peek(rows):
    return rows[0]
"""
}

CASES = [
    Case(
        "a library's method that changes its object",
        """
%%kale imports
from shop import Shop
%%kale step a
shop = Shop([1])
%%kale step b
shop.absorb(2)
%%kale step c
print("RESULT", shop.rows)
""",
        "[1, 2]",
        files=LIBRARY,
    ),
    Case(
        "a library's method that only looks leaves others alone",
        """
%%kale imports
from shop import Shop
%%kale step a
shop = Shop([1])
%%kale step b
one = shop.glance()
%%kale step c
two = shop.glance() + 1
%%kale step d
print("RESULT", one, two, shop.rows)
""",
        "1 2 [1]",
        files=LIBRARY,
        parallel="b c",
        takes={"b": "shop", "c": "shop", "d": "one two shop"},
    ),
    Case(
        "a library's functions that change what they get, and that do not",
        """
%%kale imports
import shop
%%kale step a
rows, others = [3, 1], [5]
%%kale step b
shop.tidy(rows)
%%kale step c
first = shop.peek(others)
%%kale step d
second = shop.peek(others)
%%kale step e
shop.Shop([]).swallow(others)
%%kale step f
print("RESULT", rows, first, second, others)
""",
        "[1, 3] 5 5 []",
        files=LIBRARY,
        parallel="b c d",
    ),
    Case(
        "what a cell has not run in the session is taken for a change",
        """
%%kale imports
import shop
%%kale step a --no-run
rows = [3, 1]
it = shop.Shop([])
%%kale step b --no-run
shop.tidy(rows)
%%kale step c --no-run
it.absorb(4)
%%kale step d --no-run
print("RESULT", rows, it.rows)
""",
        "[1, 3] [4]",
        files=LIBRARY,
    ),
    Case(
        "what a branch has not run in the session is taken for a change",
        """
%%kale imports
import shop
%%kale parameters
deep = False
times = 0
%%kale functions
def perhaps(rows):
    if deep:
        shop.tidy(rows)
%%kale step a
rows, others, more = [3, 1], [5, 4], [9, 8]
%%kale step b
if deep:
    shop.tidy(rows)
%%kale step c
perhaps(others)
%%kale step d
for _ in range(times):
    shop.tidy(more)
%%kale step e
print("RESULT", rows, others, more)
""",
        "[1, 3] [4, 5] [8, 9]",
        files=LIBRARY,
        given={"deep": True, "times": 2},
    ),
    Case(
        "a function of the notebook that hands on to a library",
        """
%%kale imports
import shop
%%kale functions
def clean(rows):
    shop.tidy(rows)
    return len(rows)
def look(rows):
    return shop.peek(rows)
%%kale step a
rows, others = [3, 1], [7]
%%kale step b
n = clean(rows)
%%kale step c
one = look(others)
%%kale step d
two = look(others)
%%kale step e
print("RESULT", rows, n, one, two)
""",
        "[1, 3] 2 7 7",
        files=LIBRARY,
        parallel="b c d",
    ),
    Case(
        "an object of a library that holds what a step changes through it",
        """
%%kale imports
from shop import Shop
%%kale step a
rows = [1]
shop = Shop(rows)
%%kale step b
shop.absorb(2)
%%kale step c
print("RESULT", rows)
""",
        "[1, 2]",
        files=LIBRARY,
    ),
    Case(
        "models that are fitted on the same data stay apart",
        """
%%kale imports
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
%%kale step load
X, y = load_iris(return_X_y=True, as_frame=True)
%%kale step tree
tree = DecisionTreeClassifier(random_state=0).fit(X, y)
%%kale step forest
forest = RandomForestClassifier(5, random_state=0).fit(X, y)
%%kale step line
line = LogisticRegression(max_iter=500).fit(X, y)
%%kale step z
print("RESULT", [round(m.score(X, y), 2) for m in (tree, forest, line)])
""",
        "[1.0, 0.99, 0.97]",
        parallel="tree forest line",
        takes={"tree": "X y", "forest": "X y", "line": "X y", "z": "X y tree forest line"},
    ),
    Case(
        "what only a library works on in place",
        """
%%kale imports
import numpy as np
from sklearn.preprocessing import normalize, scale
%%kale step a
X = np.array([[3.0, 4.0]])
Y = np.array([[1.0], [3.0]])
%%kale step b
normalize(X, copy=False)
%%kale step c
scale(Y, copy=False)
%%kale step d
np.negative(X, out=X)
%%kale step e
print("RESULT", X.tolist(), Y.tolist())
""",
        "[[-0.6, -0.8]] [[-1.0], [1.0]]",
    ),
    Case(
        "a generator of random numbers that goes on from step to step",
        """
%%kale imports
import random
random.seed(7)
%%kale step a
one = random.random()
%%kale step b
two = [random.randint(0, 99) for _ in range(3)]
%%kale step c
three = random.random()
import random as r
r.seed(7)
print("RESULT", [r.random(), [r.randint(0, 99) for _ in range(3)], r.random()] == [one, two, three])
""",
        "True",
    ),
    Case(
        "numpy's generator, drawn from by functions, frames and estimators",
        """
%%kale imports
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
%%kale functions
def seeded():
    np.random.seed(3)
def noise(n):
    return np.random.rand(n)
%%kale step a
seeded()
X = noise(20).reshape(-1, 1)
y = (X[:, 0] > 0.5).astype(int)
df = pd.DataFrame(X)
%%kale step b
picked = df.sample(3).index.tolist()
%%kale step c
forest = RandomForestClassifier(3).fit(X, y)
%%kale step d
last = np.random.rand()
%%kale step z
seeded()
noise(20)
same = df.sample(3).index.tolist() == picked
RandomForestClassifier(3).fit(X, y)
print("RESULT", same, np.random.rand() == last)
""",
        "True True",
    ),
    Case(
        "a step that draws from a generator of its own is left alone",
        """
%%kale imports
import numpy as np
np.random.seed(0)
%%kale step a
one = np.random.default_rng(1).integers(100)
%%kale step b
two = np.random.default_rng(1).integers(100)
%%kale step c
print("RESULT", one == two)
""",
        "True",
        parallel="a b",
        takes={"c": "one two"},
    ),
    refused(
        "a step that changes what it says that it only reads",
        """
%%kale step a
xs = [1]
%%kale step b --reads xs
xs.append(2)
%%kale step c
print("RESULT", xs)
""",
        "KALE215",
        "changes xs",
    ),
    Case(
        "a guess that is overruled",
        """
%%kale imports
from shop import Shop
%%kale step a --no-run
shop = Shop([1])
%%kale step b --no-run --reads shop
one = shop.glance()
%%kale step c --no-run --reads shop
two = shop.glance()
%%kale step d --no-run
print("RESULT", one, two)
""",
        "1 1",
        files=LIBRARY,
        parallel="b c",
    ),
    Case(
        "a name that an unmarked cell below gives another type",
        """
%%kale step a
xs = [1]
%%kale step b
xs.append(2)
%%kale step c
print("RESULT", xs)
# %%
xs = 5
""",
        "[1, 2]",
    ),
    Case(
        "axes that several steps draw on",
        """
%%kale imports
import matplotlib.pyplot as plt
import pandas as pd
%%kale step a
fig, ax = plt.subplots()
df = pd.DataFrame({"x": [1, 2]})
%%kale step b
ax.plot([1, 2], [3, 4])
%%kale step c
ax.hist([1, 1, 2])
%%kale step d
df.x.plot(ax=ax)
%%kale step e
print("RESULT", len(ax.lines), len(ax.patches))
""",
        "2 10",
    ),
    Case(
        "estimators that are made and fitted in one line with settings of a dictionary",
        """
%%kale imports
import numpy as np
from sklearn.linear_model import Ridge
%%kale step a
config = {"ridge": 1.0, "more": {"alpha": 2.0}}
X = np.arange(6.0).reshape(-1, 1)
y = X[:, 0] * 2
%%kale step b
one = Ridge(alpha=config["ridge"]).fit(X, y)
%%kale step c
two = Ridge(**config["more"]).fit(X, y)
%%kale step d
print("RESULT", one.alpha, two.alpha)
""",
        "1.0 2.0",
        parallel="b c",
    ),
    refused(
        "a step that says that it only reads what it does not use",
        """
%%kale step a
rows = [1]
%%kale step b --reads row
print("RESULT", rows)
""",
        "KALE204",
        "does not use row",
        "did you mean rows?",
    ),
    Case(
        "libraries that draw from the seeded generator without saying so",
        """
%%kale imports
import numpy as np
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.model_selection import train_test_split
%%kale step make
np.random.seed(7)
xs = np.arange(20)
%%kale step draw
first = np.random.rand(2).round(3).tolist()
%%kale step split
train, test = train_test_split(xs, test_size=4)
%%kale step noise
noise = stats.uniform.rvs(size=2).round(3).tolist()
%%kale step cluster
model = KMeans(n_clusters=2, n_init=1).fit(xs.reshape(-1, 1))
%%kale step show
print("RESULT", first, test, noise, np.random.randint(1000))
""",
        "[0.076, 0.78] [ 1  5  2 15] [0.91, 0.213] 763",
        cold=True,
    ),
    Case(
        "a list that a derived class has by its base, changed in a way that nobody knows",
        """
%%kale step s3
zs = []
class Box:
    shared = zs
class Chest(Box):

    def add(self, x):
        return super
%%kale step s4
getattr(zs, 'append')(1)
%%kale step s5
print("RESULT", Chest.shared)
""",
        "[1]",
        cold=True,
    ),
    Case(
        "a list that holds another one, changed in a way that nobody knows",
        """
%%kale step s1
ys = []
from operator import methodcaller
xs = []
try:
    ys[3]
except IndexError:
    xs.append(ys)
%%kale step s5
methodcaller('append', 1)(xs)
%%kale step s6
print("RESULT", [x is ys for x in xs])
""",
        "[True, False]",
        cold=True,
    ),
    Case(
        "a traceback that is kept as a text",
        """
%%kale imports
import traceback
%%kale step a
errors = []
try:
    1 / 0
except ZeroDivisionError as e:
    errors.append(e)
    tb = traceback.format_exc()
try:
    {}["k"]
except KeyError as e:
    err = e
%%kale step b
errors.append(ValueError("more"))
%%kale step c
print("RESULT", [type(e).__name__ for e in errors], str(err), "ZeroDivisionError" in tb)
""",
        "['ZeroDivisionError', 'ValueError'] 'k' True",
        cold=True,
    ),
    Case(
        "warnings that are kept",
        """
%%kale imports
import warnings
%%kale step a
def dep(x):
    warnings.warn("old", DeprecationWarning)
    return x
with warnings.catch_warnings(record=True) as w:
    warnings.simplefilter("always")
    dep(1); dep(2)
%%kale step b
msgs = [str(x.message) for x in w]
%%kale step c
print("RESULT", msgs)
""",
        "['old', 'old']",
        cold=True,
    ),
]
