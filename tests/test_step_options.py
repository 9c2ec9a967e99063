"""The options of a step that say with what it runs, and how a mistake in them is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kale_magics.model.diagnostics import KaleError
from kale_magics.model.options import KubernetesOptions, StepOptions
from kale_magics.syntax.commands import parse_mark, parse_step_options
from tests.shells import Shell, fresh_shell, mentions

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
    ("--memory 4GB", "4G? 4G"),
    ("--memory 4gb", "4G?"),
    ("--memory 512mb", "512M?"),
    ("--memory 1.5Gi", "1536Mi?"),
    ("--memory 2GiB", "2Gi?"),
    ("--memory '4 G'", "4G?"),
    ("--memory much", "--memory 'much'"),
    ("--memory 0", "--memory '0'"),
    ("--memory 4096", "fix: 4096Mi?"),
    ("--memory 16", "fix: 16Gi?"),
    ("--memory 1.5", "fix: 1536Mi?"),
    ("--memory 500000", "fix: 4G"),
    ("--memory 512K", "--memory 1Mi 512K"),
    ("--memory 512kb", "fix: 4G"),
    ("--memory 4G:8", "8Gi?"),
    ("--memory 4G:2G", "--memory 4G limit 2G"),
    ("--cpu 2cores", "2?"),
    ("--cpu 500M", "500m?"),
    ("--cpu 500mcores", "500m?"),
    ("--cpu '4 vCPUs'", "4?"),
    ("--cpu 0", "--cpu '0' 500m"),
    ("--cpu 0m", "--cpu '0m' 500m"),
    ("--cpu 1e3", "--cpu '1e3' 500m"),
    ("--cpu 2,5", "--cpu '2,5' 500m"),
    ("--cpu 2:500m", "--cpu 2 limit 500m"),
    ("--gpu one", "--gpu number 'one'"),
    ("--accelerator nvidia", "nvidia.com/gpu?"),
    ("--accelerator A100", "'A100' --node-selector"),
    ("--image 'My Image'", "'My Image' image"),
    ("--packages 'pandas=>2'", "'pandas=>2' requirement"),
    ("--file /data/a.csv", "'/data/a.csv' folder"),
    ("--file ../a.csv", "'../a.csv' folder"),
    ("--env A", "--env NAME=VALUE 'A'"),
    ("--env =A", "--env NAME=VALUE '=A'"),
    ("--env 1A=2", "'1A' environment variable"),
    ("--env 1A=2", "fix: digit first"),
    ("--env A-B=1", "A_B?"),
    ("--env 'A={{$.x}}'", "'A={{$.x}}'"),
    ("--secret s3:key", "'s3:key' --secret"),
    ("--secret My_Secret:key:A", "my-secret?"),
    ("--secret s3:key:1A", "'1A' environment variable"),
    ("--secret s3:key:", "'s3:key:' --secret"),
    ("--pvc data", "'' path --pvc"),
    ("--pvc data:data", "'data' path --pvc"),
    ("--pvc data:/", "'/' path --pvc"),
    ("--label team=my team", "--label NAME=VALUE 'team'"),
    ("--label 'my team=a'", "'my team' label annotation"),
    ("--label 'team=my team'", "my-team?"),
    ("--toleration gpu:noschedule", "gpu:NoSchedule?"),
    ("--image-pull-secret Registry", "registry?"),
    ("--timeout 0s", "--timeout 0"),
]


@pytest.mark.parametrize(("text", "told"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_a_cluster_would_refuse_is_refused_here(text: str, told: str) -> None:
    with pytest.raises(KaleError) as refusal:
        parse_mark(f"step a {text}")
    assert str(refusal.value).startswith(("KALE110", "KALE103"))
    assert mentions(" ".join(str(refusal.value).splitlines()), told)


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
    ("onr.csv", "one.csv?"),
    ("data/onr.csv", "data/one.csv?"),
    ("quite_another", "relative"),
    ("*.csv", "patterns"),
    ("empty", "empty"),
]


@pytest.mark.parametrize(("name", "fix"), FILES)
def test_a_file_that_is_not_there_is_told_when_the_cell_is_run(shell: Shell, name: str, fix: str) -> None:
    for folder in ("data", "empty"):
        Path(folder).mkdir()
    for path in ("one.csv", "data/one.csv"):
        Path(path).touch()
    message, at, advice = shell.refusal(f"%%kale step a --file {name}\nran = True").splitlines()
    assert mentions(message, f"KALE110 --file {name!r}")
    assert at == f"  at:  In [2], line 1: %%kale step a --file {name}"
    assert mentions(advice, f"fix: {fix}")
    assert "ran" not in shell.ipython.user_ns
    assert shell.run("%%kale step a --file one.csv data\nran = True").success
    told = shell.run(f"%config KaleMagics.step_options = '--file {name}'").printed
    assert told.splitlines()[1:] == [f"  at:  %config KaleMagics.step_options = '--file {name}'", advice]


SETTINGS = [
    (
        "step_options",
        "--memory 4GB",
        "KALE110 --memory '4GB'",
        "4G?",
    ),
    (
        "step_options",
        "--zzz 1",
        "KALE102 KaleMagics.step_options --zzz",
        "%%kale?",
    ),
    (
        "workspace_size",
        "10GB",
        "KALE110 workspace_size '10GB'",
        "10G?",
    ),
    (
        "workspace_access_modes",
        ["ReadWriteOnly"],
        "KALE110 'ReadWriteOnly'",
        "ReadWriteOnce?",
    ),
    (
        "workspace_access_modes",
        ["ReadOnlyMany"],
        "KALE110 ReadOnlyMany",
        "ReadWriteMany",
    ),
    (
        "base_image",
        "bad image",
        "KALE110 'bad image'",
        "bad-image?",
    ),
]


@pytest.mark.parametrize(("setting", "value", "what", "fix"), SETTINGS)
def test_a_mistake_in_a_setting_is_told_when_it_is_set_and_by_every_run(
    shell: Shell, setting: str, value: str, what: str, fix: str
) -> None:
    shell.run("%%kale step a\nx = 1")
    set_ = f"%config KaleMagics.{setting} = {value!r}"
    told = shell.run(set_).printed.splitlines()
    assert mentions(told[0], what)
    assert told[1] == f"  at:  {set_}"
    assert mentions(told[2], f"fix: {fix}")
    assert shell.run("%config KaleMagics.pipeline_name = 'other'").printed == ""
    assert shell.refusal("%kale_run").splitlines() == told
    assert shell.refusal("%kale_compile p.yaml").splitlines() == told


def test_what_is_said_to_list_the_options_does(shell: Shell) -> None:
    assert "--toleration KEY[=VALUE][:EFFECT] ..." in shell.run("%%kale?").printed
