"""The harness of the table: what comes of a notebook in IPython, and of its pipeline in each way to run it.

Everything that a notebook does stays in a process of its own, forked from a server that has the slow imports
done; what came of it is a `Report`.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kale_magics.checking.check import check_run, diagnostics_of
from kale_magics.checking.expected import Expected, expected_of
from kale_magics.dataflow.assemble import Assembly, assemble
from kale_magics.execution.request import RunRequest
from kale_magics.execution.run import Run
from kale_magics.kubeflow.compiler import compile_pipeline
from kale_magics.local.engine import run_pipeline
from kale_magics.model.pipeline import Pipeline
from kale_magics.session.namespace import Session
from kale_magics.step_runtime.fingerprint import fingerprint
from kale_magics.step_runtime.parameters import encode_parameter
from tests.cases import Case
from tests.forks import ForkServer, in_child
from tests.fuzz import judge, runs
from tests.kfp_tasks import run_yaml

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

Result = TypeVar("Result")

MODULES = (
    "IPython.core.interactiveshell IPython.core.application IPython.core.completerlib IPython.core.logger"
    " IPython.core.magics IPython.core.oinspect sqlite3 mmap cloudpickle tests.notebooks tests.warm"
).split()
"""What is imported once for all notebooks."""

LIBRARIES = [*runs.LIBRARIES, "sklearn.compose", "sklearn.datasets", "sklearn.ensemble"]
"""What is imported once for those with data; without it a process is forked in half the time."""

OF_DATA = re.compile("numpy|pandas|scipy|sklearn|matplotlib")

TIMEOUT = 120
"""Seconds after which a case counts as hanging."""

RESULT = re.compile(r"^ *RESULT (.*)$", re.MULTILINE)
"""KFP's runner indents what a step prints."""

MARK = re.compile(r"%%?kale .*\n?")

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
        notebook: What the notebook printed in IPython with the extension.
        diagnostics: What assembling it gave, as code, severity and text.
        assembled: Whether that gave a pipeline.
        needs: The steps, and those that each must wait for, at once or through others.
        takes: The variables that each step takes from other steps.
        runs: What the steps printed, for each run of the pipeline.
        metrics: What each run logged.
        check: What the check of the runs against the notebook has found.
        differences: The values of these runs that are not the notebook's.
        trouble: A traceback for every stage that raised, by the stage's name.
    """

    notebook: str = ""
    diagnostics: list[tuple[str, str, str]] = field(default_factory=list)
    assembled: bool = False
    needs: dict[str, set[str]] = field(default_factory=dict)
    takes: dict[str, set[str]] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)
    check: str = ""
    differences: list[str] = field(default_factory=list)
    trouble: dict[str, str] = field(default_factory=dict)


def results(printed: str) -> list[str]:
    """The answers in what was printed."""
    return [line.rstrip("\r") for line in RESULT.findall(printed)]


class Players:
    """Plays cases, each in a fresh process; what is asked for again is remembered.

    Args:
        folder: Where the cases may leave files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.quick = ForkServer(MODULES, ENVIRONMENT)
        self.data = ForkServer([*LIBRARIES, *MODULES], ENVIRONMENT)
        self.known: dict[tuple[Callable[..., Any], str, str], Any] = {}

    def play(self, way: Callable[..., Result], case: Case, *more: Any) -> Result:
        """Play a case in one of the ways that are functions of this module."""
        key = way, case.name, case.text
        if key not in self.known:
            server = self.data if OF_DATA.search(case.text) else self.quick
            folder = self.folder / str(len(self.known))
            self.known[key] = server.call(way, case, folder, *more, seconds=TIMEOUT)
        found: Result = self.known[key]
        return found

    def close(self) -> None:
        """End all processes."""
        self.quick.close()
        self.data.close()


def unmarked(case: Case, folder: Path) -> str:
    """What a notebook prints in IPython if its marks are taken away."""
    with workplace(folder, case), printed(folder / "printed.txt") as output:
        shell = fresh_shell(folder)
        for cell in case.cells:
            if not cell.startswith("%kale_"):
                shell.run_cell(MARK.sub("", cell, count=1), store_history=True)
    return output.read_text(encoding="utf-8")


def in_forks(case: Case, folder: Path) -> Report:
    """Run a notebook with the extension, and the steps of its pipeline in the quickest way.

    That is in forks of this process, which has the libraries loaded and has not seen the notebook.
    """
    report, pipeline, expected = in_child(_session, case, folder, seconds=TIMEOUT)
    if pipeline is not None:
        sys.path.insert(0, "")
        (folder / "runs").mkdir()
        with stage(report, "run"), workplace(folder / "steps", case):
            ran = runs.in_forks(pipeline, case.given, folder / "runs", TIMEOUT)
            report.runs, report.metrics = [ran.text], [ran.metrics]
            if not ran.failure:
                with stage(report, "check"):
                    check(report, pipeline, expected, [judge.as_run(pipeline, folder / "runs")])
    return report


