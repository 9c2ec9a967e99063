"""Runs a notebook as a notebook and as a pipeline, and compares what they print."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import traceback
import types
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kale_magics.checking.check import check_run, diagnostics_of
from kale_magics.checking.expected import Expected, expected_of
from kale_magics.dataflow.assemble import assemble
from kale_magics.execution.folder_source import FolderSource
from kale_magics.execution.run import Run, TaskRun
from kale_magics.model.pipeline import Pipeline
from kale_magics.model.task_id import TaskId
from kale_magics.session.evidence import Evidence, MutationObserver
from kale_magics.session.namespace import Session
from kale_magics.session.registry import Cell
from kale_magics.step_runtime.fingerprint import fingerprint
from tests.forks import in_child
from tests.fuzz.notebook import Notebook, Part
from tests.fuzz.runs import in_engine, in_forks
from tests.fuzz.showing import shown
from tests.marked import marked

SESSION, NO_SESSION, GIVEN = WAYS = "with the session", "without a session", "with other parameters"
"""The ways to make a pipeline of a notebook and run it; the last: after a session without what is given."""

MAX_SECONDS = 120
"""How long a run may take; the engine imports the libraries again."""

UNTELLING = ("KALE212", "KALE220")
"""Warnings that say nothing of another answer: a cell that failed, and a step that waits in vain."""


@dataclass(frozen=True)
class Verdict:
    """What came of one way to make a pipeline of a notebook.

    Attributes:
        way: Which one.
        kind: "right"; "refused" or, while it runs, "refused late", with a code; "wrong" or, if there was a
            warning, "warned", with codes; "failed" (in a step) or "crashed" (in kale_magics), with the type
            of the error; "false alarm" if the answer is right and the check of the run says that a value is
            not the notebook's; "void" if the notebook has no answer.
        expected: What the notebook printed.
        actual: What the pipeline printed, or what there was to tell.
    """

    way: str
    kind: str
    expected: str = ""
    actual: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether the promise is broken."""
        return self.kind != "right" and not self.kind.startswith(("refused", "warned"))


def ways_of(notebook: Notebook) -> tuple[str, ...]:
    """The ways that there are for a notebook."""
    return WAYS if notebook.given else (SESSION, NO_SESSION)


def completed(notebook: Notebook) -> Notebook | None:
    """The notebook without the statements that raise, showing all that it could; None if it is no use."""
    for _ in range(4):
        variants = [notebook, notebook.typed()] if notebook.given else [notebook]
        try:
            plays = [in_child(_tried, variant) for variant in variants]
        except RuntimeError:  # it does not end
            return None
        fine = {place for place in plays[0][0] if all(place in some for some, _ in plays)}
        complete = len(fine) == sum(len(part.statements) for part in notebook.parts)
        shown = tuple(text for text in plays[0][1] if all(text in texts for _, texts in plays))
        notebook = replace(notebook.with_statements(fine), shown=shown)
        if complete:
            break
    else:
        return None
    if notebook.given and answer(notebook.typed()) is None:
        notebook = replace(notebook, given={})
    return notebook if answer(notebook) is not None else None


def _tried(notebook: Notebook) -> tuple[set[tuple[int, int]], list[str]]:
    """The places of the statements that run, and the expressions that can be shown in the end."""
    namespace = _main()
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("error")
        fine = {
            (i, j)
            for i, part in enumerate(notebook.parts)
            for j, text in enumerate(part.statements)
            if _runs(text, namespace)
        }
        return fine, shown(namespace)


def _runs(text: str, namespace: dict[str, Any]) -> bool:
    try:
        exec(compile(text, "<cell>", "exec", dont_inherit=True), namespace)
    except Exception:  # whatever a random statement raises, it is left out
        return False
    return True


def answer(notebook: Notebook) -> str | None:
    """What a notebook prints; None if it raises, prints something else each time, or more than a line."""
    try:
        printed = in_child(_play, notebook)[0]
    except RuntimeError:
        return None
    fine = printed.startswith("RESULT") and " at 0x" not in printed and len(printed) < 20_000
    return printed if fine else None


def _main() -> dict[str, Any]:
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    return vars(module)


def _play(notebook: Notebook) -> tuple[str, frozenset[str], list[Evidence]]:
    namespace = _main()
    hidden = frozenset(namespace)
    output = io.StringIO()
    seen: list[Evidence] = []
    with contextlib.redirect_stdout(output), warnings.catch_warnings():
        warnings.simplefilter("error")
        for part in notebook.cells:
            watch = MutationObserver(part.text, namespace)
            exec(compile(part.text, "<cell>", "exec", dont_inherit=True), namespace)
            seen.append(watch.end())
    return result(output.getvalue()), hidden, seen


def result(printed: str) -> str:
    """The last line of what was printed; steps also print, in an order of their own."""
    return printed.strip().rpartition("\n")[2]


