"""The table of notebooks: each is run as a notebook and as a pipeline, and must give one answer.

A notebook is one text. A cell begins at a line with `%%kale …` or `%kale …`, or at a line `# %%`, which
stands for a cell without a mark and is not part of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

THEMES = (
    "order", "scopes", "lookups", "branches", "mutation", "evidence", "sharing", "objects", "functions", "classes", "parameters", "syntax",
    "names", "values", "metrics", "prelude", "sizes", "views", "frames", "estimators", "registries", "holders", "overrides", "runtime",
    "computed",
    "refused",  # last: then the package's function of this name has done its work
)  # fmt: skip

START = re.compile(r"^(?=%%?kale )|^# %%\n", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """A notebook and what must come of it.

    Attributes:
        name: What it shows, in words.
        text: The notebook.
        answer: What the last step prints after "RESULT "; empty if the notebook is refused.
        refused: The code of the diagnostic that refuses it; empty if it has an answer.
        says: Texts that the diagnostic must contain.
        given: Values of parameters other than the notebook's; `answer` is then what the notebook prints if
            these are typed into its parameters cell.
        files: Files that lie beside the notebook.
        parallel: Names of steps of which none may wait for another one.
        takes: For a step, the variables that it must take from other steps, and no others.
        metrics: The metrics of the run.
        cold: Whether the answer must also come if no step's cell has run in the session.
    """

    name: str
    text: str
    answer: str = ""
    refused: str = ""
    says: tuple[str, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    parallel: str = ""
    takes: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    cold: bool = False

    @property
    def cells(self) -> list[str]:
        """The cells as their user types them."""
        return [cell.strip("\n") for cell in START.split(self.text) if cell.strip()]

    def typed(self) -> Case:
        """The notebook of somebody who types what is given into the parameters' lines."""
        text = self.text
        for name, value in self.given.items():
            line = re.compile(rf"^{name}(\s*:.*?)? = .*$", re.MULTILINE)
            text, count = line.subn(lambda _, name=name, value=value: f"{name} = {value!r}", text, count=1)
            if not count:
                raise ValueError(f"{self.name}: no line of its own for parameter {name}")
        return replace(self, text=text)

    def unrun(self) -> Case:
        """The notebook whose steps are marked and not run."""
        text = re.sub(r"^%%?kale step .*$", r"\g<0> --no-run", self.text, flags=re.MULTILINE)
        return replace(self, text=text)

    @property
    def id(self) -> str:
        """The name as part of a test's name."""
        return re.sub(r"\W+", "-", self.name).strip("-")


def refused(name: str, text: str, code: str, *says: str) -> Case:
    """A notebook that must be refused, with a diagnostic of that code that contains the texts."""
    return Case(name, text, refused=code, says=says)


def all_cases() -> list[Case]:
    """The whole table.

    Raises:
        ValueError: Two cases have one name.
    """
    cases = [case for theme in THEMES for case in import_module(f"tests.cases.{theme}").CASES]
    ids = [case.id for case in cases]
    twice = {name for name in ids if ids.count(name) > 1}
    if twice:
        raise ValueError(f"names given twice: {sorted(twice)}")
    return cases
