"""The magics: each parses its line, calls one function, and shows the result."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from IPython.core.magic import line_cell_magic, line_magic, magics_class, no_var_expand

from kale_magics.execution.run import Run
from kale_magics.magics.backends import Backends
from kale_magics.magics.completion import Completion
from kale_magics.magics.documentation import documented
from kale_magics.magics.expansion import expanding
from kale_magics.magics.settings import KaleSettings
from kale_magics.magics.workspace import Workspace, show_warnings
from kale_magics.model.diagnostics import Code, kale_error, raise_errors
from kale_magics.model.pipeline import Pipeline
from kale_magics.session.guard import guarded
from kale_magics.session.marking import Marking
from kale_magics.syntax import arguments, commands
from kale_magics.syntax.arguments import check_capabilities


@magics_class
class KaleMagics(KaleSettings):
    """Marks the cells of a notebook and runs them as a pipeline.

    Args:
        shell: IPython's shell; its annotations differ from release to release.
    """

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._shell = shell
        self.workspace = Workspace(shell, self)
        self.backends = Backends(self, self.workspace)
        own = self.workspace
        self._marking = Marking(shell, own.registry, own.modules, lambda: self.common_variables)
        self._completion = Completion(own.registry, _SYNTAXES)

    def load(self) -> None:
        """Register the magics, the marks, the completion and the formatter in the shell."""
        self._shell.register_magics(self)
        self._marking.load()
        self._shell.Completer.custom_matchers.append(self._completion.match)
        self._shell.display_formatter.ipython_display_formatter.for_type(Run, self._hide)

    def unload(self) -> None:
        """Undo `load`."""
        self._shell.display_formatter.ipython_display_formatter.pop(Run)
        self._shell.Completer.custom_matchers.remove(self._completion.match)
        self._marking.unload()
        manager = self._shell.magics_manager
        for kind, magics in self.magics.items():
            for name in magics:
                del manager.magics[kind][name]
        del manager.registry[type(self).__name__]
        self._shell.configurables.remove(self)
        server = sys.modules.get("kale_magics.local.fork_client")
        if server is not None:
            server.close_servers()

    @no_var_expand
    @line_cell_magic
    @guarded
    @documented(*commands.KINDS.values(), commands.KALE)
    def kale(self, line: str, cell: str | None = None) -> None:
        """Show the marked cells: kind, state, inputs, outputs, what the next run would do, and problems.

        As the first line of a cell, followed by a kind, it marks the cell. A marked cell runs as if that line
        were not there. `%kale KIND` does the same as `%%kale KIND`, and keeps the cell valid Python for
        editors and formatters.
        """
        if arguments.has_words(line) or cell is not None or self._marking.lacks_kind:
            self._marking.mark(line)
        else:
            self._show()

    @expanding
    @line_magic
    @documented(commands.GRAPH)
    def kale_graph(self, line: str) -> None:
        """Draw the pipeline: a picture in a notebook, a tree in a terminal."""
        self.workspace.parse(commands.GRAPH, line)
        from kale_magics.view import GraphView

        _display(GraphView(self.workspace.pipeline()))

    @expanding
    @line_magic
    @documented(commands.RUN)
    def kale_run(self, line: str) -> Run:
        """Run the pipeline, on this machine or on a server, wait for its end and return the run.

        Each step runs in its own process. Steps that do not depend on each other run at the same time. The
        run has `run.state`, `run.metrics`, `run.steps["train"].log`, `run.outputs["train"]["model"]`.
        """
        options = self.workspace.parse(commands.RUN, line).options
        where = self.workspace.where(commands.RUN, line)
        from kale_magics.magics.run_listener import RunListener

        backend = self.backends.of(options)
        place, elsewhere = backend.place, backend.elsewhere
        check_capabilities(commands.RUN, options, backend.capabilities, place, elsewhere, where)
        request = self.workspace.request(options, where)
        show_warnings(backend.warnings(request.pipeline))
        own = self.workspace
        listener = RunListener(request.pipeline, own.is_rich, own.set_last_run, request)
        with listener:
            run = backend.submit(request, listener)
        if listener.shows:
            own.set_shown(run)
        return run

    @expanding
    @line_magic
    @documented(commands.COMPILE)
    def kale_compile(self, line: str) -> None:
        """Write the pipeline as one YAML file for Kubeflow Pipelines 2."""
        path = Path(self.workspace.parse(commands.COMPILE, line).words[0]).expanduser()
        from kale_magics.kubeflow.compiler import compile_pipeline, size_problems
        from kale_magics.kubeflow.portability import portability_warnings
        from kale_magics.kubeflow.secret_scan import literal_secrets
        from kale_magics.view.words import plural

        pipeline = self.workspace.pipeline()
        # Another installation may be set up to store larger runs: the file is written anyway.
        sizes = [replace(found, severity="warning") for found in size_problems(pipeline, Path.cwd())]
        show_warnings([*portability_warnings(pipeline, Path.cwd()), *literal_secrets(pipeline), *sizes])
        compile_pipeline(pipeline, path, Path.cwd(), self.backends.access("").secrets)
        print(f"{pipeline.name}: {plural(len(pipeline.steps), 'step')} written to {path}")

    @expanding
    @line_magic
    @documented(commands.RUNS)
    def kale_runs(self, line: str) -> None:
        """List the stored runs of the notebook's folder, or those of a server, the newest first."""
        options = self.workspace.parse(commands.RUNS, line).options
        from kale_magics.view import runs_text

        asked = "--host" in options
        backend = self.backends.of(options) if asked else self.backends.local()
        print(runs_text(backend.runs(), "%kale_run --host" if asked else "%kale_run"))
        if self.names_server and not asked:
            print("These runs are on this machine; %kale_runs --host lists those of the server.")

    @expanding
    @line_magic
    @documented(commands.LOGS)
    def kale_logs(self, line: str) -> None:
        """Print the log of a step, in the last run or in an earlier one."""
        given = self.workspace.parse(commands.LOGS, line)
        run = self.backends.run_of(given.options, self.workspace.where(commands.LOGS, line))
        step = run.steps[given.words[0]]
        log = step.log
        print(log, end="")
        if not log and step.state in ("waiting", "skipped"):
            print(f"step {step.name} has printed nothing: it is {step.state}")
        elif not log and run.link:
            print(f"the server returns no log of step {step.name}; Kubeflow's page may show it: {run.link}")

    @expanding
    @line_magic
    @documented(commands.CLEAN)
    def kale_clean(self, line: str) -> None:
        """Delete stored runs and their cache entries, and print how much space that freed.

        It needs at least one of the two options. Runs in progress are kept.
        """
        where = self.workspace.where(commands.CLEAN, line)
        options = self.workspace.parse(commands.CLEAN, line).options
        if not options:
            message = "%kale_clean needs --keep or --older-than"
            raise kale_error(Code.BAD_ARGUMENTS, message, f"write it as in {commands.CLEAN.example}", where)
        keep, age = options.get("--keep", ()), options.get("--older-than", ())
        kept = arguments.whole_number(keep[0]) if keep else None
        if keep and kept is None:
            message = f"--keep takes a number of runs, not {keep[0]!r}"
            raise kale_error(Code.BAD_ARGUMENTS, message, "write it as in --keep 10", where)
        from kale_magics.local.past_runs import clean
        from kale_magics.view.words import human_size, plural

        gone, freed = clean(
            self.workspace.runs_folder,
            kept,
            arguments.parse_duration(age[0], where) if age else None,
        )
        print(f"{plural(len(gone), 'run')} deleted, {human_size(freed)} freed")

    @expanding
    @line_magic
    @documented(commands.RESET)
    def kale_reset(self, line: str) -> None:
        """Forget the marked cells of these steps and kinds, or all; running a cell marks it again."""
        steps = self.workspace.parse(commands.RESET, line).words
        for step in steps:
            self.workspace.check_step(step, self.workspace.where(commands.RESET, line))
        before = len(self.workspace.registry.cells)
        if steps:
            self.workspace.registry.remove(steps)
        else:
            self.workspace.registry.clear()
        print(f"marked cells forgotten: {before - len(self.workspace.registry.cells)}")

    @expanding
    @line_magic
    @documented(commands.ATTACH)
    def kale_attach(self, line: str) -> Run:
        """Follow a run on a server again, in another kernel too, and return the run."""
        given = self.workspace.parse(commands.ATTACH, line)
        from kale_magics.magics.run_listener import RunListener

        run_id, where = given.words[0], self.workspace.where(commands.ATTACH, line)
        backend = self.backends.kubeflow_of(run_id, given.options, where)
        run = backend.attach(run_id)
        if not run.trusted:
            print(f"run {run.id} was not started from this folder: {run.name}")
        run.trusted = run.trusted or "--trust" in given.options
        own = self.workspace
        own.set_last_run(run)
        if "--no-wait" not in given.options:
            listener = RunListener(backend.pipeline_of(run), own.is_rich, own.set_last_run)
            with listener:
                backend.follow(run, listener, "--cancel-on-interrupt" in given.options)
            own.set_shown(run)
        return run

    @expanding
    @line_magic
    @documented(commands.CANCEL)
    def kale_cancel(self, line: str) -> None:
        """End a run on the server."""
        given = self.workspace.parse(commands.CANCEL, line)
        run_id = given.words[0]
        where = self.workspace.where(commands.CANCEL, line)
        print(self.backends.kubeflow_of(run_id, given.options, where).cancel(run_id))

    @expanding
    @line_magic
    @documented(commands.PULL)
    def kale_pull(self, line: str) -> None:
        """Load the outputs of a step into the session: all of them, or some variables."""
        given = self.workspace.parse(commands.PULL, line)
        run = self.backends.run_of(given.options, self.workspace.where(commands.PULL, line))
        step, *names = given.words
        values = run.outputs[step]
        found = {name: values[name] for name in names or values}
        self._shell.user_ns.update(found)
        kinds = ", ".join(f"{name} ({type(value).__name__})" for name, value in found.items())
        print(f"from step {step} of run {run.id}: {kinds or 'nothing, it has no outputs'}")

    @expanding
    @line_magic
    @documented(commands.SCHEDULE)
    def kale_schedule(self, line: str) -> None:
        """Schedule runs of the pipeline on a server; without options, list its schedules."""
        options = self.workspace.parse(commands.SCHEDULE, line).options
        where = self.workspace.where(commands.SCHEDULE, line)
        from kale_magics.kubeflow import schedules
        from kale_magics.kubeflow.compiler import size_problems
        from kale_magics.kubeflow.submission import prepare

        actions = {
            "--pause": ("disable", "is paused"),
            "--resume": ("enable", "is resumed"),
            "--delete": ("delete", "is deleted"),
        }
        chosen = [name for name in actions if name in options]
        cron = schedules.cron_of(options["--cron"][0], where) if "--cron" in options else ""
        every = schedules.every_of(options["--every"][0], where) if "--every" in options else None
        request = self.workspace.request(options, where) if cron or every else None
        server = self.backends.kubeflow(options).server
        if request is not None:
            sizes = size_problems(request.pipeline, Path.cwd())
            raise_errors(sizes)
            show_warnings(sizes)
            prepared = prepare(server, request.pipeline, Path.cwd(), request.values, self.experiment_name)
            made = schedules.create(server, prepared, request.name or request.pipeline.name, cron, every)
            print(f"schedule {made.id}: {made.name} runs {made.when}{' (UTC)' if cron else ''}")
            return
        if chosen:
            (option,) = chosen
            action, outcome = actions[option]
            schedules.change(server, options[option][0], action)
            print(f"schedule {options[option][0]} {outcome}")
            return
        known = schedules.schedules(server)
        for found in known:
            print(f"{found.id}  {'on    ' if found.enabled else 'paused'}  {found.when}  {found.name}")
        if not known:
            print("There is no schedule. Create one: %kale_schedule --every 6h")

    def _show(self) -> None:
        from kale_magics.view import TableView, cell_rows, diagnostics_text

        if not self.workspace.registry.cells:
            _display(TableView(()))
            return
        notebook = self.workspace.read()
        assembly = notebook.assembly
        plans = self._plans(assembly.pipeline) if assembly.pipeline else {}
        _display(TableView(cell_rows(notebook.cells, assembly.draft, notebook.states, plans)))
        if assembly.diagnostics:
            print(diagnostics_text(assembly.diagnostics))

    def _plans(self, pipeline: Pipeline) -> dict[str, str]:
        """Return what a run would do with each step now, in words; empty before the first run."""
        from kale_magics.cache.plan import plan_run
        from kale_magics.view.words import plan_text

        values = {parameter.name: parameter.default for parameter in pipeline.parameters}
        plans = plan_run(pipeline, values, self.workspace.runs_folder, Path.cwd())
        return {step: plan_text(plan.cached, plan.reason) for step, plan in plans.items()}

    def _hide(self, run: Run) -> None:
        """Display nothing for a run as the result of the cell that displayed its summary.

        Raises:
            NotImplementedError: In other cells, and in terminals, which have printed "Out[n]:" already.
        """
        if not self.workspace.is_shown(run):
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
