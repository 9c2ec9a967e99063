"""What a pipeline's file says to a cluster: pods, packages, files, and what it cannot say."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec import pipeline_spec_pb2

from kale_magics.analysis import packages
from kale_magics.kubeflow.pipeline_spec import read_pipeline
from kale_magics.model.program import RUNTIME_PARTS, packed_runtime, runtime_loader
from kale_magics.step_runtime.pod import BEGINS, ENDS
from tests.kfp_tasks import STAND_INS, python, run_yaml
from tests.shells import Shell, shows


@pytest.fixture
def shell(kale_shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return kale_shell


CLOUDPICKLE = {f"cloudpickle=={importlib.metadata.version('cloudpickle')}"}


def compiled(shell: Shell, *cells: str) -> dict[str, Any]:
    """The documents of the file of a notebook's pipeline, as KFP's own messages take them, as one dict."""
    for cell in cells:
        outcome = shell.run(cell)
        assert outcome.success, outcome.printed
    outcome = shell.run("%kale_compile p.yaml")
    assert outcome.success, outcome.printed
    spec, *platform = yaml.safe_load_all(Path("p.yaml").read_text(encoding="ascii"))
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    for document in platform:
        json_format.ParseDict(document, pipeline_spec_pb2.PlatformSpec())
    return {**spec, **(platform[0] if platform else {"platforms": {}})}


def container(spec: dict[str, Any], step: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = spec["deploymentSpec"]["executors"][f"exec-{step}"]["container"]
    return found


def pod(spec: dict[str, Any], step: str = "a") -> dict[str, Any]:
    """What the platform is told for a step; a message of kfp-kubernetes must know all of it."""
    executors = spec["platforms"].get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    found: dict[str, Any] = executors.get(f"exec-{step}", {})
    json_format.ParseDict(found, KubernetesExecutorConfig())
    return found


def played(path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What KFP's runner prints when it runs a file, in an empty folder."""
    elsewhere = path.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    run_yaml(path, {}, path.parent, python())
    captured = capfd.readouterr()
    return captured.out + captured.err


def named(name: str) -> dict[str, Any]:
    """An object of the cluster that is known by its name."""
    return {"runtimeValue": {"constant": name}}


