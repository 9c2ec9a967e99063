"""The model: what a pipeline is, free of IPython and of KFP.

`assemble` makes a `Pipeline`; the KFP compiler, the embedded engine and the view read it. Every name that a
user gave is kept as given (`name`); beside it stands the `key` that KFP and file systems take (`naming`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

from kale_magics.model.code_facts import CodeFacts
from kale_magics.model.graph import Graph

ArtifactKind = Literal["Artifact", "Dataset", "Model"]
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True)
class Parameter:
    """A typed input of the pipeline.

    Attributes:
        name: The variable, as the user wrote it.
        key: The name of the pipeline's input.
        type: As its annotation says, else the default's type; see `step_runtime.parameters`. "None", for a
            default None without an annotation, accepts any literal and any text.
        default: The value that the notebook has.
    """

    name: str
    key: str
    type: str
    default: Json


@dataclass(frozen=True)
class Artifact:
    """What one step hands on: a variable, or several that may share an object.

    Attributes:
        names: The variables in it.
        key: The name of the step's output.
        kind: KFP's type of artifact, from the live object.
        description: The live object's type and shape for people, as in "DataFrame 569 x 30"; may be empty.
        size: About how many bytes the live object takes; None where no session tells.
    """

    names: tuple[str, ...]
    key: str
    kind: ArtifactKind = "Artifact"
    description: str = ""
    size: int | None = None


@dataclass(frozen=True)
class Input:
    """What a step takes from another one.

    Attributes:
        names: Those of the artifact's variables that this step binds.
        key: The name of the step's input.
        step: The name of the step that makes it.
        artifact: What that step hands on.
    """

    names: tuple[str, ...]
    key: str
    step: str
    artifact: Artifact


@dataclass(frozen=True)
class CodeBlock:
    """A piece of Python source and what tracebacks call it.

    Attributes:
        source: Python text. Its lines have the numbers that they have in the notebook's cell.
        filename: What stands in a traceback, as in "step train, In [5]".
        place: The same, as it is called where cells have no numbers: "step train, marked cell 2".
        defines: The definitions that it makes: variable name to an identity that is the same in every step
            that replays this definition (so that a pickled instance finds its class).
    """

    source: str
    filename: str
    defines: tuple[tuple[str, str], ...] = ()
    place: str = ""


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


@dataclass(frozen=True)
class Step:
    """One step of the pipeline.

    Attributes:
        name: As the user typed it.
        key: An identifier, unique in the pipeline.
        setup: What runs before the inputs are loaded: prelude, derived parameters, replayed definitions.
        cells: The step's own cells.
        parameters: The parameters that it takes.
        inputs: The artifacts that it takes.
        outputs: The artifacts that it hands on.
        after: Names of steps that it was asked to wait for (`--after`).
        metrics: The variables that it logs as metrics.
        packages: Requirements for pip, beyond what the runtime needs.
        modules: Modules of the user's own that it uses, by their top-level names.
        missing: Why a module that it uses cannot be had elsewhere, by its name.
        options: What is asked for it beside its code.
        facts: What its code says about what it uses beside its inputs.
        varies: Why it may give something else each time, as its code tells: "it calls time.time (In [5], line
            2)"; may be empty.
        submodules: Those that its code takes for attributes of their packages without importing them.
        late: For names that the prelude imports and the step most likely does not use, what they are: a
            module, and what is taken from it; empty for the module itself.
    """

    name: str
    key: str
    setup: tuple[CodeBlock, ...]
    cells: tuple[CodeBlock, ...]
    parameters: tuple[Parameter, ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Artifact, ...] = ()
    after: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    options: StepOptions = NO_OPTIONS
    facts: CodeFacts = field(default_factory=CodeFacts)
    varies: str = ""
    submodules: tuple[str, ...] = ()
    late: tuple[tuple[str, tuple[str, str]], ...] = ()

    @property
    def attempts(self) -> Attempts:
        """How often, and for how long, it is tried."""
        options = self.options
        return Attempts(options.retries or 0, options.delay or 0.0, options.timeout)

    @property
    def cache(self) -> bool:
        """Whether what it did in an earlier run may stand for running it."""
        return self.options.cache is not False

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of the steps that must have succeeded before this one starts, each once."""
        return tuple(dict.fromkeys((*(i.step for i in self.inputs), *self.after)))


@dataclass(frozen=True)
class Edge:
    """A step that depends on another one.

    Attributes:
        source: The name of the upstream step.
        target: The name of the downstream step.
        inputs: What is passed on; empty where only `--after` orders the two.
        after: Whether `--after` orders them.
    """

    source: str
    target: str
    inputs: tuple[Input, ...]
    after: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that are passed on, in the order in which the step takes them."""
        return tuple(name for i in self.inputs for name in i.names)

    @property
    def size(self) -> int | None:
        """About how many bytes are passed on; None where some of it is not known."""
        sizes = [i.artifact.size for i in self.inputs]
        known = [size for size in sizes if size is not None]
        return sum(known) if known and len(known) == len(sizes) else None


@dataclass(frozen=True)
class Environment:
    """Where steps run on a cluster.

    Attributes:
        image: The container image of steps that do not ask for another one.
        index_urls: Where pip finds packages, the first one instead of its own; none for its own.
        trusted_hosts: Hosts of these that need no valid certificate.
        workspace_size: How much the shared volume of a run holds, as in "10Gi".
        storage_class: Of that volume; empty for the cluster's own.
    """

    image: str = ""
    index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    workspace_size: str = "10Gi"
    storage_class: str = ""


THIS_IMAGE = Environment()
"""The Python that runs here, and nothing else said."""


@dataclass(frozen=True)
class Pipeline:
    """Steps in an order in which they could run one by one, and the inputs of the whole.

    Attributes:
        name: As shown to people; KFP's name of the pipeline is derived from it.
        steps: Each after all that it needs.
        parameters: The pipeline's inputs, in the order of the notebook.
        description: Free text.
        environment: Where its steps run on a cluster.
    """

    name: str
    steps: tuple[Step, ...]
    parameters: tuple[Parameter, ...] = ()
    description: str = ""
    environment: Environment = THIS_IMAGE

    @functools.cached_property
    def _by_name(self) -> dict[str, Step]:
        return {step.name: step for step in self.steps}

    @functools.cached_property
    def graph(self) -> Graph[str]:
        """Which step depends on which, by their names; steps that are not in the pipeline are left out."""
        return Graph({step.name: step.needs for step in self.steps})

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, each once, in the order of the downstream steps; from steps outside (`only`) too."""
        return tuple(
            Edge(name, step.name, tuple(i for i in step.inputs if i.step == name), name in step.after)
            for step in self.steps
            for name in step.needs
        )

    def until(self, names: Iterable[str]) -> Pipeline:
        """Return the pipeline with these steps and all that they depend on, and no others.

        Raises:
            KeyError: No step has such a name.
        """
        return self.only(self.graph.with_ancestors(self.step(name).name for name in names))

    def only(self, names: Iterable[str]) -> Pipeline:
        """Return the pipeline with these steps alone; their inputs from others must come from elsewhere.

        Raises:
            KeyError: No step has such a name.
        """
        wanted = {self.step(name).name for name in names}
        return replace(self, steps=tuple(step for step in self.steps if step.name in wanted))

    def step(self, name: str) -> Step:
        """Return the step of that name.

        Raises:
            KeyError: No step has such a name.
        """
        return self._by_name[name]
