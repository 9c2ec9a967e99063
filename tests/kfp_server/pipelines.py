"""Pipelines and their versions."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.kfp_server.documents import Document, read_yaml
from tests.kfp_server.errors import invalid, not_found
from tests.kfp_server.listing import PARAMETERS, page
from tests.kfp_server.nodes import now
from tests.kfp_server.routing import Call, route
from tests.kfp_server.service import Service
from tests.kfp_server.store import Resource, be_short, be_unique, filled, get, new_id


def pipeline_of(service: Service, call: Call, pipeline_id: str) -> Resource:
    """A pipeline that the user may see."""
    pipeline = get(service.store.pipelines, "Pipeline", pipeline_id)
    service.admit(call.user, pipeline.get("namespace", ""))
    return pipeline


def version_of(service: Service, call: Call) -> Resource:
    """The version that a path names."""
    pipeline = pipeline_of(service, call, call["pipeline_id"])
    version = get(service.store.versions, "PipelineVersion", call["pipeline_version_id"])
    if version["pipeline_id"] != pipeline["pipeline_id"]:
        raise not_found("PipelineVersion", version["pipeline_version_id"])
    return version


def named(kind: str, fields: dict[str, Any]) -> str:
    """The name of a new pipeline or version."""
    name: str = fields.get("name") or fields.get("display_name") or ""
    if not name:
        raise invalid(f"{kind}'s name cannot be empty")
    be_short(kind, name)
    return name


def add_pipeline(service: Service, call: Call, fields: dict[str, Any]) -> Resource:
    """A new pipeline without versions."""
    namespace = service.shared_namespace(call.user, fields.get("namespace") or "")
    name = named("Pipeline", fields)
    be_unique(iter(service.store.pipelines.values()), "Pipeline", name=name, namespace=namespace)
    pipeline = filled(
        pipeline_id=new_id(),
        display_name=fields.get("display_name") or name,
        name=name,
        description=fields.get("description"),
        created_at=now(),
        namespace=namespace,
        tags=fields.get("tags"),
    )
    service.store.pipelines[pipeline["pipeline_id"]] = pipeline
    return pipeline


def add_version(service: Service, pipeline_id: str, fields: dict[str, Any], document: Document) -> Resource:
    """A new version of a pipeline."""
    name = named("PipelineVersion", fields)
    be_unique(iter(service.store.versions_of(pipeline_id)), "PipelineVersion", name=name)
    version = filled(
        pipeline_id=pipeline_id,
        pipeline_version_id=new_id(),
        display_name=fields.get("display_name") or name,
        name=name,
        description=fields.get("description"),
        created_at=now(),
        package_url=fields.get("package_url"),
        code_source_url=fields.get("code_source_url"),
        pipeline_spec=document.answer,
        tags=fields.get("tags"),
    )
    service.store.versions[version["pipeline_version_id"]] = version
    return version


def upload_fields(call: Call) -> dict[str, Any]:
    """What the parameters of an upload say."""
    try:
        tags = json.loads(call.asked("tags") or "{}")
    except ValueError as error:
        raise invalid("Failed to parse tags query parameter: it is no JSON") from error
    return {**call.query, "name": call.asked("name") or PurePath(call.file_name).stem, "tags": tags}


def fetched(service: Service, version: Resource) -> Document:
    """The pipeline that a version's URL leads to."""
    url = (version.get("package_url") or {}).get("pipeline_url")
    if not url:
        raise invalid("package_url.pipeline_url is required")
    try:
        with urlopen(url) as answer:
            return read_yaml(answer.read().decode(), service.rejects)
    except (URLError, ValueError) as error:
        raise invalid(f"failed to read {url}: {error}") from error


@route(
    "POST",
    "/pipelines/upload",
    query=("name", "display_name", "description", "namespace", "tags"),
    body="upload",
    errors="plain",
)
def upload_pipeline(service: Service, call: Call) -> Resource:
    """A new pipeline, with a first version that has its name."""
    document = read_yaml(call.body, service.rejects)
    fields = upload_fields(call)
    named("PipelineVersion", fields)  # there is no pipeline if its version cannot be
    pipeline = add_pipeline(service, call, fields)
    add_version(service, pipeline["pipeline_id"], fields, document)
    return pipeline


