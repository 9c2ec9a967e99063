"""The statements and expressions of random notebooks, in two levels.

In a pattern `<list>` stands for an expression, `<L>` for a name that has a list, `<+L>` for a name that is
given one there, `<block>` for some statements, `<body>` for those of a function.
"""

from __future__ import annotations

from tests.fuzz import ordinary, vicious

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
}
"""The names of each kind; few, so that they are used again and again."""

LEVELS = {
    "ordinary": ordinary.PATTERNS,
    "vicious": {place: some + vicious.MORE.get(place, ()) for place, some in ordinary.PATTERNS.items()},
}
"""What may stand in a place: `simple` and `compound` statements, and kinds of expressions.

"ordinary" is what people write; "vicious" also has what only the language's reference thinks of.
"""
