"""The cache of steps: what a step used and made in earlier runs, and whether that can replace running it.

    path_queries  the questions about paths that a step asks the system
    file_access   the files, modules and other resources that a step uses, as its process records them
    audit_log     what that record means for the next run
    entry         what a step did in a run, and what that depends on
    store         the entries of a folder of runs
    plan          what a run would do now

Each imports only those above it. `path_queries` and `file_access` run in the process of a step.
"""
