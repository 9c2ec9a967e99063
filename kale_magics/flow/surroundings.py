"""What is around the variables: modules, the environment, the folder, the clock. Steps do not share it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kale_magics.analysis.cells import CellFacts
from kale_magics.analysis.knowledge import is_known
from kale_magics.analysis.names import dotted
from kale_magics.flow.bindings import Binding, StepFlow

FOLDER = "os.chdir"

OF_THE_PROCESS = frozenset({FOLDER, "os.environ", "sys.path"})
"""What any code may use without naming it."""

CACHES = frozenset({"functools.lru_cache", "functools.cache"})
"""Decorators whose functions remember what they have given."""

REMEMBERED, CHANGED_MEMORY = "what a cached function has given", "what it remembers, changed"
"""Origins of settings that are about a cached function."""


@dataclass(frozen=True)
class Setting:
    """A step sets something that belongs to no variable.

    Attributes:
        step: The step's name.
        cell: The number of its cell.
        line: The line there.
        path: As written, as in "config.DEBUG"; the name of a cached function.
        origin: What that is, as in "os.environ"; `REMEMBERED` or `CHANGED_MEMORY`.
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
    if setting.origin in OF_THE_PROCESS:
        return True
    if setting.origin == CHANGED_MEMORY:
        used = step.local.get(setting.path)
        return used is not None and used.memory == "cached"
    if setting.origin == REMEMBERED:
        return _mentions(f"{setting.path}.cache_info", cells)
    library = setting.origin.partition(".")[0]
    if not is_known(setting.origin):
        # Whatever is called of that library may look at it.
        return any(b is not None and b.origin.partition(".")[0] == library for b in step.local.values())
    return _mentions(setting.path, cells)


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
