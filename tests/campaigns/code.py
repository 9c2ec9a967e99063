"""Deeply nested code is analysed in time proportional to it; what Python cannot compile is said so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from tests.campaigns import Try
from tests.campaigns.playing import run_cells, session, tracebacks_of_ours

FORMS: dict[str, Callable[[int], str]] = {
    "calls of own functions": lambda n: f"y = {'f(' * n}1{')' * n}",
    "calls of methods": lambda n: f"y = 'a'{'.strip()' * n}",
    "methods in arguments": lambda n: f"y = {'max(1, ' * n}1{')' * n}",
    "subscripts": lambda n: f"x = {{0: 0}}\ny = {'x[' * n}0{']' * n}",
    "lists": lambda n: f"y = {'[' * n}1{']' * n}",
    "comprehensions": lambda n: f"y = {'[z for z in ' * n}[1]{']' * n}",
    "lambdas": lambda n: f"y = ({'lambda: ' * n}1) and 1",
    "conditions": lambda n: f"y = {'(1 if y0 else ' * n}2{')' * n}",
    "sums": lambda n: f"y = {' + '.join(['1'] * n)}",
    "products of names": lambda n: f"y = {' * '.join(['y0'] * n)}",
    "ands": lambda n: f"y = {' and '.join(['y0'] * n)}",
    "comparisons": lambda n: f"y = {' < '.join(map(str, range(n + 1)))}",
    "nots": lambda n: f"y = {'not ' * n}1",
    "elif": lambda n: (
        "if y0 == 2:\n    y = 0\n"
        + "".join(f"elif y0 == {i + 3}:\n    y = {i}\n" for i in range(n))
        + "else:\n    y = 1"
    ),
    "ifs": lambda n: "".join(f"{' ' * i}if y0:\n" for i in range(n)) + f"{' ' * n}y = 1",
    "loops": lambda n: (
        "".join(f"{' ' * i}for i{i} in range(1):\n" for i in range(min(n, 15))) + f"{' ' * min(n, 15)}y = 1"
    ),
    "functions": lambda n: "".join(f"{' ' * i}def g{i}():\n" for i in range(n)) + f"{' ' * n}pass\ny = 1",
    "classes": lambda n: "".join(f"{' ' * i}class C{i}:\n" for i in range(n)) + f"{' ' * n}pass\ny = 1",
    "statements": lambda n: "y = 0\n" + "y += 1\n" * n,
    "names": lambda n: "\n".join(f"v{i} = {i}" for i in range(n)) + "\ny = 1",
    "arguments": lambda n: f"y = max({', '.join(map(str, range(n + 2)))})",
}
LEVELS = (18, 90, 900, 5_000)


def tries() -> Iterator[Try]:
    """Each form with some levels."""
    for levels in LEVELS:
        for name, form in FORMS.items():
            yield Try(f"{levels} {name}", partial(_one, form(levels)))


def _one(code: str) -> list[str]:
    cells = [
        "%%kale functions\ndef f(x):\n    return x",
        "%%kale parameters\ny0 = 1",
        f"%%kale step make\n{code}\nprint('made')",
        "%%kale step use\nz = y is not None\nprint('RESULT', z)",
        "%kale",
        "%kale_run",
    ]
    with session() as shell:
        outcomes = run_cells(shell, cells)
    complaints = tracebacks_of_ours(outcomes[4:])
    ran = "made" in outcomes[2].printed
    if ran and "RESULT True" not in outcomes[-1].printed:
        complaints.append(f"it runs in the notebook and not here: {outcomes[-1].printed[-500:]}")
    if not ran and "KALE202" not in outcomes[-1].printed and outcomes[-1].success:
        complaints.append(f"it is no code in the notebook: {outcomes[-1].printed[-300:]}")
    return complaints
