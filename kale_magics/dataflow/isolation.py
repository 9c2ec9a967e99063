"""What steps in separate processes do not share: caches of functions, and non-deterministic values."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kale_magics.analysis.cells import CellFacts
from kale_magics.analysis.names import dotted
from kale_magics.dataflow.bindings import Binding, StepFlow

CACHES = frozenset({"functools.lru_cache", "functools.cache"})
"""Decorators that cache a function's results."""

CACHE_FILLED, CACHE_CHANGED = "the cache of a function is filled", "an object in it is changed"
"""The kinds of `CacheUse`."""


@dataclass(frozen=True)
class CacheUse:
    """A use of a function's cache by a step.

    Attributes:
        step: The step's name.
        cell: The number of its cell.
        line: The line there.
        path: The name of the function.
        origin: `CACHE_FILLED` or `CACHE_CHANGED`.
    """

    step: str
    cell: int
    line: int
    path: str
    origin: str


def unseen_cache_uses(
    uses: Sequence[CacheUse], steps: Mapping[str, StepFlow], cells: Mapping[int, CellFacts]
) -> Iterator[tuple[CacheUse, str]]:
    """Yield the uses of caches that a step below sees in the notebook but not as a pipeline, with that step.

    Args:
        uses: All uses of caches.
        steps: The steps by their names.
        cells: The marked cells by their numbers.
    """
    for use in uses:
        for step in steps.values():
            below = [number for number in step.cells if number > use.cell]
            if step.name != use.step and below and _sees(use, step, [cells[n] for n in below]):
                yield use, step.name
                break


def _sees(use: CacheUse, step: StepFlow, cells: Sequence[CellFacts]) -> bool:
    if use.origin == CACHE_CHANGED:
        used = step.local.get(use.path)
        return used is not None and used.memory == "cached"
    return _mentions(f"{use.path}.cache_info", cells)


def _mentions(path: str, cells: Sequence[CellFacts]) -> bool:
    return any(dotted(node) == path for cell in cells for node in ast.walk(cell.python.tree))


def shared_nondeterministic(
    varying: Mapping[str, Binding], steps: Mapping[str, StepFlow]
) -> Iterator[tuple[Binding, list[str]]]:
    """Yield the values of the prelude that differ from step to step.

    Args:
        varying: By name, the non-deterministic values, as those computed from the clock or at random.
        steps: The steps by their names.

    Yields:
        The binding, and the steps, at least two, that use it as the prelude has computed it.
    """
    for name, binding in varying.items():
        users = [step.name for step in steps.values() if step.local.get(name) is binding]
        if len(users) > 1:
            yield binding, users
