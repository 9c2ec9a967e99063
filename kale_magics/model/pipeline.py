"""The model of a pipeline, independent of IPython and of KFP.

`assemble` makes a `Pipeline`; the KFP compiler, the embedded engine and the views read it. Every name is kept
as the user typed it (`name`); beside it is the `key` that KFP and file systems accept (`naming`).
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
class Output:
    """An output of a step: a variable, or several that may share an object.

    It is an artifact, which is a file, or a parameter: a number, a text, a bool or a list, which loops and
    conditions can read.

    Attributes:
        names: The variables in it.
        key: The name of the step's output.
        kind: KFP's type of artifact, from the live object; "Parameter" for a parameter.
        description: The live object's type and shape for people, as in "DataFrame 569 x 30"; may be empty.
        size: About how many bytes the live object takes; None where no session knows it.
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
        names: Those of the output's variables that this step binds.
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
    outputs: tuple[Output, ...] = ()
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
class Loop:
    """Nodes that run once for each item of a list.

    Attributes:
        name: As shown to people.
        over: The list: an output of a step, or a parameter of the pipeline.
        item: The variable that has the item.
        nodes: What runs for each item.
        parallelism: How many items are worked on at a time; None for any number.
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
        name: As shown to people.
        test: The condition: a bool that a step outputs, or a parameter of the pipeline.
        nodes: What runs if it is true.
        otherwise: What runs if it is false.
    """

    name: str
    test: Input | Parameter
    nodes: tuple[Node, ...]
    otherwise: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Finally:
    """Nodes that run when all others have ended, whatever their state.

    Attributes:
        nodes: What runs then.
    """

    nodes: tuple[Node, ...]


Node = Step | Loop | Conditional | Finally


def walk(nodes: Iterable[Node], around: tuple[Node, ...] = ()) -> Iterator[tuple[Step, tuple[Node, ...]]]:
    """Go through a tree in order, and yield every step with the nodes around it, the outermost first."""
    for node in nodes:
        if isinstance(node, Step):
            yield node, around
        else:
            yield from walk(node.nodes, (*around, node))
            if isinstance(node, Conditional):
                yield from walk(node.otherwise, (*around, node))


def map_steps(nodes: Iterable[Node], change: Callable[[Step], Step | None]) -> tuple[Node, ...]:
    """Return a tree with other steps; what has no step left is left out.

    Args:
        nodes: The tree.
        change: Returns the step to put in a step's place; None for none.
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
        sizes = [i.output.size for i in self.inputs]
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
    """A tree of nodes, in an order in which they could run one by one, and the inputs of the whole.

    Attributes:
        name: As shown to people; KFP's name of the pipeline is derived from it.
        nodes: Each after all that it depends on.
        parameters: The pipeline's inputs, in the order of the notebook.
        description: Free text.
        environment: Where its steps run on a cluster.
    """

    name: str
    nodes: tuple[Node, ...]
    parameters: tuple[Parameter, ...] = ()
    description: str = ""
    environment: Environment = THIS_IMAGE

    @functools.cached_property
    def steps(self) -> tuple[Step, ...]:
        """All steps of the tree, in its order."""
        return tuple(step for step, _ in walk(self.nodes))

    @functools.cached_property
    def _by_name(self) -> dict[str, Step]:
        return {step.name: step for step in self.steps}

    @functools.cached_property
    def graph(self) -> Graph[str]:
        """Which step depends on which, by their names; steps that are not in the pipeline are left out.

        A step in a loop or a branch depends on the step that makes the list or the condition; a final step
        depends on all that are not final.
        """
        ends = [step.name for step, around in walk(self.nodes) if not _is_final(around)]
        upstream: dict[str, list[str]] = {}
        for step, around in walk(self.nodes):
            lists = [node.over for node in around if isinstance(node, Loop)]
            tests = [node.test for node in around if isinstance(node, Conditional)]
            sources = [source.step for source in (*lists, *tests) if isinstance(source, Input)]
            upstream[step.name] = [*step.needs, *sources]
            upstream[step.name] += ends if _is_final(around) else []
        return Graph(upstream)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, each once, in the order of the downstream steps; from steps outside (`only`) too."""
        return tuple(
            Edge(name, step.name, tuple(i for i in step.inputs if i.step == name), name in step.after)
            for step in self.steps
            for name in step.needs
        )

    def map_steps(self, change: Callable[[Step], Step | None]) -> Pipeline:
        """Return the pipeline with other steps; see `map_steps`."""
        return replace(self, nodes=map_steps(self.nodes, change))

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
        return self.map_steps(lambda step: step if step.name in wanted else None)

    def step(self, name: str) -> Step:
        """Return the step of that name.

        Raises:
            KeyError: No step has such a name.
        """
        return self._by_name[name]


def _is_final(around: tuple[Node, ...]) -> bool:
    return any(isinstance(node, Finally) for node in around)
