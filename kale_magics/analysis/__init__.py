"""Facts of code: the text of a cell in, what it reads, makes and changes out. Pure functions, no session.

syntax      IPython's syntax as Python, and what of it means nothing in a pod
statements  a cell cut into statements, each with the comments that belong to it
effects     the facts: reads, bindings, changes, calls, branches
scopes      which name belongs to which scope
visitor     from the tree of a statement to its effects
knowledge   what is known of methods and functions of libraries: do they change what they get
parameters  the cells that list parameters and metrics
packages    from the modules that code imports to requirements for pip
"""
