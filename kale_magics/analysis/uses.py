"""What a step's code tells of what it uses beside its inputs: texts that may be paths, addresses, seeds."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Collection
from dataclasses import dataclass

from kale_magics.analysis.library_rules import HARMLESS, WALL_CLOCK, generator_use
from kale_magics.analysis.names import dotted
from kale_magics.analysis.packages import imported_modules

MAX_TEXT = 1024
"""Characters of a path."""

CLIENTS = frozenset(
    "psycopg psycopg2 MySQLdb pyodbc oracledb cx_Oracle snowflake confluent_kafka duckdb".split()
)
"""Modules of compiled code that talk to databases where Python does not see it."""

UNSEEDED = frozenset(
    "Random SystemRandom default_rng RandomState SeedSequence PCG64 MT19937 Philox SFC64".split()
)
"""What makes a generator that starts anywhere, unless it is given a seed."""

_CHANCE = frozenset(
    "random rand randn randint random_sample shuffle sample choice choices permutation normal uniform".split()
)
_FAR = re.compile(
    r"(s3a?|gs|gcs|abfss?|adl|wasbs?|hdfs|oci|r2|\w+sql(\+\w+)?|oracle|snowflake|bigquery)://\S+"
)
_ATTACH = re.compile(r"\bATTACH\s+(DATABASE\s+)?\S", re.IGNORECASE)
_LOOKS_LIKE_FILE = re.compile(r"\S.*\.\w{1,10}|.*/.+")


@dataclass(frozen=True)
class Uses:
    """What a piece of code names.

    Attributes:
        texts: The texts in it that may be the name of a file or a folder.
        reason: Why running it again may give something else; empty if nothing tells so.
        chance: Whether it names what draws numbers.
        variables: Of the environment, those that it reads.
        set_variables: Those that it sets.
    """

    texts: tuple[str, ...]
    reason: str
    chance: bool
    variables: tuple[str, ...]
    set_variables: tuple[str, ...]


@functools.lru_cache(maxsize=4096)
def uses_of(source: str) -> Uses:
    """What a piece of code names.

    Args:
        source: Python, as a step runs it.
    """
    nodes = list(ast.walk(ast.parse(source)))
    constants = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    texts = dict.fromkeys(t for t in constants if 0 < len(t) < MAX_TEXT and not set(t) & {"\n", "\0"})
    clients = {
        name
        for node in nodes
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in imported_modules(node)
    }
    reasons = [f"it may use the network ({text})" for text in texts if _FAR.fullmatch(text)]
    reasons += ["it may read another database (ATTACH)"] if any(map(_ATTACH.search, constants)) else []
    reasons += [f"it may read a database ({name})" for name in sorted(clients & CLIENTS)]
    reasons += filter(None, map(_reason, nodes))
    names = {n.attr if isinstance(n, ast.Attribute) else getattr(n, "id", "") for n in nodes}
    return Uses(
        tuple(texts),
        reasons[0] if reasons else "",
        bool(names & _CHANCE),
        *_variables(nodes),
    )


def _variables(nodes: Collection[ast.AST]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Variables of the environment that code reads, and those that it sets."""
    read: dict[str, None] = {}
    written: dict[str, None] = {}
    for node in nodes:
        if isinstance(node, ast.Subscript) and _is_environ(node.value):
            name, reads = node.slice, isinstance(node.ctx, ast.Load)
        elif isinstance(node, ast.Call) and node.args and _asks_environ(node.func):
            name, reads = node.args[0], True
        elif isinstance(node, ast.Call) and _sets_environ(node.func):
            written |= dict.fromkeys(word.arg for word in node.keywords if word.arg)
            name, reads = node.args[0] if node.args else node, False
        else:
            continue
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            if reads:
                read[name.value] = None
            else:
                written[name.value] = None
    return tuple(read), tuple(written)


def _is_environ(node: ast.expr) -> bool:
    return dotted(node).rpartition(".")[2] == "environ"


def _sets_environ(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr in ("setdefault", "update")
        and _is_environ(function.value)
    )


def _asks_environ(function: ast.expr) -> bool:
    owner = function.value if isinstance(function, ast.Attribute) and function.attr == "get" else None
    return dotted(function).rpartition(".")[2] == "getenv" or (owner is not None and _is_environ(owner))


def looks_like_file(text: str) -> bool:
    """Whether a text is written as the name of a file is, though no such file may be there."""
    return _LOOKS_LIKE_FILE.fullmatch(text) is not None


