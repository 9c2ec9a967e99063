"""Absurd things that are typed, set or found around a notebook end in one clear line each."""

from __future__ import annotations

import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from kale_magics.syntax import step_options
from tests.campaigns import Try
from tests.campaigns.playing import run_cells, session, tracebacks_of_ours

STEP = "%%kale step a --no-run\nx = 1\nprint('RESULT', x)"
WORDS = [
    "''",
    "~nobody/x",
    "x" * 300,
    "/",
    ".",
    "..",
    "a/b",
    "/dev/full",
    "/dev/null",
    "nul\0byte",
    "-",
    "--",
    "é" * 200,
    "-1",
    "1e999",
    "nan",
    "9" * 20,
    "9" * 5_000,
    "9" * 30 + "w",
]
LINES = [
    "%kale {w}",
    "%kale step {w}",
    "%kale_run --name {w}",
    "%kale_run --only {w}",
    "%kale_run --until {w}",
    "%kale_run -p {w}",
    "%kale_run -p x={w}",
    "%kale_run --max-parallel {w}",
    "%kale_compile {w}",
    "%kale_logs {w}",
    "%kale_logs a --run {w}",
    "%kale_clean --keep {w}",
    "%kale_clean --older-than {w}",
    "%kale_pull {w}",
    "%kale_attach {w}",
    "%kale_cancel {w}",
    "%kale_schedule --every {w}",
    "%kale_schedule --cron {w}",
    "%kale_run --host {w}",
    "%kale_reset {w}",
    "%kale_graph {w}",
    "%kale_runs {w}",
    "%config KaleMagics.runs_folder = '{w}'",
    "%config KaleMagics.token_file = '{w}'",
]
OPTIONS = ["--after", "--reads", *(option.name for option in step_options.OPTIONS)]


def _read_only() -> None:
    Path(".kale").mkdir()
    Path(".kale").chmod(0o500)


def _no_folder() -> None:
    shutil.rmtree(Path.cwd())


def _no_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))


def _backwards() -> None:
    now = time.time
    time.time = lambda: 2e9 - now()  # type: ignore[assignment]


def _link() -> None:
    Path("real").mkdir()
    Path(".kale").symlink_to("real")


AROUND: dict[str, Callable[[], None]] = {
    "a folder that cannot be written": _read_only,
    "a folder that is gone": _no_folder,
    "no more open files": _no_files,
    "a clock that goes backwards": _backwards,
    "a link in the place of the runs": _link,
    "a file in the place of the runs": lambda: Path(".kale").touch(),
    "no home": lambda: os.environ.update(HOME="/nowhere", XDG_STATE_HOME="/nowhere"),
}


def tries() -> Iterator[Try]:
    """Each word at each place, and each trouble around."""
    for name, harm in AROUND.items():
        yield Try(name, partial(_around, harm))
    for line in LINES:
        yield Try(line, partial(_lines, [line.replace("{w}", word) for word in WORDS]))
    for option in OPTIONS:
        yield Try(
            f"%%kale step {option}", partial(_lines, [f"%%kale step a {option} {w}\nx = 1" for w in WORDS])
        )


def _lines(lines: list[str]) -> list[str]:
    with session() as shell:
        run_cells(shell, [STEP])
        outcomes = run_cells(shell, lines)
    complaints = tracebacks_of_ours(outcomes)
    for line, outcome in zip(lines, outcomes, strict=True):
        name = type(outcome.error).__name__
        if "KALE901" in outcome.printed or name not in (
            "NoneType",
            "KaleError",
            "NoSuchOutputError",
            "UsageError",
            "SyntaxError",
        ):
            complaints.append(f"{line[:60]!r}: {outcome.printed[-400:]}")
    return complaints


def _around(harm: Callable[[], None]) -> list[str]:
    cells = [
        STEP,
        "%kale",
        "%kale_run",
        "%kale_runs",
        "%kale_compile p.yaml",
        "%kale_clean --keep 0",
        "%kale_graph",
    ]
    with session() as shell:
        harm()
        outcomes = run_cells(shell, cells)
    complaints = tracebacks_of_ours(outcomes)
    for cell, outcome in zip(cells, outcomes, strict=True):
        if "KALE901" in outcome.printed or (not outcome.success and "KALE" not in outcome.printed):
            complaints.append(f"{cell[:40]}: {outcome.printed[-400:]}")
        if "-" in outcome.printed.partition(" s")[0].rpartition(" in ")[2][:2]:
            complaints.append(f"a negative time: {outcome.printed[-200:]}")
    return complaints
