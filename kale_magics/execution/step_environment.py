"""The environment variables of a step on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from kale_magics.model.pipeline import Step

CREDENTIALS = frozenset(
    "KALE_TOKEN KALE_COOKIES KF_PIPELINES_IAP_OAUTH2_CLIENT_ID KF_PIPELINES_APP_OAUTH2_CLIENT_ID"
    " KF_PIPELINES_APP_OAUTH2_CLIENT_SECRET".split()
)
"""Variables with credentials for a server, including kfp's: steps do not have them."""


def common_environment() -> dict[str, str]:
    """Return the environment variables that the steps of a run share."""
    # With a fixed seed, a set of texts has the same order in all steps of all runs.
    known = {"PYTHONHASHSEED": "0", **{n: v for n, v in os.environ.items() if n not in CREDENTIALS}}
    environment = {**known, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    backend = environment.get("MPLBACKEND", "module://")
    if "matplotlib" in sys.modules:
        # `rcParams["backend"]` would choose a backend if none is chosen yet.
        backend = str(dict.__getitem__(sys.modules["matplotlib"].rcParams, "backend"))
    # The inline backend closes figures at the end of a cell; others keep them open.
    if "inline" not in backend:
        environment["KALE_FIGURES"] = "stay"
    # A step has no window and no notebook for its figures.
    if environment.get("MPLBACKEND", "module://").startswith("module://"):
        environment["MPLBACKEND"] = "agg"
    return environment


def step_environment(step: Step, common: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of a step: the common ones, and its own (`--env`)."""
    return {**common, **dict(step.options.env)}
