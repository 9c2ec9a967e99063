"""Analyse a cell: its Python, and the effects of each of its statements."""

from __future__ import annotations

from dataclasses import dataclass

from kale_magics.analysis.effects import Call, Define, Effect, Mutate, Read, flattened
from kale_magics.analysis.library_rules import REMOVING_METHODS
from kale_magics.analysis.nesting import is_on_deep_stack
from kale_magics.analysis.reader import effects_of
from kale_magics.analysis.syntax import PythonCell, nested_too_deeply, to_python


@dataclass(frozen=True)
class CellFacts:
    """A cell and its effects.

    Attributes:
        python: Its code.
        statements: The effects of each statement at its top level.
    """

    python: PythonCell
    statements: tuple[tuple[Effect, ...], ...]


def read_cell(source: str) -> CellFacts:
    """Analyse a cell.

    Raises:
        CellProblemError: It is not Python, or has a magic that works only in a notebook.
    """
    python = to_python(source)
    try:
        return CellFacts(python, tuple(effects_of(statement) for statement in python.tree.body))
    except RecursionError as error:
        if not is_on_deep_stack():
            raise
        # Python 3.12.0 to 3.12.2 have a limit of their own for calls through C.
        raise nested_too_deeply() from error


def names_losing_parts(effects: tuple[Effect, ...]) -> set[str]:
    """Return the names of objects whose parts the code, or a function in it, removes or replaces."""
    names: set[str] = set()
    for effect in flattened(effects):
        if isinstance(effect, Mutate) and effect.cause == "write":
            names.add(effect.source.name)
        elif isinstance(effect, Call) and effect.method in REMOVING_METHODS:
            names.update(source.name for source in effect.receiver)
        elif isinstance(effect, Define):
            names |= names_losing_parts(effect.at_once)
            names |= names_losing_parts(effect.behaviour.effects) if effect.behaviour else set()
    return names


def names_mentioned(effects: tuple[Effect, ...]) -> set[str]:
    """Return all names that the code, or a function in it, looks up."""
    names: set[str] = set()
    for effect in flattened(effects):
        if isinstance(effect, Read):
            names.add(effect.name)
        elif isinstance(effect, Define):
            names |= names_mentioned(effect.at_once)
            names |= names_mentioned(effect.behaviour.effects) if effect.behaviour else set()
        for behaviour in getattr(effect, "behaviours", ()):
            names |= names_mentioned(behaviour.effects)
    return names
