"""What loading, marking, assembling and compiling cost, beside a floor or a peer measured in the same run.

    python tests/benchmarks/bench.py [--quick]

Each number is the best of several; the peer of a pipeline is the same one, written by hand in KFP's DSL.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZES = (10, 100, 200, 1000)
QUICK_SIZES = (10, 20)

LOADING = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
start = time.perf_counter()
shell.run_line_magic("load_ext", "kale_magics")
print(time.perf_counter() - start)
"""

STARTING = """
import time
start = time.perf_counter()
from IPython.core.interactiveshell import InteractiveShell
InteractiveShell.instance()
print(time.perf_counter() - start)
"""


def best(action: Callable[[], Any], times: int) -> float:
    """The shortest time of an action, in seconds."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        found.append(time.perf_counter() - start)
    return min(found)


def in_fresh_python(program: str, times: int) -> float:
    """The smallest number of seconds that a program prints."""
    command = [sys.executable, "-c", program]
    return min(
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(times)
    )


def marking(times: int) -> tuple[float, float]:
    """Seconds that a marked and an unmarked cell take."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    shell.run_line_magic("load_ext", "kale_magics")
    body = "\n".join(f"x{n} = {n}" for n in range(20))
    marked, plain = f"%%kale step a\n{body}", f"\n{body}"
    run: Callable[[str], Any] = shell.run_cell
    seconds = [best(lambda source=source: run(source), times) for source in (marked, plain)]  # type: ignore[misc]
    shell.run_line_magic("unload_ext", "kale_magics")
    return seconds[0], seconds[1]


def marked_cells(steps: int) -> list[Any]:
    """A notebook: every step takes what the one before it and the first one made."""
    from tests.marked import marked

    cells = [
        marked("imports", "\nimport math\nimport statistics", count=1),
        marked("parameters", "\nrate = 0.5", count=2),
        marked(
            "functions",
            "\ndef scaled(values):\n    return [value * rate for value in values]",
            count=3,
        ),
        marked("step", "\nx0 = [1.0, 2.0]", name="step 0", count=4),
    ]
    for n in range(1, steps):
        source = f"\nx{n} = scaled(x{n - 1}) + x0[:1]\nmean{n} = statistics.mean(x{n})"
        cells.append(marked("step", source, name=f"step {n}", count=n + 4))
    return cells


HEAD = "from kfp import dsl\nfrom kfp.dsl import Artifact, Input, Output\n\n"
FIRST = """
@dsl.component(base_image="python:3.11-slim", packages_to_install=["cloudpickle==3.1.2"])
def step_0(x0: Output[Artifact]):
    import pickle
    with open(x0.path, "wb") as file:
        pickle.dump([1.0, 2.0], file)
"""
NEXT = """
@dsl.component(base_image="python:3.11-slim", packages_to_install=["cloudpickle==3.1.2"])
def step_{n}(rate: float, x0: Input[Artifact], before: Input[Artifact], x{n}: Output[Artifact]):
    import pickle, statistics
    def scaled(values):
        return [value * rate for value in values]
    with open(x0.path, "rb") as file:
        first = pickle.load(file)
    with open(before.path, "rb") as file:
        values = pickle.load(file)
    result = scaled(values) + first[:1]
    mean = statistics.mean(result)
    with open(x{n}.path, "wb") as file:
        pickle.dump(result, file)
"""


def by_hand(steps: int) -> str:
    """The same notebook, written in KFP's DSL."""
    lines = [HEAD, FIRST, *(NEXT.format(n=n) for n in range(1, steps))]
    lines += ["\n@dsl.pipeline(name='bench')\ndef bench(rate: float = 0.5):\n    t0 = step_0()"]
    for n in range(1, steps):
        before = f"t{n - 1}.outputs['x{n - 1}']"
        lines.append(f"    t{n} = step_{n}(rate=rate, x0=t0.outputs['x0'], before={before})")
    return "\n".join(lines) + "\n"