OPTIONS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("--cpu 500m:2", {"resources": {"resourceCpuRequest": "500m", "resourceCpuLimit": "2", "cpuRequest": 0.5, "cpuLimit": 2.0}}, {}),
    ("--memory 1G:2G", {"resources": {"resourceMemoryRequest": "1G", "resourceMemoryLimit": "2G", "memoryRequest": 1.0, "memoryLimit": 2.0}}, {}),
    ("--gpu 2", {"resources": {"accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "2", "type": "nvidia.com/gpu", "count": "2"}}}, {}),
    ("--accelerator amd.com/gpu", {"resources": {"accelerator": {"resourceType": "amd.com/gpu", "resourceCount": "1", "type": "amd.com/gpu", "count": "1"}}}, {}),
    ("--image ghcr.io/a/b:1", {"image": "ghcr.io/a/b:1"}, {}),
    ("--timeout 90s", {}, {"activeDeadlineSeconds": "90"}),
    ("--secret s3:key:AWS_KEY", {}, {"secretAsEnv": [{"secretName": "s3", "secretNameParameter": named("s3"), "keyToEnv": [{"secretKey": "key", "envVar": "AWS_KEY"}], "optional": False}]}),
    ("--secret s3:/etc/s3", {}, {"secretAsVolume": [{"secretName": "s3", "secretNameParameter": named("s3"), "mountPath": "/etc/s3", "optional": False}]}),
    ("--config-map app:level:LEVEL", {}, {"configMapAsEnv": [{"configMapName": "app", "configMapNameParameter": named("app"), "keyToEnv": [{"configMapKey": "level", "envVar": "LEVEL"}], "optional": False}]}),
    ("--config-map app:/etc/app", {}, {"configMapAsVolume": [{"configMapName": "app", "configMapNameParameter": named("app"), "mountPath": "/etc/app", "optional": False}]}),
    ("--pvc data:/data", {}, {"pvcMount": [{"constant": "data", "pvcNameParameter": named("data"), "mountPath": "/data"}]}),
    ("--label team=research", {}, {"podMetadata": {"labels": {"team": "research"}}}),
    ("--annotation a/b=c", {}, {"podMetadata": {"annotations": {"a/b": "c"}}}),
    ("--node-selector disk=ssd", {}, {"nodeSelector": {"labels": {"disk": "ssd"}}}),
    ("--toleration gpu=yes:NoSchedule", {}, {"tolerations": [{"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}]}),
    ("--toleration spot", {}, {"tolerations": [{"key": "spot", "operator": "Exists"}]}),
    ("--image-pull-secret registry", {}, {"imagePullSecret": [{"secretName": "registry", "secretNameParameter": named("registry")}]}),
]  # fmt: skip


@pytest.mark.parametrize(("option", "inside", "around"), OPTIONS, ids=[option for option, *_ in OPTIONS])
@pytest.mark.parametrize("for_all", [False, True], ids=["the step", "all steps"])
def test_what_a_step_asks_for_is_in_the_file(
    shell: Shell, option: str, inside: dict[str, Any], around: dict[str, Any], for_all: bool
) -> None:
    if for_all:
        shell.run(f"%config KaleMagics.step_options = '{option}'")
    spec = compiled(shell, f"%%kale step a {'' if for_all else option}\nx = 1", "%%kale step b\ny = 2")
    assert pod(spec) == around
    assert {key: container(spec).get(key) for key in inside} == inside
    assert pod(spec, "b") == (around if for_all else {})


def test_environment_retries_and_cache_are_in_the_file(shell: Shell) -> None:
    spec = compiled(shell, "%%kale step a --env LEVEL=debug --retries 2 --retry-delay 90s --no-cache\nx = 1")
    env = {item["name"]: item["value"] for item in container(spec)["env"]}
    assert env["LEVEL"] == "debug"
    # pip must not want to write where an unprivileged user of the pod cannot.
    assert env["PYTHONUSERBASE"].startswith("/tmp/")
    task = spec["root"]["dag"]["tasks"]["a"]
    assert "retryPolicy" not in task  # its program makes the attempts, and the server no further ones
    assert task["cachingOptions"] == {}


def test_a_step_gets_the_packages_that_it_needs_and_no_others(shell: Shell) -> None:
    spec = compiled(
        shell,
        "%%kale imports\nimport pandas as pd\nimport sklearn",
        "%%kale step load --packages 'rich>=13'\ndf = pd.DataFrame({'a': [1]})\n%pip install -q tqdm",
        "%%kale step count\nrows = len(df)",
        "%%kale step add\nmore = rows + 1\ntry: 1 / 0\nexcept ZeroDivisionError as e: error = e",
        "%%kale step tell\nprint(error)",
        "%config KaleMagics.pip_index_urls = ['https://packages.example.org/simple']",
    )

    def asked(step: str) -> set[str]:
        script = next(text for text in container(spec, step)["command"] if "pip install" in text)
        assert "--index-url https://packages.example.org/simple" in script
        assert "--trusted-host" not in script
        words = script.partition("'kfp==")[0].replace("'", " ").split()
        return {word for word in words if "==" in word or word in ("rich>=13", "tqdm")}

    def pinned(*names: str) -> set[str]:
        return {f"{name}=={importlib.metadata.version(name)}" for name in names}

    assert asked("load") == {*pinned("cloudpickle", "pandas"), "rich>=13", "tqdm"} | (
        asked("load") & pinned("scikit-learn")
    )
    assert asked("count") >= pinned("cloudpickle", "pandas", "numpy")
    assert asked("add") - pinned("scikit-learn") == pinned("cloudpickle")
    # The traceback of an exception leads to everything that there is.
    assert asked("tell") - pinned("scikit-learn") == pinned("cloudpickle")


@pytest.mark.kfp
def test_own_modules_and_files_travel(
    shell: Shell, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("helping").mkdir()
    Path("helping/__init__.py").write_text("from other import STEP\ndef add(x): return x + STEP\n")
    Path("helping/words.txt").write_text("{{$.outputs}}")
    Path("other.py").write_text("STEP = 41\nclass Point:\n    x = 1\n")
    Path("data").mkdir()
    Path("data/rows.csv").write_text("1,2\n")
    spec = compiled(
        shell,
        "%%kale imports\nimport helping\nfrom pathlib import Path\nfrom other import Point",
        "%%kale step a --file data\nx = helping.add(1)\np = Point()\n"
        "words = (Path(helping.__file__).parent / 'words.txt').read_text()",
        "%%kale step b --file data/rows.csv\nprint('RESULT', x, isinstance(p, Point), words, Path('data/rows.csv').read_text())",
    )
    assert "helping" not in str([container(spec, step)["command"][2] for step in "ab"])
    printed = played(Path("p.yaml").absolute(), capfd, monkeypatch)
    assert "RESULT 42 True {{$.outputs}} 1,2" in printed
    for name in ("helping", "other"):
        sys.modules.pop(name)


def test_a_file_that_is_here_only_is_pointed_out(shell: Shell) -> None:
    Path("rows.csv").write_text("1\n")
    Path("large.csv").write_text("1\n" * 100_000)
    shell.run("%%kale step a\nfrom pathlib import Path\nrows = Path('rows.csv').read_text()")
    shell.run("%%kale step 'b b'\nrows = Path('large.csv').read_text()")
    printed = shell.run("%kale_compile p.yaml").printed
    assert shows(printed, "KALE404", "step a ", "'rows.csv'", "%%kale step a --file rows.csv")
    assert shows(printed, "KALE404", "step b b ", "'large.csv'", "--pvc NAME:/folder")
    shell.run("%kale_reset")
    shell.run("%%kale step a --file rows.csv\nfrom pathlib import Path\nrows = Path('rows.csv').read_text()")
    assert "KALE404" not in shell.run("%kale_compile p.yaml").printed


def test_a_file_that_another_step_writes_is_in_no_pod_but_its_own(shell: Shell) -> None:
    shell.run("%%kale step a\nfrom pathlib import Path\nPath('out.csv').write_text('1')\nx = 1")
    shell.run("%%kale step b --after a\nfrom pathlib import Path\nrows = Path('out.csv').read_text()")
    printed = shell.run("%kale_compile p.yaml").printed
    assert shows(printed, "KALE404", "step b ", "'out.csv'", "in the pod of step a\n")
    assert printed.count("KALE404") == 1
    shell.run("%kale_reset")
    shell.run(
        "%%kale step a --pvc all:/all\nfrom pathlib import Path\nif 0: Path('/all/out.csv').write_text('1')\nx = 1"
    )
    shell.run(
        "%%kale step b --pvc all:/all --after a\nfrom pathlib import Path\nif 0: Path('/all/out.csv').read_text()"
    )
    assert "KALE404" not in shell.run("%kale_compile p.yaml").printed


def test_a_variable_that_is_set_here_only_is_pointed_out(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TABLE", "MODE", "LEVEL", "DEPTH"):
        monkeypatch.setenv(name, "here 123")
    shell.run("import os\nfrom os import environ, getenv")
    shell.run("%%kale imports\nimport os\nfrom os import environ, getenv")
    shell.run("%%kale step a\nread = os.environ['TABLE'], environ.get('MODE'), os.environ['HOME']")
    shell.run("%%kale step b\nos.environ['DEPTH'] = '1'\nos.getenv('MODE', ''), os.environ['DEPTH']")
    shell.run("%%kale step c --secret db:level:LEVEL --env MODE=here\\ 123\ngetenv('LEVEL'), getenv('MODE')")
    shell.run("%%kale step d\ngetenv('NOWHERE')")
    printed = shell.run("%kale_compile p.yaml").printed
    one, all_steps = "%%kale step a --env TABLE=..., or --secret NAME:KEY:TABLE", '= "--env MODE=..."'
    assert shows(printed, "KALE406", "step a reads the environment variable TABLE", one)
    assert shows(printed, "KALE406", "steps a, b read the environment variable MODE", all_steps)
    assert printed.count("KALE406") == 2
    assert "here 123" not in printed


def test_a_step_that_is_given_another_value_than_its_cell_had_is_pointed_out(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODE", "slow")
    shell.run("%%kale step a\nimport os\nprint('mode', os.environ['MODE'])")
    shell.run("%config KaleMagics.step_options = '--env MODE=fast UNUSED=1'")
    printed = shell.run("%kale_run").printed
    assert "a | mode fast" in printed
    assert shows(printed, "KALE406", "step a sets the environment variable MODE to another value")
    assert "UNUSED" not in printed
    monkeypatch.setenv("MODE", "fast")
    assert "KALE406" not in shell.run("%kale_run").printed


def test_a_cell_has_the_variables_of_its_step(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODE", "slow")
    monkeypatch.setenv("OWN", "1")
    shell.run("import os")
    ran = shell.run(
        "%%kale step a --env MODE=fast NEW=1 OWN=2\nimport os\nos.environ['OWN'] = '3'\n"
        "print(os.environ['MODE'], os.environ['NEW'])"
    )
    assert ran.printed == "fast 1\n"
    after = shell.run("print(os.environ['MODE'], os.environ.get('NEW'), os.environ['OWN'])").printed
    assert after == "slow None 3\n"
    printed = shell.run("%kale_run").printed
    assert "a | fast 1\n" in printed
    assert "KALE406" not in printed


def test_cells_have_the_variables_of_all_steps(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGION", raising=False)
    shell.run("%config KaleMagics.step_options = '--env REGION=eu'")
    asked = "import os\nregion = os.environ.get('REGION')"
    shell.run(f"%%kale imports\n{asked}")
    assert shell.run("%%kale step a\nprint(region, os.environ['REGION'])").printed == "eu eu\n"
    assert shell.run("print(os.environ.get('REGION'))").printed == "None\n"
    printed = shell.run("%kale_run").printed
    assert "a | eu eu\n" in printed
    assert "KALE406" not in printed
    shell.run("%config KaleMagics.step_options = '--env REGION=us'")
    assert "KALE406" in shell.run("%kale_run").printed


def test_a_cell_that_was_deleted_has_no_say_in_what_its_step_is_given(shell: Shell) -> None:
    cells = {
        "one": "%%kale step a --env X=1\nimport os\nx = os.environ['X']",
        "two": "%%kale step a\ny = 2",
    }
    for cell_id, cell in cells.items():
        shell.run(cell, cell_id)
    kept = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cells["one"], id="one")])
    nbformat.write(kept, "saved.ipynb")
    shell.ipython.user_ns["__vsc_ipynb_file__"] = str(Path("saved.ipynb").absolute())
    outcome = shell.run("%kale_compile p.yaml")
    assert outcome.success, outcome.printed
    assert "y = 2" not in Path("p.yaml").read_text()


def test_a_file_that_is_not_there_or_too_large_is_refused(shell: Shell) -> None:
    for name in ("rows.csv", "row.csv"):
        Path(name).write_text("1\n")
    shell.run("%%kale step a --file row.csv\nx = 1")
    Path("row.csv").unlink()
    told = shell.refusal("%kale_compile p.yaml").splitlines()
    assert told[1:] == ["  at:  step a", "  fix: did you mean rows.csv?"]
    Path("row.csv").write_bytes(bytes(range(256)) * 4000)
    assert "KALE402" not in shell.run("%kale_compile p.yaml").printed  # it is compressed
    Path("row.csv").write_text("".join(sha256(str(n).encode()).hexdigest() for n in range(10_000)))
    told = shell.refusal("%kale_compile p.yaml")
    assert re.search(r"KALE402 .*step a .*120,000 bytes.*row\.csv \(640,000 bytes\)", told)


def test_a_module_that_no_pod_can_get_is_refused(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    made = types.ModuleType("made_here")
    vars(made)["value"] = 1
    monkeypatch.setitem(sys.modules, "made_here", made)
    shell.run("%%kale step a\nimport made_here\nx = made_here.value")
    told = shell.refusal("%kale_compile p.yaml")
    assert shows(told, "KALE403", "step a uses made_here", "--image")
    assert not Path("p.yaml").exists()


def test_what_a_line_of_pip_says_is_said_in_the_pod(shell: Shell) -> None:
    Path("all.txt").write_text(
        "# ours\n-i https://packages.example.org/simple\n-r more.txt\npandas<99  # any\n"
    )
    Path("more.txt").write_text("tqdm==4.1\n")
    spec = compiled(
        shell,
        "%%kale imports\nimport pandas as pd",
        "%%kale step a --no-run\n%pip install -q --pre -r all.txt rich\ndf = pd.DataFrame()",
    )
    script = next(text for text in container(spec)["command"] if "pip install" in text)
    asked = script.partition("'kfp==")[0]
    for word in (
        "--pre",
        "--index-url=https://packages.example.org/simple",
        "tqdm==4.1",
        "pandas<99",
        "rich",
    ):
        assert f"'{word}'" in asked
    assert "'pandas==" not in asked
    Path("more.txt").unlink()
    assert shows(shell.refusal("%kale_compile p.yaml"), "KALE403", "more.txt cannot be read")
    shell.run("%%kale step b --no-run\n%pip install --target /opt c\nx = 1")
    told = shell.refusal("%kale_compile p.yaml")
    assert told.startswith("KALE209 ")
    assert "--target" in told


def test_what_is_installed_from_a_file_is_on_no_index(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Path("site-packages").absolute()
    wheel = Path("local one-1.0.whl").absolute()
    wheel.write_bytes(b"")
    for name, url in (
        ("local_one", wheel.as_uri()),
        ("far_one", "https://a.org/far.whl"),
        ("built_elsewhere", "file:///nowhere/build/work.whl"),
    ):
        (place / f"{name}-1.0.dist-info").mkdir(parents=True)
        (place / f"{name}.py").write_text("x = 1")
        about = place / f"{name}-1.0.dist-info"
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (about / "RECORD").write_text(f"{name}.py,,\n{name}-1.0.dist-info/METADATA,,\n")
        (about / "direct_url.json").write_text(json.dumps({"url": url, "archive_info": {}}))
    monkeypatch.syspath_prepend(str(place))
    for module in ("analysis.packages", "model.distributions"):
        monkeypatch.setattr(f"kale_magics.{module}.installation_stamp", lambda: (1, 2))
    spec = compiled(shell, "%%kale step a\nimport far_one, built_elsewhere\nx = far_one.x")
    script = next(text for text in container(spec)["command"] if "pip install" in text)
    assert "'far_one @ https://a.org/far.whl'" in script
    assert "'built_elsewhere==1.0'" in script
    shell.run("%%kale step b\nimport local_one")
    told = shell.refusal("%kale_compile p.yaml")
    assert shows(told, "KALE403", "step b uses local_one, ")
    assert "local_one was installed from local one-1.0.whl" in told
    shell.run("%%kale step b --packages local-one==1.0\nimport local_one")
    assert shell.run("%kale_compile p.yaml").success


TABLES = """\
def shown(rows):
    import printing
    return printing.text(rows)
def drawn(rows):
    import pencil
    return pencil.lines(rows)
def kept(rows): return rows
"""

INSTALLED = {
    "tables": (
        TABLES,
        'Provides-Extra: draw\nRequires-Dist: rules\nRequires-Dist: pencil; extra == "draw"\n',
    ),
    "printing": ("import rules, paper, comm\ndef text(rows): return str(rows)", "Requires-Dist: paper\n"),
    "paper": ("", ""),
    "pencil": ("def lines(rows): return rows", ""),
    "rules": ("", ""),
}
"""Packages with their code and what their metadata requires."""


@pytest.fixture
def asked(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], set[str]]]:
    """What pip installs for a step beside cloudpickle; `INSTALLED` is installed."""
    place = Path("site-packages").absolute()
    for name, (source, requires) in INSTALLED.items():
        about = place / f"{name}-1.0.dist-info"
        about.mkdir(parents=True)
        (place / f"{name}.py").write_text(source)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}")
        (about / "RECORD").write_text(f"{name}.py,,\n{name}-1.0.dist-info/METADATA,,\n")
    monkeypatch.syspath_prepend(str(place))
    for module in ("analysis.packages", "analysis.optional_packages", "model.distributions"):
        monkeypatch.setattr(f"kale_magics.{module}.installation_stamp", lambda: (3, 4))

    def words(step: str) -> set[str]:
        script = next(text for text in container(compiled(shell), step)["command"] if "pip install" in text)
        return {w for w in script.partition("'kfp==")[0].replace("'", " ").split() if "==" in w} - CLOUDPICKLE

    yield words
    for name in INSTALLED:
        sys.modules.pop(name, None)


def test_packages_that_were_imported_while_a_cell_ran_are_added(
    shell: Shell, asked: Callable[[str], set[str]]
) -> None:
    Path("helping.py").write_text("import pencil")
    shell.run("%%kale imports\nimport tables")
    shell.run("%%kale step a\ntext = tables.shown([1])", "a")
    shell.run("%%kale step b\nprint(tables.kept([1]))", "b")
    shell.run("%%kale step c\nimport importlib\nimportlib.import_module('helping')", "c")
    expected = {"tables==1.0", "printing==1.0"}
    # What printing requires comes with it, and comm is the notebook's own.
    assert (asked("a"), asked("b"), asked("c")) == (expected, {"tables==1.0"}, {"pencil==1.0"})
    written = Path("p.yaml").read_text()
    for cell in "abc":
        source = next(c for c in shell.registry.cells if c.name == cell)
        shell.run(source.line + source.source, cell)
    assert asked("a") == expected
    assert Path("p.yaml").read_text() == written
    shell.run("%%kale step a\ntext = tables.shown([2])", "a")
    shell.run("%kale_reset a")
    shell.run("tables.shown([3])", "a")
    shell.run("%%kale step a\ntext = tables.shown([3])", "a")
    assert asked("a") == expected


def test_a_package_that_another_cell_has_imported_is_known_by_the_feature_that_needs_it(
    shell: Shell, asked: Callable[[str], set[str]]
) -> None:
    shell.run("%%kale imports\nimport tables")
    shell.run("%%kale step a\nlines = tables.drawn([1])")
    shell.run("%%kale step b\ntables.draw_lines = tables.drawn\nlines = tables.draw_lines([1])")
    shell.run("%%kale step c\nprint(tables.kept([1]))")
    both = {"tables==1.0", "pencil==1.0"}
    assert (asked("a"), asked("b"), asked("c")) == (both, both, {"tables==1.0"})


def test_what_comes_from_a_part_of_a_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "url": "https://a.org/all.git",
        "subdirectory": "python",
        "vcs_info": {"vcs": "git", "commit_id": "abc"},
    }
    monkeypatch.setattr(packages, "_direct_url", lambda *_: told)
    assert packages.requirement("part", "1.0") == "part @ git+https://a.org/all.git@abc#subdirectory=python"


REQUIREMENTS = {
    "itself": ("-r all.txt", "all.txt includes itself"),
    "no text": (b"\xff\xfe", "UTF-8"),
    "a quote": ("-i 'https://a.org", "line: -i 'https://a.org"),
    "an option of a build": ("a==1 --config-settings=x", "pip's option --config-settings=x"),
}


@pytest.mark.parametrize(("content", "told"), REQUIREMENTS.values(), ids=REQUIREMENTS)
def test_requirements_that_no_pod_can_have_are_told(shell: Shell, content: str | bytes, told: str) -> None:
    Path("all.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    shell.run("%%kale step a --no-run\n%pip install -r all.txt\nx = 1")
    assert shows(shell.refusal("%kale_compile p.yaml"), "KALE403", "all.txt", told)


def test_requirements_as_tools_write_them(shell: Shell) -> None:
    Path("all.txt").write_bytes(b"\xef\xbb\xbftqdm==4.1 \\\n    --hash=sha256:abc\n./own\nown.whl\n")
    spec = compiled(shell, "%%kale step a --no-run\n%pip install -r all.txt\nx = 1")
    script = next(text for text in container(spec)["command"] if "pip install" in text)
    assert "'tqdm==4.1'" in script
    assert not re.search("own|sha256|\ufeff", script.partition("'kfp==")[0])


def test_a_module_that_is_nowhere_is_refused_before_anything_runs(shell: Shell) -> None:
    shell.run(
        "%%kale step a --no-run\ntry:\n    import nowhere_too\nexcept ImportError:\n    nowhere_too = None"
    )
    assert shell.run("%kale_compile p.yaml").success
    shell.run("%%kale step b --no-run\nimport nowhere_at_all.part as part")
    told = shell.refusal("%kale_compile p.yaml")
    assert shows(told, "KALE403", "step b uses nowhere_at_all, ")
    shell.run("%%kale step b --no-run --image ours:1\nimport nowhere_at_all.part as part")
    assert shell.run("%kale_compile p.yaml").success


def test_the_file_is_the_same_when_cells_have_run_again(shell: Shell) -> None:
    cells = ("%%kale functions\ndef f(x): return x", "%%kale step a\nx = f(1)", "%%kale step b\ny = x")
    compiled(shell, *cells)
    before = Path("p.yaml").read_text()
    compiled(shell, *cells)
    assert Path("p.yaml").read_text() == before


def carriers(spec: dict[str, Any]) -> list[str]:
    """The executors whose programs have the text of the runtime in them, or a part of it."""
    executors = spec["deploymentSpec"]["executors"]
    part = len(packed_runtime()) // RUNTIME_PARTS // 2
    return [name for name in executors if len(str(executors[name]["container"])) > part]


@pytest.mark.kfp
def test_the_runtime_is_in_the_first_step_alone_and_others_get_it(
    shell: Shell, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = compiled(
        shell,
        "%%kale step a --no-cache\nx = 1",
        "%%kale step b\ny = x + 1",
        "%%kale step c\nz = x + y",
        "%%kale step d --after c\nprint('RESULT', z)",
        "%%kale step e --after a\npass",
    )
    assert carriers(spec) == ["exec-a"]
    # What is not from Kubeflow's cache, because it has run anew, makes what takes it run anew.
    tasks = spec["root"]["dag"]["tasks"]
    givers = {name: task["inputs"]["artifacts"]["kale_runtime"] for name, task in tasks.items() if name > "b"}
    assert {name: giver["taskOutputArtifact"]["producerTask"] for name, giver in givers.items()} == {
        "c": "a", "d": "a", "e": "a",
    }  # fmt: skip
    read = read_pipeline(spec, "").pipeline
    assert {step.name: step.upstream for step in read.steps} == {
        "a": (), "b": ("a",), "c": ("a", "b"), "d": ("c",), "e": ("a",),
    }  # fmt: skip
    assert "RESULT 3" in played(Path("p.yaml").absolute(), capfd, monkeypatch)


def test_the_step_that_hands_on_the_runtime_runs_where_the_others_do(shell: Shell) -> None:
    options = "--image ours:1 --env PIP_INDEX_URL=https://a.org --node-selector a=b"
    shell.run(f"%config KaleMagics.step_options = '{options}'")
    spec = compiled(shell, *(f"%%kale step s{n} --cpu {n + 1}\nx{n} = {n}" for n in range(5)))
    carrier = container(spec, "kaleu003a-runtime")
    assert carrier["image"] == "ours:1"
    assert {"name": "PIP_INDEX_URL", "value": "https://a.org"} in carrier["env"]
    assert "resources" not in carrier
    selected = pod(spec, "kaleu003a-runtime")["nodeSelector"]
    assert selected == {"labels": {"a": "b"}}


@pytest.mark.slow
def test_many_steps_are_small(
    shell: Shell, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = compiled(
        shell,
        *(f"%%kale step s{n}\nx{n} = {n}" for n in range(199)),
        "%%kale step end\nprint('RESULT', x0 + x198)",
    )
    assert Path("p.yaml").stat().st_size < 1_000_000
    assert carriers(spec) == ["exec-kaleu003a-runtime", "exec-kaleu003a-runtime-1"]
    assert [step.name for step in read_pipeline(spec, "").pipeline.steps][-1] == "end"
    shell.run("%kale_reset")
    spec = compiled(
        shell,
        *(f"%%kale step s{n}\nx{n} = {n}" for n in range(5)),
        "%%kale step end\nprint('RESULT', x0 + x4)",
    )
    assert len(read_pipeline(spec, "").pipeline.steps) == 6
    assert "RESULT 4" in played(Path("p.yaml").absolute(), capfd, monkeypatch)


@pytest.mark.kfp
def test_a_compact_pipeline_runs(
    shell: Shell, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kale_magics.kubeflow.compiler.MAX_UNWARNED", 0)
    text = "words = '" + "a long text, " * 200 + "'"
    spec = compiled(
        shell,
        f"%%kale step a --no-cache\n{text}\nx = 1",
        "%%kale step b\nprint('RESULT', x + 1)",
    )
    assert carriers(spec) == ["exec-kaleu003a-runtime", "exec-kaleu003a-runtime-1"]
    assert runtime_loader() not in Path("p.yaml").read_text()
    read = read_pipeline(spec, "").pipeline
    assert {step.name: step.upstream for step in read.steps} == {"a": (), "b": ("a",)}
    assert "RESULT 2" in played(Path("p.yaml").absolute(), capfd, monkeypatch)


def test_the_access_modes_of_the_shared_volume_are_a_setting(shell: Shell) -> None:
    shell.run("%config KaleMagics.workspace_access_modes = ['ReadWriteOnce']")
    spec = compiled(shell, "%%kale step a --workspace\nx = 1", "%%kale step b\ny = x")
    volume = spec["platforms"]["kubernetes"]["pipelineConfig"]["workspace"]["kubernetes"]
    assert volume == {"pvcSpecPatch": {"accessModes": ["ReadWriteOnce"]}}


@pytest.mark.kfp
def test_values_go_over_the_shared_volume(
    shell: Shell, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.run("%config KaleMagics.workspace_size = '50Gi'")
    shell.run("%config KaleMagics.storage_class = 'fast'")
    spec = compiled(
        shell,
        "%%kale step a --workspace\nimport numpy as np\nrows = np.arange(100000)",
        "%%kale step b --workspace\nsame = rows",
        "%%kale step c\nprint('RESULT', rows.sum() == same.sum())",
    )
    workspace = spec["platforms"]["kubernetes"]["pipelineConfig"]["workspace"]
    assert workspace == {
        "size": "50Gi",
        "kubernetes": {"pvcSpecPatch": {"accessModes": ["ReadWriteMany"], "storageClassName": "fast"}},
    }
    assert spec["root"]["dag"]["tasks"]["a"]["cachingOptions"] == {}
    path = Path("p.yaml").absolute()
    assert "RESULT True" in played(path, capfd, monkeypatch)
    # The artifacts that KFP copies hold a note only.
    assert {p.stat().st_size < 100 for p in path.parent.glob("root/*/*/out_*")} == {True}


@pytest.mark.kfp
def test_the_log_of_a_pod_says_where_the_step_begins_and_what_came_of_it(
    shell: Shell, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled(
        shell,
        "%%kale step a\nprint('hello')\nloss = 0.5",
        "%%kale metrics\nloss",
        "%%kale step b --no-run\n1 / (loss * 0)",
    )
    printed = played(Path("p.yaml").absolute(), capfd, monkeypatch)
    lines = [line.strip() for line in printed.splitlines()]
    assert lines[lines.index(BEGINS) + 1] == "hello"
    ends = [json.loads(line.removeprefix(ENDS)) for line in lines if line.startswith(ENDS)]
    assert (ends[0]["step"], ends[0]["metrics"]) == ("a", {"loss": 0.5})
    assert Path(ends[0]["artifacts"]["out_loss"]).is_file()
    error = ends[1]["error"]
    assert (error["type"], error["cell"], error["line"]) == ("ZeroDivisionError", "step b, marked cell 3", 2)


def test_all_output_of_a_step_in_a_pod_goes_to_one_stream() -> None:
    program = (
        "import os, sys\nfrom kale_magics.step_runtime.pod import enter_pod\nenter_pod('')\n"
        "print('printed', flush=True)\nos.system('echo shell')\nsys.stderr.write('error\\n')\nprint('last')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr.split()) == ("", [*BEGINS.split(), "printed", "shell", "error", "last"])


UNPRIVILEGED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
"""What takes away from root what other users cannot do: to write where the mode says that nobody may."""

PLAY = """
import sys
from kfp import local
from kfp.components import load_component_from_file
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[2])
load_component_from_file(sys.argv[1])()
"""


@pytest.mark.kfp
def test_pods_of_an_unprivileged_user_with_a_home_that_is_read_only(shell: Shell, tmp_path: Path) -> None:
    compiled(
        shell,
        "%%kale step a\nimport os\nfrom pathlib import Path\nPath('made.txt').write_text('1')\n"
        "(Path.home() / '.settings').write_text('1')\nx = [Path('made.txt').read_text()]\nx",
        "%%kale step b\nprint('RESULT', x)",
    )
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    command = [*UNPRIVILEGED, sys.executable, "-c", PLAY, str(tmp_path / "p.yaml"), str(tmp_path / "root")]
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(STAND_INS)}
    told = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert "RESULT ['1']" in told.stdout + told.stderr
    assert not list(home.iterdir())
    # That it could not have written there is what this is about.
    touch = [*UNPRIVILEGED, sys.executable, "-c", "open('x', 'w')"]
    assert subprocess.run(touch, cwd=home, capture_output=True, check=False).returncode


@pytest.mark.parametrize(
    "options", ["--pvc a:/d b:/d", "--env V=1 V=2", "--env V=1 --secret s:k:V", "--pvc a:/d --secret s:/d"]
)
def test_what_would_be_given_twice_is_refused(shell: Shell, options: str) -> None:
    outcome = shell.run(f"%%kale step a {options}\nx = 1")
    told = outcome.printed if not outcome.success else shell.refusal("%kale_compile p.yaml")
    assert "KALE110" in told
    assert re.search(r"(/d|V) (is given )?twice", told)


def test_all_cells_of_a_step_have_its_variables(shell: Shell) -> None:
    shell.run("%%kale step a --env MODE=fast\nimport os\nprint(os.environ['MODE'])")
    assert shell.run("%%kale step a\nprint(os.environ['MODE'], 'too')").printed == "fast too\n"
    printed = shell.run("%kale_run").printed
    assert "a | fast too\n" in printed
    assert "KALE406" not in printed


def test_variables_that_the_notebook_sets_are_no_variables_of_the_machine(shell: Shell) -> None:
    Path("edited_env.py").write_text("import os\nLEVEL = os.environ['KALE_TEST_LEVEL']\n")
    shell.run("import os; os.environ['KALE_TEST_LEVEL'] = 'low'")
    shell.run(
        "%%kale imports\nimport os\nos.environ['KALE_A'] = '1'\nos.environ.setdefault('KALE_B', '2')\nos.environ.update(KALE_C='3')"
    )
    shell.run(
        "%%kale step a\nprint(os.environ['KALE_A'], os.environ['KALE_B'], os.environ['KALE_C'])\nimport edited_env"
    )
    printed = shell.run("%kale_compile p.yaml").printed
    assert shows(printed, "KALE406", "step a reads the environment variable KALE_TEST_LEVEL")
    assert printed.count("KALE406") == 1
    del sys.modules["edited_env"]


@pytest.mark.kfp
def test_logging_that_the_notebook_sets_up_is_set_up_in_a_pod(
    shell: Shell, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled(
        shell,
        "%%kale imports\nimport logging, sys\nlogging.basicConfig(level=logging.INFO, format='OURS %(message)s', stream=sys.stdout)",
        "%%kale step a\nlogging.info('told')",
    )
    assert "OURS told" in played(Path("p.yaml").absolute(), capfd, monkeypatch)
