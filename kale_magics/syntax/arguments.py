"""Parse the arguments of magics: words, quotes, options and comments, by tables of what each magic accepts.

Words are split as in a shell: `"Train model 2"` is one word, and a `#` after a space starts a comment. The
same tables, in `commands`, provide the help of `%%kale?` and the completions.
"""

from __future__ import annotations

import difflib
import re
import shlex
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from kale_magics.model.diagnostics import Code, Where, kale_error

Values = Literal["", "steps", "parameters"]

_QUOTED = r"""'[^']*'|"(?:\\.|[^"\\])*\""""
_BEFORE_COMMENT = re.compile(rf"""(?:\\.|{_QUOTED}|(?<=\S)#|[^#'"\\])*""")
_TIMES = re.compile(
    "".join(rf"(?:(\d+(?:\.\d+)?)\s*{unit})?" for unit in ("w", "d", "h", "m(?:in)?", "s"))
    + r"|(\d+(?:\.\d+)?)"
)
MAX_DURATION = timedelta(days=36_525)
"""A hundred years, so that date arithmetic does not overflow."""

MAX_DIGITS = 9

MAX_WIDTH = 100
"""Characters of a line of help."""

MAX_OPTION_WIDTH = 32
"""Characters of an option whose help is on the same line."""

MAX_LISTED = 10
"""Options that an error lists."""

_PROTECTED_COMMA = "\0"


@dataclass(frozen=True)
class Option:
    """An option of a magic.

    Attributes:
        name: As typed, "--after".
        help: What it does, one sentence without its full stop.
        metavar: The name of its value in the help; empty for a flag.
        many: Whether it takes all words up to the next option, and may be repeated.
        commas: Whether commas may separate its values.
        values: What the completion offers.
        optional: Whether its value is optional.
        spaced: Whether its value may contain spaces, and then needs quotes.
        flag_fix: For a flag, the fix if it gets a value; may be empty.
        needs: A capability that the backend of the run must have.
        otherwise: The alternative on a backend that lacks it; may be empty.
        excludes: Options that it cannot be combined with.
        requires: Options of which one must be present too.
    """

    name: str
    help: str
    metavar: str = ""
    many: bool = False
    commas: bool = False
    values: Values = ""
    optional: bool = False
    spaced: bool = False
    flag_fix: str = ""
    needs: str = ""
    otherwise: str = ""
    excludes: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """The option in a usage line: "--after STEP ..."."""
        value = f"[{self.metavar}]" if self.optional else self.metavar
        return " ".join(part for part in (self.name, value, "..." * self.many) if part)


@dataclass(frozen=True)
class Syntax:
    """The arguments that a magic, or a kind of cell, accepts.

    Attributes:
        magic: As typed, "%%kale step".
        example: A complete line.
        metavar: The name of its words in the help; empty for a magic without words.
        min_words: How many words it needs.
        max_words: How many words it accepts; None for any number.
        values: What the completion offers for its words.
        missing: The code of the error for missing words.
        options: In the order of the help.
        suggest: Returns a fix for excess words; may be empty.
        unknown_fixes: The fixes for some plausible options that do not exist.
        help_magic: The magic whose help lists its options, "%%kale"; empty for the magic itself.
        help: What a kind of cell is, one sentence without its full stop; empty for a magic, which has a
            docstring.
    """

    magic: str
    example: str
    metavar: str = ""
    min_words: int = 0
    max_words: int | None = 0
    values: Values = ""
    missing: Code = Code.BAD_ARGUMENTS
    options: tuple[Option, ...] = ()
    suggest: Callable[[Sequence[str]], str] | None = None
    unknown_fixes: Mapping[str, str] = field(default_factory=dict)
    help_magic: str = ""
    help: str = ""

    @property
    def usage(self) -> str:
        """The usage line."""
        word = self.metavar if self.min_words else f"[{self.metavar}]" if self.metavar else ""
        return " ".join(part for part in (self.magic, word, *(f"[{o.usage}]" for o in self.options)) if part)

    def option(self, name: str) -> Option | None:
        """Return the option of a name; None if there is none."""
        return next((option for option in self.options if option.name == name), None)


