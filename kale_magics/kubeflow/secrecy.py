"""What must not go to a cluster, where many read it: how the user comes in, and passwords in addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass

from kale_magics.diagnostics import Code, Where, refuse

_WITH_PASSWORD = re.compile(r"://(?!git@)[^/\s@]+@(?P<host>[^/\s:]+)")
"""The address of something with a user; git's own is no secret."""


def refuse_passwords(words: Sequence[str]) -> None:
    """Refuse an address of packages with a password in it: it would stand in the file, and in every log."""
    for word in words:
        found = _WITH_PASSWORD.search(word)
        if found:
            message = f"the address of packages at {found['host']} has a user or a password in it"
            fix = "keep it in a secret: --secret NAME:KEY:PIP_INDEX_URL (or PIP_EXTRA_INDEX_URL)"
            raise refuse(Code.SECRET_IN_FILE, message, fix)


def refuse_secrets(secrets: Sequence[str], place: str, what: object, where: Where | None = None) -> None:
    """Refuse what would go to the cluster with something in it that nobody should see.

    Args:
        secrets: How the user comes in.
        place: What it is, for people.
        what: It: texts, bytes, and what has them in it.
        where: Where it is.

    Raises:
        KaleError: A secret is in it.
    """
    # In code, some characters of a text are written otherwise.
    spelled = {spelling for secret in secrets for spelling in (secret, repr(secret)[1:-1])}
    if spelled and any(secret in text for text in _texts(what) for secret in spelled):
        message = f"your token or your cookies for the server stand in {place}"
        fix = "take them out, and give steps what they need by --secret NAME:KEY:VARIABLE"
        raise refuse(Code.SECRET_IN_FILE, message, fix, where)


def _texts(what: object) -> Iterator[str]:
    """All texts in something that is to be written."""
    if isinstance(what, bytes):
        yield what.decode("latin-1")
    elif isinstance(what, str):
        yield what
    elif is_dataclass(what):
        yield from (text for field in fields(what) for text in _texts(getattr(what, field.name)))
    elif isinstance(what, Mapping):
        yield from (text for pair in what.items() for item in pair for text in _texts(item))
    elif isinstance(what, (list, tuple, set, frozenset)):
        yield from (text for item in what for text in _texts(item))
