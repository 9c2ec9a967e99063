"""The syntax of every magic and every kind of cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kale_magics.model.diagnostics import Code, Where, kale_error
from kale_magics.model.options import NO_OPTIONS, StepOptions
from kale_magics.syntax.arguments import (
    Option,
    Syntax,
    closest,
    parse_words,
    quoted,
    split,
    too_few,
    unprotected,
)
from kale_magics.syntax.step_options import OPTIONS, read_options

Kind = Literal["imports", "functions", "parameters", "step", "metrics", "skip"]

HOST_VARIABLE = "KF_PIPELINES_ENDPOINT"
"""kfp's environment variable with the address of a server, the default of `--host`."""


@dataclass(frozen=True)
class Mark:
    """The parsed first line of a marked cell; see `session.registry.Cell`."""

    kind: Kind
    name: str = ""
    after: tuple[str, ...] = ()
    run: bool = True
    reads: tuple[str, ...] = ()
    options: StepOptions = NO_OPTIONS


def _without_tags(words: Sequence[str]) -> str:
    """Return the arguments of `%%kale` for Kale's tags, `step:train prev:load`; empty if there are none."""
    if not any(word.startswith(("step:", "prev:")) for word in words):
        return ""
    after = [word.removeprefix("prev:") for word in words if word.startswith("prev:")]
    others = [word.removeprefix("step:") for word in words if not word.startswith("prev:") and word != "step"]
    parts = ["step", *(filter(None, others) if any(others) else ["NAME"]), *["--after"][: len(after)], *after]
    return " ".join(quoted(unprotected(part)) for part in parts)


def _suggest_for_tags(words: Sequence[str]) -> str:
    meant = _without_tags(words)
    return f"did you mean %%kale {meant}?" if meant else ""


def _suggest_for_value(words: Sequence[str]) -> str:
    return f"write it as in {RUN.magic} -p {words[0]}" if "=" in words[0] else ""


_AFTER = Option(
    "--after", "also wait for these steps, though no value comes from them",
    "STEP", many=True, commas=True, values="steps",
)  # fmt: skip
_NO_RUN = Option("--no-run", "mark the cell without running it now, for a step that takes hours")
_READS = Option(
    "--reads", "the step only reads these variables, even where %kale assumes a change",
    "NAME", many=True, commas=True,
)  # fmt: skip

KINDS: dict[Kind, Syntax] = {
    "imports": Syntax(
        "%%kale imports", "%%kale imports",
        help="runs first in every step; an import goes only to the steps that may use it",
    ),
    "functions": Syntax(
        "%%kale functions", "%%kale functions", help="runs in every step, after the imports"
    ),
    "parameters": Syntax(
        "%%kale parameters", "%%kale parameters",
        help="assignments; a literal is a typed input, an expression is computed in each step",
    ),
    "step": Syntax(
        "%%kale step", "%%kale step train --after prepare", "NAME", 1, 1, "steps", Code.STEP_WITHOUT_NAME,
        (_AFTER, _NO_RUN, _READS, *OPTIONS), _suggest_for_tags,
        help="a step of the pipeline; the cells of one name are one step",
    ),
    "metrics": Syntax(
        "%%kale metrics", "%%kale metrics", options=(_NO_RUN,),
        help="the names of variables with numbers to log, one a line",
    ),
    "skip": Syntax(
        "%%kale skip", "%%kale skip", help="runs in the notebook only, like a cell without a mark"
    ),
}  # fmt: skip

_FOR_ALL = Syntax("KaleMagics.step_options", '"--cpu 1 --memory 2G"', options=OPTIONS, help_magic="%%kale")

SYNONYMS: dict[str, Kind] = {"pipeline-parameters": "parameters", "pipeline-metrics": "metrics"}

_HOST = Option(
    "--host",
    "use this server of Kubeflow Pipelines; alone, the configured one",
    "ADDRESS",
    optional=True,
)
_TRUST = Option("--trust", "load values of a run that somebody else started; this can execute their code")
_OF_RUN = Option("--run", "use the run of this id, as %kale_runs shows it, and not the last one", "ID")
_NO_WAIT = Option(
    "--no-wait", "on a server: return at once; %kale_attach follows the run later",
    needs="detached", otherwise="--background",
)  # fmt: skip
_CANCEL = Option(
    "--cancel-on-interrupt", "on a server: an interrupt ends the run, not only the watching",
    needs="survives interrupts",
)  # fmt: skip

