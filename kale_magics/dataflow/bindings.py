"""What a name refers to at a point of the notebook, and what is known of each step."""

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
    """A statement that can be executed again in another step: an import, a `def` or a `class`.

    Attributes:
        cell: The number of its cell in the notebook.
        statement: The number of the statement in its cell.
        kind: The kind of statement.
        names: The names that it binds.
        identity: A key that is unique among definitions and the same in all steps.
        in_prelude: Whether it stands in the prelude, which every step executes.
        needs: The bindings of the names that it reads when it runs.
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
    """What a name refers to from one point of the notebook to the next; equal only to itself.

    Attributes:
        name: The name.
        kind: A definition that can be replayed; a parameter of the pipeline; a value that the prelude
            computes in every step; a value that a step computes.
        producer: The step that computes the value; empty for the prelude.
        cell: The number of the cell that bound the name last.
        line: The line there.
        changed: The number of the cell that changed the value last; -1 if none has since it was bound.
        definition: The definition, also where a step has changed the object that it defined.
        behaviours: The functions that may run when the value is used.
        direct: The function or class that the name itself refers to.
        constant: Whether the value is immutable.
        unobserved: Whether the session's value may be another one: in a loop, in a branch, or where the cell
            binds the name again.
        origin: For an imported name, its full path, as in "numpy.random"; empty for all others.
        memory: For a function that keeps state: "own" if a decorator of the notebook keeps it, "cached" if
            `functools.lru_cache` does.
        caches: The cached functions whose cache holds the value, or an object in it.
        unsure: Whether other parameter values may make it another object, or one of another type: the
            session's value is then no proof.
        derived: Whether it is a parameter, or a number, text, setting or the like computed from one.
        flag: Whether it is such a value that is true or false.
        type_name: The type that the code shows for the result of a library's function or class, as in
            "collections.defaultdict"; for a class factory, that function.
        is_instance: Whether the code shows that it is an object of a class of the notebook, and not a
            library's object that holds one.
        inplace: Whether it may have been created with an option to work in place.
        fresh: The step that certainly bound the name itself: the value is not an input of it.
        path: The library object assigned to the name, as in "random.shuffle"; empty for all others.
        possible_modules: Imported modules that it may be a part of, as in `r = np.random if flag else g`.
    """

    name: str
    kind: BindingKind
    producer: str = ""
    cell: int = -1
    line: int = 0
    changed: int = -1
    definition: Definition | None = None
    behaviours: frozenset[Behaviour] = frozenset()
    direct: Behaviour | None = None
    constant: bool = False
    unobserved: bool = False
    origin: str = ""
    memory: Memory = ""
    caches: frozenset[str] = frozenset()
    unsure: bool = False
    derived: bool = False
    flag: bool = False
    type_name: str = ""
    is_instance: bool = False
    inplace: bool = False
    fresh: str = ""
    path: str = ""
    possible_modules: frozenset[str] = frozenset()

    @property
    def is_import(self) -> bool:
        """Whether the name was imported."""
        return bool(self.origin)


def bound_by_one(effect: Effect) -> Iterable[str]:
    """Return the names that an effect binds."""
    if isinstance(effect, Bind):
        return (effect.name,)
    if isinstance(effect, Define):
        return star_names(effect.module) if effect.module else effect.names
    return ()


def bound_by(effects: tuple[Effect, ...]) -> Iterator[str]:
    """Yield the names that effects bind, in branches too, once for each time they are bound."""
    for effect in flattened(effects):
        yield from bound_by_one(effect)


@dataclass(eq=False)
class StepFlow:
    """What the walk has found out about a step, or about the prelude (then the name is empty).

    Attributes:
        name: As typed.
        cells: The numbers of its cells.
        after: The steps named by `--after`.
        local: What names refer to in its own process, as far as it has used them.
        inputs: The values that it needs from other steps, by name.
        forwarded: The values that it only passes on; where a downstream step takes one from it, it becomes
            an input.
        optional: The inputs that only a lookup by computed names may need.
        parameters: The parameters that it needs.
        replays: The definitions of other steps that it needs.
        imports: The imports of the prelude that it may use.
        read_only: The names that `--reads` declares.
        metrics: The names that it logs.
        assumed_changes: Names, each with the code of unknown effect that is assumed to change it.
        dynamic: Whether it looks up names that it computes.
        executes: Where it executes computed code: cell and line.
        varying_calls: The calls whose result differs each time, with the cell's number and the line.
    """

    name: str
    cells: list[int] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    local: dict[str, Binding | None] = field(default_factory=dict)
    inputs: dict[str, Binding] = field(default_factory=dict)
    forwarded: dict[str, Binding] = field(default_factory=dict)
    optional: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    replays: set[Definition] = field(default_factory=set)
    imports: set[Definition] = field(default_factory=set)
    read_only: set[str] = field(default_factory=set)
    metrics: list[str] = field(default_factory=list)
    assumed_changes: dict[str, str] = field(default_factory=dict)
    dynamic: bool = False
    executes: list[tuple[int, int]] = field(default_factory=list)
    varying_calls: dict[str, tuple[int, int]] = field(default_factory=dict)
