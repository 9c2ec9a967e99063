"""The options of a step: what it asks for beside its code."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar


@dataclass(frozen=True)
class Attempts:
    """How often, and for how long, a step is tried.

    Attributes:
        retries: How often it is tried again after it has failed.
        delay: Seconds before it is tried again.
        timeout: Seconds after which an attempt has failed; None for no limit.
    """

    retries: int = 0
    delay: float = 0.0
    timeout: float | None = None


_Own = TypeVar("_Own", bound="_Options")


class _Options:
    """Options of which each may be set or not: None and what is empty is not set."""

    def over(self: _Own, others: _Own) -> _Own:
        """Return these options, and where one is not set, that of others; lists are joined."""
        own: tuple[Field[Any], ...] = fields(self)  # type: ignore[arg-type]  # all are dataclasses
        return type(self)(**{f.name: _over(f, getattr(self, f.name), getattr(others, f.name)) for f in own})

    def shared(self: _Own, others: Iterable[_Own]) -> _Own:
        """Return those of these options that all others have with the same value."""
        return functools.reduce(_shared, others, self)


@dataclass(frozen=True)
class KubernetesOptions(_Options):
    """What a step asks for in Kubernetes' terms; pairs have the name first.

    Attributes:
        accelerator: The resource that an accelerator is in the cluster, as in "nvidia.com/gpu".
        secret_env: Secret, key, and the environment variable that gets its value.
        secret_volumes: Secret, and where its keys are files.
        config_map_env: ConfigMap, key, and the environment variable that gets its value.
        config_map_volumes: ConfigMap, and where its keys are files.
        volumes: PersistentVolumeClaim, and where it is mounted.
        labels: Of the pod.
        annotations: Of the pod.
        node_selector: Labels that the node must have.
        tolerations: Key ("" for all), value (None for any) and effect ("" for all) of taints of nodes.
        image_pull_secrets: Secrets that hold the passwords of image registries.
        workspace: Whether the step's outputs go over the run's shared volume.
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
    """What a step asks for beside its code; what is None or empty is not asked for.

    Attributes:
        retries: How often it is tried again after it has failed.
        delay: Seconds before it is tried again.
        timeout: Seconds after which an attempt has failed.
        cache: Whether an earlier run of it may stand for running it.
        image: The container image.
        cpu: What is requested of the processor, and its limit: texts like "500m" and "2".
        memory: What is requested of the memory, and its limit: texts like "512Mi" and "4G".
        gpus: How many accelerators.
        env: Environment variables: name and value.
        packages: Requirements for pip.
        files: Files of this machine that the step gets, by their paths in the notebook's folder.
        report: Whether it makes a report.
        kubernetes: What only a cluster has.
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
    def of(said: Mapping[str, Any]) -> StepOptions:
        """Return the options with these values, by the names of the fields of both classes."""
        own = {f.name for f in fields(KubernetesOptions)}
        kubernetes = KubernetesOptions(**{name: value for name, value in said.items() if name in own})
        others = {name: value for name, value in said.items() if name not in own}
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
    """The options of one object that another one has with the same value."""
    pairs = {f.name: (getattr(one, f.name), getattr(other, f.name)) for f in fields(one)}
    nested = {name: _shared(*pair) for name, pair in pairs.items() if isinstance(pair[0], _Options)}
    same = {name: mine for name, (mine, theirs) in pairs.items() if mine == theirs}
    return type(one)(**{**same, **nested})


NO_OPTIONS = StepOptions()
"""Nothing is asked for."""
