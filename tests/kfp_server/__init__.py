"""A Kubeflow Pipelines server of our own, for tests: the real one's API, with kfp.local behind it."""

from tests.kfp_server.server import KfpServer

__all__ = ["KfpServer"]
