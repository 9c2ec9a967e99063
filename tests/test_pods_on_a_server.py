"""Runs on a server like Kubeflow Pipelines 2.17: pods that do not start, die, or never were."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kale_magics.execution.events import Event, TaskBlocked
from kale_magics.kubeflow.following import Follower
from kale_magics.kubeflow.metadata_store import artifacts_of_run
from kale_magics.kubeflow.pod_log import is_missing_log, split_log
from kale_magics.kubeflow.pod_requests import PodRequests
from kale_magics.step_runtime.attempts import unreported_failure
from kale_magics.step_runtime.pod import BEGINS, ENDS
from tests.kfp_server import KfpServer
from tests.kfp_server.script import page_order, recorded
from tests.pods import failed_pod, pod, reporting_pod
from tests.shells import Shell

SCRIPT = {"load": pod("load", "loaded\n", rows=[1, 2]), "add": pod("add", "total 3\n", {"total": 3})}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KfpServer]:
    with KfpServer(tmp_path / "server", version="2.17", address="page", script=SCRIPT) as server:
        yield server


@pytest.fixture
def shell(cluster_shell: Shell) -> Shell:
    cluster_shell.run("%%kale step load --memory 100M:200M --timeout 20s\nrows = [1, 2]\nprint('loaded')")
    cluster_shell.run("%%kale step add\ntotal = sum(rows)\nprint('total', total)")
    cluster_shell.run("%%kale metrics\ntotal")
    return cluster_shell


def value(shell: Shell, expression: str) -> Any:
    printed = shell.run(f"import json; print(json.dumps({expression}))").printed
    assert not printed.startswith("KALE"), printed
    return json.loads(printed)


@pytest.mark.parametrize("version", ["2.17", "older"])
@pytest.mark.parametrize("address", ["page", "api"])
def test_logs_and_metrics_are_found(shell: Shell, tmp_path: Path, version: Any, address: Any) -> None:
    with KfpServer(tmp_path / "server", version=version, address=address, script=SCRIPT) as server:
        outcome = shell.run(f"run = %kale_run --host {server.url}")
        assert outcome.success, outcome.printed
        assert "load | loaded" in outcome.printed
        assert value(shell, "run.metrics") == {"total": 3}
        found = shell.run("print(run.outputs['load']['rows'])")
        assert ("[1, 2]" in found.printed) == (address == "page")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("unschedulable", ["1 Insufficient memory", "100M"]),
        ("no_image", ["registry.example.invalid/none:1"]),
        ("no_secret", ['secret "nothere" not found']),
    ],
)
def test_a_step_that_does_not_start_says_why(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch, name: str, says: list[str]
) -> None:
    monkeypatch.setattr("kale_magics.kubeflow.following.LOGS_EVERY", 1)
    server.script["load"] = recorded(name)
    run = shell.run(f"%kale_run --host {server.url} --no-wait").result
    reasons = []

    def listen(event: Event) -> None:
        if isinstance(event, TaskBlocked) and event.reason:
            reasons.append((str(event.task), event.reason))
            run.cancel()

    Follower(run, run.source, listen).follow()
    assert [task for task, _ in reasons] == ["load"]
    assert [text for text in says if text not in reasons[0][1]] == []
    assert (run.state, run.steps["load"].state, run.steps["add"].state) == ("cancelled",) * 3


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("out_of_memory", ["out of memory (limit 200M)", "--memory"]),
        ("deadline", ["time limit of 20 s", "--timeout"]),
        ("no_package", ["no-such-package-xyz==9", "--packages"]),
    ],
)
def test_a_pod_that_died_says_why(shell: Shell, server: KfpServer, name: str, says: list[str]) -> None:
    server.script["load"] = recorded(name)
    printed = shell.refusal(f"run = %kale_run --host {server.url}")
    assert [text for text in says if text not in printed] == []
    assert "launcher_v2.go" not in printed


def test_an_attempt_that_was_killed_says_its_limit(shell: Shell, server: KfpServer) -> None:
    shell.run("%%kale step load --memory 100M:200M --retries 2\nrows = [1, 2]\nprint('loaded')")
    server.script["load"] = reporting_pod("load", unreported_failure(-9, None))
    printed = shell.refusal(f"run = %kale_run --host {server.url}")
    assert [text for text in ("SIGKILL", "(limit 200M)", "--memory") if text not in printed] == []
    run_id = re.findall(r"%kale_attach (\S+)", printed)[-1:] or [next(iter(server.runs))]
    assert "(limit 200M)" in shell.run(f"%kale_attach {run_id[0]} --host {server.url}").printed


def test_with_the_api_alone_the_message_says_where_the_cause_is(shell: Shell, tmp_path: Path) -> None:
    script = {"load": recorded("deadline")}
    with KfpServer(tmp_path / "server", version="2.17", address="api", script=script) as server:
        assert "--host" in shell.refusal(f"run = %kale_run --host {server.url}")


def test_the_page_beside_the_api_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Client:
        address = "http://ml-pipeline.team:8888"
        namespace_argument: ClassVar[dict[str, str]] = {}

        def download(
            self, path: str, action: str, patience: float, address: str, large: bool
        ) -> bytes | None:
            asked.append(address)
            return b'{"status": {}}' if "-ui" in address else None

    requests = PodRequests(Client(), "1")  # type: ignore[arg-type]  # the part that is used
    assert requests.state(["pod"], "") == ("pod", {"status": {}})
    assert asked == ["http://ml-pipeline-ui.team"]
    monkeypatch.setattr(Client, "address", "https://ml-pipeline.team:8888")
    assert requests.state(["pod"], "") == ("", {})
    assert asked[1:] == ["https://ml-pipeline.team:8888"]  # not without TLS


@pytest.mark.parametrize(
    ("version", "metadata"), [("2.17", True), ("older", True), ("newer", False), ("2.17", False)]
)
def test_steps_from_the_cache_have_their_text_metrics_and_values(
    shell: Shell, tmp_path: Path, version: Any, metadata: bool
) -> None:
    place = tmp_path / "server"
    with KfpServer(place, version=version, metadata=metadata, address="page", script=SCRIPT) as server:
        assert shell.run(f"%kale_run --host {server.url}").success
        server.pretend_cached("load")
        server.pretend_cached("add")
        outcome = shell.run(f"run = %kale_run --host {server.url}")
        assert outcome.success, outcome.printed
        assert value(shell, "[run.steps[name].cached for name in ('load', 'add')]") == [True, True]
        assert len(re.findall(r"✓ succeeded +cached", outcome.printed)) == 2
        assert value(shell, "[run.steps['load'].log, run.metrics]") == ["loaded\n", {"total": 3}]
        assert value(shell, "run.outputs['load']['rows']") == [1, 2]
        attached = shell.run(f"again = %kale_attach {value(shell, 'run.id')} --host {server.url}")
        assert attached.success, attached.printed
        assert value(shell, "again.metrics") == {"total": 3}


def test_only_the_record_of_an_equal_step_counts(shell: Shell, tmp_path: Path) -> None:
    with KfpServer(tmp_path / "server", address="api", script=SCRIPT) as server:
        assert shell.run(f"%kale_run --host {server.url}").success
        server.pretend_cached("add")
        shell.run("%%kale imports\nimport json")  # it is in all steps, as no cell uses it
        outcome = shell.run(f"run = %kale_run --host {server.url}")
        assert outcome.success, outcome.printed
        assert value(shell, "[run.steps['add'].cached, run.steps['add'].log, run.metrics]") == [True, "", {}]


def test_what_ran_without_the_cache_is_no_result_of_a_cached_step(shell: Shell, tmp_path: Path) -> None:
    with KfpServer(tmp_path / "server", address="api", script=SCRIPT) as server:
        assert shell.run(f"%kale_run --host {server.url}").success
        server.script["add"] = pod("add", "total 4\n", {"total": 4})
        assert shell.run(f"%kale_run --host {server.url} --no-cache").success
        server.pretend_cached("add")
        assert shell.run(f"run = %kale_run --host {server.url}").success
        assert value(shell, "run.metrics") == {"total": 3}


def test_a_record_counts_only_while_the_server_has_its_run(shell: Shell, tmp_path: Path) -> None:
    with KfpServer(tmp_path / "server", address="api", script=SCRIPT) as server:
        assert shell.run(f"%kale_run --host {server.url}").success
        server.runs.clear()  # another cluster at the same forwarded port
        server.pretend_cached("add")
        assert shell.run(f"run = %kale_run --host {server.url}").success
        assert value(shell, "run.metrics") == {}


@pytest.mark.parametrize("damage", ["[]", "{", "[" * 100_000, '{"signature": 1}'])
def test_damaged_records_do_not_count(shell: Shell, tmp_path: Path, damage: str) -> None:
    with KfpServer(tmp_path / "server", address="api", script=SCRIPT) as server:
        assert shell.run(f"%kale_run --host {server.url}").success
        (place,) = Path(".kale").glob("**/add/result.json")
        place.write_text(damage)
        server.pretend_cached("add")
        outcome = shell.run(f"run = %kale_run --host {server.url}")
        assert outcome.success, outcome.printed
        assert value(shell, "run.metrics") == {}


def test_a_result_is_not_lost_with_the_log(shell: Shell, server: KfpServer) -> None:
    assert shell.run(f"run = %kale_run --host {server.url}").success
    run_id = value(shell, "run.id")
    server.fail("GET", "/log", 500, times=99)
    server.fail("GET", "/k8s/pod/logs", 500, times=99)
    assert shell.run(f"again = %kale_attach {run_id} --host {server.url}").success
    assert value(shell, "[again.metrics, again.steps['load'].log]") == [{"total": 3}, "loaded\n"]


@pytest.mark.parametrize("path", ["/ml_metadata", "/k8s/pod/events", "/tasks"])
def test_what_is_not_necessary_may_fail(shell: Shell, server: KfpServer, path: str) -> None:
    assert shell.run(f"%kale_run --host {server.url}").success
    server.pretend_cached("load")
    server.fail("POST" if path.startswith("/ml") else "GET", path, 503, times=99)
    outcome = shell.run(f"run = %kale_run --host {server.url}")
    assert outcome.success, outcome.printed
    assert value(shell, "[run.metrics, run.steps['load'].log]") == [{"total": 3}, "loaded\n"]


@pytest.mark.parametrize(
    "status",
    [[], "x", {"containerStatuses": [None]}, {"conditions": {}}, {"containerStatuses": [{"state": "x"}]}],
)
def test_a_pod_of_another_form_is_none(status: Any) -> None:
    class Client:
        address = "http://here"
        namespace_argument: ClassVar[dict[str, str]] = {}

        def download(self, *asked: Any, **more: Any) -> bytes:
            return json.dumps({"status": status}).encode()

    requests = PodRequests(Client(), "1")  # type: ignore[arg-type]  # the part that is used
    assert requests.state(["pod"], "") == ("", {})


END = f'{ENDS}{{"step": "a", "metrics": {{"x": 1}}}}\n'
ARGO = 'time=2026-11-29T22:09:09.672Z level=INFO msg="sub-process exited" argo=true error=<nil>\n'
LAUNCHER = "F1129 22:09:09.672000      16 main.go:58] failed to execute component: exit status 137\n"


@pytest.mark.parametrize(
    ("log", "body", "metrics"),
    [
        (f"{BEGINS}\na\n{END}", "a\n", {"x": 1}),
        (f"the end of a long log\n{END}", "the end of a long log\n", {"x": 1}),
        (f"{BEGINS}\na\n{END}{ARGO}at the end\n", "a\nat the end\n", {"x": 1}),
        (f"{BEGINS}\n50 %{ARGO}", "50 %\n", None),
        (f"{BEGINS}\n50 %{LAUNCHER}", "50 %\n", None),
        (f'{BEGINS}\na\n{{"error_message": "broken", "error_details": ""}}', "a\n", None),
        (f'{BEGINS}\n{{"error": "mine", "code": 5}}\n', '{"error": "mine", "code": 5}\n', None),
        (f'{BEGINS}\na\n{ENDS}{{"step": "a", "metrics": null, "error": "x"}}\n', "a\n", {}),
        (f'{BEGINS}\na\n{ENDS}{{"step": "a", "fingerprints": "{{"}}\n', "a\n", None),
    ],
)
def test_the_parts_of_a_log(log: str, body: str, metrics: Any) -> None:
    text, result = split_log(log)
    assert (text, result and result["metrics"]) == (body, metrics)


@pytest.mark.parametrize(
    "answer",
    [
        '{"error_details": "", "error_message": "x"}',
        '{\n  "error": "not found", "code": 5, "message": "not found"}',
        '{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}',
    ],
)
def test_an_error_is_no_log(answer: str) -> None:
    assert is_missing_log(answer.encode())


def test_a_record_that_another_has_written_does_not_count(shell: Shell, tmp_path: Path) -> None:
    with KfpServer(tmp_path / "server", address="api", script=SCRIPT) as server:
        assert shell.run(f"%kale_run --host {server.url}").success
        (place,) = Path(".kale").glob("**/add/result.json")
        place.write_text(place.read_text().replace('"total": 3', '"total": 4'))
        server.pretend_cached("add")
        assert shell.run(f"run = %kale_run --host {server.url}").success
        assert value(shell, "run.metrics") == {}


ANSWERS = {
    "GetContextByTypeAndName": "0a0f08471a01782a080a016112031a0162",
    "GetExecutionsByContext": (
        "0a4c080518052a130a097461736b5f6e616d6512061a046c6f61642a130a0d706172656e745f6461675f696412"
        "0208032a1c0a06696e70757473121222100a0e0a016e1209110000000000000840"
    ),
    "GetArtifactsByContext": "0a2308091a0b6d696e696f3a2f2f622f6b2a120a056279746573120911000000000000f83f",
    "GetEventsByExecutionIDs": "0a19080910051a110a0f120d6578656375746f722d6c6f67732004",
}
"""Messages that ML Metadata 1.17.1 has written: a context, an execution, its artifact and their event."""


def test_the_artifacts_of_a_run_come_from_ml_metadata() -> None:
    asked = []

    def send(path: str, body: bytes) -> bytes:
        method = path.rpartition("/")[2]
        asked.append((method, body[5:]))
        message = bytes.fromhex(ANSWERS[method])
        return b"\0" + len(message).to_bytes(4, "big") + message + b"\x80\0\0\0\x0fgrpc-status:0\r\n"

    assert artifacts_of_run("r1", send) == {"load": {"executor-logs": "minio://b/k"}}
    assert asked[0] == ("GetContextByTypeAndName", b"\n\x12system.PipelineRun\x12\x02r1")
    assert artifacts_of_run("r1", lambda path, body: None) == {}
    assert artifacts_of_run("r1", lambda path, body: b"\x80\0\0\0\x0fgrpc-status:5\r\n") == {}


def test_the_order_of_a_log_does_not_matter(shell: Shell, server: KfpServer) -> None:
    server.script["load"] = page_order(SCRIPT["load"])
    outcome = shell.run(f"run = %kale_run --host {server.url}")
    assert outcome.success, outcome.printed
    assert value(shell, "run.steps['load'].log") == "loaded\n"


def test_a_failure_is_shown_as_one_though_another_ended_the_run(shell: Shell, server: KfpServer) -> None:
    server.script["load"] = failed_pod("load", "ZeroDivisionError", "division by zero", "before\n")
    printed = shell.refusal(f"run = %kale_run --host {server.url}")
    assert "ZeroDivisionError" in printed
    shell.run("import kale_magics; run = kale_magics.last_run()")
    assert value(shell, "[run.steps[name].state for name in ('load', 'add')]") == ["failed", "skipped"]


@pytest.mark.parametrize(
    ("message", "fix"),
    [
        ('namespaces "nowhere" not found', "namespace"),
        ('pods "x" is forbidden: exceeded quota: small, requested: cpu=4', "--cpu"),
        ('workflows is forbidden: User "a" cannot create resource', "permission"),
        ("PersistentVolumeClaim is invalid: must specify accessModes", "workspace_access_modes"),
    ],
)
def test_what_kubernetes_rejects_does_not_pass(
    shell: Shell, server: KfpServer, message: str, fix: str
) -> None:
    text = f"InternalServerError: Failed to create a run: {message}"
    server.fail("POST", "/runs", 500, times=9, message=text)
    printed = shell.refusal(f"%kale_run --host {server.url}")
    assert "KALE5" in printed
    assert message.partition(":")[0] in printed
    assert fix in printed
    assert sum(r.method == "POST" and r.path.endswith("/runs") for r in server.requests) == 1
