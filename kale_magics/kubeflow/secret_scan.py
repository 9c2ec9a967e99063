"""Searches what goes to a cluster for secrets: the user's credentials, and passwords in URLs and in code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass

from kale_magics.model.diagnostics import Code, Diagnostic, Where, kale_error
from kale_magics.model.pipeline import Pipeline

_WITH_PASSWORD = re.compile(r"://(?!git@)[^/\s@]+@(?P<host>[^/\s:]+)")
"""A URL with a user; the user of git's own URLs is no secret."""


_SECRET = re.compile(
    r"(?i)(^|_)(password|passwd|passphrase|pwd|secret|api_?key|access_?key|secret_?key|private_?key|auth_?token"
    r"|access_?token|api_?token|credentials?)$"
)
"""Names of secrets."""

MIN_PASSWORD = 4
"""Characters of a secret that is written in code."""


def check_passwords(words: Sequence[str]) -> None:
    """Raise an error for the URL of a package index with a password, which the file and every log would show.

    Args:
        words: Arguments of pip.

    Raises:
        KaleError: A URL has a user or a password.
    """
    for word in words:
        found = _WITH_PASSWORD.search(word)
        if found:
            message = f"the URL of packages at {found['host']} contains a user name or a password"
            fix = "put the URL into a secret: --secret NAME:KEY:PIP_INDEX_URL (or PIP_EXTRA_INDEX_URL)"
            raise kale_error(Code.SECRET_IN_FILE, message, fix)


def check_secrets(secrets: Sequence[str], place: str, content: object, where: Where | None = None) -> None:
    """Raise an error for a secret in what would go to the cluster.

    Args:
        secrets: The user's credentials.
        place: What is searched, in words.
        content: Texts, bytes, and objects that contain them.
        where: Where it is.

    Raises:
        KaleError: The content has a secret in it.
    """
    # Code may write a character of a text as an escape.
    spelled = {spelling for secret in secrets for spelling in (secret, repr(secret)[1:-1])}
    if spelled and any(secret in text for text in _texts(content) for secret in spelled):
        message = f"your token or your cookies for the server are in {place}"
        fix = "remove them, and give steps what they need with --secret NAME:KEY:VARIABLE"
        raise kale_error(Code.SECRET_IN_FILE, message, fix, where)


def literal_secrets(pipeline: Pipeline) -> list[Diagnostic]:
    """Return warnings for texts in the code or in parameters whose names say that they are secrets."""
    found: dict[str, Diagnostic] = {}
    for parameter in pipeline.parameters:
        if _is_secret(parameter.name, parameter.default):
            found[parameter.name] = _warning(parameter.name, "a parameter", Where())
    for step in pipeline.steps:
        for code in (*step.setup, *step.cells):
            for name, node in _secret_constants(ast.parse(code.source)):
                where = Where(code.place, step.name, node.lineno)
                found.setdefault(name, _warning(name, f"step {step.name}", where))
    return list(found.values())


def _warning(name: str, place: str, where: Where) -> Diagnostic:
    message = f"{name} of {place} may be a secret, and would be in the pipeline's file"
    fix = f"read it from the environment, os.environ[{name.upper()!r}], and set it for the step"
    return Diagnostic(
        Code.SECRET_IN_FILE, message, f"{fix} with --secret NAME:KEY:{name.upper()}", where, "warning"
    )


def _secret_constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names of secrets that code sets to a text, with the text's node."""
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
    return isinstance(value, str) and len(value) >= MIN_PASSWORD and bool(_SECRET.search(name))


def _texts(content: object) -> Iterator[str]:
    """Yield all texts in an object that is to be written."""
    if isinstance(content, bytes):
        yield content.decode("latin-1")
    elif isinstance(content, str):
        yield content
    elif is_dataclass(content):
        yield from (text for field in fields(content) for text in _texts(getattr(content, field.name)))
    elif isinstance(content, Mapping):
        yield from (text for pair in content.items() for item in pair for text in _texts(item))
    elif isinstance(content, (list, tuple, set, frozenset)):
        yield from (text for item in content for text in _texts(item))
