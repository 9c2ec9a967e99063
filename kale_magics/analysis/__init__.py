"""Static analysis of cells: from source code to what a cell reads, binds and changes. It needs no session.

A cell
    syntax             converts IPython's syntax to Python and rejects what a pod does not support
    python_cell        a cell as Python, and the error for a cell that cannot be converted
    statements         splits a cell into statements, each with its comments
    cells              the effects of each statement of a cell
    parameter_cells    parses parameters and metrics cells
    annotations        from the annotation of a parameter to the type of the pipeline's input
Effects on names
    effects            the data model: reads, bindings, changes, calls, branches
    scopes             the scope that each name belongs to
    names              resolves names in scopes, and finds what an expression may share objects with
    assignments        from an assignment to its effects
    expressions        from the syntax tree of an expression to its effects
    reader_state       the state of reading a statement
    choices            the parts of an expression that select its value
    code_strings       code in string literals
    star_imports       the names that a star import binds
    nesting            deeply nested code
    reader             from the syntax tree of a statement to its effects
    summaries          what a call of a function does to its arguments
    closures           whether a function makes closures that keep state
Libraries
    library_rules      effects of library functions that probes cannot measure
    library_effects    measured effects: the arguments that a call changes, and those that its result shares
Files, settings, packages
    paths              paths as code builds them
    file_calls, files  the files that a call uses, and those that code uses
    shell_calls        calls of IPython's shell
    scripts            the scripts that `%run` runs
    setting_calls      the calls that set process state
    setters            the places in a cell that set process state
    module_setters     what functions of the user's own modules set there
    uses               strings that may be paths or addresses, clocks and random numbers
    pip                what a line installs with pip
    packages           from imported modules to requirements for pip
    optional_packages  packages that no code and no package requires
    submodules         submodules that code uses without importing them
"""
