"""Plays random notebooks; what fails is made small and told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from tests.fuzz.generator import notebook
from tests.fuzz.grammar import NAMES
from tests.fuzz.judge import Verdict, answer, completed, judged, ways_of
from tests.fuzz.notebook import BETWEEN, Notebook
from tests.fuzz.reducer import reduced

KIND = {name: kind for kind, names in NAMES.items() for name in names}


@dataclass(frozen=True)
class Outcome:
    """What came of a random notebook.

    Attributes:
        book: The notebook.
        verdicts: One for each way to make a pipeline of it.
    """

    book: Notebook
    verdicts: tuple[Verdict, ...]

    @property
    def fault(self) -> Verdict | None:
        """The first verdict that breaks the promise."""
        return next((verdict for verdict in self.verdicts if verdict.is_fault), None)

    @property
    def warned(self) -> Verdict | None:
        """The first wrong answer that there was a warning of."""
        return next((verdict for verdict in self.verdicts if verdict.kind.startswith("warned")), None)

    @property
    def found(self) -> Verdict | None:
        """What people must look at: a fault, or a warning that may have nothing to do with the answer."""
        return self.fault or self.warned

    @property
    def symptom(self) -> str:
        """What it looks like; one cause has few symptoms, so not all failures are made small."""
        if self.found is None:
            return ""
        return f"{self.found.kind}: {', '.join(_differing(self.book, self.found)) or _last_line(self.found)}"


def _differing(book: Notebook, verdict: Verdict) -> list[str]:
    """The shown expressions with a wrong value, with kinds in place of names."""
    expected, actual = (text.split(BETWEEN)[1:] for text in (verdict.expected, verdict.actual))
    if verdict.kind != "wrong" or not len(expected) == len(actual) == len(book.shown):
        return []
    wrong = (show for show, a, b in zip(book.shown, expected, actual, strict=True) if a != b)
    return sorted({re.sub(r"\w+", lambda word: KIND.get(word[0], word[0]), show) for show in wrong})


def _last_line(verdict: Verdict) -> str:
    return re.sub(r"'\w+'", "…", verdict.actual.strip().rpartition("\n")[2])


def useful(start: object, level: str) -> Notebook:
    """The first random notebook that has an answer.

    Args:
        start: What random numbers start from.
        level: The grammar's.
    """
    random = Random(str(start))
    while (book := completed(notebook(random, level))) is None:
        pass
    return book


def play(start: object, level: str) -> Outcome:
    """Judge a random notebook in all ways."""
    book = useful(start, level)
    return Outcome(book, tuple(judged(book, way) for way in ways_of(book)))


def told(outcome: Outcome) -> str:
    """A failure for people, the notebook made small and as `tests.cases` wants it."""
    fault = outcome.found
    if fault is None:
        raise ValueError("nothing failed")
    book = reduced(outcome.book, lambda other: _fails(other, fault))
    verdicts = [judged(book, way) for way in ways_of(book)]
    engine = judged(book, fault.way, engine=True)
    ways = "".join(f"{v.way}: {v.kind}\n" for v in verdicts)
    shown = next((v for v in verdicts if v.way == fault.way), fault)
    return (
        f"== {ways}in the embedded engine: {engine.kind}\n{book.text}"
        f"expected: {shown.expected}\nactual:   {shown.actual}\n"
    )


def _fails(book: Notebook, fault: Verdict) -> bool:
    """Whether another notebook fails as one did."""
    return bool(book.shown) and answer(book) is not None and judged(book, fault.way).kind == fault.kind
