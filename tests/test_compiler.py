"""The YAML, judged by KFP itself: what its loader reads and what its local runner computes."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from kale_magics.kubeflow.compiler import compile_pipeline, pipeline_name
from kale_magics.kubeflow.pod_contents import RUNTIME_STEPS
from kale_magics.model.diagnostics import KaleError
from kale_magics.model.naming import encode_step
from kale_magics.model.pipeline import (
    CodeBlock,
    Input,
    Json,
    Output,
    Parameter,
    Pipeline,
    Step,
    StepOptions,
)
from kale_magics.step_runtime.parameters import encode_parameter
from tests.kfp_tasks import python, run_yaml

CLASS = "class Account:\n    def __init__(self, owner): self.owner, self.sums = owner, []\n"
SETUP = (CodeBlock(CLASS, "functions", "In [1]", (("Account", "Account@1"),)),)
ACCOUNT = Output(("account",), "out_account", "Model")
TOTAL = Output(("total", "count"), "out_total", "Dataset")

VALUES: list[tuple[str, Any, Json]] = [
    ("int", 3, 3),
    ("int", -(2**60) - 1, -(2**60) - 1),
    ("float", 0.5, 2.0),
    ("float", 1.0, 1.0),
    ("bool", True, False),
    ("str", 'it\'s "größe" {{$.x}} \\n\n☃', 'it\'s "größe" {{$.x}} \\n\n☃'),
    ("str", "", "x y"),
    ("str", "$$a $(HOME)", "{{$.z}} $$ $(PATH) %41 percent-encoded: ☃"),
    ("str", "percent-encoded: %41", "percent-encoded: %42"),
    ("list", [1, 2.0, [True, None]], [1, 2.0, [True, None]]),
    ("list", [1, 2], [5, 6, 7]),
    ("list", [], []),
    ("dict", {"a": {"b": 2**60 + 1}}, {"a": {"b": 2**60 + 1}}),
    ("float", 1e999, 1e999),
    ("None", None, None),
    ("None", None, "now"),
    ("None", None, "$$"),
    ("dict", {"b": None, "a": [None, "{{$.y}}"]}, {"b": None, "a": [None, "{{$.y}}"]}),
    ("list", [1e999, None], [1e999, None]),
    ("dict", {"$$": ["$$"]}, {"$(x)": ["a $$"]}),
    ("int | float", 1, 1),
    ("int | float", 1, 2),
    ("int | float", 0.5, 2.0),
    ("int | None", None, None),
    ("int | None", None, 2**70),
    ("int | str", 5, "5"),
    ("Literal['a', 'b']", "a", "b"),
    ("list[int] | None", [1], None),
    ("None", None, [1, 2.0, "$$"]),
    ("str | None", "None", None),
]


def step(name: str, key: str, source: str, number: int, **more: Any) -> Step:
    return Step(name, key, SETUP, (CodeBlock(source, f"step {name}", f"In [{number}]"),), **more)


def everything() -> tuple[Pipeline, dict[str, Json]]:
    """A pipeline with all that can stand in one, and the arguments for a run of it."""
    parameters = tuple(
        Parameter(f"p{n}", f"P_{n}", kind, default) for n, (kind, default, _) in enumerate(VALUES)
    )
    unused = Parameter("unused", "unused", "int", 1)
    given = {
        p.key: encode_parameter(value, p.type)
        for p, (_, default, value) in zip(parameters, VALUES, strict=True)
        if repr(value) != repr(default)
    }
    take = (Input(("account",), "in_account", "Train model 2", ACCOUNT),)
    mutate = "account.sums.append(sum([1, 2]))\ntotal = float(account.sums[0]); count = 1\n"
    mutate += "assert type(account) is Account"
    both = (
        Input(("count",), "in_total", "a", TOTAL),
        Input(("account",), "in_account_2", "Train model 2", ACCOUNT),
    )
    end = "print('RESULT', [total_of(account), count], ascii(values))"
    steps = (
        step("Train model 2", "Train_model_2", "account = Account('größe')", 2, outputs=(ACCOUNT,)),
        step("A", "A", "print('alone')", 3),
        step("a", "a_2", mutate, 4, inputs=take, outputs=(TOTAL,), metrics=("total",), after=("A",)),
    )  # fmt: skip
    values = "values = [" + ", ".join(p.name for p in parameters) + "]\ntotal_of = lambda a: len(a.sums)\n"
    last = Step(
        "Input", "Input", SETUP, (CodeBlock(values + end, "step Input", "In [5]"),), parameters=parameters,
        inputs=(Input(("count",), "in_total", "a", TOTAL), both[1]), after=("A", "a"),
    )  # fmt: skip
    return Pipeline("Überall, 2!", (*steps, last), (*parameters, unused), "Line one\nline two: größe"), given


def load(path: Path) -> Any:
    from kfp import components

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kfp's own
        return components.load_component_from_file(str(path))


def run_locally(path: Path, arguments: dict[str, Json], capfd: pytest.CaptureFixture[str]) -> str:
    """All that KFP's local runner prints, whether or not the run succeeds."""
    run_yaml(path, arguments, path.parent, python())
    captured = capfd.readouterr()
    return captured.out + captured.err