@dataclass(frozen=True)
class Arguments:
    """The parsed arguments of a magic.

    Attributes:
        words: The positional arguments.
        options: The values of each option that is present; empty for a flag.
    """

    words: tuple[str, ...]
    options: Mapping[str, tuple[str, ...]]


def parse(syntax: Syntax, text: str, where: Where | None = None) -> Arguments:
    """Parse the arguments of a magic.

    Args:
        syntax: The arguments that the magic accepts.
        text: The rest of the line after its name.
        where: The place of the line, for errors.

    Raises:
        KaleError: An unknown option, an excess or missing word or value, or an open quote.
    """
    return parse_words(syntax, split(text, where), where)


def parse_duration(text: str, where: Where | None = None) -> timedelta:
    """Parse a duration: "90s", "10m", "1h30m", "7d", "2w"; a plain number is in seconds.

    Raises:
        KaleError: It is not a duration, or longer than `MAX_DURATION`.
    """
    parts = _TIMES.fullmatch(text)
    if parts is None or not text:
        message, fix = f"{text!r} is not a duration", "write it as in 90s, 10m, 1h30m, 7d or 2w"
        raise kale_error(Code.BAD_ARGUMENTS, message, fix, where)
    weeks, days, hours, minutes, seconds, plain = (float(part or 0) for part in parts.groups())
    total = 604_800 * weeks + 86_400 * days + 3_600 * hours + 60 * minutes + seconds + plain
    if total > MAX_DURATION.total_seconds():  # also if it is infinite
        message = f"{text!r} is more than 100 years"
        raise kale_error(Code.BAD_ARGUMENTS, message, "use a shorter duration, or remove the option", where)
    return timedelta(seconds=total)


def whole_number(text: str) -> int | None:
    """Parse a whole number; None for any other text, and for more than nine digits."""
    return int(text) if text.isdecimal() and len(text) <= MAX_DIGITS else None


def length(time: timedelta) -> str:
    """Format a duration as `parse_duration` reads it, in whole seconds: "1h30m"."""
    rest = int(time.total_seconds())
    parts = []
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, seconds)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


def has_words(text: str) -> bool:
    """Whether a text contains anything but a comment."""
    return bool(without_comment(text).strip())


def quoted(word: str) -> str:
    """Return a word in quotes if it needs them."""
    if word and not re.search(r"""[\s"'\\,#]""", word):
        return word
    return '"' + re.sub(r'(["\\])', r"\\\1", word) + '"'


def usage(syntaxes: Iterable[Syntax]) -> str:
    """Return the help: how each is written, what it is, what its options do, an example."""
    syntaxes = tuple(syntaxes)
    options = {option.usage: option.help for syntax in syntaxes for option in syntax.options}
    width = max((len(name) for name in options if len(name) <= MAX_OPTION_WIDTH), default=0)
    parts = [[line for syntax in syntaxes for line in _wrapped(syntax.usage)]]
    kinds = {syntax.magic: syntax.help for syntax in syntaxes if syntax.help}
    parts += [[_row(magic, text, max(map(len, kinds))) for magic, text in kinds.items()]] if kinds else []
    parts += [[_row(name, text, width) for name, text in options.items()]] if options else []
    examples = [syntax.example for syntax in syntaxes if syntax.example != syntax.usage]
    parts += [["Example:", *(f"    {example}" for example in examples or [syntaxes[0].example])]]
    return "\n\n".join("\n".join(lines) for lines in parts)


def _row(name: str, text: str, width: int) -> str:
    if len(name) > width:
        return f"{name}\n{' ' * width}  {text}"
    return f"{name.ljust(width)}  {text}"


