"""The options of a step that say with what it runs, and how a mistake in them is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kale_magics.model.diagnostics import KaleError
from kale_magics.model.options import KubernetesOptions, StepOptions
from kale_magics.syntax.commands import parse_mark, parse_step_options
from tests.shells import Shell, fresh_shell

READ: list[tuple[str, dict[str, Any]]] = [
    ("--cpu 2", {"cpu": ("2", "2")}),
    ("--cpu 500m:1.5", {"cpu": ("500m", "1.5")}),
    ("--memory 4G", {"memory": ("4G", "4G")}),
    ("--memory 512Mi:2Gi", {"memory": ("512Mi", "2Gi")}),
    ("--memory 1000000000:1G", {"memory": ("1000000000", "1G")}),
    ("--gpu 1", {"gpus": 1}),
    ("--gpu 2 --accelerator amd.com/gpu", {"gpus": 2, "accelerator": "amd.com/gpu"}),
    ("--image ghcr.io/team/image:1.2", {"image": "ghcr.io/team/image:1.2"}),
    ("--image registry:5000/a/b", {"image": "registry:5000/a/b"}),
    (
        "--packages pandas 'scipy>=1.10,<2' 'x[extra]==1'",
        {"packages": ("pandas", "scipy>=1.10,<2", "x[extra]==1")},
    ),
    ("--file data/a.csv ./b.txt", {"files": ("data/a.csv", "b.txt")}),
    ("--env A=1 B= 'C=x=y, z'", {"env": (("A", "1"), ("B", ""), ("C", "x=y, z"))}),
    (
        "--secret s3:key:AWS_KEY certificates:/etc/certificates",
        {
            "secret_env": (("s3", "key", "AWS_KEY"),),
            "secret_volumes": (("certificates", "/etc/certificates"),),
        },
    ),
    (
        "--config-map app:level:LEVEL --config-map app:/etc/app",
        {"config_map_env": (("app", "level", "LEVEL"),), "config_map_volumes": (("app", "/etc/app"),)},
    ),
    ("--pvc data:/data other:/more/", {"volumes": (("data", "/data"), ("other", "/more"))}),
    ("--workspace --no-report --no-cache", {"workspace": True, "report": False, "cache": False}),
    ("--label team=research a/b=", {"labels": (("team", "research"), ("a/b", ""))}),
    ("--annotation sidecar.istio.io/inject=false", {"annotations": (("sidecar.istio.io/inject", "false"),)}),
    ("--node-selector disk=ssd", {"node_selector": (("disk", "ssd"),)}),
    (
        "--toleration gpu=yes:NoSchedule spot:NoExecute old",
        {"tolerations": (("gpu", "yes", "NoSchedule"), ("spot", None, "NoExecute"), ("old", None, ""))},
    ),
    ("--image-pull-secret registry", {"image_pull_secrets": ("registry",)}),
    ("--retries 3 --retry-delay 1m --timeout 1h30m", {"retries": 3, "delay": 60.0, "timeout": 5400.0}),
]


@pytest.mark.parametrize(("text", "expected"), READ, ids=[text for text, _ in READ])
def test_options_are_read(text: str, expected: dict[str, Any]) -> None:
    assert parse_mark(f"step a {text}").options == StepOptions.of(expected)
    assert parse_step_options(text) == StepOptions.of(expected)


REFUSED = [
    ("--memory 4GB", "did you mean 4G? write it as in 4G"),
    ("--memory 4gb", "did you mean 4G?"),
    ("--memory 512mb", "did you mean 512M?"),
    ("--memory 1.5Gi", "did you mean 1536Mi?"),
    ("--memory 2GiB", "did you mean 2Gi?"),
    ("--memory '4 G'", "did you mean 4G?"),
    ("--memory much", "--memory takes a number of bytes with a unit, not 'much'"),
    ("--memory 0", "--memory takes a number of bytes with a unit, not '0'"),
    ("--memory 4096", "fix: did you mean 4096Mi?"),
    ("--memory 16", "fix: did you mean 16Gi?"),
    ("--memory 1.5", "fix: did you mean 1536Mi?"),
    ("--memory 500000", "fix: write it as in 4G"),
    ("--memory 512K", "--memory is less than 1Mi: 512K"),
    ("--memory 512kb", "fix: write it as in 4G"),
    ("--memory 4G:8", "did you mean 8Gi?"),
    ("--memory 4G:2G", "requests 4G, more than its limit 2G"),
    ("--cpu 2cores", "did you mean 2?"),
    ("--cpu 500M", "did you mean 500m?"),
    ("--cpu 500mcores", "did you mean 500m?"),
    ("--cpu '4 vCPUs'", "did you mean 4?"),
    ("--cpu 0", "fix: 2 is two cores, 500m half a one"),
    ("--cpu 0m", "fix: 2 is two cores"),
    ("--cpu 1e3", "fix: 2 is two cores"),
    ("--cpu 2,5", "fix: 2 is two cores"),
    ("--cpu 2:500m", "requests 2, more than its limit 500m"),
    ("--gpu one", "--gpu takes a number of them, not 'one'"),
    ("--accelerator nvidia", "did you mean nvidia.com/gpu?"),
    ("--accelerator A100", "a model of card is chosen by --node-selector"),
    ("--image 'My Image'", "is no name that an image can have"),
    ("--packages 'pandas=>2'", "'pandas=>2' is no package"),
    ("--file /data/a.csv", "is not in the folder of the notebook"),
    ("--file ../a.csv", "is not in the folder of the notebook"),
    ("--env A", "--env takes NAME=VALUE, not 'A'"),
    ("--env =A", "--env takes NAME=VALUE, not '=A'"),
    ("--env 1A=2", "'1A' is no name of an environment variable"),
    ("--env 1A=2", "fix: write letters, digits and underscores, and no digit first"),
    ("--env A-B=1", "did you mean A_B?"),
    ("--env 'A={{$.x}}'", "two braces"),
    ("--secret s3:key", "--secret does not take 's3:key'"),
    ("--secret My_Secret:key:A", "did you mean my-secret?"),
    ("--secret s3:key:1A", "'1A' is no name of an environment variable"),
    ("--secret s3:key:", "--secret does not take 's3:key:'"),
    ("--pvc data", "'' is no place for a volume"),
    ("--pvc data:data", "'data' is no place for a volume"),
    ("--pvc data:/", "'/' is no place for a volume"),
    ("--label team=my team", "takes NAME=VALUE, not 'team'"),
    ("--label 'my team=a'", "'my team' is no name that a label or an annotation can have"),
    ("--label 'team=my team'", "did you mean my-team?"),
    ("--toleration gpu:noschedule", "did you mean gpu:NoSchedule?"),
    ("--image-pull-secret Registry", "did you mean registry?"),
    ("--timeout 0s", "no step ends within no time"),
]


@pytest.mark.parametrize(("text", "told"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_a_cluster_would_refuse_is_refused_here(text: str, told: str) -> None:
    with pytest.raises(KaleError) as refusal:
        parse_mark(f"step a {text}")
    assert str(refusal.value).startswith(("KALE110", "KALE103"))
    assert told in str(refusal.value)


def test_a_step_says_more_than_all_steps_do() -> None:
    every = parse_step_options(
        "--cpu 1 --memory 2G --env A=1 B=2 --label team=x --retries 2 --packages pandas"
    )
    own = parse_mark("step a --cpu 4 --env B=3 C=4 --timeout 1m --packages scipy").options
    assert own.over(every) == StepOptions(
        cpu=("4", "4"), memory=("2G", "2G"), env=(("A", "1"), ("B", "3"), ("C", "4")),
        kubernetes=KubernetesOptions(labels=(("team", "x"),)),
        retries=2, timeout=60.0, packages=("pandas", "scipy"),
    )  # fmt: skip


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    with fresh_shell(lambda: "".join(capfd.readouterr())) as shell:
        shell.run("%load_ext kale_magics")
        yield shell


FILES = [
    ("onr.csv", "did you mean one.csv?"),
    ("data/onr.csv", "did you mean data/one.csv?"),
    ("quite_another", "write it as from the notebook's folder"),
    ("*.csv", "patterns are not expanded: name the folder, or each file"),
    ("empty", "the folder is empty: put files into it, or leave it out"),
]


@pytest.mark.parametrize(("name", "fix"), FILES)
def test_a_file_that_is_not_there_is_told_when_the_cell_is_run(shell: Shell, name: str, fix: str) -> None:
    for folder in ("data", "empty"):
        Path(folder).mkdir()
    for path in ("one.csv", "data/one.csv"):
        Path(path).touch()
    assert shell.refusal(f"%%kale step a --file {name}\nran = True").splitlines() == [
        f"KALE110 there is no file {name!r} to take along",
        f"  at:  In [2], line 1: %%kale step a --file {name}",
        f"  fix: {fix}",
    ]
    assert "ran" not in shell.ipython.user_ns
    assert shell.run("%%kale step a --file one.csv data\nran = True").success
    told = shell.run(f"%config KaleMagics.step_options = '--file {name}'").printed
    assert told.splitlines()[1:] == [
        f"  at:  %config KaleMagics.step_options = '--file {name}'",
        f"  fix: {fix}",
    ]


SETTINGS = [
    (
        "step_options",
        "--memory 4GB",
        "KALE110 --memory takes a number of bytes with a unit, not '4GB'",
        "did you mean 4G? write it as in 4G (billions of bytes) or 4Gi (2^30 bytes)",
    ),
    (
        "step_options",
        "--zzz 1",
        "KALE102 KaleMagics.step_options has no option --zzz",
        "%%kale? lists those that it has",
    ),
    (
        "workspace_size",
        "10GB",
        "KALE110 workspace_size takes a number of bytes with a unit, not '10GB'",
        "did you mean 10G? write it as in 4G (billions of bytes) or 4Gi (2^30 bytes)",
    ),
    (
        "base_image",
        "bad image",
        "KALE110 'bad image' is no name that an image can have",
        "did you mean bad-image? write it as in python:3.11-slim",
    ),
]


@pytest.mark.parametrize(("setting", "value", "what", "fix"), SETTINGS)
def test_a_mistake_in_a_setting_is_told_when_it_is_set_and_by_every_run(
    shell: Shell, setting: str, value: str, what: str, fix: str
) -> None:
    shell.run("%%kale step a\nx = 1")
    set_ = f"%config KaleMagics.{setting} = {value!r}"
    told = [what, f"  at:  {set_}", f"  fix: {fix}"]
    assert shell.run(set_).printed.splitlines() == told
    assert shell.run("%config KaleMagics.pipeline_name = 'other'").printed == ""
    assert shell.refusal("%kale_run").splitlines() == told
    assert shell.refusal("%kale_compile p.yaml").splitlines() == told


def test_what_is_said_to_list_the_options_does(shell: Shell) -> None:
    assert "--toleration KEY[=VALUE][:EFFECT] ..." in shell.run("%%kale?").printed
