"""What stands behind a magic: words, quotes, options and comments, read by tables of what each magic takes.

Words are split as a shell does it: `"Train model 2"` is one, and a `#` before which there is a space begins a
comment. The same tables make the help that `%%kale?` shows, and tell the completion what may follow.
"""

from __future__ import annotations

import difflib
import re
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from kale_magics.diagnostics import Code, Where, refuse
from kale_magics.pipeline import Attempts
from kale_magics.registry import Kind

Values = Literal["", "steps", "parameters"]

_QUOTED = r"""'[^']*'|"(?:\\.|[^"\\])*\""""
_BEFORE_COMMENT = re.compile(rf"""(?:\\.|{_QUOTED}|(?<=\S)#|[^#'"\\])*""")
_TIMES = re.compile("".join(rf"(?:(\d+(?:\.\d+)?)\s*{unit})?" for unit in ("w", "d", "h", "m(?:in)?", "s?")))
WIDEST = 100
"""Characters of a line of help."""

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
    """

    name: str
    help: str
    metavar: str = ""
    many: bool = False
    commas: bool = False
    values: Values = ""

    @property
    def usage(self) -> str:
        """As it is written: "--after STEP ..."."""
        return " ".join(part for part in (self.name, self.metavar, "..." * self.many) if part)


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
    """

    magic: str
    example: str
    metavar: str = ""
    least: int = 0
    most: int | None = 0
    values: Values = ""
    missing: Code = Code.BAD_ARGUMENTS
    options: tuple[Option, ...] = ()

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


@dataclass(frozen=True)
class Mark:
    """What the first line of a marked cell says; see `registry.Cell`."""

    kind: Kind
    name: str = ""
    after: tuple[str, ...] = ()
    run: bool = True
    reads: tuple[str, ...] = ()
    attempts: Attempts | None = None
    cache: bool = True


_AFTER = Option(
    "--after", "wait for these steps too, though nothing is taken from them",
    "STEP", many=True, commas=True, values="steps",
)  # fmt: skip
_NO_RUN = Option("--no-run", "mark the cell without running it now, for a step that takes hours")
_READS = Option(
    "--reads", "these variables are only read here, whatever %kale takes for a change of them",
    "NAME", many=True, commas=True,
)  # fmt: skip

_RETRIES = Option("--retries", "try the step again when it has failed, at most so often", "N")
_RETRY_DELAY = Option("--retry-delay", "wait so long before it is tried again", "TIME")
_NO_CACHE = Option("--no-cache", "run the step each time, also when nothing has changed that it uses")
_TIMEOUT = Option("--timeout", "end an attempt that takes longer: it has failed then", "TIME")

KINDS: dict[Kind, Syntax] = {
    "imports": Syntax("%%kale imports", "%%kale imports"),
    "functions": Syntax("%%kale functions", "%%kale functions"),
    "parameters": Syntax("%%kale parameters", "%%kale parameters"),
    "step": Syntax(
        "%%kale step", "%%kale step train --after prepare", "NAME", 1, 1, "steps", Code.STEP_WITHOUT_NAME,
        (_AFTER, _NO_RUN, _READS, _RETRIES, _RETRY_DELAY, _TIMEOUT, _NO_CACHE),
    ),
    "metrics": Syntax("%%kale metrics", "%%kale metrics"),
    "skip": Syntax("%%kale skip", "%%kale skip"),
}  # fmt: skip

SYNONYMS: dict[str, Kind] = {"pipeline-parameters": "parameters", "pipeline-metrics": "metrics"}

KALE = Syntax("%kale", "%kale")
GRAPH = Syntax("%kale_graph", "%kale_graph")
RUN = Syntax(
    "%kale_run", "run = %kale_run -p epochs=5 -p 'layers=[64, 32]' --name \"five epochs\"",
    options=(
        Option("-p", "give a parameter another value", "NAME=VALUE", many=True, values="parameters"),
        Option("--name", "call the run so", "NAME"),
        Option(
            "--until", "run only these steps, and those that they need",
            "STEP", many=True, commas=True, values="steps",
        ),
        Option(
            "--only", "run only these steps; what they take comes from the last run that has it",
            "STEP", many=True, commas=True, values="steps",
        ),
        Option("--resume", "go on from where the last run failed, with its parameters and today's cells"),
        Option("--no-cache", "run every step, also those of which nothing has changed"),
        Option("--background", "return at once; what the run prints goes on below this cell"),
    ),
)  # fmt: skip
COMPILE = Syntax("%kale_compile", "%kale_compile pipeline.yaml", "FILE.yaml", 1, 1)
RUNS = Syntax("%kale_runs", "%kale_runs")
LOGS = Syntax(
    "%kale_logs", "%kale_logs train", "STEP", 1, 1, "steps",
    options=(Option("--run", "of this run, by its id as %kale_runs shows it; else of the last one", "ID"),),
)  # fmt: skip
CLEAN = Syntax(
    "%kale_clean", "%kale_clean --older-than 7d --keep 10",
    options=(
        Option("--older-than", "only runs that began longer ago: 30m, 12h, 7d, 2w", "TIME"),
        Option("--keep", "leave this many of the newest", "N"),
    ),
)  # fmt: skip
RESET = Syntax("%kale_reset", "%kale_reset train evaluate", "STEP or KIND ...", 0, None, "steps")


