"""The stand-in for the Kubeflow Pipelines API server, as kfp's own client sees it.

Annotations are not put off here: kfp wants those of a component to be types.
"""

import base64
import functools
import http.client
import json
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import kfp
import kfp_server_api
import pytest
import yaml
from kfp import compiler, dsl, kubernetes

from kale_magics.kubeflow.metadata_store import HEADERS, artifacts_of_run
from tests.kfp_server import KfpServer
from tests.kfp_server.nodes import execution_id, fnv1a, node_id, pod_name
from tests.kfp_server.pod_states import RECORDINGS, recorded_pods
from tests.kfp_server.script import ROOT, Attempt, page_order, recorded

RUNS, PIPELINES = "/apis/v2beta1/runs", "/apis/v2beta1/pipelines"

RECORDED: dict[str, Any] = json.loads((RECORDINGS / "runs.json").read_text(encoding="utf-8"))
ANSWERS: dict[str, Any] = json.loads((RECORDINGS / "answers.json").read_text(encoding="utf-8"))

component = functools.partial(dsl.component, base_image="python:3.11")


@component
def load(rows: int, data: dsl.Output[dsl.Dataset]):
    print("loading", rows, "into", data.uri)
    with open(data.path, "w") as file:
        file.write("x" * rows)


@component
def train(data: dsl.Input[dsl.Dataset], needed: int) -> int:
    import os

    size = os.path.getsize(data.path)
    print("training", os.environ.get("MODE"), "on", size)
    if size < needed:
        raise ValueError("too little data")
    return size


@dsl.pipeline(name="two-steps")
def two_steps(rows: int, needed: int = 1):
    loaded = load(rows=rows)
    trained = train(data=loaded.outputs["data"], needed=needed)
    trained.set_env_variable("MODE", "carefully")


@component
def write(folder: str):
    with open(f"{folder}/note", "w") as file:
        file.write("a note")


@component
def read(folder: str):
    with open(f"{folder}/note") as file:
        print("read", file.read())


@dsl.pipeline(
    name="with-workspace", pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi"))
)
def with_workspace():
    written = write(folder=dsl.WORKSPACE_PATH_PLACEHOLDER)
    following = read(folder=dsl.WORKSPACE_PATH_PLACEHOLDER).after(written)
    kubernetes.use_secret_as_env(following, secret_name="aws", secret_key_to_env={"key": "AWS_KEY"})


@component
def flaky(folder: str):
    import os

    print("files here", os.listdir("."))
    open("note", "w").close()
    if not os.path.exists(f"{folder}/tried"):
        open(f"{folder}/tried", "w").close()
        raise OSError("try again")


@dsl.pipeline(name="with-attempts")
def with_attempts(folder: str):
    first = flaky(folder=folder).set_retry(2)
    kubernetes.add_pod_annotation(first, "a", "b")
    write(folder=folder).after(first)


@component
def fail():
    raise ValueError


@dsl.pipeline(name="fails")
def fails():
    first = fail().set_retry(1)
    second = fail().after(first)
    fail().after(second)


PIPELINES_HERE = (two_steps, with_workspace, with_attempts, fails)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Compiled pipelines."""
    folder = tmp_path_factory.mktemp("compiled")
    paths = {pipeline.name: folder / f"{pipeline.name}.yaml" for pipeline in PIPELINES_HERE}
    for pipeline in PIPELINES_HERE:
        compiler.Compiler().compile(pipeline, str(paths[pipeline.name]))
    return paths


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KfpServer]:
    with KfpServer(tmp_path / "server", version="older") as server:
        yield server


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[KfpServer]:
    """A server that executes nothing."""
    attempts = (Attempt("too early", succeeds=False), Attempt(f"into {ROOT}/data", files={"data": b"xxx"}))
    with KfpServer(tmp_path / "server", version="older", script={"load": attempts}) as server:
        yield server


@pytest.fixture
def client(server: KfpServer) -> kfp.Client:
    return connect(server)


@pytest.fixture
def file(files: dict[str, Path]) -> str:
    return str(files["two-steps"])


def connect(server: KfpServer, **options: Any) -> kfp.Client:
    """kfp's client."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # that it is for the second version
        return kfp.Client(host=server.url, **options)


def submit(client: kfp.Client, file: str, **parameters: Any) -> str:
    """A run of a file; its id."""
    parameters = parameters or {"rows": 3}
    return client.create_run_from_pipeline_package(file, parameters, run_name="a run").run_id


def ask(
    server: KfpServer, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any, dict[str, str]]:
    """Send one request; the status, the answer, and its headers."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    try:
        kind = {"Content-Type": "application/json"}
        connection.request(
            method, path, None if body is None else json.dumps(body), {**kind, **(headers or {})}
        )
        answer = connection.getresponse()
        text = answer.read().decode()
        is_json = answer.headers["Content-Type"] == "application/json"
        return answer.status, json.loads(text) if is_json else text, dict(answer.headers)
    finally:
        connection.close()


def states(server: KfpServer, run_id: str) -> dict[str, str]:
    """The states of a run's nodes."""
    nodes = server.runs[run_id].workflow.nodes
    return {path[1:].removeprefix("root."): node.state for path, node in nodes.items() if path}


def split(details: Any) -> tuple[list[Any], list[Any]]:
    """The task details that the launcher adds, by their executions, and those of nodes."""
    launched = [detail for detail in details if detail.execution_id]
    return sorted(launched, key=lambda one: one.execution_id), [d for d in details if not d.execution_id]


def has_no_log(server: KfpServer, run_id: str, pod: str) -> bool:
    """Whether the API says that it finds no log of a pod; it says so with status 200."""
    status, text, _ = ask(server, "GET", f"/apis/v1alpha1/runs/{run_id}/nodes/{pod}/log")
    return status == 200 and str(text).startswith('{"error_message":"BadRequestError: Failed to read logs')


def refused(call: Any, *arguments: Any, **named: Any) -> tuple[int, dict[str, Any]]:
    """How the API refuses something."""
    with pytest.raises(kfp_server_api.ApiException) as raised:
        call(*arguments, **named)
    return raised.value.status, json.loads(raised.value.body)


# -- pipelines and experiments ------------------------------------------------------------------------------


def test_pipeline_and_its_versions(client: kfp.Client, file: str):
    pipeline = client.upload_pipeline(file, "mine", "what it does")
    again = client.upload_pipeline_version(file, "second", pipeline_id=pipeline.pipeline_id)
    first, second = client.list_pipeline_versions(
        pipeline.pipeline_id, sort_by="created_at"
    ).pipeline_versions
    assert (pipeline.name, pipeline.display_name, first.name, second.name) == (
        "mine",
        "mine",
        "mine",
        "second",
    )
    assert first.pipeline_spec["pipelineInfo"] == {"name": "two-steps"}
    assert client.get_pipeline_id("mine") == client.get_pipeline(pipeline.pipeline_id).pipeline_id
    assert client.pipelines.pipeline_service_get_pipeline_by_name("mine").description == "what it does"
    assert refused(client.upload_pipeline, file, "mine")[0] == 409
    status, error = refused(client.delete_pipeline, pipeline.pipeline_id)
    assert (status, error["code"]) == (400, 3)
    client.delete_pipeline_version(pipeline.pipeline_id, again.pipeline_version_id)
    assert client.list_pipeline_versions(pipeline.pipeline_id).total_size == 1
    client.pipelines.pipeline_service_delete_pipeline(pipeline.pipeline_id, cascade=True)
    assert client.list_pipelines().pipelines is None


