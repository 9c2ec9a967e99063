"""Dependency graphs: topological order, ancestors, descendants."""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Generic, TypeVar

Node = TypeVar("Node", bound=Hashable)


class Graph(Generic[Node]):
    """A directed graph.

    Args:
        upstream: For each node the nodes that it depends on directly; those that are not keys are left out.
            Where the topological order leaves a choice, the order of the keys decides.

    Attributes:
        upstream: For each node the nodes that it depends on, each once.
        downstream: For each node the nodes that depend on it, each once.
    """

    def __init__(self, upstream: Mapping[Node, Iterable[Node]]) -> None:
        self.upstream: dict[Node, tuple[Node, ...]] = {
            node: tuple(dict.fromkeys(n for n in above if n in upstream)) for node, above in upstream.items()
        }
        self.downstream: dict[Node, list[Node]] = {node: [] for node in upstream}
        for node, above in self.upstream.items():
            for other in above:
                self.downstream[other].append(node)

    def order(self) -> list[Node]:
        """Return the nodes in topological order.

        Raises:
            graphlib.CycleError: The graph has a cycle.
        """
        place = {node: number for number, node in enumerate(self.upstream)}
        sorter = TopologicalSorter(self.upstream)
        sorter.prepare()
        ready: list[tuple[int, Node]] = []
        found: list[Node] = []
        while sorter.is_active():
            for node in sorter.get_ready():
                heapq.heappush(ready, (place[node], node))
            found.append(heapq.heappop(ready)[1])
            sorter.done(found[-1])
        return found

    def cycle(self) -> list[Node]:
        """Return a cycle: each node depends on the one before it; the last is the first. Empty for none."""
        try:
            TopologicalSorter(self.upstream).prepare()
        except CycleError as error:
            return list(error.args[1])
        return []

    def depths(self) -> dict[Node, int]:
        """Return for each node the length of the longest path to it, in topological order.

        Raises:
            graphlib.CycleError: The graph has a cycle.
        """
        found: dict[Node, int] = {}
        for node in self.order():
            found[node] = max((found[above] + 1 for above in self.upstream[node]), default=0)
        return found

    def all_ancestors(self) -> dict[Node, set[Node]]:
        """Return for each node all its ancestors; in and below a cycle some may be missing."""
        found: dict[Node, set[Node]] = {}
        for node in self._order_or_keys():
            above = self.upstream[node]
            found[node] = set(above).union(*(found.get(other, ()) for other in above))
        return found

    def _order_or_keys(self) -> list[Node]:
        """Return the nodes in topological order, or in that of the keys if there is a cycle."""
        try:
            return self.order()
        except CycleError:
            return list(self.upstream)

    def descendants(self, node: Node) -> list[Node]:
        """Return all nodes that depend on a node, directly or not, the nearest first."""
        found: dict[Node, None] = {}
        pending = list(self.downstream[node])
        for other in pending:
            if other not in found:
                found[other] = None
                pending += self.downstream[other]
        return list(found)

    def with_ancestors(self, nodes: Iterable[Node]) -> set[Node]:
        """Return these nodes and all nodes that they depend on."""
        found = set[Node]()
        pending = list(nodes)
        while pending:
            node = pending.pop()
            if node not in found:
                found.add(node)
                pending += self.upstream[node]
        return found
