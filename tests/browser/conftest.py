"""One JupyterLab and one browser for all tests; every test has a folder, a kernel and a tab of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, expect, sync_playwright

from tests.browser.lab import PATIENCE, SCREENSHOTS, Lab, Server, server

CHROMIUM = Path(__file__).parents[2] / ".ci" / "chromium"
SIZE = {"width": 1300, "height": 1700}
"""High enough for all cells of a test: JupyterLab takes cells that are out of sight out of the page."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    for old in SCREENSHOTS.glob("failed-*.png"):
        old.unlink()
    chromium = subprocess.run([CHROMIUM], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root or in a container; the only pages are our own.
        options = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("jupyter")) as running:
        yield running


@pytest.fixture
def lab(jupyter: Server, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Lab]:
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(PATIENCE * 1000)
    lab = Lab(jupyter, context, name_of(request.node))
    yield lab
    lab.close()


def name_of(item: pytest.Item) -> str:
    """The name of a test as that of a file."""
    return item.name.removeprefix("test_").replace("[", "-").rstrip("]")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Save what was seen when a test failed, and say where."""
    report = yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.when == "call" and report.failed and lab:
        try:
            seen = str(lab.screenshot(f"failed-{name_of(item)}"))
        except Error as error:  # the browser itself has failed
            seen = f"none: {error}"
        report.sections.append(("Screenshot", seen))
    return report
