"""A pipeline gives the answer that the notebook gives: the table of cases, judged in every way there is.

The quickest way plays half of them live, and fewer without a session and in the embedded engine; the others
are played in slow tests. KFP's runner plays some in the tests of KFP, and the rest only when all is tested.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection
from itertools import permutations

import pytest

from tests.cases import Case, all_cases
from tests.kfp_tasks import python
from tests.notebooks import Players, Report, in_engine, in_forks, in_kfp, results, unmarked

CASES = all_cases()
ANSWERED = [case for case in CASES if case.answer]
REFUSED = [case for case in CASES if case.refused]
SHAPED = [case for case in ANSWERED if case.parallel or case.takes]
COLD = [case for case in ANSWERED if case.cold]
RUN = [case for case in ANSWERED if not case.given and "--no-run" not in case.text]
UNCHECKED = {case.id for case in ANSWERED} - {case.id for case in RUN}

LONGEST = 4000
"""Characters of a notebook that a message shows."""

Marks = Callable[[Case], Collection[pytest.MarkDecorator]]


def is_one_of(case: Case, number: int) -> bool:
    """Whether a case is in a sample of one in so many; a hash keeps the choice when cases come and go."""
    return zlib.crc32(case.id.encode()) % number == 0


def of_engine(case: Case) -> Collection[pytest.MarkDecorator]:
    return () if is_one_of(case, 36) else [pytest.mark.slow]


def of_live(case: Case) -> Collection[pytest.MarkDecorator]:
    return () if is_one_of(case, 2) else [pytest.mark.slow]


def of_cold(case: Case) -> Collection[pytest.MarkDecorator]:
    return () if is_one_of(case, 4) else [pytest.mark.slow]


def of_kfp(case: Case) -> Collection[pytest.MarkDecorator]:
    return [pytest.mark.kfp] if is_one_of(case, 6) else [pytest.mark.exhaustive]


def of_plain(case: Case) -> Collection[pytest.MarkDecorator]:
    """A notebook without marks is a slow test if the one with marks says the same."""
    return () if case.id in UNCHECKED or is_one_of(case, 36) else [pytest.mark.slow]


def table(cases: list[Case], marks: Marks = lambda _: ()) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "case", [pytest.param(case, id=case.id, marks=marks(case)) for case in cases]
    )


@table(ANSWERED, of_plain)
def test_the_notebook_in_ipython(case: Case, players: Players) -> None:
    printed = players.play(unmarked, case.typed())
    assert results(printed) == [case.answer], f"{case.typed().text[:LONGEST]}\nprinted:\n{printed}"


@table(RUN, of_live)
def test_the_marked_notebook(case: Case, players: Players) -> None:
    report = players.play(in_forks, case)
    assert results(report.notebook) == [case.answer], told(case, report, report.notebook)


@table(ANSWERED, of_live)
def test_the_steps_in_processes_of_their_own(case: Case, players: Players) -> None:
    has_answer(case, players.play(in_forks, case))


@table(COLD, of_cold)
def test_the_steps_not_run_in_the_session(case: Case, players: Players) -> None:
    has_answer(case, players.play(in_forks, case.unrun()))


@table(RUN, of_live)
def test_no_value_differs_from_the_notebooks(case: Case, players: Players) -> None:
    has_no_difference(case, players.play(in_forks, case))


@table(ANSWERED, of_engine)
def test_the_embedded_engine_twice(case: Case, players: Players) -> None:
    report = players.play(in_engine, case)
    has_answer(case, report, runs=2)
    assert report.metrics[0] == report.metrics[1]
    if case.id not in UNCHECKED:
        has_no_difference(case, report)


@table(COLD, of_engine)
def test_the_embedded_engine_without_the_session(case: Case, players: Players) -> None:
    has_answer(case, players.play(in_engine, case.unrun()), runs=2)


@table(ANSWERED, of_kfp)
def test_the_yaml_in_kfp(case: Case, players: Players) -> None:
    report = players.play(in_kfp, case, python())
    assert [results(printed) for printed in report.runs] == [[case.answer]], told(case, report)


@table(SHAPED, of_live)
def test_the_shape_of_the_graph(case: Case, players: Players) -> None:
    report = players.play(in_forks, case)
    assert report.assembled, told(case, report)
    waits = [f"{b} waits for {a}" for a, b in permutations(case.parallel.split(), 2) if a in report.needs[b]]
    assert not waits, told(case, report)
    taken = {step: " ".join(sorted(report.takes[step])) for step in case.takes}
    expected = {step: " ".join(sorted(names.split())) for step, names in case.takes.items()}
    assert taken == expected, told(case, report)


@table(REFUSED)
def test_what_is_refused(case: Case, players: Players) -> None:
    report = players.play(in_forks, case)
    errors = [text for *kind, text in report.diagnostics if kind == [case.refused, "error"]]
    assert errors, told(case, report)
    assert not report.assembled, told(case, report)
    assert any(all(part in text for part in case.says) for text in errors), told(case, report)


def has_answer(case: Case, report: Report, runs: int = 1) -> None:
    """Each run printed the answer and logged the metrics."""
    assert [results(printed) for printed in report.runs] == [[case.answer]] * runs, told(case, report)
    for metrics in report.metrics:
        assert {name: metrics.get(name) for name in case.metrics} == case.metrics, told(case, report)


def has_no_difference(case: Case, report: Report) -> None:
    """The values of the runs are those of the notebook."""
    assert "check" not in report.trouble, told(case, report, report.check)
    assert report.differences == [], told(case, report, report.check)


def told(case: Case, report: Report, printed: str = "") -> str:
    """All that is known about a case that went wrong."""
    parts = {
        "notebook": case.text[:LONGEST],
        "given": case.given or "",
        "diagnostics": "\n".join(text for _, _, text in report.diagnostics),
        "steps take": "\n".join(f"{step}: {' '.join(sorted(names))}" for step, names in report.takes.items()),
        "printed": printed or "\n".join(report.runs),
        "trouble": "\n".join(report.trouble.values()),
    }
    return "\n".join(f"== {title}\n{str(text).strip()}" for title, text in parts.items() if text)
