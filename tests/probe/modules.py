"""The modules that are probed, and what in them is never called."""

from __future__ import annotations

import re

MODULES: dict[str, str] = {
    "stdlib": """
        builtins json pickle heapq bisect collections itertools functools operator copy random contextlib
        dataclasses io csv re statistics array queue string textwrap math cmath struct types fractions decimal
        datetime os.path shlex difflib pprint base64 hashlib zlib html urllib.parse calendar enum numbers
        time keyword itertools.chain argparse reprlib marshal
    """,
    "numpy": """
        numpy numpy.linalg numpy.fft numpy.random numpy.ma numpy.char numpy.strings numpy.rec numpy.polynomial
        numpy.polynomial.polynomial numpy.lib.stride_tricks numpy.emath numpy.lib.recfunctions
    """,
    "pandas": """
        pandas pandas.testing pandas.api.types pandas.plotting pandas.tseries.offsets
        pandas.tseries.frequencies pandas.api.indexers
    """,
    "scipy": """
        scipy.stats scipy.linalg scipy.optimize scipy.signal scipy.sparse scipy.sparse.linalg scipy.spatial
        scipy.spatial.distance scipy.interpolate scipy.integrate scipy.fft scipy.ndimage scipy.special
        scipy.cluster.hierarchy scipy.cluster.vq scipy.stats.mstats scipy.sparse.csgraph scipy.signal.windows
    """,
    "sklearn": """
        sklearn sklearn.metrics sklearn.metrics.pairwise sklearn.metrics.cluster sklearn.model_selection
        sklearn.preprocessing sklearn.utils sklearn.utils.validation sklearn.utils.extmath
        sklearn.utils.class_weight sklearn.utils.multiclass sklearn.compose sklearn.pipeline sklearn.base
        sklearn.inspection sklearn.datasets sklearn.feature_selection sklearn.feature_extraction
        sklearn.feature_extraction.text sklearn.decomposition sklearn.cluster sklearn.linear_model
        sklearn.covariance sklearn.isotonic sklearn.svm sklearn.tree sklearn.ensemble sklearn.neighbors
        sklearn.calibration sklearn.manifold sklearn.random_projection sklearn.naive_bayes
        sklearn.neural_network sklearn.impute sklearn.mixture sklearn.multiclass sklearn.multioutput
        sklearn.discriminant_analysis sklearn.dummy sklearn.gaussian_process
        sklearn.gaussian_process.kernels sklearn.kernel_approximation sklearn.kernel_ridge
        sklearn.semi_supervised sklearn.cross_decomposition
    """,
    "matplotlib": """
        matplotlib.pyplot matplotlib matplotlib.cbook matplotlib.colors matplotlib.dates matplotlib.ticker
        matplotlib.cm matplotlib.lines matplotlib.patches matplotlib.gridspec matplotlib.figure
    """,
}
"""The public modules of each library."""

DENIED = re.compile(
    "|".join(
        r"""
        builtins\.(input|breakpoint|exit|quit|help|exec|eval|compile|open|__import__|copyright|credits|license)
        builtins\.globals
        types\.(CodeType|FunctionType|CoroutineType|GeneratorType|CellType)
        time\.(sleep|tzset|.*set.*|pthread.*)
        io\.(FileIO|open|open_code)
        contextlib\.(chdir|redirect_std.*)
        queue\..*\.(join|task_done|shutdown)
        .*\.(fileno|wait|acquire|mro|__class__)
        numpy\.(test|show_.*|f2py|distutils|info|lookfor|source|setbufsize|seterr.*|set_.*|get_include)
        pandas\..*\.(plot|hist|boxplot|style|sparse|struct|list|to_hdf|to_excel|to_clipboard|to_sql|to_gbq)
        pandas\.(read_clipboard|read_sql.*|read_gbq|show_versions|test|set_option|reset_option|set_eng_float_format)
        sklearn\..*\.(set_\w+_request|get_metadata_routing)
        sklearn\.(show_versions|set_config|datasets\.(fetch_.*|get_data_home|clear_data_home))
        matplotlib\.pyplot\.(show|pause|ginput|waitforbuttonpress|switch_backend|connect|ion|ioff|install_repl.*)
        matplotlib\.(use|rc.*|interactive|matplotlib_fname|get_cachedir|get_configdir|set_loglevel|test)
        matplotlib\.cbook\.(open_file_cm|get_sample_data)
        matplotlib\..*\.(start_event_loop|show|ginput|waitforbuttonpress)
        scipy\..*\.(test|show_config)
        """.split()
    )
)
"""What is never called: it waits, opens, reads or sets what does not belong to a sample."""
