"""Kubeflow Pipelines: the only place that knows kfp's API.

    task_options    what is asked for a step, said to a task of KFP
    only_here   what steps use that is on this machine only
    cargo       what steps take along into their pods
    secrecy     what must not go to a cluster
    compiler    a `Pipeline` as the YAML that KFP runs
    reading     what a pipeline on a server is
    workflow_nodes  where a server keeps what a step has left
    access      where a server is, and how to come in
    answers     what of a server's answer counts, and for how long it is waited
    explaining  what it means when a server does not do what it was asked for
    server      the connection to a server
    submission  a pipeline on its way to a server
    schedules   recurring runs
    pod_log     what the log of a step's pod contains
    server_source   the source of a run's facts
    following   a run on a server as events
    kubeflow_backend    runs pipelines on a server

Each knows only those above it.
"""
