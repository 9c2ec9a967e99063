"""The output of `%kale_graph`: a picture in a notebook, a tree in a terminal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from kale_magics.model.pipeline import Pipeline
from kale_magics.view.svg import svg
from kale_magics.view.tree import tree


@dataclass(frozen=True, repr=False)
class GraphView:
    """Displays a pipeline.

    Attributes:
        pipeline: The pipeline.
        states: The states of steps in a run, by name.
    """

    pipeline: Pipeline
    states: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return tree(self.pipeline, self.states)

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """Return the representations (IPython's protocol), which IPython filters itself."""
        del include, exclude
        return {"image/svg+xml": svg(self.pipeline, self.states), "text/plain": repr(self)}