def test_version_names_are_unique_in_a_pipeline(client: kfp.Client, file: str):
    pipeline, other = client.upload_pipeline(file, "mine"), client.upload_pipeline(file, "other")
    status, error = refused(client.upload_pipeline_version, file, "mine", pipeline_id=pipeline.pipeline_id)
    assert (status, set(error)) == (409, {"error_message", "error_details"})
    client.upload_pipeline_version(file, "theirs", pipeline_id=pipeline.pipeline_id)
    client.upload_pipeline_version(file, "theirs", pipeline_id=other.pipeline_id)


def test_pipeline_from_a_url(client: kfp.Client, file: str):
    url = kfp_server_api.V2beta1Url(pipeline_url=Path(file).as_uri())
    pipeline = client.pipelines.pipeline_service_create_pipeline(
        kfp_server_api.V2beta1Pipeline(name="fetched")
    )
    version = kfp_server_api.V2beta1PipelineVersion(name="one", package_url=url)
    made = client.pipelines.pipeline_service_create_pipeline_version(pipeline.pipeline_id, version)
    assert client.get_pipeline_version(pipeline.pipeline_id, made.pipeline_version_id).pipeline_spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda spec: spec.update(rooot={}), "rooot"),
        (lambda spec: spec["root"]["dag"]["tasks"]["train"].update(needs=[]), "needs"),
        (
            lambda spec: spec["deploymentSpec"]["executors"]["exec-train"]["container"].update(imaje="x"),
            "imaje",
        ),
        (lambda spec: spec["pipelineInfo"].update(name="Two Steps"), "pipelineInfo"),
        (lambda spec: spec.pop("root"), "root"),
    ],
)
def test_upload_must_be_a_pipeline(client: kfp.Client, file: str, tmp_path: Path, change: Any, message: str):
    spec = yaml.safe_load(Path(file).read_text())
    change(spec)
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(spec))
    status, error = refused(client.upload_pipeline, str(tmp_path / "p.yaml"), "bad")
    assert status == 400
    assert message in error["error_message"]
    assert client.list_pipelines().pipelines is None


def test_platform_spec(client: kfp.Client, files: dict[str, Path], tmp_path: Path):
    pipeline = client.upload_pipeline(str(files["with-workspace"]))
    version = client.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions[0]
    assert set(version.pipeline_spec) == {"pipeline_spec", "platform_spec"}
    spec, platform = yaml.safe_load_all(files["with-workspace"].read_text())
    platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-read"]["secretAsEnvs"] = []
    (tmp_path / "bad.yaml").write_text(yaml.safe_dump_all([spec, platform]))
    assert refused(client._upload_api.upload_pipeline, str(tmp_path / "bad.yaml"), name="bad")[0] == 400


def test_old_server_rejects_what_it_does_not_know(files: dict[str, Path], file: str, tmp_path: Path):
    with KfpServer(tmp_path, rejects=("workspace",)) as server:
        client = connect(server)
        status, error = refused(client.upload_pipeline, str(files["with-workspace"]))
        assert (status, error["error_message"]) == (400, "unknown field workspace")
        client.upload_pipeline(file)


def test_experiments(server: KfpServer, client: kfp.Client):
    made = client.create_experiment("mine", "what for")
    assert client.create_experiment("mine").experiment_id == made.experiment_id
    body = kfp_server_api.V2beta1Experiment(display_name="mine")
    status, error = refused(client.experiments.experiment_service_create_experiment, body)
    assert (status, error["code"], error["details"]) == (409, 6, [])
    client.archive_experiment(made.experiment_id)
    assert client.get_experiment(made.experiment_id).storage_state == "ARCHIVED"
    client.unarchive_experiment(made.experiment_id)
    assert client.get_experiment(experiment_name="mine").storage_state == "AVAILABLE"
    client.delete_experiment(made.experiment_id)
    assert refused(client.get_experiment, made.experiment_id)[1]["code"] == 5


def test_lists_have_filters_orders_and_pages(client: kfp.Client):
    names = [f"e{number:02}" for number in range(25)]
    for name in names:
        client.create_experiment(name)
    first = client.list_experiments(page_size=0)
    assert ([e.display_name for e in first.experiments], first.total_size) == (names[:20], 25)
    rest = client.list_experiments(page_size=0, page_token=first.next_page_token)
    assert ([e.display_name for e in rest.experiments], rest.next_page_token) == (names[20:], None)
    last = client.list_experiments(page_size=2, sort_by="created_at desc").experiments
    assert [e.display_name for e in last] == names[:-3:-1]
    with_7 = json.dumps({"predicates": [{"operation": 9, "key": "display_name", "stringValue": "7"}]})
    assert [e.display_name for e in client.list_experiments(filter=with_7).experiments] == ["e07", "e17"]


def test_filters_are_decoded_twice(client: kfp.Client):
    def found(name: str, encoded: Any = str) -> list[str]:
        predicate = {"operation": "EQUALS", "key": "display_name", "string_value": name}
        answer = client.list_experiments(filter=encoded(json.dumps({"predicates": [predicate]})))
        return [e.display_name for e in answer.experiments or ()]

    create = client.experiments.experiment_service_create_experiment
    for name in ("a+b", "a b", "100%", "a%2Bb"):
        create(kfp_server_api.V2beta1Experiment(display_name=name))
        assert found(name, quote) == [name]
    assert found("a+b") == ["a b"]
    assert found("a%2Bb") == ["a+b"]
    for name in ("100%", "50%zz", "%ff"):
        assert refused(found, name)[0] == 400


def test_names_have_a_length_in_bytes(server: KfpServer, client: kfp.Client, file: str):
    experiment, pipeline = kfp_server_api.V2beta1Experiment, kfp_server_api.V2beta1Pipeline
    for create, kind in [
        (client.experiments.experiment_service_create_experiment, experiment),
        (client.pipelines.pipeline_service_create_pipeline, pipeline),
    ]:
        create(kind(display_name="é" * 64))
        status, error = refused(create, kind(display_name="é" * 64 + "x"))
        assert (status, error["code"], "cannot exceed 128, got 129" in error["message"]) == (400, 3, True)
    status, error = refused(client.upload_pipeline, file, "x" * 128)
    assert (status, error["error_message"]) == (400, "PipelineVersion.Name length cannot exceed 127, got 128")
    assert len(server.pipelines) == 1
    made = client.upload_pipeline(file, "x" * 127)
    assert refused(client.upload_pipeline_version, file, "y" * 128, pipeline_id=made.pipeline_id)[0] == 400


