"""The measurements of `%time` and `%timeit` in a step, printed as in IPython."""

from __future__ import annotations

import math
import re
import resource
import sys
import time
import timeit
from typing import Any

from kale_magics.step_runtime.reducers import runtime_reference

TIMEIT_OPTION = re.compile(r"-([tcqo]*)(?:([nrpv])\s*(\S+))?(?:\s+|$)")
"""One word of options of `%timeit`: flags, and one option with its value, which may be the next word."""

MIN_LOOP_SECONDS = 0.2
"""Minimum duration of the loop of `%timeit`, unless `-n` sets the number of runs."""

LENGTHS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
UNITS = (("s", 1.0), ("ms", 1e3), ("\u03bcs", 1e6), ("ns", 1e9))


def timeit_options(line: str) -> tuple[dict[str, str], str]:
    """Return the options at the beginning of a line of `%timeit`, by letter, and the rest of the line."""
    options: dict[str, str] = {}
    line = line.strip()
    while line.startswith("-"):
        match = TIMEIT_OPTION.match(line)
        if match is None or not match[0].strip("- "):
            return options, line.lstrip("- ") if line.startswith("--") else line
        options.update(dict.fromkeys(match[1], ""))
        if match[2]:
            options[match[2]] = match[3]
        line = line[match.end() :]
    return options, line


def cpu_seconds() -> tuple[float, float]:
    """Return the processor time of this process, in user and in system mode."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime, used.ru_stime


class Stopwatch:
    """Measures time from its creation on, as `%time` does."""

    def __init__(self) -> None:
        self.cpu, self.wall = cpu_seconds(), time.time()

    def show(self) -> None:
        """Print the times."""
        wall = time.time() - self.wall
        user, system = (end - start for start, end in zip(self.cpu, cpu_seconds()))  # noqa: B905 - new in Python 3.10
        parts = f"user {length_of(user)}, sys: {length_of(system)}, total: {length_of(user + system)}"
        print(f"CPU times: {parts}\nWall time: {length_of(wall)}")


class Timings:
    """The measurements of `%timeit -o`, as IPython's `TimeitResult`.

    Args:
        loops: How often the statement ran in each measurement.
        repeat: How many measurements there were.
        all_runs: Their seconds.
        precision: How many digits are shown.
    """

    compile_time = 0.0

    def __init__(self, loops: int, repeat: int, all_runs: list[float], precision: int) -> None:
        self.loops, self.repeat, self.all_runs, self._precision = loops, repeat, all_runs, precision
        self.timings = [seconds / loops for seconds in all_runs]
        self.best, self.worst = min(self.timings), max(self.timings)

    @property
    def average(self) -> float:
        """Seconds of one loop, on average."""
        return math.fsum(self.timings) / len(self.timings)

    @property
    def stdev(self) -> float:
        """Their standard deviation."""
        mean = self.average
        return math.sqrt(math.fsum((x - mean) ** 2 for x in self.timings) / len(self.timings))

    def __str__(self) -> str:
        mean, deviation = (length_of(seconds, self._precision) for seconds in (self.average, self.stdev))
        runs = (
            f"{self.repeat} run{'s' * (self.repeat != 1)}, {self.loops:,} loop{'s' * (self.loops != 1)} each"
        )
        return f"{mean} \xb1 {deviation} per loop (mean \xb1 std. dev. of {runs})"

    def __repr__(self) -> str:
        return f"<TimeitResult : {self}>"

    def __reduce__(self) -> Any:
        # Its module does not exist in other processes.
        given = self.loops, self.repeat, self.all_runs, self._precision
        return runtime_reference("make_timings"), given


class TimingBuilders:
    """Rebuilds timings from their reduced form."""

    def make_timings(self, *given: Any) -> Timings:
        """Rebuild an object of `Timings.__reduce__`."""
        return Timings(*given)


def length_of(seconds: float, precision: int = 3) -> str:
    """Format a duration as IPython prints it."""
    if seconds >= 60:
        parts, left = [], seconds
        for unit, size in LENGTHS:
            if left >= size:
                parts.append(f"{int(left / size)}{unit}")
                left %= size
        return " ".join(parts)
    order = min(-int(math.floor(math.log10(seconds)) // 3), 3) if seconds > 0 else 3
    unit, scale = UNITS[order]
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    unit = unit if "utf" in encoding.lower() else unit.replace("\u03bc", "u")
    return f"{seconds * scale:.{precision}g} {unit}"


def measure(options: dict[str, str], setup: str, statement: str, namespace: dict[str, Any]) -> Timings | None:
    """Measure a statement, print the result unless `-q` is given, and return it if `-o` is given.

    The names that the statement binds are local to it.
    """
    clock = time.process_time if "c" in options else time.time if "t" in options else time.perf_counter
    timer = timeit.Timer(statement or "pass", setup or "pass", clock, namespace)
    loops, repeat = int(options.get("n", 0)), int(options.get("r", 7))
    if not loops:
        for exponent in range(10):
            loops = 10**exponent
            if timer.timeit(loops) >= MIN_LOOP_SECONDS:
                break
    result = Timings(loops, repeat, timer.repeat(repeat, loops), int(options.get("p", 3)))
    if "q" not in options:
        if result.worst > 4 * result.best > 0 and result.worst > 1e-6:
            print(
                f"The slowest run took {result.worst / result.best:.2f} times longer than the fastest."
                " This could mean that an intermediate result is being cached."
            )
        print(result)
    return result if "o" in options else None
