"""Models and figures."""

from tests.exact import Row

DATA = """
import numpy as np, pandas as pd
_r = np.random.default_rng(0)
X = pd.DataFrame(_r.normal(size=(60, 4)), columns=list("abcd")); X["k"] = _r.choice(["u", "v"], 60)
y = (X["a"] + (X["k"] == "u") > 0.3).astype(int)
"""

FIGURE = (
    "import matplotlib; matplotlib.use('Agg'); import matplotlib.pyplot as plt, hashlib, io, numpy as np\n"
)
SHOW = """
_b = io.BytesIO(); fig.savefig(_b, format="raw", dpi=50)
r = hashlib.sha256(_b.getvalue()).hexdigest(), fig.get_size_inches().tolist(), [a.get_title() for a in fig.axes]
"""


def model(name: str, source: str, then: str) -> Row:
    """A row with scikit-learn."""
    return Row(f"sklearn: {name}", DATA + source, then, needs="sklearn pandas")


ROWS = [
    model(
        "estimators",
        """
from sklearn.ensemble import RandomForestClassifier, GradientBoostingRegressor, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from sklearn.cluster import KMeans
_X = X.drop(columns="k")
v = [RandomForestClassifier(5, random_state=np.random.RandomState(3)), GradientBoostingRegressor(n_estimators=5, random_state=1), HistGradientBoostingClassifier(max_iter=5)]
v += [LogisticRegression(), SGDClassifier(random_state=1), KNeighborsClassifier(3), SVC(probability=False), KMeans(2, random_state=1, n_init=2), MLPClassifier((3,), max_iter=3, random_state=1)]
_ = [m.fit(_X, y) for m in v]
u = LogisticRegression(C=0.5)
""",
        "_X = X.drop(columns='k'); r = [m.predict(_X)[:20] for m in v], [sorted(vars(m)) for m in v], sorted(vars(u)), u.fit(_X, y).coef_, v[0].random_state.rand(), v[0].predict_proba(_X)",
    ),
    model(
        "pipelines and searches",
        """
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
scale = 2
def times(x): return x * scale
_c = ColumnTransformer([("n", make_pipeline(StandardScaler(), FunctionTransformer(times)), list("abcd")), ("k", OneHotEncoder(), ["k"])])
s = GridSearchCV(Pipeline([("c", _c), ("m", LogisticRegression())]), {"m__C": [0.1, 1]}, cv=KFold(3, shuffle=True, random_state=np.random.RandomState(0))).fit(X, y)
best = s.best_estimator_; scaler = best["c"].named_transformers_["n"][0]
""",
        "r = s.predict(X), s.best_params_, s.cv_results_['mean_test_score'], best['m'].coef_, best is s.best_estimator_, scaler is best['c'].named_transformers_['n'][0]",
    ),
    model(
        "a forest that grows",
        """
from sklearn.ensemble import RandomForestClassifier
f = RandomForestClassifier(3, warm_start=True, random_state=1).fit(X.drop(columns="k"), y)
t = f.estimators_[0]
""",
        "f.n_estimators = 6; _ = f.fit(X.drop(columns='k'), y); r = f.predict(X.drop(columns='k')), f.estimators_[0] is t, t.tree_.node_count, t.tree_.value",
    ),
    model(
        "an estimator of one's own",
        """
from sklearn.base import BaseEstimator, TransformerMixin
class Shift(TransformerMixin, BaseEstimator):
    def __init__(self, by=1): self.by = by
    def fit(self, X, y=None): self.mean_ = X.mean(); return self
    def transform(self, X): return X - self.mean_ + self.by
m = Shift(3).fit(X[["a", "b"]])
""",
        "r = m.transform(X[['a']]), m.get_params(), repr(m)",
    ),
    Row(
        "datasets and text",
        "from sklearn.datasets import load_iris\nfrom sklearn.feature_extraction.text import TfidfVectorizer\nd = load_iris(as_frame=True); t = TfidfVectorizer(); m = t.fit_transform(['a cat', 'the dog'])\n"
        "f = d.frame; x = d.data",
        "r = t.transform(['the cat']).toarray(), sorted(t.vocabulary_), d.target_names, d.frame is f, d.data is x",
        needs="sklearn pandas",
    ),
    Row(
        "a figure",
        FIGURE
        + "fig, ax = plt.subplots(1, 2); ax[0].plot([1, 3, 2], 'r--', label='l'); ax[0].legend(); ax[1].imshow(np.eye(3)); l = ax[0].lines[0]; fig.suptitle('t')\nax[0].annotate('x', (1, 2)); fig.colorbar(ax[1].images[0])",
        "l.set_ydata([3, 1, 2]); ax[0].set_title('new')" + SHOW,
        needs="matplotlib",
    ),
    Row(
        "a figure without a manager",
        FIGURE
        + "from matplotlib.figure import Figure\nfig = Figure(); _ax = fig.add_subplot(); _ax.bar([1, 2], [3, 4]); _ax.set_yscale('log'); _ax.twinx().hist([1, 2, 2])",
        SHOW,
        needs="matplotlib",
    ),
    Row(
        "a figure in three dimensions",
        FIGURE
        + "fig = plt.figure(); ax = fig.add_subplot(projection='3d'); ax.scatter([1, 2], [1, 2], [1, 2])",
        SHOW,
        needs="matplotlib",
    ),
    Row(
        "maps of colours and others",
        FIGURE
        + "import matplotlib as mpl\nfrom matplotlib.colors import LinearSegmentedColormap, Normalize\nv = [mpl.colormaps['viridis'], LinearSegmentedColormap.from_list('x', ['r', 'b']), Normalize(0, 5)]",
        "r = v[0](0.5), v[1](0.2), v[2](2)",
        needs="matplotlib",
    ),
    Row(
        "tensors of one memory, and sparse ones",
        "import numpy as np, torch\n"
        "a = np.arange(6.0); t = torch.from_numpy(a); _u = torch.zeros(4, 4); v = _u[1]; w = _u[1:, 2]; c = torch.tensor([1 + 2j, 3]).conj()\n"
        "i = torch.eye(3).to_sparse(); z = torch.zeros(0, 3); b = torch.zeros(3, dtype=torch.bool).numpy(); s = torch.tensor(2.5); t.note = [t]",
        "a[1] = 9; t[2] = 8; v[2] = 7; r = a, t.tolist(), w.tolist(), c.tolist(), i.to_dense().tolist(), z.shape, b, s.item(), t.note[0] is t",
        needs="torch",
    ),
    Row(
        "tensors and modules",
        """
import torch
torch.manual_seed(0)
class Net(torch.nn.Module):
    def __init__(self): super().__init__(); self.a = torch.nn.Linear(3, 2); self.register_buffer("b", torch.ones(2)); self.tied = self.a.weight
    def forward(self, x): return self.a(x) + self.b
net = Net(); opt = torch.optim.Adam(net.parameters()); g = torch.Generator().manual_seed(5)
net(torch.ones(3)).sum().backward(); opt.step(); vars(opt).pop("_warned_capturable_if_run_uncaptured", None)
x = torch.arange(6.0).reshape(2, 3); y = x[0]; z = x.numpy(); t = x.t(); e = net.eval()
k = [torch.float16, torch.ones(2, dtype=torch.bfloat16), torch.tensor([1 + 2j]), torch.ones(2, requires_grad=True), torch.Size([1, 2]), torch.device("cpu")]
n = torch.ones(2).to_sparse()
""",
        "y[0] = 50; z[1, 1] = 60; t[2, 1] = 70; x = x; r = [x.tolist(), net(torch.ones(3)).tolist(), net.training, net.tied is net.a.weight, torch.rand(2, generator=g).tolist(), [str(i) for i in k],"
        " net.a.weight.grad.tolist(), opt.param_groups[0]['params'][0] is net.a.weight, e is net, n.to_dense().tolist(), net.b.tolist()]",
        needs="torch",
    ),
]
