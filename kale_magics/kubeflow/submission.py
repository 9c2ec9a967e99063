"""A pipeline on its way to a server: uploaded once, put into an experiment, started."""

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

from kale_magics.kubeflow.answers import BadAnswerError
from kale_magics.kubeflow.compiler import documents, pipeline_name, pipeline_yaml
from kale_magics.kubeflow.reading import RemoteTask, tasks_of
from kale_magics.kubeflow.secrecy import refuse_secrets
from kale_magics.kubeflow.server import TIMES, Server, UnsureError
from kale_magics.model.diagnostics import Code, KaleError, refuse
from kale_magics.model.pipeline import Json, Parameter, Pipeline
from kale_magics.step_runtime.parameters import decode_parameter, encode_parameter

LATEST = 100
"""How many of the newest are looked through for one that may have just been made."""

LONGEST_VERSION = 127
"""Characters of the name of a pipeline's version that a server takes (its `validation/length.go`)."""


@dataclass(frozen=True)
class Prepared:
    """A pipeline on a server that is ready to be started.

    Attributes:
        reference: Its version there.
        config: The values of its parameters.
        experiment_id: Its experiment.
        tasks: What becomes of each step there, by its name.
    """

    reference: Any
    config: Any
    experiment_id: str
    tasks: Mapping[str, RemoteTask]


def prepare(
    server: Server,
    pipeline: Pipeline,
    folder: Path,
    values: Mapping[str, Json],
    experiment: str = "",
    cache: bool = True,
) -> Prepared:
    """Upload a pipeline, unless the server has it, and find or make its experiment.

    Args:
        server: The server.
        pipeline: What is to run.
        folder: That of the notebook, from which steps take files along.
        values: Of parameters, by the user's names.
        experiment: Its experiment; empty for one of the pipeline's name.
        cache: Whether KFP may take steps from earlier runs.

    Raises:
        KaleError: The server cannot be reached, or does not take it.
    """
    _refuse_infinite(values, pipeline)
    pipeline = with_exact_values(pipeline, values)
    known = [values, experiment or pipeline.name]
    refuse_secrets(server.access.secrets, "the values of parameters, or the experiment", known)
    text = pipeline_yaml(pipeline if cache else _uncached(pipeline), folder, server.access.secrets)
    pipeline_id, version_id = _uploaded(server, pipeline_name(pipeline.name), text)
    parameters = {
        p.key: encode_parameter(values[p.name], p.type) for p in pipeline.parameters if p.name in values
    }
    return Prepared(
        kfp_server_api.V2beta1PipelineVersionReference(
            pipeline_id=pipeline_id, pipeline_version_id=version_id
        ),
        kfp_server_api.V2beta1RuntimeConfig(parameters=parameters),
        _experiment(server, experiment or pipeline.name),
        tasks_of(*documents(text)),
    )


def label_of(name: str) -> str:
    """A name for what is made there that nothing else has: it can be looked for if no answer comes."""
    return f"{name} {datetime.now():%Y-%m-%d %H:%M:%S} {secrets.token_hex(3)}"


def submit(server: Server, prepared: Prepared, label: str) -> str:
    """Start a run, once.

    Args:
        server: The server.
        prepared: The pipeline there.
        label: The run's name, of `label_of`.

    Returns:
        The run's id.

    Raises:
        KaleError: The server cannot be reached, or does not take it.
    """
    refuse_secrets(server.access.secrets, "the run's name", label)
    run = kfp_server_api.V2beta1Run(
        display_name=label,
        experiment_id=prepared.experiment_id,
        pipeline_version_reference=prepared.reference,
        runtime_config=prepared.config,
    )
    made: Any = write_once(
        server,
        lambda client: client.runs.run_service_create_run(run=run, _request_timeout=TIMES),
        finder(server, prepared, label, _runs),
        "a run was to be started",
        f"{server.listing} has it as {label!r}",
    )
    return str(made.run_id)


def write_once(
    server: Server, ask: Callable[[Any], Any], find: Callable[[Any], Any], what: str, found_by: str
) -> Any:
    """Have something made that must not be made twice.

    Args:
        server: The server.
        ask: As `Server.write`.
        find: As `finder` gives it.
        what: As `Server.write`.
        found_by: How the user finds it, if nobody knows here whether it was made.

    Raises:
        KaleError: It was not made, or nobody knows whether it was.
    """
    try:
        return server.write(ask, find, what)
    except UnsureError as error:
        fix = f"{error.diagnostics[0].fix}\nif it has been started, {found_by}"
        raise KaleError(replace(error.diagnostics[0], fix=fix)) from error


def find_run(server: Server, prepared: Prepared, label: str) -> str:
    """The id of a run that may have been started; empty if it has not been, or if nobody can tell."""
    found: Any = None
    with contextlib.suppress(KaleError):  # the user is told its name
        found = server.look_for(finder(server, prepared, label, _runs), "a run was looked for")
    return str(found.run_id) if found is not None else ""


