"""The server that the tests of submission talk to, itself talked to by kfp's own client."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kfp_server_api
import pytest
from kfp import Client, compiler, dsl

from tests.kfp_server import KfpServer


@dsl.component(base_image="python:3.11")
def make(text: str, out_text: dsl.Output[dsl.Artifact]):
    print("made", text)
    with open(out_text.path, "w") as file:
        file.write(text * 2)


@dsl.component(base_image="python:3.11")
def show(in_text: dsl.Input[dsl.Artifact]):
    with open(in_text.path) as file:
        print("shown", file.read())


@dsl.pipeline(name="two-steps")
def two_steps(text: str = "ab"):
    made = make(text=text)
    show(in_text=made.outputs["out_text"])


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "two.yaml"
    compiler.Compiler().compile(two_steps, str(path))
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KfpServer]:
    with KfpServer(tmp_path) as server:
        yield server


def client(server: KfpServer, **options: Any) -> Client:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kfp's own
        return Client(host=server.url, **{"namespace": "alice-ns", **options})


def submitted(user: Client, package: Path, **arguments: str) -> str:
    pipeline = user.upload_pipeline(str(package), "two")
    version = user.list_pipeline_versions(pipeline.pipeline_id).pipeline_versions[0]
    experiment = user.create_experiment("trials")
    run = user.run_pipeline(
        experiment.experiment_id, "a run", params=arguments,
        pipeline_id=pipeline.pipeline_id, version_id=version.pipeline_version_id,
    )  # fmt: skip
    return str(run.run_id)


def raw(user: Client, path: str) -> bytes:
    api = user._run_api.api_client
    return bytes(api.rest_client.GET(api.configuration.host + path).data)


def test_a_run_is_executed_and_told_as_the_real_server_does(server: KfpServer, package: Path) -> None:
    user = client(server)
    run_id = submitted(user, package, text="xy")
    server.wait_for(run_id, "SUCCEEDED")
    run = user.get_run(run_id)
    assert run.state == "SUCCEEDED"
    assert run.pipeline_spec is None
    tasks = {task.display_name: task for task in run.run_details.task_details}
    assert {"root", "root-driver", "make", "make-driver", "show", "show-driver", "executor"} <= set(tasks)
    assert tasks["make"].pod_name is None
    node = tasks["make"].child_tasks[0].pod_name
    number = node.rpartition("-")[2]
    pod = f"{node.removesuffix('-' + number)}-system-container-impl-{number}"
    assert b"made xy" in raw(user, f"/apis/v1alpha1/runs/{run_id}/nodes/{pod}/log")
    assert (
        raw(user, f"/apis/v2beta1/runs/{run_id}/nodes/{node}/artifacts/out_text:read")
        == b'{"data": "eHl4eQ=="}'
    )


def test_names_are_unique_and_lists_have_filters_and_pages(server: KfpServer, package: Path) -> None:
    user = client(server)
    pipeline = user.upload_pipeline(str(package), "two")
    with pytest.raises(kfp_server_api.ApiException, match="409"):
        user.upload_pipeline(str(package), "two")
    for name in "abc":
        user.upload_pipeline_version(str(package), name, pipeline_id=pipeline.pipeline_id)
    first = user.list_pipeline_versions(pipeline.pipeline_id, page_size=3)
    rest = user.list_pipeline_versions(pipeline.pipeline_id, page_size=3, page_token=first.next_page_token)
    names = [v.display_name for v in (*first.pipeline_versions, *rest.pipeline_versions)]
    assert sorted(names) == ["a", "b", "c", "two"]
    assert user.get_pipeline_id("two") == pipeline.pipeline_id
    assert user.get_pipeline_id("nothing") is None


def test_a_run_that_is_held_can_be_terminated(server: KfpServer, package: Path) -> None:
    user = client(server)
    server.hold("make")
    run_id = submitted(user, package)
    server.wait_for(run_id, "RUNNING")
    user.terminate_run(run_id)
    server.wait_for(run_id, "CANCELED")


def test_schedules_live_as_long_as_they_are_wanted(server: KfpServer, package: Path) -> None:
    user = client(server)
    experiment = user.create_experiment("trials")
    made = user.create_recurring_run(
        experiment.experiment_id, "nightly", cron_expression="0 0 6 * * *", pipeline_package_path=str(package)
    )
    user.disable_recurring_run(made.recurring_run_id)
    assert user.get_recurring_run(made.recurring_run_id).status == "DISABLED"
    user.enable_recurring_run(made.recurring_run_id)
    run_id = server.trigger(made.recurring_run_id)
    assert user.get_run(run_id).recurring_run_id == made.recurring_run_id
    user.delete_recurring_run(made.recurring_run_id)
    assert not user.list_recurring_runs(namespace="").recurring_runs


def test_it_is_strict(server: KfpServer) -> None:
    user = client(server)
    api = user._run_api.api_client
    for path in ("/apis/v2beta1/nothing", "/apis/v2beta1/runs?colour=red"):
        with pytest.raises(kfp_server_api.ApiException, match=r"\(40[04]\)"):
            api.rest_client.GET(server.url + path)
    with pytest.raises(kfp_server_api.ApiException, match=r"\(400\)"):
        api.rest_client.POST(f"{server.url}/apis/v2beta1/runs", body={"display_name": "a", "colour": "red"})


def test_users_need_their_token_and_their_namespace(tmp_path: Path) -> None:
    with KfpServer(tmp_path, auth="token", multi_user=True) as server:
        user = client(server, existing_token="secret-token")
        user.create_experiment("trials", namespace="alice-ns")
        with pytest.raises(kfp_server_api.ApiException, match=r"\(403\)"):
            user.create_experiment("trials", namespace="bobs")
        server.expire("secret-token")
        with pytest.raises(kfp_server_api.ApiException, match=r"\(401\)"):
            user.list_experiments(namespace="alice-ns")


def test_what_goes_wrong_on_request(server: KfpServer) -> None:
    user = client(server)
    server.fail("GET", "/experiments", 503)
    with pytest.raises(kfp_server_api.ApiException, match=r"\(503\)"):
        user.list_experiments()
    server.drop("POST", "/experiments", after=True, times=1)
    with pytest.raises(Exception, match=r"Connection aborted|Remote end closed"):
        user.create_experiment("trials")
    assert [e.display_name for e in user.list_experiments().experiments] == ["trials"]
    server.restart()
    assert len(user.list_experiments().experiments) == 1
