"""Generators of random numbers, estimators, and what optimizers and plots are given."""

from tests.cases import Case

CASES = [
    Case(
        "one numpy state for several splits",
        """
%%kale imports
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import shuffle
%%kale step seed
state = np.random.RandomState(0)
%%kale step first
a = train_test_split(list(range(9)), random_state=state)[1]
%%kale step second
b = train_test_split(list(range(9)), random_state=state)[1]
%%kale step third
c = shuffle(list(range(5)), random_state=state)
%%kale step show
print("RESULT", a == b, a == train_test_split(list(range(9)), random_state=0)[1], c == shuffle(list(range(5)), random_state=0))
""",
        "False True False",
        cold=True,
    ),
    Case(
        "one numpy state for a splitter, a frame and a distribution",
        """
%%kale imports
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.model_selection import KFold
%%kale step seed
state = np.random.RandomState(3)
frame = pd.DataFrame({"v": range(6)})
folds = KFold(2, shuffle=True, random_state=state)
%%kale step split
first = [test.tolist() for _, test in folds.split(range(6))]
%%kale step sample
some = frame.sample(2, random_state=state)["v"].tolist()
%%kale step draw
drawn = stats.norm.rvs(size=2, random_state=state).round(3).tolist()
%%kale step show
print("RESULT", first, some, drawn, state.randint(100))
""",
        "[[3, 4, 5], [0, 1, 2]] [5, 4] [-0.46, -0.058] 39",
        cold=True,
    ),
    Case(
        "a generator and another one over its bits",
        """
%%kale imports
import numpy as np
%%kale step seed
rng = np.random.default_rng(7)
twin = np.random.Generator(rng.bit_generator)
%%kale step first
a = rng.integers(1000)
%%kale step second
b = twin.integers(1000)
%%kale step show
print("RESULT", int(a), int(b), [int(n) for n in np.random.default_rng(7).integers(1000, size=2)])
""",
        "944 625 [944, 625]",
        cold=True,
    ),
    Case(
        "a generator that shuffles arrays and frames",
        """
%%kale imports
import numpy as np
import pandas as pd
%%kale step seed
rng = np.random.default_rng(1)
values, items = np.arange(5), list("abcde")
%%kale step mix
rng.shuffle(values)
%%kale step more
rng.shuffle(items)
%%kale step show
print("RESULT", values.tolist(), items, int(rng.integers(100)))
""",
        "[4, 0, 1, 2, 3] ['d', 'a', 'b', 'e', 'c'] 86",
        cold=True,
    ),
    Case(
        "a search that holds its estimator",
        """
%%kale imports
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
%%kale step make
model = Ridge()
search = GridSearchCV(model, {"alpha": [1.0]})
%%kale step change
model.set_params(alpha=3.0)
%%kale step show
print("RESULT", search.estimator.alpha, search.estimator is model)
""",
        "3.0 True",
        cold=True,
    ),
    Case(
        "a pipeline that holds its estimators",
        """
%%kale imports
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
%%kale step make
X = np.arange(6.0).reshape(-1, 1)
scaler, model = StandardScaler(), Ridge()
line = make_pipeline(scaler, model)
%%kale step set
line.set_params(ridge__alpha=2.0)
%%kale step fit
line.fit(X, X[:, 0])
%%kale step show
print("RESULT", model.alpha, scaler.mean_.tolist(), model.coef_.round(3).tolist(), line[-1] is model)
""",
        "2.0 [2.5] [1.281] True",
        cold=True,
    ),
    Case(
        "a clone of an estimator does not follow it",
        """
%%kale imports
from sklearn.base import clone
from sklearn.linear_model import Ridge
%%kale step make
model = Ridge()
twin, same = clone(model), model
%%kale step change
same.set_params(alpha=5.0)
%%kale step show
print("RESULT", model.alpha, twin.alpha)
""",
        "5.0 1.0",
        cold=True,
    ),
    Case(
        "estimators that are fitted in a loop over a display",
        """
%%kale imports
import numpy as np
from sklearn.linear_model import LinearRegression, Ridge
%%kale step make
X = np.arange(4.0).reshape(-1, 1)
y = X[:, 0] * 2
plain, ridge = LinearRegression(), Ridge(alpha=0.0)
%%kale step fit
for model in (plain, ridge):
    model.fit(X, y)
for name, model in {"plain": plain}.items():
    model.label = name
%%kale step show
print("RESULT", plain.coef_.round(3).tolist(), ridge.coef_.round(3).tolist(), plain.label)
""",
        "[2.0] [2.0] plain",
        cold=True,
    ),
    Case(
        "estimators that are fitted in a dictionary and learn in parts",
        """
%%kale imports
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
%%kale step make
X = np.arange(4.0).reshape(-1, 1)
models = {alpha: Ridge(alpha=alpha) for alpha in (0.0, 5.0)}
scaler = StandardScaler()
%%kale step fit
for model in models.values():
    model.fit(X, X[:, 0])
%%kale step learn
for part in (X[:2], X[2:]):
    scaler.partial_fit(part)
%%kale step show
print("RESULT", [round(float(m.coef_[0]), 3) for m in models.values()], scaler.mean_.tolist())
""",
        "[1.0, 0.5] [1.5]",
        cold=True,
    ),
    Case(
        "coefficients that a step writes over",
        """
%%kale imports
import numpy as np
from sklearn.linear_model import Ridge
%%kale step fit
X = np.arange(4.0).reshape(-1, 1)
model = Ridge(alpha=0.0).fit(X, X[:, 0])
weights = model.coef_
%%kale step change
weights[0] = 100
%%kale step show
print("RESULT", model.predict(np.array([[1.5]])).round(3).tolist())
""",
        "[150.0]",
        cold=True,
    ),
    Case(
        "estimators that work in place on what they get",
        """
%%kale imports
import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, StandardScaler
%%kale step load
a, b, c = (np.array([[0.0], [2.0]]) for _ in range(3))
c[0] = np.nan
%%kale step scale
StandardScaler(copy=False).fit_transform(a)
small = MinMaxScaler(copy=False).fit(b).transform(b)
SimpleImputer(copy=False).fit_transform(c)
%%kale step show
print("RESULT", a.tolist(), b.tolist(), c.tolist())
""",
        "[[-1.0], [1.0]] [[0.0], [1.0]] [[2.0], [2.0]]",
        cold=True,
    ),
    Case(
        "an estimator that draws from the state that it holds",
        """
%%kale imports
import numpy as np
from sklearn.cluster import KMeans
%%kale step make
X = np.array([[0.0], [1.0], [10.0], [11.0]])
state = np.random.RandomState(5)
model = KMeans(2, n_init=1, random_state=state)
%%kale step fit
model.fit(X)
%%kale step show
print("RESULT", sorted(model.cluster_centers_.ravel().tolist()), state.randint(1000), np.random.RandomState(5).randint(1000))
""",
        "[0.5, 10.5] 400 867",
        cold=True,
    ),
    Case(
        "a callback of an optimizer that counts",
        """
%%kale imports
import numpy as np
from scipy.optimize import minimize
%%kale step make
class Counter:
    calls = 0
    def __call__(self, x):
        self.calls += 1
count, path = Counter(), []
%%kale step run
minimize(lambda x: float(x[0] ** 2), np.array([1.0]), callback=count, method="Nelder-Mead")
%%kale step again
minimize(lambda x: float(x[0] ** 2), np.array([1.0]), callback=path.append, method="Nelder-Mead")
%%kale step show
print("RESULT", count.calls > 3, len(path) == count.calls)
""",
        "True True",
        cold=True,
    ),
    Case(
        "a function that an optimizer calls, and that keeps what it was called with",
        """
%%kale imports
import numpy as np
from scipy.optimize import brentq
%%kale step make
seen = []
def target(x):
    seen.append(round(x, 3))
    return x - 1
%%kale step solve
root = brentq(target, 0, 3)
%%kale step show
print("RESULT", round(root, 3), seen[:2], len(seen) > 2)
""",
        "1.0 [0.0, 3.0] True",
        cold=True,
    ),
    Case(
        "drawing leaves the data of steps apart",
        """
%%kale imports
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
%%kale step load
x = np.arange(3.0)
%%kale step lines
figure, axes = plt.subplots()
axes.plot(x, x)
axes.hist(x)
axes.scatter(x, x)
n = len(axes.lines)
%%kale step picture
other, place = plt.subplots()
place.imshow(x.reshape(1, -1))
m = len(place.images)
%%kale step show
print("RESULT", n, m, x.tolist())
""",
        "1 1 [0.0, 1.0, 2.0]",
        parallel="lines picture",
        cold=True,
    ),
    Case(
        "a scaler made in a step above, in place by a parameter",
        """
%%kale imports
import numpy as np
from sklearn.preprocessing import StandardScaler
%%kale parameters
cp = True
%%kale step make
sc = StandardScaler(copy=cp)
%%kale step data
X = np.array([[1.0], [3.0]])
%%kale step fit
Z = sc.fit_transform(X)
%%kale step use
print("RESULT", X.ravel().tolist(), Z.ravel().tolist())
""",
        "[-1.0, 1.0] [-1.0, 1.0]",
        given={"cp": False},
        cold=True,
    ),
    Case(
        "models that share a generator",
        """
%%kale imports
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.datasets import make_classification
%%kale step a
rng = np.random.RandomState(0)
X, y = make_classification(60, random_state=rng)
m1 = RandomForestClassifier(3, random_state=rng)
m2 = RandomForestClassifier(3, random_state=rng)
%%kale step b
m1.fit(X, y)
%%kale step c
m2.fit(X, y)
%%kale step d
cv = KFold(3, shuffle=True, random_state=rng)
s = cross_val_score(m1, X, y, cv=cv)
%%kale step e
print("RESULT", s.round(3).tolist(), m1.predict_proba(X)[:4, 0].round(3).tolist(), m2.predict_proba(X)[:4, 0].round(3).tolist(), rng.randint(1000))
""",
        "[0.85, 0.7, 0.8] [0.0, 1.0, 1.0, 0.0] [0.333, 1.0, 1.0, 0.0] 869",
        cold=True,
    ),
    Case(
        "a search and a validation that share folds",
        """
%%kale imports
import numpy as np
from sklearn.model_selection import KFold, GridSearchCV, cross_val_predict
from sklearn.linear_model import Ridge
%%kale step a
rng = np.random.RandomState(1)
X = rng.normal(size=(40, 2)); y = X[:, 0]
kf = KFold(3, shuffle=True, random_state=rng)
gs = GridSearchCV(Ridge(), {"alpha": [1, 2]}, cv=kf)
%%kale step b
gs.fit(X, y)
%%kale step c
p = cross_val_predict(Ridge(), X, y, cv=kf)
%%kale step d
print("RESULT", rng.randint(1000), p.sum().round(4))
""",
        "800 6.9508",
        cold=True,
    ),
    Case(
        "folds that are drawn in several steps",
        """
%%kale imports
import numpy as np
from sklearn.model_selection import StratifiedKFold, ShuffleSplit, GridSearchCV, cross_validate, RepeatedKFold
from sklearn.tree import DecisionTreeClassifier
from sklearn.datasets import make_classification
%%kale step a
rng = np.random.RandomState(0)
X, y = make_classification(60, random_state=0)
cv = ShuffleSplit(2, random_state=rng)
%%kale step b
gs = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2]}, cv=cv).fit(X, y)
%%kale step c
r = cross_validate(DecisionTreeClassifier(random_state=rng), X, y, cv=3)["test_score"]
%%kale step d
splits = [te[:3].tolist() for _, te in cv.split(X)]
%%kale step e
print("RESULT", splits, rng.randint(1000), gs.best_params_)
""",
        "[[7, 44, 38], [23, 38, 20]] 174 {'max_depth': 1}",
        cold=True,
    ),
    Case(
        "folds that are made where they are used",
        """
%%kale imports
import numpy as np
from sklearn.model_selection import KFold, cross_val_score
from sklearn.linear_model import Ridge
%%kale step a
rng = np.random.RandomState(1)
X = rng.normal(size=(40, 2)); y = X[:, 0]
%%kale step b
s = cross_val_score(Ridge(), X, y, cv=KFold(3, shuffle=True, random_state=rng))
%%kale step c
print("RESULT", rng.randint(1000))
""",
        "545",
        cold=True,
    ),
    Case(
        "a transformer without copies gives its argument back",
        """
%%kale imports
import numpy as np
from sklearn.preprocessing import MinMaxScaler
%%kale step a
table = np.zeros((2, 2))
scaler = MinMaxScaler(copy=False)
scaled = scaler.fit_transform(table)
flat = scaled.ravel()
%%kale step b
print("RESULT", np.shares_memory(flat, table), np.shares_memory(scaled, table))
""",
        "True True",
        cold=True,
    ),
    Case(
        "a transformer of the notebook that learns nothing stands in a pipeline that does",
        """
%%kale imports
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
%%kale functions
class Log(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return np.log(X + 1)
%%kale step data
X = np.arange(20.0).reshape(10, 2)
y = X.sum(1)
%%kale step small
model = make_pipeline(Log(), Ridge()).fit(X[:4], y[:4])
other = Pipeline([("log", Log()), ("ridge", Ridge())])
before = model.score(X, y)
%%kale step all
model.fit(X, y)
other.fit(X, y)
%%kale step show
print("RESULT", round(before, 3), round(model.score(X, y), 3), round(other.score(X, y), 3))
""",
        "0.071 0.876 0.876",
        cold=True,
    ),
    Case(
        "a model of the notebook that learns nothing stands among others",
        """
%%kale imports
import numpy as np
from sklearn.linear_model import LinearRegression
%%kale functions
class Mean:
    def fit(self, X, y):
        return self
    def predict(self, X):
        return X.mean(1)
%%kale step make
X = np.arange(20.0).reshape(10, 2)
y = X.sum(1)
models = {"mean": Mean(), "line": LinearRegression()}
others = [Mean(), LinearRegression()]
best = others[1]
%%kale step fit
for model in models.values():
    model.fit(X, y)
best.fit(X, y)
%%kale step show
print("RESULT", [float(m.predict(X)[1].round(3)) for m in (*models.values(), best)])
""",
        "[2.5, 5.0, 5.0]",
        cold=True,
    ),
]