@pytest.mark.parametrize(
    "query",
    [
        "sort_by=nothing",
        "page_size=-1",
        "page_token=nonsense",
        "filter=nonsense",
        "filter=[]",
        "filter=" + quote('{"predicates": [{"operation": "EQUALS", "key": "owner", "string_value": "x"}]}'),
        "filter=" + quote('{"predicates": [{"operation": "LIKE", "key": "name", "string_value": "x"}]}'),
        "order=name",
    ],
)
def test_lists_are_strict(server: KfpServer, client: kfp.Client, query: str):
    client.create_experiment("mine")
    status, error, _ = ask(server, "GET", f"/apis/v2beta1/experiments?{query}")
    assert (status, error["code"]) == (400, 3)


# -- what the API has not ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({}, "display_name"),
        ({"display_name": "x"}, "exactly one"),
        ({"display_name": "x", "pipeline_spec": {}, "colour": "red"}, "colour"),
        ({"display_name": 7}, "display_name"),
        ({"display_name": "x", "runtime_config": {"parameters": {}, "params": {}}}, "params"),
        ({"display_name": "x", "state": "SLEEPING"}, "state"),
        ({"display_name": "x", "scheduled_at": "tomorrow"}, "scheduled_at"),
        ({"display_name": "x", "pipeline_version_reference": {"pipeline_id": ["a"]}}, "pipeline_id"),
        ({"display_name": "x", "plugins_output": {}}, "plugins_output"),
        ([], "object"),
    ],
)
def test_bodies_are_strict(server: KfpServer, body: Any, part: str):
    status, error, _ = ask(server, "POST", RUNS, body)
    assert (status, error["code"]) == (400, 3)
    assert part in error["message"]
    assert not server.runs


def test_paths_are_strict(server: KfpServer):
    assert ask(server, "GET", "/apis/v2beta1/runz")[0] == 404
    assert ask(server, "PUT", RUNS)[0] == 404
    assert ask(server, "GET", f"{RUNS}/nobody")[1]["code"] == 5
    assert ask(server, "GET", f"{RUNS}?verbose=true")[0] == 400
    assert [request.status for request in server.requests] == [404, 404, 404, 400]


def test_parameters_are_strict(client: kfp.Client, file: str):
    for parameters, part in [
        ({"needed": 1}, "rows is required"),
        ({"rows": 1, "cols": 2}, "cols"),
        ({"rows": "many"}, "NUMBER_INTEGER"),
        ({"rows": 1.5}, "NUMBER_INTEGER"),
    ]:
        status, error = refused(submit, client, file, **parameters)
        assert status == 400
        assert part in error["message"]


# -- runs --------------------------------------------------------------------------------------------------


@pytest.mark.kfp
def test_run(server: KfpServer, client: kfp.Client, file: str):
    pipeline = client.upload_pipeline(file, "mine")
    version = client.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions[0]
    experiment = client.create_experiment("mine")
    made = client.run_pipeline(
        experiment.experiment_id,
        "a run",
        params={"rows": 5},
        pipeline_id=pipeline.pipeline_id,
        version_id=version.pipeline_version_id,
    )
    assert (made.state, made.pipeline_spec) == ("PENDING", None)
    assert made.finished_at.year == 1970
    assert made.pipeline_version_reference.pipeline_version_id == version.pipeline_version_id
    server.wait_for(made.run_id, "SUCCEEDED")
    run = client.get_run(made.run_id)
    assert [status.state for status in run.state_history] == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert "training carefully on 5" in server.log(made.run_id, "train")
    launched, details = split(run.run_details.task_details)
    assert {detail.state for detail in details} == {"SUCCEEDED"}
    executions = [execution_id(server.runs[made.run_id].workflow.name, task) for task in ("load", "train")]
    assert {detail.execution_id for detail in launched} == {str(number) for number in executions}
    assert all(detail.pod_name is detail.error is detail.executor_detail is None for detail in details)
    workflow = server.runs[made.run_id].workflow
    expected = [workflow.name, "root-driver", "root", "load-driver", "load", "train-driver", "train"]
    assert sorted(d.display_name for d in details) == sorted([*expected, "executor", "executor"])

    child = next(d.child_tasks[0].pod_name for d in details if d.display_name == "load")
    number = child.removeprefix(f"{workflow.name}-")
    pod = f"{workflow.name}-system-container-impl-{number}"
    status, log, headers = ask(server, "GET", f"/apis/v1alpha1/runs/{made.run_id}/nodes/{pod}/log")
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert "loading 5 into minio://mlpipeline/v2/artifacts/" in log
    assert has_no_log(server, made.run_id, child)
    status, error, _ = ask(server, "GET", f"{RUNS}/{made.run_id}/nodes/{pod}/artifacts/data:read")
    assert (status, json.loads(error)["error_message"]) == (404, "artifact not found: <nil>")


def test_scripted_run(scripted: KfpServer, file: str):
    client = connect(scripted)
    run_id = submit(client, file)
    scripted.wait_for(run_id, "SUCCEEDED")
    assert states(scripted, run_id)["load.executor"] == "SUCCEEDED"
    pod = scripted.runs[run_id].workflow.pod("load")
    log = ask(scripted, "GET", f"/apis/v1alpha1/runs/{run_id}/nodes/{pod.pod}/log")[1]
    place = log.removeprefix("into minio://")
    assert ask(scripted, "GET", f"/artifacts/minio/{place}")[1] == "xxx"
    scripted.script["train"] = Attempt("no data", succeeds=False)
    run_id = submit(client, file)
    scripted.wait_for(run_id, "FAILED")
    assert scripted.log(run_id, "train") == "no data"
    assert states(scripted, run_id)["train"] == "FAILED"


@pytest.mark.kfp
def test_artifacts_of_a_server_that_reads_them(file: str, tmp_path: Path):
    with KfpServer(tmp_path, reads_artifacts=True) as server:
        run_id = submit(connect(server), file, rows=5)
        node = server.wait_for(run_id, "SUCCEEDED").workflow.pod("load")
        for name in (node.pod, node.id):
            content = ask(server, "GET", f"{RUNS}/{run_id}/nodes/{name}/artifacts/data:read")[1]
            assert base64.b64decode(content["data"]) == b"xxxxx"
        assert ask(server, "GET", f"{RUNS}/{run_id}/nodes/{node.pod}/artifacts/model:read")[0] == 404


@pytest.mark.kfp
def test_failed_run(server: KfpServer, client: kfp.Client, file: str):
    run_id = submit(client, file, rows=3, needed=9)
    server.wait_for(run_id, "FAILED")
    run = client.get_run(run_id)
    assert run.error is None
    assert "too little data" in server.log(run_id, "train")
    assert states(server, run_id)["train"] == states(server, run_id)["root"] == "FAILED"
    assert states(server, run_id)["load"] == "SUCCEEDED"
    client.runs.run_service_retry_run(run_id)
    server.wait_for(run_id, "FAILED")
    found = [status.state for status in client.get_run(run_id).state_history]
    assert found == ["PENDING", "RUNNING", "FAILED"] * 2


