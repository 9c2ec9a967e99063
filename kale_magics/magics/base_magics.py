"""What all magics share: the settings, the pipeline of the marked cells, the runs that are kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from IPython.core.magic import Magics
from traitlets import Bool, Enum, Int, List, Unicode, default, observe

from kale_magics.execution.run import Run
from kale_magics.magics.expansion import expand_arguments
from kale_magics.model.diagnostics import Code, Diagnostic, KaleError, Where, raise_errors, refuse
from kale_magics.model.options import StepOptions
from kale_magics.model.pipeline import Environment, Pipeline
from kale_magics.session.notebook_file import CHANGED, find_notebook, read_notebook
from kale_magics.session.own_modules import OwnModules
from kale_magics.session.registry import Cell, Registry
from kale_magics.syntax import arguments, commands
from kale_magics.syntax.arguments import Arguments, Syntax
from kale_magics.syntax.parameter_values import parameter_values
from kale_magics.syntax.step_options import check_files, image, size

if TYPE_CHECKING:
    from kale_magics.dataflow.assemble import Assembly
    from kale_magics.execution.request import RunRequest

_READERS: dict[str, Callable[[str, Where], Any]] = {
    "base_image": image,
    "step_options": commands.parse_step_options,
    "workspace_size": partial(size, "workspace_size"),
}
"""How the settings are read that are written as an option of a step is."""


class BaseMagics(Magics):
    """The state of a session.

    Attributes:
        registry: The marked cells.
        last_run: The run that was started or taken up last; None before the first.
        local_variables: Those of the function, or of the cell, that called the present magic.

    Args:
        shell: IPython's; its annotations differ from release to release.
    """

    pipeline_name = Unicode(
        help="Name of the pipeline. If empty, the name of the notebook's file; 'pipeline' if unknown."
    ).tag(config=True)
    description = Unicode(help="Free text for the YAML.").tag(config=True)
    base_image = Unicode(
        help="Container image of the steps on a cluster; by default python:X.Y-slim with the kernel's Python."
    ).tag(config=True)
    step_options = Unicode(
        help='Options of all steps, as after %%kale step NAME: "--cpu 1 --memory 2G". A step\'s own options'
        " take precedence; lists are merged."
    ).tag(config=True)
    pip_index_urls = List(
        Unicode(), help="Package indexes for the steps on a cluster, the first one instead of pip's own."
    ).tag(config=True)
    pip_trusted_hosts = List(Unicode(), help="Hosts of these indexes that need no valid certificate.").tag(
        config=True
    )
    workspace_size = Unicode("10Gi", help="Size of a run's shared volume, for --workspace.").tag(config=True)
    storage_class = Unicode(help="Storage class of that volume. If empty, the cluster's own.").tag(
        config=True
    )
    runs_folder = Unicode(".kale", help="Folder for the runs; a relative path is beside the notebook.").tag(
        config=True
    )
    max_parallel = Int(0, min=0, help="How many steps may run at the same time; 0 for one per core.").tag(
        config=True
    )
    start_steps = Enum(
        ("", "fork", "spawn"), "",
        help="How a step's process starts: fork, from a process that has executed the imports, or spawn, a"
        " fresh interpreter. If empty, fork on Linux, spawn elsewhere.",
    ).tag(config=True)  # fmt: skip
    slim_imports = Bool(
        True, help="Whether an import goes only to the steps that may use it, and not to every step."
    ).tag(config=True)

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.registry = Registry()
        self.modules = OwnModules()
        self.last_run: Run | None = None
        self.local_variables: Mapping[str, Any] = {}
        self._shell = shell
        self._shown_in = 0

    @default("base_image")
    def _image_of_this_python(self) -> str:
        from kale_magics.kubeflow.task_options import default_image

        return default_image()

    @observe(*_READERS)
    def _tell_of_mistake(self, change: Any) -> None:
        """Say at once what is wrong with a setting; a run refuses it.

        What would be raised, %config would write into a log, and go on with the setting of before.
        """
        try:
            found = self._read(change.name)
            if isinstance(found, StepOptions):
                check_files(found, Path.cwd(), self._where_set(change.name))
        except KaleError as error:
            print(error, file=sys.stderr)

    def _read(self, setting: str) -> Any:
        """What a setting of `_READERS` says.

        Raises:
            KaleError: It is none that a cluster takes.
        """
        return _READERS[setting](getattr(self, setting), self._where_set(setting))

    def _common_variables(self) -> dict[str, str]:
        """The environment variables that all steps are given."""
        try:
            return dict(self._read("step_options").env)
        except KaleError:  # the next run says so
            return {}

    def _where_set(self, setting: str) -> Where:
        return Where(f"%config KaleMagics.{setting} = {getattr(self, setting)!r}")

    @property
    def _is_rich(self) -> bool:
        """Whether there is a notebook that shows pictures."""
        return hasattr(self._shell, "kernel")

    def _note_run(self, run: Run) -> None:
        self.last_run = run

    def _request(
        self, options: Mapping[str, tuple[str, ...]], where: Where, resumed: Run | None
    ) -> RunRequest:
        """What `%kale_run` is to run."""
        from kale_magics.checking.expected import expected_of
        from kale_magics.execution.request import RunRequest
        from kale_magics.local.inputs import past_inputs

        cells, states, assembly = self._ready()
        pipeline, given = cast("Pipeline", assembly.pipeline), {}
        edited = [cell for cell, state in states.items() if state == CHANGED]
        expected = expected_of(cells, assembly.diagnostics, edited, self._shell.user_ns)
        values = parameter_values(pipeline.parameters, options.get("-p", ()), where)
        if resumed is not None:
            known = {parameter.name for parameter in pipeline.parameters}
            values = {n: v for n, v in resumed.parameters.items() if n in known} | values
        if "--until" in options:
            pipeline = pipeline.until(options["--until"])
        if "--only" in options:
            every = {p.name: p.default for p in pipeline.parameters} | values
            given = past_inputs(pipeline, options["--only"], every, self.runs_place, where)
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

    @property
    def runs_place(self) -> Path:
        """The folder that keeps the runs of this notebook."""
        path = find_notebook(self._shell.user_ns)
        return (path.parent if path else Path.cwd()) / Path(self.runs_folder).expanduser()

    def _past_run(self, wanted: Sequence[str], where: Where) -> Run:
        """The run of an id, or the last one.

        Raises:
            KaleError: There is none.
        """
        if not wanted and self.last_run is not None:
            return self.last_run
        from kale_magics.local.past_runs import past_runs

        known = {run.id: run for run in past_runs(self.runs_place)}
        if not wanted and known:
            return next(iter(known.values()))
        if wanted and wanted[0] in known:
            return known[wanted[0]]
        message = f"there is no run {wanted[0]}" if wanted else "no run is kept"
        fix = "%kale_runs lists those that are kept" if known else "%kale_run makes one"
        raise refuse(Code.NO_SUCH_OUTPUT, message, fix, where)

    def _where(self, syntax: Syntax, line: str) -> Where:
        return Where(f"In [{self._shell.displayhook.prompt_count}]", text=f"{syntax.magic} {line}")

    def _parse(self, syntax: Syntax, line: str) -> Arguments:
        text = expand_arguments(
            arguments.without_comment(line), {**self._shell.user_ns, **self.local_variables}
        )
        return arguments.parse(syntax, text, self._where(syntax, line))

    def _check_step(self, step: str, where: Where, kinds: bool = True) -> None:
        others = dict.fromkeys(c.kind for c in self.registry.cells if c.kind != "step")
        known = (*self.registry.steps, *(others if kinds else ()))
        if step not in known:
            guess = arguments.near(step, known)
            fix = f"did you mean {guess}?" if guess else f"there is: {', '.join(known) or 'none'}"
            raise refuse(Code.UNKNOWN_STEP, f"no step {step!r} is marked", fix, where)

    def _assemble(self) -> tuple[tuple[Cell, ...], dict[Cell, str], Assembly]:
        """The cells in the order of the notebook, what the file tells of them, and what they make."""
        from kale_magics.analysis.nesting import with_deep_stack

        return with_deep_stack(self._assembled)

    def _assembled(self) -> tuple[tuple[Cell, ...], dict[Cell, str], Assembly]:
        from kale_magics.dataflow.assemble import Settings, assemble
        from kale_magics.kubeflow.only_here import variables_given_otherwise
        from kale_magics.session.namespace import Session

        path = find_notebook(self._shell.user_ns)
        notebook = read_notebook(path)
        cells = notebook.ordered(self.registry.cells)
        gone = notebook.deleted(cells)
        session = Session(self._shell, [text for _, text in notebook.cells])
        name = self.pipeline_name or (path.stem if path else "pipeline")
        environment = Environment(
            self.base_image,
            tuple(self.pip_index_urls),
            tuple(self.pip_trusted_hosts),
            self.workspace_size,
            self.storage_class,
        )
        said = {setting: self._read(setting) for setting in _READERS}
        settings = Settings(name, self.description, environment, self.slim_imports, said["step_options"])
        assembly = assemble([cell for cell in cells if cell not in gone], session, settings)
        told = [*notebook.diagnostics(cells), *assembly.diagnostics]
        if assembly.draft is not None:
            told += self.modules.warnings(assembly.draft)
            told += variables_given_otherwise(assembly.draft, assembly.cells)
        return cells, notebook.states(cells), replace(assembly, diagnostics=tuple(told))

    def _ready(self) -> tuple[tuple[Cell, ...], dict[Cell, str], Assembly]:
        """As `_assemble`, for a pipeline without errors, after its warnings have been printed.

        Raises:
            KaleError: It has errors.
        """
        cells, states, assembly = self._assemble()
        raise_errors(assembly.diagnostics)
        self._show_warnings([d for d in assembly.diagnostics if d.severity == "warning"])
        return cells, states, assembly

    def _pipeline(self) -> Pipeline:
        """The pipeline, after its warnings have been printed.

        Raises:
            KaleError: It has errors.
        """
        *_, assembly = self._ready()
        return cast("Pipeline", assembly.pipeline)

    def _show_warnings(self, warnings: Sequence[Diagnostic]) -> None:
        from kale_magics.view import diagnostics_text

        if warnings:
            print(diagnostics_text(warnings), end="\n\n")
