"""Runs a notebook as a notebook and as a pipeline, and compares what they print."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import traceback
import types
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kale_magics.expected import expected_of

from kale_magics.assemble import Assembly, assemble
from kale_magics.check import check_run, diagnostics_of
from kale_magics.evidence import Evidence, Watch
from kale_magics.registry import Cell
from kale_magics.run import Run, StepRun
from kale_magics.session import Session
from tests.fuzz.forks import in_child
from tests.fuzz.generator import shown
from tests.fuzz.notebook import Notebook, Part
from tests.fuzz.runs import in_engine, in_forks

SESSION, NO_SESSION = WAYS = "with the session", "without a session"
"""The ways to make a pipeline of a notebook."""


@dataclass(frozen=True)
class Verdict:
    """What came of one way to make a pipeline of a notebook.

    Attributes:
        way: Which one.
        kind: "right"; "refused" or, while it runs, "refused late", with a code; "wrong", "failed" (in a
            step) or "crashed" (in kale_magics), with the error's type; "false alarm" if the answer is right
            and the check of the run says that a value is not the notebook's.
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
        return self.kind != "right" and not self.kind.startswith("refused")


def completed(notebook: Notebook) -> Notebook | None:
    """The notebook without the statements that raise, showing all that it could; None if it is no use."""
    for _ in range(4):
        try:
            kept, complete, names = in_child(_kept, notebook)
        except RuntimeError:  # it does not end
            return None
        parts = tuple(replace(p, statements=s) for p, s in zip(notebook.parts, kept, strict=True))
        last = len(parts) - 1
        parts = tuple(p for i, p in enumerate(parts) if p.statements or i == last)
        steps = {part.step for part in parts}
        notebook = Notebook(
            tuple(replace(p, after=tuple(a for a in p.after if a in steps)) for p in parts), names
        )
        if complete:
            return notebook if answer(notebook) is not None else None
    return None


def _kept(notebook: Notebook) -> tuple[list[tuple[str, ...]], bool, tuple[str, ...]]:
    namespace = _main()
    kept: list[tuple[str, ...]] = []
    complete = True
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("error")
        for part in notebook.parts:
            fine = tuple(text for text in part.statements if _runs(text, namespace))
            complete &= len(fine) == len(part.statements)
            kept.append(fine)
        return kept, complete, shown(namespace)


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
            watch = Watch(part.text, namespace)
            exec(compile(part.text, "<cell>", "exec", dont_inherit=True), namespace)
            seen.append(watch.end())
    return result(output.getvalue()), hidden, seen


def result(printed: str) -> str:
    """The last line of what was printed; steps also print, in an order of their own."""
    return printed.strip().rpartition("\n")[2]


def judged(notebook: Notebook, way: str, engine: bool = False) -> Verdict:
    """Make a pipeline of a notebook and run it.

    Args:
        notebook: One that `answer` has an answer for.
        way: The way to make one.
        engine: Whether the embedded engine is to run it.
    """
    try:
        return in_child(_judged, notebook, way, engine)
    except RuntimeError as error:  # the notebook has an end: what has none is the pipeline
        return Verdict(way, "crashed: no verdict", actual=str(error))


def _judged(notebook: Notebook, way: str, engine: bool) -> Verdict:
    expected, hidden, seen = _play(notebook)
    live = way == SESSION
    pairs = zip(notebook.cells, seen, strict=True)
    cells = [
        _cell(part, number, evidence if live else None) for number, (part, evidence) in enumerate(pairs, 1)
    ]
    try:
        assembly = assemble(cells, Session(_shell(notebook, hidden)) if live else None)
    except Exception as error:  # a crash is what is hunted
        return Verdict(way, f"crashed: {type(error).__name__}", expected, traceback.format_exc())
    if assembly.pipeline is None:
        errors = [d for d in assembly.diagnostics if d.severity == "error"]
        return Verdict(way, f"refused: {errors[0].code.code}", expected, "\n".join(map(str, errors)))
    run = in_engine if engine else in_forks
    with tempfile.TemporaryDirectory() as folder:
        kind, actual = run(assembly.pipeline, Path(folder))
        differences = [] if kind or engine or not live else _differences(assembly, cells, Path(folder))
    if not kind:
        actual = result(actual)
        kind = "right" if actual == expected else "wrong"
    if kind == "right" and differences:
        return Verdict(way, "false alarm", expected, "\n".join(differences))
    return Verdict(way, kind, expected, actual)


def _differences(assembly: Assembly, cells: list[Cell], folder: Path) -> list[str]:
    """What the check of a run in forks says."""
    pipeline = assembly.pipeline
    if pipeline is None:
        return []
    steps = {step.name: StepRun(step.name, folder / step.key, {}, "succeeded") for step in pipeline.steps}
    run = Run("fuzz", folder, {p.name: p.default for p in pipeline.parameters}, steps)
    check = check_run(run, pipeline, expected_of(cells, assembly.diagnostics))
    return [str(told) for told in diagnostics_of(check)]


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
    return Cell(
        part.kind,  # type: ignore[arg-type]  # one of the kinds
        f"\n{part.text}\n",
        part.step,
        part.after,
        run=live,
        execution_count=number if live else None,
        state="ran" if live else "not run",
        evidence=evidence,
    )
