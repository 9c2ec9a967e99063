"""What must not go to a cluster, where many read it: how the user comes in, and passwords in addresses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass

from kale_magics.model.diagnostics import Code, Diagnostic, Where, refuse
from kale_magics.model.pipeline import Pipeline

_WITH_PASSWORD = re.compile(r"://(?!git@)[^/\s@]+@(?P<host>[^/\s:]+)")
"""The address of something with a user; git's own is no secret."""


_SECRET = re.compile(
    r"(?i)(^|_)(password|passwd|passphrase|pwd|secret|api_?key|access_?key|secret_?key|private_?key|auth_?token"
    r"|access_?token|api_?token|credentials?)$"
)
"""What a secret is called."""

SHORTEST_PASSWORD = 4
"""Characters; what is shorter keeps nothing secret."""


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


def literal_secrets(pipeline: Pipeline) -> list[Diagnostic]:
    """Warnings of what is called like a password and is written out in the code, or in a parameter."""
    found: dict[str, Diagnostic] = {}
    for parameter in pipeline.parameters:
        if _is_secret(parameter.name, parameter.default):
            found[parameter.name] = _warning(parameter.name, "a parameter", Where())
    for step in pipeline.steps:
        for code in (*step.setup, *step.cells):
            for name, node in _called_secret(ast.parse(code.source)):
                where = Where(code.place, step.name, node.lineno)
                found.setdefault(name, _warning(name, f"step {step.name}", where))
    return list(found.values())


def _warning(name: str, place: str, where: Where) -> Diagnostic:
    message = f"{name} of {place} may be a secret, and would stand in the pipeline's file"
    fix = f"read it from the environment, as os.environ[{name.upper()!r}], and give it to the step"
    return Diagnostic(
        Code.SECRET_IN_FILE, message, f"{fix} by --secret NAME:KEY:{name.upper()}", where, "warning"
    )


def _called_secret(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The names of secrets that code gives a text, each with where."""
    for node in ast.walk(tree):
        pairs: list[tuple[str, ast.expr | None]] = []
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            pairs = [(_name_of(target), node.value) for target in targets]
        elif isinstance(node, ast.keyword):
            pairs = [(node.arg or "", node.value)]
        elif isinstance(node, ast.Dict):
            pairs = [(_name_of(key), value) for key, value in zip(node.keys, node.values, strict=True) if key]
        for name, value in pairs:
            if isinstance(value, ast.Constant) and _is_secret(name, value.value):
                yield name, value


def _name_of(node: ast.AST) -> str:
    if isinstance(node, ast.Subscript):
        node = node.slice
    found = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "value", "")
    return found if isinstance(found, str) else ""


def _is_secret(name: str, value: object) -> bool:
    return isinstance(value, str) and len(value) >= SHORTEST_PASSWORD and bool(_SECRET.search(name))


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
