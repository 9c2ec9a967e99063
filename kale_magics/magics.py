"""The magics. Each reads its line, calls one thing, and shows what comes of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from IPython.core.magic import line_cell_magic, line_magic, magics_class, no_var_expand
from traitlets import Bool, Enum, Int, List, Unicode, default

from kale_magics import arguments, commands
from kale_magics.arguments import Arguments, Syntax
from kale_magics.cluster_magics import ClusterMagics
from kale_magics.completion import Completion
from kale_magics.diagnostics import Code, Diagnostic, Where, raise_errors, refuse
from kale_magics.documentation import documented
from kale_magics.marking import Marking
from kale_magics.notebook import find_notebook, read_notebook
from kale_magics.parameter_values import parameter_values
from kale_magics.pipeline import Environment, Pipeline
from kale_magics.registry import Cell, Registry
from kale_magics.run import Run

if TYPE_CHECKING:
    from kale_magics.assemble import Assembly
    from kale_magics.running import Order


@magics_class
class KaleMagics(ClusterMagics):
    """Marks the cells of a notebook and runs them as a pipeline.

    Attributes:
        registry: The marked cells.
        last_run: The run that was started last; None before the first.

    Args:
        shell: IPython's; its annotations differ from release to release.
    """

    pipeline_name = Unicode(
        help="Name of the pipeline. If it is empty, the name of the notebook's file, or else 'pipeline'."
    ).tag(config=True)
    description = Unicode(help="What the pipeline is for, in your own words.").tag(config=True)
    base_image = Unicode(help="Container image that the steps run in.").tag(config=True)
    step_options = Unicode(
        help="Options of all steps, as behind %%kale step NAME; a step's own come first."
        ' As in "--cpu 1 --memory 2G --env LEVEL=debug".'
    ).tag(config=True)
    pip_index_urls = List(
        Unicode(), help="Where steps on a cluster get packages; the first one instead of pip's own."
    ).tag(config=True)
    pip_trusted_hosts = List(Unicode(), help="Hosts of these that need no valid certificate.").tag(
        config=True
    )
    workspace_size = Unicode("10Gi", help="Size of a run's shared volume, for --workspace.").tag(config=True)
    storage_class = Unicode(help="Its storage class; empty for the cluster's own.").tag(config=True)
    runs_folder = Unicode(
        ".kale", help="Folder that keeps the runs; unless it is absolute, beside the notebook."
    ).tag(config=True)
    max_parallel = Int(
        0, min=0, help="How many steps may run at the same time; 0: as many as there are cores."
    ).tag(config=True)
    start_steps = Enum(
        ("", "fork", "spawn"), "",
        help="How a step's process starts: forked from one that has the imports of the imports cells, or as a"
        " fresh interpreter. If it is empty: forked on Linux.",
    ).tag(config=True)  # fmt: skip
    slim_imports = Bool(
        True, help="Whether an import goes only to the steps that may use it, or to every step."
    ).tag(config=True)

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.registry = Registry()
        self.last_run: Run | None = None
        self._shell = shell
        self._marking = Marking(shell, self.registry)
        self._completion = Completion(self.registry, _SYNTAXES)
        self._shown_in = 0

    @default("base_image")
    def _image_of_this_python(self) -> str:
        from kale_magics.kubeflow.compiler import default_image

        return default_image()

    def load(self) -> None:
        """Make everything known to the shell."""
        self._shell.register_magics(self)
        self._marking.load()
        self._shell.Completer.custom_matchers.append(self._completion.match)
        self._shell.display_formatter.ipython_display_formatter.for_type(Run, self._hide)

    def unload(self) -> None:
        """Take back what `load` did."""
        self._shell.display_formatter.ipython_display_formatter.pop(Run)
        self._shell.Completer.custom_matchers.remove(self._completion.match)
        self._marking.unload()
        manager = self._shell.magics_manager
        for kind, magics in self.magics.items():
            for name in magics:
                del manager.magics[kind][name]
        del manager.registry[type(self).__name__]
        self._shell.configurables.remove(self)
        server = sys.modules.get("kale_magics.local.server")
        if server is not None:
            server.close_servers()

    @no_var_expand
    @line_cell_magic
    @documented(*commands.KINDS.values(), commands.KALE)
    def kale(self, line: str, cell: str | None = None) -> None:
        """Mark a cell, as its first line; alone as %kale, show what is marked.

        A marked cell runs as if this line were not there. `%kale KIND` as the first line does the same as
        `%%kale KIND`, and leaves the cell Python for editors and formatters.

        imports and functions go to every step; parameters are the inputs of the pipeline; a step is a part
        that runs by itself, and cells of one name are one step; metrics are numbers to log; skip is left out.
        `%kale` shows every marked cell, what each step takes and hands on, and what is wrong.
        """
        if arguments.has_words(line) or cell is not None or self._marking.lacks_kind:
            self._marking.mark(line)
        else:
            self._show()

    @no_var_expand
    @line_magic
    @documented(commands.GRAPH)
    def kale_graph(self, line: str) -> None:
        """Show the pipeline as a picture; in a terminal as a tree."""
        self._parse(commands.GRAPH, line)
        from kale_magics.view import GraphView

        _display(GraphView(self._pipeline()))

    @no_var_expand
    @line_magic
    @documented(commands.RUN)
    def kale_run(self, line: str) -> Run:
        """Run the pipeline on this machine, or on a server, and wait for its end.

        Every step runs in a process of its own, those that do not wait for each other at the same time. The
        result is a run: run.state, run.steps["train"].log, run.outputs["train"]["model"], run.metrics.
        """
        options, where = self._parse(commands.RUN, line).options, self._where(commands.RUN, line)
        from kale_magics.running import start, start_beside

        self._check_run(options, where)
        resumed = self._failed_run(where) if "--resume" in options else None
        order = self._order(options, where, resumed)
        if self.host or "--host" in options or os.environ.get(commands.HOST_VARIABLE):
            return self._run_on_server(order, options, where)
        begin = start_beside if "--background" in options else start
        run = begin(order, hasattr(self._shell, "kernel"), self._note_run)
        self._shown_in = self._shell.displayhook.prompt_count
        return run

    @no_var_expand
    @line_magic
    @documented(commands.COMPILE)
    def kale_compile(self, line: str) -> None:
        """Write the pipeline as a file that Kubeflow Pipelines runs; it needs nothing else."""
        path = Path(self._parse(commands.COMPILE, line).words[0]).expanduser()
        from kale_magics.kubeflow.cargo import files_only_here
        from kale_magics.kubeflow.compiler import compile_pipeline
        from kale_magics.view.words import plural

        pipeline = self._pipeline()
        self._point_out(files_only_here(pipeline, Path.cwd()))
        compile_pipeline(pipeline, path, Path.cwd())
        print(f"{pipeline.name}: {plural(len(pipeline.steps), 'step')} written to {path}")

    @no_var_expand
    @line_magic
    @documented(commands.RUNS)
    def kale_runs(self, line: str) -> None:
        """List the runs of this notebook's folder, or those of a server, the newest first."""
        options = self._parse(commands.RUNS, line).options
        if "--host" in options:
            self._list_runs(options, self._where(commands.RUNS, line))
            return
        from kale_magics.local.history import past_runs
        from kale_magics.view import runs_text

        print(runs_text(past_runs(self.runs_place)))

    @no_var_expand
    @line_magic
    @documented(commands.LOGS)
    def kale_logs(self, line: str) -> None:
        """Show all that a step printed in the last run, or in an earlier one."""
        given = self._parse(commands.LOGS, line)
        run = self._meant(given.options, self._where(commands.LOGS, line))
        print(run.steps[given.words[0]].log, end="")

    @no_var_expand
    @line_magic
    @documented(commands.CLEAN)
    def kale_clean(self, line: str) -> None:
        """Throw away the files of past runs, and say how much room that makes."""
        where = self._where(commands.CLEAN, line)
        options = self._parse(commands.CLEAN, line).options
        if not options:
            message = "%kale_clean does not say which runs"
            raise refuse(Code.BAD_ARGUMENTS, message, f"write it as in {commands.CLEAN.example}", where)
        keep, age = options.get("--keep", ()), options.get("--older-than", ())
        if keep and not keep[0].isdecimal():
            message = f"{keep[0]!r} is no number of runs"
            raise refuse(Code.BAD_ARGUMENTS, message, "write it as in --keep 10", where)
        from kale_magics.local.history import clean
        from kale_magics.view.words import human_size, plural

        gone, freed = clean(
            self.runs_place,
            int(keep[0]) if keep else None,
            arguments.duration(age[0], where) if age else None,
        )
        print(f"{plural(len(gone), 'run')} thrown away, {human_size(freed)} freed")

    @no_var_expand
    @line_magic
    @documented(commands.RESET)
    def kale_reset(self, line: str) -> None:
        """Forget marked cells: those of the steps or kinds named, or all. To run a cell marks it again."""
        steps = self._parse(commands.RESET, line).words
        for step in steps:
            self._check_step(step, self._where(commands.RESET, line))
        before = len(self.registry.cells)
        if steps:
            self.registry.remove(steps)
        else:
            self.registry.clear()
        print(f"marked cells forgotten: {before - len(self.registry.cells)}")

    def _check_run(self, options: Mapping[str, tuple[str, ...]], where: Where) -> None:
        """Refuse what cannot be asked for at the same time, and steps that nobody knows."""
        chosen = [name for name in ("--until", "--only", "--resume") if name in options]
        if len(chosen) > 1 and "--only" in chosen:
            message = f"{' and '.join(chosen)} cannot go together"
            raise refuse(Code.BAD_ARGUMENTS, message, "leave one of them out", where)
        for step in (*options.get("--until", ()), *options.get("--only", ())):
            self._check_step(step, where, kinds=False)

    def _order(self, options: Mapping[str, tuple[str, ...]], where: Where, resumed: Run | None) -> Order:
        """What `%kale_run` is to do."""
        from kale_magics.local.inputs import past_inputs
        from kale_magics.running import Order

        pipeline, given = self._pipeline(), {}
        values = parameter_values(
            pipeline.parameters, [self._with_value(pair) for pair in options.get("-p", ())], where
        )
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
        return Order(
            pipeline,
            values,
            self.runs_place,
            "".join(options.get("--name", ())),
            max_parallel=self.max_parallel or None,
            fork=self.start_steps == "fork" if self.start_steps else None,
            cache="--no-cache" not in options,
            resumed=resumed,
            given={name: past.step.folder for name, past in given.items()},
        )

    def _note_run(self, run: Run) -> None:
        self.last_run = run

    def _failed_run(self, where: Where) -> Run:
        """The last run, which has not succeeded.

        Raises:
            KaleError: It has, or goes on, or there is none.
        """
        run = self._past_run((), where)
        if run.state in ("failed", "cancelled"):
            return run
        message = (
            f"the last run, {run.id}, has {run.state}"
            if run.state == "succeeded"
            else f"run {run.id} goes on"
        )
        fix = (
            "%kale_run runs what has changed since"
            if run.state == "succeeded"
            else "wait for its end, or run.cancel()"
        )
        raise refuse(Code.BAD_ARGUMENTS, f"{message}: there is nothing to resume", fix, where)

    @property
    def runs_place(self) -> Path:
        """The folder that keeps the runs of this notebook."""
        path = find_notebook(self._shell.user_ns)
        return (path.parent if path else Path.cwd()) / Path(self.runs_folder).expanduser()

    def _runs_place(self) -> Path:
        return self.runs_place

    def _past_run(self, wanted: Sequence[str], where: Where) -> Run:
        """The run of an id, or the last one.

        Raises:
            KaleError: There is none.
        """
        if not wanted and self.last_run is not None:
            return self.last_run
        from kale_magics.local.history import past_runs

        known = {run.id: run for run in past_runs(self.runs_place)}
        if not wanted and known:
            return next(iter(known.values()))
        if wanted and wanted[0] in known:
            return known[wanted[0]]
        message = f"there is no run {wanted[0]}" if wanted else "no run is kept"
        fix = "%kale_runs lists those that are kept" if known else "%kale_run makes one"
        raise refuse(Code.NO_SUCH_OUTPUT, message, fix, where)

    def _with_value(self, pair: str) -> str:
        """NAME={variable} with the variable's value; all other braces are JSON's."""
        name, _, text = pair.partition("=")
        variable = text[1:-1]
        if text != f"{{{variable}}}" or variable not in self._shell.user_ns:
            return pair
        value = self._shell.user_ns[variable]
        return f"{name}={value if isinstance(value, str) else repr(value)}"

    def _where(self, syntax: Syntax, line: str) -> Where:
        return Where(f"In [{self._shell.displayhook.prompt_count}]", text=f"{syntax.magic} {line}")

    def _parse(self, syntax: Syntax, line: str) -> Arguments:
        return arguments.parse(syntax, line, self._where(syntax, line))

    def _check_step(self, step: str, where: Where, kinds: bool = True) -> None:
        others = dict.fromkeys(c.kind for c in self.registry.cells if c.kind != "step")
        known = (*self.registry.steps, *(others if kinds else ()))
        if step not in known:
            guess = arguments.near(step, known)
            fix = f"did you mean {guess}?" if guess else f"there is: {', '.join(known) or 'none'}"
            raise refuse(Code.UNKNOWN_STEP, f"no step {step!r} is marked", fix, where)

    def _assemble(self) -> tuple[tuple[Cell, ...], dict[Cell, str], Assembly]:
        """The cells in the order of the notebook, what the file tells of them, and what they make."""
        from kale_magics.assemble import Settings, assemble
        from kale_magics.session import Session

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
        options = commands.parse_step_options(self.step_options, Where(text=self.step_options))
        settings = Settings(name, self.description, environment, self.slim_imports, options)
        assembly = assemble([cell for cell in cells if cell not in gone], session, settings)
        told = (*notebook.diagnostics(cells), *assembly.diagnostics)
        return cells, notebook.states(cells), replace(assembly, diagnostics=told)

    def _pipeline(self) -> Pipeline:
        """The pipeline, after its warnings have been printed.

        Raises:
            KaleError: It has errors.
        """
        *_, assembly = self._assemble()
        raise_errors(assembly.diagnostics)
        self._point_out([d for d in assembly.diagnostics if d.severity == "warning"])
        return cast("Pipeline", assembly.pipeline)

    def _point_out(self, warnings: Sequence[Diagnostic]) -> None:
        from kale_magics.view import diagnostics_text

        if warnings:
            print(diagnostics_text(warnings), end="\n\n")

    def _show(self) -> None:
        from kale_magics.view import diagnostics_text, registered, rows

        if not self.registry.cells:
            _display(registered(()))
            return
        cells, states, assembly = self._assemble()
        outlooks = self._outlooks(assembly.pipeline) if assembly.pipeline else {}
        _display(registered(rows(cells, assembly.draft, states, outlooks)))
        if assembly.diagnostics:
            print(diagnostics_text(assembly.diagnostics))

    def _outlooks(self, pipeline: Pipeline) -> dict[str, str]:
        """What a run would do with each step now, in words; nothing before the first run."""
        from kale_magics.local.plan import plan
        from kale_magics.view.words import outlook

        values = {parameter.name: parameter.default for parameter in pipeline.parameters}
        told = plan(pipeline, values, self.runs_place, Path.cwd())
        return {step: outlook(look.cached, look.reason) for step, look in told.items()}

    def _hide(self, run: Run) -> None:
        """Show nothing of a run as the result of the cell that has just shown its summary.

        Raises:
            NotImplementedError: Everywhere else, and in terminals, which have written "Out[n]:" by then.
        """
        fresh = run is self.last_run and self._shown_in == self._shell.displayhook.prompt_count
        if not fresh or not hasattr(self._shell, "kernel"):
            raise NotImplementedError


_SYNTAXES = {
    syntax.magic.lstrip("%"): syntax
    for syntax in (
        commands.GRAPH,
        commands.RUN,
        commands.COMPILE,
        commands.RUNS,
        commands.LOGS,
        commands.CLEAN,
        commands.RESET,
        commands.ATTACH,
        commands.CANCEL,
        commands.PULL,
        commands.SCHEDULE,
    )
}


def _display(view: object) -> None:
    from IPython.display import display

    show: Callable[[object], object] = display
    show(view)
