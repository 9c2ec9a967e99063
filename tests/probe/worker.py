"""`python -m tests.probe.worker LIBRARY OUTPUT`: probe one library, a line of JSON for each callable."""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Collection, Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from tests.probe.findings import Finding, Prober
from tests.probe.instances import Factory
from tests.probe.reach import reach
from tests.probe.samples import kinds_for
from tests.probe.targets import attributes, functions, methods, objects, public_name
from tests.probe.trials import call

IMPORTED = {
    "matplotlib": "matplotlib.pyplot mpl_toolkits.mplot3d pandas",
    "sklearn": "sklearn.utils pandas scipy.sparse",
    "scipy": "scipy.stats scipy.sparse scipy.spatial scipy.interpolate",
    "pandas": "pandas.api.typing",
}
"""Modules that must be there so that their types have public names."""

MAX_STUCK_SECONDS = 20
"""Processor time after which the system ends a worker that is still at the same callable."""

MAX_MEMORY = 4 << 30
"""Bytes: a call that wants more fails."""

Line = dict[str, Any]


def main() -> None:
    """Probe what is not in the output yet; a line without findings tells what is being probed."""
    library, output = sys.argv[1], Path(sys.argv[2])
    shown = os.fdopen(os.dup(2), "w")
    try:
        prepare(library)
        _write(library, output, set(sys.argv[3:]))
    except Exception:
        traceback.print_exc(file=shown)
        shown.flush()
        os._exit(1)
    os._exit(0)  # threads and exit handlers of libraries shall not hold up the process


def _write(library: str, output: Path, only: Collection[str]) -> None:
    before = output.read_text("utf-8").splitlines() if output.exists() else []
    done = {json.loads(line)["name"] for line in before}
    with output.open("a", encoding="utf-8") as file:
        for line in lines(library, done, only):
            file.write(json.dumps(line) + "\n")
            file.flush()


def prepare(library: str) -> None:
    """Import what is needed, and silence what it prints."""
    import importlib

    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    warnings.simplefilter("ignore")
    os.environ["MPLBACKEND"] = "Agg"
    for name in IMPORTED.get(library, "").split():
        importlib.import_module(name)
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):  # what compiled code prints, too
        os.dup2(silence, stream)


def lines(library: str, done: Collection[str], only: Collection[str] = ()) -> Iterator[Line]:
    """The findings of a library; before each, a line that only names it."""
    kinds = kinds_for(library)

    def wanted(name: str) -> bool:
        return name not in done and (not only or name in only)

    for what, targets in (("function", functions(library, wanted)), ("method", methods(library, wanted))):
        for target in targets:
            yield {"name": target.name, "what": what}
            _begin(library)
            finding = Prober(target, kinds).probe()
            if finding is not None:
                yield _line(what, target.name, finding)
    if only:
        return
    for type_name, (kind, _, _) in objects(library).items():
        bases = " ".join(public_name(base) for base in kind.__mro__[1:-1])
        yield {"name": type_name, "what": "type", "bases": bases}
    for type_name, name, makes in attributes(library, wanted):
        path = f"{type_name}.{name}"
        yield {"name": path, "what": "attribute"}
        _begin(library)
        yield from _attribute(path, name, makes)


def _begin(library: str) -> None:
    """The same random numbers for each callable, whatever was probed before it; no open figures."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + MAX_STUCK_SECONDS, most))
    random.seed(7)
    if "numpy" in sys.modules:
        import numpy as np

        np.random.seed(7)
    if library == "matplotlib":
        import matplotlib.pyplot as plt

        plt.close("all")
        plt.rcdefaults()
        plt.rcParams["figure.figsize"] = (2, 2)
        plt.rcParams["figure.dpi"] = 40


def _line(what: str, name: str, finding: Finding) -> Line:
    effects = finding.effects()
    found = {
        field.name: sorted(map(str, getattr(effects, field.name)))
        for field in fields(effects)
        if getattr(effects, field.name)
    }
    types = {public_name(kind) for kind in finding.result_types}
    return {
        "name": name,
        "what": what,
        "effects": found,
        "result": types.pop() if len(types) == 1 else "",
        "hidden": finding.hidden,
    }


def _attribute(path: str, name: str, makes: Iterable[Factory]) -> Iterator[Line]:
    """Whether an attribute is, holds, or shows memory of, a part of its object."""
    shares: list[bool] = []
    for make in makes:
        succeeded, shown = call(_shows_part, {0: make, 1: name})
        if succeeded:
            shares.append(shown)
    if shares:
        yield {"name": path, "what": "attribute", "shares": any(shares)}


def _shows_part(make: Factory, name: str) -> bool:
    owner = make()
    held = reach(owner, indexes=True)
    return reach(getattr(owner, name), indexes=True).meets(held)


if __name__ == "__main__":
    main()