@pytest.mark.kfp
def test_every_attempt_has_a_pod(
    server: KfpServer, client: kfp.Client, files: dict[str, Path], tmp_path: Path
):
    server.hold("flaky")
    server.hold("write", at="pending")
    run_id = submit(client, str(files["with-attempts"]), folder=str(tmp_path))
    server.wait_for(run_id, "RUNNING", task="flaky")
    with server.store.changed:
        server.release("flaky")
        server.hold("flaky", at="pending")
    server.wait_for(run_id, "PENDING", task="flaky")
    found = states(server, run_id)
    assert (found["flaky"], found["flaky.executor"]) == ("RUNNING", "RUNNING")
    assert (found["flaky.executor(0)"], found["flaky.executor(1)"]) == ("FAILED", "PENDING")
    server.release("flaky")
    server.wait_for(run_id, "PENDING", task="write")
    assert states(server, run_id)["flaky.executor"] == "SUCCEEDED"
    server.release("write")
    workflow = server.wait_for(run_id, "SUCCEEDED").workflow

    def log(template: str, node: str) -> tuple[bool, str]:
        pod = f"{workflow.name}-{template}-{fnv1a(f'{workflow.name}.root.{node}')}"
        text = ask(server, "GET", f"/apis/v1alpha1/runs/{run_id}/nodes/{pod}/log")[1]
        return not has_no_log(server, run_id, pod), str(text)

    template = "metadata-1-0-retry-system-container-impl"
    is_there, text = log(template, "flaky.executor(0)")
    assert (is_there, "try again" in text) == (True, True)
    is_there, text = log(template, "flaky.executor(1)")
    assert (is_there, "try again" in text, "files here []" in text) == (True, False, True)
    assert not log(template, "flaky.executor")[0]
    assert not log("system-container-impl", "flaky.executor(0)")[0]
    assert log("system-container-impl", "write.executor")[0]

    details = client.get_run(run_id).run_details.task_details
    children = {
        detail.display_name: [child.pod_name for child in detail.child_tasks or ()] for detail in details
    }
    attempts = [workflow.nodes[f".root.flaky.executor({number})"] for number in (0, 1)]
    assert children["flaky"] == [workflow.executor("flaky").id]
    assert workflow.executor("flaky").children == [attempt.id for attempt in attempts]
    assert (children["executor(0)"], children["executor(1)"]) == (
        [],
        [workflow.nodes[".root.write-driver"].id],
    )


@pytest.mark.kfp
def test_tasks_after_a_failed_one_are_omitted(server: KfpServer, client: kfp.Client, files: dict[str, Path]):
    run_id = client.create_run_from_pipeline_package(str(files["fails"]), {}).run_id
    workflow = server.wait_for(run_id, "FAILED").workflow
    assert states(server, run_id) == {
        "root-driver": "SUCCEEDED",
        "root": "FAILED",
        "fail-driver": "SUCCEEDED",
        "fail": "FAILED",
        "fail.executor": "FAILED",
        "fail.executor(0)": "FAILED",
        "fail.executor(1)": "FAILED",
        **dict.fromkeys(("fail-2-driver", "fail-2", "fail-3-driver", "fail-3"), "RUNTIME_STATE_UNSPECIFIED"),
    }
    details = {detail.display_name: detail for detail in client.get_run(run_id).run_details.task_details}
    assert (details["fail-3"].state, details["fail-3"].state_history[0].state) == (None, None)
    drivers = [workflow.nodes[f".root.fail-{number}-driver"] for number in (2, 3)]
    assert workflow.pod("fail").children == [drivers[0].id]
    assert drivers[0].children == [workflow.task("fail-2").id]
    assert workflow.task("fail-2").children == [drivers[1].id]


@pytest.mark.kfp
def test_held_run_is_terminated(server: KfpServer, client: kfp.Client, file: str):
    server.hold("train")
    run_id = submit(client, file)
    server.wait_for(run_id, "RUNNING", task="train")
    run = client.get_run(run_id)
    assert run.state == "RUNNING"
    ends = {detail.end_time.year for detail in run.run_details.task_details if detail.state == "RUNNING"}
    assert ends == {1970}
    running = json.dumps({"predicates": [{"operation": "EQUALS", "key": "state", "string_value": "RUNNING"}]})
    assert [run.run_id for run in client.list_runs(filter=running).runs] == [run_id]
    client.terminate_run(run_id)
    server.wait_for(run_id, "CANCELED")
    run = client.get_run(run_id)
    assert [status.state for status in run.state_history][1:] == ["RUNNING", "CANCELING", "FAILED"]
    assert states(server, run_id)["train"] == states(server, run_id)["train.executor"] == "FAILED"
    assert refused(client.terminate_run, run_id)[0] == 400
    client.archive_run(run_id)
    assert client.get_run(run_id).storage_state == "ARCHIVED"
    client.unarchive_run(run_id)
    client.delete_run(run_id)
    assert refused(client.get_run, run_id)[0] == 404


def test_task_is_held_before_its_pod_is_there_and_before_it_ends(scripted: KfpServer, file: str):
    server, client = scripted, connect(scripted)
    server.hold("load", at="pending")
    server.hold("train", at="end")
    run_id = submit(client, file)
    pod = server.wait_for(run_id, "PENDING", task="load").workflow.executor("load").pod
    assert has_no_log(server, run_id, pod)
    assert states(server, run_id)["load"] == "RUNNING"
    server.release("load")
    server.wait_for(run_id, "RUNNING", task="train")
    server.release("train")
    server.wait_for(run_id, "SUCCEEDED")


def test_run_waits_for_its_place(client: kfp.Client, file: str, tmp_path: Path):
    with KfpServer(tmp_path, parallel=1, script={}) as server:
        client = connect(server)
        server.hold("load")
        first, second = submit(client, file), submit(client, file)
        server.wait_for(first, "RUNNING", task="load")
        assert client.get_run(second).state == "PENDING"
        client.terminate_run(second)
        server.wait_for(second, "CANCELED")
        assert not server.runs[second].workflow.nodes


@pytest.mark.kfp
def test_workspace(server: KfpServer, client: kfp.Client, files: dict[str, Path]):
    run_id = client.create_run_from_pipeline_package(str(files["with-workspace"]), {}).run_id
    server.wait_for(run_id, "SUCCEEDED")
    assert "read a note" in server.log(run_id, "read")


@pytest.mark.kfp
def test_cache(server: KfpServer, client: kfp.Client, file: str):
    server.cache = True
    server.wait_for(submit(client, file), "SUCCEEDED")
    run_id = submit(client, file)
    server.wait_for(run_id, "SUCCEEDED")
    found = states(server, run_id)
    assert (found["load"], found["load.executor"], found["train.executor"]) == (
        "SUCCEEDED",
        "SKIPPED",
        "SKIPPED",
    )
    skipped = server.runs[run_id].workflow.pod("load")
    assert skipped.outputs["data"].read_text() == "xxx"
    assert skipped.pod == ""
    assert has_no_log(server, run_id, skipped.id)


