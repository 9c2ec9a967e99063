"""What a user of JupyterLab sees: of the marked cells, of a run while it goes on, and after it has ended."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.lab import Lab, Notebook, Theme, titles, until, words
from tests.kfp_server import KfpServer

LOAD = "%load_ext kale_magics"
IMPORTS = "%%kale imports\nimport os\nimport time\nfrom pathlib import Path"
DIAMOND = (
    LOAD,
    IMPORTS,
    "%%kale parameters\nrows = 10",
    "%%kale step load\nnumbers = list(range(rows))",
    "%%kale step total\ntotal = sum(numbers)",
    "%%kale step largest\nlargest = max(numbers)",
    "%%kale step join\nscore = total / largest",
    "%%kale metrics\nscore",
)
STEPS = ("load", "total", "largest", "join")

# Cells that are not run in the notebook: the test says when they may end, or the stop button does.
WAITS_FOR_GO = """%%kale step wait --no-run
while not Path("go").exists():
    time.sleep(0.05)
waited = n + 1"""
WAITS_FOR_EVER = """%%kale step stuck --no-run
Path("pid").write_text(f"{os.getpid()}\\n")
while n:
    time.sleep(0.05)"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def finished_run(lab: Lab, theme: Theme = "light") -> tuple[Notebook, int]:
    """A notebook that has run its pipeline, and the number of the cell that shows it."""
    notebook = lab.open(*DIAMOND, "%kale_run", theme=theme)
    notebook.run_all()
    shows = len(DIAMOND)
    notebook.wait_until_ran(shows)
    return notebook, shows


def test_the_marked_cells_are_shown_as_a_table_and_as_a_picture(lab: Lab) -> None:
    notebook = lab.open(*DIAMOND, "%kale", "%kale_graph")
    notebook.run_all()
    table, graph = len(DIAMOND), len(DIAMOND) + 1
    notebook.wait_until_ran(graph)
    for step in STEPS:
        expect(notebook.output(table).locator("table tr", has_text=step).first).to_be_visible()
    until(lambda: notebook.pictures(graph), "the graph is drawn")
    (svg,) = notebook.pictures(graph)
    for step in STEPS:
        assert step in words(svg)
        assert any(title.startswith(step) for title in titles(svg)), titles(svg)
    lab.screenshot("table-and-graph")


def test_a_run_is_a_picture_that_changes_in_place(lab: Lab) -> None:
    notebook = lab.open(
        LOAD,
        IMPORTS,
        "%%kale step load\nn = 1",
        WAITS_FOR_GO,
        "%%kale step quick\nquick = n + 2",
        "%%kale step join --no-run\nprint(waited + quick)",
        "%kale_run",
    )
    run = 6
    notebook.run_all()
    notebook.wait_for_states(run, load="succeeded", wait="running", quick="succeeded", join="waiting")
    # It is a part of the page then: what is pointed at is told. The last one stays, as an image.
    expect(notebook.output(run).locator("svg title", has_text="wait: running")).to_have_count(1)
    lab.screenshot("run-going-on")
    (lab.folder / "go").touch()
    svg = notebook.wait_for_states(run, **dict.fromkeys(("load", "wait", "quick", "join"), "succeeded"))
    for step in ("load", "wait", "quick", "join"):
        assert step in words(svg)
    notebook.wait_until_ran(run)
    expect(notebook.output(run)).to_contain_text("run succeeded")
    assert len(notebook.pictures(run)) == 1
    expect(notebook.output(run).locator("img")).to_have_count(1)
    lab.screenshot("run-succeeded")


def test_the_stop_button_cancels_a_run(lab: Lab) -> None:
    notebook = lab.open(
        LOAD,
        IMPORTS,
        "%%kale step load\nn = 1",
        WAITS_FOR_EVER,
        "%kale_run",
        "print('six times seven is', 6 * 7)",
    )
    run, other = 4, 5
    notebook.run_all()
    notebook.wait_for_states(run, load="succeeded", stuck="running")
    pid_file = lab.folder / "pid"
    until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"), "the step writes its pid")
    pid = int(pid_file.read_text())
    assert alive(pid)
    notebook.interrupt()
    notebook.wait_for_states(run, seconds=10, load="succeeded", stuck="cancelled")
    until(lambda: not alive(pid), f"process {pid} of the step ends", seconds=10)
    notebook.wait_until_idle()
    lab.screenshot("run-cancelled")
    expect(notebook.output(other)).to_be_empty()
    notebook.run(other)
    expect(notebook.output(other)).to_contain_text("six times seven is 42")


def test_a_run_beside_the_work_is_shown_below_its_cell(lab: Lab) -> None:
    notebook = lab.open(
        LOAD,
        IMPORTS,
        "%%kale step load\nn = 1",
        WAITS_FOR_GO,
        "%%kale step join --no-run\nprint('it is', waited)",
        "run = %kale_run --background",
        "print('six times seven is', 6 * 7)",
    )
    run, other = 5, 6
    notebook.run_all()
    expect(notebook.output(other)).to_contain_text("six times seven is 42")
    notebook.wait_for_states(run, load="succeeded", wait="running", join="waiting")
    (lab.folder / "go").touch()
    notebook.wait_for_states(run, load="succeeded", wait="succeeded", join="succeeded")
    expect(notebook.output(run)).to_contain_text("it is 2")
    expect(notebook.output(run)).to_contain_text("run succeeded")
    expect(notebook.output(other)).to_have_text("six times seven is 42\n")
    lab.screenshot("run-beside")


def test_the_picture_of_a_run_is_saved_with_the_notebook(lab: Lab) -> None:
    notebook, run = finished_run(lab)
    svg = notebook.wait_for_states(run, join="succeeded")
    notebook.save()
    outputs = notebook.saved().cells[run].outputs
    saved = [output.data["image/svg+xml"] for output in outputs if "image/svg+xml" in output.get("data", {})]
    assert saved == [svg]
    assert {output.output_type for output in outputs} <= {"display_data", "execute_result", "stream"}
    notebook.reload()
    notebook.wait_for_states(run, join="succeeded")
    lab.screenshot("run-after-reload")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_run_can_be_read_in_both_themes(theme: Theme, lab: Lab) -> None:
    notebook, run = finished_run(lab, theme)
    notebook.wait_for_states(run, **dict.fromkeys(STEPS, "succeeded"))
    expect(notebook.output(run)).to_contain_text("run succeeded")
    lab.screenshot(f"run-{theme}")


def test_a_run_on_a_server_looks_like_one_that_is_here(lab: Lab, tmp_path: Path) -> None:
    with KfpServer(tmp_path) as server:
        server.hold("total")
        notebook = lab.open(*DIAMOND, f"run = %kale_run --host {server.url}", "%kale_pull load numbers")
        run, pull = len(DIAMOND), len(DIAMOND) + 1
        notebook.run_all()
        notebook.wait_for_states(run, load="succeeded", total="running", join="waiting")
        expect(notebook.output(run)).to_contain_text(f"{server.url}/#/runs/details/")
        lab.screenshot("server-run-going-on")
        server.release("total")
        notebook.wait_for_states(run, **dict.fromkeys(STEPS, "succeeded"))
        expect(notebook.output(run)).to_contain_text("run succeeded")
        notebook.wait_until_ran(pull)
        lab.screenshot("server-run-succeeded")
