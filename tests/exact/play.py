"""Has rows cross: one process makes the values and writes them, another one reads them.

    python -m tests.exact.play write FOLDER
    python -m tests.exact.play read FOLDER

Each leaves in the folder what it saw, as JSON: for every row the portraits of the values and of what came of
using them, or a traceback. The reader hands everything on once more, and looks at what arrives there.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
import types
import warnings
from pathlib import Path
from typing import Any

from kale_magics.step_runtime.artifacts import load_artifact, save_artifact
from kale_magics.step_runtime.fingerprint import fingerprint, fingerprint_text
from kale_magics.step_runtime.pickling import Definitions, StepError
from tests.exact import Row, all_rows
from tests.exact.portrait import portrait


class Step:
    """A step's `__main__`, with the row's imports and what its setup defines."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.module = types.ModuleType("__main__")
        self.variables = vars(self.module)
        self.definitions = Definitions()
        sys.modules["__main__"] = self.module
        lines = (row.setup + "\n" + row.source).splitlines()
        self.execute("\n".join(line for line in lines if line.startswith(("import ", "from "))))
        self.execute(row.setup)
        for name, value in list(self.variables.items()):
            self.definitions.add(f"{name}@1", value)
        self.prelude = set(self.variables) - set(row.crosses.split())

    def execute(self, source: str) -> None:
        """Run code of the notebook."""
        exec(compile(source, f"<{self.row.name}>", "exec", dont_inherit=True), self.variables)

    def values(self) -> dict[str, Any]:
        """The variables that cross."""
        return {
            name: value
            for name, value in self.variables.items()
            if name not in self.prelude and name[0] != "_" and not isinstance(value, types.ModuleType)
        }

    def save(self, path: Path) -> None:
        """Write the variables."""
        save_artifact(str(path), self.values(), self.variables, self.definitions)

    def load(self, path: Path) -> dict[str, Any]:
        """Read variables, and say what they are."""
        values = load_artifact(str(path), self.variables, self.definitions.resolve)
        self.variables.update(values)
        return {"values": portrait(values), "fingerprints": fingerprints(values)}

    def use(self) -> dict[str, Any]:
        """Do what the row does with its variables, and say what came of it."""
        self.prelude |= set(self.variables)
        if not self.row.then:
            return {}
        self.execute(self.row.then)
        return {"then": portrait(self.values())}


def fingerprints(values: dict[str, Any]) -> dict[str, str]:
    """The fingerprints of variables, as a manifest has them."""
    return {name: fingerprint_text(fingerprint(value)) for name, value in values.items()}


def write(row: Row, folder: Path, number: int) -> dict[str, Any]:
    """Make the values and write them."""
    step = Step(row)
    step.execute(row.source)
    try:
        step.save(folder / f"{number}.first")
    except StepError as refusal:
        return {"refused": str(refusal)}
    values = step.values()
    return {"values": portrait(values), "fingerprints": fingerprints(values), **step.use()}


def read(row: Row, folder: Path, number: int) -> dict[str, Any]:
    """Read the values, hand them on, and use them; and what the next step makes of them."""
    if not (folder / f"{number}.first").exists():
        return {}
    step = Step(row)
    seen = step.load(folder / f"{number}.first")
    step.save(folder / f"{number}.second")
    seen |= step.use()
    step = Step(row)
    return {"first": seen, "second": {**step.load(folder / f"{number}.second"), **step.use()}}


def main(act: str, folder: Path) -> None:
    """Play all rows, or those whose names contain one of the other arguments."""
    warnings.simplefilter("ignore")
    seen = {}
    for number, row in enumerate(all_rows()):
        if not all(map(importlib.util.find_spec, row.needs.split())):
            continue
        try:
            seen[row.name] = (write if act == "write" else read)(row, folder, number)
        except Exception:  # whatever it is, it is shown and the row fails
            seen[row.name] = {"trouble": traceback.format_exc()}
    (folder / f"{act}.json").write_text(json.dumps(seen), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
