"""The size of a run's object in a cluster: the estimate against recordings of a server, and its uses."""

from __future__ import annotations

import base64
import copy
import json
import random
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kale_magics.kubeflow.compiler import specifications
from kale_magics.kubeflow.pipeline_spec import read_pipeline
from kale_magics.kubeflow.pod_contents import RUNTIME_STEPS
from kale_magics.kubeflow.workflow_object import WORKFLOW, WorkflowObject, go_json, proto_json
from kale_magics.kubeflow.workflow_size import (
    MAX_UNWARNED,
    MAX_WORKFLOW,
    compressed_bytes,
    size_problem,
    workflow_size,
)
from kale_magics.model.pipeline import CodeBlock, Input, Output, Pipeline, Step
from tests.kfp_server import KfpServer
from tests.shells import Shell, shows

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "recordings/workflow_sizes.json").read_text())
"""Of runs on a server: the documents with the lengths of compressed texts, the object's bytes, its nodes."""

RUNS = [name for name in RECORDED if name != "many"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KfpServer]:
    with KfpServer(tmp_path / "server", script={}) as server:
        yield server


@pytest.fixture
def shell(cluster_shell: Shell) -> Shell:
    return cluster_shell


def random_text(length: int, seed: int = 0) -> str:
    """A text that cannot be compressed, in base64."""
    return base64.b64encode(random.Random(seed).randbytes(length)).decode()[:length]


def recorded_documents(name: str) -> list[Any]:
    """The documents of a recorded run, with random texts for the compressed ones."""
    text = json.dumps(RECORDED[name]["documents"])
    found: list[Any] = json.loads(
        re.sub(r"<(\d+) random characters>", lambda match: random_text(int(match[1])), text)
    )
    return found


def chain(count: int, code: str = "", passes: bool = True) -> Pipeline:
    """A pipeline of steps that each depend on the one before, by a value or by `--after`."""
    steps: list[Step] = []
    for number in range(count):
        name, value, before = f"s{number:02}", f"x{number}", f"x{number - 1}"
        block = CodeBlock(f"{value} = 1\n{code}", f"step {name}", "In [1]", (), number + 1)
        step = Step(name, name, (), (block,))
        if passes:
            step = replace(step, outputs=(Output((value,), f"out_{value}"),))
        if steps and passes:
            step = replace(
                step, inputs=(Input((before,), f"in_{before}", steps[-1].name, steps[-1].outputs[0]),)
            )
        elif steps:
            step = replace(step, after=(steps[-1].name,))
        steps.append(step)
    return Pipeline("many", tuple(steps))


@pytest.mark.parametrize("name", RUNS)
def test_the_estimate_is_near_the_recorded_object(name: str) -> None:
    found = WorkflowObject(*recorded_documents(name), attempts=not name.startswith("older"))
    # Steps that did not start have no nodes.
    started = [
        node for _, node in found.nodes.values() if node["name"][len(WORKFLOW) :] in RECORDED[name]["nodes"]
    ]
    estimate = found.spec_bytes + len(go_json({node["id"]: node for node in started}).encode())
    assert estimate == pytest.approx(RECORDED[name]["bytes"], rel=0.05)


