"""Random notebooks: patterns of the grammar, filled with names that have a value at that point."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from random import Random
from textwrap import indent

from tests.fuzz import choices
from tests.fuzz.grammar import CHOICES, NAMES, TOPICS, Patterns, patterns_of
from tests.fuzz.notebook import Notebook, Part
from tests.fuzz.patterns import Topic

PLACE = re.compile(r"( *)<(\+?[A-Za-z]+)>")
DEEPEST = 2
START = ("<+I> = <digit>", "<+L> = [<digit>, <digit>]", "<+D> = {'x': [<digit>], 'a': <digit>}")
"""Something to work with."""

DERIVED = "<+R> = <I> + <digit>"
IMPORTS = ("import <+M>", "from collections import <+K>")


class NoNameError(Exception):
    """A pattern needs a name of a kind that has none yet."""


class Writer:
    """Writes statements.

    Args:
        random: Decides everything.
        patterns: What may stand in a place.
    """

    def __init__(self, random: Random, patterns: Patterns) -> None:
        self.random = random
        self.patterns = patterns
        self.known: dict[str, set[str]] = {kind: set() for kind in NAMES}
        self.fresh: list[tuple[str, str]] = []

    def statement(self, depth: int = 0) -> str:
        """A statement, one or several lines."""
        compound = depth < DEEPEST and self.random.random() < 0.3
        return self.write("<compound>" if compound else "<simple>", depth)

    def write(self, pattern: str, depth: int = 0) -> str:
        """The pattern filled; the names that it gives a value have one from now on."""
        while (text := self._filled(pattern, depth)) is None:
            self.fresh.clear()
        for kind, name in self.fresh:
            self.known[kind].add(name)
        self.fresh.clear()
        return text

    def _filled(self, pattern: str, depth: int) -> str | None:
        try:
            return self.fill(pattern, depth)
        except NoNameError:  # another choice of what stands in its places may do
            return None

    def fill(self, pattern: str, depth: int) -> str:
        """The pattern with something in every place."""

        def put(match: re.Match[str]) -> str:
            spaces, place = match.groups()
            if place in ("block", "body"):
                return indent(self.block(depth + 1, place == "body"), spaces + "    ")
            return spaces + self.place(place, depth)

        return PLACE.sub(put, pattern)

    def place(self, place: str, depth: int) -> str:
        """What goes into one place."""
        if place.startswith("+"):
            name = self.random.choice(NAMES[place[1:]])
            self.fresh.append((place[1:], name))
            return name
        if place in NAMES:
            if not self.known[place]:
                raise NoNameError(place)
            if self.random.random() < 0.03:  # of a function's body, perhaps: a name that is made later
                return self.random.choice(NAMES[place])
            return self.random.choice(sorted(self.known[place]))
        return self.fill(self.random.choice(self.patterns[place]), depth)

    def block(self, depth: int, is_body: bool) -> str:
        """Some statements; what those of a function assign is often declared to be global."""
        outer, self.fresh = self.fresh, []
        try:
            lines = "\n".join(self.statement(depth) for _ in range(self.random.choice((1, 1, 2))))
        finally:
            self.fresh = outer
        if not is_body:
            return lines
        stored = sorted(_stored(lines))
        return f"global {', '.join(stored)}\n{lines}" if stored and self.random.random() < 0.8 else lines


def _stored(text: str) -> set[str]:
    """What a block binds, were it not in a function."""
    names = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))
    return {node.id for node in names if isinstance(node.ctx, ast.Store)} & {
        name for names in NAMES.values() for name in names
    }


def notebook(random: Random, level: str) -> Notebook:
    """A random notebook; its statements may still raise, and it shows nothing yet.

    Args:
        random: Decides everything.
        level: The grammar's.
    """
    topics = _topics(random) if level == "data" else ()
    writer = Writer(random, patterns_of(level, topics))
    parts = _prelude(writer, topics)
    steps: list[str] = []
    start = (*START, *dict.fromkeys(pattern for topic in topics for pattern in topic.start))
    count = random.randint(3, 7)
    for number in range(count):
        again = len(steps) > 1 and number < count - 1 and random.random() < 0.06
        name = random.choice(steps) if again else f"s{number}"
        begin = () if steps else map(writer.write, start)
        statements = (*begin, *_statements(writer, random.randint(1, 4)))
        after = () if again else _after(random, steps)
        parts.append(Part(f"step {name}", statements, after))
        steps += [] if again else [name]
    given = choices.given(
        random, [text for part in parts if part.kind == "parameters" for text in part.statements]
    )
    return Notebook(tuple(parts), given=given)


def _topics(random: Random) -> tuple[Topic, ...]:
    """One or two topics, and now and then parameters that decide on something."""
    chosen = tuple(random.sample(sorted(TOPICS), random.choice((1, 1, 2))))
    if "learning" in chosen:
        chosen = (*chosen, "arrays") if "arrays" not in chosen else chosen
    topics = tuple(TOPICS[name] for name in chosen)
    return (*topics, CHOICES) if random.random() < 0.6 else topics


def _prelude(writer: Writer, topics: Sequence[Topic]) -> list[Part]:
    """The cells before the first step."""
    random, parts = writer.random, []
    if random.random() < (1 if CHOICES in topics else 0.25):
        decided = choices.PARAMETERS if CHOICES in topics else ()
        parts.append(Part("parameters", tuple(map(writer.write, (*START, DERIVED, *decided)))))
    needed = tuple(dict.fromkeys(line for topic in topics for line in topic.imports))
    if random.random() < (1 if needed else 0.2):
        parts.append(Part("imports", (*needed, *map(writer.write, IMPORTS))))
    if random.random() < 0.3:
        parts.append(Part("functions", _statements(writer, random.randint(1, 3))))
    return parts


def _statements(writer: Writer, count: int) -> tuple[str, ...]:
    return tuple(writer.statement() for _ in range(count))


def _after(random: Random, steps: list[str]) -> tuple[str, ...]:
    if not steps or random.random() < 0.7:
        return ()
    return tuple(random.sample(steps, random.randint(1, min(2, len(steps)))))