def parse(syntax: Syntax, text: str, where: Where | None = None) -> Arguments:
    """Read what stands behind a magic.

    Args:
        syntax: What the magic takes.
        text: All that follows its name.
        where: Where it stands, for the refusal.

    Raises:
        KaleError: An unknown option, a value or a word too many or too few, or an open quote.
    """
    return _parse_words(syntax, _split(text, where), where)


def parse_mark(text: str, where: Where | None = None) -> Mark:
    """Read what stands behind the `%%kale` that marks a cell.

    Args:
        text: The kind, and what it takes.
        where: Where it stands, for the refusal.

    Raises:
        KaleError: No or an unknown kind, a step without a name, or as `parse`.
    """
    words = _split(text, where)
    kind = _kind(words, where)
    arguments = _parse_words(KINDS[kind], words[1:], where)
    if kind == "step" and not arguments.words[0].strip():
        raise _too_few(KINDS[kind], where)
    return Mark(
        kind,
        arguments.words[0] if arguments.words else "",
        tuple(dict.fromkeys(arguments.options.get("--after", ()))),
        "--no-run" not in arguments.options,
        tuple(dict.fromkeys(arguments.options.get("--reads", ()))),
        _attempts(arguments.options, where),
        _NO_CACHE.name not in arguments.options,
    )


def _attempts(options: Mapping[str, tuple[str, ...]], where: Where | None) -> Attempts | None:
    retries, delay, timeout = (options.get(o.name, ()) for o in (_RETRIES, _RETRY_DELAY, _TIMEOUT))
    if retries and not retries[0].isdecimal():
        message = f"{retries[0]!r} is no number of times"
        raise refuse(Code.BAD_ARGUMENTS, message, "write it as in --retries 3", where)
    if not (retries or delay or timeout):
        return None
    return Attempts(
        int(retries[0]) if retries else 0,
        duration(delay[0], where).total_seconds() if delay else 0.0,
        duration(timeout[0], where).total_seconds() if timeout else None,
    )


def duration(text: str, where: Where | None = None) -> timedelta:
    """A length of time as it is typed: "90s", "10m", "1h30m", "7d", "2w"; a plain number is seconds.

    Raises:
        KaleError: It is none.
    """
    parts = _TIMES.fullmatch(text)
    if parts is None or not text:
        message, fix = f"{text!r} is no length of time", "write it as in 90s, 10m, 1h30m, 7d or 2w"
        raise refuse(Code.BAD_ARGUMENTS, message, fix, where)
    weeks, days, hours, minutes, seconds = (float(part or 0) for part in parts.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)


def has_words(text: str) -> bool:
    """Whether there is anything but a comment."""
    return bool(_without_comment(text).strip())


def quoted(word: str) -> str:
    """A word as it has to be typed: in quotes if it needs them."""
    if word and not re.search(r"""[\s"'\\,#]""", word):
        return word
    return '"' + re.sub(r'(["\\])', r"\\\1", word) + '"'


def usage(syntaxes: Iterable[Syntax]) -> str:
    """Help for people: how each is written, what its options do, an example."""
    syntaxes = tuple(syntaxes)
    options = {option.usage: option.help for syntax in syntaxes for option in syntax.options}
    width = max(map(len, options), default=0)
    parts = [[line for syntax in syntaxes for line in _wrapped(syntax.usage)]]
    parts += [[f"{name.ljust(width)}  {text}" for name, text in options.items()]] if options else []
    examples = [syntax.example for syntax in syntaxes if syntax.example != syntax.usage]
    parts += [["Example:", *(f"    {example}" for example in examples or [syntaxes[0].example])]]
    return "\n\n".join("\n".join(lines) for lines in parts)


def _wrapped(text: str) -> list[str]:
    """A usage in lines that are not too wide, none of which ends within brackets."""
    solid = re.sub(r"\[[^\]]*\]", lambda match: match.group().replace(" ", "\0"), text)
    lines = textwrap.wrap(
        solid, WIDEST, initial_indent="    ", subsequent_indent="        ", break_on_hyphens=False
    )
    return [line.replace("\0", " ") for line in lines]


def near(word: str, known: Iterable[str]) -> str | None:
    """The one that was probably meant."""
    matches = difflib.get_close_matches(word, tuple(known), n=1)
    return matches[0] if matches else None


