"""What the names of the notebook stand for at a point of the walk through its cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from kale_magics.analysis.effects import Behaviour, Bind, Define, Effect, flattened
from kale_magics.analysis.star_imports import star_names

BindingKind = Literal["definition", "parameter", "prelude", "value"]
Memory = Literal["", "own", "cached"]


@dataclass(frozen=True, eq=False)
class Definition:
    """A statement that can be replayed in another step: an import, a `def` or a `class`.

    Attributes:
        cell: The number of its cell in the notebook.
        statement: The number of the statement in its cell.
        kind: Which of them.
        names: The names that it binds.
        identity: What tells it from every other definition, the same in all steps.
        in_prelude: Whether every step has it anyway.
        needs: What its names stand for that it reads when it runs.
        modules: For an import, the modules.
    """

    cell: int
    statement: int
    kind: Literal["import", "def", "class"]
    names: tuple[str, ...]
    identity: str
    in_prelude: bool
    needs: tuple[Binding, ...] = ()
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Binding:
    """What a name stands for from one point of the notebook to the next; equal only to itself.

    Attributes:
        name: The name.
        kind: A replayable definition; a parameter of the pipeline; a value that the prelude makes in every
            step; a value that a step makes.
        maker: The step that makes the value; empty for the prelude.
        cell: The number of the cell in which the name was bound last.
        line: The line there.
        changed: The number of the cell that has changed the value last; -1 if none has since it was bound.
        definition: The definition, also where a step has changed what it made.
        behaviours: The functions that may run when the value is used.
        direct: The function or class that the name itself stands for.
        constant: Whether the value is known to be immutable.
        loose: Whether the session's value tells nothing of this one: in a loop, in a branch, bound again in
            the same cell.
        origin: For an imported name, what it is, as in "numpy.random"; empty for all others.
        memory: For a function: "own" if a decorator of the notebook has given it one, "cached" if
            `functools.lru_cache` has.
        memories: The cached functions that remember the value, or an object in it.
        unsure: Whether other values of parameters may make it another object, or one of another type: the
            session's value tells nothing for certain then.
        derived: Whether it is a parameter, or a number, text, setting or the like that is computed from one.
        flag: Whether it is such a value that is true or false.
        type_name: The type of what a library's function or class made it, as in "collections.defaultdict", as
            far as the code tells; for one that makes a class, that function.
        inplace: Whether it may have been asked, when it was made, to work in place.
        fresh: The step that has bound the name for certain: the value is not one that it took.
        path: What of a library was assigned to the name, as in "random.shuffle"; empty for anything else.
        perhaps: Of what imported modules it may be a part, as in `r = np.random if flag else generator`.
    """

    name: str
    kind: BindingKind
    maker: str = ""
    cell: int = -1
    line: int = 0
    changed: int = -1
    definition: Definition | None = None
    behaviours: frozenset[Behaviour] = frozenset()
    direct: Behaviour | None = None
    constant: bool = False
    loose: bool = False
    origin: str = ""
    memory: Memory = ""
    memories: frozenset[str] = frozenset()
    unsure: bool = False
    derived: bool = False
    flag: bool = False
    type_name: str = ""
    inplace: bool = False
    fresh: str = ""
    path: str = ""
    perhaps: frozenset[str] = frozenset()

    @property
    def is_import(self) -> bool:
        """Whether the name was imported."""
        return bool(self.origin)


def bound_by_one(effect: Effect) -> Iterable[str]:
    """The names that an effect binds."""
    if isinstance(effect, Bind):
        return (effect.name,)
    if isinstance(effect, Define):
        return star_names(effect.module) if effect.module else effect.names
    return ()


def bound_by(effects: tuple[Effect, ...]) -> Iterator[str]:
    """The names that effects bind, those of branches included, as often as they are bound."""
    for effect in flattened(effects):
        yield from bound_by_one(effect)


@dataclass(eq=False)
class StepFlow:
    """What the walk has found out about a step, or about the prelude (then the name is empty).

    Attributes:
        name: As typed.
        cells: The numbers of its cells.
        after: The steps named by `--after`.
        local: What names stand for in its own process, as far as it has used them.
        takes: The values that it needs from other steps, by name.
        carried: The values that it would only pass on: it takes those that another step takes from it.
        optional: Those of `takes` that only a look-up by computed names may need.
        parameters: The parameters that it needs.
        replays: The definitions of other steps that it needs.
        imports: The imports of the prelude that it may use.
        reads: The names that it only reads, as its user says.
        metrics: The names that it logs.
        guesses: Names, with what was taken for a change of them because nothing tells.
        dynamic: Whether it looks names up by computed names.
        executes: Where it executes computed texts: cell and line.
        varies: What it calls that gives something else each time, with the cell's number and the line.
    """

    name: str
    cells: list[int] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    local: dict[str, Binding | None] = field(default_factory=dict)
    takes: dict[str, Binding] = field(default_factory=dict)
    carried: dict[str, Binding] = field(default_factory=dict)
    optional: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    replays: set[Definition] = field(default_factory=set)
    imports: set[Definition] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    metrics: list[str] = field(default_factory=list)
    guesses: dict[str, str] = field(default_factory=dict)
    dynamic: bool = False
    executes: list[tuple[int, int]] = field(default_factory=list)
    varies: dict[str, tuple[int, int]] = field(default_factory=dict)
