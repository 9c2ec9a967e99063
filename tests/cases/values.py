"""Values that cross: exactly, as one object where they were one, or not at all if nobody reads them."""

from tests.cases import Case

CASES = [
    Case(
        "a frame with everything",
        """
%%kale imports
import pandas as pd
%%kale step a
df = pd.DataFrame(
    {
        "c": pd.Categorical(["x", "y", "x"], categories=["y", "x", "z"], ordered=True),
        "t": pd.date_range("2024-03-30", periods=3, tz="Europe/Rome"),
        "o": [1, "a", None],
        "i": pd.array([1, None, 3], dtype="Int64"),
        "d": pd.to_timedelta(["1s", "2h", None]),
    },
    index=pd.MultiIndex.from_tuples([(1, "a"), (1, "b"), (2, "a")], names=["i", None]),
)
df.attrs["source"] = "made up"
%%kale step b
top = df["c"].max(), str(df["t"].iloc[2]), df["i"].sum(), df["o"].tolist()[:2]
%%kale step c
kinds = [str(t).split("[")[0] for t in df.dtypes]
print("RESULT", top, kinds, df.index.names, df.attrs, df["c"].cat.categories.tolist())
""",
        "('x', '2024-04-01 00:00:00+02:00', 4, [1, 'a']) ['category', 'datetime64', 'object', 'Int64', 'timedelta64'] "
        "['i', None] {'source': 'made up'} ['y', 'x', 'z']".replace("4, [1", "np.int64(4), [1"),
    ),
    Case(
        "series, indexes and columns of all kinds",
        """
%%kale imports
import pandas as pd
%%kale step a
s = pd.Series([1.5, None], index=pd.Index(["a", "b"], name="key"), name="value", dtype="float32")
wide = pd.DataFrame([[1, 2]], columns=[("x", 1), 7])
p = pd.period_range("2024-01", periods=2, freq="M")
stamp = pd.Timestamp("2024-01-01 12:00:00.123456789")
%%kale step b
print("RESULT", s.dtype, s.name, s.index.name, int(s.isna().sum()), list(wide), p.freqstr, stamp.nanosecond)
""",
        "float32 value key 1 [('x', 1), 7] M 789",
    ),
    Case(
        "numbers and arrays keep their types",
        """
%%kale imports
import numpy as np
%%kale step a
scalar, whole, flag = np.float32(0.1), np.int8(-5), np.bool_(True)
masked = np.ma.array([1, 2, 3], mask=[0, 1, 0])
struct = np.array([(1, "a")], dtype=[("n", "<i4"), ("s", "U3")])
objects = np.array([1, "x", None], dtype=object)
when = np.array(["2024-01-01", "NaT"], dtype="datetime64[D]")
zero, column = np.array(3.5), np.asfortranarray(np.arange(6).reshape(2, 3))
%%kale step b
kinds = [type(v).__name__ for v in (scalar, whole, flag, zero)]
%%kale step c
print("RESULT", kinds, repr(scalar), masked.sum(), struct["s"][0], objects.tolist(), when.dtype, np.isnat(when[1]),
      zero.shape, column.flags.f_contiguous)
""",
        "['float32', 'int8', 'bool', 'ndarray'] np.float32(0.1) 4 a [1, 'x', None] datetime64[D] True () True",
    ),
    Case(
        "values of the standard library",
        """
%%kale imports
import datetime as dt, decimal, fractions, pathlib, re, uuid
from collections import OrderedDict
%%kale step a
values = [
    2**80, float("inf"), -0.0, 1j, b"\\x00", range(3), frozenset({1}), None, ..., NotImplemented,
    decimal.Decimal("1.10"), fractions.Fraction(1, 3), dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc),
    dt.timedelta(seconds=1), pathlib.PurePosixPath("a/b"), uuid.UUID(int=1), slice(1, 2), OrderedDict(a=1),
]
pattern, nan = re.compile("a(.)", re.I), float("nan")
%%kale step b
same = [type(v).__name__ for v in values]
%%kale step c
print("RESULT", values[:8], same[8:], values[10:13], pattern.match("Ab")[1], nan != nan)
""",
        "[1208925819614629174706176, inf, -0.0, 1j, b'\\x00', range(0, 3), frozenset({1}), None] "
        "['ellipsis', 'NotImplementedType', 'Decimal', 'Fraction', 'datetime', 'timedelta', 'PurePosixPath', 'UUID', "
        "'slice', 'OrderedDict'] [Decimal('1.10'), Fraction(1, 3), datetime.datetime(2024, 1, 1, 0, 0, "
        "tzinfo=datetime.timezone.utc)] b True",
    ),
    Case(
        "None, empty and false values",
        """
%%kale step a
nothing, empty, zero, text, no = None, [], 0, "", False
%%kale step b
print("RESULT", nothing, empty, zero, repr(text), no)
""",
        "None [] 0 '' False",
    ),
    Case(
        "modules, types and builtin functions as values",
        """
%%kale step a
import math
m, kind, size, dtype = math, dict, len, __import__("numpy").dtype("int16")
%%kale step b
print("RESULT", m.floor(2.5), kind(a=1), size("abc"), dtype)
""",
        "2 {'a': 1} 3 int16",
    ),
    Case(
        "one object under two names",
        """
%%kale imports
import numpy as np
%%kale step a
left = right = np.zeros(2)
pair = (left, [left])
%%kale step b
left[0] = 5
%%kale step c
print("RESULT", right, left is right, pair[0] is left, pair[1][0] is right)
""",
        "[5. 0.] True True True",
    ),
    Case(
        "one object in a list and under a name",
        """
%%kale step a
shared = {"n": 0}
rows = [shared, shared]
%%kale step b
rows[0]["n"] += 1
%%kale step c
print("RESULT", shared, rows[1] is shared)
""",
        "{'n': 1} True",
    ),
    Case(
        "two names of one object in different steps",
        """
%%kale step a
xs = [1]
ys = xs
%%kale step b
xs.append(2)
%%kale step c
ys.append(3)
%%kale step d
print("RESULT", xs, ys)
""",
        "[1, 2, 3] [1, 2, 3]",
    ),
    Case(
        "what nobody reads does not have to cross",
        """
%%kale imports
import sqlite3, threading
%%kale step a
lock = threading.Lock()
generator = (n * n for n in range(4))
db = sqlite3.connect(":memory:")
log = open("log.txt", "w")
total = sum(generator)
rows = db.execute("select 1 + 1").fetchall()
%%kale step b
print("RESULT", total, rows)
""",
        "14 [(2,)]",
        takes={"b": "total rows"},
    ),
    Case(
        "a file that is opened anew",
        """
%%kale step a
from pathlib import Path
path = Path("table.csv")
path.write_text("a,b\\n1,2\\n")
with path.open() as file:
    head = file.readline().strip()
%%kale step b
with path.open() as file:
    rest = file.read().split()[-1]
print("RESULT", head, rest)
""",
        "a,b 1,2",
    ),
    Case(
        "a file beside the notebook",
        """
%%kale imports
import csv
import beside
%%kale step a
with open("data.csv", newline="") as file:
    rows = list(csv.DictReader(file))
%%kale step b
print("RESULT", rows, beside.total(rows))
""",
        "[{'n': '1'}, {'n': '2'}] 3",
        files={
            "data.csv": "n\n1\n2\n",
            "beside.py": "def total(rows):\n    return sum(int(r['n']) for r in rows)\n",
        },
    ),
    Case(
        "fitted models and pipelines",
        """
%%kale imports
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
%%kale parameters
seed = 7
%%kale step load
raw = load_wine(as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(raw.data, raw.target, random_state=seed)
%%kale step search
columns = ColumnTransformer([("scale", StandardScaler(), list(X_train)[:6])], remainder="passthrough")
search = GridSearchCV(make_pipeline(columns, RandomForestClassifier(10, random_state=seed)), {}, cv=2)
search.fit(X_train, y_train)
%%kale step score
score = search.score(X_test, y_test)
best = search.best_estimator_[-1]
%%kale step show
print("RESULT", score > 0.8, len(best.estimators_), X_test.shape, raw.target_names[0])
""",
        "True 10 (45, 13) class_0",
    ),
    Case(
        "sparse matrices",
        """
%%kale imports
from sklearn.feature_extraction.text import CountVectorizer
%%kale step a
words = CountVectorizer()
counts = words.fit_transform(["a cat", "a dog and a cat"])
%%kale step b
print("RESULT", counts.toarray().tolist(), sorted(words.vocabulary_), type(counts).__name__)
""",
        "[[0, 1, 0], [1, 1, 1]] ['and', 'cat', 'dog'] csr_matrix",
    ),
    Case(
        "a figure",
        """
%%kale imports
import matplotlib.pyplot as plt
%%kale step a
fig, ax = plt.subplots()
ax.plot([1, 2], label="line")
%%kale step b
ax.set_title("title")
%%kale step c
print("RESULT", fig.axes[0].get_title(), len(ax.lines))
""",
        "title 1",
    ),
    Case(
        "megabytes",
        """
%%kale imports
import numpy as np
%%kale step a
big = np.arange(3_000_000, dtype="int64")
parts = {"half": big[: len(big) // 2]}
%%kale step b
big[0] = 1
%%kale step c
print("RESULT", int(big.sum()), int(parts["half"].sum()))
""",
        "4499998500001 1124999250001",
    ),
    Case(
        "a variable that changes its type",
        """
%%kale step a
x = [1, 2]
%%kale step b
x = {"sum": sum(x)}
%%kale step c
x = str(x["sum"])
%%kale step d
print("RESULT", repr(x))
""",
        "'3'",
    ),
    Case(
        "a logger arrives with its level",
        """
%%kale imports
import logging
%%kale step a
log = logging.getLogger("kale crossing")
log.setLevel(logging.INFO)
log.propagate = False
holder = {"log": log}
%%kale step b
same = holder["log"] is logging.getLogger("kale crossing")
print("RESULT", log.level, log.propagate, log.isEnabledFor(logging.INFO), same)
""",
        "20 False True True",
    ),
    Case(
        "a NaN is still the one that it was",
        """
%%kale imports
import numpy as np
import pandas as pd
%%kale step a
v = np.nan
cats = ["x", np.nan, "y"]
d = {np.nan: 1, "k": 2}
own = float("nan")
pair = own, [own, 1.0]
s = pd.Series(["a", np.nan], dtype=object)
o = np.array(["a", np.nan], dtype=object)
%%kale step b
w = v
%%kale step c
print("RESULT", v is np.nan, np.nan in cats, d[np.nan], pair[0] in pair[1], s[1] is np.nan, o[1] is np.nan, w is v)
""",
        "True True 1 True True True True",
        cold=True,
    ),
]