def compiling(steps: int, times: int, folder: Path) -> tuple[float, float]:
    """Seconds for assembling and compiling marked cells, and for compiling what was written by hand."""
    from kfp import compiler

    from kale_magics.dataflow.assemble import assemble
    from kale_magics.kubeflow.compiler import compile_pipeline

    cells, path = marked_cells(steps), folder / f"bench_{steps}.py"
    path.write_text(by_hand(steps), encoding="utf-8")

    def ours() -> None:
        pipeline = assemble(cells).pipeline
        if pipeline is None:
            raise RuntimeError("the benchmark's notebook has errors")
        compile_pipeline(pipeline, folder / "ours.yaml", folder)

    def theirs() -> None:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise RuntimeError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        compiler.Compiler().compile(module.bench, str(folder / "theirs.yaml"))

    return best(ours, times), best(theirs, times)


def watching(times: int) -> dict[str, float]:
    """Seconds that gathering evidence takes for cells that reach these values, before and after together."""
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    from kale_magics.session.evidence import MutationObserver

    X = np.random.default_rng(0).random((2_000, 30))
    frame = pd.DataFrame(X, columns=[f"c{n}" for n in range(30)]).assign(kind="a")
    few = {"rows": [{"n": n} for n in range(100)], "names": ["a"] * 100, "options": {"depth": 3}}
    usual = {"X": X, "frame": frame, "model": LogisticRegression().fit(X, X[:, 0] > 0.5), **few}
    many = {f"frame{n}": frame.copy() for n in range(40)} | {
        f"rows{n}": [{"n": n}] * 9_999 for n in range(40)
    }
    large = {f"X{n}": np.zeros(20_000_000) for n in range(3)}

    def watch(values: dict[str, Any]) -> None:
        MutationObserver(" ".join(values), values).end()

    cells = {"few small values": few, "a frame, an array, a model": usual, "80 frames and lists": many}
    cells["3 arrays of 160 MB"] = large
    return {what: best(lambda values=values: watch(values), times) for what, values in cells.items()}  # type: ignore[misc]


def assembling(steps: int, times: int) -> float:
    """Seconds for reading and assembling marked cells, nothing of them remembered."""
    from kale_magics.dataflow.assemble import assemble

    cells = marked_cells(steps)
    return best(lambda: assemble(cells), times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes and one repetition: whether it works"
    )
    quick: bool = parser.parse_args().quick
    warnings.simplefilter("ignore")  # kfp's own
    times = 1 if quick else 3
    print(f"{'what':<44}{'ours':>12}{'beside':>12}{'ratio':>8}  aim")
    row(
        "load the extension, beside starting IPython",
        in_fresh_python(LOADING, times),
        in_fresh_python(STARTING, times),
    )
    marked, plain = marking(20 if quick else 200)
    row("run a marked cell, beside an unmarked one", marked, plain)
    print(f"{'  the mark alone':<44}{(marked - plain) * 1000:>9.2f} ms{'':>20}  under 2 ms")
    for what, took in watching(2 if quick else 20).items():
        share = f"{took * 100:.1f} % of a second"
        print(f"{'evidence: ' + what:<44}{took * 1000:>9.2f} ms{share:>20}  under 5 ms", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        seconds: dict[int, float] = {}
        compiling(2, 1, Path(folder))  # both have imported what they need
        for steps in QUICK_SIZES if quick else SIZES:
            repeat = 1 if quick or steps == 1000 else 7  # what stands beside another must be measured well
            seconds[steps], peer = compiling(steps, repeat, Path(folder))
            aim = "at most 1.5" if steps == 100 else ""
            row(f"assemble and compile {steps:>4} steps, beside KFP's DSL", seconds[steps], peer, aim)
        if not quick:
            alone = {steps: assembling(steps, 3) for steps in (10, 100, 1000)}
            row("analysis and assembly: 100 steps, beside 10", alone[100], alone[10], "about 10")
            row("analysis and assembly: 1000 steps, beside 100", alone[1000], alone[100], "about 10")
            row("200 steps beside 100 steps", seconds[200], seconds[100], "at most 2.3")
            row("1000 steps beside 100 steps", seconds[1000], seconds[100], "about 10")


def row(what: str, ours: float, beside: float, aim: str = "") -> None:
    """Print a row of the table."""
    print(
        f"{what:<44}{ours * 1000:>9.1f} ms{beside * 1000:>9.1f} ms{ours / beside:>8.2f}  {aim}".rstrip(),
        flush=True,
    )


if __name__ == "__main__":
    main()
