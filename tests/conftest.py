"""Fixtures that the tests share."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.notebooks import Players
from tests.shells import Shell, fresh_shell


class Schedule(LoadScopeScheduling):  # type: ignore[misc]  # xdist's own annotations are not exported
    """The tests of a file run in one process; of a table of notebooks, those of each notebook do."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        return test.partition("[")[2] if file.endswith(NOTEBOOKS) else file


NOTEBOOKS = ("test_semantics.py", "test_fuzz.py", "test_campaigns.py")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Schedule:
    return Schedule(config, log)


@pytest.fixture(scope="session")
def players(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Players]:
    """What plays notebooks in processes of their own."""
    players = Players(tmp_path_factory.mktemp("cases"))
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


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pauses between two requests to a server pass at once."""
    passed = 0.0

    def sleep(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed, sleep=sleep)
    monkeypatch.setattr("kale_magics.kubeflow.client.time", clock)


def pytest_unconfigure() -> None:
    """Let Python end quickly: each of the many shells that the tests made collects garbage once more then."""
    gc.freeze()
