"""Files that two steps share, at least one of them writing, without an order between the steps."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from kale_magics.analysis.cells import CellFacts
from kale_magics.analysis.file_calls import FileUse
from kale_magics.analysis.files import FileReader
from kale_magics.analysis.paths import GAP, absolute, is_exact, is_specific, may_be_same
from kale_magics.dataflow.bindings import Binding, StepFlow
from kale_magics.model.graph import Graph
from kale_magics.session.observed_files import NO_FILES, ObservedFiles


@dataclass(frozen=True)
class StepUse:
    """A use of a file by a step.

    Attributes:
        step: The step's name.
        cell: The number of its cell.
        use: The use; its pattern is absolute.
    """

    step: str
    cell: int
    use: FileUse


class FilesOfSteps:
    """Collects the files that steps use: those that their code names, and those that were observed.

    Args:
        steps: The steps by name, in the order of the notebook.
        prelude: The imports, functions and parameters cells.
        cells: The marked cells by their numbers.
        observed: What cells used when they ran in the session.
        path_of: Returns the path that a name refers to, if the session knows it for certain.
    """

    def __init__(
        self,
        steps: Mapping[str, StepFlow],
        prelude: StepFlow,
        cells: Mapping[int, CellFacts],
        observed: Mapping[int, ObservedFiles],
        path_of: Callable[[Binding], str | None],
    ) -> None:
        self.steps, self.cells, self.observed, self.path_of = steps, cells, observed, path_of
        self.folder = os.getcwd()
        self.reader = FileReader({})
        self.uses: dict[str, list[StepUse]] = {name: [] for name in steps}
        owners = {number: step for step in (prelude, *steps.values()) for number in step.cells}
        for number, facts in cells.items():
            found = self.reader.read(facts.python.tree)
            if number in owners:
                self._add(owners[number], number, found)
                self._add_observed_values(owners[number], number)

    def _add_observed_values(self, step: StepFlow, number: int) -> None:
        """Take from the session the values of names that the cell's text does not show."""
        for name, binding in step.local.items():
            if binding is not None and binding.cell == number and name not in self.reader.values:
                path = self.path_of(binding)
                if path is not None:
                    self.reader.values[name] = path

    def _add(self, step: StepFlow, number: int, named: Iterable[FileUse]) -> None:
        if not step.name:
            return
        functions = self._of_functions(step) if number == step.cells[0] else ()
        seen = self.observed.get(number, NO_FILES)
        its = self.uses[step.name]
        for use in (*named, *functions, *self._observed_uses(seen)):
            one = replace(use, pattern=absolute(use.pattern, self.folder))
            # A step that has written the file before reads its own.
            if use.writes or not any(u.use.writes and u.use.pattern == one.pattern for u in its):
                its.append(StepUse(step.name, number, one))

    def _of_functions(self, step: StepFlow) -> Iterator[FileUse]:
        """Yield the files that functions of other cells use, if the step may call them."""
        for binding in step.local.values():
            definition = binding.definition if binding is not None else None
            if definition is not None and definition.kind == "def" and definition.cell not in step.cells:
                tree = self.cells[definition.cell].python.tree
                yield from (replace(use, line=0) for use in self.reader.read(tree.body[definition.statement]))

    def _observed_uses(self, files: ObservedFiles) -> Iterator[FileUse]:
        for patterns, writes in ((files.written, True), (files.read, False)):
            for pattern in sorted(patterns):
                shown = os.path.relpath(pattern.removesuffix("/**"), self.folder)
                text = pattern if shown.startswith("..") else shown
                yield FileUse(pattern, repr(text), 0, writes)

    def unordered(self, graph: Graph[str]) -> Iterator[tuple[StepUse, StepUse]]:
        """Yield the shared files of steps that have no order.

        Args:
            graph: The upstream steps of every step.

        Yields:
            For two steps a pair of uses of one file, at least one of them a write; preferably one with a line
            and a full path. The first stands above the second in the notebook.
        """
        above = graph.all_ancestors()
        found: dict[frozenset[str], tuple[StepUse, StepUse]] = {}
        for one, other in _pairs([use for uses in self.uses.values() for use in uses]):
            steps = frozenset((one.step, other.step))
            apart = one.step not in above[other.step] and other.step not in above[one.step]
            if len(steps) == 2 and apart and _conflict(one.use, other.use):
                pair = (one, other) if one.cell <= other.cell else (other, one)
                found[steps] = max(found.get(steps, pair), pair, key=_clarity)
        yield from found.values()


def _clarity(pair: tuple[StepUse, StepUse]) -> int:
    """Rate how clearly two uses show the problem: the line of the later one, the path of the earlier one."""
    earlier, later = pair
    return 2 * (later.use.line > 0) + is_exact(earlier.use.pattern)


def _pairs(uses: list[StepUse]) -> Iterator[tuple[StepUse, StepUse]]:
    """Yield the pairs of uses that may be of one file."""
    by_path: dict[str, list[StepUse]] = defaultdict(list)
    for use in dict.fromkeys(uses):
        by_path[use.use.pattern].append(use)
    for same in by_path.values():
        yield from ((one, other) for place, other in enumerate(same) for one in same[:place])
    patterns = [path for path in by_path if not is_exact(path)]
    folders = _parents(by_path)
    for number, pattern in enumerate(patterns):
        for path in (*(path for path in by_path if is_exact(path)), *patterns[:number]):
            if may_be_same(pattern, path):
                yield from ((one, other) for one in by_path[pattern] for other in by_path[path])
    for path, parent in folders:
        yield from ((one, other) for one in by_path[parent] for other in by_path[path] if one.use.writes)


def _parents(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Return the paths inside a folder that is written as a whole, each with that folder."""
    known = set(paths)
    found = []
    for path in known:
        parent = os.path.dirname(path)
        while parent not in known and parent != os.path.dirname(parent):
            parent = os.path.dirname(parent)
        if parent in known:
            found.append((path, parent))
    return sorted(found)


def _conflict(one: FileUse, other: FileUse) -> bool:
    """Whether the order of two uses matters: one is a write, and the paths are almost fully known."""
    if not (one.writes or other.writes):
        return False
    gaps = [use for use in (one, other) if GAP in use.pattern]
    if not gaps:
        return True
    listed = any(GAP not in use.pattern and not is_exact(use.pattern) for use in (one, other))
    # Steps for the parts of one task each write their own `part_{n}.csv`.
    return listed or (all(is_specific(use.pattern) for use in gaps) and not (one.writes and other.writes))