def _without_comment(text: str) -> str:
    match = _BEFORE_COMMENT.match(text)
    end = match.end() if match else 0
    # Where the pattern stops at an open quote, all of the text is kept, and shlex complains.
    return text[:end] if text[end : end + 1] == "#" else text


def _split(text: str, where: Where | None) -> list[str]:
    text = _without_comment(text)
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


def _kind(words: Sequence[str], where: Where | None) -> Kind:
    forms = ", ".join(syntax.usage.removeprefix("%%kale ").partition(" [")[0] for syntax in KINDS.values())
    if not words:
        raise refuse(Code.UNKNOWN_KIND, "%%kale does not say which kind of cell", f"add one: {forms}", where)
    for kind in KINDS:
        if words[0] in (kind, *(synonym for synonym, meant in SYNONYMS.items() if meant == kind)):
            return kind
    guess = _without_tags(words) or near(words[0].partition(":")[0].lower(), (*KINDS, *SYNONYMS))
    fix = f"did you mean %%kale {guess}?" if guess else f"write one of: {forms}"
    raise refuse(Code.UNKNOWN_KIND, f"there is no kind of cell {words[0]!r}", fix, where)


def _without_tags(words: Sequence[str]) -> str:
    """What Kale's own tags, `step:train prev:load`, are behind `%%kale`; empty if there are none."""
    if not any(word.startswith(("step:", "prev:")) for word in words):
        return ""
    after = [word.removeprefix("prev:") for word in words if word.startswith("prev:")]
    others = [word.removeprefix("step:") for word in words if not word.startswith("prev:") and word != "step"]
    parts = ["step", *(filter(None, others) if any(others) else ["NAME"]), *["--after"][: len(after)], *after]
    return " ".join(quoted(_plain(part)) for part in parts)


def _parse_words(syntax: Syntax, words: Sequence[str], where: Where | None) -> Arguments:
    plain: list[str] = []
    options: dict[str, tuple[str, ...]] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            plain.append(word)
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
    if len(plain) < syntax.least:
        raise _too_few(syntax, where)
    if syntax.most is not None and len(plain) > syntax.most:
        raise _too_many(syntax, plain, words, where)
    return Arguments(tuple(map(_plain, plain)), options)


def _take(option: Option, rest: list[str]) -> list[str]:
    """Take the words that belong to an option off the front of the rest."""
    most = 0 if not option.metavar else len(rest) if option.many else 1
    count = next((n for n, word in enumerate(rest[:most]) if word.startswith("-")), min(most, len(rest)))
    taken, rest[:] = rest[:count], rest[count:]
    return taken


def _values(option: Option, words: Sequence[str], equals: bool, where: Where | None) -> tuple[str, ...]:
    if not option.metavar:
        if equals:
            raise refuse(
                Code.BAD_ARGUMENTS, f"{option.name} takes no value", f"write {option.name} alone", where
            )
        return ()
    parts = [part for word in words for part in (word.split(",") if option.commas else [word])]
    values = tuple(_plain(part) for part in parts if part)
    if not values:
        raise refuse(
            Code.BAD_ARGUMENTS,
            f"{option.name} has no value",
            f"write it as {option.usage}, or leave it out",
            where,
        )
    return values


def _plain(word: str) -> str:
    return word.replace(_PROTECTED_COMMA, ",")


def _unknown_option(syntax: Syntax, name: str, where: Where | None) -> Exception:
    known = [option.name for option in syntax.options]
    guess = near(name, known)
    fix = f"did you mean {guess}?" if guess else f"it takes {', '.join(known) or 'no options'}"
    return refuse(Code.UNKNOWN_OPTION, f"{syntax.magic} has no option {name}", fix, where)


def _too_few(syntax: Syntax, where: Where | None) -> Exception:
    what = "a name" if syntax.missing is Code.STEP_WITHOUT_NAME else syntax.metavar
    return refuse(syntax.missing, f"{syntax.magic} needs {what}", f"write it as in {syntax.example}", where)


def _too_many(
    syntax: Syntax, words: Sequence[str], typed_words: Sequence[str], where: Where | None
) -> Exception:
    takes = f"one {syntax.metavar}" if syntax.most else "no words"
    fix = f"put it in quotes: {syntax.magic} {quoted(' '.join(words))}" if syntax.most else "leave them out"
    if syntax is KINDS["step"] and _without_tags(words):
        fix = f"did you mean %%kale {_without_tags(words)}?"
    if syntax is RUN and "=" in words[0]:
        fix = f"write it as in {syntax.magic} -p {words[0]}"
    before = typed_words[: typed_words.index(words[-1])][-2:]
    if len(before) == 2 and (option := syntax.option(before[0])) and option.metavar:
        fix = f"{option.name} takes one word: leave out {words[-1]}, or put it in quotes with {before[1]}"
    typed = ", ".join(repr(_plain(word)) for word in words)
    return refuse(Code.BAD_ARGUMENTS, f"{syntax.magic} takes {takes}, not {typed}", fix, where)
