"""Runs, the logs of their pods and the artifacts that they leave."""

from __future__ import annotations

import base64
from typing import Any

from tests.kfp_server.answers import Answer, go_json, no_such_page
from tests.kfp_server.documents import Document, arguments
from tests.kfp_server.errors import NOT_FOUND, ApiError, invalid, not_found, plain_error
from tests.kfp_server.experiments import default_experiment, experiment_of
from tests.kfp_server.listing import KEYS, PARAMETERS, page
from tests.kfp_server.nodes import Workflow, now
from tests.kfp_server.objects import with_addresses
from tests.kfp_server.routing import Call, route
from tests.kfp_server.service import Service
from tests.kfp_server.store import FINAL, Resource, Run, filled, get, new_id, suffix

REQUEST = "PzNnijH80Gpjpgz8Sf6NCUD7CZkTcYbsNSw6ZyCbNjJfccb64Eyu"
HOST = "9Gjjt1m+cjU4OPvX9O9/8RuvnG41MRb/18Oux2o5H5MY7ISNTlXN+Dz9IG62/ILVxhAGI0qyPfg="
"""What the object store writes into its errors."""


def run_of(service: Service, call: Call) -> Run:
    """The run that a path names."""
    run: Run = get(service.store.runs, "Run", call["run_id"])
    service.admit(call.user, run.namespace)
    return run


def source(service: Service, fields: dict[str, Any]) -> tuple[Resource, Document]:
    """The pipeline of a run or a schedule, and how its answers tell where that is from."""
    spec, reference = fields.get("pipeline_spec"), fields.get("pipeline_version_reference")
    if bool(spec) == bool(reference):
        raise invalid("exactly one of pipeline_spec and pipeline_version_reference is required")
    if spec:
        document = service.document(spec)
        return {"pipeline_spec": document.answer}, document
    version = referred(service, reference)
    chosen = {name: version[name] for name in ("pipeline_id", "pipeline_version_id")}
    return {"pipeline_version_reference": chosen}, service.document(version["pipeline_spec"])


def referred(service: Service, reference: dict[str, str]) -> Resource:
    """A version that is referred to; a pipeline alone stands for its latest one."""
    pipeline_id, version_id = reference.get("pipeline_id"), reference.get("pipeline_version_id")
    if version_id:
        version = get(service.store.versions, "PipelineVersion", version_id)
        if pipeline_id not in (None, "", version["pipeline_id"]):
            raise invalid("the pipeline version belongs to another pipeline")
        return version
    pipeline = get(service.store.pipelines, "Pipeline", pipeline_id or "")
    versions = service.store.versions_of(pipeline["pipeline_id"])
    if not versions:
        raise not_found("PipelineVersion", "of the pipeline")
    return versions[-1]


def home(service: Service, call: Call, experiment_id: str, what: str) -> Resource:
    """The experiment of something new."""
    if experiment_id:
        return experiment_of(service, call, experiment_id)
    if service.multi_user:
        raise invalid(f"{what} cannot have an empty namespace in multi-user mode")
    return default_experiment(service.store)


def add_run(service: Service, fields: dict[str, Any], experiment: Resource) -> Run:
    """A new run, which starts as soon as it can."""
    origin, document = source(service, fields)
    config = fields.get("runtime_config") or {}
    values = arguments(document, config.get("parameters") or {})
    resource = filled(
        experiment_id=experiment["experiment_id"],
        run_id=new_id(),
        display_name=fields["display_name"],
        storage_state="AVAILABLE",
        description=fields.get("description"),
        **origin,
        runtime_config=config,
        service_account=fields.get("service_account") or "pipeline-runner",
        created_at=now(),
        scheduled_at=now(),
        recurring_run_id=fields.get("recurring_run_id"),
    )
    workflow = Workflow(f"{document.name}-{suffix()}", service.is_wrapped, service.pod_names)
    run = Run(resource, experiment.get("namespace", ""), document, values, workflow)
    run.become("PENDING")
    service.store.runs[run.id] = run
    experiment["last_run_created_at"] = resource["created_at"]
    service.execution.begin(run)
    return run


@route("POST", "/runs", query=("experiment_id",), body="V2beta1Run", required=("display_name",))
def create_run(service: Service, call: Call) -> Resource:
    if call.body.get("plugins_output") is not None:
        raise invalid("plugins_output must not be set by the client")
    experiment_id = call.body.get("experiment_id") or call.asked("experiment_id")
    run = add_run(service, call.body, home(service, call, experiment_id, "A run"))
    return run.answer(service.fills_pod_names)


