"""Facts of code: the text of a cell in, what it reads, makes and changes out. Pure functions, no session.

syntax       IPython's syntax as Python, and what of it means nothing in a pod
statements   a cell cut into statements, each with the comments that belong to it
effects      the facts: reads, bindings, changes, calls, branches
scopes       which name belongs to which scope
names        names in their scopes, and what an expression may share objects with
expressions  from the tree of an expression to its effects
choices      what in an expression decides which object it gives
reader       from the tree of a statement to its effects
summaries    what calling a function does to what it gets
knowledge    what is known of methods and functions of libraries: do they change what they get
library      the same as measured: which arguments a call changes, and which its result shares
cells        all that is read off a cell
parameters   the cells that list parameters and metrics
pip          what a line installs with pip
packages     from the modules that code imports to requirements for pip
"""
