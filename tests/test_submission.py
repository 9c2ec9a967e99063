"""A notebook's pipeline on a server: submitted, followed, taken up again, and all that can go wrong."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kale_magics.execution.folder_source import DAMAGED_LOG
from kale_magics.kubeflow.schedules import cron_of
from kale_magics.step_runtime.pod import BEGINS, ENDS
from tests.kfp_server import KfpServer
from tests.pods import failed_pod, pod
from tests.shells import Shell, fresh_shell, mentions, shows

NOTEBOOK = (
    "%%kale parameters\nfactor = 2",
    "%%kale step load\nrows = [1, 2, 3]\nprint('loaded')",
    "%%kale step 'Train model'\ntotal = sum(rows) * factor\nprint('trained', total)",
    "%%kale step report\nprint('the total is', total)\nshown = total",
    "%%kale metrics\ntotal",
)


SCRIPT = {
    "load": pod("load", "loaded\n", rows=[1, 2, 3]),
    "train-model": pod("Train model", "trained 12\n", {"total": 12}, total=12),
    "report": pod("report", "the total is 12\n"),
}
"""What comes of the notebook's steps on a server that executes nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KfpServer]:
    with KfpServer(tmp_path / "server", script=SCRIPT) as server:
        yield server


@pytest.fixture
def real_server(tmp_path: Path) -> Iterator[KfpServer]:
    """A server that runs pipelines."""
    with KfpServer(tmp_path / "server") as server:
        yield server


@pytest.fixture
def shell(cluster_shell: Shell) -> Shell:
    for cell in NOTEBOOK:
        assert cluster_shell.run(cell).success
    return cluster_shell


def run_id_in(printed: str) -> str:
    found = re.search(r"run ([0-9a-f-]{36}) has been started", printed)
    assert found, printed
    return found[1]


@pytest.mark.kfp
def test_what_runs_here_runs_there(shell: Shell, real_server: KfpServer) -> None:
    outcome = shell.run(f"run = %kale_run --host {real_server.url} -p factor=5 --name five")
    assert outcome.success, outcome.printed
    run_id = run_id_in(outcome.printed)
    assert f"{real_server.url}/#/runs/details/{run_id}" in outcome.printed
    assert "Train model | trained 30" in outcome.printed
    assert "✓ run succeeded" in outcome.printed
    assert "total  30  from Train model" in outcome.printed
    told = shell.run(
        "print(run.state, run.steps['report'].log, run.outputs['load']['rows'], run.metrics)"
    ).printed
    assert told == "succeeded the total is 30\n [1, 2, 3] {'total': 30}\n"
    assert shell.run("%kale_logs 'Train model'").printed == "trained 30\n"


