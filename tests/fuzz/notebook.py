"""What a random notebook is: marked cells of statements, and what its last step prints."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

BETWEEN = " | "
"""What stands between the values that are printed."""


@dataclass(frozen=True)
class Part:
    """A cell.

    Attributes:
        mark: What stands behind `%%kale`, without options.
        after: The steps of `--after`.
        statements: Each one or several lines.
    """

    mark: str
    statements: tuple[str, ...]
    after: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Which of the six kinds."""
        return self.mark.split()[0]

    @property
    def step(self) -> str:
        """The step's name; empty for other kinds."""
        return self.mark.partition(" ")[2]

    @property
    def text(self) -> str:
        """The cell without its first line."""
        return "\n".join(self.statements)


@dataclass(frozen=True)
class Notebook:
    """A notebook.

    Attributes:
        parts: The cells but for the last line of the last one.
        shown: The expressions whose values the last step prints.
        given: Values of parameters, other than those in the cells, for a run of its own.
    """

    parts: tuple[Part, ...]
    shown: tuple[str, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)

    def with_statements(self, places: Container[tuple[int, int]]) -> Notebook:
        """The notebook with those statements only, each named by the number of its cell and its own there."""
        kept = [
            replace(part, statements=tuple(s for j, s in enumerate(part.statements) if (i, j) in places))
            for i, part in enumerate(self.parts)
        ]
        parts = [part for part in kept if part.statements or part is kept[-1]]
        steps = {part.step for part in parts}
        parts = [replace(part, after=tuple(name for name in part.after if name in steps)) for part in parts]
        return replace(self, parts=tuple(parts))

    def typed(self) -> Notebook:
        """The notebook of somebody who types what is given into the parameters' lines."""
        return replace(self, parts=tuple(map(self._typed, self.parts)), given={})

    def _typed(self, part: Part) -> Part:
        if part.kind != "parameters":
            return part
        lines = [(text, re.match(r"(\w+) = ", text)) for text in part.statements]
        named = [(text, found.group(1) if found else "") for text, found in lines]
        texts = (f"{name} = {self.given[name]!r}" if name in self.given else text for text, name in named)
        return replace(part, statements=tuple(texts))

    @property
    def cells(self) -> tuple[Part, ...]:
        """All cells, complete."""
        last = self.parts[-1]
        values = ", ".join((repr("RESULT"), *self.shown))
        line = f"print({values}, sep={BETWEEN!r})" if len(self.shown) > 1 else f"print({values})"
        return (*self.parts[:-1], replace(last, statements=(*last.statements, line)))

    @property
    def text(self) -> str:
        """In the notation of `tests.cases`, below what is given."""
        lines = [f"# given: {self.given}"] if self.given else []
        for part in self.cells:
            after = f" --after {' '.join(part.after)}" if part.after else ""
            lines += [f"%%kale {part.mark}{after}", part.text]
        return "\n".join(lines) + "\n"