@route(
    "POST",
    "/pipelines/upload_version",
    query=("name", "display_name", "pipelineid", "description", "tags"),
    body="upload",
    errors="plain",
)
def upload_version(service: Service, call: Call) -> Resource:
    """A further version."""
    document = read_yaml(call.body, service.rejects)
    if call.asked("pipelineid") not in service.store.pipelines:
        raise invalid("Failed to create a pipeline version: there is no such pipeline")
    pipeline = pipeline_of(service, call, call.asked("pipelineid"))
    return add_version(service, pipeline["pipeline_id"], upload_fields(call), document)


@route("GET", "/pipelines", query=("namespace", *PARAMETERS))
def list_pipelines(service: Service, call: Call) -> dict[str, Any]:
    namespace = service.shared_namespace(call.user, call.asked("namespace"))
    pipelines = (p for p in service.store.pipelines.values() if p.get("namespace", "") == namespace)
    return page(pipelines, call.query, "pipelines")


@route("POST", "/pipelines", body="V2beta1Pipeline")
def create_pipeline(service: Service, call: Call) -> Resource:
    return add_pipeline(service, call, call.body)


@route(
    "POST",
    "/pipelines/create",
    body="V2beta1CreatePipelineAndVersionRequest",
    required=("pipeline", "pipeline_version"),
)
def create_pipeline_and_version(service: Service, call: Call) -> Resource:
    """A new pipeline, with a version from a URL."""
    document = fetched(service, call.body["pipeline_version"])
    name = named("Pipeline", call.body["pipeline"])
    fields = {**call.body["pipeline"], "name": name, **call.body["pipeline_version"]}
    named("PipelineVersion", fields)
    pipeline = add_pipeline(service, call, call.body["pipeline"])
    add_version(service, pipeline["pipeline_id"], fields, document)
    return pipeline


@route("GET", "/pipelines/{pipeline_id}")
def get_pipeline(service: Service, call: Call) -> Resource:
    return pipeline_of(service, call, call["pipeline_id"])


@route("GET", "/pipelines/names/{name}", query=("namespace",))
def get_pipeline_by_name(service: Service, call: Call) -> Resource:
    namespace = service.shared_namespace(call.user, call.asked("namespace"))
    for pipeline in service.store.pipelines.values():
        if (pipeline["name"], pipeline.get("namespace", "")) == (call["name"], namespace):
            return pipeline
    raise not_found("Pipeline", call["name"])


@route("DELETE", "/pipelines/{pipeline_id}", query=("cascade",))
def delete_pipeline(service: Service, call: Call) -> dict[str, Any]:
    """A pipeline must have no versions, unless they are to go with it."""
    pipeline_of(service, call, call["pipeline_id"])
    versions = service.store.versions_of(call["pipeline_id"])
    if versions and call.asked("cascade").lower() != "true":
        raise invalid("the pipeline has existing pipeline versions: delete them first, or cascade")
    for version in versions:
        del service.store.versions[version["pipeline_version_id"]]
    del service.store.pipelines[call["pipeline_id"]]
    return {}


@route("GET", "/pipelines/{pipeline_id}/versions", query=PARAMETERS)
def list_versions(service: Service, call: Call) -> dict[str, Any]:
    pipeline_of(service, call, call["pipeline_id"])
    return page(service.store.versions_of(call["pipeline_id"]), call.query, "pipeline_versions")


@route("POST", "/pipelines/{pipeline_id}/versions", body="V2beta1PipelineVersion")
def create_version(service: Service, call: Call) -> Resource:
    pipeline_of(service, call, call["pipeline_id"])
    return add_version(service, call["pipeline_id"], call.body, fetched(service, call.body))


@route("GET", "/pipelines/{pipeline_id}/versions/{pipeline_version_id}")
def get_version(service: Service, call: Call) -> Resource:
    return version_of(service, call)


@route("DELETE", "/pipelines/{pipeline_id}/versions/{pipeline_version_id}")
def delete_version(service: Service, call: Call) -> dict[str, Any]:
    del service.store.versions[version_of(service, call)["pipeline_version_id"]]
    return {}
