"""Long texts, names and numbers are shortened wherever they are shown, and nothing fails for their length."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.campaigns import Try
from tests.campaigns.playing import run_cells, session, tracebacks_of_ours

MOST = 40_000
"""Characters that a magic may show at most: a traceback of 20,000, twice."""

NOTEBOOKS: dict[str, list[str]] = {
    "a message of an exception": ["%%kale step a --no-run\nraise ValueError('x' * {n})", "%kale_run"],
    "lines of an exception": ["%%kale step a --no-run\nraise ValueError('x\\n' * {n})", "%kale_run"],
    "a chain of exceptions": [
        "%%kale step a --no-run\ntry:\n    1 / 0\nexcept Exception as e:\n    last = e\n"
        "for i in range({n} // 1000):\n    try:\n        raise ValueError(i) from last\n"
        "    except ValueError as e:\n        last = e\nraise last",
        "%kale_run",
    ],
    "a group of exceptions": [
        "%%kale step a --no-run\nraise Exception([ValueError(i) for i in range({n} // 100)])",
        "%kale_run",
    ],
    "a number as a parameter": [
        "%%kale parameters\nn = 10",
        "%%kale step a --no-run\nprint(n)",
        "%kale_run -p n={digits}",
    ],
    "a number that crosses": [
        "%%kale step a\nn = 10 ** ({n} // 100)\nm = 1",
        "%%kale step b\nk = n > m",
        "%kale",
        "%kale_run",
    ],
    "a text as a parameter": [
        "%%kale parameters\nn = 'yes'",
        "%%kale step a --no-run\nprint(len(n))",
        "%kale_run -p n={name}",
        "%kale",
    ],
    "a name of a step": ["%%kale step {name} --no-run\nx = 1", "%kale", "%kale_run", "%kale_graph"],
    "a name of a variable": [
        "%%kale step a --no-run\n{name} = 1",
        "%%kale step b --no-run\ny = {name}",
        "%kale",
        "%kale_run",
    ],
    "a name that is missing": ["%%kale step b --no-run\ny = {name}", "%kale", "%kale_run"],
    "an option of a cell": ["%%kale step a --{name}\nx = 1"],
    "an option of a run": ["%%kale step a --no-run\nx = 1", "%kale_run --{name}"],
    "a parameter that is none": ["%%kale step a --no-run\nx = 1", "%kale_run -p {name}=1"],
    "a file": ["%%kale step a --no-run\nx = 1", "%kale_compile {name}.yaml"],
    "a run": ["%kale_logs a --run {name}"],
    "a server": ["%%kale step a --no-run\nx = 1", "%kale_run --host http://{name}.invalid"],
    "a title": ["%%kale step a --no-run\nx = 1", "%kale_run --name {name}", "%kale_runs"],
    "many steps": [
        *[f"%%kale step s{i} --no-run\nx{i} = 1" for i in range(40)],
        "%kale",
        "%kale_run --only {name}",
    ],
}
SIZES = (300, 5_000, 1_000_000)


def tries() -> Iterator[Try]:
    """Each notebook with texts of some lengths."""
    for size in SIZES:
        for name, cells in NOTEBOOKS.items():
            if size > 5_000 and any("{name}" in cell or "{digits}" in cell for cell in cells):
                continue  # nobody types that
            yield Try(f"{name}, {size:,}", partial(_one, cells, size))


def _one(cells: list[str], size: int) -> list[str]:
    filled = [
        cell.replace("{name}", "n" * size).replace("{digits}", "9" * size).replace("{n}", str(size))
        for cell in cells
    ]
    with session() as shell:
        outcomes = run_cells(shell, filled)
    complaints = tracebacks_of_ours(outcomes)
    for cell, outcome in zip(filled, outcomes, strict=True):
        if cell.startswith("%kale") and len(outcome.printed) > MOST:
            complaints.append(f"{cell[:30]} shows {len(outcome.printed):,} characters")
        if cell.startswith("%kale") and not outcome.success and "KALE" not in outcome.printed:
            complaints.append(f"{cell[:30]} fails without a code: {outcome.printed[-300:]}")
        if "KALE901" in outcome.printed:
            complaints.append(f"{cell[:30]}: {outcome.printed[-300:]}")
    return complaints
