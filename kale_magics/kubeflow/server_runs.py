"""Starts a run on a server, or takes one up again, and shows it as a run on this machine is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from kale_magics.checking.check import show_differences
from kale_magics.execution.request import RunRequest
from kale_magics.kubeflow.following import Follower
from kale_magics.kubeflow.reading import RemotePipeline, read_pipeline
from kale_magics.kubeflow.remote import STATES, RemoteRun, terminate
from kale_magics.kubeflow.server import TIMES, Server, told_when_interrupted
from kale_magics.kubeflow.submission import find_run, label_of, prepare, submit
from kale_magics.model.diagnostics import KaleError
from kale_magics.model.pipeline import Parameter
from kale_magics.step_runtime.parameters import restore
from kale_magics.view import summary
from kale_magics.view.run_display import RunDisplay


def start_on(
    server: Server,
    order: RunRequest,
    folder: Path,
    experiment: str,
    cancel: bool,
    started: Callable[[RemoteRun], None],
) -> RemoteRun:
    """Start a run on a server; its id and the link to it are shown at once, and kept.

    Args:
        server: The server.
        order: What is to be run; what only this machine can do is passed over.
        folder: That of the notebook, from which steps take files along.
        experiment: Its experiment; empty for one of the pipeline's name.
        cancel: Whether an interrupt ends the run.
        started: Is given the run when it has begun.

    Raises:
        KaleError: The server cannot be reached, or does not take it.
        KeyboardInterrupt: The user interrupted; a run that had begun by then is shown and kept too.
    """
    with told_when_interrupted(lambda: "no run has been started"):
        prepared = prepare(server, order.pipeline, folder, order.values, experiment, order.cache)
    label = label_of(order.name or order.pipeline.name)
    interrupt = None
    try:
        run_id = submit(server, prepared, label)
    except KeyboardInterrupt as interrupted:
        interrupt = interrupted
        with told_when_interrupted(lambda: f"if it has been started, {server.listing} has it as {label!r}"):
            run_id = find_run(server, prepared, label)
            if not run_id:
                raise
    values = {p.name: p.default for p in order.pipeline.parameters} | dict(order.values)
    remote = RemotePipeline(order.pipeline, prepared.tasks)
    run = RemoteRun(server, run_id, label, remote, values, order.runs_folder)
    run.expected, run.strict = order.expected, order.strict
    print(f"run {run.id} has been started: {run.link}", flush=True)
    started(run)
    run.keep()
    if interrupt is not None:
        with told_when_interrupted(lambda: _interrupted(run, cancel)):
            raise interrupt
    return run


def attach(server: Server, run_id: str, runs_folder: Path) -> RemoteRun:
    """A run that a server has.

    Args:
        server: The server.
        run_id: The run's id.
        runs_folder: Where its files are kept.

    Raises:
        KaleError: There is none, or this project has not written its pipeline.
    """
    told = server.read(
        lambda client: client.runs.run_service_get_run(run_id, _request_timeout=TIMES),
        f"run {run_id} was looked up",
    )
    document = told.pipeline_spec
    at = told.pipeline_version_reference
    if document is None and at is not None:
        document = server.read(
            lambda client: client.pipelines.pipeline_service_get_pipeline_version(
                at.pipeline_id, at.pipeline_version_id, _request_timeout=TIMES
            ),
            f"the pipeline of run {run_id} was looked up",
        ).pipeline_spec
    remote = read_pipeline(document or {}, told.display_name)
    given = (told.runtime_config.parameters or {}) if told.runtime_config else {}
    parameters = remote.pipeline.parameters
    values = {p.name: _value(p, given[p.key]) if p.key in given else p.default for p in parameters}
    run = RemoteRun(server, told.run_id, told.display_name, remote, values, runs_folder)
    run.take(told)
    return run


def _value(parameter: Parameter, given: Any) -> Any:
    """The value of a parameter that a run was given; as it stands there if the step cannot read it either."""
    try:
        return restore(given, parameter.default, parameter.type)
    except ValueError:  # it was typed on Kubeflow's page: the step's error says so
        return given


def run_lines(server: Server, most: int = 50) -> Iterator[str]:
    """The runs of a server, the newest first, a line each.

    Args:
        server: The server.
        most: How many at most.
    """
    page = server.read(
        lambda client: client.runs.run_service_list_runs(
            page_size=most, sort_by="created_at desc", _request_timeout=TIMES, **server.scope
        ),
        "the runs were looked up",
    )
    for run in page.runs or ():
        state = STATES.get(run.state or "", (run.state or "").lower())
        yield f"{run.run_id}  {state:9}  {run.created_at:%Y-%m-%d %H:%M:%S}  {run.display_name}"


def follow(run: RemoteRun, rich: bool, cancel: bool = False) -> None:
    """Show how a run goes on, and wait for its end.

    Args:
        run: The run.
        rich: Whether there is a notebook that shows pictures.
        cancel: Whether an interrupt ends the run; else only the looking at it.

    Raises:
        KaleError: Steps have failed, or the server is away for too long.
        KeyboardInterrupt: The user interrupted.
    """
    show = RunDisplay(run.remote.pipeline, rich, lambda _: None)
    try:
        with told_when_interrupted(lambda: _interrupted(run, cancel)):
            Follower(run, show.listen).follow()
    except KeyboardInterrupt:
        show.end()
        raise
    except KaleError as error:
        show.end()
        fix = f"{error.diagnostics[0].fix}\nto look at the run again: {run.again}"
        raise KaleError(replace(error.diagnostics[0], fix=fix)) from error
    run.keep_check()
    print(f"\n{summary(run)}\n{run.link}", flush=True)
    run.raise_failures()
    show_differences(run, run.strict)


def _interrupted(run: RemoteRun, cancel: bool) -> str:
    if cancel:
        return terminate(run.server, run.id)
    return f"the run goes on; to look at it again: {run.again}; kale_magics.last_run() gives it"
