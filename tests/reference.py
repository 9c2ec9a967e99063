"""`python -m tests.reference`: write the parts of README and docs that repeat what the code says.

Such a part stands between the lines `<!-- make docs: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

from traitlets import TraitType

from kale_magics.magics.magics import KaleMagics
from kale_magics.model.pipeline import Pipeline, Step
from kale_magics.syntax import commands
from kale_magics.syntax.arguments import Option, Syntax
from kale_magics.view.tree import tree
from tests.test_layout import BELOW

ROOT = Path(__file__).parents[1]
PAGE = "docs/magics.md"

PART = re.compile(r"(?<=<!-- make docs: )(?P<name>[a-z ]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)

MAGICS = [s for s in vars(commands).values() if isinstance(s, Syntax) and s.magic.startswith("%kale")]
"""The magics, in the order of `syntax.commands`."""


def code(text: str) -> str:
    """A piece of code in a cell of a table."""
    return "`" + text.replace("|", "\\|") + "`"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return (
        "".join(f"| {' | '.join(line)} |\n" for line in lines)
        .replace("| --- ", "|---")
        .replace("--- |", "---|")
    )


def options(found: Iterable[Option]) -> str:
    return table(("option", "meaning"), ((code(option.usage), option.help) for option in found))


def kinds() -> str:
    rows = []
    for kind, syntax in commands.KINDS.items():
        also = [code(synonym) for synonym, meant in commands.SYNONYMS.items() if meant == kind]
        written = " ".join(filter(None, (syntax.magic, syntax.metavar)))
        rows.append((code(written) + (f" (also {', '.join(also)})" if also else ""), syntax.help))
    return table(("first line", "meaning"), rows)


def name_of(syntax: Syntax) -> str:
    return syntax.magic.lstrip("%")


def documentation(syntax: Syntax) -> str:
    """What the docstring of a magic says, without the usage that is added to it."""
    text = getattr(KaleMagics, name_of(syntax)).__doc__
    return str(re.split(r"\n\n    (?=%)", text)[0])


def reference() -> Iterator[str]:
    for syntax in MAGICS:
        word = f" {syntax.metavar}" if syntax.min_words else f" [{syntax.metavar}]" if syntax.metavar else ""
        yield f"### {syntax.magic}\n\n{documentation(syntax)}\n\n"
        if syntax.options or word:
            yield f"Usage: `{syntax.magic}{word}{' [OPTION ...]' * bool(syntax.options)}`\n\n"
        if syntax.options:
            yield options(syntax.options) + "\n"
        if syntax.example != syntax.usage:
            yield f"Example: `{syntax.example}`\n\n"


def magics() -> str:
    """The table of the README."""
    rows = [
        (
            f"[`%%kale KIND`]({PAGE}#marking-a-cell)",
            f"Mark a cell, as its first line: {', '.join(commands.KINDS)}",
        ),
        *(
            (f"[`{s.magic}`]({PAGE}#{name_of(s)})", documentation(s).partition("\n\n")[0].rstrip("."))
            for s in MAGICS
        ),
    ]
    return table(("magic", "what it does"), rows)


def settings() -> str:
    known = KaleMagics.class_traits(config=True)
    names = [name for parent in reversed(KaleMagics.__mro__) for name in vars(parent) if name in known]
    rows = ((code(name), default(known[name]), known[name].help.replace("\n", " ")) for name in names)
    return table(("setting", "default", "meaning"), rows)


def default(trait: TraitType) -> str:
    value = trait.default_value
    return code(repr(value)) if isinstance(value, (int, str)) and value != "" else ""


def folders() -> str:
    """The folders, drawn as a pipeline is, and what each is for."""
    order = list(TopologicalSorter(BELOW).static_order())
    steps = (Step(name, name, (), (), after=tuple(sorted(BELOW[name]))) for name in order)
    picture = tree(Pipeline("folders", tuple(steps))).partition("\n\n")[2].replace("; after", ",")
    rows = ((code(f"{name}/"), purpose(name)) for name in order)
    return f"```\n{picture.replace('after', 'imports')}\n```\n\n{table(('folder', 'job'), rows)}"


def purpose(folder: str) -> str:
    text = import_module(f"kale_magics.{folder}").__doc__ or ""
    return text.partition("\n")[0].rstrip(".")


PARTS: dict[str, Callable[[], str]] = {
    "magics": magics,
    "kinds": kinds,
    "step options": lambda: options(commands.KINDS["step"].options),
    "reference": lambda: "".join(reference()),
    "settings": settings,
    "folders": folders,
}


def current(page: str) -> str:
    """A page with its parts as the code has them now."""
    return PART.sub(lambda part: f"{part['name']}{part[2]}\n{PARTS[part['name']]().rstrip()}\n\n", page)


if __name__ == "__main__":
    for path in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        path.write_text(current(path.read_text(encoding="utf-8")), encoding="utf-8")
