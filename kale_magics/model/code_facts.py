"""What the code of a step says about what it uses beside its inputs."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FILE = re.compile(r"\S.*\.\w{1,10}|.*/.+")


@dataclass(frozen=True)
class CodeFacts:
    """What the code of a step says about what it uses beside its inputs.

    Attributes:
        texts: The string constants that may name a file or a folder.
        seeds: The states of generators that it seeds, as in "state of random".
        draws: Whether it mentions what draws random numbers.
    """

    texts: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    draws: bool = False


def looks_like_file(text: str) -> bool:
    """Whether a text looks like the name of a file, which need not exist."""
    return _FILE.fullmatch(text) is not None
