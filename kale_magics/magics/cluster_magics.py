"""The magics for a server of Kubeflow Pipelines, and the settings that say where it is and how to come in.

Only `magics` imports this: IPython gives the magics of a class to the next class that it decorates.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_magic
from traitlets import Unicode

from kale_magics.execution.run import Run
from kale_magics.magics.base_magics import BaseMagics
from kale_magics.magics.documentation import documented
from kale_magics.magics.expansion import expanding
from kale_magics.model.diagnostics import Code, KaleError, Where, refuse
from kale_magics.syntax import commands
from kale_magics.syntax.arguments import quoted

if TYPE_CHECKING:
    from kale_magics.execution.request import RunRequest
    from kale_magics.kubeflow.access import Access
    from kale_magics.kubeflow.remote import RemoteRun
    from kale_magics.kubeflow.server import Server

TOKEN_VARIABLE, COOKIES_VARIABLE = "KALE_TOKEN", "KALE_COOKIES"
"""Environment variables with what nobody else should see."""


EXPERIMENT_VARIABLES = ("KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME", "KF_PIPELINES_DEFAULT_EXPERIMENT_NAME")
"""kfp's own: the experiment that is taken whatever is set, and the one where nothing is."""


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


class ClusterMagics(BaseMagics):
    """What can be done with a server."""

    host = Unicode(
        help="Address of the server of Kubeflow Pipelines on which %kale_run runs. If empty,"
        " KF_PIPELINES_ENDPOINT in the environment; if that is not set either, runs are local."
    ).tag(config=True)
    namespace = Unicode(help="Your namespace, in an installation with several users.").tag(config=True)
    experiment = Unicode(
        help="Experiment of the runs on a server. KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME in the environment"
        " takes precedence. If empty, KF_PIPELINES_DEFAULT_EXPERIMENT_NAME, or else the pipeline's name."
    ).tag(config=True)
    token = Secret(
        help="Bearer token. Prefer KALE_TOKEN in the environment, which is used if this is empty."
    ).tag(config=True)
    token_file = Unicode(
        help="File with a bearer token, read for every request. If empty, KF_PIPELINES_SA_TOKEN_PATH in the"
        " environment."
    ).tag(config=True)
    cookies = Secret(
        help="Cookies of a login, as a browser sends them. Prefer KALE_COOKIES in the environment, which"
        " is used if this is empty."
    ).tag(config=True)
    ca_cert = Unicode(
        help="File with the trusted certificates. If empty, the first of KF_PIPELINES_SSL_SA_CERTS,"
        " SSL_CERT_FILE and REQUESTS_CA_BUNDLE that is set in the environment."
    ).tag(config=True)

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._named_hosts: set[str] = set()

    @expanding
    @line_magic
    @documented(commands.ATTACH)
    def kale_attach(self, line: str) -> Run:
        """Follow a run on a server again, in another kernel too, and return the run."""
        given = self._parse(commands.ATTACH, line)
        run = self._attached(given.words[0], given.options, self._where(commands.ATTACH, line))
        if not run.mine:
            print(f"run {run.id} was not started from this folder: {run.name}")
        return self._followed(run, given.options)

    @expanding
    @line_magic
    @documented(commands.CANCEL)
    def kale_cancel(self, line: str) -> None:
        """End a run on the server."""
        given = self._parse(commands.CANCEL, line)
        from kale_magics.kubeflow.remote import terminate

        run_id = given.words[0]
        options = self._with_kept_host(run_id, given.options, self._where(commands.CANCEL, line))
        print(terminate(self._server(options), run_id))

    @expanding
    @line_magic
    @documented(commands.PULL)
    def kale_pull(self, line: str) -> None:
        """Load the outputs of a step into the session: all of them, or some variables."""
        given = self._parse(commands.PULL, line)
        run = self._meant(given.options, self._where(commands.PULL, line))
        run.trusted = run.trusted or "--trust" in given.options
        step, *names = given.words
        values = run.outputs[step]
        found = {name: values[name] for name in names or values}
        self._shell.user_ns.update(found)
        kinds = ", ".join(f"{name} ({type(value).__name__})" for name, value in found.items())
        print(f"from step {step} of run {run.id}: {kinds or 'nothing, it hands nothing on'}")

    @expanding
    @line_magic
    @documented(commands.SCHEDULE)
    def kale_schedule(self, line: str) -> None:
        """Let a server run the pipeline on a schedule; without options, list its schedules."""
        options, where = self._parse(commands.SCHEDULE, line).options, self._where(commands.SCHEDULE, line)
        from kale_magics.kubeflow import schedules
        from kale_magics.kubeflow.submission import prepare

        actions = {
            "--pause": ("disable", "starts no runs for now"),
            "--resume": ("enable", "starts runs again"),
            "--delete": ("delete", "is deleted"),
        }
        chosen = [name for name in ("--cron", "--every", *actions) if name in options]
        if len(chosen) > 1:
            message = f"{' and '.join(chosen)} cannot go together"
            raise refuse(Code.BAD_ARGUMENTS, message, "leave one of them out", where)
        idle = [] if {"--cron", "--every"} & set(chosen) else [n for n in ("-p", "--name") if n in options]
        if idle:
            message = f"{' and '.join(idle)} would be of a schedule that is made, and none is"
            raise refuse(Code.BAD_ARGUMENTS, message, "add --cron or --every, or leave it out", where)
        cron = schedules.cron_of(options["--cron"][0], where) if "--cron" in options else ""
        every = schedules.every_of(options["--every"][0], where) if "--every" in options else None
        order = self._order(options, where, None) if cron or every else None
        server = self._server(options)
        if order is not None:
            prepared = prepare(server, order.pipeline, Path.cwd(), order.values, self._experiment)
            made = schedules.create(server, prepared, order.name or order.pipeline.name, cron, every)
            print(f"schedule {made.id}: {made.name} runs {made.when}{' (UTC)' if cron else ''}")
            return
        if chosen:
            (option,) = chosen
            action, told = actions[option]
            schedules.change(server, options[option][0], action)
            print(f"schedule {options[option][0]} {told}")
            return
        known = schedules.schedules(server)
        for found in known:
            print(f"{found.id}  {'on    ' if found.enabled else 'paused'}  {found.when}  {found.name}")
        if not known:
            print("No schedule is there. %kale_schedule --every 6h makes one")

    def _meant(self, options: Mapping[str, tuple[str, ...]], where: Where) -> Run:
        """The run that a line is about: of an id, here or on a server, or the last one.

        Raises:
            KaleError: There is none.
        """
        wanted = options.get("--run", ())
        if wanted and ("--host" in options or self._is_kept(wanted[0])):
            return self._attached(wanted[0], options, where)
        try:
            return self._past_run(wanted, where)
        except KaleError:
            if wanted and self._is_configured():
                return self._attached(wanted[0], options, where)
            raise

    def _kept(self, run_id: str) -> Path:
        """The file that says where a run is that was started from here."""
        return self.runs_place / "remote" / run_id / "run.json"

    def _is_kept(self, run_id: str) -> bool:
        try:
            return self._kept(run_id).is_file()
        except (OSError, ValueError):  # nothing is called so
            return False

    def _with_kept_host(
        self, run_id: str, options: Mapping[str, tuple[str, ...]], where: Where
    ) -> Mapping[str, tuple[str, ...]]:
        """Options with the server that a run is known to be on, if none is named.

        Raises:
            KaleError: The user has not named that one in this session: files do not say where tokens go.
        """
        kept = self._kept(run_id)
        if "".join(options.get("--host", ())) or not self._is_kept(run_id):
            return options
        try:
            host = str(json.loads(kept.read_text(encoding="utf-8"))["host"])
        except (ValueError, LookupError, TypeError):  # it is damaged, and says nothing
            return options
        if host in self._named_hosts:
            return {**options, "--host": (host,)}
        if self._is_configured() and self._access("").address == host:
            return options
        fix = f"if it is yours, name it: --host {host}"
        raise refuse(Code.NO_SERVER, f"run {run_id} is on another server, {host}", fix, where)

    def _attached(self, run_id: str, options: Mapping[str, tuple[str, ...]], where: Where) -> RemoteRun:
        """A run on the server.

        Raises:
            KaleError: The server has none of that id.
        """
        from kale_magics.kubeflow.server_runs import attach

        server = self._server(self._with_kept_host(run_id, options, where))
        run = attach(server, run_id, self.runs_place)
        run.trusted = run.mine or "--trust" in options
        return run

    def _list_runs(self, options: Mapping[str, tuple[str, ...]]) -> None:
        """List the runs of the server, the newest first."""
        from kale_magics.kubeflow.server_runs import run_lines

        found = list(run_lines(self._server(options)))
        print(*(found or ["No run is there. %kale_run --host starts one"]), sep="\n")

    def _is_for_server(self, options: Mapping[str, tuple[str, ...]], where: Where) -> bool:
        """Whether a run is for the server.

        Raises:
            KaleError: It is, and asks for what only this machine can do.
        """
        if not (self._is_configured() or "--host" in options):
            for option in ("--no-wait", "--cancel-on-interrupt"):
                if option in options:
                    here = "use --background" if option == "--no-wait" else "leave it out"
                    fix = f"{here}, or name a server: --host"
                    raise refuse(Code.BAD_ARGUMENTS, f"{option} is for runs on a server", fix, where)
            return False
        for option in ("--only", "--resume", "--background"):
            if option in options:
                fix = "use --no-wait" if option == "--background" else "leave it out, or run on this machine"
                raise refuse(Code.BAD_ARGUMENTS, f"{option} is for runs on this machine", fix, where)
        return True

    def _run_on_server(self, order: RunRequest, options: Mapping[str, tuple[str, ...]]) -> Run:
        """Start a run on the server, and show how it goes on."""
        from kale_magics.kubeflow.only_here import only_here
        from kale_magics.kubeflow.secrecy import literal_secrets
        from kale_magics.kubeflow.server_runs import start_on

        self._point_out([*only_here(order.pipeline, Path.cwd()), *literal_secrets(order.pipeline)])
        cancel = "--cancel-on-interrupt" in options
        server = self._server(options)
        run = start_on(server, order, Path.cwd(), self._experiment, cancel, self._note_run)
        return self._followed(run, options)

    def _followed(self, run: RemoteRun, options: Mapping[str, tuple[str, ...]]) -> Run:
        """Show how a run goes on, unless nobody waits for it."""
        from kale_magics.kubeflow.server_runs import follow

        self.last_run = run
        if "--no-wait" not in options:
            follow(run, hasattr(self._shell, "kernel"), cancel="--cancel-on-interrupt" in options)
            self._shown_in = self._shell.displayhook.prompt_count
        return run

    @property
    def _experiment(self) -> str:
        """The experiment of new runs, as kfp's client would have it; empty for one of the pipeline's name."""
        forced, usual = (os.environ.get(variable, "") for variable in EXPERIMENT_VARIABLES)
        return forced or self.experiment or usual

    def _is_configured(self) -> bool:
        """Whether runs are for a server if nothing else is said."""
        return bool(self.host or os.environ.get(commands.HOST_VARIABLE))

    def _access(self, host: str) -> Access:
        """How to come in at a server, as it is now; the one of the settings if none is named."""
        from kale_magics.kubeflow.access import Access

        return Access(
            host or self.host,
            self.namespace,
            str(self.token) or os.environ.get(TOKEN_VARIABLE, ""),
            self.token_file,
            str(self.cookies) or os.environ.get(COOKIES_VARIABLE, ""),
            self.ca_cert,
        )

    def _server(self, options: Mapping[str, tuple[str, ...]]) -> Server:
        """The server that is meant, which has answered.

        Raises:
            KaleError: There is none, or it does not let in.
        """
        from kale_magics.kubeflow.server import Server

        host = "".join(options.get("--host", ()))
        server = Server(lambda: self._access(host), f" --host {quoted(host)}" if host else "")
        self._named_hosts.add(server.address)
        return server
