"""Random notebooks: patterns of the grammar, filled with names that have a value at that point."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from itertools import combinations
from random import Random
from textwrap import indent

from tests.fuzz.grammar import LEVELS, NAMES
from tests.fuzz.notebook import Notebook, Part

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
        level: The grammar's.
    """

    def __init__(self, random: Random, level: str) -> None:
        self.random = random
        self.patterns = LEVELS[level]
        self.known: dict[str, set[str]] = {kind: set() for kind in NAMES}
        self.fresh: list[tuple[str, str]] = []

    def statement(self, depth: int = 0) -> str:
        """A statement, one or several lines."""
        while True:
            compound = depth < DEEPEST and self.random.random() < 0.3
            try:
                return self.write("<compound>" if compound else "<simple>", depth)
            except NoNameError:
                self.fresh.clear()

    def write(self, pattern: str, depth: int = 0) -> str:
        """The pattern filled; the names that it gives a value have one from now on."""
        text = self.fill(pattern, depth)
        for kind, name in self.fresh:
            self.known[kind].add(name)
        self.fresh.clear()
        return text

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
    writer = Writer(random, level)
    parts: list[Part] = []
    if random.random() < 0.25:
        parts.append(Part("parameters", tuple(map(writer.write, (*START, DERIVED)))))
    if random.random() < 0.2:
        parts.append(Part("imports", tuple(map(writer.write, IMPORTS))))
    if random.random() < 0.3:
        parts.append(Part("functions", _statements(writer, random.randint(1, 3))))
    steps: list[str] = []
    count = random.randint(3, 7)
    for number in range(count):
        again = len(steps) > 1 and number < count - 1 and random.random() < 0.06
        name = random.choice(steps) if again else f"s{number}"
        begin = () if steps else map(writer.write, START)
        statements = (*begin, *_statements(writer, random.randint(1, 4)))
        after = () if again else _after(random, steps)
        parts.append(Part(f"step {name}", statements, after))
        steps += [] if again else [name]
    return Notebook(tuple(parts))


def _statements(writer: Writer, count: int) -> tuple[str, ...]:
    return tuple(writer.statement() for _ in range(count))


def _after(random: Random, steps: list[str]) -> tuple[str, ...]:
    if not steps or random.random() < 0.7:
        return ()
    return tuple(random.sample(steps, random.randint(1, min(2, len(steps)))))


def shown(values: Mapping[str, object]) -> tuple[str, ...]:
    """The expressions that tell what is in a notebook's data, and what is one object."""
    data = [n for kind in "IRSLDO" for n in NAMES[kind] if n in values and not callable(values[n])]
    changing = [n for n in data if not isinstance(values[n], (int, str, type(None), tuple))]
    pairs = combinations(changing, 2)
    same = [f"{a} is {b}" for a, b in pairs if type(values[a]) is type(values[b])]
    lists = [n for n in changing if isinstance(values[n], list)]
    held = [f"[x is {b} for x in {a}]" for a in lists for b in changing if a != b]
    dicts = [n for n in changing if isinstance(values[n], dict)]
    held += [f"[x is {b} for x in {a}.values()]" for a in dicts for b in changing if a != b]
    objects = [n for n in changing if n not in lists and n not in dicts]
    held += [f"[x is {b} for x in vars({a}).values()]" for a in objects for b in changing if a != b]
    classes = [n for n in NAMES["C"] + NAMES["B"] if n in values]
    parts = [f"{n}.{part}" for n in classes for part in ("made", "shared") if hasattr(values[n], part)]
    kinds = [f"type({a}) is {b}" for a in objects for b in classes]
    return (*data, *same, *held, *parts, *kinds)