def test_the_estimate_of_many_steps_is_near_the_recorded_object(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = RECORDED["many"]
    monkeypatch.setattr("kale_magics.kubeflow.compiler.MAX_UNWARNED", 10 * MAX_WORKFLOW)
    spec = copy.deepcopy(specifications(chain(60), Path()))[0]
    executors = [executor for _, executor in sorted(spec["deploymentSpec"]["executors"].items())]
    spec["root"]["dag"]["tasks"] = dict(sorted(spec["root"]["dag"]["tasks"].items()))
    for seed, (executor, size) in enumerate(zip(executors, recorded["implementation_bytes"], strict=True)):
        # Programs had a compressed text, and one that was the same in all.
        command = executor["container"]["command"]
        about = (
            re.sub(r"\s+", "", command[-1])
            .partition("step={")[2]
            .partition("with")[0]
            .partition("loader=")[0]
        )
        packed = base64.b64encode(zlib.compress(about.encode(), 9)).decode()
        command[-1] = packed + random_text(max(0, size - 2_000), seed)
        command[-1] += ("load the runtime, " * 100)[: size - len(proto_json(executor["container"]))]
    found = WorkflowObject(spec)
    assert found.spec_bytes == pytest.approx(
        recorded["object_bytes"] - recorded["nodes_bytes_compressed"], rel=0.05
    )
    nodes = dict(list(found.nodes.items())[: recorded["nodes"]])
    text = go_json({key: nodes[key][1] for key in sorted(nodes)})
    assert len(text) == pytest.approx(recorded["nodes_bytes_plain"], rel=0.08)
    assert compressed_bytes(text) == pytest.approx(recorded["nodes_bytes_compressed"], rel=0.06)


@pytest.mark.parametrize("passes", [True, False])
def test_sixty_trivial_steps_fit_with_a_margin(passes: bool) -> None:
    documents = specifications(chain(60, passes=passes), Path())
    assert workflow_size(documents).total < 0.85 * MAX_WORKFLOW
    assert workflow_size(documents, attempts=False).total < workflow_size(documents).total
    tasks = documents[0]["root"]["dag"]["tasks"]
    assert len(tasks) == 60 + len(RUNTIME_STEPS)
    read = read_pipeline(documents[0], "").pipeline
    assert [(step.name, step.upstream) for step in read.steps] == [
        (f"s{n:02}", (f"s{n - 1:02}",) if n else ()) for n in range(60)
    ]


def test_only_a_large_pipeline_is_compact() -> None:
    (spec,) = specifications(chain(5), Path())
    assert set(spec["root"]["dag"]["tasks"]) == {f"s{n:02}" for n in range(5)}
    program = spec["deploymentSpec"]["executors"]["exec-s01"]["container"]["command"][-1]
    assert "        'step': 's01',\n" in program


def test_the_heaviest_steps_are_named() -> None:
    steps = list(chain(12).steps)
    heavy = replace(steps[7].cells[0], source=f"x7 = {random_text(60_000)!r}")
    steps[7] = replace(steps[7], cells=(heavy,))
    pipeline = Pipeline("many", tuple(steps))
    size = workflow_size(specifications(pipeline, Path()))
    found = size_problem(size, [step.name for step in pipeline.steps])
    assert found is not None
    assert "s07 (" in found.message.partition("largest steps are ")[2].partition(",")[0]
    assert size.of_steps()["s07"] > 5 * size.of_steps()["s08"]
    assert size_problem(replace(size, spec=0, compressed=MAX_UNWARNED), []) is None
    large = size_problem(replace(size, spec=0, compressed=MAX_UNWARNED + 1, nodes=MAX_WORKFLOW), [])
    too_large = size_problem(replace(size, spec=MAX_WORKFLOW, compressed=1), [])
    assert large is not None
    assert too_large is not None
    assert (large.severity, too_large.severity) == ("warning", "error")


LARGE = [f"%%kale step s{n}\nx{n} = '{random_text(15_000, n)}'" for n in range(8)]
"""Cells of a pipeline that is too large."""


def test_what_cannot_fit_is_written_and_not_sent(shell: Shell, server: KfpServer) -> None:
    for cell in LARGE:
        shell.run(cell)
    written = shell.run("%kale_compile p.yaml")
    assert written.success
    assert shows(written.printed, "KALE407", "the largest steps are s", "1,024 KiB")
    assert Path("p.yaml").exists()
    assert shows(shell.refusal(f"%kale_run --host {server.url}"), "KALE407", "--image")
    assert shows(shell.refusal(f"%kale_schedule --host {server.url} --every 1h"), "KALE407")
    assert not server.runs
    assert not server.pipelines


def test_what_nearly_fills_the_object_is_warned_of(shell: Shell) -> None:
    for cell in LARGE[:5]:
        shell.run(cell)
    assert "KALE407" in shell.run("%kale_compile p.yaml").printed
