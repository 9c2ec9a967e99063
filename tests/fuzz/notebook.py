"""What a random notebook is: marked cells of statements, and what its last step prints."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    """

    parts: tuple[Part, ...]
    shown: tuple[str, ...] = ()

    @property
    def cells(self) -> tuple[Part, ...]:
        """All cells, complete."""
        last = self.parts[-1]
        values = ", ".join((repr("RESULT"), *self.shown))
        line = f"print({values}, sep={BETWEEN!r})" if len(self.shown) > 1 else f"print({values})"
        return (*self.parts[:-1], replace(last, statements=(*last.statements, line)))

    @property
    def text(self) -> str:
        """In the notation of `tests.cases`."""
        lines = []
        for part in self.cells:
            after = f" --after {' '.join(part.after)}" if part.after else ""
            lines += [f"%%kale {part.mark}{after}", part.text]
        return "\n".join(lines) + "\n"
