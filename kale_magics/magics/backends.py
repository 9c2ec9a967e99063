"""Chooses the backend of a magic, with the server's address and credentials."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from kale_magics.execution.run import Run
from kale_magics.magics.settings import KaleSettings
from kale_magics.magics.workspace import Options, Workspace
from kale_magics.model.diagnostics import Code, KaleError, Where, kale_error
from kale_magics.syntax.arguments import quoted

if TYPE_CHECKING:
    from kale_magics.execution.backend import Backend
    from kale_magics.kubeflow.access import Access
    from kale_magics.kubeflow.client import KfpClient
    from kale_magics.kubeflow.kubeflow_backend import KubeflowBackend
    from kale_magics.local.local_backend import LocalBackend

TOKEN_VARIABLE, COOKIES_VARIABLE = "KALE_TOKEN", "KALE_COOKIES"
"""Environment variables with credentials."""


class Backends:
    """Chooses a backend by the options of a magic and the settings.

    Args:
        settings: The user's settings.
        workspace: The session's state.
    """

    def __init__(self, settings: KaleSettings, workspace: Workspace) -> None:
        self._settings, self._workspace = settings, workspace
        self._named_hosts: set[str] = set()

    def of(self, options: Options) -> Backend:
        """Return the backend of a server if one is named or configured, else the local one."""
        is_server = "--host" in options or self._settings.names_server
        return self.kubeflow(options) if is_server else self.local()

    def local(self) -> LocalBackend:
        """Return the local backend."""
        from kale_magics.local.local_backend import LocalBackend

        own = self._settings
        fork = own.start_steps == "fork" if own.start_steps else None
        return LocalBackend(self._workspace.runs_folder, own.max_parallel or None, fork)

    def kubeflow(self, options: Options) -> KubeflowBackend:
        """Return the backend of the named server, or of the configured one; it connects at the first use."""
        from kale_magics.kubeflow.kubeflow_backend import KubeflowBackend

        folder, experiment = self._workspace.runs_folder, self._settings.experiment_name
        return KubeflowBackend(lambda: self._connect(options), folder, experiment)

    def kubeflow_of(self, run_id: str, options: Options, where: Where) -> KubeflowBackend:
        """Return the backend of the server of a run: the named one, else the one that started the run.

        Raises:
            KaleError: The user has not named that server in this session: a file must not decide where
                credentials are sent.
        """
        if "".join(options.get("--host", ())) or not self._is_stored(run_id):
            return self.kubeflow(options)
        try:
            host = str(json.loads(self._stored(run_id).read_text(encoding="utf-8"))["host"])
        except (ValueError, LookupError, TypeError):  # the file is damaged
            return self.kubeflow(options)
        if host in self._named_hosts:
            return self.kubeflow({**options, "--host": (host,)})
        if self._settings.names_server and self.access("").address == host:
            return self.kubeflow(options)
        fix = f"if you trust that server, name it: --host {host}"
        raise kale_error(Code.NO_SERVER, f"run {run_id} is on the server {host}", fix, where)

    def run_of(self, options: Options, where: Where) -> Run:
        """Return the run of the option `--run`, local or on a server, or the last one.

        Raises:
            KaleError: There is no such run.
        """
        wanted = options.get("--run", ())
        if wanted and ("--host" in options or self._is_stored(wanted[0])):
            return self._attach(wanted[0], options, where)
        last = self._workspace.last_run
        if not wanted and "--host" in options and (last is None or not last.link):
            message = "no run on a server was started or attached in this session"
            raise kale_error(Code.BAD_ARGUMENTS, message, "name it: --run ID", where)
        try:
            run = self._workspace.past_run(wanted, where)
        except KaleError:
            if wanted and self._settings.names_server:
                return self._attach(wanted[0], options, where)
            raise
        run.trusted = run.trusted or "--trust" in options
        return run

    def _attach(self, run_id: str, options: Options, where: Where) -> Run:
        run = self.kubeflow_of(run_id, options, where).attach(run_id)
        run.trusted = run.trusted or "--trust" in options
        return run

    def _stored(self, run_id: str) -> Path:
        """Return the file with the server of a run that was started from this folder."""
        return self._workspace.runs_folder / "remote" / run_id / "run.json"

    def _is_stored(self, run_id: str) -> bool:
        try:
            return self._stored(run_id).is_file()
        except (OSError, ValueError):  # the id is not a valid file name
            return False

    def access(self, host: str) -> Access:
        """Return the current address and credentials of a server, by default of the configured one."""
        from kale_magics.kubeflow.access import Access

        own = self._settings
        return Access(
            host or own.host,
            own.namespace,
            str(own.token) or os.environ.get(TOKEN_VARIABLE, ""),
            own.token_file,
            str(own.cookies) or os.environ.get(COOKIES_VARIABLE, ""),
            own.ca_cert,
        )

    def _connect(self, options: Options) -> KfpClient:
        """Connect to the named server, or to the configured one.

        Raises:
            KaleError: There is no server, or authentication or authorization failed.
        """
        from kale_magics.kubeflow.client import KfpClient

        host = "".join(options.get("--host", ()))
        server = KfpClient(lambda: self.access(host), f" --host {quoted(host)}" if host else "")
        self._named_hosts.add(server.address)
        return server
