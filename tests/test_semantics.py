"""A pipeline gives the answer that the notebook gives: the table of cases, judged in every way there is.

`KALE_TEST_ALL=1` has KFP's runner play all cases instead of a sixth of them.
"""

from __future__ import annotations

import os
import zlib
from itertools import permutations

import pytest

from tests.cases import Case, all_cases
from tests.notebooks import Players, Report, results

CASES = all_cases()
ANSWERED = [case for case in CASES if case.answer]
REFUSED = [case for case in CASES if case.refused]
SHAPED = [case for case in ANSWERED if case.parallel or case.takes]
COLD = [case for case in ANSWERED if case.cold]
RUN = [case for case in ANSWERED if not case.given and "--no-run" not in case.text]

LONGEST = 4000
"""Characters of a notebook that a message shows."""


def in_kfp(case: Case) -> bool:
    """Whether KFP's runner plays the case; a hash keeps the choice when cases come and go."""
    return bool(os.environ.get("KALE_TEST_ALL")) or zlib.crc32(case.id.encode()) % 6 == 0


def table(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.id)


@table(ANSWERED)
def test_the_notebook_in_ipython(case: Case, players: Players) -> None:
    printed = players.report(case).plain
    assert results(printed) == [case.answer], f"{case.typed().text[:LONGEST]}\nprinted:\n{printed}"


@table(RUN)
def test_the_marked_notebook(case: Case, players: Players) -> None:
    report = players.report(case)
    assert results(report.marked) == [case.answer], told(case, report, "marked")


@table(ANSWERED)
def test_the_embedded_engine(case: Case, players: Players) -> None:
    report = players.report(case)
    assert results(report.engine) == [case.answer], told(case, report, "engine")
    logged = {name: report.metrics.get(name) for name in case.metrics}
    assert logged == case.metrics, told(case, report, "engine")


@table(ANSWERED)
def test_the_embedded_engine_once_more(case: Case, players: Players) -> None:
    report = players.report(case)
    assert results(report.again) == [case.answer], told(case, report, "again")
    assert report.metrics_again == report.metrics


@table(COLD)
def test_the_steps_not_run_in_the_session(case: Case, players: Players) -> None:
    report = players.report(case).unrun
    assert report is not None
    assert results(report.engine) == [case.answer], told(case.unrun(), report, "engine")


@table(RUN)
def test_no_value_differs_from_the_notebooks(case: Case, players: Players) -> None:
    report = players.report(case)
    assert "check" not in report.trouble, told(case, report, "check")
    assert report.differences == [], told(case, report, "check")


@table([case for case in ANSWERED if in_kfp(case)])
def test_the_yaml_in_kfp(case: Case, players: Players) -> None:
    report = players.report(case)
    assert results(report.kfp) == [case.answer], told(case, report, "kfp")


@table(SHAPED)
def test_the_shape_of_the_graph(case: Case, players: Players) -> None:
    report = players.report(case)
    assert report.assembled, told(case, report, "assemble")
    waits = [f"{b} waits for {a}" for a, b in permutations(case.parallel.split(), 2) if a in report.needs[b]]
    assert not waits, told(case, report, "assemble")
    taken = {step: " ".join(sorted(report.takes[step])) for step in case.takes}
    expected = {step: " ".join(sorted(names.split())) for step, names in case.takes.items()}
    assert taken == expected, told(case, report, "assemble")


@table(REFUSED)
def test_what_is_refused(case: Case, players: Players) -> None:
    report = players.report(case)
    errors = [text for *kind, text in report.diagnostics if kind == [case.refused, "error"]]
    assert errors, told(case, report, "assemble")
    assert not report.assembled, told(case, report, "assemble")
    assert any(all(part in text for part in case.says) for text in errors), told(case, report, "assemble")


def told(case: Case, report: Report, stage: str) -> str:
    """All that is known about a case that went wrong."""
    stages = ("engine", "again", "kfp", "marked", "check")
    printed = getattr(report, stage) if stage in stages else ""
    parts = {
        "notebook": case.text[:LONGEST],
        "given": case.given or "",
        "diagnostics": "\n".join(text for _, _, text in report.diagnostics),
        "steps take": "\n".join(f"{step}: {' '.join(sorted(names))}" for step, names in report.takes.items()),
        "printed": printed,
        "trouble": "\n".join(report.trouble.values()),
    }
    return "\n".join(f"== {title}\n{str(text).strip()}" for title, text in parts.items() if text)