def test_recurring_run(server: KfpServer, client: kfp.Client, file: str):
    experiment = client.create_experiment("mine").experiment_id
    made = client.create_recurring_run(
        experiment, "nightly", cron_expression="0 0 3 * * *", pipeline_package_path=file, params={"rows": 3}
    )
    assert (made.status, made.trigger.cron_schedule.cron, made.max_concurrency) == (
        "ENABLED",
        "0 0 3 * * *",
        "1",
    )
    found = client.list_recurring_runs(experiment_id=experiment).recurring_runs
    assert [recurring_run.display_name for recurring_run in found] == ["nightly"]
    server.hold("load")
    run_id = server.trigger(made.recurring_run_id)
    assert client.get_run(run_id).recurring_run_id == made.recurring_run_id
    client.disable_recurring_run(made.recurring_run_id)
    assert client.get_recurring_run(made.recurring_run_id).status == "DISABLED"
    with pytest.raises(ValueError, match="DISABLED"):
        server.trigger(made.recurring_run_id)
    client.enable_recurring_run(made.recurring_run_id)
    client.delete_recurring_run(made.recurring_run_id)
    assert client.list_recurring_runs().recurring_runs is None
    schedule = {"interval_second": 60, "max_concurrency": 11, "pipeline_package_path": file}
    assert (
        refused(client.create_recurring_run, experiment, "too many", params={"rows": 3}, **schedule)[0] == 400
    )


# -- as a real server was recorded --------------------------------------------------------------------------


def made_of(tasks: dict[str, Any], name: str = "small") -> dict[str, Any]:
    """A pipeline of tasks as tests/recordings/runs.json has them: their needs, caching and retries."""
    spec: dict[str, Any] = {"pipelineInfo": {"name": name}, "schemaVersion": "2.1.0", "components": {}}
    executors: dict[str, Any] = {}
    dag: dict[str, Any] = {}
    for task, recording in tasks.items():
        spec["components"][f"comp-{task}"] = {"executorLabel": f"exec-{task}"}
        executors[f"exec-{task}"] = {"container": {"image": "python:3.11"}}
        dag[task] = {
            "componentRef": {"name": f"comp-{task}"},
            "cachingOptions": {"enableCache": True} if recording.get("cached") else {},
            "dependentTasks": recording.get("needs", []),
            **({"retryPolicy": {"maxRetryCount": 1}} if recording.get("retried") else {}),
        }
    return {**spec, "root": {"dag": {"tasks": dag}}, "deploymentSpec": {"executors": executors}}


def run_spec(server: KfpServer, spec: dict[str, Any]) -> str:
    """A run of a pipeline; its id."""
    return ask(server, "POST", RUNS, {"display_name": "a run", "pipeline_spec": spec})[1]["run_id"]


def seen(states: list[str | None]) -> list[str | None]:
    """The states of a history that do not depend on how often the server looks."""
    return [state for state in states if state != "RUNNING" or states[0] != "PENDING"]


def details_by_node(run: dict[str, Any], workflow: str) -> list[Any]:
    """What the API reports of each node but times and ids that are random, in an order that is not."""
    return sorted(
        [
            detail.get("display_name", "").replace(workflow, "<workflow>"),
            seen([state.get("state") for state in detail.get("state_history", [])]),
            [child["pod_name"].removeprefix(f"{workflow}-") for child in detail.get("child_tasks", [])],
            detail.get("state"),
        ]
        for detail in run["run_details"]["task_details"]
    )


@pytest.mark.parametrize("run", RECORDED.values(), ids=RECORDED)
def test_nodes_and_pods_are_named_as_recorded(run: dict[str, Any]):
    name = run["workflow"]
    for path, number, *_ in run["nodes"]:
        assert node_id(name, f"{name}{path}") == (f"{name}-{number}" if number else name)
    pods = {pod_name(name, f"{name}{path}", template) for path, _, kind, _, template in run["nodes"]}
    assert {f"{name}-{pod}" for pod in run["pods"]} <= pods


FAILS, CACHED = Attempt(succeeds=False), Attempt(is_cached=True)
PLAYED: dict[str, tuple[dict[str, Any], str]] = {
    "succeeded": ({}, ""),
    "cached": (dict.fromkeys(("load", "left-side", "join"), CACHED), ""),
    "cached_partly": ({}, ""),
    "failed": ({"bad": (FAILS, Attempt()), "slow": FAILS}, ""),
    "cancelled": ({"bad": FAILS}, "slow"),
    "older_succeeded": ({}, ""),
    "older_cached": (dict.fromkeys(("load", "left-side", "join"), CACHED), ""),
    "older_failed": ({"bad": (FAILS, FAILS), "slow": FAILS}, ""),
    "older_cancelled": ({}, "slow"),
}
"""The scripts of recorded runs, and the task that holds a run when it is cancelled."""


@pytest.mark.parametrize("name", PLAYED)
def test_run_is_reported_as_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    recording, (script, held) = RECORDED[name], PLAYED[name]
    pipeline, _, suffix = recording["workflow"].rpartition("-")
    monkeypatch.setattr("tests.kfp_server.runs.suffix", lambda: suffix)
    version = "older" if name.startswith("older") else "2.17"
    with KfpServer(tmp_path, version=version, script=script) as server:
        if held:
            server.hold(held)
        run_id = run_spec(server, made_of(recording["tasks"], pipeline))
        if held:
            server.wait_for(run_id, "RUNNING", task=held)
            ask(server, "POST", f"{RUNS}/{run_id}:terminate")
        run = server.wait_for(run_id, "CANCELED" if held else recording["state"])
        answer = ask(server, "GET", f"{RUNS}/{run_id}")[1]
    workflow = recording["workflow"]
    assert {node.pod for node in run.workflow.nodes.values() if node.pod} == {
        f"{workflow}-{pod}" for pod in recording["pods"]
    }
    assert set(run.workflow.nodes) == {path for path, *_ in recording["nodes"]}
    expected = [
        [display, seen(history), children, history[-1] if history else None]
        for display, history, children in recording["details"]
    ]
    assert details_by_node(answer, workflow) == sorted(expected)
    assert answer["state"] == recording["state"]
    states = [change.get("state") for change in answer["state_history"]]
    assert states == [state for state in recording["state_history"] if state]
    assert "error" not in answer
    ids = [detail["task_id"] for detail in answer["run_details"]["task_details"]]
    assert ids == sorted(ids)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[KfpServer]:
    """A server with the settings of KFP 2.17, for scripts; the API alone."""
    with KfpServer(tmp_path, version="2.17", address="api", script={}) as server:
        yield server


