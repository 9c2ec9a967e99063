"""What the check of a run costs in a session: in its steps, and after their end.

python tests/benchmarks/check_bench.py [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks.bench import row
from tests.benchmarks.engine_bench import demo

TIMED = """
def timed(function):
    import os, time
    def run(*arguments):
        start = time.thread_time()
        try:
            return function(*arguments)
        finally:
            taken = time.thread_time() - start
            with open(os.environ["KALE_BENCH"], "a") as file:
                file.write(f"{os.getpid()} {taken}\\n")
    return run
fingerprint_texts = timed(fingerprint_texts)
"""
"""One more module of the runtime: it writes down what fingerprints take in a step."""


def time_runtime(folder: Path) -> None:
    """Let the steps of this process's runs say what their fingerprints take."""
    from kale_magics import step_runtime

    places = Path(step_runtime.__file__).parent
    shutil.copytree(places, folder / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "runtime" / "timed.py").write_text(TIMED)
    step_runtime.__file__ = str(folder / "runtime" / "__init__.py")
    step_runtime.MODULES = (*step_runtime.MODULES, "timed")
    os.environ["KALE_BENCH"] = str(folder / "taken")


def checked_runs(times: int, folder: Path) -> list[tuple[float, float, list[float], Any]]:
    """Runs of the demo's notebook in a session.

    Returns:
        For each run the seconds of the comparison, those of the run, those of the fingerprints of each step,
        and the `Run` itself.
    """
    from kale_magics.checking import conclusion
    from tests.shells import fresh_shell

    compared: list[float] = []
    compare = conclusion.check_run

    def timed(*arguments: Any) -> Any:
        start = time.perf_counter()
        check = compare(*arguments)
        compared.append(time.perf_counter() - start)
        return check

    conclusion.check_run = timed
    found = []
    with contextlib.redirect_stdout(io.StringIO()), fresh_shell(lambda: "") as shell:
        shell.run("%load_ext kale_magics")
        for mark, source in demo():
            shell.run(f"%%kale {mark}\n{source}")
        for _ in range(times):
            (folder / "taken").write_text("")
            run = shell.run("%kale_run --no-cache").result
            lines = [line.split() for line in (folder / "taken").read_text().splitlines()]
            steps = {process: 0.0 for process, _ in lines}
            for process, seconds in lines:
                steps[process] += float(seconds)
            found.append((compared[-1], run.seconds, list(steps.values()), run))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="once")
    times = 1 if parser.parse_args().quick else 6
    warnings.simplefilter("ignore")  # kfp's own
    os.environ["MPLBACKEND"] = "agg"
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        time_runtime(Path(name))
        runs = checked_runs(times, Path(name))
        check = runs[-1][3].check
        os.chdir(here)
    if not check.rows or check.differences:
        raise RuntimeError(f"the benchmark's run is checked wrongly: {check!r}")
    compared, seconds, steps, run = min(runs, key=lambda found: found[1])
    print(f"{'what':<44}{'ours':>12}{'beside':>12}{'ratio':>8}  aim")
    row("compare the demo's values, beside its run", compared, seconds, "at most 0.01")
    of_steps = sum(state.seconds for state in run.steps.values())
    row("  fingerprints in its steps, beside these", sum(steps), of_steps)
    usual = sum(steps) / len(steps)
    print(f"  in a step: {usual * 1000:.1f} ms, {max(steps) * 1000:.1f} ms at most{'':>15}  under 5 ms")
    print(f"  {check}")


if __name__ == "__main__":
    main()
