"""The cache of steps: what a step used and did in earlier runs, and whether that can replace running it.

    path_states    the state of files and folders
    path_queries   records what a step asks about paths without opening them
    random_draws   random numbers that a step draws
    preloaded      what the fork server has loaded before it forks a step
    file_access    records the files, modules and other resources that a step uses
    final_state    what a step has used that is known only at its end
    audit_log      what was recorded of a step, and what it means for the next run
    cache_key      the key of a step
    entry          what a step did in a run, and what that depends on
    store          the entries in a folder of runs
    plan           what a run would do now

Each imports only those above it. Those up to `final_state` are executed in the process of a step.
"""
