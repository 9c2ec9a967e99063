"""The settings of `%config KaleMagics`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from IPython.core.magic import Magics
from traitlets import Bool, Enum, Int, List, Unicode, default, observe

from kale_magics.model.diagnostics import KaleError, Where
from kale_magics.model.options import StepOptions
from kale_magics.model.pipeline import Environment
from kale_magics.syntax import commands
from kale_magics.syntax.quantities import size
from kale_magics.syntax.step_options import access_modes, check_files, image

EXPERIMENT_VARIABLES = ("KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME", "KF_PIPELINES_DEFAULT_EXPERIMENT_NAME")
"""Variables of kfp: the experiment that overrides the setting, and its default."""

_PARSERS: dict[str, Callable[[str, Where], Any]] = {
    "base_image": image,
    "step_options": commands.parse_step_options,
    "workspace_size": partial(size, "workspace_size"),
    "workspace_access_modes": access_modes,
}
"""Parsers of the settings that are written like options of a step."""


class Hidden(str):
    """A text whose representation hides its content."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'" if self else "''"


class Secret(Unicode):  # type: ignore[type-arg]  # traitlets' annotation has more type parameters
    """A setting that is shown as three asterisks."""

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the text as `Hidden`."""
        return Hidden(super().validate(obj, value))


class KaleSettings(Magics):
    """The settings, as attributes of the class of the magics, whose name `%config` uses."""

    pipeline_name = Unicode(
        help="Name of the pipeline. If empty, the name of the notebook's file; 'pipeline' if unknown."
    ).tag(config=True)
    description = Unicode(help="Free text for the YAML.").tag(config=True)
    base_image = Unicode(
        help="Container image of the steps on a cluster; by default python:X.Y-slim with the kernel's Python."
    ).tag(config=True)
    step_options = Unicode(
        help='Options of all steps, as after %%kale step NAME: "--cpu 1 --memory 2G". A step\'s own options'
        " take precedence; lists are merged."
    ).tag(config=True)
    pip_index_urls = List(
        Unicode(), help="Package indexes for the steps on a cluster, the first one instead of pip's own."
    ).tag(config=True)
    pip_trusted_hosts = List(Unicode(), help="Hosts of these indexes that need no valid certificate.").tag(
        config=True
    )
    workspace_size = Unicode("10Gi", help="Size of a run's shared volume, for --workspace.").tag(config=True)
    storage_class = Unicode(help="Storage class of that volume. If empty, the cluster's own.").tag(
        config=True
    )
    workspace_access_modes = List(
        Unicode(),
        ["ReadWriteMany"],
        help="Access modes of that volume, ReadWriteMany by default. With ReadWriteOnce, all steps that use"
        " it must be on one node.",
    ).tag(config=True)
    runs_folder = Unicode(".kale", help="Folder for the runs; a relative path is beside the notebook.").tag(
        config=True
    )
    max_parallel = Int(0, min=0, help="How many steps may run at the same time; 0 for one per core.").tag(
        config=True
    )
    start_steps = Enum(
        ("", "fork", "spawn"), "",
        help="How a step's process starts: fork, from a process that has executed the imports, or spawn, a"
        " fresh interpreter. If empty, fork on Linux, spawn elsewhere.",
    ).tag(config=True)  # fmt: skip
    slim_imports = Bool(
        True, help="Whether an import goes only to the steps that may use it, and not to every step."
    ).tag(config=True)

    host = Unicode(
        help="Address of the server of Kubeflow Pipelines on which %kale_run runs. If empty,"
        " KF_PIPELINES_ENDPOINT in the environment; if that is not set either, runs are local."
    ).tag(config=True)
    namespace = Unicode(
        help="Your namespace, in an installation with several users. If empty, that of kfp, or of the pod."
    ).tag(config=True)
    experiment = Unicode(
        help="Experiment of the runs on a server. KF_PIPELINES_OVERRIDE_EXPERIMENT_NAME in the environment"
        " takes precedence. If empty, KF_PIPELINES_DEFAULT_EXPERIMENT_NAME, or else the pipeline's name."
    ).tag(config=True)
    token = Secret(
        help="Bearer token. Prefer KALE_TOKEN in the environment, which is used if this is empty."
    ).tag(config=True)
    token_file = Unicode(
        help="File with a bearer token, read for every request. If empty, KF_PIPELINES_SA_TOKEN_PATH in the"
        " environment."
    ).tag(config=True)
    cookies = Secret(
        help="Cookies of a login, as a browser sends them. Prefer KALE_COOKIES in the environment, which"
        " is used if this is empty."
    ).tag(config=True)
    ca_cert = Unicode(
        help="File with the trusted certificates. If empty, the first of KF_PIPELINES_SSL_SA_CERTS,"
        " SSL_CERT_FILE and REQUESTS_CA_BUNDLE that is set in the environment."
    ).tag(config=True)

    @default("base_image")
    def _image_of_this_python(self) -> str:
        from kale_magics.kubeflow.task_options import default_image

        return default_image()

    @observe(*_PARSERS)
    def _report_mistake(self, change: Any) -> None:
        """Print what is wrong with a setting; a run raises it.

        An exception from here would make `%config` log a traceback and keep the old value.
        """
        try:
            found = self.parsed(change.name)
            if isinstance(found, StepOptions):
                check_files(found, Path.cwd(), self._where_set(change.name))
        except KaleError as error:
            print(error, file=sys.stderr)

    def parsed(self, setting: str) -> Any:
        """Return the parsed value of a setting of `_PARSERS`.

        Raises:
            KaleError: A cluster would reject it.
        """
        return _PARSERS[setting](getattr(self, setting), self._where_set(setting))

    def _where_set(self, setting: str) -> Where:
        return Where(f"%config KaleMagics.{setting} = {getattr(self, setting)!r}")

    @property
    def common_variables(self) -> dict[str, str]:
        """The environment variables of all steps."""
        try:
            return dict(self.parsed("step_options").env)
        except KaleError:  # the next run raises it
            return {}

    @property
    def environment(self) -> Environment:
        """Where steps run on a cluster.

        Raises:
            KaleError: A cluster would reject a setting.
        """
        for setting in ("base_image", "workspace_size", "workspace_access_modes"):
            self.parsed(setting)
        return Environment(
            self.base_image,
            tuple(self.pip_index_urls),
            tuple(self.pip_trusted_hosts),
            self.workspace_size,
            self.storage_class,
            tuple(self.workspace_access_modes),
        )

    @property
    def experiment_name(self) -> str:
        """The experiment of new runs, as kfp's client chooses it; empty for one of the pipeline's name."""
        forced, usual = (os.environ.get(variable, "") for variable in EXPERIMENT_VARIABLES)
        return forced or self.experiment or usual

    @property
    def names_server(self) -> bool:
        """Whether runs are on a server by default."""
        return bool(self.host or os.environ.get(commands.HOST_VARIABLE))