@pytest.mark.kfp
def test_what_kubernetes_would_replace_stays_as_it_is(
    shell: Shell, real_server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRICE", "$$5 $(KUBE)")
    shell.run("%kale_reset")
    shell.run("%%kale parameters\ntitle = '$$x$$'\nnames = ['$(KUBE)', None]")
    shell.run(
        "%%kale step a --env KUBE=replaced PRICE='$$5 $(KUBE)' ONE='$5'\nimport os\n"
        "print('SAID', '$$E$$ $(KUBE) $$$', title, names, os.environ['PRICE'], os.environ.get('ONE', '$5'))"
    )
    said = "SAID $$E$$ $(KUBE) $$$ {} ['$(KUBE)', None] $$5 $(KUBE) $5"
    printed = shell.run(f"%kale_run --host {real_server.url}").printed
    assert f"a | {said.format('$$x$$')}\n" in printed
    printed = shell.run(f"%kale_run --host {real_server.url} -p title='$$y $(KUBE)'").printed
    assert f"a | {said.format('$$y $(KUBE)')}\n" in printed


def test_what_a_pod_does_before_the_step_begins_is_not_taken_for_the_steps_own(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kale_magics.kubeflow.pod_requests import PodRequests

    noise = "Collecting cloudpickle\nInstalling\n"
    texts = [noise, noise, f"{noise}{BEGINS}\none\n", f"{noise}{BEGINS}\none\ntwo\n{ENDS}{{}}\n"]
    monkeypatch.setattr("kale_magics.kubeflow.following.LOGS_EVERY", 1)
    monkeypatch.setattr(
        PodRequests, "log", lambda *_: (texts.pop(0) if len(texts) > 1 else texts[0]).encode()
    )
    server.hold("load")
    run_id = run_id_in(shell.run(f"%kale_run --host {server.url} --no-wait").printed)
    server.wait_for(run_id, "RUNNING")
    release = threading.Timer(0.5, server.release, ["load"])
    release.start()
    printed = shell.run(f"%kale_attach {run_id} --host {server.url}").printed
    release.join()
    assert "load        | one" in printed
    assert "Collecting" not in printed


def test_one_content_is_uploaded_once_and_one_experiment_made(shell: Shell, server: KfpServer) -> None:
    shell.run(f"%config KaleMagics.host = '{server.url}'")
    for _ in range(2):
        assert shell.run("%kale_run --no-wait").success
    assert len(server.store.pipelines) == len(server.store.versions) == 1
    assert [e["display_name"] for e in server.store.experiments.values()] == ["pipeline"]
    shell.run("%%kale step more\nx = total + 1")
    assert shell.run("%kale_run --no-wait").success
    assert (len(server.store.pipelines), len(server.store.versions), len(server.store.runs)) == (1, 2, 3)


def test_the_address_may_come_from_kfps_variable(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", server.url)
    run_id_in(shell.run("%kale_run --no-wait").printed)
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT")
    assert "has been started" not in shell.run("%kale_run").printed
    assert len(server.runs) == 1


def test_an_address_without_its_end(shell: Shell, tmp_path: Path) -> None:
    with KfpServer(tmp_path / "behind", prefix="/pipeline", script=SCRIPT) as server:
        told = shell.refusal(f"%kale_run --host {server.url.removesuffix('/pipeline')}")
        assert shows(told, "KALE501", " at ")
        assert "/pipeline" in told
        assert shell.run(f"%kale_run --host {server.url} --no-wait").success


@pytest.mark.kfp
def test_a_step_that_fails_is_shown_as_one_that_fails_here(shell: Shell, real_server: KfpServer) -> None:
    shell.run("%%kale step last --no-run\nx = 1\ny = x / (total - total)")
    told = shell.refusal(f"%kale_run --host {real_server.url}")
    assert "KALE301 step last failed" in told
    assert "ZeroDivisionError" in told
    assert "y = x / (total - total)" in told
    assert "✗ run failed" in told


def test_a_run_is_taken_up_again_in_another_session(
    shell: Shell, server: KfpServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.hold("train-model")
    run_id = run_id_in(shell.run(f"%kale_run --host {server.url} --no-wait").printed)
    server.wait_for(run_id, "RUNNING")
    shell.run("%unload_ext kale_magics")
    server.release("train-model")
    with fresh_shell(lambda: "".join(capfd.readouterr())) as other:
        other.run("%load_ext kale_magics")
        outcome = other.run(f"run = %kale_attach {run_id} --host {server.url}")
        assert outcome.success, outcome.printed
        assert "Train model | trained 12" in outcome.printed
        assert other.run("print(list(run.steps), run.outputs['load']['rows'])").printed == (
            "['load', 'Train model', 'report'] [1, 2, 3]\n"
        )
        other.run("%unload_ext kale_magics")


def test_values_of_others_are_not_loaded_without_a_word(
    shell: Shell, server: KfpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = run_id_in(shell.run(f"%kale_run --host {server.url}").printed)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    printed = shell.run(f"run = %kale_attach {run_id} --host {server.url} --no-wait").printed
    assert "was not started from this folder" in printed
    told = shell.refusal("run.outputs['load']['rows']")
    assert "KALE506" in told
    assert f"%kale_attach {run_id} --host {server.url} --trust" in told
    shell.run(f"run = %kale_attach {run_id} --host {server.url} --no-wait --trust")
    assert shell.run("print(run.outputs['load']['rows'])").printed == "[1, 2, 3]\n"


def test_what_this_project_has_not_written_is_not_loaded(shell: Shell, server: KfpServer) -> None:
    outcome = shell.run(f"run = %kale_run --host {server.url}")
    run = server.store.runs[run_id_in(outcome.printed)]
    for node in run.workflow.nodes.values():
        for path in node.outputs.values():
            if path.exists():
                path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    told = shell.refusal("run.outputs['load']['rows']")
    assert told.startswith("KALE506 rows of step load ")
    step = shell.run("run.steps['load']").result
    assert step.log == "loaded\n"
    (step.folder / "log.txt").write_bytes(b"load\xffed\n")
    assert step.log == f"load\ufffded\n{DAMAGED_LOG}\n"


def test_a_run_is_ended(shell: Shell, server: KfpServer) -> None:
    server.hold("load")
    run_id = run_id_in(shell.run(f"%kale_run --host {server.url} --no-wait").printed)
    server.wait_for(run_id, "RUNNING")
    assert (
        f"the server is ending run {run_id}"
        in shell.run(f"%kale_cancel {run_id} --host {server.url}").printed
    )
    server.wait_for(run_id, "CANCELED")
    printed = shell.run(f"%kale_attach {run_id} --host {server.url}").printed
    assert "■ run cancelled" in printed


def test_a_run_that_nobody_has_waited_for_can_be_waited_for(shell: Shell, server: KfpServer) -> None:
    shell.run(f"run = %kale_run --host {server.url} --no-wait")
    assert shell.run("print(run.wait().state, run.outputs['load']['rows'])").printed == (
        "succeeded [1, 2, 3]\n"
    )
    shell.run("%%kale step last --no-run\n1 / (total - total)")
    server.script["last"] = failed_pod("last", "ZeroDivisionError", "division by zero")
    shell.run(f"run = %kale_run --host {server.url} --no-wait")
    assert "ZeroDivisionError" in shell.refusal("run.wait()")
    server.hold("load")
    shell.run(f"run = %kale_run --host {server.url} --no-wait")
    outcome = shell.run("run.wait(0)")
    assert isinstance(outcome.error, TimeoutError)
    assert len(outcome.printed.splitlines()) == 1  # no traceback of this package


def test_what_only_this_machine_can_do_is_refused(shell: Shell, server: KfpServer) -> None:
    for option in ("--only load", "--resume", "--background"):
        told = shell.refusal(f"%kale_run {option} --host {server.url}")
        assert told.startswith(f"KALE103 {option.split()[0]} ")
    server.hold("load")
    shell.run(f"%kale_run --host {server.url} --no-wait")
    assert mentions(shell.refusal("%kale_run --resume"), "KALE103 last run server --resume local")


@pytest.mark.usefixtures("quick_retries")
def test_a_login_that_has_ended_is_no_answer(shell: Shell, server: KfpServer) -> None:
    server.html("POST", "/runs")
    told = shell.refusal(f"%kale_run --host {server.url}")
    assert shows(told, "KALE503", "127.0.0.1 ", " web page")
    assert "%env" not in told  # it shows what it sets
    assert not server.runs


def test_a_run_of_another_tool_is_told_as_such(shell: Shell, server: KfpServer) -> None:
    run_id = run_id_in(shell.run(f"%kale_run --host {server.url} --no-wait").printed)
    (version,) = server.versions.values()
    container = version["pipeline_spec"]["deploymentSpec"]["executors"]["exec-load"]["container"]
    container["args"][-1] = "../load"
    told = shell.refusal(f"%kale_attach {run_id} --host {server.url}")
    assert shows(told, "KALE506", "not written by kale_magics")


@pytest.mark.parametrize("option", ["", " --cancel-on-interrupt"])
def test_an_interrupt_detaches_or_ends(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    server.hold("load")

    def interrupted(self: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kale_magics.kubeflow.following.Follower.report", interrupted)
    outcome = shell.run(f"%kale_run --host {server.url}{option}")
    assert isinstance(outcome.error, KeyboardInterrupt)
    (run,) = server.store.runs.values()
    if option:
        assert f"the server is ending run {run.id}" in outcome.printed
        server.wait_for(run.id, "CANCELED")
    else:
        assert f"%kale_attach {run.id}" in outcome.printed
        assert run.state in ("PENDING", "RUNNING")


BAD_TIMES: dict[str, Callable[[KfpServer], object]] = {
    "the server fails for a moment": lambda server: server.fail("GET", "/runs/", 503, times=2),
    "it asks to wait": lambda server: server.fail("GET", "/pipelines", 429, retry_after=0),
    "connections break off at a log": lambda server: server.drop("GET", "/log", times=2),
    "connections break off": lambda server: server.drop("GET", "/runs/", times=2),
    "nobody knows whether the run was made": lambda server: server.drop("POST", "/runs", after=True),
    "nobody knows whether the version was": lambda server: server.drop("POST", "upload_version", after=True),
    "the experiment was made": lambda server: server.drop("POST", "/experiments", after=True),
}


@pytest.mark.parametrize("harm", BAD_TIMES.values(), ids=BAD_TIMES)
def test_bad_times_pass_and_nothing_is_doubled(
    shell: Shell, server: KfpServer, harm: Callable[[KfpServer], object]
) -> None:
    harm(server)
    outcome = shell.run(f"%kale_run --host {server.url}")
    assert outcome.success, outcome.printed
    assert len(server.store.runs) == len(server.store.versions) == len(server.store.experiments) == 1


def test_a_run_that_was_not_made_is_asked_for_again(shell: Shell, server: KfpServer) -> None:
    shell.run(f"%kale_run --host {server.url}")
    server.drop("POST", "/runs")
    outcome = shell.run(f"%kale_run --host {server.url}")
    assert outcome.success, outcome.printed
    assert len(server.store.runs) == 2


NO_ANSWERS = {
    "nothing": "{}",
    "a list": "[]",
    "null": "null",
    "cut off": '{"runs": [{"run_id": "',
    "a text": '"runs"',
    "no list": '{"runs": "none", "total_size": 1}',
    "no runs": '{"runs": [3], "total_size": 1}',
    "a run without an id": '{"runs": [{"display_name": "lost"}], "total_size": 1}',
    "an id that is a path": '{"runs": [{"run_id": "../x", "display_name": "lost"}], "total_size": 1}',
    "a number as a name": '{"runs": [{"run_id": "r1", "display_name": 7}], "total_size": 1}',
    "a page": "<html><body>Log in</body></html>",
    "empty": "",
}


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("text", NO_ANSWERS.values(), ids=NO_ANSWERS)
@pytest.mark.parametrize("times", [1, 100])
def test_an_answer_that_says_nothing_doubles_no_run(
    shell: Shell, server: KfpServer, text: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kale_magics.kubeflow.client.MAX_RETRY", 0.5)
    server.drop("POST", "/runs", after=True)
    content_type = "text/html" if "<html>" in text else "application/json"
    server.say("GET", "/runs$", text, times, content_type)
    outcome = shell.run(f"%kale_run --host {server.url} --name lost --no-wait")
    (run,) = server.runs.values()
    if times == 1 and "<html>" not in text:
        assert outcome.success, outcome.printed
        assert f"run {run.id}" in outcome.printed
    else:
        assert f"lists it as '{run.resource['display_name']}'" in outcome.printed
        assert "None" not in outcome.printed


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"run_id": "../../x"}', '{"run_id": 3}', "{"])
def test_an_answer_to_the_request_that_says_nothing_doubles_no_run(
    shell: Shell, server: KfpServer, text: str
) -> None:
    server.say("POST", "/runs", text, after=True)
    outcome = shell.run(f"%kale_run --host {server.url} --no-wait")
    (run,) = server.runs.values()
    assert outcome.success, outcome.printed
    assert f"run {run.id}" in outcome.printed


@pytest.mark.usefixtures("quick_retries")
def test_a_server_that_drips_ends_in_a_sentence(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kale_magics.kubeflow.responses.MAX_SECONDS", 0.5)
    server.drip("GET", "/healthz", 0.05, times=100)
    assert "KALE504" in shell.refusal(f"%kale_run --host {server.url}")


@pytest.mark.usefixtures("quick_retries")
def test_a_server_that_floods_ends_in_a_sentence(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kale_magics.kubeflow.responses.MAX_BYTES", 1 << 20)
    server.say("GET", "/healthz", json.dumps({"x": "y" * (2 << 20)}), times=100)
    assert "1 MiB" in shell.refusal(f"%kale_run --host {server.url}")


@pytest.mark.usefixtures("quick_retries")
def test_a_run_of_which_nothing_is_known_has_a_name(shell: Shell, server: KfpServer) -> None:
    server.drop("POST", "/runs", after=True)
    server.fail("GET", "/runs", 503, times=100)
    told = shell.refusal(f"%kale_run --host {server.url} --name lost")
    (run,) = server.runs.values()
    assert f"%kale_runs --host {server.url} lists it as '{run.resource['display_name']}'" in told


def test_files_that_are_here_only_are_pointed_out(shell: Shell, server: KfpServer) -> None:
    Path("rows.csv").write_text("1")
    shell.run("%%kale step more --no-run\nfrom pathlib import Path\nmore = Path('rows.csv').exists(), total")
    printed = shell.run(f"%kale_run --host {server.url} --no-wait").printed
    assert shows(printed, "KALE404", "step more ", "'rows.csv'")


def test_a_restart_between_two_looks_is_survived(shell: Shell, server: KfpServer) -> None:
    server.hold("load")
    run_id = run_id_in(shell.run(f"%kale_run --host {server.url} --no-wait").printed)
    server.wait_for(run_id, "RUNNING")
    server.restart()
    server.release("load")
    assert "✓ run succeeded" in shell.run(f"%kale_attach {run_id} --host {server.url}").printed


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


UNREACHABLE = [
    ("http://127.0.0.1:{port}", "KALE502", "refused by http://127.0.0.1:{port}\n"),
    ("https://kale-has-no-such-host.invalid", "KALE502", "no host kale-has-no-such-host.invalid\n"),
    ("ftp://kfp", "KALE501", "'ftp://kfp'"),
]


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize(("host", "code", "told"), UNREACHABLE)
def test_a_server_that_is_not_there(shell: Shell, host: str, code: str, told: str) -> None:
    port = closed_port()
    shown = shell.refusal(f"%kale_run --host {host.format(port=port)}")
    assert shows(shown, code, told.format(port=port))


@pytest.mark.usefixtures("quick_retries")
def test_a_server_that_never_answers(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kale_magics.kubeflow.client.FIRST_TIMEOUTS", (1, 0.1))
    monkeypatch.setattr("kale_magics.kubeflow.client.MAX_RETRY", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told = shell.refusal(f"%kale_run --host http://127.0.0.1:{silent.getsockname()[1]}")
    assert shows(told, "KALE502", "in time")


def test_no_server_named(shell: Shell) -> None:
    assert shows(shell.refusal("%kale_cancel some-run"), "KALE501", "not set")


KINDS: list[tuple[dict[str, Any], str, str]] = [
    ({"version": "v1"}, "KALE501", "Kubeflow Pipelines 1\n"),
    ({"auth": "token"}, "KALE503", "no token and no cookies"),
    ({"auth": "dex"}, "KALE503", "login page"),
]


@pytest.mark.parametrize(("options", "code", "told"), KINDS, ids=[told for *_, told in KINDS])
def test_a_server_that_does_not_let_in(
    shell: Shell, tmp_path: Path, options: dict[str, Any], code: str, told: str
) -> None:
    with KfpServer(tmp_path / "other", **options, script=SCRIPT) as server:
        assert shows(shell.refusal(f"%kale_run --host {server.url}"), code, "127.0.0.1 ", told)


def test_users_come_in_with_what_they_have(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with KfpServer(tmp_path / "tokens", auth="token", multi_user=True, script=SCRIPT) as server:
        monkeypatch.setenv("KALE_TOKEN", "secret-token")
        told = shell.refusal(f"%kale_run --host {server.url}")
        assert shows(told, "KALE503", "127.0.0.1 ", "your namespace\n")
        shell.run("%config KaleMagics.namespace = 'bobs'")
        told = shell.refusal(f"%kale_run --host {server.url}")
        assert shows(told, "KALE503", "127.0.0.1 in namespace bobs: ")
        shell.run("%config KaleMagics.namespace = 'alice-ns'")
        assert shell.run(f"%kale_run --host {server.url}").success
        monkeypatch.delenv("KALE_TOKEN")
        Path("token").write_text("secret-token\n")
        shell.run("%config KaleMagics.token_file = 'token'")
        assert shell.run(f"%kale_run --host {server.url} --no-wait").success
    with KfpServer(tmp_path / "cookies", auth="dex", script=SCRIPT) as server:
        shell.run("%config KaleMagics.namespace = ''")
        monkeypatch.setenv("KALE_COOKIES", "authservice_session=abc")
        assert shell.run(f"%kale_run --host {server.url}").success


def test_a_token_that_expires_is_taken_anew(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with KfpServer(tmp_path / "tokens", auth="token", script=SCRIPT) as server:
        monkeypatch.setenv("KALE_TOKEN", "secret-token")
        server.hold("load")
        run_id = run_id_in(shell.run(f"run = %kale_run --host {server.url} --no-wait").printed)
        server.wait_for(run_id, "RUNNING")
        server.expire("secret-token")
        server.accept("second-token", "alice")
        told = shell.refusal("run.source.refresh(run)")
        assert "KALE503" in told
        monkeypatch.setenv("KALE_TOKEN", "second-token")
        assert shell.run("run.source.refresh(run); print(run.state)").printed == "running\n"


def test_a_token_that_expires_while_a_run_is_followed(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with KfpServer(tmp_path / "tokens", auth="token", script=SCRIPT) as server:
        Path("token").write_text("secret-token")
        shell.run("%config KaleMagics.token_file = 'token'")
        server.hold("load")

        def renew() -> None:
            with server.store.changed:
                server.store.changed.wait_for(lambda: any(r.state == "RUNNING" for r in server.runs.values()))
            server.accept("second-token", "alice")
            Path("token").write_text("second-token")
            server.expire("secret-token")
            server.release("load")

        renewal = threading.Thread(target=renew)
        renewal.start()
        assert "✓ run succeeded" in shell.run(f"%kale_run --host {server.url}").printed
        renewal.join()


@pytest.mark.usefixtures("quick_retries")
def test_secrets_are_shown_nowhere(shell: Shell, tmp_path: Path) -> None:
    shell.run("%config KaleMagics.token = 'secret-token'")
    shell.run("%config KaleMagics.cookies = 'authservice_session=abc'")
    shown = shell.run("%config KaleMagics").printed + shell.run("%config KaleMagics.token").printed
    with KfpServer(tmp_path / "tokens", auth="token", script=SCRIPT) as server:
        shown += shell.run(f"run = %kale_run --host {server.url}").printed
        shown += shell.run("print(vars(run), run.server._access())").printed
        server.fail("GET", "/runs", 500, times=99)
        shown += shell.refusal(f"%kale_attach {next(iter(server.store.runs))} --host {server.url}")
        sent = [str(r.body) for r in server.requests]
    kept = [p.read_text(errors="replace") for p in Path(".kale").rglob("*") if p.is_file()]
    assert not [text for text in (shown, *sent, *kept) if "secret-token" in text or "session=abc" in text]
    shell.run("%%kale step leak\ntoken = 'secret-token'")
    with KfpServer(tmp_path / "more", auth="token", script=SCRIPT) as server:
        assert "KALE405 your token or your cookies" in shell.refusal(f"%kale_run --host {server.url}")


def test_a_server_without_logs_and_artifacts_leaves_the_link(shell: Shell, tmp_path: Path) -> None:
    with KfpServer(tmp_path / "bare", logs=False, artifacts=False, ui=False, script=SCRIPT) as server:
        outcome = shell.run(f"run = %kale_run --host {server.url}")
        assert outcome.success
        link = f"{server.url}/#/runs/details/"
        assert f"step load; Kubeflow's page may show it: {link}" in (shell.run("%kale_logs load").printed)
        told = shell.refusal("run.outputs['load']['rows']")
        assert "KALE506 " in told
        assert " rows of step load" in told
        assert f"{server.url}/#/runs/details/" in told


def test_a_server_that_is_too_old_says_for_what(shell: Shell, tmp_path: Path) -> None:
    with KfpServer(tmp_path / "old", rejects=("workspace",), script=SCRIPT) as server:
        shell.run("%%kale step last --workspace\nx = total")
        told = shell.refusal(f"%kale_run --host {server.url}")
        assert shows(told, "KALE505", "127.0.0.1 ", "workspace")


def test_slow_answers_are_waited_for(shell: Shell, server: KfpServer) -> None:
    server.delay("GET", "/healthz", 0.2)
    assert shell.run(f"%kale_run --host {server.url} --no-wait").success


def test_runs_are_listed_and_their_logs_and_values_are_had_later(shell: Shell, server: KfpServer) -> None:
    shell.run(f"%config KaleMagics.host = '{server.url}'")
    run_id = run_id_in(shell.run("%kale_run --name first").printed)
    shell.run("%kale_run --name second")
    listed = shell.run("%kale_runs --host").printed.splitlines()
    assert re.fullmatch(rf"{run_id}  first .*  ✓ succeeded  [-\d]+ [:\d]+ *", listed[3])
    assert "second" in listed[2]
    assert shell.run(f"%kale_logs load --run {run_id}").printed == "loaded\n"
    shell.run("del rows")
    assert (
        f"from step load of run {run_id}: rows (list)" in shell.run(f"%kale_pull load --run {run_id}").printed
    )
    assert shell.run("print(rows)").printed == "[1, 2, 3]\n"
    assert shows(shell.run("%kale_pull load row").printed, "KALE303", "step load ", "'row'")


@pytest.mark.kfp
def test_a_pipeline_is_scheduled(shell: Shell, real_server: KfpServer) -> None:
    shell.run(f"%config KaleMagics.host = '{real_server.url}'")
    printed = shell.run("%kale_schedule --cron '0 6 * * *' -p factor=3 --name daily").printed
    (made,) = real_server.store.recurring_runs.values()
    identity, name = made["recurring_run_id"], made["display_name"]
    assert made["trigger"]["cron_schedule"]["cron"] == "0 0 6 * * *"
    assert printed == f"schedule {identity}: {name} runs 0 6 * * * (UTC)\n"
    run_id = real_server.trigger(identity)
    real_server.wait_for(run_id, "SUCCEEDED")
    assert "Train model | trained 18" in shell.run(f"%kale_attach {run_id}").printed
    told = shell.run(f"%kale_schedule --pause {identity}").printed
    assert told == f"schedule {identity} is paused\n"
    assert shell.run("%kale_schedule").printed == f"{identity}  paused  0 6 * * *  {name}\n"
    told = shell.run(f"%kale_schedule --resume {identity}").printed
    assert told == f"schedule {identity} is resumed\n"
    assert shell.run("%kale_schedule").printed == f"{identity}  on      0 6 * * *  {name}\n"
    assert shell.run(f"%kale_schedule --delete {identity}").printed == f"schedule {identity} is deleted\n"
    assert "There is no schedule." in shell.run("%kale_schedule").printed
    assert shell.run("%kale_schedule --every 6h").printed.endswith(" runs every 6h\n")


def test_a_schedule_has_a_name_of_its_own(shell: Shell, server: KfpServer) -> None:
    for _ in range(2):
        shell.run(f"%kale_schedule --every 6h --name often --host {server.url}")
    names = [made["display_name"] for made in server.store.recurring_runs.values()]
    assert len(set(names)) == 2
    assert all(re.fullmatch(r"often [-\d]+ [:\d]+ [0-9a-f]{6}", name) for name in names)


CRON = [
    ("0 6 * * *", "0 0 6 * * *"),
    ("*/15 8-18 1,15 jan-MAR,12 Mon-FRI", "0 */15 8-18 1,15 jan-MAR,12 Mon-FRI"),
    ("30 0 6 ? * 0-6/2", "30 0 6 ? * 0-6/2"),
    ("5/10 * 29 2 *", "0 5/10 * 29 2 *"),
    ("0 6 31 2 MON", "0 0 6 31 2 MON"),
]


@pytest.mark.parametrize(("typed", "cron"), CRON)
def test_times_are_read_as_a_crontab_has_them(typed: str, cron: str) -> None:
    assert cron_of(typed) == cron


REFUSED_SCHEDULES = [
    ("--cron daily", "'daily'"),
    ("--cron '61 25 * * *'", "'61' is not a minute of cron, which is 0 to 59"),
    ("--cron '0 25 * * *'", "'25' is not an hour of cron, which is 0 to 23"),
    ("--cron 'a b c d e'", "'a' is not a minute"),
    ("--cron '0 6 0 * *'", "'0' is not a day of cron, which is 1 to 31"),
    ("--cron '0 6 L * *'", "'L' is not a day"),
    ("--cron '0 6 * 13 *'", "'13' is not a month of cron, which is 1 to 12, JAN to DEC"),
    ("--cron '0 6 * * 7'", "'7' is not a weekday of cron, which is 0 to 6, SUN to SAT"),
    ("--cron '0 6 * * 1#2'", "'1#2' is not a weekday"),
    ("--cron '0 6-5 * * *'", "'6-5' is not an hour"),
    ("--cron '*/0 * * * *'", "'*/0' is not a minute"),
    ("--cron '0,,5 * * * *'", "'0,,5' is not a minute"),
    ("--cron '0 6 31 2 *'", " has a day 31"),
    ("--cron '0 6 31 4,6 ?'", " has a day 31"),
    ("--cron '0 6 * * *' --every 6h", "--cron and --every"),
    ("--every 10", "--every 10 "),
    ("--every 1s", "--every 1s "),
    ("--every often", "'often'"),
    ("--name x", "--name needs --cron or --every"),
    ("--pause 1 -p factor=3 --name x", "-p and --name need --cron or --every"),
]


def test_a_schedule_that_nobody_means_is_refused(shell: Shell) -> None:
    for typed, told in REFUSED_SCHEDULES:
        assert told in shell.refusal(f"%kale_schedule {typed}")


def test_certificates_of_ones_own(shell: Shell, tmp_path: Path) -> None:
    with KfpServer(tmp_path / "tls", tls=True, script=SCRIPT) as server:
        told = shell.refusal(f"%kale_run --host {server.url}")
        assert shows(told, "KALE502", "the certificate of 127.0.0.1 ")
        shell.run(f"%config KaleMagics.ca_cert = '{server.ca_file}'")
        outcome = shell.run(f"run = %kale_run --host {server.url}")
        assert outcome.success, outcome.printed
        assert shell.run("print(run.steps['load'].log)").printed == "loaded\n\n"


def test_certificates_that_a_variable_names(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = ("KF_PIPELINES_SSL_SA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    for variable in variables:
        monkeypatch.delenv(variable, raising=False)
    with KfpServer(tmp_path / "tls", tls=True, script=SCRIPT) as server:
        # The first that is set counts, from the last one on.
        for variable in reversed(variables):
            monkeypatch.setenv(variable, "nowhere.pem")
            assert variable in shell.refusal(f"%kale_run --host {server.url}")
            monkeypatch.setenv(variable, str(server.ca_file))
            assert shell.run(f"%kale_run --host {server.url} --no-wait").success
        monkeypatch.setenv(variables[0], "nowhere.pem")
        shell.run(f"%config KaleMagics.ca_cert = '{server.ca_file}'")
        assert shell.run(f"%kale_run --host {server.url} --no-wait").success


SECRETS = {
    "a variable": ("password = 'hunter22'", "password"),
    "an argument": ("connect = dict\nc = connect(api_key='abcdef')", "api_key"),
    "an item": ("options = {'secret': 'abcdef'}", "secret"),
    "an entry": ("options = {}\noptions['db_password'] = 'abcdef'", "db_password"),
    "nothing": ("password = input_password = None\nkey = 'abcdef'\ntoken_count = 'four'", ""),
    "from the environment": ("import os\npassword = os.environ.get('PASSWORD', '')", ""),
}


@pytest.mark.parametrize(("source", "name"), SECRETS.values(), ids=SECRETS)
def test_a_password_that_is_written_out_is_pointed_out(shell: Shell, source: str, name: str) -> None:
    shell.run(f"%%kale step hidden --no-run\n{source}")
    told = shell.run("%kale_compile p.yaml").printed
    assert (f"KALE405 {name} of step hidden" in told) if name else ("KALE405" not in told)


def test_a_password_as_a_parameter_is_pointed_out(shell: Shell) -> None:
    shell.run("%%kale parameters\ndb_password = 'hunter22'")
    shell.run("%%kale step hidden --no-run\nx = db_password")
    assert "KALE405 db_password of a parameter" in shell.run("%kale_compile p.yaml").printed


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ("--label team=a", {}),
        ("--annotation a=b --label c=d --retries 2", {"logs": False}),
        ("--retries 1", {"pod_names": "v1"}),
    ],
)
def test_logs_and_values_are_found_whatever_the_pods_are_called(
    shell: Shell, tmp_path: Path, options: str, place: dict[str, Any]
) -> None:
    shell.run("%kale_reset")
    shell.run(f"%%kale step a {options}\nprint('said')\nx = [1]")
    shell.run("%%kale step b\ny = x\nx")
    script = {"a": pod("a", "said\n", x=[1])}
    with KfpServer(tmp_path / "named", **place, script=script) as server:
        outcome = shell.run(f"run = %kale_run --host {server.url}")
        assert "a | said" in outcome.printed
        assert shell.run("print(run.steps['a'].log, run.outputs['a']['x'])").printed == "said\n [1]\n"


def test_the_log_has_all_attempts(shell: Shell, server: KfpServer) -> None:
    shell.run("%kale_reset")
    shell.run("%%kale step a --retries 3 --no-run\nprint('attempt')")
    lines = "attempt\nattempt 1 of 4 failed: AssertionError: too early; again\nattempt\n"
    server.script["a"] = pod("a", lines)
    outcome = shell.run(f"run = %kale_run --host {server.url}")
    assert outcome.success, outcome.printed
    assert shell.run("%kale_logs a").printed == lines


@pytest.mark.kfp
def test_steps_called_like_pods_of_kfp(shell: Shell, real_server: KfpServer) -> None:
    shell.run("%kale_reset")
    names = ("a", "a-driver", "executor", "root", "root driver")
    for number, name in enumerate(names):
        shell.run(f"%%kale step {name!r}\nx{number} = {number}\nprint('this is', {number})")
    outcome = shell.run(f"run = %kale_run --host {real_server.url}")
    assert outcome.success, outcome.printed
    for number, name in enumerate(names):
        assert shell.run(f"%kale_logs {name!r}").printed == f"this is {number}\n"
    (run,) = real_server.runs.values()
    assert len({node.display_name for node in run.workflow.nodes.values()} & {"a-driver"}) == 1


def test_values_come_where_the_api_finds_them(shell: Shell, tmp_path: Path) -> None:
    with KfpServer(tmp_path / "found", ui=False, reads_artifacts=True, script=SCRIPT) as server:
        shell.run(f"run = %kale_run --host {server.url}")
        assert shell.run("print(run.outputs['load']['rows'])").printed == "[1, 2, 3]\n"


def test_a_run_says_how_far_it_is_when_it_is_asked(shell: Shell, server: KfpServer) -> None:
    server.hold("load")
    run_id = run_id_in(shell.run(f"run = %kale_run --host {server.url} --no-wait").printed)
    server.wait_for(run_id, "RUNNING", task="load")
    told = shell.run("run.outputs['load']['rows']").printed
    assert "KALE303 step load has no outputs: it is running" in told
    assert "KALE303 step load has no outputs: it is running" in told
    assert shell.run("%kale_logs report").printed == "step report has printed nothing: it is waiting\n"
    server.release("load")
    server.wait_for(run_id, "SUCCEEDED")
    told = shell.run("print(run.wait().state, run.metrics, run.outputs['load']['rows'])").printed
    assert told == "succeeded {'total': 12} [1, 2, 3]\n"
    shell.run(f"again = %kale_attach {run_id} --no-wait")
    assert shell.run("print(again.metrics)").printed == "{'total': 12}\n"


def test_what_waits_for_a_step_that_failed_is_skipped(shell: Shell, server: KfpServer) -> None:
    shell.run("%kale_reset")
    shell.run("%%kale step a --no-run\nx = 1 / 0")
    shell.run("%%kale step b --no-run\ny = x")
    server.script["a"] = failed_pod("a", "ZeroDivisionError", "division by zero")
    shell.run(f"run = %kale_run --host {server.url}")
    shell.run("import kale_magics")
    told = shell.run("print({n: s.state for n, s in kale_magics.last_run().steps.items()})").printed
    assert told == "{'a': 'failed', 'b': 'skipped'}\n"


def test_a_step_that_fails_after_its_code_has_ended(shell: Shell, server: KfpServer) -> None:
    server.hold("report", at="end")
    run_id = run_id_in(shell.run(f"run = %kale_run --host {server.url} --no-wait").printed)
    server.wait_for(run_id, "RUNNING", task="report")
    (run,) = server.runs.values()
    with server.store.changed:
        server.store.changed.wait_for(lambda: ENDS in "".join(run.workflow.pod("report").log))
        run.workflow.pod("report").become("FAILED")
        run.workflow.task("report").become("FAILED")
        run.become("FAILED")
    told = shell.refusal("run.wait()")
    assert "KALE301 step report failed" in told
    assert "KALE301 step report failed" in told


def test_parameters_of_a_run_are_shown_as_they_are(shell: Shell, server: KfpServer) -> None:
    shell.run("%kale_reset")
    shell.run("%%kale parameters\ntext = '$(HOME)'\nnumber = 4\nnothing = None\nmore = [1]")
    shell.run("%%kale step a\nprint(text, number, nothing, more)")
    run_id = run_id_in(shell.run(f"%kale_run --host {server.url} -p number=5 -p text='$$'").printed)
    shell.run(f"again = %kale_attach {run_id} --no-wait")
    shown = shell.run("print(again.parameters)").printed
    assert shown == "{'text': '$$', 'number': 5, 'nothing': None, 'more': [1]}\n"


@pytest.mark.kfp
def test_values_get_to_a_server_as_they_are_typed(shell: Shell, real_server: KfpServer) -> None:
    shell.run("%kale_reset")
    shell.run("%%kale parameters\nrate: float = 0.5\nlimit: int | None = None\nsizes = [0.5]\nany = None")
    shell.run("%%kale step a\nprint(rate, limit, sizes, any)")
    run = f"%kale_run --host {real_server.url}"
    assert "a | 0.5 None [0.5] None\n" in shell.run(run).printed
    given = "-p rate=2 -p limit=3 -p 'sizes=[1, 2.0]' -p any=9007199254740993"
    printed = shell.run(f"{run} {given}").printed
    assert "a | 2 3 [1, 2.0] 9007199254740993\n" in printed
    shell.run(f"again = %kale_attach {run_id_in(printed)} --no-wait")
    shown = shell.run("print(again.parameters)").printed
    assert shown == "{'rate': 2, 'limit': 3, 'sizes': [1, 2.0], 'any': 9007199254740993}\n"
    assert "a | 0.25 None [0.5] None\n" in shell.run(f"{run} -p rate=0.25 -p limit=null").printed


def test_a_number_that_is_not_finite_is_refused(shell: Shell, server: KfpServer) -> None:
    shell.run("%kale_reset")
    shell.run("%%kale parameters\nfactor = 2.0")
    shell.run("%%kale step a\nx = factor")
    for value in ("inf", "nan", "-inf"):
        told = shell.refusal(f"%kale_run --host {server.url} -p factor={value}")
        assert shows(told, "KALE103", "factor ", "not finite")
    assert not server.runs


def test_what_only_a_server_can_do_is_refused(shell: Shell) -> None:
    for option in ("--no-wait", "--cancel-on-interrupt"):
        assert f"KALE103 {option} " in shell.refusal(f"%kale_run {option}")


@pytest.mark.parametrize("option", ["", " --cancel-on-interrupt"])
def test_a_run_that_begins_while_the_user_interrupts_is_not_lost(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    import kfp_server_api

    create = kfp_server_api.RunServiceApi.run_service_create_run

    def interrupted(*given: Any, **named: Any) -> None:
        create(*given, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(kfp_server_api.RunServiceApi, "run_service_create_run", interrupted)
    server.hold("load")
    outcome = shell.run(f"%kale_run --host {server.url}{option}")
    assert isinstance(outcome.error, KeyboardInterrupt)
    assert "Traceback" not in outcome.printed
    run_id = run_id_in(outcome.printed)
    assert list(server.runs) == [run_id]
    assert shell.run("import kale_magics; print(kale_magics.last_run().id)").printed == f"{run_id}\n"
    if option:
        assert f"the server is ending run {run_id}" in outcome.printed
        server.wait_for(run_id, "CANCELED")
    else:
        assert f"%kale_attach {run_id} --host {server.url}" in outcome.printed


def test_an_interrupt_before_anything_has_begun(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kale_magics.kubeflow.submission._uploaded", interrupted)
    outcome = shell.run(f"%kale_run --host {server.url}")
    assert "KeyboardInterrupt: no run has been started" in outcome.printed
    assert "submission.py" not in outcome.printed
    monkeypatch.undo()
    shell.run(f"%config KaleMagics.host = '{server.url}'")
    server.hold("load")
    shell.run("run = %kale_run --no-wait")
    monkeypatch.setattr("kale_magics.kubeflow.server_source.ServerSource.refresh", interrupted)
    outcome = shell.run("run.wait()")
    assert "KeyboardInterrupt: the run goes on; to follow it again: %kale_attach" in outcome.printed
    assert "server_source.py" not in outcome.printed


def test_a_server_that_is_slow_with_a_run_is_not_asked_for_another_one(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kale_magics.kubeflow.submission.TIMEOUTS", (2, 0.5))
    monkeypatch.setattr("kale_magics.kubeflow.client.SEARCH_INTERVAL", 0.5)
    server.delay("POST", "/runs", 1.5)
    outcome = shell.run(f"%kale_run --host {server.url}")
    assert outcome.success, outcome.printed
    assert len(server.runs) == 1


def test_two_sessions_that_upload_at_once(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import kfp_server_api

    api = kfp_server_api.PipelineServiceApi
    look = api.pipeline_service_list_pipeline_versions
    answers = [kfp_server_api.V2beta1ListPipelineVersionsResponse()]
    shell.run(f"%kale_run --host {server.url} --no-wait")
    monkeypatch.setattr(
        api,
        "pipeline_service_list_pipeline_versions",
        lambda *given, **named: answers.pop() if answers else look(*given, **named),
    )
    outcome = shell.run(f"%kale_run --host {server.url} --no-wait")
    assert outcome.success, outcome.printed
    assert (len(server.versions), len(server.runs), answers) == (1, 2, [])


def test_names_with_signs_of_addresses(shell: Shell, server: KfpServer) -> None:
    shell.run("%config KaleMagics.experiment = '50% of A+B & more'")
    for _ in range(2):
        outcome = shell.run(f"%kale_run --host {server.url} --no-wait --name '100% + x'")
        assert outcome.success, outcome.printed
    assert [e["display_name"] for e in server.experiments.values()] == ["50% of A+B & more"]
    server.drop("POST", "/runs", after=True)
    assert shell.run(f"%kale_run --host {server.url} --no-wait --name '100% + x'").success
    assert len(server.runs) == 3


def test_a_long_name_leaves_room_for_the_versions(shell: Shell, server: KfpServer) -> None:
    shell.run(f"%config KaleMagics.pipeline_name = '{'long-' * 25}'")
    shell.run("%config KaleMagics.experiment = 'short'")
    outcome = shell.run(f"%kale_run --host {server.url} --no-wait")
    assert outcome.success, outcome.printed


def test_a_run_is_ended_once_though_the_answer_is_lost(shell: Shell, server: KfpServer) -> None:
    server.hold("load")
    run_id = run_id_in(shell.run(f"run = %kale_run --host {server.url} --no-wait").printed)
    server.wait_for(run_id, "RUNNING")
    server.drop("POST", ":terminate", after=True)
    assert shell.run(f"%kale_cancel {run_id}").printed == f"the server is ending run {run_id}\n"
    server.wait_for(run_id, "CANCELED")
    assert shell.run(f"%kale_cancel {run_id}").printed == f"run {run_id} has ended: it has been cancelled\n"


def test_a_page_in_the_place_of_a_log_is_none(shell: Shell, server: KfpServer) -> None:
    server.html("GET", "/log", times=99)
    outcome = shell.run(f"run = %kale_run --host {server.url}")
    assert outcome.success, outcome.printed
    assert "<" not in shell.run("%kale_logs load").printed


def test_the_last_line_need_not_end(shell: Shell, server: KfpServer) -> None:
    shell.run("%%kale step last\nimport sys\nprint(1)\nwritten = sys.stdout.write('no end')")
    server.script["last"] = pod("last", "1\nno end")
    printed = shell.run(f"%kale_run --host {server.url}").printed
    assert "last        | no end\n" in printed


def test_an_interrupt_while_a_server_is_asked_is_one_line(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import kfp_server_api

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(kfp_server_api.HealthzServiceApi, "healthz_service_get_healthz", interrupted)
    for line in ("%kale_run", "%kale_runs", "%kale_cancel some-id", "%kale_schedule"):
        outcome = shell.run(f"{line} --host {server.url}")
        assert outcome.printed.count("\n") == 1, outcome.printed
        assert outcome.printed.startswith("KeyboardInterrupt: "), outcome.printed


def test_an_interrupt_while_a_slow_server_is_at_it_ends_the_run(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kale_magics.kubeflow import submission

    finder = submission.finder
    looks = iter([True, True])

    def late(*given: Any) -> Callable[[Any], Any]:
        find = finder(*given)
        return lambda client: None if next(looks, False) else find(client)

    monkeypatch.setattr("kale_magics.kubeflow.client.SEARCH_INTERVAL", 0.05)
    monkeypatch.setattr(submission, "finder", late)
    create = submission.submit

    def interrupted(*given: Any) -> None:
        create(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr("kale_magics.kubeflow.kubeflow_backend.submit", interrupted)
    server.hold("load")
    outcome = shell.run(f"%kale_run --host {server.url} --cancel-on-interrupt")
    (run,) = server.runs.values()
    assert f"the server is ending run {run.id}" in outcome.printed
    server.wait_for(run.id, "CANCELED")


def test_lists_with_nothing_in_them(shell: Shell, server: KfpServer) -> None:
    assert shell.run(f"%kale_runs --host {server.url}").printed.startswith("No run is stored.")
    assert shell.run(f"%kale_schedule --host {server.url}").printed.startswith("There is no schedule.")
