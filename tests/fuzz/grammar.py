"""The statements and expressions of random notebooks, in three levels.

In a pattern `<list>` stands for an expression, `<L>` for a name that has a list, `<+L>` for a name that is
given one there, `<block>` for some statements, `<body>` for those of a function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.fuzz import arrays, choices, frames, holders, learning, ordinary, vicious
from tests.fuzz.patterns import Topic

TOPICS = {
    "arrays": arrays.TOPIC,
    "frames": frames.TOPIC,
    "learning": learning.TOPIC,
    "holders": holders.TOPIC,
}
"""What a notebook of the level "data" may be about; "learning" works on arrays."""

CHOICES = choices.TOPIC
"""What its parameters decide on."""

NAMES = {
    "I": ("n", "m", "k"),
    "R": ("rate",),  # derived, if it is a parameter
    "S": ("s", "t"),
    "L": ("xs", "ys", "zs"),
    "D": ("d", "e"),
    "O": ("p", "q"),
    "F": ("f", "g"),  # called with nothing
    "G": ("u", "v"),  # called with a list
    "C": ("Box", "Crate"),
    "B": ("Chest",),  # derived from a "C"
    "M": ("math",),
    "K": ("Counter",),
    **{kind: names for topic in (*TOPICS.values(), CHOICES) for kind, names in topic.names.items()},
}
"""The names of each kind; few, so that they are used again and again."""

LEVELS = ("ordinary", "vicious", "data")
"""What people write; what only the language's reference thinks of; what is written with numpy, pandas and
scikit-learn, and with objects that hold others."""

Patterns = Mapping[str, tuple[str, ...]]


def patterns_of(level: str, topics: Sequence[Topic] = ()) -> Patterns:
    """What may stand in a place: `simple` and `compound` statements, and kinds of expressions.

    Args:
        level: The grammar's.
        topics: What the notebook is about, beside ordinary statements.
    """
    if level == "vicious":
        return {place: some + vicious.MORE.get(place, ()) for place, some in ordinary.PATTERNS.items()}
    patterns = dict(ordinary.PATTERNS)
    for topic in (*TOPICS.values(), CHOICES):
        patterns.update(topic.places)
    for topic in topics:
        patterns["simple"] += topic.simple
        patterns["compound"] += topic.compound
        for place, some in topic.more.items():
            patterns[place] += some
    return patterns
