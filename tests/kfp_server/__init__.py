"""A Kubeflow Pipelines server for tests: the real one's API, with kfp.local or a script behind it."""

from tests.kfp_server.server import KfpServer

__all__ = ["KfpServer"]
