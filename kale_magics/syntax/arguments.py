"""What stands behind a magic: words, quotes, options and comments, read by tables of what each magic takes.

Words are split as a shell does it: `"Train model 2"` is one, and a `#` before which there is a space begins a
comment. The same tables, in `commands`, make the help that `%%kale?` shows, and tell the completion what may
follow.
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

from kale_magics.model.diagnostics import Code, Where, refuse

Values = Literal["", "steps", "parameters"]

_QUOTED = r"""'[^']*'|"(?:\\.|[^"\\])*\""""
_BEFORE_COMMENT = re.compile(rf"""(?:\\.|{_QUOTED}|(?<=\S)#|[^#'"\\])*""")
_TIMES = re.compile("".join(rf"(?:(\d+(?:\.\d+)?)\s*{unit})?" for unit in ("w", "d", "h", "m(?:in)?", "s?")))
MAX_DURATION = timedelta(days=36_525)
"""A hundred years: dates can be calculated with it."""

MAX_DIGITS = 9

MAX_WIDTH = 100
"""Characters of a line of help."""

MAX_OPTION_WIDTH = 32
"""Characters of an option that leave room for its help on the same line."""

MAX_LISTED = 10
"""Options that a refusal names."""

_PROTECTED_COMMA = "\0"


@dataclass(frozen=True)
class Option:
    """An option of a magic.

    Attributes:
        name: As typed, "--after".
        help: What it does, one sentence without its full stop.
        metavar: What its value is called in the help; empty for an option that takes none.
        many: Whether it takes all words up to the next option, and may be repeated.
        commas: Whether its values may have commas between them.
        values: What the completion offers.
        optional: Whether it may stand without its value.
        spaced: Whether its value may have spaces, and is in quotes then.
        alone: How a value is refused, for an option that takes none; may be empty.
        needs: A capability that the backend of the run must have.
        otherwise: What to use on a backend that lacks it; empty for nothing.
        excludes: Options that it cannot be combined with.
        requires: Options of which one must be given too.
    """

    name: str
    help: str
    metavar: str = ""
    many: bool = False
    commas: bool = False
    values: Values = ""
    optional: bool = False
    spaced: bool = False
    alone: str = ""
    needs: str = ""
    otherwise: str = ""
    excludes: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """As it is written: "--after STEP ..."."""
        value = f"[{self.metavar}]" if self.optional else self.metavar
        return " ".join(part for part in (self.name, value, "..." * self.many) if part)


@dataclass(frozen=True)
class Syntax:
    """What a magic, or a kind of cell, takes.

    Attributes:
        magic: As typed, "%%kale step".
        example: A line that can be typed as it is.
        metavar: What its words are called in the help; empty for a magic that takes none.
        least: How many words it needs.
        most: How many words it takes; None for any number.
        values: What the completion offers for its words.
        missing: How it is refused when words are missing.
        options: In the order of the help.
        instead: Gives a fix for words that are too many; may give an empty one.
        unknown: The fixes for options that it does not have, though one would think so.
        listed: What lists its options, "%%kale"; empty for the magic itself.
        help: What a kind of cell is, one sentence without its full stop; empty for a magic, whose docstring
            says what it does.
    """

    magic: str
    example: str
    metavar: str = ""
    least: int = 0
    most: int | None = 0
    values: Values = ""
    missing: Code = Code.BAD_ARGUMENTS
    options: tuple[Option, ...] = ()
    instead: Callable[[Sequence[str]], str] | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)
    listed: str = ""
    help: str = ""

    @property
    def usage(self) -> str:
        """The line that says all it takes."""
        word = self.metavar if self.least else f"[{self.metavar}]" if self.metavar else ""
        return " ".join(part for part in (self.magic, word, *(f"[{o.usage}]" for o in self.options)) if part)

    def option(self, name: str) -> Option | None:
        """The option of that name, if it takes it."""
        return next((option for option in self.options if option.name == name), None)


@dataclass(frozen=True)
class Arguments:
    """What was typed behind a magic.

    Attributes:
        words: Without the options.
        options: The values of each option that was given; an option without a value has none.
    """

    words: tuple[str, ...]
    options: Mapping[str, tuple[str, ...]]


def parse(syntax: Syntax, text: str, where: Where | None = None) -> Arguments:
    """Read what stands behind a magic.

    Args:
        syntax: What the magic takes.
        text: All that follows its name.
        where: Where it stands, for the refusal.

    Raises:
        KaleError: An unknown option, a value or a word too many or too few, or an open quote.
    """
    return parse_words(syntax, split(text, where), where)


