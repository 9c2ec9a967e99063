"""Frames, series and indexes of pandas."""

from tests.exact import Row

IMPORT = "import numpy as np, pandas as pd\n"


def row(name: str, source: str, then: str = "", needs: str = "pandas", setup: str = "") -> Row:
    """A row with pandas."""
    return Row(f"pandas: {name}", IMPORT + source, then, setup, needs)


ROWS = [
    row(
        "numbers",
        "df = pd.DataFrame({t: np.arange(3).astype(t) for t in 'i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 c8 c16 ?'.split()})\n"
        "n = pd.DataFrame({t: pd.array([1, None, 0], dtype=t) for t in 'Int8 Int16 Int32 Int64 UInt8 UInt16 UInt32 UInt64 Float32 Float64 boolean'.split()})",
        "df['i1'] += 1; n.loc[1, 'Int8'] = 1; r = df, n, df.dtypes, n.sum()",
    ),
    row(
        "strings",
        "o = pd.Series(['a', None, np.nan, 'ö'], dtype=object); p = pd.Series(['a', None], dtype='string[python]'); d = pd.Series(['a', None])\n"
        "if pd.__version__ >= '3': q = pd.Series(['a', None], dtype=pd.StringDtype('python', na_value=np.nan)); i = pd.Index(['a', 'b'])",
        "p[1] = 'x'; r = p.str.upper(), d.str.upper(), o.isna()",
    ),
    row(
        "strings of arrow",
        "p = pd.Series(['a', None], dtype='string[pyarrow]'); x = pd.Series([1, None], dtype='int64[pyarrow]')\n"
        "import pyarrow as pa\nt = pd.DataFrame({'l': pd.Series([[1], None], dtype=pd.ArrowDtype(pa.list_(pa.int8()))), 'd': pd.Series([1, 2], dtype=pd.ArrowDtype(pa.decimal128(5, 2)))})\n"
        "c = pa.table({'a': [1, None], 'b': ['x', 'y']}); s = c.slice(1); f = p[1:]",
        "r = p.str.upper(), x.sum(), t['l'][0], c.schema, s.to_pydict()",
        "pandas pyarrow",
    ),
    row(
        "categories",
        "c = pd.Categorical(['x', 'y', None], categories=['y', 'x', 'unused'], ordered=True); u = pd.Series(pd.Categorical([2, 1, 2]))\n"
        "df = pd.DataFrame({'c': c, 'd': pd.cut([1, 5, 9], [0, 3, 6, 10]), 'e': pd.Categorical(pd.to_datetime(['2024'] * 3))}); t = c.dtype",
        "df.loc[0, 'c'] = 'unused'; r = df['c'].max(), u.cat.categories, c.codes, df.groupby('c', observed=False).size(), df.dtypes['c'] == t",
    ),
    row(
        "times",
        "df = pd.DataFrame({u: pd.date_range('2024-03-30', periods=3, tz='Europe/Rome').as_unit(u) for u in ('s', 'ms', 'us', 'ns')})\n"
        "n = pd.Series(pd.to_datetime(['2024-01-01', None])); d = pd.Series(pd.to_timedelta(['1s', None])).dt.as_unit('s'); p = pd.Series(pd.period_range('2024', periods=2, freq='Q-FEB'))\n"
        "v = [pd.Timestamp('2024-01-01 12:00:00.123456789', tz='UTC'), pd.Timestamp(5, unit='s').as_unit('ms'), pd.Timedelta(5), pd.Timedelta('1D').as_unit('s'), pd.NaT, pd.NA]\n"
        "w = [pd.Period('2024-01', 'M'), pd.Interval(1, 2, 'both'), pd.offsets.BusinessDay(2), pd.offsets.MonthEnd(), pd.Timestamp('2024-10-27 00:30', tz='UTC').tz_convert('Europe/Rome')]",
        "r = df.dtypes, v[0].nanosecond, v[1].unit, p.dt.freq, v[4] is pd.NaT, v[5] is pd.NA, w[2] + v[0], w[4].fold, df.iloc[2]",
    ),
    row(
        "time zones",
        "import datetime as dt, zoneinfo\nv = [pd.Series(pd.date_range('2024', periods=2, tz=z)) for z in ('UTC', dt.timezone.utc, zoneinfo.ZoneInfo('Asia/Tokyo'), dt.timezone(dt.timedelta(hours=1)))]",
        "r = [(str(s.dtype), type(s.dtype.tz).__name__, repr(s.dtype.tz)) for s in v]",
    ),
    row(
        "intervals and sparse columns",
        "i = pd.Series(pd.interval_range(0, 3, closed='left')); s = pd.Series(pd.arrays.SparseArray([0, 0, 1, 2])); f = pd.DataFrame({'a': pd.arrays.SparseArray([np.nan, 1.0], fill_value=np.nan)})",
        "r = i.dtype, s.sparse.density, s.sparse.fill_value, f['a'].sparse.to_dense()",
    ),
    row(
        "objects",
        "xs = [1]; df = pd.DataFrame({'o': [xs, 'a', None, 2**70, 1.5], 'p': [pd.Timestamp('2024'), {1}, b'b', (), xs]})",
        "xs.append(2); r = df",
    ),
    row(
        "indexes",
        """
v = [pd.RangeIndex(2, 20, 3, name="r"), pd.Index([3, 1, 3], dtype="u1"), pd.Index([1.5, None]), pd.Index(["a", 1, None]), pd.Index([])]
v += [pd.MultiIndex.from_product([[1, 2], ["a", "b"]], names=["n", None]), pd.MultiIndex.from_tuples([], names=["a", "b"])]
v += [pd.date_range("2024", periods=3, freq="2B", tz="UTC"), pd.date_range("2024", periods=3, freq="MS").as_unit("s"), pd.DatetimeIndex(["2024", "2023"])]
v += [pd.CategoricalIndex(["b", "a"], ordered=True, name=("a", 1)), pd.IntervalIndex.from_breaks([0, 1, 3]), pd.period_range("2024", periods=2, freq="M")]
v += [pd.timedelta_range("1h", periods=3, freq="30min"), pd.Index([1, 2], dtype="Int64"), pd.Index([True, False]), pd.Index([(1, 2), (3,)], tupleize_cols=False)]
df = pd.DataFrame(np.zeros((3, 3)), index=v[1], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["x", "y"])); i = df.index
m = pd.MultiIndex.from_product([[1, 2, 3], ["a", "b"]])[2:]; s = m.remove_unused_levels()
""",
        "r = [repr(x) for x in v], df.loc[3], df['a'], df.index is i, m.levels, v[7].freq, v[8].freq",
    ),
    row(
        "names and labels",
        "df = pd.DataFrame([[1, 2.5, 'x']], columns=['a', 'a', 3]); df.columns.name = 'cols'; df.index.name = 'rows'; s = pd.Series([1], name=('t', 1)); n = pd.Series([1], name=None)",
        "r = df['a'], df[3]",
    ),
    row(
        "attrs and flags",
        "df = pd.DataFrame({'a': [1]}).set_flags(allows_duplicate_labels=False); df.attrs = {'x': {'y': [1]}}; l = df.attrs['x']; s = df['a']; s.attrs['u'] = 'm'; df.lost = 5; s.lost = 6",
        "l['z'] = 1; r = df.lost, s.lost, df.attrs, s.attrs, df.flags.allows_duplicate_labels",
    ),
    row(
        "empty frames",
        "v = [pd.DataFrame(), pd.DataFrame(columns=['a', 'b']), pd.DataFrame(index=[1, 2]), pd.DataFrame({'a': pd.Series([], dtype='M8[ns]')}), pd.Series([], dtype='i1'), pd.DataFrame({'a': [1]})[:0]]",
    ),
    *(
        row(
            f"a frame of one's own, {way}",
            "m = Sub({'a': [1, 2]}); m.note = ['n']; m.lost = 1; b = m[m.a > 1]; s = m['a']; l = m.note",
            "l.append(5); r = m.note, type(b).__name__, b.note, type(s), type(m) is Sub, m.tell()",
            setup=definition * (way == "replayed"),
        )
        if way == "replayed"
        else row(
            f"a frame of one's own, {way}",
            definition + "m = Sub({'a': [1, 2]}); m.note = ['n']; b = m[m.a > 1]; s = m['a']; l = m.note",
            "l.append(5); r = m.note, type(b).__name__, b.note, type(s), type(m) is Sub, m.tell()",
        )
        for definition in (
            "import pandas as pd\nclass Sub(pd.DataFrame):\n    _metadata = ['note']\n    @property\n    def _constructor(self): return Sub\n    def tell(self): return len(self)\n",
        )
        for way in ("replayed", "travelling")
    ),
    row(
        "groups",
        "df = pd.DataFrame({'k': ['a', 'b', 'a'], 'x': [1, 2, 3]}); g = df.groupby('k'); c = g['x']; w = df['x'].rolling(2); e = df['x'].expanding(); q = df.set_index(pd.date_range('2024', periods=3))[['x']].resample('2D')",
        "r = g.sum(), c.mean(), {k: list(v) for k, v in g.groups.items()}, w.sum(), q.sum(), e.mean(), g.obj is df",
    ),
    row(
        "a column of a frame",
        "df = pd.DataFrame({'a': [1, 2, 3], 'b': [4, 5, 6]}); s = df['a']; t = df.loc[:, 'b']; h = df.head(2)",
        "s.iloc[0] = 99; h.iloc[0, 0] = 77; r = [df, s, h]; df.iloc[1, 1] = 55; q = [t, df]",
    ),
    row(
        "a frame, changed after its column",
        "df = pd.DataFrame({'a': [1.0, 2], 'b': [3.0, 4]}); s = df['a']; t = df[:]",
        "df.loc[0, 'a'] = 9; r = [s, t, df]; t.iloc[1, 1] = 8; q = [df, t]",
    ),
    row(
        "columns of other types",
        "df = pd.DataFrame({'i': pd.array([1, None], 'Int64'), 'c': pd.Categorical(['a', 'b']), 't': pd.date_range('2024', periods=2, tz='UTC'), 'o': [1, 'a']})\n"
        "v = [df[c] for c in df]",
        "v[0].iloc[0] = 5; v[1].iloc[0] = 'b'; v[2].iloc[0] = v[2].iloc[1]; v[3].iloc[0] = 'z'; r = [df, v]; df.iloc[1, 0] = 7; q = [df, v]",
    ),
    row(
        "shallow and renamed copies",
        "df = pd.DataFrame({'a': [1, 2]}); c = df.copy(deep=False); r_ = df.rename(columns={'a': 'b'}); d = df.copy()",
        "c.iloc[0, 0] = 9; r_.iloc[1, 0] = 8; r = [df, c, r_, d]",
    ),
    row(
        "a frame and its array",
        "df = pd.DataFrame({'a': [1.0, 2], 'b': [3.0, 4]}); a = df.to_numpy(); v = df['a'].to_numpy()",
        "df.iloc[0, 0] = 9; r = [a, v, df, a.flags.writeable]",
    ),
    row(
        "an array and its frame",
        "a = np.array([[1.0, 2], [3, 4]]); df = pd.DataFrame(a, copy=False); s = pd.Series(a[0], copy=False)",
        "a[0, 0] = 9; r = [df, s]; df.iloc[1, 1] = 5; q = [a]",
    ),
    row(
        "a series and its index",
        "i = pd.Index([1, 2, 3]); s = i.to_series(); t = pd.Series(i); u = pd.Index(t); x = t.set_axis(['a', 'b', 'c'])",
        "s.iloc[0] = 9; t.iloc[1] = 8; r = [i, s, t, u, x]",
    ),
    row(
        "the index of two frames",
        "df = pd.DataFrame({'a': [1]}, index=['x']); e = df[['a']] * 2; i = df.index",
        "r = [df.index is e.index, df.index is i]",
    ),
    row(
        "two frames that hold a series",
        "s = pd.Series([1, 2], name='s'); d = pd.DataFrame({'a': s}, copy=False); e = pd.DataFrame({'a': s}, copy=False); l = [s, d]",
        "d.iloc[0, 0] = 5; r = [s, d, e, l[0] is s, l[1] is d]",
    ),
    row(
        "a frame within a frame",
        "i = pd.DataFrame({'x': [1]}); o = pd.DataFrame({'f': [i, None]}); d = {'i': i}",
        "i.loc[0, 'x'] = 7; r = o['f'][0] is i, d",
    ),
    row(
        "a large frame is changed",
        "df = pd.DataFrame(np.zeros((100_000, 4)), columns=list('abcd')); s = df['a']; h = df[:5]; b = df['b'][10:13]",
        "s.iloc[0] = 1; df.iloc[1, 0] = 2; b.iloc[0] = 5; r = [s.sum(), df.sum(), h, b, df.iloc[10]]",
    ),
    row(
        "parts of a large frame",
        "_df = pd.DataFrame(np.zeros((100_000, 4)), columns=list('abcd')); h = _df[:5]; b = _df['b'][3:8]",
        "b.iloc[0] = 5; h.iloc[4] = 6; r = [b, h]",
    ),
    row(
        "many blocks",
        "df = pd.DataFrame({'a': [1, 2]}); df['b'] = [1.5, 2]; df['c'] = [3, 4]; df['d'] = df['a']; df.insert(0, 'z', True)",
        "df['c'] += 1; r = df, len(df._mgr.blocks)",
    ),
    row(
        "accessors, options and styles",
        "df = pd.DataFrame({'a': ['x', 'y']}); t = df['a'].str; l = df.loc; i = df.iloc; f = df.sum; n = pd.NamedAgg('a', 'sum'); g = pd.Grouper(key='a')",
        "r = t.upper(), l[0, 'a'], i[1], f(), n, g.key",
    ),
    row(
        "a style",
        "df = pd.DataFrame({'a': [1.234, 2]}); s = df.style.format('{:.1f}', na_rep='-').set_caption('c')",
        "r = s.to_html(uuid='u')",
        "pandas jinja2",
    ),
    row(
        "polars",
        "import polars as pl\ndf = pl.DataFrame({'a': [1, None], 'b': ['x', 'y'], 'c': [[1], None]}); s = df['a']; z = df.lazy().select('a')",
        "r = df.rows(), s.to_list(), str(df.schema), z.collect().rows()",
        "polars",
    ),
    row(
        "xarray",
        "import xarray as xr\nx = xr.DataArray(np.zeros((2, 2)), dims=['a', 'b'], coords={'a': [1, 2]}, attrs={'u': 'm'}); d = xr.Dataset({'v': x}); w = x[0]",
        "x[0, 0] = 5; r = str(d), x.values, w.values",
        "xarray",
    ),
]
