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
    from kale_magics.execution.backend import Backend
    from kale_magics.kubeflow.access import Access
    from kale_magics.kubeflow.kubeflow_backend import KubeflowBackend
    from kale_magics.kubeflow.server import Server
    from kale_magics.local.local_backend import LocalBackend

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
        from kale_magics.magics.run_listener import RunListener

        run_id, where = given.words[0], self._where(commands.ATTACH, line)
        backend = self._kubeflow_backend(self._with_kept_host(run_id, given.options, where))
        run = backend.attach(run_id)
        if not run.trusted:
            print(f"run {run.id} was not started from this folder: {run.name}")
        run.trusted = run.trusted or "--trust" in given.options
        self.last_run = run
        if "--no-wait" not in given.options:
            listener = RunListener(backend.pipeline_of(run), self._is_rich, self._note_run)
            try:
                backend.follow(run, listener, "--cancel-on-interrupt" in given.options)
            except BaseException:  # an interrupt too ends with a picture of the state of the run
                listener.close()
                raise
            self._shown_in = self._shell.displayhook.prompt_count
        return run

    @expanding
    @line_magic
    @documented(commands.CANCEL)
    def kale_cancel(self, line: str) -> None:
        """End a run on the server."""
        given = self._parse(commands.CANCEL, line)
        run_id = given.words[0]
        options = self._with_kept_host(run_id, given.options, self._where(commands.CANCEL, line))
        print(self._kubeflow_backend(options).cancel(run_id))

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
        chosen = [name for name in actions if name in options]
        cron = schedules.cron_of(options["--cron"][0], where) if "--cron" in options else ""
        every = schedules.every_of(options["--every"][0], where) if "--every" in options else None
        request = self._request(options, where, None) if cron or every else None
        server = self._server(options)
        if request is not None:
            prepared = prepare(server, request.pipeline, Path.cwd(), request.values, self._experiment)
            made = schedules.create(server, prepared, request.name or request.pipeline.name, cron, every)
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

    def _attached(self, run_id: str, options: Mapping[str, tuple[str, ...]], where: Where) -> Run:
        """A run on the server.

        Raises:
            KaleError: The server has none of that id.
        """
        run = self._kubeflow_backend(self._with_kept_host(run_id, options, where)).attach(run_id)
        run.trusted = run.trusted or "--trust" in options
        return run

    def _backend(self, options: Mapping[str, tuple[str, ...]]) -> Backend:
        """The backend that a line means: a server if one is named or configured, else this machine."""
        is_for_server = "--host" in options or self._is_configured()
        return self._kubeflow_backend(options) if is_for_server else self._local_backend()

    def _local_backend(self) -> LocalBackend:
        from kale_magics.local.local_backend import LocalBackend

        fork = self.start_steps == "fork" if self.start_steps else None
        return LocalBackend(self.runs_place, self.max_parallel or None, fork)

    def _kubeflow_backend(self, options: Mapping[str, tuple[str, ...]]) -> KubeflowBackend:
        from kale_magics.kubeflow.kubeflow_backend import KubeflowBackend

        return KubeflowBackend(lambda: self._server(options), self.runs_place, self._experiment)

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