KALE = Syntax("%kale", "%kale")
GRAPH = Syntax("%kale_graph", "%kale_graph")
RUN = Syntax(
    "%kale_run", "run = %kale_run -p epochs=5 -p 'layers=[64, 32]' --name \"five epochs\"",
    options=(
        Option(
            "-p", "give a parameter another value, in its type",
            "NAME=VALUE", many=True, values="parameters",
        ),
        Option("--name", "name the run, for %kale_runs", "NAME", spaced=True),
        Option(
            "--until", "run only these steps and those that they depend on",
            "STEP", many=True, commas=True, values="steps",
        ),
        Option(
            "--only", "run only these steps; their inputs come from the last run that has them",
            "STEP", many=True, commas=True, values="steps",
            needs="earlier outputs", excludes=("--until", "--resume"),
        ),
        Option(
            "--resume", "continue the last run, which failed, with its parameters and today's cells",
            needs="earlier outputs",
        ),
        Option("--no-cache", "run every step, even if nothing that it uses has changed"),
        Option("--check", "fail if a value differs from the notebook's, as for CI"),
        Option(
            "--background", "return at once; what the run prints appears below this cell",
            needs="background", otherwise="--no-wait", excludes=("--no-wait",),
        ),
        _HOST,
        _NO_WAIT,
        _CANCEL,
    ),
    suggest=_suggest_for_value,
)  # fmt: skip
COMPILE = Syntax("%kale_compile", "%kale_compile pipeline.yaml", "FILE.yaml", 1, 1)
RUNS = Syntax("%kale_runs", "%kale_runs", options=(_HOST,))
LOGS = Syntax(
    "%kale_logs", "%kale_logs train", "STEP", 1, 1, "steps",
    options=(_OF_RUN, _HOST),
)  # fmt: skip
PULL = Syntax(
    "%kale_pull", "%kale_pull train model", "STEP [VARIABLE ...]", 1, None, "steps",
    options=(_OF_RUN, _HOST, _TRUST),
)  # fmt: skip
_ACTIONS = ("--cron", "--every", "--pause", "--resume", "--delete")
"""What `%kale_schedule` does, one at a time."""

SCHEDULE = Syntax(
    "%kale_schedule", "%kale_schedule --cron '0 6 * * *' -p epochs=5",
    options=(
        Option(
            "--cron", "start it at these times, in UTC: minute, hour, day, month, weekday",
            "TIMES", spaced=True, excludes=_ACTIONS[1:],
        ),
        Option("--every", "start it at this interval: 30m, 6h, 1d", "TIME", excludes=_ACTIONS[2:]),
        Option(
            "-p", "give a parameter another value, in its type",
            "NAME=VALUE", many=True, values="parameters", requires=_ACTIONS[:2],
        ),
        Option("--name", "name the schedule", "NAME", spaced=True, requires=_ACTIONS[:2]),
        Option("--pause", "pause this schedule", "ID", excludes=_ACTIONS[3:]),
        Option("--resume", "resume this schedule", "ID", excludes=_ACTIONS[4:]),
        Option("--delete", "delete this schedule", "ID"),
        _HOST,
    ),
    unknown_fixes={"--list": "%kale_schedule alone lists them"},
)  # fmt: skip
CLEAN = Syntax(
    "%kale_clean", "%kale_clean --older-than 7d --keep 10",
    options=(
        Option("--older-than", "delete only runs that started longer ago: 30m, 12h, 7d, 2w", "TIME"),
        Option("--keep", "keep this many of the newest runs", "N"),
    ),
)  # fmt: skip
ATTACH = Syntax(
    "%kale_attach", "run = %kale_attach 5f0c2d3a-7b1e-4c7e-9a52-0d1f6e2b8c44", "RUN_ID", 1, 1,
    options=(
        _HOST, _NO_WAIT, _CANCEL, _TRUST,
    ),
)  # fmt: skip
CANCEL = Syntax(
    "%kale_cancel", "%kale_cancel 5f0c2d3a-7b1e-4c7e-9a52-0d1f6e2b8c44", "RUN_ID", 1, 1, options=(_HOST,)
)
RESET = Syntax("%kale_reset", "%kale_reset train evaluate", "STEP or KIND ...", 0, None, "steps")


def parse_mark(text: str, where: Where | None = None) -> Mark:
    """Parse the arguments of the `%%kale` that marks a cell.

    Args:
        text: The kind and its arguments.
        where: The place of the line, for errors.

    Raises:
        KaleError: A missing or unknown kind, a step without a name, or as `parse`.
    """
    words = split(text, where)
    kind = _kind(words, where)
    arguments = parse_words(KINDS[kind], words[1:], where)
    if kind == "step" and not arguments.words[0].strip():
        raise too_few(KINDS[kind], where)
    return Mark(
        kind,
        arguments.words[0] if arguments.words else "",
        tuple(dict.fromkeys(arguments.options.get("--after", ()))),
        "--no-run" not in arguments.options,
        tuple(dict.fromkeys(arguments.options.get("--reads", ()))),
        read_options(arguments.options, where),
    )


def parse_step_options(text: str, where: Where | None = None) -> StepOptions:
    """Parse the options of all steps.

    Args:
        text: As after `%%kale step NAME`.
        where: The place of the line, for errors.

    Raises:
        KaleError: As `parse_mark`.
    """
    return read_options(parse_words(_FOR_ALL, split(text, where), where).options, where)


def _kind(words: Sequence[str], where: Where | None) -> Kind:
    forms = ", ".join(syntax.usage.removeprefix("%%kale ").partition(" [")[0] for syntax in KINDS.values())
    if not words:
        raise kale_error(Code.UNKNOWN_KIND, "%%kale needs the kind of the cell", f"add one: {forms}", where)
    for kind in KINDS:
        if words[0] in (kind, *(synonym for synonym, meant in SYNONYMS.items() if meant == kind)):
            return kind
    guess = _without_tags(words) or closest(words[0].partition(":")[0].lower(), (*KINDS, *SYNONYMS))
    fix = f"did you mean %%kale {guess}?" if guess else f"write one of: {forms}"
    raise kale_error(Code.UNKNOWN_KIND, f"unknown kind of cell {words[0]!r}", fix, where)