@route("GET", "/runs", query=("namespace", "experiment_id", *PARAMETERS))
def list_runs(service: Service, call: Call) -> dict[str, Any]:
    """All runs of an experiment, or of a namespace."""
    experiment_id = call.asked("experiment_id")
    if experiment_id:
        experiment_of(service, call, experiment_id)
        runs = list(service.store.runs_in(experiment_id))
    else:
        namespace = service.namespace(call.user, call.asked("namespace"), "A run")
        runs = [run for run in service.store.runs.values() if run.namespace == namespace]
    answers = (run.answer(service.fills_pod_names) for run in runs)
    return page(answers, call.query, "runs", (*KEYS, "state", "storage_state"))


@route("GET", "/runs/{run_id}", query=("experiment_id",))
def get_run(service: Service, call: Call) -> Resource:
    return run_of(service, call).answer(service.fills_pod_names)


@route("POST", "/runs/{run_id}:terminate", query=("experiment_id",))
def terminate_run(service: Service, call: Call) -> dict[str, Any]:
    run = run_of(service, call)
    if run.state not in ("PENDING", "RUNNING"):
        raise invalid(f"Failed to terminate run {run.id}: it is {run.state}")
    service.execution.cancel(run)
    return {}


@route("POST", "/runs/{run_id}:retry", query=("experiment_id",))
def retry_run(service: Service, call: Call) -> dict[str, Any]:
    """The real server runs again what failed only; here it is everything."""
    run = run_of(service, call)
    if run.state not in ("FAILED", "CANCELED"):
        raise invalid(f"Failed to retry run {run.id}: it is {run.state}")
    run.workflow.clear()
    run.become("PENDING")
    service.execution.begin(run)
    return {}


@route("POST", "/runs/{run_id}:archive", query=("experiment_id",))
def archive_run(service: Service, call: Call) -> dict[str, Any]:
    run_of(service, call).resource["storage_state"] = "ARCHIVED"
    return {}


@route("POST", "/runs/{run_id}:unarchive", query=("experiment_id",))
def unarchive_run(service: Service, call: Call) -> dict[str, Any]:
    run_of(service, call).resource["storage_state"] = "AVAILABLE"
    return {}


@route("DELETE", "/runs/{run_id}", query=("experiment_id",))
def delete_run(service: Service, call: Call) -> dict[str, Any]:
    """What it does ends with it."""
    run = run_of(service, call)
    if run.state not in FINAL:
        service.execution.cancel(run)
    del service.store.runs[run.id]
    return {}


@route(
    "GET", "/runs/{run_id}/nodes/{node_id}/log", prefix="/apis/v1alpha1", query=("follow",), errors="plain"
)
def read_log(service: Service, call: Call) -> str | Answer:
    """What a pod has printed so far; the real server doesn't look at `follow` either.

    A log that is not found, or not yet there, is answered with status 200 and an error in JSON. What is
    answered for a run that is not there is an assumption. The server of the page does not pass on this route.
    """
    if not service.has_logs or call.address == "page":
        return no_such_page("GET", f"/apis/v1alpha1/runs/{call['run_id']}/nodes/{call['node_id']}/log")
    run = run_of(service, call)
    pod = run.workflow.pod_called(call["node_id"])
    if pod is None or pod.state == "PENDING":
        return Answer(200, go_json(plain_error(no_log(run, call["node_id"]))))
    log = "".join(pod.log).replace("{pod}", pod.pod)
    return with_addresses(log, service.execution.folder)


def no_log(run: Run, pod: str) -> str:
    """What the API says of a log that it finds neither in Kubernetes nor in the archive."""
    place = f"/artifacts/{run.workflow.name}/{pod}/main.log"
    return (
        f"BadRequestError: Failed to read logs for run {run.id}: InternalServerError: Failed to read logs "
        f"from archive {pod} due to error fetching the log file: InternalServerError: "
        f'Failed to get file reader for {place}: blob (key "{place}") (code=NotFound): '
        "operation error S3: GetObject, https response error StatusCode: 404, "
        f"RequestID: {REQUEST}, HostID: {HOST}, NoSuchKey: The specified key does not exist."
    )


@route(
    "GET",
    "/runs/{run_id}/nodes/{node_id}/artifacts/{artifact_name}:read",
    query=("experiment_id",),
    errors="plain",
)
def read_artifact(service: Service, call: Call) -> dict[str, str]:
    """The bytes of an artifact; this server's files are those of a task that has ended well.

    The real server finds nothing: it looks for outputs that Argo knows, and the pods of KFP 2 have none. What
    is answered for a run that is not there is an assumption.
    """
    if not service.has_artifacts:
        raise not_found("operation", "ReadArtifact")
    found = run_of(service, call).workflow.find(call["node_id"])
    nodes = found if service.reads_artifacts else ()
    path = next((n.outputs[call["artifact_name"]] for n in nodes if call["artifact_name"] in n.outputs), None)
    if path is None or not path.is_file():
        raise ApiError(NOT_FOUND, "artifact not found: <nil>")
    return {"data": base64.b64encode(path.read_bytes()).decode()}
