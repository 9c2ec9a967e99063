"""The model of a pipeline, independent of IPython and of KFP.

`assemble` makes a `Pipeline`; the KFP compiler, the local engine and the views use it. Names are stored as
the user typed them (`name`), with a `key` that KFP and file systems accept (`naming`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from kale_magics.model.code_facts import CodeFacts
from kale_magics.model.graph import Graph
from kale_magics.model.options import NO_OPTIONS, Attempts, StepOptions

OutputKind = Literal["Artifact", "Dataset", "Model", "Parameter"]
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True)
class Parameter:
    """A typed input of the pipeline.

    Attributes:
        name: The variable, as the user typed it.
        key: The name of the pipeline's input.
        type: The type of its annotation, or of its default; see `step_runtime.parameters`. "None", for a
            default None without an annotation, accepts any literal and any text.
        default: The value in the notebook.
    """

    name: str
    key: str
    type: str
    default: Json


@dataclass(frozen=True)
class Output:
    """An output of a step: a variable, or several that may share an object.

    It is an artifact, which is a file, or a parameter: a number, a text, a bool or a list, for loops and
    conditions.

    Attributes:
        names: The variables in it.
        key: The name of the step's output.
        kind: KFP's type of artifact, from the session's object; "Parameter" for a parameter.
        description: The type and shape of the session's object, as in "DataFrame 569 x 30"; may be empty.
        size: The approximate size of the session's object in bytes; None if unknown.
    """

    names: tuple[str, ...]
    key: str
    kind: OutputKind = "Artifact"
    description: str = ""
    size: int | None = None


@dataclass(frozen=True)
class Input:
    """An input of a step from another step.

    Attributes:
        names: The variables of the output that this step binds.
        key: The name of the step's input.
        step: The name of the upstream step.
        output: That step's output.
    """

    names: tuple[str, ...]
    key: str
    step: str
    output: Output


@dataclass(frozen=True)
class CodeBlock:
    """A piece of Python source of one cell.

    Attributes:
        source: Python text. Its lines have the numbers that they have in the notebook's cell.
        kind: The cell's kind, with the step's name: "step train", "imports".
        label: The cell's label in the notebook: "In [5]".
        defines: The definitions that it makes: variable name to an identity that is the same in every step
            that replays this definition (so that a pickled instance finds its class).
        number: The cell's number among the marked cells, from 1; 0 if it has none.
    """

    source: str
    kind: str
    label: str
    defines: tuple[tuple[str, str], ...] = ()
    number: int = 0

    @property
    def filename(self) -> str:
        """The file name in tracebacks."""
        return f"{self.kind}, {self.label}"

    @property
    def place(self) -> str:
        """The same for a cluster, where the numbers of executions must not change the code."""
        return f"{self.kind}, marked cell {self.number}" if self.number else self.filename


@dataclass(frozen=True)
class Step:
    """One step of the pipeline.

    Attributes:
        name: As the user typed it.
        key: An identifier, unique in the pipeline.
        setup: Code that runs before the inputs are loaded: prelude, derived parameters, replayed definitions.
        cells: The step's own cells.
        parameters: The parameters that it uses.
        inputs: Its inputs from other steps.
        outputs: Its outputs to other steps.
        after: The steps of its `--after`.
        metrics: The variables that it logs as metrics.
        packages: Requirements for pip, in addition to those of the runtime.
        modules: The user's own modules that it uses, by their top-level names.
        unavailable: Modules that it uses and that are not available elsewhere: name and reason.
        options: Its options.
        facts: Facts from its code, about what it uses besides its inputs.
        nondeterminism: Why its results may differ from run to run, according to its code: "it calls time.time
            (In [5], line 2)"; empty if they do not.
        submodules: Submodules that its code uses as attributes of their packages without importing them.
        late: Names that the prelude imports and the step probably does not use, each with its module and the
            attribute of the module; empty for the module itself.
    """

    name: str
    key: str
    setup: tuple[CodeBlock, ...]
    cells: tuple[CodeBlock, ...]
    parameters: tuple[Parameter, ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    after: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    unavailable: tuple[tuple[str, str], ...] = ()
    options: StepOptions = NO_OPTIONS
    facts: CodeFacts = field(default_factory=CodeFacts)
    nondeterminism: str = ""
    submodules: tuple[str, ...] = ()
    late: tuple[tuple[str, tuple[str, str]], ...] = ()

    @property
    def attempts(self) -> Attempts:
        """Its retries and its timeout."""
        options = self.options
        return Attempts(options.retries or 0, options.delay or 0.0, options.timeout)

    @property
    def cache(self) -> bool:
        """Whether results of an earlier run may be used."""
        return self.options.cache is not False

    @property
    def upstream(self) -> tuple[str, ...]:
        """The names of the steps that it depends on, each once."""
        return tuple(dict.fromkeys((*(i.step for i in self.inputs), *self.after)))


@dataclass(frozen=True)
class Loop:
    """Nodes that run once for each item of a list.

    Attributes:
        name: The displayed name.
        over: The list: an output of a step, or a parameter of the pipeline.
        item: The variable with the item.
        nodes: The nodes that run for each item.
        parallelism: The maximum number of items that run at the same time; None for no limit.
    """

    name: str
    over: Input | Parameter
    item: str
    nodes: tuple[Node, ...]
    parallelism: int | None = None


@dataclass(frozen=True)
class Conditional:
    """Nodes that run if a condition is true, and others that run if it is false.

    Attributes:
        name: The displayed name.
        test: The condition: a bool that a step outputs, or a parameter of the pipeline.
        nodes: The nodes that run if it is true.
        otherwise: The nodes that run if it is false.
    """

    name: str
    test: Input | Parameter
    nodes: tuple[Node, ...]
    otherwise: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Finally:
    """Nodes that run when all others have ended, whatever their state.

    Attributes:
        nodes: The nodes.
    """

    nodes: tuple[Node, ...]


Node = Step | Loop | Conditional | Finally


def walk(nodes: Iterable[Node], around: tuple[Node, ...] = ()) -> Iterator[tuple[Step, tuple[Node, ...]]]:
    """Yield every step of a tree in order, with the nodes around it, the outermost first."""
    for node in nodes:
        if isinstance(node, Step):
            yield node, around
        else:
            yield from walk(node.nodes, (*around, node))
            if isinstance(node, Conditional):
                yield from walk(node.otherwise, (*around, node))


def map_steps(nodes: Iterable[Node], change: Callable[[Step], Step | None]) -> tuple[Node, ...]:
    """Return a tree with other steps, without nodes that are left empty.

    Args:
        nodes: The tree.
        change: Returns the replacement of a step; None to remove it.
    """
    found: list[Node] = []
    for node in nodes:
        if isinstance(node, Step):
            changed = change(node)
            found += [changed] if changed is not None else []
            continue
        inner = map_steps(node.nodes, change)
        otherwise = map_steps(node.otherwise, change) if isinstance(node, Conditional) else ()
        if isinstance(node, Conditional):
            node = replace(node, otherwise=otherwise)
        if inner or otherwise:
            found.append(replace(node, nodes=inner))
    return tuple(found)


@dataclass(frozen=True)
class Edge:
    """A dependency of a step on another one.

    Attributes:
        source: The name of the upstream step.
        target: The name of the downstream step.
        inputs: The inputs that are passed; empty for `--after` alone.
        after: Whether there is an `--after`.
    """

    source: str
    target: str
    inputs: tuple[Input, ...]
    after: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that are passed, in the order of the step's inputs."""
        return tuple(name for i in self.inputs for name in i.names)

    @property
    def size(self) -> int | None:
        """The approximate number of bytes that are passed; None if unknown."""
        sizes = [i.output.size for i in self.inputs]
        known = [size for size in sizes if size is not None]
        return sum(known) if known and len(known) == len(sizes) else None


