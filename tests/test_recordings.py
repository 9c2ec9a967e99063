"""What a real server of Kubeflow Pipelines answered, as this project understands it.

The recordings are in `tests/recordings`: of version 2.17, and of the settings of earlier versions.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kale_magics.kubeflow.pipeline_spec import IMPLEMENTATION, RemoteTask
from kale_magics.kubeflow.pod_log import is_missing_log, launcher_error, split_log
from kale_magics.kubeflow.pod_status import failure_problem, waiting_problem
from kale_magics.kubeflow.server_states import ended_run_state, task_state
from kale_magics.kubeflow.workflow_nodes import WorkflowNodes
from kale_magics.model.options import StepOptions

FOLDER = Path(__file__).parent / "recordings"
RUNS: dict[str, Any] = json.loads((FOLDER / "runs.json").read_text())
PODS: dict[str, Any] = json.loads((FOLDER / "pods.json").read_text())
ANSWERS: dict[str, Any] = json.loads((FOLDER / "answers.json").read_text())

OUR_RUNS = ["succeeded", "cached", "cached_partly", "failed", "cancelled"]
OUR_RUNS += [f"older_{name}" for name in OUR_RUNS if name != "cached_partly"]

RETRIED = f"retry-{IMPLEMENTATION}"

ASKED = StepOptions(memory=("900Gi", "200M"), timeout=20)


def details_of(run: dict[str, Any]) -> list[Any]:
    """The details of a run's nodes, as kfp's client has them."""
    name = run["workflow"]
    return [
        SimpleNamespace(
            display_name=display and display.replace("<workflow>", name),
            state=history[-1] if history else None,
            state_history=[SimpleNamespace(state=state) for state in history],
            child_tasks=[
                SimpleNamespace(pod_name=f"{name}-{number}" if number else name) for number in children
            ],
            pod_name=None,
            start_time=None,
            end_time=None,
        )
        for display, history, children in run["details"]
    ]


def answer_of(run: dict[str, Any]) -> Any:
    history = [SimpleNamespace(state=state, update_time=None) for state in run["state_history"]]
    return SimpleNamespace(state=run["state"], state_history=history)


def task_of(run: dict[str, Any], key: str) -> RemoteTask:
    retried = run["tasks"][key]["retried"]
    return RemoteTask(key, RETRIED if retried else IMPLEMENTATION, int(retried))


def places(run: dict[str, Any], key: str) -> list[str]:
    """The pods of a task, in the order of its attempts."""
    own = re.compile(rf".*\.root(\(0\))?\.{key}(\(0\))?\.executor(\(\d+\))?")
    found = [
        (place, template, number)
        for place, number, kind, _, template in run["nodes"]
        if kind == "Pod" and own.fullmatch(place)
    ]
    return [f"{run['workflow']}-{template}-{number}" for _, template, number in sorted(found)]


@pytest.mark.parametrize("name", OUR_RUNS)
def test_the_pod_of_each_step_is_found(name: str) -> None:
    run = RUNS[name]
    nodes = WorkflowNodes(details_of(run))
    for key in run["tasks"]:
        real = places(run, key)
        found = nodes.pods(task_of(run, key))
        if real:
            assert found[0] == real[-1]
        elif name != "older_cached":  # there the node of a skipped pod looks like one of a pod
            assert found == ()
    assert any(places(run, key) for key in run["tasks"]) == ("cached" not in (name, name[6:]))


def test_the_events_of_a_pod_are_enough() -> None:
    found = waiting_problem(None, PODS["unschedulable"]["events"], ASKED)
    assert found is not None
    assert "Insufficient memory" in found.message


@pytest.mark.parametrize("name", OUR_RUNS)
def test_steps_from_the_cache_are_recognized(name: str) -> None:
    run = RUNS[name]
    nodes = WorkflowNodes(details_of(run))
    cached = {key for key in run["tasks"] if nodes.is_cached(task_of(run, key))}
    assert cached == (set(run["tasks"]) if name in ("cached", "older_cached") else set())


@pytest.mark.parametrize("name", OUR_RUNS)
def test_drivers_are_found(name: str) -> None:
    run = RUNS[name]
    nodes = WorkflowNodes(details_of(run))
    recorded = {f"{run['workflow']}-{pod}" for pod in run["pods"]}
    for key in run["tasks"]:
        found = nodes.drivers(task_of(run, key))
        started = any(display == f"{key}-driver" and history[-1] for display, history, _ in run["details"])
        assert not started or found[0] in recorded


@pytest.mark.parametrize(
    ("name", "state", "tasks"),
    [
        ("succeeded", "succeeded", {"load": "succeeded", "left-side": "succeeded", "join": "succeeded"}),
        ("failed", "failed", {"bad": "failed", "slow": "failed", "last": "skipped"}),
        ("cancelled", "cancelled", {"bad": "cancelled", "slow": "cancelled", "last": "cancelled"}),
        ("older_failed", "failed", {"bad": "failed", "slow": "failed", "last": "skipped"}),
        ("older_cancelled", "cancelled", {"bad": "succeeded", "slow": "cancelled", "last": "cancelled"}),
    ],
)
def test_states(name: str, state: str, tasks: dict[str, str]) -> None:
    run = RUNS[name]
    nodes, answer = WorkflowNodes(details_of(run)), answer_of(run)
    assert ended_run_state(answer) == state
    assert {key: task_state(nodes.task(task_of(run, key)), answer) for key in tasks} == tasks


def test_a_step_that_failed_before_the_cancellation_has_failed() -> None:
    cancelled = datetime(2026, 11, 29, 22, 6, tzinfo=timezone.utc)
    changes = [("RUNNING", cancelled - timedelta(minutes=2)), ("CANCELING", cancelled), ("FAILED", cancelled)]
    history = [SimpleNamespace(state=state, update_time=moment) for state, moment in changes]
    answer = SimpleNamespace(state="FAILED", state_history=history)
    before = SimpleNamespace(state="FAILED", end_time=cancelled - timedelta(minutes=1))
    after = SimpleNamespace(state="FAILED", end_time=cancelled + timedelta(minutes=1))
    assert (task_state(before, answer), task_state(after, answer)) == ("failed", "cancelled")


@pytest.mark.parametrize(
    ("name", "says", "fix"),
    [
        ("unschedulable", ["0/1 nodes are available: 1 Insufficient memory", "900Gi"], "--memory"),
        ("no_image", ["registry.example.invalid/none:1", "no such host"], "--image"),
        ("no_secret", ['secret "nothere" not found'], "create"),
    ],
)
def test_why_a_pod_does_not_start(name: str, says: list[str], fix: str) -> None:
    pod = PODS[name]
    found = waiting_problem(pod, pod["events"], ASKED)
    assert found is not None
    assert [text for text in says if text not in found.message] == []
    assert fix in found.fix


@pytest.mark.parametrize("name", ["no_package", "succeeded", "deadline", "out_of_memory"])
def test_a_pod_that_has_started_waits_for_nothing(name: str) -> None:
    assert waiting_problem(PODS[name], PODS[name]["events"], ASKED) is None


@pytest.mark.parametrize(
    ("name", "says", "fix"),
    [
        ("out_of_memory", ["out of memory", "200M"], "--memory"),
        ("deadline", ["time limit of 20 s"], "--timeout"),
        ("no_package", ["no-such-package-xyz==9"], "--packages"),
    ],
)
def test_why_a_pod_died(name: str, says: list[str], fix: str) -> None:
    found = failure_problem(PODS[name], PODS[name]["api_log"], ASKED)
    assert found is not None
    assert [text for text in says if text not in found.message] == []
    assert fix in found.fix


def test_the_limit_of_a_pod_with_several_attempts_is_not_that_of_one() -> None:
    found = failure_problem(PODS["deadline"], "", replace(ASKED, retries=1))
    assert found is not None
    assert found.message == "ended after its time limit"


def test_a_pod_that_is_gone_leaves_the_end_of_its_log() -> None:
    killed, packages = PODS["out_of_memory"]["api_log"], PODS["no_package"]["api_log"]
    assert "137" in launcher_error(killed)
    for log, fix in ((killed, "--memory"), (packages, "--packages")):
        found = failure_problem(None, log, ASKED)
        assert found is not None
        assert fix in found.fix


@pytest.mark.parametrize("place", ["api_log", "page_log"])
def test_the_log_of_a_step_is_its_own_text(place: str) -> None:
    body, result = split_log(PODS["succeeded"][place])
    assert (body, result and result["step"]) == ("loaded [0, 1, 2]\n", "load")
    body, result = split_log(PODS["raised"][place])
    assert body.startswith("before\nTraceback")
    assert result
    assert result["error"]["type"] == "ZeroDivisionError"
    body, result = split_log(PODS["no_package"][place])
    assert result is None
    assert [line.partition(":")[0] for line in body.splitlines()] == ["ERROR", "ERROR"]


@pytest.mark.parametrize(
    "line",
    [
        "Error: exit status 3",
        "I1129 12:00:00.000000      16 main.go:139] a program of the user's",
        "W1129 12:00:00.000000      16 server.go:9] {",
        '{"error_message": "mine"}',
        "}",
    ],
)
@pytest.mark.parametrize("place", ["api_log", "page_log"])
def test_lines_of_the_users_own_programs_stay(line: str, place: str) -> None:
    printed = PODS["succeeded"][place].replace("loaded [0, 1, 2]\n", f"before\n{line}\nafter\n}}\n{line}\n")
    assert split_log(printed)[0] == f"before\n{line}\nafter\n}}\n{line}\n"


def test_an_error_of_the_api_is_no_log_but_a_line_of_a_step_is() -> None:
    missing = ANSWERS["api_log"]
    assert missing["status"] == 200
    assert is_missing_log(missing["body"].encode())
    printed = PODS["succeeded"]["api_log"].replace("loaded [0, 1, 2]", missing["body"])
    assert not is_missing_log(printed.encode())
    assert split_log(printed)[0] == missing["body"] + "\n"