def judged(notebook: Notebook, way: str, engine: bool = False) -> Verdict:
    """Make a pipeline of a notebook and run it.

    Its steps are forked from a process that has not played the notebook: they see none of its state.

    Args:
        notebook: One that `answer` has an answer for.
        way: The way to make one.
        engine: Whether the embedded engine is to run it.
    """
    expected = answer(notebook.typed()) if way == GIVEN else ""
    if expected is None:
        return Verdict(way, "void")
    given = notebook.given if way == GIVEN else {}
    try:
        made = in_child(_assembled, notebook, way)
        expected = expected or made.printed
        if made.pipeline is None:
            return Verdict(way, made.kind, expected, made.text)
        checked = made.expected if way == SESSION else None
        kind, actual, differences = in_child(_run, made.pipeline, given, engine, checked, seconds=MAX_SECONDS)
    except RuntimeError as error:  # the notebook has an end: what has none is the pipeline
        return Verdict(way, "crashed: no verdict", expected, str(error))
    if kind:
        return Verdict(way, kind, expected, actual)
    if result(actual) == expected:
        kind = "false alarm" if differences else "right"
        return Verdict(way, kind, expected, "\n".join(differences) or expected)
    return Verdict(way, made.kind, expected, f"{result(actual)}\n{made.text}".strip())


@dataclass(frozen=True)
class _Assembled:
    """A pipeline of a notebook, and what it prints as a notebook.

    Attributes:
        printed: By the notebook.
        kind: Of the verdict if there is no pipeline, or if its answer is wrong.
        text: What there is to tell then.
        pipeline: None if the notebook is refused, or kale_magics crashes.
        expected: What the check of a run compares its values with.
    """

    printed: str
    kind: str
    text: str = ""
    pipeline: Pipeline | None = None
    expected: Expected | None = None


def _assembled(notebook: Notebook, way: str) -> _Assembled:
    printed, hidden, seen = _play(notebook)
    live = way != NO_SESSION
    pairs = zip(notebook.cells, seen, strict=True)
    cells = [
        _cell(part, number, evidence if live else None) for number, (part, evidence) in enumerate(pairs, 1)
    ]
    shell = _shell(notebook, hidden)
    try:
        assembly = assemble(cells, Session(shell) if live else None)
    except Exception as error:  # a crash is what is hunted
        return _Assembled(printed, f"crashed: {type(error).__name__}", traceback.format_exc())
    if assembly.pipeline is None:
        errors = [d for d in assembly.diagnostics if d.severity == "error"]
        return _Assembled(printed, f"refused: {errors[0].code.code}", "\n".join(map(str, errors)))
    told = [
        d for d in assembly.diagnostics if d.code.code.startswith("KALE2") and d.code.code not in UNTELLING
    ]
    codes = sorted({d.code.code for d in told})
    kind = f"warned: {' '.join(codes)}" if told else "wrong"
    expected = expected_of(cells, assembly.diagnostics) if live else None
    if (
        expected is not None
    ):  # it goes to another process: with fingerprints in the place of the session's values
        now = {name: fingerprint(value) for name, value in shell.user_ns.items() if not name.startswith("_")}
        expected = replace(expected, current=now.get)
    return _Assembled(printed, kind, "\n".join(map(str, told)), assembly.pipeline, expected)


def _run(
    pipeline: Pipeline, given: Mapping[str, Any], engine: bool, expected: Expected | None
) -> tuple[str, str, list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        ran = (in_engine if engine else in_forks)(pipeline, given, Path(folder))
        known = None if ran.failure or engine else expected
        differences = [] if known is None else _differences(pipeline, known, Path(folder))
    return ran.failure, ran.text, differences


def as_run(pipeline: Pipeline, folder: Path) -> Run:
    """A run in forks that has succeeded, as the check takes it."""
    source = FolderSource()
    tasks = [
        TaskRun(TaskId(step.name), folder / step.key, {}, source, "succeeded") for step in pipeline.steps
    ]
    return Run("fuzz", folder, {p.name: p.default for p in pipeline.parameters}, tasks, source)


def _differences(pipeline: Pipeline, expected: Expected, folder: Path) -> list[str]:
    """What the check of a run in forks says."""
    run = as_run(pipeline, folder)
    return [str(told) for told in diagnostics_of(check_run(run, pipeline, expected))]


def _shell(notebook: Notebook, hidden: frozenset[str]) -> Any:
    """As much of IPython's shell as a session asks for, after the notebook has been played."""
    history = ["", *(f"%%kale {part.mark}\n{part.text}" for part in notebook.cells)]
    return types.SimpleNamespace(
        user_ns=vars(sys.modules["__main__"]),
        user_ns_hidden=hidden,
        history_manager=types.SimpleNamespace(input_hist_raw=history),
    )


def _cell(part: Part, number: int, evidence: Evidence | None) -> Cell:
    live = evidence is not None
    return marked(
        part.kind,  # type: ignore[arg-type]  # one of the kinds
        f"\n{part.text}\n",
        part.step,
        part.after,
        run=live,
        count=number if live else None,
        state="ran" if live else "not run",
        evidence=evidence,
    )
