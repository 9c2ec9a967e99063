"""Kubeflow Pipelines: a `Pipeline` as the YAML that KFP runs. The only place that knows kfp's API."""
