"""Where a server is and how to come in, as users have it, with the slips that they make."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.kfp_server import KfpServer
from tests.pods import pod
from tests.shells import Shell, shows

TOKEN = "secret-token"

SCRIPT = {"load": pod("load", rows=["low"]), "show": pod("show", "['low']\n")}


@pytest.fixture
def shell(cluster_shell: Shell) -> Shell:
    cluster_shell.run("%%kale parameters\nlevel = 'low'")
    cluster_shell.run("%%kale step load\nrows = [level]")
    cluster_shell.run("%%kale step show\nprint(rows)")
    return cluster_shell


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KfpServer]:
    with KfpServer(tmp_path / "server", auth="token", tokens={TOKEN: "alice"}, script=SCRIPT) as server:
        yield server


@pytest.fixture
def other(tmp_path: Path) -> Iterator[tuple[str, list[str | None]]]:
    """A web server of another kind, and the tokens that it was sent."""
    seen: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization"))
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Nobody reads that."""

    listener = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{listener.server_port}", seen
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"  {TOKEN} ", f"Bearer {TOKEN}"])
def test_a_token_is_taken_as_it_was_copied(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("KALE_TOKEN", token)
    outcome = shell.run(f"%kale_run --host {server.url}")
    assert outcome.success, outcome.printed


@pytest.mark.parametrize("variable", ["KALE_TOKEN", "KALE_COOKIES"])
def test_what_can_be_no_token_is_not_shown(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "first-half\nsecond-half")
    told = shell.refusal(f"%kale_run --host {server.url}")
    assert shows(told, "KALE503", "ASCII")
    assert "half" not in told


def test_who_was_not_let_in_is_told_what_was_sent(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"%kale_run --host {server.url}"
    assert shows(shell.refusal(line), "KALE503", "no token and no cookies")
    monkeypatch.setenv("KALE_TOKEN", "another-one")
    assert shows(shell.refusal(line), "KALE503", "with the token:")
    monkeypatch.delenv("KALE_TOKEN")
    Path("token").write_text("another-one")
    shell.run("%config KaleMagics.token_file = 'token'")
    assert shows(shell.refusal(line), "KALE503", "with the token in token:")


def test_a_file_without_a_token_is_told(shell: Shell, server: KfpServer) -> None:
    shell.run("%config KaleMagics.token_file = 'token'")
    line = f"%kale_run --host {server.url}"
    assert shows(shell.refusal(line), "KALE503", "file token ", "No such file or directory")
    Path("token").write_text("\n")
    assert shows(shell.refusal(line), "KALE503", "file token is empty")
    Path("token").write_text(f"{TOKEN}\n")
    assert shell.run(line).success


def test_a_file_without_certificates_is_told(shell: Shell, server: KfpServer) -> None:
    line = f"%kale_run --host {server.url}"
    shell.run("%config KaleMagics.ca_cert = '~/nowhere/ca.pem'")
    told = shell.refusal(line)
    assert shows(told, "KALE502", f"{Path.home()}/nowhere/ca.pem does not exist")
    Path("ca.pem").write_text("nothing of the kind")
    shell.run("%config KaleMagics.ca_cert = 'ca.pem'")
    assert shows(shell.refusal(line), "KALE502", "ca.pem contains no certificate")


ADDRESSES = {
    "http:/kfp.example.org": "'http:/kfp.example.org'",
    "http//kfp.example.org": "'http//kfp.example.org'",
    "http://127.0.0.1:abc": "'http://127.0.0.1:abc'",
    "http://127.0.0.1:999999": "'http://127.0.0.1:999999'",
    "'http://127.0.0.1/?token=pa55word'": "http://127.0.0.1/?... ",
    "http://ann:pa55word@127.0.0.1": "a user name or a password",
    "ann:pa55word@127.0.0.1": "a user name or a password",
}


@pytest.mark.parametrize(("host", "told"), ADDRESSES.items())
def test_what_is_no_address_is_told_and_no_password_shown(shell: Shell, host: str, told: str) -> None:
    shown = shell.refusal(f"%kale_run --host {host}")
    assert shows(shown, "KALE501", told)
    assert "pa55word" not in shown.replace(host, "")


@pytest.mark.parametrize("rest", ["/", "/#/runs", "/#/runs/details/abc", "/apis/v2beta1", "/apis/v2beta1/"])
def test_an_address_may_come_from_a_browsers_line(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch, rest: str
) -> None:
    monkeypatch.setenv("KALE_TOKEN", TOKEN)
    assert shell.run(f"%kale_run --host '{server.url}{rest}' --no-wait").success


@pytest.mark.usefixtures("quick_retries")
def test_whether_tls_is_spoken_is_told(shell: Shell, server: KfpServer, tmp_path: Path) -> None:
    place = server.url.partition("://")[2]
    for host in (f"https://{place}", place):
        told = shell.refusal(f"%kale_run --host {host}")
        assert shows(told, "KALE502", f"https://{place} does not use TLS", f" http://{place}")
    with KfpServer(tmp_path / "tls", tls=True, script=SCRIPT) as safe:
        place = safe.url.partition("://")[2]
        told = shell.refusal(f"%kale_run --host http://{place}")
        assert shows(told, "KALE502", f"http://{place} uses TLS", f" https://{place}")


def test_a_server_of_another_kind_is_told(shell: Shell, other: tuple[str, list[str | None]]) -> None:
    told = shell.refusal(f"%kale_run --host {other[0]}")
    assert shows(told, "KALE501", f" {other[0]}\n", " /pipeline")
    assert not shows(shell.refusal(f"%kale_run --host {other[0]}/pipeline"), "KALE501", " /pipeline\n")


def test_a_folder_does_not_say_where_a_token_goes(
    shell: Shell, server: KfpServer, other: tuple[str, list[str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KALE_TOKEN", TOKEN)
    shell.run(f"%config KaleMagics.host = '{server.url}'")
    shell.run("run = %kale_run")
    run_id = shell.ipython.user_ns["run"].id
    (kept,) = Path(".kale").rglob("run.json")
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "host": other[0]}))
    for line in (f"%kale_logs load --run {run_id}", f"%kale_attach {run_id}", f"%kale_cancel {run_id}"):
        told = shell.refusal(line)
        assert f"KALE501 run {run_id} is on " in told
        assert f"--host {other[0]}" in told
    assert other[1] == []


def test_the_server_of_a_run_need_not_be_named_again(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KALE_TOKEN", TOKEN)
    server.hold("load")
    shell.run(f"run = %kale_run --host {server.url} --no-wait")
    run_id = shell.ipython.user_ns["run"].id
    server.release("load")
    assert "✓ run succeeded" in shell.run(f"%kale_attach {run_id}").printed
    assert shell.run(f"%kale_cancel {run_id}").printed == f"run {run_id} has ended: it has succeeded\n"


def test_secrets_do_not_get_out_by_any_way(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KALE_TOKEN", TOKEN)
    Path("tok.txt").write_text(TOKEN)
    sent: list[str] = []
    for line in (f"-p level={TOKEN}", f"--name {TOKEN}"):
        sent.append(shell.refusal(f"%kale_run --host {server.url} {line}").replace(line, ""))
    told = shell.refusal(f"%kale_schedule --host {server.url} --every 6h -p level={TOKEN}")
    sent.append(told.replace(f"-p level={TOKEN}", ""))
    for mark in ("--file tok.txt", f"--env A={TOKEN}", f"--label a={TOKEN}"):
        shell.run(f"%%kale step more {mark}\nmore = 1")
        for line in ("%kale_compile p.yaml", f"%kale_run --host {server.url}"):
            told = shell.refusal(line)
            assert "at:  step more" in told
            sent.append(told)
        shell.run("%kale_reset more")
    shell.run(f"%config KaleMagics.description = 'with {TOKEN}'")
    sent.append(shell.refusal("%kale_compile p.yaml"))
    assert all(shows(told, "KALE405", "your token or your cookies") for told in sent)
    sent += [str(request.body) for request in server.requests]
    assert not [text for text in sent if TOKEN in text]
    assert not Path("p.yaml").exists()
    assert not server.runs


@pytest.mark.parametrize("secret", ["half\\075half", 'it\'s "quoted"', "plain-secret"])
@pytest.mark.parametrize("cell", ["token = {!r}", "# {}", "%pip install -r all.txt"])
def test_secrets_are_found_as_they_are_spelled(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, secret: str, cell: str
) -> None:
    if "all.txt" in cell:
        secret = secret.replace(" ", "")
        Path("all.txt").write_text(f"a @ https://a.org/?{secret}\n")
    monkeypatch.setenv("KALE_TOKEN", secret)
    shell.run(f"%%kale step more --no-run\n{cell.format(secret)}\nmore = 1")
    told = shell.refusal("%kale_compile p.yaml")
    assert shows(told, "KALE405", "your token or your cookies", "step more")


def test_a_cookie_that_says_nothing_is_no_secret(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALE_COOKIES", "session=0123456789abcdef; theme=default; lang=python")
    assert shell.run("%kale_compile p.yaml").success
    shell.run("%%kale step more\nmore = '0123456789abcdef'")
    assert "KALE405" in shell.refusal("%kale_compile p.yaml")


def test_kfps_other_variables_hold(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KF_PIPELINES_UI_ENDPOINT", "page.example.org/")
    monkeypatch.setenv("KF_PIPELINES_DEFAULT_EXPERIMENT_NAME", "usual")
    with KfpServer(tmp_path / "plain", script=SCRIPT) as plain:
        line = f"run = %kale_run --host {plain.url} --no-wait"
        assert "http://page.example.org/#/runs/details/" in shell.run(line).printed
        shell.run("%config KaleMagics.experiment = 'own'")
        shell.run(line)
        monkeypatch.setenv("KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME", "forced")
        shell.run(line)
        named = [experiment["display_name"] for experiment in plain.experiments.values()]
    assert named == ["usual", "own", "forced"]


def test_a_token_that_kfp_gets_by_itself_is_used(
    shell: Shell, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KF_PIPELINES_IAP_OAUTH2_CLIENT_ID", "some-client")
    monkeypatch.setattr("kfp.client.auth.get_auth_token", lambda *_: (TOKEN, False))
    outcome = shell.run(f"%kale_run --host {server.url}")
    assert outcome.success, outcome.printed


def test_nothing_is_uploaded_for_all_where_users_have_namespaces(shell: Shell, tmp_path: Path) -> None:
    with KfpServer(tmp_path / "users", multi_user=True, script=SCRIPT) as users:
        assert "multi-user installation" in shell.refusal(f"%kale_run --host {users.url}")
        assert not users.pipelines


def test_logs_and_values_behind_a_dashboard_for_many(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KALE_COOKIES", "authservice_session=abc")
    shell.run("%config KaleMagics.namespace = 'alice-ns'")
    with KfpServer(
        tmp_path / "dashboard", auth="dex", multi_user=True, prefix="/pipeline", script=SCRIPT
    ) as users:
        outcome = shell.run(f"run = %kale_run --host {users.url}")
        assert "show | ['low']" in outcome.printed
        assert shell.run("print(run.outputs['load']['rows'])").printed == "['low']\n"


def test_the_token_of_a_pod_is_for_servers_of_its_cluster(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kale_magics.kubeflow.access import Access

    place = Path("mounted").absolute()
    place.write_text(TOKEN)
    monkeypatch.setattr("kale_magics.kubeflow.access.TOKEN_FILE", place)
    inside = (
        "http://ml-pipeline:8888",
        "ml-pipeline.kubeflow.svc",
        "http://ml-pipeline.kubeflow.svc.cluster.local",
    )
    assert {Access(host).bearer for host in inside} == {TOKEN}
    assert {
        Access(host).bearer
        for host in ("https://example.org", "http://127.0.0.1:80", "localhost:80", "http://[::1]:80", "")
    } == {""}
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(place))
    assert Access("https://example.org").bearer == ""
    assert Access("https://example.org", token_file=str(place)).bearer == TOKEN
    assert TOKEN not in repr(Access("http://ml-pipeline:8888", token=TOKEN, cookies=f"a={TOKEN}"))
    assert os.environ.get("KALE_TOKEN") is None
