"""What the code of a step names and binds, for the check of its values."""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from kale_magics.analysis.effects import Bind, Branch, Define, Effect, Read
from kale_magics.analysis.reader import effects_of
from kale_magics.dataflow.bindings import bound_by


def first_bound(sources: tuple[str, ...], names: Collection[str]) -> int:
    """Return the position of the first statement that binds one of the names; -1 if none does."""
    bound = enumerate(_bound_by_statements(sources))
    return next((place for place, own in bound if not own.isdisjoint(names)), -1)


def last_bound(sources: tuple[str, ...], name: str) -> int:
    """Return the position of the last statement that binds a variable; after all of them if none does."""
    bound = _bound_by_statements(sources)
    return max((place for place, own in enumerate(bound) if name in own), default=len(bound))


@functools.lru_cache(maxsize=1024)
def _bound_by_statements(sources: tuple[str, ...]) -> tuple[frozenset[str], ...]:
    """Return the names that each statement binds; none if the code cannot be parsed."""
    return tuple(frozenset(bound_by(tuple(effects_of(each)))) for each in statements_of(sources))


class CellVariables(NamedTuple):
    """The variables that a cell itself reads before it binds them, and those that it binds."""

    read: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()


@functools.lru_cache(maxsize=4096)
def variables_of_cell(source: str) -> CellVariables:
    """Return the variables of a cell, except those in its functions, which may never be called."""
    effects = tuple(effect for statement in statements_of((source,)) for effect in effects_of(statement))
    return CellVariables(frozenset(_read_first(effects, set())), frozenset(bound_by(effects)))


@functools.lru_cache(maxsize=1024)
def idle_names(sources: tuple[str, ...]) -> frozenset[str]:
    """Return the names that occur only in functions of the code that nothing else in it mentions."""
    functions: dict[str, set[str]] = {}
    used = _mentioned(statements_of(sources), functions)
    unused = dict(functions)
    while called := unused.keys() & used:
        used.update(*(unused.pop(name) for name in called))
    return frozenset().union(*functions.values()) - used


def _mentioned(nodes: Iterable[ast.AST], functions: dict[str, set[str]]) -> set[str]:
    """Return the names in code, and its texts, which may be names, except those in functions.

    Args:
        nodes: The code.
        functions: Receives what each function mentions, by its name.
    """
    found: set[str] = set()
    rest = list(nodes)
    while rest:
        node = rest.pop()
        # Python itself calls a method with a special name, and a decorator may call what it gets.
        if isinstance(node, ast.FunctionDef) and not node.decorator_list and not node.name.startswith("__"):
            functions.setdefault(node.name, set()).update(_mentioned(node.body, functions))
            rest.append(node.args)
            continue
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
        rest.extend(ast.iter_child_nodes(node))
    return found


def statements_of(sources: tuple[str, ...]) -> list[ast.stmt]:
    """Return the statements of code; none if it cannot be parsed."""
    try:
        return [statement for source in sources for statement in ast.parse(source).body]
    except SyntaxError:  # it has a top-level await
        return []


def _read_first(effects: Iterable[Effect], bound: set[str]) -> Iterator[str]:
    for effect in effects:
        if isinstance(effect, Read) and effect.name not in bound:
            yield effect.name
        elif isinstance(effect, Bind):
            bound.add(effect.name)
        elif isinstance(effect, Define):
            yield from _read_first(effect.at_once, bound)
            bound.update(effect.names)
        elif isinstance(effect, Branch):
            ends = []
            for path in effect.paths:
                own = set(bound)
                yield from _read_first(path.effects, own)
                if not path.ends:
                    ends.append(own)
            bound.update(set.intersection(*ends) if ends else ())
