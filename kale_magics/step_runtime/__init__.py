"""The code that runs inside a step: the same text in a pod and on this machine.

`kale_magics` is not installed in pods, so these modules are sent as one text (`program`). That is why they
import the standard library only (and cloudpickle when a value is pickled or loaded), and why their names
are distinct across modules.

    unpatched             the standard library before the notebook's code could patch it
    truncation            shortening of long texts
    reducers              reducers for objects that pickle would change
    tensors               tensors with their shared memory and gradients
    arrays                arrays that share memory
    parts                 the parts of a value, and the expressions that lead to them
    unpicklable           types that cannot be serialized, each with a reason and a fix
    depth                 values that are nested too deeply for one pickle
    helpers               globals that functions look up, for steps that lack them
    nans                  NaNs that keep their identity
    timing                the measurements of `%time` and `%timeit`
    pickling              the pickler and its reader, and the search for an unpicklable part
    random_generators     the global random generators of libraries, whose state is passed between steps
    artifact_file         the file of an artifact while it is written
    fingerprint_nodes     the nodes of fingerprints
    fingerprint_classes   facts about classes
    fingerprint_arrays    fingerprints of arrays
    fingerprint_frames    fingerprints of frames
    fingerprint_libraries the choice of a reader for a library's class
    fingerprint_builtins  fingerprints of Python's own types
    fingerprint           descriptions of values that two processes can compare
    artifacts             the file that carries values between steps, and its manifest
    pod                   folder, shared volume and log markers of a step in a pod
    attempts              the attempts at a step in a pod
    parameters            values of parameters: their types, their text form, and their encoding for KFP
    run_magic             `%run` of a script
    shell                 `get_ipython()` in a step
    display               the function `display` and its handle
    figures               open figures, closed when a notebook would close them
    report                the HTML page with the outputs of the step's cells
    runtime               `run_step`: parameters, code, inputs and outputs, errors
"""

MODULES = (
    "unpatched",
    "truncation",
    "reducers",
    "tensors",
    "arrays",
    "parts",
    "unpicklable",
    "depth",
    "helpers",
    "nans",
    "timing",
    "pickling",
    "random_generators",
    "artifact_file",
    "fingerprint_nodes",
    "fingerprint_classes",
    "fingerprint_arrays",
    "fingerprint_frames",
    "fingerprint_libraries",
    "fingerprint_builtins",
    "fingerprint",
    "artifacts",
    "pod",
    "attempts",
    "parameters",
    "run_magic",
    "shell",
    "display",
    "figures",
    "report",
    "runtime",
)
"""The modules in the order in which their texts are joined."""
