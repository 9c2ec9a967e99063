"""What a step's code tells of what it uses beside its inputs: texts that may be paths, addresses, seeds."""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import dataclass

from kale_magics.analysis.names import dotted
from kale_magics.analysis.packages import imported_modules

LONGEST = 1024
"""Characters of a path."""

CLIENTS = frozenset(
    "psycopg psycopg2 MySQLdb pyodbc oracledb cx_Oracle snowflake confluent_kafka duckdb".split()
)
"""Modules of compiled code that talk to databases where Python does not see it."""

UNSEEDED = frozenset(
    "Random SystemRandom default_rng RandomState SeedSequence PCG64 MT19937 Philox SFC64".split()
)
"""What makes a generator that starts anywhere, unless it is given a seed."""

_URL = re.compile(r"[a-zA-Z][\w+.-]*://\S+")
_SEED = re.compile(r"\b\w*(seed|set_state|setstate|set_rng_state)\w*\s*\(", re.IGNORECASE)
_LOOKS_LIKE_FILE = re.compile(r"\S.*\.\w{1,10}|.*/.+")


@dataclass(frozen=True)
class Uses:
    """What a piece of code names.

    Attributes:
        texts: The texts in it that may be the name of a file or a folder.
        reason: Why running it again may give something else; empty if nothing tells so.
        seeds: Whether it seeds a random generator.
    """

    texts: tuple[str, ...]
    reason: str
    seeds: bool


@functools.lru_cache(maxsize=4096)
def uses_of(source: str) -> Uses:
    """What a piece of code names.

    Args:
        source: Python, as a step runs it.
    """
    tree = ast.parse(source)
    constants = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    texts = dict.fromkeys(t for t in constants if 0 < len(t) < LONGEST and not set(t) & {"\n", "\0"})
    reasons = [f"it may use the network ({text})" for text in texts if _URL.fullmatch(text)]
    reasons += ["it asks the clock"] if any(map(_is_now, ast.walk(tree))) else []
    reasons += [f"it may read a database ({name})" for name in sorted(imported_modules(tree) & CLIENTS)]
    reasons += ["it draws numbers without a seed"] if any(map(_is_unseeded, ast.walk(tree))) else []
    return Uses(tuple(texts), reasons[0] if reasons else "", bool(_SEED.search(source)))


@functools.lru_cache(maxsize=256)
def varying_call(source: str, varying: frozenset[str]) -> str:
    """The first call of a module that gives something else each time; empty if there is none.

    Args:
        source: Of the module.
        varying: What gives something else each time, as in "datetime.datetime.now".

    Raises:
        SyntaxError: It is not Python.
    """
    tree = ast.parse(source)
    origins: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            origins |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            origins |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = dotted(node.func).partition(".")
            called = origins.get(first, first) + dot + rest
            if called in varying:
                return called
    return ""


def looks_like_file(text: str) -> bool:
    """Whether a text is written as the name of a file is, though no such file may be there."""
    return _LOOKS_LIKE_FILE.fullmatch(text) is not None


def _is_now(node: ast.AST) -> bool:
    """Whether it makes a time of the text "now" or "today"."""
    if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
        return False
    called = dotted(node.func).rpartition(".")[2]
    return called in ("Timestamp", "to_datetime", "datetime64") and node.args[0].value in ("now", "today")


def _is_unseeded(node: ast.AST) -> bool:
    """Whether it makes a generator that starts anywhere."""
    if not isinstance(node, ast.Call) or node.keywords:
        return False
    given = [a for a in node.args if not (isinstance(a, ast.Constant) and a.value is None)]
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return not given and name in UNSEEDED