def parse_duration(text: str, where: Where | None = None) -> timedelta:
    """A length of time as it is typed: "90s", "10m", "1h30m", "7d", "2w"; a plain number is seconds.

    Raises:
        KaleError: It is none, or longer than `MAX_DURATION`.
    """
    parts = _TIMES.fullmatch(text)
    if parts is None or not text:
        message, fix = f"{text!r} is no length of time", "write it as in 90s, 10m, 1h30m, 7d or 2w"
        raise refuse(Code.BAD_ARGUMENTS, message, fix, where)
    weeks, days, hours, minutes, seconds = (float(part or 0) for part in parts.groups())
    total = 604_800 * weeks + 86_400 * days + 3_600 * hours + 60 * minutes + seconds
    if total > MAX_DURATION.total_seconds():  # an infinite one too
        message = f"{text!r} is more than 100 years"
        raise refuse(Code.BAD_ARGUMENTS, message, "give a shorter time, or leave the option out", where)
    return timedelta(seconds=total)


def whole_number(text: str) -> int | None:
    """Read a whole number as it is typed; None for any other text, and for more than nine digits."""
    return int(text) if text.isdecimal() and len(text) <= MAX_DIGITS else None


def length(time: timedelta) -> str:
    """A length of time as `duration` reads it, in whole seconds: "1h30m"."""
    rest = int(time.total_seconds())
    parts = []
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, seconds)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


def has_words(text: str) -> bool:
    """Whether there is anything but a comment."""
    return bool(without_comment(text).strip())


def quoted(word: str) -> str:
    """A word as it has to be typed: in quotes if it needs them."""
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
    """A usage in lines that are not too wide, none of which ends within brackets."""
    solid = re.sub(r"\[(?:[^\[\]]|\[[^\]]*\])*\]", lambda match: match.group().replace(" ", "\0"), text)
    lines = textwrap.wrap(
        solid, MAX_WIDTH, initial_indent="    ", subsequent_indent="        ", break_on_hyphens=False
    )
    return [line.replace("\0", " ") for line in lines]


def near(word: str, known: Iterable[str]) -> str | None:
    """The one that was probably meant."""
    matches = difflib.get_close_matches(word, tuple(known), n=1)
    return matches[0] if matches else None


def without_comment(text: str) -> str:
    """What stands before a comment."""
    match = _BEFORE_COMMENT.match(text)
    end = match.end() if match else 0
    # Where the pattern stops at an open quote, all of the text is kept, and shlex complains.
    return text[:end] if text[end : end + 1] == "#" else text


def split(text: str, where: Where | None) -> list[str]:
    """The words of a text, as a shell has them, without its comment.

    Raises:
        KaleError: An open quote.
    """
    text = without_comment(text)
    text = re.sub(_QUOTED, lambda match: match.group().replace(",", _PROTECTED_COMMA), text)
    try:
        return shlex.split(text)
    except ValueError as error:
        raise refuse(
            Code.BAD_ARGUMENTS,
            f"the arguments cannot be split into words: {str(error).lower()}",
            'close what is open; a name with spaces stands in quotes, as in "Train model 2"',
            where,
        ) from error


def parse_words(syntax: Syntax, words: Sequence[str], where: Where | None) -> Arguments:
    """As `parse`, for what is split into words."""
    others: list[int] = []
    options: dict[str, tuple[str, ...]] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            others.append(len(words) - len(rest) - 1)
            continue
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        option = syntax.option(name)
        if option is None:
            raise _unknown_option(syntax, name, where)
        values = [value] if equals else _take(option, rest)
        if option.name in options and not option.many and option.metavar:
            message = f"{option.name} is given twice"
            raise refuse(Code.BAD_ARGUMENTS, message, "leave one of them out", where)
        options[name] = (*options.get(name, ()), *_values(option, values, bool(equals), where))
    if len(others) < syntax.least:
        raise too_few(syntax, where)
    if syntax.most is not None and len(others) > syntax.most:
        raise _too_many(syntax, others, words, where)
    _check_combination(syntax, options, where)
    return Arguments(tuple(unprotected(words[place]) for place in others), options)


def _check_combination(syntax: Syntax, options: Mapping[str, tuple[str, ...]], where: Where | None) -> None:
    given = [option for option in syntax.options if option.name in options]
    for option in given:
        others = [name for name in option.excludes if name in options]
        if others:
            message = f"{option.name} and {others[0]} cannot be combined"
            raise refuse(Code.BAD_ARGUMENTS, message, "leave one of them out", where)
    for option in given:
        if option.requires and not any(name in options for name in option.requires):
            names = [other.name for other in given if other.requires == option.requires]
            message = f"{' and '.join(names)} need{'s' * (len(names) == 1)} {' or '.join(option.requires)}"
            raise refuse(Code.BAD_ARGUMENTS, message, "add one of these, or leave it out", where)


