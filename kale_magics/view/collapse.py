"""Which steps of a large pipeline are drawn as one box.

A pipeline of more than `MAX_BOXES` steps is drawn with boxes that stand for several, by one rule: steps of
the same role are one box. Two steps have the same role if they are as deep in the graph and their neighbours,
upstream and downstream, have the same roles. So the fits of a search are one box, and so are the scores that
follow them. Where that leaves too many boxes, or too many lines, fewer neighbours count; in the end the depth
alone, and then neighbouring depths are one box.
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
"""A pipeline of more steps is drawn with boxes that stand for several."""

MAX_LINES_PER_BOX = 2
"""Lines of a collapsed pipeline, for each of the boxes that it may have."""

FEW_BOXES = 12
"""With no more boxes, there may be any number of lines."""

Roles = dict[str, int]
"""For each step a number that steps of the same role share."""


@dataclass(frozen=True)
class Group:
    """A box of the picture.

    Attributes:
        steps: What it stands for, in the pipeline's order; at least one.
    """

    steps: tuple[Step, ...]

    @property
    def key(self) -> str:
        """What tells it from the others: the name of its first step."""
        return self.steps[0].name

    @property
    def name(self) -> str:
        """The step's name, "svm, forest" for two, or "fit1 … fit40 (40 steps)"."""
        names = [step.name for step in self.steps]
        count = f" ({len(names)} steps)" if len(names) > 2 else ""
        return _separator(names).join(_ends(names)) + count

    def label(self, limit: int) -> str:
        """The name without a count, in at most `limit` columns."""
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
class Joint:
    """All that joins two boxes of the picture.

    Attributes:
        source: The box above.
        target: The box below.
        edges: What it stands for, in the pipeline's order; at least one.
    """

    source: Group
    target: Group
    edges: tuple[Edge, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that cross, each once; empty if `--after` alone makes the order."""
        return tuple(dict.fromkeys(name for edge in self.edges for name in edge.names))


@dataclass(frozen=True)
class Drawn:
    """A pipeline as it is drawn.

    Attributes:
        groups: The boxes, each after all that it needs.
        joints: The lines between them, each once.
    """

    groups: tuple[Group, ...]
    joints: tuple[Joint, ...]


def collapse(pipeline: Pipeline, most: int = MAX_BOXES) -> Drawn:
    """Decide which steps are drawn as one box.

    Args:
        pipeline: What is to be drawn.
        most: The number of boxes above which steps of the same role are one.

    Returns:
        At most `most` boxes, in which every step is once; a box for every step if there are few enough. What
        steps take from others that are not in the pipeline (`Pipeline.only`) has no line.
    """
    graph = pipeline.graph
    roles = {step.name: number for number, step in enumerate(pipeline.steps)}
    if len(roles) > most:
        roles = next(found for found in _by_fineness(graph) if _is_clear(graph, found, most))
    members: dict[int, list[Step]] = defaultdict(list)
    for step in pipeline.steps:
        members[roles[step.name]].append(step)
    between = _between(graph, roles)
    order = Graph({role: [a for a, b in between if b == role] for role in members}).order()
    groups = tuple(Group(tuple(members[role])) for role in order)
    return Drawn(groups, _joints(groups, pipeline.edges))


def _between(graph: Graph[str], roles: Mapping[str, int]) -> set[tuple[int, int]]:
    """The pairs of roles that have a line between them."""
    pairs = {(roles[above], roles[name]) for name, needs in graph.upstream.items() for above in needs}
    return {(one, other) for one, other in pairs if one != other}


def _is_clear(graph: Graph[str], roles: Roles, most: int) -> bool:
    """Whether a picture with a box for each role has few boxes and few lines."""
    count = len(set(roles.values()))
    few = count <= FEW_BOXES or len(_between(graph, roles)) <= MAX_LINES_PER_BOX * most
    return count <= most and few


def _by_fineness(graph: Graph[str]) -> Iterator[Roles]:
    """The roles of the steps, from the finest distinction to the coarsest."""
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
    """The roles of the steps, distinguished also by the roles of their neighbours."""
    seen: dict[tuple[int, frozenset[int], frozenset[int]], int] = {}
    found = {}
    for name, role in roles.items():
        above = frozenset(roles[other] for other in graph.upstream[name])
        below = frozenset(roles[other] for other in graph.downstream[name])
        found[name] = seen.setdefault((role, above, below), len(seen))
    return found


def _joints(groups: Sequence[Group], crossing: Iterable[Edge]) -> tuple[Joint, ...]:
    group_of = {step.name: group for group in groups for step in group.steps}
    between: dict[tuple[str, str], list[Edge]] = defaultdict(list)
    for edge in crossing:
        source, target = group_of.get(edge.source), group_of[edge.target]
        if source is not None and source is not target:
            between[source.key, target.key].append(edge)
    return tuple(Joint(group_of[a], group_of[b], tuple(found)) for (a, b), found in between.items())
