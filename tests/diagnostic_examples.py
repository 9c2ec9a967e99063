"""An example and a fix for each code.

`make docs` writes docs/diagnostics.md from them; it runs every example and records the output.
"""

from __future__ import annotations

from dataclasses import dataclass

from kale_magics.model.diagnostics import Code

FAMILIES = {
    "KALE1": "marks of cells, and arguments of magics",
    "KALE2": "marked cells, and their pipeline",
    "KALE3": "runs",
    "KALE4": "pipelines for a cluster",
    "KALE5": "servers of Kubeflow Pipelines",
    "KALE9": "the package itself",
}
"""The first digit of the codes, and their subject."""


@dataclass(frozen=True)
class Entry:
    """The entry of a code.

    Attributes:
        fix: The fix for any notebook; one sentence without its full stop.
        example: A notebook after `%load_ext kale_magics`, with empty lines between its cells. Only its last
            cell shows a diagnostic, with this code.
        saved: The notebook as it is saved before its last cell runs; empty if it is not saved.
        server: The kind of server at http://localhost:8080: "good", "of version 1", "for users only",
            "failing" or "old"; empty for none.
    """

    fix: str
    example: str
    saved: str = ""
    server: str = ""

    @property
    def cells(self) -> list[str]:
        """The cells as their user types them."""
        return self.example.strip("\n").split("\n\n")

    @property
    def saved_cells(self) -> list[str]:
        """The cells of the saved notebook."""
        return self.saved.strip("\n").split("\n\n") if self.saved else []


SUBMITTED = """
%%kale step load
rows = [1, 2, 3]

%kale_run --host http://localhost:8080
"""

