"""Groups the steps of a large pipeline, so that its picture has few boxes.

In a pipeline of more than `MAX_BOXES` steps, steps with the same role share a box. Two steps have the same
role if they have the same depth in the graph and their neighbours, upstream and downstream, have the same
roles. So the fits of a search are one box, and the scores that follow them are another. If this leaves too
many boxes or lines, roles depend on closer neighbours only, then on the depth alone; at last, neighbouring
depths share a box.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kale_magics.model.graph import Graph
from kale_magics.model.pipeline import Edge, Pipeline, Step
from kale_magics.view.words import columns, one_line, shorten

MAX_BOXES = 60
"""In a pipeline of more steps, boxes stand for several."""

MAX_LINES_PER_BOX = 2
"""Lines of a collapsed pipeline, for each box that it may have."""

FEW_BOXES = 12
"""Up to this many boxes, the number of lines has no limit."""

Roles = dict[str, int]
"""A number for each step; steps of the same role share it."""


@dataclass(frozen=True)
class StepGroup:
    """The steps of one box of the picture.

    Attributes:
        steps: At least one, in the pipeline's order.
    """

    steps: tuple[Step, ...]

    @property
    def key(self) -> str:
        """The name of its first step, which identifies the group."""
        return self.steps[0].name

    @property
    def name(self) -> str:
        """The step's name, "svm, forest" for two, or "fit1 … fit40 (40 steps)"."""
        names = [step.name for step in self.steps]
        count = f" ({len(names)} steps)" if len(names) > 2 else ""
        return _separator(names).join(_ends(names)) + count

    def label(self, limit: int) -> str:
        """Return the name without a count, in at most `limit` columns."""
        names = [step.name for step in self.steps]
        between = _separator(names)
        whole = one_line(between.join(_ends(names)))
        if len(names) == 1 or columns(whole) <= limit:
            return shorten(whole, limit)
        half = (limit - len(between)) // 2
        return between.join(shorten(name, half) for name in _ends(names))


def _separator(names: Sequence[str]) -> str:
    return " … " if len(names) > 2 else ", "


def _ends(names: Sequence[str]) -> Sequence[str]:
    return names if len(names) < 2 else (names[0], names[-1])


@dataclass(frozen=True)
class EdgeGroup:
    """The edges between two boxes of the picture, drawn as one line.

    Attributes:
        source: The upstream box.
        target: The downstream box.
        edges: At least one, in the pipeline's order.
    """

    source: StepGroup
    target: StepGroup
    edges: tuple[Edge, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that are passed on, each once; empty for `--after` alone."""
        return tuple(dict.fromkeys(name for edge in self.edges for name in edge.names))


@dataclass(frozen=True)
class CollapsedGraph:
    """The boxes and lines of a picture.

    Attributes:
        groups: The boxes, in topological order.
        edge_groups: The lines between them, each once.
    """

    groups: tuple[StepGroup, ...]
    edge_groups: tuple[EdgeGroup, ...]


def collapse(pipeline: Pipeline, max_boxes: int = MAX_BOXES) -> CollapsedGraph:
    """Group the steps of a pipeline into boxes.

    Args:
        pipeline: The pipeline to draw.
        max_boxes: The number of boxes above which steps of the same role share one.

    Returns:
        At most `max_boxes` boxes, each step in one of them; a box for every step if there are few enough.
        Inputs from steps that are not in the pipeline (`Pipeline.only`) have no line.
    """
    graph = pipeline.graph
    roles = {step.name: number for number, step in enumerate(pipeline.steps)}
    if len(roles) > max_boxes:
        roles = next(found for found in _by_fineness(graph) if _is_clear(graph, found, max_boxes))
    members: dict[int, list[Step]] = defaultdict(list)
    for step in pipeline.steps:
        members[roles[step.name]].append(step)
    between = _between(graph, roles)
    order = Graph({role: [a for a, b in between if b == role] for role in members}).order()
    groups = tuple(StepGroup(tuple(members[role])) for role in order)
    return CollapsedGraph(groups, _edge_groups(groups, pipeline.edges))


def _between(graph: Graph[str], roles: Mapping[str, int]) -> set[tuple[int, int]]:
    """Return the pairs of roles that have a line between them."""
    pairs = {(roles[above], roles[name]) for name, others in graph.upstream.items() for above in others}
    return {(one, other) for one, other in pairs if one != other}


def _is_clear(graph: Graph[str], roles: Roles, max_boxes: int) -> bool:
    """Whether a picture with a box for each role has few boxes and few lines."""
    count = len(set(roles.values()))
    few = count <= FEW_BOXES or len(_between(graph, roles)) <= MAX_LINES_PER_BOX * max_boxes
    return count <= max_boxes and few


def _by_fineness(graph: Graph[str]) -> Iterator[Roles]:
    """Yield the roles of the steps, from the finest distinction to the coarsest."""
    depths = graph.depths()
    found = [depths]
    while True:
        finer = _refined(graph, found[-1])
        if len(set(finer.values())) == len(set(found[-1].values())):
            break
        found.append(finer)
    yield from reversed(found)
    count = max(depths.values(), default=0) + 1
    for boxes in range(min(count - 1, MAX_BOXES), 0, -1):
        size = math.ceil(count / boxes)
        yield {name: depth // size for name, depth in depths.items()}


def _refined(graph: Graph[str], roles: Roles) -> Roles:
    """Distinguish roles also by the roles of the neighbours."""
    seen: dict[tuple[int, frozenset[int], frozenset[int]], int] = {}
    found = {}
    for name, role in roles.items():
        above = frozenset(roles[other] for other in graph.upstream[name])
        below = frozenset(roles[other] for other in graph.downstream[name])
        found[name] = seen.setdefault((role, above, below), len(seen))
    return found


def _edge_groups(groups: Sequence[StepGroup], edges: Iterable[Edge]) -> tuple[EdgeGroup, ...]:
    group_of = {step.name: group for group in groups for step in group.steps}
    between: dict[tuple[str, str], list[Edge]] = defaultdict(list)
    for edge in edges:
        source, target = group_of.get(edge.source), group_of[edge.target]
        if source is not None and source is not target:
            between[source.key, target.key].append(edge)
    return tuple(EdgeGroup(group_of[a], group_of[b], tuple(found)) for (a, b), found in between.items())