def finder(
    server: Server, prepared: Prepared, label: str, list_of: Callable[[Any], Callable[..., list[Any] | None]]
) -> Callable[[Any], Any]:
    """What looks for something that may have been made, as `Server.write` wants it.

    Args:
        server: The server.
        prepared: The pipeline there.
        label: The name of what may have been made, of `label_of`.
        list_of: Gives, of kfp's client, what lists things of its kind.
    """

    def find(client: Any) -> Any:
        ask = list_of(client)
        found = ask(experiment_id=prepared.experiment_id, filter=named(label), _request_timeout=TIMES)
        # A server in trouble may have nothing to say, as one has that has nothing of that name.
        found = found or ask(
            sort_by="created_at desc", page_size=LATEST, _request_timeout=TIMES, **server.scope
        )
        if not found:
            raise BadAnswerError("it tells of nothing at all")
        return next((each for each in found if each.display_name == label), None)

    return find


def _runs(client: Any) -> Callable[..., list[Any] | None]:
    return lambda **asked: client.runs.run_service_list_runs(**asked).runs


def _refuse_infinite(values: Mapping[str, Json], pipeline: Pipeline) -> None:
    """Refuse numbers that KFP cannot keep, and that would arrive as others."""
    defaults = {parameter.name: parameter.default for parameter in pipeline.parameters}
    for name, value in values.items():
        if value != defaults[name] and not _is_finite(value):
            message = f"{name} has a number in it that is not finite, which Kubeflow does not keep"
            raise refuse(
                Code.BAD_ARGUMENTS, message, "use a text or None in its place, or run on this machine"
            )


def _is_finite(value: Json) -> bool:
    if isinstance(value, (list, dict)):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def with_exact_values(pipeline: Pipeline, values: Mapping[str, Json]) -> Pipeline:
    """The pipeline in which values that KFP would change on their way are the defaults of their parameters.

    KFP has one type of number and no order in a dict: a step cannot tell 2 from 2.0 there, unless it is the
    default, which stands in the step's code.

    Args:
        pipeline: The pipeline.
        values: Of parameters, by the user's names.
    """
    changed = {
        p.name: replace(p, default=values[p.name])
        for p in pipeline.parameters
        if p.name in values and not _arrives(p, values[p.name])
    }

    def exact(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
        return tuple(changed.get(p.name, p) for p in parameters)

    changed_steps = pipeline.map_steps(lambda step: replace(step, parameters=exact(step.parameters)))
    return replace(changed_steps, parameters=exact(pipeline.parameters))


def _arrives(parameter: Parameter, value: Json) -> bool:
    """Whether a value gets to a step as it is."""
    arrived = decode_parameter(
        _kept(encode_parameter(value, parameter.type)), parameter.default, parameter.type
    )
    return repr(arrived) == repr(value)


def _kept(value: Json) -> Json:
    """What KFP makes of a value."""
    if isinstance(value, dict):
        return {key: _kept(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_kept(item) for item in value]
    return float(value) if type(value) is int else value


def _uncached(pipeline: Pipeline) -> Pipeline:
    return pipeline.map_steps(lambda step: replace(step, options=replace(step.options, cache=False)))


def _uploaded(server: Server, name: str, text: str) -> tuple[str, str]:
    """The pipeline of that name and its version with this content; what is not there is uploaded."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    version = f"{name[: LONGEST_VERSION - len(digest) - 1].rstrip('-')}-{digest}"
    scope = server.scope

    def find_pipeline(client: Any) -> Any:
        return first(
            client.pipelines.pipeline_service_list_pipelines(
                filter=named(name), _request_timeout=TIMES, **scope
            ).pipelines
        )

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"{name}.yaml"
        path.write_text(text, encoding="ascii")
        # Without a first version, which would be this content under another name.
        new = kfp_server_api.V2beta1Pipeline(display_name=name, name=name, **scope)
        pipeline = server.read(find_pipeline, "the pipeline was looked up") or server.write(
            lambda client: client.pipelines.pipeline_service_create_pipeline(new, _request_timeout=TIMES),
            find_pipeline,
            "the pipeline was to be made",
        )
        pipeline_id = pipeline.pipeline_id

        def find_version(client: Any) -> Any:
            return first(
                client.pipelines.pipeline_service_list_pipeline_versions(
                    pipeline_id, filter=named(version), _request_timeout=TIMES
                ).pipeline_versions
            )

        known = server.read(find_version, "the version was looked up") or server.write(
            lambda client: client.pipeline_uploads.upload_pipeline_version(
                str(path), name=version, pipelineid=pipeline_id, _request_timeout=TIMES
            ),
            find_version,
            "the version was uploaded",
        )
    return pipeline_id, known.pipeline_version_id


def _experiment(server: Server, name: str) -> str:
    scope = server.scope

    def find(client: Any) -> Any:
        return first(
            client.experiments.experiment_service_list_experiments(
                filter=named(name), _request_timeout=TIMES, **scope
            ).experiments
        )

    experiment = kfp_server_api.V2beta1Experiment(display_name=name, **scope)
    found = server.read(find, "the experiment was looked up") or server.write(
        lambda client: client.experiments.experiment_service_create_experiment(
            experiment, _request_timeout=TIMES
        ),
        find,
        "the experiment was to be made",
    )
    return str(found.experiment_id)


def first(found: Any) -> Any:
    """The first of a list that a server has answered, which may be none."""
    return found[0] if found else None


def named(name: str) -> str:
    """The filter of a list for what has this name (KFP's `filter.proto`)."""
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
    # The server decodes a filter as part of an address once more.
    return json.dumps({"predicates": [predicate]}).replace("%", "%25").replace("+", "%2B")
