"""Messages, docstrings, comments, names and documents use the terms of the field."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import kale_magics

PACKAGE = Path(kale_magics.__file__).parent
ROOT = PACKAGE.parent

DIALECT = re.compile(
    r"(?<![\w-])(?:tells?|told|telling|(?:hand|hang)(?:s|ed|ing)?(?: it| them)? on|hung on|mend(?:s|ed|ing)?|"
    r"(?:come|comes|came|coming|let|lets)(?: you)? in(?!to)|lets? go|letting go|anew|again and again|nobody|"
    r"whoever|cannot cross|cross(?:es|ed)|thr(?:ow|ows|ew|own|owing)(?: it| them)? away|"
    r"(?<!connection )refus(?:e|es|ed|ing|al|als)|"
    r"looking on|pointed out|only here|given twice|outlook|cargo|keeper|hears?|heard|"
    r"tak(?:e|es|en|ing)(?: it| them)? along)(?!\w)",
    re.IGNORECASE,
)
"""Words that the glossary of CONTRIBUTING.md has a better term for."""

ALLOWED: dict[str, str] = {}
"""Texts that may contain one, and why."""


@pytest.mark.parametrize("folder", sorted({path.parent.name for path in PACKAGE.glob("*/*.py")}))
def test_modules_use_the_terms_of_the_field(folder: str) -> None:
    found = [
        f"{path.name}: {word} in {text[:80]!r}"
        for path in sorted((PACKAGE / folder).glob("*.py"))
        for text in (path.stem, *texts(path.read_text(encoding="utf-8")))
        for word in DIALECT.findall(text)
        if text not in ALLOWED
    ]
    assert found == []


@pytest.mark.parametrize(
    "document",
    [path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))],
)
def test_documents_use_the_terms_of_the_field(document: str) -> None:
    lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
    found = [f"{number}: {word}" for number, line in enumerate(lines, 1) for word in DIALECT.findall(line)]
    assert found == []


def texts(source: str) -> Iterator[str]:
    """The texts, comments and public names of a module, names as separate words."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield re.sub(r"_|(?<=[a-z])(?=[A-Z])", " ", node.name).strip()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
