"""Who provides what: the order of the notebook, `--after`, branches."""

from tests.cases import Case

CASES = [
    Case(
        "a chain",
        """
%%kale step load
total = 3
%%kale step double
doubled = total * 2
%%kale step show
print("RESULT", total, doubled)
""",
        "3 6",
        takes={"show": "total doubled"},
    ),
    Case(
        "a single step",
        """
%%kale step only
print("RESULT", sum(range(5)))
""",
        "10",
    ),
    Case(
        "a diamond",
        """
%%kale step top
seed = 10
%%kale step left
low = seed - 1
%%kale step right
high = seed + 1
%%kale step bottom
print("RESULT", low, seed, high)
""",
        "9 10 11",
        parallel="left right",
    ),
    Case(
        "a wide fan",
        """
%%kale step base
n = 4
%%kale step p0
r0 = n ** 0
%%kale step p1
r1 = n ** 1
%%kale step p2
r2 = n ** 2
%%kale step p3
r3 = n ** 3
%%kale step p4
r4 = n ** 4
%%kale step gather
print("RESULT", r0 + r1 + r2 + r3 + r4)
""",
        "341",
        parallel="p0 p1 p2 p3 p4",
    ),
    Case(
        "a reader beside the step that rewrites",
        """
%%kale step load
text = " raw "
%%kale step a_peek
print(len(text))
%%kale step b_clean
text = text.strip()
%%kale step use --after a_peek b_clean
print("RESULT", repr(text))
""",
        "'raw'",
        parallel="a_peek b_clean",
    ),
    Case(
        "a reader between two writers",
        """
%%kale step first
x = 1
%%kale step between
y = x
%%kale step second
x = 2
%%kale step last
print("RESULT", y, x)
""",
        "1 2",
    ),
    Case(
        "the last writer wins though its name sorts first",
        """
%%kale step zeta
v = "zeta"
%%kale step alpha
v = "alpha"
%%kale step end --after zeta alpha
print("RESULT", v)
""",
        "alpha",
    ),
    Case(
        "the last writer wins though its name sorts last",
        """
%%kale step alpha
v = "alpha"
%%kale step zeta
v = "zeta"
%%kale step end --after alpha zeta
print("RESULT", v)
""",
        "zeta",
        parallel="alpha zeta",
    ),
    Case(
        "after takes no edge away",
        """
%%kale step one
a = 1
%%kale step two
b = 2
%%kale step three --after one
print("RESULT", a, b)
""",
        "1 2",
        takes={"three": "a b"},
    ),
    Case(
        "after without data",
        """
%%kale step write
from pathlib import Path
size = Path("left.txt").write_text("behind")
%%kale step read --after write
from pathlib import Path
print("RESULT", Path("left.txt").read_text())
""",
        "behind",
        takes={"read": ""},
    ),
    Case(
        "after in every spelling",
        """
%%kale step a
print("a")
%%kale step b
print("b")
%%kale step c --after=a
print("c")
%%kale step d --after a,b
print("d")
%%kale step e --after a b --after c
print("RESULT e")
""",
        "e",
        parallel="c d",
    ),
    Case(
        "data from far above",
        """
%%kale step origin
far = "far"
%%kale step middle --after origin
near = "near"
%%kale step next --after middle
near = near.upper()
%%kale step last --after next
print("RESULT", far, near)
""",
        "far NEAR",
        takes={"last": "far near", "next": "near", "middle": ""},
    ),
    Case(
        "a value that every step rewrites",
        """
%%kale step s1
n = 1
%%kale step s2
n = n * 10 + 2
%%kale step s3
n = n * 10 + 3
%%kale step s4
n = n * 10 + 4
%%kale step s5
print("RESULT", n)
""",
        "1234",
    ),
    Case(
        "a value that is overwritten without a look",
        """
%%kale step a
x = "old"
%%kale step b
x = "new"
%%kale step c
print("RESULT", x)
""",
        "new",
        parallel="a b",
        takes={"b": "", "c": "x"},
    ),
    Case(
        "two branches of two steps",
        """
%%kale step load
rows = [3, 1, 2]
%%kale step sort
ordered = sorted(rows)
%%kale step add
total = sum(rows)
%%kale step median
middle = ordered[1]
%%kale step mean
average = total / len(rows)
%%kale step compare
print("RESULT", middle, average)
""",
        "2 2.0",
        parallel="median mean",
        takes={"median": "ordered", "mean": "rows total"},
    ),
    Case(
        "a step that only prints",
        """
%%kale step hello
print("hello")
%%kale step end
print("RESULT", "done")
""",
        "done",
        parallel="hello end",
    ),
    Case(
        "deleted and made again",
        """
%%kale step a
x = 1
%%kale step b
del x
%%kale step c
x = 2
%%kale step d
print("RESULT", x)
""",
        "2",
    ),
    Case(
        "several cells of one step",
        """
%%kale step load
x = 1
%%kale step load
x += 1
y = [x]
%%kale step load
y.append(x + 1)
%%kale step show
print("RESULT", x, y)
""",
        "2 [2, 3]",
    ),
    Case(
        "a step goes on below another one that has nothing to do with it",
        """
%%kale step load
x = 1
%%kale step other
z = "z"
%%kale step load
y = x + 1
%%kale step show
print("RESULT", x, y, z)
""",
        "1 2 z",
        parallel="load other",
    ),
    Case(
        "a step that goes on mentions what another one has changed meanwhile",
        """
%%kale step load
rows = [1]
%%kale step grow
rows.append(2)
%%kale step load
def count():
    return len(rows)
%%kale step show
print("RESULT", rows, count())
""",
        "[1, 2] 2",
        cold=True,
    ),
    Case(
        "skipped and unmarked cells between the steps",
        """
%%kale step a
x = [1]
%%kale skip
print("looking at", x)
# %%
print(len(x))
%%kale step b
x = x + [2]
# %%
x
%%kale step c
print("RESULT", x)
""",
        "[1, 2]",
    ),
    Case(
        "an unmarked cell makes what only unmarked cells read",
        """
# %%
scratch = 5
%%kale step a
x = 1
%%kale skip
scratch += x
%%kale step b
print("RESULT", x)
""",
        "1",
    ),
    Case(
        "models that train on the same data",
        """
%%kale imports
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
%%kale step load
X_train, y_train = load_iris(return_X_y=True)
%%kale step bayes
bayes = GaussianNB()
bayes.fit(X_train, y_train)
%%kale step tree
tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X_train, y_train)
%%kale step logistic
logistic = LogisticRegression(max_iter=500)
logistic.fit(X_train, y_train)
%%kale step compare
scores = [round(float(m.score(X_train, y_train)), 2) for m in (bayes, tree, logistic)]
print("RESULT", scores)
""",
        "[0.96, 0.96, 0.97]",
        parallel="bayes tree logistic",
        takes={"tree": "X_train y_train"},
    ),
    Case(
        "models made in one step and fitted in branches",
        """
%%kale imports
import numpy as np
from sklearn.linear_model import LinearRegression, Ridge
%%kale step load
X = np.arange(6.0).reshape(-1, 1)
y = 2 * X[:, 0] + 1
plain, ridge = LinearRegression(), Ridge(alpha=1.0)
%%kale step fit_plain
plain.fit(X, y)
%%kale step fit_ridge
ridge.fit(X, y)
%%kale step show
print("RESULT", plain.coef_.round(3), ridge.coef_.round(3))
""",
        "[2.] [1.892]",
        parallel="fit_plain fit_ridge",
    ),
    Case(
        "branches that work on copies",
        """
%%kale step load
rows = [3, 1]
table = {"k": [1]}
%%kale step grow
mine = rows.copy()
mine.append(9)
%%kale step sort
yours = sorted(rows)
keys = list(table.keys()) + table.get("k")
%%kale step show
print("RESULT", rows, mine, yours, keys)
""",
        "[3, 1] [3, 1, 9] [1, 3] ['k', 1]",
        parallel="grow sort",
    ),
    Case(
        "text and numbers never change in place",
        """
%%kale step load
title, size = "a title", 3
%%kale step upper
loud = title.upper().replace("A", "_").split()
%%kale step wide
wide = title.center(size * 4, ".")
%%kale step show
print("RESULT", loud, wide)
""",
        "['_', 'TITLE'] ..a title...",
        parallel="upper wide",
    ),
    Case(
        "a marking line that stays Python",
        """
%kale imports
import math
%kale step area
area = math.pi
%kale step show --after area
print("RESULT", round(area, 2))
""",
        "3.14",
    ),
    Case(
        "steps that are marked without being run",
        """
%%kale imports
import numpy as np
%%kale functions
def grow(items):
    items.append(len(items))
%%kale step load --no-run
arr, items = np.zeros(2), []
same = items
%%kale step change --no-run
arr.fill(3)
grow(items)
%%kale step show --no-run
print("RESULT", arr, items, same is items)
""",
        "[3. 3.] [0] True",
    ),
    Case(
        "a step that is marked below those that ran",
        """
%%kale step load
n = 3
%%kale step heavy --no-run
total = sum(range(n))
%%kale step heavy --no-run
total += 1
%%kale step show --no-run
print("RESULT", n, total)
""",
        "3 4",
    ),
    Case(
        "another step changes what only a function reads that nobody calls",
        """
%%kale step load
largest = n = 2
items, pairs = [], []
same = items
copies = [(n := pair) for pair in pairs]
%%kale step fill
for item, value in pairs:
    same[item] = value
    same[1] += 1
%%kale step count
for n in range(5):
    pass
largest = n
%%kale step fill
def order():
    return sorted(items, key=n)
%%kale step show
print("RESULT", largest)
""",
        "4",
    ),
    Case(
        "another step changes what only a function reads that is never defined",
        """
%%kale step load
n = 2
words = []
table = {"x": 1}
%%kale step fill
while []:
    def add(x):
        x += n
%%kale step swap
words, rest = 1, words
words, n = words, 1
%%kale step fill
table[1] = rest
table.update(x=1)
%%kale step show
n += n
print("RESULT", rest)
""",
        "[]",
    ),
    Case(
        "another step changes what both cells of a step have",
        """
%%kale step load
items = [3, 3]
table = {"x": [1], "a": 2}
def make(a):
    return lambda: a
get = make(items)
%%kale step fill
def pair(a):
    return [a, items]
%%kale step grow
found = [get()]
found[0] += [table.get("a", 3)]
%%kale step fill
table.setdefault("x", items)
%%kale step show
items.append(found)
print("RESULT", len(items))
""",
        "4",
    ),
]
