"""Whatever a step prints is read in time that is proportional to its bytes, and none of it is lost.

Of what a carriage return writes over, the last state is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from tests.campaigns import Try
from tests.campaigns.playing import run_cells, session, tracebacks_of_ours

SHAPES = {
    "no line end": "print('x' * {n}, end='')",
    "dots": "for _ in range({n} // 10): print('.', end='')",
    "dots, each sent": "for _ in range({n} // 200): print('.', end='', flush=True)",
    "a bar": "for i in range({n} // 40): print(f'\\r{{i:6}} |{{\"#\" * 20}}|', end='')",
    "a bar that is sent": (
        "for i in range({n} // 400): print(f'\\r{{i:6}} |{{\"#\" * 20}}|', end='', flush=True)"
    ),
    "carriage returns": "print('\\r' * {n})",
    "lines": "print('line\\n' * ({n} // 5))",
    "empty lines": "print('\\n' * ({n} // 10))",
    "lines of Windows": "print('line\\r\\n' * ({n} // 6))",
    "long lines": "for _ in range(4): print('y' * ({n} // 4))",
    "bytes": "import sys\nsys.stdout.buffer.write(bytes(range(256)) * ({n} // 256))",
    "zeros": "import sys\nsys.stdout.buffer.write(b'\\0' * {n})",
    "half a character": "import sys\nsys.stdout.buffer.write(b'\\xc3' * ({n} // 2))",
    "wide characters": "print('\U0001f600' * ({n} // 4))",
    "colours": "print('\\x1b[31mred\\x1b[0m' * ({n} // 12))",
    "errors": "import sys\nprint('e' * {n}, file=sys.stderr)",
    "both": "import sys\nfor i in range({n} // 100): print('o' * 40); print('e' * 40, file=sys.stderr)",
    "a program": "import subprocess\nsubprocess.run(['head', '-c', '{n}', '/dev/zero'])",
}
SIZES = (1_000, 200_000, 4_000_000)


def tries() -> Iterator[Try]:
    """Each shape in some sizes."""
    for size in SIZES:
        for name, code in SHAPES.items():
            yield Try(f"{name}, {size:,} bytes", partial(_one, code.format(n=size)))


def _one(code: str) -> list[str]:
    cells = [f"%%kale step talk --no-run\n{code}\nprint('\\nlast')", "run = %kale_run"]
    with session() as shell:
        outcomes = run_cells(shell, cells)
        log = shell.ipython.user_ns["run"].steps["talk"].log if outcomes[1].success else ""
    complaints = tracebacks_of_ours(outcomes)
    if "last" not in log[-100_000:].split("\n"):
        complaints.append(f"its last line is lost: {log[-60:]!r} {outcomes[1].printed[-300:]}")
    if re.search(r"\|#+\|.*\|#+\|", log):
        complaints.append("a bar is there more than once")
    return complaints
