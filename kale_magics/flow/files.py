"""Files that one step writes and another one uses, though neither waits for the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from kale_magics.analysis.cells import CellFacts
from kale_magics.analysis.files import FileUse, file_uses
from kale_magics.flow.bindings import Binding, StepFlow


@dataclass(frozen=True)
class StepUse:
    """A step names a file.

    Attributes:
        step: Its name.
        cell: The number of its cell.
        use: How.
    """

    step: str
    cell: int
    use: FileUse


def unordered_files(
    steps: Mapping[str, StepFlow],
    cells: Mapping[int, CellFacts],
    is_text: Callable[[Binding], bool],
    needs: Callable[[StepFlow], list[str]],
) -> Iterator[tuple[StepUse, StepUse]]:
    """The files that go from step to step with nothing to order the two.

    Args:
        steps: By their names, in the order of the notebook.
        cells: The marked cells by their numbers.
        is_text: Whether what a name stands for is a text or a path, for certain.
        needs: The steps that a step waits for.

    Returns:
        Pairs of uses of one file of which at least one writes; the first stands above the second.
    """
    uses: dict[tuple[object, ...], list[StepUse]] = defaultdict(list)
    for step in steps.values():
        for one in _uses(step, cells, is_text):
            values = tuple(step.local.get(name) for name in sorted(one.use.names))
            uses[(one.use.file, *values)].append(one)
    shared = {file: its for file, its in uses.items() if len({u.step for u in its}) > 1}
    above = _ancestors(steps, needs) if shared else {}
    for its in shared.values():
        for place, later in enumerate(its):
            for earlier in its[:place]:
                apart = earlier.step not in above[later.step] and later.step not in above[earlier.step]
                if earlier.step != later.step and apart and (earlier.use.writes or later.use.writes):
                    yield (earlier, later) if earlier.cell <= later.cell else (later, earlier)


def _uses(
    step: StepFlow, cells: Mapping[int, CellFacts], is_text: Callable[[Binding], bool]
) -> Iterator[StepUse]:
    texts = {name for name, binding in step.local.items() if binding is not None and is_text(binding)}
    for number in step.cells:
        yield from (StepUse(step.name, number, u) for u in file_uses(cells[number].python.tree, texts))
    for binding in step.local.values():
        definition = binding.definition if binding is not None else None
        if definition is not None and definition.kind == "def" and definition.cell not in step.cells:
            node = cells[definition.cell].python.tree.body[definition.statement]
            yield from (StepUse(step.name, step.cells[0], u) for u in file_uses(node, texts))


def _ancestors(steps: Mapping[str, StepFlow], needs: Callable[[StepFlow], list[str]]) -> dict[str, set[str]]:
    """For every step all that it waits for, directly or not; empty for steps that wait for each other."""
    found: dict[str, set[str]] = {}
    for first in steps:
        pending = [first]
        while pending:
            name = pending[-1]
            missing = [n for n in needs(steps[name]) if n not in found and n not in pending]
            if missing and name not in found:
                pending.append(missing[0])
                continue
            found[name] = {n for need in needs(steps[name]) for n in (need, *found.get(need, ()))}
            pending.pop()
    return found
