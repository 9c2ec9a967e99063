"""The magics. Each reads its line, calls one thing, and shows what comes of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from IPython.core.magic import line_cell_magic, line_magic, magics_class, no_var_expand

from kale_magics.execution.run import Run
from kale_magics.magics.cluster_magics import ClusterMagics
from kale_magics.magics.completion import Completion
from kale_magics.magics.documentation import documented
from kale_magics.magics.expansion import expanding
from kale_magics.model.diagnostics import Code, Where, refuse
from kale_magics.model.pipeline import Pipeline
from kale_magics.session.guard import guarded
from kale_magics.session.marking import Marking
from kale_magics.syntax import arguments, commands
from kale_magics.syntax.arguments import check_capabilities


@magics_class
class KaleMagics(ClusterMagics):
    """Marks the cells of a notebook and runs them as a pipeline.

    Args:
        shell: IPython's; its annotations differ from release to release.
    """

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._marking = Marking(shell, self.registry, self.modules, self._common_variables)
        self._completion = Completion(self.registry, _SYNTAXES)

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
        server = sys.modules.get("kale_magics.local.fork_client")
        if server is not None:
            server.close_servers()

    @no_var_expand
    @line_cell_magic
    @guarded
    @documented(*commands.KINDS.values(), commands.KALE)
    def kale(self, line: str, cell: str | None = None) -> None:
        """Show the marked cells: kind, state, inputs, outputs, what the next run would do, and problems.

        As the first line of a cell, with a kind behind it, it marks the cell. A marked cell runs as if that
        line were not there. `%kale KIND` does the same as `%%kale KIND`, and keeps the cell valid Python for
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
        self._parse(commands.GRAPH, line)
        from kale_magics.view import GraphView

        _display(GraphView(self._pipeline()))

    @expanding
    @line_magic
    @documented(commands.RUN)
    def kale_run(self, line: str) -> Run:
        """Run the pipeline, on this machine or on a server, wait for its end and return the run.

        Each step runs in its own process. Steps that do not depend on each other run at the same time. The
        run has `run.state`, `run.metrics`, `run.steps["train"].log`, `run.outputs["train"]["model"]`.
        """
        options, where = self._parse(commands.RUN, line).options, self._where(commands.RUN, line)
        from kale_magics.magics.run_listener import RunListener

        backend = self._backend(options)
        place, elsewhere = backend.place, backend.elsewhere
        check_capabilities(commands.RUN, options, backend.capabilities, place, elsewhere, where)
        for step in (*options.get("--until", ()), *options.get("--only", ())):
            self._check_step(step, where, kinds=False)
        resumed = self._failed_run(where) if "--resume" in options else None
        request = self._request(options, where, resumed)
        self._show_warnings(backend.warnings(request.pipeline))
        listener = RunListener(request.pipeline, self._is_rich, self._note_run, request)
        try:
            run = backend.submit(request, listener)
        except BaseException:  # an interrupt too ends with a picture of the state of the run
            listener.close()
            raise
        self.last_run, self._shown_in = run, self._shell.displayhook.prompt_count
        return run

    @expanding
    @line_magic
    @documented(commands.COMPILE)
    def kale_compile(self, line: str) -> None:
        """Write the pipeline as one YAML file for Kubeflow Pipelines 2."""
        path = Path(self._parse(commands.COMPILE, line).words[0]).expanduser()
        from kale_magics.kubeflow.compiler import compile_pipeline
        from kale_magics.kubeflow.only_here import only_here
        from kale_magics.kubeflow.secrecy import literal_secrets
        from kale_magics.view.words import plural

        pipeline = self._pipeline()
        self._show_warnings([*only_here(pipeline, Path.cwd()), *literal_secrets(pipeline)])
        compile_pipeline(pipeline, path, Path.cwd(), self._access("").secrets)
        print(f"{pipeline.name}: {plural(len(pipeline.steps), 'step')} written to {path}")

    @expanding
    @line_magic
    @documented(commands.RUNS)
    def kale_runs(self, line: str) -> None:
        """List the stored runs of the notebook's folder, or those of a server, the newest first."""
        options = self._parse(commands.RUNS, line).options
        from kale_magics.view import runs_text

        asked = "--host" in options
        backend = self._backend(options) if asked else self._local_backend()
        print(runs_text(backend.runs(), "%kale_run --host" if asked else "%kale_run"))
        if self._is_configured() and not asked:
            print("These are on this machine; %kale_runs --host lists those of the server.")

    @expanding
    @line_magic
    @documented(commands.LOGS)
    def kale_logs(self, line: str) -> None:
        """Print the log of a step, in the last run or in an earlier one."""
        given = self._parse(commands.LOGS, line)
        run = self._meant(given.options, self._where(commands.LOGS, line))
        step = run.steps[given.words[0]]
        log = step.log
        print(log, end="")
        if not log and step.state in ("waiting", "skipped"):
            print(f"step {step.name} has printed nothing: it is {step.state}")
        elif not log and run.link:
            print(f"the server gives no log of step {step.name}; Kubeflow's page may: {run.link}")

    @expanding
    @line_magic
    @documented(commands.CLEAN)
    def kale_clean(self, line: str) -> None:
        """Delete stored runs and their cache entries, and print how much space that freed.

        It needs at least one of the two options. Runs in progress are kept.
        """
        where = self._where(commands.CLEAN, line)
        options = self._parse(commands.CLEAN, line).options
        if not options:
            message = "%kale_clean does not say which runs"
            raise refuse(Code.BAD_ARGUMENTS, message, f"write it as in {commands.CLEAN.example}", where)
        keep, age = options.get("--keep", ()), options.get("--older-than", ())
        kept = arguments.whole_number(keep[0]) if keep else None
        if keep and kept is None:
            message = f"{keep[0]!r} is no number of runs"
            raise refuse(Code.BAD_ARGUMENTS, message, "write it as in --keep 10", where)
        from kale_magics.local.past_runs import clean
        from kale_magics.view.words import human_size, plural

        gone, freed = clean(
            self.runs_place,
            kept,
            arguments.parse_duration(age[0], where) if age else None,
        )
        print(f"{plural(len(gone), 'run')} thrown away, {human_size(freed)} freed")

    @expanding
    @line_magic
    @documented(commands.RESET)
    def kale_reset(self, line: str) -> None:
        """Forget the marked cells of these steps and kinds, or all; running a cell marks it again."""
        steps = self._parse(commands.RESET, line).words
        for step in steps:
            self._check_step(step, self._where(commands.RESET, line))
        before = len(self.registry.cells)
        if steps:
            self.registry.remove(steps)
        else:
            self.registry.clear()
        print(f"marked cells forgotten: {before - len(self.registry.cells)}")

    def _failed_run(self, where: Where) -> Run:
        """The last run, which has not succeeded.

        Raises:
            KaleError: It has, or goes on, or there is none.
        """
        run = self._past_run((), where)
        if run.link:
            message = f"the last run, {run.id}, was on a server: there is nothing to resume here"
            raise refuse(Code.BAD_ARGUMENTS, message, "run the pipeline: %kale_run", where)
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
        from kale_magics.cache.plan import plan_run
        from kale_magics.view.words import outlook

        values = {parameter.name: parameter.default for parameter in pipeline.parameters}
        told = plan_run(pipeline, values, self.runs_place, Path.cwd())
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
