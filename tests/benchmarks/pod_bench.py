"""What a pod installs before a step can begin, in a fresh virtual environment, beside Kale's requirement.

The commands are those of the compiled pipeline. What pip downloads is fetched once before: installing is
measured, not the network.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import tempfile
import time
import venv
from pathlib import Path

from kale_magics.dataflow.assemble import assemble
from kale_magics.kubeflow.compiler import documents, pipeline_yaml
from tests.marked import marked

STEPS = {
    "a step with the standard library": ["\nx = 1"],
    "a step with pandas": ["\nimport pandas as pd\nx = len(pd.DataFrame())"],
}
KALE = "kubeflow-kale"


def installs(cells: list[str]) -> list[list[str]]:
    """The words behind `pip install` of a step's container."""
    pipeline = assemble([marked("step", source, "s") for source in cells]).pipeline
    if pipeline is None:
        raise RuntimeError("the step is refused")
    spec = next(documents(pipeline_yaml(pipeline, Path.cwd())))
    script = next(
        text
        for text in spec["deploymentSpec"]["executors"]["exec-s"]["container"]["command"]
        if "pip install" in text
    )
    found = re.findall(r"pip install --quiet --no-warn-script-location ([^&]*?)(?=&&|$)", script)
    return [[word.strip("'") for word in re.findall(r"'[^']*'|\S+", words)] for words in found]


def size(folder: Path) -> int:
    """The bytes that the files of a folder take."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_symlink())


def measured(commands: list[list[str]], cache: Path) -> tuple[float, float]:
    """Seconds and megabytes of installing in a fresh environment, with all downloads at hand."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CACHE_DIR": str(cache)}
    seconds = megabytes = 0.0
    for _ in range(2):
        place = Path(tempfile.mkdtemp(prefix="kale-bench-"))
        venv.create(place, with_pip=True)
        before = size(place)
        began = time.perf_counter()
        for words in commands:
            pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", *words]
            subprocess.run(pip, check=True, capture_output=True, env=environment)
        seconds, megabytes = time.perf_counter() - began, (size(place) - before) / 1e6
        shutil.rmtree(place)
    return seconds, megabytes


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        print(f"{'what a pod installs':40} {'seconds':>8} {'MB':>8}   aim")
        own = measured([[f"pandas=={importlib.metadata.version('pandas')}"]], cache)
        for name, cells in STEPS.items():
            seconds, megabytes = measured(installs(cells), cache)
            told = "2 s, 10 MB"
            if "pandas" in name:
                seconds, megabytes, told = (
                    seconds - own[0],
                    megabytes - own[1],
                    "2 s, 10 MB beyond pandas itself",
                )
            print(f"{name:40} {seconds:8.1f} {megabytes:8.1f}   {told}")
        seconds, megabytes = measured([[KALE]], cache)
        print(f"{'Kale: ' + KALE:40} {seconds:8.1f} {megabytes:8.1f}")


if __name__ == "__main__":
    main()