@pytest.mark.kfp
def test_kfp_runs_everything(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pipeline, arguments = everything()
    path = tmp_path / "pipeline.yaml"
    compile_pipeline(pipeline, path, tmp_path)
    printed = run_locally(path, arguments, capfd)
    expected = [value for _, _, value in VALUES]
    assert f"RESULT [0, 1] {expected!a}" in printed
    metadata = next(path.parent.glob("root/*/a-2/executor_output.json")).read_text()
    assert '"metadata": {"total": 3.0}' in metadata
    assert '"type": "float"' in metadata


@pytest.mark.kfp
def test_kfp_gets_the_outputs_of_the_attempt_that_succeeds(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    total = Output(("total",), "out_total")
    source = f"import os\nfrom pathlib import Path\ntries = Path({str(tmp_path / 'tries')!r})\n"
    source += "with tries.open('a') as file: file.write('.')\ntotal = tries.stat().st_size\n"
    source += "if total == 1: os.kill(os.getpid(), 9)\nassert total > 2, 'too early'"
    retried = StepOptions(retries=2)
    tried = step("a", "a", source, 2, outputs=(total,), metrics=("total",), options=retried)
    given = Input(("total",), "in_total", "a", total)
    last = step("b", "b", "print('RESULT', total)", 3, inputs=(given,))
    path = tmp_path / "pipeline.yaml"
    compile_pipeline(Pipeline("p", (tried, last)), path, tmp_path)
    printed = run_locally(path, {}, capfd)
    assert "attempt 1 of 3 failed: StepDied: its process was killed by signal 9" in printed
    assert "attempt 2 of 3 failed: AssertionError: too early; again" in printed
    assert "RESULT 3\n" in printed
    metadata = next(path.parent.glob("root/*/a/executor_output.json")).read_text()
    assert '"metadata": {"total": 3}' in metadata


@pytest.mark.kfp
def test_a_failing_step_shows_its_users_line_in_kfp(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pipeline.yaml"
    compile_pipeline(Pipeline("p", (step("a", "a", "x = 0\n1 / x", 7),)), path, tmp_path)
    printed = run_locally(path, {}, capfd)
    lines = [line.removeprefix("    ") for line in printed.splitlines()]  # KFP indents them
    assert '  File "<step a, In [7]>", line 2, in <module>\n    1 / x\n' in "\n".join(lines)
    assert "in run_step" not in printed


def test_the_yaml_says_what_the_pipeline_is(tmp_path: Path) -> None:
    pipeline, _ = everything()
    path = tmp_path / "pipeline.yml"
    compile_pipeline(pipeline, path, tmp_path)
    text = path.read_text(encoding="ascii")
    spec = yaml.safe_load(text)
    assert spec["pipelineInfo"]["displayName"] == "Überall, 2!"
    tasks = spec["root"]["dag"]["tasks"]
    runtime = RUNTIME_STEPS[0]
    assert {t["taskInfo"]["name"] for t in tasks.values()} == {"Train model 2", "A", "a", "Input", runtime}
    assert tasks["a-2"]["dependentTasks"] == ["a", "kaleu003a-runtime", "train-model-2"]
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    assert inputs["P_4"] == {"defaultValue": True, "isOptional": True, "parameterType": "BOOLEAN"}
    container = spec["deploymentSpec"]["executors"]["exec-input"]["container"]
    assert container["image"] == f"python:3.{sys.version_info.minor}-slim"
    assert f"'cloudpickle=={importlib.metadata.version('cloudpickle')}'" in container["command"][2]
    program = container["command"][-1]
    assert not re.search(r"\{\{|\}\}", program)
    # For people: the user's lines stand in the file as they are.
    assert "'total_of = lambda a: len(a.sums)\\n'\n" in text
    assert load(path).description == "Line one\nline two: gr\\xf6\\xdfe"


@pytest.mark.kfp
def test_inputs_have_the_types_of_the_annotations(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kinds: list[tuple[str, Json, str, Json]] = [
        ("int | float", 1, "NUMBER_DOUBLE", 1.0),
        ("int", 1, "NUMBER_INTEGER", 1.0),
        ("int | None", None, "STRING", "None"),
        ("None", None, "STRING", "None"),
        ("Literal['a', 'b']", "a", "STRING", "a"),
        ("Literal[1, 2]", 1, "NUMBER_INTEGER", 1.0),
        ("list[int]", [1], "LIST", [1.0]),
        ("dict[str, int]", {"a": 1}, "STRUCT", {"a": 1.0}),
    ]
    parameters = tuple(Parameter(f"p{n}", f"p{n}", *kind[:2]) for n, kind in enumerate(kinds))
    shown = step("a", "a", "print('RESULT', p2, p4)", 1, parameters=parameters)
    compile_pipeline(Pipeline("p", (shown,), parameters), tmp_path / "p.yaml", tmp_path)
    inputs = yaml.safe_load((tmp_path / "p.yaml").read_text())["root"]["inputDefinitions"]["parameters"]
    told = [inputs[p.key] for p in parameters]
    assert [(i["parameterType"], i["defaultValue"]) for i in told] == [kind[2:] for kind in kinds]
    assert all(i["isOptional"] for i in told)
    assert "RESULT 7 b" in run_locally(tmp_path / "p.yaml", {"p2": "7", "p4": "b"}, capfd)
    printed = run_locally(tmp_path / "p.yaml", {"p2": "seven"}, capfd)
    assert "step a: parameter p2 is int | None, not 'seven'" in printed


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("p", "p"),
        ("My Pipe_2", "my-pipe-2"),
        ("Größe", "gru00f6u00dfe"),
        ("2nd", "v-2nd"),
        ("-", "v"),
        ("x" * 200, "x" * 128),
    ],
)
def test_pipeline_names(name: str, expected: str) -> None:
    assert pipeline_name(name) == expected


def test_a_file_that_cannot_be(tmp_path: Path) -> None:
    pipeline = Pipeline("p", (step("a", "a", "x = 1", 1),))
    with pytest.raises(KaleError, match=r"KALE401 .*'p.json'.*\n.*p\.yaml"):
        compile_pipeline(pipeline, tmp_path / "p.json", tmp_path)
    with pytest.raises(KaleError, match=r"KALE401 .* cannot be written: No such file"):
        compile_pipeline(pipeline, tmp_path / "nowhere" / "p.yaml", tmp_path)
    assert not list(tmp_path.iterdir())


def test_retries_are_in_the_program_and_in_the_limit_of_the_pod(tmp_path: Path) -> None:
    once = step("a", "a", "x = 1", 2, options=StepOptions(timeout=60))
    tried = step("b", "b", "x = 1", 3, options=StepOptions(retries=3, delay=90, timeout=60))
    compile_pipeline(Pipeline("p", (once, tried)), tmp_path / "p.yaml", tmp_path)
    spec, platform = yaml.safe_load_all((tmp_path / "p.yaml").read_text())
    assert all("retryPolicy" not in task for task in spec["root"]["dag"]["tasks"].values())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    limits = {name: int(executor["activeDeadlineSeconds"]) for name, executor in executors.items()}
    assert limits["exec-a"] == 60
    assert limits["exec-b"] >= 4 * 60 + 3 * 90


def test_kfp_does_not_remember_what_comes_out_differently(tmp_path: Path) -> None:
    steps = (
        step("a", "a", "x = 1", 2),
        step("b", "b", "x = 1", 3, options=StepOptions(cache=False)),
        step("c", "c", "x = 1", 4, nondeterminism="it calls time.time (In [4], line 1)"),
    )
    compile_pipeline(Pipeline("p", steps), tmp_path / "p.yaml", tmp_path)
    tasks = yaml.safe_load((tmp_path / "p.yaml").read_text())["root"]["dag"]["tasks"]
    cached = {name: task["cachingOptions"].get("enableCache", False) for name, task in tasks.items()}
    assert cached == {"kaleu003a-runtime": True, "a": True, "b": False, "c": False}


@pytest.mark.kfp
@pytest.mark.parametrize(
    ("pipeline", "name"), [("train", "train"), ("pipeline", "pipeline"), ("My  Pipe_2", "my pipe-2")]
)
def test_a_step_called_like_the_pipeline(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], pipeline: str, name: str
) -> None:
    key = encode_step(name, pipeline)
    path = tmp_path / "pipeline.yaml"
    rate = Parameter("rate", "rate", "int", 3)
    steps = (
        step(name, key, "x = rate", 2, parameters=(rate,)),
        step("other", "other", "print('RESULT', rate + 1)", 3, parameters=(rate,)),
    )
    compile_pipeline(Pipeline(pipeline, steps, (rate,)), path, tmp_path)
    assert "RESULT 5" in run_locally(path, {"rate": 4}, capfd)
    assert encode_step(name) != key
