"""Facts from the code of a step, about what it uses besides its inputs."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FILE = re.compile(r"\S.*\.\w{1,10}|.*/.+")


@dataclass(frozen=True)
class CodeFacts:
    """Facts from the code of a step.

    Attributes:
        texts: The string constants that may name a file or a folder.
        seeds: The random generators that it seeds, as in "state of random".
        draws: Whether it mentions functions that draw random numbers.
    """

    texts: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    draws: bool = False


def looks_like_file(text: str) -> bool:
    """Whether a text looks like a file name; the file need not exist."""
    return _FILE.fullmatch(text) is not None