def _session(case: Case, folder: Path) -> tuple[Report, Pipeline | None, Expected | None]:
    """What a process that has not seen the notebook has to know of it."""
    with session(case, folder) as (report, shell, assembly):
        pipeline = assembly.pipeline
        if pipeline is None:
            return report, None, None
        names = {name for step in pipeline.steps for output in step.outputs for name in output.names}
        now = {name: fingerprint(shell.user_ns[name]) for name in names if name in shell.user_ns}
        return report, pipeline, replace(expected_by(shell, assembly), current=now.get)


def in_engine(case: Case, folder: Path) -> Report:
    """Run a notebook with the extension, and its pipeline in the embedded engine, twice."""
    with session(case, folder) as (report, shell, assembly):
        if (pipeline := assembly.pipeline) is not None:
            with stage(report, "run"):
                done = run_engine(case, pipeline, folder)
                report.runs, report.metrics = [*map(printed_by, done)], [run.metrics for run in done]
                with stage(report, "check"):
                    check(report, pipeline, expected_by(shell, assembly), done)
    return report


def in_kfp(case: Case, folder: Path, python: str) -> Report:
    """Run a notebook with the extension, and its pipeline with KFP's own local runner.

    Args:
        case: The case.
        folder: Where it may leave files.
        python: What stands for Python in the commands of the tasks.
    """
    with session(case, folder) as (report, _, assembly):
        if (pipeline := assembly.pipeline) is not None:
            with stage(report, "run"):
                report.runs = [run_kfp(case, pipeline, folder, python)]
    return report


@contextlib.contextmanager
def session(case: Case, folder: Path) -> Iterator[tuple[Report, InteractiveShell, Assembly]]:
    """Run a notebook with the extension and assemble it; be in its folder meanwhile."""
    report = Report()
    with workplace(folder / "notebook", case), without_modules("tests"):
        with printed(folder / "notebook" / "printed.txt") as output:
            shell = fresh_shell(folder)
            shell.run_line_magic("load_ext", "kale_magics")
            for cell in case.cells:
                shell.run_cell(cell, store_history=True)
        report.notebook = output.read_text(encoding="utf-8")
        yield report, shell, assembled(shell, report)


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
def without_modules(package: str) -> Iterator[None]:
    """Take the modules of a package out of this process: to a session they would be its user's own."""
    hidden = {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] == package}
    try:
        yield
    finally:
        sys.modules.update(hidden)


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
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    sys.path.insert(0, "")
    return Shell.instance(config=config)


def assembled(shell: InteractiveShell, report: Report) -> Assembly:
    """Assemble the cells that are registered in a session, and note what came of that."""
    assembly = assemble(registered_cells(shell), Session(shell))
    report.diagnostics = [(d.code.code, d.severity, str(d)) for d in assembly.diagnostics]
    report.assembled = assembly.pipeline is not None
    for step in assembly.pipeline.steps if assembly.pipeline else ():
        report.takes[step.name] = {name for i in step.inputs for name in i.names}
        report.needs[step.name] = set(step.upstream).union(*(report.needs[name] for name in step.upstream))
    return assembly


def registered_cells(shell: InteractiveShell) -> Any:
    """The cells that the extension knows."""
    return shell.magics_manager.registry["KaleMagics"].workspace.registry.cells


def expected_by(shell: InteractiveShell, assembly: Assembly) -> Expected:
    """What the runs of a session's pipeline are compared with."""
    return expected_of(registered_cells(shell), assembly.diagnostics, values=shell.user_ns)


def check(report: Report, pipeline: Pipeline, expected: Expected, done: Sequence[Run]) -> None:
    """Compare what runs have with what the notebook has."""
    checks = [check_run(run, pipeline, expected) for run in done]
    report.check = "\n".join(map(repr, checks))
    report.differences = [str(told) for each in checks for told in diagnostics_of(each)]


def run_engine(case: Case, pipeline: Pipeline, folder: Path) -> list[Run]:
    """Run with the embedded engine, twice."""
    place = folder / "engine"
    with workplace(place, case):
        return [
            run_pipeline(
                RunRequest(pipeline, case.given),
                runs_folder=folder / ".kale",
                working_directory=place,
                listener=lambda event: None,
            )
            for _ in range(2)
        ]


def printed_by(run: Run) -> str:
    """What the steps of a run said."""
    return "".join(
        f"--- {name}: {step.state}\n{step.log}{step.error.traceback or step.error if step.error else ''}\n"
        for name, step in run.steps.items()
    )


def run_kfp(case: Case, pipeline: Pipeline, folder: Path, python: str) -> str:
    """Compile, and run the YAML with KFP's own local runner; what that prints."""
    from kale_magics.kubeflow.submission import with_exact_values  # it imports kfp

    pipeline = with_exact_values(pipeline, case.given)
    compile_pipeline(pipeline, folder / "pipeline.yaml", folder)
    arguments = {
        p.key: encode_parameter(case.given[p.name], p.type)
        for p in pipeline.parameters
        if p.name in case.given
    }
    with workplace(folder / "kfp", case), printed(folder / "kfp.txt") as output:
        run_yaml(folder / "pipeline.yaml", arguments, folder, python)
    return output.read_text(encoding="utf-8")
