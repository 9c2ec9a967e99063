"""Non-deterministic code: clocks, process ids, random numbers without a seed."""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterable

NONDETERMINISTIC = frozenset(
    "time.time time.time_ns time.perf_counter time.perf_counter_ns time.monotonic time.strftime"
    " time.localtime time.gmtime time.ctime time.process_time datetime.datetime.now datetime.datetime.utcnow"
    " datetime.datetime.today datetime.date.today uuid.uuid1 uuid.uuid4 os.getpid os.urandom"
    " tempfile.mkdtemp tempfile.mkstemp tempfile.TemporaryDirectory tempfile.NamedTemporaryFile"
    " secrets.token_hex secrets.token_bytes secrets.token_urlsafe secrets.randbelow secrets.choice"
    " pandas.Timestamp.now pandas.Timestamp.today pandas.Timestamp.utcnow time.asctime time.clock_gettime"
    " time.clock_gettime_ns os.times os.getloadavg tempfile.mktemp".split()
)
"""Functions that return a different value each time."""

TIMERS_AND_TEMPFILES = frozenset(
    "time.perf_counter time.perf_counter_ns time.monotonic time.process_time tempfile.mkdtemp"
    " tempfile.mkstemp tempfile.TemporaryDirectory tempfile.NamedTemporaryFile".split()
)
"""Those of `NONDETERMINISTIC` that measure durations or create files: results do not depend on them."""

WALL_CLOCK = frozenset({"time.time", "time.time_ns"})
"""Those of `NONDETERMINISTIC` of which two calls can also measure a duration."""

CLOCK_NAMES = ("now", "utcnow", "today")
"""Names of functions of any library that read the clock."""

_GENERATORS = frozenset(
    "Random SystemRandom default_rng RandomState SeedSequence PCG64 MT19937 Philox SFC64".split()
)
"""Classes and functions that create a random generator; without an argument its seed is random."""


@functools.lru_cache(maxsize=1024)
def nondeterminism_of(source: str) -> str:
    """Return why a module is non-deterministic, as in "calls time.time"; empty if it is not.

    Args:
        source: The module's source.

    Raises:
        SyntaxError: It is not Python.
    """
    name = first_mentioned((source,), NONDETERMINISTIC - TIMERS_AND_TEMPFILES, called=True)
    if name:
        return f"calls {name}"
    found = any(map(nondeterministic_call, code_nodes((source,))))
    return "uses random numbers or the clock" if found else ""


def nondeterministic_call(node: ast.AST) -> str:
    """Return why a call is non-deterministic, by the name of the function alone; empty for other nodes."""
    if not isinstance(node, ast.Call):
        return ""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    given = given_arguments(node)
    if name in _GENERATORS and not given:
        return "it draws random numbers without a seed"
    first = given[0].value if given and isinstance(given[0], ast.Constant) else None
    if name in ("Timestamp", "to_datetime", "datetime64") and first in ("now", "today"):
        return "it reads the clock"
    return ""


@functools.lru_cache(maxsize=1024)
def first_mentioned(sources: tuple[str, ...], names: frozenset[str], called: bool) -> str:
    """Return the first of some functions that code mentions; empty if it mentions none.

    Args:
        sources: Pieces of code, in the order of execution.
        names: Full names, as in "datetime.datetime.now".
        called: Whether calls count, or only other mentions, such as passing the function as an argument.

    Raises:
        SyntaxError: A source is not Python.
    """
    nodes = code_nodes(sources)
    imported = import_origins(nodes, names)
    callees = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        if isinstance(node, (ast.Name, ast.Attribute)) and (called or id(node) not in callees):
            name = full_import_name(node, imported)
            if name in names:
                return name
    return ""


@functools.lru_cache(maxsize=1024)
def measures_time(sources: tuple[str, ...]) -> bool:
    """Whether code measures a duration, with a timer or as the difference of two times of day.

    Args:
        sources: Pieces of code, in the order of execution.

    Raises:
        SyntaxError: A source is not Python.
    """
    if first_mentioned(sources, TIMERS_AND_TEMPFILES, called=True):
        return True
    nodes = code_nodes(sources)
    imported = import_origins(nodes, WALL_CLOCK)
    differences = (n for n in nodes if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Sub))
    operands = (one for n in differences for one in (n.left, n.right) if isinstance(one, ast.Call))
    return any(full_import_name(one.func, imported) in WALL_CLOCK for one in operands)


def code_nodes(sources: Iterable[str]) -> list[ast.AST]:
    """Return all nodes of the syntax trees of code, which callers share and do not change.

    Args:
        sources: Pieces of code, in the order of execution.

    Raises:
        SyntaxError: A source is not Python.
    """
    return [node for source in sources for node in _nodes(source)]


# Every step has the cells of imports and functions: few entries serve all steps.
@functools.lru_cache(maxsize=64)
def _nodes(source: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(source)))


def import_origins(nodes: Iterable[ast.AST], names: Collection[str]) -> dict[str, str]:
    """Return the full names of what code imports, by the names that it binds.

    Args:
        nodes: The nodes of the code, as `code_nodes` returns them.
        names: The full names that a star import can bind.
    """
    found: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {
                a.asname or a.name.partition(".")[0]: a.name if a.asname else a.name.partition(".")[0]
                for a in node.names
            }
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            if node.names[0].name == "*":
                prefix = f"{node.module}."
                found |= {n.removeprefix(prefix): n for n in names if n.startswith(prefix)}
    return found


def full_import_name(node: ast.expr, imported: dict[str, str]) -> str:
    """Return the full name of an imported name or attribute; empty for any other.

    Args:
        node: The expression.
        imported: As `import_origins` returns it.
    """
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in imported:
        return ""
    return ".".join([imported[node.id], *reversed(attributes)])


def given_arguments(call: ast.Call) -> list[ast.expr]:
    """Return the arguments of a call that are not None."""
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return [a for a in given if not (isinstance(a, ast.Constant) and a.value is None)]
