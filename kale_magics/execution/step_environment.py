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
"""Variables with the credentials of a user for a server, also kfp's own: no step gets them."""


def common_environment() -> dict[str, str]:
    """Return the environment of every step of a run that starts now."""
    # A set of texts has the same order in all steps of all runs, unless the user has set another seed.
    known = {"PYTHONHASHSEED": "0", **{n: v for n, v in os.environ.items() if n not in CREDENTIALS}}
    environment = {**known, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    backend = environment.get("MPLBACKEND", "module://")
    if "matplotlib" in sys.modules:
        # `rcParams["backend"]` would choose a backend where none is chosen yet.
        backend = str(dict.__getitem__(sys.modules["matplotlib"].rcParams, "backend"))
    # A notebook closes its figures when a cell ends; with a terminal or a widget they stay open.
    if "inline" not in backend:
        environment["KALE_FIGURES"] = "stay"
    # A step has no window and no notebook to show a figure in.
    if environment.get("MPLBACKEND", "module://").startswith("module://"):
        environment["MPLBACKEND"] = "agg"
    return environment


def step_environment(step: Step, common: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of one step: that of all steps, and its own variables (`--env`)."""
    return {**common, **dict(step.options.env)}
