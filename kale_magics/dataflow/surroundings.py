"""What steps do not share beside their variables: what cached functions remember, the clock."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kale_magics.analysis.cells import CellFacts
from kale_magics.analysis.names import dotted
from kale_magics.dataflow.bindings import Binding, StepFlow

CACHES = frozenset({"functools.lru_cache", "functools.cache"})
"""Decorators whose functions remember what they have given."""

REMEMBERED, CHANGED_MEMORY = "what a cached function has given", "what it remembers, changed"
"""Origins of settings that are about a cached function."""


@dataclass(frozen=True)
class Setting:
    """A step does something to what a cached function remembers.

    Attributes:
        step: The step's name.
        cell: The number of its cell.
        line: The line there.
        path: The name of the function.
        origin: `REMEMBERED` or `CHANGED_MEMORY`.
    """

    step: str
    cell: int
    line: int
    path: str
    origin: str


def lost_settings(
    settings: Sequence[Setting], steps: Mapping[str, StepFlow], cells: Mapping[int, CellFacts]
) -> Iterator[tuple[Setting, str]]:
    """The settings that steps below would see in the notebook, and do not see; each with such a step.

    Args:
        settings: All that steps set.
        steps: The steps by their names.
        cells: The marked cells by their numbers.
    """
    for setting in settings:
        for step in steps.values():
            below = [number for number in step.cells if number > setting.cell]
            if step.name != setting.step and below and _sees(setting, step, [cells[n] for n in below]):
                yield setting, step.name
                break


def _sees(setting: Setting, step: StepFlow, cells: Sequence[CellFacts]) -> bool:
    if setting.origin == CHANGED_MEMORY:
        used = step.local.get(setting.path)
        return used is not None and used.memory == "cached"
    return _mentions(f"{setting.path}.cache_info", cells)


def _mentions(path: str, cells: Sequence[CellFacts]) -> bool:
    return any(dotted(node) == path for cell in cells for node in ast.walk(cell.python.tree))


def shared_varying(
    varying: Mapping[str, Binding], steps: Mapping[str, StepFlow]
) -> Iterator[tuple[Binding, list[str]]]:
    """The values of the imports, functions and parameters cells that steps would each have another of.

    Args:
        varying: By name, what is computed from the clock, from chance and the like.
        steps: The steps by their names.

    Returns:
        What a name stands for, and the steps, at least two, that use it as it was made there.
    """
    for name, binding in varying.items():
        users = [step.name for step in steps.values() if step.local.get(name) is binding]
        if len(users) > 1:
            yield binding, users
