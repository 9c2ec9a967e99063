"""Facts of code: the text of a cell in, what it reads, makes and changes out. Pure functions, no session.

A cell
    syntax             IPython's syntax as Python, and what of it means nothing in a pod
    python_cell        a cell as Python, and what is wrong with one that cannot be had so
    statements         a cell cut into statements, each with the comments that belong to it
    cells              all that is read off a cell
    parameter_cells    the cells that list parameters and metrics
    annotations        from the annotation of a parameter to the type of the pipeline's input
What it does to names
    effects            the facts: reads, bindings, changes, calls, branches
    scopes             which name belongs to which scope
    names              names in their scopes, and what an expression may share objects with
    expressions        from the tree of an expression to its effects
    choices            what in an expression decides which object it gives
    code_strings       code that is written out as a text
    star_imports       the names that a star import binds
    nesting            code that is nested deeply
    reader             from the tree of a statement to its effects
    summaries          what calling a function does to what it gets
    closures           whether a function makes functions with a memory
What is known of libraries
    knowledge          what no probe tells of their methods and functions
    library            the same as measured: which arguments a call changes, which its result shares
Files, settings, packages
    paths              paths as code builds them
    file_calls, files  the files that a call uses, and what code does with them
    shell_calls        calls of IPython's shell
    scripts            what `%run` runs
    setting_calls      the calls that set state of the process
    setters            the places in a cell that do
    own_code           what functions of the user's own modules set there
    uses               texts that may be paths, addresses, seeds
    pip                what a line installs with pip
    packages           from the modules that code imports to requirements for pip
    optional_packages  packages for which nothing asks
    submodules         submodules that code does not import
"""
