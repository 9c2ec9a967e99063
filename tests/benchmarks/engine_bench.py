"""What running a pipeline here costs, beside KFP's runner, the notebook itself, or the disk, in the same run.

python tests/benchmarks/engine_bench.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks.bench import best, row

LIBRARIES = "import pandas as pd\nfrom sklearn.linear_model import Ridge"
"""What takes seconds to import."""

WORK = """
import time
end = time.perf_counter() + {seconds}
total_{n} = n
while time.perf_counter() < end:
    total_{n} += sum(i * i for i in range(1000))
"""

MAKE = """
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
before = peak()
frame = pd.DataFrame(np.ones((10, {rows})).T, copy=False)
made, made_peak = time.time(), peak() - before
"""

USE = """
taken = time.time()
used = sum(float(frame[column].sum()) for column in frame)
"""

RAW = """
content = np.ones({rows} * 10)
start = time.time() + 0 * used
with open(f"raw {{start}}", "wb") as file:  # a new one: to write over an old one is quicker
    file.write(content)
floor = time.time() - start
"""

GIGABYTE = 1 << 30

MARK = re.compile(r"%%?kale (.*)")

DEMO = Path(__file__).parents[2] / "demo_notebooks" / "cancer_screening.ipynb"


def chain(steps: int) -> list[tuple[str, str]]:
    """A notebook of marked cells: each step adds one to what the one before it has made."""
    cells = [("imports", LIBRARIES), ("step s0", "x0 = 0")]
    return cells + [(f"step s{n}", f"x{n} = x{n - 1} + 1") for n in range(1, steps)]


def pipeline_of(cells: Sequence[tuple[str, str]]) -> Any:
    """The pipeline of marked cells."""
    from kale_magics.dataflow.assemble import assemble
    from kale_magics.syntax.commands import parse_mark
    from tests.marked import marked

    found = []
    for number, (mark, source) in enumerate(cells, start=1):
        told = parse_mark(mark)
        found.append(marked(told.kind, f"\n{source}", told.name, told.after, count=number))
    assembly = assemble(found)
    if assembly.pipeline is None:
        raise RuntimeError(f"the benchmark's notebook has errors: {assembly.diagnostics}")
    return assembly.pipeline


def run_here(pipeline: Any, folder: Path, cache: bool = False) -> Any:
    """Run with the embedded engine."""
    from kale_magics.execution.request import RunRequest
    from kale_magics.local.engine import run_pipeline

    places = {"runs_folder": folder / "runs", "working_directory": folder}
    run = run_pipeline(RunRequest(pipeline, cache=cache), **places, listener=lambda event: None)
    if run.state != "succeeded":
        raise RuntimeError(f"the benchmark's run has {run.state}: {run.steps}")
    return run


def in_kfp(pipeline: Any, folder: Path) -> Callable[[], None]:
    """What runs the YAML with KFP's local runner."""
    from kfp import components, local

    from kale_magics.kubeflow.compiler import compile_pipeline

    compile_pipeline(pipeline, folder / "pipeline.yaml", folder)
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "stand_ins")  # nothing is to be installed
    runner = local.SubprocessRunner(use_venv=False)
    local.init(runner, pipeline_root=str(folder / "root"))
    component = components.load_component_from_file(str(folder / "pipeline.yaml"))

    def run() -> None:
        saved = os.dup(1)
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            try:
                component()
            finally:
                os.dup2(saved, 1)
                os.close(saved)

    return run


def as_notebook(cells: Sequence[tuple[str, str]]) -> Callable[[], None]:
    """What runs the cells without their marks, in a kernel that is started for it."""
    import nbclient
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for _, source in cells])  # type: ignore[no-untyped-call]
    return lambda: nbclient.execute(notebook) and None


def branches(seconds: float) -> list[tuple[str, str]]:
    """A notebook with six branches between a step that loads and one that joins."""
    names = [f"total_{n}" for n in range(6)]
    work = [(f"step work{n}", WORK.format(n=n, seconds=seconds)) for n in range(6)]
    return [("step load", "n = 1"), *work, ("step join", f"total = {' + '.join(names)}")]


def frame(size: int) -> list[tuple[str, str]]:
    """A notebook in which a frame of so many bytes goes from step to step; another step writes as many."""
    imports = "import resource, sys, time\nimport numpy as np\nimport pandas as pd"
    rows = size // 80
    steps = [("step make", MAKE.format(rows=rows)), ("step use", USE), ("step raw", RAW.format(rows=rows))]
    return [("imports", imports), *steps, ("metrics", "made\nmade_peak\ntaken\nfloor")]


def demo() -> list[tuple[str, str]]:
    """The marked cells of the demo notebook."""
    import nbformat

    notebook = nbformat.read(DEMO, 4)  # type: ignore[no-untyped-call]
    split = [cell.source.partition("\n") for cell in notebook.cells if cell.cell_type == "code"]
    marked = [(MARK.fullmatch(first), source) for first, _, source in split]
    return [(mark[1], source) for mark, source in marked if mark]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and once")
    quick = parser.parse_args().quick
    from kale_magics.local.fork_client import close_servers

    warnings.simplefilter("ignore")  # kfp's own
    print(f"{'what':<44}{'ours':>12}{'beside':>12}{'ratio':>8}  aim")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps = 3 if quick else 20
        pipeline = pipeline_of(chain(steps))
        ours = best(lambda: run_here(pipeline, folder), 1)
        again = best(lambda: run_here(pipeline, folder), 1)
        peer = best(in_kfp(pipeline, folder), 1)
        row(f"{steps} steps in a chain, beside kfp.local", ours, peer, "at most 0.125")
        row("  the same again, without the cache", again, peer)
        work = branches(0.1 if quick else 2.0)
        ours = best(lambda: run_here(pipeline_of(work), folder), 1)
        row("6 branches of work, beside the notebook", ours, best(as_notebook(work), 1), "at most 0.6")
        cells = demo()
        close_servers()  # a session's first run starts its own
        pipeline = pipeline_of(cells)
        ours = best(lambda: run_here(pipeline, folder), 1)
        notebook = best(as_notebook(cells), 1)
        row("the demo's pipeline, beside the notebook", ours, notebook, "at most 1.15")
        again = best(lambda: run_here(pipeline, folder, cache=True), 1)
        row("  again, when nothing has changed", again, notebook, "at most 0.1")
        few, many = (pipeline_of([(f"step s{n}", "x = 1") for n in range(count)]) for count in (100, 1000))
        ten = best(lambda: run_here(few, folder), 1)
        if not quick:
            row("1000 trivial steps, beside 100", best(lambda: run_here(many, folder), 1), ten, "at most 12")
        size = GIGABYTE // (64 if quick else 1)
        crossing = pipeline_of(frame(size))
        runs = [run_here(crossing, folder) for _ in range(3)]  # the first one imports the libraries
        written = min(r.steps["make"].artifacts["frame"].stat().st_mtime - r.metrics["made"] for r in runs)
        run, floor = runs[-1], min(r.metrics["floor"] for r in runs)
        begun = run.ended.timestamp() - sum(run.steps[name].seconds for name in ("use", "raw"))
        row("write a frame of 1 GB, beside writing bytes", written, floor, "at most 1.5")
        row("  start the step that reads it, and read", run.metrics["taken"] - begun, 0.05, "at most 1")
        peak = run.metrics["made_peak"] / size
        print(f"  memory at its peak, of the frame's size: {peak:.2f}  at most 1.1")


if __name__ == "__main__":
    main()
