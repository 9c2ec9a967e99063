"""A JupyterLab of its own, and what a user does in it.

Nothing here waits for a time: it waits for what has to appear, and fails when that takes too long.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote
from xml.etree import ElementTree

import nbformat
from playwright.sync_api import BrowserContext, Locator, Page, expect

Theme = Literal["light", "dark"]

PATIENCE = 60.0
"""Seconds after which something counts as not happening. Usually it takes two; the first kernel on a fresh
machine has libraries to compile."""

SCREENSHOTS = Path(__file__).parents[2] / "build" / "browser"
SVG_URL = "data:image/svg+xml,"
PICTURES = f"""output =>
    [...output.querySelectorAll("img[src^='{SVG_URL}'], .jp-RenderedHTML svg")]
    .filter(picture => picture.naturalWidth !== 0)  // an image that the browser cannot draw
    .map(picture => picture.src ?? new XMLSerializer().serializeToString(picture))
"""
STATE = re.compile(r"(.+?): (waiting|running|succeeded|failed|skipped|cancelled)\b")


def until(condition: Callable[[], Any], what: str | Callable[[], str], seconds: float = PATIENCE) -> None:
    """Wait for a condition that no event tells of.

    Args:
        condition: Is asked again and again.
        what: What is being waited for, for the message when it does not come; it may be found out then.
        seconds: How long to wait.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.05)


@dataclass(frozen=True)
class Server:
    """A JupyterLab that runs.

    Attributes:
        url: Where it listens, with a slash at the end.
        token: What lets one in.
        root: The folder of its notebooks.
        settings: The folder of its user's settings.
    """

    url: str
    token: str
    root: Path
    settings: Path

    def set(self, plugin: str, values: dict[str, Any]) -> None:
        """Write settings of a plugin, as in "apputils-extension:themes"; a page that is loaded has them."""
        extension, _, name = plugin.partition(":")
        path = self.settings / "@jupyterlab" / extension / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")