CATALOGUE: dict[Code, Entry] = {
    Code.UNKNOWN_KIND: Entry(
        "use one of the kinds of `%%kale`: imports, functions, parameters, step, metrics or skip",
        """
%%kale stage load
rows = [1, 2, 3]
""",
    ),
    Code.UNKNOWN_OPTION: Entry(
        "use an option of the magic; `%%kale?`, `%kale_run?` and so on list them",
        """
%%kale step load
rows = [1, 2, 3]

%%kale step train --afer load
model = 1
""",
    ),
    Code.BAD_ARGUMENTS: Entry(
        "follow the help of the magic, such as `%kale_run?`; put names with spaces in quotes",
        """
%%kale step train model
model = 1
""",
    ),
    Code.STEP_WITHOUT_NAME: Entry(
        "give the step a name; cells with the same name are one step",
        """
%%kale step
rows = [1, 2, 3]
""",
    ),
    Code.NOT_FIRST_LINE: Entry(
        "move the magic to the first line of its cell; split a cell with parts of two kinds",
        """
import json
%%kale step load
rows = json.loads("[1, 2, 3]")
""",
    ),
    Code.EMPTY_BODY: Entry(
        "write the code below the magic, in the same cell; the next cell is not part of it",
        """
%%kale step load
""",
    ),
    Code.UNKNOWN_STEP: Entry(
        "use the name of a step that is marked; `%kale` lists them",
        """
%%kale step load
rows = [1, 2, 3]

%%kale step train --after laod
model = 1

%kale_run
""",
    ),
    Code.BAD_VALUE: Entry(
        "give the parameter a value of the type that its default has in the parameters cell",
        """
%%kale parameters
epochs = 3

%%kale step train
model = epochs * 2

%kale_run -p epochs=ten
""",
    ),
    Code.UNKNOWN_PARAMETER: Entry(
        "use the name of a parameter with a literal value in the parameters cell, or add it there",
        """
%%kale parameters
epochs = 3

%%kale step train
model = epochs * 2

%kale_run -p epoch=5
""",
    ),
    Code.BAD_STEP_OPTION: Entry(
        "write units, names and paths as in Kubernetes; `%%kale?` has examples",
        """
%%kale step load --memory 4GB
rows = [1, 2, 3]
""",
    ),
    Code.NOTHING_MARKED: Entry(
        "mark at least one cell as a step, and run it; a cell is marked when it runs",
        """
%%kale imports
import json

%kale_run
""",
    ),
    Code.SYNTAX: Entry(
        "correct the cell and run it again; if it is not part of the pipeline, mark it `%%kale skip`",
        """
%%kale step load
rows = [1, 2, 3

%kale_run
""",
    ),
    Code.INVALID_LINE: Entry(
        "write only lines like `epochs = 3` in a parameters cell, and only names in a metrics cell",
        """
%%kale parameters
epochs = 3
print(epochs)

%%kale step train
model = epochs * 2

%kale_run
""",
    ),
    Code.UNKNOWN_NAME: Entry(
        "mark the cell that defines the name, above its use; steps have only what marked cells define",
        """
scale = 10

%%kale step load
rows = [scale, 2 * scale]

%kale_run
""",
    ),
    Code.CYCLE: Entry(
        "remove the `--after`; if another step is between the cells of a step, rename the later cell's step",
        """
%%kale step load --after train
rows = [1, 2, 3]

%%kale step train
model = sum(rows)

%kale_run
""",
    ),
    Code.METRIC_WITHOUT_STEP: Entry(
        "list a variable that a step above defines; parameters are stored with every run anyway",
        """
%%kale step train
model = 1

accuracy = 0.9

%%kale metrics
accuracy

%kale_run
""",
    ),
    Code.METRIC_NOT_A_NUMBER: Entry(
        "compute a number in a step, and list the name of its variable",
        """
%%kale step train
losses = [0.3, 0.2]

%%kale metrics
losses

%kale_run
""",
    ),
    Code.NOT_SERIALIZABLE: Entry(
        "pass what it is created from, such as a path or a list, and create the value where it is used",
        """
%%kale step load
rows = (n * n for n in range(3))

%%kale step train
model = sum(rows)

%kale_run
""",
    ),
    Code.UNSUPPORTED_SYNTAX: Entry(
        "leave the cell out of the pipeline with `%%kale skip`, or do the same in Python",
        """
%%kale step report
%%javascript
alert("done")

%kale_run
""",
    ),
    Code.INTERLEAVED: Entry(
        "give the later cells another step name, or move them above the other step",
        """
%%kale step load
rows = [1, 2, 3]

%%kale step clean
rows.append(4)

%%kale step load
print(rows)

%kale_run
""",
    ),
    Code.PRELUDE_USES_STEP: Entry(
        "move the code that uses the value into a step; in a function, take the value as an argument",
        """
%%kale step load
rows = [1, 2, 3]

%%kale functions
total = sum(rows)

%kale_run
""",
    ),
    Code.CELL_FAILED: Entry(
        "correct the cell and run it again; ignore the warning if the cell can succeed only in the pipeline",
        """
%%kale step load
rows = [1, 2, 3]
print(rows[3])

%kale
""",
    ),
    Code.DUPLICATE_PARAMETER: Entry(
        "define each parameter once",
        """
%%kale parameters
epochs = 3

%%kale parameters
epochs = 5

%%kale step train
model = epochs * 2

%kale_run
""",
    ),
    Code.PRELUDE_CHANGED: Entry(
        "define a name once in the imports, functions and parameters cells, above the steps that use it",
        """
%%kale functions
def scaled(n):
    return n * 10

%%kale step load
rows = [scaled(1), scaled(2)]

%%kale functions
def scaled(n):
    return n * 100

%kale_run
""",
    ),
    Code.READS_CHANGED: Entry(
        "remove the name from `--reads`; the later steps then get the changed value from this step",
        """
%%kale step load
rows = [1, 2, 3]

%%kale step train --reads rows
rows.append(4)

%kale_run
""",
    ),
    Code.OUT_OF_ORDER: Entry(
        "restart the kernel and run all cells, to see what the pipeline computes",
        """
%%kale step load
rows = [1]

%%kale step grow
rows.append(2)

%%kale step grow
rows.append(2)

%kale
""",
    ),
    Code.CHANGED_OUTSIDE: Entry(
        "mark the cell as a step of the pipeline, or change a copy under another name",
        """
%%kale step load
rows = [3, 1, 2]

rows = sorted(rows)

%%kale step show
print(rows[0])

%kale
""",
    ),
    Code.CELL_CHANGED: Entry(
        "run the cell again",
        """
%%kale step load
rows = [1, 2, 3]

%kale
""",
        """
%%kale step load
rows = [1, 2, 3, 4]

%kale
""",
    ),
    Code.CELL_DELETED: Entry(
        "remove the step with `%kale_reset`, or restore the cell and run it",
        """
%%kale step load
rows = [1, 2, 3]

%%kale step show
print(rows)

%kale
""",
        """
%%kale step load
rows = [1, 2, 3]

%kale
""",
    ),
    Code.ASSUMED_CHANGE: Entry(
        "if the cell only reads the variable, declare it with `--reads`, or run the cell in the session",
        """
%%kale functions
def open_shop():
    return [1]

%%kale step load --no-run
shop = open_shop()

%%kale step look --no-run
shop.glance()

%%kale step show --no-run
print(shop)

%kale
""",
    ),
    Code.MODULE_CHANGED: Entry(
        "set it in an imports or functions cell, which every step runs",
        """
%%kale imports
import os

%%kale step load
os.environ["REGION"] = "eu"

%%kale step show
print(os.environ.get("REGION"))

%kale
""",
    ),
    Code.NONDETERMINISTIC: Entry(
        "compute the value in one step, which passes it to the others",
        """
%%kale imports
import uuid

%%kale functions
run_id = uuid.uuid4().hex

%%kale step load
print(run_id)

%%kale step show
print(run_id)

%kale_run
""",
    ),
    Code.CACHE_NOT_SHARED: Entry(
        "call the function in one step, and use its result in the others",
        """
%%kale functions
from functools import cache
@cache
def settings():
    return {"depth": 1}

%%kale step load
settings()["depth"] = 5

%%kale step show
print(settings())

%kale
""",
    ),
    Code.FILE_WITHOUT_DEPENDENCY: Entry(
        "add `--after` with the writing step to the step that uses the file",
        """
%%kale step load
from pathlib import Path
Path("rows.txt").write_text("1 2 3")

%%kale step show
from pathlib import Path
print(Path("rows.txt").read_text())

%kale
""",
    ),
    Code.MODULE_EDITED: Entry(
        "restart the kernel and run the notebook again, or `importlib.reload` the module and run its cells",
        """
import sys
from pathlib import Path
sys.path.insert(0, "")
Path("scaling.py").write_text("FACTOR = 3")

%%kale step load
import scaling
rows = [scaling.FACTOR]

Path("scaling.py").write_text("FACTOR = 40")

%kale_compile pipeline.yaml
""",
    ),
    Code.STEP_FAILED: Entry(
        "fix the cell that the traceback names, run it, and start the run again",
        """
%%kale parameters
epochs = 3

%%kale step train
if epochs > 100:
    raise ValueError("more epochs than rows")

%kale_run -p epochs=1000
""",
    ),
    Code.RUN_FOLDER: Entry(
        "free space on the disk, or set `runs_folder` to a writable folder",
        """
%%kale step load
rows = [1, 2, 3]

%config KaleMagics.runs_folder = "/dev/null/runs"

%kale_run
""",
    ),
    Code.NO_SUCH_OUTPUT: Entry(
        "use an output of a step that succeeded; `run.steps` has the states of all steps",
        """
%%kale step load
rows = [1, 2, 3]

%%kale step train
model = sum(rows)

run = %kale_run

run.outputs["load"]["row"]
""",
    ),
    Code.VALUE_DIFFERS: Entry(
        "see `run.check`; then make the code deterministic, for example with a seed, or run the cells again",
        """
!echo 1 > count.txt

%%kale step load
from pathlib import Path
count = int(Path("count.txt").read_text())

%%kale step show
print(count)

!echo 2 > count.txt

%kale_run --check
""",
    ),
    Code.BAD_FILE_NAME: Entry(
        "use a name that ends in `.yaml` or `.yml`, in a writable folder",
        """
%%kale step load
rows = [1, 2, 3]

%kale_compile pipeline.json
""",
    ),
    Code.PROGRAM_TOO_LARGE: Entry(
        "load data from a file or a URL instead of writing it in a cell",
        """
import random
table = [random.random() for _ in range(20_000)]
get_ipython().run_cell(f"%%kale step load\\nrows = {table}")

%kale_compile pipeline.yaml
""",
    ),
    Code.NO_PACKAGE: Entry(
        "install the module from a package, or in the image of the step",
        """
import sys, types
sys.modules["constants"] = types.ModuleType("constants")

%%kale step load
import constants
rows = [1, 2, 3]

%kale_compile pipeline.yaml
""",
    ),
    Code.LOCAL_FILE: Entry(
        "copy a small file into the pod (`--file`); put a large one on a volume or in a store",
        """
!echo 1,2,3 > rows.csv

%%kale step load
from pathlib import Path
rows = Path("rows.csv").read_text().split(",")

%kale_compile pipeline.yaml
""",
    ),
    Code.SECRET_IN_FILE: Entry(
        "store it in a secret of the cluster, and name the secret: `--secret NAME:KEY:VARIABLE`",
        """
%config KaleMagics.pip_index_urls = ["https://ann:pa55@packages.example.org/simple"]

%%kale step load
rows = [1, 2, 3]

%kale_compile pipeline.yaml
""",
    ),
    Code.ENVIRONMENT_DIFFERS: Entry(
        "set it for the step, with `--env NAME=VALUE` or `--secret NAME:KEY:VARIABLE`",
        """
%env TABLE=sales

%%kale step load
import os
table = os.environ["TABLE"]

%kale_compile pipeline.yaml
""",
    ),
    Code.RUN_TOO_LARGE: Entry(
        "combine steps, load long texts from files, or install your modules in the image of the steps",
        """
import random
random.seed(0)
for number in range(5):
    table = [random.random() for _ in range(2_000)]
    get_ipython().run_cell(f"%%kale step load{number}\\nrows{number} = {table}")

%kale_compile pipeline.yaml
""",
    ),
    Code.NO_SERVER: Entry(
        "check the address; a server of version 2 is required",
        SUBMITTED,
        server="of version 1",
    ),
    Code.UNREACHABLE: Entry(
        "check the address, the network, and whether the port forwarding is running",
        """
%%kale step load
rows = [1, 2, 3]

%kale_run --host http://127.0.0.1:9
""",
    ),
    Code.NOT_AUTHORIZED: Entry(
        "set a token, cookies or your namespace; see [Authentication](cluster.md#authentication)",
        SUBMITTED,
        server="for users only",
    ),
    Code.SERVER_ERROR: Entry(
        "try again later, or contact the administrator of the server",
        SUBMITTED,
        server="failing",
    ),
    Code.REQUEST_REJECTED: Entry(
        "remove the option that the server does not support, or upgrade the server",
        """
%%kale step load --workspace
rows = [1, 2, 3]

%kale_run --host http://localhost:8080
""",
        server="old",
    ),
    Code.NO_SUCH_RUN: Entry(
        "use the id that was printed when the run started, or that is on Kubeflow's page",
        """
%kale_attach 5f0c2d3a-7b1e-4c7e-9a52-0d1f6e2b8c44 --host http://localhost:8080
""",
        server="good",
    ),
    Code.INTERNAL_ERROR: Entry(
        "report it to the maintainers of the package, with the named file",
        """
get_ipython().magics_manager.registry["KaleMagics"].workspace.registry = None

%kale
""",
    ),
}
