"""Objects that change: those of the notebook, of numpy, of pandas and of scikit-learn."""

from tests.cases import Case

CASES = [
    Case(
        "attributes",
        """
%%kale functions
class Node:
    pass
%%kale step a
node = Node()
node.child = Node()
%%kale step b
node.name = "n"
node.child.values = [1]
setattr(node, "size", 2)
%%kale step c
node.child.values += [3]
del node.name
node.__dict__["late"] = 4
%%kale step d
print("RESULT", node.child.values, node.size, node.late, hasattr(node, "name"))
""",
        "[1, 3] 2 4 False",
    ),
    Case(
        "generators of random numbers",
        """
%%kale imports
import random
import numpy as np
%%kale step a
rng, dice = np.random.default_rng(0), random.Random(0)
%%kale step b
one, two = rng.integers(1000), dice.randrange(1000)
%%kale step c
three, four = rng.integers(1000), dice.randrange(1000)
%%kale step d
same, again = np.random.default_rng(0), random.Random(0)
print("RESULT", [one, three] == list(same.integers(1000, size=2)), [two, four] == [again.randrange(1000) for _ in "ab"])
""",
        "True True",
    ),
    Case(
        "an object that counts its calls",
        """
%%kale functions
class Tally:
    def __init__(self):
        self.calls = 0
    def __call__(self, by=1):
        self.calls += by
        return self.calls
%%kale step a
tally = Tally()
%%kale step b
tally()
%%kale step c
tally(by=10)
%%kale step d
print("RESULT", tally.calls)
""",
        "11",
    ),
    Case(
        "objects that change by operators",
        """
%%kale functions
class Bag:
    def __init__(self):
        self.log = []
    def __setitem__(self, key, value):
        self.log.append((key, value))
    def __iadd__(self, other):
        self.log.append(other)
        return self
    def __lshift__(self, other):
        self.log.append(other)
    def __enter__(self):
        self.log.append("in")
        return self
    def __exit__(self, *exc):
        self.log.append("out")
%%kale step a
bag = Bag()
%%kale step b
bag["k"] = 1
bag += 2
%%kale step c
bag << 3
%%kale step d
with bag:
    pass
%%kale step e
print("RESULT", bag.log)
""",
        "[('k', 1), 2, 3, 'in', 'out']",
    ),
    Case(
        "a property that changes its object",
        """
%%kale functions
class Meter:
    reads = 0
    @property
    def value(self):
        self.reads += 1
        return 7
    @value.setter
    def value(self, new):
        self.set_to = new
%%kale step a
meter = Meter()
%%kale step b
v = meter.value
%%kale step c
meter.value = 9
%%kale step d
print("RESULT", v, meter.reads, meter.set_to)
""",
        "7 1 9",
    ),
    Case(
        "an object that changes the one it holds",
        """
%%kale functions
class Writer:
    def __init__(self, target):
        self.target = target
    def write(self, text):
        self.target.append(text)
%%kale step a
lines = []
writer = Writer(lines)
%%kale step b
writer.write("b")
%%kale step c
writer.write("c")
print("RESULT", lines)
""",
        "['b', 'c']",
    ),
    Case(
        "arrays",
        """
%%kale imports
import numpy as np
%%kale step a
arr = np.array([3.0, 1.0, 2.0])
out = np.zeros(3)
%%kale step b
arr[0] = 9
arr += 1
%%kale step c
arr.sort()
np.multiply(arr, 10, out=out)
%%kale step d
np.fill_diagonal(m := np.zeros((2, 2)), 5)
print("RESULT", arr, out, m.sum())
""",
        "[ 2.  3. 10.] [ 20.  30. 100.] 10.0",
    ),
    Case(
        "a view of an array",
        """
%%kale imports
import numpy as np
%%kale step a
arr = np.arange(4)
view = arr[:2]
%%kale step b
view[:] = 7
%%kale step c
print("RESULT", arr, view)
""",
        "[7 7 2 3] [7 7]",
    ),
    Case(
        "columns and rows of a frame",
        """
%%kale imports
import pandas as pd
%%kale step a
df = pd.DataFrame({"k": list("abc"), "v": [3, 1, 2]})
%%kale step b
df["w"] = df["v"] * 10
df.loc[df["v"] > 2, "w"] = 0
%%kale step c
df.sort_values("v", inplace=True)
df.insert(0, "n", range(3))
%%kale step d
df.columns = [c.upper() for c in df.columns]
gone = df.pop("K")
df.index.name = "row"
%%kale step e
print("RESULT", df.reset_index().values.tolist(), list(df), list(gone))
""",
        "[[1, 0, 1, 10], [2, 1, 2, 20], [0, 2, 3, 0]] ['N', 'V', 'W'] ['b', 'c', 'a']",
    ),
    Case(
        "frames that are only read stay apart",
        """
%%kale imports
import pandas as pd
%%kale step a
df = pd.DataFrame({"k": list("aab"), "v": [1, 2, 3]})
%%kale step means
means = df.groupby("k")["v"].mean()
%%kale step top
top = df.sort_values("v", ascending=False).head(1)
%%kale step other
other = df.copy()
other["w"] = 0
%%kale step z
print("RESULT", means.tolist(), top["k"].tolist(), list(other), list(df))
""",
        "[1.5, 3.0] ['b'] ['k', 'v', 'w'] ['k', 'v']",
        parallel="means top other",
    ),
    Case(
        "a model that learns in several steps",
        """
%%kale imports
import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler
%%kale step load
X = np.array([[0.0], [1.0], [10.0], [11.0]])
y = np.array([0, 0, 1, 1])
scaler, model = StandardScaler(), SGDClassifier(random_state=0)
%%kale step scale
X_scaled = scaler.fit_transform(X)
%%kale step first
model.partial_fit(X_scaled, y, classes=[0, 1])
%%kale step second
model.set_params(alpha=0.01)
model.partial_fit(X_scaled, y)
%%kale step show
print("RESULT", model.predict(scaler.transform([[0.5], [10.5]])), model.t_, model.alpha, scaler.mean_)
""",
        "[0 1] 9.0 0.01 [5.5]",
    ),
    Case(
        "a fit that only sometimes happens",
        """
%%kale parameters
train = True
%%kale imports
import numpy as np
from sklearn.linear_model import LinearRegression
%%kale step load
X, y = np.array([[0.0], [1.0]]), np.array([1.0, 3.0])
model = LinearRegression()
%%kale step fit
if train:
    model.fit(X, y)
%%kale step show
print("RESULT", round(float(model.predict([[2.0]])[0]), 6))
""",
        "5.0",
    ),
    Case(
        "a change through a closure",
        """
%%kale functions
def store():
    box = []
    def put(value):
        box.append(value)
    def get():
        return list(box)
    return put, get
%%kale step a
put, get = store()
%%kale step b
put("x")
%%kale step c
put("y")
%%kale step d
print("RESULT", get())
""",
        "['x', 'y']",
    ),
]
