"""What `%kale_graph` shows: the picture where there is a browser, the tree where there is a terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from kale_magics.model.pipeline import Pipeline
from kale_magics.view.svg import svg
from kale_magics.view.tree import tree


@dataclass(frozen=True, repr=False)
class GraphView:
    """A pipeline to look at.

    Attributes:
        pipeline: What is shown.
        states: Names of steps to their states in a run.
    """

    pipeline: Pipeline
    states: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return tree(self.pipeline, self.states)

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """IPython's protocol for objects that have several looks; it filters them itself."""
        del include, exclude
        return {"image/svg+xml": svg(self.pipeline, self.states), "text/plain": repr(self)}
