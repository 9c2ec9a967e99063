"""The harness of the table: what comes of a notebook in IPython, in the embedded engine and in KFP's runner.

Everything that a notebook does stays in a process of its own, forked from a server that has the slow imports
done; what came of it is a `Report`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.pool import AsyncResult, Pool
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cases import Case

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from kale_magics.execution.run import Run
    from kale_magics.model.pipeline import Pipeline

PRELOADED = (
    "__main__ tests.notebooks pytest IPython.core.interactiveshell kfp.components kfp.local pandas"
    " sklearn.compose sklearn.datasets sklearn.ensemble sklearn.linear_model sklearn.model_selection"
    " tests.warm"
).split()
"""What the server imports, once for all processes."""

TIMEOUT = 120
"""Seconds after which a case counts as hanging."""

RESULT = re.compile(r"^ *RESULT (.*)$", re.MULTILINE)
"""KFP's runner indents what a step prints."""

MARK = re.compile(r"%%?kale .*\n?")

STAND_INS = Path(__file__).parent / "stand_ins"

ENVIRONMENT = {
    # One thread a process: cases run side by side, and a fork must not lose the threads of a library.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # A requirement that is not installed fails at once.
    "PIP_NO_INDEX": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PYTHONIOENCODING": "utf-8",
}
"""What is set for the server, and so for all that it forks."""


@dataclass
class Report:
    """What came of a case.

    Attributes:
        plain: What the notebook printed in IPython without the extension.
        marked: What it printed with the extension.
        diagnostics: What assembling it gave, as code, severity and text.
        assembled: Whether that gave a pipeline.
        needs: The steps, and those that each must wait for, at once or through others.
        takes: The variables that each step takes from other steps.
        engine: What the steps printed in the embedded engine.
        metrics: What the engine's run logged.
        again: What the steps printed, or had printed, when the pipeline was run once more.
        metrics_again: What that run logged.
        check: What the check of the engine's runs against the notebook has found.
        differences: The values of these runs that are not the notebook's.
        kfp: What KFP's runner printed.
        unrun: What came of the notebook whose steps were not run in the session, for a case that asks for it.
        trouble: A traceback for every stage that raised, by the stage's name.
    """

    plain: str = ""
    marked: str = ""
    diagnostics: list[tuple[str, str, str]] = field(default_factory=list)
    assembled: bool = False
    needs: dict[str, set[str]] = field(default_factory=dict)
    takes: dict[str, set[str]] = field(default_factory=dict)
    engine: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    again: str = ""
    metrics_again: dict[str, float] = field(default_factory=dict)
    check: str = ""
    differences: list[str] = field(default_factory=list)
    kfp: str = ""
    unrun: Report | None = None
    trouble: dict[str, str] = field(default_factory=dict)


def results(printed: str) -> list[str]:
    """The answers in what was printed."""
    return [line.rstrip("\r") for line in RESULT.findall(printed)]


class Players:
    """Processes that play cases; every case has a fresh one.

    Args:
        folder: Where the cases may leave files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.pool: Pool = context.Pool(os.cpu_count(), maxtasksperchild=1)
        self.plays: dict[str, tuple[AsyncResult[Report], AsyncResult[str]]] = {}
        self.unrun: dict[str, AsyncResult[Report]] = {}

    def begin(self, case: Case, with_kfp: bool) -> None:
        """Play a case some time soon; KFP's runner takes much longer than everything else."""
        self.plays[case.id] = (
            self.pool.apply_async(play, (case, self.folder / case.id, with_kfp)),
            self.pool.apply_async(play_plain, (case.typed(), self.folder / f"{case.id}-plain")),
        )
        if case.cold:
            folder = self.folder / f"{case.id}-unrun"
            self.unrun[case.id] = self.pool.apply_async(play, (case.unrun(), folder, False))

    def report(self, case: Case) -> Report:
        """What came of a case that was begun."""
        play, plain = self.plays[case.id]
        report = play.get(TIMEOUT)
        report.plain = plain.get(TIMEOUT)
        if case.cold:
            report.unrun = self.unrun[case.id].get(TIMEOUT)
        return report

    def close(self) -> None:
        """End all processes."""
        self.pool.terminate()
        self.pool.join()


def play_plain(case: Case, folder: Path) -> str:
    """What a notebook prints in IPython if its marks are taken away."""
    with workplace(folder, case), printed(folder / "printed.txt") as output:
        shell = fresh_shell(folder)
        for cell in case.cells:
            if not cell.startswith("%kale_"):
                shell.run_cell(MARK.sub("", cell, count=1), store_history=True)
    return output.read_text(encoding="utf-8")


def play(case: Case, folder: Path, with_kfp: bool) -> Report:
    """Run a notebook with the extension, assemble it and run the pipeline by the engines."""
    report = Report()
    with stage(report, "marked"), workplace(folder / "notebook", case):
        with printed(folder / "notebook" / "printed.txt") as output:
            shell = fresh_shell(folder)
            shell.run_line_magic("load_ext", "kale_magics")
            for cell in case.cells:
                shell.run_cell(cell, store_history=True)
        report.marked = output.read_text(encoding="utf-8")
        with stage(report, "assemble"):
            pipeline = assembled(shell, report)
            if pipeline is not None:
                describe(pipeline, report)
                with stage(report, "engine"):
                    runs = run_engine(case, pipeline, folder, report)
                    with stage(report, "check"):
                        check_runs(shell, pipeline, runs, report)
                if with_kfp:
                    with stage(report, "kfp"):
                        run_kfp(case, pipeline, folder, report)
    return report


