"""Tab completion for the lines of magics: kinds, options, and names of steps and parameters."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from IPython.core.completer import (
    CompletionContext,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)

from kale_magics.session.registry import Registry
from kale_magics.syntax.arguments import Option, Syntax, Values, quoted
from kale_magics.syntax.commands import KINDS, SYNONYMS

Matcher = TypeVar("Matcher", bound=Callable[..., SimpleMatcherResult])
_matcher: Callable[[Matcher], Matcher] = context_matcher()

_MAGIC = re.compile(r"\s*(?:\w+\s*=\s*)?%%?(?P<name>kale\w*)[ \t]+(?P<rest>.*)$")
_LAST_WORD = re.compile(r"""(?:[^\s"']|"[^"]*(?:"|$)|'[^']*(?:'|$))*$""")

_KINDS: dict[str, Syntax] = dict([*KINDS.items(), *((synonym, KINDS[k]) for synonym, k in SYNONYMS.items())])


class Candidates(NamedTuple):
    """The completions at the cursor.

    Attributes:
        fragment: The end of the line that a completion replaces.
        words: The completions.
    """

    fragment: str = ""
    words: tuple[str, ...] = ()


class Completion:
    """Completes the lines of the magics.

    Args:
        registry: The marked cells, with the names of steps and parameters.
        syntaxes: The syntax of each line magic, by name.
    """

    def __init__(self, registry: Registry, syntaxes: Mapping[str, Syntax]) -> None:
        self._registry = registry
        self._syntaxes = syntaxes

    @_matcher
    def match(self, context: CompletionContext) -> SimpleMatcherResult:
        """Return the completions of a line (IPython's protocol)."""
        found = self.candidates(context.text_until_cursor)
        if not found.words:
            return SimpleMatcherResult(completions=[])
        completions = [SimpleCompletion(text=word, type="magic") for word in found.words]
        return SimpleMatcherResult(completions=completions, matched_fragment=found.fragment, suppress=True)

    def candidates(self, line: str) -> Candidates:
        """Return the completions of a line.

        Args:
            line: The line up to the cursor.
        """
        match = _MAGIC.match(line)
        if match is None:
            return Candidates()
        last = _LAST_WORD.search(match["rest"])
        fragment = last.group() if last else ""
        before = match["rest"][: len(match["rest"]) - len(fragment)].split()
        if match["name"] != "kale":
            syntax = self._syntaxes.get(match["name"])
        elif before:
            syntax = _KINDS.get(before.pop(0))
        else:
            return _starting(fragment, _KINDS)
        return self._of(syntax, before, fragment) if syntax else Candidates()

    def _of(self, syntax: Syntax, before: Sequence[str], fragment: str) -> Candidates:
        name, equals, value = fragment.partition("=")
        if fragment.startswith("-") and not equals:
            return _starting(fragment, (option.name for option in syntax.options))
        option = _open_option(syntax, before)
        if fragment.startswith("--"):
            option, fragment = syntax.option(name), value
        if option and option.commas:
            fragment = fragment.rpartition(",")[2]
        words = self._values(option.values if option else syntax.values)
        if not fragment and not equals:
            words += tuple(option.name for option in syntax.options)
        return _starting(fragment, words)

    def _values(self, values: Values) -> tuple[str, ...]:
        if values == "steps":
            return tuple(map(quoted, self._registry.steps))
        return tuple(f"{name}=" for name in self._parameters()) if values == "parameters" else ()

    def _parameters(self) -> Iterator[str]:
        for cell in self._registry.cells:
            if cell.kind == "parameters":
                yield from _assigned(cell.source)


def _open_option(syntax: Syntax, before: Sequence[str]) -> Option | None:
    """Return the option whose value is at the cursor."""
    for distance, word in enumerate(reversed(before)):
        if word.startswith("-"):
            option = syntax.option(word)
            return option if option and option.metavar and (option.many or distance == 0) else None
    return None


def _starting(fragment: str, words: Iterable[str]) -> Candidates:
    start = fragment.lstrip("\"'")
    return Candidates(fragment, tuple(word for word in words if word.lstrip('"').startswith(start)))


def _assigned(source: str) -> Iterator[str]:
    try:
        tree = ast.parse(source)
    except SyntaxError:  # the next run reports it
        return
    for statement in tree.body:
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        yield from (target.id for target in targets if isinstance(target, ast.Name))
