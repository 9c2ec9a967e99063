"""Fixtures that the tests share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.notebooks import ENVIRONMENT, Players


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


def pytest_unconfigure() -> None:
    """Let Python end quickly: each of the many shells that the tests made collects garbage once more then."""
    gc.freeze()
