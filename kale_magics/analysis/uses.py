"""What a step's code uses besides its inputs: possible paths and addresses, clocks, random numbers."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Collection
from dataclasses import dataclass

from kale_magics.analysis.library_rules import generator_use
from kale_magics.analysis.names import dotted
from kale_magics.analysis.packages import imported_modules
from kale_magics.model.code_facts import CodeFacts
from kale_magics.model.nondeterminism import (
    code_nodes,
    full_import_name,
    given_arguments,
    import_origins,
    nondeterministic_call,
)

MAX_TEXT = 1024
"""Characters of a string that may be a path."""

CLIENTS = frozenset(
    "psycopg psycopg2 MySQLdb pyodbc oracledb cx_Oracle snowflake confluent_kafka duckdb".split()
)
"""Compiled modules whose connections to databases Python cannot observe."""

_DRAWS = frozenset(
    "random rand randn randint random_sample shuffle sample choice choices permutation normal uniform".split()
)
_REMOTE = re.compile(
    r"(s3a?|gs|gcs|abfss?|adl|wasbs?|hdfs|oci|r2|\w+sql(\+\w+)?|oracle|snowflake|bigquery)://\S+"
)
_ATTACH = re.compile(r"\bATTACH\s+(DATABASE\s+)?\S", re.IGNORECASE)


@dataclass(frozen=True)
class Uses:
    """What a piece of code uses.

    Attributes:
        texts: The strings in it that may be the name of a file or a folder.
        reason: Why running it again may give another result; empty if there is no sign of that.
        draws: Whether it mentions functions that draw random numbers.
        variables: The environment variables that it reads.
        set_variables: Those that it sets.
    """

    texts: tuple[str, ...]
    reason: str
    draws: bool
    variables: tuple[str, ...]
    set_variables: tuple[str, ...]


@functools.lru_cache(maxsize=4096)
def uses_of(source: str) -> Uses:
    """Return what a piece of code uses.

    Args:
        source: Python, as a step runs it.
    """
    nodes = code_nodes((source,))
    constants = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    texts = dict.fromkeys(t for t in constants if 0 < len(t) < MAX_TEXT and not set(t) & {"\n", "\0"})
    clients = {
        name
        for node in nodes
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in imported_modules(node)
    }
    reasons = [f"it may use the network ({text})" for text in texts if _REMOTE.fullmatch(text)]
    reasons += ["it may read another database (ATTACH)"] if any(map(_ATTACH.search, constants)) else []
    reasons += [f"it may read a database ({name})" for name in sorted(clients & CLIENTS)]
    reasons += filter(None, map(nondeterministic_call, nodes))
    names = {n.attr if isinstance(n, ast.Attribute) else getattr(n, "id", "") for n in nodes}
    return Uses(
        tuple(texts),
        reasons[0] if reasons else "",
        bool(names & _DRAWS),
        *_variables(nodes),
    )


def _variables(nodes: Collection[ast.AST]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the environment variables that code reads, and those that it sets."""
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


@functools.lru_cache(maxsize=1024)
def attributes_of_imports(sources: tuple[str, ...]) -> frozenset[str]:
    """Return the attributes that code uses of its imports, as in "numpy.random.default_rng".

    Args:
        sources: Pieces of code, in the order of execution.
    """
    nodes = code_nodes(sources)
    imported = import_origins(nodes, ())
    attributes = (node for node in nodes if isinstance(node, ast.Attribute))
    return frozenset(filter(None, (full_import_name(node, imported) for node in attributes)))


@functools.lru_cache(maxsize=1024)
def seeded(sources: tuple[str, ...]) -> frozenset[str]:
    """Return the states of generators, as in "state of random", that code seeds with an explicit value.

    Args:
        sources: Pieces of code, in the order of execution.
    """
    nodes = code_nodes(sources)
    imported = import_origins(nodes, ())
    calls = [node for node in nodes if isinstance(node, ast.Call) and given_arguments(node)]
    uses = (generator_use(full_import_name(call.func, imported), "") for call in calls)
    return frozenset(name for found in uses for name, use in found if use == "seed")


def code_facts(sources: tuple[str, ...]) -> CodeFacts:
    """Return what the code of a step shows about what it uses besides its inputs.

    Args:
        sources: Pieces of code, in the order of execution.
    """
    uses = [uses_of(source) for source in sources]
    texts = dict.fromkeys(text for use in uses for text in use.texts)
    return CodeFacts(tuple(texts), tuple(sorted(seeded(sources))), any(use.draws for use in uses))