def _wrapped(text: str) -> list[str]:
    """Wrap a usage line, but not within brackets."""
    solid = re.sub(r"\[(?:[^\[\]]|\[[^\]]*\])*\]", lambda match: match.group().replace(" ", "\0"), text)
    lines = textwrap.wrap(
        solid, MAX_WIDTH, initial_indent="    ", subsequent_indent="        ", break_on_hyphens=False
    )
    return [line.replace("\0", " ") for line in lines]


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is closest to a word; None if none is similar."""
    matches = difflib.get_close_matches(word, tuple(known), n=1)
    return matches[0] if matches else None


def without_comment(text: str) -> str:
    """Return the text before a comment."""
    match = _BEFORE_COMMENT.match(text)
    end = match.end() if match else 0
    # If the pattern stops at an open quote, keep all of the text: shlex reports the quote.
    return text[:end] if text[end : end + 1] == "#" else text


def split(text: str, where: Where | None) -> list[str]:
    """Split a text into words as a shell does, without its comment.

    Raises:
        KaleError: An open quote.
    """
    text = without_comment(text)
    text = re.sub(_QUOTED, lambda match: match.group().replace(",", _PROTECTED_COMMA), text)
    try:
        return shlex.split(text)
    except ValueError as error:
        raise kale_error(
            Code.BAD_ARGUMENTS,
            f"the arguments cannot be split into words: {str(error).lower()}",
            'close the quote, as in "Train model 2"',
            where,
        ) from error


def parse_words(syntax: Syntax, words: Sequence[str], where: Where | None) -> Arguments:
    """Parse arguments that are split into words; see `parse`."""
    others: list[int] = []
    options: dict[str, tuple[str, ...]] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not _is_option(word):
            others.append(len(words) - len(rest) - 1)
            continue
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        option = syntax.option(name)
        if option is None:
            raise _unknown_option(syntax, name, where)
        values = [value] if equals else _take_values(option, rest)
        if option.name in options and not option.many and option.metavar:
            message = f"duplicate option {option.name}"
            raise kale_error(Code.BAD_ARGUMENTS, message, "remove one of them", where)
        options[name] = (*options.get(name, ()), *_values(option, values, bool(equals), where))
    if len(others) < syntax.min_words:
        raise too_few(syntax, where)
    if syntax.max_words is not None and len(others) > syntax.max_words:
        raise _too_many(syntax, others, words, where)
    _check_combination(syntax, options, where)
    return Arguments(tuple(unprotected(words[place]) for place in others), options)


def _check_combination(syntax: Syntax, options: Mapping[str, tuple[str, ...]], where: Where | None) -> None:
    given = [option for option in syntax.options if option.name in options]
    for option in given:
        others = [name for name in option.excludes if name in options]
        if others:
            message = f"{option.name} and {others[0]} cannot be combined"
            raise kale_error(Code.BAD_ARGUMENTS, message, "remove one of them", where)
    for option in given:
        if option.requires and not any(name in options for name in option.requires):
            names = [other.name for other in given if other.requires == option.requires]
            message = f"{' and '.join(names)} need{'s' * (len(names) == 1)} {' or '.join(option.requires)}"
            raise kale_error(Code.BAD_ARGUMENTS, message, "add one of these, or remove it", where)


def check_capabilities(
    syntax: Syntax,
    options: Mapping[str, tuple[str, ...]],
    capabilities: Collection[str],
    place: str,
    elsewhere: str,
    where: Where | None,
) -> None:
    """Check that a backend supports some options.

    Args:
        syntax: The magic.
        options: The options that are present.
        capabilities: The capabilities of the backend.
        place: Where the backend runs steps, "on this machine".
        elsewhere: How to use another backend.
        where: The place of the line, for errors.

    Raises:
        KaleError: It lacks a capability that an option needs.
    """
    for option in syntax.options:
        if option.name in options and option.needs and option.needs not in capabilities:
            fix = f"use {option.otherwise}" if option.otherwise else "remove it"
            message = f"{option.name} is not available for runs {place}"
            raise kale_error(Code.BAD_ARGUMENTS, message, f"{fix}, or {elsewhere}", where)


def _take_values(option: Option, rest: list[str]) -> list[str]:
    """Remove the values of an option from the front of the rest, and return them."""
    limit = 0 if not option.metavar else len(rest) if option.many else 1
    count = next((n for n, word in enumerate(rest[:limit]) if _is_option(word)), min(limit, len(rest)))
    taken, rest[:] = rest[:count], rest[count:]
    return taken


def _is_option(word: str) -> bool:
    """Whether a word is an option, and not a negative number."""
    return word.startswith("-") and not re.match(r"-[\d.]", word)


def _values(option: Option, words: Sequence[str], equals: bool, where: Where | None) -> tuple[str, ...]:
    if not option.metavar:
        if equals:
            raise _takes_no_value(option, where)
        return ()
    parts = [part for word in words for part in (word.split(",") if option.commas else [word])]
    values = tuple(unprotected(part) for part in parts if part)
    if not values and not option.optional:
        raise kale_error(
            Code.BAD_ARGUMENTS,
            f"{option.name} needs a value",
            f"write it as {option.usage}, or remove it",
            where,
        )
    return values


def unprotected(word: str) -> str:
    """Return a word of `split` as it was typed."""
    return word.replace(_PROTECTED_COMMA, ",")


def _unknown_option(syntax: Syntax, name: str, where: Where | None) -> Exception:
    known = [option.name for option in syntax.options]
    guess = closest(name, known)
    options = f"its options are {', '.join(known)}" if known else "remove it: there are no options"
    if len(known) > MAX_LISTED:
        options = f"{syntax.help_magic or syntax.magic.partition(' ')[0]}? lists its options"
    fix = syntax.unknown_fixes.get(name) or (f"did you mean {guess}?" if guess else options)
    return kale_error(Code.UNKNOWN_OPTION, f"{syntax.magic} has no option {name}", fix, where)


def too_few(syntax: Syntax, where: Where | None) -> Exception:
    """Return the error for a magic with too few words."""
    what = "a name" if syntax.missing is Code.STEP_WITHOUT_NAME else syntax.metavar
    return kale_error(
        syntax.missing, f"{syntax.magic} needs {what}", f"write it as in {syntax.example}", where
    )


def _takes_no_value(option: Option, where: Where | None) -> Exception:
    message, fix = f"{option.name} takes no value", option.flag_fix or f"write {option.name} without a value"
    return kale_error(Code.BAD_ARGUMENTS, message, fix, where)


def _too_many(
    syntax: Syntax, places: Sequence[int], typed_words: Sequence[str], where: Where | None
) -> Exception:
    words = [typed_words[place] for place in places]
    takes = f"one {syntax.metavar}" if syntax.max_words else "no arguments"
    message = f"{syntax.magic} takes {takes}, not {', '.join(repr(unprotected(word)) for word in words)}"
    fix = f"put it in quotes: {syntax.magic} {quoted(' '.join(words))}" if syntax.max_words else "remove them"
    option, behind, extra = _cut_short(syntax, typed_words, places[syntax.max_words or 0])
    if syntax.suggest and (suggested := syntax.suggest(words)):
        fix = suggested
    elif option and not option.metavar and not behind:
        return _takes_no_value(option, where)
    elif option and option.spaced:
        message = f"the value of {option.name} has spaces"
        fix = f"put it in quotes: {option.name} {shlex.quote(unprotected(' '.join([*behind, *extra])))}"
    elif option and option.metavar:
        excess = unprotected(" ".join(extra))
        fix = f"{option.name} takes one word: remove {excess}, or put it in quotes with {behind[0]}"
    return kale_error(Code.BAD_ARGUMENTS, message, fix, where)


def _cut_short(
    syntax: Syntax, words: Sequence[str], extra: int
) -> tuple[Option | None, Sequence[str], Sequence[str]]:
    """Return the option before an excess word, the words between them, and that word with those after it."""
    start = next((place for place in range(extra, -1, -1) if words[place].startswith("-")), None)
    if start is None:
        return None, (), ()
    end = next((place for place in range(extra, len(words)) if words[place].startswith("-")), len(words))
    return syntax.option(words[start]), words[start + 1 : extra], words[extra:end]
