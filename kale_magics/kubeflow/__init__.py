"""Kubeflow Pipelines: the only package that uses kfp's API.

    task_options      sets the options of a step on a task of KFP
    portability       warnings for what steps use that pods do not have
    workflow_object   the object that a cluster stores for a run
    workflow_size     the size of that object
    pod_contents      what the pods of steps contain
    secret_scan       searches what goes to a cluster for secrets
    compiler          a `Pipeline` as the YAML that KFP runs
    pipeline_spec     reads a pipeline from its specification on a server
    earlier_results   results of equal steps in earlier runs
    workflow_nodes    where a server stores the results of a step
    access            the address of a server, and the credentials for it
    responses         limits and checks for the responses of a server
    server_errors     diagnostics for failed requests
    client            the client of a server
    submission        submits a pipeline to a server
    schedules         recurring runs
    pod_log           what the log of a step's pod contains
    metadata_store    the artifacts of a run, from ML Metadata
    pod_requests      logs, events and states of pods, and their files
    pod_status        why a pod does not start, or died
    server_states     the states of a run and its tasks, as a server describes them
    termination       ends a run
    server_source     the source of a run's facts
    following         a run on a server as events
    kubeflow_backend  runs pipelines on a server

Each imports only those above it.
"""
