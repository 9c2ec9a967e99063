"""Sets the options of a step on a task of KFP."""

from __future__ import annotations

import math
import sys
from typing import Any

from kale_magics.model.options import Attempts, KubernetesOptions, StepOptions
from kale_magics.model.pipeline import Step
from kale_magics.syntax.step_options import NVIDIA

USER_PACKAGES = "/tmp/kale-packages"  # noqa: S108 - a folder of the pod, which has one user
"""Where pip installs packages in a pod whose user may write neither to its Python nor to its home."""

POD_VARIABLES = {"PYTHONUSERBASE": USER_PACKAGES, "PIP_NO_CACHE_DIR": "1", "PIP_ROOT_USER_ACTION": "ignore"}
"""Environment variables of every step."""

START_TIME = 600
"""Seconds for the start of a pod with several attempts, of which each has its own time limit."""


def default_image() -> str:
    """Return the image with the version of Python that runs here."""
    return f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"


def set_options(task: Any, step: Step) -> None:
    """Set the options of a step on its task.

    Args:
        task: A `kfp.dsl.PipelineTask`.
        step: The step.
    """
    options = step.options
    # `set_env_variable` does the same, but reads the source of the whole call stack each time.
    given = {name: _escaped(value) for name, value in options.env}
    task.container_spec.env = {**(task.container_spec.env or {}), **POD_VARIABLES, **given}
    _set_attempts(task, step.attempts)
    _set_resources(task, options)
    _set_pod(task, options.kubernetes)


def _escaped(text: str) -> str:
    """Return a text escaped for Kubernetes, which replaces `$(...)`, and `$$` by `$`."""
    return text.replace("$", "$$") if "$$" in text or "$(" in text else text


def _set_attempts(task: Any, attempts: Attempts) -> None:
    """Limit the time of the pod; its program makes the attempts itself (`step_runtime.attempts`)."""
    from kfp import kubernetes

    if attempts.timeout is not None:
        whole = attempts.timeout * (attempts.retries + 1) + attempts.delay * attempts.retries
        # The program ends an attempt itself, where there may be another one.
        kubernetes.set_timeout(task, math.ceil(whole + (START_TIME if attempts.retries else 0)))


def _set_resources(task: Any, options: StepOptions) -> None:
    if options.cpu:
        task.set_cpu_request(options.cpu[0]).set_cpu_limit(options.cpu[1])
    if options.memory:
        task.set_memory_request(options.memory[0]).set_memory_limit(options.memory[1])
    if options.gpus or options.kubernetes.accelerator:
        task.set_accelerator_type(options.kubernetes.accelerator or NVIDIA)
        task.set_accelerator_limit(1 if options.gpus is None else options.gpus)


def _set_pod(task: Any, options: KubernetesOptions) -> None:
    from kfp import kubernetes

    for name, key, variable in options.secret_env:
        kubernetes.use_secret_as_env(task, name, {key: variable})
    for name, path in options.secret_volumes:
        kubernetes.use_secret_as_volume(task, name, path)
    for name, key, variable in options.config_map_env:
        kubernetes.use_config_map_as_env(task, name, {key: variable})
    for name, path in options.config_map_volumes:
        kubernetes.use_config_map_as_volume(task, name, path)
    for name, path in options.volumes:
        kubernetes.mount_pvc(task, name, path)
    for key, value in options.labels:
        kubernetes.add_pod_label(task, key, value)
    for key, value in options.annotations:
        kubernetes.add_pod_annotation(task, key, value)
    for key, value in options.node_selector:
        kubernetes.add_node_selector(task, key, value)
    for key, taint, effect in options.tolerations:
        operator = "Exists" if taint is None else "Equal"
        kubernetes.add_toleration(task, key, operator, taint, effect or None)
    if options.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(options.image_pull_secrets))