@contextlib.contextmanager
def stage(report: Report, name: str) -> Iterator[None]:
    """Note what a stage raises: the report is the place where it is looked at."""
    try:
        yield
    except Exception:  # whatever it is, it is shown and the case fails
        report.trouble[name] = traceback.format_exc()


@contextlib.contextmanager
def workplace(folder: Path, case: Case) -> Iterator[None]:
    """Be in a new folder with the case's files."""
    folder.mkdir(parents=True)
    for name, text in case.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    previous = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(previous)


@contextlib.contextmanager
def printed(path: Path) -> Iterator[Path]:
    """Send to a file what this process and those that it starts print."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    streams = sys.stdout, sys.stderr
    with open(path, "w", encoding="utf-8", buffering=1) as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        sys.stdout = sys.stderr = file
        try:
            yield path
        finally:
            sys.stdout, sys.stderr = streams
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)


def fresh_shell(folder: Path) -> InteractiveShell:
    """A shell whose variables are those of `__main__`, as in a kernel."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Shell(InteractiveShell):
        """A shell that takes part in no loop of events, as a kernel does for inline plots."""

        def enable_gui(self, gui: str | None = None) -> None:
            pass

    os.environ["IPYTHONDIR"] = str(folder / ".ipython")
    config = Config()
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.colors = "nocolor"
    sys.path.insert(0, "")
    return Shell.instance(config=config)


def assembled(shell: InteractiveShell, report: Report) -> Pipeline | None:
    """Assemble the cells that are registered in a session."""
    from kale_magics.dataflow.assemble import assemble
    from kale_magics.session.namespace import Session

    assembly = assemble(registered_cells(shell), Session(shell))
    report.diagnostics = [(d.code.code, d.severity, str(d)) for d in assembly.diagnostics]
    report.assembled = assembly.pipeline is not None
    return assembly.pipeline


def registered_cells(shell: InteractiveShell) -> Any:
    """The cells that the extension knows."""
    return shell.magics_manager.registry["KaleMagics"].workspace.registry.cells


def describe(pipeline: Pipeline, report: Report) -> None:
    """Note the shape of a pipeline."""
    for step in pipeline.steps:
        report.takes[step.name] = {name for i in step.inputs for name in i.names}
        report.needs[step.name] = set(step.upstream).union(*(report.needs[name] for name in step.upstream))


def check_runs(shell: InteractiveShell, pipeline: Pipeline, runs: list[Run], report: Report) -> None:
    """Compare what the engine's runs have with what the notebook has."""
    from kale_magics.checking.check import check_run, diagnostics_of
    from kale_magics.checking.expected import expected_of
    from kale_magics.dataflow.assemble import assemble
    from kale_magics.session.namespace import Session

    cells = registered_cells(shell)
    expected = expected_of(cells, assemble(cells, Session(shell)).diagnostics, values=shell.user_ns)
    checks = [check_run(run, pipeline, expected) for run in runs]
    report.check = "\n".join(map(repr, checks))
    report.differences = [str(told) for check in checks for told in diagnostics_of(check)]


def run_engine(case: Case, pipeline: Pipeline, folder: Path, report: Report) -> list[Run]:
    """Run with the embedded engine, twice."""
    from kale_magics.local.engine import run_pipeline

    place = folder / "engine"
    with workplace(place, case):
        run, again = (
            run_pipeline(
                pipeline,
                case.given,
                runs_folder=folder / ".kale",
                working_directory=place,
                listener=lambda event: None,
            )
            for _ in range(2)
        )
    report.engine, report.again = map(printed_by, (run, again))
    report.metrics, report.metrics_again = run.metrics, again.metrics
    return [run, again]


def printed_by(run: Run) -> str:
    """What the steps of a run said."""
    return "".join(
        f"--- {name}: {step.state}\n{step.log}{step.error.traceback or step.error if step.error else ''}\n"
        for name, step in run.steps.items()
    )


def run_kfp(case: Case, pipeline: Pipeline, folder: Path, report: Report) -> None:
    """Compile, and run the YAML with KFP's own local runner."""
    from kfp import components, local

    from kale_magics.kubeflow.compiler import compile_pipeline
    from kale_magics.kubeflow.submission import with_exact_values
    from kale_magics.step_runtime.parameters import encode_parameter

    pipeline = with_exact_values(pipeline, case.given)
    compile_pipeline(pipeline, folder / "pipeline.yaml", folder)
    arguments = {
        p.key: encode_parameter(case.given[p.name], p.type)
        for p in pipeline.parameters
        if p.name in case.given
    }
    os.environ["PYTHONPATH"] = str(STAND_INS)
    with workplace(folder / "kfp", case), printed(folder / "kfp.txt") as output, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kfp's own
        runner = local.SubprocessRunner(use_venv=False)
        local.init(runner, pipeline_root=str(folder / "root"), raise_on_error=False)
        try:
            components.load_component_from_file(str(folder / "pipeline.yaml"))(**arguments)
        finally:
            sys.stdout.flush()
            report.kfp = output.read_text(encoding="utf-8")