@functools.lru_cache(maxsize=1024)
def first_mentioned(sources: tuple[str, ...], names: frozenset[str], called: bool) -> str:
    """The first of some functions that code mentions; empty if there is none.

    Args:
        sources: Pieces of code that are executed one after the other.
        names: What is looked for, as in "datetime.datetime.now".
        called: Whether it counts where it is called; else only where it is handed on to be called.

    Raises:
        SyntaxError: It is not Python.
    """
    trees = [ast.parse(source) for source in sources]
    origins = _origins(trees, names)
    nodes = [node for tree in trees for node in ast.walk(tree)]
    callees = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        if isinstance(node, (ast.Name, ast.Attribute)) and (called or id(node) not in callees):
            origin = _origin(node, origins)
            if origin in names:
                return origin
    return ""


@functools.lru_cache(maxsize=1024)
def measures_time(sources: tuple[str, ...]) -> bool:
    """Whether code measures how long something takes, by a stopwatch or by two looks at the clock.

    Args:
        sources: Pieces of code that are executed one after the other.

    Raises:
        SyntaxError: It is not Python.
    """
    if first_mentioned(sources, HARMLESS, called=True):
        return True
    trees = [ast.parse(source) for source in sources]
    origins = _origins(trees, WALL_CLOCK)
    nodes = (node for tree in trees for node in ast.walk(tree))
    differences = (n for n in nodes if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Sub))
    operands = (one for n in differences for one in (n.left, n.right) if isinstance(one, ast.Call))
    return any(_origin(one.func, origins) in WALL_CLOCK for one in operands)


@functools.lru_cache(maxsize=1024)
def attributes_of_imports(sources: tuple[str, ...]) -> frozenset[str]:
    """What code uses of what it imports, as in "numpy.random.default_rng".

    Args:
        sources: Pieces of code that are executed one after the other.
    """
    trees = [ast.parse(source) for source in sources]
    origins = _origins(trees, ())
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return frozenset(filter(None, (_origin(node, origins) for node in nodes)))


@functools.lru_cache(maxsize=1024)
def varies(source: str, varying: frozenset[str]) -> str:
    """Why a module of the user's may do something else each time, as in "calls time.time"; may be empty.

    Args:
        source: Of the module.
        varying: What gives something else each time.

    Raises:
        SyntaxError: It is not Python.
    """
    name = first_mentioned((source,), varying, called=True)
    if name:
        return f"calls {name}"
    return "asks for chance or for the time" if any(map(_reason, ast.walk(ast.parse(source)))) else ""


@functools.lru_cache(maxsize=1024)
def seeded(sources: tuple[str, ...]) -> frozenset[str]:
    """The states of generators that code sets, as in "state of random", to something that it says.

    Args:
        sources: Pieces of code that are executed one after the other.
    """
    trees = [ast.parse(source) for source in sources]
    origins = _origins(trees, ())
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and _given(node)]
    uses = (generator_use(_origin(call.func, origins), "") for call in calls)
    return frozenset(name for found in uses for name, use in found if use == "seed")


def _origins(trees: Collection[ast.AST], names: Collection[str]) -> dict[str, str]:
    """What imported names stand for; of `from time import *` those of some names."""
    origins: dict[str, str] = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            origins |= {
                a.asname or a.name.partition(".")[0]: a.name if a.asname else a.name.partition(".")[0]
                for a in node.names
            }
        elif isinstance(node, ast.ImportFrom) and not node.level:
            origins |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            if node.names[0].name == "*":
                prefix = f"{node.module}."
                origins |= {n.removeprefix(prefix): n for n in names if n.startswith(prefix)}
    return origins


def _origin(node: ast.expr, origins: dict[str, str]) -> str:
    """What an expression of names stands for; empty if it is nothing imported."""
    first, dot, rest = dotted(node).partition(".")
    return origins[first] + dot + rest if first in origins else ""


def _given(call: ast.Call) -> list[ast.expr]:
    """The arguments of a call but None."""
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return [a for a in given if not (isinstance(a, ast.Constant) and a.value is None)]


def _reason(node: ast.AST) -> str:
    """Why a node gives something else each time."""
    if not isinstance(node, ast.Call):
        return ""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    given = _given(node)
    if name in UNSEEDED and not given:
        return "it draws numbers without a seed"
    first = given[0].value if given and isinstance(given[0], ast.Constant) else None
    if name in ("Timestamp", "to_datetime", "datetime64") and first in ("now", "today"):
        return "it asks the clock"
    return ""
