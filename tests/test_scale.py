"""What a pipeline of many steps costs: work is counted as calls, and grows as the steps do."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kale_magics.dataflow.assemble import assemble
from kale_magics.execution.events import TaskStarted
from kale_magics.execution.request import RunRequest
from kale_magics.local import engine
from kale_magics.local.step_process import LineReader
from kale_magics.model.task_id import TaskId
from kale_magics.view import svg, tree
from kale_magics.view.live import LiveView
from tests.benchmarks.bench import marked_cells
from tests.benchmarks.engine_bench import pipeline_of
from tests.test_view import chain, fan

GROWTH = 2.4
"""Twice as many steps may take so many times as much work: it is not quite linear, but far from quadratic."""


def calls_of(action: Callable[[], Any]) -> int:
    """How many functions of Python and of C are called."""
    count = 0

    def hear(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(hear)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


def growth(work: Callable[[int], int]) -> float:
    """How much more is done for 200 to 400 steps than for 100 to 200."""
    few, some, many = map(work, (100, 200, 400))
    return (many - some) / (some - few)


@pytest.mark.parametrize("make", [chain, fan])
@pytest.mark.parametrize("view", [svg, tree])
def test_a_view_of_twice_the_steps_takes_twice_the_work(make, view):
    assert growth(lambda steps: calls_of(lambda: view(make(steps)))) < GROWTH


def test_twice_the_cells_are_assembled_with_twice_the_work():
    assemble(marked_cells(400))  # what is remembered of a cell's text is remembered of all
    assert growth(lambda steps: calls_of(lambda: assemble(marked_cells(steps)))) < GROWTH


@pytest.mark.parametrize("make", [chain, fan])
def test_the_next_picture_of_a_run_is_not_made_anew(make):
    view = LiveView(make(400))
    first = calls_of(view._repr_mimebundle_)
    view.handle(TaskStarted(TaskId("s7")))
    assert calls_of(view._repr_mimebundle_) < first / 5


def test_the_record_of_a_run_is_not_written_for_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written = []
    write = engine.write_json
    monkeypatch.setattr(engine, "write_json", lambda path, value: [written.append(path), write(path, value)])
    pipeline = pipeline_of([(f"step s{number}", "x = 1") for number in range(40)])
    places = {"runs_folder": tmp_path / "runs", "working_directory": tmp_path}
    run = engine.run_pipeline(RunRequest(pipeline), **places, listener=lambda event: None)
    assert run.state == "succeeded"
    records = sum(path.name == "run.json" for path in written)
    assert 2 <= records <= 2 + (run.seconds or 0) / engine.SAVE_INTERVAL


@pytest.mark.parametrize(
    "written",
    [
        [b"x" * 4_000] * 500,
        [b"."] * 20_000,
        [b"\r%d %%" % number for number in range(5_000)],
        [b"a\rb\rc\rd\r\n" * 300] * 50,
        [bytes(range(256)) * 100] * 20,
        [b"line\n" * 1_000] * 50,
    ],
    ids=["no line end", "dots", "a bar", "many bars", "binary", "lines"],
)
def test_each_byte_that_a_step_prints_is_looked_at_a_few_times(written, monkeypatch):
    looked = 0
    add, complete = LineReader._add, LineReader._complete

    def counted_add(self: LineReader, piece: bytes) -> None:
        nonlocal looked
        looked += len(piece) + (len(self._line) if b"\r" in piece else 0)
        add(self, piece)

    def counted_complete(self: LineReader) -> bytes:
        nonlocal looked
        looked += len(self._line)
        return complete(self)

    monkeypatch.setattr(LineReader, "_add", counted_add)
    monkeypatch.setattr(LineReader, "_complete", counted_complete)
    reader = LineReader()
    for part in written:
        os.write(reader.writer, part)
        reader.read()
    os.close(reader.writer)
    reader.drain()
    reader.close()
    assert sum(map(len, written)) / 2 <= looked <= 3 * sum(map(len, written))