def page_answer(url: str, path: str) -> tuple[int, str, str]:
    """An answer of the page: the status, the type and the text."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read().decode()
    finally:
        connection.close()


def test_pod_that_does_not_exist(small: KfpServer):
    run = small.wait_for(run_spec(small, made_of({"a": {}})), "SUCCEEDED")
    name, page = run.workflow.name, small.open_page()
    pod = f"{name}-system-container-impl-1"
    asked = f"podname={pod}&podnamespace=kubeflow"
    for recorded_as, url, path in [
        ("api_log", small.url, f"/apis/v1alpha1/runs/{run.id}/nodes/{pod}/log"),
        ("api_read", small.url, f"{RUNS}/{run.id}/nodes/{pod}/artifacts/x:read"),
        ("page_log", page, f"/k8s/pod/logs?runid={run.id}&{asked}"),
        ("page_events", page, f"/k8s/pod/events?{asked}"),
        ("page_pod", page, f"/k8s/pod?{asked}"),
        ("missing_object", page, f"/artifacts/minio/{ANSWERS['missing_object']['address']}"),
    ]:
        recording = ANSWERS[recorded_as]
        body = recording["body"].replace("{workflow}", name).replace("{run}", run.id)
        status, kind, text = page_answer(url, path)
        if recorded_as == "page_events":
            text, body = json.loads(text), json.loads(body)
        assert (status, kind, text) == (recording["status"], recording["content_type"], body), recorded_as


def test_api_and_page_have_addresses_of_their_own(small: KfpServer):
    run = small.wait_for(run_spec(small, made_of({"a": {}})), "SUCCEEDED")
    pod, page = run.workflow.pod("a").pod, small.open_page()
    api_log = f"/apis/v1alpha1/runs/{run.id}/nodes/{pod}/log"
    page_log = f"/k8s/pod/logs?podname={pod}"
    assert page_answer(small.url, api_log)[0] == page_answer(page, page_log)[0] == 200
    assert page_answer(small.url, page_log)[0] == 404
    assert page_answer(page, api_log)[:2] == (404, "text/html; charset=utf-8")
    assert json.loads(page_answer(page, f"{RUNS}/{run.id}")[2])["run_id"] == run.id
    healthz = "/apis/v2beta1/healthz"
    assert json.loads(page_answer(page, healthz)[2]) == json.loads(ANSWERS["page_healthz"]["body"])
    assert set(json.loads(page_answer(small.url, healthz)[2])) == set(json.loads(ANSWERS["healthz"]["body"]))
    assert page_answer(page, f"/k8s/pod?podname={pod}")[0] == 422
    assert [request.address for request in small.requests[-2:]] == ["api", "page"]


@pytest.mark.parametrize("name", recorded_pods())
def test_pod_is_reported_as_recorded(small: KfpServer, name: str):
    recording = recorded_pods()[name]
    small.script["a"] = recorded(name)
    phase = recording["status"]["phase"]
    run_id, page = run_spec(small, made_of({"a": {}})), small.open_page()
    if phase == "Pending":
        run = small.wait_for(run_id, "PENDING", task="a")
    else:
        run = small.wait_for(run_id, phase.upper())
    pod = run.workflow.pod("a").pod
    asked = f"podname={pod}&podnamespace=kubeflow"
    assert json.loads(page_answer(page, f"/k8s/pod?{asked}")[2])["status"] == recording["status"]
    events = json.loads(page_answer(page, f"/k8s/pod/events?{asked}")[2])["items"]
    assert events == json.loads(json.dumps(recording["events"]).replace("{pod}", pod))
    api_log = page_answer(small.url, f"/apis/v1alpha1/runs/{run_id}/nodes/{pod}/log")
    page_log = page_answer(page, f"/k8s/pod/logs?{asked}")
    if phase == "Pending":
        assert (api_log[0], page_log[0], has_no_log(small, run_id, pod)) == (200, 500, True)
        ask(small, "POST", f"{RUNS}/{run_id}:terminate")
        small.wait_for(run_id, "CANCELED")
        assert page_answer(page, f"/k8s/pod?{asked}")[0] == 500
    else:
        expected = (recording[key].replace("{pod}", pod) for key in ("api_log", "page_log"))
        assert (api_log[2], page_log[2]) == tuple(expected)


def test_page_has_the_lines_of_argo_and_may_have_another_order(small: KfpServer):
    recording = recorded_pods()["succeeded"]
    lines = recording["api_log"].splitlines(keepends=True)
    begins = next(number for number, line in enumerate(lines) if "step begins" in line)
    plain = Attempt("".join(lines[begins : begins + 3]))
    small.script.update(a=plain, b=page_order(plain))
    run, page = small.wait_for(run_spec(small, made_of({"a": {}, "b": {}})), "SUCCEEDED"), small.open_page()
    logs = {
        task: page_answer(page, f"/k8s/pod/logs?podname={run.workflow.pod(task).pod}")[2]
        for task in ("a", "b")
    }
    assert [line for line in logs["a"].splitlines(keepends=True) if "argo=true" not in line] == lines[
        begins : begins + 3
    ]
    assert logs["a"].count("argo=true") == 3
    assert logs["b"] == recording["page_log"]


def test_stuck_pod_and_a_failure_leave_other_tasks_alone(small: KfpServer):
    small.script.update(a=recorded("unschedulable"), b=recorded("raised"))
    needs = {"a": (), "b": (), "c": (), "after-a": ("a",), "after-b": ("b",), "after-c": ("c",)}
    spec = made_of({task: {"needs": list(before)} for task, before in needs.items()})
    run_id = run_spec(small, spec)
    run = small.wait_for(run_id, "SUCCEEDED", task="after-c")
    assert (run.state, run.workflow.task("b").state) == ("RUNNING", "FAILED")
    assert (run.workflow.pod("a").state, run.workflow.task("after-a")) == ("PENDING", None)
    ask(small, "POST", f"{RUNS}/{run_id}:terminate")
    workflow = small.wait_for(run_id, "CANCELED").workflow
    states = {task: node.state for task in needs if (node := workflow.task(task))}
    assert {states.pop(task) for task in ("after-a", "after-b")} == {"RUNTIME_STATE_UNSPECIFIED"}
    assert states == {"a": "FAILED", "b": "FAILED", "c": "SUCCEEDED", "after-c": "SUCCEEDED"}


def test_metadata_has_the_artifacts_of_tasks_from_the_cache_too(small: KfpServer):
    small.script.update(a=Attempt("printed", files={"a/out_x": b"x"}), b=FAILS)
    spec = made_of({"a": {"cached": True}, "b": {}})
    first = small.wait_for(run_spec(small, spec), "FAILED")
    small.script["a"] = Attempt(is_cached=True)
    second, page = small.wait_for(run_spec(small, spec), "FAILED"), small.open_page()

    def artifacts(run_id: str) -> dict[str, dict[str, str]]:
        def send(path: str, body: bytes) -> bytes:
            connection = http.client.HTTPConnection(urlsplit(page).netloc, timeout=30)
            connection.request("POST", path, body, HEADERS)
            answer = connection.getresponse()
            assert (answer.status, answer.headers["Content-Type"]) == (200, HEADERS["Content-Type"])
            content = answer.read()
            connection.close()
            return content

        return artifacts_of_run(run_id, send)

    place = "minio://mlpipeline/v2/artifacts/small/{}/{}"
    of_a = {"out_x": place.format(first.id, "a/out_x")}
    of_a["executor-logs"] = place.format(first.id, "a/executor-logs-0")
    for run in (first, second):
        assert artifacts(run.id) == {
            "a": of_a,
            "b": {"executor-logs": place.format(run.id, "b/executor-logs-0")},
        }
    assert page_answer(page, of_a["executor-logs"].replace("minio://", "/artifacts/minio/"))[2] == "printed"
    assert artifacts("nobody") == {}
    launched = [
        detail.get("execution_id")
        for detail in ask(small, "GET", f"{RUNS}/{first.id}")[1]["run_details"]["task_details"]
    ]
    assert launched.count(None) == len(launched) - 1
    assert str(execution_id(first.workflow.name, "a")) in launched


@pytest.mark.kfp
def test_step_that_raises_is_not_tried_again_where_all_nodes_are_wrapped(
    files: dict[str, Path], tmp_path: Path
):
    with KfpServer(tmp_path / "server", version="2.17") as server:
        client = connect(server)
        folder = {"folder": str(tmp_path)}
        run_id = client.create_run_from_pipeline_package(str(files["with-attempts"]), folder).run_id
        workflow = server.wait_for(run_id, "FAILED").workflow
        root = "(0).root(0)"
        pods = {path: node for path, node in workflow.nodes.items() if "impl" in node.pod}
        assert [*pods] == [f"{root}.flaky(0).executor(0)"]
        assert "metadata-1-0-retry-system-container-impl" in workflow.pod("flaky").pod
        assert workflow.nodes[f"{root}.write"].state == "RUNTIME_STATE_UNSPECIFIED"
        second = client.create_run_from_pipeline_package(str(files["with-attempts"]), folder).run_id
        workflow = server.wait_for(second, "SUCCEEDED").workflow
        assert "files here []" in server.log(second, "flaky")
        assert workflow.nodes[f"{root}.write(0).executor(0)"].state == "SUCCEEDED"


# -- who asks ----------------------------------------------------------------------------------------------


def test_token(tmp_path: Path):
    with KfpServer(tmp_path, auth="token") as server:
        status, error = refused(connect(server, namespace="x").list_pipelines)
        assert (status, error["code"]) == (401, 16)
        client = connect(server, existing_token="secret-token")
        health = client.get_kfp_healthz()
        assert (health.multi_user, health.pipeline_store) == (False, "database")
        server.expire("secret-token")
        assert refused(client.list_pipelines)[0] == 401
        server.accept("new-token", "alice")
        connect(server, existing_token="new-token").list_pipelines()


def test_dex(tmp_path: Path):
    with KfpServer(tmp_path, auth="dex") as server:
        status, _, headers = ask(server, "GET", "/apis/v2beta1/healthz")
        assert (status, headers["Location"].partition("?")[0]) == (302, "/dex/auth")
        status, page, headers = ask(server, "GET", headers["Location"])
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert "Log in" in page
        connect(server, cookies="authservice_session=abc").list_pipelines()


def test_namespaces(file: str, tmp_path: Path):
    owned = {"alice": ("alice-ns",), "bob": ("bob-ns",)}
    tokens = {"a": "alice", "b": "bob"}
    with KfpServer(tmp_path, auth="token", tokens=tokens, multi_user=True, namespaces=owned) as server:
        alice = connect(server, existing_token="a", namespace="alice-ns")
        bob = connect(server, existing_token="b", namespace="bob-ns")
        assert alice.get_kfp_healthz().multi_user is True
        experiment = alice.create_experiment("mine")
        assert experiment.namespace == "alice-ns"
        bob.create_experiment("mine")
        status, error = refused(bob.list_experiments, namespace="alice-ns")
        assert (status, error["code"]) == (403, 7)
        assert refused(bob.get_experiment, experiment.experiment_id)[0] == 403
        for client_call in ("experiments", "runs", "recurringruns"):
            answer = ask(server, "GET", f"/apis/v2beta1/{client_call}", headers={"authorization": "Bearer a"})
            assert (answer[0], "empty namespace" in answer[1]["message"]) == (400, True)
        pipeline = alice.upload_pipeline(file, "private", namespace="alice-ns")
        shared = bob.upload_pipeline(file, "private")
        assert refused(bob.get_pipeline, pipeline.pipeline_id)[0] == 403
        assert alice.get_pipeline(shared.pipeline_id).namespace is None
        assert [p.pipeline_id for p in alice.list_pipelines().pipelines] == [shared.pipeline_id]
        assert [p.pipeline_id for p in alice.list_pipelines(namespace="alice-ns").pipelines] == [
            pipeline.pipeline_id
        ]


def test_tls(tmp_path: Path):
    with KfpServer(tmp_path, tls=True) as server:
        connect(server, ssl_ca_cert=str(server.ca_file)).list_pipelines()
        with pytest.raises(Exception, match="certificate verify failed"):
            connect(server, namespace="x").list_pipelines()
        server.restart()
        connect(server, ssl_ca_cert=str(server.ca_file)).list_pipelines()


def test_server_of_version_1(tmp_path: Path):
    with KfpServer(tmp_path, version="v1") as server:
        assert ask(server, "GET", "/apis/v1beta1/healthz")[0] == 200
        assert ask(server, "GET", "/apis/v2beta1/healthz")[:2] == (404, "Not Found")
        assert ask(server, "GET", PIPELINES)[:2] == (404, "Not Found")


def test_prefix(tmp_path: Path):
    with KfpServer(tmp_path, prefix="/pipeline") as server:
        connect(server).list_pipelines()
        assert ask(server, "GET", PIPELINES)[0] == 404


@pytest.mark.parametrize(("logs", "says"), [(None, "<!DOCTYPE html>"), (True, "Run a not found")])
def test_logs_of_the_api_are_not_behind_a_prefix(tmp_path: Path, logs: bool | None, says: str):
    with KfpServer(tmp_path, prefix="/pipeline", logs=logs) as server:
        status, text, _ = ask(server, "GET", "/pipeline/apis/v1alpha1/runs/a/nodes/b/log")
        assert (status, says in text) == (404, True)


def test_server_without_logs_and_artifacts(tmp_path: Path):
    with KfpServer(tmp_path, logs=False, artifacts=False) as server:
        assert ask(server, "GET", "/apis/v1alpha1/runs/a/nodes/b/log")[0] == 404
        assert ask(server, "GET", f"{RUNS}/a/nodes/b/artifacts/c:read")[0] == 404


@pytest.mark.kfp
def test_closing_ends_processes_and_pods_may_have_other_names(file: str, tmp_path: Path):
    with KfpServer(tmp_path, version="older", pod_names="v1", fills_pod_names=True) as server:
        client = connect(server)
        server.hold("load")
        run = server.wait_for(submit(client, file), "RUNNING", task="load")
        executor, process = run.workflow.executor("load"), run.process
        pods = {
            detail.display_name: detail.pod_name for detail in client.get_run(run.id).run_details.task_details
        }
        assert pods["executor"] == executor.pod == executor.id
        assert pods["load"] is None
    assert process.returncode == -signal.SIGKILL
    assert run.state == "FAILED"


# -- the UI server -----------------------------------------------------------------------------------------


@pytest.mark.kfp
@pytest.mark.parametrize("prefix", ["", "/pipeline"])
def test_ui_gives_objects_and_logs(file: str, tmp_path: Path, prefix: str):
    with KfpServer(tmp_path, prefix=prefix) as server:
        server.hold("load", at="pending")
        run_id = submit(connect(server), file, rows=5)
        run = server.wait_for(run_id, "PENDING", task="load")
        log = f"{prefix}/k8s/pod/logs?runid={run_id}&podname="
        status, text, _ = ask(server, "GET", log + run.workflow.pod("load").pod)
        assert (status, "The specified key does not exist" in text) == (500, True)
        server.release("load")
        server.wait_for(run_id, "SUCCEEDED")

        status, text, headers = ask(server, "GET", log + run.workflow.pod("load").pod)
        assert (status, "Content-Type" in headers) == (200, False)
        kind, _, address = text.partition("loading 5 into ")[2].split()[0].partition("://")
        assert (kind, address.startswith(f"mlpipeline/v2/artifacts/two-steps/{run_id}/")) == ("minio", True)
        assert str(tmp_path) not in text
        assert ask(server, "GET", log + run.workflow.executor("load").id)[0] == 500
        assert ask(server, "GET", log)[0] == 400

        status, content, headers = ask(server, "GET", f"{prefix}/artifacts/minio/{address}")
        assert (status, content, "Content-Type" in headers) == (200, "xxxxx", False)
        status, text, headers = ask(server, "GET", f"{prefix}/artifacts/minio/{address}s")
        assert (status, text) == (404, f"No objects found at {address}s")
        assert headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    "key",
    [
        "{root}/../pipeline.yaml",
        "{root}/%2E%2E/pipeline.yaml",
        "{root}/..%2Fpipeline.yaml",
        "{root}/../root/{object}",
        "{root}/{folder}/pipeline.yaml",
        "{root}/%2F{folder}/pipeline.yaml",
        "other/{run}/{object}",
        "v2/artifacts/other/{object}",
    ],
)
def test_ui_gives_no_other_files(server: KfpServer, client: kfp.Client, file: str, key: str):
    run = server.wait_for(submit(client, file), "RUNNING")
    place = server.folder / "runs" / run.place
    (place / "root").mkdir(exist_ok=True)
    (place / "root" / "there").write_text("an object")
    assert (place / "pipeline.yaml").exists()
    root = f"v2/artifacts/{run.place}"
    path = key.format(root=root, run=run.place, folder=place, object="there")
    assert ask(server, "GET", f"/artifacts/minio/mlpipeline/{root}/there")[1] == "an object"
    assert ask(server, "GET", f"/artifacts/minio/mlpipeline/{path}")[0] == 404


@pytest.mark.kfp
def test_ui_asks_for_the_users_namespace(file: str, tmp_path: Path):
    owned = {"alice": ("alice-ns",), "bob": ("bob-ns",)}
    tokens = {"a": "alice", "b": "bob"}
    with KfpServer(tmp_path, auth="token", tokens=tokens, multi_user=True, namespaces=owned) as server:
        alice = connect(server, existing_token="a", namespace="alice-ns")
        experiment = alice.create_experiment("mine").experiment_id
        run_id = alice.run_pipeline(experiment, "a run", file, params={"rows": 3}).run_id
        run = server.wait_for(run_id, "SUCCEEDED")
        load = run.workflow.pod("load")
        found = load.outputs["data"].relative_to(tmp_path / "runs" / run.place / "root")
        log = f"/k8s/pod/logs?podname={load.pod}&runid={run_id}"
        data = f"/artifacts/minio/mlpipeline/v2/artifacts/{run.place}/{found}"

        def status(path: str, token: str) -> int:
            return ask(server, "GET", path, headers={"authorization": f"Bearer {token}"})[0]

        assert (status(log, "a"), status(data, "a")) == (422, 400)
        for namespace, token, expected in [
            ("alice-ns", "a", 200),
            ("bob-ns", "a", 403),
            ("bob-ns", "b", 404),
            ("alice-ns", "nobody", 401),
        ]:
            unknown = 500 if expected == 404 else expected
            assert status(f"{log}&podnamespace={namespace}", token) == unknown
            assert status(f"{data}?namespace={namespace}", token) == expected


def test_api_without_the_ui(tmp_path: Path):
    with KfpServer(tmp_path, ui=False) as server:
        for path in ("/k8s/pod/logs?podname=a&runid=b", "/artifacts/minio/mlpipeline/v2/artifacts/a/b"):
            assert ask(server, "GET", path)[:2] == (404, "404 page not found")


# -- what goes wrong ---------------------------------------------------------------------------------------


def test_requests_fail(server: KfpServer):
    server.fail("GET", "/runs", 429, times=2, retry_after=3)
    for _ in range(2):
        status, error, headers = ask(server, "GET", RUNS)
        assert (status, error["code"], headers["Retry-After"]) == (429, 8, "3")
    assert ask(server, "GET", RUNS)[0] == 200


def test_requests_are_delayed_answered_by_a_proxy_and_dropped(server: KfpServer):
    server.delay("GET", "/runs", 0.05)
    server.html("GET", "/runs")
    status, page, _ = ask(server, "GET", RUNS)
    assert (status, page[:9]) == (200, "<!DOCTYPE")
    server.drop("GET", "/runs")
    with pytest.raises(ConnectionError):
        ask(server, "GET", RUNS)
    assert ask(server, "GET", RUNS)[0] == 200


def test_answer_is_lost(server: KfpServer, client: kfp.Client):
    server.drop("POST", "/experiments", after=True)
    with pytest.raises(ConnectionError):
        ask(server, "POST", "/apis/v2beta1/experiments", {"display_name": "mine"})
    assert client.get_experiment(experiment_name="mine").display_name == "mine"


def test_restart(scripted: KfpServer, file: str):
    server, client, url = scripted, connect(scripted), scripted.url
    server.hold("load")
    run_id = submit(client, file)
    server.wait_for(run_id, "RUNNING", task="load")
    server.stop()
    with pytest.raises(ConnectionError):
        ask(server, "GET", RUNS)
    server.start()
    server.restart()
    assert server.url == url
    assert client.get_run(run_id).state == "RUNNING"
    server.release("load")
    server.wait_for(run_id, "SUCCEEDED")
