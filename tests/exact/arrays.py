"""Arrays, and what else is numpy's and scipy's."""

from tests.exact import Row

IMPORT = "import numpy as np\n"


def row(name: str, source: str, then: str = "", refused: str = "") -> Row:
    """A row with numpy."""
    return Row(f"numpy: {name}", IMPORT + source, then, needs="numpy", refused=refused)


ROWS = [
    row(
        "all simple types",
        "v = {c: np.arange(5).astype(c) for c in '?bBhHiIlLqQefdgFDGSUOMmV' if c not in 'MmV'}\n"
        "v |= {b: np.arange(5).astype(b) for b in ('>i4', '<i2', '>f8', '>c16', '>U3', 'S7', 'M8[D]', '>M8[s]', '>m8[us]', 'M8[ns]', 'm8[s]', 'm8[25h]', 'V3')}",
    ),
    row(
        "scalars",
        "v = [np.dtype(c).type(1) for c in '?bBhHiIlLqQefdgFDG']\n"
        "v += [np.datetime64('2024-01-01', 'h'), np.datetime64('NaT', 'D'), np.timedelta64(3, 'W'), np.void(b'ab'), np.float64('nan'), np.float32(-0.0)]\n"
        "v += [np.array([(1, 2.5)], 'i4,f8')[0], np.array([1], '>i4')[0], np.str_('☃'), np.bytes_(b'a\\0b')]",
        "r = [x.dtype.str for x in v]",
    ),
    row(
        "bits of numbers",
        "v = np.array([0x7FF8000000000001, 0xFFF8000000000ABC, 0x8000000000000000], 'u8').view('f8'); w = np.array([1e-320, -np.inf])",
    ),
    row(
        "dimensions",
        "v = [np.array(3.5), np.array('a', object), np.zeros((0, 3)), np.zeros((2, 0, 3), order='F'), np.zeros((1,) * 12)]",
        "v[0][...] = 4; v[1][()] = [1]; r = v",
    ),
    row(
        "orders",
        "x = np.arange(24.0).reshape(2, 3, 4)\n"
        "v = [x.copy(), np.asfortranarray(x), x[:, ::-1].copy('K'), x.T.copy('F'), x[::2], x[:, ::-2], x.transpose(1, 0, 2), x[..., 1]]",
    ),
    row(
        "a record and its array",
        "a = np.zeros(3, [('f0', 'i4'), ('f1', 'M8[s]')]); v = a[1]; w = a[2].copy(); _b = np.ones(9, 'i4,i4'); x = _b[8]",
        "v['f0'] = 5; a[1]['f1'] = 7; w['f0'] = 9; x['f1'] = 3; r = a, v, w, x",
    ),
    row("a transposed array", "a = np.arange(6).reshape(2, 3); t = a.T", "t[0, 1] = 99; r = a"),
    row("steps backwards", "a = np.arange(10); b = a[::-1]; c = b[::3]", "c[0] = 50; a[0] = 60; r = a, b, c"),
    row(
        "views before their array",
        "_a = np.arange(8); v = _a[2:5]; w = _a[4:]; a = _a",
        "v[2] = 70; r = a, w",
    ),
    row(
        "two views of an array that does not cross",
        "_a = np.arange(8); v = _a[2:5]; w = _a[4:]",
        "v[2] = 70; r = w",
    ),
    row(
        "a small view of a large array",
        "a = np.zeros(3_000_000); v = a[5:8]",
        "v[0] = 1; a[6] = 2; r = a[:10], v",
    ),
    row(
        "a small view before its large array",
        "_a = np.zeros(3_000_000); v = _a[5:8]; a = _a",
        "v[0] = 1; a[6] = 2; r = a[:10], v",
    ),
    row(
        "two small views of a large array",
        "_a = np.zeros(3_000_000); v = _a[5:8]; w = [_a[6:10]]; u = _a[:2]",
        "v[1:] = 1; r = w, u",
    ),
    row(
        "three small views, of views",
        "_a = np.zeros((1000, 1000)); _b = _a[10:20]; v = _b[:, 3]; w = _b[2]",
        "v[:] = 1; r = w[:5]",
    ),
    row(
        "a view through a list",
        "a = np.arange(6); d = {'half': a[:3], 'again': [a]}",
        "d['half'][0] = 9; r = a, d",
    ),
    row(
        "a view in another type",
        "a = np.zeros(2); b = a.view('u8'); c = a.view('u1')[3:9]",
        "b[0] = 1; c[:] = 255; r = a, b",
    ),
    row(
        "real and imaginary parts", "a = np.array([1 + 2j, 3j]); b = a.imag; c = a.real", "b[0] = 7; r = a, c"
    ),
    row(
        "read-only arrays",
        "a = np.arange(4); a.flags.writeable = False; b = np.broadcast_to(np.arange(3), (2, 3)); c = np.arange(6)[::2]; c.flags.writeable = False",
        "r = []\nfor x in (a, b, c):\n    try: x[0] = 1\n    except ValueError as e: r.append(str(e))",
    ),
    row("a read-only view", "a = np.arange(4); b = a[1:]; b.flags.writeable = False", "a[1] = 9; r = b"),
    row(
        "a read-only array and a view of before",
        "a = np.arange(4); b = a[1:]; a.flags.writeable = False",
        refused="b is a numpy.ndarray (PicklingError: cannot pickle a writeable view",
    ),
    row(
        "an array of an array of bytes",
        "_b = bytearray(b'abcd'); a = np.frombuffer(_b, 'u1'); c = a[1:]",
        "a[1] = 90; r = c",
    ),
    row(
        "an array and its bytearray", "b = bytearray(b'abcd'); a = np.frombuffer(b, 'u1')", "a[1] = 90; r = b"
    ),
    row("an array of bytes", "a = np.frombuffer(b'abcd', 'u1')", "r = a.flags.writeable"),
    row(
        "an array of the standard library's array",
        "import array\nb = array.array('d', [1, 2]); a = np.asarray(b)",
        "a[1] = 90; r = b.tolist()",
    ),
    row(
        "sliding windows",
        "a = np.arange(6.0); w = np.lib.stride_tricks.sliding_window_view(a, 3)",
        "a[2] = 9; r = w",
    ),
    row(
        "strides of one's own",
        "a = np.arange(6); w = np.lib.stride_tricks.as_strided(a, (2, 3), (8, 8))",
        "w[0, 1] = 9; r = a, w",
    ),
    row(
        "broadcast views",
        "a = np.arange(3); b, c = np.broadcast_arrays(a, np.zeros((2, 1))); d = np.broadcast_to(a, (2, 3))",
        "a[0] = 5; r = d",
    ),
    row(
        "objects",
        "xs = [1]; a = np.array([xs, 'x', None, 2**70], object); b = np.asfortranarray(np.array([[1, 'a'], [xs, 2.5]], object))",
        "xs.append(2); r = a, b",
    ),
    row(
        "views of objects",
        "a = np.array([[1], 'x', None, 3], object); b = a[1:3]; c = a[::-1]",
        "b[0] = 'y'; c[0] = 'z'; r = a, b, c",
    ),
    row(
        "views of objects that do not cross",
        "_a = np.array([[1], 'x', None, 3], object); b = _a[1:3]; c = _a[::-1]",
        "b[0] = 'y'; r = b, c",
    ),
    row(
        "two-dimensional views of objects",
        "a = np.array([[1, 'x'], [None, 3]], object); b = a[0]; c = a.T; d = a[:, 1]",
        "b[1] = 'y'; c[0, 1] = 'z'; r = a, d",
    ),
    row(
        "objects within themselves",
        "a = np.empty(2, object); a[0] = a; a[1] = [a]",
        "r = a[0] is a, a[1][0] is a",
    ),
    row(
        "structures",
        "a = np.zeros(3, np.dtype([('n', '<i4'), (('title', 's'), 'U3'), ('m', 'f8', (2, 2)), ('in', [('x', '>i2'), ('d', 'M8[s]')])]))\n"
        "a['s'] = 'ab'; b = np.zeros(2, np.dtype([('c', 'i1'), ('d', 'f8')], align=True)); n = a['n']; x = a['in']['x']",
        "n[0] = 5; x[2] = 7; r = a, a['title']",
    ),
    row(
        "structures with objects",
        "a = np.zeros(2, [('n', int), ('o', object)]); a['o'][0] = [1]; o = a['o']; n = a['n']",
        "o[1] = 5; n[0] = 3; r = a",
    ),
    row(
        "structures with gaps",
        "v = np.zeros(2, np.dtype({'names': ['a', 'b'], 'formats': ['i2', 'f4'], 'offsets': [2, 8], 'itemsize': 16})); w = v[['b']]",
        "w['b'] = 3; r = v",
    ),
    row(
        "types",
        "v = [np.dtype('>i4'), np.dtype([('a', 'i4')], align=True), np.dtype('f8', metadata={'unit': 'm'}), np.dtype('M8[25s]'), np.float32, np.integer]\n"
        "w = np.zeros(2, v[2])",
    ),
    row(
        "masked arrays",
        "v = np.ma.array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]], fill_value=-5); w = np.ma.array([1.0, 2], hard_mask=True, mask=[1, 0])\n"
        "n = np.ma.array([1, 2]); s = np.ma.array([(1, 2.0)], mask=[(1, 0)], dtype='i4,f8'); f = np.ma.asarray(np.asfortranarray(np.eye(2))); o = np.ma.array([1, 'a'], object)\n"
        "m = np.ma.masked; c = v[0, 1]; e = [np.ma.array(5, mask=True)]; z = np.ma.masked_invalid([1.0, np.nan])",
        "v[0, 0] = np.ma.masked; w[0] = 5; n[0] = 7; r = v.filled(), v.sum(), w, n, s, m is np.ma.masked, c is np.ma.masked, w.hardmask, n.mask is np.ma.nomask",
    ),
    row(
        "a masked array and its data",
        "a = np.arange(4.0); m = np.ma.array(a, mask=[0, 0, 1, 0], copy=False); d = m.data; k = m.mask; h = m[1:]",
        "a[1] = 9; m[3] = np.ma.masked; h[0] = 7; r = a, m, d, k, h",
    ),
    row(
        "records",
        "v = np.rec.array([(1, 'a')], dtype=[('n', 'i4'), ('s', 'U2')]); w = v[0]; a = np.zeros(2, 'i4,f8'); x = a.view(np.recarray)",
        "v.n[0] = 5; x.f0[1] = 3; r = v, a, w.s",
    ),
    row(
        "matrices and characters",
        "v = [np.matrix([[1, 2], [3, 4]]), np.char.array(['a', 'b'])]; w = v[0][0]; u = np.asarray(v[0])",
        "w[0, 0] = 5; r = v[0] * v[0], u",
    ),
    row(
        "an array of one's own",
        "class Tagged(np.ndarray):\n    def __array_finalize__(self, o): self.tag = getattr(o, 'tag', 'none')\n"
        "a = np.arange(3).view(Tagged); a.tag = ['t']; b = a[1:]; t = a.tag; c = np.arange(3)[::2].view(Tagged)",
        "b[0] = 9; t.append(1); r = a, b.tag, type(b) is Tagged",
    ),
    row(
        "an array of one's own, replayed",
        "class Other(np.ndarray): pass\na = np.asfortranarray(np.eye(2)).view(Other); a.x = 1",
    ),
    row(
        "strings of numpy 2",
        "if hasattr(np.dtypes, 'StringDType'):\n    a = np.array(['a' * 40, 'b', 'größe'], np.dtypes.StringDType()); b = a.copy()[1:]\n"
        "    c = np.array(['a', None], np.dtypes.StringDType(na_object=None))",
        "r = []\nif 'a' in globals():\n    b[0] = 'zz' * 30; r = a.tolist(), b.tolist()",
    ),
    Row(
        "numpy: views of strings of numpy 2",
        IMPORT + "a = np.array(['a', 'b'], np.dtypes.StringDType()); b = a[1:]",
        needs="numpy.strings",
        refused="b is a numpy.ndarray (PicklingError: cannot pickle arrays that share",
    ),
    row(
        "generators",
        "g = np.random.default_rng(5); _ = g.random(3); s = np.random.RandomState(3); _ = s.randn(3)\n"
        "v = [np.random.Generator(b(1)) for b in (np.random.MT19937, np.random.Philox, np.random.SFC64, np.random.PCG64DXSM)]; q = np.random.SeedSequence(3); _ = q.spawn(2); h = {'g': g}",
        "r = [g.random(3), s.randn(3), [x.normal(size=2) for x in v], h['g'] is g, q.spawn(1)[0].spawn_key, g.spawn(1)[0].random() if hasattr(g, 'spawn') else 0]",
    ),
    row(
        "two generators of one stream",
        "_b = np.random.PCG64(1); g, h = np.random.Generator(_b), np.random.Generator(_b)",
        "r = [g.random(), h.random()]",
    ),
    row(
        "the legacy generator and its stream",
        "b = np.random.MT19937(1); s = np.random.RandomState(b)",
        "r = [s.rand(), b.random_raw(), s.rand()]",
    ),
    row(
        "memory maps",
        "import tempfile\n_f = tempfile.NamedTemporaryFile(); _f.write(bytes(range(16))); _f.flush()\n"
        "m = np.memmap(_f.name, 'u1', 'r', 4, (3, 4)); v = np.asarray(m)[1:]; c = np.memmap(_f.name, 'u1', 'c'); c[0] = 77; del _f",
        "c[1] = 5; r = m.offset, m.mode, c",
    ),
    row(
        "functions, polynomials and others",
        "v = [np.sin, np.add.reduce, np.poly1d([1, 2]), np.ndindex, np.inf, np.newaxis, np.s_[1:2]]\n"
        "u = np.vectorize(lambda x: x + 1); n = np.nditer",
        "r = [v[0](0), v[1]([1, 2]), v[2](3), u([1, 2])]",
    ),
    row(
        "a function made a ufunc", "u = np.frompyfunc(lambda a, b: a + b, 2, 1)", refused="u is a numpy.ufunc"
    ),
    row("an iterator over an array", "a = np.arange(4); i = iter(a); _ = next(i)", "a[3] = 9; r = list(i)"),
    row("a flat iterator", "a = np.arange(4); i = [a.flat]", refused="i[0] is a numpy.flatiter"),
    row(
        "a large array is changed",
        "a = np.arange(500_000); b = [a, a[::2]]",
        "a[0] = -1; r = b[1][0], int(a.sum())",
    ),
    Row(
        "sparse matrices",
        """
import numpy as np, scipy.sparse as sp
_d = np.array([[0, 1.5, 0], [0, 0, 2]])
v = [sp.random(4, 5, 0.5, format=f, random_state=0) for f in "csr csc coo bsr dia lil dok".split()]
w = [getattr(sp, f"{f}_array")(_d) for f in "csr csc coo bsr dia lil dok".split()]
c = sp.csr_matrix(_d, dtype="f4"); data = c.data; u = sp.csr_matrix((np.ones(3), [0, 0, 1], [0, 2, 3]), (2, 3))
e = sp.csr_matrix((0, 3)); o = sp.coo_matrix((np.ones(2), ([0, 0], [1, 1])))
""",
        "data[0] = 9; r = c.toarray(), u.has_canonical_format, u.sum_duplicates(), u.has_sorted_indices, [x.toarray() for x in v + w], o.toarray()",
        needs="scipy",
    ),
    Row(
        "other objects of scipy",
        """
import numpy as np
from scipy import interpolate, optimize, spatial, stats
v = [interpolate.CubicSpline([0, 1, 2], [0, 1, 4]), stats.norm(1, 2), stats.gaussian_kde([1.0, 2, 4]), spatial.cKDTree([[0, 0], [1, 1]])]
v.append(optimize.minimize(lambda x: (x - 1) ** 2, 0)); v.append(stats.ttest_ind([1, 2, 3], [2, 3, 5]))
""",
        "r = [v[0](1.5), v[1].cdf(2), v[2](1.5), v[3].query([0.2, 0.1]), v[4].x, v[5].pvalue]",
        needs="scipy",
    ),
]
