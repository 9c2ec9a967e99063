"""Parameters that decide on a type, an object, a branch or an option, given for a run after a session with others."""

from tests.cases import Case

CASES = [
    Case(
        "a parameter decides between nothing and a list that an object gets",
        """
%%kale parameters
warm = False
%%kale functions
class Log:
    def __init__(self, sink=None):
        self.sink = sink
    def say(self, text):
        if self.sink is not None:
            self.sink.append(text)
%%kale step make
out = []
log = Log(out if warm else None)
%%kale step say
log.say("hello")
%%kale step show
print("RESULT", out)
""",
        "['hello']",
        given={"warm": True},
        cold=True,
    ),
    Case(
        "a parameter decides on the type of a value",
        """
%%kale parameters
n = 1
%%kale step make
value = 3 if n == 1 else [3]
same = value
%%kale step change
value += 1 if n == 1 else [4]
%%kale step show
print("RESULT", value, same)
""",
        "[3, 4] [3, 4]",
        given={"n": 5},
        cold=True,
    ),
    Case(
        "a parameter decides between a tuple and a list that is added to",
        """
%%kale parameters
frozen = True
%%kale step make
items = (1,) if frozen else [1]
held = {"items": items}
%%kale step change
items += (2,) if frozen else [2]
%%kale step show
print("RESULT", items, held)
""",
        "[1, 2] {'items': [1, 2]}",
        given={"frozen": False},
        cold=True,
    ),
    Case(
        "a parameter decides on the method",
        """
%%kale parameters
op = "count"
%%kale step make
items = [1]
%%kale step call
getattr(items, op)(2)
%%kale step show
print("RESULT", items)
""",
        "[1, 2]",
        given={"op": "append"},
        cold=True,
    ),
    Case(
        "a parameter decides which of two lists is changed",
        """
%%kale parameters
which = "a"
%%kale step make
a, b = [], []
lists = {"a": a, "b": b}
%%kale step change
lists[which].append(1)
%%kale step show
print("RESULT", a, b)
""",
        "[] [1]",
        given={"which": "b"},
        cold=True,
    ),
    Case(
        "a parameter decides which of two lists a name has",
        """
%%kale parameters
first = True
%%kale step make
a, b = [], []
%%kale step choose
chosen = a if first else b
%%kale step change
chosen.append(1)
%%kale step show
print("RESULT", a, b, chosen is b)
""",
        "[] [1] True",
        given={"first": False},
        cold=True,
    ),
    Case(
        "a parameter decides how often a loop runs",
        """
%%kale parameters
n = 0
%%kale step make
items, last = [], None
%%kale step loop
for i in range(n):
    items.append(i)
    last = i
%%kale step show
print("RESULT", items, last)
""",
        "[0, 1] 1",
        given={"n": 2},
        cold=True,
    ),
    Case(
        "a parameter decides which of several lists a loop reaches",
        """
%%kale parameters
n = 1
%%kale step make
a, b = [], []
%%kale step loop
for part in [a, b][:n]:
    part.append(len(part))
%%kale step show
print("RESULT", a, b)
""",
        "[0] [0]",
        given={"n": 2},
        cold=True,
    ),
    Case(
        "a parameter decides on a branch that changes an array",
        """
%%kale imports
import numpy as np
%%kale parameters
flag = False
%%kale step make
a = np.zeros(2)
view = a[:1]
%%kale step change
if flag:
    view += 1
%%kale step show
print("RESULT", a.tolist())
""",
        "[1.0, 0.0]",
        given={"flag": True},
        cold=True,
    ),
    Case(
        "a parameter decides on a branch with a function's array for the result",
        """
%%kale imports
import numpy as np
%%kale parameters
fast = True
%%kale step make
x = np.arange(3.0)
%%kale step change
if not fast:
    np.multiply(x, 2, x)
%%kale step show
print("RESULT", x.tolist())
""",
        "[0.0, 2.0, 4.0]",
        given={"fast": False},
        cold=True,
    ),
    Case(
        "a parameter decides on the array for a result",
        """
%%kale imports
import numpy as np
%%kale parameters
inplace = False
%%kale step make
x = np.arange(3.0)
%%kale step change
np.add(x, 1, out=x if inplace else None)
%%kale step show
print("RESULT", x.tolist())
""",
        "[1.0, 2.0, 3.0]",
        given={"inplace": True},
        cold=True,
    ),
    Case(
        "a parameter decides whether an estimator copies",
        """
%%kale imports
import numpy as np
from sklearn.preprocessing import StandardScaler
%%kale parameters
copy = True
%%kale step make
x = np.array([[0.0], [2.0]])
%%kale step scale
z = StandardScaler(copy=copy).fit_transform(x)
%%kale step show
print("RESULT", x.ravel().tolist())
""",
        "[-1.0, 1.0]",
        given={"copy": False},
        cold=True,
    ),
    Case(
        "a parameter decides whether a frame changes in place",
        """
%%kale imports
import pandas as pd
%%kale parameters
inplace = False
%%kale step make
frame = pd.DataFrame({"v": [2, 1], "w": [0, 0]})
%%kale step change
result = frame.drop(columns="w", inplace=inplace)
%%kale step show
print("RESULT", list(frame), result is None)
""",
        "['v'] True",
        given={"inplace": True},
        cold=True,
    ),
    Case(
        "a parameter decides whether a series shares its array",
        """
%%kale imports
import numpy as np
import pandas as pd
%%kale parameters
share = False
%%kale step make
values = np.zeros(2)
series = pd.Series(values, copy=not share)
%%kale step change
values[0] = 5
%%kale step show
print("RESULT", series.tolist())
""",
        "[5.0, 0.0]",
        given={"share": True},
        cold=True,
    ),
    Case(
        "a parameter decides whether an array is a copy",
        """
%%kale imports
import numpy as np
%%kale parameters
copy = True
%%kale step make
a = np.zeros(2)
b = np.array(a, copy=True) if copy else np.asarray(a)
c = a.astype(float, copy=copy)
%%kale step change
a[0] = 1
%%kale step show
print("RESULT", b.tolist(), c.tolist())
""",
        "[1.0, 0.0] [1.0, 0.0]",
        given={"copy": False},
        cold=True,
    ),
    Case(
        "a parameter decides which frames a loop reaches",
        """
%%kale imports
import pandas as pd
%%kale parameters
both = False
%%kale step make
train, test = pd.DataFrame({"v": [1]}), pd.DataFrame({"v": [2]})
%%kale step add
for part in [train, test] if both else [train]:
    part["w"] = part["v"] * 2
%%kale step show
print("RESULT", train.to_dict("list"), test.to_dict("list"))
""",
        "{'v': [1], 'w': [2]} {'v': [2], 'w': [4]}",
        given={"both": True},
        cold=True,
    ),
    Case(
        "a parameter decides on a column",
        """
%%kale imports
import pandas as pd
%%kale parameters
column = "a"
%%kale step make
frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
%%kale step change
frame[column] *= 10
%%kale step drop
gone = frame.pop(column).tolist()
%%kale step show
print("RESULT", frame.to_dict("list"), gone)
""",
        "{'a': [1, 2]} [30, 40]",
        given={"column": "b"},
        cold=True,
    ),
    Case(
        "a parameter decides which function is called",
        """
%%kale parameters
loud = False
%%kale functions
def quiet(items):
    return len(items)
def noisy(items):
    items.append("!")
    return len(items)
%%kale step make
items = []
talk = noisy if loud else quiet
%%kale step call
n = talk(items)
%%kale step show
print("RESULT", items, n)
""",
        "['!'] 1",
        given={"loud": True},
        cold=True,
    ),
    Case(
        "a parameter decides on a callback",
        """
%%kale parameters
verbose = False
%%kale step make
seen = []
callback = seen.append if verbose else len
%%kale step call
callback([5])
%%kale step show
print("RESULT", seen)
""",
        "[[5]]",
        given={"verbose": True},
        cold=True,
    ),
    Case(
        "a parameter decides which of a table's functions is called",
        """
%%kale parameters
name = "size"
%%kale functions
TABLE = {"size": len, "clear": list.clear, "sort": list.sort}
%%kale step make
items = [2, 1]
%%kale step call
result = TABLE[name](items)
%%kale step show
print("RESULT", items, result)
""",
        "[] None",
        given={"name": "clear"},
        cold=True,
    ),
    Case(
        "a parameter decides whether a name is made anew",
        """
%%kale parameters
warm = False
%%kale step make
items = [1]
same = items
%%kale step start
if not warm:
    items = []
%%kale step change
items.append(2)
%%kale step show
print("RESULT", items, same)
""",
        "[1, 2] [1, 2]",
        given={"warm": True},
        cold=True,
    ),
    Case(
        "a parameter decides whether there is anything",
        """
%%kale parameters
warm = False
%%kale step make
items = [] if warm else None
same = items
%%kale step change
if items is not None:
    items.append(1)
%%kale step show
print("RESULT", items, same)
""",
        "[1] [1]",
        given={"warm": True},
        cold=True,
    ),
    Case(
        "a parameter decides on the model",
        """
%%kale imports
import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import MinMaxScaler
%%kale parameters
kind = "linear"
%%kale step make
x = np.array([[0.0], [2.0]])
model = LinearRegression() if kind == "linear" else MinMaxScaler(copy=False)
%%kale step fit
model.fit(x, [0, 1])
%%kale step use
out = model.predict(x) if kind == "linear" else model.transform(x)
%%kale step show
print("RESULT", np.ravel(out).round(3).tolist(), x.ravel().tolist())
""",
        "[0.0, 1.0] [0.0, 1.0]",
        given={"kind": "scaler"},
        cold=True,
    ),
    Case(
        "a parameter decides on a class",
        """
%%kale parameters
shared = False
%%kale functions
class Own:
    def __init__(self):
        self.items = []
class Shared:
    items = []
%%kale step make
kind = Shared if shared else Own
a, b = kind(), kind()
%%kale step change
a.items.append(1)
%%kale step show
print("RESULT", a.items, b.items, kind().items)
""",
        "[1] [1] [1]",
        given={"shared": True},
        cold=True,
    ),
    Case(
        "a parameter decides in a match statement",
        """
%%kale parameters
mode = "replace"
%%kale step make
items = [1]
same = items
%%kale step change
match mode:
    case "replace":
        items = [2]
    case "extend":
        items.append(2)
%%kale step show
print("RESULT", items, same)
""",
        "[1, 2] [1, 2]",
        given={"mode": "extend"},
        cold=True,
    ),
    Case(
        "a parameter decides on an error",
        """
%%kale parameters
i = 3
%%kale step make
items, errors = [[], []], []
%%kale step change
try:
    items[i].append(1)
except IndexError as error:
    errors.append(type(error).__name__)
%%kale step show
print("RESULT", items, errors)
""",
        "[[1], []] []",
        given={"i": 0},
        cold=True,
    ),
    Case(
        "a parameter decides in a short circuit",
        """
%%kale parameters
flag = False
%%kale step make
items = []
%%kale step change
flag and items.append(1)
done = not flag or items.append(2)
%%kale step show
print("RESULT", items)
""",
        "[1, 2]",
        given={"flag": True},
        cold=True,
    ),
    Case(
        "a parameter decides inside a function",
        """
%%kale parameters
deep = False
%%kale functions
import copy
def snapshot(item):
    return copy.deepcopy(item) if deep else item
%%kale step make
items = [1]
kept = snapshot(items)
%%kale step change
items.append(2)
%%kale step show
print("RESULT", kept, items)
""",
        "[1] [1, 2]",
        given={"deep": True},
        cold=True,
    ),
    Case(
        "a parameter decides inside a method",
        """
%%kale parameters
keep = False
%%kale functions
class Store:
    def __init__(self, keep):
        self.keep, self.rows = keep, []
    def add(self, row):
        if self.keep:
            self.rows.append(row)
        return len(row)
%%kale step make
store, row = Store(keep), [1]
%%kale step add
n = store.add(row)
%%kale step change
row.append(2)
%%kale step show
print("RESULT", store.rows, n)
""",
        "[[1, 2]] 1",
        given={"keep": True},
        cold=True,
    ),
    Case(
        "a derived parameter decides",
        """
%%kale parameters
size = 1
large = size > 2
%%kale step make
items = []
%%kale step change
if large:
    items.append(size)
%%kale step show
print("RESULT", items, large)
""",
        "[3] True",
        given={"size": 3},
        cold=True,
    ),
    Case(
        "a parameter is a list that decides what is reached",
        """
%%kale parameters
names = ["a"]
%%kale step make
lists = {"a": [], "b": [], "c": []}
b = lists["b"]
%%kale step change
for name in names:
    lists[name].append(name)
%%kale step show
print("RESULT", lists, b)
""",
        "{'a': [], 'b': ['b'], 'c': ['c']} ['b']",
        given={"names": ["b", "c"]},
        cold=True,
    ),
    Case(
        "a parameter is a dictionary of options",
        """
%%kale imports
import pandas as pd
%%kale parameters
options = {"inplace": False}
%%kale step make
frame = pd.DataFrame({"v": [2, 1]})
%%kale step change
frame.sort_values("v", **options)
%%kale step show
print("RESULT", frame["v"].tolist())
""",
        "[1, 2]",
        given={"options": {"inplace": True}},
        cold=True,
    ),
    Case(
        "a parameter decides how deep a while goes",
        """
%%kale parameters
n = 0
%%kale step make
levels = [[], []]
low = levels[1]
%%kale step change
i = 0
while i < n:
    levels[i].append(i)
    i += 1
%%kale step show
print("RESULT", levels, low, i)
""",
        "[[0], [1]] [1] 2",
        given={"n": 2},
        cold=True,
    ),
    Case(
        "a parameter decides whether steps share a random generator",
        """
%%kale imports
import numpy as np
%%kale parameters
own = True
%%kale step seed
rng = np.random.default_rng(0)
%%kale step one
a = (np.random.default_rng(1) if own else rng).integers(1000)
%%kale step two
b = (np.random.default_rng(1) if own else rng).integers(1000)
%%kale step show
print("RESULT", int(a), int(b))
""",
        "850 636",
        given={"own": False},
        cold=True,
    ),
    Case(
        "a parameter decides on an attribute",
        """
%%kale imports
from types import SimpleNamespace
%%kale parameters
field = "name"
%%kale step make
tags = []
space = SimpleNamespace(name="x", tags=tags)
%%kale step take
value = getattr(space, field)
%%kale step change
value += "yz"
setattr(space, field, value)
%%kale step show
print("RESULT", tags, space.name)
""",
        "['y', 'z'] x",
        given={"field": "tags"},
        cold=True,
    ),
    Case(
        "a parameter decides whether a default dictionary is asked",
        """
%%kale imports
from collections import defaultdict
%%kale parameters
ask = False
%%kale step make
counts = defaultdict(int)
%%kale step look
n = counts["x"] if ask else 0
%%kale step show
print("RESULT", dict(counts), n)
""",
        "{'x': 0} 0",
        given={"ask": True},
        cold=True,
    ),
    Case(
        "a parameter decides by its type or order whether an array is copied",
        """
%%kale imports
import numpy as np
%%kale parameters
kind = "float32"
order = "F"
%%kale step make
x = np.zeros(3)
y = np.asarray(x, dtype=kind)
a = np.arange(6.0).reshape(2, 3)
b = a.reshape(-1, order=order)
%%kale step write
y[0] = 5
b[0] = 50
%%kale step show
print("RESULT", x.tolist(), a[0].tolist())
""",
        "[5.0, 0.0, 0.0] [50.0, 1.0, 2.0]",
        given={"kind": "float64", "order": "C"},
        cold=True,
    ),
    Case(
        "a parameter decides whether a library draws from the seeded generator",
        """
%%kale imports
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.ensemble import RandomForestRegressor
from sklearn.utils import shuffle
%%kale parameters
augment = False
model = "ridge"
%%kale step make
np.random.seed(1)
x = np.arange(8)
%%kale step mix
mixed = shuffle(x) if augment else x
%%kale step choose
estimator = {"ridge": Ridge, "forest": RandomForestRegressor}[model]()
%%kale step fit
estimator.fit(x.reshape(-1, 1), x)
%%kale step show
print("RESULT", mixed, round(np.random.rand(), 4))
""",
        "[7 2 1 6 0 4 3 5] 0.2989",
        given={"augment": True, "model": "forest"},
        cold=True,
    ),
    Case(
        "a parameter names the class of an object that another step uses",
        """
%%kale parameters
name = "Total"
%%kale functions
class Total:
    def run(self, rows):
        return sum(rows)
class Fill:
    def run(self, rows):
        rows.append(0)
        return len(rows)
%%kale step make
rows = [1, 2]
worker = globals()[name]()
%%kale step work
found = worker.run(rows)
%%kale step show
print("RESULT", rows, found)
""",
        "[1, 2, 0] 3",
        given={"name": "Fill"},
        cold=True,
    ),
    Case(
        "a parameter reaches an estimator after it was made",
        """
%%kale imports
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
%%kale parameters
copy = True
%%kale step make
x = np.array([[1.0], [3.0]])
y = x.copy()
scaler = StandardScaler()
scaler.copy = copy
pipe = make_pipeline(MinMaxScaler())
%%kale step set
pipe.set_params(minmaxscaler__copy=copy)
%%kale step scale
scaled = scaler.fit_transform(x)
%%kale step fit
fitted = pipe.fit_transform(y)
%%kale step show
print("RESULT", x.tolist(), y.tolist())
""",
        "[[-1.0], [1.0]] [[0.0], [1.0]]",
        given={"copy": False},
        cold=True,
    ),
    Case(
        "a parameter decides how often a comprehension draws",
        """
%%kale imports
import numpy as np
from sklearn.utils import resample
%%kale parameters
rounds = 0
%%kale step make
np.random.seed(1)
x = np.arange(10)
%%kale step draw
means = [float(resample(x).mean()) for _ in range(rounds)]
%%kale step show
print("RESULT", means)
""",
        "[5.0, 4.6, 5.5]",
        given={"rounds": 3},
        cold=True,
    ),
    Case(
        "a copy that a setting of an object decides",
        """
%%kale functions
from types import SimpleNamespace
def F(x, cfg):
    if cfg.q > 0: x = list(x)
    return x
%%kale parameters
q = 1
%%kale step s0
cfg = SimpleNamespace(q=q)
%%kale step s1
x = [1, 2]
%%kale step s2
y = F(x, cfg)
%%kale step s3
y.append(9)
%%kale step s4
print("RESULT", x)
""",
        "[1, 2, 9]",
        given={"q": 0},
        cold=True,
    ),
    Case(
        "a copy that an attribute decides that was set later",
        """
%%kale functions
class Cfg:
    pass
def F(x, cfg):
    return x[:] if cfg.q else x
%%kale parameters
q = 1
%%kale step s0
cfg = Cfg()
cfg.q = q
%%kale step s1
x = [1, 2]
%%kale step s2
y = F(x, cfg)
%%kale step s3
y.append(9)
%%kale step s4
print("RESULT", x)
""",
        "[1, 2, 9]",
        given={"q": 0},
        cold=True,
    ),
    Case(
        "a copy that an element decides that was appended",
        """
%%kale functions
def F(x, cfg):
    return x[:] if cfg[0] else x
%%kale parameters
q = 1
%%kale step s0
cfg = []
cfg.append(q)
%%kale step s1
x = [1, 2]
%%kale step s2
y = F(x, cfg)
%%kale step s3
y.append(9)
%%kale step s4
print("RESULT", x)
""",
        "[1, 2, 9]",
        given={"q": 0},
        cold=True,
    ),
    Case(
        "a copy that the type decides that a function gets",
        """
%%kale imports
import numpy as np
%%kale functions
def conv(x, dt):
    return np.asarray(x, dtype=dt)
%%kale parameters
dt = "int64"
%%kale step s1
x = np.array([1.0, 2.0])
%%kale step s2
y = conv(x, dt)
%%kale step s3
x[0] = 50
%%kale step s4
print("RESULT", y[0])
""",
        "50.0",
        given={"dt": "float64"},
        cold=True,
    ),
    Case(
        "copies that a loop makes over what a parameter lists",
        """
%%kale imports
import pandas as pd
from functools import reduce
%%kale functions
def drop(df, cols):
    for c in cols:
        df = df.drop(columns=c)
    return df
%%kale parameters
cols = ["b"]
%%kale step s1
df = pd.DataFrame({"a": [1], "b": [2]})
%%kale step s2
clean = drop(df, cols)
other = reduce(lambda d, c: d.drop(columns=c), cols, df)
%%kale step s3
clean["z"] = 1
%%kale step s4
other["w"] = 1
%%kale step s5
print("RESULT", list(df.columns), list(clean.columns))
""",
        "['a', 'b', 'z', 'w'] ['a', 'b', 'z', 'w']",
        given={"cols": []},
        cold=True,
    ),
    Case(
        "callbacks that a parameter names",
        """
%%kale parameters
callbacks: list = []
%%kale functions
class Log:
    def __init__(self, sink): self.sink = sink
    def on_end(self, ep, w): self.sink.append((ep, w[0]))
class Freeze:
    def __init__(self, sink): self.sink = sink
    def on_end(self, ep, w): w[0] = 0
REG = {"log": Log, "freeze": Freeze}
def train(w, cbs):
    for ep in range(2):
        w[0] += 1
        for c in cbs: c.on_end(ep, w)
    return w
%%kale step a
sink = []
w = [0.0]
cbs = [REG[c](sink) for c in callbacks]
%%kale step b
train(w, cbs)
%%kale step c
n = len(sink)
%%kale step d
print("RESULT", n, sink, w)
""",
        "2 [(0, 1.0), (1, 2.0)] [2.0]",
        given={"callbacks": ["log"]},
        cold=True,
    ),
    Case(
        "hooks that a loop over a parameter makes",
        """
%%kale parameters
use: list = []
%%kale functions
class Hist:
    def __init__(self, out): self.out = out
    def __call__(self, v): self.out.append(v)
def fit(n, hooks):
    for i in range(n):
        for h in hooks: h(i)
%%kale step a
out = []
hooks = []
for u in use:
    hooks.append(Hist(out))
%%kale step b
fit(3, hooks)
%%kale step c
print("RESULT", out)
""",
        "[0, 1, 2]",
        given={"use": ["hist"]},
        cold=True,
    ),
    Case(
        "frames that a parameter selects",
        """
%%kale imports
import pandas as pd
%%kale parameters
names: list = []
%%kale functions
def scale_all(frames, k):
    for f in frames:
        f["v"] = f["v"] * k
    return len(frames)
%%kale step a
data = {"a": pd.DataFrame({"v": [1]}), "b": pd.DataFrame({"v": [2]})}
sel = list(filter(lambda d: True, [data[n] for n in names]))
%%kale step b
n = scale_all(sel, 10)
%%kale step c
print("RESULT", {k: int(d.v.sum()) for k, d in data.items()}, n)
""",
        "{'a': 1, 'b': 20} 1",
        given={"names": ["b"]},
        cold=True,
    ),
    Case(
        "layers that the keys of a parameter select",
        """
%%kale imports
import numpy as np
%%kale parameters
weights: dict = {}
%%kale step a
layers = {"a": np.ones(2), "b": np.ones(2)}
frozen = {n: layers[n] for n in weights}
%%kale step b
for n, arr in frozen.items():
    arr *= weights[n]
%%kale step c
print("RESULT", {k: v.tolist() for k, v in layers.items()})
""",
        "{'a': [1.0, 1.0], 'b': [2.0, 2.0]}",
        given={"weights": {"b": 2.0}},
        cold=True,
    ),
    Case(
        "augmentations that share a generator, as many as a parameter says",
        """
%%kale imports
import numpy as np
%%kale parameters
n_aug = 0
%%kale functions
class Noise:
    def __init__(self, rng): self.rng = rng
    def __call__(self, x): return x + self.rng.normal(size=x.shape)
def apply(x, ts):
    for t in ts: x = t(x)
    return x
%%kale step a
rng = np.random.default_rng(0)
x = np.zeros(2)
augs = [Noise(rng) for _ in range(n_aug)]
%%kale step b
y = apply(x, augs)
%%kale step c
z = rng.normal(size=1)
%%kale step d
print("RESULT", y.round(3).tolist(), z.round(3).tolist())
""",
        "[0.766, -0.027] [-0.536]",
        given={"n_aug": 2},
        cold=True,
    ),
    Case(
        "folds that a parameter chooses",
        """
%%kale imports
import numpy as np
%%kale parameters
folds: list = []
%%kale step a
X = np.arange(8.0).reshape(4, 2)
parts = np.split(X, 2)
chosen = [parts[i] for i in folds]
%%kale step b
for p in chosen: p -= p.mean()
%%kale step c
print("RESULT", X.tolist())
""",
        "[[-1.5, -0.5], [0.5, 1.5], [-1.5, -0.5], [0.5, 1.5]]",
        given={"folds": [0, 1]},
        cold=True,
    ),
    Case(
        "operations on a frame that a parameter names",
        """
%%kale imports
import pandas as pd
%%kale parameters
feats: list = []
%%kale functions
class Feat:
    def __init__(self, c): self.c = c
    def apply(self, df): df[f"{self.c}_sq"] = df[self.c] ** 2
%%kale step a
df = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
ops = [Feat(c) for c in feats]
%%kale step b
for op in ops:
    op.apply(df)
%%kale step c
s = df.sum(axis=1)
%%kale step d
print("RESULT", s.tolist(), list(df))
""",
        "[13, 22] ['a', 'b', 'b_sq']",
        given={"feats": ["b"]},
        cold=True,
    ),
    Case(
        "models that share a generator, as many as a parameter says",
        """
%%kale imports
import numpy as np
from sklearn.tree import DecisionTreeRegressor
%%kale parameters
n_models = 0
%%kale step a
rng = np.random.RandomState(0)
X = np.arange(20.0).reshape(-1, 1); y = X[:, 0]
bag = [DecisionTreeRegressor(splitter="random", max_depth=2, random_state=rng) for _ in range(n_models)]
%%kale step b
for m in bag: m.fit(X, y)
%%kale step c
idx = rng.randint(100)
%%kale step d
print("RESULT", idx, [round(float(m.predict([[5.0]])[0]), 3) for m in bag])
""",
        "64 [3.5, 10.5]",
        given={"n_models": 2},
        cold=True,
    ),
    Case(
        "subscribers that a parameter names",
        """
%%kale parameters
subs: list = []
%%kale functions
class Bus:
    def __init__(self): self.h = {}
    def on(self, t, f): self.h.setdefault(t, []).append(f)
    def emit(self, t, v):
        for f in self.h.get(t, []): f(v)
%%kale step a
got = {}
bus = Bus()
%%kale step b
for s in subs:
    bus.on(s, lambda v, s=s: got.setdefault(s, []).append(v))
%%kale step c
bus.emit("x", 1)
%%kale step d
print("RESULT", got)
""",
        "{'x': [1]}",
        given={"subs": ["x"]},
        cold=True,
    ),
    Case(
        "the largest, as many as a parameter says",
        """
%%kale imports
import heapq
%%kale parameters
top_k = 0
%%kale step a
items = [{"n": "a", "s": 1}, {"n": "b", "s": 3}, {"n": "c", "s": 2}]
top = heapq.nlargest(top_k, items, key=lambda d: d["s"])
%%kale step b
for t in top: t["top"] = True
%%kale step c
print("RESULT", items)
""",
        "[{'n': 'a', 's': 1}, {'n': 'b', 's': 3, 'top': True}, {'n': 'c', 's': 2, 'top': True}]",
        given={"top_k": 2},
        cold=True,
    ),
    Case(
        "frames that a function keeps by a parameter",
        """
%%kale imports
import pandas as pd
%%kale parameters
min_rows = 10
%%kale functions
def keep(frames, n): return [f for f in frames if len(f) >= n]
def flag(frames):
    for f in frames: f["big"] = 1
%%kale step a
frames = [pd.DataFrame({"v": [1]}), pd.DataFrame({"v": [1, 2]})]
big = keep(frames, min_rows)
%%kale step b
flag(big)
%%kale step c
print("RESULT", [list(f) for f in frames])
""",
        "[['v', 'big'], ['v', 'big']]",
        given={"min_rows": 1},
        cold=True,
    ),
    Case(
        "values that a method picks by a parameter",
        """
%%kale parameters
groups: list = []
%%kale functions
class Shop:
    def __init__(self): self.stock = {"a": [1], "b": [2]}
    def pick(self, gs): return {g: self.stock[g] for g in gs}
%%kale step a
shop = Shop()
picked = shop.pick(groups)
%%kale step b
for v in picked.values(): v.clear()
%%kale step c
print("RESULT", shop.stock)
""",
        "{'a': [], 'b': [2]}",
        given={"groups": ["a"]},
        cold=True,
    ),
    Case(
        "values that a method picks in a step below",
        """
%%kale parameters
groups: list = []
%%kale functions
class Shop:
    def __init__(self): self.stock = {"a": [1], "b": [2]}
    def pick(self, gs): return [self.stock[g] for g in gs]
%%kale step a
shop = Shop()
%%kale step a2
picked = shop.pick(groups)
%%kale step b
for v in picked: v.clear()
%%kale step c
print("RESULT", shop.stock)
""",
        "{'a': [], 'b': [2]}",
        given={"groups": ["a"]},
        cold=True,
    ),
    Case(
        "layers of a network that a parameter lists",
        """
%%kale imports
import numpy as np
%%kale parameters
cfg: dict = {"layers": []}
%%kale functions
class Layer:
    def __init__(self, n, rng): self.n = n; self.rng = rng
    def forward(self, x): return x * self.rng.random()
%%kale step a
rng = np.random.default_rng(0)
net = [Layer(n, rng) for n in cfg["layers"]]
%%kale step b
x = 1.0
for l in net: x = l.forward(x)
%%kale step c
d = rng.random()
%%kale step e
print("RESULT", round(x, 5), round(d, 5))
""",
        "0.17184 0.04097",
        given={"cfg": {"layers": [2, 3]}},
        cold=True,
    ),
    Case(
        "a number that says whether a frame's values are a copy",
        """
%%kale parameters
warm = 1
%%kale step a
import numpy as np
import pandas as pd
vec = np.arange(2.0)
col = pd.Series(vec, copy=warm)
%%kale step b
vec[0] = 9
print("RESULT", col.tolist())
""",
        "[9.0, 1.0]",
        given={"warm": False},
        cold=True,
    ),
    Case(
        "a parameter that only a function reads decides whether it changes a list",
        """
%%kale parameters
keep = False
%%kale functions
def note(x):
    if keep:
        notes.append(x)
    return x
%%kale step make
notes = []
%%kale step work
total = note(1) + note(2)
%%kale step show
print("RESULT", total, notes)
""",
        "3 [1, 2]",
        given={"keep": True},
        cold=True,
    ),
    Case(
        "a parameter that a function of a function reads decides whether it changes a list",
        """
%%kale parameters
keep = False
%%kale functions
def wanted():
    return keep
def note(x):
    if wanted():
        notes.append(x)
%%kale step make
notes = []
%%kale step work
note(1)
%%kale step show
print("RESULT", notes)
""",
        "[1]",
        given={"keep": True},
        cold=True,
    ),
    Case(
        "a test with in that only another parameter lets happen takes from an iterator",
        """
%%kale parameters
bound = 9
%%kale step make
rows = iter([0, 1, 2, 3, 4])
%%kale step look
found = bound > 5 or bound in rows
%%kale step rest
left = list(rows)
%%kale step show
print("RESULT", found, left)
""",
        "True [4]",
        given={"bound": 3},
        cold=True,
    ),
]
