"""Values as ordinary notebooks compute them, which two processes must find equal."""

DATA = """
import dataclasses, datetime, decimal, collections, functools, random, re
import numpy as np, pandas as pd, scipy.sparse
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
X = np.random.default_rng(0).random((3_000, 12))
y = X[:, 0] > 0.5
names = [f"c{n}" for n in range(12)]
frame = pd.DataFrame(X, columns=names)
"""

ORDINARY = {
    "frames": "frame.assign(kind='a', when=pd.Timestamp('2024-01-01', tz='Europe/Berlin'))",
    "a grouped frame": "frame.assign(k=y).groupby('k').agg(['mean', 'std'])",
    "categories and missing values": "pd.DataFrame({'c': pd.Categorical(['a', None]), 'n': pd.array([1, None], 'Int64'), 's': ['x', None]})",
    "indexes": "[pd.date_range('2024', periods=3, tz='UTC'), pd.MultiIndex.from_product([[1, 2], list('ab')]), pd.Index(['a'])]",
    "a series": "pd.Series(X[:, 0], name='x')",
    "arrays": "[X, X.T, X[::2], np.ma.masked_less(X, 0.5), np.array([(1, 2.0)], 'i4,f8'), np.array(['a', None]), X > 1]",
    "a large array": "np.arange(3_000_000).reshape(-1, 3)",
    "numbers": "[np.float32(1.5), np.int8(3), float('nan'), -0.0, 10**5000, 1 + 2j, decimal.Decimal('1.10')]",
    "texts": "['a' * 10_000, b'bytes', 'größe', chr(0xD800)]",
    "sets": "({frozenset('abc'), ('x', 1), 'text'}, {'words', 'in', 'any', 'order'})",
    "dicts": "(collections.Counter('hello'), collections.OrderedDict(b=1, a=2), {n: {str(n): n / 7} for n in range(90)})",
    "dates": "(datetime.date(2024, 1, 1), pd.Timedelta('1h'), pd.NaT, pd.NA, re.compile('a+'), slice(1, None))",
    "a dataclass": "dataclasses.make_dataclass('Point', ['x', 'y'])(1, [2.5])",
    "functions": "(functools.partial(sorted, key=len), len, lambda x: x * 2 + 1)",
    "random generators": "(np.random.default_rng(3), np.random.RandomState(3), random.Random(3))",
    "a regression": "LogisticRegression().fit(X, y)",
    "a forest": "RandomForestClassifier(5, random_state=0, n_jobs=2).fit(X, y)",
    "boosted trees": "HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(X, y)",
    "a pipeline": "make_pipeline(StandardScaler(), SVC()).fit(X[:200], y[:200])",
    "a search": "GridSearchCV(Ridge(), {'alpha': [0.1, 1.0]}).fit(X, X[:, 1])",
    "results of a search": "pd.DataFrame(cross_validate(Ridge(), X, X[:, 1]))",
    "a sparse matrix": "scipy.sparse.csr_matrix(X > 0.9)",
    "neighbours": "KNeighborsClassifier().fit(X, y)",
    "words": "TfidfVectorizer().fit(['a text', 'of words'])",
}
"""Expressions by what they are."""
