"""Whole notebooks, in kernels of their own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.kfp_server import KfpServer
from tests.tiers import slow_but

TIMEOUT = 60
"""Seconds that a cell may take."""

NOTEBOOK = [
    "%load_ext kale_magics",
    "%%kale imports\nimport math",
    "%%kale parameters\nepochs = 3",
    "%%kale step load\nimport asyncio\nawait asyncio.sleep(0)\ndata = list(range(epochs))\ndata",
    "%%kale step train\nmodel = sum(data)\nprint('trained')",
    "%%kale step 'the rest'\nprint(math.floor(model))",
    "%%kale metrics\nmodel",
]


def notebook(cells: list[str]) -> Any:
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])


def executed(cells: list[str], folder: Path, fails: bool = False) -> list[Any]:
    """The cells of a notebook after Run All, as far as that went."""
    written = notebook(cells)
    client = NotebookClient(written, timeout=TIMEOUT, resources={"metadata": {"path": str(folder)}})
    if fails:
        with pytest.raises(CellExecutionError):
            client.execute()
    else:
        client.execute()
    return list(written.cells)


def printed(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def shown(cell: Any) -> list[Any]:
    """What a cell displays, by type of media."""
    return [
        output.data for output in cell.outputs if output.output_type in ("display_data", "execute_result")
    ]


def test_run_all_runs_the_pipeline(tmp_path: Path) -> None:
    cells = executed(
        [*NOTEBOOK, "%kale", "%kale_graph", "%kale_run", "run = %kale_run -p epochs=4\nrun"], tmp_path
    )
    table, graph, bare, assigned = cells[-4:]
    assert shown(cells[3])[0]["text/plain"] == "[0, 1, 2]"
    assert "<table>" in shown(table)[0]["text/html"]
    assert printed(table) == ""
    assert shown(graph)[0]["image/svg+xml"].startswith("<svg")
    assert "the rest | 3\n" in printed(bare)
    assert "✓ run succeeded" in printed(bare)
    (picture,) = shown(bare)  # of the run, which is not shown as a result as well
    assert "✓ run succeeded" in picture["text/plain"]
    assert picture["image/svg+xml"].startswith("<svg")
    assert "the rest | 6\n" in printed(assigned)
    assert (tmp_path / ".kale" / "runs").is_dir()


def test_a_run_is_shown_where_it_is_asked_for(tmp_path: Path) -> None:
    last = executed([*NOTEBOOK, "run = %kale_run", "run"], tmp_path)[-1]
    assert re.fullmatch(r"<run pipeline [\w-]+: succeeded, [\d.]+ s>", shown(last)[0]["text/plain"])


MISTAKES = [
    ("%%kale stp late\nx = 1", "KALE101", "did you mean %%kale step?"),
    ("# a comment\n%%kale step late\nx = 1", "KALE105", "first line"),
    ("%%kale step late\n", "KALE106", "write the code below"),
    ("%kale_run -p epoch=1", "KALE109", "did you mean epochs?"),
]


@pytest.mark.parametrize("row", slow_but(MISTAKES[:1], MISTAKES), ids=lambda row: row[1])
def test_run_all_stops_at_a_mistake(tmp_path: Path, row: tuple[str, str, str]) -> None:
    mistake, code, fix = row
    wrong, after = executed([*NOTEBOOK, mistake, "print('on')"], tmp_path, fails=True)[-2:]
    (error,) = (output for output in wrong.outputs if output.output_type == "error")
    assert error.ename == "KaleError"
    assert error.traceback[0].startswith(code)
    assert fix in error.traceback[-1]
    assert len(error.traceback) == 3
    assert after.outputs == []


def test_run_all_stops_at_a_step_that_fails(tmp_path: Path) -> None:
    late = "%%kale step late --no-run\nprint('so far')\n1 / 0"
    run, after = executed([*NOTEBOOK, late, "%kale_run", "print('on')"], tmp_path, fails=True)[-2:]
    (error,) = (output for output in run.outputs if output.output_type == "error")
    assert error.ename == "KaleError"
    assert "In [8], step late, line 3: 1 / 0" in error.traceback[-3]
    assert "late     | so far\n" in printed(run)
    assert "✗ run failed" in printed(run)
    assert after.outputs == []


@dataclass
class Reply:
    """What a kernel answered to a cell."""

    status: str
    error: str = ""
    printed: str = ""
    data: list[dict[str, str]] = field(default_factory=list)


class Kernel:
    """A kernel with a frontend that says the ids of its cells, as JupyterLab does."""

    def __init__(self, manager: Any, client: Any) -> None:
        self.manager, self.client = manager, client

    def run(
        self, cell: str, cell_id: str | None = None, on_line: Callable[[str], None] = lambda _: None
    ) -> Reply:
        content = {
            "code": cell, "silent": False, "store_history": True, "user_expressions": {},
            "allow_stdin": False, "stop_on_error": False,
        }  # fmt: skip
        metadata = {"cellId": cell_id} if cell_id else {}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        reply = Reply("")
        while True:
            told = self.client.get_iopub_msg(timeout=TIMEOUT)
            if told["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            kind, content = told["msg_type"], told["content"]
            if kind == "stream":
                reply.printed += content["text"]
                on_line(content["text"])
            elif kind in ("display_data", "execute_result"):
                reply.data.append(content["data"])
            elif kind == "error":
                reply.error = "\n".join(content["traceback"])
            elif kind == "status" and content["execution_state"] == "idle":
                reply.status = self.status(message)
                return reply

    def status(self, message: Any) -> str:
        """How the kernel replied; it may have replied to what was asked as it started first."""
        while True:
            reply = self.client.get_shell_msg(timeout=TIMEOUT)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return str(reply["content"]["status"])

    def table(self) -> list[str]:
        """The lines of `%kale`, without its head."""
        return str(self.run("%kale").data[0]["text/plain"]).splitlines()[2:]


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    environment = {**os.environ, "JPY_SESSION_NAME": str(tmp_path / "fraud.ipynb")}
    manager, client = start_new_kernel(cwd=str(tmp_path), env=environment)
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_the_frontend_tells_cells_apart(kernel: Kernel) -> None:
    kernel.run("%load_ext kale_magics", "0")
    kernel.run("%%kale step a\nx = 1", "1")
    kernel.run("%%kale step b\nx + 1", "2")
    kernel.run("%%kale step a\nx = 2", "1")
    assert [line.split()[:4] for line in kernel.table()] == [
        ["step", "a", "In", "[4]"],
        ["step", "b", "In", "[3]"],
    ]
    kernel.run("%%kale skip\nx = 2", "1")
    kernel.run("x + 1", "2")
    assert [line.split()[0] for line in kernel.table()] == ["skip"]


def test_the_file_gives_the_order_the_name_and_what_has_changed(kernel: Kernel, tmp_path: Path) -> None:
    for cell_id, cell in (
        ("0", "%load_ext kale_magics"),
        ("b", "%%kale step b\nx = 1"),
        ("a", "%%kale step a\ny = 1"),
    ):
        assert kernel.run(cell, cell_id).status == "ok"
    written = notebook(["%load_ext kale_magics", "%%kale step a\ny = 1", "%%kale step b\nx = 2"])
    for cell, cell_id in zip(written.cells, "0ab", strict=True):
        cell["id"] = cell_id
    nbformat.write(written, tmp_path / "fraud.ipynb")
    first, second = kernel.table()
    assert re.match(r"step +a +In \[3\] +✓ ran", first)
    assert re.match(r"step +b +In \[2\] +≠ changed since", second)
    reply = kernel.run("import os\nos.mkdir('elsewhere')\nos.chdir('elsewhere')\nrun = %kale_run")
    assert reply.printed.startswith("1 warning\n\nKALE218 ")
    assert any(data.get("text/plain", "").startswith("fraud: 2 steps") for data in reply.data)
    assert f"files: {tmp_path / '.kale' / 'runs'}" in reply.printed


def test_an_interrupt_cancels_the_run(kernel: Kernel) -> None:
    kernel.run("%load_ext kale_magics\nimport kale_magics")
    kernel.run("%%kale step endless --no-run\nimport time\nprint('begun')\nwhile True:\n    time.sleep(0.01)")

    def interrupt(text: str) -> None:
        if "| begun" in text:
            kernel.manager.interrupt_kernel()

    reply = kernel.run("%kale_run", on_line=interrupt)
    assert reply.status == "error"
    assert "KeyboardInterrupt" in reply.error
    assert kernel.run("kale_magics.last_run().state").data[0]["text/plain"] == "'cancelled'"


def test_a_line_is_shown_while_the_step_still_runs(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run("%load_ext kale_magics")
    kernel.run(
        "%%kale step patient --no-run\nimport pathlib, time\nprint('waiting')\n"
        "while not pathlib.Path('go').exists():\n    time.sleep(0.01)\nprint('gone')"
    )

    def answer(text: str) -> None:
        if "| waiting" in text:
            (tmp_path / "go").touch()

    assert "patient | gone" in kernel.run("%kale_run", on_line=answer).printed


def test_a_run_on_a_server_that_nobody_follows_is_the_result_of_its_cell(
    kernel: Kernel, tmp_path: Path
) -> None:
    with KfpServer(tmp_path / "server", script={}) as server:
        kernel.run("%load_ext kale_magics")
        kernel.run("%%kale step alone --no-run\nx = 1")
        left = kernel.run(f"%kale_run --host {server.url} --no-wait").data
        assert [data["text/plain"].split()[0] for data in left] == ["<run"]
        followed = kernel.run(f"%kale_run --host {server.url}").data
        assert not [data for data in followed if data["text/plain"].startswith("<run")]


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "left"), [("inline", "1 []"), ("agg", "2 [1]")])
def test_figures_are_closed_in_a_step_when_they_are_in_the_notebook(
    tmp_path: Path, backend: str, left: str
) -> None:
    cells = executed(
        [
            "%load_ext kale_magics",
            f"%matplotlib {backend}",
            "%%kale imports\nimport matplotlib.pyplot as plt",
            "%%kale step draw\nplt.plot([1, 2])",
            "%%kale step draw\nplt.plot([2, 1])\nlines = len(plt.gca().lines)\nplt.show()",
            "%%kale step draw\nprint(lines, plt.get_fignums())",
            "%kale_run",
        ],
        tmp_path,
    )
    assert printed(cells[-2]) == f"{left}\n"
    assert f"draw | {left}\n" in printed(cells[-1])
