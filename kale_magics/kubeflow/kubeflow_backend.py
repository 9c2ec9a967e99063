"""The backend that runs pipelines on a server of Kubeflow Pipelines."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from kale_magics.execution.backend import Capability, RunSummary
from kale_magics.execution.events import Listener, RunEnded, RunSubmitted
from kale_magics.execution.request import RunRequest
from kale_magics.execution.run import Run
from kale_magics.kubeflow.client import TIMEOUTS, KfpClient, interrupt_message
from kale_magics.kubeflow.compiler import size_problems
from kale_magics.kubeflow.following import Follower
from kale_magics.kubeflow.pipeline_spec import RemotePipeline, read_pipeline
from kale_magics.kubeflow.portability import portability_warnings
from kale_magics.kubeflow.secret_scan import literal_secrets
from kale_magics.kubeflow.server_source import ServerSource
from kale_magics.kubeflow.server_states import ended_run_state
from kale_magics.kubeflow.submission import find_run, label_of, prepare, submit
from kale_magics.kubeflow.termination import terminate
from kale_magics.model.diagnostics import Diagnostic, KaleError, raise_errors
from kale_magics.model.pipeline import Parameter, Pipeline
from kale_magics.step_runtime.parameters import decode_parameter

MAX_RUNS = 50
"""Runs in a list."""


class KubeflowBackend:
    """Runs pipelines on a server.

    Args:
        connect: Returns the client of the server; called at the first use.
        runs_folder: The folder for files that are downloaded from the server.
        experiment: The experiment of new runs; empty for one of the pipeline's name.
    """

    place = "on a server"
    elsewhere = "run on this machine"
    capabilities: frozenset[Capability] = frozenset({"detached", "survives interrupts"})

    def __init__(self, connect: Callable[[], KfpClient], runs_folder: Path, experiment: str = "") -> None:
        self._connect, self._runs_folder, self._experiment = connect, runs_folder, experiment

    @functools.cached_property
    def server(self) -> KfpClient:
        """The client of the server, connected.

        Raises:
            KaleError: There is no server, or authentication or authorization failed.
        """
        return self._connect()

    def warnings(self, pipeline: Pipeline) -> Sequence[Diagnostic]:
        """Return warnings about a pipeline in a cluster.

        Raises:
            KaleError: Its runs are too large for a cluster.
        """
        sizes = size_problems(pipeline, Path.cwd())
        raise_errors(sizes)
        return [*portability_warnings(pipeline, Path.cwd()), *literal_secrets(pipeline), *sizes]

    def submit(self, request: RunRequest, listener: Listener) -> Run:
        """Start a run on the server, and follow it if the request says so.

        Args:
            request: The pipeline and the options of the run; options for local runs are ignored.
            listener: Receives the run's events.

        Raises:
            KaleError: The server cannot be reached, or rejects the run; steps have failed.
            KeyboardInterrupt: The user interrupted; a run that was started is reported and stored anyway.
        """
        pipeline, name = request.pipeline, request.name or request.pipeline.name
        with interrupt_message(lambda: "no run has been started"):
            known = self._experiment
            prepared = prepare(self.server, pipeline, Path.cwd(), request.values, known, request.cache)
        label = label_of(name)
        interrupt = None
        try:
            run_id = submit(self.server, prepared, label)
        except KeyboardInterrupt as interrupted:
            interrupt, listing = interrupted, self.server.list_command
            with interrupt_message(lambda: f"if it has been started, {listing} lists it as {label!r}"):
                run_id = find_run(self.server, prepared, label)
                if not run_id:
                    raise
        values = {p.name: p.default for p in pipeline.parameters} | dict(request.values)
        remote = RemotePipeline(pipeline, prepared.tasks)
        source = ServerSource(self.server, remote, self._folder_of(run_id), request)
        run = source.make_run(label, values)
        listener(RunSubmitted(run))
        source.keep(run)
        if interrupt is not None:
            with interrupt_message(lambda: _interrupted(source, request.cancel_on_interrupt)):
                raise interrupt
        if request.wait:
            self.follow(run, listener, request.cancel_on_interrupt)
        return run

    def attach(self, run_id: str) -> Run:
        """Return the handle of a run on the server.

        Raises:
            KaleError: There is no such run, or kale_magics did not write its pipeline.
        """
        answer = self.server.read(
            lambda client: client.runs.run_service_get_run(run_id, _request_timeout=TIMEOUTS),
            f"looking up run {run_id}",
        )
        document = answer.pipeline_spec
        at = answer.pipeline_version_reference
        if document is None and at is not None:
            document = self.server.read(
                lambda client: client.pipelines.pipeline_service_get_pipeline_version(
                    at.pipeline_id, at.pipeline_version_id, _request_timeout=TIMEOUTS
                ),
                f"looking up the pipeline of run {run_id}",
            ).pipeline_spec
        given = (answer.runtime_config.parameters or {}) if answer.runtime_config else {}
        remote = read_pipeline(document or {}, answer.display_name, given)
        parameters = remote.pipeline.parameters
        values = {p.name: _value(p, given[p.key]) if p.key in given else p.default for p in parameters}
        source = ServerSource(self.server, remote, self._folder_of(answer.run_id))
        run = source.make_run(answer.display_name, values)
        source.take(run, answer)
        return run

    def pipeline_of(self, run: Run) -> Pipeline:
        """Return the pipeline of a run of this backend, as the server describes it."""
        return cast("ServerSource", run.source).remote.pipeline

    def follow(self, run: Run, listener: Listener, cancel_on_interrupt: bool = False) -> None:
        """Report the events of a run to its end.

        Raises:
            KaleError: Steps have failed, or the server is down for too long.
            KeyboardInterrupt: The user interrupted.
        """
        source = cast("ServerSource", run.source)
        try:
            with interrupt_message(lambda: _interrupted(source, cancel_on_interrupt)):
                Follower(run, source, listener).follow()
        except KaleError as error:
            fix = f"{error.diagnostics[0].fix}\nto follow the run again: {source.again}"
            raise KaleError(replace(error.diagnostics[0], fix=fix)) from error
        listener(RunEnded(run.known_state, run.seconds or 0.0))

    def runs(self) -> list[RunSummary]:
        """Return the latest runs of the server, the newest first."""
        namespace = self.server.namespace_argument
        page = self.server.read(
            lambda client: client.runs.run_service_list_runs(
                page_size=MAX_RUNS, sort_by="created_at desc", _request_timeout=TIMEOUTS, **namespace
            ),
            "listing the runs",
        )
        return [
            RunSummary(run.run_id, run.display_name, _state_of(run), run.created_at)
            for run in page.runs or ()
        ]

    def cancel(self, run_id: str) -> str:
        """Request the end of a run; without effect on a run that has ended."""
        return terminate(self.server, run_id)

    def _folder_of(self, run_id: str) -> Path:
        return self._runs_folder / "remote" / run_id


def _state_of(run: Any) -> str:
    """Return the state of a run that has ended, or KFP's state of another one."""
    return ended_run_state(run) or str(run.state or "").lower()


def _value(parameter: Parameter, given: Any) -> Any:
    """Return the value of a parameter in a run; an invalid one unchanged."""
    try:
        return decode_parameter(given, parameter.default, parameter.type)
    except ValueError:  # it was entered on Kubeflow's page; the step reports the error
        return given


def _interrupted(source: ServerSource, cancel: bool) -> str:
    if cancel:
        return terminate(source.server, source.run_id)
    return f"the run goes on; to follow it again: {source.again}; kale_magics.last_run() returns it"
