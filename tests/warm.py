"""Does, when it is imported, what each of the processes that are forked for notebooks would do again.

Kale_magics reads once in a process what is installed, what is known of libraries, and the runtime's text.
"""

from __future__ import annotations

import gc
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

import kale_magics.checking.check
import kale_magics.checking.expected
import kale_magics.kubeflow.compiler
import kale_magics.local.engine
import kale_magics.magics.magics
import kale_magics.view.table  # noqa: F401
from kale_magics.analysis.packages import needs_of
from kale_magics.dataflow.assemble import assemble
from kale_magics.model.program import render_program
from tests.fuzz.runs import compiled
from tests.marked import marked

needs_of(["cloudpickle", "numpy", "pandas", "scipy", "sklearn"])
simplest = assemble([marked("step", "\nx = sorted([1])\nx.sort()\n", "s")]).pipeline
if simplest is None:
    raise RuntimeError("the simplest notebook is refused")
step: dict[str, Any] = {"compile": compiled, "exec": lambda _, names: names.update(run_step=lambda *_: None)}
exec(compile(render_program(simplest.steps[0]), "<program>", "exec", dont_inherit=True), step)
step["s"]()
TransformerManager().transform_cell("x = 1\n")  # compiles regular expressions
gc.freeze()
