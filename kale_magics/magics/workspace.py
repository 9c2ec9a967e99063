"""The state of a session for the magics: marked cells, their pipeline, and runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kale_magics.execution.run import Run
from kale_magics.magics.expansion import expand_arguments
from kale_magics.magics.settings import KaleSettings
from kale_magics.model.diagnostics import Code, Diagnostic, Where, kale_error, raise_errors
from kale_magics.model.pipeline import Pipeline
from kale_magics.session.notebook_file import CHANGED, find_notebook, read_notebook
from kale_magics.session.own_modules import OwnModules
from kale_magics.session.registry import Cell, Registry
from kale_magics.syntax import arguments
from kale_magics.syntax.arguments import Arguments, Syntax
from kale_magics.syntax.parameter_values import parameter_values

if TYPE_CHECKING:
    from kale_magics.dataflow.assemble import Assembly
    from kale_magics.execution.request import RunRequest

Options = Mapping[str, tuple[str, ...]]
"""The options of a magic, with their values."""


@dataclass(frozen=True)
class NotebookState:
    """The marked cells and their pipeline at one moment.

    Attributes:
        cells: The marked cells, in the order of the notebook.
        states: The state of each cell.
        assembly: The pipeline, or the errors in it.
    """

    cells: tuple[Cell, ...]
    states: Mapping[Cell, str]
    assembly: Assembly


class Workspace:
    """The state of a session.

    Args:
        shell: IPython's shell; its annotations differ from release to release.
        settings: The user's settings.

    Attributes:
        registry: The marked cells.
        modules: The user's own modules.
        last_run: The run that was started or attached last; None before the first.
        local_variables: The local variables of the caller of the current magic.
    """

    def __init__(self, shell: Any, settings: KaleSettings) -> None:
        self._shell, self._settings = shell, settings
        self.registry = Registry()
        self.modules = OwnModules()
        self.last_run: Run | None = None
        self.local_variables: Mapping[str, Any] = {}
        self._shown_in = 0

    @property
    def is_rich(self) -> bool:
        """Whether the frontend is a notebook, which displays pictures."""
        return hasattr(self._shell, "kernel")

    @property
    def runs_folder(self) -> Path:
        """The folder for the runs of this notebook."""
        path = find_notebook(self._shell.user_ns)
        return (path.parent if path else Path.cwd()) / Path(self._settings.runs_folder).expanduser()

    def set_last_run(self, run: Run) -> None:
        """Make a run the last one."""
        self.last_run = run

    def set_shown(self, run: Run) -> None:
        """Make a run the last one, and record that the current cell displayed its summary."""
        self.last_run, self._shown_in = run, self._shell.displayhook.prompt_count

    def is_shown(self, run: Run) -> bool:
        """Whether the current cell of a notebook displayed the summary of a run."""
        fresh = run is self.last_run and self._shown_in == self._shell.displayhook.prompt_count
        return fresh and self.is_rich

    def where(self, syntax: Syntax, line: str) -> Where:
        """Return the place of a magic, for its diagnostics."""
        return Where(f"In [{self._shell.displayhook.prompt_count}]", text=f"{syntax.magic} {line}")

    def parse(self, syntax: Syntax, line: str) -> Arguments:
        """Parse the line of a magic, after the expansion of variables.

        Raises:
            KaleError: The line does not match the syntax.
        """
        variables = {**self._shell.user_ns, **self.local_variables}
        text = expand_arguments(arguments.without_comment(line), variables)
        return arguments.parse(syntax, text, self.where(syntax, line))

    def check_step(self, step: str, where: Where, kinds: bool = True) -> None:
        """Check that a step, or a kind of cell, is marked.

        Raises:
            KaleError: It is not marked.
        """
        others = dict.fromkeys(c.kind for c in self.registry.cells if c.kind != "step")
        known = (*self.registry.steps, *(others if kinds else ()))
        if step not in known:
            guess = arguments.closest(step, known)
            marked = f"use one of: {', '.join(known)}" if known else "mark a cell: %%kale step NAME"
            fix = f"did you mean {guess}?" if guess else marked
            raise kale_error(Code.UNKNOWN_STEP, f"no step {step!r} is marked", fix, where)

    def read(self) -> NotebookState:
        """Assemble the marked cells."""
        from kale_magics.analysis.nesting import with_deep_stack

        return with_deep_stack(self._read)

    def _read(self) -> NotebookState:
        from kale_magics.dataflow.assemble import Settings, assemble
        from kale_magics.kubeflow.portability import changed_variables
        from kale_magics.session.namespace import Session

        path = find_notebook(self._shell.user_ns)
        notebook = read_notebook(path)
        cells = notebook.ordered(self.registry.cells)
        deleted = notebook.deleted(cells)
        session = Session(self._shell, [text for _, text in notebook.cells])
        own = self._settings
        name = own.pipeline_name or (path.stem if path else "pipeline")
        options = own.parsed("step_options")
        settings = Settings(name, own.description, own.environment, own.slim_imports, options)
        assembly = assemble([cell for cell in cells if cell not in deleted], session, settings)
        diagnostics = [*notebook.diagnostics(cells), *assembly.diagnostics]
        if assembly.draft is not None:
            diagnostics += self.modules.warnings(assembly.draft)
            diagnostics += changed_variables(assembly.draft, assembly.cells)
        return NotebookState(cells, notebook.states(cells), replace(assembly, diagnostics=tuple(diagnostics)))

    def read_valid(self) -> NotebookState:
        """Assemble the marked cells, and print the warnings.

        Raises:
            KaleError: The pipeline has errors.
        """
        notebook = self.read()
        raise_errors(notebook.assembly.diagnostics)
        show_warnings([d for d in notebook.assembly.diagnostics if d.severity == "warning"])
        return notebook

    def pipeline(self) -> Pipeline:
        """Return the pipeline of the marked cells, after its warnings have been printed.

        Raises:
            KaleError: It has errors.
        """
        return cast("Pipeline", self.read_valid().assembly.pipeline)

    def request(self, options: Options, where: Where) -> RunRequest:
        """Return the request for a run with the options of `%kale_run`.

        Raises:
            KaleError: The pipeline has errors, an option is invalid for it, or there is no run to resume.
        """
        from kale_magics.checking.expected import expected_of
        from kale_magics.execution.request import RunRequest
        from kale_magics.local.past_inputs import past_inputs

        for step in (*options.get("--until", ()), *options.get("--only", ())):
            self.check_step(step, where, kinds=False)
        resumed = self._failed_run(where) if "--resume" in options else None
        notebook = self.read_valid()
        pipeline, given = cast("Pipeline", notebook.assembly.pipeline), {}
        edited = [cell for cell, state in notebook.states.items() if state == CHANGED]
        session = self._shell.user_ns
        expected = expected_of(notebook.cells, notebook.assembly.diagnostics, edited, session)
        values = parameter_values(pipeline.parameters, options.get("-p", ()), where)
        if resumed is not None:
            known = {parameter.name for parameter in pipeline.parameters}
            values = {n: v for n, v in resumed.parameters.items() if n in known} | values
        if "--until" in options:
            pipeline = pipeline.until(options["--until"])
        if "--only" in options:
            every = {p.name: p.default for p in pipeline.parameters} | values
            given = past_inputs(pipeline, options["--only"], every, self.runs_folder, where)
            pipeline = pipeline.only(options["--only"])
            for past in given.values():
                print(past)
        return RunRequest(
            pipeline,
            values,
            "".join(options.get("--name", ())),
            cache="--no-cache" not in options,
            resumed=resumed,
            given={name: past.step.folder for name, past in given.items()},
            expected=expected,
            strict="--check" in options,
            wait=not {"--background", "--no-wait"} & options.keys(),
            cancel_on_interrupt="--cancel-on-interrupt" in options,
        )

    def past_run(self, wanted: Sequence[str], where: Where) -> Run:
        """Return the run of an id, or the last one.

        Raises:
            KaleError: There is no such run.
        """
        last = self.last_run
        if not wanted and last is not None and (last.link or last.folder.exists()):
            return last
        from kale_magics.local.past_runs import stored_run

        return stored_run(self.runs_folder, "".join(wanted), where)

    def _failed_run(self, where: Where) -> Run:
        """Return the last run, if it failed or was cancelled.

        Raises:
            KaleError: It succeeded, is running, is on a server, or there is no run.
        """
        run = self.past_run((), where)
        if run.link:
            message = f"the last run, {run.id}, is on a server: --resume is for local runs"
            raise kale_error(Code.BAD_ARGUMENTS, message, "run the pipeline: %kale_run", where)
        state = run.state
        if state in ("failed", "cancelled"):
            return run
        reason, fix = f"run {run.id} is still running", "wait for its end, or run.cancel()"
        if state == "succeeded":
            reason, fix = f"the last run, {run.id}, succeeded", "run what has changed since: %kale_run"
        raise kale_error(Code.BAD_ARGUMENTS, f"there is nothing to resume: {reason}", fix, where)


def show_warnings(warnings: Sequence[Diagnostic]) -> None:
    """Print warnings, if there are any."""
    from kale_magics.view import diagnostics_text

    if warnings:
        print(diagnostics_text(warnings), end="\n\n")
