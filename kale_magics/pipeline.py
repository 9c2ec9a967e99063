"""The model: what a pipeline is, free of IPython and of KFP.

`assemble` makes a `Pipeline`; the KFP compiler, the embedded engine and the view read it. Every name that a
user gave is kept as given (`name`); beside it stands the `key` that KFP and file systems take (`naming`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

ArtifactKind = Literal["Artifact", "Dataset", "Model"]
ParameterType = Literal["int", "float", "str", "bool", "list", "dict", "None"]
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True)
class Parameter:
    """A typed input of the pipeline.

    Attributes:
        name: The variable, as the user wrote it.
        key: The name of the pipeline's input.
        type: The type of the default; "None" takes any text.
        default: The value that the notebook has.
    """

    name: str
    key: str
    type: ParameterType
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
class Code:
    """A piece of Python source and what tracebacks call it.

    Attributes:
        source: Python text. Its lines have the numbers that they have in the notebook's cell.
        filename: What stands in a traceback, as in "step train, In [5]".
        defines: The definitions that it makes: variable name to an identity that is the same in every step
            that replays this definition (so that a pickled instance finds its class).
    """

    source: str
    filename: str
    defines: tuple[tuple[str, str], ...] = ()


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
        attempts: How often it is tried.
        cache: Whether what it did in an earlier run may stand for running it.
        varies: Why it may give something else each time, as its code tells: "it calls time.time (In [5], line
            2)"; may be empty.
    """

    name: str
    key: str
    setup: tuple[Code, ...]
    cells: tuple[Code, ...]
    parameters: tuple[Parameter, ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Artifact, ...] = ()
    after: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    attempts: Attempts = Attempts()
    cache: bool = True
    varies: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of the steps that must have succeeded before this one starts, each once."""
        return tuple(dict.fromkeys((*(i.step for i in self.inputs), *self.after)))


@dataclass(frozen=True)
class Pipeline:
    """Steps in an order in which they could run one by one, and the inputs of the whole.

    Attributes:
        name: As shown to people; KFP's name of the pipeline is derived from it.
        steps: Each after all that it needs.
        parameters: The pipeline's inputs, in the order of the notebook.
        description: Free text.
        base_image: The container image of the steps.
    """

    name: str
    steps: tuple[Step, ...]
    parameters: tuple[Parameter, ...] = ()
    description: str = ""
    base_image: str = ""
    _by_name: dict[str, Step] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {step.name: step for step in self.steps})

    def until(self, names: Iterable[str]) -> Pipeline:
        """The same pipeline with these steps and all that they need, directly or not, and no others.

        Raises:
            KeyError: No step is called so.
        """
        wanted = {self.step(name).name for name in names}
        for step in reversed(self.steps):
            if step.name in wanted:
                wanted.update(step.needs)
        return replace(self, steps=tuple(step for step in self.steps if step.name in wanted))

    def only(self, names: Iterable[str]) -> Pipeline:
        """The same pipeline with these steps alone; what they take from others must come from elsewhere.

        Raises:
            KeyError: No step is called so.
        """
        wanted = {self.step(name).name for name in names}
        return replace(self, steps=tuple(step for step in self.steps if step.name in wanted))

    def step(self, name: str) -> Step:
        """The step of that name.

        Raises:
            KeyError: No step is called so.
        """
        return self._by_name[name]
