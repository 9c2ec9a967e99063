"""Submits a pipeline to a server: uploads it once, finds its experiment, and starts a run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import kfp_server_api

from kale_magics.kubeflow.client import TIMEOUTS, KfpClient, UnknownOutcomeError
from kale_magics.kubeflow.compiler import documents, pipeline_name, pipeline_yaml
from kale_magics.kubeflow.pipeline_spec import RemoteTask, as_stored, tasks_of
from kale_magics.kubeflow.responses import InvalidResponseError
from kale_magics.kubeflow.secret_scan import check_secrets
from kale_magics.model.diagnostics import Code, KaleError, kale_error
from kale_magics.model.pipeline import Json, Parameter, Pipeline
from kale_magics.step_runtime.parameters import decode_parameter, encode_parameter

MAX_SEARCHED = 100
"""The newest runs or schedules among which to search for one that may have just been created."""

MAX_VERSION_NAME = 127
"""Characters of the name of a pipeline's version (the server's `validation/length.go`)."""


@dataclass(frozen=True)
class PreparedRun:
    """A pipeline on a server with everything that a run of it needs.

    Attributes:
        reference: The version of the pipeline.
        config: The values of its parameters.
        experiment_id: The experiment.
        tasks: The task of each step, by the step's name.
    """

    reference: Any
    config: Any
    experiment_id: str
    tasks: Mapping[str, RemoteTask]


def prepare(
    server: KfpClient,
    pipeline: Pipeline,
    folder: Path,
    values: Mapping[str, Json],
    experiment: str = "",
    cache: bool = True,
) -> PreparedRun:
    """Upload a pipeline, unless the server has it, and find or create its experiment.

    Args:
        server: The server.
        pipeline: The pipeline.
        folder: The notebook's folder, which the files of steps are relative to.
        values: Values of parameters, by the user's names.
        experiment: The experiment; empty for one of the pipeline's name.
        cache: Whether KFP may take steps from earlier runs.

    Raises:
        KaleError: The server cannot be reached, or rejects the pipeline.
    """
    _check_finite(values, pipeline)
    pipeline = with_exact_values(pipeline, values)
    known = [values, experiment or pipeline.name]
    check_secrets(server.access.secrets, "the values of parameters, or the experiment", known)
    text = pipeline_yaml(pipeline if cache else _uncached(pipeline), folder, server.access.secrets)
    pipeline_id, version_id = _uploaded(server, pipeline_name(pipeline.name), text)
    parameters = {
        p.key: encode_parameter(values[p.name], p.type) for p in pipeline.parameters if p.name in values
    }
    spec, *platforms = documents(text)
    return PreparedRun(
        kfp_server_api.V2beta1PipelineVersionReference(
            pipeline_id=pipeline_id, pipeline_version_id=version_id
        ),
        kfp_server_api.V2beta1RuntimeConfig(parameters=parameters),
        _experiment(server, experiment or pipeline.name),
        tasks_of(spec, platforms[0] if platforms else None, parameters),
    )


def label_of(name: str) -> str:
    """Return a unique name, by which to search for what a request without a response may have created."""
    return f"{name} {datetime.now():%Y-%m-%d %H:%M:%S} {secrets.token_hex(3)}"


def submit(server: KfpClient, prepared: PreparedRun, label: str) -> str:
    """Start a run, once.

    Args:
        server: The server.
        prepared: The pipeline there.
        label: The run's name (`label_of`).

    Returns:
        The run's id.

    Raises:
        KaleError: The server cannot be reached, or rejects the run.
    """
    check_secrets(server.access.secrets, "the run's name", label)
    run = kfp_server_api.V2beta1Run(
        display_name=label,
        experiment_id=prepared.experiment_id,
        pipeline_version_reference=prepared.reference,
        runtime_config=prepared.config,
    )
    created: Any = create_once(
        server,
        lambda client: client.runs.run_service_create_run(run=run, _request_timeout=TIMEOUTS),
        finder(server, prepared, label, _runs),
        "starting the run",
        f"{server.list_command} lists it as {label!r}",
    )
    return str(created.run_id)


def create_once(
    server: KfpClient, request: Callable[[Any], Any], find: Callable[[Any], Any], action: str, found_by: str
) -> Any:
    """Create something that must not be created twice.

    Args:
        server: The server.
        request: As in `KfpClient.write`.
        find: A function that `finder` returns.
        action: As in `KfpClient.write`.
        found_by: How the user finds it, if the server may have created it.

    Raises:
        KaleError: It was not created, or it may have been.
    """
    try:
        return server.write(request, find, action)
    except UnknownOutcomeError as error:
        fix = f"{error.diagnostics[0].fix}\nif it has been started, {found_by}"
        raise KaleError(replace(error.diagnostics[0], fix=fix)) from error


def find_run(server: KfpClient, prepared: PreparedRun, label: str) -> str:
    """Return the id of a run that may have been started; empty if it is not found."""
    found: Any = None
    with contextlib.suppress(KaleError):  # the user's message has its name
        found = server.search(finder(server, prepared, label, _runs), "searching for the run")
    return str(found.run_id) if found is not None else ""


def finder(
    server: KfpClient,
    prepared: PreparedRun,
    label: str,
    list_of: Callable[[Any], Callable[..., list[Any] | None]],
) -> Callable[[Any], Any]:
    """Return a function for `KfpClient.write` that finds what may have been created.

    Args:
        server: The server.
        prepared: The pipeline there.
        label: Its name (`label_of`).
        list_of: Returns the operation of kfp's client that lists things of its kind.
    """

    def find(client: Any) -> Any:
        list_all, own = list_of(client), prepared.experiment_id
        found = list_all(experiment_id=own, filter=name_filter(label), _request_timeout=TIMEOUTS)
        # A server in trouble may return an empty list, as one does that has nothing of that name.
        found = found or list_all(
            sort_by="created_at desc",
            page_size=MAX_SEARCHED,
            _request_timeout=TIMEOUTS,
            **server.namespace_argument,
        )
        if not found:
            raise InvalidResponseError("the list is empty")
        return next((each for each in found if each.display_name == label), None)

    return find


def _runs(client: Any) -> Callable[..., list[Any] | None]:
    return lambda **query: client.runs.run_service_list_runs(**query).runs


def _check_finite(values: Mapping[str, Json], pipeline: Pipeline) -> None:
    """Raise an error for numbers that KFP cannot store."""
    defaults = {parameter.name: parameter.default for parameter in pipeline.parameters}
    for name, value in values.items():
        if value != defaults[name] and not _is_finite(value):
            message = f"{name} contains a number that is not finite, which Kubeflow cannot store"
            raise kale_error(
                Code.BAD_ARGUMENTS, message, "use a text or None instead, or run on this machine"
            )


def _is_finite(value: Json) -> bool:
    if isinstance(value, (list, dict)):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def with_exact_values(pipeline: Pipeline, values: Mapping[str, Json]) -> Pipeline:
    """Return the pipeline with the values that KFP would change as defaults of their parameters.

    KFP has one type of number and no order in a dict: a step cannot distinguish 2 from 2.0, unless it is the
    default, which is in the step's code.

    Args:
        pipeline: The pipeline.
        values: Values of parameters, by the user's names.
    """
    changed = {
        p.name: replace(p, default=values[p.name])
        for p in pipeline.parameters
        if p.name in values and not _is_exact(p, values[p.name])
    }

    def exact(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
        return tuple(changed.get(p.name, p) for p in parameters)

    changed_steps = pipeline.map_steps(lambda step: replace(step, parameters=exact(step.parameters)))
    return replace(changed_steps, parameters=exact(pipeline.parameters))


def _is_exact(parameter: Parameter, value: Json) -> bool:
    """Whether a step gets a value unchanged."""
    arrived = decode_parameter(
        as_stored(encode_parameter(value, parameter.type)), parameter.default, parameter.type
    )
    return repr(arrived) == repr(value)


def _uncached(pipeline: Pipeline) -> Pipeline:
    return pipeline.map_steps(lambda step: replace(step, options=replace(step.options, cache=False)))


def _uploaded(server: KfpClient, name: str, text: str) -> tuple[str, str]:
    """Upload a pipeline, unless the server has it; return the ids of the pipeline and of its version."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    version = f"{name[: MAX_VERSION_NAME - len(digest) - 1].rstrip('-')}-{digest}"
    namespace = server.namespace_argument

    def find_pipeline(client: Any) -> Any:
        return first(
            client.pipelines.pipeline_service_list_pipelines(
                filter=name_filter(name), _request_timeout=TIMEOUTS, **namespace
            ).pipelines
        )

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"{name}.yaml"
        path.write_text(text, encoding="ascii")
        # Without a first version, which would be this content with another name.
        new = kfp_server_api.V2beta1Pipeline(display_name=name, name=name, **namespace)
        pipeline = server.read(find_pipeline, "looking up the pipeline") or server.write(
            lambda client: client.pipelines.pipeline_service_create_pipeline(new, _request_timeout=TIMEOUTS),
            find_pipeline,
            "creating the pipeline",
        )
        pipeline_id = pipeline.pipeline_id

        def find_version(client: Any) -> Any:
            return first(
                client.pipelines.pipeline_service_list_pipeline_versions(
                    pipeline_id, filter=name_filter(version), _request_timeout=TIMEOUTS
                ).pipeline_versions
            )

        known = server.read(find_version, "looking up the version of the pipeline") or server.write(
            lambda client: client.pipeline_uploads.upload_pipeline_version(
                str(path), name=version, pipelineid=pipeline_id, _request_timeout=TIMEOUTS
            ),
            find_version,
            "uploading the pipeline",
        )
    return pipeline_id, known.pipeline_version_id


def _experiment(server: KfpClient, name: str) -> str:
    namespace = server.namespace_argument

    def find(client: Any) -> Any:
        return first(
            client.experiments.experiment_service_list_experiments(
                filter=name_filter(name), _request_timeout=TIMEOUTS, **namespace
            ).experiments
        )

    experiment = kfp_server_api.V2beta1Experiment(display_name=name, **namespace)
    found = server.read(find, "looking up the experiment") or server.write(
        lambda client: client.experiments.experiment_service_create_experiment(
            experiment, _request_timeout=TIMEOUTS
        ),
        find,
        "creating the experiment",
    )
    return str(found.experiment_id)


def first(found: Any) -> Any:
    """Return the first item of a server's list; None if it is empty or None."""
    return found[0] if found else None


def name_filter(name: str) -> str:
    """Return the filter of a list for a name (KFP's `filter.proto`)."""
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    # The server decodes a filter twice, as part of a URL.
    return json.dumps({"predicates": [predicate]}).replace("%", "%25").replace("+", "%2B")