@contextlib.contextmanager
def server(folder: Path) -> Iterator[Server]:
    """Run JupyterLab with notebooks, settings and all else in a folder, and end it with its kernels."""
    root, config, runtime, log = (folder / name for name in ("notebooks", "config", "runtime", "jupyter.log"))
    root.mkdir()
    token = secrets.token_hex()
    # Nothing that the user of this machine has set, and no other kernels than this environment's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    environment.update(
        JUPYTER_CONFIG_DIR=str(config),
        JUPYTER_DATA_DIR=str(folder / "data"),
        JUPYTER_RUNTIME_DIR=str(runtime),
        IPYTHONDIR=str(folder / "ipython"),
    )
    options = (
        "--no-browser --allow-root --port=0 --ip=127.0.0.1"
        " --LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"
        " --LabApp.extension_manager=readonly"
    ).split()
    options += [f"--ServerApp.root_dir={root}", f"--IdentityProvider.token={token}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        told = runtime / f"jpserver-{process.pid}.json"
        until(
            lambda: process.poll() is not None or (told.exists() and told.read_text().rstrip().endswith("}")),
            lambda: f"JupyterLab starts; it says:\n{log.read_text()}",
        )
        assert process.poll() is None, f"JupyterLab has ended; it says:\n{log.read_text()}"
        address = json.loads(told.read_text())["url"]
        lab = Server(address, token, root, config / "lab" / "user-settings")
        lab.set("apputils-extension:notification", {"fetchNews": "false", "checkForUpdates": False})
        yield lab
    finally:
        process.send_signal(signal.SIGTERM)  # it ends its kernels then
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()


class Lab:
    """The user of a server, with one tab of the browser.

    Args:
        server: Where to go.
        context: The browser, with nothing in it of other users.
        folder: The name of a folder for the notebook, below the server's.
    """

    def __init__(self, server: Server, context: BrowserContext, folder: str) -> None:
        self.server = server
        self.context = context
        self.folder = server.root / folder
        self.folder.mkdir()
        self.page = context.new_page()

    def open(self, *cells: str, theme: Theme = "light") -> Notebook:
        """Write a notebook of code cells and open it."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={
                # JupyterLab asks which kernel to take if it is not told.
                "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
                "language_info": {"name": "python"},
            },
        )
        path = self.folder / "notebook.ipynb"
        nbformat.write(notebook, path)
        self.server.set("apputils-extension:themes", {"theme": f"JupyterLab {theme.title()}"})
        place = quote(path.relative_to(self.server.root).as_posix())
        self.page.goto(f"{self.server.url}lab/tree/{place}?token={self.server.token}&reset")
        opened = Notebook(self.page, path)
        opened.wait_until_shown()
        name = f"JupyterLab {theme.title()}"
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", name)
        return opened

    def screenshot(self, name: str) -> Path:
        """Save what is seen, as build/browser/NAME.png."""
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def close(self) -> None:
        """Close the tab and end the kernel, as the user would."""
        headers = {"Authorization": f"token {self.server.token}"}
        sessions = f"{self.server.url}api/sessions"
        for session in self.context.request.get(sessions, headers=headers).json():
            self.context.request.delete(f"{sessions}/{session['id']}", headers=headers)
        self.context.close()


class Notebook:
    """An open notebook; its cells are numbered from 0."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.path = path
        self.panel = page.locator(".jp-NotebookPanel:visible")

    def wait_until_shown(self) -> None:
        """Wait for all cells, which come one by one, and for a kernel that has nothing to do."""
        expect(self.panel.locator(".jp-Notebook .jp-Cell")).to_have_count(len(self.saved().cells))
        self.page.get_by_text(re.compile(r"\| Idle$")).wait_for()

    def cell(self, number: int) -> Locator:
        return self.panel.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def output(self, number: int) -> Locator:
        """All that a cell shows below its code."""
        return self.cell(number).locator(".jp-Cell-outputArea")

    def run_all(self) -> None:
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    def run(self, number: int) -> None:
        self.cell(number).locator(".jp-InputArea-editor").click()
        self.page.keyboard.press("Shift+Enter")

    def interrupt(self) -> None:
        """Press the stop button of the toolbar."""
        self.panel.locator(".jp-Toolbar").get_by_role("button", name=re.compile("Interrupt")).click()

    def save(self) -> None:
        """Press Ctrl+S and wait until the file has it all."""
        before = self.path.stat().st_mtime_ns
        self.page.keyboard.press("ControlOrMeta+s")
        until(lambda: self.path.stat().st_mtime_ns != before, "the notebook is saved")
        expect(self.page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0)

    def saved(self) -> nbformat.NotebookNode:
        return nbformat.read(self.path, as_version=4)

    def reload(self) -> None:
        self.page.reload()
        self.wait_until_shown()

    def wait_until_ran(self, number: int) -> None:
        """Wait for the number that a cell gets when it has ended."""
        expect(self.cell(number).locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"))

    def wait_until_idle(self) -> None:
        """Wait until no cell runs or waits to run."""
        expect(self.panel.locator(".jp-InputPrompt", has_text="[*]:")).to_have_count(0)
        self.wait_until_shown()

    def pictures(self, number: int) -> list[str]:
        """The SVG of every picture that a cell shows.

        JupyterLab shows image/svg+xml as an <img> whose address is the whole SVG, and one in HTML as a part
        of the page. It makes a new element for every change, so all are read at once.
        """
        return [unquote(source.removeprefix(SVG_URL)) for source in self.output(number).evaluate(PICTURES)]

    def wait_for_states(self, number: int, seconds: float = PATIENCE, **states: str) -> str:
        """Wait until a cell shows one picture with the steps in these states; give its SVG."""
        pictures: list[str] = []

        def shown() -> bool:
            pictures[:] = self.pictures(number)
            return len(pictures) == 1 and states_of(pictures[0]).items() >= states.items()

        def instead() -> str:
            if len(pictures) == 1:
                seen = f"a picture with {states_of(pictures[0])}"
            else:
                seen = f"{len(pictures)} pictures and the text:\n{self.output(number).inner_text()}"
            return f"one picture with {states} below cell {number}; there is {seen}"

        until(shown, instead, seconds)
        return pictures[0]


def titles(svg: str) -> list[str]:
    """What is shown while the mouse is over a part of a picture."""
    found = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}title")
    return ["".join(title.itertext()) for title in found]


def words(svg: str) -> str:
    """What can be read in a picture, without the mouse."""
    found = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return "\n".join(text.text or "" for text in found)


def states_of(svg: str) -> dict[str, str]:
    """The states of the steps in a picture of a run, by the names of the steps."""
    found = (STATE.match(title) for title in titles(svg))
    return {match[1]: match[2] for match in found if match}
