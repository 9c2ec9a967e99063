"""The options of a step."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar


@dataclass(frozen=True)
class Attempts:
    """The attempts of a step.

    Attributes:
        retries: The maximum number of attempts after the first one.
        delay: Seconds before each retry.
        timeout: Seconds after which an attempt has failed; None for no limit.
    """

    retries: int = 0
    delay: float = 0.0
    timeout: float | None = None


_Own = TypeVar("_Own", bound="_Options")


class _Options:
    """Options that need not be set: None and empty values are not set."""

    def over(self: _Own, others: _Own) -> _Own:
        """Return these options, with those of `others` where they are not set; lists are merged."""
        own: tuple[Field[Any], ...] = fields(self)  # type: ignore[arg-type]  # all are dataclasses
        return type(self)(**{f.name: _over(f, getattr(self, f.name), getattr(others, f.name)) for f in own})

    def shared(self: _Own, others: Iterable[_Own]) -> _Own:
        """Return the options that have the same value in all others."""
        return functools.reduce(_shared, others, self)


@dataclass(frozen=True)
class KubernetesOptions(_Options):
    """Options for Kubernetes; pairs have the name first.

    Attributes:
        accelerator: The resource name of accelerators, as in "nvidia.com/gpu".
        secret_env: Secret, key, and the environment variable with its value.
        secret_volumes: Secret, and the folder where its keys are files.
        config_map_env: ConfigMap, key, and the environment variable with its value.
        config_map_volumes: ConfigMap, and the folder where its keys are files.
        volumes: PersistentVolumeClaim, and the folder where it is mounted.
        labels: Labels of the pod.
        annotations: Annotations of the pod.
        node_selector: Labels of the nodes that the pod may run on.
        tolerations: Key ("" for all), value (None for any) and effect ("" for all) of tolerated taints.
        image_pull_secrets: Secrets with the credentials of image registries.
        workspace: Whether the step's outputs are stored on the run's shared volume.
    """

    accelerator: str = ""
    secret_env: tuple[tuple[str, str, str], ...] = field(default=(), metadata={"key": 2})
    secret_volumes: tuple[tuple[str, str], ...] = field(default=(), metadata={"key": 1})
    config_map_env: tuple[tuple[str, str, str], ...] = field(default=(), metadata={"key": 2})
    config_map_volumes: tuple[tuple[str, str], ...] = field(default=(), metadata={"key": 1})
    volumes: tuple[tuple[str, str], ...] = field(default=(), metadata={"key": 1})
    labels: tuple[tuple[str, str], ...] = field(default=(), metadata={"key": 0})
    annotations: tuple[tuple[str, str], ...] = field(default=(), metadata={"key": 0})
    node_selector: tuple[tuple[str, str], ...] = field(default=(), metadata={"key": 0})
    tolerations: tuple[tuple[str, str | None, str], ...] = ()
    image_pull_secrets: tuple[str, ...] = ()
    workspace: bool | None = None


@dataclass(frozen=True)
class StepOptions(_Options):
    """The options of a step; None and empty values are not set.

    Attributes:
        retries: The maximum number of attempts after the first one.
        delay: Seconds before each retry.
        timeout: Seconds after which an attempt has failed.
        cache: Whether results of an earlier run may be used.
        image: The container image.
        cpu: The requested CPU and its limit: texts like "500m" and "2".
        memory: The requested memory and its limit: texts like "512Mi" and "4G".
        gpus: The number of accelerators.
        env: Environment variables: name and value.
        packages: Requirements for pip.
        files: Local files that are copied to the pod, by their paths in the notebook's folder.
        report: Whether it writes a report.
        kubernetes: Options for Kubernetes.
    """

    retries: int | None = None
    delay: float | None = None
    timeout: float | None = None
    cache: bool | None = None
    image: str = ""
    cpu: tuple[str, str] | None = None
    memory: tuple[str, str] | None = None
    gpus: int | None = None
    env: tuple[tuple[str, str], ...] = field(default=(), metadata={"key": 0})
    packages: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    report: bool | None = None
    kubernetes: KubernetesOptions = KubernetesOptions()

    @staticmethod
    def of(values: Mapping[str, Any]) -> StepOptions:
        """Return the options with these values, by the names of the fields of both classes."""
        own = {f.name for f in fields(KubernetesOptions)}
        kubernetes = KubernetesOptions(**{name: value for name, value in values.items() if name in own})
        others = {name: value for name, value in values.items() if name not in own}
        return StepOptions(**others, kubernetes=kubernetes)


def _over(kind: Field[Any], own: Any, other: Any) -> Any:
    if isinstance(own, _Options):
        return own.over(other)
    if kind.default != ():
        return other if own in (None, "") else own
    key = kind.metadata.get("key")
    if key is None:
        return tuple(dict.fromkeys((*other, *own)))
    return tuple({item[key]: item for item in (*other, *own)}.values())


def _shared(one: Any, other: Any) -> Any:
    """Return the options of one object that have the same value in another."""
    pairs = {f.name: (getattr(one, f.name), getattr(other, f.name)) for f in fields(one)}
    nested = {name: _shared(*pair) for name, pair in pairs.items() if isinstance(pair[0], _Options)}
    same = {name: mine for name, (mine, theirs) in pairs.items() if mine == theirs}
    return type(one)(**{**same, **nested})


NO_OPTIONS = StepOptions()