def check_capabilities(
    syntax: Syntax,
    options: Mapping[str, tuple[str, ...]],
    capabilities: Collection[str],
    place: str,
    elsewhere: str,
    where: Where | None,
) -> None:
    """Check that a backend can do what options need.

    Args:
        syntax: The magic.
        options: Those that were given.
        capabilities: The backend's.
        place: Where its runs are, "on this machine".
        elsewhere: How to run on another one.
        where: Where the options stand, for the diagnostic.

    Raises:
        KaleError: It cannot.
    """
    for option in syntax.options:
        if option.name in options and option.needs and option.needs not in capabilities:
            fix = f"use {option.otherwise}" if option.otherwise else "leave it out"
            message = f"{option.name} is not available for runs {place}"
            raise refuse(Code.BAD_ARGUMENTS, message, f"{fix}, or {elsewhere}", where)


def _take(option: Option, rest: list[str]) -> list[str]:
    """Take the words that belong to an option off the front of the rest."""
    most = 0 if not option.metavar else len(rest) if option.many else 1
    count = next((n for n, word in enumerate(rest[:most]) if word.startswith("-")), min(most, len(rest)))
    taken, rest[:] = rest[:count], rest[count:]
    return taken


def _values(option: Option, words: Sequence[str], equals: bool, where: Where | None) -> tuple[str, ...]:
    if not option.metavar:
        if equals:
            raise _takes_no_value(option, where)
        return ()
    parts = [part for word in words for part in (word.split(",") if option.commas else [word])]
    values = tuple(unprotected(part) for part in parts if part)
    if not values and not option.optional:
        raise refuse(
            Code.BAD_ARGUMENTS,
            f"{option.name} has no value",
            f"write it as {option.usage}, or leave it out",
            where,
        )
    return values


def unprotected(word: str) -> str:
    """A word of `split` as it was typed."""
    return word.replace(_PROTECTED_COMMA, ",")


def _unknown_option(syntax: Syntax, name: str, where: Where | None) -> Exception:
    known = [option.name for option in syntax.options]
    guess = near(name, known)
    takes = f"it takes {', '.join(known) or 'no options'}"
    if len(known) > MAX_LISTED:
        takes = f"{syntax.listed or syntax.magic.partition(' ')[0]}? lists those that it has"
    fix = syntax.unknown.get(name) or (f"did you mean {guess}?" if guess else takes)
    return refuse(Code.UNKNOWN_OPTION, f"{syntax.magic} has no option {name}", fix, where)


def too_few(syntax: Syntax, where: Where | None) -> Exception:
    """The refusal of a magic that has too few words."""
    what = "a name" if syntax.missing is Code.STEP_WITHOUT_NAME else syntax.metavar
    return refuse(syntax.missing, f"{syntax.magic} needs {what}", f"write it as in {syntax.example}", where)


def _takes_no_value(option: Option, where: Where | None) -> Exception:
    message, fix = f"{option.name} takes no value", option.alone or f"write {option.name} alone"
    return refuse(Code.BAD_ARGUMENTS, message, fix, where)


def _too_many(
    syntax: Syntax, places: Sequence[int], typed_words: Sequence[str], where: Where | None
) -> Exception:
    words = [typed_words[place] for place in places]
    takes = f"one {syntax.metavar}" if syntax.most else "no words"
    message = f"{syntax.magic} takes {takes}, not {', '.join(repr(unprotected(word)) for word in words)}"
    fix = f"put it in quotes: {syntax.magic} {quoted(' '.join(words))}" if syntax.most else "leave them out"
    option, behind, extra = _cut_short(syntax, typed_words, places[syntax.most or 0])
    if syntax.instead and (instead := syntax.instead(words)):
        fix = instead
    elif option and not option.metavar and not behind:
        return _takes_no_value(option, where)
    elif option and option.spaced:
        message = f"the value of {option.name} has spaces"
        fix = f"put it in quotes: {option.name} {shlex.quote(unprotected(' '.join([*behind, *extra])))}"
    elif option and option.metavar:
        left_out = unprotected(" ".join(extra))
        fix = f"{option.name} takes one word: leave out {left_out}, or put it in quotes with {behind[0]}"
    return refuse(Code.BAD_ARGUMENTS, message, fix, where)


def _cut_short(
    syntax: Syntax, words: Sequence[str], extra: int
) -> tuple[Option | None, Sequence[str], Sequence[str]]:
    """The option before a word too many, the words between them, and that word with those that follow."""
    start = next((place for place in range(extra, -1, -1) if words[place].startswith("-")), None)
    if start is None:
        return None, (), ()
    end = next((place for place in range(extra, len(words)) if words[place].startswith("-")), len(words))
    return syntax.option(words[start]), words[start + 1 : extra], words[extra:end]
