"""The magics for a server of Kubeflow Pipelines, and the settings that say where it is and how to come in.

Only `magics` imports this: IPython gives the magics of a class to the next class that it decorates.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_magic, no_var_expand
from traitlets import Unicode

from kale_magics import arguments, commands
from kale_magics.arguments import Arguments, Syntax
from kale_magics.diagnostics import Code, Diagnostic, Where, refuse
from kale_magics.documentation import documented
from kale_magics.run import Run

if TYPE_CHECKING:
    from kale_magics.kubeflow.remote import RemoteRun
    from kale_magics.kubeflow.server import Access, Server
    from kale_magics.running import Order

TOKEN_VARIABLE, COOKIES_VARIABLE = "KALE_TOKEN", "KALE_COOKIES"
"""Environment variables with what nobody else should see."""


class Hidden(str):
    """A text that does not show what it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'" if self else "''"


class Secret(Unicode):  # type: ignore[type-arg]  # traitlets' own annotations want more
    """A setting that is shown by three stars."""

    def validate(self, obj: Any, value: Any) -> Any:
        """Take a text, and hide it."""
        return Hidden(super().validate(obj, value))


class ClusterMagics(Magics):
    """What `KaleMagics` can do with a server.

    Attributes:
        last_run: The run that was started or taken up last; None before the first.
    """

    host = Unicode(
        help="Address of the server of Kubeflow Pipelines; empty for the one of the environment variable"
        " KF_PIPELINES_ENDPOINT, and where there is none for this machine."
    ).tag(config=True)
    namespace = Unicode(help="Your namespace, where an installation has several users.").tag(config=True)
    experiment = Unicode(help="Experiment of the runs; empty for the pipeline's name.").tag(config=True)
    token = Secret(help="Bearer token; better in the environment variable KALE_TOKEN.").tag(config=True)
    token_file = Unicode(help="File with a bearer token that is read anew for every call.").tag(config=True)
    cookies = Secret(help="Cookies of a login; better in the environment variable KALE_COOKIES.").tag(
        config=True
    )
    ca_cert = Unicode(help="File with the certificates that are trusted.").tag(config=True)

    last_run: Run | None
    _shell: Any
    _shown_in: int

    @no_var_expand
    @line_magic
    @documented(commands.ATTACH)
    def kale_attach(self, line: str) -> Run:
        """Take up a run on the server again, and show how it goes on."""
        given, where = self._read(commands.ATTACH, line)
        from kale_magics.kubeflow.running import attach, follow

        run = attach(self._server(given.options, where), given.words[0], self._runs_place())
        run.trusted = run.mine or "--trust" in given.options
        if not run.mine:
            print(f"run {run.id} was not started from this folder: {run.name}")
        if "--no-wait" in given.options:
            self.last_run = run
            return run
        return self._followed(follow, run, "--cancel-on-interrupt" in given.options)

    @no_var_expand
    @line_magic
    @documented(commands.CANCEL)
    def kale_cancel(self, line: str) -> None:
        """End a run on the server."""
        given, where = self._read(commands.CANCEL, line)
        from kale_magics.kubeflow.server import TIMES

        run_id = given.words[0]
        self._server(given.options, where).read(
            lambda client: client.runs.run_service_terminate_run(run_id, _request_timeout=TIMES),
            f"run {run_id} was to be ended",
        )
        print(f"the server is ending run {run_id}")

    @no_var_expand
    @line_magic
    @documented(commands.PULL)
    def kale_pull(self, line: str) -> None:
        """Bring what a step hands on into the session: all of it, or some variables."""
        given, where = self._read(commands.PULL, line)
        run = self._meant(given.options, where)
        if "--trust" in given.options and hasattr(run, "trusted"):
            run.trusted = True
        step, *names = given.words
        values = run.outputs[step]
        found = {name: values[name] for name in names or values}
        self._shell.user_ns.update(found)
        kinds = ", ".join(f"{name} ({type(value).__name__})" for name, value in found.items())
        print(f"from step {step} of run {run.id}: {kinds or 'nothing, it hands nothing on'}")

    @no_var_expand
    @line_magic
    @documented(commands.SCHEDULE)
    def kale_schedule(self, line: str) -> None:
        """Have the server run the pipeline again and again; alone, list what it has been told to."""
        given, where = self._read(commands.SCHEDULE, line)
        options = given.options
        from kale_magics.kubeflow import schedules

        actions = {"--pause": "disable", "--resume": "enable", "--delete": "delete"}
        chosen = [name for name in ("--cron", "--every", *actions) if name in options]
        if len(chosen) > 1:
            message = f"{' and '.join(chosen)} cannot go together"
            raise refuse(Code.BAD_ARGUMENTS, message, "leave one of them out", where)
        cron = schedules.cron_of(options["--cron"][0], where) if "--cron" in options else ""
        every = arguments.duration(options["--every"][0], where) if "--every" in options else None
        if every is not None and every.total_seconds() < 1:
            raise refuse(
                Code.BAD_ARGUMENTS, "no time is between two runs", "write it as in --every 6h", where
            )
        order = self._order(options, where, None) if cron or every else None
        server = self._server(options, where)
        if order is not None:
            name = "".join(options.get("--name", ())) or order.pipeline.name
            made = schedules.create(
                server, order.pipeline, Path.cwd(), order.values,
                name=name, experiment=self.experiment, cron=cron, every=every,
            )  # fmt: skip
            print(f"schedule {made.id}: {made.name} runs {made.when}")
            return
        for option in chosen:
            schedules.change(server, options[option][0], actions[option])
        for found in schedules.schedules(server):
            print(f"{found.id}  {'on    ' if found.enabled else 'paused'}  {found.when}  {found.name}")

    def _meant(self, options: Mapping[str, tuple[str, ...]], where: Where) -> Run:
        """The run that a line is about: of an id, here or on a server, or the last one.

        Raises:
            KaleError: There is none.
        """
        wanted = options.get("--run", ())
        kept = self._runs_place() / "remote" / "".join(wanted) / "run.json"
        if wanted and ("--host" in options or kept.is_file()):
            from kale_magics.kubeflow.running import attach

            known = json.loads(kept.read_text(encoding="utf-8"))["host"] if kept.is_file() else ""
            given = options if "".join(options.get("--host", ())) else {**options, "--host": (known,)}
            return attach(self._server(given, where), wanted[0], self._runs_place())
        return self._past_run(wanted, where)

    def _point_out(self, warnings: Sequence[Diagnostic]) -> None:
        """Print what there is to warn of."""
        raise NotImplementedError

    def _past_run(self, wanted: Sequence[str], where: Where) -> Run:
        """The run of an id on this machine, or the last one."""
        raise NotImplementedError

    def _order(self, options: Mapping[str, tuple[str, ...]], where: Where, resumed: Run | None) -> Order:
        """What is to be run."""
        raise NotImplementedError

    def _list_runs(self, options: Mapping[str, tuple[str, ...]], where: Where) -> None:
        """List the runs of the server, the newest first."""
        from kale_magics.kubeflow.running import listed

        for run in listed(self._server(options, where)):
            print(run)

    def _run_on_server(self, order: Order, options: Mapping[str, tuple[str, ...]], where: Where) -> Run:
        """Start a run on the server, and show how it goes on."""
        for option in ("--only", "--resume", "--background"):
            if option in options:
                fix = "use --no-wait" if option == "--background" else "leave it out, or run on this machine"
                raise refuse(Code.BAD_ARGUMENTS, f"{option} is for runs on this machine", fix, where)
        from kale_magics.kubeflow.cargo import files_only_here
        from kale_magics.kubeflow.running import follow, start_on

        self._point_out(files_only_here(order.pipeline, Path.cwd()))
        server = self._server(options, where)
        run = start_on(server, order, Path.cwd(), self.experiment)
        self.last_run = run
        if "--no-wait" in options:
            return run
        return self._followed(follow, run, "--cancel-on-interrupt" in options)

    def _followed(self, follow: Any, run: RemoteRun, cancel: bool) -> Run:
        def note(begun: Run) -> None:
            self.last_run = begun

        followed: Run = follow(run, hasattr(self._shell, "kernel"), note, cancel)
        self._shown_in = self._shell.displayhook.prompt_count
        return followed

    def _server(self, options: Mapping[str, tuple[str, ...]], where: Where) -> Server:
        """The server that is meant, which has answered.

        Raises:
            KaleError: There is none, or it does not let in.
        """
        del where
        from kale_magics.kubeflow.server import Access, Server

        host = "".join(options.get("--host", ())) or self.host

        def access() -> Access:
            return Access(
                host,
                self.namespace,
                str(self.token) or os.environ.get(TOKEN_VARIABLE, ""),
                self.token_file,
                str(self.cookies) or os.environ.get(COOKIES_VARIABLE, ""),
                self.ca_cert,
            )

        return Server(access)

    def _runs_place(self) -> Path:
        """The folder that keeps the runs of this notebook."""
        raise NotImplementedError

    def _read(self, syntax: Syntax, line: str) -> tuple[Arguments, Where]:
        where = Where(f"In [{self._shell.displayhook.prompt_count}]", text=f"{syntax.magic} {line}")
        return arguments.parse(syntax, line, where), where