@dataclass(frozen=True)
class Environment:
    """Where steps run on a cluster.

    Attributes:
        image: The container image of steps without an option for it.
        index_urls: Package indexes for pip, the first one instead of its own; empty for its own.
        trusted_hosts: Hosts of these indexes that need no valid certificate.
        workspace_size: The size of a run's shared volume, as in "10Gi".
        storage_class: The storage class of that volume; empty for the cluster's own.
        workspace_access_modes: The ways in which nodes may mount that volume (Kubernetes' accessModes).
    """

    image: str = ""
    index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    workspace_size: str = "10Gi"
    storage_class: str = ""
    workspace_access_modes: tuple[str, ...] = ("ReadWriteMany",)


DEFAULT_ENVIRONMENT = Environment()
"""The image of the session's Python, and no other settings."""


@dataclass(frozen=True)
class Pipeline:
    """A tree of nodes in topological order, and the inputs of the whole.

    Attributes:
        name: The displayed name; KFP's name of the pipeline is derived from it.
        nodes: The nodes in topological order.
        parameters: The pipeline's inputs, in the order of the notebook.
        description: Free text.
        environment: Where its steps run on a cluster.
    """

    name: str
    nodes: tuple[Node, ...]
    parameters: tuple[Parameter, ...] = ()
    description: str = ""
    environment: Environment = DEFAULT_ENVIRONMENT

    @functools.cached_property
    def steps(self) -> tuple[Step, ...]:
        """All steps of the tree, in its order."""
        return tuple(step for step, _ in walk(self.nodes))

    @functools.cached_property
    def _by_name(self) -> dict[str, Step]:
        return {step.name: step for step in self.steps}

    @functools.cached_property
    def graph(self) -> Graph[str]:
        """The dependencies between the steps, by name; steps that are not in the pipeline are left out.

        A step in a loop or a branch depends on the step that outputs the list or the condition; a final step
        depends on all others.
        """
        ends = [step.name for step, around in walk(self.nodes) if not _is_final(around)]
        upstream: dict[str, list[str]] = {}
        for step, around in walk(self.nodes):
            lists = [node.over for node in around if isinstance(node, Loop)]
            tests = [node.test for node in around if isinstance(node, Conditional)]
            sources = [source.step for source in (*lists, *tests) if isinstance(source, Input)]
            upstream[step.name] = [*step.upstream, *sources]
            upstream[step.name] += ends if _is_final(around) else []
        return Graph(upstream)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All edges in the order of the downstream steps, including those from steps outside (`only`)."""
        return tuple(
            Edge(name, step.name, tuple(i for i in step.inputs if i.step == name), name in step.after)
            for step in self.steps
            for name in step.upstream
        )

    def map_steps(self, change: Callable[[Step], Step | None]) -> Pipeline:
        """Return the pipeline with other steps; see `map_steps`."""
        return replace(self, nodes=map_steps(self.nodes, change))

    def until(self, names: Iterable[str]) -> Pipeline:
        """Return the pipeline with these steps and all steps that they depend on.

        Raises:
            KeyError: No step has such a name.
        """
        return self.only(self.graph.with_ancestors(self.step(name).name for name in names))

    def only(self, names: Iterable[str]) -> Pipeline:
        """Return the pipeline with these steps alone; their other inputs come from earlier runs.

        Raises:
            KeyError: No step has such a name.
        """
        wanted = {self.step(name).name for name in names}
        return self.map_steps(lambda step: step if step.name in wanted else None)

    def step(self, name: str) -> Step:
        """Return the step of that name.

        Raises:
            KeyError: No step has such a name.
        """
        return self._by_name[name]


def _is_final(around: tuple[Node, ...]) -> bool:
    return any(isinstance(node, Finally) for node in around)
