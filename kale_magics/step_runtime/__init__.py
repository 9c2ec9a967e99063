"""What runs inside a step: the same text in a pod and on this machine.

`kale_magics` is not installed in pods, so the modules here are sent as one text (`program`). That is why they
import the standard library only (and cloudpickle when a value is written or read), why their names are
distinct across modules, and why they keep to what Python 3.8 understands once annotations are taken away.

    fixed      what of Python the notebook's code cannot change
    texts      texts that are too long to be shown
    reducers   what pickle would change on its way, taken apart and made again
    tensors    tensors with their memory and their gradients
    arrays     arrays that show one memory
    parts      the parts of a value, and the expressions that lead to them
    suspects   what often cannot go from step to step, and what helps
    depth      values that are nested too deeply for one pickle
    helpers    what functions look up, for steps that lack it
    nans       NaNs that stay the object that they are
    timing     what `%time` and `%timeit` measure
    pickling   values and definitions as pickles, and which part of a value cannot be one
    generators the random generators of libraries, whose state goes from step to step
    writing    the file of an artifact while it is written
    nodes      the nodes of fingerprints
    kinds      what fingerprints know of classes
    samples    what a fingerprint has of arrays
    frames     what a fingerprint has of frames
    samplers   which of these functions reads the objects of a class
    contents   what a fingerprint has of objects of Python's own types
    fingerprint descriptions of values that two processes can compare
    artifacts  the file that carries values from step to step, and what is told about it
    pod        folder, shared volume and marks in the log of a step in a pod
    parameters values of parameters: their types, as text, and as KFP holds them
    run_magic  `%run` of a script
    shell      what `get_ipython()` can do in a step
    shows      what `display` prints, and its handle
    figures    open figures, closed when a notebook would
    report     the page that shows what a notebook would have shown under the step's cells
    runtime    `run_step`: parameters, code, inputs and outputs, errors
"""

MODULES = (
    "fixed",
    "texts",
    "reducers",
    "tensors",
    "arrays",
    "parts",
    "suspects",
    "depth",
    "helpers",
    "nans",
    "timing",
    "pickling",
    "generators",
    "writing",
    "nodes",
    "kinds",
    "samples",
    "frames",
    "samplers",
    "contents",
    "fingerprint",
    "artifacts",
    "pod",
    "parameters",
    "run_magic",
    "shell",
    "shows",
    "figures",
    "report",
    "runtime",
)
"""The modules in the order in which their texts follow each other."""
