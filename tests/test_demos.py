"""The demo notebooks: they run from top to bottom, and what is committed is what comes of that."""

from __future__ import annotations

import ast
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.kfp_server import KfpServer
from tests.tiers import slow_but

FOLDER = Path(__file__).parents[1] / "demo_notebooks"
NAMES = ("quickstart", "cancer_screening", "on_a_cluster")
TIMEOUT = 180
"""Seconds that a cell may take."""

OF_A_MACHINE = re.compile(r"(?<![\w.<])(?:/(?:home|root|tmp|work|Users|private|var|opt)/|[A-Z]:\\)")
SUMMARY = re.compile(r"^(\S.*?) +(✓ succeeded|✗ failed|○ skipped) +(?:[\d.]+ s|cached)$", re.MULTILINE)


@dataclass(frozen=True)
class Demo:
    """A notebook with its outputs."""

    cells: dict[str, Any]

    def printed(self, cell_id: str) -> str:
        outputs = self.cells[cell_id].outputs
        return "".join(output.text for output in outputs if output.output_type == "stream")

    def shown(self, cell_id: str) -> Any:
        """What a cell displays, by type of media."""
        (data,) = (output.data for output in self.cells[cell_id].outputs if "data" in output)
        return data

    @property
    def metrics(self) -> dict[str, float]:
        found = ast.literal_eval(self.shown("metrics-of-run")["text/plain"])
        assert isinstance(found, dict)
        return found

    @property
    def graph(self) -> str:
        """The graph as text, without the sizes, in which releases of libraries differ."""
        return re.sub(r" \([\d.]+ [KM]?B\)", "", self.shown("graph")["text/plain"])


def read(path: Path) -> Demo:
    cells = nbformat.read(path, as_version=4).cells
    return Demo({cell.id: cell for cell in cells if cell.cell_type == "code"})


@pytest.fixture(scope="module", params=slow_but(("quickstart",), NAMES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def committed(name: str) -> Demo:
    return read(FOLDER / f"{name}.ipynb")


@pytest.fixture(scope="module")
def fresh(name: str, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The notebook executed in another folder; a cell that fails fails this."""
    folder = tmp_path_factory.mktemp(name)
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    place = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", resources=place)
    client.execute(env={**os.environ, "JPY_SESSION_NAME": "", "KALE_HOST": ""})
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return read(folder / f"{name}.ipynb")


def test_the_committed_notebook_was_run_from_top_to_bottom(committed: Demo) -> None:
    counts = [cell.execution_count for cell in committed.cells.values()]
    assert counts == list(range(1, len(counts) + 1))
    outputs = [output for cell in committed.cells.values() for output in cell.outputs]
    assert all(output.output_type != "error" for output in outputs)
    assert all(output.get("name") != "stderr" for output in outputs)


def test_nothing_of_the_machine_is_committed(name: str) -> None:
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    texts = re.sub(r'"image/png": "[^"]*"', "", text)
    assert OF_A_MACHINE.findall(texts) == []


def test_the_graph_is_drawn(committed: Demo, fresh: Demo) -> None:
    assert fresh.graph == committed.graph
    for demo in (committed, fresh):
        svg = demo.shown("graph")["image/svg+xml"]
        svg = svg if isinstance(svg, str) else "".join(svg)
        assert svg.startswith("<svg")
        assert svg.count("<title>") > 4


@pytest.mark.parametrize("cell", ["run", "second-run"])
def test_the_runs_succeed(cell: str, committed: Demo, fresh: Demo) -> None:
    states = dict(SUMMARY.findall(fresh.printed(cell)))
    assert set(states.values()) == {"✓ succeeded"}
    assert states == dict(SUMMARY.findall(committed.printed(cell)))
    for demo in (committed, fresh):
        assert "✓ run succeeded in" in demo.printed(cell)


def test_the_metrics_are_the_committed_ones(committed: Demo, fresh: Demo) -> None:
    # Releases of scikit-learn may differ a little in what they fit.
    assert fresh.metrics == pytest.approx(committed.metrics, abs=0.05)


def test_the_screening_shows_all_that_there_is() -> None:
    demo = read(FOLDER / "cancer_screening.ipynb")
    lines = [cell.source.partition("\n")[0] for cell in demo.cells.values()]
    for kind in ("imports", "functions", "parameters", "step", "metrics", "skip"):
        assert any(line.startswith(f"%%kale {kind}") for line in lines), kind
    assert any(line.startswith("%kale step") for line in lines)
    assert "image/png" in demo.shown("curves")


def test_the_models_of_the_screening_wait_for_nothing_but_the_data() -> None:
    graph = read(FOLDER / "cancer_screening.ipynb").shown("graph")["text/plain"]
    for model in ("logistic regression", "nearest neighbours", "forest", "boosting"):
        assert re.search(rf"{model} +X_train, y_train from split \([^)]+\)$", graph, re.MULTILINE), model


def test_the_picture_of_the_readme_is_the_one_of_the_notebook() -> None:
    svg = read(FOLDER / "cancer_screening.ipynb").shown("graph")["image/svg+xml"]
    text = svg if isinstance(svg, str) else "".join(svg)
    assert (FOLDER / "cancer_screening.svg").read_text(encoding="utf-8").rstrip() == text.rstrip()


@pytest.mark.kfp
def test_the_notebook_for_a_cluster_gives_the_same_there(tmp_path: Path) -> None:
    notebook = nbformat.read(FOLDER / "on_a_cluster.ipynb", as_version=4)
    with KfpServer(tmp_path / "server", auth="token") as server:
        client = NotebookClient(
            notebook, timeout=TIMEOUT, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
        )
        client.execute(env={**os.environ, "KALE_HOST": server.url, "KALE_TOKEN": "secret-token"})
    nbformat.write(notebook, tmp_path / "executed.ipynb")
    there, here = read(tmp_path / "executed.ipynb"), read(FOLDER / "on_a_cluster.ipynb")
    assert there.metrics == pytest.approx(here.metrics, abs=0.05)
    assert f"{server.url}/#/runs/details/" in there.printed("run")
    assert "compare | the line is right for" in there.printed("run")
    assert there.printed("logs").startswith("the line is right for")
    assert len(server.store.versions) == 1
    assert len(server.store.runs) == 2
    reports = [
        node.outputs["report"].read_text()
        for run in server.store.runs.values()
        for node in run.workflow.nodes.values()
        if "report" in node.outputs
    ]
    assert len(reports) == 8
    assert any('<img src="data:image/png;base64,' in report for report in reports)
    assert "secret-token" not in (tmp_path / "executed.ipynb").read_text()
