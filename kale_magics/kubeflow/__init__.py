"""Kubeflow Pipelines: the only place that knows kfp's API.

    options     what is asked for a step, said to a task of KFP
    cargo       what steps take along into their pods
    compiler    a `Pipeline` as the YAML that KFP runs
    server      the connection to a server, and what its errors mean
    submission  a pipeline on its way to a server
    schedules   recurring runs
    reading     what a pipeline on a server is
    remote      a run on a server as a `Run`
    following   a run on a server as events
    running     starts a run on a server, or takes one up again, and shows it

Each knows only those above it.
"""
