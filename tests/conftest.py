"""Fixtures that the tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebooks import ENVIRONMENT, Players
from tests.shells import Shell, fresh_shell


@pytest.fixture(scope="session")
def players(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Players]:
    """Processes that play the cases of all the tests that are going to run, some at a time."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        players = Players(tmp_path_factory.mktemp("cases"))
    tests = [item for item in request.session.items if "players" in getattr(item, "fixturenames", ())]
    cases = {item.callspec.params["case"].id: item.callspec.params["case"] for item in tests}
    with_kfp = {item.callspec.params["case"].id for item in tests if "kfp" in item.originalname}
    for case in cases.values():
        players.begin(case, case.id in with_kfp)
    yield players
    players.close()


@pytest.fixture
def kale_shell(capfd: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """A shell with the extension."""
    with fresh_shell(lambda: "".join(capfd.readouterr())) as shell:
        shell.run("%load_ext kale_magics")
        yield shell
        shell.run("%unload_ext kale_magics")


@pytest.fixture
def cluster_shell(kale_shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell in an empty folder, whose user knows of no server yet and is impatient with those that come."""
    (tmp_path / "notebook").mkdir()
    monkeypatch.chdir(tmp_path / "notebook")
    variables = [name for name in os.environ if name.startswith(("KF_PIPELINES_", "KALE_"))]
    for name in variables:
        monkeypatch.delenv(name)
    monkeypatch.setattr("kale_magics.kubeflow.server_source.PAUSE", 0.05)
    return kale_shell


def pytest_unconfigure() -> None:
    """Let Python end quickly: each of the many shells that the tests made collects garbage once more then."""
    gc.freeze()
